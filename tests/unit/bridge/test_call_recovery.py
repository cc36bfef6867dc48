"""The AI is lost in every state of a call: what the next session is told, what the caller hears, what is recorded."""

import json
from functools import partial
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import CallState, InvokeTool, Prompt, ToolOutcome
from offhook.bridge.plan import BargeIn, CallLimits, CollectDigits, NoInput
from offhook.bridge.prompts import IT_TAKES_A_MOMENT, STILL_COLLECTING, carry_on, still_running
from offhook.bridge.replies import SPEECH_PATIENCE
from offhook.realtime.cost import Prices
from tests.unit.bridge.exits import ASIDE, SENTENCE
from tests.unit.bridge.harness import session, speech
from tests.unit.bridge.losses import (
    ANSWER,
    BASE,
    CARRIED_ON,
    DECLARED,
    DETECTION,
    GREETING,
    MOMENT,
    QUESTION,
    STALE,
    LossyCall,
    lossy,
)

STORY = "We are open on Monday to Friday from nine to six."
RUNNING = ("system", still_running(["order_status"]))
BUSY_CARRY_ON = [RUNNING, ("system", carry_on(running=True)), ("response.create", "turn", "none")]


def came_back(call: LossyCall, *expected: tuple[Any, ...]) -> None:
    """The next session is told exactly this, with the same settings as the first one, and answers; nothing follows."""
    call.advance(6.0)
    assert call.settings()["instructions"] == "You are Ada of Acme."
    assert call.told() == list(expected)
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(ASIDE), "the agent is heard again"
    call.check_old_leg()


# The states.


def test_idle() -> None:
    call = LossyCall().begun()
    call.lose()
    came_back(call, *BASE, *CARRIED_ON)
    assert call.said == [
        ("agent", GREETING), ("caller", QUESTION), ("agent", ANSWER), ("agent", "One moment."), ("agent", GREETING),
    ]  # fmt: skip
    assert [name for name in call.moments if name.startswith(("ai_", "ann"))] == [
        "ai_ready", "ai_lost", "announced", "ai_ready",
    ]  # fmt: skip
    call.check_new_session()


def test_the_greeting_is_being_said() -> None:
    """What is there of it is heard, and told then; nobody is greeted twice."""
    call = LossyCall(away=0.2)
    call.others = "never"
    call.ready()
    call.others = "said"
    call.speak(call.respond(call.ai.received("response.create")[0]), SENTENCE[:8000], "Good morning, this")
    call.advance(0.3)
    call.lose()
    call.advance(0.4)
    assert call.told() == [], "it is not heard to its end"
    came_back(call, ("assistant", "Good morning, this"), *CARRIED_ON)
    assert SENTENCE[:8000] in bytes(call.playback.heard).replace(b"\xff", b"")
    assert call.said[0] == ("agent", "Good morning, this")
    call.check_new_session()


@pytest.mark.parametrize("begun", [False, True])
def test_nothing_of_the_greeting_was_said(begun: bool) -> None:
    call = LossyCall()
    call.others = "never"
    call.ready()
    call.others = "said"
    if begun:
        call.respond(call.ai.received("response.create")[0])
        call.advance(0.3)
    call.lose()
    came_back(call, ("response.create", "greeting", "none"))
    call.check_new_session()


def test_a_greeting_that_failed_was_to_be_repeated() -> None:
    call = LossyCall()
    call.others = "fails"
    call.ready()
    call.advance(0.2)
    call.others = "said"
    call.lose()
    came_back(call, ("response.create", "greeting", "none"))


@pytest.mark.parametrize("protected", [False, True])
def test_a_notice_has_to_be_said_whole(protected: bool) -> None:
    detection = {"session": session(turn_detection=DETECTION)} if protected else {}
    call = LossyCall(lossy(notice=Prompt(text="This call is recorded.", protected=protected), **detection))
    call.others = "never"
    call.ready()
    call.others = "said"
    call.speak(call.respond(call.ai.received("response.create")[0]), SENTENCE[:4000], "This call")
    call.advance(0.2)
    call.lose()
    came_back(
        call,
        ("response.create", "notice", "none"),
        ("assistant", "This call"),
        ("response.create", "greeting", "none"),
    )


