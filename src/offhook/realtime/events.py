"""What a Realtime session reports to its owner, in the order it happened.

These are the core's own events, not wire messages. Wherever a person's words appear, the docstring says so.
Milliseconds (`_ms`) of audio positions count the caller audio that was sent since the session began.
"""

from typing import TypeAlias

import msgspec

from offhook.realtime.config import Session
from offhook.realtime.objects import RateLimit
from offhook.realtime.usage import TokenUsage


class SessionReady(msgspec.Struct, frozen=True):
    """The settings are in force; audio may flow. `expires_at` is in Unix seconds, None when not told (§1.6).

    Of an adopted session (state.py), `echoed` is what it was created with, and the settings may still be refused.
    """

    session_id: str | None
    expires_at: int | None
    echoed: Session


class SessionRefused(msgspec.Struct, frozen=True):
    """There will be no usable session; the socket is to be closed.

    `fatal` means that trying again with the same settings cannot help. `code` is one of ours (OH-RT-nn),
    `server_code` the server's, if it gave one. `message` never quotes what was sent.
    """

    code: str
    message: str
    fatal: bool
    server_code: str | None = None


class SessionLost(msgspec.Struct, frozen=True):
    """The socket is gone though nobody here wanted that; nothing of the session survives (§7).

    `code` is the close code, None without a close frame.
    """

    code: int | None
    reason: str
    retryable: bool


class SpeechStarted(msgspec.Struct, frozen=True):
    """The caller began to speak; `audio_start_ms` includes the prefix padding (§4.1)."""

    item_id: str
    audio_start_ms: int


class SpeechStopped(msgspec.Struct, frozen=True):
    """The caller stopped; `audio_end_ms` includes the silence that showed it."""

    item_id: str
    audio_end_ms: int


class InputCommitted(msgspec.Struct, frozen=True):
    """The caller's audio became an item of the conversation."""

    item_id: str
    previous_item_id: str | None


class InputTimedOut(msgspec.Struct, frozen=True):
    """The caller was silent for the configured idle time; a response follows by itself (trap 30)."""

    item_id: str
    audio_start_ms: int
    audio_end_ms: int


class ItemAdded(msgspec.Struct, frozen=True):
    """An item joined the conversation; `kind` is its wire type, `role` None for items without one."""

    item_id: str
    previous_item_id: str | None
    kind: str
    role: str | None


class ItemTruncated(msgspec.Struct, frozen=True):
    """The server cut an item as asked."""

    item_id: str
    audio_end_ms: int


class InputTranscriptDelta(msgspec.Struct, frozen=True):
    """A piece of the caller's words."""

    item_id: str
    text: str


class InputTranscriptCompleted(msgspec.Struct, frozen=True):
    """The caller's words of one item; may come late and out of order (trap 29)."""

    item_id: str
    text: str


class InputTranscriptFailed(msgspec.Struct, frozen=True):
    """There will be no transcript of this item. `code` is the server's where it looks like one."""

    item_id: str
    code: str


class ResponseStarted(msgspec.Struct, frozen=True):
    """A response began; `tag` is that of our request, None when turn detection asked for it.

    `cancelling` means that a cancel was wished before and has just been sent: nothing of it shall be heard.
    """

    response_id: str
    tag: str | None
    cancelling: bool = False


class OutputItemStarted(msgspec.Struct, frozen=True):
    """The model began an item of a response; one response may have several (trap 5)."""

    response_id: str
    item_id: str
    kind: str
    output_index: int


class AudioDelta(msgspec.Struct, frozen=True):
    """Audio of the agent in the session's output format. Late deltas of a cancelled response come too (trap 6)."""

    response_id: str
    item_id: str
    content_index: int
    audio: bytes


class AudioDone(msgspec.Struct, frozen=True):
    """All audio of a content part has been generated, not heard (trap 7)."""

    response_id: str
    item_id: str
    content_index: int


class TranscriptDelta(msgspec.Struct, frozen=True):
    """A piece of the agent's words."""

    response_id: str
    item_id: str
    text: str


