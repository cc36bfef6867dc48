import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.document import MAX_VALUES, Document
from offhook.config.problems import DUPLICATE, ENVIRONMENT, SYNTAX, WRONG_TYPE


def document(text: str, **environ: str) -> Document:
    return Document(text, "x.yaml", environ)


def data(text: str, **environ: str) -> object:
    read = document(text, **environ)
    assert not read.problems
    return read.root.plain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing\n", {}),
        ("{}", {}),
        ("a: no\nb: 12:30\nc: on", {"a": "no", "b": "12:30", "c": "on"}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: true\nb: False\nc: null\nd: ~\ne:", {"a": True, "b": False, "c": None, "d": None, "e": None}),
        (
            "a: 12\nb: -3\nc: 1_000\nd: 0x1F\ne: -0o17\nf: 0123",
            {"a": 12, "b": -3, "c": 1000, "d": 31, "e": -15, "f": 123},
        ),
        ("a: 1.5\nb: 1e3\nc: -.inf\nd: 1.", {"a": 1.5, "b": 1000.0, "c": float("-inf"), "d": 1.0}),
        ("a: '12'\nb: \"true\"", {"a": "12", "b": "true"}),
        ("007: x\n1: y\ntrue: z", {"007": "x", "1": "y", "true": "z"}),
        ("a: [1, [x]]\nb: {c: d}", {"a": [1, ["x"]], "b": {"c": "d"}}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("a: &x {b: 1, c: 2}\nd: *x", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 2}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        (
            "a: &x {b: 1}\ne: &y {b: 2, f: 3}\nd: {<<: [*x, *y]}",
            {"a": {"b": 1}, "e": {"b": 2, "f": 3}, "d": {"b": 1, "f": 3}},
        ),
        (
            '{\n\t"a": "\\u00e4\\/\\ud83d\\ude00",\n\t"b": [1.5, null, true]\n}',
            {"a": "\u00e4/\U0001f600", "b": [1.5, None, True]},
        ),
        ("a: !!str 12\nb: !!int '3'", {"a": "12", "b": 3}),
        ("a: !!int x\nb: !!timestamp x\nc: !own x", {"a": "x", "b": "x", "c": "x"}),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert data(text) == expected


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcXYZ 019_", max_size=6), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abcXYZ 019_", max_size=6), _JSON, max_size=4), st.booleans())
def test_json_is_read_as_json(value: dict[str, object], pretty: bool) -> None:
    assert data(json.dumps(value, indent=2 if pretty else None)) == value


@given(st.text(max_size=60))
def test_nothing_raises(text: str) -> None:
    read = document(text)
    assert isinstance(read.root.plain(), dict)


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("a: [1", "x.yaml:1:6", SYNTAX),
        ("a: 1\n b: 2", "x.yaml:2:3", SYNTAX),
        ("a: b: c", "x.yaml:1:5", SYNTAX),
        ("a: *nowhere", "x.yaml:1:4", SYNTAX),
        ("a: 1\n---\nb: 2", "x.yaml:2:1", SYNTAX),
        ("- a", "x.yaml:1:1", SYNTAX),
        ("just text", "x.yaml:1:1", SYNTAX),
        ('a: "\x01"', "x.yaml", SYNTAX),
        ("a: &x [*x]", "x.yaml:1:4", SYNTAX),
        ("a: {<<: 5}", "x.yaml:1:9", SYNTAX),
        ("[" * 3000, "x.yaml", SYNTAX),
        ("a: 1\nb:\n  a: 1\n  a: 2\n", "x.yaml:4:3", DUPLICATE),
        ("? [a]\n: b", "x.yaml:1:3", WRONG_TYPE),
        ("a: ${NOTHING}", "x.yaml:1:4", ENVIRONMENT),
        ("b:\n  - ${NOTHING}", "x.yaml:2:5", ENVIRONMENT),
        ("${NOTHING}: 1", "x.yaml:1:1", ENVIRONMENT),
    ],
)
def test_problems_have_a_place(text: str, place: str, code: str) -> None:
    (problem,) = document(text).problems
    assert (str(problem.mark), problem.code) == (place, code)


