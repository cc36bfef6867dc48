"""The 46 events a server sends (openai-realtime.md §2.2), to decode in the gateway and to encode in the emulator.

Class names are the wire type in camel case plus `Event`. Optional fields have defaults: None where GA sends an
explicit null, UNSET where GA leaves the field out. `event_id` is always there on GA except on the DTMF event.
"""

from typing import TypeAlias

import msgspec
from msgspec import UNSET

from offhook.realtime.config import Session
from offhook.realtime.items import Item
from offhook.realtime.objects import (
    Conversation,
    ErrorDetails,
    LogProb,
    Part,
    RateLimit,
    Response,
    TranscribedLanguage,
    TranscriptionError,
    TranscriptionUsage,
)
from offhook.realtime.wire import Maybe


class ServerEventFields(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every server event has."""

    event_id: Maybe[str] = UNSET


class ResponsePartFields(ServerEventFields, frozen=True, kw_only=True):
    """Where in a response a delta belongs: item and content part."""

    response_id: str
    item_id: str
    output_index: int = 0
    content_index: int = 0


class ResponseItemFields(ServerEventFields, frozen=True, kw_only=True):
    """Where in a response a delta belongs when its item has no content parts."""

    response_id: str
    item_id: str
    output_index: int = 0


class ErrorEvent(ServerEventFields, frozen=True, kw_only=True, tag="error"):
    """Something went wrong; most errors leave the session open (§7)."""

    error: ErrorDetails


class SessionCreatedEvent(ServerEventFields, frozen=True, kw_only=True, tag="session.created"):
    """The session exists, with defaults (24 kHz PCM, trap 16)."""

    session: Session


class SessionUpdatedEvent(ServerEventFields, frozen=True, kw_only=True, tag="session.updated"):
    """The update was taken; holds the full effective session."""

    session: Session


class ConversationCreatedEvent(ServerEventFields, frozen=True, kw_only=True, tag="conversation.created"):
    """Legacy greeting of a conversation; xAI opens with it (§1.8)."""

    conversation: Conversation


class ConversationItemCreatedEvent(ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.created"):
    """Legacy form of conversation.item.added; some servers still send it."""

    previous_item_id: str | None = None
    item: Item


class ConversationItemAddedEvent(ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.added"):
    """An item joined the conversation, possibly still growing."""

    previous_item_id: str | None = None
    item: Item


class ConversationItemDoneEvent(ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.done"):
    """An item of the conversation is final."""

    previous_item_id: str | None = None
    item: Item


class ConversationItemDeletedEvent(ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.deleted"):
    """Acknowledges conversation.item.delete."""

    item_id: str


class ConversationItemRetrievedEvent(ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.retrieved"):
    """Answers conversation.item.retrieve."""

    item: Item


class ConversationItemTruncatedEvent(ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.truncated"):
    """Acknowledges conversation.item.truncate."""

    item_id: str
    content_index: int = 0
    audio_end_ms: int


class InputAudioTranscriptionDeltaEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.delta"
):
    """A piece of what the caller said."""

    item_id: str
    content_index: Maybe[int | None] = UNSET
    delta: Maybe[str | None] = UNSET
    logprobs: Maybe[tuple[LogProb, ...] | None] = UNSET


class InputAudioTranscriptionCompletedEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.completed"
):
    """All of what the caller said in one item; may arrive turns later (trap 29)."""

    item_id: str
    content_index: int = 0
    transcript: str
    usage: Maybe[TranscriptionUsage | None] = UNSET
    languages: Maybe[tuple[TranscribedLanguage, ...] | None] = UNSET
    logprobs: Maybe[tuple[LogProb, ...] | None] = UNSET


class InputAudioTranscriptionFailedEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.failed"
):
    """One item of the caller will have no transcript."""

    item_id: str
    content_index: int = 0
    error: TranscriptionError


class InputAudioTranscriptionSegmentEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.segment"
):
    """A segment with its speaker, of a diarising model; `start` and `end` in seconds."""

    id: str
    item_id: str
    content_index: int = 0
    speaker: str
    start: float
    end: float
    text: str


class InputAudioBufferSpeechStartedEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"
):
    """The caller speaks; `audio_start_ms` includes the prefix padding, `item_id` is the future user item (§4.1)."""

    audio_start_ms: int
    item_id: str


class InputAudioBufferSpeechStoppedEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """The caller's turn is over; `audio_end_ms` includes the silence that showed it."""

    audio_end_ms: int
    item_id: str


class InputAudioBufferCommittedEvent(ServerEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.committed"):
    """The caller's audio became an item."""

    previous_item_id: str | None = None
    item_id: str


class InputAudioBufferClearedEvent(ServerEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"):
    """Acknowledges input_audio_buffer.clear."""


class InputAudioBufferTimeoutTriggeredEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """The caller stayed silent for `idle_timeout_ms`; a response follows by itself (trap 30)."""

    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class InputAudioBufferDtmfEventReceivedEvent(
    ServerEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.dtmf_event_received"
):
    """SIP only; has no event_id. `received_at` in Unix seconds."""

    event: str
    received_at: int


class OutputAudioBufferStartedEvent(ServerEventFields, frozen=True, kw_only=True, tag="output_audio_buffer.started"):
    """WebRTC and SIP only (trap 33)."""

    response_id: str


class OutputAudioBufferStoppedEvent(ServerEventFields, frozen=True, kw_only=True, tag="output_audio_buffer.stopped"):
    """WebRTC and SIP only (trap 33)."""

    response_id: str


class OutputAudioBufferClearedEvent(ServerEventFields, frozen=True, kw_only=True, tag="output_audio_buffer.cleared"):
    """WebRTC and SIP only (trap 33)."""

    response_id: str


class RateLimitsUpdatedEvent(ServerEventFields, frozen=True, kw_only=True, tag="rate_limits.updated"):
    """What is left of the account's limits (§6)."""

    rate_limits: tuple[RateLimit, ...] = ()


class ResponseCreatedEvent(ServerEventFields, frozen=True, kw_only=True, tag="response.created"):
    """A response began, ours or one that turn detection asked for."""

    response: Response


class ResponseDoneEvent(ServerEventFields, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, one way or another; long before it has been heard (trap 7)."""

    response: Response


class ResponseOutputItemAddedEvent(ServerEventFields, frozen=True, kw_only=True, tag="response.output_item.added"):
    """The model began an item; there may be several in one response (trap 5)."""

    response_id: str
    output_index: int = 0
    item: Item


class ResponseOutputItemDoneEvent(ServerEventFields, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item of the response is final; the earliest safe start of a function call (§5.1)."""

    response_id: str
    output_index: int = 0
    item: Item


class ResponseContentPartAddedEvent(ResponsePartFields, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A content part began."""

    part: Part


class ResponseContentPartDoneEvent(ResponsePartFields, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A content part is final."""

    part: Part


class ResponseOutputAudioDeltaEvent(ResponsePartFields, frozen=True, kw_only=True, tag="response.output_audio.delta"):
    """Audio of the agent in the session's output format (base64 on the wire), of any size (§4.5)."""

    delta: bytes


class ResponseOutputAudioDoneEvent(ResponsePartFields, frozen=True, kw_only=True, tag="response.output_audio.done"):
    """No more audio for this part."""


class ResponseOutputAudioTranscriptDeltaEvent(
    ResponsePartFields, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"
):
    """A piece of what the agent says."""

    delta: str


class ResponseOutputAudioTranscriptDoneEvent(
    ResponsePartFields, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """All that was generated, heard or not (trap 3)."""

    transcript: str


class ResponseOutputTextDeltaEvent(ResponsePartFields, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """A piece of a text answer."""

    delta: str


class ResponseOutputTextDoneEvent(ResponsePartFields, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The whole text answer."""

    text: str


class ResponseFunctionCallArgumentsDeltaEvent(
    ResponseItemFields, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """A piece of the arguments of a function call."""

    call_id: str
    delta: str


class ResponseFunctionCallArgumentsDoneEvent(
    ResponseItemFields, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """The whole arguments of a function call; its item may still turn out incomplete."""

    call_id: str
    name: Maybe[str] = UNSET
    arguments: str


class McpListToolsInProgressEvent(ServerEventFields, frozen=True, kw_only=True, tag="mcp_list_tools.in_progress"):
    """The tools of an MCP server are being listed (§5.4)."""

    item_id: str


class McpListToolsCompletedEvent(ServerEventFields, frozen=True, kw_only=True, tag="mcp_list_tools.completed"):
    """The tools of an MCP server can be used."""

    item_id: str


class McpListToolsFailedEvent(ServerEventFields, frozen=True, kw_only=True, tag="mcp_list_tools.failed"):
    """The tools of an MCP server cannot be used."""

    item_id: str


class ResponseMcpCallArgumentsDeltaEvent(
    ResponseItemFields, frozen=True, kw_only=True, tag="response.mcp_call_arguments.delta"
):
    """A piece of the arguments of an MCP call."""

    delta: str
    obfuscation: Maybe[str | None] = UNSET


class ResponseMcpCallArgumentsDoneEvent(
    ResponseItemFields, frozen=True, kw_only=True, tag="response.mcp_call_arguments.done"
):
    """The whole arguments of an MCP call."""

    arguments: str


class ResponseMcpCallInProgressEvent(ServerEventFields, frozen=True, kw_only=True, tag="response.mcp_call.in_progress"):
    """An MCP call runs at OpenAI; the caller hears nothing meanwhile."""

    item_id: str
    output_index: int = 0


class ResponseMcpCallCompletedEvent(ServerEventFields, frozen=True, kw_only=True, tag="response.mcp_call.completed"):
    """An MCP call succeeded."""

    item_id: str
    output_index: int = 0


class ResponseMcpCallFailedEvent(ServerEventFields, frozen=True, kw_only=True, tag="response.mcp_call.failed"):
    """An MCP call failed."""

    item_id: str
    output_index: int = 0


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a type this package does not know; counted, never fatal."""

    type: str
    event_id: str | None = None


KnownServerEvent: TypeAlias = (
    ErrorEvent
    | SessionCreatedEvent
    | SessionUpdatedEvent
    | ConversationCreatedEvent
    | ConversationItemCreatedEvent
    | ConversationItemAddedEvent
    | ConversationItemDoneEvent
    | ConversationItemDeletedEvent
    | ConversationItemRetrievedEvent
    | ConversationItemTruncatedEvent
    | InputAudioTranscriptionDeltaEvent
    | InputAudioTranscriptionCompletedEvent
    | InputAudioTranscriptionFailedEvent
    | InputAudioTranscriptionSegmentEvent
    | InputAudioBufferSpeechStartedEvent
    | InputAudioBufferSpeechStoppedEvent
    | InputAudioBufferCommittedEvent
    | InputAudioBufferClearedEvent
    | InputAudioBufferTimeoutTriggeredEvent
    | InputAudioBufferDtmfEventReceivedEvent
    | OutputAudioBufferStartedEvent
    | OutputAudioBufferStoppedEvent
    | OutputAudioBufferClearedEvent
    | RateLimitsUpdatedEvent
    | ResponseCreatedEvent
    | ResponseDoneEvent
    | ResponseOutputItemAddedEvent
    | ResponseOutputItemDoneEvent
    | ResponseContentPartAddedEvent
    | ResponseContentPartDoneEvent
    | ResponseOutputAudioDeltaEvent
    | ResponseOutputAudioDoneEvent
    | ResponseOutputAudioTranscriptDeltaEvent
    | ResponseOutputAudioTranscriptDoneEvent
    | ResponseOutputTextDeltaEvent
    | ResponseOutputTextDoneEvent
    | ResponseFunctionCallArgumentsDeltaEvent
    | ResponseFunctionCallArgumentsDoneEvent
    | McpListToolsInProgressEvent
    | McpListToolsCompletedEvent
    | McpListToolsFailedEvent
    | ResponseMcpCallArgumentsDeltaEvent
    | ResponseMcpCallArgumentsDoneEvent
    | ResponseMcpCallInProgressEvent
    | ResponseMcpCallCompletedEvent
    | ResponseMcpCallFailedEvent
)
"""The 46 events of §2.2."""

ServerEvent: TypeAlias = KnownServerEvent | UnknownEvent
"""Everything a server can send."""
