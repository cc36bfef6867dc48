"""The account of answers that are owed."""

from offhook.bridge.replies import TURN_PATIENCE, Replies


def test_nothing_is_owed_at_first() -> None:
    replies = Replies()
    assert not replies.owed(1.0)
    assert replies.next_timer() is None


def test_what_is_posted_is_owed_until_it_is_asked_for() -> None:
    replies = Replies()
    replies.posted()
    assert replies.owed(1.0)
    replies.requested()
    assert not replies.owed(1.0)
    assert not replies.response_started(ours=True)
    assert not replies.owed(2.0)


def test_what_is_posted_after_the_request_is_owed_still() -> None:
    replies = Replies()
    replies.posted()
    replies.requested()
    replies.posted()
    replies.response_started(ours=True)
    assert replies.owed(1.0)


def test_ours_has_seen_what_landed_before_it() -> None:
    replies = Replies()
    replies.posted()
    replies.requested()
    replies.posted()
    replies.landed()
    replies.landed()
    replies.landed()  # an item that nobody waits for
    replies.response_started(ours=True)
    assert not replies.owed(1.0)


def test_the_servers_answer_counts_for_what_had_landed() -> None:
    replies = Replies()
    replies.posted()
    replies.posted()
    replies.landed()
    assert not replies.response_started(ours=False)
    assert replies.owed(1.0)
    replies.landed()
    replies.response_started(ours=False)
    assert not replies.owed(1.0)


def test_a_request_that_became_pointless() -> None:
    replies = Replies()
    replies.posted()
    replies.requested()
    replies.landed()
    assert replies.response_started(ours=False)
    replies.refused()
    assert not replies.owed(1.0)


def test_a_request_that_still_has_a_point() -> None:
    replies = Replies()
    replies.posted()
    replies.posted()
    replies.requested()
    replies.landed()
    assert not replies.response_started(ours=False)
    replies.refused()
    assert replies.owed(1.0)


def test_pending_calls_hold_the_answer() -> None:
    replies = Replies()
    replies.call_started("a")
    replies.call_started("b")
    assert replies.call_finished("a")
    assert not replies.call_finished("a")
    assert not replies.call_finished("c")
    replies.posted()
    assert not replies.owed(1.0)
    assert replies.call_finished("b")
    replies.posted()
    assert replies.owed(1.0)


def test_the_callers_turn_comes_first() -> None:
    replies = Replies()
    replies.posted()
    replies.caller_started()
    assert not replies.owed(1.0)
    assert replies.next_timer() is None
    replies.caller_stopped(2.0)
    assert not replies.owed(2.0)
    assert replies.next_timer() == 2.0 + TURN_PATIENCE
    assert replies.owed(2.0 + TURN_PATIENCE)
    replies.response_started(ours=False)
    assert replies.owed(2.1), "the server's answer did not see it"


def test_a_noise_is_no_turn_that_would_be_answered() -> None:
    replies = Replies()
    replies.posted()
    replies.caller_started()
    replies.caller_stopped(10.0)
    assert not replies.owed(10.0)
    replies.nothing_said()
    assert replies.owed(10.0)
