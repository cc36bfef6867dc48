"""Real servers for tools to call: one that answers as it is told to, and one that ends connections as it likes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """An HTTP server that keeps what it was asked.

    Args:
        handle: gives the answers; by default the request as JSON.
    """

    def __init__(self, handle: Handle | None = None) -> None:
        self.handle = handle or echo
        self.requests: list[web.BaseRequest] = []
        self.bodies: list[bytes] = []
        self.port = 0

    @property
    def paths(self) -> list[str]:
        """The targets of the requests, as they were written."""
        return [request.raw_path for request in self.requests]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self.handle(request)

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Service"]:
        """Listen on 127.0.0.1."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0, access_log=None, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    """Answer with the request."""
    return web.json_response({"method": request.method, "target": request.raw_path, "body": await request.text()})


Step = Callable[[asyncio.StreamWriter], Awaitable[bool]]
"""What happens after a request was read; False ends the connection."""


class RawService:
    """A server that takes one step for every request, on whatever connection it comes."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            go_on = True
            while go_on:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                self.requests.append(head + await reader.readexactly(length))
                step = self._steps.pop(0) if self._steps else hang_up
                go_on = await step(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RawService"]:
        """Listen on 127.0.0.1."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def hang_up(writer: asyncio.StreamWriter) -> bool:
    """End the connection without an answer."""
    return False


async def reset(writer: asyncio.StreamWriter) -> bool:
    """Reset the connection."""
    writer.transport.abort()
    return False


def say(data: bytes, *, go_on: bool = True) -> Step:
    """Write these bytes."""

    async def step(writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        await writer.drain()
        return go_on

    return step


def answer(body: bytes = b"{}", *, status: str = "200 OK", headers: bytes = b"") -> Step:
    """Write a whole answer and keep the connection."""
    return say(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status.encode(), headers, len(body), body))
