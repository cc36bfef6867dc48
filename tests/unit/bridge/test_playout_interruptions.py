"""What an interruption does to the queue: held back and played on, or cut, around what is protected."""

import itertools

import pytest

from offhook.bridge.playout import KEPT, PACKET, REPLAYED, Heard, Playout
from tests.unit.bridge.harness import speech
from tests.unit.bridge.playing import Playing

MS = 8


def heard_all(heard: bytes, audio: bytes) -> bool:
    """Every 20 ms of the audio can be found in what was heard, in their order."""
    at = 0
    for begin in range(0, len(audio), 160):
        found = heard.find(audio[begin : begin + 160], max(at - REPLAYED - 160, 0))
        if found < 0:
            return False
        at = found
    return True


@pytest.mark.parametrize(("reports", "start_delay"), [(True, 0.0), (True, 0.3), (False, 0.1)])
def test_nothing_is_lost_and_little_is_said_twice(reports: bool, start_delay: float) -> None:
    audio = b"".join(speech(500, first=number) for number in range(8))
    for cut_at in (x / 17 for x in range(1, 70, 3)):
        playing = Playing(start_delay, reports=reports, report_delay=0.02)
        playing.generate(audio, speed=3, delta=1000)
        playing.advance(cut_at)
        playing.hold_back()
        sent = len(playing.packets)
        playing.advance(1.0)
        assert len(playing.packets) == sent, "silent while it is held back"
        assert playing.playout.held
        before = len(playing.playback.heard)
        went_on = playing.go_on()
        playing.advance(6)
        heard = bytes(playing.playback.heard)
        assert went_on == (len(audio) > before)
        assert heard_all(heard, audio)
        assert len(heard) <= len(audio) + REPLAYED + PACKET + 100 * MS
        assert playing.settled == [Heard("a", 0, len(audio), len(audio), done=True)]
        assert playing.most_unplayed <= 1000 * MS
        assert playing.playout.underruns == 0


def test_a_false_alarm_in_every_moment() -> None:
    """One after the other, also while the repetition of the last one is being played."""
    audio = b"".join(speech(500, first=number) for number in range(10))
    playing = Playing(0.05)
    playing.generate(audio, speed=4, delta=1600)
    for pause in itertools.islice(itertools.cycle((0.05, 0.31, 0.7, 0.1)), 40):
        playing.advance(pause)
        playing.hold_back()
        playing.advance(0.2)
        playing.go_on()
    playing.advance(30)
    assert heard_all(bytes(playing.playback.heard), audio)
    assert playing.settled == [Heard("a", 0, len(audio), len(audio), done=True)]


@pytest.mark.parametrize("held_for", [0.0, 1.0])
def test_an_interruption_that_stands_is_cut_where_it_was(held_for: float) -> None:
    plain, held = Playing(0.1), Playing(0.1)
    for playing in (plain, held):
        playing.add(speech(1500), "a")
        playing.finish("a")
        playing.add(speech(3000), "b")
        playing.advance(2.0)
    assert held.hold_back() == plain.interrupt()
    held.add(speech(700), "b")
    held.advance(held_for)
    (cut,) = held.cut()
    assert cut.item_id == "b"
    assert cut.heard_ms == pytest.approx(400, abs=20)
    assert cut.received_bytes == 3700 * MS
    assert held.settled == plain.settled == [Heard("a", 0, 1500 * MS, 1500 * MS, done=True)]
    assert not held.playout.held
    held.add(speech(500), "c")
    held.finish("c")
    held.advance(2)
    assert held.settled[-1] == Heard("c", 0, 500 * MS, 500 * MS, done=True)


def test_nothing_of_another_item_is_said_again() -> None:
    playing = Playing(0.0)
    playing.add(speech(1000), "a")
    playing.finish("a")
    playing.add(speech(1000, 99), "b")
    playing.finish("b")
    playing.advance(1.1)
    playing.hold_back()
    playing.go_on()
    playing.advance(3)
    assert playing.sent.count(speech(1000)[-800:]) == 1
    assert len(playing.playback.heard) <= 2000 * MS + 200 * MS


def test_held_back_before_anything_was_heard() -> None:
    playing = Playing(0.0)
    playing.hold_back()
    playing.add(speech(1000))
    playing.finish()
    playing.advance(2)
    assert playing.packets == []
    assert playing.go_on()
    playing.advance(2)
    assert bytes(playing.playback.heard) == speech(1000)


def test_held_back_with_nothing_left_to_say() -> None:
    playing = Playing(0.0)
    playing.add(speech(600))
    playing.finish()
    playing.advance(2)
    assert playing.hold_back() == []
    assert not playing.go_on()
    playing.advance(1)
    assert bytes(playing.playback.heard) == speech(600)


def test_what_was_sent_longer_ago_than_is_remembered_counts_as_heard() -> None:
    """No sane peer leaves so much un-played; nothing breaks if one does."""
    playout = Playout()
    playout.add("a", 0, bytes(KEPT * 2), 0.0)
    for _ in range(20):
        playout.playhead.completed = True
        packet = playout.take(0.0)
        if packet is None:
            break
    playout.playhead.sent += KEPT
    playout.hold_back(0.0)
    assert playout.queued <= KEPT * 2
    playout.go_on()
    (cut,) = playout.interrupt(0.0)
    assert cut.heard_bytes <= cut.received_bytes


