"""Turns: the greeting, the keypad, transcripts in order, answers that fail."""

import pytest

from offhook import realtime as rt
from offhook.bridge import CallState, Prompt
from offhook.bridge.agent_turns import MAX_RUNNING
from tests.unit.bridge.harness import GREETED, START, Harness, plan, session, speech


def test_the_model_words_the_greeting_and_stays_itself() -> None:
    harness = Harness(GREETED).ready()
    create = harness.ai.take("response.create")["response"]
    assert create["instructions"].startswith("You are Ada of Acme.")
    assert "Greet the caller." in create["instructions"]
    assert create["tool_choice"] == "none"
    assert "greeting_requested" in harness.moments


def test_fixed_words() -> None:
    harness = Harness(plan(greeting=Prompt(text="Welcome to Acme. This call is recorded."))).ready()
    create = harness.ai.take("response.create")["response"]
    assert create["instructions"].startswith("You are Ada of Acme.")
    assert create["instructions"].endswith("nothing else: Welcome to Acme. This call is recorded.")


def test_an_agent_without_instructions_greets_too() -> None:
    config = session()
    bare = rt.SessionConfig(audio=config.audio)
    harness = Harness(plan(session=bare, greeting=Prompt(instructions="Greet."))).ready()
    assert "Greet." in harness.ai.take("response.create")["response"]["instructions"]


def test_an_agent_that_waits_for_the_caller() -> None:
    harness = Harness(plan()).ready()
    assert harness.ai.received("response.create") == []
    harness.advance(60)
    assert harness.ai.received("response.create") == []
    assert harness.call.state is CallState.TALKING


def test_a_caller_who_speaks_already_gets_an_answer_instead_of_the_greeting() -> None:
    harness = Harness(GREETED)
    harness.open()
    harness.caller_audio(speech(800))
    harness.connected()
    harness.ai.session_created()
    harness.ai.session_updated()
    assert [event["type"] for _, event in harness.ai.sent][1:] == ["response.create", "input_audio_buffer.append"]
    create = harness.ai.received("response.create")[0]
    harness.ai.created("resp_g", create)
    harness.ai.speech_started()
    harness.ai.done("resp_g", status="cancelled", type="cancelled", reason="turn_detected")
    harness.ai.speech_stopped()
    harness.ai.committed()
    harness.ai.says(1000, "Nine to six.")
    harness.advance(3)
    assert harness.audio == speech(1000)
    assert len(harness.ai.received("response.create")) == 1


def test_the_greeting_that_fails_is_asked_for_again() -> None:
    harness = Harness(GREETED).ready()
    for delay in (0.5, 2.0):
        create = harness.ai.take("response.create")
        assert "Greet the caller." in create["response"]["instructions"]
        harness.ai.created("resp_g" + str(delay), create)
        harness.ai.done("resp_g" + str(delay), status="failed", type="failed", error={"code": "rate_limit_exceeded"})
        harness.advance(delay - 0.01)
        assert harness.ai.received("response.create") == []
        harness.advance(0.02)
    create = harness.ai.take("response.create")
    harness.ai.says(1000, create=create)
    harness.advance(3)
    assert harness.audio == speech(1000)


@pytest.mark.parametrize("status", ["failed", "completed", "incomplete"])
def test_answers_that_bring_nothing_are_asked_for_twice_more(status: str) -> None:
    harness = Harness(plan()).talking()
    harness.ai.caller_turn(text="Hello?")
    harness.ai.created("r0")
    harness.ai.done("r0", status=status)
    for number in (1, 2):
        harness.advance(3)
        create = harness.ai.take("response.create")
        assert "instructions" not in create["response"]
        harness.ai.created(f"r{number}", create)
        harness.ai.item(f"r{number}", f"i{number}")
        harness.ai.done(f"r{number}", status=status)
    assert harness.call.state in (CallState.ENDING, CallState.DISCONNECTING)
    assert harness.variables["OFFHOOK_REASON"] == "OH-CALL-08"
    assert harness.messages_of("disconnect")[0]["parameters"]["reason"] == "completed"
    harness.advance(1)
    assert harness.ended.outcome == "failed"
    assert [moment.data["code"] for moment in harness.moments_of("peer_error")] == (
        ["OH-RT-09"] * 3 if status == "failed" else [f"response_{status}"] * 3
    )


def test_a_good_answer_begins_the_count_anew() -> None:
    harness = Harness(plan()).talking()
    for number in range(6):
        harness.ai.created(f"bad{number}")
        harness.ai.done(f"bad{number}", status="failed")
        harness.advance(0.6)
        create = harness.ai.take("response.create")
        harness.ai.says(200, response=f"good{number}", item=f"i{number}", create=create)
        harness.advance(1)
    assert harness.call.state is CallState.TALKING


def test_the_caller_speaking_replaces_the_repetition() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created("bad")
    harness.ai.done("bad", status="failed")
    harness.ai.speech_started()
    harness.advance(30)
    assert harness.ai.received("response.create") == []


