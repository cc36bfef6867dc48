from typing import Any

import pytest
from jsonschema import Draft202012Validator

from offhook.tools.action_schema import function_description, function_name, function_parameters
from tests.fakes.genesys_platform import FakeAction


def test_a_contract_of_genesys() -> None:
    parameters = function_parameters(FakeAction().schema)
    assert parameters == {
        "type": "object",
        "description": "Finds a customer.",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "description": "Customer number"},
            "title": {"type": "string", "description": "Mr or Ms."},
            "age": {"type": "integer", "exclusiveMinimum": 0},
        },
        "additionalProperties": True,
    }
    Draft202012Validator.check_schema(parameters)


def test_cleaning_twice_is_cleaning_once() -> None:
    parameters = function_parameters(FakeAction().schema)
    assert function_parameters(parameters) == parameters


def test_names_are_no_keywords_and_values_no_schemas() -> None:
    schema: dict[str, Any] = {
        "properties": {
            "$schema": {"enum": [{"title": "x", "id": None}, None]},
            "id": {"const": {"id": 1}, "default": None},
            "properties": {"type": "object", "properties": {"title": {"title": "title"}}},
            "list": {
                "type": "array",
                "items": {"anyOf": [{"title": "x", "type": "string"}, {"type": "null"}]},
                "title": "list",
            },
        },
        "$defs": {"title": {"type": "string", "title": "y"}},
    }
    assert function_parameters(schema) == {
        "type": "object",
        "properties": {
            "$schema": {"enum": [{"title": "x", "id": None}, None]},
            "id": {"const": {"id": 1}, "default": None},
            "properties": {"type": "object", "properties": {"title": {}}},
            "list": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        },
        "$defs": {"title": {"type": "string", "description": "y"}},
    }


@pytest.mark.parametrize(
    ("bounds", "modern"),
    [
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        ({"maximum": 9, "exclusiveMaximum": True, "minimum": 1}, {"exclusiveMaximum": 9, "minimum": 1}),
        ({"exclusiveMaximum": True}, {}),
        ({"exclusiveMaximum": 4}, {"exclusiveMaximum": 4}),
    ],
)
def test_bounds_of_draft_4(bounds: dict[str, Any], modern: dict[str, Any]) -> None:
    parameters = function_parameters({"properties": {"n": {"type": "number", **bounds}}})
    assert parameters["properties"]["n"] == {"type": "number", **modern}


def test_an_action_without_inputs() -> None:
    assert function_parameters({}) == {"type": "object", "properties": {}}


def nested(depth: int) -> Any:
    return {"properties": {"x": nested(depth - 1)}} if depth else {}


def lists(depth: int) -> Any:
    return [lists(depth - 1)] if depth else 1


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "array"}, "not that of an object"),
        ({"type": ["object", "null"]}, "not that of an object"),
        ({"oneOf": [{"required": ["a"]}]}, "oneOf"),
        ({"properties": {"a": {"$ref": "https://example.com/x.json"}}}, "refers to another"),
        ({"properties": {"a": {"$ref": 7}}}, "refers to another"),
        ({"properties": {"a": {"type": "date"}}}, r"JSON schema \(at \$\.properties\.a\.type\)"),
        ({"properties": {"a": {"type": "string", "required": True}}}, "not a JSON schema"),
        ({"properties": ["a"]}, "not a JSON schema"),
        ({"properties": {"a": {"pattern": "("}}}, "not a JSON schema"),
        ({"required": None, "properties": {"a": 7}}, "not a JSON schema"),
        (nested(20), "too deeply"),
        ({"properties": {"a": {"items": lists(900)}}}, "too deeply"),
        ({"properties": {"a": {"description": "x" * 20_000}}}, "too long"),
    ],
)
def test_what_cannot_be_a_function(schema: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        function_parameters(schema)


@pytest.mark.parametrize(
    ("action", "function"),
    [
        ("Get Customer", "get_customer"),
        ("  Get-Customer (v2)! ", "get_customer_v2"),
        ("Kunde für Straße", "kunde_fur_stra_e"),
        ("x" * 100, "x" * 64),
        ("End Call", "data_action_end_call"),
        ("Collect Digits", "data_action_collect_digits"),
        ("\u304a\u5ba2\u69d8", "data_action_583dc1a0"),
        ("", "data_action_583dc1a0"),
    ],
)
def test_names(action: str, function: str) -> None:
    assert function_name(action, "custom_-_1") == function


def test_descriptions() -> None:
    assert function_description({"description": " Finds\n a customer. "}, "Get Customer") == "Finds a customer."
    assert function_description({"description": 7}, "Get Customer") == "Get Customer"
    assert function_description({"description": " "}, "Get Customer") == "Get Customer"
    assert len(function_description({"description": "x" * 5000}, "")) == 1024
