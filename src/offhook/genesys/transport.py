"""One HTTPS request at a time, each on a connection of its own, sent exactly once."""

import asyncio
import ssl
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from offhook.genesys.errors import Unanswered, Unreachable

#: Seconds for host name, TCP and TLS together.
CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent."""

    method: str
    url: str
    """Percent-encoded."""
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    max_bytes: int
    """Of the body of the answer; what is longer is cut off."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    cut_off: bool = False
    """The body was longer than what the request allows."""
    retry_after: str = ""


class Transport:
    """Sends requests.

    A connection serves one request. aiohttp does not send a POST again by itself, but on a connection that the server
    has just closed it could only report a loss, and nobody would know whether the request had arrived.

    Args:
        tls: trust for https; None = the default of the platform.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, request: Request, authorization: str, seconds: float) -> Answer:
        """Return the answer, whatever its status.

        Args:
            request: what is sent.
            authorization: the header of this name.
            seconds: for everything, up to the last byte of the answer.

        Raises:
            Unreachable: the request was not sent.
            Unanswered: it may have been.
        """
        if self._closed or seconds <= 0:
            raise Unreachable("there was no time left to send the request")
        headers = {"Authorization": authorization, "Accept": "application/json"}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        # A little less than all, so that a server that is not there is told from one that does not answer.
        connect = min(CONNECT_TIMEOUT, seconds * 0.9)
        try:
            async with asyncio.timeout(seconds):
                sending = self._open_session().request(
                    request.method,
                    URL(request.url, encoded=True),
                    data=request.body or None,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=connect),
                )
                async with sending as response:
                    body = await _read(response.content, request.max_bytes + 1)
                    retry_after = response.headers.get("Retry-After", "")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable("no connection to Genesys Cloud", reason=type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unanswered("no answer of Genesys Cloud", reason=type(error).__name__) from None
        return Answer(response.status, body[: request.max_bytes], len(body) > request.max_bytes, retry_after)

    async def close(self) -> None:
        """Close what is open; nothing can be sent any more."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls or True, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    body = bytearray()
    while len(body) < limit and (chunk := await content.readany()):
        body += chunk
    return bytes(body[:limit])
