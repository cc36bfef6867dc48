import io
import math
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.audio import level, ulaw
from offhook.audio.wav import MalformedWav, UnsupportedWav, read_wav, write_wav


def sine(rate: int, ms: int = 500, amplitude: int = 10_000) -> list[int]:
    return [round(amplitude * math.sin(2 * math.pi * 400 * n / rate)) for n in range(rate * ms // 1000)]


def pcm16(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def pcm_wav(body: bytes, *, rate: int, channels: int = 1, width: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(body)
    return out.getvalue()


def raw_wav(tag: int, bits: int, body: bytes, *, channels: int = 1, rate: int = 8000, extra: bytes = b"") -> bytes:
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate, 1, bits) + extra
    content = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(content)) + content


def test_pcm16_at_8_khz_is_only_coded() -> None:
    body = pcm16(sine(8000))
    assert read_wav(pcm_wav(body, rate=8000)) == ulaw.encode(body)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000, 6000])
def test_other_rates_are_resampled(rate: int) -> None:
    audio = read_wav(pcm_wav(pcm16(sine(rate)), rate=rate))
    assert abs(len(audio) - 4000) <= 8
    assert abs(level.rms(audio) - 7071) < 300


def test_pcm8_is_unsigned() -> None:
    body = bytes(128 + sample // 256 for sample in sine(8000))
    assert abs(level.rms(read_wav(pcm_wav(body, rate=8000, width=1))) - 7071) < 200
    assert level.rms(read_wav(pcm_wav(b"\x80" * 800, rate=8000, width=1))) == 0


def test_stereo_is_mixed_down() -> None:
    left = sine(8000)
    body = pcm16([value for sample in left for value in (sample, 0)])
    assert abs(level.rms(read_wav(pcm_wav(body, rate=8000, channels=2))) - 3535) < 100


def test_alaw_and_ulaw_of_other_rates_are_read() -> None:
    assert len(read_wav(raw_wav(6, 8, b"\xd5" * 800))) == 800
    assert len(read_wav(raw_wav(7, 8, b"\xff" * 1600, rate=16_000))) == 800


def test_extensible_format_is_resolved() -> None:
    body = pcm16(sine(8000))
    extra = struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", 1) + b"\0" * 14
    assert read_wav(raw_wav(0xFFFE, 16, body, extra=extra)) == ulaw.encode(body)
    with pytest.raises(UnsupportedWav, match="WAV format 65534"):
        read_wav(raw_wav(0xFFFE, 16, body))


def test_open_length_odd_remainders_and_foreign_chunks_are_no_error() -> None:
    body = pcm16(sine(8000))
    content = b"WAVE" + b"LIST\x03\0\0\0abc\0" + raw_wav(1, 16, body)[12:]
    at = content.index(b"data") + 4
    streamed = content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :] + b"\x01"
    assert read_wav(b"RIFF\0\0\0\0" + streamed) == ulaw.encode(body)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "not a WAV file"),
        (b"RIFF\0\0\0\0AVI ", "not a WAV file"),
        (b"OggS" + b"\0" * 40, "not a WAV file"),
        (b"RIFF\0\0\0\0WAVE", "no fmt chunk"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0", "no data chunk"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0data\0\0\0\0", "fmt chunk of the WAV file is cut off"),
    ],
)
def test_malformed_files_say_what_is_wrong(data: bytes, text: str) -> None:
    with pytest.raises(MalformedWav, match=text):
        read_wav(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (raw_wav(3, 32, b"\0" * 8), "WAV format 3 of 32 bits"),
        (raw_wav(1, 24, b"\0" * 6), "WAV format 1 of 24 bits"),
        (raw_wav(1, 16, b"\0" * 8, channels=4), "4 channels"),
        (raw_wav(1, 16, b"\0" * 8, rate=0), "0 Hz"),
    ],
)
def test_unsupported_files_say_what_to_use(data: bytes, text: str) -> None:
    with pytest.raises(UnsupportedWav, match=text):
        read_wav(data)


@given(st.binary(max_size=101))
def test_mono_comes_back_byte_for_byte(audio: bytes) -> None:
    data = write_wav(audio)
    assert read_wav(data) == audio
    assert len(data) % 2 == 0
    assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)


def test_stereo_pads_the_shorter_side_with_silence() -> None:
    data = write_wav(b"\x01\x02\x03", b"\x11")
    assert struct.unpack_from("<HHIIHH", data, 20) == (7, 2, 8000, 16_000, 2, 8)
    assert data.endswith(b"data\x06\0\0\0\x01\x11\x02\xff\x03\xff")
    assert b"fact\x04\0\0\0\x03\0\0\0" in data


@given(st.binary(max_size=120))
def test_only_documented_errors_come_out(tail: bytes) -> None:
    for data in (tail, b"RIFF\0\0\0\0WAVE" + tail, raw_wav(1, 16, b"\0" * 8)[:20] + tail):
        try:
            read_wav(data)
        except (MalformedWav, UnsupportedWav):
            continue
