"""The loudness of the caller: how long they have been speaking, whatever came before and however it arrives."""

import math
import random

import pytest

from offhook.audio.ulaw import encode
from offhook.bridge.caller_voice import BLOCK_MS, REMEMBERED_MS, CallerVoice


def sound(milliseconds: int, dbfs: float, seed: int = 1) -> bytes:
    """Noise of a level."""
    chance = random.Random(f"{seed} {milliseconds} {dbfs}")
    peak = 32_767 * math.pow(10, dbfs / 20)
    values = (max(-32_768, min(32_767, round(chance.gauss(0, peak)))) for _ in range(milliseconds * 8))
    return encode(b"".join(value.to_bytes(2, "little", signed=True) for value in values))


def silence(milliseconds: int) -> bytes:
    return b"\xff" * (milliseconds * 8)


def spoken(before: bytes, audio: bytes, *, frame: int = 1600, told_after: int = 120) -> float:
    """Milliseconds of speech that are found in it, when the server tells of its beginning so late."""
    voice = CallerVoice()
    stream = before + audio
    told = len(before) + told_after * 8
    for at in range(0, len(stream), frame):
        voice.hear(stream[at : at + frame])
        if at < told <= at + frame:
            voice.begin(len(before) / 8)
    return voice.spoken * 1000


@pytest.mark.parametrize("frame", [1, 79, 160, 1600, 8000])
@pytest.mark.parametrize("length", [150, 250, 700])
def test_the_length_of_a_sound(frame: int, length: int) -> None:
    found = spoken(silence(600), sound(length, -20) + silence(600), frame=frame)
    assert found == pytest.approx(length, abs=2 * BLOCK_MS)


def test_short_pauses_count_and_the_end_does_not() -> None:
    said = sound(200, -20) + silence(150) + sound(200, -26) + silence(400)
    assert spoken(silence(200), said) == pytest.approx(550, abs=2 * BLOCK_MS)


def test_on_a_noisy_line_only_the_voice_counts() -> None:
    noise = sound(1000, -45)
    said = sound(300, -20) + sound(700, -45, seed=2)
    assert spoken(noise, said) == pytest.approx(300, abs=2 * BLOCK_MS)


def test_a_quiet_voice_counts() -> None:
    assert spoken(silence(300), sound(400, -50) + silence(300)) == pytest.approx(400, abs=2 * BLOCK_MS)


def test_a_crackling_line_is_no_speech() -> None:
    crackle = b"".join(sound(10, -10, seed) + silence(190) for seed in range(6))
    assert spoken(silence(300), crackle) < 200


def test_silence_is_no_speech() -> None:
    assert spoken(silence(300), silence(900)) == 0.0
    assert CallerVoice().spoken == 0.0


@pytest.mark.parametrize("onset_ms", [-5.0, 0.0, 1e9])
def test_an_onset_that_cannot_be_is_just_now(onset_ms: float) -> None:
    """Some servers tell no times, others count them otherwise."""
    voice = CallerVoice()
    voice.hear(silence(REMEMBERED_MS + 2000))
    voice.begin(onset_ms)
    assert voice.spoken == 0.0
    voice.hear(sound(200, -20))
    assert voice.spoken == pytest.approx(0.2, abs=0.02)


def test_each_sound_is_measured_for_itself() -> None:
    voice = CallerVoice()
    voice.hear(sound(300, -5) + silence(500))
    voice.begin(0)
    assert voice.spoken == pytest.approx(0.3, abs=0.02)
    voice.hear(sound(200, -30))
    voice.begin(800)
    assert voice.spoken == pytest.approx(0.2, abs=0.02)
