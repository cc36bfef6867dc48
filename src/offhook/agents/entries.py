"""Entries of an agent's ``tools``: names of call control, references to Python functions, or tools themselves."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from offhook.tools import CALL_CONTROL, END_CALL, ESCALATE, PythonTool, Tool, ToolError, import_tool

#: Kinds of tools that the configuration format reserves.
RESERVED_KINDS = ("http", "mcp", "data_action")
_BY_NAME = (END_CALL, ESCALATE)
_RESERVED_NAMES = ("collect_digits",)


class ImportedTool:
    """A tool loaded from ``module:attribute``, which knows how it was written."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self._tool = import_tool(reference)
        self.definition = self._tool.definition
        self.invoke = self._tool.invoke


def resolve(entry: object) -> str | Tool:
    """Return a name of call control, or the tool that ``entry`` stands for."""
    if isinstance(entry, dict) and len(entry) == 1:
        ((kind, value),) = entry.items()
        return _resolve_kind(kind, value)
    if isinstance(entry, str):
        return _resolve_name(entry)
    if isinstance(entry, type) or not (isinstance(entry, Tool) or callable(entry)):
        raise PydanticCustomError(
            "tool_unknown", "a tool is end_call, escalate, {{python: module:attribute}}, or a Python function"
        )
    found = entry if isinstance(entry, Tool) else _from_function(entry)
    if found.definition.name in CALL_CONTROL:
        raise PydanticCustomError("tool_name", "the name of the tool is one of call control")
    return found


def _resolve_name(name: str) -> str:
    if name in _BY_NAME:
        return name
    if name in _RESERVED_NAMES:
        raise PydanticCustomError("tool_unsupported", "{kind} is not supported by this version", {"kind": name})
    if name == "set_outputs":
        raise PydanticCustomError("tool_unknown", "set_outputs is there as soon as outputs are declared")
    raise PydanticCustomError("tool_unknown", "there is no tool of this name; named tools are end_call and escalate")


def _resolve_kind(kind: object, value: object) -> Tool:
    if kind in RESERVED_KINDS:
        raise PydanticCustomError(
            "tool_unsupported", "{kind} tools are not supported by this version", {"kind": str(kind)}
        )
    if kind != "python":
        raise PydanticCustomError(
            "tool_unknown", "there is no such kind of tool; known are python, http, mcp and data_action"
        )
    if not isinstance(value, str):
        raise PydanticCustomError("tool_unknown", "a Python tool is written module:attribute")
    try:
        found = ImportedTool(value)
    except ToolError as error:
        raise PydanticCustomError("tool_import", "{problem}", {"problem": str(error)}) from error
    if found.definition.name in CALL_CONTROL:
        raise PydanticCustomError("tool_name", "the name of the tool is one of call control")
    return found


def _from_function(function: Callable[..., Any]) -> Tool:
    try:
        return PythonTool(function)
    except TypeError as error:
        raise PydanticCustomError("tool_import", "{problem}", {"problem": str(error)}) from error


def _as_written(entry: str | Tool) -> object:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, ImportedTool):
        return {"python": entry.reference}
    return {"python": entry.definition.name}


ToolEntry = Annotated[
    Any,
    BeforeValidator(resolve),
    PlainSerializer(_as_written),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(_BY_NAME)},
                {
                    "type": "object",
                    "properties": {"python": {"type": "string", "pattern": "^[^:]+:[^:]+$"}},
                    "required": ["python"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
