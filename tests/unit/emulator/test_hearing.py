from typing import Any

import pytest

from offhook.audio import silence
from offhook.audio.vad import FRAME_MS
from offhook.emulator.formats import PCM, PCMU, from_ulaw
from offhook.emulator.hearing import Hearing, TurnEnded, TurnStarted
from offhook.realtime import SemanticVad, ServerVad
from offhook.speech.noise import noise
from tests.unit.emulator.rig import (
    INTERRUPTION,
    QUESTION,
    Rig,
    done,
    error,
    kinds,
    of,
    only,
    said,
)
from tests.unit.emulator.rig import (
    PCMU as PCMU_FORMAT,
)

LONG = "We are open Monday to Friday, from nine in the morning until six in the evening."
VAD = ServerVad(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=500)


def test_a_turn_holds_the_speech_with_its_prefix_and_its_silence() -> None:
    hearing = Hearing()
    hearing.configure(PCMU, VAD)
    started, ended = hearing.append(silence(4000) + QUESTION + silence(1000))
    assert isinstance(started, TurnStarted)
    assert isinstance(ended, TurnEnded)
    assert (started.audio_start_ms + 300) % FRAME_MS == 0
    assert ended.audio_end_ms % FRAME_MS == 0
    assert abs(ended.audio.length_ms - (ended.audio_end_ms - started.audio_start_ms)) <= 4 * FRAME_MS
    assert len(ended.audio.data) == ended.audio.length_ms * 8


@pytest.mark.parametrize("kind", [PCM, PCMU])
def test_the_clock_counts_audio_in_every_format(kind: str) -> None:
    hearing = Hearing()
    hearing.configure(kind, VAD)
    audio = from_ulaw(silence(500) + QUESTION + silence(1000), kind)
    events = [event for at in range(0, len(audio), 1001) for event in hearing.append(audio[at : at + 1001])]
    assert [type(event) for event in events] == [TurnStarted, TurnEnded]
    assert abs(hearing.clock_ms - (1500 + len(QUESTION) / 8)) < 1


@pytest.mark.parametrize(("eagerness", "silence_ms"), [("high", 512), ("auto", 1024), ("low", 2016)])
def test_eagerness_is_a_length_of_silence(eagerness: str, silence_ms: int) -> None:
    hearing = Hearing()
    hearing.configure(PCMU, SemanticVad(eagerness=eagerness))
    _, ended = hearing.append(QUESTION + silence(3000))
    assert isinstance(ended, TurnEnded)
    assert abs(ended.audio_end_ms - len(QUESTION) / 8 - silence_ms) < 120


def test_without_detection_there_are_no_turns_but_a_buffer() -> None:
    hearing = Hearing()
    hearing.configure(PCMU, None)
    assert hearing.append(QUESTION + silence(1000)) == []
    assert hearing.buffered_ms == len(QUESTION) / 8 + 1000
    assert hearing.take().length_ms == len(QUESTION) / 8 + 1000
    assert hearing.buffered_ms == 0
    hearing.configure(PCM, None)  # what is buffered in another format is lost
    assert hearing.buffered_ms == 0


def test_a_very_long_turn_keeps_its_length_but_not_all_its_audio() -> None:
    hearing = Hearing()
    hearing.configure(PCMU, None)
    hearing.append(silence(130_000))
    turn = hearing.take()
    assert turn.length_ms == 130_000
    assert len(turn.data) == 120_000 * 8


def test_events_of_a_turn_come_in_order_and_the_answer_follows() -> None:
    rig = Rig({"turns": [{"say": "Hello."}, {"caller": "What are your opening hours?", "say": "Nine to six."}]})
    rig.ready()
    greeting = rig.greet()["output"][0]["id"]
    events = rig.speak(silence(500) + QUESTION)
    assert kinds(events)[:6] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    item_id = events[0]["item_id"]
    assert events[1]["item_id"] == events[2]["item_id"] == events[3]["item"]["id"] == item_id
    assert events[2]["previous_item_id"] == greeting
    assert said(done([*events, *rig.run(3)])) == ["Nine to six."]


