"""The three audio formats of the Realtime API, to and from the µ-law that the emulator hears and speaks with."""

import audioop
from typing import Final

from offhook.audio import ulaw

PCM: Final = "audio/pcm"
PCMU: Final = "audio/pcmu"
PCMA: Final = "audio/pcma"
PCM_RATE: Final = 24_000

BYTES_PER_MS: Final = {PCM: 48, PCMU: 8, PCMA: 8}
BYTES_PER_SAMPLE: Final = {PCM: 2, PCMU: 1, PCMA: 1}


def from_ulaw(audio: bytes, kind: str) -> bytes:
    """Return µ-law audio in an output format."""
    if kind == PCMU:
        return audio
    pcm = ulaw.decode(audio)
    if kind == PCMA:
        return audioop.lin2alaw(pcm, 2)
    converted, _ = audioop.ratecv(pcm, 2, 1, ulaw.SAMPLE_RATE, PCM_RATE, None)
    return converted.ljust(len(audio) * 6, b"\0")  # the converter keeps back what it would need the next sample for


class ToUlaw:
    """Turns a stream of input audio into µ-law, piece by piece, losing no sample at the seams."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._rest = b""

    def feed(self, audio: bytes) -> bytes:
        """Return the µ-law of the next piece; turn detection needs no more of 24 kHz than every third sample."""
        if self.kind == PCMU:
            return audio
        if self.kind == PCMA:
            return ulaw.encode(audioop.alaw2lin(audio, 2))
        data = self._rest + audio
        whole = len(data) - len(data) % 6
        self._rest = data[whole:]
        thirds = bytearray(whole // 3)
        thirds[0::2] = data[0:whole:6]
        thirds[1::2] = data[1:whole:6]
        return ulaw.encode(bytes(thirds))
