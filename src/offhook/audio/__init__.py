"""Pure audio functions for 8 kHz mono µ-law, the only sound offhook carries.

`ulaw` converts and counts, `level` measures, `wav` reads and writes files (`resample` brings them to 8 kHz), `vad`
finds where speech starts and stops. Nothing here does I/O or reads a clock.
"""

from offhook.audio.level import dbfs, rms
from offhook.audio.ulaw import BYTES_PER_MS, SAMPLE_RATE, SILENCE, duration_ms, silence
from offhook.audio.vad import EnergyVad, SpeechStarted, SpeechStopped
from offhook.audio.wav import MalformedWav, UnsupportedWav, read_wav, write_wav

__all__ = [
    "BYTES_PER_MS",
    "SAMPLE_RATE",
    "SILENCE",
    "EnergyVad",
    "MalformedWav",
    "SpeechStarted",
    "SpeechStopped",
    "UnsupportedWav",
    "dbfs",
    "duration_ms",
    "read_wav",
    "rms",
    "silence",
    "write_wav",
]
