"""Arguments of a function call: read, and checked against the tool's JSON schema.

The schema may come from anywhere and the arguments are whatever a model writes, so the time is bounded by counting, not
by a clock: every keyword that is looked at costs a step, and a pattern costs what its text and its size come to.
Patterns are matched by the engine of pydantic, which does not backtrack; the one of Python would, and would hold every
call up meanwhile, in whatever thread it runs.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

import msgspec
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import SchemaError
from jsonschema.validators import extend, validator_for
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing import Registry
from referencing.exceptions import Unresolvable

#: What arguments may have.
MAX_ARGUMENTS_BYTES = 64 * 1024
#: Lists and objects inside one another.
MAX_DEPTH = 32
#: A larger schema is not checked against.
MAX_SCHEMA_BYTES = 64 * 1024
#: Steps of one check; ten arguments take about a hundred.
MAX_STEPS = 5_000
#: Wrong arguments that the model is told of at once.
MAX_PROBLEMS = 5

_MAX_PATTERN_SIZE = 20_000
_MAX_RULE_CHARS = 200
_MAX_PATH_CHARS = 100
_COUNT = re.compile(r"\{(\d{1,6})(?:,(\d{0,6}))?\}")
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_LARGE_CLASS = re.compile(r"\\[wWdDsSbBpP]")
_LARGE_CLASS_SIZE = 20

_Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


def parse_arguments(text: str) -> dict[str, Any] | None:
    """Return the arguments that a model wrote as JSON; None if they are no object, or too large or too deep."""
    if len(text) > MAX_ARGUMENTS_BYTES or len(text.encode(errors="replace")) > MAX_ARGUMENTS_BYTES:
        return None
    try:
        # Models leave the arguments of a function without parameters empty at times.
        arguments = msgspec.json.decode(text, type=dict[str, Any]) if text.strip() else {}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return None if _deeper_than(arguments, MAX_DEPTH) else arguments


def _deeper_than(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        containers = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


class BrokenSchema(Exception):
    """Nothing can be checked against this schema; its text says why."""


class _TooMuch(Exception):
    """The check has used its steps up."""


class ArgumentsCheck:
    """A JSON schema, ready to check arguments against: Draft 2020-12, unless ``$schema`` names another.

    Nothing is ever fetched. ``format`` is a hint to the model and not checked; nor is a pattern that the engine does
    not know, one with look-around for example.

    Raises:
        BrokenSchema: it is no JSON schema, or too large.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._steps = 0
        self._patterns: dict[str, _Pattern] = {}
        try:
            draft: Any = validator_for({"$schema": str(schema.get("$schema"))}, default=Draft202012Validator)
            plain = _without_dialects(schema)
            text = json.dumps(plain)
            if len(text) > MAX_SCHEMA_BYTES:
                raise BrokenSchema("it is too large")
            draft.check_schema(plain, format_checker=None)
        except SchemaError as error:
            raise BrokenSchema(f"{error.json_path} breaks the rule {error.validator}") from None
        except (TypeError, ValueError, RecursionError, AttributeError) as error:
            raise BrokenSchema(type(error).__name__) from None
        own = self._own_keywords()
        if "patternProperties" in text:
            # It would match the patterns by itself.
            own["unevaluatedProperties"] = lambda *_: None
        keywords = {name: self._counted(own.get(name, keyword)) for name, keyword in draft.VALIDATORS.items()}
        self._validator = extend(draft, keywords)(plain, registry=Registry())  # type: ignore[no-untyped-call]

    def problems(self, arguments: Mapping[str, Any]) -> list[str]:
        """Say what is wrong with the arguments: where, and which rule they break, but not what they are.

        Raises:
            BrokenSchema: the schema refers to what is not there, or to itself without end.
        """
        self._steps = 0
        try:
            errors = islice(self._validator.iter_errors(arguments), MAX_PROBLEMS)
            return [_explain(error) for error in errors]
        except _TooMuch:
            return ["there is too much in them"]
        except (Unresolvable, RecursionError) as error:
            raise BrokenSchema(type(error).__name__) from None
        except (ArithmeticError, TypeError, ValueError):  # numbers beyond what can be reckoned with
            return ["they cannot be checked"]

    def _counted(self, keyword: _Keyword) -> _Keyword:
        def count(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
            self._spend(1)
            return keyword(validator, rule, instance, schema)

        return count

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise _TooMuch

    def _matches(self, pattern: str, text: str) -> bool | None:
        """Tell whether a text has the pattern in it; None if that cannot be said."""
        known = self._patterns.get(pattern)
        if known is None:
            known = self._patterns[pattern] = _Pattern(pattern)
            self._spend(known.size // 10)
        self._spend(known.cost(text))
        return known.matches(text)

    def _own_keywords(self) -> dict[str, _Keyword]:
        """Return the keywords that jsonschema would do with patterns of Python, slowly, or without a place."""

        def pattern(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            if isinstance(instance, str) and self._matches(rule, instance) is False:
                yield ValidationError("")

        def pattern_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            for one, inner in rule.items() if isinstance(instance, dict) else ():
                for name, value in instance.items():
                    if self._matches(one, name):
                        yield from validator.descend(value, inner, path=name, schema_path=one)

        def additional_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
            for name in instance if isinstance(instance, dict) else ():
                if name in known or any(self._matches(one, name) is not False for one in patterns):
                    continue
                if rule is False:
                    yield ValidationError("", path=(name,))
                else:
                    yield from validator.descend(instance[name], rule, path=name)

        return {
            "pattern": pattern,
            "patternProperties": pattern_properties,
            "additionalProperties": additional_properties,
            "required": _required,
            "uniqueItems": _unique_items,
        }


class _Pattern:
    """A pattern of a schema; `size` is about what it is compiled to."""

    def __init__(self, pattern: str) -> None:
        counts = [max(int(low), int(high or 0), 1) for low, high in _COUNT.findall(pattern)]
        self._states = len(pattern) + (math.prod(counts) if _REPEATED_GROUP.search(pattern) else sum(counts))
        self.size = self._states * (_LARGE_CLASS_SIZE if _LARGE_CLASS.search(pattern) else 1)
        self._engine: SchemaValidator | None = None
        if self.size > _MAX_PATTERN_SIZE:
            self.size = 0
        else:
            try:
                self._engine = SchemaValidator(core_schema.str_schema(pattern=pattern, strict=True))
            except PatternError:
                return

    def cost(self, text: str) -> int:
        """Return the steps that matching a text counts for."""
        return len(text) * self._states // 1000 if self._engine else 0

    def matches(self, text: str) -> bool | None:
        """Tell whether a text has the pattern in it; None if the engine does not know it."""
        return self._engine.isinstance_python(text) if self._engine else None


def _required(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    for name in rule if isinstance(instance, dict) else ():
        if name not in instance:
            yield ValidationError("", path=(name,))


def _unique_items(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if rule and isinstance(instance, list) and len({_frozen(entry) for entry in instance}) < len(instance):
        yield ValidationError("")


def _frozen(value: object) -> object:
    """Return what is equal for equal JSON values, 1 and 1.0 for example, but not 1 and true."""
    if isinstance(value, dict):
        return frozenset((name, _frozen(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return tuple(_frozen(entry) for entry in value)
    return (bool, value) if isinstance(value, bool) else value


def _without_dialects(schema: Any) -> Any:
    """Drop ``$schema``, by which a part of a schema could choose keywords that are not counted."""
    if isinstance(schema, list | tuple):
        return [_without_dialects(entry) for entry in schema]
    if isinstance(schema, Mapping):
        return {name: _without_dialects(inner) for name, inner in schema.items() if name != "$schema"}
    return schema


def _explain(error: ValidationError) -> str:
    """Name the place and the rule."""
    path = ".".join(str(part) for part in error.absolute_path)[:_MAX_PATH_CHARS] or "arguments"
    if error.validator == "required":
        return f"{path}: is required"
    if error.validator in (None, "additionalProperties"):  # None for a part of the schema that is just false
        return f"{path}: is not allowed"
    rule = json.dumps(error.validator_value, ensure_ascii=False, default=str)
    return f"{path}: must keep to {error.validator} {rule[:_MAX_RULE_CHARS]}"