def test_a_notice_is_repeated_for_the_caller_who_stopped_it_not() -> None:
    """Who interrupts it has it their way."""
    call = LossyCall(lossy(notice=Prompt(text="This call is recorded."), greeting=None))
    call.others = "never"
    call.ready()
    call.others = "said"
    call.speak(call.respond(call.ai.received("response.create")[0]), SENTENCE, "This call is recorded.")
    call.advance(0.6)
    call.turn(None, committed=False)
    call.lose()
    call.advance(2.0)
    assert call.told() == [("assistant", "This"), *CARRIED_ON]


def test_the_recorded_notice_is_being_played() -> None:
    call = LossyCall(lossy(notice=Prompt(text="This call is recorded.", audio=speech(2000, 70))))
    call.ready()
    call.advance(0.8)
    assert call.ai.received("response.create"), "the greeting is queued behind it"
    call.lose()
    call.advance(0.6)
    assert call.told() == []
    came_back(call, ("assistant", "This call is recorded."), ("assistant", GREETING), *CARRIED_ON)
    heard = bytes(call.playback.heard).replace(b"\xff", b"")
    assert heard.startswith(speech(2000, 70) + ASIDE + ASIDE)
    call.check_new_session()


def test_a_protected_recording_is_told_once_whenever_it_ends() -> None:
    """The first session was told of it before it was heard."""
    detection = session(turn_detection=DETECTION)
    recording = Prompt(text="This call is recorded.", audio=speech(1500, 70), protected=True)
    call = LossyCall(lossy(notice=recording, greeting=None, session=detection), away=3.0)
    call.ready()
    assert call.told() == [("assistant", "This call is recorded.")]
    call.advance(0.3)
    call.lose()
    came_back(call, ("assistant", "This call is recorded."), *CARRIED_ON)


def test_the_caller_speaks() -> None:
    call = LossyCall().begun()
    call.turn(None, committed=False)
    call.lose()
    for _ in range(10):
        call.caller_audio(speech(200, 3))
        call.advance(0.02)
    came_back(call, *BASE, *CARRIED_ON)
    assert call.ai.heard() == (speech(200, 3) * 3)[-STALE:]
    kinds = [event["type"] for _, event in call.ai.sent]
    assert kinds.index("input_audio_buffer.append") == len(BASE) + 1, "behind what it has to know"
    assert len(call.moments_of("audio_lost")) == 1
    call.check_new_session()


@pytest.mark.parametrize("turn", [True, False])
def test_the_caller_speaks_on(turn: bool) -> None:
    """They are not talked over as soon as somebody is there: the server tells of them, or there was nothing."""
    call = LossyCall().begun()
    call.turn(None, committed=False)
    call.lose()
    call.caller_audio(speech(400, 3))
    call.advance(0.4)
    assert call.told() == BASE
    if not turn:
        call.advance(SPEECH_PATIENCE - 0.1)
        assert call.told() == [*BASE, *CARRIED_ON]
        return
    call.ai.speech_started("caller_on", 100)
    call.advance(1.5)
    call.ai.speech_stopped("caller_on", 2000)
    call.ai.committed("caller_on")
    call.ai.transcribed("caller_on", "and that is all.")
    call.say(speech(500, 20), text="I see.")
    call.advance(4.0)
    assert call.told() == BASE, "the server has answered them"
    assert call.said[-2:] == [("caller", "and that is all."), ("agent", "I see.")]
    call.check_new_session()


@pytest.mark.parametrize("words", [None, "Where is my parcel?"])
def test_a_turn_waits_for_its_answer(words: str | None) -> None:
    call = LossyCall().begun()
    call.turn(words)
    call.lose()
    came_back(call, *BASE, *([("user", words)] if words else []), *CARRIED_ON)
    assert [turn.text for turn in call.turns if turn.speaker == "caller"] == [QUESTION, *([words] if words else [])]
    call.check_new_session()


def test_the_agent_speaks() -> None:
    """Half of it was generated: that is heard, and the next session is told what could be heard of it."""
    call = LossyCall().begun()
    response = call.respond()
    call.speak(response, speech(4000, 60), STORY)
    call.advance(0.5)
    call.lose()
    call.advance(2.0)
    assert call.told() == BASE, "it is heard on"
    came_back(call, *BASE, ("assistant", STORY), *CARRIED_ON)
    heard = bytes(call.playback.heard).replace(b"\xff", b"")
    assert heard.endswith(speech(4000, 60) + ASIDE), "nothing is lost of it, and nothing comes twice"
    (turn,) = [turn for turn in call.turns if turn.text == STORY]
    assert (turn.heard_ms, turn.audio_ms, turn.interrupted) == (4000, 4000, False)
    call.check_new_session()


