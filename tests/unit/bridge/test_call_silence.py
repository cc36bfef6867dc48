"""Silence: the caller's is asked about, counted from what they have heard; the agent's is filled while tools run."""

from typing import Any

import msgspec
import pytest

from offhook.bridge import CallEnded, CallPlan, Prompt, ToolOutcome
from offhook.bridge.filler import Fillers
from offhook.bridge.plan import Dtmf, Filler, NoInput
from offhook.bridge.silence import Silence
from tests.unit.bridge.exits import ASIDE, GOODBYE, SENTENCE, Exit
from tests.unit.bridge.harness import START, plan, speech

AFTER = 5.0
THREE = NoInput(
    after=AFTER,
    prompts=tuple(Prompt(text=text) for text in ("Hello?", "Are you there?", "Can you hear me?")),
    goodbye=Prompt(text="Nobody answers. Goodbye."),
)
SILENT = plan(no_input=THREE)
FILLING = plan(filler=Filler(after=2.0, every=4.0, prompts=(Prompt(text="One moment."), Prompt(text="Still on it."))))
ASIDE_SECONDS = len(ASIDE) / 8000


def ready(agent: CallPlan = SILENT, **peer: Any) -> Exit:
    call = Exit(agent, **peer)
    call.ready()
    call.forget()
    return call


def asked(call: Exit, tag: str = "no_input") -> list[str]:
    """The ends of the instructions of what the agent was made to say, in order."""
    creates = [create["response"] for create in call.ai.received("response.create")]
    wanted = [create for create in creates if create["metadata"]["offhook"].endswith(f"/{tag}")]
    return [create["instructions"].rpartition(": ")[2] for create in wanted]


def times(call: Exit, name: str = "no_input") -> list[float]:
    return [round(moment.at - START, 2) for moment in call.moments_of(name)]