class TranscriptDone(msgspec.Struct, frozen=True):
    """The agent's words of one item as generated, heard or not (trap 3)."""

    response_id: str
    item_id: str
    text: str


class TextDone(msgspec.Struct, frozen=True):
    """A text answer, for example a summary."""

    response_id: str
    item_id: str
    text: str


class FunctionCallReady(msgspec.Struct, frozen=True):
    """A function call may be executed; `arguments` is JSON text and may be invalid (§5.1). Once per `call_id`."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


class McpToolsListed(msgspec.Struct, frozen=True):
    """The server asked an MCP server for its tools; only now, and unless it failed, can the model use them (§5.4).

    `server_label` is empty where the server did not say whose tools they are.
    """

    failed: bool
    server_label: str


class McpApprovalRequested(msgspec.Struct, frozen=True):
    """The model wants an MCP call that needs leave; `answer_approval(item_id, ...)` gives or denies it (§5.4).

    `arguments` is JSON text and may hold the caller's words. `response_id` is empty where the server did not say.
    """

    response_id: str
    item_id: str
    server_label: str
    name: str
    arguments: str


class McpCallStarted(msgspec.Struct, frozen=True):
    """OpenAI runs a tool of an MCP server; the caller hears nothing meanwhile (§5.4)."""

    response_id: str
    item_id: str
    server_label: str
    name: str


class McpCallEnded(msgspec.Struct, frozen=True):
    """Such a call is over, and its outcome is in the conversation.

    It comes before or after the end of its response. The server says nothing about it unless it is asked to.
    """

    response_id: str
    item_id: str
    server_label: str
    name: str
    failed: bool


class ResponseEnded(msgspec.Struct, frozen=True):
    """A response is over; exactly one for each ResponseStarted while the socket lives.

    `status` is completed, cancelled, incomplete or failed, or "unknown" when the server never said how it ended.
    `reason` is turn_detected, client_cancelled, max_output_tokens, content_filter or None.
    `error_message` is a fixed text of ours, `error_detail` the server's words, which stay out of logs.
    """

    response_id: str
    tag: str | None
    status: str
    reason: str | None
    error_code: str | None
    error_message: str | None
    item_ids: tuple[str, ...]
    has_audio: bool
    usage: TokenUsage | None
    error_detail: str | None = None


class ResponseRefused(msgspec.Struct, frozen=True):
    """A request will not become a response; `code` is ours (OH-RT-10 to -14) or the server's."""

    tag: str
    code: str


class RateLimitsUpdated(msgspec.Struct, frozen=True):
    """What is left of the account's limits."""

    limits: tuple[RateLimit, ...]


class ErrorReceived(msgspec.Struct, frozen=True):
    """The server reported an error, or sent something unreadable (OH-RT-01); the session goes on unless `fatal`.

    `message` is a fixed text of ours. `detail` is the server's words: it may quote what was sent and stays out of logs.
    """

    code: str
    message: str
    client_event_id: str | None
    fatal: bool
    detail: str = ""


class EventIgnored(msgspec.Struct, frozen=True):
    """An event of a type that is not known; to be counted."""

    type: str


RealtimeEvent: TypeAlias = (
    SessionReady
    | SessionRefused
    | SessionLost
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | InputTimedOut
    | ItemAdded
    | ItemTruncated
    | InputTranscriptDelta
    | InputTranscriptCompleted
    | InputTranscriptFailed
    | ResponseStarted
    | OutputItemStarted
    | AudioDelta
    | AudioDone
    | TranscriptDelta
    | TranscriptDone
    | TextDone
    | FunctionCallReady
    | McpToolsListed
    | McpApprovalRequested
    | McpCallStarted
    | McpCallEnded
    | ResponseEnded
    | ResponseRefused
    | RateLimitsUpdated
    | ErrorReceived
    | EventIgnored
)
"""Everything that `RealtimeSession.events()` can return."""
