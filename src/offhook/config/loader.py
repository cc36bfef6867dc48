"""Reads a configuration file: all of its problems at once, or a configuration with its warnings."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from offhook.config.checks import check_advice, check_references
from offhook.config.document import Document
from offhook.config.environment import Substitution
from offhook.config.overrides import apply_override
from offhook.config.problems import Problem
from offhook.config.reading import in_order, read_model, read_text
from offhook.config.schema import Config

DEFAULT_FILE = "offhook.yaml"


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, and what is worth a second look."""

    config: Config
    warnings: tuple[Problem, ...]


def load_config(
    path: str | Path = DEFAULT_FILE, *, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Read the file at ``path``; ``overrides`` are ``key.path=value`` each. ConfigError holds every problem."""
    text = read_text(path, "name the file with -c FILE")
    return parse_config(text, source=str(path), overrides=overrides, environ=environ)


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
    config = read_model(Config, document, check_references(document) if document.readable else ())
    return LoadedConfig(config, tuple(in_order(check_advice(config, document))))
