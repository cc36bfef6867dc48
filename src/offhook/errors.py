"""Every error that a person can meet, by its stable code: what happened, why, and what to do.

Logs, ``disconnect`` messages, ``offhook config check`` and the documentation speak of one error by one code.
A code never changes its meaning. The texts are in ``errors.toml``, one table per code.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One entry of the catalogue."""

    code: str
    title: str
    """What happened."""
    why: str
    fix: str
    """What to do."""


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, ErrorEntry]:
    """Return all entries by code, in the order of the codes."""
    text = resources.files("offhook").joinpath("errors.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)
    return MappingProxyType({code: ErrorEntry(code, **entries[code]) for code in sorted(entries)})


def explain(code: str) -> ErrorEntry | None:
    """Return the entry of ``code``; None if there is no such code."""
    return catalogue().get(code)
