"""The objects inside server events: errors, responses, usage and limits (openai-realtime.md §2.3, §6, §7).

Optional fields have defaults: None where GA sends an explicit null, UNSET where GA leaves the field out.
"""

import msgspec
from msgspec import UNSET

from offhook.realtime.config import ResponseAudio
from offhook.realtime.items import Item
from offhook.realtime.wire import Maybe


class ErrorDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The nested part of `error` (trap 18); `event_id` names the client event at fault, or is null (trap 19)."""

    type: str = ""
    code: str | None = None
    message: str = ""
    param: str | None = None
    event_id: str | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """The default conversation."""

    id: Maybe[str | None] = UNSET
    object: Maybe[str | None] = UNSET


class LogProb(msgspec.Struct, frozen=True, kw_only=True):
    """Log probability of one transcribed token."""

    token: str
    bytes: tuple[int, ...]
    logprob: float


class TranscribedLanguage(msgspec.Struct, frozen=True, kw_only=True):
    """A language that the speech recognition heard."""

    code: str


class TranscriptionInputTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Input tokens of a transcription by kind."""

    text_tokens: Maybe[int | None] = UNSET
    audio_tokens: Maybe[int | None] = UNSET


class TranscriptionUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of one transcription: type `tokens` with counts, or type `duration` with seconds (§6)."""

    type: str
    total_tokens: Maybe[int | None] = UNSET
    input_tokens: Maybe[int | None] = UNSET
    output_tokens: Maybe[int | None] = UNSET
    input_token_details: Maybe[TranscriptionInputTokens | None] = UNSET
    seconds: Maybe[float | None] = UNSET


class TranscriptionError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a transcription failed."""

    type: Maybe[str | None] = UNSET
    code: Maybe[str | None] = UNSET
    message: Maybe[str | None] = UNSET
    param: Maybe[str | None] = UNSET


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit, `requests` or `tokens`; `reset_seconds` until it is full again."""

    name: Maybe[str | None] = UNSET
    limit: Maybe[int | None] = UNSET
    remaining: Maybe[int | None] = UNSET
    reset_seconds: Maybe[float | None] = UNSET


class ResponseError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a response failed; rate limits show only here (trap 25)."""

    type: Maybe[str | None] = UNSET
    code: Maybe[str | None] = UNSET
    message: Maybe[str | None] = UNSET


class StatusDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Why a response is cancelled (turn_detected, client_cancelled), incomplete or failed."""

    type: Maybe[str | None] = UNSET
    reason: Maybe[str | None] = UNSET
    error: Maybe[ResponseError | None] = UNSET


class CachedTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Cached input tokens by kind."""

    text_tokens: Maybe[int | None] = UNSET
    audio_tokens: Maybe[int | None] = UNSET
    image_tokens: Maybe[int | None] = UNSET


class InputTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Input tokens by kind; the cached ones are a subset (§6)."""

    text_tokens: Maybe[int | None] = UNSET
    audio_tokens: Maybe[int | None] = UNSET
    image_tokens: Maybe[int | None] = UNSET
    cached_tokens: Maybe[int | None] = UNSET
    cached_tokens_details: Maybe[CachedTokens | None] = UNSET


class OutputTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Output tokens by kind."""

    text_tokens: Maybe[int | None] = UNSET
    audio_tokens: Maybe[int | None] = UNSET


class ResponseUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one response (§6)."""

    total_tokens: Maybe[int | None] = UNSET
    input_tokens: Maybe[int | None] = UNSET
    output_tokens: Maybe[int | None] = UNSET
    input_token_details: Maybe[InputTokens | None] = UNSET
    output_token_details: Maybe[OutputTokens | None] = UNSET


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response; `conversation_id` is null for out-of-band ones (§5.5)."""

    object: str | None = "realtime.response"
    id: str | None = None
    status: str | None = None
    status_details: StatusDetails | None = None
    output: tuple[Item, ...] | None = ()
    conversation_id: Maybe[str | None] = UNSET
    output_modalities: Maybe[tuple[str, ...] | None] = UNSET
    max_output_tokens: Maybe[int | str | None] = UNSET
    audio: Maybe[ResponseAudio | None] = UNSET
    usage: ResponseUsage | None = None
    metadata: dict[str, str] | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A content part as response.content_part.* show it: type `audio` or `text`, without `output_`."""

    type: Maybe[str | None] = UNSET
    text: Maybe[str | None] = UNSET
    transcript: Maybe[str | None] = UNSET
    audio: Maybe[str | None] = UNSET
