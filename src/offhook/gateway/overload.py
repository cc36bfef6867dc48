"""Notices that the process is late, and has it take no more calls before those that it carries suffer.

What a call needs - a pong, the next packet, a barge-in - waits for the event loop, so how late the loop is says how
good the calls are. A timer that fires every few milliseconds measures it. One long pause is no overload: it is over
when it is noticed. Being late for a while is.
"""

import asyncio

from offhook.gateway.admission import OVERLOADED
from offhook.telemetry.logging import get_logger

LOOK_EVERY = 0.05
"""Seconds between measurements."""
SMOOTHING = 0.2
"""Weight of the newest measurement in the mean."""
OUTLIER = 10.0
"""A measurement counts for no more than so many times the limit, so that a single one decides nothing."""
SUSTAINED = 0.5
"""Seconds that the mean has to be over the limit."""
RECOVERED = 0.5
"""Part of the limit that the mean has to fall below before calls are taken again."""
CALM = 2.0
"""Seconds that it has to stay there."""

_log = get_logger("offhook.gateway.overload")


class Overload:
    """Decides from measurements whether the process is overloaded.

    Args:
        max_lag: seconds that the event loop may be late, on average; None = there is no overload.
    """

    def __init__(self, max_lag: float | None) -> None:
        self.max_lag = max_lag
        self.overloaded = False
        self.lag = 0.0
        """Seconds that the event loop is late, on average."""
        self._since: float | None = None
        """When the mean went to where it would change the decision."""

    def measured(self, lag: float, now: float) -> bool:
        """Take a measurement; say whether it has changed the decision.

        Args:
            lag: seconds that the timer was late.
            now: monotonic seconds.
        """
        limit = self.max_lag
        counted = lag if limit is None else min(lag, OUTLIER * limit)
        self.lag += SMOOTHING * (counted - self.lag)
        if limit is None:
            changes = self.overloaded
        elif self.overloaded:
            changes = self.lag < RECOVERED * limit
        else:
            changes = self.lag > limit
        if not changes:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if limit is not None and now - self._since < (CALM if self.overloaded else SUSTAINED):
            return False
        self.overloaded = not self.overloaded
        self._since = None
        return True


class LagWatch:
    """Measures the running event loop from `start` to `stop`.

    Args:
        overload: gets the measurements.
    """

    def __init__(self, overload: Overload) -> None:
        self.overload = overload
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin to measure."""
        self._arm(asyncio.get_running_loop())

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + LOOK_EVERY
        self._timer = loop.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self.overload.measured(max(0.0, now - self._due), now):
            lag_ms = round(self.overload.lag * 1000)
            if self.overload.overloaded:
                _log.warning("overloaded: new calls are refused", code=OVERLOADED, lag_ms=lag_ms)
            else:
                _log.info("not overloaded any more", lag_ms=lag_ms)
        self._arm(loop)
