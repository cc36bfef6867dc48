"""Token counts as the API reports them: audio by length, text by letters, a growing part cached (§6)."""

import math
from typing import Final

import msgspec

from offhook.emulator.conversation import Entry
from offhook.emulator.settings import Settings
from offhook.realtime import (
    CachedTokens,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputTokens,
    MessageItem,
    OutputTokens,
    ResponseUsage,
)

INPUT_MS_PER_TOKEN: Final = 100
OUTPUT_MS_PER_TOKEN: Final = 50
LETTERS_PER_TOKEN: Final = 4
ITEM_OVERHEAD: Final = 8
CACHE_BLOCK: Final = 64


class Piece(msgspec.Struct, frozen=True):
    """A part of the model's input; equal pieces at the front of two inputs come from the cache."""

    identity: str
    text: int
    audio: int = 0


def text_tokens(text: str) -> int:
    """Return the tokens of a text, about one for four letters."""
    return math.ceil(len(text) / LETTERS_PER_TOKEN)


def output_audio_tokens(audio_ms: float) -> int:
    """Return the tokens of generated audio: one for 50 ms."""
    return round(audio_ms / OUTPUT_MS_PER_TOKEN)


def input_pieces(settings: Settings, instructions: str, entries: list[Entry]) -> list[Piece]:
    """Return what the model is given to read: prompt, tools, items."""
    tools = msgspec.json.encode(settings.tools).decode()
    pieces = [Piece(f"prompt {instructions}", text_tokens(instructions) + ITEM_OVERHEAD)]
    if settings.tools:
        pieces.append(Piece(f"tools {tools}", text_tokens(tools)))
    return pieces + [_item_piece(entry) for entry in entries]


def _item_piece(entry: Entry) -> Piece:
    item = entry.item
    text, audio = ITEM_OVERHEAD, 0
    if isinstance(item, MessageItem):
        if entry.audio or entry.heard_ms is not None:
            audio = math.ceil(entry.kept_ms / INPUT_MS_PER_TOKEN)
        if item.role != "user" or not audio:
            text += text_tokens(entry.kept_text)
    elif isinstance(item, FunctionCallItem):
        text += text_tokens(item.name + item.arguments)
    elif isinstance(item, FunctionCallOutputItem):
        text += text_tokens(item.output)
    return Piece(f"{entry.id} {entry.truncated_ms}", text, audio)


class Meter:
    """Counts responses; remembers the last input to tell what of the next one is cached."""

    def __init__(self) -> None:
        self._last: list[Piece] = []
        self.total_tokens = 0

    def usage(self, pieces: list[Piece], output_text: int, output_audio: int) -> ResponseUsage:
        """Return the usage of a response that read `pieces`."""
        cached_text = cached_audio = 0
        for old, new in zip(self._last, pieces, strict=False):
            if old != new:
                break  # everything behind a change has to be read anew
            cached_text += new.text
            cached_audio += new.audio
        self._last = pieces
        cached_text -= cached_text % CACHE_BLOCK
        cached_audio -= cached_audio % CACHE_BLOCK
        text = sum(piece.text for piece in pieces)
        audio = sum(piece.audio for piece in pieces)
        usage = _usage(text, audio, cached_text, cached_audio, output_text, output_audio)
        self.total_tokens += text + audio + output_text + output_audio
        return usage


def no_usage() -> ResponseUsage:
    """Return the all-zero usage of a response that was cancelled before it said anything (§4.1)."""
    return _usage(0, 0, 0, 0, 0, 0)


def _usage(text: int, audio: int, cached_text: int, cached_audio: int, out_text: int, out_audio: int) -> ResponseUsage:
    return ResponseUsage(
        total_tokens=text + audio + out_text + out_audio,
        input_tokens=text + audio,
        output_tokens=out_text + out_audio,
        input_token_details=InputTokens(
            text_tokens=text,
            audio_tokens=audio,
            image_tokens=0,
            cached_tokens=cached_text + cached_audio,
            cached_tokens_details=CachedTokens(text_tokens=cached_text, audio_tokens=cached_audio, image_tokens=0),
        ),
        output_token_details=OutputTokens(text_tokens=out_text, audio_tokens=out_audio),
    )
