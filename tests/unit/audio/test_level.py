import math
import struct

from offhook.audio import level, ulaw


def sine(amplitude: int, ms: int = 100) -> bytes:
    samples = [round(amplitude * math.sin(2 * math.pi * 400 * n / 8000)) for n in range(ms * 8)]
    return ulaw.encode(struct.pack(f"<{len(samples)}h", *samples))


def test_silence_and_nothing_are_the_floor() -> None:
    assert level.rms(ulaw.silence(10)) == level.rms(b"") == 0
    assert level.dbfs(ulaw.silence(10)) == level.dbfs(b"") == level.FLOOR_DBFS


def test_a_sine_measures_three_decibels_below_its_peak() -> None:
    assert abs(level.rms(sine(10_000)) - 7071) < 100
    assert abs(level.dbfs(sine(16_384)) - -9.03) < 0.2