def test_the_words_were_ahead_of_the_sound() -> None:
    """Of a text whose sound did not come whole only the beginning is told."""
    call = LossyCall().begun()
    call.speak(call.respond(), speech(1000, 60), STORY)
    call.lose()
    call.advance(5.0)
    (heard,) = [text for role, text in call.told()[3:4]]
    assert STORY.startswith(heard)
    assert 0 < len(heard) < len(STORY) / 2 + 1
    assert ("agent", heard) in call.said


def test_the_words_and_the_sound_are_complete_but_not_the_response() -> None:
    call = LossyCall().begun()
    response = call.respond()
    call.speak(response, speech(500, 60), STORY)
    call.ai.item_done(STORY, response, f"item_of_{response}")
    call.lose()
    came_back(call, *BASE, ("assistant", STORY), *CARRIED_ON)


def test_the_agent_has_an_item_of_which_nothing_came() -> None:
    call = LossyCall().begun()
    response = call.respond()
    call.ai.item(response, "item_empty")
    call.ai.text("Well, ", response, "item_empty")
    call.lose()
    came_back(call, *BASE, *CARRIED_ON)
    assert "Well," not in [text for _, text in call.said]


def test_the_agent_is_heard_though_the_answer_is_complete() -> None:
    call = LossyCall().begun()
    call.say(speech(3000, 60), text=STORY)
    call.advance(0.5)
    call.lose()
    came_back(call, *BASE, ("assistant", STORY), *CARRIED_ON)
    call.check_new_session()


def test_the_caller_interrupts_what_was_said_before_the_loss() -> None:
    """The next session knows what was heard of it, and answers the caller, and nobody speaks over them."""
    call = LossyCall().begun()
    call.say(speech(4000, 60), text=STORY)
    call.advance(0.5)
    call.lose()
    call.advance(1.5)
    assert call.told() == BASE
    item = call.turn(None, committed=False)
    call.advance(1.0)
    assert call.playback.unplayed == 0
    (role, text) = call.told()[-1]
    assert role == "assistant"
    assert STORY.startswith(text)
    assert len(text) < len(STORY)
    assert call.ai.received("response.create") == [], "the caller has the floor"
    call.ai.speech_stopped(item)
    assert call.ai.received("response.create") == [], "and may get an answer"
    call.ai.committed(item)
    call.say(speech(500, 20), text="Yes.")
    call.advance(5.0)
    assert call.ai.received("response.create") == [], "got it"
    call.check_new_session()


def test_a_noise_interrupts_what_was_said_before_the_loss() -> None:
    """It is no turn: the agent has to be asked after all."""
    call = LossyCall().begun()
    call.say(speech(4000, 60), text=STORY)
    call.lose()
    call.advance(1.5)
    call.ai.speech_started("noise")
    call.advance(0.3)
    call.ai.speech_stopped("noise")
    call.advance(2.9)
    assert call.ai.received("response.create") == []
    call.advance(0.2)
    assert call.told()[4:] == CARRIED_ON


def test_a_tool_runs_and_ends_while_nobody_is_there() -> None:
    call = LossyCall(away=2.0).begun()
    tool = call.start_tool()
    call.lose()
    call.advance(1.0)
    call.tool_result("shipped", tool)
    call.tool_result("shipped again", tool)
    came_back(
        call,
        *BASE,
        ("call", "order_status", tool, '{"order":7}'),
        ("output", tool, "shipped"),
        *CARRIED_ON,
    )
    assert len(call.of(InvokeTool)) == 1
    call.check_new_session()


def test_a_tool_ends_while_the_next_attempt_waits() -> None:
    call = LossyCall(away=None).begun()
    tool = call.start_tool()
    call.lose()
    call.ai_lost(None, for_good=False)
    call.advance(0.1)
    call.tool_result("shipped", tool)
    call.advance(0.5)
    call.back()
    call.advance(3.0)
    assert call.told() == [
        *BASE,
        ("call", "order_status", tool, '{"order":7}'),
        ("output", tool, "shipped"),
        *CARRIED_ON,
    ]


