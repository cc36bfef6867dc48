"""Entries of an agent's ``tools``: what belongs to call control, tools as configured, tools made in Python."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, PlainSerializer, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from offhook.agents.handling import DigitsEntry
from offhook.tools import (
    COLLECT_DIGITS,
    END_CALL,
    ESCALATE,
    RESERVED_NAMES,
    PythonTool,
    Tool,
    ToolError,
    ToolSource,
)
from offhook.tools.data_action import DataActionEntry
from offhook.tools.http import HttpEntry
from offhook.tools.mcp import HostedMcp, McpEntry
from offhook.tools.python import PythonEntry

_BY_NAME = (END_CALL, ESCALATE, COLLECT_DIGITS)
_KINDS = ("python", "http", "data_action", "mcp", COLLECT_DIGITS)
"""Keys of the entries that are mappings, one for each kind of tool."""


class _Configured(Protocol):
    def resolve(self) -> Tool | ToolSource | HostedMcp: ...


def _form(entry: object) -> str:
    """Choose the form of an entry, so that an error speaks of the one that was meant."""
    keys = entry.keys() if isinstance(entry, dict) else type(entry).model_fields if isinstance(entry, BaseModel) else ()
    return next((f"({kind})" for kind in _KINDS if kind in keys), "(tool)")


def _resolve(entry: object) -> str | DigitsEntry | Tool | ToolSource | HostedMcp:
    """Return what ``entry`` is: a name of call control, ``collect_digits``, or a tool."""
    if isinstance(entry, dict):
        raise PydanticCustomError(
            "tool_unknown", "there is no such kind of tool; known are {kinds}", {"kinds": ", ".join(_KINDS)}
        )
    if isinstance(entry, str):
        return _resolve_name(entry)
    if isinstance(entry, Tool | ToolSource | HostedMcp) and not isinstance(entry, type):
        return _checked(entry)
    if callable(entry) and not isinstance(entry, type):
        return _checked(_from_function(entry))
    raise PydanticCustomError(
        "tool_unknown",
        "a tool is end_call, escalate, collect_digits, {{python: module:attribute}}, or a Python function",
    )


def _resolve_name(name: str) -> str | DigitsEntry:
    if name == COLLECT_DIGITS:
        return DigitsEntry()
    if name in _BY_NAME:
        return name
    if name == "set_outputs":
        raise PydanticCustomError("tool_unknown", "set_outputs is there as soon as outputs are declared")
    raise PydanticCustomError(
        "tool_unknown", "there is no tool of this name; named tools are {names}", {"names": ", ".join(_BY_NAME)}
    )


def _from_function(function: Callable[..., Any]) -> Tool:
    try:
        return PythonTool(function)
    except TypeError as error:
        raise PydanticCustomError("tool_import", "{problem}", {"problem": str(error)}) from error


def _load(entry: _Configured) -> Tool | ToolSource | HostedMcp:
    try:
        return _checked(entry.resolve())
    except ToolError as error:
        raise PydanticCustomError("tool_import", "{problem}", {"problem": str(error)}) from error


def _checked(tool: Tool | ToolSource | HostedMcp) -> Tool | ToolSource | HostedMcp:
    if isinstance(tool, Tool) and tool.definition.name in RESERVED_NAMES:
        raise PydanticCustomError("tool_name", "the name of the tool is one of call control")
    return tool


def _as_written(entry: str | DigitsEntry | Tool | ToolSource | HostedMcp) -> object:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, DigitsEntry):
        return entry.model_dump(mode="json", exclude_defaults=True) or COLLECT_DIGITS
    written = getattr(entry, "entry", None)
    if isinstance(written, BaseModel):
        return written.model_dump(mode="json", exclude_defaults=True)
    return {"python": entry.definition.name if isinstance(entry, Tool) else type(entry).__name__}


ToolEntry = Annotated[
    Annotated[Any, BeforeValidator(_resolve), WithJsonSchema({"enum": list(_BY_NAME)}), Tag("(tool)")]
    | Annotated[PythonEntry, AfterValidator(_load), Tag("(python)")]
    | Annotated[HttpEntry, AfterValidator(_load), Tag("(http)")]
    | Annotated[DataActionEntry, AfterValidator(_load), Tag("(data_action)")]
    | Annotated[McpEntry, AfterValidator(_load), Tag("(mcp)")]
    | Annotated[DigitsEntry, Tag("(collect_digits)")],
    Discriminator(_form),
    PlainSerializer(_as_written),
]
