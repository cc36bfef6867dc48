"""Server events that mean the same at any time, turned into core events; the rest is in session.py."""

from collections.abc import Callable
from typing import Any

from offhook.realtime import server_events as wire
from offhook.realtime.errors import safe_code
from offhook.realtime.events import (
    AudioDone,
    EventIgnored,
    InputCommitted,
    InputTimedOut,
    InputTranscriptDelta,
    InputTranscriptFailed,
    ItemTruncated,
    RateLimitsUpdated,
    RealtimeEvent,
    SpeechStarted,
    SpeechStopped,
    TextDone,
    TranscriptDelta,
    TranscriptDone,
)
from offhook.realtime.wire import given

TRANSLATIONS: dict[type, Callable[[Any], RealtimeEvent]] = {
    wire.InputAudioBufferSpeechStartedEvent: lambda e: SpeechStarted(e.item_id, e.audio_start_ms),
    wire.InputAudioBufferSpeechStoppedEvent: lambda e: SpeechStopped(e.item_id, e.audio_end_ms),
    wire.InputAudioBufferCommittedEvent: lambda e: InputCommitted(e.item_id, e.previous_item_id),
    wire.InputAudioBufferTimeoutTriggeredEvent: lambda e: InputTimedOut(e.item_id, e.audio_start_ms, e.audio_end_ms),
    wire.ConversationItemTruncatedEvent: lambda e: ItemTruncated(e.item_id, e.audio_end_ms),
    wire.InputAudioTranscriptionDeltaEvent: lambda e: InputTranscriptDelta(e.item_id, given(e.delta) or ""),
    wire.InputAudioTranscriptionFailedEvent: lambda e: InputTranscriptFailed(e.item_id, safe_code(given(e.error.code))),
    wire.ResponseOutputAudioDoneEvent: lambda e: AudioDone(e.response_id, e.item_id, e.content_index),
    wire.ResponseOutputAudioTranscriptDeltaEvent: lambda e: TranscriptDelta(e.response_id, e.item_id, e.delta),
    wire.ResponseOutputAudioTranscriptDoneEvent: lambda e: TranscriptDone(e.response_id, e.item_id, e.transcript),
    wire.ResponseOutputTextDoneEvent: lambda e: TextDone(e.response_id, e.item_id, e.text),
    wire.RateLimitsUpdatedEvent: lambda e: RateLimitsUpdated(e.rate_limits),
    wire.UnknownEvent: lambda e: EventIgnored(e.type),
}
"""Server event struct to the core event it means. Known events that mean nothing to a call are in neither place."""
