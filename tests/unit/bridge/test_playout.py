"""Playout: packets, pace, and the ledger of what was heard, against a model of Genesys' queue."""

import itertools
import random

import pytest

from offhook.audio import SILENCE
from offhook.bridge.playout import MAX_QUEUED, PACKET, Heard, Playout
from tests.unit.bridge.harness import speech
from tests.unit.bridge.playing import Playing

MS = 8
DELAYS = (0.0, 0.1, 0.3, 0.6)


@pytest.mark.parametrize(
    ("reports", "start_delay", "speed"), list(itertools.product((True, False), DELAYS, (0.7, 1.0, 4.0, 50.0)))
)
def test_whatever_the_generation_the_caller_hears_all_of_it_in_time(
    reports: bool, start_delay: float, speed: float
) -> None:
    for delta, length in itertools.product((37, 160, 1601, 8000), (130, 590, 1000, 3333, 5999.5)):
        playing = Playing(start_delay, reports=reports, report_delay=0.02)
        audio = speech(length)
        playing.generate(audio, speed=speed, delta=delta)
        playing.advance(length / 1000 / min(speed, 1) + 3)
        assert playing.sent.startswith(audio)
        filling = playing.sent[len(audio) :]
        assert filling == bytes((SILENCE,)) * len(filling)
        assert len(filling) < PACKET
        assert all(PACKET <= len(packet) <= 1000 * MS for _, packet in playing.packets)
        assert playing.most_unplayed <= 1000 * MS
        assert bytes(playing.playback.heard) == playing.sent
        assert playing.settled == [Heard("a", 0, len(audio), len(audio), done=True)]
        if speed > 1:
            assert playing.playback.gaps == 1, "the audio ran dry on its way"
            assert playing.playout.underruns == 0


def test_the_tail_goes_with_the_packet_before_it() -> None:
    playing = Playing()
    playing.generate(speech(2130), speed=4, delta=1600)
    playing.advance(5)
    assert len(playing.sent) == 2130 * MS


@pytest.mark.parametrize("reports", [True, False])
def test_the_first_packet_leaves_at_once(reports: bool) -> None:
    playing = Playing(reports=reports)
    playing.add(speech(199))
    assert playing.packets == []
    playing.add(speech(1))
    assert [(at - 5000.0, len(packet)) for at, packet in playing.packets] == [(0.0, PACKET)]


def test_a_lone_tail_is_filled_with_silence() -> None:
    playing = Playing()
    playing.add(b"\x01\x02\x03")
    assert playing.packets == []
    playing.finish()
    assert playing.sent == b"\x01\x02\x03" + bytes((SILENCE,)) * (PACKET - 3)
    playing.advance(1)
    assert playing.settled == [Heard("a", 0, 3, 3, done=True)]


@pytest.mark.parametrize("reports", [True, False])
@pytest.mark.parametrize("start_delay", [0.0, 0.6])
def test_no_tail_is_left_alone_when_there_is_time_to_join_it(reports: bool, start_delay: float) -> None:
    for length in range(400, 1800, 13):
        for delta in (160, 2401):
            playing = Playing(start_delay, reports=reports)
            playing.generate(speech(length), speed=5, delta=delta)
            playing.advance(4)
            assert len(playing.sent) == length * MS
            assert playing.playback.gaps == 1
            assert playing.most_unplayed <= 1000 * MS


def test_media_with_wide_samples_have_smaller_packets() -> None:
    playout = Playout(largest=2 * PACKET)
    playout.add("a", 0, speech(5000), 0.0)
    playout.finish("a")
    playout.playhead.reports = True
    packet = playout.take(10.0)
    assert packet is not None
    assert len(packet) == 2 * PACKET


def test_the_queue_is_bounded() -> None:
    playout = Playout()
    assert playout.add("a", 0, bytes(MAX_QUEUED), 0.0)
    assert not playout.add("a", 0, b"x", 0.0)
    assert playout.queued == MAX_QUEUED


def test_nothing_to_send() -> None:
    playout = Playout()
    assert playout.next_packet_at(1.0) is None
    assert playout.take(1.0) is None
    assert playout.next_settle_at() is None
    assert playout.settle(1.0) == []
    playout.finish("unknown")
    assert playout.take(1.0) is None


def test_a_rest_waits_for_its_tail() -> None:
    playing = Playing()
    playing.add(speech(390))
    assert len(playing.packets) == 1
    playing.advance(1)
    assert len(playing.packets) == 1, "less than a packet waits until it is known to be a tail"
    playing.finish()
    assert len(playing.sent) == 400 * MS
    assert playing.playout.underruns == 1


def test_underruns_count_in_the_middle_of_an_answer_only() -> None:
    playing = Playing()
    playing.generate(speech(1000), speed=4, delta=800)
    playing.advance(3)
    playing.generate(speech(1000), speed=4, delta=800, item="b")
    playing.advance(3)
    assert playing.playout.underruns == 0
    playing.generate(speech(1000), speed=0.5, delta=800, item="c")
    playing.advance(6)
    assert playing.playout.underruns > 0


