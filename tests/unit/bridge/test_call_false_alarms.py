"""Sounds while the agent speaks, when the gateway judges them: what stops, what goes on, and what the model hears."""

from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import CallPlan, InvokeTool
from offhook.bridge.agent_turns import MAX_DEFERRED
from offhook.bridge.interruptions import COMMIT_WAIT, WORDS_WAIT
from offhook.bridge.plan import BargeIn
from tests.unit.bridge.harness import Harness, plan, session, speech
from tests.unit.bridge.test_caller_voice import silence, sound

MS = 8
QUIET = 0.5
DETECTION = rt.ServerVad(
    prefix_padding_ms=300, silence_duration_ms=500, create_response=False, interrupt_response=False
)


def agent(min_speech: float = 0.0, *, resume: bool = True, transcribes: bool = True, **changes: Any) -> CallPlan:
    transcription = rt.TranscriptionConfig(model="t") if transcribes else None
    settings: dict[str, Any] = {
        "session": session(turn_detection=DETECTION, transcription=transcription),
        "barge_in": BargeIn(min_speech=min_speech, resume=resume),
        **changes,
    }
    return plan(**settings)


def speaking(harness: Harness, audio: bytes | float = 6000) -> Harness:
    """A response that was generated in part: 6 s are here, more is to come."""
    harness.talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.text("A long story about opening hours, and more.")
    harness.ai.audio(audio)
    return harness


def sounds(harness: Harness, milliseconds: int, item: str = "caller_1", *, previous: str | None = "item_1") -> None:
    """A sound of the caller, up to its commit."""
    harness.ai.speech_started(item, 1000)
    harness.advance(milliseconds / 1000 + QUIET)
    harness.ai.speech_stopped(item, 1000 + 300 + milliseconds + 500)
    harness.ai.committed(item, previous)


