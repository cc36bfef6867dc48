"""Streamable HTTP to an MCP server: no redirects, no compression, bounded answers.

The SDK takes any trouble with one request for the end of the connection, and of all requests that run beside it. Here
it becomes an answer that says so, and the owner looks whether the server is still there.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import httpx2
from mcp.client.streamable_http import streamable_http_client

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

    from offhook.tools.mcp import McpClientSettings

#: Seconds to connect, to send, and to find a free connection; the same for the farewell to the server.
CONNECT_TIMEOUT = 5.0
#: Longest message of a server.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024


class HttpLink:
    """The way to a server with streamable HTTP.

    Args:
        settings: address and headers.
        call_limit: seconds that a call may take.
        doubt: is called when the server may have gone.
    """

    def __init__(self, settings: "McpClientSettings", call_limit: float, doubt: Callable[[], None]) -> None:
        self.problem = ""
        self._settings = settings
        self._call_limit = call_limit
        self._doubt = doubt

    @contextlib.asynccontextmanager
    async def streams(self) -> "AsyncIterator[TransportStreams]":
        """Open the way, and close it in the same task."""
        headers = {name: value.get_secret_value() for name, value in self._settings.headers.items()}
        client = httpx2.AsyncClient(
            # An answer that unpacks to a thousand times its size would not be bounded by the size of what arrives.
            headers={**headers, "Accept-Encoding": "identity"},
            # A call that was given up goes on at the server; its answer is waited for a little longer.
            timeout=httpx2.Timeout(CONNECT_TIMEOUT, read=self._call_limit + CONNECT_TIMEOUT),
            transport=_Guard(self._failed, self._doubt),
            max_redirects=0,
        )
        url = self._settings.url or ""
        async with client, streamable_http_client(url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as way:
            yield way

    def connected(self) -> None:
        """Forget what went wrong on the way."""
        self.problem = ""

    def _failed(self, problem: str) -> None:
        self.problem = problem


class _Guard(httpx2.AsyncBaseTransport):
    """Sends requests; what goes wrong becomes an answer."""

    def __init__(self, failed: Callable[[str], None], doubt: Callable[[], None]) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._failed = failed
        self._doubt = doubt

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        timeouts = request.extensions.get("timeout", {})
        if request.method == "GET":
            timeouts = {**timeouts, "read": None}  # a stream of news, of which there may be none for hours
        elif request.method == "DELETE":
            timeouts = {**timeouts, "read": CONNECT_TIMEOUT / 2}
        request.extensions["timeout"] = timeouts
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.TransportError as error:
            return self._refuse(request, type(error).__name__)
        if response.status_code >= 300:
            self._failed(f"status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            return self._refuse(request, "compressed answer")
        stream = response.stream
        if isinstance(stream, httpx2.AsyncByteStream):
            events = response.headers.get("content-type", "").startswith("text/event-stream")
            ended = self._doubt if events and request.method == "GET" else None
            # The size of an event is bounded by the SDK, and the number of events by nothing.
            response.stream = _Body(stream, None if events else MAX_MESSAGE_BYTES, ended)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _refuse(self, request: httpx2.Request, problem: str) -> httpx2.Response:
        self._failed(problem)
        return httpx2.Response(502, request=request)


class _Body(httpx2.AsyncByteStream):
    """A body of bounded length. The SDK expects its troubles as errors of the stream."""

    def __init__(
        self, inner: httpx2.AsyncByteStream, limit: int | None, ended: Callable[[], None] | None = None
    ) -> None:
        self._inner = inner
        self._limit = limit
        self._ended = ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in self._inner:
                size += len(chunk)
                if self._limit is not None and size > self._limit:
                    raise httpx2.StreamError("the answer is too long")
                yield chunk
        except httpx2.TransportError as error:
            self._tell()
            raise httpx2.StreamError(type(error).__name__) from None
        self._tell()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _tell(self) -> None:
        if self._ended is not None:
            self._ended()
