"""What the emulated API does with MCP servers beside its responses (openai-realtime.md §5.4).

It lists the tools of each server that a session declares, and runs the calls that go on when their response is done.
"""

from collections.abc import Callable
from typing import Final

from offhook.emulator.conversation import Conversation, Entry
from offhook.emulator.hosted_items import HostedCallItem
from offhook.emulator.refusals import Refused
from offhook.emulator.scenario import Scenario
from offhook.realtime import (
    ConversationItemAddedEvent,
    ConversationItemDoneEvent,
    KnownServerEvent,
    McpApprovalResponseItem,
    McpListedTool,
    McpListToolsCompletedEvent,
    McpListToolsFailedEvent,
    McpListToolsInProgressEvent,
    McpListToolsItem,
    McpTool,
    Tool,
)
from offhook.realtime.wire import given

LISTING_SECONDS: Final = 0.2

NEVER: Final = float("inf")


class HostedMcp:
    """The MCP servers of one emulated session.

    Args:
        scenario: which servers cannot be reached, and which tools there are where the session does not say.
        emit: sends an event.
        new_id: makes an id with a prefix.
        conversation: holds the items.
        call_over: is called when a call has an outcome.
    """

    def __init__(
        self,
        scenario: Scenario,
        emit: Callable[[KnownServerEvent], None],
        new_id: Callable[[str], str],
        conversation: Conversation,
        call_over: Callable[[], None],
    ) -> None:
        self.call_over = call_over
        self._scenario = scenario
        self._emit = emit
        self._new_id = new_id
        self._conversation = conversation
        self._declared: dict[str, McpTool] = {}
        self._listings: list[tuple[float, Entry, McpListToolsItem]] = []
        self._running: list[tuple[float, HostedCallItem]] = []
        self._waiting: dict[str, HostedCallItem] = {}

    def declare(self, tools: tuple[Tool, ...], now: float) -> None:
        """Begin to list the tools of servers that are new or have changed."""
        declared = {tool.server_label: tool for tool in tools if isinstance(tool, McpTool)}
        for label, tool in declared.items():
            if self._declared.get(label) != tool:
                self._list(tool, now)
        self._declared = declared

    def wait_for_leave(self, request_id: str, call: HostedCallItem) -> None:
        """The client is asked whether a call may be made."""
        call.approval_request_id = request_id
        self._waiting[request_id] = call

    def check_answer(self, answer: McpApprovalResponseItem) -> None:
        """Check the client's answer.

        Raises:
            Refused: nothing was asked, or it was answered before.
        """
        if answer.approval_request_id not in self._waiting:
            message = f"MCP approval request with id '{answer.approval_request_id}' not found."
            raise Refused("invalid_value", message, "item.approval_request_id")

    def answer(self, answer: McpApprovalResponseItem, now: float) -> None:
        """Make the call that was asked about, or tell that it failed."""
        call = self._waiting.pop(answer.approval_request_id)
        if not call.open:
            return  # its response was cancelled meanwhile
        if answer.approve:
            self.run(call, now)
        else:
            call.detached = True
            call.deny(self.call_over)

    def run(self, call: HostedCallItem, now: float) -> None:
        """Make a call that goes on when its response is done."""
        call.detached = True
        call.run(self.call_over)
        self._running.append((now + call.hosted.seconds, call))

    def next_at(self) -> float:
        """Return when there is something to do next, infinity when there is nothing."""
        times = [at for at, *_ in self._listings] + [at for at, _ in self._running]
        return min(times, default=NEVER)

    def advance(self, now: float) -> None:
        """Do what is due."""
        for due in [due for due in self._listings if due[0] <= now]:
            self._listings.remove(due)
            self._tell_listing(due[1], due[2])
        for ended in [ended for ended in self._running if ended[0] <= now]:
            self._running.remove(ended)
            if ended[1].open:
                ended[1].end("completed")

    def _list(self, tool: McpTool, now: float) -> None:
        allowed = given(tool.allowed_tools)
        names = allowed if isinstance(allowed, tuple) else self._scenario.tools_of(tool.server_label)
        listed = McpListToolsItem(
            id=self._new_id("mcpl"),
            server_label=tool.server_label,
            tools=tuple(McpListedTool(name=name, input_schema={"type": "object"}, description="") for name in names),
        )
        entry = Entry(McpListToolsItem(id=listed.id, server_label=tool.server_label))
        previous = self._conversation.add(entry)
        self._emit(ConversationItemAddedEvent(previous_item_id=previous, item=entry.item))
        self._emit(McpListToolsInProgressEvent(item_id=entry.id))
        self._listings.append((now + LISTING_SECONDS, entry, listed))

    def _tell_listing(self, entry: Entry, listed: McpListToolsItem) -> None:
        failed = listed.server_label in self._scenario.mcp_unreachable
        if not failed:
            entry.item = listed
        self._emit((McpListToolsFailedEvent if failed else McpListToolsCompletedEvent)(item_id=entry.id))
        self._emit(
            ConversationItemDoneEvent(previous_item_id=self._conversation.previous_of(entry.id), item=entry.item)
        )
