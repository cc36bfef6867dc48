"""Call control: the function tools that the call itself carries out (`end_call`, `escalate`, `set_outputs`)."""

import msgspec

from offhook.bridge.arguments import NOT_AN_OBJECT, error, read_arguments
from offhook.bridge.outputs import OutputVariables

END_CALL, ESCALATE, SET_OUTPUTS = "end_call", "escalate", "set_outputs"
MAX_WORDS = 500
"""Characters kept of a reason or a target that the model gives."""


class ControlResult(msgspec.Struct, frozen=True):
    """What came of a call-control tool."""

    output: str
    """JSON text for the model."""
    outcome: str | None = None
    """Set when the call is to end."""
    words: str = ""
    """Why, in the model's words."""
    target: str = ""
    """Whom the caller is to be connected with."""


def run(name: str, arguments: str, outputs: OutputVariables) -> ControlResult:
    """Carry out one call; what is wrong with it is told to the model, never raised.

    Args:
        name: Function name as the model wrote it; anything but the three above is an error for the model.
        arguments: JSON text as the model wrote it.
        outputs: Output variables of the call; `set_outputs` changes them.
    """
    given = read_arguments(arguments)
    if given is None:
        return ControlResult(error(NOT_AN_OBJECT))
    if name == SET_OUTPUTS:
        return _set_outputs(given, outputs)
    if name == END_CALL:
        return ControlResult('{"ok":true}', "completed", _words(given, "reason"))
    if name == ESCALATE:
        return ControlResult('{"ok":true}', "escalated", _words(given, "reason"), _words(given, "target"))
    return ControlResult(error("there is no tool of this name"))


def _words(given: dict[str, object], name: str) -> str:
    words = given.get(name)
    return words[:MAX_WORDS] if isinstance(words, str) else ""


def _set_outputs(given: dict[str, object], outputs: OutputVariables) -> ControlResult:
    problem = outputs.set(given)
    return ControlResult('{"ok":true}') if problem is None else ControlResult(error(problem))
