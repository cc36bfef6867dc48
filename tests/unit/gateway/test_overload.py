import asyncio
from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from offhook.gateway import overload as module
from offhook.gateway.overload import CALM, LOOK_EVERY, SUSTAINED, LagWatch, Overload

LIMIT = 0.1


class Clock:
    """Feeds measurements as the timer would: each comes so much late."""

    def __init__(self, max_lag: float | None = LIMIT) -> None:
        self.overload = Overload(max_lag)
        self.now = 1000.0
        self.changes: list[tuple[float, bool]] = []

    def run(self, lags: Iterable[float]) -> None:
        for lag in lags:
            self.now += LOOK_EVERY + lag
            if self.overload.measured(lag, self.now):
                self.changes.append((self.now, self.overload.overloaded))

    def quiet(self, seconds: float, lag: float = 0.001) -> None:
        self.run([lag] * round(seconds / (LOOK_EVERY + lag)))


def test_an_idle_process_is_not_overloaded() -> None:
    clock = Clock()
    clock.quiet(60)
    assert clock.changes == []
    assert clock.overload.lag == pytest.approx(0.001, rel=0.01)


@pytest.mark.parametrize("stall", [0.05, 0.5, 3.0, 600.0])
def test_one_long_pause_is_no_overload(stall: float) -> None:
    clock = Clock()
    clock.quiet(5)
    clock.run([stall])
    clock.quiet(30)
    assert clock.changes == []


@pytest.mark.parametrize(("lag", "within"), [(0.12, 3.0), (0.2, 2.0), (0.5, 2.0), (1.0, 3.2)])
def test_being_late_for_a_while_is(lag: float, within: float) -> None:
    clock = Clock()
    clock.quiet(5)
    began = clock.now
    clock.run([lag] * 40)
    ((at, overloaded),) = clock.changes
    assert overloaded
    assert SUSTAINED < at - began <= within
    assert clock.overload.lag == pytest.approx(min(lag, 1.0), rel=0.05)


def test_a_little_late_for_ever_is_not() -> None:
    clock = Clock()
    clock.run([0.09] * 2000)
    assert clock.changes == []


def test_it_recovers_after_a_calm_while_and_not_before() -> None:
    clock = Clock()
    clock.run([0.3] * 20)
    for _ in range(10):
        clock.run([0.08] * 20)  # under the limit, over half of it
        clock.quiet(CALM / 2)
    assert [overloaded for _, overloaded in clock.changes] == [True]
    calm = clock.now
    clock.quiet(2 * CALM)
    (_, (at, overloaded)) = clock.changes
    assert not overloaded
    assert at - calm <= CALM + 0.1
    clock.run([0.3] * 20)
    assert [overloaded for _, overloaded in clock.changes] == [True, False, True]


def test_without_a_limit_there_is_no_overload() -> None:
    clock = Clock(None)
    clock.run([5.0] * 100)
    assert clock.changes == []
    assert clock.overload.lag == pytest.approx(5.0, rel=0.01)


def test_a_limit_that_is_taken_away_ends_it_at_once() -> None:
    clock = Clock()
    clock.run([0.3] * 20)
    assert clock.overload.overloaded
    clock.overload.max_lag = None
    clock.run([0.3])
    assert [overloaded for _, overloaded in clock.changes] == [True, False]


class Scripted(Overload):
    """Changes its mind as told."""

    def __init__(self, decisions: list[bool]) -> None:
        super().__init__(LIMIT)
        self.decisions = decisions
        self.lags: list[float] = []
        self.over = asyncio.Event()

    def measured(self, lag: float, now: float) -> bool:
        self.lags.append(lag)
        if not self.decisions:
            self.over.set()
            return False
        decided = self.decisions.pop(0)
        changed, self.overloaded = decided != self.overloaded, decided
        return changed


async def test_changes_are_logged_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.001)
    scripted = Scripted([False, True, True, True, False, False])
    watch = LagWatch(scripted)
    with capture_logs() as logs:
        watch.start()
        async with asyncio.timeout(5):
            await scripted.over.wait()
        watch.stop()
    assert [(line["event"], line["log_level"], line.get("code")) for line in logs] == [
        ("overloaded: new calls are refused", "warning", "OH-LIMIT-05"),
        ("not overloaded any more", "info", None),
    ]
    assert all(lag >= 0.0 for lag in scripted.lags)


async def test_the_lag_is_that_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    skipped = 0.0
    clock = loop.time
    scripted = Scripted([False] * 3)
    watch = LagWatch(scripted)
    monkeypatch.setattr(module, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(loop, "time", lambda: clock() + skipped)
    watch.start()
    skipped = 7.0  # as if something had kept the loop for so long
    async with asyncio.timeout(5):
        await scripted.over.wait()
    watch.stop()
    assert 6.9 < scripted.lags[0] < 8.0
    assert max(scripted.lags[1:]) < 1.0
    count = len(scripted.lags)
    watch.stop()
    await asyncio.sleep(0)
    assert len(scripted.lags) == count
