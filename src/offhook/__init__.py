"""Gateway between Genesys Cloud Audio Connector (AudioHook v2) and the OpenAI Realtime API.

``from offhook import Agent, Gateway, tool`` is all that a gateway in Python needs; what stands behind the names is
imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING

from offhook._version import __version__

if TYPE_CHECKING:
    from offhook.agents.agent import Agent
    from offhook.agents.settings import Input, Output
    from offhook.gateway import Gateway
    from offhook.tools import CallContext, ToolError, ToolResult, tool

__all__ = ["Agent", "CallContext", "Gateway", "Input", "Output", "ToolError", "ToolResult", "__version__", "tool"]

_HOMES = {
    "Agent": "offhook.agents.agent",
    "CallContext": "offhook.tools",
    "Gateway": "offhook.gateway",
    "Input": "offhook.agents.settings",
    "Output": "offhook.agents.settings",
    "ToolError": "offhook.tools",
    "ToolResult": "offhook.tools",
    "tool": "offhook.tools",
}


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every misspelt name for something that this returns.
    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
