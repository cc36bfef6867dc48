"""The caller's line: frames in real time, clips at their samples, the start burst."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.audio.ulaw import mix
from offhook.simulator.caller import CallerFrame, CallerLine
from offhook.speech.noise import noise

SILENCE = b"\xff" * 1600


def opened(now: float = 10.0, **settings: Any) -> CallerLine:
    line = CallerLine(**settings)
    line.connect(now)
    assert line.open(now) == 0
    return line


def test_nothing_flows_before_opened() -> None:
    line = CallerLine()
    line.connect(10.0)
    assert line.next_timer() is None
    assert line.frames(11.0) == line.drain(11.0) == []


def test_silence_comes_every_200_ms() -> None:
    line = opened()
    assert line.next_timer() == 10.2
    assert line.frames(10.1999) == []
    assert line.frames(10.2) == [CallerFrame(0, SILENCE)]
    assert line.next_timer() == 10.4
    assert line.frames(10.65) == [CallerFrame(1600, SILENCE), CallerFrame(3200, SILENCE)]


def test_what_was_heard_during_the_set_up_comes_as_a_burst() -> None:
    line = CallerLine(burst_ms=300)
    line.connect(10.0)
    assert line.zero == 9.7
    assert line.open(10.3) == 0
    assert line.frames(10.3) == [CallerFrame(0, SILENCE), CallerFrame(1600, SILENCE), CallerFrame(3200, SILENCE)]
    assert line.next_timer() == pytest.approx(10.5)


def test_the_burst_may_be_one_big_message() -> None:
    line = CallerLine(burst_ms=1000, burst_frame_ms=60_000)
    line.connect(10.0)
    line.open(10.05)
    assert [len(frame.audio) for frame in line.frames(10.05)] == [8000]
    assert [len(frame.audio) for frame in line.frames(10.7)] == [1600, 1600, 1600]
    assert line.frames(10.7) == []


def test_a_message_never_exceeds_the_limit() -> None:
    line = CallerLine(burst_ms=20_000, burst_frame_ms=60_000)
    line.connect(10.0)
    line.open(10.0)
    assert [len(frame.audio) for frame in line.frames(10.0)] == [64_000, 64_000, 32_000]


def test_old_audio_is_discarded() -> None:
    line = CallerLine(burst_ms=3000, history_ms=1000)
    line.connect(10.0)
    assert line.open(10.0) == 16_000
    assert [frame.position for frame in line.frames(10.0)] == [16_000, 17_600, 19_200, 20_800, 22_400]


def test_a_clip_is_placed_at_its_sample() -> None:
    line = opened()
    clip = bytes(range(200)) * 10
    spoken = line.say(clip, 10.1)
    assert (spoken.start, spoken.end) == (10.1, 10.35)
    sent = b"".join(frame.audio for frame in line.frames(10.6))
    assert sent == b"\xff" * 800 + clip + b"\xff" * 2000


def test_a_second_clip_waits_for_the_first() -> None:
    line = opened()
    line.say(b"\x01" * 800, 10.0)
    second = line.say(b"\x02" * 800, 10.05)
    assert second.start == 10.1
    third = line.say(b"\x03" * 800, 11.0)
    assert third.start == 11.0
    assert line.frames(10.2)[0].audio == b"\x01" * 800 + b"\x02" * 800


def test_a_caller_may_speak_before_opened() -> None:
    line = CallerLine()
    line.connect(10.0)
    line.say(b"\x01" * 1600, 10.1)
    line.open(10.3)
    assert [frame.audio for frame in line.frames(10.4)] == [
        b"\xff" * 800 + b"\x01" * 800,
        b"\x01" * 800 + b"\xff" * 800,
    ]


def test_drain_cuts_the_last_frame_short() -> None:
    line = opened()
    assert [(frame.position, len(frame.audio)) for frame in line.drain(10.25)] == [(0, 1600), (1600, 400)]
    assert line.drain(10.25) == []
    assert line.next_timer() == 10.45


@pytest.mark.parametrize("lost", [0.0, 0.5])
def test_what_is_kept_back_comes_at_once(lost: float) -> None:
    line = opened()
    line.say(b"x" * 8000, 10.0)
    line.frames(10.0)
    line.hold_back()
    assert line.next_timer() is None
    assert line.frames(11.0) == line.drain(11.0) == []
    samples = line.let_go(11.0, lost=lost)
    assert samples == 8000 * lost
    frames = line.drain(11.0)
    assert frames[0].position == samples
    assert b"".join(frame.audio for frame in frames) == b"x" * (8000 - int(samples))


def test_the_background_goes_on_behind_everything() -> None:
    background = noise("line", 70, 0.1)
    clip = bytes(range(1, 201)) * 4
    line = opened(background=background)
    line.say(clip, 10.05)
    sent = b"".join(frame.audio for frame in line.drain(10.9))
    said = b"\xff" * 400 + clip + b"\xff" * 6000
    assert sent == mix(said, (background * 20)[: len(said)])


def test_after_hanging_up_there_is_nothing() -> None:
    line = opened()
    line.hang_up()
    assert line.frames(11.0) == line.drain(11.0) == []
    assert line.next_timer() is None
    with pytest.raises(RuntimeError, match="hung up"):
        line.say(b"\x01", 11.0)


@given(st.lists(st.tuples(st.sampled_from("fds"), st.floats(0, 1.5, allow_subnormal=False)), max_size=40))
def test_every_sample_is_sent_once_and_in_order(actions: list[tuple[str, float]]) -> None:
    line = opened(now=123456.789)
    now, position, said = 123456.789, 0, 0
    sent = bytearray()
    for action, wait in actions:
        now += wait
        if action == "s":
            line.say(b"\x11" * 500, now)
            said += 500
            continue
        for frame in line.frames(now) if action == "f" else line.drain(now):
            assert frame.position == position
            position += len(frame.audio)
            sent += frame.audio
        assert position <= (now - line.zero) * 8000 + 1
    for frame in line.drain(now + 60):
        sent += frame.audio
    assert sent.count(b"\x11") == said
