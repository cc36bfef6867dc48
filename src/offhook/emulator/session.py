"""The emulated Realtime session: client events in, server events out, time and bytes as arguments.

`caller` finds the caller's turns, `script` knows what to say, `responses` says it, `conversation` keeps it; this module
joins them and holds the life of the session. No I/O, no clock, chance only from the seed.
"""

import random
import string
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import msgspec

from offhook.emulator.caller import Caller
from offhook.emulator.conversation import Conversation, Entry, HeardTurn, message_text
from offhook.emulator.hosted_mcp import HostedMcp
from offhook.emulator.parsing import event_id, parse
from offhook.emulator.plan import NEVER
from offhook.emulator.refusals import Refused
from offhook.emulator.responses import Responses
from offhook.emulator.scenario import Handshake, Loss, Scenario, Turn
from offhook.emulator.script import Script
from offhook.emulator.settings import Settings
from offhook.emulator.surroundings import Surroundings
from offhook.emulator.tokens import Meter
from offhook.realtime import (
    ClientEvent,
    ConversationItemCreateEvent,
    ConversationItemDeletedEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrievedEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncatedEvent,
    ConversationItemTruncateEvent,
    ErrorDetails,
    ErrorEvent,
    FunctionCallOutputItem,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearedEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    KnownServerEvent,
    McpApprovalResponseItem,
    MessageItem,
    OutputAudioBufferClearEvent,
    ResponseCancelEvent,
    ResponseContentPartAddedEvent,
    ResponseCreateEvent,
    ResponseParams,
    SessionCreatedEvent,
    SessionUpdatedEvent,
    SessionUpdateEvent,
    encode_server_event,
)
from offhook.realtime.wire import given

MAX_LOG: Final = 20_000
MAX_WAITING: Final = 1000
EXPIRED: Final = "Your session hit the maximum duration of 60 minutes."
LOST: Final = "The server had an error while processing your request. Sorry about that!"

_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


class SpeechSource(Protocol):
    """Where the sound of a text comes from, at once; `offhook.speech.Speech` is one."""

    def clip(self, text: str) -> bytes:
        """Return 8 kHz µ-law."""
        ...


class Received(NamedTuple):
    """A client event with the time of its arrival; audio is only counted (`EmulatorSession.received_audio_ms`)."""

    at: float
    event: ClientEvent


