"""Noise of a caller's end: always the same, as loud and as long as asked, and what turn detection makes of it."""

import audioop
from typing import get_args

import pytest

from offhook.audio import EnergyVad, level, silence, ulaw
from offhook.audio.vad import SpeechStarted, SpeechStopped
from offhook.speech.noise import FULL_SCALE, Kind, noise, scaled
from offhook.speech.tones import tones

KINDS: tuple[Kind, ...] = get_args(Kind)


def peak(audio: bytes) -> int:
    return audioop.max(ulaw.decode(audio), 2)


def turns(audio: bytes, threshold: float = 0.5) -> list[type]:
    found = EnergyVad(threshold=threshold).feed(silence(500) + audio + silence(1000))
    return [type(event) for event in found]


@pytest.mark.parametrize("kind", KINDS)
def test_length_and_level_are_as_asked(kind: Kind) -> None:
    for ms, loud in ((1, 0.5), (300, 0.3), (2000, 1.0)):
        audio = noise(kind, ms, loud)
        assert ulaw.duration_ms(len(audio)) == ms
        assert peak(audio) == pytest.approx(loud * FULL_SCALE, rel=0.04), "one step of µ-law"
        assert audio[-1] == ulaw.SILENCE, "it fades out"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_arguments_give_the_same_bytes_and_half_the_level_is_6_db_less(kind: Kind) -> None:
    audio = noise(kind, 500, 0.4)
    assert noise(kind, 500, 0.4) == audio
    assert level.dbfs(noise(kind, 500, 0.2)) == pytest.approx(level.dbfs(audio) - 6, abs=0.2)


def test_the_kinds_differ() -> None:
    assert len({noise(kind, 300, 0.3) for kind in KINDS}) == len(KINDS)


def test_clicks_are_too_short_for_speech() -> None:
    assert turns(noise("click", 3000, 0.3)) == []


@pytest.mark.parametrize("kind", ["cough", "babble", "line"])
def test_what_is_loud_and_lasts_is_taken_for_speech(kind: Kind) -> None:
    assert turns(noise(kind, 300, 0.3)) == [SpeechStarted, SpeechStopped]


def test_a_second_cough_comes_after_a_pause() -> None:
    first, pause, second = (noise("cough", 1200, 0.3)[at * 8 :][: 300 * 8] for at in (0, 400, 900))
    assert level.dbfs(first) == pytest.approx(level.dbfs(second), abs=3)
    assert level.dbfs(pause) < level.dbfs(first) - 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_quiet_background_is_no_speech(kind: Kind) -> None:
    assert turns(noise(kind, 10_000, 0.02)) == []


@pytest.mark.parametrize(("kind", "ends"), [("babble", True), ("line", False)])
def test_a_turn_may_fail_to_end_over_a_background_that_begins_none(kind: Kind, ends: bool) -> None:
    said = tones("What are your opening hours?", "caller") + silence(2000)
    found = EnergyVad().feed(ulaw.mix(said, noise(kind, 10_000, 0.02)[: len(said)]))
    assert [type(event) for event in found] == [SpeechStarted, SpeechStopped][: 1 + ends]


def test_recordings_are_scaled() -> None:
    quiet = noise("line", 100, 0.1)
    assert peak(scaled(quiet, 0.6)) == pytest.approx(0.6 * FULL_SCALE, rel=0.04)
    assert scaled(silence(20), 0.6) == silence(20)
    assert scaled(b"", 0.6) == b""
