"""The functions by which the model steers the call: defined here, done by ``bridge.Call`` itself."""

from collections.abc import Mapping
from typing import Any

from offhook.tools.base import ToolDefinition

END_CALL = "end_call"
ESCALATE = "escalate"
SET_OUTPUTS = "set_outputs"

COLLECT_DIGITS = "collect_digits"

#: The functions of call control.
CALL_CONTROL = frozenset({END_CALL, ESCALATE, SET_OUTPUTS})
#: Names that no other tool may have.
RESERVED_NAMES = CALL_CONTROL | {COLLECT_DIGITS}


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


def collect_digits(*, secret: bool) -> ToolDefinition:
    """Return the definition of ``collect_digits(purpose, length?, secret?)``.

    Args:
        secret: The agent has a tool that takes secret digits.
    """
    described: dict[str, Any] = {
        "purpose": {"type": "string", "description": "What the digits are, in a few words."},
        "length": {
            "type": "integer",
            "minimum": 1,
            "maximum": 64,
            "description": "Exact number of digits; leave out if it can differ.",
        },
    }
    text = (
        "Let the caller enter digits on the telephone keypad. Ask for them aloud first, in the same response, and tell "
        "the caller to press the hash key at the end if the number of digits can differ; then call this and say "
        "nothing more. The result holds the digits. Its status, if there is one, says what went wrong: timeout (the "
        "caller entered nothing more), too_short, caller_spoke (words came instead of digits: answer them)."
    )
    if secret:
        described["secret"] = {"type": "boolean", "description": "They are secret, like a PIN or the number of a card."}
        text += (
            " Secret digits are not shown to you: they are checked elsewhere, and you get the result of that. Never "
            "ask the caller to say such digits aloud."
        )
    return ToolDefinition(
        COLLECT_DIGITS,
        text,
        {"type": "object", "properties": described, "required": ["purpose"], "additionalProperties": False},
    )


def secret_tool_problem(definition: ToolDefinition, *, confirm: bool) -> str | None:
    """Say why a tool cannot take secret digits; None if it can.

    Args:
        definition: Of the tool; it is called with ``digits``, and with ``purpose`` if it has such a parameter.
        confirm: The tool needs the caller's yes.
    """
    if confirm:
        return "a tool that takes secret digits cannot have confirm"
    if "digits" not in takes(definition):
        return "a tool that takes secret digits needs a parameter digits"
    if definition.parameters["properties"]["digits"].get("type", "string") != "string":
        return "a tool that takes secret digits needs them as a text, for they may begin with 0"
    others = sorted({*definition.parameters.get("required", ())} - {"digits", "purpose"})
    if others:
        return f"a tool that takes secret digits gets digits and purpose, but needs {', '.join(others)}, too"
    return None


def takes(definition: ToolDefinition) -> frozenset[str]:
    """Return the names of a tool's parameters."""
    return frozenset(definition.parameters.get("properties", ()))


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
