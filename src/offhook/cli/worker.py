"""The process of one worker, which `offhook serve --workers` starts: `python -m offhook.cli.worker DESCRIPTOR`."""

import asyncio
import sys
from contextlib import AsyncExitStack

import click
import structlog

from offhook.cli.launch import Served, Source, configure_logging, loop_factory
from offhook.config import Config, ConfigError, Mark, Problem
from offhook.config.problems import UNREADABLE
from offhook.gateway.channel import Begin
from offhook.gateway.settings import keep_fixed
from offhook.gateway.worker import work


def main() -> None:
    """Be a worker of the supervisor at the other end of the descriptor."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        raise SystemExit(runner.run(_work(int(sys.argv[1]))))


async def _work(fd: int) -> int:
    async with AsyncExitStack() as stack:
        served = Served(stack, announce=False)  # the supervisor does, once

        async def start(begin: Begin) -> Config:
            config = _read(begin, begin.text)
            _configure_logging(config, begin.number)
            return await served.config(config)

        async def reread(begin: Begin, text: str) -> Config:
            return await served.config(await asyncio.to_thread(_read, begin, text))

        return await work(fd, start, reread)


def _read(begin: Begin, text: str) -> Config:
    """Return what a text of the configuration file comes to, with what a running gateway keeps."""
    source = Source(begin.app, begin.source, begin.overrides, begin.settings)
    try:
        config = source.read(text).config
        if text == begin.fixed_text:
            return config
        return keep_fixed(source.read(begin.fixed_text).config, config)[0]
    except click.UsageError as error:  # of APP
        raise ConfigError([Problem(UNREADABLE, Mark(str(begin.app)), "", error.format_message())]) from error


def _configure_logging(config: Config, number: int) -> None:
    configure_logging(config)

    def add_worker(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("worker", number)
        return event

    structlog.configure(processors=[add_worker, *structlog.get_config()["processors"]])


if __name__ == "__main__":
    main()
