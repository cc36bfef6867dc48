"""The last seconds: what is said, what still counts, and what can go wrong in them."""

from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import CallState, CloseRealtime, InvokeTool, Prompt, ToolOutcome
from offhook.bridge.call import LAST_WORDS
from offhook.bridge.ending import DRAIN_MARGIN, MAX_GOODBYE, Ending
from offhook.bridge.playout import Playout
from tests.unit.bridge.exits import GOODBYE, SENTENCE, Exit
from tests.unit.bridge.harness import plan, session, speech

FIXED = Prompt(text="Goodbye from Acme.")


def ready(model: str = "said", **changes: Any) -> Exit:
    call = Exit(plan(**changes), goodbye=model)
    call.ready()
    return call


def outputs(call: Exit) -> dict[str, str]:
    items = [event["item"] for event in call.ai.received("conversation.item.create")]
    return {item["call_id"]: item["output"] for item in items if item["type"] == "function_call_output"}


def tags(call: Exit) -> list[str]:
    return [
        create["response"]["metadata"]["offhook"].rpartition("/")[2] for create in call.ai.received("response.create")
    ]


def ended_by(call: Exit, *tools: str, spoken: bool = False) -> str:
    """One response that calls these tools; `end_call` or `escalate` is among them."""
    response = call.respond()
    if spoken:
        call.speak(response, SENTENCE)
    for tool in tools:
        name, _, arguments = tool.partition(" ")
        call.ai.call(name, arguments or "{}", response, f"call_{name}")
    call.over(response)
    return response


class TestWhatCounts:
    @pytest.mark.parametrize("tools", [("order_status", "end_call"), ("end_call", "order_status")])
    def test_a_tool_called_beside_the_end_is_run(self, tools: tuple[str, ...]) -> None:
        """Calls of one response have no order; what the caller was told is done is done."""
        call = ready()
        ended_by(call, *tools, spoken=True)
        assert [tool.name for tool in call.of(InvokeTool)] == ["order_status"]
        call.advance(0.5)
        call.call.tool_result("call_order_status", ToolOutcome(output="booked", outputs={"INTENT": "book"}), call.now)
        call._settle()
        call.advance(10)
        assert outputs(call) == {"call_end_call": '{"ok":true}', "call_order_status": "booked"}
        assert call.variables["INTENT"] == "book"
        assert tags(call) == [], "nobody hears an answer any more"
        assert call.heard_then == SENTENCE
        assert call.ended.reason == "agent_ended"

    def test_a_tool_that_is_still_running_is_not_waited_for(self) -> None:
        call = ready()
        ended_by(call, "order_status", "end_call", spoken=True)
        call.advance(3)
        assert call.ended.reason == "agent_ended"
        call.tool_result(call="call_order_status")
        assert call.ended.output_variables == call.variables

    def test_a_tool_that_was_running_before(self) -> None:
        call = ready()
        response = call.respond()
        call.ai.call("order_status", "{}", response, "call_1")
        call.over(response)
        ended_by(call, "end_call")
        call.call.tool_result("call_1", ToolOutcome(output="late", end="escalated", outputs={"INTENT": "x"}), call.now)
        call._settle()
        call.advance(10)
        assert (call.ended.outcome, call.ended.reason) == ("completed", "agent_ended"), "the first end counts"
        assert call.variables["INTENT"] == "x"
        assert tags(call) == ["goodbye"]

    def test_outputs_set_after_the_end_in_the_same_response(self) -> None:
        call = ready()
        ended_by(call, "end_call", 'set_outputs {"INTENT":"order"}', spoken=True)
        call.advance(5)
        assert call.variables["INTENT"] == "order"
        assert tags(call) == []

    def test_only_the_first_end_counts(self) -> None:
        call = ready()
        response = call.respond()
        call.ai.call("escalate", '{"reason":"first","target":"billing"}', response, "call_1")
        call.ai.call("escalate", '{"reason":"second","target":"sales"}', response, "call_2")
        call.ai.call("end_call", '{"reason":"third"}', response, "call_3")
        call.over(response)
        call.advance(10)
        assert call.variables["OFFHOOK_REASON"] == "first"
        assert call.variables["OFFHOOK_TARGET"] == "billing"
        assert call.ended.outcome == "escalated"
        assert outputs(call)["call_1"] == '{"ok":true}'
        assert "not run" in outputs(call)["call_2"]
        assert "not run" in outputs(call)["call_3"]
        assert tags(call).count("goodbye") == 1

    def test_an_end_in_an_interrupted_response_is_none(self) -> None:
        call = ready()
        response = call.respond()
        call.speak(response, SENTENCE)
        call.advance(0.5)
        call.ai.speech_started()
        call.ai.call("end_call", "{}", response)
        call.over(response, "cancelled")
        call.advance(5)
        assert call.call.state is CallState.TALKING
        assert "not run" in outputs(call)["call_1"]

    def test_a_tool_of_another_response_is_not_run(self) -> None:
        call = ready()
        ended_by(call, "end_call", spoken=True)
        late = call.respond()
        call.ai.call("order_status", "{}", late, "call_late")
        call.over(late)
        assert call.of(InvokeTool) == []
        call.advance(10)
        assert call.ended.reason == "agent_ended"


