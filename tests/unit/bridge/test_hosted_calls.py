"""MCP calls that OpenAI makes: leave is given or denied, and one response is asked for when calls are over."""

from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge.hosted_calls import DENIED, HOSTED_LIMIT, MAX_KNOWN, HostedCalls
from offhook.bridge.replies import Replies
from tests.unit.bridge.harness import Harness, plan

APPROVED = plan(approved_mcp=frozenset({("docs", "search"), ("crm", "*")}))


def talking(agent: Any = APPROVED) -> Harness:
    harness = Harness(agent).talking()
    harness.ai.created()
    return harness


def item(harness: Harness, kind: str, item_id: str, server: str = "docs", name: str = "search", **more: Any) -> Any:
    found = {"id": item_id, "type": kind, "server_label": server, "name": name, "arguments": "{}", **more}
    harness.ai.send("response.output_item.added", response_id="resp_1", output_index=0, item=found)
    harness.ai.added(found)
    return found


def ask(harness: Harness, item_id: str = "req_1", **more: Any) -> None:
    request = item(harness, "mcp_approval_request", item_id, **more)
    harness.ai.send("conversation.item.done", previous_item_id=None, item=request)


def start(harness: Harness, item_id: str = "mcp_1", **more: Any) -> None:
    item(harness, "mcp_call", item_id, **more)
    harness.ai.send("response.mcp_call.in_progress", item_id=item_id, output_index=0)


def end(harness: Harness, item_id: str = "mcp_1", how: str = "completed") -> None:
    harness.ai.send(f"response.mcp_call.{how}", item_id=item_id, output_index=0)


def answers(harness: Harness) -> list[tuple[str, bool, str | None]]:
    items = [event["item"] for event in harness.ai.received("conversation.item.create")]
    return [(item["approval_request_id"], item["approve"], item.get("reason")) for item in items]


def creates(harness: Harness) -> list[dict[str, Any]]:
    return harness.ai.received("response.create")


def answered(harness: Harness) -> None:
    """The server takes our request, speaks, and nothing more is asked for."""
    (create,) = creates(harness)
    harness.ai.says(300, create=create, response="resp_2", item="item_2")
    harness.advance(HOSTED_LIMIT * 2)
    assert len(creates(harness)) == 1


@pytest.mark.parametrize("after", [False, True], ids=["within", "after"])
def test_the_end_of_a_call_is_answered_once(after: bool) -> None:
    harness = talking()
    start(harness)
    if after:
        harness.ai.done()
    harness.advance(5)
    assert creates(harness) == []
    end(harness)
    if not after:
        assert creates(harness) == []
        harness.ai.done()
    answered(harness)
    assert [moment.data["tool"] for moment in harness.moments_of("tool_started")] == ["search"]
    assert harness.moments.count("tool_finished") == 1


def test_a_server_whose_tools_cannot_be_listed_is_reported() -> None:
    harness = Harness(APPROVED).talking()
    harness.ai.added({"id": "l_1", "type": "mcp_list_tools", "server_label": "docs", "tools": []})
    harness.ai.send("mcp_list_tools.completed", item_id="l_1")
    assert harness.moments == []
    harness.ai.send("mcp_list_tools.failed", item_id="l_1")
    (moment,) = harness.moments_of("peer_error")
    assert moment.data == {"leg": "realtime", "code": "mcp_list_tools_failed", "server": "docs"}


def test_one_answer_for_calls_in_parallel_and_functions() -> None:
    harness = talking()
    start(harness, "mcp_1")
    start(harness, "mcp_2", name="fetch")
    harness.ai.call("order_status")
    harness.ai.done()
    harness.tool_result()
    end(harness, "mcp_2")
    harness.advance(1)
    assert creates(harness) == []
    end(harness, "mcp_1", "failed")
    harness.ai.output_added()
    answered(harness)


