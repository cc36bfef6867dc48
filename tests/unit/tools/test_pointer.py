from typing import Any

import pytest

from offhook.tools.pointer import PointerError, parse_pointer, resolve_pointer

# The examples of RFC 6901 §5, and indexes into nested lists.
DOCUMENT: dict[str, Any] = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
    "list": [[1], {"x": None}],
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
        ("/list/0/0", 1),
        ("/list/1/x", None),
    ],
)
def test_a_value_is_found(pointer: str, value: object) -> None:
    assert resolve_pointer(DOCUMENT, pointer) == value


@pytest.mark.parametrize(
    "pointer", ["/none", "/foo/2", "/foo/-1", "/foo/00", "/foo/-", "/foo/x", "/foo/0/0", "/foo/99999999999", "//x"]
)
def test_there_is_nothing(pointer: str) -> None:
    with pytest.raises(PointerError, match="there is nothing at ") as caught:
        resolve_pointer(DOCUMENT, pointer)
    assert str(caught.value).endswith(pointer)


@pytest.mark.parametrize(("pointer", "problem"), [("foo", "begins with /"), ("/a~b", "~0"), ("/a~", "~0")])
def test_what_is_no_pointer(pointer: str, problem: str) -> None:
    with pytest.raises(PointerError, match=problem):
        parse_pointer(pointer)


def test_escapes_are_undone_once() -> None:
    assert parse_pointer("/~01") == ("~1",)
