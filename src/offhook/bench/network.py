"""A stretch of network between two peers that can be made to suffer: a TCP proxy with faults.

Each connection has two pipes, `up` from who dialled and `down` to them. What comes in waits there for its time
(latency, jitter, bandwidth, a stall as TCP makes it when packets are lost) and never overtakes what came before. A pipe
holds so many bytes and no more; then its source is not read any longer, so that pressure goes back the way it would.
"""

import asyncio
import contextlib
import random
import socket
import struct
from types import TracebackType
from typing import Final, Literal, Self, cast

from offhook.bench.pipe import SOUND, Conditions, Pipe

Way = Literal["up", "down", "both"]

CAPACITY: Final = 65_536
"""Bytes that wait in one pipe, unless the network has another bound."""
CONNECT_TIMEOUT: Final = 10.0
MAX_HEAD: Final = 8192

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Connection:
    """One TCP connection through the network."""

    def __init__(self, network: "Network", chance: random.Random) -> None:
        self._network = network
        self.near = _End(self)
        self.far = _End(self)
        self.up = Pipe(self.near, self.far, network.conditions, network.capacity, chance)
        self.down = Pipe(self.far, self.near, network.conditions, network.capacity, chance)
        self.near.pipe, self.near.back = self.up, self.down
        self.far.pipe, self.far.back = self.down, self.up
        self.target = ""
        """What the first request asks for, such as `/audiohook/support`; empty until it has come."""
        self.began = asyncio.get_running_loop().time()
        """When it was accepted, on the clock of the loop."""
        self._head = b""

    def stall(self, seconds: float, way: Way = "both") -> None:
        """Let nothing pass for so long; it comes later, all of it."""
        for pipe in self._pipes(way):
            pipe.stall(seconds)

    def limit(self, bytes_per_second: float, seconds: float, way: Way = "both") -> None:
        """Limit the bandwidth for so long."""
        for pipe in self._pipes(way):
            pipe.limit(bytes_per_second, seconds)

    def go_silent(self, way: Way = "both") -> None:
        """Swallow all that is sent from now on and tell nobody: the connection is half-open."""
        for pipe in self._pipes(way):
            pipe.go_silent()

    def finish(self) -> None:
        """Close to both sides with FIN; neither has said goodbye in its own protocol."""
        for end in (self.near, self.far):
            end.close()

    def reset(self) -> None:
        """Close to both sides with RST."""
        for end in (self.near, self.far):
            end.reset()

    @property
    def closed(self) -> bool:
        """Neither side stands any more."""
        return self.near.transport is None and self.far.transport is None

    def _pipes(self, way: Way) -> list[Pipe]:
        return [pipe for pipe, name in ((self.up, "up"), (self.down, "down")) if way in (name, "both")]

    # What the ends report:

    def connected(self, end: "_End") -> None:
        """One side stands; for the near one a far one has to be found."""
        if end is self.near:
            self._network.accepted(self)
        elif self.near.transport is None:
            end.close()

    def received(self, end: "_End", data: bytes) -> None:
        """One side sent something."""
        if end is self.near and not self.target and len(self._head) < MAX_HEAD:
            self._head += data
            line, complete, _ = self._head.partition(b"\r\n")
            words = line.split(b" ")
            if complete and len(words) == 3:
                self.target = words[1].decode("ascii", "replace")

    def lost(self, end: "_End") -> None:
        """One side is gone; so is the other once all has reached it, unless nobody is to know."""
        other = self.far if end is self.near else self.near
        end.back.drop()
        if not end.pipe.silent:
            end.pipe.end()
        elif other.finished:
            other.close()
        if self.closed:
            self._network.forget(self)


