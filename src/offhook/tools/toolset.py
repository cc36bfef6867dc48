"""The tools of one agent while the gateway runs."""

from collections.abc import Sequence

from offhook.bridge.commands import ToolOutcome
from offhook.tools.base import CallContext, Tool, ToolSource
from offhook.tools.resources import ToolResources
from offhook.tools.runner import ToolRunner


class ToolSet:
    """Opens what tools need, says which there are, and runs them.

    Args:
        entries: what the agent lists, in order; of two tools with one name the first counts.
    """

    def __init__(self, entries: Sequence[Tool | ToolSource] = ()) -> None:
        self._entries = tuple(entries)

    async def open(self, resources: ToolResources) -> None:
        """Open every source."""
        for entry in self._entries:
            if isinstance(entry, ToolSource):
                await entry.open(resources)

    async def close(self) -> None:
        """Close every source."""
        for entry in self._entries:
            if isinstance(entry, ToolSource):
                await entry.close()

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that can be used at the moment."""
        found: dict[str, Tool] = {}
        for entry in self._entries:
            for tool in entry.tools if isinstance(entry, ToolSource) else (entry,):
                found.setdefault(tool.definition.name, tool)
        return tuple(found.values())

    async def run(self, name: str, arguments_json: str, context: CallContext, timeout: float) -> ToolOutcome:  # noqa: ASYNC109
        """Run a tool; see `ToolRunner.run`."""
        return await ToolRunner(self.tools).run(name, arguments_json, context, timeout)
