"""The output variables of one call: declared names only, always texts, always complete, bounded."""

from collections.abc import Callable, Mapping

import msgspec

from offhook.bridge.plan import OutputVariable

MAX_OUTPUT = 4_000
"""Characters of one output variable."""
MAX_OUTPUTS_BYTES = 40_000
"""Bytes of the agent's own variables as they go over the wire, names included."""
MAX_VARIABLES_BYTES = 54_000
"""Bytes of all variables together: the whole `disconnect` must fit 64,000 (audiohook.md §5), and its session begins to
cut at 56,000 without knowing what matters."""


class OutputVariables:
    """Values by declared name; they begin with the defaults.

    Args:
        declared: What there is.
        scrub: Takes out of a value what must not leave the call.

    Attributes:
        values: What the flow gets, as things stand.
    """

    def __init__(self, declared: Mapping[str, OutputVariable], scrub: Callable[[str], str] = str) -> None:
        self._declared = declared
        self._scrub = scrub
        self.values = {name: clean(variable.default) for name, variable in declared.items()}

    def set(self, given: Mapping[str, object]) -> str | None:
        """Set some of them: all, or none when something is wrong.

        Returns:
            What is wrong, for the model to mend; None when they are set.
        """
        if unknown := sorted(str(name) for name in given if name not in self._declared):
            return f"unknown names: {', '.join(unknown)[:200]}; the outputs are: {', '.join(sorted(self._declared))}"
        texts: dict[str, str] = {}
        for name, value in given.items():
            text = _text(value)
            if text is None:
                return f"{name} cannot be written as text"
            texts[name] = self._scrub(text)
            problem = misfit(self._declared[name], texts[name])
            if problem is not None:
                return f"{name} {problem}"
        if wire_size({**self.values, **texts}) > MAX_OUTPUTS_BYTES:
            return f"all outputs together would have more than {MAX_OUTPUTS_BYTES} bytes; write shorter ones"
        self.values.update(texts)
        return None

    def with_own(self, own: dict[str, str]) -> dict[str, str]:
        """All variables of a `disconnect`, small enough for one.

        Args:
            own: Ours (`OFFHOOK_*`), what matters most first: when all of it is too much the last of them are cut first.
        """
        variables = {**self.values, **{name: clean(text) for name, text in own.items()}}
        for name in reversed(own):
            excess = wire_size(variables) - MAX_VARIABLES_BYTES
            if excess > 0:
                variables[name] = _beginning(variables[name], wire_size({"": variables[name]}) - excess)
        return variables


def misfit(variable: OutputVariable, text: str) -> str | None:
    """Say why a text is no value of a variable; None when it is one."""
    if len(text) > MAX_OUTPUT:
        return f"is longer than {MAX_OUTPUT} characters"
    if variable.enum and text not in variable.enum:
        return f"must be one of: {', '.join(variable.enum)}"
    if not _fits(variable.type, text):
        return f"must be {'an integer' if variable.type == 'integer' else f'a {variable.type}'}"
    return None


def wire_size(variables: Mapping[str, str]) -> int:
    """Return the bytes of variables in a message: escapes make many a text longer than it looks."""
    return len(msgspec.json.encode(variables))


def clean(text: str) -> str:
    """Return the text without what JSON cannot carry: lone surrogates, which a tool or a header may have made."""
    return text.encode(errors="replace").decode()


def _beginning(text: str, room: int) -> str:
    """Return as much of the text as has no more than `room` bytes on the wire."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if wire_size({"": text[:middle]}) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def _text(value: object) -> str | None:
    """Text of a value, with `true` and `12` as flows compare them; null is empty, and what is no JSON has none."""
    if value is None or isinstance(value, str):
        return clean(value or "")
    try:
        plain = msgspec.to_builtins(value)  # dates, decimals and enumerations are texts: no quotes
        return clean(plain) if isinstance(plain, str) else msgspec.json.encode(plain).decode()
    except (TypeError, ValueError, RecursionError):
        return None  # a tool may give anything


def _fits(kind: str, text: str) -> bool:
    """Tell whether a text is a value of a type; an empty one is none of any and always fits."""
    if kind == "string" or not text:
        return True
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    return isinstance(value, int) or (kind == "number" and isinstance(value, float))