def test_every_double_is_found() -> None:
    problems = document("a: 1\na: 2\nb: {c: 1, c: 2}\na: 3").problems
    assert [(str(problem.mark), problem.path) for problem in problems] == [
        ("x.yaml:2:1", "a"),
        ("x.yaml:3:11", "b.c"),
        ("x.yaml:4:1", "a"),
    ]
    assert problems[0].message == "this is here twice, first in line 1"


def test_aliases_that_multiply_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    (problem,) = document("\n".join(lines)).problems
    assert problem.message == "the file has too many values"
    assert MAX_VALUES == 100_000


def test_environment() -> None:
    text = "a: ${A}\nb: x${A}y${B:-b}${C:-}z\nc: $${A}\nd: ${EMPTY:-d}\ne: '$A $ {A}'\nf: ${N}"
    assert data(text, A="1", EMPTY="", N="null") == {
        "a": "1",
        "b": "x1ybz",
        "c": "${A}",
        "d": "d",
        "e": "$A $ {A}",
        "f": "null",
    }


def test_what_a_variable_holds_is_text() -> None:
    assert data("a: ${A}", A="{b: ${C}}\n- x: &y") == {"a": "{b: ${C}}\n- x: &y"}


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("a: ${A}", "the environment variable A is not set", "set it, or write ${A:-default} (${A:-} for nothing)"),
        ("a: ${E}", "the environment variable E is empty", "set it, or write ${E:-default} (${E:-} for nothing)"),
        ("a: ${a b}", "this is no ${NAME}", "write $${ for a literal ${"),
        ("a: ${", "this is no ${NAME}", "write $${ for a literal ${"),
    ],
)
def test_environment_that_is_not_there(text: str, message: str, fix: str) -> None:
    (problem,) = document(text, E="").problems
    assert (problem.message, problem.fix, problem.path) == (message, fix, "a")


def test_locate_in_what_was_never_written_down() -> None:
    place = document("").locate(("agents", "a", "greeting", "(structured)", "text"))
    assert (place.path, place.value) == ("agents.a.greeting.text", None)
    assert document("").locate(("keys", 0, "id")).path == "keys[0].id"
    assert document("").locate(()).value is not None


LOCATED = """\
agents:
  support:
    turn_detection:
      type: server_vad
      threshold: 3
keys:
  - id: a
"""


@pytest.mark.parametrize(
    ("loc", "path", "key", "value"),
    [
        ((), "", "x.yaml:1:1", "x.yaml:1:1"),
        (("agents",), "agents", "x.yaml:1:1", "x.yaml:2:3"),
        (
            ("agents", "support", "turn_detection", "server_vad", "threshold"),
            "agents.support.turn_detection.threshold",
            "x.yaml:5:7",
            "x.yaml:5:18",
        ),
        (("agents", "support", "[key]"), "agents.support", "x.yaml:2:3", "x.yaml:3:5"),
        (("agents", "support", "voice"), "agents.support.voice", "x.yaml:2:3", None),
        (("keys", 0, "id"), "keys[0].id", "x.yaml:7:5", "x.yaml:7:9"),
        (("keys", 0), "keys[0]", "x.yaml:7:5", "x.yaml:7:5"),
        (("keys", 5), "keys", "x.yaml:6:1", "x.yaml:7:3"),
    ],
)
def test_locate(loc: tuple[int | str, ...], path: str, key: str, value: str | None) -> None:
    place = document(LOCATED).locate(loc)
    assert (place.path, str(place.key)) == (path, key)
    assert (str(place.value.mark) if place.value else None) == value


def test_without_an_environment_texts_stay_as_they_were_written() -> None:
    read = Document("a: ${X}\nb: $${\n${c}: 1", "x.yaml")
    assert not read.problems
    assert read.root.plain() == {"a": "${X}", "b": "$${", "${c}": 1}


def test_mergers_of_mergers_without_end() -> None:
    text = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}}}\n" for n in range(1, 440))
    (problem,) = document(text).problems
    assert (problem.code, problem.message) == (SYNTAX, "this is nested too deeply")
