"""HTTP clients that the tools of a process share."""

import socket
import ssl

import aiohttp

from offhook.tools.addresses import is_public

#: Connections at a time to one host, and to all of them.
MAX_CONNECTIONS_PER_HOST = 50
MAX_CONNECTIONS = 500
#: Bytes of one header of an answer, and headers of one answer.
MAX_HEADER_BYTES = 8190
MAX_HEADERS = 128


class PrivateAddress(OSError):
    """A client that may only reach the public Internet was about to connect to another address."""


class ConnectionLost(aiohttp.ClientError):
    """The connection ended before the answer; whether the request was carried out is not known."""


class HttpClients:
    """Client sessions, made when they are first needed.

    What they have in common: no request goes out twice by itself, no proxy of the environment, no cookies that are
    kept, bounded headers. Redirects are the caller's to switch off (``allow_redirects=False``).

    Args:
        tls: trust for https; None = the default of the platform.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._sessions: dict[tuple[bool, bool], aiohttp.ClientSession] = {}
        self._closed = False

    def session(self, *, private: bool = False, fresh: bool = False) -> aiohttp.ClientSession:
        """Return a session.

        Args:
            private: it may reach private, loopback and link-local addresses.
            fresh: it opens a connection for every request. For writes: on a connection that was kept and that the
                server is just closing, a request is lost, and nobody knows whether it was carried out.

        Raises:
            RuntimeError: the clients are closed.
        """
        if self._closed:
            raise RuntimeError("the HTTP clients are closed")
        session = self._sessions.get((private, fresh))
        if session is None:
            session = self._sessions[private, fresh] = self._open(private=private, fresh=fresh)
        return session

    async def close(self) -> None:
        """Close every session; there are no new ones afterwards."""
        self._closed = True
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _open(self, *, private: bool, fresh: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=self._tls or True,
            limit=MAX_CONNECTIONS,
            limit_per_host=MAX_CONNECTIONS_PER_HOST,
            force_close=fresh,
            socket_factory=None if private else _public_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            middlewares=(_once,),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )


def _public_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket for the address that is about to be connected to, however it was found.

    Names are resolved before this, so a name that leads somewhere else each time gains nothing.
    """
    family, kind, protocol, _, place = address
    if not is_public(str(place[0])):
        # All have one text: of several failures that are alike, aiohttp reports the first with its type.
        raise PrivateAddress("the address is not one of the public Internet")
    return socket.socket(family, kind, protocol)


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a request again, as it does by itself for GET, PUT and DELETE on a lost connection."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost("the connection was lost") from error
