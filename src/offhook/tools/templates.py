"""Templates: written by the operator, filled with what is known of a call and with the arguments of a tool.

A template is compiled once, when the configuration is read. What a caller, a flow or a model passes in is data: it is
put into the text as it is and never read as a template.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, UndefinedError, meta, nodes

from offhook.tools.base import CallContext
from offhook.tools.hints import did_you_mean
from offhook.tools.sandbox import MAX_TEXT_BYTES as MAX_TEXT_BYTES
from offhook.tools.sandbox import Sandbox, TooLarge

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

Finalize = Callable[[Any], str]
"""Turns the value of every ``{{ … }}`` into the text that is put in its place."""


class TemplateFault(ValueError):
    """A template cannot work; ``line`` counts from 1."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


class RenderFailed(Exception):
    """A template gives no text for this call; ``reason`` goes on after "the template …" and holds no caller data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ValueMissing(RenderFailed):
    """A template needs something that this call does not have."""

    def __init__(self, owner: str, name: str) -> None:
        super().__init__("uses something that is not there")
        self.owner = owner
        """Whose value is missing: ``input``, ``query`` or ``args``."""
        self.name = name
        """Empty where the template computes the name, for then it may be what a caller said."""


class _Missing(StrictUndefined):
    """Fails with ``owner.name`` as its text; the owner is empty if it is not one of ours."""

    @property
    def _undefined_message(self) -> str:
        # A property of _Names would hide a variable of its name.
        return f"{getattr(self._undefined_obj, '_Names__owner', '')}.{self._undefined_name}"


class _Names:
    """Variables by name and nothing else: a mapping's methods would hide variables called ``items`` or ``get``."""

    def __init__(self, owner: str, values: Mapping[str, object]) -> None:
        self.__owner = owner
        self.__values = dict(values)

    def __getitem__(self, name: str) -> object:
        return self.__values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.__values

    def __iter__(self) -> Iterator[str]:
        return iter(self.__values)


class Template:
    """One compiled text; TemplateFault says what is wrong with it.

    Args:
        source: what the operator wrote.
        arguments: whether ``args.NAME`` may be used besides ``input.NAME`` and ``call.NAME``.
        finalize: turns values into text; by default as Python does.
    """

    def __init__(self, source: str, *, arguments: bool = False, finalize: Finalize | None = None) -> None:
        environment = _environment(finalize)
        try:
            tree = environment.parse(source)
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise TemplateFault(error.message or "the template cannot be read", error.lineno) from error
        except RecursionError as error:
            raise TemplateFault("the template is nested too deeply", 1) from error
        _check_names(tree, arguments=arguments)
        self._accesses = frozenset((node.lineno, owner, name) for node, owner, name in _accesses(tree))
        self._names = frozenset((owner, name) for _, owner, name in self._accesses)
        self.literal = "".join(node.data for node in tree.find_all(nodes.TemplateData))
        """What stands outside of all braces."""
        self.argument = _only_argument(tree)
        """The path of the argument that is all of the template, ``("a", "b")`` for ``{{ args.a.b }}``; else None."""

    @property
    def arguments(self) -> list[tuple[str, int]]:
        """The names of the arguments that it spells out, each with its line."""
        return sorted((name, line) for line, owner, name in self._accesses if owner == "args")

    def render(self, call: CallContext, arguments: Mapping[str, object] | None = None) -> str:
        """Return the text for one call; RenderFailed and ValueMissing say why there is none, without caller data."""
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(_variables(call, arguments)):
                parts.append(part)
                size += len(part.encode(errors="surrogatepass"))
                if size > MAX_TEXT_BYTES:
                    raise _too_large()
        except UndefinedError as error:
            owner, _, name = str(error).partition(".")
            # A name that the template computes may be what a caller said; only those it spells out are repeated.
            raise ValueMissing(owner, name if (owner, name) in self._names else "") from None
        except RenderFailed:
            raise
        except TooLarge:
            raise _too_large() from None
        except Exception as error:  # a filter may raise anything, with the caller's words in its text
            raise RenderFailed(f"failed ({type(error).__name__})") from None
        return "".join(parts)


def _too_large() -> RenderFailed:
    return RenderFailed(f"gives more than {MAX_TEXT_BYTES} bytes")


@lru_cache(maxsize=16)
def _environment(finalize: Finalize | None) -> Sandbox:
    def text(value: object) -> object:
        return value if finalize is None or isinstance(value, Undefined) else finalize(value)

    return Sandbox(_Missing, text)


def _variables(call: CallContext, arguments: Mapping[str, object] | None) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(call, name) for name in CALL_VARIABLES}
    values["query"] = _Names("query", call.query)
    variables: dict[str, object] = {"input": _Names("input", call.inputs), "call": _Names("call", values)}
    if arguments is not None:
        variables["args"] = _Names("args", arguments)
    return variables


def _check_names(tree: nodes.Template, *, arguments: bool) -> None:
    """Find at start what would fail in every call."""
    owners = {"input", "call", "args"} if arguments else {"input", "call"}
    for name in sorted(meta.find_undeclared_variables(tree) - owners):
        line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), 1)
        known = "known are args.NAME, input.NAME" if arguments else "the call's are input.NAME"
        raise TemplateFault(f"there is no variable {name}; {known} and call.NAME", line)
    for node, owner, name in _accesses(tree):
        if owner == "call" and name not in CALL_VARIABLES:
            raise TemplateFault(
                f"there is no call.{name}{did_you_mean(name, CALL_VARIABLES, prefix='call.')}", node.lineno
            )


def _accesses(tree: nodes.Template) -> Iterator[tuple[nodes.Expr, str, str]]:
    """Yield every ``owner.name`` and ``owner["name"]``; the owner of ``call.query.name`` is ``query``."""
    accesses: Iterable[Any] = tree.find_all((nodes.Getattr, nodes.Getitem))
    for node in accesses:
        key = _key(node)
        if not isinstance(key, str):
            continue
        if isinstance(node.node, nodes.Name):
            yield node, node.node.name, key
        elif isinstance(node.node, nodes.Getattr) and node.node.attr == "query":
            yield node, "query", key


def _key(node: nodes.Getattr | nodes.Getitem) -> object:
    """Return what stands after the dot or in the brackets; None if it is computed."""
    return node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)


def _only_argument(tree: nodes.Template) -> tuple[str | int, ...] | None:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output) or len(tree.body[0].nodes) != 1:
        return None
    node: nodes.Node = tree.body[0].nodes[0]
    path: list[str | int] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        key = _key(node)
        if not isinstance(key, str | int):
            return None
        path.insert(0, key)
        node = node.node
    return tuple(path) if isinstance(node, nodes.Name) and node.name == "args" else None
