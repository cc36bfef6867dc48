import pytest

from offhook.audiohook import RateWatch, SendBudget, TokenBucket


def test_a_bucket_begins_full_and_refills() -> None:
    bucket = TokenBucket(5, 25)
    assert sum(bucket.take(100.0) for _ in range(30)) == 25
    assert not bucket.take(100.1)
    assert bucket.take(100.2)
    assert bucket.available(1000.0) == 25


def test_a_clock_that_goes_back_refills_nothing() -> None:
    bucket = TokenBucket(5, 1)
    assert bucket.take(10.0)
    assert bucket.available(5.0) == 0
    assert bucket.available(10.1) == pytest.approx(0.5)


def test_a_reserve_is_not_taken() -> None:
    bucket = TokenBucket(5, 5)
    assert [bucket.take(0.0, reserve=3) for _ in range(3)] == [True, True, False]
    assert bucket.take(0.0)


@pytest.mark.parametrize("reserve", [0, 3])
def test_ready_at_is_when_take_succeeds(reserve: int) -> None:
    bucket = TokenBucket(5, 5)
    assert bucket.ready_at(1.0) == 1.0
    for _ in range(6):
        bucket.spend(1.0)
    assert bucket.available(1.0) == -1
    ready = bucket.ready_at(1.0, reserve=reserve)
    assert not bucket.take(ready - 0.01, reserve=reserve)
    assert bucket.take(ready, reserve=reserve)


def test_ready_at_never_lies_because_of_rounding() -> None:
    bucket = TokenBucket(5, 25)
    now = 12345.678
    for _ in range(1000):
        now = bucket.ready_at(now)
        assert bucket.take(now)


def test_a_budget_keeps_its_reserve_for_what_cannot_wait() -> None:
    budget = SendBudget()
    assert sum(budget.take_text(0.0) for _ in range(30)) == 22
    budget.spend_text(0.0)
    assert budget.text_ready_at(0.0) == pytest.approx(0.4)
    assert not budget.take_text(0.2)
    assert budget.take_text(0.4)


def test_a_429_stops_audio_and_what_can_wait() -> None:
    budget = SendBudget()
    assert not budget.throttled(0.0)
    budget.throttle(2.0, 0.0)
    budget.throttle(None, 0.0)
    assert budget.throttled(1.9)
    assert not budget.take_binary(1.9)
    assert not budget.take_text(1.9)
    assert budget.binary_ready_at(0.0) == budget.text_ready_at(0.0) == 2.0
    assert budget.take_binary(2.0)
    assert budget.take_text(2.0)
    budget.throttle(1e9, 10.0)
    assert budget.binary_ready_at(10.0) == 40.0


def test_pause_and_resume_have_limits_of_their_own() -> None:
    budget = SendBudget()
    assert sum(budget.take_pause(0.0, resume=False) for _ in range(9)) == 4
    assert sum(budget.take_pause(0.0, resume=True) for _ in range(9)) == 4
    assert budget.take_pause(0.5, resume=False)
    budget.throttle(5.0, 1.0)
    assert not budget.take_pause(1.0, resume=True)


def test_a_watch_warns_once_a_second_and_gives_up() -> None:
    watch = RateWatch()
    assert not any(watch.exceeded(0.0) for _ in range(25))
    warnings = [tick for tick in range(60) if any(watch.exceeded(tick / 10) for _ in range(5))]
    assert warnings == [0, 10, 20, 30, 40, 50]
    assert watch.hopeless


def test_a_watch_forgives() -> None:
    watch = RateWatch()
    for second in range(0, 400, 20):
        assert sum(watch.exceeded(second) for _ in range(40)) == 1
    assert not watch.hopeless