@pytest.mark.parametrize(
    ("call", "approve"),
    [
        ({"name": "search"}, True),
        ({"server": "crm", "name": "anything"}, True),
        ({"name": "delete"}, False),
        ({"server": "mail", "name": "search"}, False),
    ],
)
def test_leave_is_given_to_what_is_approved(call: dict[str, str], approve: bool) -> None:
    harness = talking()
    ask(harness, **call)
    assert answers(harness) == [("req_1", approve, None if approve else DENIED)]


def test_a_call_with_leave_is_answered_when_it_is_over() -> None:
    harness = talking()
    ask(harness)
    harness.ai.done()
    harness.advance(5)
    assert creates(harness) == []
    start(harness)
    end(harness)
    answered(harness)


def test_a_call_with_leave_whose_start_is_not_told() -> None:
    harness = talking()
    item(harness, "mcp_call", "mcp_1")
    ask(harness)
    harness.ai.done()
    end(harness)
    answered(harness)


def test_a_denial_is_answered_once() -> None:
    harness = talking()
    item(harness, "mcp_call", "mcp_1", name="delete")
    ask(harness, name="delete")
    (answer,) = harness.ai.received("conversation.item.create")
    harness.ai.done()
    assert len(creates(harness)) == 1
    harness.ai.added(answer["item"])
    end(harness, how="failed")
    answered(harness)
    assert harness.moments_of("tool_finished") == []


def test_another_call_that_fails_is_answered_even_after_a_denial() -> None:
    harness = talking()
    ask(harness, name="delete")
    start(harness)
    end(harness, how="failed")
    harness.ai.done()
    answered(harness)
    assert harness.moments.count("tool_finished") == 1


def test_an_interrupted_agent_has_no_leave() -> None:
    harness = talking()
    harness.ai.item()
    harness.ai.audio(1000)
    harness.advance(0.5)
    harness.ai.speech_started()
    ask(harness)
    assert answers(harness) == [("req_1", False, DENIED)]


def test_there_is_no_leave_when_the_call_is_ending() -> None:
    harness = talking()
    harness.ai.item()
    harness.ai.audio(2000)
    harness.end()
    ask(harness)
    assert answers(harness) == [("req_1", False, DENIED)]
    start(harness)
    end(harness)
    harness.ai.done()
    harness.advance(10)
    assert creates(harness) == []


def test_a_call_that_outlasts_a_cut_response_holds_nothing_up() -> None:
    harness = talking()
    start(harness)
    harness.ai.speech_started()
    harness.ai.done(status="cancelled", type="cancelled", reason="turn_detected")
    harness.ai.speech_stopped()
    harness.ai.committed()
    harness.ai.says(300, response="resp_2", item="item_2")
    harness.advance(3)
    harness.genesys("dtmf", digit="1")
    harness.genesys("dtmf", digit="#")
    assert len(creates(harness)) == 1
    harness.ai.says(300, create=creates(harness)[0], response="resp_3", item="item_3")
    harness.ai.added({"id": "keyed", "type": "message", "role": "user", "content": []})
    end(harness)
    assert len(creates(harness)) == 2


@pytest.mark.parametrize("asked", [False, True])
def test_a_call_whose_end_is_not_told_is_given_up(asked: bool) -> None:
    harness = talking()
    if asked:
        ask(harness)
    else:
        start(harness)
    harness.ai.done()
    harness.advance(HOSTED_LIMIT - 1)
    assert creates(harness) == []
    harness.advance(2)
    answered(harness)


def test_what_is_remembered_is_bounded() -> None:
    replies = Replies()
    session = rt.RealtimeSession(APPROVED.session)
    session.close()
    calls = HostedCalls((), session, replies, lambda *_, **__: None)
    for number in range(MAX_KNOWN + 1):
        name = f"tool_{number}"
        calls.approval_requested(rt.McpApprovalRequested("resp_1", name, "docs", name, "{}"), 0.0, wanted=True)
        calls.started(rt.McpCallStarted("resp_1", f"item_{number}", "docs", name), float(number))
    assert len(calls._denied) == len(calls._answers) == len(calls._running) == MAX_KNOWN
    assert len(replies._pending_calls) == MAX_KNOWN
    assert calls.next_timer() == 1.0 + HOSTED_LIMIT
