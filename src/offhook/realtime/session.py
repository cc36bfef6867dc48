"""One Realtime session: server text in, events and client events out, time as an argument (tables: state.py)."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from offhook.realtime import server_events as wire
from offhook.realtime.client_events import (
    ClientEvent,
    ConversationItemCreateEvent,
    ConversationItemDeleteEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferClearEvent,
    SessionUpdateEvent,
)
from offhook.realtime.codec import decode_server_event, encode_append, encode_client_event
from offhook.realtime.config import Session, SessionConfig
from offhook.realtime.echo import check_echo, names_format
from offhook.realtime.errors import (
    CODES,
    LocalError,
    MalformedEvent,
    Severity,
    bounded,
    close_is_retryable,
    safe_code,
    severity,
)
from offhook.realtime.events import (
    AudioDelta,
    ErrorReceived,
    InputTranscriptCompleted,
    ItemAdded,
    OutputItemStarted,
    RealtimeEvent,
    ResponseEnded,
    SessionLost,
    SessionReady,
    SessionRefused,
)
from offhook.realtime.function_calls import FunctionCallLedger
from offhook.realtime.hosted_mcp import MCP_EVENTS, McpEvent, McpLedger
from offhook.realtime.items import FunctionCallItem, Item, McpApprovalResponseItem, McpCallItem, MessageItem, item_kind
from offhook.realtime.requests import ResponseRequest
from offhook.realtime.sequencer import ResponseSequencer
from offhook.realtime.state import SESSION_TABLE, SessionInput, SessionState
from offhook.realtime.translate import TRANSLATIONS
from offhook.realtime.usage import UsageTotals, token_usage
from offhook.realtime.wire import given

SETUP_TIMEOUT: Final = 10.0
"""Seconds for each of session.created and session.updated."""


class RealtimeSession:
    """The client's side of a session.

    The owner calls `connected` when the socket is open (`adopt` when its session is a warm one), feeds `receive_text`
    and `receive_eof`, takes `events()` and writes `data_to_send()`, one text frame per entry. Sending before the
    session is READY raises `LocalError`; after it is CLOSED, sending does nothing, since an owner may still be working
    through events of better times.

    Args:
        config: The settings of the call; sent once, and both audio formats and the voice must be echoed.
        setup_timeout: Seconds for the server to create, and again to confirm, the session.
    """

    def __init__(self, config: SessionConfig, *, setup_timeout: float = SETUP_TIMEOUT):
        self.config = config
        self.state = SessionState.CONNECTING
        self.usage = UsageTotals()
        self.session_id: str | None = None
        self.expires_at: int | None = None
        self._setup_timeout = setup_timeout
        self._deadline: float | None = None
        self._unconfirmed: str | None = None
        """Event id of the session.update of an adopted session, until the server has confirmed it."""
        self._events: list[RealtimeEvent] = []
        self._out: list[bytes] = []
        self._last_id = 0
        self._fatal = False
        self._calls = FunctionCallLedger()
        self._mcp = McpLedger()
        self._items: set[str] = set()
        self._sequencer = ResponseSequencer(self._new_event_id, self._send, self._emit)
        self._reactions: dict[type, Callable[[Any, float], None]] = {
            wire.SessionCreatedEvent: self._on_created,
            wire.SessionUpdatedEvent: self._on_updated,
            wire.ErrorEvent: self._on_error,
            wire.ResponseCreatedEvent: self._on_response_created,
            wire.ResponseDoneEvent: self._on_response_done,
            wire.ResponseOutputItemAddedEvent: self._on_output_item_added,
            wire.ResponseOutputItemDoneEvent: self._on_output_item_done,
            wire.ConversationItemAddedEvent: self._on_item_added,
            wire.ConversationItemCreatedEvent: self._on_item_added,
            **dict.fromkeys(MCP_EVENTS, self._on_mcp),
            wire.InputAudioTranscriptionCompletedEvent: self._on_transcript,
        }

    @property
    def active_response_id(self) -> str | None:
        """The running response of the default conversation, as far as the server has told."""
        return self._sequencer.active_response_id

    @property
    def pending_tags(self) -> tuple[str, ...]:
        """Tags of the requests that are still wanted and have not become a response of the default conversation."""
        return self._sequencer.pending_tags

    # --- what comes in

    def connected(self, now: float) -> None:
        """Take note that the socket is open; session.created is due within the setup timeout."""
        if self._move(SessionInput.SOCKET_OPENED):
            self._deadline = now + self._setup_timeout

    def adopt(self, created: bytes | str, now: float) -> None:
        """Take over a session that the server has created, and somebody has configured for the same agent.

        In place of `connected`. The session is READY at once, on approval (state.py): its settings go out before all
        else, and are to be confirmed within the setup timeout.

        Args:
            created: The server's `session.created`.
            now: Monotonic seconds.

        Raises:
            LocalError: It is no session.created.
            MalformedEvent: It is no event at all.
        """
        event = decode_server_event(created)
        if not isinstance(event, wire.SessionCreatedEvent):
            raise LocalError("only a session that was created can be adopted")
        if self._move(SessionInput.ADOPTED):
            self._note_session(event.session)
            self._unconfirmed = self._new_event_id()
            self._send(SessionUpdateEvent(event_id=self._unconfirmed, session=self.config))
            self._deadline = now + self._setup_timeout
            self._emit(SessionReady(self.session_id, self.expires_at, event.session))

    def receive_text(self, data: bytes | str, now: float) -> None:
        """Take one text frame of the server; never raises."""
        if self.state is SessionState.CLOSED:
            return
        try:
            event = decode_server_event(data)
        except MalformedEvent as error:
            self._emit(ErrorReceived(error.code, CODES[error.code], None, False, error.problem))
            return
        if type(event) is wire.ResponseOutputAudioDeltaEvent and self.state is SessionState.READY:
            self._sequencer.ledger.audio_received(event.response_id)
            self._events.append(AudioDelta(event.response_id, event.item_id, event.content_index, event.delta))
            return
        self.connected(now)  # who speaks is connected
        reaction = self._reactions.get(type(event))
        if reaction is not None:
            reaction(event, now)
        elif (translation := TRANSLATIONS.get(type(event))) is not None:
            self._emit(translation(event))

    def receive_eof(self, code: int | None, reason: str, now: float) -> None:
        """Take note that the socket is gone, with or without a close frame (§7, trap 23)."""
        if self._move(SessionInput.ENDED):
            retryable = not self._fatal and close_is_retryable(code, reason)
            self._emit(SessionLost(code, bounded(reason), retryable))

    def close(self) -> None:
        """End the session from our side: what still arrives is ignored, and the end of the socket is no loss."""
        self._move(SessionInput.ENDED)

    # --- what comes out

    def events(self) -> list[RealtimeEvent]:
        """Return what happened since the last call."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[bytes]:
        """Return the text frames to write since the last call, in order."""
        out, self._out = self._out, []
        return out

    # --- timers

    def next_timer(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        if self.state is SessionState.CLOSED:
            return None
        timers = [timer for timer in (self._deadline, self._sequencer.next_timer()) if timer is not None]
        return min(timers, default=None)

    def handle_timer(self, now: float) -> None:
        """Act on what is overdue."""
        if self.state is SessionState.CLOSED:
            return
        if self._deadline is not None and self._deadline <= now:
            self._refuse("OH-RT-02" if self.state is SessionState.CREATING else "OH-RT-03", fatal=False)
            return
        self._sequencer.handle_timer(now)

    # --- what the owner can do

    def send_audio(self, audio: bytes) -> None:
        """Send caller audio in the session's input format, at most 15 MiB; nothing acknowledges it."""
        if self._may_send():
            self._out.append(encode_append(audio))

    def clear_input(self) -> None:
        """Drop the caller audio that is not committed yet."""
        self._act(InputAudioBufferClearEvent(event_id=self._new_event_id()))

    def send_item(self, item: Item, previous_item_id: str | None = None) -> str:
        """Add an item, at the end or after another ("root" = in front); returns the event id."""
        event_id = self._new_event_id()
        place = msgspec.UNSET if previous_item_id is None else previous_item_id
        self._act(ConversationItemCreateEvent(event_id=event_id, previous_item_id=place, item=item))
        return event_id

    def truncate_item(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut an item of the agent to what was heard, in ms of its audio (§4.3); too long a cut is a benign error."""
        self._act(
            ConversationItemTruncateEvent(
                event_id=self._new_event_id(),
                item_id=item_id,
                content_index=content_index,
                audio_end_ms=max(0, audio_end_ms),
            )
        )

    def delete_item(self, item_id: str) -> None:
        """Remove an item, such as speech that nobody heard (§4.2)."""
        self._act(ConversationItemDeleteEvent(event_id=self._new_event_id(), item_id=item_id))

    def send_function_output(self, call_id: str, output: str) -> None:
        """Give the result of a function call; it leaves when the response that made the call is done (trap 21)."""
        if self._may_send():
            event = self._calls.output(call_id, output)
            if event is not None:
                self._send_output(event)

    def answer_approval(self, approval_request_id: str, approve: bool, reason: str | None = None) -> str:
        """Give leave for an MCP call, or deny it; with leave the server makes the call by itself (§5.4).

        Args:
            approval_request_id: The item of `McpApprovalRequested`.
            approve: Whether the call may be made.
            reason: Why not, for the model.

        Returns:
            The id of the item that is the answer; its `ItemAdded` tells that the server has taken it.
        """
        item_id = self._new_event_id()
        why = msgspec.UNSET if reason is None else reason
        self.send_item(
            McpApprovalResponseItem(id=item_id, approval_request_id=approval_request_id, approve=approve, reason=why)
        )
        return item_id

    def mcp_result(self, item_id: str) -> McpCallItem | None:
        """Return an MCP call that the server has made, with its outcome as far as that was told."""
        return self._mcp.result(item_id)

    def update_session(self, update: SessionConfig) -> None:
        """Change some settings of the running session; the audio formats stay, and the voice after the first audio.

        Raises:
            LocalError: The update names an audio format: audio on its way would turn into noise.
        """
        if names_format(update):
            raise LocalError("the audio formats of a running session stay")
        if self._may_send():
            self._send(SessionUpdateEvent(event_id=self._new_event_id(), session=update))

    def request_response(self, request: ResponseRequest, now: float) -> None:
        """Ask for a response; `ResponseStarted` or `ResponseRefused` answers (sequencer.py)."""
        if self._may_send():
            self._sequencer.request(request, now)

    def withdraw_response(self, tag: str) -> bool:
        """Take back requests with this tag that have not become a response; returns whether there were any."""
        return self._may_send() and self._sequencer.withdraw(tag)

    def cancel_response(self, now: float) -> None:
        """Stop the running response, or the requested one as soon as it exists (§4.6)."""
        if self._may_send():
            self._sequencer.cancel(now)

    # --- reactions to server events

    def _on_created(self, event: wire.SessionCreatedEvent, now: float) -> None:
        if self._move(SessionInput.CREATED):
            self._note_session(event.session)
            self._send(SessionUpdateEvent(event_id=self._new_event_id(), session=self.config))
            self._deadline = now + self._setup_timeout

    def _on_updated(self, event: wire.SessionUpdatedEvent, now: float) -> None:
        if self.state not in (SessionState.CONFIGURING, SessionState.READY):
            return
        self._note_session(event.session)
        if self.state is SessionState.READY and self._unconfirmed is None:
            # The voice may have been changed by an update; the formats never may.
            mismatch = check_echo(self.config, event.session, voice=False)
            if mismatch is not None:
                self._emit(ErrorReceived(mismatch.code, mismatch.message, None, True))
            return
        mismatch = check_echo(self.config, event.session)
        if mismatch is not None:
            self._refuse(mismatch.code, fatal=True, message=mismatch.message)
            return
        self._deadline = self._unconfirmed = None
        if self._move(SessionInput.UPDATED):
            self._emit(SessionReady(self.session_id, self.expires_at, event.session))

    def _on_error(self, event: wire.ErrorEvent, now: float) -> None:
        error = event.error
        grade = severity(error.code, error.type)
        if self.state is not SessionState.READY or self._answers_update(error.event_id, grade):
            refusal = "OH-RT-08" if self.state is SessionState.CREATING else "OH-RT-06"
            code = {Severity.FATAL: "OH-RT-07", Severity.RETRYABLE: "OH-RT-08"}.get(grade, refusal)
            self._refuse(code, fatal=code != "OH-RT-08", server_code=safe_code(error.code))
            return
        fatal = grade is Severity.FATAL
        self._fatal = self._fatal or fatal
        message = CODES["OH-RT-07" if fatal else "OH-RT-09"]
        self._emit(ErrorReceived(safe_code(error.code), message, error.event_id, fatal, bounded(error.message)))
        self._sequencer.error(error, now)

    def _answers_update(self, event_id: str | None, grade: Severity) -> bool:
        """Tell whether an error is about the update of an adopted session; errors do not always say (§7)."""
        if self._unconfirmed is None:
            return False
        return event_id == self._unconfirmed or (event_id is None and grade is not Severity.BENIGN)

    def _on_response_created(self, event: wire.ResponseCreatedEvent, now: float) -> None:
        self._sequencer.created(event.response, now)

    def _on_response_done(self, event: wire.ResponseDoneEvent, now: float) -> None:
        if event.response.usage is not None:
            # Also of a response that was counted as over before: it is billed (§6).
            self.usage = self.usage.with_response(token_usage(event.response.usage))
        self._sequencer.done(event.response)
        self._sequencer.advance(now)

    def _on_output_item_added(self, event: wire.ResponseOutputItemAddedEvent, now: float) -> None:
        item_id = given(event.item.id) or ""
        self._sequencer.ledger.item_started(event.response_id, item_id)
        self._mcp.item_seen(event.item, event.response_id)
        self._emit(OutputItemStarted(event.response_id, item_id, item_kind(event.item), event.output_index))

    def _on_output_item_done(self, event: wire.ResponseOutputItemDoneEvent, now: float) -> None:
        if isinstance(event.item, FunctionCallItem):
            running = not self._sequencer.ledger.has_ended(event.response_id)
            call = self._calls.ready(event.response_id, event.item, running=running)
            self._report(call)
        else:
            self._report(self._mcp.item_done(event.item, event.response_id))

    def _on_item_added(
        self, event: wire.ConversationItemAddedEvent | wire.ConversationItemCreatedEvent, now: float
    ) -> None:
        item_id = given(event.item.id) or ""
        if item_id not in self._items:  # some servers send both names (§2.2)
            self._items.add(item_id)
            self._mcp.item_seen(event.item)
            role = event.item.role if isinstance(event.item, MessageItem) else None
            self._emit(ItemAdded(item_id, event.previous_item_id, item_kind(event.item), role))

    def _on_mcp(self, event: McpEvent, now: float) -> None:
        self._report(self._mcp.receive(event))

    def _on_transcript(self, event: wire.InputAudioTranscriptionCompletedEvent, now: float) -> None:
        usage = given(event.usage)
        if usage is not None:
            self.usage = self.usage.with_transcription(usage)
        self._emit(InputTranscriptCompleted(event.item_id, event.transcript))

    # --- inner workings

    def _note_session(self, session: Session) -> None:
        self.session_id = given(session.id) or self.session_id
        self.expires_at = given(session.expires_at) or self.expires_at

    def _move(self, what: SessionInput) -> bool:
        """Take a step of the table; False when it is none."""
        state = SESSION_TABLE.get((self.state, what))
        if state is None:
            return False
        self.state = state
        return True

    def _refuse(self, code: str, *, fatal: bool, message: str | None = None, server_code: str | None = None) -> None:
        self._emit(SessionRefused(code, message or CODES[code], fatal, server_code))
        self._move(SessionInput.ENDED)

    def _may_send(self) -> bool:
        if self.state in (SessionState.READY, SessionState.CLOSED):
            return self.state is SessionState.READY
        raise LocalError("the session is not ready")

    def _act(self, event: ClientEvent) -> None:
        if self._may_send():
            self._send(event)

    def _send(self, event: ClientEvent) -> None:
        self._out.append(encode_client_event(event))

    def _send_output(self, event: ConversationItemCreateEvent) -> None:
        self._send(msgspec.structs.replace(event, event_id=self._new_event_id()))

    def _emit(self, event: RealtimeEvent) -> None:
        self._events.append(event)
        if isinstance(event, ResponseEnded):
            # Before the next response.create, so that it sees the outputs (§5.1).
            for output in self._calls.response_ended(event.response_id):
                self._send_output(output)

    def _report(self, event: RealtimeEvent | None) -> None:
        """Emit an event, if there is one."""
        if event is not None:
            self._emit(event)

    def _new_event_id(self) -> str:
        self._last_id += 1
        return f"oh_{self._last_id}"
