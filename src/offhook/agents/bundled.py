"""Recordings that come with offhook: "One moment, please.", for when the model is not there to say it.

`scripts/make_recordings.py` makes them: raw 8 kHz µ-law, one file for each language, and a tone for all others.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from offhook.agents.wording import in_language
from offhook.bridge.plan import Prompt

ONE_MOMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "de": "Einen Moment, bitte.",
        "en": "One moment, please.",
        "es": "Un momento, por favor.",
        "fr": "Un instant, s'il vous plaît.",
        "it": "Un momento, per favore.",
        "nl": "Een ogenblik, alstublieft.",
        "pt": "Um momento, por favor.",
    }
)
"""What the recording of a language says, by its tag."""

FOLDER: Final = "clips"
TONE: Final = "waiting-tone.ulaw"


def file_name(language: str) -> str:
    """Return the name of a language's recording."""
    return f"one-moment-{language}.ulaw"


def one_moment(language: str) -> Prompt:
    """Return the recording for the language of a call; two soft notes where there is none, or no language is known."""
    spoken, tone = recordings()
    return in_language(spoken, language, tone)


@cache
def recordings() -> tuple[Mapping[str, Prompt], Prompt]:
    """Return the recordings by language, and the tone; read once, together about 90 KB."""
    folder = resources.files(__package__) / FOLDER
    spoken = {
        language: Prompt(text=text, audio=(folder / file_name(language)).read_bytes())
        for language, text in ONE_MOMENT.items()
    }
    return MappingProxyType(spoken), Prompt(text="", audio=(folder / TONE).read_bytes())
