import audioop
import math
import struct

import pytest

from offhook.audio.resample import to_8khz


def sine(hz: int, rate: int, ms: int = 500, amplitude: int = 32_000) -> bytes:
    samples = [round(amplitude * math.sin(2 * math.pi * hz * n / rate)) for n in range(rate * ms // 1000)]
    return struct.pack(f"<{len(samples)}h", *samples)


def test_8_khz_stays_as_it_is() -> None:
    pcm = sine(400, 8000)
    assert to_8khz(pcm, 8000) is pcm


@pytest.mark.parametrize("rate", [11_025, 16_000, 22_050, 24_000, 48_000])
def test_speech_band_passes_and_what_would_fold_back_does_not(rate: int) -> None:
    passed = audioop.rms(to_8khz(sine(1000, rate), rate), 2)
    folded = audioop.rms(to_8khz(sine(5000, rate), rate), 2)
    assert abs(passed - 22_600) < 2500  # the step down interpolates linearly, which costs a little
    assert folded < passed / 30


def test_lower_rates_are_stretched() -> None:
    assert abs(len(to_8khz(sine(400, 4000), 4000)) - 8000) <= 2


def test_nothing_stays_nothing() -> None:
    assert to_8khz(b"", 24_000) == b""
    assert to_8khz(b"", 4000) == b""
