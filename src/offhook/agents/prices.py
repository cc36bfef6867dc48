"""What the models of the agents cost: the prices that offhook knows, with those of the configuration over them.

The known ones are in ``prices.toml``, with their date and source. A model without a price is reported in tokens only.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Final, TypeVar

import msgspec

from offhook.realtime.cost import Prices, TranscriptionPrice

_SNAPSHOT: Final = re.compile(r"-20\d\d(-\d\d){0,2}")
"""What follows the name of a model in the name of one of its dated snapshots."""

P = TypeVar("P")


class PriceList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices by name of the model, or of the deployment where the model has no other name."""

    as_of: date
    """When the prices that offhook ships were those of their source."""
    source: str
    models: dict[str, Prices] = {}
    transcription: dict[str, TranscriptionPrice] = {}

    def price_of(self, model: str) -> Prices | None:
        """Return what a Realtime model costs, a dated snapshot as much as its model; None if that is not known."""
        return _found(self.models, model)

    def transcription_price_of(self, model: str) -> TranscriptionPrice | None:
        """Return the same for a transcription model."""
        return _found(self.transcription, model)

    def with_prices(
        self, models: Mapping[str, Prices], transcription: Mapping[str, TranscriptionPrice] | None = None
    ) -> "PriceList":
        """Return a list in which these prices are the stronger ones."""
        return msgspec.structs.replace(
            self, models={**self.models, **models}, transcription={**self.transcription, **(transcription or {})}
        )


@lru_cache(maxsize=1)
def known_prices() -> PriceList:
    """Return the prices that offhook ships."""
    text = resources.files("offhook.agents").joinpath("prices.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), PriceList)


def price_of(model: str) -> Prices | None:
    """Return what offhook knows of the price of a Realtime model; None for nothing."""
    return known_prices().price_of(model)


def _found(prices: Mapping[str, P], model: str) -> P | None:
    """Return the price of the longest name that is the model's, but for a date at its end."""
    names = [name for name in prices if model == name or _is_snapshot(model, name)]
    return prices[max(names, key=len)] if names else None


def _is_snapshot(model: str, name: str) -> bool:
    return model.startswith(name) and _SNAPSHOT.fullmatch(model, len(name)) is not None
