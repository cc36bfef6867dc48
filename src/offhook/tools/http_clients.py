"""HTTP clients that the tools of a process share."""

import ssl

import aiohttp


class HttpClients:
    """Client sessions, made when they are first needed.

    Args:
        tls: trust for https; None = the default of the platform.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def session(self, *, private: bool = False) -> aiohttp.ClientSession:
        """Return the session; `private` says whether it may reach private addresses."""
        session = self._sessions.get(private)
        if session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls or True)
            session = self._sessions[private] = aiohttp.ClientSession(connector=connector)
        return session

    async def close(self) -> None:
        """Close every session."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()
