"""MCP servers of the emulated API: listings, calls within and beyond their response, and leave to make them."""

from typing import Any

from offhook.emulator.scenario import HostedCall
from tests.unit.emulator.rig import Event, Rig, done, error, kinds, of, only, said

SEARCH = {"server": "docs", "name": "search", "arguments": {"q": "returns"}, "output": {"days": 30}, "seconds": 1}
SERVER = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example.com/mcp"}
ANSWER = "You have thirty days."


def rig(call: dict[str, Any] | list[dict[str, Any]], **turn: Any) -> Rig:
    made = Rig({"turns": [{"mcp_call": call, **turn}, {"say": ANSWER}]})
    made.ready(tools=[SERVER])
    made.run(0.5)
    return made


def asked(made: Rig) -> list[Event]:
    made.send("response.create")
    return made.run(10.0)


def item_of(events: list[Event], kind: str, item: str) -> Event:
    (found,) = [event["item"] for event in of(events, kind) if event["item"]["type"] == item]
    return dict(found)


def test_tools_are_listed_for_each_new_server() -> None:
    made = Rig({"turns": [{"mcp_call": [SEARCH, {**SEARCH, "name": "fetch"}]}], "mcp_unreachable": ["gone"]})
    first = made.ready(tools=[SERVER, {"type": "function", "name": "f"}])
    assert kinds(first) == ["session.updated", "conversation.item.added", "mcp_list_tools.in_progress"]
    later = made.run(1.0)
    assert kinds(later) == ["mcp_list_tools.completed", "conversation.item.done"]
    assert [tool["name"] for tool in later[1]["item"]["tools"]] == ["search", "fetch"]
    again = made.ready(tools=[SERVER, {**SERVER, "server_label": "gone", "allowed_tools": ["a"]}])
    assert len(of(again, "mcp_list_tools.in_progress")) == 1
    assert kinds(made.run(1.0)) == ["mcp_list_tools.failed", "conversation.item.done"]


def test_a_call_within_its_response() -> None:
    events = asked(rig(SEARCH, preamble="One moment."))
    order = [kind for kind in kinds(events) if "mcp" in kind and "delta" not in kind]
    assert order == [
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
    ]
    assert kinds(events)[-4:] == [
        "response.mcp_call.completed",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert "".join(delta["delta"] for delta in of(events, "response.mcp_call_arguments.delta")) == '{"q":"returns"}'
    response = done(events)
    assert [item["type"] for item in response["output"]] == ["message", "mcp_call"]
    assert response["output"][1]["output"] == '{"days":30}'
    assert response["output"][1]["error"] is None


def test_nothing_is_said_until_it_is_asked_for() -> None:
    made = rig(SEARCH)
    asked(made)
    assert made.run(30.0) == []
    made.send("response.create")
    assert said(done(made.run(10.0))) == [ANSWER]


def test_a_call_that_outlasts_its_response() -> None:
    made = rig({**SEARCH, "outlasts": True})
    made.send("response.create")
    events = made.run(0.9)
    assert done(events)["output"][0]["output"] is None
    assert "response.mcp_call.in_progress" in kinds(events)
    later = made.run(5.0)
    assert kinds(later) == ["response.mcp_call.completed", "conversation.item.done"]
    assert later[1]["item"]["output"] == '{"days":30}'
    item_id = later[1]["item"]["id"]
    retrieved = only(made.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")
    assert retrieved["item"]["output"] == '{"days":30}'


def test_a_call_that_fails() -> None:
    events = asked(rig({**SEARCH, "error": "no such page"}))
    assert "response.mcp_call.failed" in kinds(events)
    item = item_of(events, "conversation.item.done", "mcp_call")
    assert item["error"] == {"type": "tool_execution_error", "message": "no such page"}
    assert item["output"] is None


def answer(made: Rig, request: Event, approve: bool) -> list[Event]:
    item = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve}
    return made.send("conversation.item.create", item=item)


def test_a_call_with_leave() -> None:
    made = rig({**SEARCH, "approval": True})
    events = asked(made)
    request = item_of(events, "conversation.item.done", "mcp_approval_request")
    assert (request["server_label"], request["name"], request["arguments"]) == ("docs", "search", '{"q":"returns"}')
    assert "response.mcp_call.in_progress" not in kinds(events)
    assert [item["type"] for item in done(events)["output"]] == ["mcp_call", "mcp_approval_request"]
    taken = answer(made, request, approve=True)
    assert kinds(taken) == ["conversation.item.added", "conversation.item.done", "response.mcp_call.in_progress"]
    ended = made.run(2.0)
    assert kinds(ended) == ["response.mcp_call.completed", "conversation.item.done"]
    assert ended[1]["item"]["approval_request_id"] == request["id"]
    assert error(answer(made, request, approve=True))["code"] == "invalid_value"
    made.send("response.create")
    assert said(done(made.run(10.0))) == [ANSWER]


def test_a_call_without_leave() -> None:
    made = rig({**SEARCH, "approval": True})
    request = item_of(asked(made), "conversation.item.done", "mcp_approval_request")
    taken = answer(made, request, approve=False)
    assert kinds(taken)[2:] == ["response.mcp_call.failed", "conversation.item.done"]
    assert "not approved" in taken[3]["item"]["error"]["message"]
    made.send("response.create")
    assert said(done(made.run(10.0))) == [ANSWER]


def test_a_cancelled_response_takes_its_calls_along() -> None:
    made = rig([{**SEARCH, "approval": True}, {**SEARCH, "name": "fetch", "seconds": 5}])
    made.send("response.create")
    made.run(0.8)
    events = made.send("response.cancel") + made.run(1.0)
    assert done(events)["status"] == "cancelled"
    closed = [event["item"] for event in of(events, "conversation.item.done")]
    assert [(item["name"], item["output"]) for item in closed] == [("search", None), ("fetch", None)]
    assert "abandoned" in closed[1]["error"]["message"]
    request = item_of(made.events, "conversation.item.done", "mcp_approval_request")
    assert kinds(answer(made, request, approve=True)) == ["conversation.item.added", "conversation.item.done"]
    assert made.run(10.0) == []


def test_an_outlasting_call_is_not_ended_twice() -> None:
    made = rig([{**SEARCH, "outlasts": True}, {**SEARCH, "seconds": 3}])
    made.send("response.create")
    made.run(0.9)
    made.send("response.cancel")
    made.run(10.0)
    assert len(of(made.events, "response.mcp_call.completed") + of(made.events, "response.mcp_call.failed")) == 2


def test_a_response_that_may_call_nothing_says_something() -> None:
    made = rig(SEARCH)
    made.send("response.create", response={"tool_choice": "none"})
    assert said(done(made.run(10.0))) == ["All right."]


def test_texts_are_sent_as_they_stand() -> None:
    call = HostedCall(server="a", name="b", arguments="{broken", output="as is")
    assert (call.arguments_text(), call.output_text()) == ("{broken", "as is")
