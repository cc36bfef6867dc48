"""Any sample rate to 8 kHz, with a low-pass before the step down so that nothing folds into the speech band."""

import audioop
import math
from functools import lru_cache
from typing import Final

from offhook.audio.ulaw import SAMPLE_RATE

_CUTOFF_HZ: Final = 3600.0
_HALF_LENGTH_MS: Final = 1.5
"""Half the length of the filter: 12 periods of the output rate, a transition band of about 600 Hz."""


def to_8khz(pcm16le: bytes, rate: int) -> bytes:
    """Return mono 16-bit PCM of `rate` samples a second at 8,000 samples a second."""
    if rate == SAMPLE_RATE:
        return pcm16le
    if rate > SAMPLE_RATE:
        pcm16le = _low_pass(pcm16le, rate)
    converted, _ = audioop.ratecv(pcm16le, 2, 1, rate, SAMPLE_RATE, None)
    return converted


@lru_cache(maxsize=8)
def _taps(rate: int) -> tuple[float, ...]:
    """Return a windowed-sinc low-pass of unit gain, centre in the middle."""
    half = max(1, round(rate * _HALF_LENGTH_MS / 1000))
    taps = []
    for n in range(-half, half + 1):
        x = 2 * _CUTOFF_HZ * n / rate
        sinc = math.sin(math.pi * x) / (math.pi * x) if n else 1.0
        taps.append(sinc * (0.5 + 0.5 * math.cos(math.pi * n / (half + 1))))
    total = sum(taps)
    return tuple(tap / total for tap in taps)


def _low_pass(pcm16le: bytes, rate: int) -> bytes:
    """Filter by adding shifted, weighted copies: whole-buffer operations, exact in 32 bits."""
    taps = _taps(rate)
    half = len(taps) // 2
    edge = b"\0\0" * half
    wide = audioop.lin2lin(edge + pcm16le + edge, 2, 4)
    total = bytes(2 * len(pcm16le))
    for n, tap in enumerate(taps):
        part = wide[4 * n : 4 * n + 2 * len(pcm16le)]
        total = audioop.add(total, audioop.mul(part, 4, tap / 2), 4)  # half scale: partial sums overshoot
    return audioop.mul(audioop.lin2lin(total, 4, 2), 2, 2.0)
