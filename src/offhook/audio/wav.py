"""WAV files: any common one in, µ-law (format 7) out."""

import audioop
import struct
from dataclasses import dataclass
from typing import Final

from offhook.audio import ulaw
from offhook.audio.resample import to_8khz

_PCM: Final = 1
_ALAW: Final = 6
_ULAW: Final = 7
_EXTENSIBLE: Final = 0xFFFE
_BITS: Final = {_PCM: (8, 16), _ALAW: (8,), _ULAW: (8,)}


class MalformedWav(ValueError):
    """The bytes are no WAV file."""


class UnsupportedWav(ValueError):
    """A WAV file, but of a kind that is not read."""


@dataclass(frozen=True, slots=True)
class _Format:
    tag: int
    channels: int
    rate: int
    bits: int


def read_wav(data: bytes) -> bytes:
    """Return the sound of a WAV file as 8 kHz mono µ-law.

    Reads PCM of 8 and 16 bits, µ-law and A-law, mono and stereo (mixed down), of any rate. A length field that is wrong
    or left open by a streaming writer is no error: what is there is read.

    Raises:
        MalformedWav: no RIFF/WAVE file, or its `fmt ` or `data` chunk is missing or cut off.
        UnsupportedWav: another encoding, more than two channels, or a senseless rate.
    """
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise MalformedWav("not a WAV file: it does not begin with RIFF…WAVE")
    chunks = _chunks(data)
    if b"fmt " not in chunks:
        raise MalformedWav("the WAV file has no fmt chunk")
    if b"data" not in chunks:
        raise MalformedWav("the WAV file has no data chunk")
    return _to_ulaw(_format(chunks[b"fmt "]), chunks[b"data"])


def write_wav(left: bytes, right: bytes | None = None) -> bytes:
    """Return a µ-law WAV file (format 7, 8 kHz) of one channel, or of two when `right` is given.

    The shorter channel is padded with silence.
    """
    if right is None:
        channels, body = 1, left
    else:
        channels, body = 2, _interleave(left, right)
    fmt = struct.pack("<HHIIHHH", _ULAW, channels, ulaw.SAMPLE_RATE, ulaw.SAMPLE_RATE * channels, channels, 8, 0)
    content = b"WAVE" + _chunk(b"fmt ", fmt) + _chunk(b"fact", struct.pack("<I", len(body) // channels))
    return _chunk(b"RIFF", content + _chunk(b"data", body))


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Split the file into its chunks; the first of each name counts."""
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        name = data[at : at + 4]
        (size,) = struct.unpack_from("<I", data, at + 4)
        chunks.setdefault(name, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return chunks


def _format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise MalformedWav("the fmt chunk of the WAV file is cut off")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)  # the first two bytes of the sub-format GUID are the real tag
    if bits not in _BITS.get(tag, ()):
        raise UnsupportedWav(f"WAV format {tag} of {bits} bits is not read; use PCM of 8 or 16 bits, µ-law or A-law")
    if channels not in (1, 2):
        raise UnsupportedWav(f"a WAV file of {channels} channels is not read; use mono or stereo")
    if not 1000 <= rate <= 384_000:
        raise UnsupportedWav(f"a sample rate of {rate} Hz is not read; use 1,000 to 384,000 Hz")
    return _Format(tag, channels, rate, bits)


def _to_ulaw(fmt: _Format, body: bytes) -> bytes:
    body = body[: len(body) - len(body) % (fmt.channels * fmt.bits // 8)]
    if (fmt.tag, fmt.channels, fmt.rate) == (_ULAW, 1, ulaw.SAMPLE_RATE):
        return body  # byte for byte: decoding and coding again would turn 0x7F (negative zero) into 0xFF
    if fmt.tag == _ULAW:
        pcm = ulaw.decode(body)
    elif fmt.tag == _ALAW:
        pcm = audioop.alaw2lin(body, 2)
    elif fmt.bits == 8:
        pcm = audioop.lin2lin(audioop.bias(body, 1, -128), 1, 2)  # 8-bit WAV is unsigned
    else:
        pcm = body
    if fmt.channels == 2:
        pcm = audioop.tomono(pcm, 2, 0.5, 0.5)
    return ulaw.encode(to_8khz(pcm, fmt.rate))


def _interleave(left: bytes, right: bytes) -> bytes:
    frames = max(len(left), len(right))
    body = bytearray(2 * frames)
    body[0::2] = left.ljust(frames, b"\xff")
    body[1::2] = right.ljust(frames, b"\xff")
    return bytes(body)
