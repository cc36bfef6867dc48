"""What the parts of one emulated session share: a way to tell, a way to name, the conversation and the meter."""

from collections.abc import Callable
from dataclasses import dataclass

from offhook.emulator.conversation import Conversation, Entry
from offhook.emulator.hosted_mcp import HostedMcp
from offhook.emulator.tokens import Meter
from offhook.realtime import ConversationItemAddedEvent, ConversationItemDoneEvent, KnownServerEvent


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Passed to every part that tells events."""

    emit: Callable[[KnownServerEvent], None]
    """Sends an event; its `event_id` is filled in there."""
    new_id: Callable[[str], str]
    """Makes an id with a prefix, such as `item`."""
    meter: Meter
    conversation: Conversation
    hosted: HostedMcp

    def add_item(self, entry: Entry, previous_item_id: str | None = None) -> None:
        """Add a whole item to the conversation and tell it.

        Raises:
            Refused: the conversation does not take it.
        """
        previous = self.conversation.add(entry, previous_item_id)
        self.emit(ConversationItemAddedEvent(previous_item_id=previous, item=entry.item))
        self.emit(ConversationItemDoneEvent(previous_item_id=previous, item=entry.item))
