"""What a new Realtime session is told of the conversation: nothing of the old one survives (openai-realtime.md §7).

Turns are told as they were heard, function calls together with their results: who forgets that a slot was booked books
it twice. Everything stands in the order of the conversation. Bounds: of a long talk the oldest turns are left out
first, then the oldest calls; the last turns are kept whatever the calls have brought.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from offhook.bridge.commands import Turn
from offhook.bridge.keypad import as_text
from offhook.bridge.transcript import MARK
from offhook.realtime import assistant_message, user_message
from offhook.realtime.items import FunctionCallItem, FunctionCallOutputItem, Item, McpCallItem
from offhook.realtime.wire import given

KEYS = frozenset("0123456789*#ABCD")
MAX_ENTRIES = 200
"""Turns and calls that are remembered."""
MAX_SIZE = 60_000
"""Characters of all of them together."""
KEPT_TURNS = 20
"""The last turns, which are kept before any call."""
MAX_RESULT = 4_000
"""Characters of the result of a call; the rest is left out."""
MAX_LEFT_OUT = 64
NOT_KNOWN = "not known: the line broke. Find out what came of it before you make this call again."
"""Stands for the result of such a call when nobody told it."""


class _Call(msgspec.Struct):
    """A function call, or one that OpenAI made itself at an MCP server."""

    name: str
    arguments: str
    output: str | None = None
    hosted: bool = False
    told_as: str = ""
    """The call id under which another session knows it."""
    lost: bool = False
    """The session that it was made in is gone, and no other knows of it."""


class History:
    """The memory of one call.

    Args:
        scrub: Takes secrets out of texts.
    """

    def __init__(self, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._entries: list[Turn] = []  # calls are entries by their marks
        self._calls: dict[str, _Call] = {}
        self._left_out: deque[str] = deque(maxlen=MAX_LEFT_OUT)
        self._hosted = 0

    def leave_out(self, item_id: str) -> None:
        """The model need not know of this turn, or learns of it in another way."""
        self._left_out.append(item_id)

    def add(self, entry: Turn) -> None:
        """A turn is settled, or the mark of a call is reached."""
        if entry.item_id in self._left_out:
            return
        self._entries.append(entry)
        size = sum(map(self._size, self._entries))
        while len(self._entries) > MAX_ENTRIES or (size > MAX_SIZE and len(self._entries) > 1):
            oldest = self._least_needed()
            size -= self._size(oldest)
            self._entries.remove(oldest)
            self._calls.pop(oldest.item_id, None)

    def _least_needed(self) -> Turn:
        """The oldest turn, but for the last ones; then the oldest call that is over; then the oldest of all."""
        turns = [entry for entry in self._entries if entry.speaker != MARK]
        over = [entry for entry in self._entries if entry.speaker == MARK and not self._runs(entry.item_id)]
        return (*turns[:-KEPT_TURNS], *over, *turns, *self._entries)[0]

    def _runs(self, call_id: str) -> bool:
        call = self._calls.get(call_id)
        return call is not None and call.output is None

    def _size(self, entry: Turn) -> int:
        call = self._calls.get(entry.item_id) if entry.speaker == MARK else None
        return len(entry.text) if call is None else len(call.arguments) + len(call.output or "")

    def call(self, call_id: str, name: str, arguments: str, *, hosted: bool = False) -> Turn:
        """A call is made; returns its mark for the transcript."""
        self._hosted += hosted
        told_as = f"hosted_{self._hosted}" if hosted else call_id  # items have longer ids than calls may have
        self._calls[call_id] = _Call(name, arguments, hosted=hosted, told_as=told_as)
        return Turn(speaker=MARK, text="", item_id=call_id)

    def output(self, call_id: str, output: str) -> None:
        """What came of a call; ignored for one that is not known."""
        call = self._calls.get(call_id)
        if call is not None and call.output is None:
            call.output = output if len(output) <= MAX_RESULT else f"{output[:MAX_RESULT]} (the rest is left out)"

    def session_lost(self, result: Callable[[str], McpCallItem | None]) -> None:
        """No session knows of any of these calls; `result` gives what came of those that OpenAI made itself."""
        for call_id, call in self._calls.items():
            call.lost = True
            if call.hosted and call.output is None:
                made = result(call_id)
                call.arguments = "{}" if made is None else made.arguments
                self.output(call_id, NOT_KNOWN if made is None else given(made.output) or "failed")

    def owed(self, call_id: str) -> FunctionCallItem | None:
        """The call that has to be told again before its output can be; None if the session knows it."""
        call = self._calls.get(call_id)
        return self._call_item(call) if call is not None and call.lost else None

    def running(self) -> list[str]:
        """Names of the functions whose results are still to come."""
        return [call.name for call in self._calls.values() if call.output is None and not call.hosted]

    def items(self, unsettled: Iterable[Turn]) -> list[Item]:
        """Everything that the model has to know again, in order; it counts as told.

        Args:
            unsettled: Turns and marks of the transcript that are not settled yet.
        """
        open_entries = (entry for entry in unsettled if entry.item_id not in self._left_out)
        return [item for entry in (*self._entries, *open_entries) for item in self._items(entry)]

    def _items(self, entry: Turn) -> Iterator[Item]:
        text = self._scrub(entry.text)
        if entry.speaker == MARK:
            yield from self._told(entry.item_id)
        elif entry.speaker == "agent" and text:
            yield assistant_message(text)
        elif entry.speaker == "caller" and text:
            yield user_message(text)
        elif text[:1] in KEYS:
            yield user_message(as_text(text))

    def _told(self, call_id: str) -> Iterator[Item]:
        call = self._calls.get(call_id)
        if call is None or call.output is None:
            return  # a call without its output confuses later turns (§5.1): it is told with it
        # Those that OpenAI made itself cannot be told as such; as these they are what they were: data, and no order.
        yield self._call_item(call)
        yield FunctionCallOutputItem(call_id=call.told_as, output=self._scrub(call.output))

    def _call_item(self, call: _Call) -> FunctionCallItem:
        call.lost = False
        return FunctionCallItem(call_id=call.told_as, name=call.name, arguments=self._scrub(call.arguments))