class TestProtected:
    def test_it_is_neither_cut_nor_flushed(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(2000), "p", protected=True)
        playing.finish("p")
        playing.advance(1)
        assert playing.playout.spares(playing.now)
        assert playing.cut() == []
        playing.advance(3)
        assert bytes(playing.playback.heard) == speech(2000)
        assert playing.settled == [Heard("p", 0, 2000 * MS, 2000 * MS, done=True)]
        assert not playing.playout.spares(playing.now)

    def test_what_stands_behind_it_is_cut(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(2000), "p", protected=True)
        playing.finish("p")
        playing.add(speech(3000, 50), "u")
        playing.finish("u")
        playing.advance(1)
        assert playing.cut() == [Heard("u", 0, 0, 3000 * MS, done=True)]
        playing.advance(5)
        assert bytes(playing.playback.heard) == speech(2000)

    def test_what_has_left_behind_it_is_heard(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(1000), "p", protected=True)
        playing.finish("p")
        playing.add(speech(3000, 50), "u")
        playing.advance(0.9)
        (cut,) = playing.cut()
        assert 0 < cut.heard_ms <= 800
        sent = len(playing.packets)
        playing.advance(3)
        assert len(playing.packets) == sent
        assert bytes(playing.playback.heard) == speech(1000) + speech(3000, 50)[: cut.heard_bytes]

    def test_what_stands_before_it_is_cut(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(3000), "u")
        playing.finish("u")
        playing.add(speech(1000, 70), "p", protected=True)
        playing.finish("p")
        playing.advance(1)
        (cut,) = playing.cut()
        assert cut.item_id == "u"
        assert cut.heard_ms == pytest.approx(900, abs=20)
        playing.advance(3)
        assert bytes(playing.playback.heard) == speech(3000)[: cut.heard_bytes] + speech(1000, 70)
        assert playing.settled == [Heard("p", 0, 1000 * MS, 1000 * MS, done=True)]

    def test_it_may_still_be_on_its_way(self) -> None:
        """Protected audio that is being generated goes on after what stood around it was cut."""
        playing = Playing(0.1)
        playing.add(speech(1000)[: 500 * MS], "p", protected=True)
        playing.add(speech(3000, 50), "u")
        playing.cut()
        playing.add(speech(1000)[500 * MS :], "p", protected=True)
        playing.finish("p")
        playing.advance(3)
        assert bytes(playing.playback.heard) == speech(1000)
        assert playing.settled == [Heard("p", 0, 1000 * MS, 1000 * MS, done=True)]

    def test_all_of_it_was_heard_and_more_is_to_come(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(400), "p", protected=True)
        playing.advance(4)
        assert playing.cut() == []
        playing.add(speech(800)[400 * MS :], "p", protected=True)
        playing.finish("p")
        playing.advance(3)
        assert playing.settled == [Heard("p", 0, 800 * MS, 800 * MS, done=True)]

    def test_it_leaves_while_the_rest_is_held_back(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(2000), "p", protected=True)
        playing.add(speech(1130, 50), "u")
        playing.finish("p")
        playing.finish("u")
        playing.advance(0.5)
        assert playing.hold_back() == [Heard("u", 0, 0, 1130 * MS, done=True)]
        playing.advance(5)
        assert bytes(playing.playback.heard) == speech(2000)
        assert playing.playout.held
        assert playing.go_on()
        playing.advance(3)
        assert bytes(playing.playback.heard) == speech(2000) + speech(1130, 50)

    def test_held_back_behind_what_may_be_interrupted(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(2000), "u")
        playing.add(speech(1000, 70), "p", protected=True)
        playing.finish("u")
        playing.finish("p")
        playing.advance(1)
        playing.hold_back()
        playing.advance(1)
        assert len(playing.playback.heard) == pytest.approx(900 * MS, abs=20 * MS)
        playing.cut()
        playing.advance(2)
        assert bytes(playing.playback.heard)[-1000 * MS :] == speech(1000, 70)

    def test_the_end_of_the_call_spares_nothing(self) -> None:
        playing = Playing(0.1)
        playing.add(speech(2000), "p", protected=True)
        playing.advance(1)
        (cut,) = playing.playout.interrupt(playing.now, everything=True)
        assert cut.item_id == "p"
        assert playing.playout.queued == 0


def test_what_was_heard_behind_something_unfinished_is_not_forgotten() -> None:
    playing = Playing(0.0)
    playing.add(speech(400), "a")
    playing.add(speech(400), "b")
    playing.finish("b")
    playing.advance(1)
    assert playing.settled == []
    assert [cut.item_id for cut in playing.cut()] == ["a"]
    assert playing.settled == [Heard("b", 0, 400 * MS, 400 * MS, done=True)]


@pytest.mark.parametrize("protected", [True, False])
def test_an_item_without_audio_survives_it(protected: bool) -> None:
    playing = Playing(0.0)
    playing.add(speech(600), "a")
    playing.finish("a")
    playing.advance(0.3)
    playing.add(b"", "b", protected=protected)
    playing.finish("b")
    playing.hold_back()
    playing.go_on()
    playing.advance(2)
    assert [item.item_id for item in playing.settled] == ["a", "b"]
    playing.add(b"", "c", protected=protected)
    playing.cut()
    playing.finish("c")
    playing.advance(1)
    assert [item.item_id for item in playing.settled][2:] == (["c"] if protected else [])


def test_what_has_begun_to_leave() -> None:
    playing = Playing(0.0)
    playing.add(speech(100), "a")
    assert playing.playout.begun("a") is False
    playing.add(speech(200), "a")
    assert playing.playout.begun("a") is True
    assert playing.playout.begun("b") is None
