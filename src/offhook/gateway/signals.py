"""What signals do to a gateway: stop, stop fast, read the configuration anew, renew the workers."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from offhook.telemetry.logging import get_logger

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = get_logger("offhook.gateway.signals")

Action = Callable[[], Awaitable[object]]


class Stoppable(Protocol):
    """A gateway, as one process or as several."""

    async def drain(self) -> None:
        """Take no new calls, and return when those that are have ended."""
        ...

    async def cut_calls(self) -> bool:
        """End all calls now; True if Genesys has closed them all in time."""
        ...


async def stopped_by_signal(
    gateway: Stoppable, actions: Mapping[str, Action] | None = None, *, heard: Callable[[], None] = lambda: None
) -> bool:
    """Return once SIGTERM or SIGINT came and the calls have ended, or a second one came and they were cut.

    Args:
        gateway: what the signals stop.
        actions: what other signals start, by the signal's name; each runs once at a time. One that comes while its
            action runs starts it once more. Names that the platform does not know are left out.
        heard: called as soon as signals have these meanings.

    Returns:
        False if calls had to be left without an end in the protocol.
    """
    stops: asyncio.Queue[None] = asyncio.Queue()
    with contextlib.ExitStack() as stack:
        for number in STOP_SIGNALS:
            stack.enter_context(_handled(number, lambda: stops.put_nowait(None)))
        for name, action in (actions or {}).items():
            if hasattr(signal, name):
                stack.enter_context(_repeated(signal.Signals[name], action))
        heard()
        await stops.get()
        draining = asyncio.ensure_future(gateway.drain())
        hurried = asyncio.ensure_future(stops.get())
        try:
            await asyncio.wait([draining, hurried], return_when=asyncio.FIRST_COMPLETED)
            if not draining.done():
                return await gateway.cut_calls()
            await draining
            return True
        finally:
            for task in (draining, hurried):
                task.cancel()
            await asyncio.wait([draining, hurried])


@contextlib.contextmanager
def _handled(number: signal.Signals, on_signal: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


@contextlib.contextmanager
def _repeated(number: signal.Signals, action: Action) -> Iterator[None]:
    """Run an action for each signal, one after the other; signals that come meanwhile count as one."""
    wanted = asyncio.Event()

    async def run() -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            try:
                await action()
            except Exception as error:
                _log.error("signal not obeyed", signal=number.name, exc_info=error)

    with _handled(number, wanted.set):
        running = asyncio.create_task(run(), name=f"on {number.name}")
        try:
            yield
        finally:
            running.cancel()
