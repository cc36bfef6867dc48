"""The functions by which the model steers the call: defined here, done by ``bridge.Call`` itself."""

from collections.abc import Mapping
from typing import Any

from offhook.tools.base import ToolDefinition

END_CALL = "end_call"
ESCALATE = "escalate"
SET_OUTPUTS = "set_outputs"

#: The functions of call control.
CALL_CONTROL = frozenset({END_CALL, ESCALATE, SET_OUTPUTS})
#: Names that no other tool may have.
RESERVED_NAMES = CALL_CONTROL | {"collect_digits"}


def _strings(required: tuple[str, ...], **properties: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": text} for name, text in properties.items()},
        "required": list(required),
        "additionalProperties": False,
    }


def end_call() -> ToolDefinition:
    """Return the definition of ``end_call(reason)``."""
    return ToolDefinition(
        END_CALL,
        "End the call, once the caller's request is settled or the caller wants to stop. "
        "Say goodbye before you call this; nothing can be said afterwards.",
        _strings(("reason",), reason="Why the call ends, in a few words, for the record; the caller does not hear it."),
    )


def escalate() -> ToolDefinition:
    """Return the definition of ``escalate(reason, target?)``."""
    return ToolDefinition(
        ESCALATE,
        "Hand the caller over to a person, when asked to or when you cannot help. "
        "Say that you are connecting the caller before you call this; nothing can be said afterwards.",
        _strings(
            ("reason",),
            reason="What the caller needs, in one sentence, for the person who takes over.",
            target="Whom to connect the caller with, a team or a queue; leave out if you do not know.",
        ),
    )


def set_outputs(schemas: Mapping[str, Mapping[str, Any]]) -> ToolDefinition:
    """Return the definition of ``set_outputs({NAME: value})`` for declared output variables and their JSON schemas."""
    return ToolDefinition(
        SET_OUTPUTS,
        "Note results of the call, as soon as you know them. Each call replaces the values that it names.",
        {
            "type": "object",
            "properties": {name: dict(schema) for name, schema in schemas.items()},
            "required": [],
            "additionalProperties": False,
            "minProperties": 1,
        },
    )
