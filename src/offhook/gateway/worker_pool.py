"""Keeps so many workers running: replaces those that die, and gives those that are to go a successor first."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec

from offhook.gateway.channel import Begin, HandOver, Message, Order
from offhook.gateway.scoreboard import Scoreboard
from offhook.gateway.worker_process import WorkerFailed, WorkerProcess
from offhook.telemetry.logging import get_logger

WORKER_DIED = "OH-GATE-12"
WORKER_FAILED = "OH-GATE-13"
KILLED = "OH-GATE-03"

BACK_OFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a worker is replaced that has died so many times in a row; the last for all further times."""

STEADY_AFTER = 60.0
"""Seconds after which a worker's death is not in a row with the one before."""

SLOTS_PER_WORKER = 4
"""Processes for each worker, those included that carry their calls to the end while a successor listens."""

_log = get_logger("offhook.gateway.worker_pool")


class _Place:
    """One of the workers that there have to be, whoever it is at the moment."""

    def __init__(self, worker: WorkerProcess) -> None:
        self.worker = worker
        self.changing = asyncio.Lock()
        """Held by whoever is about to replace the worker."""
        self._attempts = 0

    def pause(self) -> float:
        """Count an attempt to replace the worker, and return how many seconds to wait before it."""
        pause = BACK_OFF[min(self._attempts, len(BACK_OFF) - 1)]
        self._attempts += 1
        return pause

    def lasted(self, seconds: float) -> None:
        """Learn how long the worker has lived."""
        if seconds >= STEADY_AFTER:
            self._attempts = 0


class WorkerPool:
    """The workers of a gateway.

    Args:
        command: what runs a worker; the descriptor of its channel is added.
        begin: what a new worker is told; may be replaced when the configuration is another.
        scoreboard: its slots bound the number of processes.
        on_order: gets what workers say.
    """

    def __init__(
        self,
        command: Sequence[str],
        begin: Begin,
        scoreboard: Scoreboard,
        on_order: Callable[[WorkerProcess, Order], Awaitable[None]],
    ) -> None:
        self.begin = begin
        self._command = tuple(command)
        self._scoreboard = scoreboard
        self._on_order = on_order
        self._places: list[_Place] = []
        self._processes: dict[WorkerProcess, asyncio.Task[None]] = {}
        """All that live, with the task that ends when they do not any more."""
        self._numbers = 0
        self._slot_freed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        """What ends when the gateway begins to stop: keeping and replacing workers."""
        self.standing_down = False
        """Nobody is replaced any more."""

    @property
    def workers(self) -> tuple[WorkerProcess, ...]:
        """Those that listen, or are about to be replaced."""
        return tuple(place.worker for place in self._places)

    @property
    def processes(self) -> frozenset[WorkerProcess]:
        """All that live, those that have handed over included."""
        return frozenset(self._processes)

    async def start(self, count: int) -> None:
        """Start so many workers and keep them; returns when all take calls.

        Raises:
            WorkerFailed: one did not come to that.
        """
        starts = [asyncio.create_task(self._start_worker()) for _ in range(count)]
        try:
            self._places = [_Place(worker) for worker in await asyncio.gather(*starts)]
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            raise
        for place in self._places:
            self.run(self._keep(place))

    async def renew(self, worker: WorkerProcess) -> None:
        """Let a worker hand over to a successor; a worker that has one already, or is gone, needs none.

        Raises:
            WorkerFailed: the successor cannot be started; the worker stays.
        """
        place = next((place for place in self._places if place.worker is worker), None)
        if place is None:
            return
        async with place.changing:
            if place.worker is not worker or worker.gone.is_set():
                return
            place.worker = await self._start_worker()
        worker.leaving = True
        worker.channel.send(HandOver())

    def tell(self, message: Message) -> None:
        """Say something to all processes."""
        for worker in self._processes:
            worker.leaving = True
            worker.channel.send(message)

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something as long as workers are replaced; it is cancelled when the gateway begins to stop."""
        task = asyncio.create_task(work)
        if self.standing_down:
            task.cancel()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stand_down(self) -> None:
        """Replace nobody any more; those that were being started are ended."""
        self.standing_down = True
        for task in self._tasks:
            task.cancel()

    async def wait_until_gone(self, seconds: float) -> None:
        """Return when all processes are gone; those that are left after so many seconds are killed."""
        processes = self.processes
        gone = asyncio.gather(*self._processes.values())
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(gone)
        except TimeoutError:
            for worker in processes:
                if not worker.gone.is_set():
                    _log.warning("worker killed", code=KILLED, worker=worker.number, calls=worker.slot.calls)
                    worker.kill()
            await gone

    async def _keep(self, place: _Place) -> None:
        """See to it that there is somebody at a place."""
        while True:
            worker = place.worker
            await worker.gone.wait()
            async with place.changing:
                if place.worker is worker:
                    place.worker = await self._replacement(place)

    async def _replacement(self, place: _Place) -> WorkerProcess:
        place.lasted(time.monotonic() - place.worker.began)
        while True:
            pause = place.pause()
            _log.info("worker is replaced", worker=place.worker.number, after=pause)
            await asyncio.sleep(pause)
            try:
                return await self._start_worker()
            except WorkerFailed as error:
                for line in error.lines:
                    _log.error("worker not started", code=WORKER_FAILED, problem=line)

    async def _start_worker(self) -> WorkerProcess:
        """Return a worker that takes calls by the latest configuration; WorkerFailed when it does not come to that."""
        while (slot := self._scoreboard.free()) is None:
            _log.warning("no worker can be started before another has carried its calls to the end")
            self._slot_freed.clear()
            await self._slot_freed.wait()
        self._numbers += 1
        begin = msgspec.structs.replace(self.begin, number=self._numbers, slot=self._scoreboard.slots.index(slot))
        slot.occupy(begin.number, 0)  # so that nobody else takes it meanwhile
        try:
            worker = await WorkerProcess.spawn(self._command, begin, slot, self._on_order)
        except OSError as error:
            slot.clear()
            why = error.strerror or type(error).__name__
            raise WorkerFailed(1, [f"worker {begin.number} cannot be started: {why}"]) from error
        gone = self._processes[worker] = asyncio.create_task(self._watch(worker))
        try:
            await worker.ready()
            while worker.text != self.begin.text:
                # There was a reload while it started.
                outcome = await worker.reload(self.begin.text)
                if not outcome.applied:
                    raise WorkerFailed(1, outcome.problems)
        except BaseException:
            worker.leaving = True
            worker.kill()
            await asyncio.shield(gone)
            raise
        _log.info("worker takes calls", worker=worker.number, pid=slot.pid)
        return worker

    async def _watch(self, worker: WorkerProcess) -> None:
        await worker.gone.wait()
        del self._processes[worker]
        self._slot_freed.set()
        if not worker.killed and (worker.status or not worker.leaving):
            _log.error(
                "worker died", code=WORKER_DIED, worker=worker.number, status=worker.status, calls=worker.lost_calls
            )
