"""µ-law (G.711) at 8 kHz mono: conversion to and from 16-bit PCM, silence and durations."""

import audioop
from typing import Final

SILENCE: Final = 0xFF
"""The µ-law byte of a zero sample."""

SAMPLE_RATE: Final = 8000
"""Samples a second; one sample is one byte."""

BYTES_PER_MS: Final = 8
"""Bytes of one millisecond of audio."""


def encode(pcm16le: bytes) -> bytes:
    """Compress 16-bit little-endian PCM to µ-law, two bytes to one.

    Raises:
        ValueError: half a sample was given (an odd number of bytes).
    """
    if len(pcm16le) % 2:
        raise ValueError(f"16-bit PCM needs an even number of bytes, got {len(pcm16le)}")
    return audioop.lin2ulaw(pcm16le, 2)


def decode(ulaw: bytes) -> bytes:
    """Expand µ-law to 16-bit little-endian PCM, one byte to two."""
    return audioop.ulaw2lin(ulaw, 2)


def silence(ms: int) -> bytes:
    """Return `ms` milliseconds of silence; nothing for zero or less."""
    return bytes([SILENCE]) * (ms * BYTES_PER_MS)


def mix(first: bytes, second: bytes) -> bytes:
    """Return what two pieces of µ-law of the same length sound like at once; sums beyond full scale are cut.

    Raises:
        ValueError: they differ in length.
    """
    if len(first) != len(second):
        raise ValueError(f"only audio of the same length can be mixed, got {len(first)} and {len(second)} bytes")
    return encode(audioop.add(decode(first), decode(second), 2))


def duration_ms(n_bytes: int) -> float:
    """Return how many milliseconds `n_bytes` of µ-law last."""
    return n_bytes / BYTES_PER_MS