def test_a_tool_runs_on() -> None:
    """The agent says that it takes a moment; the result comes with its call, and is answered once."""
    call = LossyCall().begun()
    tool = call.start_tool()
    call.lose()
    came_back(call, *BASE, *BUSY_CARRY_ON)
    call.ai.sent.clear()
    call.tool_result("shipped", tool)
    call.advance(3.0)
    assert call.told() == [
        ("call", "order_status", tool, '{"order":7}'),
        ("output", tool, "shipped"),
        ("response.create", "reply", None),
    ]
    call.check_new_session()


def test_the_caller_is_quicker_than_a_tool() -> None:
    """Who answers them knows what was begun already, and does not begin it anew."""
    call = LossyCall().begun()
    tool = call.start_tool()
    call.lose()
    call.caller_audio(speech(400, 3))
    call.advance(0.4)
    call.turn("Is it booked?")
    call.say(speech(500, 20), text="One moment.")
    call.advance(3.0)
    assert call.told() == [*BASE, RUNNING]
    call.tool_result("shipped", tool)
    call.advance(2.0)
    assert [frame[0] for frame in call.told()[4:]] == ["call", "output", "response.create"]
    call.check_new_session()


def test_the_end_is_near() -> None:
    """The next model has to know of it as well."""
    call = LossyCall(lossy(limits=CallLimits(max_duration=100.0, warn_before=60.0))).begun()
    call.advance(45.0)
    assert "about 60 seconds" in call.told()[-1][1]
    call.lose()
    call.advance(3.0)
    assert [frame[1] for frame in call.told() if frame[0] == "system" and "seconds. Bring" in frame[1]] != []
    call.check_new_session()


def test_one_of_two_tools_has_ended() -> None:
    call = LossyCall().begun()
    response = call.respond()
    call.ai.call("weather", '{"city":"Rome"}', response, "call_a")
    call.ai.call("order_status", '{"order":7}', response, "call_b")
    call.over(response)
    call.tool_result("sunny", "call_a")
    call.lose()
    came_back(
        call,
        *BASE,
        ("call", "weather", "call_a", '{"city":"Rome"}'),
        ("output", "call_a", "sunny"),
        *BUSY_CARRY_ON,
    )
    call.ai.sent.clear()
    call.tool_result("shipped", "call_b")
    call.advance(2.0)
    assert [frame[:2] for frame in call.told()] == [
        ("call", "order_status"),
        ("output", "call_b"),
        ("response.create", "reply"),
    ]


def test_the_result_of_a_tool_waits_for_its_answer() -> None:
    call = LossyCall().begun()
    call.others = "never"
    tool = call.start_tool()
    call.tool_result("shipped", tool)
    call.ai.output_added(tool)
    assert call.told()[-1] == ("response.create", "reply", None)
    call.others = "said"
    call.lose()
    came_back(call, *BASE, ("call", "order_status", tool, '{"order":7}'), ("output", tool, "shipped"), *CARRIED_ON)
    call.check_new_session()


def test_the_response_that_made_the_call_is_not_over() -> None:
    """Its output had to wait, so the server was never sent it."""
    call = LossyCall().begun()
    tool = call.start_tool(arguments="", over=False)
    call.tool_result("shipped", tool)
    assert call.ai.received("conversation.item.create") == []
    call.lose()
    came_back(call, *BASE, ("call", "order_status", tool, ""), ("output", tool, "shipped"), *CARRIED_ON)


def test_call_control_is_remembered_too() -> None:
    call = LossyCall().begun()
    call.start_tool("set_outputs", '{"INTENT":"order"}')
    call.lose()
    call.advance(4.0)
    assert [frame[0] for frame in call.told()] == [
        "assistant", "user", "assistant", "call", "output", "system", "response.create",
    ]  # fmt: skip
    call.close()
    assert call.call.last_variables("x", call.now)["INTENT"] == "order"


def test_a_tool_ends_while_the_agent_is_still_heard() -> None:
    """One answer, however many reasons there are for it."""
    call = LossyCall().begun()
    tool = call.start_tool()
    call.say(speech(3000, 60), text=STORY)
    call.lose()
    call.advance(1.0)
    call.tool_result("shipped", tool)
    call.ai.output_added(tool)
    call.advance(6.0)
    assert [frame for frame in call.told() if frame[0] == "response.create"] == [("response.create", "reply", None)]
    call.check_new_session()


