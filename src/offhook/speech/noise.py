"""What comes down a caller's line without being said to the agent: clicks, coughs, other people, a bad line.

The same arguments give the same 8 kHz µ-law every time. Louder than speech or softer is the caller's choice: a level is
that of the loudest sample, while turn detection goes by energy.
"""

import audioop
import math
import random
from array import array
from collections.abc import Callable, Iterator
from typing import Final, Literal

from offhook.audio import ulaw
from offhook.speech import shipped_clips

Kind = Literal["click", "cough", "babble", "line"]
"""`click`: a handset is moved. `cough`: one person coughs. `babble`: others talk in the room. `line`: hiss and hum."""

FULL_SCALE: Final = 32_124
"""The largest sample that µ-law can carry: level 1."""

CLICK_EVERY_MS: Final = 240
COUGH_MS: Final = 380
COUGH_EVERY_MS: Final = 900
TALKERS: Final = 6

_SHAPE: Final = 16_000
"""How loud a sample of 1 is before the whole is scaled."""
_FADE: Final = 5 * ulaw.BYTES_PER_MS


def noise(kind: Kind, ms: int, level: float) -> bytes:
    """Return noise as 8 kHz µ-law.

    Args:
        kind: what makes it.
        ms: how long it lasts; a short `cough` is the beginning of one.
        level: of the loudest sample, 0 to 1.
    """
    count = ms * ulaw.BYTES_PER_MS
    pcm = array("h", _babble(count) if kind == "babble" else _pcm(_SHAPES[kind](count)))
    for n in range(min(_FADE, count)):  # an end cut off would click
        pcm[-1 - n] = pcm[-1 - n] * n // _FADE
    return ulaw.encode(_amplified(pcm.tobytes(), level))


def scaled(audio: bytes, level: float) -> bytes:
    """Return µ-law audio with its loudest sample at a level from 0 to 1; silence stays silence."""
    return ulaw.encode(_amplified(ulaw.decode(audio), level))


def _amplified(pcm: bytes, level: float) -> bytes:
    peak = audioop.max(pcm, 2)
    return audioop.mul(pcm, 2, level * FULL_SCALE / peak) if peak else pcm


def _pcm(samples: Iterator[float]) -> bytes:
    return array("h", (round(_SHAPE * max(-1.0, min(1.0, sample))) for sample in samples)).tobytes()


def _clicks(count: int) -> Iterator[float]:
    """Yield cracks of a few milliseconds, far shorter than a frame of turn detection."""
    rng = _chance("click")
    every = CLICK_EVERY_MS * ulaw.BYTES_PER_MS
    for n in range(count):
        since = n % every
        yield rng.uniform(-1, 1) * math.exp(-since / ulaw.BYTES_PER_MS) if since < 80 else 0.0


def _coughs(count: int) -> Iterator[float]:
    """Yield muffled bursts that begin at once and fade, each followed by a weaker one."""
    rng = _chance("cough")
    every = COUGH_EVERY_MS * ulaw.BYTES_PER_MS
    muffled = 0.0
    for n in range(count):
        ms = n % every / ulaw.BYTES_PER_MS
        muffled += 0.35 * (rng.gauss(0, 0.7) - muffled)
        loud = min(1.0, ms / 6) * math.exp(-ms / 70)
        if ms > 170:
            loud += 0.6 * min(1.0, (ms - 170) / 20) * math.exp(-(ms - 170) / 60)
        yield muffled * loud if ms < COUGH_MS else 0.0


def _line(count: int) -> Iterator[float]:
    """Yield hiss with the hum of the mains under it."""
    rng = _chance("line")
    for n in range(count):
        yield rng.uniform(-0.6, 0.6) + 0.3 * math.sin(2 * math.pi * 50 * n / ulaw.SAMPLE_RATE)


def _babble(count: int) -> bytes:
    """Return 16-bit PCM of several of the shipped voices at once, each somewhere else in what they say."""
    clips = b"".join(shipped_clips())
    room = bytes(2 * count)
    for talker in range(TALKERS):
        start = len(clips) * talker // TALKERS
        voice = (clips[start:] + clips * (count // len(clips) + 1))[:count]
        room = audioop.add(room, audioop.mul(ulaw.decode(voice), 2, 1 / TALKERS), 2)
    return room


_SHAPES: Final[dict[str, Callable[[int], Iterator[float]]]] = {"click": _clicks, "cough": _coughs, "line": _line}


def _chance(kind: Kind) -> random.Random:
    return random.Random(kind)  # noqa: S311 - repeatable on purpose
