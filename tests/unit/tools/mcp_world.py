"""MCP servers for tests: programs, and sources of tools that can be waited for."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from offhook.tools import CallContext, ToolResources, ToolResult
from offhook.tools.mcp import McpClientSettings
from offhook.tools.mcp_server import ListedTool, McpServer, McpServerTool

FAKES = Path(__file__).parents[2] / "fakes"
REAL = FAKES / "mcp_server.py"
ODD = FAKES / "mcp_odd_server.py"

CONTEXT = CallContext(id="call-1", invocation_id="inv-1")


class Watched(McpServer):
    """Tells when its tools change."""

    def __init__(self, settings: McpClientSettings) -> None:
        super().__init__(settings)
        self._changed = asyncio.Event()
        self.listings = 0

    def _listed(self, listed: Sequence[ListedTool]) -> None:
        super()._listed(listed)
        self.listings += 1
        self._changed.set()

    async def until(self, true: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    @property
    def names(self) -> list[str]:
        return [tool.definition.name.removeprefix(f"{self.name}__") for tool in self.tools]

    def tool(self, name: str) -> McpServerTool:
        (found,) = [tool for tool in self.tools if tool.definition.name == f"{self.name}__{name}"]
        return found

    async def ask(self, name: str, **arguments: Any) -> str | ToolResult:
        async with asyncio.timeout(30):
            return await self.tool(name).invoke(arguments, CONTEXT)


def settings(**changes: Any) -> McpClientSettings:
    return McpClientSettings.model_validate({"name": "crm", **changes})


@contextlib.asynccontextmanager
async def opened(**changes: Any) -> AsyncIterator[Watched]:
    """Open a server for the block; nothing of it is left behind."""
    before = asyncio.all_tasks()
    server = Watched(settings(**changes))
    try:
        await server.open(ToolResources())
        yield server
    finally:
        await server.close()
    assert server.tools == ()
    # What a server in this loop has begun is not ours.
    left = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in str(task.get_coro())}
    assert left == set()


def odd(*how: str, **changes: Any) -> contextlib.AbstractAsyncContextManager[Watched]:
    return opened(command=[sys.executable, str(ODD), *how], **changes)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def listening(port: int, *how: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the real server over HTTP for the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, REAL, "http", str(port), *how, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"listening\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
