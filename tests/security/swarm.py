"""Many hostile connections at a time from one process: plain sockets and epoll, and bytes that were made before."""

import contextlib
import errno
import itertools
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

READ = 65_536
RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds; the close is a reset and leaves no TIME_WAIT here


@dataclass(slots=True)
class Errand:
    """What one connection does: say something, and something more once it was upgraded."""

    first: bytes
    then: bytes = b""
    """Sent after an answer with 101, `times` times."""
    times: int = 0
    hold: float = 0.0
    """Seconds after which it goes away; 0 = when the other side does, or when all of `then` is sent."""
    sent: int = 0
    """How often `then` was sent."""
    answer: str = "closed"


@dataclass(slots=True)
class Connection:
    """An errand under way."""

    socket: socket.socket
    errand: Errand
    out: memoryview
    began: float
    answered: bool = False
    left: int = 0


@dataclass
class Outcome:
    """What came of a swarm."""

    connections: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """Status of the answer, or how there was none."""
    messages: int = 0
    """How often `then` went out whole."""
    seconds: float = 0.0
    slowest: float = 0.0
    """Longest wait for an answer."""


class Swarm:
    """Runs errands against a port, so many at a time, from many addresses of this machine.

    Args:
        port: of 127.0.0.1.
        width: connections at a time.
        addresses: how many addresses the connections come from.
        patience: seconds after which a connection without any answer is given up.
    """

    def __init__(self, port: int, *, width: int, addresses: int = 200, patience: float = 30.0) -> None:
        self._target = ("127.0.0.1", port)
        self._width = width
        self._patience = patience
        self._sources = itertools.cycle(f"127.0.{2 + n // 250}.{1 + n % 250}" for n in range(addresses))
        self._epoll = select.epoll()
        self._open: dict[int, Connection] = {}
        self.outcome = Outcome()

    def run(self, errands: Iterator[Errand]) -> Outcome:
        """Run all of them to their end."""
        began = looked = time.monotonic()
        more = True
        while more or self._open:
            while more and len(self._open) < self._width:
                errand = next(errands, None)
                more = errand is not None
                if errand is not None:
                    self._begin(errand)
            for number, events in self._epoll.poll(0.02, 512):
                connection = self._open.get(number)
                if connection is not None:
                    self._step(connection, events)
            now = time.monotonic()
            if now - looked > 0.1:
                looked = now
                for connection in [one for one in self._open.values() if self._due(one, now)]:
                    self._end(connection, "left" if connection.errand.hold else "no answer")
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _due(self, connection: Connection, now: float) -> bool:
        return now - connection.began > (connection.errand.hold or self._patience)

    def _begin(self, errand: Errand) -> None:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        made.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
        self.outcome.connections += 1
        try:
            made.bind((next(self._sources), 0))
            made.connect(self._target)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                self.outcome.answers[f"not connected: {errno.errorcode.get(error.errno or 0)}"] += 1
                made.close()
                return
        connection = Connection(made, errand, memoryview(errand.first), time.monotonic())
        self._open[made.fileno()] = connection
        self._epoll.register(made.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _step(self, connection: Connection, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                self._write(connection)
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._read(connection)
        except OSError as error:
            self._end(
                connection, "reset" if error.errno == errno.ECONNRESET else errno.errorcode.get(error.errno or 0, "?")
            )

    def _write(self, connection: Connection) -> None:
        while True:
            if connection.out:
                try:
                    connection.out = connection.out[connection.socket.send(connection.out) :]
                except BlockingIOError:
                    return
                if connection.out:
                    return
                if connection.answered:
                    connection.errand.sent += 1
                    self.outcome.messages += 1
            if connection.left:
                connection.left -= 1
                connection.out = memoryview(connection.errand.then)
                continue
            if connection.answered and not connection.errand.hold:
                self._end(connection, "sent")
                return
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN)
            return

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(READ)
        except BlockingIOError:
            return
        if not data:
            self._end(connection, "")
            return
        if connection.answered:
            return
        connection.answered = True
        self.outcome.slowest = max(self.outcome.slowest, time.monotonic() - connection.began)
        connection.errand.answer = data[9:12].decode("latin-1")
        if data.startswith(b"HTTP/1.1 101") and connection.errand.times:
            connection.left = connection.errand.times
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _end(self, connection: Connection, how: str) -> None:
        if self._open.pop(connection.socket.fileno(), None) is None:
            return
        answer = connection.errand.answer
        self.outcome.answers[f"{answer} {how}".strip() if answer != "closed" else how or answer] += 1
        with contextlib.suppress(OSError):
            self._epoll.unregister(connection.socket.fileno())
        connection.socket.close()
