"""MCP calls that OpenAI makes for the agent: which may be made, which are running, and who answers when they are over.

The server says nothing when such a call ends: like after the output of a function, a response has to be asked for
(openai-realtime.md §5.4), once for all that ended. Leave for a call needs no response of its own, for the call follows;
a denial does, for nothing else follows it.
"""

from collections import deque
from collections.abc import Callable, Collection

import msgspec

from offhook import realtime
from offhook.bridge import moments
from offhook.bridge.replies import Replies
from offhook.realtime import RealtimeSession

ANY = "*"
"""Stands for every tool of a server."""
NO_TOOLS = "mcp_list_tools_failed"
HOSTED_LIMIT = 60.0
"""Seconds after which a call whose end is not told counts as over."""
DENIED = "not allowed in this call"
"""Why a call is not made, for the model."""
MAX_KNOWN = 64
"""Calls, and denials, that are remembered until the server has told what came of them."""


class _Running(msgspec.Struct):
    """A call that OpenAI makes at the moment, or has leave to make."""

    response_id: str
    call: tuple[str, str]
    over_at: float
    begun: bool


class HostedCalls:
    """The hosted calls of one call.

    Args:
        approved: Server label and tool name of the calls that may be made when the server asks.
        session: Takes the answers.
        replies: Learns what is owed an answer.
        moment: Reports a moment.
    """

    def __init__(
        self,
        approved: Collection[tuple[str, str]],
        session: RealtimeSession,
        replies: Replies,
        moment: Callable[..., None],
    ) -> None:
        self._approved = approved
        self.session = session
        self._replies = replies
        self._moment = moment
        self._running: dict[str, _Running] = {}  # by item: of the call, or of the request until the call begins
        self._answers: deque[str] = deque(maxlen=MAX_KNOWN)  # items of ours that deny and have not been taken yet
        self._denied: deque[tuple[str, str]] = deque(maxlen=MAX_KNOWN)

    def listed(self, event: realtime.McpToolsListed, now: float) -> None:
        """The server knows the tools of an MCP server, or does not get them: then the model has to do without."""
        if event.failed:
            self._moment(moments.PEER_ERROR, now, leg="realtime", code=NO_TOOLS, server=event.server_label)

    def approval_requested(self, event: realtime.McpApprovalRequested, now: float, *, wanted: bool) -> None:
        """The server asks for leave; `wanted` is whether anybody still wants to know."""
        call = (event.server_label, event.name)
        if wanted and (call in self._approved or (event.server_label, ANY) in self._approved):
            self.session.answer_approval(event.item_id, True)
            self._run(event.item_id, _Running(event.response_id, call, now + HOSTED_LIMIT, begun=False))
            return
        self._answers.append(self.session.answer_approval(event.item_id, False, DENIED))
        self._denied.append(call)
        self._replies.posted()

    def landed(self, item_id: str) -> bool:
        """Whether an item is a denial of ours, which the server has now taken."""
        if item_id not in self._answers:
            return False
        self._answers.remove(item_id)
        return True

    def started(self, event: realtime.McpCallStarted, now: float) -> None:
        """A call is being made: the answer waits for its end."""
        call = (event.server_label, event.name)
        self._run(event.item_id, _Running(event.response_id, call, now + HOSTED_LIMIT, begun=True))
        self._use_leave(call)
        self._moment(moments.TOOL_STARTED, now, server=event.server_label, tool=event.name)

    def ended(self, event: realtime.McpCallEnded, now: float) -> None:
        """A call is over; its outcome is in the conversation."""
        call = (event.server_label, event.name)
        if event.item_id in self._running:
            self._forget(event.item_id)
        elif event.failed and call in self._denied:
            # The server repeats what we said: that is answered already.
            self._denied.remove(call)
            return
        else:
            self._use_leave(call)
        self._moment(moments.TOOL_FINISHED, now, server=event.server_label, tool=event.name)
        self._owe()

    def response_ended(self, event: realtime.ResponseEnded) -> None:
        """A response is over. If it was cut short, its calls may be, too: nothing waits for them any longer."""
        if event.status != "completed":
            for item_id in [item for item, call in self._running.items() if call.response_id == event.response_id]:
                self._forget(item_id)

    def session_lost(self) -> list[tuple[str, str]]:
        """The session is gone; returns item and tool of the calls that were being made, whose end nobody tells."""
        begun = [(item_id, running.call[1]) for item_id, running in self._running.items() if running.begun]
        for item_id in list(self._running):
            self._forget(item_id)
        self._answers.clear()
        self._denied.clear()
        return begun

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do."""
        return min((call.over_at for call in self._running.values()), default=None)

    def handle_timer(self, now: float) -> None:
        """Give up calls whose end is not told: the caller must not wait in silence for ever."""
        for item_id in [item for item, call in self._running.items() if now >= call.over_at]:
            self._forget(item_id)
            self._owe()

    def _run(self, item_id: str, running: _Running) -> None:
        if len(self._running) == MAX_KNOWN:
            self._forget(next(iter(self._running)))
        self._running[item_id] = running
        self._replies.call_started(item_id)

    def _use_leave(self, call: tuple[str, str]) -> None:
        """A call has begun: from here on it is waited for by its own item, not by that of the request."""
        leave = (item_id for item_id, running in self._running.items() if not running.begun and running.call == call)
        self._forget(next(leave, ""))

    def _forget(self, item_id: str) -> None:
        self._running.pop(item_id, None)
        self._replies.call_finished(item_id)

    def _owe(self) -> None:
        """The model is to say something about what is in the conversation by now."""
        self._replies.posted()
        self._replies.landed()
