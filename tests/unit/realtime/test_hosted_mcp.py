"""MCP calls that the server makes: each listing, request, start and end is reported once, whoever tells of it."""

import pytest
from msgspec import UNSET

from offhook import realtime as rt
from offhook.realtime.hosted_mcp import MAX_REMEMBERED
from tests.unit.realtime.driving import Driven, done, item_done, ready

CALL = rt.McpCallItem(id="item_c", server_label="docs", name="search", arguments='{"q":"x"}')
WITH_OUTPUT = rt.McpCallItem(id="item_c", server_label="docs", name="search", arguments="{}", output="found")
WITH_ERROR = rt.McpCallItem(
    id="item_c", server_label="docs", name="search", error=rt.McpError(type="http_error", code=500, message="no")
)
REQUEST = rt.McpApprovalRequestItem(id="item_q", server_label="docs", name="search", arguments='{"q":"x"}')
LISTING = rt.McpListToolsItem(id="item_l", server_label="docs")

STARTED = rt.McpCallStarted("resp_1", "item_c", "docs", "search")
ENDED = rt.McpCallEnded("resp_1", "item_c", "docs", "search", False)
FAILED = rt.McpCallEnded("resp_1", "item_c", "docs", "search", True)
REQUESTED = rt.McpApprovalRequested("resp_1", "item_q", "docs", "search", '{"q":"x"}')


def mcp_events(driven: Driven, *events: rt.KnownServerEvent) -> list[rt.RealtimeEvent]:
    kinds = (rt.McpToolsListed, rt.McpApprovalRequested, rt.McpCallStarted, rt.McpCallEnded)
    return [event for event in driven.hear(*events) if isinstance(event, kinds)]


def called() -> Driven:
    """A response that makes a call."""
    driven = ready()
    driven.hear(rt.ResponseOutputItemAddedEvent(response_id="resp_1", output_index=1, item=CALL))
    return driven


def test_a_call_from_its_start_to_its_end() -> None:
    driven = called()
    assert mcp_events(driven, rt.ResponseMcpCallInProgressEvent(item_id="item_c")) == [STARTED]
    assert mcp_events(driven, rt.ResponseMcpCallInProgressEvent(item_id="item_c")) == []
    assert mcp_events(driven, rt.ResponseMcpCallCompletedEvent(item_id="item_c")) == [ENDED]
    again = (item_done("resp_1", WITH_OUTPUT), rt.ConversationItemDoneEvent(item=WITH_OUTPUT), done("resp_1"))
    assert mcp_events(driven, *again, rt.ResponseMcpCallInProgressEvent(item_id="item_c")) == []


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (rt.ResponseMcpCallFailedEvent(item_id="item_c"), [FAILED]),
        (rt.ConversationItemDoneEvent(item=WITH_OUTPUT), [ENDED]),
        (item_done("resp_1", WITH_ERROR), [FAILED]),
        (item_done("resp_1", CALL), []),  # its arguments are whole, and nothing more
        (rt.ConversationItemDoneEvent(item=CALL), []),
    ],
)
def test_whatever_tells_of_the_end(event: rt.KnownServerEvent, told: list[rt.RealtimeEvent]) -> None:
    assert mcp_events(called(), event) == told


def test_an_item_of_the_conversation_names_the_call_too() -> None:
    driven = ready()
    driven.hear(rt.ConversationItemAddedEvent(item=CALL))
    (started,) = mcp_events(driven, rt.ResponseMcpCallInProgressEvent(item_id="item_c"))
    assert started == rt.McpCallStarted("", "item_c", "docs", "search")


def test_a_call_that_was_never_announced() -> None:
    driven = ready()
    assert mcp_events(driven, rt.ResponseMcpCallCompletedEvent(item_id="item_c")) == [
        rt.McpCallEnded("", "item_c", "", "", False)
    ]


def test_a_request_is_reported_once() -> None:
    driven = ready()
    begun = rt.ResponseOutputItemAddedEvent(response_id="resp_1", item=REQUEST)
    assert mcp_events(driven, begun, rt.ConversationItemAddedEvent(item=REQUEST)) == []
    assert mcp_events(driven, rt.ConversationItemDoneEvent(item=REQUEST)) == [REQUESTED]
    assert mcp_events(driven, item_done("resp_1", REQUEST)) == []
    assert mcp_events(ready(), item_done("resp_1", REQUEST)) == [REQUESTED]


def test_a_request_that_cannot_be_answered_is_none() -> None:
    nameless = rt.McpApprovalRequestItem(id=UNSET, server_label="docs", name="search")
    assert mcp_events(ready(), item_done("resp_1", nameless)) == []


@pytest.mark.parametrize(
    ("event", "failed"),
    [
        (rt.McpListToolsCompletedEvent(item_id="item_l"), False),
        (rt.McpListToolsFailedEvent(item_id="item_l"), True),
    ],
)
def test_listings(event: rt.KnownServerEvent, failed: bool) -> None:
    assert mcp_events(ready(), event) == [rt.McpToolsListed(failed, "")]
    driven = ready()
    seen = (rt.ConversationItemAddedEvent(item=LISTING), rt.McpListToolsInProgressEvent(item_id="item_l"))
    assert mcp_events(driven, *seen) == []
    assert mcp_events(driven, event, rt.ConversationItemDoneEvent(item=LISTING)) == [rt.McpToolsListed(failed, "docs")]


def test_leave_is_given_and_denied() -> None:
    driven = ready()
    given, denied = (
        driven.session.answer_approval("item_q", True),
        driven.session.answer_approval("item_r", False, "no"),
    )
    sent = [event.item for event in driven.sent() if isinstance(event, rt.ConversationItemCreateEvent)]
    assert sent == [
        rt.McpApprovalResponseItem(id=given, approval_request_id="item_q", approve=True),
        rt.McpApprovalResponseItem(id=denied, approval_request_id="item_r", approve=False, reason="no"),
    ]
    assert given != denied


def test_old_items_are_forgotten() -> None:
    driven = called()
    for number in range(MAX_REMEMBERED):
        driven.hear(rt.ResponseMcpCallInProgressEvent(item_id=f"item_{number}"))
    assert mcp_events(driven, rt.ResponseMcpCallInProgressEvent(item_id="item_c")) == [
        rt.McpCallStarted("", "item_c", "", "")
    ]
