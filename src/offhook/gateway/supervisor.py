"""Several processes as one gateway: a supervisor and its workers, on listening sockets that the supervisor owns.

The supervisor binds the call port once and hands the sockets to each worker, so that workers can come and go without a
connection being refused: what the kernel has accepted waits for whoever listens. Workers are fresh interpreters. The
supervisor carries no calls; what it does for one is to say whether a nonce is new.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import msgspec

from offhook.config import Config, server_context
from offhook.gateway.admission import PROCESS
from offhook.gateway.channel import (
    AskProviders,
    Begin,
    CheckNonce,
    Cut,
    Drain,
    NonceChecked,
    Order,
    Providers,
    StopAsked,
)
from offhook.gateway.control import GatewayStatus, ReloadOutcome, RestartOutcome, worker_statuses
from offhook.gateway.nonces import OwnNonces
from offhook.gateway.reloading import ReloadTurns, needs_restart, problems_of
from offhook.gateway.scoreboard import Scoreboard
from offhook.gateway.server import CUT_TIMEOUT, LAST_WORDS, NOT_RELOADED
from offhook.gateway.settings import base_url, keep_fixed, shown_as
from offhook.gateway.worker_pool import SLOTS_PER_WORKER, WORKER_FAILED, WorkerPool
from offhook.gateway.worker_process import WorkerFailed, WorkerProcess
from offhook.telemetry.logging import get_logger

STATUS_TIMEOUT = 1.0
"""Seconds that a worker has to say how its providers are."""

CLOSING = 45.0
"""Seconds that a worker has to close its parts after the last call; then it is killed."""

CUT_CLOSING = 7.0
"""The same when calls were cut."""

SIGNAL_SPREAD = 0.5
"""Seconds between a signal to a worker and the one to the supervisor, when both are meant to stop."""

_log = get_logger("offhook.gateway.supervisor")

_WORST_FIRST = ("unusable", "resting", "ok")


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration file that was read, and what it says."""

    text: str
    config: Config


ReadFile = Callable[[], Awaitable[Reading]]
"""Reads the configuration file anew; ConfigError says what is wrong with it."""


