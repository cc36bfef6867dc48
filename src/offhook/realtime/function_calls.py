"""Function calls: each is announced once, and its output waits for the response that made the call (trap 21)."""

import msgspec

from offhook.realtime.client_events import ConversationItemCreateEvent
from offhook.realtime.events import FunctionCallReady
from offhook.realtime.items import FunctionCallItem, FunctionCallOutputItem
from offhook.realtime.wire import given


class FunctionCallLedger:
    """Knows the calls of a session, which of their responses still run, and the outputs that wait."""

    def __init__(self) -> None:
        self._items: dict[str, str] = {}  # call id -> item id, of every call that was announced
        self._open: dict[str, str] = {}  # call id -> response id, until that response is done
        self._held: dict[str, str] = {}  # call id -> output
        self._answered: set[str] = set()

    def ready(self, response_id: str, item: FunctionCallItem, *, running: bool) -> FunctionCallReady | None:
        """Announce a finished call.

        Args:
            response_id: The response that made the call.
            item: The item of `response.output_item.done`; a status that is absent counts as completed.
            running: Whether the response still runs, so that the output has to wait.

        Returns:
            The event, or None for a call that was cut short (§5.1), was seen before or has no id to answer it by.
        """
        call_id, item_id = given(item.call_id), given(item.id) or ""
        if not call_id or call_id in self._items or (given(item.status) or "completed") != "completed":
            return None
        self._items[call_id] = item_id
        if running:
            self._open[call_id] = response_id
        return FunctionCallReady(response_id, item_id, call_id, item.name, item.arguments)

    def output(self, call_id: str, output: str) -> ConversationItemCreateEvent | None:
        """Take the result of a call: the event to send now, or None while it waits or when one was given before."""
        if call_id in self._answered:
            return None
        self._answered.add(call_id)
        if call_id in self._open:
            self._held[call_id] = output
            return None
        return self._event(call_id, output)

    def response_ended(self, response_id: str) -> list[ConversationItemCreateEvent]:
        """Release the outputs that waited for this response, in the order of the calls."""
        calls = [call_id for call_id, parent in self._open.items() if parent == response_id]
        for call_id in calls:
            del self._open[call_id]
        return [self._event(call_id, self._held.pop(call_id)) for call_id in calls if call_id in self._held]

    def _event(self, call_id: str, output: str) -> ConversationItemCreateEvent:
        # Right behind its call, wherever the talk has moved on to meanwhile; the trace of §11 does the same.
        return ConversationItemCreateEvent(
            previous_item_id=self._items.get(call_id) or msgspec.UNSET,
            item=FunctionCallOutputItem(call_id=call_id, output=output),
        )
