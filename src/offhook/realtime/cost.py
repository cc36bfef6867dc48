"""What the tokens of a call cost (openai-realtime.md §6). Prices come from outside: they change, the formula does not.

```
  (text in - cached) x text input    +  cached text x text cached    +  text out x text output
+ (audio in - cached) x audio input  +  cached audio x audio cached  +  audio out x audio output
+ (image in - cached) x image input  +  cached image x image cached
+ the transcriptions, which are another model's
```
"""

from typing import Final

import msgspec

from offhook.realtime.usage import UsageTotals

PER: Final = 1_000_000
"""Prices of tokens are for so many."""

AUDIO_TOKENS_PER_SECOND: Final = 10
"""Of audio that is read: one token for 100 ms."""


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one Realtime model costs, in USD per million tokens."""

    text_input: float
    text_cached: float
    """Text input that came from the cache."""
    text_output: float
    audio_input: float
    audio_cached: float
    audio_output: float
    image_input: float = 0.0
    image_cached: float = 0.0


class TranscriptionPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one transcription model costs: by time, or by tokens where it has prices for them."""

    minute: float = 0.0
    """USD per minute of the caller's speech."""
    input: float | None = None
    """USD per million tokens that it read."""
    output: float | None = None
    """USD per million tokens that it wrote."""


def cost(usage: UsageTotals, prices: Prices, transcription: TranscriptionPrice | None = None) -> float:
    """Return in USD what all responses of a session have cost, the cancelled and the out-of-band ones too.

    Tokens that the server counted in its sums alone, not as text, audio or images, have no price.

    Args:
        usage: what the session has used.
        prices: of its model.
        transcription: of its transcription model; None where there is none, or its price is not known.
    """
    tokens = usage.tokens
    dollars = (
        _input(tokens.input_text_tokens, tokens.cached_text_tokens, prices.text_input, prices.text_cached)
        + _input(tokens.input_audio_tokens, tokens.cached_audio_tokens, prices.audio_input, prices.audio_cached)
        + _input(tokens.input_image_tokens, tokens.cached_image_tokens, prices.image_input, prices.image_cached)
        + tokens.output_text_tokens * prices.text_output
        + tokens.output_audio_tokens * prices.audio_output
    ) / PER
    return dollars if transcription is None else dollars + _transcription(usage, transcription)


def _input(tokens: int, cached: int, price: float, cached_price: float) -> float:
    cached = min(cached, tokens)  # a part of the input, whatever a server may say
    return (tokens - cached) * price + cached * cached_price


def _transcription(usage: UsageTotals, price: TranscriptionPrice) -> float:
    seconds = usage.transcription_seconds
    if price.input is None and price.output is None:
        # Some models that are sold by the minute report tokens all the same.
        seconds += usage.transcription_input_tokens / AUDIO_TOKENS_PER_SECOND
        return seconds / 60 * price.minute
    tokens = usage.transcription_input_tokens * (price.input or 0.0)
    tokens += usage.transcription_output_tokens * (price.output or 0.0)
    return seconds / 60 * price.minute + tokens / PER