def test_a_cancelled_answer_is_not_repeated() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created("r")
    harness.ai.done("r", status="cancelled", type="cancelled", reason="turn_detected")
    harness.advance(30)
    assert harness.ai.received("response.create") == []


def test_a_response_that_was_not_announced_is_heard() -> None:
    harness = Harness(plan()).talking()
    harness.ai.item("lost", "i")
    harness.ai.audio(1000, "lost", "i")
    harness.ai.done("lost")
    harness.ai.audio(1000, "lost", "late")
    harness.advance(3)
    assert sum(len(packet) for _, packet in harness.packets) == 8000
    assert not harness.ai.received("response.create")


def test_a_response_that_is_announced_late_is_heard_once() -> None:
    harness = Harness(plan()).talking()
    harness.ai.audio(400, "resp", "i")
    harness.ai.created("resp")
    harness.ai.audio(400, "resp", "i")
    harness.ai.done("resp")
    harness.advance(3)
    assert sum(len(packet) for _, packet in harness.packets) == 6400


def test_responses_without_end_are_bounded() -> None:
    harness = Harness(plan()).talking()
    for number in range(MAX_RUNNING + 3):
        harness.ai.audio(200, f"resp_{number}", f"item_{number}")
    harness.advance(5)
    assert sum(len(packet) for _, packet in harness.packets) == MAX_RUNNING * 1600


def test_an_announced_response_takes_the_place_of_one_without_end() -> None:
    harness = Harness(plan()).talking()
    for number in range(MAX_RUNNING):
        harness.ai.audio(200, f"resp_{number}", f"item_{number}")
    harness.ai.created("announced")
    harness.ai.audio(200, "announced", "item")
    harness.ai.audio(200, "resp_0", "item_0")
    harness.advance(5)
    assert sum(len(packet) for _, packet in harness.packets) == (MAX_RUNNING + 1) * 1600


def test_the_rest_of_an_item_whose_end_was_lost_is_heard() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created("resp")
    harness.ai.audio(300, "resp", "i")
    harness.advance(2)
    assert sum(len(packet) for _, packet in harness.packets) == 1600
    harness.advance(2)
    assert [len(packet) for _, packet in harness.packets] == [1600, 1600]
    harness.ai.audio(300, "resp", "i")
    harness.ai.done("resp")
    harness.advance(2)
    assert sum(len(packet) for _, packet in harness.packets) == 3200 + 3200  # what came later is a tail of its own


def test_a_refused_request_is_repeated() -> None:
    harness = Harness(GREETED).ready()
    for _ in range(2):
        create = harness.ai.take("response.create")
        harness.ai.refuse("invalid_value", create["event_id"])
        harness.advance(3)
    create = harness.ai.take("response.create")
    harness.ai.refuse("invalid_value", create["event_id"])
    assert harness.variables["OFFHOOK_REASON"] == "OH-CALL-08"


def test_a_greeting_without_an_answer_is_repeated() -> None:
    harness = Harness(GREETED).ready()
    harness.ai.take("response.create")
    harness.advance(10.6)
    assert len(harness.ai.received("response.create")) == 1


def test_errors_that_end_nothing() -> None:
    harness = Harness(plan()).talking()
    harness.ai.refuse("response_cancel_not_active")
    assert harness.moments == ["peer_error"]
    assert harness.call.state is CallState.TALKING


def test_text_of_the_agent_without_a_voice() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.send(
        "response.output_text.done", response_id="resp_1", item_id="item_1", output_index=0, content_index=0, text="Hi."
    )
    harness.ai.done()
    (turn,) = harness.turns
    assert (turn.text, turn.unheard) == ("", "Hi.")
    assert harness.entities("bot_turn_response") == []


def test_digits_become_one_message_and_get_an_answer() -> None:
    harness = Harness(plan()).talking()
    for digit in "1234":
        harness.genesys("dtmf", digit=digit)
        harness.advance(0.4)
    assert harness.ai.kinds() == []
    harness.advance(1.2)
    assert harness.ai.kinds() == ["conversation.item.create", "response.create"]
    item = harness.ai.received("conversation.item.create")[0]["item"]
    assert item["role"] == "user"
    assert item["content"] == [{"type": "input_text", "text": "The caller pressed 1 2 3 4 on the keypad."}]
    assert "instructions" not in harness.ai.received("response.create")[0]["response"]
    (turn,) = harness.turns
    assert (turn.speaker, turn.text) == ("keypad", "1234")
    assert harness.moments.count("dtmf") == 4


def test_the_hash_sign_sends_at_once() -> None:
    harness = Harness(plan()).talking()
    for digit in "42#":
        harness.genesys("dtmf", digit=digit)
    assert harness.ai.kinds() == ["conversation.item.create", "response.create"]


