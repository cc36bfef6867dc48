"""The parameters of `disconnect`: exact reasons, string variables, and always small enough to be sent."""

from collections.abc import Mapping

import msgspec

from offhook.audiohook.codec import MAX_TEXT_BYTES
from offhook.audiohook.errors import LocalProtocolError
from offhook.audiohook.messages import DISCONNECT_REASONS, DisconnectParameters

MAX_INFO_CHARS = 1000
"""`info` stays under 1 KB (audiohook.md §3.3)."""
_ROOM = MAX_TEXT_BYTES - 8_000
"""Bytes for the variables; envelope, reason and the longest `info` need less than the rest."""


def build_disconnect(reason: str, info: str, output_variables: Mapping[str, str] | None) -> DisconnectParameters:
    """Check the values and cut what is too long, since an end that cannot be sent is the worst end.

    Raises:
        LocalProtocolError: unknown reason, or a name or value that is no string (trap 40).
    """
    if reason not in DISCONNECT_REASONS:
        raise LocalProtocolError(
            f"disconnect has no reason {reason!r}; there are {', '.join(sorted(DISCONNECT_REASONS))}"
        )
    fitted: dict[str, str] | None = None
    if output_variables is not None:
        if not all(isinstance(text, str) for pair in output_variables.items() for text in pair):
            raise LocalProtocolError("output variables have string names and string values")
        fitted = _fit({_unicode(name): _unicode(value) for name, value in output_variables.items()})
    return DisconnectParameters(reason=reason, info=_unicode(info)[:MAX_INFO_CHARS] or None, output_variables=fitted)


def _unicode(text: str) -> str:
    """Replace lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode()


def _fit(variables: dict[str, str]) -> dict[str, str]:
    """Return the variables cut to `_ROOM`: the longest values first, then the last variables."""
    if _size(variables) <= _ROOM:
        return variables
    while (overhead := _size(dict.fromkeys(variables, ""))) > _ROOM:
        # Names alone are too long: give up the last ones, at least one, at most what is too much.
        keep = min(len(variables) - 1, len(variables) * _ROOM // overhead)
        variables = dict(list(variables.items())[:keep])
    low, high = 0, _ROOM
    while low < high:
        cap = (low + high + 1) // 2
        if _size(_cut(variables, cap)) <= _ROOM:
            low = cap
        else:
            high = cap - 1
    return _cut(variables, low)


def _cut(variables: dict[str, str], cap: int) -> dict[str, str]:
    """Return the variables with values of at most `cap` characters."""
    return {name: value[:cap] for name, value in variables.items()}


def _size(variables: dict[str, str]) -> int:
    """Return the bytes of the variables on the wire."""
    return len(msgspec.json.encode(variables))
