"""`collect_digits` in a call: whom the digits go to, what the model hears meanwhile, and how it ends."""

import json
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import CallEnded, InvokeTool, Prompt
from offhook.bridge.plan import BargeIn, CollectDigits, Dtmf, Filler, NoInput
from tests.unit.bridge.harness import Harness, plan, session

VOICE = b"\x11" * 1600
"""A frame of the caller that must not be where it does not belong."""
COLLECTING: dict[str, Any] = {"collect_digits": CollectDigits(secret_tool="verify_pin")}


def asked(harness: Harness, arguments: str = '{"purpose":"the order number"}', *, heard: bool = True) -> Harness:
    """The agent asks for digits and calls `collect_digits`; the caller has heard the question, or its beginning."""
    harness.talking()
    ask(harness, arguments)
    harness.advance(1.3 if heard else 0.4)
    return harness


def ask(harness: Harness, arguments: str, number: int = 1, *, words: bool = True) -> None:
    create = harness.ai.received("response.create")
    harness.ai.created(f"resp_{number}", create[-1] if create else None)
    if words:
        harness.ai.item(f"resp_{number}", f"item_{number}")
        harness.ai.audio(1000, f"resp_{number}", f"item_{number}")
        harness.ai.item_done("Please enter it.", f"resp_{number}", f"item_{number}")
    harness.ai.call("collect_digits", arguments, f"resp_{number}", f"call_{number}")
    harness.ai.done(f"resp_{number}")


def secretly(harness: Harness, *, length: int | None = 4) -> Harness:
    wanted = {"purpose": "the PIN", "secret": True, **({"length": length} if length else {})}
    return asked(harness, json.dumps(wanted))


def press(harness: Harness, digits: str) -> None:
    for digit in digits:
        harness.genesys("dtmf", digit=digit)
        harness.advance(0.2)


def outputs(harness: Harness) -> list[Any]:
    items = [event["item"] for event in harness.ai.received("conversation.item.create")]
    return [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]


def messages(harness: Harness) -> list[str]:
    items = [event["item"] for event in harness.ai.received("conversation.item.create")]
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


def statuses(harness: Harness) -> list[Any]:
    return [moment.data["status"] for moment in harness.moments_of("digits_ended")]


def last_sentence(harness: Harness) -> None:
    """The agent says something that is heard before the call ends."""
    harness.ai.says(3000, "One more thing.", "resp_9", "item_9")


def check_nowhere(harness: Harness, secret: str) -> None:
    """The digits are in no frame, message, moment, turn or text of a command."""
    assert len(secret) >= 4
    for seen in (harness.ai.sent, harness.texts, harness.commands, harness.turns, harness.moments):
        assert secret not in repr(seen)
        assert " ".join(secret) not in repr(seen)
    ended = harness.of(CallEnded)
    assert all(secret not in value for command in ended for value in command.output_variables.values())


