"""Finds out that a peer is gone whose socket does not say so: half open, openai-realtime.md §7."""

import asyncio
from collections.abc import Callable
from typing import Final

from offhook.gateway.link import LinkLimits

TURNS: Final = 5
"""Turns of the event loop between the deadline and the verdict.

When our own process stalls, its timers are late and the peer's pong may lie unread in the kernel. In each turn the loop
reads what has arrived; which comes first, timers or sockets, differs between loops, and a library may take a turn or
two to hand over what was read.
"""


class Heartbeat:
    """Pings a silent peer, and tells when it stays silent.

    Args:
        limits: how long it may be silent, and how long its answer may take.
        ping: sends a ping.
        silent: called once, when no sign of life came.
    """

    def __init__(self, limits: LinkLimits, *, ping: Callable[[], None], silent: Callable[[], None]) -> None:
        self._limits = limits
        self._ping = ping
        self._silent = silent
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._heard_at = 0.0
        self._asked = False
        """The peer owes us an answer."""
        self._timer: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin to watch; the peer was heard just now."""
        self._asked = True
        self.heard()

    def heard(self) -> None:
        """A frame of the peer arrived, whatever it says."""
        self._heard_at = self._time()
        if self._asked:
            self.stop()
            self._timer = self._loop.call_later(self._limits.ping_interval, self._ask)

    def stop(self) -> None:
        """Watch no longer."""
        self._asked = False
        if self._timer is not None:
            self._timer.cancel()

    def _ask(self) -> None:
        """Ping the peer if it has been silent for long enough."""
        quiet = self._time() - self._heard_at
        if quiet < self._limits.ping_interval:
            self._timer = self._loop.call_later(self._limits.ping_interval - quiet, self._ask)
            return
        self._asked = True
        self._timer = self._loop.call_later(self._limits.pong_timeout, self._judge, TURNS)
        self._ping()

    def _judge(self, turns: int) -> None:
        """The time for an answer is over: let the loop read what has arrived, then it was silence."""
        if turns:
            self._timer = self._loop.call_soon(self._judge, turns - 1)
        else:
            self._silent()