class TestCaller:
    def test_three_prompts_then_goodbye(self) -> None:
        call = ready()
        call.advance(40)
        assert asked(call) == ["Hello?", "Are you there?", "Can you hear me?"]
        assert asked(call, "goodbye") == ["Nobody answers. Goodbye."]
        assert (call.ended.outcome, call.ended.reason) == ("limit", "no_input")
        assert call.heard_then.endswith(GOODBYE)
        disconnect = call.messages_of("disconnect")[0]["parameters"]
        assert disconnect["info"] == "OH-CALL-09 the call ended by a limit of the agent: no_input"
        # 50 ms until the model begins, 100 ms until Genesys does.
        rounds = [AFTER + number * (AFTER + ASIDE_SECONDS + 0.15) for number in range(4)]
        assert times(call) == pytest.approx(rounds, abs=0.02)

    def test_measured_from_what_was_heard(self) -> None:
        """The model is done in no time with 20 s of speech; the caller is asked when they have heard it."""
        call = ready()
        call.say(speech(20_000))
        call.advance(20.1 + AFTER - 0.1)
        assert times(call) == []
        call.advance(0.2)
        assert times(call) == pytest.approx([20.1 + AFTER], abs=0.05)

    def test_a_peer_that_does_not_report_is_asked_too(self) -> None:
        call = ready(reports=())
        call.say(speech(3000))
        call.advance(60)
        assert call.ended.reason == "no_input"

    def test_words_and_keys_begin_the_count_anew(self) -> None:
        for answer in ("words", "key"):
            call = ready()
            call.advance(2 * AFTER + 2)
            assert len(asked(call)) == 2
            if answer == "words":
                call.ai.caller_turn("caller_1", "Yes, I am here.")
                call.say(SENTENCE)
            else:
                call.genesys("dtmf", digit="1")
            call.advance(3 * AFTER + 8)
            assert asked(call)[2:] == ["Hello?", "Are you there?", "Can you hear me?"]
            assert call.of(CallEnded) == []

    def test_who_is_entering_digits_is_not_asked(self) -> None:
        call = ready(msgspec.structs.replace(SILENT, dtmf=Dtmf(timeout=AFTER + 3)))
        call.advance(1)
        call.genesys("dtmf", digit="1")
        call.advance(AFTER + 2.9)
        assert call.ai.received("response.create") == []
        call.advance(0.2)
        assert [item["type"] for item in call.ai.received("conversation.item.create")] == ["conversation.item.create"]
        assert asked(call) == []

    def test_a_noise_that_is_no_turn_only_starts_the_clock_again(self) -> None:
        call = ready()
        call.advance(AFTER + 1)
        call.advance(AFTER - 1)
        call.ai.speech_started()
        call.ai.speech_stopped()
        call.advance(AFTER - 0.1)
        assert asked(call) == ["Hello?"]
        call.advance(0.2)
        assert asked(call) == ["Hello?", "Are you there?"]

    def test_who_speaks_is_not_asked(self) -> None:
        call = ready()
        call.advance(1)
        call.ai.speech_started()
        call.advance(60)
        assert asked(call) == []
        call.ai.speech_stopped()
        call.advance(AFTER + 0.1)
        assert len(asked(call)) == 1

    def test_who_is_on_hold_is_not_asked(self) -> None:
        call = ready()
        call.advance(1)
        call.genesys("paused")
        call.advance(120)
        assert asked(call) == []
        call.genesys("resumed", start="PT1S", discarded="PT1S")
        call.advance(AFTER - 0.1)
        assert asked(call) == []
        call.advance(0.2)
        assert len(asked(call)) == 1

    def test_nobody_is_asked_while_a_tool_runs(self) -> None:
        call = ready(msgspec.structs.replace(SILENT, filler=Filler()))
        response = call.respond()
        call.ai.call("order_status", response=response)
        call.over(response)
        call.advance(60)
        assert asked(call) == []
        call.tool_result()
        call.advance(1.0)
        assert len(call.ai.received("response.create")) == 1, "the answer"
        call.advance(AFTER + 1)
        assert asked(call) == ["Hello?"]

    def test_nobody_is_asked_while_an_answer_is_on_its_way(self) -> None:
        """It is the model that is slow; what was not asked does not count either."""
        call = ready()
        response = call.respond()
        call.ai.call("set_outputs", '{"INTENT":"x"}', response)
        call.others = "never"
        call.over(response)
        call.advance(9.9)
        assert call.ai.received("response.create")[-1]["response"]["metadata"]["offhook"].endswith("/reply")
        assert asked(call) == []
        assert times(call) == []

    def test_one_that_fails_is_not_repeated_and_ends_nothing(self) -> None:
        call = ready()
        call.others = "fails"
        call.advance(AFTER + 0.5)
        call.others = "said"
        call.advance(AFTER - 0.6)
        assert asked(call) == ["Hello?"]
        call.advance(60)
        assert asked(call) == ["Hello?", "Are you there?", "Can you hear me?"]
        assert call.ended.outcome == "limit"

    def test_a_caller_may_be_left_alone(self) -> None:
        call = ready(plan())
        call.advance(600)
        assert call.ai.received("response.create") == []

    def test_no_prompts_end_the_call_at_once(self) -> None:
        call = ready(plan(no_input=NoInput(after=AFTER)))
        call.advance(AFTER + 4)
        assert call.ended.reason == "no_input"

    def test_the_count(self) -> None:
        silence = Silence(THREE)
        assert silence.due_at(None) is None
        assert silence.due_at(7.0) == 7.0 + AFTER
        assert [silence.take() for _ in range(4)] == [*THREE.prompts, None]
        silence.heard()
        assert silence.take() == THREE.prompts[0]
        assert Silence(NoInput()).due_at(7.0) is None


def started(call: Exit, *names: str) -> Exit:
    """The model calls these tools at once."""
    response = call.respond()
    for name in names or ("order_status",):
        call.ai.call(name, response=response, call=f"call_{name}")
    call.over(response)
    return call


def replies(call: Exit) -> list[str]:
    """Tags of all that was asked of the model, fillers left out."""
    tags = [
        create["response"]["metadata"]["offhook"].rpartition("/")[2] for create in call.ai.received("response.create")
    ]
    return [tag for tag in tags if tag != "filler"]


