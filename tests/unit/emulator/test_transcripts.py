from typing import Any

import pytest

from offhook.audio import silence
from offhook.speech.noise import noise
from tests.unit.emulator.rig import INTERRUPTION, QUESTION, Rig, done, kinds, of, only, said

COMPLETED = "conversation.item.input_audio_transcription.completed"
FAILED = "conversation.item.input_audio_transcription.failed"
STARTED = "input_audio_buffer.speech_started"


def rig_with(**turn: Any) -> Rig:
    rig = Rig({"turns": [{"caller": "What are your opening hours?", "say": "Nine to six.", **turn}]})
    rig.ready()
    return rig


def test_early() -> None:
    rig = rig_with()
    events = rig.speak(QUESTION) + rig.run(0.3)
    completed = only(events, COMPLETED)
    assert completed["transcript"] == "What are your opening hours?"
    assert completed["item_id"] == only(events, STARTED)["item_id"]
    usage = completed["usage"]
    assert usage["type"] == "tokens"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert only(events, "conversation.item.input_audio_transcription.delta")["delta"] == completed["transcript"]
    found = rig.session.conversation.retrieve(completed["item_id"])
    assert getattr(found, "content")[0].transcript == completed["transcript"]  # noqa: B009 - one of many item types


def test_a_noise_has_no_words() -> None:
    rig = rig_with(caller="", say=None)
    rig.ready(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    events = rig.speak(noise("cough", 400, 0.3)) + rig.run(0.5)
    completed = only(events, COMPLETED)
    assert (completed["transcript"], completed["usage"]["output_tokens"]) == ("", 0)
    assert not of(events, "conversation.item.input_audio_transcription.delta")
    assert rig.session.heard_history()[0].text == ""


def test_the_words_after_a_noise_that_was_deleted_are_answered() -> None:
    rig = Rig({"turns": [{"caller": "", "say": "Pardon?"}, {"caller": "Where is my order?", "say": "It has shipped."}]})
    rig.ready(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    item_id = only(rig.speak(noise("cough", 400, 0.3)) + rig.run(0.5), COMPLETED)["item_id"]
    rig.send("conversation.item.delete", item_id=item_id)
    events = rig.speak(QUESTION) + rig.run(0.5)
    assert only(events, COMPLETED)["transcript"] == "Where is my order?"
    assert only(events, "input_audio_buffer.committed")["previous_item_id"] is None
    rig.send("response.create")
    assert said(done(rig.run(5))) == ["It has shipped."]


def test_late_comes_after_the_next_speech() -> None:
    rig = rig_with(transcript="late")
    assert not of(rig.speak(QUESTION) + rig.run(5), COMPLETED)
    events = rig.speak(INTERRUPTION)
    assert kinds(events).index(STARTED) < kinds(events).index(COMPLETED)
    assert only(events, COMPLETED)["transcript"] == "What are your opening hours?"


@pytest.mark.parametrize("mode", ["never", "failed"])
def test_never_and_failed(mode: str) -> None:
    rig = rig_with(transcript=mode)
    events = rig.speak(QUESTION) + rig.run(5) + rig.speak(INTERRUPTION)
    assert not of(events[: kinds(events).index("response.done")], COMPLETED)
    failed = of(events, FAILED)
    assert len(failed) == (mode == "failed")
    assert all(event["error"]["code"] == "audio_unintelligible" for event in failed)
    assert rig.session.heard_history()[0].text == "What are your opening hours?"  # the model heard it all the same


def test_the_scenario_sets_the_default() -> None:
    rig = Rig({"transcript": "never"})
    rig.ready()
    assert not of(rig.speak(QUESTION) + rig.run(5), COMPLETED)


def test_whisper_is_billed_by_time() -> None:
    rig = rig_with()
    rig.ready(audio={"input": {"transcription": {"model": "whisper-1"}}})
    usage = only(rig.speak(QUESTION) + rig.run(1), COMPLETED)["usage"]
    assert usage["type"] == "duration"
    assert 1 < usage["seconds"] < 3


def test_off_means_off_and_a_deleted_item_is_no_trouble() -> None:
    rig = rig_with()
    rig.ready(audio={"input": {"transcription": None}})
    assert not of(rig.speak(QUESTION) + rig.run(5), COMPLETED)
    rig = rig_with()
    item_id = only(rig.speak(QUESTION), STARTED)["item_id"]
    rig.send("conversation.item.delete", item_id=item_id)
    assert only(rig.run(1), COMPLETED)["item_id"] == item_id


def test_silence_that_timed_out_has_no_transcript() -> None:
    rig = rig_with()
    rig.ready(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}})
    rig.greet()
    events = rig.speak(silence(0), then_ms=12_000)
    assert of(events, "input_audio_buffer.timeout_triggered")
    assert not of(events, COMPLETED)