class _End(asyncio.Protocol):
    """One of the two sockets of a connection."""

    pipe: Pipe
    """Takes what this side sends."""
    back: Pipe
    """Brings what this side is sent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.transport: asyncio.Transport | None = None
        self.finished = False
        """This side sends nothing more."""
        self._told = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are of another family.
        self.transport = cast(asyncio.Transport, transport)
        # The buffer of the transport is one more that pressure has to pass through: a small one.
        self.transport.set_write_buffer_limits(high=4096)
        self._connection.connected(self)
        self.back.arm()

    def data_received(self, data: bytes) -> None:
        self._connection.received(self, data)
        self.pipe.receive(data)

    def eof_received(self) -> bool:
        self.finished = True
        if self.pipe.silent or self._told:
            return False
        self.pipe.finish_writing()
        return True  # the other direction stays open

    def write_eof(self) -> None:
        """The other side sends nothing more."""
        self._told = True
        if self.transport is None or self.transport.is_closing():
            return
        if self.finished:
            self.transport.close()
        else:
            self.transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._connection.lost(self)

    def pause_writing(self) -> None:
        self.back.set_writable(False)

    def resume_writing(self) -> None:
        self.back.set_writable(True)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        if self.transport is not None:
            connection = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()


class Network:
    """Listens on a free port of this machine and carries every connection to a server, as an async context manager.

    Args:
        port: of the server, on this machine.
        conditions: of all connections.
        capacity: bytes that wait in one pipe.
        receive_buffer: bytes that the kernel may keep for us on a connection, so that a peer soon notices that we do
            not read; None leaves it to the kernel.
        seed: of the jitter.
    """

    def __init__(
        self,
        port: int,
        *,
        conditions: Conditions = SOUND,
        capacity: int = CAPACITY,
        receive_buffer: int | None = None,
        seed: int = 0,
    ) -> None:
        self.conditions = conditions
        self.capacity = capacity
        self.connections: list[Connection] = []
        """Those that stand, the newest last."""
        self.accepted_count = 0
        self._to = port
        self._receive_buffer = receive_buffer
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._place: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._dialling: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._place is None:
            raise RuntimeError("the network is not up")
        port: int = self._place.getsockname()[1]
        return port

    def newest(self, target: str) -> Connection | None:
        """Return the newest connection whose request asked for a path with this in it."""
        return next((found for found in reversed(self.connections) if target in found.target), None)

    async def __aenter__(self) -> Self:
        # Bound and never listening, it keeps the port ours while nothing is accepted: dialling is refused then.
        self._place = _bound(0, None)
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for connection in list(self.connections):
            connection.reset()
        await self._empty.wait()
        if self._place is not None:
            self._place.close()

    async def begin(self) -> None:
        """Accept connections, after `refuse` again."""
        if self._server is None:
            listening = _bound(self.port, self._receive_buffer)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._make, sock=listening, backlog=1024)

    def refuse(self) -> None:
        """Refuse new connections from now on; those that stand are not touched."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def reset_all(self) -> None:
        """Break every connection that stands."""
        for connection in list(self.connections):
            connection.reset()

    def _make(self) -> _End:
        return Connection(self, random.Random(self._chance.random())).near  # noqa: S311

    # What connections report:

    def accepted(self, connection: Connection) -> None:
        """A connection stands on our side; the server is dialled."""
        self.accepted_count += 1
        self.connections.append(connection)
        self._empty.clear()
        task = asyncio.get_running_loop().create_task(self._dial(connection))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        if connection in self.connections:
            self.connections.remove(connection)
        if not self.connections:
            self._empty.set()

    async def _dial(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT + self.conditions.accept_delay):
                await asyncio.sleep(self.conditions.accept_delay)
                await asyncio.get_running_loop().create_connection(lambda: connection.far, "127.0.0.1", self._to)
        except (OSError, TimeoutError):
            connection.reset()


def _bound(port: int, receive_buffer: int | None) -> socket.socket:
    listening = socket.socket()
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if receive_buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)  # accepted sockets inherit it
        listening.bind(("127.0.0.1", port))
    except OSError:
        listening.close()
        raise
    return listening
