"""The connection to an MCP server: one task owns it, connects again when it is lost, and makes the calls of all others.

What the SDK opens in a task has to be closed in the same task ("exit cancel scope in a different task"), so nobody but
the owner touches it: calls are handed over, and made beside each other in tasks that live no longer than it does.
Imported when a server is opened, for the SDK takes a second or two.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from mcp import Client, ClientSession, MCPError
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp_types import (
    INVALID_PARAMS,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    PaginatedRequestParams,
    ToolListChangedNotification,
)
from pydantic import TypeAdapter

from offhook._version import __version__
from offhook.tools.base import ToolError, ToolResult, ToolUnavailable
from offhook.tools.mcp_http import HttpLink
from offhook.tools.mcp_results import MAX_TEXT_CHARS, read_result
from offhook.tools.mcp_server import ListedTool
from offhook.tools.mcp_stdio import StdioLink

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

    from offhook.tools.mcp import McpClientSettings

UNREACHABLE = "OH-MCP-01"

#: Seconds to connect and to list the tools.
CONNECT_LIMIT = 30.0
#: Seconds for one list of tools, and for every other answer but that of a tool.
LIST_LIMIT = 10.0
#: Pages of such a list.
MAX_PAGES = 20
#: Calls that run or wait at once.
MAX_CALLS = 64
#: Seconds for a call whose tool has no time limit of its own; that of the gateway is shorter.
CALL_LIMIT = 600.0
#: Seconds between two looks at what tools there are, if the server does not say that they changed.
RECHECK = 60.0
#: Seconds between two such looks at least.
PAUSE = 1.0
#: Seconds until the next attempt to connect, and after how long a connection counts as a good one.
DELAYS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SETTLED = 10.0
#: Name of what tells the server of two attempts at one call; in ``_meta`` of the request.
INVOCATION_KEY = "offhook/invocation_id"

_ANSWER: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(CallToolResult | InputRequiredResult)

_log = structlog.get_logger("offhook.tools")


class Link(Protocol):
    """One way to a server."""

    problem: str
    """What went wrong last, in words without secrets; may be empty."""

    def streams(self) -> "contextlib.AbstractAsyncContextManager[TransportStreams]":
        """Open it, and close it in the same task."""

    def connected(self) -> None:
        """Take note that the server has answered, and that calls may follow."""


@dataclass(eq=False, slots=True)
class _Call:
    """A call on its way to the owner."""

    name: str
    arguments: dict[str, Any]
    invocation_id: str
    structured: bool
    result: asyncio.Future[str | ToolResult] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class McpClient:
    """Talks to one MCP server.

    Args:
        settings: how it is reached.
        listed: takes the tools each time they are listed, and none when the connection is lost.
    """

    def __init__(self, settings: "McpClientSettings", listed: Callable[[Sequence[ListedTool]], None]) -> None:
        self._settings = settings
        self._listed = listed
        self._limit = settings.timeout or CALL_LIMIT
        self._waiting: deque[_Call] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._doubted = asyncio.Event()
        self._connected = self._served = False
        self._lost: str | None = None
        self._stopping = asyncio.Event()

    async def call(
        self, name: str, arguments: dict[str, Any], invocation_id: str = "", *, structured: bool = False
    ) -> str | ToolResult:
        """Let the server run a tool, once; callable from any task.

        Args:
            name: as the server calls it.
            arguments: JSON data.
            invocation_id: the same for two attempts at one call, never for two calls.
            structured: the result is wanted as data, if there is any.

        Raises:
            ToolError: the tool says why it could not do its work.
            ToolUnavailable: the server cannot be reached, or does not answer as it should.
        """
        if not self._connected:
            raise self._unreachable()
        if len(self._waiting) + len(self._running) >= MAX_CALLS:
            raise ToolError("too many tools are running at the moment")
        call = _Call(name, arguments, invocation_id, structured)
        self._waiting.append(call)
        self._wake.set()
        return await call.result

    def stop(self) -> None:
        """Connect no more. What is going on ends when the task of `run` is cancelled.

        That alone is not enough: on its way out of the SDK a cancellation may turn into an error of a request that was
        under way.
        """
        self._stopping.set()

    async def run(self) -> None:
        """Keep connected until stopped and cancelled; this task owns the connection."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            link = self._link()
            problem, self._served = "", False
            try:
                problem = await self._live(link)
            except Exception as error:
                problem = link.problem or self._lost or _name_of(error)
            finally:
                self._disconnected()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > SETTLED:
                failures = 0
            delay = DELAYS[min(failures, len(DELAYS) - 1)]
            log = _log.warning if failures == 0 or self._served else _log.debug
            log("mcp server lost", code=UNREACHABLE, server=self._settings.name, problem=problem, again_after=delay)
            failures += 1
            await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - spreads attempts

    def _link(self) -> Link:
        if self._settings.url is not None:
            return HttpLink(self._settings, self._limit, self._doubted.set)
        return StdioLink(self._settings, self._lose)

    async def _live(self, link: Link) -> str:
        """Connect, serve until the connection is lost, and return why it was."""
        self._lost = None
        self._wake.clear()
        self._doubted.clear()
        client = Client(
            link.streams(),
            mode="auto",
            cache=None,
            read_timeout_seconds=LIST_LIMIT,
            message_handler=self._on_message,
            client_info=Implementation(name="offhook", version=__version__),
        )
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_LIMIT):
                await stack.enter_async_context(client)
                tools = await _list(client.session)
            link.connected()
            self._connected = self._served = True
            self._listed(tools)
            _log.info("mcp server connected", server=self._settings.name, tools=len(tools))
            await stack.enter_async_context(_beside(self._watch(client.session, link), self._follow(client)))
            stack.push_async_callback(self._end_calls)
            return await self._serve(client.session)

    async def _serve(self, session: ClientSession) -> str:
        """Begin calls as they come, until the connection is lost."""
        while self._lost is None:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                call = self._waiting.popleft()
                task = asyncio.create_task(self._carry_out(session, call), name=f"mcp call {call.name}")
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                call.result.add_done_callback(_cancels(task))
        return self._lost

    async def _carry_out(self, session: ClientSession, call: _Call) -> None:
        """Make one call and hand over what came of it; raises nothing."""
        name = self._settings.name
        failure: ToolError = ToolUnavailable(f"{name} failed, but may have done its work")
        try:
            # The SDK counts from when the request is written, which may never be.
            async with asyncio.timeout(self._limit + LIST_LIMIT):
                meta: Any = {INVOCATION_KEY: call.invocation_id} if call.invocation_id else None
                params = CallToolRequestParams(name=call.name, arguments=call.arguments, _meta=meta)
                # Not through Client.call_tool, which sends a call again when the server has doubts about its headers.
                answer = await session.send_request(CallToolRequest(params=params), _ANSWER, self._limit)
            if not call.result.done():
                call.result.set_result(read_result(answer, structured=call.structured))
        except ToolError as error:
            failure = error
        except MCPError as error:
            if error.code == INVALID_PARAMS:
                failure = ToolError(error.message[:MAX_TEXT_CHARS])
            elif error.code == REQUEST_TIMEOUT:
                failure = ToolUnavailable(f"{name} did not answer in time, but may have done its work")
            else:
                # Whatever it was, the server may be gone, or have other tools than it had.
                self._doubted.set()
        except Exception as error:
            # What the SDK cannot read; its text quotes the answer.
            _log.warning("mcp answer cannot be read", server=name, error=type(error).__name__)
        finally:
            if not call.result.done():
                call.result.set_exception(failure)

    async def _watch(self, session: ClientSession, link: Link) -> None:
        """List the tools again when they may have changed, and now and then anyway: it shows that the server lives."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECHECK):
                    await self._doubted.wait()
            self._doubted.clear()
            link.problem = ""
            try:
                self._listed(await _list(session))
            except Exception as error:
                self._lose(link.problem or _name_of(error))
                return
            await asyncio.sleep(PAUSE)

    async def _follow(self, client: Client) -> None:
        """Hear of changes as servers from 2026-07-28 on tell them; older ones send a notification by themselves."""
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._doubted.set()
            except SubscriptionLost:
                pass
            except (ListenNotSupportedError, MCPError, TimeoutError):
                return  # then they show at the next look
            self._doubted.set()
            await asyncio.sleep(PAUSE)

    async def _on_message(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._doubted.set()

    def _lose(self, problem: str) -> None:
        """Note that the connection is of no use any more."""
        self._lost = problem
        self._wake.set()

    def _disconnected(self) -> None:
        """Withdraw the tools, and fail the calls that were not begun."""
        self._connected = False
        self._listed(())
        while self._waiting:
            call = self._waiting.popleft()
            if not call.result.done():
                call.result.set_exception(self._unreachable())

    async def _end_calls(self) -> None:
        """End the calls that run: whether the server has done their work is not known."""
        self._disconnected()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _unreachable(self) -> ToolUnavailable:
        return ToolUnavailable(f"{self._settings.name} cannot be reached at the moment")


async def _list(session: ClientSession) -> list[ListedTool]:
    """Return all tools of the server, page by page."""
    listed: list[ListedTool] = []
    cursor: str | None = None
    async with asyncio.timeout(LIST_LIMIT):
        for _ in range(MAX_PAGES):
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
            listed += [ListedTool(tool.name, tool.description or "", tool.input_schema) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
    return listed


@contextlib.asynccontextmanager
async def _beside(*work: Any) -> AsyncIterator[None]:
    """Let coroutines run beside the block, and no longer."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _cancels(task: asyncio.Task[None]) -> Callable[[asyncio.Future[Any]], None]:
    """Return a callback for a result that nobody waits for any more."""

    def cancel(result: asyncio.Future[Any]) -> None:
        if result.cancelled():
            task.cancel()

    return cancel


def _name_of(error: BaseException) -> str:
    """Return the kind of an error; its text may hold anything."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"error {error.code}" if isinstance(error, MCPError) else type(error).__name__
