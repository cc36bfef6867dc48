import asyncio

import pytest

from offhook.gateway import backpressure
from offhook.gateway.backpressure import FREE, FULL, TOO_FULL, Backpressure
from tests.unit.gateway.fakes import FakeSocket


class Watch:
    """Tells what a Backpressure tells."""

    def __init__(self, stuck_after: float = 60.0) -> None:
        self.socket = FakeSocket()
        self.told: asyncio.Queue[bool | str] = asyncio.Queue()
        self.backpressure = Backpressure(
            self.socket, self.told.put_nowait, lambda: self.told.put_nowait("stuck"), stuck_after=stuck_after
        )

    async def next(self) -> bool | str:
        async with asyncio.timeout(5):
            return await self.told.get()


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 0.001)


async def test_a_socket_with_room_is_left_alone() -> None:
    watch = Watch()
    watch.socket.unsent = FULL
    watch.backpressure.look()
    await asyncio.sleep(0)
    assert watch.told.empty()


async def test_audio_waits_until_there_is_room_again() -> None:
    watch = Watch()
    for _ in range(2):
        watch.socket.unsent = FULL + 1
        watch.backpressure.look()
        watch.backpressure.look()
        assert await watch.next() is False
        watch.socket.unsent = FREE - 1
        assert await watch.next() is True
    assert watch.told.empty()


async def test_a_socket_that_stays_full_is_given_up_once() -> None:
    watch = Watch(stuck_after=0.01)
    watch.socket.unsent = FULL + 1
    watch.backpressure.look()
    assert await watch.next() is False
    assert await watch.next() == "stuck"
    watch.backpressure.look()
    await asyncio.sleep(0)
    assert watch.told.empty()


async def test_a_socket_that_fills_beyond_all_bounds_is_given_up_at_once() -> None:
    watch = Watch()
    watch.socket.unsent = TOO_FULL + 1
    watch.backpressure.look()
    assert await watch.next() is False
    assert await watch.next() == "stuck"


async def test_nothing_is_told_after_stop() -> None:
    watch = Watch()
    watch.socket.unsent = FULL + 1
    watch.backpressure.look()
    watch.backpressure.stop()
    await asyncio.sleep(0)
    watch.backpressure.stop()
    assert watch.told.empty()
