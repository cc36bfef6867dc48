"""What `offhook serve` and its workers have in common: where the configuration comes from, and what is served by it."""

import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import SecretStr, ValidationError

from offhook.config import (
    DEFAULT_FILE,
    Config,
    ConfigError,
    LoadedConfig,
    ProviderConfig,
    parse_config,
)
from offhook.config.reading import read_text
from offhook.gateway import Gateway
from offhook.telemetry.logging import configure, get_logger

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_log = get_logger("offhook.cli.serve")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration comes from: a file, or a gateway defined in Python."""

    app: str | None = None
    """`module:attribute`."""
    path: str = DEFAULT_FILE
    overrides: tuple[str, ...] = ()
    """`key.path=value` each, stronger than the file."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the top level that take the place of the gateway's in `app`."""

    def text(self) -> str:
        """Return the text of the file; ConfigError when there is none. Empty for a gateway defined in Python."""
        return "" if self.app is not None else read_text(self.path, "name the file with -c FILE")

    def read(self, text: str) -> LoadedConfig:
        """Return what the text of the file comes to, or the gateway's configuration; ConfigError has every problem."""
        if self.app is None:
            return parse_config(text, source=self.path, overrides=self.overrides)
        gateway = _import(self.app)
        if self.settings:
            gateway = Gateway.from_config(_changed(gateway.config, self.settings))
        return LoadedConfig(gateway.config, tuple(gateway.warnings))

    def reread(self) -> tuple[str, Config]:
        """Return text and configuration of the file as it is now; what is worth a second look is logged."""
        text = self.text()
        loaded = self.read(text)
        for problem in loaded.warnings:
            _log.warning("configuration", code=problem.code, problem=str(problem))
        return text, loaded.config


class Served:
    """Makes of a configuration the one that is served: where no provider can be used, the built-in emulator answers.

    Args:
        stack: closes the emulator, once there is one.
        announce: say so on stderr.
    """

    def __init__(self, stack: AsyncExitStack, *, announce: bool = True) -> None:
        self._stack = stack
        self._announce = announce
        self._url = ""

    async def config(self, config: Config) -> Config:
        """Return the configuration, with the emulator as its provider if need be."""
        if not config.needs_emulator:
            return config
        if not self._url:
            from offhook.emulator.server import Emulator

            if self._announce:
                announce_emulator()
            self._url = (await self._stack.enter_async_context(Emulator("127.0.0.1:0"))).url
        provider = ProviderConfig(name="emulator", url=self._url, api_key=SecretStr("emulator"))
        realtime = config.realtime.model_copy(update={"providers": (provider,)})
        return config.model_copy(update={"realtime": realtime})


def announce_emulator() -> None:
    """Say that nobody pays for these calls, and nobody gets an answer of a real model."""
    text = "No OpenAI key: the built-in emulator plays the Realtime API. Set OPENAI_API_KEY for the real one."
    click.echo(text, err=True)


def configure_logging(config: Config) -> None:
    """Log as the configuration says."""
    configure(style=config.log.format, level=config.log.level)


def loop_factory() -> "Callable[[], AbstractEventLoop] | None":
    """Return what makes the event loop."""
    try:
        import uvloop
    except ImportError:  # not on Windows
        return None
    return uvloop.new_event_loop


def _changed(config: Config, settings: Mapping[str, str]) -> Config:
    values = {name: getattr(config, name) for name in type(config).model_fields}
    try:
        return type(config).model_validate({**values, **settings})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise click.UsageError(f"--{problem['loc'][0]} {problem['msg']}") from None


def _import(app: str) -> Gateway:
    module_name, _, attribute = app.partition(":")
    if not module_name or not attribute:
        raise click.UsageError("APP is written module:attribute, like shop:gateway")
    here = str(Path.cwd())
    if here not in sys.path:
        # A console script does not look into the current directory, where the operator's code is.
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ConfigError:
        raise
    except Exception as error:  # whatever the operator's module does when it is imported
        raise click.UsageError(f"{app} cannot be imported ({type(error).__name__}: {error})") from error
    if not isinstance(found, Gateway):
        raise click.UsageError(f"{app} is no Gateway")
    return found