def test_with_create_response_off_the_turn_is_only_committed() -> None:
    rig = Rig()
    rig.ready(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    events = rig.speak(QUESTION) + rig.run(2)
    assert not of(events, "response.created")
    rig.send("response.create")
    assert done(rig.run(5))["status"] == "completed"


def test_with_both_off_the_client_decides_everything() -> None:
    rig = Rig({"speed": 1, "turns": [{"say": LONG}, {"caller": "Stop.", "say": "All right."}]})
    detection = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    rig.ready(audio={"input": {"turn_detection": detection}})
    rig.send("response.create")
    rig.run(1.0)
    events = rig.speak(INTERRUPTION)
    asked = [kind for kind in kinds(events) if kind.startswith("input_audio_buffer") or kind == "error"]
    assert asked == [f"input_audio_buffer.{what}" for what in ("speech_started", "speech_stopped", "committed")]
    assert not of(events, "response.done")
    assert rig.session.active_response_id is not None, "it goes on"
    rig.send("response.cancel")
    assert done(rig.run(1.0))["status_details"]["reason"] == "client_cancelled"
    assert not of(rig.run(3.0), "response.created"), "it waits to be asked"
    rig.send("response.create")
    assert said(done(rig.run(5.0))) == ["All right."]


@pytest.mark.parametrize(("ms", "prefix", "silence_ms"), [(100, 300, 500), (200, 0, 320), (450, 600, 800)])
def test_the_length_of_short_speech_can_be_told_from_its_times(ms: int, prefix: int, silence_ms: int) -> None:
    rig = Rig()
    detection = {"type": "server_vad", "prefix_padding_ms": prefix, "silence_duration_ms": silence_ms}
    rig.ready(audio={"input": {"turn_detection": detection}})
    events = rig.speak(silence(1000) + noise("line", ms, 0.3), then_ms=1200)
    start = only(events, "input_audio_buffer.speech_started")["audio_start_ms"]
    end = only(events, "input_audio_buffer.speech_stopped")["audio_end_ms"]
    assert (start + prefix) % FRAME_MS == end % FRAME_MS == 0
    assert 1000 - FRAME_MS < start + prefix <= 1000
    assert -FRAME_MS < end - start - prefix - silence_ms - ms < 2 * FRAME_MS


def test_with_interrupt_off_the_response_goes_on_and_the_turn_stays_unanswered() -> None:
    rig = Rig({"speed": 1})
    rig.ready(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}})
    rig.send("response.create")
    rig.run(0.5)
    events = rig.speak(INTERRUPTION)
    assert of(events, "input_audio_buffer.committed")
    refused = error(events)
    assert refused["code"] == "conversation_already_has_active_response"
    assert refused["event_id"] is None
    assert done([*events, *rig.run(5)])["status"] == "completed"


def test_commit_by_the_client() -> None:
    rig = Rig()
    rig.ready(audio={"input": {"turn_detection": None}})
    rig.append(silence(50))
    found = error(rig.send("input_audio_buffer.commit"))
    assert found["code"] == "input_audio_buffer_commit_empty"
    assert "at least 100ms of audio, but buffer only has 50.00ms" in found["message"]
    rig.append(QUESTION)
    events = rig.send("input_audio_buffer.commit")
    assert kinds(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert not of(rig.run(2), "response.created")
    assert error(rig.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


def test_commit_and_clear_in_the_middle_of_speech() -> None:
    rig = Rig()
    rig.ready()
    started = only(rig.append(QUESTION[:8000]), "input_audio_buffer.speech_started")
    assert rig.send("input_audio_buffer.commit")[0]["item_id"] == started["item_id"]
    rig.append(QUESTION[:8000])
    assert kinds(rig.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert not of(rig.append(silence(2000)), "input_audio_buffer.speech_stopped")


def test_too_much_at_once_and_bad_base64_are_errors() -> None:
    rig = Rig()
    rig.ready()
    assert error(rig.append(bytes(15 * 1024 * 1024 + 1)))["param"] == "audio"
    assert error(rig.send("input_audio_buffer.append", audio="???"))["code"] == "invalid_value"
    assert rig.session.received_audio_ms == 0


def test_mu_law_before_the_update_is_taken_for_24_khz_pcm() -> None:
    rig = Rig()
    rig.append(QUESTION)
    assert abs(rig.session.received_audio_ms - len(QUESTION) / 48) < 1  # trap 16


class TestIdleTimeout:
    @staticmethod
    def rig() -> Rig:
        rig = Rig({"turns": [{"say": "Hello."}, {"say": "Still there?"}, {"say": "Well?"}]})
        detection: dict[str, Any] = {"type": "server_vad", "idle_timeout_ms": 6000}
        rig.ready(audio={"input": {"format": PCMU_FORMAT, "turn_detection": detection}})
        return rig

    def test_silence_after_the_last_words_is_answered(self) -> None:
        rig = self.rig()
        rig.greet()
        length_ms = rig.session.conversation.entries()[0].audio_ms
        events = rig.speak(silence(0), then_ms=int(length_ms) + 5800)
        assert not events
        events = rig.speak(silence(0), then_ms=400)
        triggered = only(events, "input_audio_buffer.timeout_triggered")
        assert triggered["audio_start_ms"] % FRAME_MS == 0
        assert triggered["audio_end_ms"] - triggered["audio_start_ms"] == 6016
        assert kinds(events)[1:4] == [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert said(done([*events, *rig.run(4)])) == ["Still there?"]

    def test_speech_and_requests_stop_it(self) -> None:
        rig = self.rig()
        rig.greet()
        rig.send("response.create")
        assert not of(rig.speak(silence(0), then_ms=300), "input_audio_buffer.timeout_triggered")
        rig.append(QUESTION)
        assert not of(rig.append(QUESTION * 6), "input_audio_buffer.timeout_triggered")