class TestDigits:
    def test_go_to_the_model_as_the_result(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)), '{"purpose":"the order number","length":5}')
        press(harness, "12345")
        assert outputs(harness) == [{"digits": "12345"}]
        assert messages(harness) == []
        assert len(harness.ai.received("response.create")) == 1
        assert [(turn.speaker, turn.text) for turn in harness.turns] == [
            ("agent", "Please enter it."),
            ("keypad", "12345"),
        ]
        assert harness.moments.count("dtmf") == 5
        assert harness.moments_of("digits_started")[0].data == {"hidden": False}
        assert statuses(harness) == ["complete"]
        assert "tool_started" not in harness.moments
        harness.ai.output_added()
        harness.ai.says(300, create=harness.ai.received("response.create")[0], response="resp_2", item="item_2")
        harness.advance(30)
        assert len(harness.ai.received("response.create")) == 1

    def test_by_the_terminator_which_is_no_key_of_its_own(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        press(harness, "12#")
        assert outputs(harness) == [{"digits": "12"}]
        press(harness, "#")
        harness.advance(5)
        assert messages(harness) == []
        press(harness, "#")
        assert messages(harness) == ["The caller pressed # on the keypad."]

    def test_the_terminator_after_the_last_of_so_many(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)), '{"length":2}')
        press(harness, "12#")
        harness.advance(5)
        assert outputs(harness) == [{"digits": "12"}]
        assert messages(harness) == []

    def test_more_digits_than_were_asked_for_are_not_lost(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)), '{"length":2}')
        press(harness, "123#")
        assert outputs(harness) == [{"digits": "12"}]
        assert messages(harness) == ["The caller pressed 3 on the keypad."]

    def test_inter_digit_time_out(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        press(harness, "12")
        harness.advance(3.7)
        assert outputs(harness) == []
        harness.advance(0.2)
        assert outputs(harness) == [{"digits": "12"}]

    def test_total_time_out(self) -> None:
        settings = CollectDigits(total=8.0)
        harness = asked(Harness(plan(collect_digits=settings)))
        for _ in range(4):
            press(harness, "1")
            harness.advance(1.5)
        harness.advance(1.5)
        assert outputs(harness) == [{"digits": "1111", "status": "timeout"}]

    def test_too_short(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)), '{"length":4}')
        press(harness, "12#")
        assert outputs(harness) == [{"digits": "12", "status": "too_short"}]

    @pytest.mark.parametrize("reports", [("playback_started", "playback_completed"), ()])
    def test_time_runs_from_when_the_question_was_heard(self, reports: tuple[str, ...]) -> None:
        harness = Harness(plan(**COLLECTING), reports=reports).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(20_000)  # generated at once, heard for twenty seconds
        harness.ai.item_done("A long question.")
        harness.ai.call("collect_digits", "{}")
        harness.ai.done()
        harness.advance(29.5)
        assert outputs(harness) == []
        harness.advance(1.5)
        assert outputs(harness) == [{"digits": "", "status": "timeout"}]
        assert len(harness.ai.received("response.create")) == 1

    def test_digits_before_the_call_was_made_belong_to_it(self) -> None:
        harness = Harness(plan(**COLLECTING, dtmf=Dtmf(interrupt=False))).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(3000)
        harness.advance(0.5)
        press(harness, "12")
        harness.ai.item_done("Please enter it.")
        harness.ai.call("collect_digits", '{"length":3}')
        harness.ai.done()
        press(harness, "3")
        assert outputs(harness) == [{"digits": "123"}]
        assert messages(harness) == []

    def test_a_key_stops_the_question(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)), heard=False)
        press(harness, "1")
        assert len(harness.entities("barge_in")) == 1
        press(harness, "2#")
        assert outputs(harness) == [{"digits": "12"}]

    def test_a_key_that_does_not_stop_the_agent(self) -> None:
        harness = asked(Harness(plan(**COLLECTING, dtmf=Dtmf(interrupt=False))), heard=False)
        press(harness, "12#")
        assert harness.entities("barge_in") == []
        assert outputs(harness) == [{"digits": "12"}]

    def test_the_keypad_has_a_terminator_of_its_own_or_none(self) -> None:
        harness = asked(Harness(plan(**COLLECTING, dtmf=Dtmf(terminator="*"))))
        press(harness, "9#12*")
        assert outputs(harness) == [{"digits": "12"}]

    def test_nothing_is_said_to_who_is_looking_for_a_number(self) -> None:
        wait = Prompt(instructions="One moment.")
        fillers = Filler(after=2.0, every=2.0, prompts=(wait,))
        harness = asked(Harness(plan(**COLLECTING, filler=fillers, no_input=NoInput(after=3.0, prompts=(wait,)))))
        harness.advance(9.5)
        assert harness.ai.received("response.create") == []
        harness.advance(1)
        assert outputs(harness) == [{"digits": "", "status": "timeout"}]


