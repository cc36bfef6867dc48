"""A real MCP server, built with the SDK, as a program: ``mcp_server.py stdio`` or ``mcp_server.py http PORT [legacy]``.

Over HTTP it prints a line as soon as it listens. ``legacy`` makes it speak what servers spoke before 2026-07-28. Some
calls leave the name of their tool in the file that the environment variable CALLS names.
"""

import asyncio
import os
import socket
import sys
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ResourceLink, TextContent
from starlette.types import ASGIApp, Receive, Scope, Send

server = MCPServer("shop", log_level="CRITICAL")


def note(name: str) -> None:
    calls = os.environ.get("CALLS")
    if calls:
        with open(calls, "a", encoding="utf-8") as file:
            file.write(f"{name}\n")


@server.tool()
async def lookup(order_id: str) -> dict[str, Any]:
    """Look an order up."""
    note("lookup")
    return {"order_id": order_id, "status": "shipped", "card": "4111"}


@server.tool()
async def say(text: str) -> str:
    """Say a text."""
    return text


@server.tool()
async def book(slot: str) -> str:
    """Book a slot, and die before anybody knows."""
    note("book")
    os._exit(3)


@server.tool()
async def slow(seconds: float) -> str:
    """Take a while."""
    note("slow")
    await asyncio.sleep(seconds)
    return "at last"


@server.tool()
async def fail() -> str:
    """Fail."""
    raise ToolError("there is no such order " + "!" * 2000)


@server.tool()
async def big(size: int) -> str:
    """Say much."""
    return "x" * size


@server.tool()
async def data() -> CallToolResult:
    """Give data and no text."""
    return CallToolResult(content=[], structured_content={"status": "shipped"})


@server.tool(structured_output=False)
async def picture() -> list[Any]:
    """Give a picture."""
    link = ResourceLink(type="resource_link", uri="file:///terms.pdf", name="terms")
    return [Image(data=b"\x89PNG", format="png"), link, TextContent(type="text", text="that is all")]


@server.tool()
async def environment() -> str:
    """Name what is in the environment, and the process."""
    return " ".join([str(os.getpid()), *sorted(os.environ)])


@server.tool()
async def request(ctx: Context) -> str:
    """Tell what came with the request."""
    headers = ctx.headers or {}
    return f"{headers.get('authorization', '')} {ctx.request_context.meta or {}}"


@server.tool()
async def grow(ctx: Context) -> str:
    """Get another tool."""

    async def late() -> str:
        """Came late."""
        return "late"

    server.add_tool(late)
    await ctx.notify_tools_changed()
    if ctx.protocol_version != "2026-07-28":
        await ctx.session.send_tool_list_changed()
    return "grown"


def legacy(app: ASGIApp) -> ASGIApp:
    """Refuse what servers before 2026-07-28 do not know."""

    async def without_discovery(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        if headers.get(b"mcp-protocol-version") != b"2026-07-28":
            await app(scope, receive, send)
            return
        body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"Method not found"}}'
        await send({"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return without_discovery


def main() -> None:
    if sys.argv[1] == "stdio":
        print("this is no message", flush=True)
        server.run("stdio")
        return
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(sys.argv[2])))
    listening.listen()
    app: ASGIApp = server.streamable_http_app()
    if "legacy" in sys.argv:
        app = legacy(app)
    print("listening", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)).run(sockets=[listening])


if __name__ == "__main__":
    main()