class TestWhatIsSaid:
    @pytest.mark.parametrize(
        ("tool", "spoken", "fixed", "said"),
        [
            ("end_call", True, None, []),
            ("end_call", False, None, ["goodbye"]),
            ("end_call", True, FIXED, ["goodbye"]),
            ("end_call", False, FIXED, ["goodbye"]),
            ("escalate", True, None, []),
            ("escalate", False, None, ["goodbye"]),
            ("escalate", True, FIXED, ["goodbye"]),
        ],
    )
    def test_the_models_words_or_fixed_ones(
        self, tool: str, spoken: bool, fixed: Prompt | None, said: list[str]
    ) -> None:
        prompts = {"goodbye": fixed} if tool == "end_call" else {"handover": fixed}
        call = Exit(plan(summary="never", **prompts))
        call.ready()
        ended_by(call, tool, spoken=spoken)
        call.advance(10)
        assert tags(call) == said
        assert call.heard_then == (SENTENCE if spoken else b"") + (GOODBYE if said else b"")
        if said:
            instructions = call.ai.received("response.create")[0]["response"]["instructions"]
            words = "Say exactly these words and nothing else: Goodbye from Acme." if fixed else "in one short sentence"
            assert words in instructions

    def test_the_other_ones_are_not_used(self) -> None:
        call = ready(handover=FIXED)
        ended_by(call, "end_call", spoken=True)
        call.advance(5)
        assert tags(call) == []

    @pytest.mark.parametrize("waiting", ["reply", "no answer yet"])
    def test_nothing_else_is_said_before_it(self, waiting: str) -> None:
        """An answer that was asked for, or waits to be, would only hold the goodbye up."""
        call = ready()
        call.others = "never"
        response = call.respond()
        call.ai.call("order_status", "{}", response, "call_1")
        call.over(response)
        if waiting == "reply":
            call.tool_result()
            assert tags(call) == ["reply"]
            call.ai.caller_turn("c1", "Bye.")
        ended_by(call, "end_call")
        call.advance(0.5)
        if waiting == "reply":
            late = call.respond(call.ai.received("response.create")[0])
            assert call.ai.received("response.cancel")[-1]["response_id"] == late
            call.speak(late, SENTENCE)
        call.advance(15)
        assert tags(call)[-1] == "goodbye"
        assert call.heard_then.endswith(GOODBYE)
        assert SENTENCE[:1600] not in call.heard_then

    def test_an_answer_that_waits_for_its_turn_is_not_asked_for(self) -> None:
        asked = session(turn_detection=rt.ServerVad(create_response=False, interrupt_response=True))
        call = ready(session=asked)
        response = call.respond()
        call.ai.committed("c1")
        call.ai.call("end_call", "{}", response)
        call.over(response)
        call.advance(5)
        assert tags(call) == ["goodbye"]
        assert call.heard_then == GOODBYE

    def test_the_caller_hangs_up_during_it(self) -> None:
        call = ready()
        ended_by(call, "escalate")
        call.advance(0.6)
        call.close()
        assert 0 < len(call.playback.heard) < len(GOODBYE)
        call.advance(1)
        variables = call.check_end({"INTENT": "", "ESCALATE": "false"})
        assert variables["OFFHOOK_OUTCOME"] == "escalated"

    def test_what_is_queued_of_it_is_heard_though_the_model_is_lost(self) -> None:
        call = ready()
        ended_by(call, "end_call")
        create = call.ai.received("response.create")[-1]
        call.seen.add(id(create))
        response = call.respond(create)
        call.speak(response, GOODBYE[:8000])
        call.ai_lost()
        call.advance(10)
        assert call.heard_then.endswith(GOODBYE[:8000])
        assert (call.ended.outcome, call.ended.reason) == ("completed", "agent_ended")

    def test_a_caller_on_hold_is_not_waited_for_for_long(self) -> None:
        call = ready()
        call.genesys("paused")
        began = call.now
        ended_by(call, "end_call")
        call.advance(20)
        assert call.heard_then == b""
        assert call.disconnected_at is not None
        assert call.disconnected_at - began <= DRAIN_MARGIN + len(GOODBYE) / 8000 + 1
        assert call.ended.outcome == "completed"

    def test_a_caller_who_comes_back_hears_it(self) -> None:
        call = ready()
        call.genesys("paused")
        ended_by(call, "end_call")
        call.advance(4)
        call.genesys("resumed", start="PT1S", discarded="PT1S")
        call.advance(5)
        assert call.heard_then == GOODBYE


