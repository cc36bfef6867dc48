"""`import offhook` is cheap; its names come when they are asked for."""

import subprocess
import sys

import pytest

import offhook
from offhook.agents.agent import Agent
from offhook.tools import CallContext, ToolError, tool


def test_names() -> None:
    assert offhook.Agent is Agent
    assert offhook.tool is tool
    assert (offhook.CallContext, offhook.ToolError) == (CallContext, ToolError)
    assert {"Agent", "Gateway", "tool", "__version__"} <= set(dir(offhook))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = offhook.nothing  # type: ignore[attr-defined]


def test_gateway() -> None:
    from offhook.gateway import Gateway

    assert offhook.Gateway is Gateway


def test_import_is_lazy() -> None:
    code = "import sys, offhook; print([n for n in ('pydantic', 'msgspec', 'aiohttp', 'jinja2') if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout == "[]\n"
