"""A small server that keeps the rules a client can break: one active response, outputs after their call's response."""

from offhook import realtime as rt
from offhook.realtime.requests import read_mark
from tests.unit.realtime.driving import DEFAULTS, call_item

USAGE = rt.ResponseUsage(total_tokens=10, input_tokens=7, output_tokens=3)


class ModelServer:
    """Answers client events into `outbox`; what it says of its own accord is up to the test.

    `violations` collects what no good client does; a lost race ("busy", "not active") is not among them.
    """

    def __init__(self) -> None:
        self.session = DEFAULTS
        self.outbox: list[rt.KnownServerEvent] = []
        self.violations: list[str] = []
        self.outputs: list[str] = []
        self.tokens = 0
        self.active: str | None = None
        self.running: dict[str, dict[str, str] | None] = {}
        self.items: dict[str, list[rt.Item]] = {}
        self.calls: dict[str, str] = {}
        self.anonymous_errors = False
        self._last = 0
        self._updates = 0

    def greet(self) -> None:
        self.outbox.append(rt.SessionCreatedEvent(session=self.session))

    def receive(self, data: bytes) -> None:
        event = rt.decode_client_event(data)
        if isinstance(event, rt.SessionUpdateEvent):
            self._updates += 1
            self.session = rt.merge_config(self.session, event.session)
            self.outbox.append(rt.SessionUpdatedEvent(session=self.session))
        elif self._updates == 0:
            self.violations.append(f"{type(event).__name__} before session.update")
        elif isinstance(event, rt.ResponseCreateEvent):
            self._create(event)
        elif isinstance(event, rt.ResponseCancelEvent):
            self._cancel(event)
        elif isinstance(event, rt.ConversationItemCreateEvent):
            self._item(event)
        else:
            self.violations.append(f"unexpected {type(event).__name__}")

    def vad_create(self, *, tell: bool) -> None:
        """Answer the caller's turn, as turn detection does; `tell=False` loses the response.created."""
        if self.active is None:
            self.active = self._start(None, tell=tell)

    def speak(self, response_id: str) -> None:
        item = rt.MessageItem(id=self._new("item"), status="in_progress", role="assistant")
        self.items[response_id].append(item)
        self.outbox.append(rt.ResponseOutputItemAddedEvent(response_id=response_id, item=item))
        self.outbox.append(
            rt.ResponseOutputAudioDeltaEvent(response_id=response_id, item_id=str(item.id), delta=b"\xff" * 7)
        )

    def call(self, response_id: str) -> None:
        item = call_item(self._new("call"))
        self.items[response_id].append(item)
        self.calls[str(item.call_id)] = response_id
        self.outbox.append(rt.ResponseOutputItemDoneEvent(response_id=response_id, item=item))

    def finish(self, response_id: str, status: str = "completed") -> None:
        metadata = self.running.pop(response_id)
        if self.active == response_id:
            self.active = None
        self.tokens += 10
        response = rt.Response(
            id=response_id,
            status=status,
            output=tuple(self.items.pop(response_id)),
            metadata=metadata,
            usage=USAGE,
        )
        self.outbox.append(rt.ResponseDoneEvent(response=response))

    def _create(self, event: rt.ResponseCreateEvent) -> None:
        assert isinstance(event.response, rt.ResponseParams)
        mark = read_mark(event.response.metadata or None)
        assert mark is not None
        if mark.tag == "bad":
            self._error("invalid_value", event.event_id)
        elif event.response.conversation == "none":
            self._start(event.response.metadata or None, tell=True)
        elif self.active is not None:
            self._error("conversation_already_has_active_response", event.event_id)
        else:
            self.active = self._start(event.response.metadata or None, tell=True)

    def _cancel(self, event: rt.ResponseCancelEvent) -> None:
        response_id = str(event.response_id)
        if response_id in self.running:
            self.finish(response_id, "cancelled")
            self.outbox.append(rt.ResponseOutputAudioDeltaEvent(response_id=response_id, item_id="late", delta=b"\xff"))
        else:
            self._error("response_cancel_not_active", event.event_id)

    def _item(self, event: rt.ConversationItemCreateEvent) -> None:
        assert isinstance(event.item, rt.FunctionCallOutputItem)
        if self.calls[event.item.call_id] in self.running:
            self.violations.append("output before the response was done")
        if event.item.call_id in self.outputs:
            self.violations.append("output twice")
        self.outputs.append(event.item.call_id)

    def _start(self, metadata: dict[str, str] | None, *, tell: bool) -> str:
        response_id = self._new("resp")
        self.running[response_id] = metadata
        self.items[response_id] = []
        if tell:
            response = rt.Response(id=response_id, status="in_progress", metadata=metadata)
            self.outbox.append(rt.ResponseCreatedEvent(response=response))
        return response_id

    def _error(self, code: str, event_id: rt.Maybe[str | None]) -> None:
        known = None if self.anonymous_errors and code != "invalid_value" else event_id or None
        self.outbox.append(rt.ErrorEvent(error=rt.ErrorDetails(code=code, event_id=known)))

    def _new(self, kind: str) -> str:
        self._last += 1
        return f"{kind}_{self._last}"
