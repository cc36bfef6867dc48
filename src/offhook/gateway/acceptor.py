"""Accepts connections at the call port, within bounds on those that are no call yet.

What is not a call yet costs memory, and with TLS also time, before anybody has shown a key. So such connections are
counted from the moment they are accepted, in all and by address, and past a bound the oldest of them is dropped for the
new one: an honest handshake takes less than a second, so the oldest is the one least likely to become a call. What has
become a call is not counted any more.

Connections are accepted one at a time, with a turn of the event loop between them: a flood of new ones slows itself
down and not the calls.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from offhook.telemetry.logging import get_logger

TOO_MANY_HANDSHAKES = "OH-LIMIT-06"
CANNOT_ACCEPT = "OH-LIMIT-07"

BACKLOG = 1024
"""Connections that may wait in the kernel to be accepted."""
PAUSE = 0.5
"""Seconds until the next attempt when a connection cannot be accepted, mostly for want of file descriptors."""
LOG_EVERY = 10.0
"""Seconds between log lines about dropped connections."""

_log = get_logger("offhook.gateway.acceptor")


class Handshake:
    """A connection that is no call yet.

    Args:
        network: where it comes from, as it is counted.
        finished: told once that it is a call now, or gone.
    """

    def __init__(self, network: str, finished: Callable[["Handshake"], None]) -> None:
        self.network = network
        self.task: asyncio.Task[None] | None = None
        """Sets it up; None once that is done."""
        self.transport: asyncio.Transport | None = None
        """Set by its protocol."""
        self._finished: Callable[[Handshake], None] | None = finished

    def finish(self) -> None:
        """Count it no more; it has become a call, or is gone."""
        finished, self._finished = self._finished, None
        if finished is not None:
            finished(self)

    def drop(self) -> None:
        """End the connection without a word."""
        self.finish()
        if self.task is not None:
            self.task.cancel()
        if self.transport is not None:
            self.transport.abort()


MakeProtocol = Callable[[Handshake], asyncio.Protocol]
"""Makes what serves a connection. It sets the `transport` of the handshake, and calls `finish` at the latest when the
connection is lost."""


class Acceptor:
    """Listens, and hands each connection to a protocol of its own.

    Args:
        make_protocol: makes the protocol of a connection.
        max_handshakes: connections at a time that are no call yet.
        max_handshakes_per_address: the same for one address, or one /64 of IPv6.
        tls_timeout: seconds that a TLS handshake has.
        tls_shutdown_timeout: seconds that the end of TLS has.
    """

    def __init__(
        self,
        make_protocol: MakeProtocol,
        *,
        max_handshakes: int,
        max_handshakes_per_address: int,
        tls_timeout: float,
        tls_shutdown_timeout: float,
    ) -> None:
        self._make_protocol = make_protocol
        self._max = max_handshakes
        self._max_per_address = max_handshakes_per_address
        self._tls_timeout = tls_timeout
        self._tls_shutdown_timeout = tls_shutdown_timeout
        self._tls: ssl.SSLContext | None = None
        self._listening: list[socket.socket] = []
        self._paused = False
        # Dictionaries for their order: the first is the oldest.
        self._handshakes: dict[Handshake, None] = {}
        self._by_network: dict[str, dict[Handshake, None]] = {}
        self._dropped = 0
        self._log_at = 0.0

    @property
    def handshakes(self) -> int:
        """Connections that are no call yet."""
        return len(self._handshakes)

    @property
    def listening(self) -> bool:
        """Connections are accepted, or will be after a pause."""
        return bool(self._listening)

    def set_limits(self, *, max_handshakes: int, max_handshakes_per_address: int) -> None:
        """Go by other bounds from the next connection on."""
        self._max, self._max_per_address = max_handshakes, max_handshakes_per_address

    async def start(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, sockets: Sequence[socket.socket] = ()
    ) -> int:
        """Listen and return the port; OSError when that cannot be.

        Args:
            host: address or name.
            port: 0 = a free one.
            tls: for wss.
            sockets: sockets that listen already, to take over in place of host and port; other processes may accept
                from them too.
        """
        self._tls = tls
        self._listening = list(sockets) or await listen(host, port)
        for listening in self._listening:
            self._watch(listening)
        bound: int = self._listening[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Accept no more; connections that stand are not touched."""
        loop = asyncio.get_running_loop()
        for listening in self._listening:
            loop.remove_reader(listening)
            listening.close()
        self._listening.clear()

    def pause(self) -> None:
        """Leave new connections to the other processes that listen."""
        if not self._paused:
            self._paused = True
            for listening in self._listening:
                asyncio.get_running_loop().remove_reader(listening)

    def resume(self) -> None:
        """Accept again."""
        if self._paused:
            self._paused = False
            for listening in self._listening:
                self._watch(listening)

    async def stop(self) -> None:
        """Accept no more, and drop what is no call yet."""
        self.close()
        setting_up = [handshake.task for handshake in self._handshakes if handshake.task is not None]
        for handshake in list(self._handshakes):
            handshake.drop()
        if setting_up:
            await asyncio.wait(setting_up)

    def _watch(self, listening: socket.socket) -> None:
        if listening in self._listening and not self._paused:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        """Accept one connection; if there are more, the loop comes back."""
        try:
            connection, address = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # it was gone before it was accepted
        except OSError as error:
            _log.error("a connection cannot be accepted", code=CANNOT_ACCEPT, detail=error.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            loop.call_later(PAUSE, self._watch, listening)
            return
        connection.setblocking(False)
        self._take(connection, _network(connection.family, address))

    def _take(self, connection: socket.socket, network: str) -> None:
        neighbours = self._by_network.get(network, {})
        if len(neighbours) >= self._max_per_address:
            self._drop(next(iter(neighbours)))
        if len(self._handshakes) >= self._max:
            self._drop(next(iter(self._handshakes)))
        handshake = Handshake(network, self._finished)
        self._handshakes[handshake] = None
        self._by_network.setdefault(network, {})[handshake] = None
        handshake.task = asyncio.create_task(self._set_up(handshake, connection))
        handshake.task.add_done_callback(lambda _: _set_up_ended(handshake, connection))

    def _finished(self, handshake: Handshake) -> None:
        del self._handshakes[handshake]
        neighbours = self._by_network[handshake.network]
        del neighbours[handshake]
        if not neighbours:
            del self._by_network[handshake.network]

    def _drop(self, handshake: Handshake) -> None:
        handshake.drop()
        self._dropped += 1
        now = asyncio.get_running_loop().time()
        if now >= self._log_at:
            self._log_at = now + LOG_EVERY
            _log.warning("connections that are no call yet were dropped", code=TOO_MANY_HANDSHAKES, count=self._dropped)
            self._dropped = 0

    async def _set_up(self, handshake: Handshake, connection: socket.socket) -> None:
        """Join the connection with its protocol; with TLS, after the handshake."""
        loop = asyncio.get_running_loop()
        timeouts: dict[str, float] = {}
        if self._tls is not None:  # without TLS they are refused
            timeouts = {
                "ssl_handshake_timeout": self._tls_timeout,
                "ssl_shutdown_timeout": self._tls_shutdown_timeout,
            }
        try:
            await loop.connect_accepted_socket(
                lambda: self._make_protocol(handshake), connection, ssl=self._tls, **timeouts
            )
        except OSError:  # ssl.SSLError is one, and so is a handshake that takes too long
            pass
        except Exception as error:
            _log.error("a connection could not be set up", exc_info=error)


def _set_up_ended(handshake: Handshake, connection: socket.socket) -> None:
    handshake.task = None
    if handshake.transport is None:
        handshake.finish()
        connection.close()  # also when its task was dropped before it began


async def listen(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of a host, with one port; OSError when that cannot be."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listening = socket.create_server((address[0], port), family=family, backlog=BACKLOG, dualstack_ipv6=False)
            listening.setblocking(False)
            port = listening.getsockname()[1]
            sockets.append(listening)
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def _network(family: int, address: Any) -> str:
    """Return what connections from an address are counted as: a household of IPv6 has a /64 to choose from."""
    host = str(address[0])
    if family != socket.AF_INET6:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    mapped = packed.startswith(bytes(10) + b"\xff\xff")
    return socket.inet_ntop(socket.AF_INET, packed[12:]) if mapped else f"{packed[:8].hex()}/64"
