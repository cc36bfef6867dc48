"""Make the recordings of `offhook.agents` with espeak-ng (tested with 1.51): raw 8 kHz µ-law.

They are what callers hear while the AI is away, unless the agent has a recording of its own. Run it after a change of
the texts in `offhook.agents.bundled`: `python scripts/make_recordings.py`. The files are committed, so nothing but this
script needs espeak-ng. The tone is reckoned here and is the same, byte for byte, wherever it is made.
"""

import argparse
import math
import struct
import sys
from array import array
from pathlib import Path
from typing import Final

from offhook.agents.bundled import FOLDER, ONE_MOMENT, TONE, file_name
from offhook.audio import ulaw
from offhook.speech.espeak import VOICES, speak

PLACE: Final = Path(__file__).parents[1] / "src" / "offhook" / "agents" / FOLDER

LANGUAGES: Final = {
    "de": "de", "en": "en-us", "es": "es", "fr": "fr-fr", "it": "it", "nl": "nl", "pt": "pt-br",
}  # fmt: skip
"""The espeak-ng voice of each language."""
VARIANT: Final = "+f3"
WORDS_A_MINUTE: Final = "175"
AIR_MS: Final = 20
"""Silence before and after the words."""
FADE_IN_MS: Final = 4
FADE_OUT_MS: Final = 20
"""An end cut off would click."""

NOTES: Final = ((523.25, 0), (659.26, 280))
"""Hertz and the millisecond at which a note is struck: C5 and E5, which are in no signalling tone and no DTMF digit."""
TONE_MS: Final = 1200
ATTACK_MS: Final = 12
DECAY_MS: Final = 190.0
RELEASE_MS: Final = 100
OVERTONE: Final = 0.2
AMPLITUDE: Final = 5600


def waiting_tone() -> bytes:
    """Return two soft notes as 8 kHz µ-law, each struck and fading, like a small chime."""
    count = TONE_MS * ulaw.BYTES_PER_MS
    samples = [round(AMPLITUDE * sum(_note(n, hz, start) for hz, start in NOTES) * _release(n)) for n in range(count)]
    return ulaw.encode(struct.pack(f"<{count}h", *samples))


def _note(n: int, hz: float, start_ms: int) -> float:
    since = n - start_ms * ulaw.BYTES_PER_MS
    if since < 0:
        return 0.0
    phase = 2 * math.pi * hz * since / ulaw.SAMPLE_RATE
    ms = since / ulaw.BYTES_PER_MS
    return min(1.0, ms / ATTACK_MS) * math.exp(-ms / DECAY_MS) * (math.sin(phase) + OVERTONE * math.sin(2 * phase))


def _release(n: int) -> float:
    """Fade the end out, so that it does not click."""
    return min(1.0, (TONE_MS - n / ulaw.BYTES_PER_MS) / RELEASE_MS)


def spoken(language: str, text: str) -> bytes | None:
    """Return the words as 8 kHz µ-law, with a little silence around them; None when they cannot be made."""
    _, _, pitch = VOICES["agent"]
    audio = speak(text, LANGUAGES[language] + VARIANT, WORDS_A_MINUTE, pitch)
    if audio is None:
        return None
    pcm = array("h", ulaw.decode(audio))
    for ms, samples in ((FADE_IN_MS, range(len(pcm))), (FADE_OUT_MS, range(len(pcm) - 1, -1, -1))):
        fade = ms * ulaw.BYTES_PER_MS
        for n, at in enumerate(samples[:fade]):
            pcm[at] = pcm[at] * n // fade
    return ulaw.silence(AIR_MS) + ulaw.encode(pcm.tobytes()) + ulaw.silence(AIR_MS)


def main() -> int:
    """Write every recording; complain when espeak-ng is missing."""
    parser = argparse.ArgumentParser(description="Make the recordings that come with offhook.")
    parser.add_argument("--folder", type=Path, default=PLACE, help="where they are written")
    folder = parser.parse_args().folder
    made = {TONE: waiting_tone()}
    for language, text in ONE_MOMENT.items():
        audio = spoken(language, text)
        if audio is None:
            print(f"espeak-ng is not installed or failed on: {text}", file=sys.stderr)
            return 1
        made[file_name(language)] = audio
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.ulaw"):
        old.unlink()
    for name, audio in made.items():
        (folder / name).write_bytes(audio)
        print(f"{name}: {ulaw.duration_ms(len(audio)) / 1000:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
