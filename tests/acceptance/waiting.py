"""Waiting for something to happen, with a deadline."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PROMPT = 0.5
"""Seconds for what the contract wants within 0.1 s: the client shares the machine with other tests. That an answer
leaves in the same step is shown on the virtual clock, and the figure of 0.1 s is measured by `integration/soak.py`."""


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so that nobody tells of."""
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


class Bell:
    """Rings whenever something happened; whoever waits for a condition looks again."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.silenced: str | None = None
        """Why nothing can happen any more, once that is so."""

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    def silence(self, why: str) -> None:
        self.silenced = why
        self.ring()

    async def until(
        self, condition: Callable[[], T | None], *, within: float, what: str, seen: Callable[[], object] = lambda: ""
    ) -> T:
        """Return what `condition` gives once it gives something; fail after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while True:
                    rung = self._rung
                    result = condition()
                    if result is not None:
                        return result
                    if self.silenced is not None:
                        raise AssertionError(f"{what}: will not come ({self.silenced}); seen: {seen()}")
                    await rung.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: not within {within} s; seen: {seen()}") from None