def ask_for_digits(call: LossyCall) -> None:
    response = call.respond()
    call.speak(response, SENTENCE, "Please enter your number.")
    call.ai.call("collect_digits", '{"purpose":"the number","length":4}', response, "call_digits")
    call.over(response)
    call.advance(2.0)


COLLECTED = ("call", "collect_digits", "call_digits", '{"purpose":"the number","length":4}')


def test_digits_are_awaited() -> None:
    """The agent asks for them again; they are collected on, and told once."""
    call = LossyCall().begun()
    ask_for_digits(call)
    call.lose()
    note = ("system", carry_on(collecting=True))
    assert STILL_COLLECTING in note[1]
    assert IT_TAKES_A_MOMENT not in note[1]
    question = ("assistant", "Please enter your number.")
    came_back(call, *BASE, question, note, ("response.create", "turn", "none"))
    call.ai.sent.clear()
    for digit in "4242":
        call.genesys("dtmf", digit=digit)
    call.advance(3.0)
    asked, output, reply = call.told()
    assert asked == COLLECTED
    assert json.loads(output[2])["digits"] == "4242"
    assert reply == ("response.create", "reply", None)
    call.lose()
    call.advance(3.0)
    assert [frame for frame in call.told() if "4242" in repr(frame) or "4 2 4 2" in repr(frame)] == [output]
    assert ("keypad", "4242") in call.said
    call.check_new_session()


@pytest.mark.parametrize("more", ["24", ""])
def test_digits_are_being_collected(more: str) -> None:
    """Who is entering them is left alone with it."""
    call = LossyCall().begun()
    ask_for_digits(call)
    call.genesys("dtmf", digit="4")
    call.lose()
    call.genesys("dtmf", digit="2")
    call.advance(1.0)
    assert call.told() == [*BASE, ("assistant", "Please enter your number.")]
    for digit in more:
        call.genesys("dtmf", digit=digit)
    call.advance(6.0)
    asked, output, reply = call.told()[4:]
    assert asked == COLLECTED
    assert json.loads(output[2])["digits"] == "42" + more
    assert reply == ("response.create", "reply", None)
    call.check_new_session()


def test_digits_are_complete_when_the_next_session_is_ready() -> None:
    call = LossyCall(away=2.0).begun()
    ask_for_digits(call)
    call.lose()
    for digit in "4242":
        call.genesys("dtmf", digit=digit)
    call.advance(5.0)
    asked, output, reply = call.told()[4:]
    assert asked == COLLECTED
    assert json.loads(output[2])["digits"] == "4242"
    assert reply == ("response.create", "reply", None)
    call.check_new_session()


def test_secret_digits_are_being_collected() -> None:
    """Nothing of them is told, and the next session does not hear the caller either."""
    call = LossyCall(lossy(collect_digits=CollectDigits(secret_tool="verify_pin"))).begun()
    response = call.respond()
    call.speak(response, SENTENCE, "Your PIN, please.")
    call.ai.call("collect_digits", '{"purpose":"PIN","secret":true,"length":4}', response, "call_pin")
    call.over(response)
    call.advance(2.0)
    for digit in "71":
        call.genesys("dtmf", digit=digit)
    call.lose()
    for digit in "40":
        call.caller_audio(speech(200))
        call.genesys("dtmf", digit=digit)
    call.advance(0.5)
    call.caller_audio(speech(200))
    (invoked,) = call.of(InvokeTool)
    assert json.loads(invoked.arguments)["digits"] == "7140"
    call.call.tool_result("call_pin", ToolOutcome(output="7140 is right"), call.now)
    call._settle()
    call.advance(3.0)
    shown = repr(call.told()) + repr(call.turns)
    assert "7140" not in shown
    assert "7 1 4 0" not in shown
    assert set(call.ai.heard()) <= {0xFF}
    assert [frame[:2] for frame in call.told() if frame[0] in ("call", "output")] == [
        ("call", "collect_digits"),
        ("output", "call_pin"),
    ]


