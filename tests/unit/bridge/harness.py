"""A call driven by hand on a virtual clock: Genesys with numbers and playback, an AI side that sends raw JSON."""

import base64
import heapq
import itertools
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from offhook import realtime as rt
from offhook.bridge import (
    Call,
    CallEnded,
    CallPlan,
    CallState,
    Command,
    ConnectRealtime,
    Prompt,
    RecordMoment,
    RecordTurn,
    ReportRealtime,
    SelectAgent,
    ToolOutcome,
    Turn,
)
from offhook.bridge.plan import OutputVariable, ToolPlan
from tests.unit.bridge.genesys import ORGANIZATION, SESSION, Messages, Playback

START = 1000.0
FRAME = 0.2
"""Seconds of caller audio in a frame."""


def session(**input_settings: Any) -> rt.SessionConfig:
    settings: dict[str, Any] = {
        "format": rt.PCMU,
        "transcription": rt.TranscriptionConfig(model="gpt-4o-mini-transcribe"),
        "turn_detection": rt.ServerVad(create_response=True, interrupt_response=True),
        **input_settings,
    }
    return rt.SessionConfig(
        instructions="You are Ada of Acme.",
        audio=rt.AudioConfig(input=rt.AudioInput(**settings), output=rt.AudioOutput(format=rt.PCMU, voice="marin")),
    )


def plan(**changes: Any) -> CallPlan:
    settings: dict[str, Any] = {
        "agent": "support",
        "session": session(),
        "tools": {"order_status": ToolPlan(), "weather": ToolPlan()},
        "outputs": {"INTENT": OutputVariable(), "ESCALATE": OutputVariable(default="false")},
        "bot_turn_response": True,
        **changes,
    }
    return CallPlan(**settings)


GREETED = plan(greeting=Prompt(instructions="Greet the caller."))


