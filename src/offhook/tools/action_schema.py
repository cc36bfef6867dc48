"""From the input contract of a data action to a function that the Realtime API takes."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, SchemaError

from offhook.tools.base import MAX_NAME_CHARS
from offhook.tools.call_control import RESERVED_NAMES

#: What a schema may have: it is context for the whole call.
MAX_SCHEMA_BYTES = 16 * 1024
MAX_DEPTH = 16
MAX_DESCRIPTION_CHARS = 1024

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
#: The Realtime API refuses the whole session if a function has one of these at the top of its schema.
_NOT_AT_TOP = ("oneOf", "anyOf", "allOf", "enum", "not")
#: Say nothing to a model. ``id`` is what drafts 3 and 4 call ``$id``.
_DROPPED = frozenset({"$schema", "$id", "id", "title", "$comment"})
#: Below these, keys are names and not keywords.
_OF_NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
#: What stands here is a value and not a schema.
_VALUES = frozenset({"enum", "const", "default", "examples"})


def function_parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a function's arguments; ValueError says why ``schema`` cannot be one.

    Properties keep their names and their place. A title takes the place of a description that is not there; boolean
    ``exclusiveMinimum`` and ``exclusiveMaximum`` (draft 4, which Genesys uses) become numbers.
    """
    if schema.get("type", "object") != "object":
        raise ValueError("the schema is not that of an object")
    if any(keyword in schema for keyword in _NOT_AT_TOP):
        raise ValueError(f"the schema has one of {', '.join(_NOT_AT_TOP)} at its top")
    parameters = {"type": "object", **_cleaned(schema, MAX_DEPTH)}
    parameters.setdefault("properties", {})
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise ValueError(f"this is not a JSON schema (at {error.json_path})") from None
    if len(json.dumps(parameters)) > MAX_SCHEMA_BYTES:
        raise ValueError("the schema is too long")
    return parameters


def function_name(action_name: str, action_id: str) -> str:
    """Make a name for a function of the name of an action: ``Get Customer (v2)`` is ``get_customer_v2``."""
    letters = unicodedata.normalize("NFKD", action_name)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter)).lower()
    name = _NOT_IN_NAMES.sub("_", plain).strip("_")[:MAX_NAME_CHARS].rstrip("_")
    if not name:
        return f"data_action_{hashlib.sha256(action_id.encode()).hexdigest()[:8]}"
    return f"data_action_{name}" if name in RESERVED_NAMES else name


def function_description(schema: Mapping[str, Any], action_name: str) -> str:
    """Return what the input contract says about itself, or else the name of the action."""
    text = schema.get("description")
    words = " ".join(text.split()) if isinstance(text, str) else ""
    return (words or action_name)[:MAX_DESCRIPTION_CHARS]


def _cleaned(schema: Any, depth: int) -> Any:
    if not isinstance(schema, list | Mapping):
        return schema
    if depth < 1:
        raise ValueError("the schema is nested too deeply")
    if isinstance(schema, list):
        return [_cleaned(entry, depth - 1) for entry in schema]
    cleaned: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
            raise ValueError("the schema refers to another one")
        # Genesys writes what is not set as null.
        if keyword in _DROPPED or (value is None and keyword not in _VALUES):
            continue
        if keyword in _OF_NAMES and isinstance(value, Mapping):
            cleaned[keyword] = {name: _named(name, one, depth - 1) for name, one in value.items()}
        else:
            cleaned[keyword] = value if keyword in _VALUES else _cleaned(value, depth - 1)
    _modernize(cleaned)
    return cleaned


def _named(name: str, schema: Any, depth: int) -> Any:
    """Clean the schema of a property; its title is better than nothing."""
    cleaned = _cleaned(schema, depth)
    title = schema.get("title") if isinstance(schema, Mapping) else None
    if isinstance(title, str) and title not in ("", name) and "description" not in cleaned:
        cleaned["description"] = title
    return cleaned


def _modernize(schema: dict[str, Any]) -> None:
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
