"""The default conversation: its items in order, and what is left of them after truncation (openai-realtime.md §4.3)."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec
import pybase64

from offhook.emulator.formats import BYTES_PER_MS, PCMU
from offhook.emulator.refusals import Refused
from offhook.realtime import (
    UNSET,
    ContentPart,
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    McpListToolsItem,
    MessageItem,
)
from offhook.realtime.wire import given

ROOT: Final = "root"
"""The `previous_item_id` that puts an item in front of all others."""

MAX_ITEMS: Final = 5000
MAX_ID_LENGTH: Final = 32

StoredItem: TypeAlias = (
    MessageItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | McpListToolsItem
    | McpCallItem
    | McpApprovalRequestItem
    | McpApprovalResponseItem
)
"""What a conversation keeps; every item has an `id`."""

_CONTENT: Final = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text",),
}
"""What a client may put into a message; the agent's audio cannot be injected (§5.3, trap 37)."""


@dataclass(slots=True)
class Entry:
    """An item with what the wire does not show of it."""

    item: StoredItem
    spoken: str = ""
    """All that was said in it, whatever the transcript still shows."""
    audio: bytearray = field(default_factory=bytearray)
    audio_kind: str = PCMU
    heard_ms: float | None = None
    """Length of the audio where it is not that of the stored bytes (long turns of the caller)."""
    truncated_ms: int | None = None

    @property
    def id(self) -> str:
        """The item's id."""
        return given(self.item.id) or ""

    @property
    def audio_ms(self) -> float:
        """Milliseconds of audio in the item, before truncation."""
        return len(self.audio) / BYTES_PER_MS[self.audio_kind] if self.heard_ms is None else self.heard_ms

    @property
    def kept_ms(self) -> float:
        """Milliseconds of audio that the model still knows of."""
        return self.audio_ms if self.truncated_ms is None else min(self.audio_ms, self.truncated_ms)

    @property
    def kept_text(self) -> str:
        """What the model still knows to have been said: of truncated audio, the words up to the cut."""
        if self.truncated_ms is None or not self.audio_ms:
            return self.spoken
        cut = round(len(self.spoken) * self.kept_ms / self.audio_ms)
        if cut >= len(self.spoken) or self.spoken[cut] == " ":
            return self.spoken[:cut].rstrip()
        return self.spoken[:cut].rpartition(" ")[0]


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """One turn as the model believes it went."""

    item_id: str
    role: str
    text: str
    audio_ms: float
    truncated: bool


