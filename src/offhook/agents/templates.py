"""Templates of instructions and greetings: written by the operator, filled with what is known of the call.

A template is compiled once, when the configuration is read. What a caller or a flow passes in is data: it is put into
the text as it is and never read as a template.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from offhook.agents.errors import MISSING_INPUT, TEMPLATE_FAILED, PlanError
from offhook.tools.base import CallContext

#: Largest rendered text, in bytes of UTF-8.
MAX_TEXT_BYTES = 64 * 1024

#: What ``call.…`` has in a template.
CALL_VARIABLES = (
    "id",
    "conversation_id",
    "organization_id",
    "agent",
    "connector_id",
    "path",
    "query",
    "ani",
    "ani_name",
    "dnis",
    "language",
)


class TemplateFault(ValueError):
    """A template cannot work; ``line`` counts from 1."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


class _Missing(StrictUndefined):
    """Fails with nothing but the missing name as its text."""

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_name)


class _Names:
    """Variables by name and nothing else: a mapping's methods would hide variables called ``items`` or ``get``."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.__values = dict(values)

    def __getitem__(self, name: str) -> object:
        return self.__values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.__values

    def __iter__(self) -> Iterator[str]:
        return iter(self.__values)


def _environment() -> ImmutableSandboxedEnvironment:
    # What is rendered is read to a model, not put into HTML.
    return ImmutableSandboxedEnvironment(undefined=_Missing, autoescape=False, keep_trailing_newline=False)


class Template:
    """One compiled text; TemplateFault says what is wrong with it."""

    def __init__(self, source: str) -> None:
        environment = _environment()
        try:
            tree = environment.parse(source)
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise TemplateFault(error.message or "the template cannot be read", error.lineno) from error
        except RecursionError as error:
            raise TemplateFault("the template is nested too deeply", 1) from error
        _check_names(tree)
        self._names = frozenset(_attributes(tree))

    def render(self, call: CallContext) -> str:
        """Return the text for one call; PlanError says what is missing, without caller data."""
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(_variables(call)):
                parts.append(part)
                size += len(part.encode(errors="surrogatepass"))
                if size > MAX_TEXT_BYTES:
                    raise PlanError(TEMPLATE_FAILED, f"a template of the agent gives more than {MAX_TEXT_BYTES} bytes")
        except UndefinedError as error:
            raise self._undefined(str(error)) from None
        except PlanError:
            raise
        except Exception as error:  # a filter may raise anything, with the caller's words in its text
            raise PlanError(TEMPLATE_FAILED, f"a template of the agent failed ({type(error).__name__})") from None
        return "".join(parts)

    def _undefined(self, name: str) -> PlanError:
        # A name that the template computes may be what a caller said; only those it spells out are repeated.
        if ("input", name) in self._names:
            return PlanError(MISSING_INPUT, f"the input variable {name} is missing")
        if ("query", name) in self._names:
            return PlanError(TEMPLATE_FAILED, f"the query parameter {name} is missing")
        return PlanError(TEMPLATE_FAILED, "a template of the agent uses something that is not there")


@lru_cache(maxsize=512)
def compile_template(source: str) -> Template:
    """Return the compiled text, the same one each time; TemplateFault says what is wrong with it."""
    return Template(source)


def _variables(call: CallContext) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(call, name) for name in CALL_VARIABLES}
    values["query"] = _Names(call.query)
    return {"input": _Names(call.inputs), "call": _Names(values)}


def _check_names(tree: nodes.Template) -> None:
    """Find at start what would fail in every call."""
    for name in sorted(meta.find_undeclared_variables(tree) - {"input", "call"}):
        line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), 1)
        raise TemplateFault(f"there is no variable {name}; the call's are input.NAME and call.NAME", line)
    for node, owner, name in _accesses(tree):
        if owner == "call" and name not in CALL_VARIABLES:
            raise TemplateFault(f"there is no call.{name}{_did_you_mean(name, CALL_VARIABLES)}", node.lineno)


def _attributes(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    for _, owner, name in _accesses(tree):
        yield owner, name


def _accesses(tree: nodes.Template) -> Iterator[tuple[nodes.Expr, str, str]]:
    """Yield every ``owner.name`` and ``owner["name"]``; the owner of ``call.query.name`` is ``query``."""
    accesses: Iterable[Any] = tree.find_all((nodes.Getattr, nodes.Getitem))
    for node in accesses:
        key = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        if not isinstance(key, str):
            continue
        if isinstance(node.node, nodes.Name):
            yield node, node.node.name, key
        elif isinstance(node.node, nodes.Getattr) and node.node.attr == "query":
            yield node, "query", key


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean call.{close[0]}?" if close else ""
