"""What can be asked of a running gateway from outside, whether it is one process or several."""

from typing import Protocol

import msgspec

from offhook.gateway.scoreboard import Scoreboard


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process that carries calls."""

    number: int
    pid: int
    calls: int
    draining: bool
    started_at: float
    """Unix seconds."""


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway is doing, all of its processes together."""

    ready: bool
    """It takes new calls."""
    reason: str | None
    """Why not."""
    calls: int
    draining: bool
    agents: tuple[str, ...]
    providers: dict[str, str]
    """State of each provider by its name: `ok`, `resting` (failed, tried again later) or `unusable`."""
    workers: tuple[WorkerStatus, ...]


class ReloadOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading the configuration anew."""

    applied: bool
    """New calls go by it."""
    problems: tuple[str, ...] = ()
    """Why not: one line each, with place and fix; nothing has changed then."""
    restart_needed: tuple[str, ...] = ()
    """Settings that were changed and need a restart, like `listen`; the old values stay."""


class RestartOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of renewing the workers one after the other."""

    restarted: int
    """Workers that have a successor; they carry their calls to the end."""
    problems: tuple[str, ...] = ()
    """Why the others go on as they are: one line each."""


class GatewayControl(Protocol):
    """A running gateway, for signals and the admin port."""

    async def status(self) -> GatewayStatus:
        """Say how it is doing."""
        ...

    async def reload(self) -> ReloadOutcome:
        """Read the configuration anew, for new calls; running calls keep theirs."""
        ...


def worker_statuses(scoreboard: Scoreboard) -> tuple[WorkerStatus, ...]:
    """Return what the scoreboard tells of each process, in the order of their numbers."""
    return tuple(
        WorkerStatus(
            number=slot.number, pid=slot.pid, calls=slot.calls, draining=slot.leaving, started_at=slot.started_at
        )
        for slot in sorted(scoreboard.occupied(), key=lambda slot: slot.number)
    )
