"""Reads a configuration file: all of its problems at once, or a configuration with its warnings."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from offhook.config.checks import check_advice, check_references
from offhook.config.document import Document
from offhook.config.environment import Substitution
from offhook.config.explain import explain
from offhook.config.overrides import apply_override
from offhook.config.problems import UNREADABLE, ConfigError, Mark, Problem
from offhook.config.schema import Config

DEFAULT_FILE = "offhook.yaml"
#: Larger than any configuration; what is larger was named by mistake.
MAX_FILE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, and what is worth a second look."""

    config: Config
    warnings: tuple[Problem, ...]


def load_config(
    path: str | Path = DEFAULT_FILE, *, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Read the file at ``path``; ``overrides`` are ``key.path=value`` each. ConfigError holds every problem."""
    source = str(path)
    try:
        raw = Path(path).read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigError([Problem(UNREADABLE, Mark(source), "", "the file is too large to be a configuration")])
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(UNREADABLE, Mark(source), "", "the file is not UTF-8 text")]) from error
    except OSError as error:
        problem = Problem(
            UNREADABLE, Mark(source), "", f"the file cannot be read ({error.strerror})", "name the file with -c FILE"
        )
        raise ConfigError([problem]) from error
    return parse_config(text, source=source, overrides=overrides, environ=environ)


def parse_config(
    text: str,
    *,
    source: str = DEFAULT_FILE,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Read the text of a configuration file; ``source`` is its name in problems."""
    variables = os.environ if environ is None else environ
    document = Document(text, source, variables)
    for override in overrides:
        apply_override(document, override, Substitution(variables))
    problems = list(document.problems)
    config: Config | None = None
    # A file that is no YAML has no settings; that those are missing is not worth a word.
    if document.readable:
        problems += check_references(document)
        try:
            config = Config.model_validate(document.root.plain())
        except ValidationError as error:
            problems += explain(error, document)
    problems = _in_order(problems)
    if config is None or problems:
        raise ConfigError(problems)
    return LoadedConfig(config, tuple(_in_order(check_advice(config, document))))


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Sort by place; of several problems of one value the first says it all."""
    kept: dict[tuple[Mark, str], Problem] = {}
    for problem in problems:
        kept.setdefault((problem.mark, problem.path), problem)
    return sorted(kept.values(), key=lambda problem: problem.mark)
