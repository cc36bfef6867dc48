"""What a simulated call reports while it runs; the same values make up the timeline of its report.

`at` is the call time: seconds since the connection stood.
"""

from typing import assert_never

import msgspec


class _Moment(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    at: float


class CallOpened(_Moment, frozen=True, kw_only=True, tag="opened"):
    """The server accepted the session."""

    open_ms: float
    """From `open` to `opened`."""


class AgentSpeaking(_Moment, frozen=True, kw_only=True, tag="agent_speaking"):
    """The agent's audio began to play."""


class AgentFinished(_Moment, frozen=True, kw_only=True, tag="agent_finished"):
    """Everything the agent sent has been heard."""


class BotTurn(_Moment, frozen=True, kw_only=True, tag="bot_turn"):
    """The server told what the agent said (`bot_turn_response`)."""

    text: str
    disposition: str


class CallerSpeaking(_Moment, frozen=True, kw_only=True, tag="caller_speaking"):
    """The caller speaks."""

    text: str
    interrupting: bool


class CallerNoise(_Moment, frozen=True, kw_only=True, tag="caller_noise"):
    """Something that is no speech is heard on the caller's side."""

    name: str
    seconds: float


class BargeIn(_Moment, frozen=True, kw_only=True, tag="barge_in"):
    """The server stopped the playback."""

    unheard_ms: float
    """Agent audio that was dropped."""


class Dtmf(_Moment, frozen=True, kw_only=True, tag="dtmf"):
    """The caller pressed a key."""

    digit: str


class HoldStarted(_Moment, frozen=True, kw_only=True, tag="hold_started"):
    """The call was paused on the caller's side: hold, or a secure pause."""

    secure: bool = False


class HoldEnded(_Moment, frozen=True, kw_only=True, tag="hold_ended"):
    """That pause is over."""

    secure: bool = False


class Oddness(_Moment, frozen=True, kw_only=True, tag="oddity"):
    """Genesys did what it should not do, or does under stress."""

    kind: str


class LanguageChanged(_Moment, frozen=True, kw_only=True, tag="language_changed"):
    """The server was told of another language."""

    language: str


class PausedByServer(_Moment, frozen=True, kw_only=True, tag="paused_by_server"):
    """The server wants no caller audio."""


class ResumedByServer(_Moment, frozen=True, kw_only=True, tag="resumed_by_server"):
    """The server wants caller audio again."""


class ProtocolBroken(_Moment, frozen=True, kw_only=True, tag="protocol_error"):
    """The server broke a rule of the protocol."""

    rule: str
    """Stable code, `OH-HOOK-nn`."""
    text: str
    """The rule."""
    detail: str
    """What was seen."""
    message: str
    """Which message broke it, e.g. `pong, seq 4`; empty when none did."""
    reference: str
    """Where to read on."""


class Disconnected(_Moment, frozen=True, kw_only=True, tag="disconnected"):
    """The server ended the call."""

    reason: str
    info: str
    output_variables: dict[str, str]
    cut_off_ms: float
    """Agent audio that nobody heard any more."""


class HungUp(_Moment, frozen=True, kw_only=True, tag="hung_up"):
    """The caller ended the call."""

    because: str
    """Empty when the script says so, otherwise what went wrong."""


class CallFinished(_Moment, frozen=True, kw_only=True, tag="finished"):
    """The session is over and the socket can go."""

    clean: bool
    """Whether `close` and `closed` were exchanged."""


CallEvent = (
    CallOpened
    | AgentSpeaking
    | AgentFinished
    | BotTurn
    | CallerSpeaking
    | CallerNoise
    | BargeIn
    | Dtmf
    | HoldStarted
    | HoldEnded
    | LanguageChanged
    | Oddness
    | PausedByServer
    | ResumedByServer
    | ProtocolBroken
    | Disconnected
    | HungUp
    | CallFinished
)


def describe(event: CallEvent) -> tuple[str, str]:
    """Return who did something and what, for one line of a transcript."""
    match event:
        case CallOpened():
            return "call", f"opened after {event.open_ms:.0f} ms"
        case AgentSpeaking():
            return "agent", "speaks"
        case AgentFinished():
            return "agent", "is silent"
        case BotTurn():
            return "agent", f"“{event.text}”" if event.text else f"({event.disposition})"
        case CallerSpeaking():
            return "caller", f"“{event.text}”" + (" (interrupts)" if event.interrupting else "")
        case CallerNoise():
            return "caller", f"makes a noise: {event.name}, {event.seconds:.1f} s"
        case BargeIn():
            return "agent", f"stops: barge-in, {event.unheard_ms:.0f} ms unheard"
        case Dtmf():
            return "caller", f"presses {event.digit}"
        case HoldStarted():
            return "caller", "is in a secure pause" if event.secure else "puts the agent on hold"
        case HoldEnded():
            return "caller", "is back"
        case LanguageChanged():
            return "call", f"language is now {event.language}"
        case Oddness():
            return "call", f"something odd: {event.kind}"
        case PausedByServer():
            return "call", "the server paused the caller's audio"
        case ResumedByServer():
            return "call", "the server resumed the caller's audio"
        case ProtocolBroken():
            return "error", f"{event.rule} {event.detail}" + (f" [{event.message}]" if event.message else "")
        case Disconnected():
            variables = ", ".join(f"{name}={value}" for name, value in sorted(event.output_variables.items()))
            info = f" ({event.info})" if event.info else ""
            return "agent", f"ends the call: {event.reason}{info}" + (f"; {variables}" if variables else "")
        case HungUp():
            return "caller", f"hangs up: {event.because}" if event.because else "hangs up"
        case CallFinished():
            return "call", "closed" if event.clean else "over without a clean close"
        case _:
            assert_never(event)
