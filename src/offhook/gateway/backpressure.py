"""When the way to Genesys is full: audio waits in the call, text goes on, and a socket that stays full is given up."""

import asyncio
from collections.abc import Callable

from offhook.gateway.audiohook_socket import AudioHookSocket

FULL = 16_384
"""Bytes waiting in the process from which on audio is held, about two seconds of it."""
FREE = 4_096
"""Bytes waiting below which audio flows again."""
TOO_FULL = 1_048_576
"""Bytes waiting at which the socket is given up at once."""
STUCK_AFTER = 10.0
"""Seconds after which a full socket is given up."""
LOOK_EVERY = 0.05
"""Seconds between looks at a full socket."""


class Backpressure:
    """Watches how much waits at one socket.

    Args:
        socket: the socket.
        on_writable: told True and False, alternating, beginning with False.
        on_stuck: told once when the socket is beyond hope.
        stuck_after: seconds after which it is.
    """

    def __init__(
        self,
        socket: AudioHookSocket,
        on_writable: Callable[[bool], None],
        on_stuck: Callable[[], None],
        *,
        stuck_after: float = STUCK_AFTER,
    ) -> None:
        self._socket = socket
        self._on_writable = on_writable
        self._on_stuck = on_stuck
        self._stuck_after = stuck_after
        self._full_since: float | None = None
        self._timer: asyncio.Handle | None = None
        self._stopped = False

    def look(self) -> None:
        """Look after something was written; may call back later, never at once."""
        if self._full_since is None and self._socket.unsent > FULL and not self._stopped:
            loop = asyncio.get_running_loop()
            self._full_since = loop.time()
            self._timer = loop.call_soon(self._begin)

    def stop(self) -> None:
        """Watch no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._on_writable(False)
        self._look_again()

    def _look_again(self) -> None:
        if self._stopped or self._full_since is None:
            return
        loop = asyncio.get_running_loop()
        unsent = self._socket.unsent
        if unsent < FREE:
            self._full_since = None
            self._on_writable(True)
        elif unsent > TOO_FULL or loop.time() - self._full_since > self._stuck_after:
            self.stop()
            self._on_stuck()
        else:
            self._timer = loop.call_later(LOOK_EVERY, self._look_again)
