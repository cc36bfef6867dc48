"""The output variables of one call: declared names only, always texts, always complete, bounded."""

from collections.abc import Mapping

import msgspec

from offhook.bridge.plan import OutputVariable

MAX_OUTPUT = 4_000
"""Characters of one output variable."""
MAX_OUTPUTS_BYTES = 40_000
"""Bytes of all of them in UTF-8 with their names: the whole `disconnect` must fit 64,000 bytes (audiohook.md §5)."""


class OutputVariables:
    """Values by declared name; they begin with the defaults.

    Attributes:
        values: What the flow gets, as things stand.
    """

    def __init__(self, declared: Mapping[str, OutputVariable]) -> None:
        self._declared = declared
        self.values = {name: variable.default for name, variable in declared.items()}

    def set(self, given: Mapping[str, object]) -> str | None:
        """Set some of them: all, or none when something is wrong.

        Returns:
            What is wrong, for the model to mend; None when they are set.
        """
        if unknown := sorted(name for name in given if name not in self._declared):
            return f"unknown names: {', '.join(unknown)[:200]}; the outputs are: {', '.join(sorted(self._declared))}"
        texts: dict[str, str] = {}
        for name, value in given.items():
            text = _text(value)
            problem = _problem(self._declared[name], text)
            if problem is not None:
                return f"{name} {problem}"
            texts[name] = text
        size = sum(len(f"{name}{text}".encode(errors="replace")) for name, text in {**self.values, **texts}.items())
        if size > MAX_OUTPUTS_BYTES:
            return f"all outputs together would have more than {MAX_OUTPUTS_BYTES} bytes; write shorter ones"
        self.values.update(texts)
        return None


def _text(value: object) -> str:
    """Text of a value, with `true`, `12` and `null` as flows compare them; null is empty."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def _problem(variable: OutputVariable, text: str) -> str | None:
    if len(text) > MAX_OUTPUT:
        return f"is longer than {MAX_OUTPUT} characters"
    if variable.enum and text not in variable.enum:
        return f"must be one of: {', '.join(variable.enum)}"
    if not _fits(variable.type, text):
        return f"must be {'an integer' if variable.type == 'integer' else f'a {variable.type}'}"
    return None


def _fits(kind: str, text: str) -> bool:
    """Tell whether a text is a value of a type; an empty one is none of any and always fits."""
    if kind == "string" or not text:
        return True
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    return isinstance(value, int) or (kind == "number" and isinstance(value, float))
