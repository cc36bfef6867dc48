"""The parts of a gateway are closed one after the other, and none of them can hold up the rest."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from offhook.telemetry.logging import get_logger

NOT_CLOSED = "OH-GATE-14"

CLOSE_TIMEOUT = 5.0
"""Seconds that a part has to be closed, unless it says otherwise."""

_log = get_logger("offhook.gateway.closing")


@dataclass(frozen=True, slots=True)
class Part:
    """Something that has to be closed when the gateway stops: a store, an exporter, sources of tools."""

    name: str
    """For the log."""
    close: Callable[[], Awaitable[None]]
    deadline: float = CLOSE_TIMEOUT
    """Seconds."""


async def close_in_order(parts: Iterable[Part]) -> None:
    """Close all parts in their order; one that fails or takes too long costs a log line, and the next one's turn comes.

    A part that does not heed its cancellation is left behind.
    """
    for part in parts:
        closing = asyncio.ensure_future(part.close())
        try:
            await asyncio.wait([closing], timeout=part.deadline)
        finally:
            done = closing.done()
            closing.cancel()
        if not done:
            _log.warning("part not closed", code=NOT_CLOSED, part=part.name, error="TimeoutError")
        elif not closing.cancelled() and (error := closing.exception()) is not None:
            _log.warning("part not closed", code=NOT_CLOSED, part=part.name, exc_info=error)
