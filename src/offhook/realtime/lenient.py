"""The second reading of a server event that does not fit its struct: what does not fit is left out.

Rule of the reference (§2.2): ignore unknown types and fields. An item of a new type inside a `response.done`, or a
number where null was documented, must not make the event unreadable: the response would never end for us.
A required field that does not fit still fails the event.
"""

import re
from typing import Any

import msgspec

from offhook.realtime.items import UnknownItem

MAX_REPAIRS = 32
"""How many fields of one event may be left out before it counts as unreadable."""

_UNKNOWN_ITEM = str(UnknownItem.__struct_config__.tag)

_PATH = re.compile(r" - at `\$([^`]*)`$")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def error_path(error: msgspec.ValidationError) -> list[str | int]:
    """Return where in the message the error is: field names and indices; values of free mappings have no name."""
    found = _PATH.search(str(error))
    if not found:
        return []
    steps = found[1].split("[...]", 1)[0]
    return [int(index) if index else name for name, index in _STEP.findall(steps)]


def read_leniently(message: Any, as_type: Any) -> Any:
    """Convert a decoded message, leaving out what does not fit.

    Args:
        message: The JSON object; it is changed.
        as_type: The sum of event structs; the `type` of the message is one of them.

    Raises:
        msgspec.ValidationError: It cannot be made to fit; the error is the first that was met.
    """
    errors: list[msgspec.ValidationError] = []
    while True:
        try:
            return msgspec.convert(message, as_type)
        except msgspec.ValidationError as error:
            errors.append(error)
            path = error_path(error)
            if not path or len(errors) > MAX_REPAIRS:
                raise errors[0] from None
            _leave_out(message, path)


def _leave_out(message: Any, path: list[str | int]) -> None:
    """Remove the value at the path, or what it makes useless."""
    *parents, last = path
    node = message
    for step in parents:
        node = node[step]
    if last == "type" and parents:
        # The tag of a sum: the whole object is of a kind that we do not know.
        if parents[-1] == "item" or parents[-2:-1] == ["output"]:
            kind = node["type"]
            item = {key: node[key] for key in ("id", "status") if key in node}
            node.clear()
            node.update(item, type=_UNKNOWN_ITEM, kind=kind if isinstance(kind, str) else "")
        else:
            _leave_out(message, parents)
    elif isinstance(node[last], float):
        node[last] = int(node[last])  # milliseconds with a fraction are still milliseconds
    else:
        del node[last]


def without_surrogates(value: Any) -> Any:
    """Return JSON-like data with every character that UTF-8 cannot carry replaced by "?"."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
