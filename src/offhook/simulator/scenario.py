"""Reads a caller's scenario from YAML (or JSON), strictly: every mistake at once, each with file, line and column.

```yaml
connector_id: support
inputs: {COMPANY: Acme}
steps:
  - wait_for_agent: {timeout: 10}
  - say: "What are your opening hours?"       # or {wav: question.wav}
  - interrupt: {after_ms: 1200, say: "Stop, please."}
  - dtmf: "1"
  - hold: {seconds: 2}
  - update: {language: de-de}
  - wait: {seconds: 1}
  - hang_up: {}
expect: {ended_by: agent, output_variables: {INTENT: /^order/}}
```
"""

import difflib
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from offhook.simulator import script
from offhook.simulator.scenario_document import ScenarioDoc, known_keys, to_scenario

MAX_FILE_BYTES: Final = 1_000_000
MAX_NODES: Final = 100_000
"""Keys and values of a document, each alias counted where it stands."""
_Path = tuple[int | str, ...]


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a scenario."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.text}"


class ScenarioError(Exception):
    """The scenario cannot be used."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        """Every mistake, in the order of the file."""


# --- reading --------------------------------------------------------------------------------------------------------


def load_scenario(path: Path) -> script.Scenario:
    """Read a scenario file and the WAV files it names.

    Raises:
        ScenarioError: the file is missing, no YAML, or says something it cannot say.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ScenarioError([Problem(str(path), 1, 1, f"is larger than {MAX_FILE_BYTES:,} bytes")])
        text = data.decode()
    except OSError as error:
        raise ScenarioError([Problem(str(path), 1, 1, f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        raise ScenarioError([Problem(str(path), 1, 1, f"is not UTF-8 (byte {error.start})")]) from None
    return parse_scenario(text, file=str(path), folder=path.parent)


def parse_scenario(text: str, *, file: str = "scenario", folder: Path = Path()) -> script.Scenario:
    """Read a scenario from text; WAV files are looked for in `folder`.

    Raises:
        ScenarioError: the text is no YAML or says something it cannot say.
    """
    try:
        tree = YAML(typ="rt", pure=True).load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise ScenarioError([Problem(file, line, column, _yaml_text(error))]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise ScenarioError([Problem(file, 1, 1, f"is no YAML: {str(error).splitlines()[0]}")]) from None
    if not isinstance(tree, CommentedMap):
        raise ScenarioError([Problem(file, 1, 1, "must hold `steps:` with a list of steps")])
    try:
        return to_scenario(ScenarioDoc.model_validate(_plain(tree), context=folder))
    except (RecursionError, _TooLarge):
        raise ScenarioError([Problem(file, 1, 1, "refers to itself, or is much too large")]) from None
    except ValidationError as error:
        problems = [_problem(file, tree, details) for details in error.errors(include_url=False)]
        raise ScenarioError(sorted(problems, key=lambda problem: (problem.line, problem.column))) from None


def _yaml_text(error: MarkedYAMLError) -> str:
    return str(error.problem or error.context or "is no YAML").splitlines()[0]


# --- saying what is wrong, and where --------------------------------------------------------------------------------


class _TooLarge(Exception):
    """A document that grows without end when its aliases are followed."""


def _plain(tree: CommentedMap) -> Any:
    """Return builtin types only, aliases followed."""
    left = MAX_NODES

    def plain(node: object) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooLarge
        if isinstance(node, CommentedMap):
            return {plain(key): plain(value) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            return [plain(value) for value in node]
        for kind in (bool, int, float, str):
            if isinstance(node, kind):
                return kind(node)
        return node

    return plain(tree)


def _problem(file: str, tree: CommentedMap, details: ErrorDetails) -> Problem:
    path, text = _explain(details)
    line, column = _position(tree, path, key=details["type"] == "extra_forbidden")
    where = _where(path)
    return Problem(file, line, column, f"{where}: {text}" if where else text)


def _explain(details: ErrorDetails) -> tuple[_Path, str]:
    """Return where a mistake is and what it is, in plain words."""
    path = tuple(part for part in details["loc"] if part != "[key]")
    message = details["msg"].removeprefix("Value error, ")
    match details["type"]:
        case "extra_forbidden":
            known = known_keys(path[:-1])
            close = difflib.get_close_matches(str(path[-1]), known, 1)
            hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"
            return path, f"unknown key; {hint}"
        case "missing":
            return path[:-1], f"`{path[-1]}` is missing"
        case "string_pattern_mismatch":
            return path, f"{details['input']!r} is not possible here"
        case "model_type" | "dict_type":
            return path, "must be a mapping of names to values"
        case "list_type":
            return path, "must be a list; begin each entry with a dash"
        case "too_short":
            return path, "must hold at least one step"
    return path, message.replace("Input should", "should", 1)


def _where(path: _Path) -> str:
    """Return `step 2, say.wav` for `("steps", 1, "say", "wav")`."""
    if len(path) > 1 and path[0] == "steps":
        step = f"step {int(path[1]) + 1}"
        return f"{step}, {_where(path[2:])}" if path[2:] else step
    return ".".join(map(str, path))


def _position(tree: CommentedMap, path: _Path, *, key: bool) -> tuple[int, int]:
    """Return line and column, from 1, of the deepest node of the path that the file has."""
    line, column = 0, 0
    node: object = tree
    for depth, part in enumerate(path):
        if isinstance(node, CommentedMap) and part in node:
            of_key = key and depth == len(path) - 1
            line, column = node.lc.key(part) if of_key else node.lc.value(part)
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line, column = node.lc.item(part)
            node = node[part]
        else:
            break
    return line + 1, column + 1
