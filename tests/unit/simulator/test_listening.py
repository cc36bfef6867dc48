"""Hearing the agent: phrases, pauses, cuts."""

import pytest

from offhook.audio.ulaw import silence
from offhook.simulator.listening import AgentSpeech, audible_spans

LOUD = b"\x10\x90" * 80  # 20 ms, near full scale
WORD = LOUD * 10  # 200 ms


def test_spans_are_blocks_of_20_ms() -> None:
    assert audible_spans(b"") == []
    assert audible_spans(silence(1000)) == []
    assert audible_spans(silence(100) + WORD + silence(60) + LOUD + LOUD[:40]) == [(800, 2400), (2880, 3080)]


def test_short_quiet_belongs_to_a_phrase() -> None:
    ear = AgentSpeech()
    ear.add(10.0, WORD + silence(200) + WORD)
    ear.add(11.0, WORD)
    assert ear.heard(0, 20) == pytest.approx(0.8)
    assert ear.first_after(0) == 10.0
    assert ear.next_phrase(10.1) == 11.0
    assert ear.quiet_from(0) == pytest.approx(11.2)


def test_packets_join() -> None:
    ear = AgentSpeech()
    for number in range(5):
        ear.add(10.0 + number * 0.2, WORD)
    assert ear.heard(10.1, 10.9) == pytest.approx(0.8)
    assert ear.next_phrase(10.0) == 10.0
    assert ear.next_phrase(10.01) is None


def test_silence_is_not_heard() -> None:
    ear = AgentSpeech()
    ear.add(10.0, silence(5000))
    assert ear.first_after(0) is None
    assert ear.quiet_from(0) is None
    assert not ear.speaking(10.5)
    assert ear.heard(0, 99) == 0


def test_speaking_is_now() -> None:
    ear = AgentSpeech()
    ear.add(10.0, WORD)
    assert [ear.speaking(at) for at in (9.9, 10.0, 10.19, 10.2)] == [False, True, True, False]
    assert ear.first_after(10.1) == 10.1
    assert ear.first_after(10.3) is None
    assert ear.quiet_from(10.3) is None


def test_a_cut_takes_what_was_still_to_come() -> None:
    ear = AgentSpeech()
    ear.add(10.0, WORD)
    ear.add(11.0, WORD)
    ear.add(12.0, WORD)
    ear.cut(11.1)
    assert ear.quiet_from(0) == 11.1
    ear.cut(11.5)
    assert ear.quiet_from(0) == 11.1
    ear.cut(9.0)
    assert ear.first_after(0) is None


def test_moment_of_counts_what_is_heard() -> None:
    ear = AgentSpeech()
    ear.add(10.0, WORD)
    assert ear.moment_of(0, 0.3) is None
    ear.add(11.0, WORD)
    assert ear.moment_of(0, 0.1) == pytest.approx(10.1)
    assert ear.moment_of(0, 0.3) == pytest.approx(11.1)
    assert ear.moment_of(10.5, 0.1) == pytest.approx(11.1)
    assert ear.moment_of(11.1, 0.1) == pytest.approx(11.2)
    assert ear.moment_of(11.2, 0.1) is None
