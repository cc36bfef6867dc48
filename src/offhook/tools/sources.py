"""Opens and closes what tools need, while the gateway starts and stops."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog

from offhook.tools.base import ToolSource
from offhook.tools.resources import ToolResources

SOURCE_FAILED = "OH-TOOL-01"

#: Seconds that a source has to be opened, and to be closed.
OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 5.0

_log = structlog.get_logger("offhook.tools")


class ToolSources:
    """The sources of all agents, each once, however many agents list it.

    A source that fails or is slow costs the gateway its tools, nothing else.

    Args:
        sources: as the agents list them.
    """

    def __init__(self, sources: Iterable[ToolSource]) -> None:
        self._sources = tuple({id(source): source for source in sources}.values())
        # The loop holds tasks weakly; one that was given up on may take a while to end.
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, resources: ToolResources) -> None:
        """Open all of them at once; returns when they are, or after `OPEN_TIMEOUT`."""
        await self._all("open", lambda source: source.open(resources), OPEN_TIMEOUT)

    async def close(self) -> None:
        """Close all of them at once, also what could not be opened; returns when they are, or after `CLOSE_TIMEOUT`."""
        await self._all("close", lambda source: source.close(), CLOSE_TIMEOUT)

    async def _all(self, what: str, do: Callable[[ToolSource], Awaitable[None]], seconds: float) -> None:
        tasks = {asyncio.create_task(_quietly(what, source, do)): source for source in self._sources}
        if not tasks:
            return
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait(tasks, timeout=seconds)
        finally:
            for task, source in tasks.items():
                if not task.done():
                    task.cancel()
                    _complain(what, source, "TimeoutError")


async def _quietly(what: str, source: ToolSource, do: Callable[[ToolSource], Awaitable[None]]) -> None:
    try:
        await do(source)
    except Exception as error:
        # Its text may hold credentials.
        _complain(what, source, type(error).__name__)


def _complain(what: str, source: ToolSource, error: str) -> None:
    _log.warning(f"source of tools did not {what}", code=SOURCE_FAILED, source=type(source).__name__, error=error)
