"""Token counts of a call: the sum over every response, with transcriptions apart (openai-realtime.md §6)."""

import msgspec

from offhook.realtime.objects import CachedTokens, InputTokens, OutputTokens, ResponseUsage, TranscriptionUsage
from offhook.realtime.wire import given


class TokenUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one response or of many. The `cached_*` counts are part of the `input_*` counts."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_tokens: int = 0
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0
    cached_image_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        """Add field by field."""
        return TokenUsage(**{n: getattr(self, n) + getattr(other, n) for n in self.__struct_fields__})


def token_usage(usage: ResponseUsage) -> TokenUsage:
    """Flatten the usage object of a `response.done`; what is absent counts as 0."""
    into = given(usage.input_token_details) or InputTokens()
    cached = given(into.cached_tokens_details) or CachedTokens()
    out = given(usage.output_token_details) or OutputTokens()
    return TokenUsage(
        total_tokens=given(usage.total_tokens) or 0,
        input_tokens=given(usage.input_tokens) or 0,
        output_tokens=given(usage.output_tokens) or 0,
        input_text_tokens=given(into.text_tokens) or 0,
        input_audio_tokens=given(into.audio_tokens) or 0,
        input_image_tokens=given(into.image_tokens) or 0,
        cached_tokens=given(into.cached_tokens) or 0,
        cached_text_tokens=given(cached.text_tokens) or 0,
        cached_audio_tokens=given(cached.audio_tokens) or 0,
        cached_image_tokens=given(cached.image_tokens) or 0,
        output_text_tokens=given(out.text_tokens) or 0,
        output_audio_tokens=given(out.audio_tokens) or 0,
    )


class UsageTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a session has used so far.

    `responses` counts the responses that reported usage, cancelled and out-of-band ones included.
    Transcription is another model with another price: `transcription_seconds` or the token counts, by model.
    """

    responses: int = 0
    tokens: TokenUsage = TokenUsage()
    transcriptions: int = 0
    transcription_input_tokens: int = 0
    transcription_output_tokens: int = 0
    transcription_seconds: float = 0.0

    def __add__(self, other: "UsageTotals") -> "UsageTotals":
        """Add what another session has used."""
        return UsageTotals(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    def with_response(self, usage: TokenUsage) -> "UsageTotals":
        """Add one response."""
        return msgspec.structs.replace(self, responses=self.responses + 1, tokens=self.tokens + usage)

    def with_transcription(self, usage: TranscriptionUsage) -> "UsageTotals":
        """Add one transcription."""
        return msgspec.structs.replace(
            self,
            transcriptions=self.transcriptions + 1,
            transcription_input_tokens=self.transcription_input_tokens + (given(usage.input_tokens) or 0),
            transcription_output_tokens=self.transcription_output_tokens + (given(usage.output_tokens) or 0),
            transcription_seconds=self.transcription_seconds + (given(usage.seconds) or 0.0),
        )
