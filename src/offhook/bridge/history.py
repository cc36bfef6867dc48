"""What a new Realtime session is told of the conversation: nothing of the old one survives (openai-realtime.md §7).

Turns are told as they were heard, function calls together with their results: who forgets that a slot was booked books
it twice. Everything stands in the order of the conversation. Bounds: of a long talk the oldest turns are left out
first, calls only when there are no turns left.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from offhook.bridge.commands import Turn
from offhook.bridge.keypad import as_text
from offhook.bridge.transcript import MARK
from offhook.realtime import assistant_message, system_message, user_message
from offhook.realtime.items import FunctionCallItem, FunctionCallOutputItem, Item, McpCallItem
from offhook.realtime.wire import given

KEYS = frozenset("0123456789*#ABCD")
MAX_ENTRIES = 200
"""Turns and calls that are remembered."""
MAX_SIZE = 60_000
"""Characters of all of them together."""
MAX_RESULT = 4_000
"""Characters of the result of a call that OpenAI made itself."""


class _Call(msgspec.Struct):
    """A function call, or one that OpenAI made itself at an MCP server."""

    name: str
    arguments: str
    output: str | None = None
    hosted: bool = False
    lost: bool = False
    """The session that it was made in is gone, and no other knows of it."""

    @property
    def size(self) -> int:
        return len(self.arguments) + len(self.output or "")


class History:
    """The memory of one call.

    Args:
        scrub: Takes secrets out of texts.
    """

    def __init__(self, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._entries: list[Turn] = []  # calls are entries by their marks
        self._calls: dict[str, _Call] = {}
        self._size = 0

    def add(self, entry: Turn) -> None:
        """A turn is settled, or the mark of a call is reached."""
        self._entries.append(entry)
        self._size += _size(entry)
        while len(self._entries) > MAX_ENTRIES or (self._size > MAX_SIZE and len(self._entries) > 1):
            self._drop(next((one for one in self._entries if one.speaker != MARK), self._entries[0]))

    def _drop(self, entry: Turn) -> None:
        self._entries.remove(entry)
        self._size -= _size(entry)
        if entry.speaker == MARK and (call := self._calls.pop(entry.item_id, None)) is not None:
            self._size -= len(call.output or "")

    def call(self, call_id: str, name: str, arguments: str, *, hosted: bool = False) -> Turn:
        """A call is made; returns its mark for the transcript."""
        self._calls[call_id] = _Call(name, arguments, hosted=hosted)
        return Turn(speaker=MARK, text=arguments, item_id=call_id)

    def output(self, call_id: str, output: str) -> None:
        """What came of a call; ignored for one that is not known."""
        call = self._calls.get(call_id)
        if call is not None and call.output is None:
            call.output = output
            self._size += len(output)

    def session_lost(self, result: Callable[[str], McpCallItem | None]) -> None:
        """No session knows of any of these calls; `result` gives what came of those that OpenAI made itself."""
        for call_id, call in self._calls.items():
            call.lost = True
            made = result(call_id) if call.hosted else None
            if made is not None:
                call.arguments = made.arguments
                self.output(call_id, (given(made.output) or "failed")[:MAX_RESULT])

    def owed(self, call_id: str) -> FunctionCallItem | None:
        """The call that has to be told again before its output can be; None if the session knows it."""
        call = self._calls.get(call_id)
        return self._call_item(call_id, call) if call is not None and call.lost else None

    def running(self) -> list[str]:
        """Names of the functions whose results are still to come."""
        return [call.name for call in self._calls.values() if call.output is None and not call.hosted]

    def items(self, unsettled: Iterable[Turn]) -> list[Item]:
        """Everything that the model has to know again, in order; it counts as told.

        Args:
            unsettled: Turns and marks of the transcript that are not settled yet.
        """
        return [item for entry in (*self._entries, *unsettled) for item in self._items(entry)]

    def _items(self, entry: Turn) -> Iterator[Item]:
        text = self._scrub(entry.text)
        if entry.speaker == MARK:
            yield from self._told(entry.item_id)
        elif entry.speaker == "agent" and text:
            yield assistant_message(text)
        elif entry.speaker == "caller" and text:
            yield user_message(text)
        elif text[:1] in KEYS:
            yield user_message(as_text(text))  # what stands for secret digits is told by the call that asked for them

    def _told(self, call_id: str) -> Iterator[Item]:
        call = self._calls.get(call_id)
        if call is None or call.output is None:
            return  # a call without its output confuses later turns (§5.1): it is told with it
        call.lost = False
        output = self._scrub(call.output)
        if call.hosted:
            arguments = self._scrub(call.arguments)
            yield system_message(f"The tool {call.name} was called with {arguments}. Its result: {output}")
        else:
            yield self._call_item(call_id, call)
            yield FunctionCallOutputItem(call_id=call_id, output=output)

    def _call_item(self, call_id: str, call: _Call) -> FunctionCallItem:
        call.lost = False
        return FunctionCallItem(call_id=call_id, name=call.name, arguments=self._scrub(call.arguments))


def _size(entry: Turn) -> int:
    return len(entry.text)
