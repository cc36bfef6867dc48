import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.audio import ulaw


def test_silence_is_the_code_of_zero() -> None:
    assert ulaw.encode(b"\0\0") == bytes([ulaw.SILENCE])
    assert ulaw.decode(bytes([ulaw.SILENCE])) == b"\0\0"
    assert ulaw.silence(20) == b"\xff" * 160
    assert ulaw.silence(0) == ulaw.silence(-5) == b""


def test_durations_are_in_milliseconds() -> None:
    assert ulaw.duration_ms(8000) == 1000.0
    assert ulaw.duration_ms(1) == 0.125


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="even number of bytes, got 3"):
        ulaw.encode(b"\0\0\0")


def test_mixing_adds_and_never_wraps() -> None:
    loud = ulaw.encode(b"\x00\x70" * 3)  # 28,672
    assert ulaw.mix(loud, ulaw.silence(1)[:3]) == loud
    assert ulaw.decode(ulaw.mix(loud, loud)) == ulaw.decode(bytes([0x80] * 3)), "the loudest sample there is"
    with pytest.raises(ValueError, match="got 1 and 2 bytes"):
        ulaw.mix(b"a", b"ab")


@given(st.binary(max_size=400))
def test_mixing_with_silence_changes_nothing_that_is_heard(audio: bytes) -> None:
    assert ulaw.decode(ulaw.mix(audio, bytes([ulaw.SILENCE]) * len(audio))) == ulaw.decode(audio)


@given(st.binary(max_size=400))
def test_what_was_decoded_codes_to_the_same_bytes(audio: bytes) -> None:
    # 0x7F is negative zero: it decodes to 0, whose code is 0xFF.
    assert ulaw.encode(ulaw.decode(audio)) == audio.replace(b"\x7f", b"\xff")
