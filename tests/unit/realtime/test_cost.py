"""What a call costs: the formula, and that it only ever grows."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.realtime import TokenUsage, TranscriptionUsage, UsageTotals
from offhook.realtime.cost import Prices, TranscriptionPrice, cost
from offhook.realtime.usage import token_usage
from tests.unit.realtime import samples

PRICES = Prices(
    text_input=4.0,
    text_cached=0.4,
    text_output=24.0,
    audio_input=32.0,
    audio_cached=0.4,
    audio_output=64.0,
    image_input=5.0,
    image_cached=0.5,
)
MINUTE = TranscriptionPrice(minute=0.0045)
TOKENS = TranscriptionPrice(input=3.0, output=5.0)


def used(**tokens: int) -> UsageTotals:
    return UsageTotals().with_response(TokenUsage(**tokens))


def test_the_formula() -> None:
    # 170 texts of which 128 cached, 28 of audio; 18 texts and 78 of audio out
    expected = (42 * 4 + 128 * 0.4 + 28 * 32 + 18 * 24 + 78 * 64) / 1_000_000
    assert cost(UsageTotals().with_response(token_usage(samples.USAGE)), PRICES) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tokens", "dollars"),
    [
        ({}, 0.0),
        ({"input_text_tokens": 1_000_000}, 4.0),
        ({"input_text_tokens": 1_000_000, "cached_text_tokens": 1_000_000}, 0.4),
        ({"output_text_tokens": 1_000_000}, 24.0),
        ({"input_audio_tokens": 600}, 0.0192),
        ({"input_audio_tokens": 1_000_000, "cached_audio_tokens": 500_000}, 16.2),
        ({"output_audio_tokens": 1200}, 0.0768),
        ({"input_image_tokens": 1_000_000, "cached_image_tokens": 400_000}, 3.2),
        ({"total_tokens": 9, "input_tokens": 9, "cached_tokens": 9, "output_tokens": 9}, 0.0),
    ],
)
def test_each_kind_of_token_has_its_price(tokens: dict[str, int], dollars: float) -> None:
    assert cost(used(**tokens), PRICES) == pytest.approx(dollars)


def test_more_cached_than_read_costs_no_less_than_nothing() -> None:
    assert cost(used(input_audio_tokens=10, cached_audio_tokens=10_000), PRICES) == pytest.approx(10 * 0.4e-6)


@pytest.mark.parametrize(
    ("usage", "price", "dollars"),
    [
        (TranscriptionUsage(type="duration", seconds=90), MINUTE, 0.00675),
        (TranscriptionUsage(type="tokens", input_tokens=900, output_tokens=50), MINUTE, 0.00675),
        (TranscriptionUsage(type="tokens", input_tokens=900, output_tokens=50), TOKENS, 0.00295),
        (TranscriptionUsage(type="tokens", input_tokens=900, output_tokens=50), TranscriptionPrice(output=5), 0.00025),
        (TranscriptionUsage(type="duration", seconds=90), TOKENS, 0.0),
        (TranscriptionUsage(type="duration", seconds=60), TranscriptionPrice(minute=1, input=1), 1.0),
        (TranscriptionUsage(type="duration", seconds=90), TranscriptionPrice(), 0.0),
    ],
)
def test_transcription_is_another_models(usage: TranscriptionUsage, price: TranscriptionPrice, dollars: float) -> None:
    totals = used(output_audio_tokens=1000).with_transcription(usage)
    assert cost(totals, PRICES) == pytest.approx(0.064)
    assert cost(totals, PRICES, price) == pytest.approx(0.064 + dollars)


counts = st.integers(0, 100_000)


@st.composite
def responses(draw: st.DrawFn) -> TokenUsage:
    """Return the usage of one response as a sound server reports it: what is cached is a part of what was read."""
    read = {kind: draw(counts) for kind in ("text", "audio", "image")}
    cached = {kind: draw(st.integers(0, count)) for kind, count in read.items()}
    return TokenUsage(
        **{f"input_{kind}_tokens": count for kind, count in read.items()},
        **{f"cached_{kind}_tokens": count for kind, count in cached.items()},
        output_text_tokens=draw(counts),
        output_audio_tokens=draw(counts),
    )


rates = st.floats(0, 1000, allow_subnormal=False)
price_lists = st.builds(Prices, **dict.fromkeys(Prices.__struct_fields__, rates))
transcribed = st.one_of(
    st.builds(TranscriptionUsage, type=st.just("duration"), seconds=st.floats(0, 600)),
    st.builds(TranscriptionUsage, type=st.just("tokens"), input_tokens=counts, output_tokens=counts),
)
transcription_prices = st.builds(TranscriptionPrice, minute=rates, input=st.none() | rates, output=st.none() | rates)


@given(
    st.lists(responses(), max_size=6), st.lists(transcribed, max_size=4), price_lists, transcription_prices | st.none()
)
def test_a_call_costs_what_its_responses_cost_and_every_one_makes_it_dearer(
    answers: list[TokenUsage],
    heard: list[TranscriptionUsage],
    prices: Prices,
    transcription: TranscriptionPrice | None,
) -> None:
    totals, sofar, parts = UsageTotals(), 0.0, []
    for answer in answers:
        totals = totals.with_response(answer)
        parts.append(cost(UsageTotals().with_response(answer), prices, transcription))
        assert cost(totals, prices, transcription) >= sofar * (1 - 1e-9)
        sofar = cost(totals, prices, transcription)
    for words in heard:
        totals = totals.with_transcription(words)
        parts.append(cost(UsageTotals().with_transcription(words), prices, transcription))
        assert cost(totals, prices, transcription) >= sofar * (1 - 1e-9)
        sofar = cost(totals, prices, transcription)
    assert sofar == pytest.approx(sum(parts))


@given(responses(), st.sampled_from([n for n in TokenUsage.__struct_fields__ if not n.startswith("cached")]), counts)
def test_more_tokens_never_cost_less(usage: TokenUsage, name: str, more: int) -> None:
    grown: Any = msgspec.structs.replace(usage, **{name: getattr(usage, name) + more})
    assert cost(UsageTotals().with_response(grown), PRICES) >= cost(UsageTotals().with_response(usage), PRICES)


@given(responses())
def test_what_comes_from_the_cache_is_cheaper(usage: TokenUsage) -> None:
    fresh = msgspec.structs.replace(usage, cached_text_tokens=0, cached_audio_tokens=0, cached_image_tokens=0)
    assert cost(UsageTotals().with_response(usage), PRICES) <= cost(UsageTotals().with_response(fresh), PRICES)