class TestResume:
    def test_the_agent_goes_on_and_nobody_was_interrupted(self) -> None:
        harness = speaking(Harness(agent()), speech(6000))
        harness.advance(2.0)
        heard = len(harness.playback.heard)
        harness.ai.speech_started("caller_1", 1000)
        assert len(harness.entities("barge_in")) == 1
        assert harness.texts[-1][0] == harness.now, "at once"
        assert len(harness.moments_of("barge_in")) == 1
        harness.advance(0.75)
        harness.ai.speech_stopped("caller_1", 2050)
        harness.ai.committed("caller_1", "item_1")
        harness.advance(0.3)
        assert harness.ai.kinds() == [], "nothing is told to the model before it is known"
        assert len(harness.playback.heard) - heard <= 100 * MS
        harness.ai.transcribed("caller_1", "")
        assert harness.ai.kinds() == ["conversation.item.delete"]
        assert harness.ai.take("conversation.item.delete")["item_id"] == "caller_1"
        harness.ai.item_done("A long story about opening hours, and more.")
        harness.ai.done()
        harness.advance(10)
        assert len(harness.playback.heard) == pytest.approx(6300 * MS, abs=200 * MS)
        assert harness.playback.heard.endswith(speech(6000)[-3000 * MS :])
        assert harness.ai.kinds() == []
        (turn,) = harness.turns
        assert (turn.item_id, turn.interrupted, turn.heard_ms, turn.audio_ms) == ("item_1", False, 6000, 6000)
        assert turn.unheard == ""
        assert harness.moments.count("false_alarm") == harness.moments.count("resumed_speech") == 1

    def test_words_make_it_an_interruption(self) -> None:
        harness = speaking(Harness(agent()))
        harness.advance(2.0)
        heard = len(harness.playback.heard) // MS
        sounds(harness, 600)
        harness.ai.item(item="item_2", index=1)
        harness.ai.audio(1000, item="item_2")
        harness.ai.transcribed("caller_1", "What about Sunday?")
        assert harness.ai.kinds() == [
            "response.cancel",
            "conversation.item.truncate",
            "conversation.item.delete",
        ]
        truncate = harness.ai.received("conversation.item.truncate")[0]
        assert truncate["audio_end_ms"] == pytest.approx(heard, abs=100)
        assert harness.ai.take("conversation.item.delete")["item_id"] == "item_2"
        harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
        create = harness.ai.take("response.create")
        harness.ai.says(speech(800, 9), "On Sunday we are closed.", "resp_2", "item_3", create)
        harness.advance(3)
        assert harness.audio.endswith(speech(800, 9))
        assert [turn.item_id for turn in harness.turns] == ["item_1", "caller_1", "item_2", "item_3"]
        assert harness.turns[0].interrupted
        assert len(harness.moments_of("barge_in")) == 1
        assert "false_alarm" not in harness.moments

    def test_long_speech_is_answered_at_once(self) -> None:
        harness = speaking(Harness(agent()))
        harness.ai.done()
        harness.advance(1.0)
        sounds(harness, 1200)
        assert harness.ai.kinds() == ["conversation.item.truncate", "response.create"]

    @pytest.mark.parametrize(("milliseconds", "speech_"), [(300, False), (500, True)])
    def test_without_a_transcript_the_length_decides(self, milliseconds: int, speech_: bool) -> None:
        for transcribes in (True, False):
            harness = speaking(Harness(agent(transcribes=transcribes)))
            harness.ai.done()
            harness.advance(1.0)
            sounds(harness, milliseconds)
            if transcribes:
                assert harness.ai.kinds() == []
                harness.advance(WORDS_WAIT)
            wanted = ["conversation.item.truncate", "response.create"] if speech_ else ["conversation.item.delete"]
            assert harness.ai.kinds() == wanted

    def test_a_transcript_that_fails(self) -> None:
        harness = speaking(Harness(agent()))
        sounds(harness, 500)
        harness.ai.send(
            "conversation.item.input_audio_transcription.failed",
            item_id="caller_1",
            content_index=0,
            error={"code": "audio_unintelligible"},
        )
        assert harness.ai.kinds() == ["conversation.item.delete"]

    def test_a_piece_of_the_transcript_is_enough(self) -> None:
        harness = speaking(Harness(agent()))
        harness.advance(1)
        harness.ai.speech_started("caller_1", 1000)
        harness.ai.send(
            "conversation.item.input_audio_transcription.delta", item_id="caller_1", content_index=0, delta="Wait"
        )
        assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]

    def test_what_is_generated_meanwhile_is_heard(self) -> None:
        harness = speaking(Harness(agent()), speech(1000))
        harness.advance(0.5)
        sounds(harness, 200)
        harness.ai.audio(speech(2000, 77))
        harness.ai.item_done("words")
        harness.ai.done()
        harness.ai.transcribed("caller_1", "")
        harness.advance(6)
        assert harness.audio.endswith(speech(1000)[-500 * MS :] + speech(2000, 77))
        assert [turn.heard_ms for turn in harness.turns] == [3000]

    def test_a_response_that_ended_meanwhile_can_still_be_interrupted(self) -> None:
        harness = speaking(Harness(agent()), 3000)
        harness.advance(1)
        sounds(harness, 600)
        harness.ai.audio(2000)
        harness.ai.item_done("words")
        harness.ai.done()
        harness.ai.transcribed("caller_1", "No!")
        assert harness.ai.kinds() == ["conversation.item.truncate", "response.create"]
        harness.advance(3)
        assert [(turn.item_id, turn.audio_ms, turn.interrupted) for turn in harness.turns] == [
            ("item_1", 5000, True),
            ("caller_1", 0, False),
        ]

    def test_nothing_is_heard_of_the_agent_yet(self) -> None:
        """A noise while the model is thinking: the answer waits, and is not lost."""
        harness = Harness(agent()).talking()
        harness.ai.created()
        sounds(harness, 200, previous=None)
        harness.ai.item()
        harness.ai.audio(speech(1000))
        harness.ai.item_done("Here I am.")
        harness.ai.done()
        harness.advance(0.5)
        assert harness.packets == []
        assert harness.texts == []
        harness.ai.transcribed("caller_1", " ")
        harness.advance(2)
        assert harness.audio == speech(1000)

    def test_an_answer_that_has_been_asked_for_waits_as_well(self) -> None:
        harness = Harness(agent()).talking()
        sounds(harness, 900, "caller_1", previous=None)
        create = harness.ai.take("response.create")
        sounds(harness, 200, "caller_2", previous="caller_1")
        harness.ai.says(speech(1000), create=create)
        assert harness.packets == []
        harness.ai.transcribed("caller_2", "")
        harness.advance(2)
        assert harness.audio == speech(1000)

    def test_another_sound_while_it_is_not_known(self) -> None:
        harness = speaking(Harness(agent()))
        harness.ai.done()
        harness.advance(1)
        sounds(harness, 200, "caller_1")
        harness.ai.speech_started("caller_2", 3000)
        harness.ai.transcribed("caller_1", "")
        sent = len(harness.packets)
        harness.advance(0.8)
        assert len(harness.packets) == sent, "the caller may be speaking"
        harness.ai.speech_stopped("caller_2", 4000)
        harness.ai.committed("caller_2")
        harness.ai.transcribed("caller_2", "")
        assert [event["item_id"] for event in harness.ai.received("conversation.item.delete")] == [
            "caller_1",
            "caller_2",
        ]
        harness.advance(1)
        assert len(harness.packets) > sent
        assert len(harness.entities("barge_in")) == 1

    def test_on_hold_while_it_is_not_known(self) -> None:
        harness = speaking(Harness(agent()), speech(3000))
        harness.ai.item_done("words")
        harness.ai.done()
        harness.advance(1)
        harness.ai.speech_started("caller_1", 1000)
        harness.genesys("paused")
        harness.advance(1)
        harness.ai.speech_stopped("caller_1", 2000)
        harness.ai.committed("caller_1")
        harness.ai.transcribed("caller_1", "")
        sent = len(harness.packets)
        harness.advance(2)
        assert len(harness.packets) == sent
        harness.genesys("resumed", start="PT1S", discarded="PT1S")
        harness.advance(4)
        assert harness.audio.endswith(speech(3000)[-1800 * MS :])

    def test_a_key_settles_it(self) -> None:
        harness = speaking(Harness(agent()))
        harness.advance(1)
        harness.ai.speech_started("caller_1", 1000)
        harness.genesys("dtmf", digit="1")
        assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]
        harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
        harness.ai.speech_stopped("caller_1", 2000)
        harness.ai.committed("caller_1")
        harness.forget()
        harness.ai.transcribed("caller_1", "")
        assert harness.ai.kinds() == ["conversation.item.delete"]
        assert "resumed_speech" not in harness.moments
        harness.advance(1.0)
        harness.forget()
        harness.advance(1.0)
        assert harness.ai.kinds() == ["conversation.item.create", "response.create"]

    def test_words_after_a_key_do_not_stop_the_answer_to_it(self) -> None:
        harness = speaking(Harness(agent()))
        harness.advance(1)
        sounds(harness, 500)
        harness.genesys("dtmf", digit="#")
        harness.ai.added({"id": "keys", "type": "message", "role": "user", "content": []})
        harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
        harness.forget()
        harness.ai.transcribed("caller_1", "One")
        harness.ai.says(1000, create=harness.ai.take("response.create"), response="resp_2", item="item_2")
        harness.advance(4)
        assert harness.ai.kinds() == [], "one answer for the key and the words"
        assert len(harness.audio) == pytest.approx(1000 * MS, abs=200 * MS)

    def test_the_caller_hangs_up_while_it_is_not_known(self) -> None:
        harness = speaking(Harness(agent()))
        harness.advance(1)
        heard = len(harness.playback.heard) // MS
        harness.ai.speech_started("caller_1", 1000)
        harness.close()
        harness.advance(1)
        (turn,) = harness.turns
        assert turn.interrupted
        assert turn.heard_ms == pytest.approx(heard, abs=100)
        assert harness.ended.reason == "caller_hung_up"

    def test_the_model_is_lost_while_it_is_not_known(self) -> None:
        harness = speaking(Harness(agent()))
        harness.advance(1)
        harness.ai.speech_started("caller_1", 1000)
        harness.ai_lost()
        harness.advance(12)
        assert harness.ended.outcome == "failed"
        assert not harness.turns[0].interrupted, "nobody is left to tell that it was"

    def test_the_call_is_ended_while_it_is_not_known(self) -> None:
        """The interruption stands; nobody is listened to any more."""
        harness = speaking(Harness(agent()))
        harness.advance(1)
        sounds(harness, 300)
        harness.end()
        assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]
        harness.ai.transcribed("caller_1", "")
        harness.ai.speech_started("caller_2", 5000)
        harness.ai.speech_stopped("caller_2", 6000)
        harness.ai.committed("caller_2")
        harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
        harness.advance(5)
        assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]
        assert harness.ended.outcome == "limit"

    def test_the_queue_is_full_while_it_is_not_known(self) -> None:
        harness = speaking(Harness(agent()))
        harness.ai.speech_started("caller_1", 1000)
        for _ in range(5):
            harness.ai.audio(60_000)
        assert harness.ai.kinds() == ["response.cancel"]
        assert "audio_lost" in harness.moments

    def test_a_tool_result_is_answered_when_nobody_spoke(self) -> None:
        harness = speaking(Harness(agent()))
        harness.ai.call("order_status")
        harness.ai.done()
        harness.advance(1)
        sounds(harness, 200)
        harness.tool_result()
        harness.ai.output_added()
        assert harness.ai.kinds() == ["conversation.item.create"]
        harness.ai.transcribed("caller_1", "")
        harness.advance(0.1)
        assert harness.ai.kinds() == ["conversation.item.create", "conversation.item.delete", "response.create"]


