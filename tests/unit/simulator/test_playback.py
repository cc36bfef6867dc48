"""Playback queue: audio that arrives, time that passes, flushes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.simulator.playback import (
    Enqueued,
    PlaybackCompleted,
    PlaybackQueue,
    PlaybackStarted,
    PlayedRun,
)

SECOND = bytes(range(1, 251)) * 32  # 8,000 bytes


def test_an_empty_queue_waits_for_nothing() -> None:
    queue = PlaybackQueue()
    queue.handle_timer(5.0)
    assert queue.next_timer() is None
    assert not queue.busy
    assert queue.events() == []
    assert queue.played(9.0) == []
    assert queue.played_bytes(9.0) == queue.unplayed_bytes(9.0) == 0


def test_audio_plays_at_once_and_in_real_time() -> None:
    queue = PlaybackQueue()
    assert queue.enqueue(SECOND, 10.0) == Enqueued(10.0, SECOND, 0)
    assert queue.events() == [PlaybackStarted(10.0)]
    assert queue.busy
    assert queue.next_timer() == 11.0
    assert queue.played_bytes(10.25) == 2000
    assert queue.unplayed_bytes(10.25) == 6000
    assert queue.played(10.25) == [PlayedRun(10.0, SECOND[:2000])]
    queue.handle_timer(10.999)
    assert queue.events() == []
    queue.handle_timer(11.0)
    assert queue.events() == [PlaybackCompleted(11.0)]
    assert queue.next_timer() is None
    assert queue.played(99.0) == [PlayedRun(10.0, SECOND)]
    assert queue.max_unplayed_ms == 1000


def test_a_late_timer_reports_when_it_really_happened() -> None:
    queue = PlaybackQueue()
    queue.enqueue(SECOND, 10.0)
    queue.handle_timer(11.4)
    assert queue.events() == [PlaybackStarted(10.0), PlaybackCompleted(11.0)]


def test_audio_in_time_continues_without_a_gap() -> None:
    queue = PlaybackQueue()
    queue.enqueue(SECOND, 0.0)
    assert queue.enqueue(SECOND, 0.5).at == 1.0
    assert queue.events() == [PlaybackStarted(0.0)]
    assert queue.next_timer() == 2.0
    assert queue.max_unplayed_ms == 1500
    assert queue.underruns == 0
    queue.advance(2.0)
    assert queue.events() == [PlaybackCompleted(2.0)]
    assert queue.played(2.0) == [PlayedRun(0.0, SECOND * 2)]


@pytest.mark.parametrize(("again", "underruns"), [(1.0, 1), (1.5, 1), (1.6, 0), (30.0, 0)])
def test_audio_soon_after_the_queue_ran_empty_is_an_underrun(again: float, underruns: int) -> None:
    queue = PlaybackQueue(underrun_gap=0.5)
    queue.enqueue(SECOND, 0.0)
    queue.enqueue(SECOND, again)
    assert queue.underruns == underruns
    assert queue.events() == [PlaybackStarted(0.0), PlaybackCompleted(1.0), PlaybackStarted(again)]
    assert queue.played(again + 9) == [PlayedRun(0.0, SECOND), PlayedRun(again, SECOND)]


def test_the_start_delay_comes_before_each_run() -> None:
    queue = PlaybackQueue(start_delay=0.1)
    assert queue.enqueue(SECOND, 0.0).at == 0.1
    assert queue.next_timer() == 0.1
    assert queue.events() == []
    assert queue.played_bytes(0.05) == 0
    assert queue.played(0.05) == []
    queue.handle_timer(0.1)
    assert queue.events() == [PlaybackStarted(0.1)]
    assert queue.next_timer() == 1.1
    assert queue.enqueue(SECOND, 5.0).at == 5.1


def test_the_last_that_was_heard() -> None:
    queue = PlaybackQueue()
    assert queue.tail(10.0, 100) == b""
    queue.enqueue(bytes(range(100)) * 80, 10.0)
    assert queue.tail(10.0, 4) == b""
    assert queue.tail(10.5, 4) == bytes([96, 97, 98, 99])
    assert queue.tail(10.5, 9000) == bytes(range(100)) * 40
    queue.advance(11.0)
    assert queue.tail(20.0, 4) == bytes([96, 97, 98, 99])
    queue.enqueue(bytes(800), 20.0)
    assert queue.tail(20.0, 4) == bytes([96, 97, 98, 99])  # of the new one nothing was heard yet
    queue.advance(21.0)
    assert queue.tail(21.0, 802) == bytes([98, 99]) + bytes(800)
    assert queue.tail(21.0, 99_999) == bytes(range(100)) * 80 + bytes(800)


def test_flush_stops_at_the_sample() -> None:
    queue = PlaybackQueue()
    queue.enqueue(SECOND, 0.0)
    assert queue.flush(0.3) == 8000 - 2400
    assert queue.events() == [PlaybackStarted(0.0), PlaybackCompleted(0.3)]
    assert queue.next_timer() is None
    assert queue.played(9.0) == [PlayedRun(0.0, SECOND[:2400])]
    assert queue.flushed_bytes == 5600
    queue.enqueue(SECOND, 0.35)
    assert queue.underruns == 0, "what follows a flush is something new"


def test_flush_may_say_nothing() -> None:
    queue = PlaybackQueue(completed_after_flush=False)
    queue.enqueue(SECOND, 0.0)
    queue.flush(0.3)
    assert queue.events() == [PlaybackStarted(0.0)]


def test_flush_before_it_begins_leaves_no_trace() -> None:
    queue = PlaybackQueue(start_delay=0.2)
    queue.enqueue(SECOND, 0.0)
    assert queue.flush(0.1) == 8000
    assert queue.events() == []
    assert queue.played(9.0) == []


def test_flush_of_an_empty_queue_forgets_the_gap() -> None:
    queue = PlaybackQueue()
    queue.enqueue(SECOND, 0.0)
    assert queue.flush(1.1) == 0
    queue.enqueue(SECOND, 1.2)
    assert queue.underruns == 0


def test_an_answer_to_the_caller_is_no_underrun() -> None:
    queue = PlaybackQueue()
    queue.enqueue(SECOND, 0.0)
    queue.turn(1.1)
    queue.enqueue(SECOND, 1.2)
    assert queue.underruns == 0
    queue.enqueue(SECOND, 2.3)
    assert queue.underruns == 1


def test_what_exceeds_the_bound_is_cut() -> None:
    queue = PlaybackQueue(capacity_ms=1500)
    queue.enqueue(SECOND, 0.0)
    assert queue.enqueue(SECOND, 0.0) == Enqueued(1.0, SECOND[:4000], 4000)
    assert queue.enqueue(SECOND, 0.0) == Enqueued(0.0, b"", 8000)
    assert queue.dropped_bytes == 12_000
    assert queue.enqueue(SECOND[:800], 0.1).dropped == 0, "what has been played makes room"
    assert queue.max_unplayed_ms == 1500


def test_what_exceeds_the_bound_is_dropped_whole() -> None:
    queue = PlaybackQueue(capacity_ms=1500, overflow="drop")
    queue.enqueue(SECOND, 0.0)
    assert queue.enqueue(SECOND, 0.0) == Enqueued(0.0, b"", 8000)
    assert queue.unplayed_bytes(0.0) == 8000
    assert queue.enqueue(SECOND[:4000], 0.0).dropped == 0


def test_no_audio_is_no_message() -> None:
    queue = PlaybackQueue()
    assert queue.enqueue(b"", 1.0) == Enqueued(1.0, b"", 0)
    assert not queue.busy


@given(
    st.lists(
        st.tuples(st.sampled_from("efw"), st.integers(1, 20_000), st.floats(0, 3, allow_subnormal=False)), max_size=30
    ),
    st.sampled_from([0.0, 0.08]),
)
def test_nothing_is_lost_or_doubled(actions: list[tuple[str, int, float]], delay: float) -> None:
    queue = PlaybackQueue(start_delay=delay, capacity_ms=4000)
    now, accepted, started, completed = 50.0, 0, 0, 0
    for action, size, wait in actions:
        now += wait
        before = queue.played_bytes(now)
        if action == "e":
            accepted += len(queue.enqueue(b"\x55" * size, now).audio)
        elif action == "f":
            queue.flush(now)
        else:
            queue.handle_timer(now)
        assert queue.played_bytes(now) == before, "nothing changes what has been heard"
        assert accepted == queue.played_bytes(now) + queue.unplayed_bytes(now) + queue.flushed_bytes
        assert sum(len(run.audio) for run in queue.played(now)) == queue.played_bytes(now)
        for event in queue.events():
            if isinstance(event, PlaybackStarted):
                started += 1
            else:
                completed += 1
            assert 0 <= started - completed <= 1
            assert event.at <= now
    runs = queue.played(now)
    for earlier, later in pairwise(runs):
        assert later.at >= earlier.at + len(earlier.audio) / 8000 - 1e-3
    assert queue.max_unplayed_ms <= 4000
