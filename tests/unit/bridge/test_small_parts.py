"""Keypad, call control, retries, prompts, the plan and the table of states."""

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest

from offhook import realtime as rt
from offhook.bridge import CallPlan, Prompt, control, prompts
from offhook.bridge.answers import GREETING, NOTICE, Answers
from offhook.bridge.keypad import Keypad, as_text
from offhook.bridge.outputs import OutputVariables
from offhook.bridge.plan import Dtmf, OutputVariable
from offhook.bridge.retries import DELAYS, Retries
from offhook.bridge.state import TRANSITIONS, CallState, edges
from offhook.realtime import RealtimeSession
from offhook.realtime.state import SessionState
from tests.unit.bridge.harness import plan, session


def pressed(digits: str, now: float = 10.0, **settings: Any) -> Keypad:
    keypad = Keypad(Dtmf(**settings))
    for digit in digits:
        keypad.press(digit, now)
    return keypad


class TestKeypad:
    def test_complete_after_a_pause(self) -> None:
        keypad = pressed("12")
        keypad.press("3", 11.0)
        assert keypad.take(11.2) == ""
        assert keypad.next_timer() == 12.5
        assert keypad.take(12.5) == "123"
        assert keypad.next_timer() is None
        assert keypad.take(99.0) == ""

    def test_complete_at_the_hash_sign(self) -> None:
        assert pressed("42#").take(10.0) == "42"

    def test_a_lone_hash_sign_is_a_digit(self) -> None:
        assert pressed("#").take(10.0) == "#"

    def test_star_and_letters_are_digits(self) -> None:
        assert pressed("*A").take(11.5) == "*A"

    def test_complete_when_there_are_many(self) -> None:
        assert pressed("1" * 64).take(10.0) == "1" * 64
        assert pressed("123", max_digits=3).take(10.0) == "123"
        assert pressed("7", max_digits=1).take(10.0) == "7"

    def test_another_terminator_or_none(self) -> None:
        assert pressed("4#2*", terminator="*").take(10.0) == "4#2"
        keypad = pressed("42#", terminator=None)
        assert keypad.take(10.0) == ""
        assert keypad.take(11.5) == "42#"

    def test_clear(self) -> None:
        keypad = pressed("12")
        keypad.press("#", 11.0)
        assert keypad.clear() == "12#"
        assert keypad.take(99.0) == ""

    def test_nobody_reads_the_digits_in_a_log(self) -> None:
        assert repr(pressed("4711")) == "Keypad(4 keys)"

    def test_text(self) -> None:
        assert as_text("1234") == "The caller pressed 1 2 3 4 on the keypad."


HOLDS_ITSELF: list[object] = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


class TestControl:
    OUTPUTS: ClassVar[dict[str, OutputVariable]] = {"INTENT": OutputVariable(), "COUNT": OutputVariable(default="0")}

    def run(self, name: str, arguments: str) -> tuple[control.ControlResult, dict[str, str]]:
        outputs = OutputVariables(self.OUTPUTS)
        return control.run(name, arguments, outputs), outputs.values

    def test_end_call(self) -> None:
        result, _ = self.run("end_call", '{"reason":"all done"}')
        assert (result.outcome, result.words) == ("completed", "all done")
        assert self.run("end_call", "")[0].words == ""
        assert self.run("end_call", '{"reason":7}')[0].words == ""
        assert len(self.run("end_call", '{"reason":"' + "x" * 9999 + '"}')[0].words) == control.MAX_WORDS

    def test_escalate(self) -> None:
        result, _ = self.run("escalate", '{"reason":"angry","target":"billing"}')
        assert (result.outcome, result.words, result.target) == ("escalated", "angry", "billing")

    def test_set_outputs(self) -> None:
        result, outputs = self.run("set_outputs", '{"INTENT":"order","COUNT":3}')
        assert outputs == {"INTENT": "order", "COUNT": "3"}
        assert result.output == '{"ok":true}'
        assert result.outcome is None
        assert self.run("set_outputs", '{"INTENT":null,"COUNT":true}')[1] == {"INTENT": "", "COUNT": "true"}

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (Decimal("9.90"), "9.90"),
            (date(2026, 12, 1), "2026-12-01"),
            (["a", 1], '["a",1]'),
            (1.5, "1.5"),
            ("", ""),
        ],
    )
    def test_a_tool_may_set_an_output_to_anything(self, value: object, text: str) -> None:
        outputs = OutputVariables(self.OUTPUTS)
        assert outputs.set({"INTENT": value}) is None
        assert outputs.values["INTENT"] == text

    @pytest.mark.parametrize("value", [object(), {"a": object()}, ["half \ud800"], HOLDS_ITSELF])
    def test_but_not_to_what_has_no_text(self, value: object) -> None:
        outputs = OutputVariables(self.OUTPUTS)
        assert outputs.set({"COUNT": 5, "INTENT": value}) == "INTENT cannot be written as text"
        assert outputs.values == {"INTENT": "", "COUNT": "0"}

    @pytest.mark.parametrize(
        ("name", "arguments", "told"),
        [
            ("set_outputs", '{"SECRET":"x","INTENT":"y"}', "unknown names: SECRET; the outputs are: COUNT, INTENT"),
            ("set_outputs", '{"INTENT":"' + "x" * 4001 + '"}', "INTENT is longer than 4000 characters"),
            ("set_outputs", "not json", "not a JSON object"),
            ("end_call", "[1]", "not a JSON object"),
            ("end_call", "[" * 100_000, "not a JSON object"),
            ("dance", "{}", "there is no tool of this name"),
        ],
    )
    def test_mistakes_are_told_to_the_model(self, name: str, arguments: str, told: str) -> None:
        result, outputs = self.run(name, arguments)
        assert told in msgspec.json.decode(result.output)["error"]
        assert result.outcome is None
        assert outputs == OutputVariables(self.OUTPUTS).values


