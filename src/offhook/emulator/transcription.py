"""What the caller said, told early, late, never or as a failure (openai-realtime.md §8.2 item 6)."""

from dataclasses import dataclass
from typing import Final

from offhook.emulator.scenario import Transcript
from offhook.emulator.tokens import INPUT_MS_PER_TOKEN, text_tokens
from offhook.realtime import (
    InputAudioTranscriptionCompletedEvent,
    InputAudioTranscriptionDeltaEvent,
    InputAudioTranscriptionFailedEvent,
    KnownServerEvent,
    TranscriptionError,
    TranscriptionInputTokens,
    TranscriptionUsage,
)

EARLY: Final = 0.3
"""Seconds from the commit to the transcript; the first audio comes at about the same time."""

LATE: Final = 0.05
"""Seconds from the next `speech_started` to a late transcript."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """The transcript of one user item."""

    item_id: str
    text: str
    audio_ms: float
    model: str
    failed: bool

    def events(self) -> list[KnownServerEvent]:
        """Return the events that tell it."""
        if self.failed:
            error = TranscriptionError(
                type="transcription_error", code="audio_unintelligible", message="The audio could not be transcribed."
            )
            return [InputAudioTranscriptionFailedEvent(item_id=self.item_id, error=error)]
        delta = InputAudioTranscriptionDeltaEvent(item_id=self.item_id, content_index=0, delta=self.text)
        return [
            *([delta] if self.text else []),
            InputAudioTranscriptionCompletedEvent(item_id=self.item_id, transcript=self.text, usage=self._usage()),
        ]

    def _usage(self) -> TranscriptionUsage:
        if self.model.startswith("whisper"):
            return TranscriptionUsage(type="duration", seconds=round(self.audio_ms / 1000, 2))
        audio = round(self.audio_ms / INPUT_MS_PER_TOKEN)
        text = text_tokens(self.text)
        return TranscriptionUsage(
            type="tokens",
            total_tokens=audio + text,
            input_tokens=audio,
            output_tokens=text,
            input_token_details=TranscriptionInputTokens(text_tokens=0, audio_tokens=audio),
        )


class Transcriptions:
    """Keeps transcripts until their time has come. Times in seconds."""

    def __init__(self) -> None:
        self._due: list[tuple[float, Transcription]] = []
        self._late: list[Transcription] = []

    def add(self, transcription: Transcription, mode: Transcript, now: float) -> None:
        """A turn of the caller was committed."""
        if mode == "late":
            self._late.append(transcription)
        elif mode != "never":
            self._due.append((now + EARLY, transcription))

    def speech_started(self, now: float) -> None:
        """The caller speaks again: late transcripts are on their way."""
        self._due += [(now + LATE, transcription) for transcription in self._late]
        self._late.clear()

    def next_at(self) -> float:
        """Return when the next transcript is due, infinity when none is."""
        return min((at for at, _ in self._due), default=float("inf"))

    def take_due(self, now: float) -> list[Transcription]:
        """Return the transcripts that are due."""
        due = [transcription for at, transcription in self._due if at <= now]
        self._due = [(at, transcription) for at, transcription in self._due if at > now]
        return due
