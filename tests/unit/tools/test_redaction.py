import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.tools.redaction import REDACTED, Path, Step, parse_path, redact, redact_text

EVA = {"name": "Eva", "ssn": "1"}
ADA = {"name": "Ada", "ssn": ["2", "3"]}
CUSTOMERS = {"customers": [EVA, ADA], "ssn": "4"}


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("ssn", ("ssn",)),
        (".ssn", ("ssn",)),
        ("$.ssn", ("ssn",)),
        ("a.b c.d-e", ("a", "b c", "d-e")),
        ("customers[*].ssn", ("customers", Step.ENTRIES, "ssn")),
        ("customers[].ssn", ("customers", Step.ENTRIES, "ssn")),
        ("$[0][12].a", (0, 12, "a")),
        ("a.*", ("a", Step.VALUES)),
        ("*.a", (Step.VALUES, "a")),
        ("$.*.a", (Step.VALUES, "a")),
        ("..ssn", (Step.DEEP, "ssn")),
        ("$..ssn", (Step.DEEP, "ssn")),
        ("**.ssn", (Step.DEEP, "ssn")),
        ("$.**.ssn", (Step.DEEP, "ssn")),
        ("a..b[*]", ("a", Step.DEEP, "b", Step.ENTRIES)),
        ("a.**.b", ("a", Step.DEEP, "b")),
        ("..[0]", (Step.DEEP, 0)),
    ],
)
def test_paths(text: str, steps: Path) -> None:
    assert parse_path(text) == steps


@pytest.mark.parametrize(
    "text", ["", "$", "a.", "a..", "**", "a.**", "$ssn", "[x]", "[-1]", "[0", "a]", "a*", "*a", "[0]a", "a**", "[*]a"]
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="a path"):
        parse_path(text)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["ssn"], {**CUSTOMERS, "ssn": REDACTED}),
        (["customers"], {"customers": REDACTED, "ssn": "4"}),
        (["nothing", "ssn.deeper", "customers.name.x"], CUSTOMERS),
        (["customers[1].ssn"], {"customers": [EVA, {**ADA, "ssn": REDACTED}], "ssn": "4"}),
        (["customers.1.name"], {"customers": [EVA, {**ADA, "name": REDACTED}], "ssn": "4"}),
        (["*"], {"customers": REDACTED, "ssn": REDACTED}),
        (["customers[*]"], {"customers": [REDACTED, REDACTED], "ssn": "4"}),
    ],
)
def test_redact(paths: list[str], expected: object) -> None:
    before = copy.deepcopy(CUSTOMERS)
    assert redact(CUSTOMERS, paths) == expected
    assert before == CUSTOMERS


@pytest.mark.parametrize(
    "path", ["customers[*].ssn", "customers[].ssn", "customers.ssn", "customers.*.ssn", "customers..ssn"]
)
def test_lists_are_walked_whether_the_path_says_so_or_not(path: str) -> None:
    expected = {"customers": [{"name": "Eva", "ssn": REDACTED}, {"name": "Ada", "ssn": REDACTED}], "ssn": "4"}
    assert redact(CUSTOMERS, [path]) == expected
    assert redact([CUSTOMERS], [path]) == [expected]
    nested = {"customers": [CUSTOMERS["customers"]]}
    assert "1" not in str(redact(nested, [path]))
    assert "2" not in str(redact(nested, [path]))


@pytest.mark.parametrize("path", ["customers[*].ssn", "customers[0].ssn"])
def test_what_is_no_list_counts_as_its_only_entry(path: str) -> None:
    assert redact({"customers": {"ssn": "1"}}, [path]) == {"customers": {"ssn": REDACTED}}
    assert redact({"customers": "1"}, ["customers[*]"]) == {"customers": REDACTED}


def test_any_depth() -> None:
    value = {"a": {"ssn": 1, "b": [{"ssn": {"ssn": 2}}, [[{"ssn": 3, "c": 4}]]]}, "ssn": None}
    expected = {
        "a": {"ssn": REDACTED, "b": [{"ssn": REDACTED}, [[{"ssn": REDACTED, "c": 4}]]]},
        "ssn": REDACTED,
    }
    assert redact(value, ["**.ssn"]) == expected
    assert redact(value, ["..ssn"]) == expected
    assert redact(value, ["a..ssn"]) == {**expected, "ssn": None}


def test_texts() -> None:
    assert redact_text('{"ssn": "1", "n\u00e4me": 1.50}', ["ssn"]) == '{"ssn":"[redacted]","n\u00e4me":1.5}'
    assert redact_text('[{"ssn": 1}]', ["ssn"]) == '[{"ssn":"[redacted]"}]'
    # Of a name that is there twice, readers take one or the other.
    assert redact_text('{"ssn": 1, "ssn": 2}', ["ssn"]) == '{"ssn":"[redacted]"}'


@pytest.mark.parametrize(
    "text",
    ["", "the SSN is 078-05-1120", '"078-05-1120"', "78051120", "null", "{", "[" * 100_000, "{} {}"],
    ids=range(8),
)
def test_a_text_without_parts_cannot_be_redacted(text: str) -> None:
    assert redact_text(text, ["ssn"]) is None


NAMES = st.sampled_from(["a", "b", "c", "0", "1"])
VALUES = st.recursive(
    st.integers(0, 9) | st.sampled_from(["x", "y", None, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=20,
)
PATHS = st.builds(
    lambda steps, last: "$" + "".join([*steps, last]),
    st.lists(st.sampled_from([".a", ".b", "[*]", "[0]", ".*", "..a", ".**.b"]), max_size=4),
    st.sampled_from([".a", ".b", ".1", "[*]", "[1]", ".*", "..c"]),
)


def reached(value: Any, path: Path) -> Iterator[Any]:
    """Say what a path leads to, written the other way round: one path and one value after the other."""
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if step is Step.DEEP:
        yield from reached(value, rest)
        for one in inner:
            yield from reached(one, path)
    elif step is Step.VALUES:
        for one in inner:
            yield from reached(one, rest)
    elif step is Step.ENTRIES and isinstance(value, list):
        for one in value:
            yield from reached(one, rest)
    elif isinstance(step, int) and isinstance(value, list):
        yield from reached(value[step], rest) if step < len(value) else ()
    elif isinstance(step, str) and isinstance(value, dict):
        yield from reached(value[step], rest) if step in value else ()
    elif isinstance(step, str):
        for one in inner:
            yield from reached(one, path)


def paths_of(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    yield (), value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for path, found in paths_of(inner):
            yield (key, *path), found


@given(VALUES, st.lists(PATHS, min_size=1, max_size=3))
def test_nothing_remains_that_a_path_leads_to(value: Any, paths: list[str]) -> None:
    redacted = redact(value, paths)
    for path in paths:
        assert all(found == REDACTED for found in reached(redacted, parse_path(path)))
    # What is left is as it was, and where it was.
    before = dict(paths_of(value))
    for place, found in paths_of(redacted):
        if not isinstance(found, dict | list) and found != REDACTED:
            assert before[place] == found
    assert redact(redacted, paths) == redacted
    if isinstance(value, dict | list):
        text = redact_text(json.dumps(value), paths)
        assert text is not None or redacted == REDACTED
        assert text is None or json.loads(text) == redacted


def test_the_work_is_bounded() -> None:
    value: Any = {"x": 1}
    for _ in range(150):
        value = {"a": value, "b": value.get("x", 1)}
    assert "x" in str(redact(value, ["..*..*..*..*..nothing.at.all"]))
