"""Items of a response that are about MCP servers: calls that the API makes, and requests for leave (§5.4)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from offhook.emulator.conversation import StoredItem
from offhook.emulator.output import OutputItem
from offhook.emulator.scenario import HostedCall
from offhook.realtime import (
    McpApprovalRequestItem,
    McpCallItem,
    McpError,
    ResponseMcpCallArgumentsDeltaEvent,
    ResponseMcpCallArgumentsDoneEvent,
    ResponseMcpCallCompletedEvent,
    ResponseMcpCallFailedEvent,
    ResponseMcpCallInProgressEvent,
)

NOT_APPROVED = "The tool call was not approved."
ABANDONED = "The tool call was abandoned."


@dataclass(slots=True)
class HostedCallItem(OutputItem):
    """A call at an MCP server. It may outlast the response that made it."""

    hosted: HostedCall = field(kw_only=True)
    approval_request_id: str | None = None
    detached: bool = False
    """Its response is done, and tells no more of it."""
    _over: Callable[[], None] | None = None
    _outcome: str | McpError | None = None

    def add_arguments(self, text: str) -> None:
        """Go on with the arguments of the call."""
        self.text += text
        self.emit(
            ResponseMcpCallArgumentsDeltaEvent(
                response_id=self.response_id, item_id=self.item_id, output_index=self.index, delta=text
            )
        )

    def arguments_done(self) -> None:
        """The arguments are whole."""
        self.emit(
            ResponseMcpCallArgumentsDoneEvent(
                response_id=self.response_id, item_id=self.item_id, output_index=self.index, arguments=self.text
            )
        )

    def run(self, over: Callable[[], None]) -> None:
        """Make the call; `over` is called when it has an outcome."""
        self._over = over
        self.emit(ResponseMcpCallInProgressEvent(item_id=self.item_id, output_index=self.index))

    def deny(self, over: Callable[[], None]) -> None:
        """The client does not want the call."""
        self._over = over
        self._outcome = McpError(type="tool_execution_error", message=NOT_APPROVED)
        self.end("completed")

    def end(self, status: Literal["completed", "incomplete"]) -> None:
        """Close the item; beyond its response only the conversation is told."""
        if not self.detached:
            OutputItem.end(self, status)
            return
        self._end_content(status)
        self.status = status
        self._keep(self.item())

    def item(self) -> StoredItem:
        """Return the item as it stands."""
        error = self._outcome if isinstance(self._outcome, McpError) else None
        return McpCallItem(
            id=self.item_id,
            server_label=self.hosted.server,
            name=self.hosted.name,
            arguments=self.text,
            approval_request_id=self.approval_request_id,
            output=self._outcome if isinstance(self._outcome, str) else None,
            error=error,
        )

    def _end_content(self, status: Literal["completed", "incomplete"]) -> None:
        """Tell the outcome, if the call was made at all."""
        if self._over is None:
            return
        if self._outcome is None:
            error = ABANDONED if status == "incomplete" else self.hosted.error
            failed = None if error is None else McpError(type="tool_execution_error", message=error)
            self._outcome = failed or self.hosted.output_text()
        event = ResponseMcpCallCompletedEvent if isinstance(self._outcome, str) else ResponseMcpCallFailedEvent
        self.emit(event(item_id=self.item_id, output_index=self.index))
        self._over()


@dataclass(slots=True)
class ApprovalItem(OutputItem):
    """The request for leave to make a call."""

    hosted: HostedCall = field(kw_only=True)

    def item(self) -> StoredItem:
        """Return the request."""
        call = self.hosted
        return McpApprovalRequestItem(
            id=self.item_id, server_label=call.server, name=call.name, arguments=call.arguments_text()
        )

    def _end_content(self, status: Literal["completed", "incomplete"]) -> None:
        """There is nothing in it that could end."""
