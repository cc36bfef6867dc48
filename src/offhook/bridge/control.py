"""Call control: the function tools that the call itself carries out (`end_call`, `escalate`, `set_outputs`)."""

import msgspec

END_CALL, ESCALATE, SET_OUTPUTS = "end_call", "escalate", "set_outputs"
MAX_WORDS = 500
"""Characters kept of a reason or a target that the model gives."""
MAX_OUTPUT = 4_000
"""Characters of one output variable; the whole `disconnect` must fit 64,000 bytes (audiohook.md §5)."""


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


def run(name: str, arguments: str, outputs: dict[str, str]) -> ControlResult:
    """Carry out one call; what is wrong with it is told to the model, never raised.

    Args:
        name: Function name as the model wrote it; anything but the three above is an error for the model.
        arguments: JSON text as the model wrote it.
        outputs: Output variables of the call by declared name; `set_outputs` changes it.
    """
    try:
        given = msgspec.json.decode(arguments or "{}", type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return _error("the arguments are not a JSON object")
    if name == SET_OUTPUTS:
        return _set_outputs(given, outputs)
    if name == END_CALL:
        return ControlResult('{"ok":true}', "completed", _words(given, "reason"))
    if name == ESCALATE:
        return ControlResult('{"ok":true}', "escalated", _words(given, "reason"), _words(given, "target"))
    return _error("there is no tool of this name")


def _words(given: dict[str, object], name: str) -> str:
    words = given.get(name)
    return words[:MAX_WORDS] if isinstance(words, str) else ""


def _set_outputs(given: dict[str, object], outputs: dict[str, str]) -> ControlResult:
    unknown = sorted(name for name in given if name not in outputs)
    if unknown:
        return _error(f"unknown names; the outputs are: {', '.join(sorted(outputs))}")
    texts = {name: value if isinstance(value, str) else _text(value) for name, value in given.items()}
    long = sorted(name for name, text in texts.items() if len(text) > MAX_OUTPUT)
    if long:
        return _error(f"longer than {MAX_OUTPUT} characters: {', '.join(long)}")
    outputs.update(texts)
    return ControlResult('{"ok":true}')


def _text(value: object) -> str:
    """JSON text of a value, with `true`, `12` and `null` as flows compare them; null is empty."""
    return "" if value is None else msgspec.json.encode(value).decode()


def _error(problem: str) -> ControlResult:
    return ControlResult(msgspec.json.encode({"error": problem}).decode())
