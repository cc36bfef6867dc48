"""The caller's side of a session: audio becomes turns, turns become items, transcripts and wishes for an answer."""

from collections.abc import Callable

from offhook.emulator.conversation import Entry, user_audio_item
from offhook.emulator.hearing import CommittedAudio, Heard, Hearing, IdleTimedOut, TurnEnded, TurnStarted
from offhook.emulator.refusals import Refused
from offhook.emulator.responses import Responses
from offhook.emulator.scenario import Scenario
from offhook.emulator.script import Script
from offhook.emulator.settings import Settings
from offhook.emulator.surroundings import Surroundings
from offhook.emulator.transcription import Transcription, Transcriptions
from offhook.realtime import (
    InputAudioBufferCommittedEvent,
    InputAudioBufferSpeechStartedEvent,
    InputAudioBufferSpeechStoppedEvent,
    InputAudioBufferTimeoutTriggeredEvent,
)
from offhook.realtime.wire import given

MAX_APPEND_BYTES = 15 * 1024 * 1024
MIN_COMMIT_MS = 100


class Caller:
    """Follows the caller's audio; interrupts and asks for responses as turn detection is set up to.

    Args:
        refuse: tells an error that no client event caused.
    """

    def __init__(
        self,
        scenario: Scenario,
        settings: Settings,
        script: Script,
        responses: Responses,
        around: Surroundings,
        refuse: Callable[[Refused], None],
    ) -> None:
        self._scenario = scenario
        self._settings = settings
        self._script = script
        self._responses = responses
        self._around = around
        self._refuse = refuse
        self._hearing = Hearing()
        self._transcriptions = Transcriptions()
        self._item_id: str | None = None

    @property
    def received_ms(self) -> float:
        """Milliseconds of audio received: the session's audio clock."""
        return self._hearing.clock_ms

    def configure(self) -> None:
        """Take over the session's settings."""
        self._hearing.configure(self._settings.input_kind, self._settings.detection)

    def append(self, audio: bytes, now: float) -> None:
        """Take audio in the session's input format.

        Raises:
            Refused: too much at once.
        """
        if len(audio) > MAX_APPEND_BYTES:
            raise Refused("invalid_value", "Audio of one event must not exceed 15 MiB.", "audio")
        for heard in self._hearing.append(audio):
            self._heard(heard, now)

    def commit(self, now: float) -> None:
        """Carry out `input_audio_buffer.commit`.

        Raises:
            Refused: there is nothing to commit (trap 15).
        """
        buffered = self._hearing.buffered_ms
        if buffered < MIN_COMMIT_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {buffered:.2f}ms of audio.",
            )
        self._commit(self._item_id or self._around.new_id("item"), self._hearing.take(), now)

    def clear(self) -> None:
        """Drop what is not committed."""
        self._hearing.clear()
        self._item_id = None

    def answer_asked(self) -> None:
        """A response was asked for: the idle timeout stops."""
        self._hearing.disarm_idle()

    def answer_given(self, audio_ms: float) -> None:
        """A response ended: the idle timeout begins when its audio has been played."""
        self._hearing.arm_idle(audio_ms)

    def next_at(self) -> float:
        """Return when a transcript is due, infinity when none is."""
        return self._transcriptions.next_at()

    def advance(self, now: float) -> None:
        """Tell the transcripts that are due."""
        for transcription in self._transcriptions.take_due(now):
            entry = self._around.conversation.find(transcription.item_id)
            if entry is not None and not transcription.failed:
                entry.item = user_audio_item(transcription.item_id, transcription.text)
            for event in transcription.events():
                self._around.emit(event)

    def _heard(self, heard: Heard, now: float) -> None:
        emit = self._around.emit
        match heard:
            case TurnStarted(start_ms):
                self._item_id = self._around.new_id("item")
                emit(InputAudioBufferSpeechStartedEvent(audio_start_ms=start_ms, item_id=self._item_id))
                self._transcriptions.speech_started(now)
                if self._flag("interrupt_response"):
                    self._responses.interrupt(now)
            case TurnEnded(end_ms, audio):
                item_id = self._item_id or self._around.new_id("item")
                emit(InputAudioBufferSpeechStoppedEvent(audio_end_ms=end_ms, item_id=item_id))
                self._commit(item_id, audio, now)
                if self._flag("create_response"):
                    self._answer(now)
            case IdleTimedOut(start_ms, end_ms, audio):
                item_id = self._around.new_id("item")
                emit(
                    InputAudioBufferTimeoutTriggeredEvent(audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id)
                )
                self._add(item_id, audio, spoken="")
                self._answer(now)

    def _flag(self, name: str) -> bool:
        return getattr(self._settings.detection, name, None) is True

    def _answer(self, now: float) -> None:
        try:
            self._responses.answer_turn(now)
        except Refused as refusal:  # trap 32: the turn stays unanswered
            self._refuse(refusal)
        else:
            self.answer_asked()

    def _commit(self, item_id: str, audio: CommittedAudio, now: float) -> None:
        """Make a user item of a turn, and see to its transcript."""
        self._item_id = None
        turn = self._script.caller_spoke(item_id)
        text = self._script.caller_text(turn)
        self._add(item_id, audio, spoken=text)
        settings = self._settings.transcription
        if settings is not None:
            mode = turn.transcript or self._scenario.transcript
            model = given(settings.model) or ""
            transcription = Transcription(item_id, text, audio.length_ms, model, failed=mode == "failed")
            self._transcriptions.add(transcription, mode, now)

    def _add(self, item_id: str, audio: CommittedAudio, *, spoken: str) -> None:
        conversation = self._around.conversation
        self._around.emit(InputAudioBufferCommittedEvent(previous_item_id=conversation.last_id(), item_id=item_id))
        entry = Entry(
            user_audio_item(item_id),
            spoken=spoken,
            audio=bytearray(audio.data),
            audio_kind=self._settings.input_kind,
            heard_ms=audio.length_ms,
        )
        self._around.add_item(entry)
