import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.tools.arguments import (
    MAX_ARGUMENTS_BYTES,
    MAX_DEPTH,
    MAX_PROBLEMS,
    MAX_SCHEMA_BYTES,
    ArgumentsCheck,
    BrokenSchema,
    parse_arguments,
)

BOOKING = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 20},
        "kind": {"enum": ["table", "room"]},
        "hour": {"type": "integer", "minimum": 8, "maximum": 20},
        "zip": {"type": "string", "pattern": "^\\d{5}$"},
        "lines": {
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]},
        },
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["title"],
    "additionalProperties": False,
}


def problems(schema: object, arguments: dict[str, Any]) -> list[str]:
    return ArgumentsCheck(schema).problems(arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ('{"a": [1, 1.5, "\u00e4"]}', {"a": [1, 1.5, "\u00e4"]}),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_arguments_are_read(text: str, arguments: object) -> None:
    assert parse_arguments(text) == arguments


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "5",
        "null",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": "\ud800"}',
        "[" * 60_000,
        '{"a":' * 60_000,
        json.dumps({"a": "x" * MAX_ARGUMENTS_BYTES}),
        json.dumps({"a": "\u00e4" * (MAX_ARGUMENTS_BYTES // 2)}, ensure_ascii=False),
    ],
    ids=range(12),
)
def test_what_is_no_object_is_refused(text: str) -> None:
    assert parse_arguments(text) is None


def test_depth_is_bounded() -> None:
    lists = MAX_DEPTH - 1
    assert parse_arguments('{"a":' + "[" * lists + "]" * lists + "}") is not None
    assert parse_arguments('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}") is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"title": "x"},
        {"title": "x", "kind": "room", "hour": 9, "zip": "12345", "lines": [{"count": 1}, {"count": 2}], "note": None},
        {"title": "x", "hour": 9.0},
    ],
)
def test_arguments_that_fit(arguments: dict[str, Any]) -> None:
    assert problems(BOOKING, arguments) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "title: is required"),
        ({"title": 4111}, 'title: must keep to type "string"'),
        ({"title": ""}, "title: must keep to minLength 1"),
        ({"title": "4111" * 6}, "title: must keep to maxLength 20"),
        ({"title": "x", "kind": "4111"}, 'kind: must keep to enum ["table", "room"]'),
        ({"title": "x", "hour": 4111}, "hour: must keep to maximum 20"),
        ({"title": "x", "hour": "9"}, 'hour: must keep to type "integer"'),
        ({"title": "x", "hour": True}, 'hour: must keep to type "integer"'),
        ({"title": "x", "zip": "4111"}, 'zip: must keep to pattern "^\\\\d{5}$"'),
        ({"title": "x", "zip": "12345\n"}, 'zip: must keep to pattern "^\\\\d{5}$"'),
        ({"title": "x", "lines": [{"count": 1}, {}]}, "lines.1.count: is required"),
        ({"title": "x", "lines": [{"count": 1}, {"count": 1.0}]}, "lines: must keep to uniqueItems true"),
        ({"title": "x", "lines": 4111}, 'lines: must keep to type "array"'),
        ({"title": "x", "note": 4111}, 'note: must keep to anyOf [{"type": "string"}, {"type": "null"}]'),
        ({"title": "x", "extra": 4111}, "extra: is not allowed"),
    ],
)
def test_place_and_rule_are_named_and_values_are_not(arguments: dict[str, Any], problem: str) -> None:
    assert problems(BOOKING, arguments) == [problem]


def test_a_rule_of_all_arguments() -> None:
    assert problems({"minProperties": 1}, {}) == ["arguments: must keep to minProperties 1"]


def test_a_part_that_is_just_false() -> None:
    # The library does not say where.
    assert problems({"properties": {"a": False}}, {"a": 4111}) == ["arguments: is not allowed"]


def test_the_first_problems_are_enough() -> None:
    schema = {"required": [f"name{number}" for number in range(20)]}
    found = problems(schema, {})
    assert found == [f"name{number}: is required" for number in range(MAX_PROBLEMS)]


def test_long_rules_and_names_are_cut() -> None:
    (problem,) = problems({"properties": {"a": {"enum": ["x" * 1000]}}}, {"a": "y"})
    assert len(problem) < 250
    (problem,) = problems({"additionalProperties": False}, {"y" * 1000: 1})
    assert len(problem) < 150


