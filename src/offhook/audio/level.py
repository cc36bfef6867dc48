"""How loud µ-law audio is."""

import audioop
import math
from typing import Final

from offhook.audio import ulaw

FULL_SCALE: Final = 32768
"""The amplitude that is 0 dBFS."""

FLOOR_DBFS: Final = -96.0
"""What digital silence measures: below the smallest 16-bit step (-90.3 dBFS), and a plain number instead of -inf."""


def rms(audio: bytes) -> int:
    """Return the root mean square of the decoded samples, 0 (silence or nothing) to 32,767."""
    return audioop.rms(ulaw.decode(audio), 2)


def dbfs(audio: bytes) -> float:
    """Return the RMS level in decibels relative to full scale, `FLOOR_DBFS` for silence."""
    value = rms(audio)
    return 20.0 * math.log10(value / FULL_SCALE) if value else FLOOR_DBFS