@pytest.mark.parametrize(("reports", "start_delay"), [(True, 0.0), (True, 0.6), (False, 0.0), (False, 0.15)])
def test_what_was_heard_is_known_at_any_moment(reports: bool, start_delay: float) -> None:
    """Three items, an underrun between the second and the third; 100 ms is the promise."""
    lengths = {"a": 1730, "b": 900, "c": 2410}
    # Before its first report, a peer is taken to begin after 100 ms.
    known_from = 0.1 if start_delay < 0.2 else start_delay + 0.1
    for cut_at in (known_from + x / 37 for x in range(0, 250, 4)):
        playing = Playing(start_delay, reports=reports, report_delay=0.03)
        first = playing.generate(speech(lengths["a"]), speed=4, delta=800, item="a")
        playing.generate(speech(lengths["b"]), speed=4, delta=800, item="b", delay=first)
        playing.generate(speech(lengths["c"]), speed=4, delta=800, item="c", delay=3.5)
        playing.advance(cut_at)
        cut = playing.interrupt()
        heard = sum(item.heard_bytes for item in playing.settled) + sum(item.heard_bytes for item in cut)
        really = len(playing.playback.heard)
        assert abs(heard - really) <= 100 * MS, (cut_at, heard / MS, really / MS)
        assert playing.playout.queued == 0
        assert not playing.playout.at_genesys(playing.now)
        assert [item.item_id for item in playing.settled + cut] == sorted(
            item.item_id for item in playing.settled + cut
        )
        for item in cut:
            assert not item.complete
            assert item.heard_bytes <= item.received_bytes


def test_missing_reports_are_survived() -> None:
    """A peer that reported once and then falls silent is waited for, within bounds."""
    playing = Playing(0.1)
    playing.generate(speech(1000), speed=4, delta=800)
    playing.advance(3)
    playing.reports = False
    playing.generate(speech(3000), speed=4, delta=800, item="b")
    playing.advance(6)
    assert len(playing.sent) >= 4000 * MS
    assert playing.most_unplayed <= 1000 * MS
    assert [item.item_id for item in playing.settled] == ["a", "b"]


def test_an_item_still_being_generated_is_not_complete() -> None:
    playing = Playing(0.0)
    playing.add(speech(390))
    playing.advance(3)
    (cut,) = playing.interrupt()
    assert cut == Heard("a", 0, 200 * MS, 390 * MS, done=False)
    assert cut.heard_ms == 200
    assert not cut.complete


def test_interleaved_items_are_counted_each_for_itself() -> None:
    playing = Playing(0.0)
    playing.add(speech(400), "a")
    playing.add(speech(400), "b")
    playing.add(speech(400), "a")
    playing.finish("a")
    playing.finish("b")
    playing.advance(0.5)
    cut = {item.item_id: (item.heard_ms, item.received_bytes // MS) for item in playing.interrupt()}
    assert cut["a"][1] == 800
    assert cut["a"][0] == pytest.approx(400, abs=10)
    assert cut["b"][0] == pytest.approx(100, abs=10)
    assert cut["b"][1] == 400


def test_more_audio_of_an_item_that_was_finished() -> None:
    playing = Playing(0.0)
    playing.add(speech(400))
    playing.finish()
    playing.advance(2)
    assert [item.received_bytes for item in playing.settled] == [400 * MS]
    playing.add(speech(300))
    playing.finish()
    playing.advance(2)
    assert [item.received_bytes for item in playing.settled] == [400 * MS, 300 * MS]


def test_settling_keeps_the_item_at_the_end_of_the_queue() -> None:
    """The last bytes belong to an item that stands behind another one in the ledger."""
    playing = Playing(0.0)
    playing.add(speech(400), "a")
    playing.add(speech(400), "b")
    playing.finish("a")
    playing.advance(2)
    assert [item.item_id for item in playing.settled] == ["a"]
    playing.finish("b")
    playing.advance(2)
    assert [item.item_id for item in playing.settled] == ["a", "b"]


def test_bytes_arrive_unchanged_over_many_answers_with_interruptions() -> None:
    rng = random.Random(7)
    playing = Playing(0.05)
    expected = b""
    for number in range(60):
        audio = rng.randbytes(rng.randrange(1, 40_000))
        playing.generate(audio, speed=rng.uniform(2, 20), delta=rng.randrange(20, 9000), item=f"i{number}")
        before = len(playing.sent)
        playing.advance(len(audio) / 8000 + 3)
        sent = playing.sent[before:]
        assert sent.startswith(audio)
        expected += sent
        if rng.random() < 0.5:
            playing.add(rng.randbytes(20_000), "cut")
            playing.advance(rng.uniform(0, 2))
            playing.interrupt()
            quiet = len(playing.packets)
            playing.advance(1)
            assert len(playing.packets) == quiet
    assert playing.most_unplayed <= 1000 * MS