def test_keys_are_on_their_way() -> None:
    call = LossyCall().begun()
    call.genesys("dtmf", digit="1")
    call.lose()
    call.genesys("dtmf", digit="2")
    keys = ("user", "The caller pressed 1 2 on the keypad.")
    call.advance(4.0)
    assert call.told() == [*BASE, keys, ("response.create", "reply", None)]
    assert call.said[-1] == ("agent", GREETING)
    assert ("keypad", "12") in call.said
    call.lose()
    call.advance(4.0)
    assert call.told() == [*BASE, keys, ("assistant", GREETING), *CARRIED_ON]
    call.check_new_session()


def test_a_key_interrupts_what_was_said_before_the_loss() -> None:
    call = LossyCall().begun()
    call.say(speech(4000, 60), text=STORY)
    call.lose()
    call.advance(1.5)
    call.genesys("dtmf", digit="1")
    assert call.playback.unplayed == 0
    call.advance(1.0)
    assert call.ai.received("response.create") == [], "another key may follow"
    call.advance(3.0)
    role, text = call.told()[3]
    assert role == "assistant"
    assert STORY.startswith(text)
    assert call.told()[4:] == [
        ("user", "The caller pressed 1 on the keypad."),
        ("response.create", "reply", None),
    ]


def test_a_confirmation_is_pending() -> None:
    """The question was heard, and a yes after the loss counts; one before it does not, for nobody heard it."""
    call = LossyCall().begun()
    asked = call.start_tool("book", '{"table":3}')
    call.advance(0.5)
    call.say(speech(1000, 60), text="Table three, right?")
    call.advance(2.0)
    call.turn(None)
    call.lose()
    call.advance(3.0)
    frames = call.told()
    assert frames[3] == ("call", "book", asked, '{"table":3}')
    assert frames[4][:2] == ("output", asked)
    assert frames[-3] == ("assistant", "Table three, right?")
    assert frames[-2:] == CARRIED_ON
    again = call.start_tool("book", '{"table":3}')
    assert call.of(InvokeTool) == []
    assert "has not answered" in call.told()[-2][2]
    call.advance(1.0)
    call.turn("Yes.")
    again = call.start_tool("book", '{"table": 3}')
    assert [(run.call_id, run.name) for run in call.of(InvokeTool)] == [(again, "book")]


def test_on_hold() -> None:
    """Nobody speaks into the music, and the caller is not told that it takes a moment."""
    call = LossyCall().begun()
    call.say(speech(2000, 60), text=STORY)
    call.advance(0.5)
    call.genesys("paused")
    call.lose()
    call.caller_audio(speech(200, 3))
    call.advance(20.0)
    assert call.told() == BASE
    assert "announced" not in call.moments
    assert set(call.ai.heard()) == {0xFF}
    call.genesys("resumed", start="PT1S", discarded="PT1S")
    call.advance(4.0)
    assert call.told() == [*BASE, ("assistant", STORY), *CARRIED_ON]
    assert MOMENT not in bytes(call.playback.heard)
    call.check_new_session()


def test_on_hold_with_nothing_to_be_heard() -> None:
    call = LossyCall().begun()
    call.genesys("paused")
    call.lose()
    call.advance(10.0)
    assert call.told() == BASE
    call.genesys("resumed", start="PT1S", discarded="PT1S")
    call.advance(3.0)
    assert call.told() == [*BASE, *CARRIED_ON]


def test_a_false_alarm_was_held_back() -> None:
    """Nobody will say what it was: the agent goes on with what it had begun to say."""
    agent = lossy(session=session(turn_detection=DETECTION), barge_in=BargeIn(resume=True), greeting=None)
    call = LossyCall(agent)
    call.ready()
    call.say(speech(3000, 60), text=STORY)
    call.advance(1.0)
    call.ai.speech_started("caller_1")
    call.ai.call("order_status", "{}", "resp_x", "call_x")
    call.advance(0.3)
    assert call.playback.unplayed == 0
    call.lose()
    call.advance(5.0)
    assert bytes(call.playback.heard).replace(b"\xff", b"").find(speech(3000, 60)[-12_000:]) > 0
    assert call.told() == [("assistant", STORY), *CARRIED_ON]
    assert call.of(InvokeTool) == [], "a call that waited for the verdict is made anew if it is wanted"
    call.ai.speech_started("caller_2", 500)
    call.advance(0.3)
    call.ai.speech_stopped("caller_2", 2300)
    call.ai.committed("caller_2")
    call.ai.transcribed("caller_2", "Never mind.")
    call.advance(1.0)
    assert call.told()[-1] == ("response.create", "turn", None), "the judge begins anew as well"