class TestToolsMeanwhile:
    def test_a_function_call_waits(self) -> None:
        harness = speaking(Harness(agent()))
        harness.ai.speech_started("caller_1", 1000)
        harness.ai.call("order_status")
        harness.ai.item_done("words")
        harness.ai.done()
        assert harness.of(InvokeTool) == []
        harness.ai.speech_stopped("caller_1", 2000)
        harness.ai.committed("caller_1")
        harness.ai.transcribed("caller_1", "")
        assert [command.name for command in harness.of(InvokeTool)] == ["order_status"]

    def test_it_is_not_run_when_the_caller_interrupted(self) -> None:
        harness = speaking(Harness(agent()))
        harness.ai.speech_started("caller_1", 1000)
        harness.ai.call("order_status")
        harness.ai.done()
        harness.ai.speech_stopped("caller_1", 2000)
        harness.ai.committed("caller_1")
        harness.ai.transcribed("caller_1", "Don't!")
        assert harness.of(InvokeTool) == []
        (output,) = harness.ai.received("conversation.item.create")
        assert "not run" in output["item"]["output"]

    def test_the_agent_ends_the_call_meanwhile(self) -> None:
        harness = speaking(Harness(agent()), speech(2000))
        harness.advance(0.5)
        harness.ai.speech_started("caller_1", 1000)
        harness.ai.call("end_call", '{"reason":"done"}')
        harness.ai.item_done("Goodbye.")
        harness.ai.done()
        assert "ending" not in harness.moments
        harness.ai.speech_stopped("caller_1", 2000)
        harness.ai.committed("caller_1")
        harness.ai.transcribed("caller_1", "")
        assert "ending" in harness.moments
        harness.advance(5)
        assert harness.audio.endswith(speech(2000)[-1500 * MS :]), "the goodbye is heard to its end"
        assert harness.ended.outcome == "completed"
        assert harness.variables["OFFHOOK_REASON"] == "done"

    def test_the_goodbye_goes_on(self) -> None:
        harness = speaking(Harness(agent()), speech(2000))
        harness.advance(0.5)
        harness.ai.speech_started("caller_1", 1000)
        harness.ai.call("end_call", '{"reason":"done"}')
        harness.ai.speech_stopped("caller_1", 2000)
        harness.ai.committed("caller_1")
        harness.ai.transcribed("caller_1", "")
        harness.ai.audio(speech(1000, 5))
        harness.ai.item_done("Goodbye.")
        harness.ai.done()
        harness.advance(6)
        assert harness.audio.endswith(speech(1000, 5))
        assert harness.ended.outcome == "completed"

    def test_their_number_is_bounded(self) -> None:
        harness = speaking(Harness(agent()))
        harness.ai.speech_started("caller_1", 1000)
        for number in range(MAX_DEFERRED + 2):
            harness.ai.call("order_status", call=f"call_{number}")
        assert len(harness.of(InvokeTool)) == 2
        harness.ai.speech_stopped("caller_1", 2000)
        harness.ai.committed("caller_1")
        harness.ai.transcribed("caller_1", "")
        assert len(harness.of(InvokeTool)) == MAX_DEFERRED + 2


