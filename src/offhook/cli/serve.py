"""`offhook serve`: take calls from Genesys Cloud."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from offhook.cli.launch import Source
    from offhook.config import Config
    from offhook.gateway.reloading import ServerControl
    from offhook.gateway.supervisor import Supervisor


@click.command()
@click.argument("app", required=False, metavar="[APP]")
@click.option("-c", "--config", "path", metavar="FILE", help="Configuration file.  [default: offhook.yaml]")
@click.option("--listen", metavar="HOST:PORT", help="Call port, in place of the configuration's.")
@click.option("--admin", metavar="HOST:PORT", help="Admin port, in place of the configuration's.")
@click.option("--workers", metavar="N", help="Processes that carry calls, in place of the configuration's.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting, like agents.support.speed=1.2."
)
def serve(
    app: str | None,
    path: str | None,
    listen: str | None,
    admin: str | None,
    workers: str | None,
    overrides: Sequence[str],
) -> None:
    """Take calls from Genesys Cloud.

    APP is module:attribute of a Gateway defined in Python; without it, the configuration file says everything. Without
    an OpenAI key, the built-in emulator plays the Realtime API.

    SIGTERM and Ctrl-C drain: calls are carried to their end, new ones are sent elsewhere. A second Ctrl-C ends all
    calls at once, each in order. SIGHUP reads the configuration file anew, for new calls. With several workers,
    SIGUSR2 renews them one after the other.
    """
    from offhook.config import ConfigError
    from offhook.gateway.worker_process import WorkerFailed

    given = {"listen": listen, "admin": admin, "workers": workers}
    source = _source(app, path, {name: value for name, value in given.items() if value is not None}, overrides)
    try:
        in_order = _run(source)
    except ConfigError as error:
        _fail(2, [str(problem) for problem in error.problems])
    except WorkerFailed as error:
        _fail(error.status, error.lines)
    raise SystemExit(0 if in_order else 1)


def _source(app: str | None, path: str | None, settings: dict[str, str], overrides: Sequence[str]) -> "Source":
    from offhook.cli.launch import Source
    from offhook.config import DEFAULT_FILE

    if app is not None:
        if path is not None or overrides:
            raise click.UsageError("-c and --set go with a configuration file, not with APP")
        return Source(app=app, settings=settings)
    return Source(
        path=path or DEFAULT_FILE, overrides=(*overrides, *(f"{name}={value}" for name, value in settings.items()))
    )


def _run(source: "Source") -> bool:
    """Take calls until a signal; False if some could not be ended in order."""
    import asyncio

    from offhook.cli.launch import configure_logging, loop_factory

    text = source.text()
    loaded = source.read(text)
    config = loaded.config
    _check_platform(config)
    configure_logging(config)
    for problem in loaded.warnings:
        click.echo(f"{problem} (warning)", err=True)
    serving = _serve_with_workers(source, text, config) if config.workers > 1 else _serve_here(source, config)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(serving)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise click.ClickException(f"cannot listen on {config.listen}: {why}") from None


def _check_platform(config: "Config") -> None:
    import os
    import signal

    if config.workers > 1 and os.name != "posix":
        raise click.UsageError(
            "several workers need a POSIX system, like Linux or macOS; start several gateways instead"
        )
    if os.name == "posix":
        # Until the gateway listens to it: a SIGHUP during the start would end the process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def _serve_here(source: "Source", config: "Config") -> bool:
    """Be the whole gateway."""
    import asyncio

    from offhook.cli.launch import Served
    from offhook.gateway import Gateway
    from offhook.gateway.reloading import ServerControl
    from offhook.gateway.signals import stopped_by_signal

    async with AsyncExitStack() as stack:
        served = Served(stack)

        async def read() -> "Config":
            _, found = await asyncio.to_thread(source.reread)
            return await served.config(found)

        gateway = Gateway.from_config(await served.config(config))
        server = await stack.enter_async_context(gateway.serving())
        control = ServerControl(server, read if source.app is None else None)
        await stack.enter_async_context(_beside(config, control))
        return await stopped_by_signal(
            server,
            {"SIGHUP": control.reload, "SIGUSR2": _no_workers},
            heard=lambda: click.echo(_start_line(config, server.url), err=True),
        )


async def _serve_with_workers(source: "Source", text: str, config: "Config") -> bool:
    """Supervise workers."""
    import asyncio
    import sys

    from offhook.cli.launch import announce_emulator
    from offhook.gateway.acceptor import listen
    from offhook.gateway.channel import Begin
    from offhook.gateway.signals import stopped_by_signal
    from offhook.gateway.supervisor import Reading, Supervisor

    async def read() -> Reading:
        return Reading(*await asyncio.to_thread(source.reread))

    supervisor = Supervisor(
        config,
        # Not -c or the console script: a fresh interpreter, whatever started this one.
        command=[sys.executable, "-P", "-m", "offhook.cli.worker"],
        begin=Begin(
            app=source.app, settings=dict(source.settings), source=source.path, overrides=source.overrides, text=text
        ),
        read=read if source.app is None else None,
        sockets=await listen(config.listen.host, config.listen.port),
    )
    async with supervisor, _beside(config, supervisor):
        if config.needs_emulator:
            announce_emulator()
        start_line = f"{_start_line(config, supervisor.url)} ; {config.workers} workers"
        return await stopped_by_signal(
            supervisor,
            {"SIGHUP": supervisor.reload, "SIGUSR2": supervisor.restart_workers},
            heard=lambda: click.echo(start_line, err=True),
        )


@asynccontextmanager
async def _beside(config: "Config", control: "ServerControl | Supervisor") -> AsyncIterator[None]:
    """Run what is there once for the whole gateway, in the process that speaks for it, until the calls have ended."""
    from offhook.admin import CannotListen, serve_admin

    async with AsyncExitStack() as stack:
        try:
            admin = await stack.enter_async_context(serve_admin(control, config))
        except CannotListen as error:
            if "admin" in config.model_fields_set:
                raise click.ClickException(str(error)) from None
            # Nobody has asked for this address: another gateway of this machine has it.
            click.echo(f"{error}; there is no admin port (--admin HOST:PORT names another)", err=True)
        else:
            control.on_reloaded = admin.change
        yield


async def _no_workers() -> None:
    from offhook.telemetry.logging import get_logger

    get_logger("offhook.cli.serve").warning("SIGUSR2 renews workers, and there are none: see --workers")


def _start_line(config: "Config", url: str) -> str:
    agents = ", ".join(config.agents)
    where = f"{config.public_url} (here {url})" if config.public_url else url
    return f"Taking calls. Base Connection URI for Genesys: {where} ; Connector ID: {agents}"


def _fail(status: int, lines: Sequence[str]) -> NoReturn:
    for line in lines:
        click.echo(line, err=True)
    raise SystemExit(status)
