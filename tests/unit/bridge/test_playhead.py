"""The playhead: what is reckoned without reports, and what each report changes."""

import pytest

from offhook.bridge.playhead import MAX_START_DELAY, MAX_WAY, STALE, START_DELAY, Playhead

MS = 8
PACKET = 200 * MS


def sent(*packets: tuple[float, int]) -> Playhead:
    head = Playhead()
    for at, milliseconds in packets:
        head.send(milliseconds * MS, at)
    return head


def test_nothing_was_ever_sent() -> None:
    head = Playhead()
    assert head.completed
    assert not head.playing(1e6)
    assert (head.at(1e6), head.unplayed(1e6)) == (0, 0)


def test_without_reports_playing_begins_after_the_guessed_delay() -> None:
    head = sent((10.0, 400))
    assert head.at(10.0) == head.at(10.0 + START_DELAY) == 0
    assert head.at(10.0 + START_DELAY + 0.25) == 250 * MS
    assert head.unplayed(10.0 + START_DELAY + 0.25) == 150 * MS
    assert head.at(99.0) == 400 * MS
    assert head.reaches(400 * MS) == pytest.approx(10.0 + START_DELAY + 0.4)


def test_a_time_that_was_reckoned_is_never_a_byte_short() -> None:
    head = sent((123_456.7, 800))
    for offset in range(0, 800 * MS + 1, 37):
        assert head.at(head.reaches(offset)) >= offset


def test_started_tells_where_playing_begins_and_how_long_it_takes() -> None:
    head = sent((10.0, 400))
    before = head.reports
    head.started(10.4)
    assert (before, head.reports) == (False, True)
    assert head.at(10.4) == 0
    assert head.at(10.5) == 100 * MS
    assert head.reaches(400 * MS) == pytest.approx(10.8)


def test_the_delay_is_learned_and_then_averaged() -> None:
    head = sent((10.0, 200))
    head.started(10.3)
    head.ran_out(10.5)
    head.send(PACKET, 20.0)
    head.started(20.1)
    head.ran_out(20.3)
    head.send(PACKET, 30.0)
    # Nothing counts as played before the report, within patience.
    assert head.at(30.0 + 0.69) == 0 + 2 * PACKET
    # Then the learned delay counts, (0.3 + 0.1) / 2.
    assert head.at(30.0 + MAX_START_DELAY) == 3 * PACKET
    assert head.reaches(3 * PACKET) == pytest.approx(30.0 + MAX_START_DELAY)


def test_started_twice_or_for_nothing_changes_nothing() -> None:
    head = sent((10.0, 400))
    head.started(10.2)
    head.started(10.3)
    assert head.at(10.4) == 200 * MS
    head.flush(10.4)
    head.started(10.5)
    assert head.unplayed(10.6) == 0


def test_a_packet_in_time_continues_the_run() -> None:
    head = sent((10.0, 200))
    assert not head.send(PACKET, 10.2)
    assert head.at(10.0 + START_DELAY + 0.3) == 300 * MS


def test_a_packet_after_the_end_begins_a_run() -> None:
    head = sent((10.0, 200))
    assert head.send(PACKET, 11.0)
    assert head.at(11.0 + START_DELAY) == PACKET
    assert head.at(11.0 + START_DELAY + 0.1) == PACKET + 100 * MS


def test_ran_out_confirms_the_end() -> None:
    head = sent((10.0, 400))
    head.started(10.1)
    head.ran_out(10.49)
    assert head.completed
    assert head.unplayed(10.49) == 0
    assert not head.playing(10.49)


def test_without_confirmation_playing_is_possible_for_a_while() -> None:
    head = sent((10.0, 200))
    end = 10.0 + START_DELAY + 0.2
    assert head.playing(end + STALE - 0.01)
    assert not head.playing(end + STALE)


def test_ran_out_crossed_by_a_packet() -> None:
    head = sent((10.0, 400))
    head.started(10.1)
    assert not head.send(PACKET, 10.48)  # 20 ms too late at Genesys, which reports at 10.5
    head.ran_out(10.51)
    assert not head.completed
    assert head.at(10.51) == 400 * MS
    head.started(10.6)
    assert head.at(10.7) == 500 * MS


def test_ran_out_of_what_was_played_before() -> None:
    head = sent((10.0, 400))
    head.started(10.1)
    assert head.send(PACKET, 10.5)  # exactly when it ran out
    head.ran_out(10.52)
    assert not head.completed
    assert head.at(10.55) == 400 * MS


def test_an_early_report_without_a_start_pushes_the_reckoning_on() -> None:
    head = sent((10.0, 400))
    head.ran_out(10.3)
    assert head.at(10.3) == 0
    assert head.at(10.4) == 100 * MS
    assert not head.completed


def test_ran_out_alone_completes_when_it_fits_the_reckoning() -> None:
    head = sent((10.0, 400))
    head.ran_out(10.41)  # played without any delay
    assert head.completed
    assert not head.reports


def test_an_old_packet_does_not_count_as_crossing() -> None:
    """Genesys lost the rest of a run: a report long after the last packet means that all is gone."""
    head = sent((10.0, 200), (10.1, 800))
    head.started(10.1)
    head.ran_out(10.9)
    assert head.completed


def test_flush_forgets_all() -> None:
    head = sent((10.0, 800))
    head.started(10.1)
    head.flush(10.3)
    assert head.completed
    assert head.unplayed(10.3) == 0
    assert head.send(PACKET, 10.4)
    assert head.at(10.45) == 800 * MS


def test_a_report_is_as_old_as_its_way() -> None:
    head = sent((10.0, 800))
    head.round_trip(0.1)
    head.started(10.15)
    # It began 50 ms before we heard of it.
    assert head.at(10.15) == 50 * MS
    assert head.at(10.3) == 200 * MS


def test_a_way_is_believed_within_reason() -> None:
    head = Playhead()
    head.round_trip(60.0)
    assert head.way == MAX_WAY
    head.round_trip(-1.0)
    assert head.way == 0.0


def test_a_report_that_crossed_a_packet_speaks_of_what_was_there_when_it_left() -> None:
    head = sent((10.0, 200))
    head.round_trip(0.2)
    head.started(10.2)
    head.send(PACKET, 10.32)  # under way when Genesys runs out at 10.3, which we hear at 10.4
    head.ran_out(10.4)
    assert not head.completed
    assert head.unplayed(10.4) == PACKET


def test_the_first_report_is_about_the_first_run() -> None:
    # Two short answers were sent and taken for played when the peer, slow for once, begins with the first.
    head = sent((10.0, 200), (10.5, 400))
    assert head.unplayed(10.7) == 300 * MS
    head.started(10.7)
    assert head.unplayed(10.7) == 600 * MS
    assert head.at(10.9) == 200 * MS


def test_what_was_flushed_or_sent_long_ago_is_not_what_a_first_report_is_about() -> None:
    head = sent((10.0, 200), (12.0, 400))
    head.started(12.3)
    assert head.unplayed(12.3) == 400 * MS
    head = sent((10.0, 200))
    head.flush(10.2)
    head.send(400 * MS, 10.4)
    head.started(10.6)
    assert head.unplayed(10.6) == 400 * MS
