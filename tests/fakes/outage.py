"""A cable to a server that can be torn for a while: whoever dials meanwhile is refused."""

import asyncio
from types import TracebackType
from typing import Self


class Outage:
    """`async with Outage(url) as cable:` stands before a server at a `ws://` URL; `cable.url` is its other end."""

    def __init__(self, url: str) -> None:
        self._far, _, self._path = url.removeprefix("ws://").partition("/")
        self._server: asyncio.Server | None = None
        self._port = 0
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where to dial."""
        return f"ws://127.0.0.1:{self._port}/{self._path}"

    async def tear(self) -> None:
        """Every connection breaks, without a word, and there can be no other one."""
        assert self._server is not None
        self._server.close()
        for end in self._ends:
            end.transport.abort()

    async def mend(self, url: str | None = None) -> None:
        """Connections can be had again; to another server than before, if it is named."""
        if url is not None:
            self._far, _, self._path = url.removeprefix("ws://").partition("/")
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.tear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._far.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        ends = {writer, far_writer}
        self._ends |= ends
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer), return_exceptions=True)
        self._ends -= ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
