"""The 11 events a client sends (openai-realtime.md §2.1), to encode in the gateway and to decode in the emulator.

Class names are the wire type in camel case plus `Event`. `event_id` is ours to choose; an `error` normally,
but not always, carries it back (trap 19).
"""

from typing import TypeAlias

import msgspec
from msgspec import UNSET

from offhook.realtime.config import ResponseParams, SessionConfig
from offhook.realtime.items import Item
from offhook.realtime.wire import Maybe


class ClientEventFields(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every client event has."""

    event_id: Maybe[str | None] = UNSET


class SessionUpdateEvent(ClientEventFields, frozen=True, kw_only=True, tag="session.update"):
    """Changes the given fields of the session; answered by session.updated or error."""

    session: SessionConfig


class InputAudioBufferAppendEvent(ClientEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """Caller audio in the session's input format (base64 on the wire); at most 15 MiB, not acknowledged."""

    audio: bytes


class InputAudioBufferCommitEvent(ClientEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """Ends the caller's turn; only without turn detection (trap 15)."""


class InputAudioBufferClearEvent(ClientEventFields, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Drops caller audio that is not committed yet."""


class OutputAudioBufferClearEvent(ClientEventFields, frozen=True, kw_only=True, tag="output_audio_buffer.clear"):
    """WebRTC and SIP only; an error on WebSocket."""


class ConversationItemCreateEvent(ClientEventFields, frozen=True, kw_only=True, tag="conversation.item.create"):
    """Adds an item after `previous_item_id` (absent or null = at the end, "root" = at the front)."""

    previous_item_id: Maybe[str | None] = UNSET
    item: Item


class ConversationItemDeleteEvent(ClientEventFields, frozen=True, kw_only=True, tag="conversation.item.delete"):
    """Removes an item, for example speech that was never heard (§4.2)."""

    item_id: str


class ConversationItemRetrieveEvent(ClientEventFields, frozen=True, kw_only=True, tag="conversation.item.retrieve"):
    """Asks for the server's view of an item."""

    item_id: str


class ConversationItemTruncateEvent(ClientEventFields, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    """Cuts an assistant's audio item at `audio_end_ms`, inclusive; its transcript goes entirely (§4.3)."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ResponseCreateEvent(ClientEventFields, frozen=True, kw_only=True, tag="response.create"):
    """Asks for a response (§5.5)."""

    response: Maybe[ResponseParams | None] = UNSET


class ResponseCancelEvent(ClientEventFields, frozen=True, kw_only=True, tag="response.cancel"):
    """Stops a response; a no-op before its response.created (trap 20)."""

    response_id: Maybe[str | None] = UNSET


ClientEvent: TypeAlias = (
    SessionUpdateEvent
    | InputAudioBufferAppendEvent
    | InputAudioBufferCommitEvent
    | InputAudioBufferClearEvent
    | OutputAudioBufferClearEvent
    | ConversationItemCreateEvent
    | ConversationItemDeleteEvent
    | ConversationItemRetrieveEvent
    | ConversationItemTruncateEvent
    | ResponseCreateEvent
    | ResponseCancelEvent
)
"""Everything a client can send."""