class TestBounds:
    def test_endless_talk(self) -> None:
        """The last sentence and the goodbye have one minute together."""
        call = ready("never", goodbye_timeout=8.0, handover=FIXED)
        response = call.respond()
        call.ai.item(response, "i")
        call.ai.call("escalate", "{}", response)
        began = call.now
        for _ in range(55):
            call.ai.audio(1000, response, "i")
            call.advance(1)
        call.over(response)
        call.advance(20)
        assert call.disconnected_at is not None
        assert MAX_GOODBYE - 3 <= call.disconnected_at - began <= MAX_GOODBYE

    def test_ended_from_outside_in_a_long_sentence(self) -> None:
        call = ready()
        call.say(speech(30_000))
        call.advance(1)
        began = call.now
        call.end("limit", "drained")
        call.advance(20)
        assert call.disconnected_at == pytest.approx(began + LAST_WORDS)
        assert len(call.heard_then) > 10 * 8000
        assert call.of(CloseRealtime)

    @pytest.mark.parametrize("first", [False, True])
    def test_ended_from_outside_while_it_ends(self, first: bool) -> None:
        """The reason stays, the time is short."""
        call = ready("never", goodbye_timeout=60.0)
        if first:
            call.speak(call.respond(), SENTENCE)
        else:
            ended_by(call, "end_call")
        call.advance(1)
        call.end("limit", "drained")
        call.advance(2)
        call.end("limit", "drained again")
        began = call.now
        call.advance(20)
        assert call.disconnected_at is not None
        assert call.disconnected_at - began <= LAST_WORDS - 2 + 0.01
        assert call.ended.reason == ("drained" if first else "agent_ended")

    def test_it_begins_too_late(self) -> None:
        call = ready("never", goodbye_timeout=3.0)
        ended_by(call, "end_call")
        create = call.ai.received("response.create")[-1]
        call.advance(3.1)
        assert call.disconnected_at is not None
        call.respond(create)
        assert call.heard_then == b""

    def test_an_end_without_bounds_has_none(self) -> None:
        ending = Ending(outcome="completed", reason="x")
        ending.heard_of(10.0, 5.0)
        assert ending.goodbye_by is None
        ending.hurry(None)
        assert ending.due_at(Playout()) is None
        ending.hurry(9.0)
        ending.hurry(12.0)
        assert ending.due_at(Playout()) == 9.0
        ending.drain(Playout(), 6.0)
        assert ending.due_at(Playout()) == 0.0


class TestOpening:
    NOTICE = Prompt(text="This call is recorded.")
    GREETING = Prompt(instructions="Greet.")

    def call(self, **settings: Any) -> Exit:
        return Exit(plan(notice=self.NOTICE, greeting=self.GREETING), **settings)

    def test_the_notice_then_the_greeting(self) -> None:
        call = self.call()
        call.ready()
        assert tags(call) == ["notice"]
        call.advance(3)
        assert tags(call) == ["notice", "greeting"]
        assert call.moments.count("greeting_requested") == 2

    def test_a_notice_that_fails_is_said_before_the_greeting_all_the_same(self) -> None:
        call = self.call()
        call.others = "fails"
        call.ready()
        call.others = "said"
        call.advance(5)
        assert tags(call) == ["notice", "notice", "greeting"]

    def test_who_interrupts_the_notice_gets_an_answer_and_no_greeting(self) -> None:
        call = self.call()
        call.ready()
        call.advance(0.15)
        call.ai.speech_started()
        call.over("resp_1", "cancelled")
        call.ai.speech_stopped()
        call.ai.committed()
        call.say(SENTENCE)
        call.advance(10)
        assert tags(call) == ["notice"]

    def test_a_call_that_ends_meanwhile_is_not_greeted(self) -> None:
        call = self.call()
        call.ready()
        call.advance(0.1)
        call.end("limit", "drained")
        call.advance(5)
        assert tags(call) == ["notice"]
        assert call.ended.reason == "drained"
