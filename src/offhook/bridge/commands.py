"""What a call asks of its shell. Everything else it does by itself, through its two protocol sessions."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from offhook.audiohook import OpenParameters
from offhook.realtime import SessionConfig


class SelectAgent(msgspec.Struct, frozen=True):
    """`open` arrived: answer with `Call.accept(plan, now)` or `Call.refuse(...)`, at once and without waiting."""

    parameters: OpenParameters


class ChangeLanguage(msgspec.Struct, frozen=True):
    """The flow changed the language of the call: answer with `Call.change_language(plan, now)`, or not at all."""

    language: str


class ConnectRealtime(msgspec.Struct, frozen=True):
    """Open a Realtime leg; answer with `realtime_connected`, then `receive_realtime`, or `realtime_lost`.

    A call may have two legs for a moment, so each has a number, which goes with everything that is said of it.
    """

    leg: int
    session: SessionConfig


class CloseRealtime(msgspec.Struct, frozen=True):
    """Close a Realtime leg, or stop connecting it. Nothing is expected back."""

    leg: int


class ReportRealtime(msgspec.Struct, frozen=True):
    """How a leg has done, for whoever chooses among providers."""

    leg: int
    verdict: Literal["ready", "failed", "unusable"]
    """The model listens; the leg broke or did not work; its provider refuses us for good (key, quota, model)."""
    code: str = ""
    """Why, a stable code."""


class InvokeTool(msgspec.Struct, frozen=True):
    """Run a function tool beside the call; report with `Call.tool_result(call_id, outcome, now)`."""

    call_id: str
    name: str
    arguments: str
    """JSON text as the model wrote it, or as the call made it of secret digits."""
    secret: bool = False
    """The arguments hold what nobody but the tool may see: they are in no log, trace, record or error."""

    def __repr__(self) -> str:
        """Without the arguments, which hold what the caller said or entered."""
        return f"InvokeTool({self.call_id!r}, {self.name!r}, secret={self.secret})"


class ToolOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a tool."""

    output: str
    """What the model reads."""
    outputs: Mapping[str, object] = {}
    """Output variables that the tool sets."""
    end: Literal["completed", "escalated"] | None = None
    """The tool ends the call, or hands the caller over."""
    reason: str = ""
    """Why, in the tool's words."""
    target: str = ""
    """Whom the caller is to be connected with."""
    failed: bool = False
    """The model reads an error."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One settled turn of the transcript."""

    speaker: str
    """`caller`, `agent` or `keypad`."""
    text: str
    """What the caller said, or what the caller heard of the agent."""
    unheard: str = ""
    """What the agent generated beyond it and the caller never heard."""
    interrupted: bool = False
    """The caller spoke over it."""
    item_id: str = ""
    heard_ms: int = 0
    """Agent: milliseconds of its audio that were played."""
    audio_ms: int = 0
    """Agent: milliseconds of audio that were generated."""


class RecordTurn(msgspec.Struct, frozen=True):
    """A turn is settled; turns come in the order of the conversation."""

    turn: Turn


class RecordMoment(msgspec.Struct, frozen=True, kw_only=True):
    """Something noteworthy happened; `name` is one of a fixed set (see `moments.py`), `data` holds no caller data."""

    name: str
    at: float
    data: dict[str, str | int | float | bool] = {}


class CallEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The call is over and everything of it can be freed. Comes exactly once."""

    outcome: str
    """`completed`, `escalated`, `failed` or `limit`; `probe` for a connection probe."""
    reason: str
    """Short machine-readable reason, e.g. `caller_hung_up`, `agent_ended`, `OH-CALL-05`."""
    output_variables: dict[str, str] = {}


Command = (
    SelectAgent
    | ChangeLanguage
    | ConnectRealtime
    | CloseRealtime
    | ReportRealtime
    | InvokeTool
    | RecordTurn
    | RecordMoment
    | CallEnded
)
