"""Which offer a server takes, and how its frames become PCMU of the caller (audiohook.md §4).

Audio Connector offers PCMU 8000 Hz mono of the external channel and nothing else. The other formats occur with other
AudioHook clients and are taken only when there is no better offer.
"""

from collections.abc import Sequence

from offhook.audio import ulaw
from offhook.audiohook.messages import Media

RATE = 8000
"""Samples per second of everything that is accepted."""
EXTERNAL = "external"
"""The caller's channel."""
PCMU_MONO = Media(type="audio", format="PCMU", channels=(EXTERNAL,), rate=RATE)
"""What Audio Connector offers."""
_L16 = "L16"
_PREFERENCE = ("PCMU", _L16)
_MAX_CHANNELS = 8


def choose_media(offers: Sequence[Media]) -> Media | None:
    """Return the best offer: PCMU before L16, fewer channels first, then the order of the client (trap 31).

    Returns None when no offer holds the caller's channel in a format that is understood.
    """
    usable = [
        offer
        for offer in offers
        if offer.type == "audio"
        and offer.format in _PREFERENCE
        and offer.rate == RATE
        and EXTERNAL in offer.channels
        and len(offer.channels) <= _MAX_CHANNELS
    ]
    return min(usable, key=lambda offer: (_PREFERENCE.index(offer.format), len(offer.channels)), default=None)


def is_plain(media: Media) -> bool:
    """Say whether frames of `media` are PCMU mono already."""
    return media.format == "PCMU" and len(media.channels) == 1


def frame_size(media: Media) -> int:
    """Return the bytes that one sample of every channel takes."""
    return len(media.channels) * (2 if media.format == _L16 else 1)


def decode_frame(media: Media, data: bytes) -> bytes:
    """Return the caller's audio in `data` as PCMU mono; bytes that make no whole sample are left out.

    L16 is taken as little-endian, the way the reference implementation does in effect (audiohook.md §4, unverified).
    """
    size = frame_size(media)
    data = data[: len(data) - len(data) % size]
    channel = media.channels.index(EXTERNAL) if EXTERNAL in media.channels else 0
    if media.format == _L16:
        if size == 2:
            return ulaw.encode(data)
        mono = bytearray(len(data) // size * 2)
        mono[0::2] = data[2 * channel :: size]
        mono[1::2] = data[2 * channel + 1 :: size]
        return ulaw.encode(bytes(mono))
    return data[channel::size] if size > 1 else data


def encode_frame(media: Media, audio: bytes) -> bytes:
    """Return PCMU mono `audio` in the format of `media`, the same in each channel."""
    size = frame_size(media)
    if media.format == _L16:
        pcm = ulaw.decode(audio)
        if size == 2:
            return pcm
        wide = bytearray(len(audio) * size)
        for start in range(0, size, 2):
            wide[start::size] = pcm[0::2]
            wide[start + 1 :: size] = pcm[1::2]
        return bytes(wide)
    if size == 1:
        return audio
    interleaved = bytearray(len(audio) * size)
    for start in range(size):
        interleaved[start::size] = audio
    return bytes(interleaved)


class FrameDecoder:
    """Decodes a stream of frames; half a sample at the end of one waits for the next."""

    __slots__ = ("_media", "_rest", "_size")

    def __init__(self, media: Media) -> None:
        self._media = media
        self._size = frame_size(media)
        self._rest = b""

    def decode(self, data: bytes) -> bytes:
        """Return the caller's audio in `data` as PCMU mono; empty when no sample is complete."""
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:]
        return decode_frame(self._media, data[:whole])
