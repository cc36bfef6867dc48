"""AudioHook v2 wire messages, one frozen struct per message (audiohook.md §3).

The envelope keys are lower case on the wire (``serverseq``), the keys of parameter objects are camel case
(``inputVariables``). What Genesys sends is read leniently by `offhook.audiohook.codec`; what goes out is exactly what
these structs say: no ``null``, no extra key (trap 30: Genesys refuses unknown fields).

Durations and positions stay text here (``"PT1.5S"``); the codec turns them into seconds.
"""

from typing import Any

import msgspec

VERSION = "2"
"""The only protocol version there is."""

NIL_UUID = "00000000-0000-0000-0000-000000000000"
"""Conversation and participant ID of a connection probe (audiohook.md §3.6)."""

DISCONNECT_REASONS = frozenset({"completed", "unauthorized", "error"})
"""The exact set of reasons a server may give (trap 37)."""

CLOSE_REASONS = frozenset({"end", "disconnect", "error", "reconnect"})
"""The reasons a client gives for `Close` (audiohook.md §3.2)."""

DTMF_DIGITS = frozenset("0123456789*#ABCD")
"""Keys a phone can send; A-D are unverified for Genesys but harmless."""


# --- parameter objects -----------------------------------------------------------------------------------------------


class EmptyParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``{}``: `parameters` is required even if it is empty (trap 26)."""


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One offered or chosen audio format (audiohook.md §3.3, §4)."""

    type: str
    """``"audio"``."""
    format: str
    """``"PCMU"`` or ``"L16"``."""
    channels: tuple[str, ...]
    """``"external"`` is the caller, ``"internal"`` the agent; samples are interleaved in this order."""
    rate: int
    """Samples per second."""


class Participant(msgspec.Struct, frozen=True, rename="camel"):
    """Who is on the line; every value may be empty."""

    id: str = ""
    ani: str = ""
    """Caller's number, ``tel:+…`` from real Genesys."""
    ani_name: str = ""
    dnis: str = ""
    """Number that was dialled."""


class ContinuedSession(msgspec.Struct, frozen=True):
    """A session that this one goes on from (reconnect; not used by Audio Connector)."""

    id: str
    serverseq: int = 0
    clientseq: int = 0


class OpenParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Parameters of `Open` (audiohook.md §3.2)."""

    organization_id: str
    conversation_id: str
    media: tuple[Media, ...]
    """Offers, in the order of the client."""
    participant: Participant | None = None
    language: str | None = None
    """``en-us`` style tag, lower case from real Genesys."""
    supported_languages: bool = False
    """The client asks for a list of languages in `Opened` (Transcription Connector)."""
    continued_sessions: tuple[ContinuedSession, ...] = ()
    custom_config: dict[str, Any] | str | None = None
    """Monitor integrations only. On receipt a JSON string is parsed; one that holds no object stays text (trap 36)."""
    input_variables: dict[str, str] = {}
    """What the Architect action passes in; values are strings."""


class CloseParameters(msgspec.Struct, frozen=True):
    """Parameters of `Close`."""

    reason: str = "end"
    """One of `CLOSE_REASONS`; an unknown one is accepted on receipt."""


class PingParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Parameters of `Ping`."""

    rtt: str | None = None
    """Duration between the last ping and its pong."""


class UpdateParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Parameters of `Update`."""

    language: str | None = None


class DiscardedParameters(msgspec.Struct, frozen=True):
    """Parameters of `Resumed` and `Discarded`."""

    start: str
    """Position at which the gap begins."""
    discarded: str
    """Duration of the audio that was not sent."""


class ErrorParameters(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Parameters of `Error` (codes: audiohook.md §3.5)."""

    code: int
    message: str
    retry_after: str | None = None
    """With code 429: how long to stop sending."""


class DtmfParameters(msgspec.Struct, frozen=True):
    """Parameters of `Dtmf`."""

    digit: str