class TestMinimumSpeech:
    def test_a_cough_changes_nothing(self) -> None:
        harness = speaking(Harness(agent(0.3, resume=False)), speech(3000))
        harness.advance(0.5)
        harness.caller_audio(silence(500) + sound(100, -20))
        harness.ai.speech_started("caller_1", 200)
        harness.caller_audio(sound(150, -20) + silence(600))
        harness.ai.speech_stopped("caller_1", 1250)
        harness.ai.committed("caller_1", "item_1")
        harness.ai.transcribed("caller_1", "")
        harness.ai.item_done("words")
        harness.ai.done()
        harness.advance(5)
        assert harness.audio == speech(3000)
        assert harness.entities("barge_in") == []
        assert harness.ai.kinds() == ["conversation.item.delete"]
        assert "false_alarm" in harness.moments
        assert "resumed_speech" not in harness.moments
        assert [turn.item_id for turn in harness.turns] == ["item_1"]

    def test_speech_stops_the_agent_in_the_frame_in_which_it_is_long_enough(self) -> None:
        harness = speaking(Harness(agent(0.3, resume=False)))
        harness.advance(0.5)
        harness.caller_audio(silence(500) + sound(100, -20))
        harness.ai.speech_started("caller_1", 200)
        harness.caller_audio(sound(180, -20))
        assert harness.entities("barge_in") == []
        harness.caller_audio(sound(40, -20))
        assert len(harness.entities("barge_in")) == 1
        assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]
        harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
        harness.ai.speech_stopped("caller_1", 1400)
        harness.ai.committed("caller_1")
        harness.ai.take("response.create")

    def test_a_sound_that_does_not_end_stops_it_in_the_end(self) -> None:
        harness = speaking(Harness(agent(0.3, resume=False)))
        harness.ai.speech_started("caller_1", 200)
        harness.advance(1.2)
        assert len(harness.entities("barge_in")) == 1

    def test_words_in_passing(self) -> None:
        harness = speaking(Harness(agent(0.5, resume=False)), speech(4000))
        harness.advance(0.5)
        sounds(harness, 200)
        harness.ai.transcribed("caller_1", "Mhm.")
        harness.ai.item_done("words")
        harness.ai.done()
        harness.advance(5)
        assert harness.audio == speech(4000)
        assert harness.ai.kinds() == []
        assert [turn.item_id for turn in harness.turns] == ["item_1", "caller_1"]

    def test_words_in_passing_are_answered_if_the_agent_is_through(self) -> None:
        harness = Harness(agent(0.5, resume=False)).talking()
        harness.ai.says(1600)
        harness.advance(0.6)
        sounds(harness, 200)
        harness.advance(0.6)
        assert harness.ai.kinds() == []
        harness.ai.transcribed("caller_1", "Yes.")
        assert harness.ai.kinds() == ["response.create"]

    def test_a_repetition_is_not_forgotten_for_a_noise(self) -> None:
        """The answer that failed is still asked for again."""
        harness = Harness(agent(0.5, resume=False)).talking()
        harness.ai.says(3000)
        harness.ai.created("resp_2")
        harness.ai.done("resp_2", status="failed", type="failed", error={"code": "server_error"})
        sounds(harness, 100)
        harness.ai.transcribed("caller_1", "")
        harness.advance(1)
        assert "response.create" in harness.ai.kinds()

    def test_an_answer_that_waits_is_taken_back_when_the_caller_goes_on(self) -> None:
        harness = speaking(Harness(agent(0.3, resume=False)))
        harness.advance(0.5)
        harness.caller_audio(sound(900, -20))
        harness.ai.speech_started("caller_1", 0)
        harness.ai.speech_stopped("caller_1", 1500)
        harness.ai.committed("caller_1", "item_1")
        assert "response.create" not in harness.ai.kinds(), "the cancelled response has not ended yet"
        harness.caller_audio(silence(600) + sound(500, -20))
        harness.ai.speech_started("caller_2", 1200)
        harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
        assert "response.create" not in harness.ai.kinds()
        harness.ai.speech_stopped("caller_2", 2500)
        harness.ai.committed("caller_2", "caller_1")
        assert harness.ai.kinds().count("response.create") == 1