def test_digits_wait_for_the_model() -> None:
    harness = Harness(GREETED)
    harness.open()
    harness.genesys("dtmf", digit="5")
    harness.advance(5)
    harness.connected()
    harness.ai.session_created()
    harness.ai.session_updated()
    assert harness.ai.kinds() == ["session.update", "response.create", "conversation.item.create"]
    create = harness.ai.received("response.create")[0]
    harness.ai.sent.clear()
    harness.ai.says(500, create=create)
    # The greeting knows nothing of the digits: they get an answer of their own.
    assert harness.ai.kinds() == ["response.create"]


def test_digits_over_an_answer_get_theirs_when_it_is_over() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(3000)
    harness.advance(0.5)
    harness.genesys("dtmf", digit="9")
    harness.genesys("dtmf", digit="#")
    assert "response.create" not in harness.ai.kinds()
    harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
    assert harness.ai.kinds()[-1] == "response.create"


def test_transcripts_are_told_in_the_order_of_the_conversation() -> None:
    harness = Harness(plan()).talking()
    harness.ai.caller_turn("c1")
    harness.ai.says(500, "First answer.", "r1", "a1")
    harness.advance(1)
    harness.ai.caller_turn("c2", previous="a1")
    harness.ai.says(500, "Second answer.", "r2", "a2")
    harness.advance(1)
    harness.ai.caller_turn("c3", previous="a2")
    harness.ai.send(
        "conversation.item.input_audio_transcription.delta", item_id="c3", content_index=0, delta="Third question?"
    )
    harness.ai.transcribed("c3", "Third question?")
    harness.ai.transcribed("c2", "Second question?")
    assert harness.turns == []
    harness.ai.send(
        "conversation.item.input_audio_transcription.failed", item_id="c1", content_index=0, error={"code": "x"}
    )
    assert [turn.text for turn in harness.turns] == [
        "First answer.",
        "Second question?",
        "Second answer.",
        "Third question?",
    ]
    assert [entity["data"]["text"] for entity in harness.entities("bot_turn_response")] == [
        "First answer.",
        "Second answer.",
    ]
    assert harness.entities("bot_turn_response")[0]["data"]["disposition"] == "match"


def test_a_missing_transcript_holds_nothing_up_for_long() -> None:
    harness = Harness(plan()).talking()
    harness.ai.caller_turn("c1")
    harness.ai.says(500, "Answer.")
    harness.advance(11)
    assert [turn.text for turn in harness.turns] == ["Answer."]


def test_without_transcription() -> None:
    harness = Harness(plan(session=session(transcription=None), bot_turn_response=False)).talking()
    harness.ai.caller_turn("c1")
    harness.ai.says(500, "Answer.")
    harness.advance(1)
    assert [turn.text for turn in harness.turns] == ["Answer."]
    assert harness.texts == []


def test_a_long_turn_is_cut_for_genesys() -> None:
    harness = Harness(plan()).talking()
    harness.ai.says(500, "word " * 3000)
    harness.advance(1)
    assert len(harness.entities("bot_turn_response")[0]["data"]["text"]) == 4000
    assert len(harness.turns[0].text) > 4000


def test_a_server_that_does_not_answer_by_itself_is_asked() -> None:
    agent = plan(session=session(turn_detection=rt.ServerVad(create_response=False, interrupt_response=True)))
    harness = Harness(agent).talking()
    harness.ai.caller_turn(text="Hello?")
    create = harness.ai.take("response.create")
    harness.ai.says(500, create=create)
    harness.advance(10)
    assert harness.ai.received("response.create") == []


def test_an_hour_of_talk_leaves_nothing_behind() -> None:
    harness = Harness(plan()).talking()
    conversation = harness.call.conversation
    assert conversation is not None
    for number in range(360):
        harness.ai.caller_turn(f"c{number}", f"Question {number}?")
        harness.ai.says(4000, f"Answer {number}.", f"r{number}", f"a{number}")
        if number % 3 == 0:
            harness.advance(1)
            harness.ai.speech_started(f"x{number}")
            harness.ai.speech_stopped(f"x{number}")
        harness.advance(9)
        harness.forget()
    assert harness.now - START > 3000
    assert conversation.transcript._entries == []
    assert not conversation.playout._items
    assert not conversation._agent._running
    assert not conversation._agent._unsent
    assert harness.call.state is CallState.TALKING


def test_what_means_nothing_to_a_call_is_passed_over() -> None:
    harness = Harness(plan()).talking()
    harness.ai.send("rate_limits.updated", rate_limits=[])
    harness.ai.send("something.new", answer=42)
    harness.ai.created()
    harness.ai.audio(400)  # of an item that was not announced
    harness.ai.audio_done_only()
    harness.ai.done()
    harness.advance(2)
    assert harness.audio == speech(400)
    assert harness.call.state is CallState.TALKING
    assert [turn.heard_ms for turn in harness.turns] == [400]
