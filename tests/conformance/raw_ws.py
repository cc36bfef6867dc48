"""WebSocket peers written on bare sockets: they can send what no library would send."""

import asyncio
import base64
import contextlib
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

DEADLINE = 5.0
"""Seconds that anything in these tests may take."""


async def within(awaitable: Awaitable[T], seconds: float = DEADLINE) -> T:
    """Await, but not for ever."""
    async with asyncio.timeout(seconds):
        return await awaitable


def encode_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = False) -> bytes:
    head = bytearray([(0x80 if fin else 0) | rsv | opcode])
    mask_bit = 0x80 if mask else 0
    if len(payload) < 126:
        head.append(mask_bit | len(payload))
    elif len(payload) < 65536:
        head.append(mask_bit | 126)
        head += len(payload).to_bytes(2, "big")
    else:
        head.append(mask_bit | 127)
        head += len(payload).to_bytes(8, "big")
    if mask:
        key = os.urandom(4)
        head += key
        whole, stream = len(payload), (key * (len(payload) // 4 + 1))[: len(payload)]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(whole, "big")
    return bytes(head) + payload


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    masked: bool

    @property
    def close_code(self) -> int:
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


class Head:
    """Start line and headers (names in lower case) of a request or an answer."""

    def __init__(self, raw: bytes) -> None:
        self.start, *lines = raw.decode("latin-1").split("\r\n")
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])


def accept_value(key: str) -> str:
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


class RawPeer:
    """One connection, either side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool) -> None:
        self.reader = reader
        self.writer = writer
        self.client = client
        self.request: Head | None = None

    # What is written:

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def frame(
        self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool | None = None
    ) -> None:
        """Send a frame, masked as this side has to unless `mask` says otherwise."""
        self.write(encode_frame(opcode, payload, fin=fin, rsv=rsv, mask=self.client if mask is None else mask))

    def close_frame(self, code: int, reason: str = "") -> None:
        self.frame(CLOSE, code.to_bytes(2, "big") + reason.encode())

    def accept(self, extra: str = "") -> None:
        """Answer the upgrade request that was read."""
        assert self.request is not None
        accept = accept_value(self.request.headers["sec-websocket-key"])
        self.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n{extra}\r\n".encode()
        )

    # What is read:

    async def read_head(self) -> Head:
        return Head((await within(self.reader.readuntil(b"\r\n\r\n")))[:-4])

    async def read_frame(self) -> Frame:
        first, second = await within(self.reader.readexactly(2))
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await within(self.reader.readexactly(2 if size == 126 else 8)), "big")
        masked = bool(second & 0x80)
        key = await within(self.reader.readexactly(4)) if masked else b"\0\0\0\0"
        payload = await within(self.reader.readexactly(size))
        stream = (key * (size // 4 + 1))[:size]
        plain = (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
        return Frame(first & 0xF, plain, bool(first & 0x80), first & 0x70, masked)

    async def read_until(self, opcode: int) -> Frame:
        """Skip frames up to the first with this opcode."""
        while True:
            frame = await self.read_frame()
            if frame.opcode == opcode:
                return frame

    async def read_end(self) -> bytes:
        """Read what comes until the socket is closed by the other side."""
        with contextlib.suppress(ConnectionError):
            return await within(self.reader.read())
        return b""

    async def drop(self) -> None:
        """End the connection without a word."""
        self.writer.transport.abort()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()


Script = Callable[[RawPeer], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(script: Script, *, tls: ssl.SSLContext | None = None, upgrade: bool = True) -> AsyncIterator[str]:
    """Serve `script` to each connection and give the URL; an error in the script fails the test.

    With `upgrade`, the script begins after an ordinary handshake.
    """
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = RawPeer(reader, writer, client=False)
        try:
            if upgrade:
                peer.request = await peer.read_head()
                peer.accept()
            await script(peer)
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            tasks.discard(task)
            await peer.drop()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'wss' if tls else 'ws'}://localhost:{port}/v1/realtime?model=m"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
    if failures:
        raise failures[0]


async def raw_connect(port: int, *, tls: ssl.SSLContext | None = None) -> RawPeer:
    reader, writer = await within(
        asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None)
    )
    return RawPeer(reader, writer, client=True)


KEY = "dGhlIHNhbXBsZSBub25jZQ=="

UPGRADE: Mapping[str, str] = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def request_head(
    target: str, headers: Mapping[str, str] = UPGRADE, *, method: str = "GET", version: str = "HTTP/1.1"
) -> bytes:
    lines = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
