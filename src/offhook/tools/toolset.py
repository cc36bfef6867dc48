"""The tools of one agent while the gateway runs."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import structlog

from offhook.tools.base import MAX_NAME_CHARS, CallContext, Tool, ToolSource
from offhook.tools.call_control import RESERVED_NAMES
from offhook.tools.runner import ReadyTool, RunningTools, ToolLimits, ToolRunner
from offhook.tools.sources import SOURCE_FAILED

SAME_NAME = "OH-TOOL-02"
UNUSABLE_NAME = "OH-TOOL-03"

_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME_CHARS}}}")
_MAX_COMPLAINTS = 100

_log = structlog.get_logger("offhook.tools")


class ToolSet:
    """Says which tools there are at the moment, and runs them for the calls of the agent.

    Args:
        entries: what the agent lists, in order; of two tools with one name the first counts.
        limits: bounds of all calls.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        entries: Sequence[Tool | ToolSource] = (),
        *,
        limits: ToolLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = tuple(entries)
        # Asked once: to tell what an entry is, Python looks at all of its properties.
        self._sources = {id(entry): entry for entry in self._entries if isinstance(entry, ToolSource)}
        self._limits = limits or ToolLimits()
        self._clock = clock
        self._ready: dict[str, ReadyTool] = {}
        self._running = RunningTools(self._limits.max_running)
        self._complaints: set[tuple[str, ...]] = set()

    @property
    def sources(self) -> tuple[ToolSource, ...]:
        """The entries that have to be opened and closed; see `ToolSources`."""
        return tuple(self._sources.values())

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that can be used at the moment."""
        found: dict[str, Tool] = {}
        for tool in self._listed():
            name = tool.definition.name
            if name in RESERVED_NAMES or not _NAME.fullmatch(name):
                self._complain("tool has a name that cannot be used", UNUSABLE_NAME, tool=name[:MAX_NAME_CHARS])
            elif found.setdefault(name, tool) is not tool:
                self._complain("two tools have one name", SAME_NAME, tool=name)
        return tuple(found.values())

    def begin(self, context: CallContext) -> ToolRunner:
        """Return what runs tools for a call, with the tools that there are now."""
        ready = {}
        for tool in self.tools:
            name = tool.definition.name
            before = self._ready.get(name)
            same = before is not None and before.tool is tool and before.definition == tool.definition
            ready[name] = before if before is not None and same else ReadyTool(tool, before)
        self._ready = ready
        return ToolRunner(ready, context, limits=self._limits, running=self._running, clock=self._clock)

    async def close(self) -> None:
        """Cancel the tools that still run."""
        await self._running.close()

    def _listed(self) -> Iterator[Tool]:
        for entry in self._entries:
            source = self._sources.get(id(entry))
            if source is None:
                yield cast(Tool, entry)
                continue
            try:
                yield from tuple(source.tools)
            except Exception as error:
                self._complain(
                    "source of tools did not list",
                    SOURCE_FAILED,
                    source=type(source).__name__,
                    error=type(error).__name__,
                )

    def _complain(self, event: str, code: str, **what: str) -> None:
        """Log something once."""
        complaint = (code, *what.values())
        if complaint not in self._complaints and len(self._complaints) < _MAX_COMPLAINTS:
            self._complaints.add(complaint)
            _log.warning(event, code=code, **what)