def speech(milliseconds: float, first: int = 0) -> bytes:
    """Bytes that tell their place: no two neighbouring stretches are alike."""
    return bytes((first + i * 7 + i // 251) % 251 for i in range(round(milliseconds * 8)))


class Ai:
    """The OpenAI side: sends events, remembers what it was sent."""

    def __init__(self, harness: "Harness") -> None:
        self._harness = harness
        self._ids = itertools.count(1)
        self.sent: list[tuple[float, dict[str, Any]]] = []

    def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": f"event_{next(self._ids)}", **fields}
        self._harness.from_ai(json.dumps(event))

    # What arrived.

    def received(self, kind: str) -> list[dict[str, Any]]:
        return [event for _, event in self.sent if event["type"] == kind]

    def take(self, kind: str) -> dict[str, Any]:
        """The only event of this kind since the last take of any; forgets all events."""
        found = self.received(kind)
        assert len(found) == 1, (kind, [event["type"] for _, event in self.sent])
        self.sent.clear()
        return found[0]

    def kinds(self) -> list[str]:
        return [event["type"] for _, event in self.sent if event["type"] != "input_audio_buffer.append"]

    def heard(self) -> bytes:
        return b"".join(base64.b64decode(event["audio"]) for event in self.received("input_audio_buffer.append"))

    # The set-up.

    def session_created(self) -> None:
        formats = {"type": "audio/pcm", "rate": 24000}
        audio = {"input": {"format": formats}, "output": {"format": formats, "voice": "alloy"}}
        self.send("session.created", session={"type": "realtime", "id": "sess_1", "audio": audio})

    def session_updated(self, expires_at: int | None = None) -> None:
        update = self.received("session.update")[-1]["session"]
        expiry = {} if expires_at is None else {"expires_at": expires_at}
        self.send("session.updated", session={**update, "id": "sess_1", **expiry})

    # The caller, as the server hears them.

    def speech_started(self, item: str = "caller_1", at_ms: int = 0) -> None:
        self.send("input_audio_buffer.speech_started", item_id=item, audio_start_ms=at_ms)

    def speech_stopped(self, item: str = "caller_1", at_ms: int = 0) -> None:
        self.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=at_ms)

    def committed(self, item: str = "caller_1", previous: str | None = None) -> None:
        self.send("input_audio_buffer.committed", item_id=item, previous_item_id=previous)
        content = [{"type": "input_audio", "transcript": None}]
        self.added({"id": item, "type": "message", "role": "user", "content": content}, previous)

    def caller_turn(self, item: str = "caller_1", text: str | None = None, previous: str | None = None) -> None:
        self.speech_started(item)
        self.speech_stopped(item)
        self.committed(item, previous)
        if text is not None:
            self.transcribed(item, text)

    def transcribed(self, item: str, text: str) -> None:
        self.send(
            "conversation.item.input_audio_transcription.completed", item_id=item, content_index=0, transcript=text
        )

    def added(self, item: dict[str, Any], previous: str | None = None) -> None:
        self.send("conversation.item.added", previous_item_id=previous, item=item)

    # The agent.

    def created(self, response: str = "resp_1", create: dict[str, Any] | None = None) -> None:
        metadata = None if create is None else create["response"]["metadata"]
        self.send("response.created", response=_response(response, "in_progress", metadata=metadata))

    def item(self, response: str = "resp_1", item: str = "item_1", index: int = 0) -> None:
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        self.send("response.output_item.added", response_id=response, output_index=index, item=message)
        self.added(message)

    def audio(self, audio: bytes | float, response: str = "resp_1", item: str = "item_1") -> None:
        data = audio if isinstance(audio, bytes) else speech(audio)
        self.send(
            "response.output_audio.delta",
            response_id=response,
            item_id=item,
            output_index=0,
            content_index=0,
            delta=base64.b64encode(data).decode(),
        )

    def text(self, text: str, response: str = "resp_1", item: str = "item_1") -> None:
        fields = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.send("response.output_audio_transcript.delta", delta=text, **fields)

    def item_done(self, text: str = "", response: str = "resp_1", item: str = "item_1") -> None:
        fields = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.send("response.output_audio.done", **fields)
        self.send("response.output_audio_transcript.done", transcript=text, **fields)

    def audio_done_only(self, response: str = "resp_1", item: str = "item_1") -> None:
        self.send("response.output_audio.done", response_id=response, item_id=item, output_index=0, content_index=0)

    def done(self, response: str = "resp_1", status: str = "completed", **details: Any) -> None:
        self.send("response.done", response=_response(response, status, status_details=details or None))

    def call(self, name: str, arguments: str = "{}", response: str = "resp_1", call: str = "call_1") -> None:
        item = {"id": f"item_{call}", "type": "function_call", "name": name, "call_id": call, "arguments": arguments}
        self.send("response.output_item.added", response_id=response, output_index=1, item=item)
        self.added(item)
        done = {**item, "status": "completed"}
        self.send("response.output_item.done", response_id=response, output_index=1, item=done)

    def output_added(self, call: str = "call_1") -> None:
        self.added({"id": f"out_{call}", "type": "function_call_output", "call_id": call, "output": "{}"})

    def says(
        self,
        audio: bytes | float,
        text: str = "Hello.",
        response: str = "resp_1",
        item: str = "item_1",
        create: dict[str, Any] | None = None,
    ) -> None:
        """A whole response at once: one item."""
        self.created(response, create)
        self.item(response, item)
        self.audio(audio, response, item)
        self.item_done(text, response, item)
        self.done(response)

    def refuse(self, code: str, event_id: str | None = None, kind: str = "invalid_request_error") -> None:
        error = {"type": kind, "code": code, "message": "no", "param": None, "event_id": event_id}
        self.send("error", error=error)


def _response(response: str, status: str, **fields: Any) -> dict[str, Any]:
    return {
        "object": "realtime.response", "id": response, "status": status, "status_details": None, "output": [],
        "conversation_id": "conv_1", "usage": None, "metadata": None, **fields,
    }  # fmt: skip


class Harness:
    """One call.

    Args:
        plan: The agent; None = nobody answers `SelectAgent`.
        playback: Genesys' queue.
        reports: Which of its reports Genesys sends.
        report_delay: Seconds that a report takes to us.
        way: Seconds that our audio takes to Genesys.
        answers_close: Genesys answers our `disconnect`.
        unix: The wall clock at the beginning.
    """

    def __init__(
        self,
        agent: CallPlan | None = GREETED,
        *,
        playback: Playback | None = None,
        reports: tuple[str, ...] = ("playback_started", "playback_completed"),
        report_delay: float = 0.0,
        way: float = 0.0,
        answers_close: bool = True,
        unix: float | None = None,
    ) -> None:
        self.now = START
        self.agent = agent
        self.playback = playback or Playback()
        self.reports = reports
        self.report_delay = report_delay
        self.way = way
        self.answers_close = answers_close
        self.messages = Messages()
        self.ai = Ai(self)
        self.log: list[tuple[float, dict[str, Any] | bytes]] = []
        self.commands: list[Command] = []
        self.socket_gone = False
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.leg = 1
        self.providers = 1
        self.call = Call("call-1", session_id=SESSION, organization_id=ORGANIZATION, now=self.now, unix=unix)
        self._settle()

    # What was seen.

    @property
    def texts(self) -> list[tuple[float, dict[str, Any]]]:
        return [(at, message) for at, message in self.log if isinstance(message, dict)]

    @property
    def packets(self) -> list[tuple[float, bytes]]:
        return [(at, message) for at, message in self.log if isinstance(message, bytes)]

    @property
    def audio(self) -> bytes:
        return b"".join(packet for _, packet in self.packets)

    def messages_of(self, kind: str) -> list[dict[str, Any]]:
        return [message for _, message in self.texts if message["type"] == kind]

    def entities(self, kind: str) -> list[dict[str, Any]]:
        events = self.messages_of("event")
        return [entity for event in events for entity in event["parameters"]["entities"] if entity["type"] == kind]

    @property
    def turns(self) -> list[Turn]:
        return [command.turn for command in self.commands if isinstance(command, RecordTurn)]

    @property
    def moments(self) -> list[str]:
        return [command.name for command in self.commands if isinstance(command, RecordMoment)]

    def moments_of(self, name: str) -> list[RecordMoment]:
        return [command for command in self.commands if isinstance(command, RecordMoment) and command.name == name]

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    @property
    def ended(self) -> CallEnded:
        (ended,) = self.of(CallEnded)
        assert isinstance(ended, CallEnded)
        return ended

    @property
    def variables(self) -> dict[str, str]:
        (disconnect,) = self.messages_of("disconnect")
        variables: dict[str, str] = disconnect["parameters"]["outputVariables"]
        return variables

    # What is done.

    def genesys(self, kind: str, **parameters: Any) -> None:
        self.raw_text(self.messages.make(kind, parameters))

    def raw_text(self, data: str | bytes) -> None:
        self.call.receive_text(data, self.now)
        self._settle()

    def open(self, **what: Any) -> None:
        self.call.receive_text(self.messages.open(**what), self.now)
        self._settle()

    def close(self, reason: str = "end") -> None:
        self.genesys("close", reason=reason)

    def caller_audio(self, audio: bytes) -> None:
        self.messages.position += len(audio)
        self.call.receive_audio(audio, self.now)
        self._settle()

    def hang_up_socket(self) -> None:
        self.socket_gone = True
        self.call.receive_eof(self.now)
        self._settle()

    def from_ai(self, data: str | bytes) -> None:
        self.call.receive_realtime(self.leg, data, self.now)
        self._settle()

    def connected(self, created: bytes | None = None) -> None:
        self.call.realtime_connected(self.leg, self.now, created=created)
        self._settle()

    def ai_lost(self, code: int | None = 1006, reason: str = "", *, for_good: bool = True) -> None:
        """The Realtime socket is gone; for good: and no other can be had."""
        self.call.realtime_lost(self.leg, code, reason, self.now, retryable=not for_good)
        self._settle()

    def tool_result(self, output: str = '{"status":"shipped"}', call: str = "call_1", **more: Any) -> None:
        self.call.tool_result(call, ToolOutcome(output=output, **more), self.now)
        self._settle()

    def end(self, outcome: str = "limit", reason: str = "max_duration", info: str = "OH-X the time is over") -> None:
        self.call.end(outcome, reason, info, self.now)
        self._settle()

    def refuse(self, reason: str, info: str) -> None:
        self.call.refuse(reason, info, self.now)
        self._settle()

    def accept(self, agent: CallPlan) -> None:
        self.call.accept(agent, self.now)
        self._settle()

    def set_writable(self, writable: bool) -> None:
        self.call.set_writable(writable, self.now)
        self._settle()

    def ready(self) -> "Harness":
        """Open the call and bring the model to listen."""
        self.open()
        self.connected()
        self.ai.session_created()
        self.ai.session_updated()
        return self

    def talking(self) -> "Harness":
        """The same, with the greeting over, if there is one, and everything seen so far forgotten."""
        self.ready()
        creates = self.ai.received("response.create")
        if creates:
            self.ai.says(400, create=creates[0], response="resp_greeting", item="item_greeting")
            self.advance(2.0)
        self.forget()
        return self

    def forget(self) -> None:
        self.log.clear()
        self.commands.clear()
        self.ai.sent.clear()

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Do something later, while `advance` runs."""
        heapq.heappush(self._later, (self.now + delay, next(self._order), action))

    # Time.

    def advance(self, seconds: float) -> None:
        """Jump from timer to timer."""
        end = self.now + seconds
        same = 0
        while (due := self._next()) is not None and due <= end:
            same = 0 if due > self.now else same + 1
            assert same < 50, "a timer that never advances"
            self.now = max(self.now, due)
            while self._later and self._later[0][0] <= self.now:
                heapq.heappop(self._later)[2]()
            for report in self.playback.advance(self.now):
                if report in self.reports:
                    self.at(self.report_delay, self._report(report))
            timer = self.call.next_timer(self.now)
            if timer is not None and timer <= self.now:
                self.call.handle_timer(self.now)
                self._settle()
                again = self.call.next_timer(self.now)
                assert again is None or again > self.now, "handle_timer did nothing of what was due"
        self.now = end
        self.playback.advance(end)

    def _next(self) -> float | None:
        times = [self.call.next_timer(self.now), self.playback.next_timer()]
        if self._later:
            times.append(self._later[0][0])
        return min((at for at in times if at is not None), default=None)

    def _report(self, kind: str) -> Callable[[], None]:
        def send() -> None:
            if self.call.state not in (CallState.CLOSED, CallState.ENDED):
                self.genesys(kind)

        return send

    def _settle(self) -> None:
        """Carry out the commands, and take what is to be sent."""
        while commands := self.call.commands():
            self.commands += commands
            for command in commands:
                if isinstance(command, ReportRealtime) and command.verdict == "unusable":
                    self.providers -= 1
                if isinstance(command, ConnectRealtime):
                    self.leg = command.leg
                    if not self.providers:
                        self.call.realtime_lost(self.leg, None, "nobody is left", self.now, retryable=False)
                if isinstance(command, SelectAgent) and self.agent is not None:
                    self.call.accept(self.agent, self.now)
        for message in self.call.audiohook_data():
            if isinstance(message, bytes):
                self.log.append((self.now, message))
                self._deliver(partial(self._play, message))
            else:
                self._take(json.loads(message))
        for data in self.call.realtime_data(self.leg):
            self.ai.sent.append((self.now, json.loads(data)))
        if self.call.close_expected and not self.socket_gone:
            self.hang_up_socket()

    def _take(self, message: dict[str, Any]) -> None:
        self.log.append((self.now, message))
        assert message["seq"] == self.messages.serverseq + 1
        self.messages.serverseq = message["seq"]
        if message["type"] == "event" and {"type": "barge_in", "data": {}} in message["parameters"]["entities"]:
            self._deliver(lambda: self.playback.flush(self.now))
        elif message["type"] == "disconnect" and self.answers_close:
            self.at(0.05, lambda: self.close("disconnect") if self.call.state is CallState.DISCONNECTING else None)
        elif message["type"] == "closed":
            self.at(0.01, lambda: None if self.socket_gone else self.hang_up_socket())

    def _play(self, packet: bytes) -> None:
        self.playback.enqueue(packet, self.now)

    def _deliver(self, action: Callable[[], None]) -> None:
        if self.way:
            self.at(self.way, action)
        else:
            action()


def shown(*things: object) -> str:
    """All that can be read of something, but for lengths and times, whose digits mean nothing."""
    return re.sub(r"((_ms|seconds|at)\W{1,3}|DURATION_S': ')[\d.]+", "", repr(things))


def within_budget(times: list[float], rate: float = 5.0, burst: float = 25.0) -> bool:
    """Whether messages at these times pass a token bucket."""
    tokens, last = burst, times[0] if times else 0.0
    for at in times:
        tokens = min(burst, tokens + (at - last) * rate) - 1
        last = at
        if tokens < -1e-6:
            return False
    return True