class TestFillers:
    def test_a_tool_of_ten_seconds(self) -> None:
        call = started(ready(FILLING))
        call.advance(10)
        assert asked(call, "filler") == ["One moment.", "Still on it."]
        first = 2.0
        assert times(call, "filler") == pytest.approx([first, first + ASIDE_SECONDS + 0.15 + 4.0], abs=0.02)
        call.tool_result(call="call_order_status")
        assert replies(call) == ["reply"]
        call.advance(60)
        assert replies(call) == ["reply"]
        assert len(asked(call, "filler")) == 2

    def test_the_last_prompt_over_and_over(self) -> None:
        call = started(ready(FILLING))
        call.advance(20)
        assert asked(call, "filler") == ["One moment.", *["Still on it."] * 3]

    def test_what_the_model_says_before_counts(self) -> None:
        call = ready(FILLING)
        response = call.respond()
        call.speak(response, SENTENCE)
        call.ai.call("order_status", response=response)
        call.over(response)
        call.advance(1.6 + 1.9)
        assert asked(call, "filler") == []
        call.advance(0.2)
        assert asked(call, "filler") == ["One moment."]

    @pytest.mark.parametrize("moment", ["asked for", "begun", "heard"])
    def test_a_result_during_a_filler_gets_one_answer(self, moment: str) -> None:
        call = started(ready(FILLING))
        call.advance({"asked for": 2.01, "begun": 2.1, "heard": 2.4}[moment])
        call.tool_result(call="call_order_status")
        call.ai.output_added("call_order_status")
        call.advance(20)
        assert replies(call) == ["reply"]
        assert len(asked(call, "filler")) == 1
        assert call.call.conversation is not None
        assert call.call.conversation.ending is None

    def test_it_can_be_interrupted(self) -> None:
        call = started(ready(FILLING))
        call.advance(2.35)
        call.ai.speech_started()
        assert len(call.entities("barge_in")) == 1
        assert call.playback.unplayed == 0
        call.ai.speech_stopped()
        call.ai.committed()
        call.tool_result(call="call_order_status")
        call.ai.output_added("call_order_status")
        call.say(SENTENCE)
        call.advance(20)
        assert replies(call) == [], "the answer to the caller has seen the result"

    def test_the_caller_speaks_while_a_tool_runs(self) -> None:
        call = started(ready(FILLING))
        call.advance(1)
        call.ai.speech_started()
        call.advance(6)
        assert asked(call, "filler") == [], "nobody is talked over"
        call.ai.speech_stopped()
        call.ai.committed()
        call.say(SENTENCE)
        call.advance(1.6 + 2.1)
        assert len(asked(call, "filler")) == 1
        call.tool_result(call="call_order_status")
        call.advance(5)
        assert replies(call) == ["reply"]

    def test_the_next_wait_begins_with_the_first(self) -> None:
        call = started(ready(FILLING))
        call.advance(3)
        call.tool_result(call="call_order_status")
        call.advance(5)
        started(call, "weather")
        call.advance(2.5)
        assert asked(call, "filler") == ["One moment."] * 2

    def test_two_tools_are_one_wait(self) -> None:
        call = started(ready(FILLING), "order_status", "weather")
        call.advance(3)
        call.tool_result(call="call_order_status")
        call.advance(5)
        assert asked(call, "filler") == ["One moment.", "Still on it."]

    def test_a_filler_that_comes_to_nothing_answers_nothing(self) -> None:
        """It neither stands for the answer that failed nor takes its repetition away."""
        call = started(ready(FILLING))
        call.advance(2.01)
        call.over(call.respond(), "failed")  # an answer to the caller, while the filler is being asked for
        call.advance(3)
        assert replies(call) == ["retry"]
        assert len(asked(call, "filler")) == 1

    def test_it_waits_for_an_answer_that_is_on_its_way(self) -> None:
        call = started(ready(FILLING))
        call.advance(1.8)
        call.over(call.respond(), "failed")
        call.advance(1.2)
        assert replies(call) == ["retry"]
        assert asked(call, "filler") == []

    def test_on_hold_nothing_is_said(self) -> None:
        call = started(ready(FILLING))
        call.genesys("paused")
        call.advance(30)
        assert asked(call, "filler") == []

    def test_none_is_wanted(self) -> None:
        call = started(ready(plan()))
        call.advance(60)
        assert call.ai.received("response.create") == []

    def test_a_tool_ends_the_call_during_a_filler(self) -> None:
        call = started(ready(FILLING))
        call.advance(2.1)
        call.call.tool_result("call_order_status", ToolOutcome(output="{}", end="completed"), call.now)
        call.advance(10)
        assert call.heard_then == ASIDE + GOODBYE
        assert call.ended.reason == "tool_ended"

    def test_when(self) -> None:
        fillers = Fillers(FILLING.filler)
        assert fillers.due_at(1.0, waiting=False) is None
        assert fillers.due_at(None, waiting=True) is None
        assert fillers.due_at(1.0, waiting=True) == 3.0
        assert [fillers.take().text for _ in range(3)] == ["One moment.", "Still on it.", "Still on it."]
        assert fillers.due_at(1.0, waiting=True) == 5.0
        fillers.reset()
        assert fillers.due_at(1.0, waiting=True) == 3.0
        assert Fillers(Filler()).due_at(1.0, waiting=True) is None