def test_a_hosted_call_runs_and_another_has_ended() -> None:
    """Nobody knows what came of the one that was running: that is what the model is told."""
    call = LossyCall().begun()
    response = call.respond()
    made: dict[str, Any] = {"type": "mcp_call", "server_label": "docs", "arguments": "{}"}
    done = {**made, "id": "mcp_1", "name": "search", "arguments": '{"q":"opening hours"}', "output": "nine to six"}
    call.ai.send("response.output_item.added", response_id=response, output_index=0, item={**done, "output": None})
    call.ai.send("response.mcp_call.in_progress", item_id="mcp_1", output_index=0)
    call.ai.send("response.output_item.done", response_id=response, output_index=0, item=done)
    running = {**made, "id": "mcp_2", "name": "reserve"}
    call.ai.send("response.output_item.added", response_id=response, output_index=1, item=running)
    call.ai.send("response.mcp_call.in_progress", item_id="mcp_2", output_index=1)
    call.lose()
    call.advance(4.0)
    expected = [
        *BASE,
        ("call", "search", "hosted_1", '{"q":"opening hours"}'),
        ("output", "hosted_1", "nine to six"),
        ("call", "reserve", "hosted_2", "{}"),
    ]
    assert call.told()[:-3] == expected
    assert call.told()[-3][:2] == ("output", "hosted_2")
    assert "not known" in call.told()[-3][2]
    assert call.told()[-2:] == CARRIED_ON
    call.advance(70.0)
    call.check_new_session()


def test_the_silent_caller_was_being_asked() -> None:
    call = LossyCall(lossy(no_input=NoInput(after=3.0, prompts=(Prompt(text="Hello?"),) * 3))).begun()
    call.others = "stops"
    call.advance(2.5)
    assert call.told()[-1][:2] == ("response.create", "no_input")
    call.others = "said"
    call.lose()
    call.advance(2.0)
    told = call.told()
    assert told[:3] == BASE
    assert told[3][0] == "assistant"
    assert told[4:] == CARRIED_ON
    call.check_new_session()


@pytest.mark.parametrize("heard", [True, False])
def test_goodbye_is_being_said(heard: bool) -> None:
    """There is nothing that another session could be good for."""
    call = LossyCall().begun()
    response = call.respond()
    if heard:
        call.speak(response, SENTENCE, "Goodbye.")
    call.ai.call("end_call", '{"reason":"all done"}', response, "call_end")
    call.over(response)
    call.advance(0.1)
    assert call.call.state is CallState.ENDING
    legs = call.leg
    call.lose()
    call.advance(5.0)
    assert call.leg == legs
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "all done"
    assert (SENTENCE in bytes(call.playback.heard).replace(b"\xff", b"")) == heard
    assert "announced" not in call.moments


def test_the_language_was_changed_before() -> None:
    """The next session is set up with the instructions of now and the voice of the beginning."""
    call = LossyCall().begun()
    german = session(transcription=rt.TranscriptionConfig(model="t", language="de"), turn_detection=rt.SemanticVad())
    assert german.audio
    output = rt.AudioOutput(format=rt.PCMU, voice="cedar")
    german = rt.SessionConfig(
        instructions="Du bist Ada.", audio=rt.AudioConfig(input=german.audio.input, output=output)
    )
    moment = lossy().recovery.prompt
    call.call.change_language(lossy(session=german, greeting=Prompt(text="Hallo.")), call.now)
    call._settle()
    call.lose()
    call.advance(3.0)
    settings = call.settings()
    assert settings["instructions"] == "Du bist Ada."
    assert settings["audio"]["input"]["transcription"] == {"model": "t", "language": "de"}
    assert settings["audio"]["input"]["turn_detection"]["type"] == "server_vad", (
        "the call goes by it from the beginning"
    )
    assert call.told() == [*BASE, *CARRIED_ON]
    assert moment is not None
    call.check_new_session()


