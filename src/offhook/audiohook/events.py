"""What the AudioHook sessions report, for both roles.

Events are read with ``events()`` after every ``receive_*`` and ``handle_timer``. Durations are seconds, positions are
samples of one channel. What a person typed or is reachable under is in `OpenReceived` and `DtmfReceived` only.
"""

import msgspec

from offhook.audiohook.messages import Entity, Media, OpenParameters

# --- server role (we are the gateway) --------------------------------------------------------------------------------


class OpenReceived(msgspec.Struct, frozen=True):
    """Genesys wants a session; answer with ``send_opened`` or ``send_disconnect`` within a second."""

    parameters: OpenParameters
    probe: bool
    """True for a connection probe: not a call, no AI (audiohook.md §3.6)."""


class AudioReceived(msgspec.Struct, frozen=True, gc=False):
    """Audio of the peer. In the server role it is always PCMU mono of the caller."""

    audio: bytes
    position: int
    """Samples of the stream before this frame."""


class ClientPaused(msgspec.Struct, frozen=True):
    """The client sends no audio until `ClientResumed` (hold, secure pause or our pause)."""


class ClientResumed(msgspec.Struct, frozen=True):
    """The client sends audio again."""

    start: float
    """Seconds of the stream at which the gap begins, as the client sees it."""
    discarded: float
    """Seconds that were not sent; already added to ``position``."""


class AudioDiscarded(msgspec.Struct, frozen=True):
    """The client dropped audio."""

    start: float
    discarded: float
    """Seconds that were not sent; already added to ``position``."""


class DtmfReceived(msgspec.Struct, frozen=True):
    """The caller pressed a key."""

    digit: str
    """One of ``0-9 * # A-D``."""


class PlaybackStarted(msgspec.Struct, frozen=True):
    """Genesys began to play queued bot audio."""


class PlaybackCompleted(msgspec.Struct, frozen=True):
    """The queue at Genesys ran empty. Not "per answer", and not promised after a barge-in (audiohook.md §4)."""


class LanguageUpdated(msgspec.Struct, frozen=True):
    """The language changed; ``updated`` has been sent."""

    language: str


class ErrorReceived(msgspec.Struct, frozen=True):
    """The client objects to something. Never a reason to close (trap 41); 429 already slows sending."""

    code: int
    message: str
    retry_after: float | None
    """Seconds, with code 429."""


class CloseReceived(msgspec.Struct, frozen=True):
    """The client ends the session; ``closed`` has been sent and nothing can follow it."""

    reason: str
    """``end``, ``disconnect``, ``error`` or ``reconnect``."""


class PingReceived(msgspec.Struct, frozen=True):
    """Sign of life; ``pong`` has been sent."""

    rtt: float | None
    """Seconds a ping and its pong took, measured by the client."""


class MessageIgnored(msgspec.Struct, frozen=True):
    """A message that has no meaning here: unknown type, duplicate ``open``, too late."""

    type: str


class ProtocolViolated(msgspec.Struct, frozen=True):
    """The peer broke the rules; ``disconnect`` with reason ``error`` or ``unauthorized`` has been sent."""

    code: str
    """Stable ``OH-HOOK-nn``, see `offhook.audiohook.errors.CODES`."""
    info: str
    """One line without personal data that begins with the code."""


class SessionEnded(msgspec.Struct, frozen=True):
    """The socket is gone, or is to be dropped now (``close_expected()``). The last event of a session."""

    clean: bool
    """True when ``close`` and ``closed`` were exchanged."""


ServerEvent = (
    OpenReceived
    | AudioReceived
    | ClientPaused
    | ClientResumed
    | AudioDiscarded
    | DtmfReceived
    | PlaybackStarted
    | PlaybackCompleted
    | LanguageUpdated
    | ErrorReceived
    | CloseReceived
    | PingReceived
    | MessageIgnored
    | ProtocolViolated
    | SessionEnded
)
"""Events of a `ServerSession`."""


# --- client role (we play Genesys) -----------------------------------------------------------------------------------


class OpenedReceived(msgspec.Struct, frozen=True):
    """The server accepted the session."""

    media: Media | None
    """The chosen offer; None = a session without audio."""
    start_paused: bool


class BargeInReceived(msgspec.Struct, frozen=True):
    """The server wants the playback stopped and the queue dropped."""


class EventReceived(msgspec.Struct, frozen=True):
    """Entities of one ``event`` (barge-ins are reported by `BargeInReceived` as well)."""

    entities: tuple[Entity, ...]


class PongReceived(msgspec.Struct, frozen=True):
    """Answer to a ping."""

    rtt: float
    """Seconds since the ping was sent."""


class PauseRequested(msgspec.Struct, frozen=True):
    """The server wants no audio; ``paused`` has been sent."""


class ResumeRequested(msgspec.Struct, frozen=True):
    """The server wants audio again; ``resumed`` (or ``paused`` while the client's own pause lasts) has been sent."""


class UpdatedReceived(msgspec.Struct, frozen=True):
    """Answer to ``update``."""


class ReconnectRequested(msgspec.Struct, frozen=True):
    """The server asks for a reconnect; has no place on Audio Connector (trap 47)."""

    info: str


class DisconnectReceived(msgspec.Struct, frozen=True):
    """The server wants the session ended; answer with ``send_close("disconnect", now)``."""

    reason: str
    info: str
    output_variables: dict[str, str]


class ClosedReceived(msgspec.Struct, frozen=True):
    """Answer to ``close``; the client drops the socket now."""


class RateLimitExceeded(msgspec.Struct, frozen=True):
    """The server sends too often; an ``error`` 429 goes out at most once a second (audiohook.md §5)."""

    kind: str
    """``text`` or ``binary``."""


class ServerViolated(msgspec.Struct, frozen=True):
    """The server broke the rules; ``error`` and ``close`` with reason ``error`` have been sent where still possible."""

    rule: str
    """Stable ``OH-HOOK-nn``, see `offhook.audiohook.errors.CODES`."""
    detail: str
    """One line that begins with the code."""


ClientEvent = (
    OpenedReceived
    | AudioReceived
    | BargeInReceived
    | EventReceived
    | PongReceived
    | PauseRequested
    | ResumeRequested
    | UpdatedReceived
    | ReconnectRequested
    | DisconnectReceived
    | ClosedReceived
    | RateLimitExceeded
    | ServerViolated
    | SessionEnded
)
"""Events of a `ClientSession`."""
