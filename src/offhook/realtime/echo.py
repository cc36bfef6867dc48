"""Whether the server really took over what the call depends on (openai-realtime.md §3).

A wrong format turns speech into noise in both directions and a wrong voice is not the configured agent, so both are
worth refusing the session. Everything else in the echo is the server's business.
"""

import msgspec
from msgspec import UNSET

from offhook.realtime.config import AudioConfig, AudioFormat, AudioInput, AudioOutput, SessionConfig, VoiceId
from offhook.realtime.errors import bounded
from offhook.realtime.wire import Maybe, given


class EchoMismatch(msgspec.Struct, frozen=True):
    """What was asked for and not given; `message` holds format and voice names only."""

    code: str
    message: str


def check_echo(wanted: SessionConfig, echoed: SessionConfig, *, voice: bool = True) -> EchoMismatch | None:
    """Compare both audio formats and, if told so, the voice; what was not asked for is not compared."""
    ask = given(wanted.audio) or AudioConfig()
    got = given(echoed.audio) or AudioConfig()
    ask_in, got_in = given(ask.input) or AudioInput(), given(got.input) or AudioInput()
    ask_out, got_out = given(ask.output) or AudioOutput(), given(got.output) or AudioOutput()
    for direction, want, have in (
        ("input", given(ask_in.format), given(got_in.format)),
        ("output", given(ask_out.format), given(got_out.format)),
    ):
        if want is not None and not _same_format(want, have):
            shown = bounded(have.type, 32) if have is not None else "none"
            return EchoMismatch("OH-RT-04", f"asked for {direction} format {want.type}, the server uses {shown}")
    want_voice, have_voice = _voice_name(ask_out.voice), _voice_name(got_out.voice)
    if voice and want_voice is not None and want_voice != have_voice:
        shown = bounded(have_voice, 64) or "none"
        return EchoMismatch("OH-RT-05", f"asked for voice {want_voice}, the server uses {shown}")
    return None


def names_format(update: SessionConfig) -> bool:
    """Tell whether a partial update touches an audio format."""
    audio = given(update.audio) or AudioConfig()
    into, out = given(audio.input) or AudioInput(), given(audio.output) or AudioOutput()
    return into.format is not UNSET or out.format is not UNSET


def _same_format(want: AudioFormat, have: AudioFormat | None) -> bool:
    """Compare types, and rates only where both name one: pcmu has none, and some servers add 8000 (§3)."""
    if have is None or want.type != have.type:
        return False
    want_rate, have_rate = given(want.rate), given(have.rate)
    return want_rate is None or have_rate is None or want_rate == have_rate


def _voice_name(voice: Maybe[str | VoiceId | None]) -> str | None:
    """Read a voice that may be echoed as a string or as {id}."""
    if isinstance(voice, VoiceId):
        return voice.id
    return voice if isinstance(voice, str) else None
