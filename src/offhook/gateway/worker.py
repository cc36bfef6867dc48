"""One worker: a process that carries calls on listening sockets which its supervisor hands over."""

import asyncio
import contextlib
import hashlib
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from offhook.config import Config, ConfigError
from offhook.gateway.channel import (
    AskProviders,
    Begin,
    Channel,
    ChannelClosed,
    CheckNonce,
    Cut,
    Drain,
    Failed,
    HandOver,
    NonceChecked,
    Providers,
    Ready,
    Reload,
    Reloaded,
    StopAsked,
)
from offhook.gateway.control import ReloadOutcome
from offhook.gateway.nonces import NoncesUnknown
from offhook.gateway.scoreboard import Scoreboard
from offhook.gateway.server import GatewayServer, Shared
from offhook.telemetry.logging import get_logger

NONCE_TIMEOUT = 1.0
"""Seconds that the supervisor has to say whether a nonce is new."""

_log = get_logger("offhook.gateway.worker")

ReadFirst = Callable[[Begin], Awaitable[Config]]
"""Makes a configuration of what the supervisor says first."""

ReadAgain = Callable[[Begin, str], Awaitable[Config]]
"""Makes a configuration of another text, and of what it said first."""


class SharedNonces:
    """The nonces that all workers have seen, in the memory of their supervisor: no request is good for two of them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def remember(self, key_id: str, nonce: str, now: float) -> bool:
        """Return True if no worker has seen the nonce for this key; see `nonces.Nonces`."""
        digest = hashlib.sha256(f"{key_id}\0{nonce}".encode()).hexdigest()
        try:
            return (await self._channel.ask(CheckNonce(digest=digest), NonceChecked, NONCE_TIMEOUT)).fresh
        except (ChannelClosed, TimeoutError):
            raise NoncesUnknown("the supervisor does not answer") from None


async def work(fd: int, read: ReadFirst, reread: ReadAgain) -> int:
    """Do what a supervisor says, to the end; return the exit status.

    When the supervisor is gone, the listening sockets are left to its successor and the calls are carried to their end.

    Args:
        fd: our end of the channel.
        read: makes a configuration of what the supervisor says first.
        reread: does so for a reload.
    """
    # What is meant for the gateway goes to its supervisor; a terminal or systemd may send it to everybody.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    channel = await Channel.over(socket.socket(fileno=fd))
    try:
        begin = await channel.receive()
        return await _carry_calls(channel, begin, read, reread) if isinstance(begin, Begin) else 1
    except ConfigError as error:
        channel.send(Failed(status=2, lines=tuple(str(problem) for problem in error.problems)))
        return 2
    except OSError as error:
        channel.send(Failed(status=1, lines=(f"cannot be started: {error.strerror or type(error).__name__}",)))
        return 1
    finally:
        await channel.close()


async def _carry_calls(channel: Channel, begin: Begin, read: ReadFirst, reread: ReadAgain) -> int:
    with contextlib.ExitStack() as stack:
        shared = Shared(
            scoreboard=Scoreboard(begin.slots, begin.scoreboard),
            slot=begin.slot,
            nonces=SharedNonces(channel),
            sockets=[stack.enter_context(socket.socket(fileno=descriptor)) for descriptor in begin.sockets],
        )
        async with GatewayServer(await read(begin), shared=shared) as server:
            channel.send(Ready())
            return await _Duty(channel, begin, reread, server).done()


class _Duty:
    """What a worker does between its start and its end."""

    def __init__(self, channel: Channel, begin: Begin, reread: ReadAgain, server: GatewayServer) -> None:
        self._channel = channel
        self._begin = begin
        self._reread = reread
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = False
        self._all_answered = True
        self._over = asyncio.Event()

    async def done(self) -> int:
        """Return the exit status when it is over."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_stop)
        self._begin_task(self._obey())
        try:
            await self._over.wait()
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            for task in self._tasks:
                task.cancel()
        return 0 if self._all_answered else 1

    async def _obey(self) -> None:
        while (order := await self._channel.receive()) is not None:
            match order:
                case Drain():
                    self._leave(self._server.drain)
                case HandOver():
                    self._leave(self._server.hand_over)
                case Cut():
                    self._begin_task(self._cut())
                case Reload():
                    self._begin_task(self._reload(order))
                case AskProviders():
                    self._channel.send(Providers(id=order.id, states=self._server.status().providers))
                case _:
                    _log.error("order not understood", order=type(order).__name__)
        _log.warning("supervisor is gone")
        self._leave(self._server.hand_over)

    def _on_stop(self) -> None:
        if self._channel.closed:
            self._begin_task(self._cut())
        else:
            # The supervisor finds somebody to take our place first, unless all of the gateway stops.
            self._channel.send(StopAsked())

    def _leave(self, how: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self._leaving:
            self._leaving = True
            self._begin_task(self._finish(how))

    async def _finish(self, how: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await how()
        finally:
            self._over.set()

    async def _cut(self) -> None:
        self._all_answered = await self._server.cut_calls()
        self._over.set()

    async def _reload(self, order: Reload) -> None:
        try:
            outcome = await self._server.reload(await self._reread(self._begin, order.text))
        except ConfigError as error:
            outcome = ReloadOutcome(applied=False, problems=tuple(str(problem) for problem in error.problems))
        self._channel.send(Reloaded(id=order.id, outcome=outcome))

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