def test_the_draft_is_2020_12_unless_the_schema_says_otherwise() -> None:
    items = {"properties": {"a": {"prefixItems": [{"type": "string"}]}}}
    assert problems(items, {"a": [1]}) == ['a.0: must keep to type "string"']
    old = {"$schema": "http://json-schema.org/draft-07/schema#", **items}
    assert problems(old, {"a": [1]}) == []
    unknown = {"$schema": "https://example.com/mine", **items}
    assert problems(unknown, {"a": [1]}) == ['a.0: must keep to type "string"']
    assert problems({"$schema": 5, **items}, {"a": [1]}) == ['a.0: must keep to type "string"']


def test_definitions_of_the_schema_itself_can_be_referred_to() -> None:
    schema = {
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "id": {"type": "integer"}}}},
        "$ref": "#/$defs/node",
    }
    arguments: dict[str, Any] = {"id": "x"}
    for _ in range(20):
        arguments = {"id": 1, "next": arguments}
    assert problems(schema, arguments) == [f"{'next.' * 20}"[:100].rstrip() + ': must keep to type "integer"']


def test_names_by_pattern() -> None:
    schema: dict[str, Any] = {
        "properties": {"id": {}},
        "patternProperties": {"^x-": {"type": "string"}, "(?=look)": {"type": "string"}},
        "additionalProperties": {"type": "integer"},
    }
    # A pattern that the engine does not know says nothing for a name and nothing against it.
    assert problems(schema, {"id": None, "x-a": 1, "other": "x"}) == ['x-a: must keep to type "string"']
    del schema["patternProperties"]["(?=look)"]
    assert problems(schema, {"x-a": "x", "other": "x"}) == ['other: must keep to type "integer"']
    assert problems({**schema, "additionalProperties": False}, {"x-a": "x", "other": 1}) == ["other: is not allowed"]
    assert problems({**schema, "additionalProperties": True}, {"other": "x"}) == []
    assert problems({"properties": {"a": schema}}, {"a": 5}) == []


def test_unevaluated_properties() -> None:
    schema: dict[str, Any] = {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}
    assert [text.partition(":")[0] for text in problems(schema, {"a": 1, "b": 2})] == ["arguments"]
    # Together with patterns for names it is not looked at.
    assert problems({**schema, "patternProperties": {"^x": {}}}, {"b": 2}) == []


@pytest.mark.parametrize(
    ("entries", "fine"),
    [
        ([1, True, "1", [1], {"a": 1}, None, False, 0], True),
        ([1, 1.0], False),
        ([[True], [True]], False),
        ([{"a": 1, "b": [2]}, {"b": [2], "a": 1}], False),
        ([0, False], True),
        ([[1, 2], [2, 1]], True),
    ],
)
def test_what_is_the_same(entries: list[Any], fine: bool) -> None:
    found = problems({"properties": {"a": {"uniqueItems": True}}}, {"a": entries})
    assert found == ([] if fine else ["a: must keep to uniqueItems true"])


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(", "(?<!x)y", r"(\w{1,50}\W{1,50}){1,20}z"])
def test_a_pattern_that_the_engine_does_not_know_is_not_checked(pattern: str) -> None:
    assert problems({"properties": {"a": {"pattern": pattern}}}, {"a": "anything"}) == []


def test_patterns_are_looked_for_anywhere_and_know_classes_of_letters() -> None:
    schema = {"properties": {"a": {"pattern": "\\p{Lu}x"}}}
    assert problems(schema, {"a": "..\u00c4x.."}) == []
    assert len(problems(schema, {"a": "..\u00e4x.."})) == 1
    assert problems(schema, {"a": 5}) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"properties": []},
        {"required": "title"},
        {"enum": "x" * MAX_SCHEMA_BYTES},
        {"default": object()},
        True,
        None,
        ["type"],
    ],
    ids=range(8),
)
def test_schemas_that_are_none(schema: object) -> None:
    with pytest.raises(BrokenSchema):
        ArgumentsCheck(schema)  # type: ignore[arg-type]


