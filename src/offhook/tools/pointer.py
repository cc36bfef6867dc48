"""JSON Pointer (RFC 6901): one value of a document."""

import re
from collections.abc import Mapping
from typing import Any

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_WRONG_ESCAPE = re.compile(r"~(?![01])")


def check_pointer(text: str) -> str:
    """Return ``text`` if it is a JSON Pointer, or raise ValueError."""
    if text and not text.startswith("/"):
        raise ValueError("a JSON Pointer starts with /, like /customer/name; empty, it means the whole document")
    if _WRONG_ESCAPE.search(text):
        raise ValueError("in a JSON Pointer ~ is written ~0")
    return text


def resolve_pointer(document: Any, pointer: str) -> Any:
    """Return the value that ``pointer`` leads to, or raise LookupError."""
    found = document
    for part in check_pointer(pointer).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found[key]
        elif isinstance(found, list) and _INDEX.fullmatch(key):
            found = found[int(key)]
        else:
            raise LookupError("the document has no such value")
    return found
