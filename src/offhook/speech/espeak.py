"""Speech by espeak-ng, run as a program of its own (it is GPL-3 and is never imported)."""

import audioop
import shutil
import subprocess
from typing import Final, Literal

from offhook.audio import level, ulaw
from offhook.audio.wav import MalformedWav, UnsupportedWav, read_wav

PROGRAM: Final = "espeak-ng"
TIMEOUT: Final = 20.0
"""Seconds after which espeak-ng is given up; a sentence takes it some milliseconds."""

VOICES: Final = {"agent": ("en-us+f3", "165", "52"), "caller": ("en-gb+m3", "170", "42")}
"""The espeak-ng voice, words a minute and pitch of each speaker."""

_LEVEL_DBFS: Final = -20.0
_SPOKEN_DBFS: Final = -45.0
_LEAD_MS: Final = 20
_TAIL_MS: Final = 60
_STEP: Final = 10 * ulaw.BYTES_PER_MS


def synthesise(text: str, voice: Literal["agent", "caller"]) -> bytes | None:
    """Speak a text: 8 kHz µ-law, trimmed and levelled; None when espeak-ng is missing, fails or stays silent."""
    return speak(text, *VOICES[voice])


def speak(text: str, name: str, speed: str, pitch: str) -> bytes | None:
    """Speak a text with any voice of espeak-ng, at so many words a minute; as `synthesise`."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    command = [program, "-v", name, "-s", speed, "-p", pitch, "--stdin", "--stdout"]
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the text goes in by stdin
            command, input=text.encode(), capture_output=True, timeout=TIMEOUT, check=True
        )
        return levelled(trimmed(read_wav(done.stdout))) or None
    except (OSError, subprocess.SubprocessError, MalformedWav, UnsupportedWav):
        return None


def trimmed(audio: bytes) -> bytes:
    """Return the audio from shortly before the first to shortly after the last sound in it."""
    loud = [at for at in range(0, len(audio), _STEP) if level.dbfs(audio[at : at + _STEP]) > _SPOKEN_DBFS]
    if not loud:
        return b""
    begin = max(0, loud[0] - _LEAD_MS * ulaw.BYTES_PER_MS)
    return audio[begin : loud[-1] + _STEP + _TAIL_MS * ulaw.BYTES_PER_MS]


def levelled(audio: bytes) -> bytes:
    """Return the audio at a telephone's usual speech level, -20 dBFS, or as near as it gets without clipping."""
    pcm = ulaw.decode(audio)
    peak = audioop.max(pcm, 2)
    if not peak:
        return audio
    factor = min(10 ** ((_LEVEL_DBFS - level.dbfs(audio)) / 20), 32_000 / peak)
    return ulaw.encode(audioop.mul(pcm, 2, factor))
