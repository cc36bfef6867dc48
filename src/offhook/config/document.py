"""A configuration or scenario file as plain data that still knows where each value stands.

YAML 1.2 by ruamel.yaml, so ``no`` and ``12:30`` are text; JSON is read too. The file is read to the level of YAML nodes
only: that keeps the place of every key and value, the text of ``${ENV}`` before it is a value, and keys like ``007``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from offhook.config.environment import Substitution
from offhook.config.problems import DUPLICATE, SYNTAX, WRONG_TYPE, Mark, Problem

#: Values of one file; more come from aliases that multiply one another.
MAX_VALUES = 100_000

_TAG = "tag:yaml.org,2002:"
# In ruamel's texts: a name of the file's own, like that of an alias; it may be a secret that should have been quoted.
_NAME = re.compile(r"""(?<=\s)['"](?!<)\S{5,}""")
Plain: TypeAlias = str | int | float | bool | None
Kind = Literal["text", "number", "boolean", "null", "list", "mapping"]


@dataclass(slots=True)
class Value:
    """One value of the document."""

    kind: Kind
    mark: Mark
    scalar: Plain = None
    items: list["Value"] = field(default_factory=list)
    entries: dict[str, "Entry"] = field(default_factory=dict)
    literal: bool = False
    """A block of text after ``|``: its lines are lines of the file."""

    def plain(self) -> Any:
        """Return the value as plain data."""
        if self.kind == "list":
            return [item.plain() for item in self.items]
        if self.kind == "mapping":
            return {key: entry.value.plain() for key, entry in self.entries.items()}
        return self.scalar


@dataclass(slots=True)
class Entry:
    """A value under its key."""

    mark: Mark
    value: Value


@dataclass(frozen=True, slots=True)
class Place:
    """Where something of the data stands in the file."""

    path: str
    key: Mark
    value: Value | None
    """None if there is no such value; ``key`` is where it would belong."""


class Document:
    """What a file holds, and what is wrong with it before anybody asks what it means."""

    def __init__(self, text: str, source: str, environ: Mapping[str, str] | None = None) -> None:
        """``environ`` fills in ``${NAME}``; without it, texts stay as they were written."""
        reader = _Reader(source, None if environ is None else Substitution(environ))
        self.root = reader.read(text)
        self.problems = reader.problems
        self.readable = reader.readable

    def locate(self, loc: tuple[int | str, ...]) -> Place:
        """Find what a path of pydantic means; parts that are no keys (tags of unions) are skipped."""
        value, key, path, found = self.root, self.root.mark, "", True
        if not value.entries:
            # Nothing was written down: the configuration comes from Python, or is empty.
            return Place(_path_of(loc), key, value if not loc else None)
        for index, part in enumerate(loc):
            inner = value.entries.get(part) if isinstance(part, str) else None
            if inner is not None:
                value, key, path, found = inner.value, inner.mark, _join(path, part), True
            elif isinstance(part, int) and 0 <= part < len(value.items):
                value, path, found = value.items[part], _join(path, part), True
                key = value.mark
            elif isinstance(part, str) and value.kind == "mapping" and index == len(loc) - 1 and part.isidentifier():
                # A key that is not there; the place is where it belongs.
                path, found = _join(path, part), False
        return Place(path, key, value if found else None)


def _path_of(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int) or part.isidentifier():
            path = _join(path, part)
    return path


def _join(path: str, part: int | str) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else part


class _Reader:
    """Turns YAML nodes into values; goes on after every problem, to find them all."""

    def __init__(self, source: str, substitution: Substitution | None) -> None:
        self.problems: list[Problem] = []
        self.readable = True
        self._source = source
        self._substitution = substitution
        self._count = 0
        self._inside: set[int] = set()

    def read(self, text: str) -> Value:
        try:
            node = YAML(typ="safe", pure=True).compose(text)
            if node is None:
                return Value("mapping", Mark(self._source, 1, 1))
            if not isinstance(node, MappingNode):
                return self._give_up(self._mark(node.start_mark), "the file does not hold settings", "write key: value")
            return self._value(node, "")
        except MarkedYAMLError as error:
            mark = self._mark(error.problem_mark)
            return self._give_up(mark, f"this is not YAML ({_one_line(error)})", _syntax_fix(text, mark))
        except YAMLError:
            return self._give_up(Mark(self._source), "this is not YAML (a character that YAML does not allow)")
        except RecursionError:
            return self._give_up(Mark(self._source), "this is nested too deeply")

    def _give_up(self, mark: Mark, message: str, fix: str = "") -> Value:
        self.readable = False
        self._complain(SYNTAX, mark, message, fix)
        return Value("mapping", Mark(self._source, 1, 1))

    def _value(self, node: Node, path: str) -> Value:
        mark = self._mark(node.start_mark)
        self._count += 1
        if id(node) in self._inside or self._count > MAX_VALUES:
            problem = "this holds itself" if id(node) in self._inside else "the file has too many values"
            if self._count <= MAX_VALUES + 1:
                self._complain(SYNTAX, mark, problem, "look at the aliases (*name)", path)
            return Value("null", mark)
        self._inside.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return Value("mapping", mark, entries=self._entries(node, path))
            if isinstance(node, SequenceNode):
                items = [self._value(item, _join(path, index)) for index, item in enumerate(node.value)]
                return Value("list", mark, items=items)
            return self._scalar(cast(ScalarNode, node), mark, path)
        finally:
            self._inside.discard(id(node))

    def _entries(self, node: MappingNode, path: str) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            mark = self._mark(key_node.start_mark)
            if key_node.tag == _TAG + "merge":
                for name, entry in self._merged(value_node, path):
                    merged.setdefault(name, entry)
                continue
            if not isinstance(key_node, ScalarNode):
                self._complain(WRONG_TYPE, mark, "a key is text", path=path)
                continue
            key = self._text(key_node, mark, path)
            if key in entries:
                first = entries[key].mark
                self._complain(
                    DUPLICATE, mark, f"this is here twice, first in line {first.line}", path=_join(path, key)
                )
                continue
            entries[key] = Entry(mark, self._value(value_node, _join(path, key)))
        return {**merged, **entries}

    def _merged(self, node: Node, path: str) -> Iterator[tuple[str, Entry]]:
        """Yield what ``<<: *name`` brings in; of several, the first has its way."""
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            value = self._value(source, path)
            if value.kind != "mapping":
                self._complain(SYNTAX, value.mark, "<< takes a mapping", path=path)
            yield from value.entries.items()

    def _scalar(self, node: ScalarNode, mark: Mark, path: str) -> Value:
        tag, raw = str(node.tag), str(node.value)
        if tag == _TAG + "null":
            return Value("null", mark)
        if tag == _TAG + "bool":
            return Value("boolean", mark, raw.lower() in ("true", "yes", "on", "y"))
        if tag in (_TAG + "int", _TAG + "float"):
            number = _number(raw)
            if number is not None:
                return Value("number", mark, number)
        return Value("text", mark, self._text(node, mark, path), literal=node.style == "|")

    def _text(self, node: ScalarNode, mark: Mark, path: str) -> str:
        # JSON writes characters beyond the first plane as two escapes, which YAML takes for two characters.
        raw = str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if self._substitution is None:
            return raw
        text, problems = self._substitution.apply(raw)
        for problem in problems:
            self._complain(problem.code, mark, problem.message, problem.fix, path)
        return text

    def _mark(self, mark: Any) -> Mark:
        return Mark(self._source, mark.line + 1, mark.column + 1) if mark is not None else Mark(self._source)

    def _complain(self, code: str, mark: Mark, message: str, fix: str = "", path: str = "") -> None:
        self.problems.append(Problem(code, mark, path, message, fix))


def _number(raw: str) -> int | float | None:
    """Read a number as YAML 1.2 does; None for what ruamel takes for one and nobody else does."""
    text = raw.replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    try:
        if digits.startswith(("0x", "0o")):
            return sign * int(digits, 0)
        return int(text) if digits.isdigit() else float(text.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return None


def _syntax_fix(text: str, mark: Mark) -> str:
    lines = text.splitlines()
    if 0 < mark.line <= len(lines):
        line = lines[mark.line - 1]
        if line[: mark.column].endswith("${"):
            return "put ${NAME} in quotes between { and }"
        if line[mark.column - 1 : mark.column] == "\t":
            return "indent with blanks"
    return ""


def _one_line(error: MarkedYAMLError) -> str:
    text = " ".join(str(part) for part in (error.context, error.problem) if part).replace("\n", " ")
    return _NAME.split(text)[0].rstrip()
