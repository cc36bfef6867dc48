import struct

from hypothesis import given
from hypothesis import strategies as st

from offhook.audio import ulaw
from offhook.audio.vad import FRAME_MS, EnergyVad, SpeechStarted, SpeechStopped


def tone(ms: int, amplitude: int = 8000) -> bytes:
    samples = [amplitude if n // 4 % 2 else -amplitude for n in range(ms * 8)]
    return ulaw.encode(struct.pack(f"<{len(samples)}h", *samples))


def test_one_utterance_is_framed_by_prefix_and_silence() -> None:
    vad = EnergyVad(prefix_padding_ms=300, silence_duration_ms=500)
    found = vad.feed(ulaw.silence(640) + tone(320) + ulaw.silence(640))
    # loud from 640 to 960; 500 ms of silence need 16 frames of 32 ms
    assert found == [SpeechStarted(640 - 300), SpeechStopped(960 + 512)]
    assert not vad.speaking


def test_start_is_told_after_two_loud_frames_and_clamped_at_zero() -> None:
    vad = EnergyVad()
    assert vad.feed(tone(63)) == []
    assert vad.feed(tone(1)) == [SpeechStarted(0)]
    assert vad.speaking


def test_a_click_is_not_speech() -> None:
    vad = EnergyVad()
    assert vad.feed(ulaw.silence(64) + tone(32) + ulaw.silence(640)) == []


def test_a_pause_shorter_than_the_silence_does_not_end_speech() -> None:
    vad = EnergyVad(silence_duration_ms=200)
    found = vad.feed(tone(320) + ulaw.silence(160) + tone(320) + ulaw.silence(320))
    assert found == [SpeechStarted(0), SpeechStopped(800 + 224)]


def test_hysteresis_holds_speech_that_fades() -> None:
    vad = EnergyVad(threshold=0.5, silence_duration_ms=100)
    assert vad.feed(tone(640, amplitude=250)) == []  # -42 dBFS does not start speech at -40
    assert vad.feed(tone(64)) == [SpeechStarted(640 - 300)]
    assert vad.feed(tone(640, amplitude=250)) == []  # but it keeps it going
    assert vad.feed(tone(640, amplitude=100)) == [SpeechStopped(640 + 64 + 640 + 128)]


def test_the_threshold_scales_with_the_level() -> None:
    quiet = tone(320, amplitude=60)  # about -55 dBFS
    assert EnergyVad(threshold=0.0).feed(quiet) == [SpeechStarted(0)]
    assert EnergyVad(threshold=1.0).feed(tone(320, amplitude=2000)) == []


def test_zero_silence_duration_ends_speech_at_the_first_quiet_frame() -> None:
    vad = EnergyVad(silence_duration_ms=0)
    assert vad.feed(tone(96) + ulaw.silence(32)) == [SpeechStarted(0), SpeechStopped(128)]


def test_forget_and_tune_keep_the_clock() -> None:
    vad = EnergyVad()
    vad.feed(tone(330))
    assert vad.clock_ms == 330.0
    vad.forget()
    assert not vad.speaking
    vad.tune(0.5, 0, 64)
    assert vad.feed(ulaw.silence(310)) == []
    assert vad.feed(tone(64) + ulaw.silence(64)) == [SpeechStarted(640), SpeechStopped(768)]
    assert vad.clock_ms == 768.0


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 900)), max_size=8), st.integers(1, 700))
def test_pieces_do_not_matter_and_all_times_are_on_the_grid(parts: list[tuple[bool, int]], piece: int) -> None:
    audio = b"".join(tone(ms) if loud else ulaw.silence(ms) for loud, ms in parts)
    whole = EnergyVad().feed(audio)
    vad = EnergyVad()
    pieces = [event for at in range(0, len(audio), piece) for event in vad.feed(audio[at : at + piece])]
    assert pieces == whole
    assert vad.clock_ms == len(audio) / 8
    for n, event in enumerate(whole):
        if isinstance(event, SpeechStarted):
            assert n % 2 == 0
            assert event.audio_start_ms == 0 or (event.audio_start_ms + 300) % FRAME_MS == 0
        else:
            assert n % 2 == 1
            assert event.audio_end_ms % FRAME_MS == 0
