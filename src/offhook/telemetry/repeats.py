"""Lines that anybody on the network can cause, bounded: so many of one kind, and from then on only their number.

A flood of refused upgrades would otherwise be a flood of log lines, which costs money and hides the line that matters.
Lines of a call are never left out: how many calls there are is limited already.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

LINES = 20
"""Lines of one kind (same text, code and component) that are written within `WINDOW`."""
WINDOW = 10.0
"""Seconds."""
MAX_KINDS = 256
"""Kinds that are told apart; all others count as one."""

LEFT_OUT = "lines left out"
"""What the line says that has their number."""

Kind = tuple[str, str, str]


@dataclass(slots=True)
class _Window:
    until: float
    lines: int = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many lines of a kind were left out."""

    component: str
    event: str
    code: str
    count: int


class Repeats:
    """A processor of structlog that drops what comes too often; may be used by several threads.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[Kind, _Window] = {}

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Pass a line on, or drop it."""
        if "call" in event or event["event"] == LEFT_OUT:
            return event
        kind = (str(event.get("component", "")), str(event["event"]), str(event.get("code", "")))
        with self._lock:
            if kind not in self._windows and len(self._windows) >= MAX_KINDS:
                kind = ("", "other lines", "")
            window = self._windows.get(kind)
            if window is None or (self._clock() >= window.until and window.lines <= LINES):
                window = self._windows[kind] = _Window(self._clock() + WINDOW)
            window.lines += 1
            if window.lines > LINES:
                raise structlog.DropEvent
        return event

    def take(self) -> tuple[list[LeftOut], float | None]:
        """Return what was left out in windows that are over, and the seconds until the next of those that are full."""
        now = self._clock()
        over: list[LeftOut] = []
        with self._lock:
            for kind, window in list(self._windows.items()):
                if now >= window.until:
                    del self._windows[kind]
                    if window.lines > LINES:
                        over.append(LeftOut(*kind, window.lines - LINES))
            full = [window.until - now for window in self._windows.values() if window.lines >= LINES]
        return over, min(full, default=None)
