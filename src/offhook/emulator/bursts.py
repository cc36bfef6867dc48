"""How a response comes in pieces: irregular deltas, faster than real time (openai-realtime.md §4.5, §8.2 item 5)."""

import random
from itertools import pairwise
from typing import Final

from offhook.emulator.formats import BYTES_PER_MS, BYTES_PER_SAMPLE

SINGLE_DELTA_CHANCE: Final = 0.06
"""How often all audio of an item comes in one delta."""

_LARGEST_MS: Final = 1200
_SMALLEST_MS: Final = 20


def cut_audio(audio: bytes, rng: random.Random, *, kind: str, single: bool | None = None) -> list[bytes]:
    """Cut audio into deltas of 20 to 1,200 ms, now and then of one sample, seldom into one huge delta.

    Sizes are multiples of a sample and of nothing else. `single` decides about the huge delta instead of chance.
    """
    by_chance = rng.random() < SINGLE_DELTA_CHANCE
    if by_chance if single is None else single:
        return [audio] if audio else []
    sample, bytes_per_ms = BYTES_PER_SAMPLE[kind], BYTES_PER_MS[kind]
    pieces = []
    at = 0
    while at < len(audio):
        size = sample
        if rng.random() >= 0.05:  # one in twenty is a single sample
            size = rng.randint(_SMALLEST_MS * bytes_per_ms, _LARGEST_MS * bytes_per_ms) // sample * sample
        pieces.append(audio[at : at + size])
        at += size
    return pieces


def cut_text(text: str, rng: random.Random) -> list[str]:
    """Cut a text into pieces of one to four words; joined they are the text again."""
    words = text.split(" ")
    pieces = []
    at = 0
    while at < len(words):
        count = rng.randint(1, 4)
        pieces.append(("" if at == 0 else " ") + " ".join(words[at : at + count]))
        at += count
    return [piece for piece in pieces if piece]


def cut_arguments(arguments: str, rng: random.Random) -> list[str]:
    """Cut JSON text anywhere, into two to five pieces where it is long enough."""
    if len(arguments) < 2:
        return [arguments] if arguments else []
    count = min(len(arguments), rng.randint(2, 5))
    marks = [0, *sorted(rng.sample(range(1, len(arguments)), count - 1)), len(arguments)]
    return [arguments[begin:end] for begin, end in pairwise(marks)]