class TestRequests:
    def test_an_agent_that_cannot(self) -> None:
        harness = asked(Harness(plan()))
        assert "no tool of this name" in outputs(harness)[0]["error"]

    @pytest.mark.parametrize("arguments", ["[]", '{"length":"four"}', '{"secret":true}'])
    def test_mistakes_are_told_to_the_model(self, arguments: str) -> None:
        harness = asked(Harness(plan(collect_digits=CollectDigits())), arguments)
        assert "error" in outputs(harness)[0]
        assert len(harness.ai.received("response.create")) == 1
        assert "digits_started" not in harness.moments

    def test_a_second_one_meanwhile(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(500)
        harness.ai.call("collect_digits", "{}", call="call_1")
        harness.ai.call("collect_digits", "{}", call="call_2")
        harness.ai.item_done("Enter two numbers.")
        harness.ai.done()
        assert ["error" in output for output in outputs(harness)] == [True]
        assert harness.ai.received("response.create") == []
        harness.advance(1)
        press(harness, "12#")
        assert outputs(harness)[1] == {"digits": "12"}
        assert len(harness.ai.received("response.create")) == 1

    def test_nobody_was_asked(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        ask(harness, "{}", words=False)
        assert "say what to enter" in outputs(harness)[0]["error"]
        assert len(harness.ai.received("response.create")) == 1
        harness.ai.sent.clear()
        # Whoever insists may have asked before.
        ask(harness, "{}", 2, words=False)
        press(harness, "7#")
        assert outputs(harness) == [{"digits": "7"}]

    def test_the_question_may_still_be_played(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        harness.ai.says(2000, "Please enter it.")
        harness.advance(0.5)
        ask(harness, "{}", 2, words=False)
        harness.advance(3)
        press(harness, "7#")
        assert outputs(harness) == [{"digits": "7"}]

    def test_a_result_of_the_shell_does_not_end_it(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        harness.tool_result("what?", "call_1")
        assert outputs(harness) == []


class TestSpeech:
    def speak(self, harness: Harness) -> None:
        harness.ai.speech_started()
        harness.advance(1)
        harness.ai.speech_stopped()
        harness.ai.committed()

    def test_words_instead_of_digits_are_answered(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        self.speak(harness)
        assert outputs(harness) == [{"digits": "", "status": "caller_spoke"}]
        harness.ai.says(500, response="resp_2", item="item_2")  # the server's own answer
        harness.ai.output_added()
        harness.advance(20)
        assert harness.ai.received("response.create") == []
        assert statuses(harness) == ["caller_spoke"]

    def test_words_that_we_have_to_answer(self) -> None:
        detection = rt.ServerVad(create_response=False, interrupt_response=True)
        harness = asked(Harness(plan(**COLLECTING, session=session(turn_detection=detection))))
        self.speak(harness)
        assert harness.ai.kinds() == ["conversation.item.create", "response.create"]

    def test_words_while_the_question_is_heard(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)), heard=False)
        self.speak(harness)
        assert len(harness.entities("barge_in")) == 1
        assert outputs(harness) == [{"digits": "", "status": "caller_spoke"}]

    def test_words_beside_digits(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        press(harness, "1")
        self.speak(harness)
        assert outputs(harness) == []
        press(harness, "2#")
        assert outputs(harness) == [{"digits": "12"}]

    def test_silence_that_is_committed_is_no_speech(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        harness.ai.committed("idle")
        assert outputs(harness) == []

    def test_a_noise_ends_nothing(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)), heard=False)
        harness.ai.speech_started()
        harness.ai.speech_stopped()
        press(harness, "7#")
        assert outputs(harness) == [{"digits": "7"}]


class TestHold:
    def test_keys_go_nowhere_and_time_stands_still(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        press(harness, "1")
        harness.genesys("paused")
        press(harness, "5#")
        harness.advance(20)
        assert outputs(harness) == []
        harness.genesys("resumed", start="PT1S", discarded="PT20S")
        harness.advance(3)
        assert outputs(harness) == []
        press(harness, "2#")
        assert outputs(harness) == [{"digits": "12"}]
        assert harness.moments.count("dtmf") == 3

    def test_without_a_key_yet(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        harness.advance(5)
        harness.genesys("paused")
        harness.advance(20)
        harness.genesys("resumed", start="PT1S", discarded="PT20S")
        harness.advance(9.5)
        assert outputs(harness) == []
        harness.advance(1)
        assert outputs(harness) == [{"digits": "", "status": "timeout"}]


class TestEnds:
    def test_the_call_ends_meanwhile(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        press(harness, "12")
        harness.end()
        assert outputs(harness) == [{"digits": "", "status": "interrupted"}]
        press(harness, "34#")
        harness.advance(5)
        assert len(outputs(harness)) == 1
        assert messages(harness) == []
        assert harness.ai.received("response.create") == []
        assert statuses(harness) == ["interrupted"]

    def test_the_caller_hangs_up(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "12")
        harness.close()
        harness.advance(5)
        assert statuses(harness) == ["interrupted"]
        assert harness.moments.count("secret_started") == harness.moments.count("secret_ended") == 1
        assert harness.ended.reason == "caller_hung_up"

    def test_the_model_is_lost(self) -> None:
        harness = asked(Harness(plan(**COLLECTING)))
        harness.ai_lost()
        harness.advance(5)
        assert statuses(harness) == ["interrupted"]
        assert harness.ended.outcome == "failed"


class TestSecret:
    def test_goes_to_its_tool_only(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "4711")
        (invoked,) = harness.of(InvokeTool)
        assert (invoked.call_id, invoked.name, invoked.secret) == ("call_1", "verify_pin", True)
        assert json.loads(invoked.arguments) == {"digits": "4711", "purpose": "the PIN"}
        assert outputs(harness) == []
        assert harness.ai.received("response.create") == []
        harness.tool_result('{"ok":true}')
        assert outputs(harness) == [{"ok": True}]
        assert len(harness.ai.received("response.create")) == 1
        assert harness.turns[-1].speaker == "keypad"
        assert harness.turns[-1].text == "(secret digits)"
        named = ("digits_started", "secret_started", "digits_ended", "tool_started", "tool_finished")
        assert [moment for moment in harness.moments if moment in named] == list(named)
        assert harness.moments_of("tool_started")[0].data == {"tool": "verify_pin"}
        check_nowhere(harness, "4711")

    def test_keys_before_the_model_has_asked_for_them(self) -> None:
        """The caller knows what comes, and is faster than the model."""
        harness = Harness(plan(**COLLECTING)).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(1500)
        harness.advance(0.5)
        press(harness, "4711#")
        assert messages(harness) == []
        assert harness.entities("barge_in") == [], "what is generated is needed to its end"
        harness.ai.item_done("Please enter your PIN.")
        harness.ai.call("collect_digits", '{"purpose":"the PIN","secret":true}')
        assert len(harness.of(InvokeTool)) == 1
        harness.ai.done()
        assert len(harness.entities("barge_in")) == 1
        harness.advance(5)
        assert messages(harness) == []
        check_nowhere(harness, "4711")

    @pytest.mark.parametrize(("interrupts", "flushes"), [(True, 1), (False, 0)])
    def test_keys_while_the_model_says_something_else(self, interrupts: bool, flushes: int) -> None:
        harness = Harness(plan(**COLLECTING, dtmf=Dtmf(interrupt=interrupts))).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(3000)
        harness.advance(0.5)
        press(harness, "5#")
        assert messages(harness) == []
        harness.ai.item_done("Our opening hours are nine to five.")
        harness.ai.done()
        assert messages(harness) == ["The caller pressed 5 on the keypad."]
        assert len(harness.entities("barge_in")) == flushes

    def test_keys_are_not_kept_for_ever(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(9000)
        harness.advance(0.5)
        press(harness, "5")
        harness.advance(2.7)
        assert messages(harness) == []
        assert harness.entities("barge_in") == []
        harness.advance(0.2)
        assert messages(harness) == ["The caller pressed 5 on the keypad."]
        assert len(harness.entities("barge_in")) == 1

    def test_keys_are_kept_no_longer_than_the_call(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(9000)
        harness.advance(0.5)
        press(harness, "4711")
        harness.end()
        harness.advance(30)
        assert messages(harness) == []

    def test_a_tool_that_takes_no_purpose(self) -> None:
        harness = secretly(Harness(plan(collect_digits=CollectDigits(secret_tool="check", tells_purpose=False))))
        press(harness, "4711")
        assert harness.of(InvokeTool)[0].arguments == '{"digits":"4711"}'

    def test_the_model_cannot_call_its_tool(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        harness.ai.created()
        harness.ai.call("verify_pin", '{"digits":"0000"}')
        harness.ai.done()
        assert harness.of(InvokeTool) == []
        assert "no tool of this name" in outputs(harness)[0]["error"]

    def test_the_model_hears_silence_until_the_last_tone_has_faded(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        harness.caller_audio(b"\x22" * 1600)
        ask(harness, '{"purpose":"the PIN","length":4,"secret":true}')
        for digit in "4711":
            harness.caller_audio(VOICE)
            harness.genesys("dtmf", digit=digit)
            harness.advance(0.2)
        harness.caller_audio(VOICE)
        assert "secret_ended" not in harness.moments
        harness.advance(0.7)
        harness.caller_audio(VOICE)
        harness.advance(0.2)
        assert harness.moments[-1] == "secret_ended"
        harness.caller_audio(b"\x33" * 1600)
        heard = harness.ai.heard()
        assert 0x11 not in heard
        assert heard.startswith(b"\x22" * 1600)
        assert heard.endswith(b"\x33" * 1600)
        # In real time, so that turn detection keeps its clock.
        assert heard.count(0xFF) == pytest.approx(1.5 * 8000, abs=1600)
        assert len(harness.ai.received("input_audio_buffer.clear")) == 1

    def test_nothing_that_was_said_before_becomes_a_turn(self) -> None:
        harness = Harness(plan(**COLLECTING)).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(1000)
        harness.ai.item_done("Please enter your PIN.")
        harness.ai.call("collect_digits", '{"secret":true}')
        assert len(harness.ai.received("input_audio_buffer.clear")) == 1
        harness.ai.speech_started()  # on its way when the model was deafened
        assert len(harness.ai.received("input_audio_buffer.clear")) == 2
        harness.ai.done()
        assert harness.entities("barge_in") == []
        assert "caller_started" not in harness.moments
        press(harness, "4711#")
        harness.tool_result("fine")
        assert len(harness.ai.received("response.create")) == 1

    def test_a_turn_that_was_under_way_is_not_waited_for(self) -> None:
        detection = rt.ServerVad(create_response=True, interrupt_response=False)
        harness = Harness(plan(**COLLECTING, session=session(turn_detection=detection))).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(1000)
        harness.ai.speech_started()
        harness.ai.item_done("Please enter your PIN.")
        harness.ai.call("collect_digits", '{"secret":true}')
        harness.ai.done()
        harness.advance(2)
        press(harness, "4711#")
        harness.tool_result("fine")
        assert len(harness.ai.received("response.create")) == 1

    def test_a_sound_that_is_being_judged_stops_nothing(self) -> None:
        detection = rt.ServerVad(create_response=False, interrupt_response=False)
        policy = {"barge_in": BargeIn(min_speech=1.0), "session": session(turn_detection=detection)}
        harness = Harness(plan(**COLLECTING, **policy)).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(4000)
        harness.advance(0.5)
        harness.ai.speech_started()
        harness.ai.item_done("Please enter your PIN.")
        harness.ai.call("collect_digits", '{"secret":true}')
        harness.ai.done()
        harness.advance(5)
        assert harness.entities("barge_in") == []
        press(harness, "4711#")
        harness.tool_result("fine")
        assert len(harness.ai.received("response.create")) == 1

    @pytest.mark.parametrize(("keys", "status"), [("", "timeout"), ("4711471", "too_short"), ("#", "too_short")])
    def test_not_complete(self, keys: str, status: str) -> None:
        harness = secretly(Harness(plan(**COLLECTING)), length=8)
        press(harness, keys)
        harness.advance(12)
        assert outputs(harness) == [{"status": status}]
        assert harness.of(InvokeTool) == []
        assert [turn.text for turn in harness.turns if turn.speaker == "keypad"] == ["(secret digits)"] * (
            len(keys) > 1
        )
        assert harness.moments.count("secret_ended") == 1
        check_nowhere(harness, "4711471")

    def test_keys_after_the_end_go_nowhere(self) -> None:
        """The model asked for four digits of a PIN that has six, and the caller goes on."""
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "471122#")
        harness.advance(3)
        press(harness, "4711#")
        assert len(harness.of(InvokeTool)) == 1
        harness.tool_result("wrong")
        press(harness, "47")
        harness.advance(10)
        assert messages(harness) == []
        assert harness.moments.count("dtmf") == 4
        press(harness, "9")
        harness.advance(2)
        assert messages(harness) == ["The caller pressed 9 on the keypad."]

    def test_keys_while_the_tool_works_go_nowhere(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "4711")
        harness.advance(30)
        assert harness.moments.count("secret_ended") == 1
        press(harness, "5")
        harness.tool_result("fine")
        harness.advance(10)
        assert messages(harness) == []

    def test_again_before_the_last_tone_has_faded(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "4711")
        harness.tool_result("wrong")
        ask(harness, '{"purpose":"the PIN","length":4,"secret":true}', 2)
        harness.advance(3)
        harness.caller_audio(VOICE)
        press(harness, "4712")
        assert [json.loads(invoked.arguments)["digits"] for invoked in harness.of(InvokeTool)] == ["4711", "4712"]
        harness.advance(2)
        assert harness.moments.count("secret_started") == harness.moments.count("secret_ended") == 1
        assert 0x11 not in harness.ai.heard()

    def test_in_a_secure_pause(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        harness.genesys("paused")
        harness.advance(20)
        assert outputs(harness) == []
        press(harness, "4711")
        assert len(harness.of(InvokeTool)) == 1
        harness.advance(2)
        harness.caller_audio(VOICE)
        harness.genesys("resumed", start="PT1S", discarded="PT20S")
        harness.caller_audio(b"\x33" * 1600)
        assert 0x11 not in harness.ai.heard()
        assert 0x33 in harness.ai.heard()
        check_nowhere(harness, "4711")

    def test_texts_that_repeat_it(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "4711")
        harness.tool_result(
            '{"error":"4711 is wrong, 4-7-1-1"}',
            outputs={"INTENT": "pin 4711", "ESCALATE": 4711},
            end="escalated",
            reason="entered 4711",
            target="4711",
        )
        harness.advance(30)
        assert outputs(harness) == [{"error": "[secret] is wrong, [secret]"}]
        assert harness.variables["INTENT"] == "pin [secret]"
        assert harness.variables["ESCALATE"] == "[secret]"
        assert harness.variables["OFFHOOK_REASON"] == "entered [secret]"
        assert harness.variables["OFFHOOK_TARGET"] == "[secret]"
        check_nowhere(harness, "4711")

    def test_what_is_said_or_keyed_of_it_later(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING, bot_turn_response=True)))
        press(harness, "4711")
        harness.tool_result("wrong")
        create = harness.ai.received("response.create")[0]
        harness.ai.says(300, "It is not 4711.", response="resp_2", item="item_2", create=create)
        harness.advance(10)
        press(harness, "4711#")
        harness.ai.created("resp_3", harness.ai.received("response.create")[-1])
        harness.ai.call("set_outputs", '{"INTENT":"4711"}', "resp_3", "call_3")
        harness.ai.done("resp_3")
        harness.advance(1)
        assert messages(harness) == ["The caller pressed [secret] on the keypad."]
        assert [turn.text for turn in harness.turns][-2:] == ["It is not [secret].", "[secret]"]
        harness.end()
        harness.advance(5)
        assert harness.variables["INTENT"] == "[secret]"
        check_nowhere(harness, "4711")

    def test_the_call_ends_while_it_is_entered(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "47")
        last_sentence(harness)
        harness.end()
        press(harness, "11")
        harness.advance(2)
        harness.caller_audio(VOICE)
        assert outputs(harness) == [{"status": "interrupted"}]
        assert "secret_ended" not in harness.moments, "the caller may go on entering it"
        harness.advance(20)
        assert harness.moments.count("secret_ended") == 1
        assert 0x11 not in harness.ai.heard()

    def test_the_call_ends_after_it(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)), length=None)
        press(harness, "4711#")
        last_sentence(harness)
        harness.end()
        harness.advance(1.2)
        assert "secret_ended" in harness.moments
        assert "disconnected" not in harness.moments
        harness.advance(20)
        assert harness.moments.count("secret_ended") == 1

    def test_its_state_can_be_shown(self) -> None:
        harness = secretly(Harness(plan(**COLLECTING)))
        press(harness, "471")
        conversation = harness.call.conversation
        assert conversation is not None
        shown = repr((conversation.digits, conversation.digits.keypad, conversation.tool_calls))
        assert "471" not in shown
        press(harness, "1")
        assert repr(harness.of(InvokeTool)) == "[InvokeTool('call_1', 'verify_pin', secret=True)]"
        assert "4711" not in f"{conversation.secrets} {vars(conversation)}"
