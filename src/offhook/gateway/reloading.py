"""Reads the configuration anew while the gateway runs: one reload at a time, and a broken file changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable

from offhook.config import Config, ConfigError
from offhook.gateway.control import GatewayStatus, ReloadOutcome
from offhook.gateway.server import NOT_RELOADED, GatewayServer
from offhook.telemetry.logging import get_logger

RELOAD_TIMEOUT = 30.0
"""Seconds that reading the configuration, and opening what it names, may take."""

_log = get_logger("offhook.gateway.reloading")


ReadConfig = Callable[[], Awaitable[Config]]
"""Reads the configuration anew; ConfigError says what is wrong with it."""


class ServerControl:
    """`GatewayControl` of a gateway that is one process.

    Args:
        server: the gateway.
        read: where its configuration comes from; None = from a program, which has to be started anew.

    Attributes:
        on_reloaded: told of a configuration that has been taken over.
    """

    def __init__(self, server: GatewayServer, read: ReadConfig | None = None) -> None:
        self.on_reloaded: Callable[[Config], None] = lambda config: None
        self._server = server
        self._read = read
        self._reloads = ReloadTurns(self._reload)

    async def status(self) -> GatewayStatus:
        """Say how it is doing."""
        return self._server.status()

    async def reload(self) -> ReloadOutcome:
        """Read the configuration anew, for new calls; running calls keep theirs."""
        return await self._reloads.take()

    async def _reload(self) -> ReloadOutcome:
        if self._read is None:
            return ReloadOutcome(applied=False, problems=(needs_restart(),))
        outcome = await self._server.reload(await self._read())
        if outcome.applied:
            self.on_reloaded(self._server.config)
        return outcome


class ReloadTurns:
    """Reloads come one after the other; who asks while one waits for its turn shares it.

    Whatever comes of one is logged. Reading takes `RELOAD_TIMEOUT` at most.

    Args:
        reload: does it; ConfigError says what is wrong with the configuration.
    """

    def __init__(self, reload: Callable[[], Awaitable[ReloadOutcome]]) -> None:
        self._reload = reload
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[ReloadOutcome] | None = None

    async def take(self) -> ReloadOutcome:
        """Return what came of a reload that began after this was called."""
        if self._next is None:
            self._next = asyncio.create_task(self._wait_and_reload())
        # Who asked may go away; others may have joined.
        return await asyncio.shield(self._next)

    async def _wait_and_reload(self) -> ReloadOutcome:
        async with self._turn:
            self._next = None
            outcome = await self._bounded()
        _report(outcome)
        return outcome

    async def _bounded(self) -> ReloadOutcome:
        try:
            async with asyncio.timeout(RELOAD_TIMEOUT):
                return await self._reload()
        except Exception as error:
            return ReloadOutcome(applied=False, problems=problems_of(error))


def problems_of(error: Exception) -> tuple[str, ...]:
    """Return why a configuration is not used, one line each."""
    if isinstance(error, ConfigError):
        return tuple(str(problem) for problem in error.problems if problem.severity == "error")
    if isinstance(error, TimeoutError):
        return (f"{NOT_RELOADED} not done within {RELOAD_TIMEOUT:g} s",)
    _log.error("reload failed", code=NOT_RELOADED, exc_info=error)
    return (f"{NOT_RELOADED} failed ({type(error).__name__})",)


def needs_restart() -> str:
    """Return why a gateway defined in Python is not reloaded."""
    return f"{NOT_RELOADED} a gateway defined in Python needs a restart: its module is read once"


def _report(outcome: ReloadOutcome) -> None:
    for problem in outcome.problems:
        _log.error("configuration not reloaded", code=NOT_RELOADED, problem=problem)
    if outcome.applied:
        _log.info("configuration reloaded", restart_needed=list(outcome.restart_needed))