def test_a_schema_without_end() -> None:
    schema: dict[str, Any] = {}
    schema["not"] = schema
    with pytest.raises(BrokenSchema, match="RecursionError"):
        ArgumentsCheck(schema)


def test_the_text_says_where_a_schema_is_broken() -> None:
    with pytest.raises(BrokenSchema, match=r"\$\.properties\.a\.type breaks the rule"):
        ArgumentsCheck({"properties": {"a": {"type": "strin"}}})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/nothing"},
        {"$ref": "https://example.com/schema.json"},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
    ],
)
def test_nothing_is_fetched(schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(BrokenSchema):
        problems(schema, {"a": 1})


def test_numbers_beyond_what_can_be_reckoned_with() -> None:
    schema = {"properties": {"a": {"multipleOf": 0.1}}}
    assert problems(schema, {"a": 10**400}) == ["they cannot be checked"]


def many(count: int) -> dict[str, Any]:
    return {"a": [{"n": number} for number in range(count)]}


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 60_000 + "b"}),
        ({"properties": {"a": {"pattern": "(a|a)*b"}}}, {"a": "a" * 60_000}),
        ({"properties": {"a": {"pattern": "([ab]{0,300}a){0,100}c"}}}, {"a": "ab" * 30_000}),
        ({"properties": {"a": {"items": {"pattern": "([ab]{0,300}a){0,10}c"}}}}, {"a": ["ab" * 500] * 60}),
        ({"patternProperties": {"^(a+)+$": False}, "additionalProperties": False}, {"a" * 60_000 + "b": 1}),
        ({"properties": {"a": {"uniqueItems": True}}}, many(6000)),
        ({"properties": {"a": {"items": {"properties": {"n": {"type": "integer"}}}}}}, many(6000)),
        ({"properties": {"a": {"contains": {"required": ["x"]}}}}, many(6000)),
        ({"properties": {"a": {"type": "string"}}}, many(6000)),
        ({"properties": {"a": {"items": {"enum": [{"n": -n} for n in range(1, 2000)]}}}}, many(6000)),
    ],
    ids=range(10),
)
def test_the_time_is_bounded(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    check = ArgumentsCheck(schema)
    began = time.perf_counter()
    check.problems(arguments)
    assert time.perf_counter() - began < 1


def test_patterns_cost_steps_to_compile() -> None:
    # Each of them takes the engine some ten milliseconds, and is compiled once.
    patterns: dict[str, Any] = {f"\\w{{0,99}}\\w{{0,99}}\\w{{0,99}}{number}": {} for number in range(100)}
    check = ArgumentsCheck({"patternProperties": patterns})
    began = time.perf_counter()
    assert check.problems({"a": 1}) == ["there is too much in them"]
    assert time.perf_counter() - began < 3


def test_alternatives_of_alternatives_cost_steps() -> None:
    schema: dict[str, Any] = {"type": "string"}
    definitions: dict[str, Any] = {"n0": schema}
    for number in range(1, 30):
        inner = {"$ref": f"#/$defs/n{number - 1}"}
        definitions[f"n{number}"] = {"anyOf": [inner, inner]}
    check = ArgumentsCheck({"$defs": definitions, "properties": {"a": {"$ref": "#/$defs/n29"}}})
    began = time.perf_counter()
    assert check.problems({"a": 1}) == ["there is too much in them"]
    assert time.perf_counter() - began < 1
    # The next check has all of its steps again.
    assert check.problems({"a": "x"}) == []


def test_a_part_of_a_schema_cannot_choose_keywords_that_are_not_counted() -> None:
    inner = {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(a+)+$"}
    began = time.perf_counter()
    assert len(problems({"properties": {"a": inner}}, {"a": "a" * 40 + "b"})) == 1
    assert time.perf_counter() - began < 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
WORDS = st.sampled_from(["type", "properties", "items", "pattern", "required", "enum", "$ref", "anyOf", "$schema", "a"])


@settings(max_examples=50)
@given(st.dictionaries(WORDS, JSON, max_size=4), st.dictionaries(st.sampled_from(["a", "b"]), JSON, max_size=2))
def test_whatever_a_schema_says_only_one_error_comes_out(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    try:
        found = problems(schema, arguments)
    except BrokenSchema:
        return
    assert len(found) <= MAX_PROBLEMS
