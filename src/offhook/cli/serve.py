"""`offhook serve`: take calls from Genesys Cloud."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from offhook.config import Config, Problem
    from offhook.gateway import Gateway, GatewayServer


@click.command()
@click.argument("app", required=False, metavar="[APP]")
@click.option("-c", "--config", "path", metavar="FILE", help="Configuration file.  [default: offhook.yaml]")
@click.option("--listen", metavar="HOST:PORT", help="Call port, in place of the configuration's.")
@click.option("--admin", metavar="HOST:PORT", help="Admin port, in place of the configuration's.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting, like agents.support.speed=1.2."
)
def serve(app: str | None, path: str | None, listen: str | None, admin: str | None, overrides: Sequence[str]) -> None:
    """Take calls from Genesys Cloud.

    APP is module:attribute of a Gateway defined in Python; without it, the configuration file says everything. Without
    an OpenAI key, the built-in emulator plays the Realtime API.

    SIGTERM and Ctrl-C drain: calls are carried to their end, new ones are not taken. A second Ctrl-C stops at once.
    """
    import asyncio

    from offhook.config import ConfigError

    try:
        gateway, warnings = _load(app, path, _addresses(listen, admin), overrides)
        _configure_logging(gateway.config)
        for problem in warnings:
            click.echo(f"{problem} (warning)", err=True)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(gateway))
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(2) from None
    except OSError as error:
        text = f"cannot listen on {gateway.config.listen}: {error.strerror or type(error).__name__}"
        raise click.ClickException(text) from None


def _load(
    app: str | None, path: str | None, addresses: dict[str, str], overrides: Sequence[str]
) -> tuple["Gateway", Sequence["Problem"]]:
    from offhook.config import DEFAULT_FILE, load_config
    from offhook.gateway import Gateway

    settings = [*overrides, *(f"{name}={address}" for name, address in addresses.items())]
    if app is None:
        loaded = load_config(path or DEFAULT_FILE, overrides=settings)
        return Gateway.from_config(loaded.config), loaded.warnings
    if path is not None or overrides:
        raise click.UsageError("-c and --set go with a configuration file, not with APP")
    gateway = _import(app)
    if addresses:
        gateway = Gateway.from_config(_readdressed(gateway.config, addresses))
    return gateway, gateway.warnings


def _addresses(listen: str | None, admin: str | None) -> dict[str, str]:
    return {name: address for name, address in (("listen", listen), ("admin", admin)) if address is not None}


def _readdressed(config: "Config", addresses: dict[str, str]) -> "Config":
    from pydantic import ValidationError

    values = {name: getattr(config, name) for name in type(config).model_fields}
    try:
        return type(config).model_validate({**values, **addresses})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise click.UsageError(f"--{problem['loc'][0]} {problem['msg']}") from None


def _import(app: str) -> "Gateway":
    import importlib
    import sys
    from pathlib import Path

    from offhook.config import ConfigError
    from offhook.gateway import Gateway

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


def _configure_logging(config: "Config") -> None:
    from offhook.telemetry.logging import configure

    configure(style=config.log.format, level=config.log.level)


def _loop_factory() -> "Callable[[], AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:  # not on Windows
        return None
    return uvloop.new_event_loop


async def _serve(gateway: "Gateway") -> None:
    from contextlib import AsyncExitStack

    from offhook.gateway.definition import drain_on_signal

    async with AsyncExitStack() as stack:
        config = gateway.config
        if config.needs_emulator:
            from offhook.emulator.server import Emulator

            emulator = await stack.enter_async_context(Emulator("127.0.0.1:0"))
            config = _with_emulator(config, emulator.url)
            click.echo(
                "No OpenAI key: the built-in emulator plays the Realtime API. Set OPENAI_API_KEY for the real one.",
                err=True,
            )
        server = await stack.enter_async_context(gateway.serving(config=config))
        click.echo(_start_line(server), err=True)
        await drain_on_signal(server)


def _with_emulator(config: "Config", url: str) -> "Config":
    from pydantic import SecretStr

    from offhook.config import ProviderConfig

    provider = ProviderConfig(name="emulator", url=url, api_key=SecretStr("emulator"))
    realtime = config.realtime.model_copy(update={"providers": (provider,)})
    return config.model_copy(update={"realtime": realtime})


def _start_line(server: "GatewayServer") -> str:
    config = server.config
    agents = ", ".join(config.agents)
    where = f"{config.public_url} (here {server.url})" if config.public_url else server.url
    return f"Taking calls. Base Connection URI for Genesys: {where} ; Connector ID: {agents}"
