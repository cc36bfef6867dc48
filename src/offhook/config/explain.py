"""From what pydantic and the cross-checks found to problems that a person can mend."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from offhook.config.document import Document, Place
from offhook.config.problems import (
    ADMIN_OPEN,
    MISSING,
    TEMPLATE,
    TOOL,
    UNKNOWN_KEY,
    WRONG_TYPE,
    WRONG_VALUE,
    Mark,
    Problem,
)

_CODES = {
    "admin_open": ADMIN_OPEN,
    "missing": MISSING,
    "extra_forbidden": UNKNOWN_KEY,
    "template": TEMPLATE,
    "tool_unknown": TOOL,
    "tool_name": TOOL,
    "tool_import": TOOL,
    "tool_output": TOOL,
}
_ENDS_OF_TYPE_ERRORS = ("_type", "_parsing", "_str")
_TEXTS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such setting",
    "string_type": "should be text",
    "model_type": "should be a mapping",
    "dict_type": "should be a mapping",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "sequence_str": "should be a list",
}


# "Input should be …", "Dictionary should have …": the path and the code say what it is.
_SUBJECT = re.compile(r"^(?:(?:Input|Dictionary|List|Tuple|String|Value) (?=should)|Value error, )")


def explain(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """Return the problems of a document that does not fit the model."""
    return [_problem(details, document, model) for details in error.errors(include_url=False, include_input=False)]


def _problem(details: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    kind, loc = details["type"], details["loc"]
    place = document.locate(loc)
    code = _CODES.get(kind, WRONG_TYPE if kind.endswith(_ENDS_OF_TYPE_ERRORS) else WRONG_VALUE)
    message, fix = _TEXTS.get(kind, _readable(details["msg"])), str(details.get("ctx", {}).get("fix", ""))
    mark = place.value.mark if place.value is not None else place.key
    if kind == "extra_forbidden" or (loc and loc[-1] == "[key]"):
        mark = place.key
    if kind == "extra_forbidden":
        fix = did_you_mean(str(loc[-1]), known_keys(model, loc[:-1]))
    elif kind == "missing" and details["msg"] != "Field required":
        message = details["msg"]
    elif kind == "string_type" and place.value is not None and place.value.kind in ("number", "boolean"):
        fix = "put it in quotes"
    elif kind == "template":
        mark = _inside(place, mark, int(details.get("ctx", {}).get("line", 1)))
    return Problem(code, mark, place.path, message, fix)


def _inside(place: Place, mark: Mark, line: int) -> Mark:
    """Return the place of a template's line: those of a block of text are lines of the file."""
    if place.value is not None and place.value.literal:
        return Mark(mark.source, mark.line + line, 1)
    return mark


def _readable(message: str) -> str:
    return _SUBJECT.sub("", message)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that is nearest to ``name``, or at all of them if they are few."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known are {', '.join(names)}" if 0 < len(names) <= 8 else ""


def known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    """Return the settings that there are at a path of the model's schema."""
    root = _schema(model)
    schemas = [root]
    for part in loc:
        inner = [found for schema in _alternatives(root, schemas) for found in _step(schema, part)]
        # A tag of a union leads nowhere in the schema: the alternatives stay.
        schemas = inner or schemas
    return {name for schema in _alternatives(root, schemas) for name in schema.get("properties", {})}


@lru_cache(maxsize=4)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _alternatives(root: dict[str, Any], schemas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    flat: list[dict[str, Any]] = []
    for schema in schemas:
        if "$ref" in schema:
            flat += _alternatives(root, [root["$defs"][schema["$ref"].rsplit("/", 1)[1]]])
        elif "anyOf" in schema or "oneOf" in schema:
            flat += _alternatives(root, schema.get("anyOf") or schema["oneOf"])
        else:
            flat.append(schema)
    return flat


def _step(schema: dict[str, Any], part: int | str) -> list[dict[str, Any]]:
    if isinstance(part, int):
        found = schema.get("items")
    else:
        others = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
        found = schema.get("properties", {}).get(part) or next((other for other in others if other), None)
    return [found] if isinstance(found, dict) else []
