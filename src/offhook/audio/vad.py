"""Voice activity detection by energy, on the grid and with the parameters of the Realtime API's `server_vad`.

The clock is the audio fed, not wall time. Decisions fall every 32 ms, as in logs of the real service, where each
`audio_end_ms` and each `audio_start_ms` + prefix is a multiple of 32 (openai-realtime.md §8.2, items 2 and 3).
"""

from dataclasses import dataclass
from typing import Final

from offhook.audio import level
from offhook.audio.ulaw import BYTES_PER_MS

FRAME_MS: Final = 32
FRAME_BYTES: Final = FRAME_MS * BYTES_PER_MS

ONSET_FRAMES: Final = 2
"""Loud frames in a row that start speech: one alone is a click."""

HYSTERESIS_DB: Final = 6.0
"""Speech goes on until the level is this far below the level that starts it."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began; `audio_start_ms` is the first loud frame less the prefix padding, never below 0."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Speech ended; `audio_end_ms` is the end of the silence that proved it."""

    audio_end_ms: int


class EnergyVad:
    """Finds speech in 8 kHz µ-law fed in pieces of any size.

    Args:
        threshold: 0 to 1 as in `server_vad`; here a level on a decibel scale, -60 dBFS at 0 and -20 dBFS at 1.
        prefix_padding_ms: how far `audio_start_ms` lies before the speech.
        silence_duration_ms: quiet that ends speech, rounded up to whole frames.
    """

    def __init__(self, threshold: float = 0.5, prefix_padding_ms: int = 300, silence_duration_ms: int = 500) -> None:
        self._rest = b""
        self._frames = 0
        self._loud = 0
        self._quiet = 0
        self.speaking = False
        self.tune(threshold, prefix_padding_ms, silence_duration_ms)

    def tune(self, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Change the parameters; the audio clock and speech in progress go on."""
        self._start_dbfs = -60.0 + 40.0 * threshold
        self._prefix_ms = prefix_padding_ms
        self._silence_ms = silence_duration_ms

    @property
    def clock_ms(self) -> float:
        """Milliseconds of audio fed so far."""
        return self._frames * FRAME_MS + len(self._rest) / BYTES_PER_MS

    def forget(self) -> None:
        """Drop speech in progress without an event (its audio was thrown away); the clock goes on."""
        self.speaking = False
        self._loud = self._quiet = 0

    def feed(self, audio: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take the next piece of audio and return what it decided, in order."""
        found: list[SpeechStarted | SpeechStopped] = []
        data = self._rest + audio if self._rest else audio
        whole = len(data) - len(data) % FRAME_BYTES
        for at in range(0, whole, FRAME_BYTES):
            self._frames += 1
            event = self._judge(level.dbfs(data[at : at + FRAME_BYTES]))
            if event is not None:
                found.append(event)
        self._rest = data[whole:]
        return found

    def _judge(self, dbfs: float) -> SpeechStarted | SpeechStopped | None:
        """Advance by the frame that has just ended at `self._frames`."""
        if not self.speaking:
            self._loud = self._loud + 1 if dbfs >= self._start_dbfs else 0
            if self._loud < ONSET_FRAMES:
                return None
            self.speaking, self._quiet = True, 0
            first_loud_ms = (self._frames - self._loud) * FRAME_MS
            return SpeechStarted(max(0, first_loud_ms - self._prefix_ms))
        self._quiet = self._quiet + 1 if dbfs < self._start_dbfs - HYSTERESIS_DB else 0
        if self._quiet * FRAME_MS < self._silence_ms or not self._quiet:
            return None
        self.speaking, self._loud = False, 0
        return SpeechStopped(self._frames * FRAME_MS)
