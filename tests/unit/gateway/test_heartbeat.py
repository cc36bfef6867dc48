import asyncio

from offhook.gateway.heartbeat import TURNS, Heartbeat
from offhook.gateway.link import DEFAULT_LIMITS, LinkLimits
from tests.fakes.virtual_time import virtual

LIMITS = LinkLimits(ping_interval=1.5, pong_timeout=2.5)


class Watched:
    """A heartbeat, and when it did what."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.pings: list[float] = []
        self.silent_at: list[float] = []
        self.given_up = asyncio.Event()
        self.heartbeat = Heartbeat(LIMITS, ping=lambda: self.pings.append(self.loop.time()), silent=self.on_silent)
        self.heartbeat.start()

    def on_silent(self) -> None:
        self.silent_at.append(self.loop.time())
        self.given_up.set()

    def hear_at(self, *times: float) -> None:
        for at in times:
            self.loop.call_at(at, self.heartbeat.heard)


@virtual
async def test_a_dead_peer_is_found_in_four_seconds() -> None:
    assert (DEFAULT_LIMITS.ping_interval, DEFAULT_LIMITS.pong_timeout) == (1.5, 2.5)
    watched = Watched()
    await watched.given_up.wait()
    assert (watched.pings, watched.silent_at) == ([1.5], [4.0])
    await asyncio.sleep(10)
    assert watched.silent_at == [4.0]


@virtual
async def test_who_talks_is_not_asked() -> None:
    watched = Watched()
    watched.hear_at(1.0, 2.0, 3.0, 4.0, 4.25)
    await watched.given_up.wait()
    assert (watched.pings, watched.silent_at) == ([5.75], [8.25])


@virtual
async def test_who_answers_stays_and_is_asked_again() -> None:
    watched = Watched()
    watched.hear_at(1.6, 5.5)
    await watched.given_up.wait()
    assert watched.pings == [1.5, 3.1, 7.0]
    assert watched.silent_at == [9.5]


@virtual
async def test_an_answer_that_the_loop_has_not_read_yet_counts() -> None:
    # After a stall of ours, the loop may run its timers before it looks at the sockets.
    watched = Watched()

    def read_late(turns: int) -> None:
        if turns:
            watched.loop.call_soon(read_late, turns - 1)
        else:
            watched.heartbeat.heard()

    watched.loop.call_at(4.0, read_late, TURNS - 2)
    await watched.given_up.wait()
    assert watched.pings == [1.5, 5.5]
    assert watched.silent_at == [8.0]


@virtual
async def test_nobody_is_asked_any_more() -> None:
    watched = Watched()
    watched.loop.call_at(2.0, watched.heartbeat.stop)
    watched.hear_at(2.5)
    await asyncio.sleep(20)
    assert (watched.pings, watched.silent_at) == ([1.5], [])