class TestRetries:
    def test_twice_and_no_more(self) -> None:
        retries = Retries()
        now = 10.0
        for delay in DELAYS:
            assert retries.failed("retry", now)
            assert retries.pending
            assert retries.next_timer() == now + delay
            assert retries.take(now) is None
            now += delay
            assert retries.take(now) == "retry"
            assert retries.take(now) is None
            assert retries.next_timer() is None
        assert not retries.failed("retry", now)

    def test_success_begins_anew(self) -> None:
        retries = Retries()
        assert retries.failed("a", 1.0)
        assert retries.failed("b", 2.0)
        retries.succeeded()
        assert not retries.pending
        assert retries.failed("c", 3.0)

    def test_forgotten_but_counted(self) -> None:
        retries = Retries()
        retries.failed("a", 1.0)
        retries.forget()
        assert retries.take(99.0) is None
        assert retries.failed("a", 100.0)
        assert not retries.failed("a", 101.0)


class TestPrompts:
    def test_the_persona_goes_along(self) -> None:
        for text in (
            prompts.say("You are Ada.", Prompt(instructions="Greet."), prompts.CONNECTED),
            prompts.say("You are Ada.", Prompt(text="Welcome to Acme.")),
        ):
            assert text.startswith("You are Ada.\n\n# Now\n")

    def test_what_to_say(self) -> None:
        assert prompts.say("", Prompt(instructions="Greet."), "It rings.") == "It rings. Greet."
        assert prompts.say("", Prompt(text="Welcome to Acme.")).endswith("nothing else: Welcome to Acme.")
        assert prompts.say("", Prompt()) == ""


class TestAnswers:
    def test_what_is_protected(self) -> None:
        ready = RealtimeSession(rt.SessionConfig())
        ready.state = SessionState.READY
        answers = Answers(plan(), ready)
        answers.say(NOTICE, Prompt(text="Recorded.", protected=True), 1.0)
        answers.say(GREETING, Prompt(text="Hello."), 1.0)
        assert answers.protected(NOTICE)
        assert not answers.protected(GREETING)
        assert not answers.protected("reply")
        assert not answers.protected(None)


class TestPlan:
    def test_what_the_settings_mean(self) -> None:
        normal = plan()
        assert (normal.interruptible, normal.answers_itself, normal.transcribes) == (True, True, True)
        other = plan(
            session=session(
                turn_detection=rt.SemanticVad(create_response=False, interrupt_response=False), transcription=None
            )
        )
        assert (other.interruptible, other.answers_itself, other.transcribes) == (False, False, False)

    @pytest.mark.parametrize(
        "config",
        [
            rt.SessionConfig(),
            rt.SessionConfig(audio=None),
            rt.SessionConfig(audio=rt.AudioConfig()),
            rt.SessionConfig(audio=rt.AudioConfig(input=rt.AudioInput(turn_detection=None))),
        ],
    )
    def test_without_turn_detection(self, config: rt.SessionConfig) -> None:
        bare = CallPlan(agent="a", session=config)
        assert (bare.interruptible, bare.answers_itself, bare.transcribes) == (True, False, False)

    def test_defaults_of_the_server_are_yes(self) -> None:
        bare = plan(session=session(turn_detection=rt.ServerVad()))
        assert (bare.interruptible, bare.answers_itself) == (True, True)


class TestStates:
    def test_every_state_is_in_the_table_and_ends(self) -> None:
        assert set(TRANSITIONS) == set(CallState)
        for state in CallState:
            assert state is CallState.ENDED or CallState.ENDED in TRANSITIONS[state]

    def test_edges(self) -> None:
        pairs = edges()
        assert ("WAITING", "SELECTING") in pairs
        assert ("ENDED", "WAITING") not in pairs
        assert len(pairs) == len(set(pairs)) == sum(len(targets) for targets in TRANSITIONS.values())
