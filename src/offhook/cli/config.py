"""`offhook config`: check the configuration, show what it comes to, and print its schema."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from offhook.config import LoadedConfig, Problem

Function = TypeVar("Function", bound=Callable[..., Any])


def file_options(function: Function) -> Function:
    """Add the options that name a configuration: ``-c FILE`` and ``--set key.path=value``."""
    function = click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting, like agents.support.speed=1.2."
    )(function)
    return click.option("-c", "--config", "path", default="offhook.yaml", show_default=True, metavar="FILE")(function)


@click.group()
def config() -> None:
    """Check, show and explain the configuration."""


@config.command()
@file_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(path: str, overrides: Sequence[str], as_json: bool) -> None:
    """Find every error at once; exit 2 if there is one."""
    from offhook.config import ConfigError

    try:
        problems, valid = _load(path, overrides).warnings, True
    except ConfigError as error:
        problems, valid = error.problems, False
    if as_json:
        click.echo(json.dumps({"valid": valid, "problems": [problem.as_dict() for problem in problems]}, indent=2))
    else:
        _print_problems(problems)
        if valid:
            click.echo(f"{path}: fine{f', {len(problems)} warnings' if problems else ''}")
    sys.exit(0 if valid else 2)


@config.command()
@file_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of YAML.")
def show(path: str, overrides: Sequence[str], as_json: bool) -> None:
    """Print the whole configuration with its defaults; secrets are hidden."""
    from offhook.config import ConfigError

    try:
        loaded = _load(path, overrides)
    except ConfigError as error:
        _print_problems(error.problems)
        sys.exit(2)
    data = loaded.config.model_dump(mode="json")
    if as_json:
        click.echo(json.dumps(data, indent=2))
    else:
        from offhook.config.show import to_yaml

        click.echo(to_yaml(data), nl=False)


@config.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    from offhook.config import Config

    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    click.echo(json.dumps(document, indent=2))


def _load(path: str, overrides: Sequence[str]) -> "LoadedConfig":
    from offhook.config import load_config

    return load_config(path, overrides=overrides)


def _print_problems(problems: Sequence["Problem"]) -> None:
    for problem in problems:
        click.echo(f"{problem}{' (warning)' if problem.severity == 'warning' else ''}", err=True)
