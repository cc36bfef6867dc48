"""MCP servers that the API talks to by itself (§5.4): listings, requests for approval and calls, each told once.

The events of a call and of a listing name their item only, so the items have to be remembered. How a call ended is told
by `response.mcp_call.*` and by the item itself; servers send either, in any order to `response.done`.
"""

from typing import Final, TypeAlias, get_args

import msgspec

from offhook.realtime import server_events as wire
from offhook.realtime.events import McpApprovalRequested, McpCallEnded, McpCallStarted, McpToolsListed, RealtimeEvent
from offhook.realtime.items import Item, McpApprovalRequestItem, McpCallItem, McpListToolsItem
from offhook.realtime.wire import given

McpEvent: TypeAlias = (
    wire.ConversationItemDoneEvent
    | wire.McpListToolsCompletedEvent
    | wire.McpListToolsFailedEvent
    | wire.ResponseMcpCallInProgressEvent
    | wire.ResponseMcpCallCompletedEvent
    | wire.ResponseMcpCallFailedEvent
)
"""The server events that the ledger takes whole."""

MCP_EVENTS: Final[tuple[type[McpEvent], ...]] = get_args(McpEvent)

MAX_REMEMBERED: Final = 256
"""Items that are remembered; a call has a handful of them."""


class _Record(msgspec.Struct):
    """What is known of one item."""

    response_id: str = ""
    server_label: str = ""
    name: str = ""
    started: bool = False
    over: bool = False
    made: McpCallItem | None = None
    """The call with its outcome."""


class McpLedger:
    """Follows the MCP items of a session."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def item_seen(self, item: Item, response_id: str = "") -> None:
        """Remember an item as soon as there is a sign of it; `response_id` is empty where the event has none."""
        if not isinstance(item, McpListToolsItem | McpCallItem | McpApprovalRequestItem) or not given(item.id):
            return
        record = self._record(str(item.id))
        record.response_id = response_id or record.response_id
        record.server_label = item.server_label
        if not isinstance(item, McpListToolsItem):
            record.name = item.name

    def item_done(self, item: Item, response_id: str = "") -> RealtimeEvent | None:
        """Take an item that is final: a request for approval, or a call with its outcome."""
        self.item_seen(item, response_id)
        if not isinstance(item, McpCallItem | McpApprovalRequestItem) or not given(item.id):
            return None
        item_id = str(item.id)
        record = self._record(item_id)
        if isinstance(item, McpCallItem):
            failed = given(item.error) is not None
            if not failed and given(item.output) is None:
                return None  # an item without an outcome is one whose call has not been made yet
            record.made = item
            return self._call_ended(item_id, failed=failed)
        if record.over:
            return None
        record.over = True
        return McpApprovalRequested(record.response_id, item_id, item.server_label, item.name, item.arguments)

    def result(self, item_id: str) -> McpCallItem | None:
        """Return a call that was made, with its outcome, while it is remembered."""
        record = self._records.get(item_id)
        return None if record is None else record.made

    def receive(self, event: McpEvent) -> RealtimeEvent | None:
        """Take a server event; returns what it means, None when that is nothing new."""
        match event:
            case wire.ConversationItemDoneEvent():
                return self.item_done(event.item)
            case wire.ResponseMcpCallInProgressEvent():
                return self._call_started(event.item_id)
            case wire.ResponseMcpCallCompletedEvent() | wire.ResponseMcpCallFailedEvent():
                return self._call_ended(event.item_id, failed=isinstance(event, wire.ResponseMcpCallFailedEvent))
            case _:
                failed = isinstance(event, wire.McpListToolsFailedEvent)
                return McpToolsListed(failed, self._record(event.item_id).server_label)

    def _call_started(self, item_id: str) -> RealtimeEvent | None:
        record = self._record(item_id)
        if record.started or record.over:
            return None
        record.started = True
        return McpCallStarted(record.response_id, item_id, record.server_label, record.name)

    def _call_ended(self, item_id: str, *, failed: bool) -> RealtimeEvent | None:
        record = self._record(item_id)
        if record.over:
            return None
        record.over = True
        return McpCallEnded(record.response_id, item_id, record.server_label, record.name, failed)

    def _record(self, item_id: str) -> _Record:
        record = self._records.setdefault(item_id, _Record())
        if len(self._records) > MAX_REMEMBERED:
            del self._records[next(iter(self._records))]
        return record
