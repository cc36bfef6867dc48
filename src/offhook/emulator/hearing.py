"""The input audio buffer and turn detection; the clock is the audio received (openai-realtime.md §8.2)."""

import math
from dataclasses import dataclass
from typing import Final

from offhook.audio.ulaw import BYTES_PER_MS as ULAW_PER_MS
from offhook.audio.vad import FRAME_BYTES, FRAME_MS, EnergyVad, SpeechStarted, SpeechStopped
from offhook.emulator.formats import BYTES_PER_MS, PCM, ToUlaw
from offhook.realtime import SemanticVad, ServerVad, TurnDetection
from offhook.realtime.wire import given

SEMANTIC_SILENCE_MS: Final = {"low": 2000, "medium": 1000, "auto": 1000, "high": 500}
"""Quiet that ends a turn for each eagerness; the real service judges by meaning, up to 8, 4 and 2 s."""

KEPT_MS: Final = 120_000
"""The most recent audio kept of one turn; older audio counts but can no longer be retrieved."""


@dataclass(frozen=True, slots=True)
class CommittedAudio:
    """Audio that becomes a user item."""

    data: bytes
    length_ms: float


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """Speech began."""

    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """Speech ended; its audio is no longer in the buffer."""

    audio_end_ms: int
    audio: CommittedAudio


@dataclass(frozen=True, slots=True)
class IdleTimedOut:
    """Nobody spoke for the idle timeout; the silence is no longer in the buffer."""

    audio_start_ms: int
    audio_end_ms: int
    audio: CommittedAudio


Heard = TurnStarted | TurnEnded | IdleTimedOut


class Hearing:
    """Takes the client's audio, finds turns in it and keeps what is not committed yet."""

    def __init__(self) -> None:
        self._vad = EnergyVad()
        self._detection: TurnDetection | None = None
        self._to_ulaw = ToUlaw(PCM)
        self._buffer = bytearray()
        self._buffered = 0
        self._prefix_ms = 300
        self._idle_from_ms: float | None = None

    @property
    def clock_ms(self) -> float:
        """Milliseconds of audio received in the session."""
        return self._vad.clock_ms

    @property
    def buffered_ms(self) -> float:
        """Milliseconds of audio that are not committed yet."""
        return self._buffered / BYTES_PER_MS[self._to_ulaw.kind]

    @property
    def speaking(self) -> bool:
        """Whether the caller is in a turn."""
        return self._vad.speaking

    def configure(self, kind: str, detection: TurnDetection | None) -> None:
        """Take over the session's input format and turn detection."""
        if kind != self._to_ulaw.kind:
            self._to_ulaw = ToUlaw(kind)
            self._clear_buffer()
        if detection is None or self._detection is None:
            self._vad.forget()
        self._detection = detection
        if isinstance(detection, ServerVad):
            self._prefix_ms = _or(given(detection.prefix_padding_ms), 300)
            silence_ms = _or(given(detection.silence_duration_ms), 500)
            threshold = given(detection.threshold)
            self._vad.tune(0.5 if threshold is None else threshold, self._prefix_ms, silence_ms)
        elif isinstance(detection, SemanticVad):
            self._prefix_ms = 300
            self._vad.tune(0.5, self._prefix_ms, SEMANTIC_SILENCE_MS[given(detection.eagerness) or "auto"])

    def append(self, audio: bytes) -> list[Heard]:
        """Take audio in the input format and return what it decides, in order."""
        heard: list[Heard] = []
        step = FRAME_BYTES * BYTES_PER_MS[self._to_ulaw.kind] // ULAW_PER_MS
        for at in range(0, len(audio), step):
            piece = audio[at : at + step]
            self._keep(piece)
            events = self._vad.feed(self._to_ulaw.feed(piece))
            if self._detection is None:
                self._vad.forget()
                continue
            for event in events:
                heard.append(self._turned(event))
            if self._idle_over():
                heard.append(self._idled())
        return heard

    def take(self) -> CommittedAudio:
        """Empty the buffer into a turn; speech in progress ends without an event."""
        turn = CommittedAudio(bytes(self._buffer), self.buffered_ms)
        self._clear_buffer()
        self._vad.forget()
        return turn

    def clear(self) -> None:
        """Drop the buffer; speech in progress ends without an event."""
        self.take()

    def arm_idle(self, audio_ms: float) -> None:
        """Start the idle timeout: the agent's last words, `audio_ms` long, are taken to be played from now on."""
        self._idle_from_ms = self.clock_ms + audio_ms

    def disarm_idle(self) -> None:
        """Stop the idle timeout: a response runs or the caller speaks."""
        self._idle_from_ms = None

    def _turned(self, event: SpeechStarted | SpeechStopped) -> TurnStarted | TurnEnded:
        if isinstance(event, SpeechStarted):
            self.disarm_idle()
            return TurnStarted(event.audio_start_ms)
        turn = CommittedAudio(bytes(self._buffer), self.buffered_ms)
        self._clear_buffer()
        return TurnEnded(event.audio_end_ms, turn)

    def _idle_over(self) -> bool:
        if not isinstance(self._detection, ServerVad) or self._idle_from_ms is None or self.speaking:
            return False
        timeout = given(self._detection.idle_timeout_ms)
        return timeout is not None and self.clock_ms >= _on_grid(self._idle_from_ms) + _on_grid(timeout)

    def _idled(self) -> IdleTimedOut:
        start = _on_grid(self._idle_from_ms or 0.0)
        end = int(self.clock_ms) // FRAME_MS * FRAME_MS
        self.disarm_idle()
        return IdleTimedOut(start, end, CommittedAudio(self.take().data, end - start))

    def _keep(self, piece: bytes) -> None:
        """Buffer audio: all of a turn, but of the quiet before one (with turn detection) only what a turn includes."""
        self._buffer += piece
        self._buffered += len(piece)
        per_ms = BYTES_PER_MS[self._to_ulaw.kind]
        waiting = self._detection is not None and not self.speaking
        limit = (self._prefix_ms + 4 * FRAME_MS if waiting else KEPT_MS) * per_ms
        if len(self._buffer) > limit:
            del self._buffer[: len(self._buffer) - limit]
        if waiting:
            self._buffered = len(self._buffer)

    def _clear_buffer(self) -> None:
        self._buffer.clear()
        self._buffered = 0


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _on_grid(ms: float) -> int:
    """Round up to whole frames."""
    return math.ceil(ms / FRAME_MS) * FRAME_MS