class Conversation:
    """Keeps the items of the default conversation."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._entries: list[Entry] = []
        self._answerable: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> list[Entry]:
        """Return the entries in conversation order."""
        return list(self._entries)

    def find(self, item_id: str) -> Entry | None:
        """Return an entry by the id of its item."""
        return next((entry for entry in reversed(self._entries) if entry.id == item_id), None)

    def last_id(self) -> str | None:
        """Return the id of the last item."""
        return self._entries[-1].id if self._entries else None

    def previous_of(self, item_id: str) -> str | None:
        """Return the id of the item before this one, None at the front or when it is gone."""
        for before, entry in zip([None, *self._entries], self._entries, strict=False):
            if entry.id == item_id:
                return before.id if before is not None else None
        return None

    def add(self, entry: Entry, previous_item_id: str | None = None) -> str | None:
        """Insert an entry after `previous_item_id` (None = at the end) and return the id of the item before it.

        Raises:
            Refused: the id is taken, the item before it does not exist, or there are too many.
        """
        if self.find(entry.id) is not None:
            raise Refused("item_create_duplicate_id", f"Item with id '{entry.id}' already exists.", "item.id")
        if len(self._entries) >= MAX_ITEMS:
            raise Refused("conversation_too_long", f"A conversation holds at most {MAX_ITEMS} items.")
        at = len(self._entries)
        if previous_item_id == ROOT:
            at = 0
        elif previous_item_id is not None:
            ids = [other.id for other in self._entries]
            if previous_item_id not in ids:
                raise Refused(
                    "item_create_invalid_previous_item_id",
                    f"Previous item with id '{previous_item_id}' not found.",
                    "previous_item_id",
                )
            at = ids.index(previous_item_id) + 1
        self._entries.insert(at, entry)
        return self._entries[at - 1].id if at else None

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            Refused: there is no such item.
        """
        self._entries.remove(self._existing(item_id, "delete"))

    def retrieve(self, item_id: str) -> StoredItem:
        """Return an item with its audio.

        Raises:
            Refused: there is no such item.
        """
        entry = self._existing(item_id, "retrieve")
        if not isinstance(entry.item, MessageItem) or not entry.audio:
            return entry.item
        kept = bytes(entry.audio[: round(entry.kept_ms * BYTES_PER_MS[entry.audio_kind])])
        audio = pybase64.b64encode(kept).decode()
        content = tuple(
            msgspec.structs.replace(part, audio=audio) if str(part.type).endswith("_audio") else part
            for part in entry.item.content
        )
        return msgspec.structs.replace(entry.item, content=content)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut the audio of an assistant's item; its transcript goes entirely.

        Raises:
            Refused: no such item, not the agent's audio, or beyond its length.
        """
        entry = self._existing(item_id, "truncate")
        if not isinstance(entry.item, MessageItem) or entry.item.role != "assistant" or not entry.audio:
            raise Refused("unsupported_content_type", "Only model output audio messages can be truncated", "item_id")
        if content_index != 0:
            raise Refused("invalid_value", f"Content index {content_index} does not exist.", "content_index")
        if audio_end_ms < 0:
            raise Refused("integer_below_min_value", "Invalid 'audio_end_ms': expected at least 0.", "audio_end_ms")
        if audio_end_ms > entry.kept_ms:
            raise Refused(
                "invalid_value",
                f"Audio content of {int(entry.kept_ms)}ms is already shorter than {audio_end_ms}ms",
                "audio_end_ms",
            )
        entry.truncated_ms = audio_end_ms
        entry.item = msgspec.structs.replace(entry.item, content=(ContentPart(type="output_audio", transcript=None),))

    def calls_finished(self, call_ids: list[str]) -> None:
        """The response that made these calls is done: their outputs are welcome from now on (§5.1)."""
        self._answerable.update(call_ids)

    def check_new(self, item: Item) -> StoredItem:
        """Return a client's item if it may be added.

        Raises:
            Refused: its content, its id or its call id is not acceptable; a call has one output and no namesake.
        """
        if isinstance(item, MessageItem):
            _check_content(item)
        elif isinstance(item, FunctionCallOutputItem):
            self._check_output(item.call_id)
        elif not isinstance(item, FunctionCallItem | McpApprovalResponseItem):
            raise Refused("invalid_value", "Items of this type cannot be created by a client.", "item.type")
        if len(given(item.id) or "") > MAX_ID_LENGTH:
            raise Refused(
                "string_above_max_length", f"Invalid 'item.id': at most {MAX_ID_LENGTH} characters.", "item.id"
            )
        if isinstance(item, FunctionCallItem):
            call_id = given(item.call_id) or ""
            if call_id in self._calls(FunctionCallItem):
                raise Refused("invalid_value", f"Tool call ID '{call_id}' is taken.", "item.call_id")
            self._answerable.add(call_id)
        return item

    def _check_output(self, call_id: str) -> None:
        """Refuse the output of a call that is not there, not finished, or has its output."""
        if call_id not in self._answerable or call_id not in self._calls(FunctionCallItem):
            text = f"Tool call ID '{call_id}' not found in conversation."
            raise Refused("invalid_tool_call_id", text, "item.call_id")
        if call_id in self._calls(FunctionCallOutputItem):
            raise Refused("invalid_tool_call_id", f"Tool call ID '{call_id}' already has an output.", "item.call_id")

    def _calls(self, kind: type[FunctionCallItem] | type[FunctionCallOutputItem]) -> set[str]:
        """Return the call ids of the items of one kind."""
        return {given(entry.item.call_id) or "" for entry in self._entries if isinstance(entry.item, kind)}

    def heard_history(self) -> list[HeardTurn]:
        """Return the messages as the model believes they were said and heard."""
        return [
            HeardTurn(entry.id, entry.item.role, entry.kept_text, entry.kept_ms, entry.truncated_ms is not None)
            for entry in self._entries
            if isinstance(entry.item, MessageItem)
        ]

    def _existing(self, item_id: str, verb: str) -> Entry:
        entry = self.find(item_id)
        if entry is None:
            raise Refused(
                f"item_{verb}_invalid_item_id",
                f"Error: could not {verb} item, the item with id '{item_id}' does not exist.",
                "item_id",
            )
        return entry


def message_text(item: MessageItem) -> str:
    """Return the text parts of a message, joined."""
    return " ".join(filter(None, (given(part.text) for part in item.content)))


def user_audio_item(item_id: str, transcript: str | None = None) -> MessageItem:
    """Return the item of a committed turn of the caller."""
    return MessageItem(
        id=item_id,
        object="realtime.item",
        status="completed",
        role="user",
        content=(ContentPart(type="input_audio", transcript=transcript),),
    )


def _check_content(item: MessageItem) -> None:
    allowed = _CONTENT.get(item.role)
    if allowed is None:
        raise Refused("invalid_value", f"Invalid value: '{item.role}'.", "item.role")
    if not item.content:
        raise Refused("missing_required_parameter", "Missing required parameter: 'item.content'.", "item.content")
    for n, part in enumerate(item.content):
        if part.type not in allowed:
            names = " and ".join(f"'{name}'" for name in allowed)
            shown = "" if part.type is UNSET else part.type
            raise Refused(
                "invalid_value",
                f"Invalid value: '{shown}'. Supported values are: {names}.",
                f"item.content[{n}].type",
            )
        if str(part.type).endswith("_text") and given(part.text) is None:
            param = f"item.content[{n}].text"
            raise Refused("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
