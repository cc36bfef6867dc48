"""Fair shares of the event loop: what anybody on the network may cause is done in turns, and no call waits for it."""

import asyncio
from collections import deque


class Turns:
    """Lets so many through in each round of the event loop; the others wait, first come, first served.

    However much there is to do, a round takes no longer than `each_round` of it, and sockets, timers and calls have
    their turn between two rounds.

    Args:
        each_round: how many.
    """

    def __init__(self, each_round: int) -> None:
        self._each_round = each_round
        self._left = each_round
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._next_round: asyncio.Handle | None = None

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def take(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        if self._next_round is None:
            self._next_round = loop.call_soon(self._begin_round)
        if self._left:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _begin_round(self) -> None:
        self._left = self._each_round
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled, then
                turn.set_result(None)
                self._left -= 1
        used = self._left < self._each_round
        self._next_round = asyncio.get_running_loop().call_soon(self._begin_round) if used else None
