"""The tools of an MCP server that offhook talks to. The package ``mcp`` is imported when the server is opened."""

import asyncio
import contextlib
import hashlib
import importlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import BaseModel

from offhook.tools.base import MAX_NAME_CHARS, CallContext, ToolDefinition, ToolPolicy, ToolResult, ToolUnavailable
from offhook.tools.resources import ToolResources

if TYPE_CHECKING:
    from offhook.tools.mcp import McpClientSettings
    from offhook.tools.mcp_client import McpClient

#: Tools of one server that an agent gets.
MAX_TOOLS = 64
#: Characters of a description that the model reads.
MAX_DESCRIPTION_CHARS = 1024
#: The schema of a tool, as JSON; it is context for every turn.
MAX_SCHEMA_BYTES = 32 * 1024
#: Seconds for the first attempt to connect; later ones go on beside the calls.
OPEN_WAIT = 5.0
#: Seconds for the connection to be closed properly, and then by force.
CLOSE_WAIT = 3.0
FORCE_WAIT = 1.0

LEFT_OUT = "OH-MCP-02"
NOT_OFFERED = "OH-MCP-03"

_UNUSUAL = re.compile(r"[^A-Za-z0-9_-]")

_log = structlog.get_logger("offhook.tools")


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server describes it."""

    name: str
    description: str
    schema: dict[str, Any]
    """JSON schema of its arguments."""


class McpServerTool:
    """One tool of a server."""

    def __init__(self, server: "McpServer", tool: ListedTool, definition: ToolDefinition, policy: ToolPolicy) -> None:
        self.definition = definition
        self.policy = policy
        self._server = server
        self._name = tool.name

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> str | ToolResult:
        """Let the server do the work, once; ToolError says why it could not be done."""
        return await self._server.call(self._name, arguments, context.invocation_id, self.policy)


class McpServer:
    """An MCP server as a source of tools.

    While it cannot be reached it has none, and is tried again and again. Its connection belongs to one task, which
    `open` starts and `close` ends.

    Args:
        settings: how it is reached, and what of it is used.
        entry: as it was written, for `offhook config show`.
    """

    def __init__(self, settings: "McpClientSettings", entry: BaseModel | None = None) -> None:
        self.settings = settings
        self.entry = entry
        self.name = settings.name
        self._tools: tuple[McpServerTool, ...] = ()
        self._client: McpClient | None = None
        self._owner: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._complaints: set[tuple[str, str]] = set()

    @property
    def tools(self) -> Sequence[McpServerTool]:
        """The tools that can be used at the moment."""
        return self._tools

    async def open(self, resources: ToolResources) -> None:
        """Begin to connect; returns after the first attempt, or earlier if that takes long."""
        if self._owner is not None:
            return
        self._tried.clear()
        self._owner = asyncio.create_task(self._own(), name=f"mcp {self.name}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_WAIT):
                await self._tried.wait()

    async def close(self) -> None:
        """End the connection and the program behind it, by force if need be."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        if self._client is not None:
            self._client.stop()
        for patience in (CLOSE_WAIT, FORCE_WAIT):
            owner.cancel()
            await asyncio.wait({owner}, timeout=patience)
            if owner.done():
                return
        _log.warning("mcp server does not let go", server=self.name)

    async def call(
        self, name: str, arguments: dict[str, Any], invocation_id: str, policy: ToolPolicy
    ) -> str | ToolResult:
        """Let the server run a tool; ToolUnavailable if it cannot be reached."""
        if self._client is None:
            raise ToolUnavailable(f"{self.name} cannot be reached at the moment")
        # Single values can be taken out of data, not out of a text.
        return await self._client.call(name, arguments, invocation_id, structured=bool(policy.redact))

    async def _own(self) -> None:
        try:
            # In a thread, for the import takes a second or two.
            module = await asyncio.to_thread(importlib.import_module, "offhook.tools.mcp_client")
            self._client = module.McpClient(self.settings, self._listed)
            await self._client.run()
        except Exception as error:
            _log.error("mcp client failed", server=self.name, error=type(error).__name__)
        finally:
            self._client = None
            self._listed(())

    def _listed(self, listed: Sequence[ListedTool]) -> None:
        """Take what the server offers now; nothing while it cannot be reached."""
        before = {tool.definition.name: tool for tool in self._tools}
        found: dict[str, McpServerTool] = {}
        allowed = self.settings.tools
        for tool in listed:
            if allowed is not None and tool.name not in allowed:
                continue
            name = function_name(self.name, tool.name)
            problem = _problem(tool) or ("its name is taken" if name in found else "")
            if problem or len(found) == MAX_TOOLS:
                self._complain(LEFT_OUT, tool.name, problem or f"there are more than {MAX_TOOLS}")
                continue
            schema = {"properties": {}, **tool.schema}
            definition = ToolDefinition(name, tool.description[:MAX_DESCRIPTION_CHARS], schema)
            known = before.get(name)
            # The same object as before, so that whatever is remembered of it stays true.
            same = known is not None and known.definition == definition and known._name == tool.name
            made = McpServerTool(self, tool, definition, self.settings.policy_of(tool.name))
            found[name] = known if known is not None and same else made
        self._tools = tuple(found.values())
        if listed:
            self._check_names({tool.name for tool in listed})
        self._tried.set()

    def _check_names(self, offered: set[str]) -> None:
        """Complain of names in the configuration that the server does not know: a typing error goes unnoticed."""
        confirm = self.settings.confirm if isinstance(self.settings.confirm, tuple) else ()
        for name in (*(self.settings.tools or ()), *confirm):
            if name not in offered:
                self._complain(NOT_OFFERED, name, "the server has no such tool")

    def _complain(self, code: str, tool: str, problem: str) -> None:
        """Log something once."""
        complaint = (code, tool)
        if complaint not in self._complaints and len(self._complaints) < MAX_TOOLS:
            self._complaints.add(complaint)
            _log.warning("mcp tool", code=code, server=self.name, tool=tool[:MAX_NAME_CHARS], problem=problem)


def function_name(server: str, tool: str) -> str:
    """Return the name of the function for a server's tool: of 64 characters at most, all of which the API takes.

    A name that is too long ends with a hash of it instead, so that two of them differ.
    """
    name = f"{server}__{_UNUSUAL.sub('_', tool)}"
    if len(name) <= MAX_NAME_CHARS:
        return name
    digest = hashlib.sha256(tool.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name[: MAX_NAME_CHARS - len(digest) - 1]}_{digest}"


def _problem(tool: ListedTool) -> str:
    """Return why a tool cannot be offered; empty when it can."""
    if tool.schema.get("type") != "object" or not isinstance(tool.schema.get("properties", {}), dict):
        return "its arguments are no object"
    if len(json.dumps(tool.schema)) > MAX_SCHEMA_BYTES:
        return "the schema of its arguments is too large"
    return ""
