"""One item of a response while it is being generated, and the events that tell of it (openai-realtime.md §11)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from offhook.emulator.conversation import Conversation, Entry, StoredItem
from offhook.emulator.formats import BYTES_PER_MS
from offhook.emulator.plan import Output
from offhook.emulator.tokens import ITEM_OVERHEAD, text_tokens
from offhook.realtime import (
    ContentPart,
    ConversationItemAddedEvent,
    ConversationItemDoneEvent,
    FunctionCallItem,
    KnownServerEvent,
    MessageItem,
    Part,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseOutputAudioDeltaEvent,
    ResponseOutputAudioDoneEvent,
    ResponseOutputAudioTranscriptDeltaEvent,
    ResponseOutputAudioTranscriptDoneEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputTextDeltaEvent,
    ResponseOutputTextDoneEvent,
)

Emit = Callable[[KnownServerEvent], None]

Status = Literal["in_progress", "completed", "incomplete"]


@dataclass(slots=True)
class OutputItem:
    """Grows by words, sound or arguments; tells each step by an event.

    `conversation` is None for out-of-band responses, whose items are told of in the response only (§5.5).
    """

    output: Output
    response_id: str
    index: int
    item_id: str
    call_id: str
    kind: str
    emit: Emit
    conversation: Conversation | None
    status: Status | None = None
    """None before it begins."""
    text: str = ""
    audio_bytes: int = 0
    _entry: Entry | None = None

    @property
    def open(self) -> bool:
        """Whether it has begun and not ended."""
        return self.status == "in_progress"

    @property
    def is_call(self) -> bool:
        """Whether it is a function call."""
        return self.output.kind == "call"

    @property
    def is_message(self) -> bool:
        """Whether it is something that the agent says or writes."""
        return self.output.kind in ("audio", "text")

    @property
    def audio_ms(self) -> float:
        """Milliseconds of audio sent."""
        return self.audio_bytes / BYTES_PER_MS[self.kind]

    @property
    def tokens(self) -> int:
        """Output tokens of its text."""
        return text_tokens(self.text + self.output.name) + ITEM_OVERHEAD if self.status else 0

    def begin(self) -> None:
        """Tell that the item exists; it has no content yet."""
        self.status = "in_progress"
        item = self.item()
        self.emit(ResponseOutputItemAddedEvent(response_id=self.response_id, output_index=self.index, item=item))
        if self.conversation is not None:
            self._entry = Entry(item, audio_kind=self.kind)
            previous = self.conversation.add(self._entry)
            self.emit(ConversationItemAddedEvent(previous_item_id=previous, item=item))
        if self.is_message:
            spoken = self.output.kind == "audio"
            self.emit(
                ResponseContentPartAddedEvent(
                    response_id=self.response_id,
                    item_id=self.item_id,
                    output_index=self.index,
                    part=Part(type="audio", transcript="") if spoken else Part(type="text", text=""),
                )
            )

    def add_words(self, text: str) -> None:
        """Go on with the text or the transcript."""
        self.text += text
        if self._entry is not None:
            self._entry.spoken = self.text
        spoken = self.output.kind == "audio"
        event = ResponseOutputAudioTranscriptDeltaEvent if spoken else ResponseOutputTextDeltaEvent
        self.emit(event(response_id=self.response_id, item_id=self.item_id, output_index=self.index, delta=text))

    def add_sound(self, audio: bytes) -> None:
        """Go on with the audio."""
        self.audio_bytes += len(audio)
        if self._entry is not None:
            self._entry.audio += audio
        self.emit(
            ResponseOutputAudioDeltaEvent(
                response_id=self.response_id, item_id=self.item_id, output_index=self.index, delta=audio
            )
        )

    def add_arguments(self, text: str) -> None:
        """Go on with the arguments of the call."""
        self.text += text
        self.emit(
            ResponseFunctionCallArgumentsDeltaEvent(
                response_id=self.response_id,
                item_id=self.item_id,
                output_index=self.index,
                call_id=self.call_id,
                delta=text,
            )
        )

    def end(self, status: Literal["completed", "incomplete"]) -> None:
        """Close the item: its parts first, then in the response, then in the conversation."""
        self._end_content(status)
        self.status = status
        item = self.item()
        self.emit(ResponseOutputItemDoneEvent(response_id=self.response_id, output_index=self.index, item=item))
        self._keep(item)

    def _end_content(self, status: Literal["completed", "incomplete"]) -> None:
        if self.is_call:
            self.emit(
                ResponseFunctionCallArgumentsDoneEvent(
                    response_id=self.response_id,
                    item_id=self.item_id,
                    output_index=self.index,
                    call_id=self.call_id,
                    name=self.output.name,
                    arguments=self.text,
                )
            )
        else:
            self._end_part()

    def _keep(self, item: StoredItem) -> None:
        """Close the item in the conversation, if it is still there."""
        if self._entry is None or self.conversation is None or self.conversation.find(self.item_id) is None:
            return
        if self._entry.truncated_ms is None:
            self._entry.item = item
        else:  # the transcript stays gone
            self._entry.item = msgspec.structs.replace(self._entry.item, status=self.status)
        previous = self.conversation.previous_of(self.item_id)
        self.emit(ConversationItemDoneEvent(previous_item_id=previous, item=item))

    def item(self) -> StoredItem:
        """Return the item as it stands; a message has no content while it is in progress."""
        if self.is_call:
            return FunctionCallItem(
                id=self.item_id,
                object="realtime.item",
                status=self.status,
                name=self.output.name,
                call_id=self.call_id,
                arguments=self.text,
            )
        content: tuple[ContentPart, ...] = ()
        if not self.open:
            spoken = self.output.kind == "audio"
            audio = ContentPart(type="output_audio", transcript=self.text)
            content = (audio if spoken else ContentPart(type="output_text", text=self.text),)
        return MessageItem(
            id=self.item_id, object="realtime.item", status=self.status, role="assistant", content=content
        )

    def _end_part(self) -> None:
        response_id, item_id, index = self.response_id, self.item_id, self.index
        if self.output.kind == "audio":
            part = Part(type="audio", transcript=self.text)
            self.emit(ResponseOutputAudioDoneEvent(response_id=response_id, item_id=item_id, output_index=index))
            self.emit(
                ResponseOutputAudioTranscriptDoneEvent(
                    response_id=response_id, item_id=item_id, output_index=index, transcript=self.text
                )
            )
        else:
            part = Part(type="text", text=self.text)
            self.emit(
                ResponseOutputTextDoneEvent(
                    response_id=response_id, item_id=item_id, output_index=index, text=self.text
                )
            )
        self.emit(ResponseContentPartDoneEvent(response_id=response_id, item_id=item_id, output_index=index, part=part))
