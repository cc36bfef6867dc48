from offhook.tools.breaker import MAX_FAILURES, REST, Breaker


def opened_at(now: float) -> Breaker:
    breaker = Breaker()
    opened = [breaker.record_failure(now) for _ in range(MAX_FAILURES)]
    assert opened == [*[False] * (MAX_FAILURES - 1), True]
    return breaker


def test_it_is_closed_until_there_are_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            assert not breaker.record_failure(0.0)
        assert breaker.admit(0.0)
        breaker.record_success()
    assert not breaker.open


def test_it_stays_open_for_a_rest() -> None:
    breaker = opened_at(100.0)
    assert breaker.open
    assert not breaker.admit(100.0)
    assert not breaker.admit(100.0 + REST - 0.001)


def test_then_one_trial_at_a_time() -> None:
    breaker = opened_at(100.0)
    assert breaker.trial_at == 100.0 + REST
    assert breaker.admit(100.0 + REST)
    assert breaker.trial_at == 100.0 + 2 * REST
    assert not breaker.admit(100.0 + REST)
    assert not breaker.admit(100.0 + 2 * REST - 1)
    # The first trial never told its outcome.
    assert breaker.admit(100.0 + 2 * REST)


def test_a_trial_that_succeeds_closes_it() -> None:
    breaker = opened_at(0.0)
    assert breaker.admit(REST)
    breaker.record_success()
    assert not breaker.open
    assert breaker.admit(REST)
    assert breaker.admit(REST)


def test_a_trial_that_fails_begins_the_next_rest() -> None:
    breaker = opened_at(0.0)
    assert breaker.admit(REST)
    assert not breaker.record_failure(REST + 5)  # it was open before
    assert not breaker.admit(2 * REST + 4)
    assert breaker.admit(2 * REST + 5)


def test_other_numbers() -> None:
    breaker = Breaker(failures=1, rest=2.0)
    assert breaker.record_failure(0.0)
    assert not breaker.admit(1.9)
    assert breaker.admit(2.0)
