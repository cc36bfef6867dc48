"""A stand-in for speech: one short tone for each syllable, always the same for the same text."""

import math
import re
import struct
import zlib
from functools import lru_cache
from typing import Final, Literal

from offhook.audio import ulaw

SYLLABLE_MS: Final = 170
WORD_GAP_MS: Final = 35
CLAUSE_GAP_MS: Final = 180
"""A pause at a comma or full stop, short enough that no turn detection takes it for the end."""

_EDGE_MS: Final = 15
_AMPLITUDE: Final = 6000
_PITCH: Final = {"agent": 210.0, "caller": 120.0}
_VOWELS: Final = re.compile(r"[aeiouyäöü]+|\d")
_CLAUSE_END: Final = (".", ",", ";", ":", "!", "?")


@lru_cache(maxsize=256)
def tones(text: str, voice: Literal["agent", "caller"] = "agent") -> bytes:
    """Return 8 kHz µ-law of about the length the spoken text would have."""
    parts: list[bytes] = []
    for word in text.casefold().split():
        for n in range(max(1, len(_VOWELS.findall(word)))):
            step = zlib.crc32(f"{word}{n}".encode()) % 8
            parts.append(_syllable(_PITCH[voice] * 2 ** (step / 12)))
        parts.append(ulaw.silence(CLAUSE_GAP_MS if word.endswith(_CLAUSE_END) else WORD_GAP_MS))
    return b"".join(parts)


@lru_cache(maxsize=16)
def _syllable(hz: float) -> bytes:
    """Return a tone with two overtones that swells and fades."""
    count = SYLLABLE_MS * ulaw.BYTES_PER_MS
    edge = _EDGE_MS * ulaw.BYTES_PER_MS
    samples = []
    for n in range(count):
        phase = 2 * math.pi * hz * n / ulaw.SAMPLE_RATE
        wave = math.sin(phase) + 0.5 * math.sin(2 * phase) + 0.25 * math.sin(3 * phase)
        swell = min(1.0, n / edge, (count - n) / edge)
        samples.append(round(_AMPLITUDE * wave * swell))
    return ulaw.encode(struct.pack(f"<{count}h", *samples))
