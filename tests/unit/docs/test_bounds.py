"""The table of bounds in the page on the architecture has the numbers of the code."""

import importlib
import inspect
import re

import msgspec
import pytest

from offhook.audiohook import pacing, server
from offhook.bridge import plan
from offhook.bridge.playout import Pace
from offhook.config import Config
from offhook.gateway.listener import ListenerLimits
from offhook.httpsig import NonceMemory
from tests.unit.docs.pages import ROOT

PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \| `([\w.]+)` \|$", PAGE, re.MULTILINE)

# Constants that count bytes of PCMU, eight a millisecond.
AUDIO = {"bridge.caller_audio.MAX_HELD", "bridge.caller_audio.MAX_KEPT", "bridge.playout.MAX_QUEUED"}
# Rows whose bound is made of several constants.
COMPOSED = {
    "audiohook.pacing.TEXT_BURST": (
        f"{pacing.TEXT_RATE:g}/s, burst {pacing.TEXT_BURST}, {pacing.TEXT_RESERVE} kept for what the protocol needs"
    ),
    "audiohook.pacing.BINARY_BURST": f"{pacing.BINARY_RATE:g}/s, burst {pacing.BINARY_BURST}",
    "audiohook.server.FLOOD_BURST": f"{server.FLOOD_RATE:g}/s, burst {server.FLOOD_BURST}",
}


def value(path: str) -> object:
    """Return the constant, the default of the setting, or the limit that a row names."""
    if path.startswith("limits."):
        setting: object = getattr(Config.model_fields["limits"].default, path.partition(".")[2])
        return setting
    if path == "httpsig.NonceMemory":
        return inspect.signature(NonceMemory).parameters["capacity"].default
    module, _, name = path.rpartition(".")
    if module == "gateway.listener.ListenerLimits":
        return getattr(ListenerLimits(), name)
    if module.startswith("bridge.plan."):
        struct = getattr(plan, module.rpartition(".")[2])
        defaults = {field.name: field.default for field in msgspec.structs.fields(struct)}
        return defaults[name]
    constant: object = getattr(importlib.import_module(f"offhook.{module}"), name)
    return constant


def test_the_table_is_found() -> None:
    assert len(ROWS) > 35
    assert len(ROWS) == len(PAGE.partition("## Bounds")[2].partition("## Why")[0].split("\n| ")) - 2


@pytest.mark.parametrize(("what", "bound", "path"), ROWS)
def test_the_bound_is_the_one_of_the_code(what: str, bound: str, path: str) -> None:
    found = value(path)
    if path in COMPOSED:
        assert bound == COMPOSED[path]
    elif isinstance(found, Pace):
        assert bound.startswith(f"{found.lead / 8000:g} s"), what
    elif isinstance(found, tuple):
        assert bound == f"asked again after {' s and '.join(f'{delay:g}' for delay in found)} s"
    else:
        assert isinstance(found, int | float)
        number = found / 8000 if path in AUDIO else found
        assert number in [float(text) for text in re.findall(r"\d+(?:\.\d+)?", bound.replace(",", ""))]
