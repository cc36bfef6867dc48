"""Function tools: run once, answered once, and one response after the last result."""

from typing import Any

from offhook.bridge import InvokeTool
from tests.unit.bridge.harness import Harness, plan


def outputs(harness: Harness) -> list[dict[str, Any]]:
    items = [event["item"] for event in harness.ai.received("conversation.item.create")]
    return [item for item in items if item["type"] == "function_call_output"]


def called(harness: Harness, *names: str) -> Harness:
    """A response that calls these tools and is done."""
    harness.talking()
    harness.ai.created()
    for number, name in enumerate(names, 1):
        harness.ai.call(name, f'{{"n":{number}}}', call=f"call_{number}")
    harness.ai.done()
    return harness


def test_a_tool_is_run_and_its_result_answered() -> None:
    harness = called(Harness(plan()), "order_status")
    assert harness.of(InvokeTool) == [InvokeTool("call_1", "order_status", '{"n":1}')]
    harness.advance(2)
    assert harness.ai.kinds() == []
    harness.tool_result('{"status":"shipped"}')
    assert harness.ai.kinds() == ["conversation.item.create", "response.create"]
    assert outputs(harness)[0]["output"] == '{"status":"shipped"}'
    harness.tool_result("again")
    harness.tool_result("who?", "call_99")
    assert len(outputs(harness)) == 1
    create = harness.ai.received("response.create")[0]
    harness.ai.output_added()
    harness.ai.says(500, create=create)
    harness.advance(20)
    assert harness.ai.kinds() == ["conversation.item.create", "response.create"]
    assert harness.moments.count("tool_started") == harness.moments.count("tool_finished") == 1


def test_a_call_of_a_response_that_was_not_announced_is_run() -> None:
    harness = Harness(plan()).talking()
    harness.ai.call("order_status")
    harness.ai.done()
    harness.tool_result("shipped")
    harness.advance(3)
    assert [command.name for command in harness.of(InvokeTool)] == ["order_status"]
    assert [output["output"] for output in outputs(harness)] == ["shipped"]


def test_one_answer_after_the_last_of_parallel_calls() -> None:
    harness = called(Harness(plan()), "order_status", "weather")
    harness.tool_result("1", "call_1")
    harness.advance(3)
    assert harness.ai.received("response.create") == []
    harness.tool_result("2", "call_2")
    assert [output["call_id"] for output in outputs(harness)] == ["call_1", "call_2"]
    assert len(harness.ai.received("response.create")) == 1


def test_a_result_before_the_response_is_done_waits_for_it() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.call("order_status")
    harness.tool_result("fast")
    assert harness.ai.kinds() == []
    harness.ai.done()
    assert harness.ai.kinds() == ["conversation.item.create", "response.create"]


def test_a_result_while_the_caller_speaks_is_answered_with_their_turn() -> None:
    harness = called(Harness(plan()), "order_status")
    harness.ai.speech_started()
    harness.tool_result("shipped")
    assert harness.ai.kinds() == ["conversation.item.create"]
    harness.ai.output_added()
    harness.ai.speech_stopped()
    harness.ai.committed()
    harness.ai.says(500, response="resp_2", item="item_2")
    harness.advance(30)
    assert harness.ai.received("response.create") == []


def test_a_result_that_the_callers_answer_did_not_see_gets_its_own() -> None:
    harness = called(Harness(plan()), "order_status")
    harness.ai.speech_started()
    harness.ai.speech_stopped()
    harness.ai.committed()
    harness.ai.created("resp_2")
    harness.tool_result("shipped")
    harness.ai.output_added()
    assert harness.ai.received("response.create") == []
    harness.ai.item("resp_2", "item_2")
    harness.ai.audio(500, "resp_2", "item_2")
    harness.ai.done("resp_2")
    assert len(harness.ai.received("response.create")) == 1


def test_a_turn_that_the_server_does_not_answer_does_not_swallow_the_result() -> None:
    harness = called(Harness(plan()), "order_status")
    harness.ai.speech_started()
    harness.ai.speech_stopped()
    harness.tool_result("shipped")
    harness.advance(2.9)
    assert harness.ai.received("response.create") == []
    harness.advance(0.2)
    assert len(harness.ai.received("response.create")) == 1


def test_the_servers_answer_makes_ours_needless() -> None:
    """Both ask at once: turn detection has answered with the result in sight, so ours is taken back."""
    harness = called(Harness(plan()), "order_status")
    harness.tool_result("shipped")
    create = harness.ai.received("response.create")[0]
    harness.ai.output_added()
    harness.ai.created("resp_vad")
    harness.ai.refuse("conversation_already_has_active_response", create["event_id"])
    harness.ai.item("resp_vad", "item_2")
    harness.ai.audio(500, "resp_vad", "item_2")
    harness.ai.done("resp_vad")
    harness.advance(30)
    assert len(harness.ai.received("response.create")) == 1


def test_an_answer_that_is_refused_is_asked_for_again() -> None:
    harness = called(Harness(plan()), "order_status")
    harness.tool_result("shipped")
    create = harness.ai.received("response.create")[0]
    harness.ai.refuse("invalid_value", create["event_id"])
    harness.advance(0.6)
    creates = harness.ai.received("response.create")
    assert len(creates) == 2
    harness.ai.says(500, create=creates[1])
    harness.advance(30)
    assert len(harness.ai.received("response.create")) == 2


def test_an_unknown_tool_is_told_to_the_model() -> None:
    harness = called(Harness(plan()), "launch_rocket")
    assert harness.of(InvokeTool) == []
    assert "no tool of this name" in outputs(harness)[0]["output"]
    assert len(harness.ai.received("response.create")) == 1


def test_a_call_in_an_interrupted_response_is_not_run() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(1000)
    harness.advance(0.5)
    harness.ai.speech_started()
    harness.ai.call("order_status")
    harness.ai.done(status="cancelled", type="cancelled", reason="turn_detected")
    assert harness.of(InvokeTool) == []
    assert "not run" in outputs(harness)[0]["output"]
    harness.advance(5)
    assert harness.ai.received("response.create") == []


def test_a_result_of_a_call_that_was_interrupted_afterwards_is_posted() -> None:
    harness = called(Harness(plan()), "order_status")
    harness.ai.speech_started()
    harness.tool_result("shipped")
    assert len(outputs(harness)) == 1


def test_set_outputs() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.call("set_outputs", '{"INTENT":"order"}', call="call_1")
    harness.ai.call("set_outputs", '{"COLOUR":"red"}', call="call_2")
    harness.ai.done()
    assert [output["output"] for output in outputs(harness)] == [
        '{"ok":true}',
        '{"error":"unknown names: COLOUR; the outputs are: ESCALATE, INTENT"}',
    ]
    assert len(harness.ai.received("response.create")) == 1
    harness.end()
    harness.advance(1)
    assert harness.variables["INTENT"] == "order"
    assert harness.variables["ESCALATE"] == "false"
    assert "COLOUR" not in harness.variables


def test_outputs_of_a_tool_that_do_not_fit() -> None:
    harness = called(Harness(plan()), "order_status")
    harness.tool_result("shipped", outputs={"COLOUR": "red"})
    assert outputs(harness)[0]["output"].startswith("shipped\n(outputs were not set: unknown names: COLOUR")
    assert "output_refused" in harness.moments
