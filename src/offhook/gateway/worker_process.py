"""One worker as its supervisor sees it: a process, the channel to it, and its slot on the scoreboard."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

import msgspec

from offhook.gateway.channel import Begin, Channel, ChannelClosed, Failed, Order, Ready, Reload, Reloaded
from offhook.gateway.control import ReloadOutcome
from offhook.gateway.scoreboard import Slot

START_TIMEOUT = 60.0
"""Seconds that a worker has until it takes calls."""

RELOAD_TIMEOUT = 20.0
"""Seconds that a worker has to go by another configuration."""


class WorkerFailed(Exception):
    """A worker could not be started; `status` is for the exit of the command, `lines` say why."""

    def __init__(self, status: int, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.status = status
        self.lines = tuple(lines)


class WorkerProcess:
    """A worker from its start until its process is gone.

    Args:
        process: its process.
        channel: to it.
        slot: its numbers, cleared when it is gone.
        begin: what it was told.
    """

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel, slot: Slot, begin: Begin) -> None:
        self.number = begin.number
        self.channel = channel
        self.slot = slot
        self.text = begin.text
        """The configuration that it goes by."""
        self.began = time.monotonic()
        self.leaving = False
        """It was told to go."""
        self.killed = False
        """By us."""
        self.gone = asyncio.Event()
        self.status = 0
        """Exit status, once it is gone."""
        self.lost_calls = 0
        """Calls that it carried when it went."""
        self._process = process
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def spawn(
        cls,
        command: Sequence[str],
        begin: Begin,
        slot: Slot,
        on_order: Callable[["WorkerProcess", Order], Awaitable[None]],
    ) -> Self:
        """Start a process and tell it to be a worker.

        Args:
            command: what runs; the descriptor of the channel is added to it.
            begin: what it is told first.
            slot: a free slot.
            on_order: gets what it says.

        Raises:
            OSError: the process cannot be started.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    str(theirs.fileno()),
                    pass_fds=(theirs.fileno(), begin.scoreboard, *begin.sockets),
                    stdin=subprocess.DEVNULL,
                    # Out of reach of a terminal's Ctrl-C, which is for the supervisor.
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        slot.occupy(begin.number, process.pid)
        worker = cls(process, await Channel.over(ours), slot, begin)
        worker.channel.send(begin)
        worker._tasks += [asyncio.create_task(worker._listen(on_order)), asyncio.create_task(worker._reap())]
        return worker

    async def ready(self) -> None:
        """Return once it takes calls; WorkerFailed when it does not come to that."""
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise WorkerFailed(1, [f"worker {self.number} did not take calls within {START_TIMEOUT:g} s"]) from None

    async def reload(self, text: str) -> ReloadOutcome:
        """Make it go by another configuration, within `RELOAD_TIMEOUT`."""
        try:
            outcome = (await self.channel.ask(Reload(text=text), Reloaded, RELOAD_TIMEOUT)).outcome
        except (ChannelClosed, TimeoutError):
            return ReloadOutcome(applied=False, problems=(f"worker {self.number} did not answer",))
        if outcome.applied:
            self.text = text
            return outcome
        problems = tuple(f"worker {self.number}: {problem}" for problem in outcome.problems)
        return msgspec.structs.replace(outcome, problems=problems)

    def kill(self) -> None:
        """End it at once; its calls lose their sockets."""
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _listen(self, on_order: Callable[["WorkerProcess", Order], Awaitable[None]]) -> None:
        while (order := await self.channel.receive()) is not None:
            match order:
                case Ready():
                    self._settle(None)
                case Failed(status=status, lines=lines):
                    self._settle(WorkerFailed(status, lines))
                case _:
                    await on_order(self, order)

    async def _reap(self) -> None:
        self.status = await self._process.wait()
        # What it said last may still be on its way.
        await asyncio.wait(self._tasks[:1], timeout=1.0)
        self._settle(WorkerFailed(1, [f"worker {self.number} ended with status {self.status} before it took calls"]))
        self.lost_calls = self.slot.calls
        self.slot.clear()
        await self.channel.close()
        self.gone.set()

    def _settle(self, failure: WorkerFailed | None) -> None:
        if self._ready.done():
            return
        if failure is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(failure)
            # Whether or not somebody is waiting for it.
            self._ready.exception()