class EmulatorSession:
    """One session, from `connected` until it wants to close.

    Args:
        scenario: what the agent says and what goes wrong.
        speech: the sound of what it says.
        seed: chance, in addition to the scenario's own seed.
        model: the `model` of the URL.
        connection: which connection of the emulator this is (from 0), for faults that differ.
        handshake: takes the place of the scenario's.
        unix_time: the wall clock at `connected`, for `expires_at`.
    """

    def __init__(
        self,
        scenario: Scenario,
        speech: SpeechSource,
        *,
        seed: int = 0,
        model: str = "gpt-realtime-2.1",
        connection: int = 0,
        handshake: Handshake | None = None,
        unix_time: float = 0.0,
    ) -> None:
        self.scenario = scenario
        self.model = model
        self._ids = random.Random(f"{scenario.seed}/{seed}/ids")  # noqa: S311 - repeatable on purpose
        rng = random.Random(f"{scenario.seed}/{seed}/bursts")  # noqa: S311
        self._handshake = scenario.handshake_of(connection) if handshake is None else handshake
        self._loss = scenario.loss_of(connection)
        self.conversation = Conversation(self._new_id("conv"))
        self.settings = Settings(self._new_id("sess"), model, int(unix_time + scenario.lifetime))
        self._script = Script(scenario)
        self._hosted = HostedMcp(scenario, self._emit, self._new_id, self.conversation, self._script.tool_answered)
        self._around = Surroundings(self._emit, self._new_id, Meter(), self.conversation, self._hosted)
        self._responses = Responses(scenario, self.settings, self._script, self._around, speech.clip, rng)
        self._caller = Caller(scenario, self.settings, self._script, self._responses, self._around, self._refuse)
        self._out: list[bytes] = []
        self._waiting: list[bytes | str] = []
        self._created = False
        self._created_at = self._expires_at = self._lost_at = NEVER
        self.silent = False
        self.close_code: int | None = None
        self.close_reason = ""
        self.received: deque[Received] = deque(maxlen=MAX_LOG)
        self.errors: deque[ErrorDetails] = deque(maxlen=MAX_LOG)

    def connected(self, now: float) -> None:
        """The socket is open."""
        self._expires_at = now + self.scenario.lifetime
        if self._loss is not None:
            self._lost_at = now + self._loss.after
        match self._handshake.close:
            case 3000:
                self._close(3000, "invalid_request_error.invalid_api_key")
            case 4000:
                self.refuse_beta_shape()
            case _ if self._handshake.created:
                self._created_at = now + self._handshake.created_after
        self.handle_timer(now)

    def refuse_beta_shape(self) -> None:
        """Turn away a client that sends the header of the beta API (openai-realtime.md §1.2)."""
        text = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
        self._error(ErrorDetails(type="invalid_request_error", code="beta_api_shape_disabled", message=text))
        self._close(4000, "invalid_request_error.beta_api_shape_disabled")

    def receive_text(self, data: bytes | str, now: float) -> None:
        """A message of the client arrived; before `session.created` it waits."""
        self.handle_timer(now)
        if self.close_code is not None or self.silent:
            return
        if not self._created:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(data)
            return
        self._receive(data, now)

    def lose(self, loss: Loss, now: float) -> None:
        """Be lost so many seconds from now, in the place of what the scenario says."""
        self._loss, self._lost_at = loss, now + loss.after
        self.handle_timer(now)

    def interject(self, turn: Turn) -> None:
        """Answer next with this turn, before those of the scenario."""
        self._script.interject(turn)

    def receive_eof(self, now: float) -> None:
        """The socket is gone: nothing more happens."""
        self.handle_timer(now)
        self._created_at = self._expires_at = self._lost_at = NEVER
        if self.close_code is None:
            self._close(1000, "")

    def data_to_send(self) -> list[bytes]:
        """Return the messages to send, in order."""
        out, self._out = self._out, []
        return out

    def next_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None when there is nothing to wait for."""
        if self.close_code is not None or self.silent:
            return None
        times = [self._created_at, self._expires_at, self._lost_at]
        at = min(*times, self._next_at())
        return None if at == NEVER else at

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.close_code is not None or self.silent:
            return
        if now >= self._created_at:
            self._create(now)
        self._run(now)
        if now >= self._lost_at:
            self._lose()
        elif now >= self._expires_at:
            self._error(ErrorDetails(type="invalid_request_error", code="session_expired", message=EXPIRED))
            self._close(1001, EXPIRED)

    @property
    def received_audio_ms(self) -> float:
        """Milliseconds of audio received: the session's audio clock."""
        return self._caller.received_ms

    @property
    def active_response_id(self) -> str | None:
        """Id of the response in the default conversation that is not done."""
        return self._responses.active.id if self._responses.active is not None else None

    def heard_history(self) -> list[HeardTurn]:
        """Return what the model believes was said: truncated turns up to their cut."""
        return self.conversation.heard_history()

    def _create(self, now: float) -> None:
        self._created, self._created_at = True, NEVER
        self._caller.configure()
        self._emit(SessionCreatedEvent(session=self.settings.session))
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._receive(data, now)

    def _run(self, now: float) -> None:
        """Let responses and transcripts advance, in the order of their times."""
        while (at := self._next_at()) <= now:
            self._responses.advance(at)
            self._caller.advance(at)
            self._hosted.advance(at)
            for generation in self._responses.take_ended():
                if generation.status != "cancelled":
                    self._caller.answer_given(generation.audio_ms)

    def _next_at(self) -> float:
        return min(self._responses.next_at(), self._caller.next_at(), self._hosted.next_at())

    def _receive(self, data: bytes | str, now: float) -> None:
        try:
            event = parse(data)
            if isinstance(event, InputAudioBufferAppendEvent):
                self._caller.append(event.audio, now)
            else:
                self.received.append(Received(now, event))
                self._carry_out(event, now)
        except Refused as refusal:
            self._refuse(refusal, event_id(data))
        self._run(now)

    def _carry_out(self, event: ClientEvent, now: float) -> None:
        match event:
            case SessionUpdateEvent():
                session = self.settings.update(event.session, spoken=self._responses.spoken)
                self._caller.configure()
                self._emit(SessionUpdatedEvent(session=session))
                self._hosted.declare(self.settings.tools, now)
            case InputAudioBufferCommitEvent():
                self._caller.commit(now)
            case InputAudioBufferClearEvent():
                self._caller.clear()
                self._emit(InputAudioBufferClearedEvent())
            case OutputAudioBufferClearEvent():
                raise Refused(
                    "invalid_value", "output_audio_buffer.clear is only supported with WebRTC and SIP.", "type"
                )
            case ConversationItemCreateEvent():
                self._create_item(event, now)
            case ConversationItemDeleteEvent(item_id=item_id):
                self.conversation.delete(item_id)
                self._script.deleted(item_id)
                self._emit(ConversationItemDeletedEvent(item_id=item_id))
            case ConversationItemRetrieveEvent(item_id=item_id):
                self._emit(ConversationItemRetrievedEvent(item=self.conversation.retrieve(item_id)))
            case ConversationItemTruncateEvent(item_id=item_id, content_index=index, audio_end_ms=end_ms):
                self.conversation.truncate(item_id, index, end_ms)
                self._emit(ConversationItemTruncatedEvent(item_id=item_id, content_index=index, audio_end_ms=end_ms))
            case ResponseCreateEvent():
                self._responses.request(given(event.response) or ResponseParams(), now)
                self._caller.answer_asked()
            case ResponseCancelEvent():
                self._responses.cancel(given(event.response_id), now)

    def _create_item(self, event: ConversationItemCreateEvent, now: float) -> None:
        item = self.conversation.check_new(event.item)
        if isinstance(item, McpApprovalResponseItem):
            self._hosted.check_answer(item)
        item = msgspec.structs.replace(item, id=given(item.id) or self._new_id("item"))
        spoken = ""
        if isinstance(item, MessageItem | FunctionCallOutputItem):
            item = msgspec.structs.replace(item, object="realtime.item", status="completed")
        if isinstance(item, MessageItem):
            spoken = message_text(item)
        self._around.add_item(Entry(item, spoken=spoken), given(event.previous_item_id))
        if isinstance(item, FunctionCallOutputItem):
            self._script.tool_answered()
        elif isinstance(item, McpApprovalResponseItem):
            self._hosted.answer(item, now)
        elif isinstance(item, MessageItem) and item.role == "user":
            self._script.caller_wrote(spoken, given(item.id) or "")

    def _lose(self) -> None:
        code = self._loss.code if self._loss is not None else None
        if self._loss is not None and self._loss.error is not None:
            expired = self._loss.error == "session_expired"
            kind, text = ("invalid_request_error", EXPIRED) if expired else ("server_error", LOST)
            self._error(ErrorDetails(type=kind, code=self._loss.error, message=text))
        if code is None:
            self.silent = True  # half-open: the socket stays, nothing comes any more
        else:
            self._close(code, "")

    def _close(self, code: int, reason: str) -> None:
        self.close_code, self.close_reason = code, reason

    def _refuse(self, refusal: Refused, client_event_id: str | None = None) -> None:
        self._error(
            ErrorDetails(
                type="invalid_request_error",
                code=refusal.code,
                message=refusal.message,
                param=refusal.param,
                event_id=None if self.scenario.surprises else client_event_id,
            )
        )

    def _error(self, details: ErrorDetails) -> None:
        self.errors.append(details)
        self._emit(ErrorEvent(error=details))

    def _emit(self, event: KnownServerEvent) -> None:
        data = encode_server_event(msgspec.structs.replace(event, event_id=self._new_id("event")))
        if self.scenario.surprises:
            self._out += _surprising(data, event, self._new_id)
        else:
            self._out.append(data)

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}_" + "".join(self._ids.choices(_BASE62, k=21))


def _surprising(data: bytes, event: KnownServerEvent, new_id: Callable[[str], str]) -> list[bytes]:
    """Return the event with a field nobody documented, and after some an event of an unknown type."""
    out = [data[:-1] + b',"obfuscation":"' + new_id("x").encode() + b'"}']
    if isinstance(event, ResponseContentPartAddedEvent):
        out.append(msgspec.json.encode({"type": "response.thought.delta", "event_id": new_id("event"), "delta": "…"}))
    return out
