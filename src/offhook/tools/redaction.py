"""Takes values out of JSON data by path, before the model reads it.

A path is written like ``customers[*].ssn``:

- ``name`` or ``.name``: the value of that name. It is looked for in every entry of a list, also where the path does not
  say that there is a list.
- ``[*]`` or ``[]``: every entry of a list; ``[0]`` or ``.0``: one of them. What is no list is its own only entry.
- ``.*``: every value of an object, every entry of a list.
- ``..name``, ``**.name``: that name at any depth.
- ``$`` may stand first; it is the whole result.

Whatever a path can mean is taken out: too much rather than too little.
"""

import json
import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import Any, TypeAlias

REDACTED = "[redacted]"


class Step(Enum):
    """A step of a path that is neither a name nor a number."""

    ENTRIES = "[*]"
    VALUES = ".*"
    DEEP = ".."


#: A name, the index of an entry, or one of the other steps.
Path: TypeAlias = tuple[str | int | Step, ...]

_TOKEN = re.compile(
    r"(?P<deep>\.\.|\.?\*\*)|(?P<values>\.?\*)|\[(?P<index>\d{1,9}|\*?)\]|(?P<dot>\.?)(?P<name>[^.\[\]*]+)"
)


@lru_cache(maxsize=1024)
def parse_path(text: str) -> Path:
    """Return the steps of a path; ValueError if it cannot be read."""
    rest = text.removeprefix("$")
    steps: list[str | int | Step] = []
    at = 0
    while at < len(rest):
        token = _TOKEN.match(rest, at)
        if token is None or not _follows(token, steps, rooted=rest is not text):
            raise ValueError("a path is written like customers[*].ssn")
        at = token.end()
        steps.append(_step(token))
    if not steps or steps[-1] is Step.DEEP:
        raise ValueError("a path ends with what is taken out, like customers[*].ssn")
    return tuple(steps)


def _follows(token: re.Match[str], steps: list[str | int | Step], *, rooted: bool) -> bool:
    """Tell whether a name is set off from what stands before it."""
    if token["index"] is not None or token[0].startswith("."):
        return True
    return steps[-1] is Step.DEEP and token["deep"] is None if steps else not rooted or token["deep"] is not None


def _step(token: re.Match[str]) -> str | int | Step:
    if token["deep"]:
        return Step.DEEP
    if token["values"]:
        return Step.VALUES
    if token["index"] is not None:
        return int(token["index"]) if token["index"].isdecimal() else Step.ENTRIES
    return token["name"]


def redact(value: Any, paths: Iterable[str]) -> Any:
    """Return JSON data without what the paths lead to; ValueError for a path that cannot be read.

    Objects and lists are copied where something of them changes.
    """
    return _redact(value, {parse_path(path) for path in paths})


def redact_text(text: str, paths: Iterable[str]) -> str | None:
    """Return a JSON text without what the paths lead to; None if it holds no object and no list, or is not JSON.

    A plain text has no parts that a path could name, so none of it is safe.
    """
    try:
        value = json.loads(text)
        if not isinstance(value, dict | list):
            return None
        return json.dumps(redact(value, paths), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None


def _redact(value: Any, active: set[Path]) -> Any:
    """Redact one value; `active` holds what is left of each path that has led here."""
    active = _settled(value, active)
    if () in active:
        return REDACTED
    if isinstance(value, dict):
        return {name: _inside(inner, _into_object(active, name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_inside(inner, _into_list(active, index)) for index, inner in enumerate(value)]
    return value


def _inside(value: Any, active: set[Path]) -> Any:
    return _redact(value, active) if active else value


def _settled(value: Any, active: set[Path]) -> set[Path]:
    """Add what the paths come to without a step down: `..` leads to where it stands, `[*]` to what is no list."""
    found: set[Path] = set()
    waiting = list(active)
    while waiting:
        path = waiting.pop()
        found.add(path)
        if path and (path[0] is Step.DEEP or (_is_entry(path[0]) and not isinstance(value, list))):
            waiting.append(path[1:])
    return found


def _into_object(active: set[Path], name: str) -> set[Path]:
    inner: set[Path] = set()
    for path in active:
        if path[0] is Step.DEEP:
            inner.add(path)
        elif path[0] == name or path[0] is Step.VALUES:
            inner.add(path[1:])
    return inner


def _into_list(active: set[Path], index: int) -> set[Path]:
    inner: set[Path] = set()
    for path in active:
        step = path[0]
        if step in (Step.ENTRIES, Step.VALUES, index, str(index)):
            inner.add(path[1:])
        if isinstance(step, str) or step in (Step.DEEP, Step.VALUES):
            inner.add(path)
    return inner


def _is_entry(step: str | int | Step) -> bool:
    return isinstance(step, int) or step is Step.ENTRIES
