import audioop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.audio import rms, ulaw
from offhook.emulator.formats import PCM, PCMA, PCMU, ToUlaw, from_ulaw
from offhook.speech.tones import tones

SOUND = tones("some words")


def test_ulaw_is_left_alone() -> None:
    assert from_ulaw(SOUND, PCMU) is SOUND
    assert ToUlaw(PCMU).feed(SOUND) is SOUND


def test_alaw_there_and_back_keeps_the_level() -> None:
    back = ToUlaw(PCMA).feed(from_ulaw(SOUND, PCMA))
    assert len(back) == len(SOUND)
    assert abs(rms(back) - rms(SOUND)) < 50


def test_pcm_is_three_samples_for_one_and_comes_back() -> None:
    pcm = from_ulaw(SOUND, PCM)
    assert len(pcm) == 6 * len(SOUND)
    assert abs(audioop.rms(pcm, 2) - rms(SOUND)) < 100
    assert abs(rms(ToUlaw(PCM).feed(pcm)) - rms(SOUND)) < 100
    assert from_ulaw(b"", PCM) == b""


@given(st.lists(st.integers(0, 50), max_size=30))
def test_no_sample_is_lost_between_pieces(sizes: list[int]) -> None:
    pcm = from_ulaw(SOUND, PCM)[: sum(sizes)]
    stream = ToUlaw(PCM)
    out = b""
    at = 0
    for size in sizes:
        out += stream.feed(pcm[at : at + size])
        at += size
    assert out == ToUlaw(PCM).feed(pcm)
    assert len(out) == len(pcm) // 6


@pytest.mark.parametrize("kind", [PCM, PCMU, PCMA])
def test_silence_stays_silent(kind: str) -> None:
    assert rms(ToUlaw(kind).feed(from_ulaw(ulaw.silence(40), kind))) < 10