def test_the_language_is_changed_while_nobody_is_there() -> None:
    call = LossyCall(away=2.0).begun()
    call.lose()
    call.advance(1.0)
    changed = lossy(session=rt.SessionConfig(instructions="Du bist Ada.", audio=session().audio))
    call.call.change_language(changed, call.now)
    call._settle()
    call.advance(4.0)
    first, second = call.ai.received("session.update")
    assert first["session"]["instructions"] == "You are Ada of Acme.", "this leg was asked for before"
    assert second["session"]["instructions"] == "Du bist Ada."
    assert [event["type"] for _, event in call.ai.sent[:2]] == ["session.update", "session.update"]
    assert call.told() == [*BASE, *CARRIED_ON]


def test_a_server_that_counts_from_one_again() -> None:
    """Ids of responses and items of the new session may be those of the old one."""
    call = LossyCall().begun()
    call.say(speech(2000, 60), text=STORY)
    call.advance(0.5)
    call.lose()
    call.count = 0
    call.advance(4.0)
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(ASIDE)
    assert call.said[-1] == ("agent", GREETING)
    call.check_new_session()


def test_what_all_sessions_cost() -> None:
    prices = Prices(
        text_input=1.0, text_cached=0.0, text_output=0.0, audio_input=0.0, audio_cached=0.0, audio_output=0.0
    )
    call = LossyCall(lossy(prices=prices))
    call.ready()
    usage = {"total_tokens": 10**6, "input_tokens": 10**6, "input_token_details": {"text_tokens": 10**6}}
    for _ in range(3):
        call.ai.send("response.done", response={"id": f"r{call.leg}", "status": "completed", "usage": usage})
        call.lose()
        call.advance(6.0)
    call.close()
    call.advance(1.0)
    assert call.check_end(DECLARED)["OFFHOOK_COST_USD"] == "3.0000"


# More than one loss.


def test_lost_again_before_the_agent_has_carried_on() -> None:
    call = LossyCall().begun()
    call.say(speech(4000, 60), text=STORY)
    call.lose()
    call.advance(0.5)
    assert call.told() == BASE
    call.lose()
    came_back(call, *BASE, ("assistant", STORY), *CARRIED_ON)
    call.check_new_session()


def test_lost_again_while_a_tool_runs() -> None:
    call = LossyCall().begun()
    tool = call.start_tool()
    call.lose()
    call.advance(2.0)
    call.lose()
    call.advance(3.0)
    said = ("assistant", GREETING)
    assert call.told() == [*BASE, said, *BUSY_CARRY_ON]
    call.ai.sent.clear()
    call.tool_result("shipped", tool)
    call.advance(2.0)
    pair = [("call", "order_status", tool, '{"order":7}'), ("output", tool, "shipped")]
    assert call.told()[:2] == pair
    call.lose()
    call.advance(3.0)
    assert [frame for frame in call.told() if frame[0] in ("call", "output")] == pair
    call.check_new_session()


def test_lost_while_carrying_on() -> None:
    call = LossyCall(away=0.2).begun()
    call.others = "never"
    call.lose()
    call.advance(1.0)
    assert call.told() == [*BASE, *CARRIED_ON]
    call.others = "said"
    call.lose()
    call.advance(4.0)
    assert call.told() == [*BASE, *CARRIED_ON], "the note of before is of no use to another session"


def test_the_agent_is_asked_again_when_it_fails_to_carry_on() -> None:
    call = LossyCall().begun()
    call.others = "fails"
    call.lose()
    call.advance(0.6)
    call.others = "said"
    call.advance(3.0)
    assert call.told() == [*BASE, *CARRIED_ON, ("response.create", "retry", None)]
    call.check_new_session()


@pytest.mark.parametrize("answers", ["silent", "fails"])
def test_an_agent_that_never_carries_on(answers: str) -> None:
    call = LossyCall().begun()
    call.others = answers
    call.lose()
    call.advance(20.0)
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "OH-CALL-08"


def test_everything_at_the_same_instant() -> None:
    """A result, a key and a word while the session gets ready: still one answer."""
    call = LossyCall(away=None).begun()
    tool = call.start_tool()
    call.lose()
    call.at(1.0, partial(call.tool_result, "shipped", tool))
    call.at(1.0, partial(call.genesys, "dtmf", digit="#"))
    call.at(1.0, call.back)
    call.advance(4.0)
    assert [frame[:2] for frame in call.told() if frame[0] == "response.create"] == [("response.create", "reply")]
    assert [frame[0] for frame in call.told()[3:]] == ["call", "output", "user", "response.create"]
