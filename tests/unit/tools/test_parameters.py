from typing import Any

import pytest

from offhook.tools.parameters import check_parameters


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"pattern": {"type": "string", "pattern": "^a+$"}, "$ref": {"enum": ["("]}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
            "required": ["a"],
            "additionalProperties": False,
            "$defs": {"a": {"type": "array", "items": {"type": "integer"}}},
            "patternProperties": {"^x": True},
        },
    ],
)
def test_schemas_that_can_be_used(schema: dict[str, Any]) -> None:
    assert check_parameters(schema) == []


@pytest.mark.parametrize(
    ("schema", "place", "text"),
    [
        ({}, ("type",), "type: object"),
        ({"type": "array"}, ("type",), "type: object"),
        ({"type": "object", "properties": []}, ("properties",), "object is expected here"),
        ({"type": "object", "properties": {"a": 5}}, ("properties", "a"), "object or boolean is expected here"),
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, ("properties", "a", "type"), "types are array"),
        ({"type": "object", "properties": {"a": {"minimum": "x"}}}, ("properties", "a", "minimum"), "number is"),
        (
            {"type": "object", "properties": {"a": {"minLength": -1}}},
            ("properties", "a", "minLength"),
            "no JSON schema",
        ),
        ({"type": "object", "required": "a"}, ("required",), "array is expected here"),
        ({"type": "object", "required": ["ab"], "properties": {"abc": {}}}, ("required", 0), "did you mean abc?"),
        ({"type": "object", "required": ["x"]}, ("required", 0), "there is no such property"),
        ({"type": "object", "properties": {"a": {"$ref": "#/x"}}}, ("properties", "a", "$ref"), "leads nowhere"),
        ({"type": "object", "allOf": [{"$ref": "https://x/y"}]}, ("allOf", 0, "$ref"), "leads nowhere"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, ("properties", "a", "pattern"), "no regular"),
        ({"type": "object", "patternProperties": {"(": {}}}, ("patternProperties", "("), "no regular"),
    ],
)
def test_schemas_that_cannot(schema: dict[str, Any], place: tuple[str | int, ...], text: str) -> None:
    (problem,) = check_parameters(schema)
    assert problem.place == place
    assert text in problem.text
