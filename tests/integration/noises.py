"""Sounds of a caller's surroundings, made from chance and mathematics, and callers who really speak: 8 kHz µ-law."""

import audioop
import math
import random
from collections.abc import Callable
from functools import cache

from offhook.audio.ulaw import decode, encode
from offhook.speech import Speech, shipped_texts

RATE = 8000
WIDTH = 2
"""Bytes of a linear sample."""
STEP = RATE // 1000
"""Samples of a millisecond, in which loudness changes."""


def gain(dbfs: float) -> float:
    """Factor of a level in decibels."""
    return math.pow(10, dbfs / 20)


def at_level(linear: bytes, dbfs: float) -> bytes:
    """Make a sound as loud as that on average."""
    return audioop.mul(linear, WIDTH, gain(dbfs) * 32_768 / max(1, audioop.rms(linear, WIDTH)))


def hiss(chance: random.Random, seconds: float, dbfs: float, shape: Callable[[float], float]) -> bytes:
    """Noise of a level, with a shape of 0 to 1 over the time in seconds."""
    noise = at_level(chance.randbytes(round(seconds * RATE) * WIDTH), dbfs)
    steps = range(0, len(noise), STEP * WIDTH)
    return b"".join(audioop.mul(noise[at : at + STEP * WIDTH], WIDTH, shape(at / WIDTH / RATE)) for at in steps)


def hum(pitch: float, seconds: float, dbfs: float, decay: float = 1e9) -> bytes:
    """A tone that dies away."""
    peak = gain(dbfs) * 32_767
    times = (number / RATE for number in range(round(seconds * RATE)))
    values = (peak * math.sin(2 * math.pi * pitch * at) * math.exp(-at / decay) for at in times)
    return b"".join(int(value).to_bytes(WIDTH, "little", signed=True) for value in values)


def cough(chance: random.Random) -> bytes:
    """A burst and a weaker one, 200 to 290 ms together."""
    length = chance.uniform(0.20, 0.29)
    second = length * chance.uniform(0.45, 0.6)

    def shape(at: float) -> float:
        start, height = (0.0, 1.0) if at < second else (second, 0.5)
        return height * min(1.0, (at - start) / 0.008) * math.exp(-(at - start) / 0.09)

    return encode(hiss(chance, length, chance.uniform(-26, -12), shape))


def click(chance: random.Random) -> bytes:
    """A handset put down, a key: 5 to 40 ms."""
    return encode(hiss(chance, chance.uniform(0.005, 0.04), chance.uniform(-20, -8), lambda at: 1.0))


def door(chance: random.Random) -> bytes:
    """A low thud and a rattle that die away in a third of a second."""
    decay = chance.uniform(0.04, 0.08)
    thud = hum(chance.uniform(60, 140), 0.35, chance.uniform(-14, -4), decay)
    return encode(audioop.add(thud, hiss(chance, 0.35, -30, lambda at: math.exp(-at / decay)), WIDTH))


def line(chance: random.Random) -> bytes:
    """A bad line for two seconds: hum, hiss and crackle."""
    noise = hiss(chance, 2.0, chance.uniform(-58, -46), lambda at: 1.0)
    linear = bytearray(audioop.add(noise, hum(50, 2.0, chance.uniform(-60, -48)), WIDTH))
    for _ in range(chance.randrange(2, 7)):
        at = chance.randrange(len(linear) // WIDTH) * WIDTH
        linear[at : at + WIDTH] = (16_000).to_bytes(WIDTH, "little", signed=True)
    return encode(bytes(linear))


def voices(chance: random.Random) -> bytes:
    """Others talking nearby, heard for 0.3 to 0.9 s."""
    speech = Speech(None)
    others = [decode(speech.clip(text, voice)) for text, voice in chance.sample(shipped_texts(), 4)]
    length = round(chance.uniform(0.3, 0.9) * RATE) * WIDTH
    mixed = bytes(length)
    for voice in others:
        start = chance.randrange(max(1, (len(voice) - length) // WIDTH)) * WIDTH
        piece = voice[start : start + length].ljust(length, b"\0")
        mixed = audioop.add(mixed, audioop.mul(piece, WIDTH, 0.5), WIDTH)
    return encode(at_level(mixed, chance.uniform(-42, -24)))


KINDS = (cough, click, door, line, voices)


@cache
def noises(count: int, seed: int = 1) -> tuple[tuple[str, bytes], ...]:
    """Return that many sounds that are no speech of the caller, kind after kind, each as often as the others."""
    chance = random.Random(seed)
    makers = [KINDS[number * len(KINDS) // count] for number in range(count)]
    return tuple((make.__name__, make(chance)) for make in makers)


@cache
def interruptions(count: int, seed: int = 1) -> tuple[tuple[str, bytes], ...]:
    """Return that many things that a caller says, at several levels, on a line that is not silent."""
    chance = random.Random(seed)
    speech = Speech(None)
    texts = [text for text, voice in shipped_texts() if voice == "caller"]
    made = []
    for number in range(count):
        text = texts[number % len(texts)]
        said = audioop.mul(decode(speech.clip(text, "caller")), WIDTH, gain(chance.uniform(-8, 3)))
        noise = at_level(chance.randbytes(len(said)), chance.uniform(-70, -50))
        made.append((text, encode(audioop.add(said, noise, WIDTH))))
    return tuple(made)
