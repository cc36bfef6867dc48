"""One direction of a connection of a bench: bytes wait for their time, and never overtake what came before."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, Protocol

_STEP: Final = 0.02
"""Seconds of data that a limited pipe passes on at once."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the network is like when nothing special happens."""

    latency: float = 0.0
    """Seconds from one peer to the other, at least."""
    jitter: float = 0.0
    """Seconds that it may take longer, by chance."""
    accept_delay: float = 0.0
    """Seconds until a new connection is passed on."""


SOUND: Final = Conditions()
"""A network that is not felt."""


class End(Protocol):
    """One of the two sockets of a connection."""

    transport: asyncio.Transport | None
    """None before it stands and when it is gone."""

    def write_eof(self) -> None:
        """The other side sends nothing more."""
        ...


class Pipe:
    """One direction of a connection.

    Args:
        source: sends.
        sink: is sent what has waited long enough.
        conditions: latency and jitter.
        capacity: bytes that wait; beyond them the source is not read.
        chance: of the jitter.
    """

    def __init__(self, source: End, sink: End, conditions: Conditions, capacity: int, chance: random.Random) -> None:
        self._source, self._sink = source, sink
        self._conditions, self._capacity = conditions, capacity
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._last_due = 0.0
        self._free_at = 0.0
        """When the bandwidth, or a stall, lets the next piece pass."""
        self._rate = self._limited_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._reading = True
        self._ending: Literal["eof", "close"] | None = None
        self.silent = False

    def receive(self, data: bytes) -> None:
        """The source sent something."""
        if self.silent:
            return
        conditions = self._conditions
        due = self._loop.time() + conditions.latency
        if conditions.jitter:
            due += self._chance.uniform(0.0, conditions.jitter)
        self._last_due = max(self._last_due, due)
        self._waiting.append((self._last_due, data))
        self._size += len(data)
        if self._size > self._capacity:
            self._read(False)
        self.arm()

    def stall(self, seconds: float) -> None:
        """Let nothing pass for so long."""
        self._free_at = max(self._free_at, self._loop.time() + seconds)
        self.arm()

    def limit(self, bytes_per_second: float, seconds: float) -> None:
        """Limit the bandwidth for so long."""
        self._rate, self._limited_until = bytes_per_second, self._loop.time() + seconds

    def go_silent(self) -> None:
        """Swallow everything, what waits included."""
        self.silent = True
        self.drop()
        self._read(True)

    def set_writable(self, writable: bool) -> None:
        """The sink takes more, or not."""
        self._writable = writable
        self.arm()

    def finish_writing(self) -> None:
        """The source sends nothing more; the sink is told behind all that waits."""
        self._ending = self._ending or "eof"
        self.arm()

    def end(self) -> None:
        """The source is gone; the sink is closed behind all that waits."""
        self._ending = "close"
        self.arm()

    def drop(self) -> None:
        """Forget what waits: nobody will take it."""
        self._waiting.clear()
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def arm(self) -> None:
        """See to it that what is due passes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sink.transport is None or not self._writable:
            return
        now = self._loop.time()
        at = self._next_at()
        if at is None:
            return
        if at <= now:
            self._pass_on(now)
        else:
            self._timer = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        # uvloop's timers may be a little early.
        self._pass_on(max(self._loop.time(), self._next_at() or 0.0))

    def _next_at(self) -> float | None:
        if self._waiting:
            return max(self._waiting[0][0], self._free_at)
        return self._free_at if self._ending is not None else None

    def _pass_on(self, now: float) -> None:
        sink = self._sink.transport
        while sink is not None and self._waiting and self._writable and self._waiting[0][0] <= now >= self._free_at:
            due, data = self._waiting.popleft()
            if now < self._limited_until:
                part = max(1, int(self._rate * _STEP))
                if len(data) > part:
                    self._waiting.appendleft((due, data[part:]))
                    data = data[:part]
                self._free_at = max(self._free_at, now) + len(data) / self._rate
            self._size -= len(data)
            sink.write(data)
        if self._size <= self._capacity // 2:
            self._read(True)
        if self._waiting:
            self.arm()
        elif self._ending is not None and sink is not None:
            if self._ending == "close":
                sink.close()
            else:
                self._sink.write_eof()
            self._ending = None

    def _read(self, reading: bool) -> None:
        source = self._source.transport
        if source is None or source.is_closing() or reading is self._reading:
            return
        self._reading = reading
        if reading:
            source.resume_reading()
        else:
            source.pause_reading()
