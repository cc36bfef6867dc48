import asyncio
from collections import Counter

from offhook.gateway.turns import Turns

EACH_ROUND = 3


class Rounds:
    """Counts rounds of the event loop, so many."""

    def __init__(self, count: int) -> None:
        self.number = 0
        self.over = asyncio.Event()
        self._count = count
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self.number += 1
        if self.number == self._count:
            self.over.set()
        else:
            asyncio.get_running_loop().call_soon(self._next)


async def test_who_comes_alone_does_not_wait() -> None:
    turns = Turns(EACH_ROUND)
    rounds = Rounds(1000)
    for _ in range(EACH_ROUND):
        await turns.take()
    assert rounds.number == 0


async def test_each_round_has_so_many_in_the_order_of_coming() -> None:
    turns = Turns(EACH_ROUND)
    rounds = Rounds(1000)
    when: list[tuple[int, int]] = []

    async def work(number: int) -> None:
        await turns.take()
        when.append((number, rounds.number))

    await asyncio.gather(*(work(number) for number in range(20)))
    assert [number for number, _ in when] == list(range(20))
    assert max(Counter(at for _, at in when).values()) <= 2 * EACH_ROUND  # the free ones, and the first that waited
    assert when[-1][1] >= 20 // EACH_ROUND - 1
    assert turns.waiting == 0


async def test_one_who_wants_many_turns_leaves_rounds_to_others() -> None:
    turns = Turns(EACH_ROUND)
    rounds = Rounds(1000)

    async def greedy() -> None:
        for _ in range(300):
            await turns.take()

    await asyncio.wait_for(greedy(), 5)
    assert rounds.number >= 100 - 2


async def test_who_gives_up_takes_no_turn() -> None:
    turns = Turns(1)
    await turns.take()
    leaving = [asyncio.ensure_future(turns.take()) for _ in range(50)]
    await asyncio.sleep(0)
    assert turns.waiting > 40
    for task in leaving:
        task.cancel()
    await asyncio.wait_for(turns.take(), 5)
    assert turns.waiting == 0


async def test_when_nobody_comes_it_sleeps() -> None:
    turns = Turns(EACH_ROUND)
    await turns.take()
    rounds = Rounds(5)
    await rounds.over.wait()
    assert turns._next_round is None
