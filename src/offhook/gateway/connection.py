"""One HTTP connection to a port of ours: no more than so many of them, and not a word more than is needed.

aiohttp answers what is no HTTP by itself: with its version, Python's, and a part of what it was sent.
"""

import logging
import socket
from http import HTTPStatus
from typing import Any

from aiohttp import web

SERVER = {"Server": "offhook"}
"""Takes the place of aiohttp's own header."""

_TEXT = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

#: aiohttp logs malformed requests with a part of them, which may be a credential.
SILENT = logging.Logger("offhook.aiohttp", logging.CRITICAL + 1)


class HttpConnection(web.RequestHandler):
    """A connection of `server`; closed at once if there are too many, where that is not seen to elsewhere.

    Args:
        server: what serves it.
        most: connections at a time; None = any number.
        stuck_after: seconds after which a peer that does not read what it is sent is dropped, where the system can do
            that (Linux). aiohttp would wait for it for ever, even after it has closed the connection.
        options: further arguments of aiohttp's `RequestHandler`.
    """

    __slots__ = ("_most", "_server", "_stuck_after")

    def __init__(self, server: web.Server, *, most: int | None, stuck_after: float, **options: Any) -> None:
        super().__init__(server, logger=SILENT, access_log=None, **options)  # type: ignore[arg-type]  # None = no log
        self._server = server
        self._most = most
        self._stuck_after = stuck_after

    def connection_made(self, transport: Any) -> None:
        """Serve the connection, or drop it."""
        option = getattr(socket, "TCP_USER_TIMEOUT", None)
        if option is not None:
            milliseconds = int(self._stuck_after * 1000)
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, option, milliseconds)
        super().connection_made(transport)
        if self._most is not None and len(self._server.connections) > self._most:
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request."""
        if request.writer.output_size > 0:
            raise ConnectionError("there is an answer already")
        response = web.Response(
            status=status, text=f"{HTTPStatus(status).phrase.lower()}\n", headers={**SERVER, **_TEXT}
        )
        response.force_close()
        return response
