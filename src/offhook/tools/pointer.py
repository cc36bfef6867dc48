"""JSON Pointer (RFC 6901): ``/data/0/id`` names one value of a JSON document; the empty pointer names all of it."""

import re
from typing import Any

# An index has no leading zeros (RFC 6901 §4); more digits than these belong to no list.
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


class PointerError(ValueError):
    """The text is no JSON Pointer, or names nothing in the document."""


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """Return the parts of a pointer, without their escapes; PointerError says what is wrong with it."""
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise PointerError("a JSON Pointer begins with /, like /customer/name; empty, it means the whole document")
    if _BAD_ESCAPE.search(pointer):
        raise PointerError("in a JSON Pointer ~ is written ~0")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def resolve_pointer(document: Any, pointer: str) -> Any:
    """Return the value that a pointer names in plain JSON data; PointerError if there is none."""
    value = document
    for part in parse_pointer(pointer):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            raise PointerError(f"there is nothing at {pointer}")
    return value
