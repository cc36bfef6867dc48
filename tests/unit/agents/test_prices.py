"""The prices that are shipped, and how a model finds its own."""

from datetime import date

import pytest

from offhook.agents.prices import known_prices, price_of
from offhook.config.checks import ENDING, MODELS
from offhook.realtime.cost import Prices, TranscriptionPrice

CHEAP = Prices(text_input=1, text_cached=1, text_output=1, audio_input=1, audio_cached=1, audio_output=1)


def test_what_is_shipped_has_a_date_and_a_source() -> None:
    prices = known_prices()
    assert prices.as_of == date(2026, 11, 22)
    assert "pricing page" in prices.source
    assert set(prices.models) == {model for model in MODELS if not ENDING.fullmatch(model)}
    assert set(prices.transcription) == {"gpt-transcribe", "gpt-live-transcribe", "gpt-realtime-whisper"}
    assert prices.models["gpt-realtime-2.1"] == prices.models["gpt-realtime-2"]


@pytest.mark.parametrize("name", known_prices().models)
def test_shipped_prices_are_plausible(name: str) -> None:
    price = known_prices().models[name]
    assert 0 < price.text_cached < price.text_input < price.text_output
    assert 0 < price.audio_cached < price.audio_input < price.audio_output
    assert price.image_cached <= price.image_input


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("gpt-realtime-2.1", "gpt-realtime-2.1"),
        ("gpt-realtime-2.1-mini", "gpt-realtime-2.1-mini"),
        ("gpt-realtime-2.1-2026-07-09", "gpt-realtime-2.1"),
        ("gpt-realtime-2.1-mini-2026-07", "gpt-realtime-2.1-mini"),
        ("gpt-realtime-2-2026-05-07", "gpt-realtime-2"),
        ("gpt-realtime-1.5-2026", "gpt-realtime-1.5"),
    ],
)
def test_a_snapshot_costs_what_its_model_costs(model: str, named: str) -> None:
    assert price_of(model) is known_prices().models[named]


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt-realtime",
        "gpt-realtime-2.1-nano",
        "gpt-realtime-2.1-2026-07-09-preview",
        "gpt-realtime-2.10",
        "gpt-realtime-2.1-1",
        "gpt-realtime-2025-08-28",
        "my-deployment",
    ],
)
def test_the_price_of_another_model_is_not_known(model: str) -> None:
    assert price_of(model) is None


def test_transcription_has_prices_of_its_own() -> None:
    prices = known_prices()
    assert prices.transcription_price_of("gpt-transcribe-2026-06-01") == TranscriptionPrice(minute=0.0045)
    assert prices.transcription_price_of("whisper-1") is None
    assert prices.price_of("gpt-transcribe") is None


def test_negotiated_prices_are_stronger_and_the_longest_name_wins() -> None:
    prices = known_prices().with_prices(
        {"gpt-realtime-2.1": CHEAP, "gpt-realtime-2-2026-05": CHEAP}, {"mine": TranscriptionPrice(minute=1)}
    )
    assert prices.price_of("gpt-realtime-2.1-2026-07-09") is CHEAP
    assert prices.price_of("gpt-realtime-2-2026-05") is CHEAP
    assert prices.price_of("gpt-realtime-2-2026-06") is known_prices().models["gpt-realtime-2"]
    assert prices.transcription_price_of("mine") == TranscriptionPrice(minute=1)
    assert prices.transcription_price_of("gpt-transcribe") is not None
    assert price_of("gpt-realtime-2.1") is not CHEAP, "the shipped list stays as it is"