class TestTheServersOwn:
    def test_an_idle_timeout_is_answered_by_the_server(self) -> None:
        harness = Harness(agent()).talking()
        harness.ai.send("input_audio_buffer.timeout_triggered", item_id="idle", audio_start_ms=0, audio_end_ms=6000)
        harness.ai.committed("idle")
        assert harness.ai.kinds() == []

    def test_an_agent_that_is_never_interrupted(self) -> None:
        never = agent(0.3, barge_in=BargeIn(enabled=False))
        assert not never.interruptible
        harness = speaking(Harness(never), speech(3000))
        harness.advance(0.5)
        sounds(harness, 2000)
        harness.genesys("dtmf", digit="1")
        harness.ai.item_done("words")
        harness.ai.done()
        harness.ai.says(speech(1000, 9), "Yes.", "resp_2", "item_2", harness.ai.take("response.create"))
        harness.advance(6)
        assert harness.audio == speech(3000) + speech(1000, 9)
        assert harness.entities("barge_in") == []

    def test_a_server_that_decides_although_it_was_told_not_to(self) -> None:
        """Its interruption is no harm, and its answer is not asked for again."""
        own = agent(session=session(turn_detection=rt.ServerVad(create_response=True, interrupt_response=True)))
        harness = speaking(Harness(own))
        harness.advance(1)
        harness.ai.speech_started("caller_1", 1000)
        harness.ai.done(status="cancelled", type="cancelled", reason="turn_detected")
        harness.ai.speech_stopped("caller_1", 3000)
        harness.ai.committed("caller_1")
        harness.ai.says(1000, response="resp_2", item="item_2")
        harness.advance(3)
        assert harness.ai.kinds() == ["conversation.item.truncate"]


def test_a_call_that_waited_for_the_verdict_is_answered_with_it() -> None:
    """Nobody commits the sound, and the time for the server's own answer to it is over at the same instant."""
    harness = speaking(Harness(agent()), 1000)
    harness.ai.speech_started("caller_1", 1000)
    harness.ai.call("nothing")
    harness.ai.done()
    harness.advance(0.3)
    harness.ai.speech_stopped("caller_1", 2100)
    harness.ai.sent.clear()
    harness.advance(COMMIT_WAIT - 0.1)
    assert harness.ai.kinds() == []
    harness.advance(0.2)
    assert harness.ai.kinds() == ["conversation.item.create", "response.create"]
