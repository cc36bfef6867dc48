"""What a text sounds like, as 8 kHz µ-law: shipped clips, espeak-ng where it is installed, tones where it is not.

The Realtime emulator speaks as the agent and the Genesys simulator as the caller with it. Nothing that answers a real
caller imports this package. `scripts/make_speech.py` makes the clips.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib import resources
from typing import Final, Literal

from offhook.speech.espeak import synthesise
from offhook.speech.tones import tones

__all__ = ["Speech", "Voice", "normalise", "shipped_clips", "shipped_texts"]

Voice = Literal["agent", "caller"]

Synthesiser = Callable[[str, Voice], bytes | None]
"""Turns a text into 8 kHz µ-law, or returns None when it cannot; may take its time."""

_NOT_WORDS: Final = re.compile(r"[^\w]+")


def normalise(text: str) -> str:
    """Return the words of a text alone, in lower case: what two spellings of the same sentence share."""
    return _NOT_WORDS.sub(" ", text.replace("'", "").replace("’", "").casefold()).strip()  # noqa: RUF001 - the typographic apostrophe is meant


@cache
def _shipped() -> dict[tuple[str, Voice], bytes]:
    """Read every clip of the package once; together they are about a megabyte."""
    folder = resources.files(__name__) / "clips"
    index = json.loads((folder / "index.json").read_text("utf-8"))
    return {
        (normalise(entry["text"]), entry["voice"]): (folder / entry["file"]).read_bytes() for entry in index["clips"]
    }


def shipped_texts() -> list[tuple[str, Voice]]:
    """Return the normalised text and the voice of every shipped clip."""
    return list(_shipped())


def shipped_clips() -> list[bytes]:
    """Return the sound of every shipped clip, always in the same order."""
    return list(_shipped().values())


class Speech:
    """Finds or makes the sound of texts.

    `clip` never waits, so a call may use it; `prepare` may run a synthesiser and belongs before the call or off the
    event loop. A text that was neither shipped nor prepared sounds as tones of about its length.
    """

    def __init__(self, synthesiser: Synthesiser | None = synthesise) -> None:
        self._synthesiser = synthesiser
        self._made: dict[tuple[str, Voice], bytes] = {}

    def prepare(self, texts: Iterable[str], voice: Voice = "agent") -> None:
        """Synthesise those of the texts that have no clip yet; blocks for some milliseconds each."""
        if self._synthesiser is None:
            return
        for text in texts:
            key = (normalise(text), voice)
            if key[0] and self._find(key) is None and (made := self._synthesiser(text, voice)):
                self._made[key] = made

    def clip(self, text: str, voice: Voice = "agent") -> bytes:
        """Return the sound of a text as 8 kHz µ-law; of a text without words, nothing."""
        key = (normalise(text), voice)
        if not key[0]:
            return b""
        return self._find(key) or tones(text, voice)

    def _find(self, key: tuple[str, Voice]) -> bytes | None:
        """Look for this voice's clip, then for one just made, then for the other voice's."""
        text, voice = key
        shipped = _shipped()
        other: Voice = "caller" if voice == "agent" else "agent"
        return shipped.get(key) or self._made.get(key) or shipped.get((text, other))