class OpenedParameters(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """Parameters of `Opened`; ``media`` and ``startPaused`` are always written."""

    media: tuple[Media, ...]
    """Nothing (no audio, probes) or exactly one of the offers, unchanged."""
    start_paused: bool | msgspec.UnsetType = msgspec.UNSET
    discard_to: str | None = None
    """Monitor only: position up to which the client is to skip buffered audio."""
    supported_languages: tuple[str, ...] | None = None


class ReconnectParameters(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Parameters of `Reconnect`."""

    info: str | None = None


class DisconnectParameters(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """Parameters of `Disconnect`."""

    reason: str
    """One of `DISCONNECT_REASONS`."""
    info: str | None = None
    """Free text that Genesys logs: no personal data."""
    output_variables: dict[str, str] | None = None
    """What the Architect action gets back; strings only (trap 40)."""


# --- event entities --------------------------------------------------------------------------------------------------


class BargeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stop the playback and drop the queued bot audio (entity ``barge_in``)."""


class BotTurnResponse(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the bot understood and said (entity ``bot_turn_response``)."""

    disposition: str
    """``no_input``, ``no_match`` or ``match``."""
    text: str | None = None
    confidence: float | None = None
    """0 to 1."""


class TranscriptToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One word of an interpretation."""

    type: str = msgspec.field(default_factory=lambda: "word")
    value: str
    confidence: float
    offset: str
    duration: str
    language: str | None = None


class TranscriptInterpretation(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One reading of an alternative; the type is ``display``, not ``normalized`` (trap 46)."""

    type: str = msgspec.field(default_factory=lambda: "display")
    transcript: str
    tokens: tuple[TranscriptToken, ...] | None = None


class TranscriptAlternative(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One alternative of a transcript."""

    confidence: float
    interpretations: tuple[TranscriptInterpretation, ...]
    languages: tuple[str, ...] | None = None


class Transcript(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """What was said (entity ``transcript``; Transcription Connector only)."""

    id: str
    channel_id: int
    """0 external, 1 internal; the key is ``channelId``, not ``channel`` (trap 46)."""
    is_final: bool
    alternatives: tuple[TranscriptAlternative, ...]
    offset: str | None = None
    duration: str | None = None


class AgentAssist(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Suggestions for a human agent (entity ``agentassist``; experimental, Monitor only)."""

    id: str
    utterances: list[Any] | None = None
    suggestions: list[Any] | None = None


class UnknownEntity(msgspec.Struct, frozen=True):
    """An entity of a type that is not known here, kept as it came."""

    type: str
    data: Any


Entity = BargeIn | BotTurnResponse | Transcript | AgentAssist | UnknownEntity
"""What an `Event` can hold."""

ENTITY_TYPES: dict[str, type[BargeIn] | type[BotTurnResponse] | type[Transcript] | type[AgentAssist]] = {
    "barge_in": BargeIn,
    "bot_turn_response": BotTurnResponse,
    "transcript": Transcript,
    "agentassist": AgentAssist,
}
"""Wire name of each entity type."""


class EventParameters(msgspec.Struct, frozen=True):
    """Parameters of `Event`."""

    entities: tuple[Entity, ...]
    """Never empty (trap 46)."""


# --- client (Genesys) → server ---------------------------------------------------------------------------------------


class ClientEnvelope(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Keys of every message of the client (audiohook.md §3.1)."""

    version: str = VERSION
    id: str
    """Session UUID."""
    seq: int
    """Counts the client's text messages from 1."""
    serverseq: int
    """Last server `seq` the client has processed."""
    position: str
    """Duration of the client's audio stream so far."""


class Open(ClientEnvelope, frozen=True, kw_only=True, tag="open"):
    """Begins the session."""

    parameters: OpenParameters


class Close(ClientEnvelope, frozen=True, kw_only=True, tag="close"):
    """Ends the session; answered by `Closed`."""

    parameters: CloseParameters


class Ping(ClientEnvelope, frozen=True, kw_only=True, tag="ping"):
    """Sign of life; answered by `Pong`."""

    parameters: PingParameters


class Update(ClientEnvelope, frozen=True, kw_only=True, tag="update"):
    """The language has changed; answered by `Updated`."""

    parameters: UpdateParameters


class Paused(ClientEnvelope, frozen=True, kw_only=True, tag="paused"):
    """Audio has stopped to flow."""

    parameters: EmptyParameters


class Resumed(ClientEnvelope, frozen=True, kw_only=True, tag="resumed"):
    """Audio flows again."""

    parameters: DiscardedParameters


class Discarded(ClientEnvelope, frozen=True, kw_only=True, tag="discarded"):
    """The client had to drop audio."""

    parameters: DiscardedParameters


class Error(ClientEnvelope, frozen=True, kw_only=True, tag="error"):
    """Something the client objects to; never a reason to close (trap 41)."""

    parameters: ErrorParameters


class Dtmf(ClientEnvelope, frozen=True, kw_only=True, tag="dtmf"):
    """The caller pressed a key."""

    parameters: DtmfParameters


class PlaybackStarted(ClientEnvelope, frozen=True, kw_only=True, tag="playback_started"):
    """The first queued bot audio is being played."""

    parameters: EmptyParameters


class PlaybackCompleted(ClientEnvelope, frozen=True, kw_only=True, tag="playback_completed"):
    """The queue of bot audio ran empty."""

    parameters: EmptyParameters


ClientMessage = (
    Open | Close | Ping | Update | Paused | Resumed | Discarded | Error | Dtmf | PlaybackStarted | PlaybackCompleted
)
"""What a client can say."""


# --- server → client (Genesys) ---------------------------------------------------------------------------------------


class ServerEnvelope(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Keys of every message of the server (audiohook.md §3.1)."""

    version: str = VERSION
    id: str
    """Session UUID."""
    seq: int
    """Counts the server's text messages from 1."""
    clientseq: int
    """Last client `seq` the server has processed; in `Pong` the `seq` of that ping (trap 27)."""


class Opened(ServerEnvelope, frozen=True, kw_only=True, tag="opened"):
    """Answer to `Open`; the first message of a server (trap 25)."""

    parameters: OpenedParameters


class Closed(ServerEnvelope, frozen=True, kw_only=True, tag="closed"):
    """Answer to `Close`; the last message of a server."""

    parameters: EmptyParameters


class Pong(ServerEnvelope, frozen=True, kw_only=True, tag="pong"):
    """Answer to `Ping`."""

    parameters: EmptyParameters


class Updated(ServerEnvelope, frozen=True, kw_only=True, tag="updated"):
    """Answer to `Update`."""

    parameters: EmptyParameters


class Pause(ServerEnvelope, frozen=True, kw_only=True, tag="pause"):
    """Asks the client to stop its audio."""

    parameters: EmptyParameters


class Resume(ServerEnvelope, frozen=True, kw_only=True, tag="resume"):
    """Asks the client to send audio again."""

    parameters: EmptyParameters


class Reconnect(ServerEnvelope, frozen=True, kw_only=True, tag="reconnect"):
    """Asks the client to move to another server; never sent on Audio Connector (trap 47)."""

    parameters: ReconnectParameters


class Event(ServerEnvelope, frozen=True, kw_only=True, tag="event"):
    """Something happened: barge-in, bot turn, transcript."""

    parameters: EventParameters


class Disconnect(ServerEnvelope, frozen=True, kw_only=True, tag="disconnect"):
    """Asks the client to end the session; answered by `Close`."""

    parameters: DisconnectParameters


ServerMessage = Opened | Closed | Pong | Updated | Pause | Resume | Reconnect | Event | Disconnect
"""What a server can say."""


class UnknownMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a type that is not known here: counted, never fatal for a server."""

    version: str
    id: str
    type: str
    """Cut and cleaned for display: it is the peer's text."""
    seq: int
    peerseq: int
    """``serverseq`` or ``clientseq``."""