class Supervisor:
    """Starts `config.workers` workers and keeps them; also an async context manager, and a `control.GatewayControl`.

    Args:
        config: the configuration, as it was read.
        command: what runs a worker; the descriptor of its channel is added.
        begin: what every worker is told of where the configuration comes from.
        read: reads it anew; None = it comes from a program, which each new worker imports anew.
        sockets: listening sockets, which are the supervisor's from now on; see `acceptor.listen`.
    """

    def __init__(
        self,
        config: Config,
        *,
        command: Sequence[str],
        begin: Begin,
        read: ReadFile | None,
        sockets: Sequence[socket.socket],
    ) -> None:
        self.config = config
        self.on_reloaded: Callable[[Config], None] = lambda config: None
        """Told of a configuration that has been taken over."""
        self._read = read
        self._sockets = tuple(sockets)
        self._port: int = sockets[0].getsockname()[1]
        self._scoreboard = Scoreboard.create(config.workers * SLOTS_PER_WORKER)
        begin = msgspec.structs.replace(
            begin,
            fixed_text=begin.text,
            slots=len(self._scoreboard.slots),
            scoreboard=self._scoreboard.fd,
            sockets=tuple(one.fileno() for one in sockets),
        )
        self._pool = WorkerPool(command, begin, self._scoreboard, self._on_order)
        self._nonces = OwnNonces()
        self._reloads = ReloadTurns(self._reload)
        self._adopting = asyncio.Lock()
        """Held while it is not yet sure whether another configuration can be used."""
        self._restarting = asyncio.Lock()

    @property
    def url(self) -> str:
        """The Base Connection URI as this machine sees it."""
        return base_url(self.config, self._port)

    # Start and stop.

    async def start(self) -> None:
        """Start the workers; returns when all take calls.

        Raises:
            ConfigError: certificate or key cannot be used.
            WorkerFailed: one did not come to that; all have been ended.
        """
        try:
            if self.config.tls is not None:
                server_context(self.config.tls, "tls")
            await self._pool.start(self.config.workers)
        except BaseException:
            await self.stop()
            raise
        _log.info("workers started", workers=[worker.number for worker in self._pool.workers])

    async def drain(self) -> None:
        """Let no worker take new calls, and return when all have carried theirs to the end and are gone."""
        self._scoreboard.draining = True
        self._pool.stand_down()
        limit = self.config.limits.drain_timeout
        _log.info("draining", calls=self._scoreboard.calls, limit=limit)
        self._pool.tell(Drain())
        leaving = asyncio.create_task(self._leave_port())
        try:
            await self._pool.wait_until_gone(limit + LAST_WORDS + CUT_TIMEOUT + CLOSING)
        finally:
            leaving.cancel()

    async def cut_calls(self) -> bool:
        """Let all workers end their calls now, each with a `disconnect`; True if Genesys has closed all in time."""
        self._scoreboard.draining = True
        self._pool.stand_down()
        processes = self._pool.processes
        self._pool.tell(Cut())
        await self._pool.wait_until_gone(CUT_TIMEOUT + CUT_CLOSING)
        return all(worker.status == 0 for worker in processes)

    async def stop(self) -> None:
        """End what is left of the workers, and close the call port."""
        self._pool.stand_down()
        await self._pool.wait_until_gone(0)
        self._close_sockets()
        self._scoreboard.close()
        _log.info("gateway stopped")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _leave_port(self) -> None:
        """Refuse connections once nobody is left who listens: those that handed over may still have calls."""
        for worker in self._pool.workers:
            await worker.gone.wait()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for one in self._sockets:
            one.close()

    # Control.

    async def status(self) -> GatewayStatus:
        """Say how the gateway is doing, all workers together; of a provider, what the worker says that fares worst."""
        draining = self._scoreboard.draining
        full = self._scoreboard.shown(shown_as(PROCESS)) >= self.config.limits.max_calls
        ready = any(slot.ready for slot in self._scoreboard.slots)
        reason = "draining" if draining else "too many calls" if full else None if ready else "no worker is ready"
        return GatewayStatus(
            ready=reason is None,
            reason=reason,
            calls=self._scoreboard.calls,
            draining=draining,
            agents=tuple(self.config.agents),
            providers=await self._providers(),
            workers=worker_statuses(self._scoreboard),
        )

    async def reload(self) -> ReloadOutcome:
        """Read the configuration anew, for new calls in all workers; running calls keep theirs."""
        return await self._reloads.take()

    async def restart_workers(self) -> RestartOutcome:
        """Replace the workers one after the other, by the configuration and the program as they are now.

        Each gets a successor, which has to take calls before the old one hands over to it and carries its own calls to
        their end. A successor that cannot be started ends the restart; the worker stays.
        """
        restart = self._pool.run(self._restart_in_turn())
        await asyncio.wait([restart])
        if restart.cancelled():
            outcome = RestartOutcome(restarted=0, problems=("the gateway is shutting down",))
        else:
            outcome = restart.result()
        for problem in outcome.problems:
            _log.error("workers not restarted", code=WORKER_FAILED, problem=problem)
        _log.info("workers restarted", restarted=outcome.restarted)
        return outcome

    async def _providers(self) -> dict[str, str]:
        asked = (worker.channel.ask(AskProviders(), Providers, STATUS_TIMEOUT) for worker in self._pool.workers)
        found: dict[str, str] = {}
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, Providers):
                for name, state in answer.states.items():
                    found[name] = min(state, found.get(name, state), key=_WORST_FIRST.index)
        return found

    async def _reload(self) -> ReloadOutcome:
        if self._read is None:
            return ReloadOutcome(applied=False, problems=(needs_restart(),))
        async with self._adopting:
            reading = await self._read()
            kept, restart_needed = keep_fixed(self.config, reading.config)
            if kept.tls is not None:
                server_context(kept.tls, "tls")
            if self._pool.standing_down:
                return ReloadOutcome(applied=False, problems=(f"{NOT_RELOADED} the gateway is shutting down",))
            before, self._pool.begin = self._pool.begin, msgspec.structs.replace(self._pool.begin, text=reading.text)
            workers = self._pool.workers
            outcomes = await asyncio.gather(*(worker.reload(reading.text) for worker in workers))
            problems = tuple(problem for outcome in outcomes for problem in outcome.problems)
            if not any(outcome.applied for outcome in outcomes):
                self._pool.begin = before
                return ReloadOutcome(applied=False, problems=problems)
            self.config = kept
        self.on_reloaded(kept)
        for worker, outcome in zip(workers, outcomes, strict=True):
            if not outcome.applied:
                # What others can, its successor can.
                self._pool.run(self._renew(worker))
        return ReloadOutcome(applied=True, problems=problems, restart_needed=restart_needed)

    async def _restart_in_turn(self) -> RestartOutcome:
        async with self._restarting:
            return await self._restart_all()

    async def _restart_all(self) -> RestartOutcome:
        async with self._adopting:
            before, config = self._pool.begin, self.config
            if self._read is not None:
                try:
                    reading = await self._read()
                except Exception as error:
                    return RestartOutcome(restarted=0, problems=problems_of(error))
                self.config, _ = keep_fixed(config, reading.config, fixed=("listen", "admin", "workers"))
                self._pool.begin = msgspec.structs.replace(before, text=reading.text, fixed_text=reading.text)
            workers = self._pool.workers
            problems = await self._renew(workers[0])
            if problems:
                self._pool.begin, self.config = before, config
                return RestartOutcome(restarted=0, problems=problems)
        for count, worker in enumerate(workers[1:], start=1):
            if problems := await self._renew(worker):
                return RestartOutcome(restarted=count, problems=problems)
        return RestartOutcome(restarted=len(workers))

    async def _renew(self, worker: WorkerProcess) -> tuple[str, ...]:
        """Give a worker a successor, or say why it has none."""
        try:
            await self._pool.renew(worker)
        except WorkerFailed as error:
            return error.lines
        return ()

    # What workers say.

    async def _on_order(self, worker: WorkerProcess, order: Order) -> None:
        match order:
            case CheckNonce(id=number, digest=digest):
                fresh = await self._nonces.remember("", digest, time.time())
                worker.channel.send(NonceChecked(id=number, fresh=fresh))
            case StopAsked():
                self._pool.run(self._let_go(worker))

    async def _let_go(self, worker: WorkerProcess) -> None:
        """Somebody has sent SIGTERM to one worker, or to all of our processes, ourselves included."""
        await asyncio.sleep(SIGNAL_SPREAD)
        for problem in await self._renew(worker):
            _log.error("workers not restarted", code=WORKER_FAILED, problem=problem)
