"""Checks the JSON schema by which an operator describes the parameters of a tool."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator

from offhook.tools.hints import did_you_mean
from offhook.tools.pointer import PointerError, resolve_pointer

# Keywords whose keys are names, not keywords.
_NAMED = ("properties", "$defs", "patternProperties", "dependentSchemas")
_TYPES = "array, boolean, integer, null, number, object, string"
_Place = tuple[str | int, ...]


class SchemaProblem(NamedTuple):
    """What is wrong with a schema, and where."""

    place: _Place
    text: str


def check_parameters(schema: Mapping[str, Any]) -> list[SchemaProblem]:
    """Return what keeps ``schema`` from describing the arguments of a function; an empty list if nothing does."""
    # Several parts of the meta-schema find fault with one and the same place.
    found: dict[_Place, SchemaProblem] = {}
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        place = tuple(error.absolute_path)
        found.setdefault(place, SchemaProblem(place, _explain(place, str(error.validator), error.validator_value)))
    if found:
        return list(found.values())
    problems: list[SchemaProblem] = []
    if schema.get("type") != "object":
        problems.append(SchemaProblem(("type",), "the parameters are a JSON schema with type: object"))
    properties = schema.get("properties", {})
    for index, name in enumerate(schema.get("required", ())):
        if name not in properties:
            text = f"there is no such property{did_you_mean(name, properties)}"
            problems.append(SchemaProblem(("required", index), text))
    problems += _unusable(schema, (), schema)
    return problems


def _explain(place: _Place, keyword: str, expected: object) -> str:
    """Say what is expected, without repeating what is there."""
    if place[-1:] == ("type",):
        return f"this is no JSON schema; types are {_TYPES}"
    if keyword == "type":
        kinds = expected if isinstance(expected, list) else [expected]
        return f"this is no JSON schema; {' or '.join(str(kind) for kind in kinds)} is expected here"
    return "this is no JSON schema"


def _unusable(schema: Any, place: _Place, root: Mapping[str, Any]) -> Iterator[SchemaProblem]:
    """Yield references that lead nowhere and patterns that are none: they would fail in every call."""
    if isinstance(schema, list):
        for index, entry in enumerate(schema):
            yield from _unusable(entry, (*place, index), root)
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        here = (*place, key)
        if key in ("$ref", "$dynamicRef") and isinstance(value, str) and not _leads_somewhere(value, root):
            yield SchemaProblem(here, "this leads nowhere; a part of this schema is meant, like #/$defs/name")
        elif key == "pattern" and isinstance(value, str) and not _is_pattern(value):
            yield SchemaProblem(here, "this is no regular expression")
        elif key in _NAMED and isinstance(value, Mapping):
            for name, inner in value.items():
                if key == "patternProperties" and not _is_pattern(name):
                    yield SchemaProblem((*here, name), "this is no regular expression")
                yield from _unusable(inner, (*here, name), root)
        elif key not in ("enum", "const", "default", "examples"):
            yield from _unusable(value, here, root)


def _leads_somewhere(reference: str, root: Mapping[str, Any]) -> bool:
    # A reference to another document would be fetched.
    if not reference.startswith("#"):
        return False
    try:
        resolve_pointer(root, reference[1:])
    except PointerError:
        return False
    return True


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
