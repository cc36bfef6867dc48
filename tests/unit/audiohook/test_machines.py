"""Hypothesis state machines: whatever order things happen in, the rules of the wire hold."""

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offhook.audiohook import (
    BargeIn,
    BotTurnResponse,
    ClientState,
    CloseReceived,
    LocalProtocolError,
    OpenReceived,
    PingReceived,
    ProtocolViolated,
    RateLimitExceeded,
    ServerSession,
    ServerState,
    ServerViolated,
    SessionEnded,
    UnknownMessage,
    decode_server_message,
)
from offhook.audiohook import messages as m
from tests.unit.audiohook.sample import NIL, OPEN, ORGANIZATION, SESSION
from tests.unit.audiohook.wire import Wire

STEPS = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

IN_CALL: dict[str, Any] = {
    "ping": {"rtt": "PT0.02S"},
    "update": {"language": "en-gb"},
    "paused": {},
    "resumed": {"start": "PT1S", "discarded": "PT0.5S"},
    "discarded": {"start": "PT1S", "discarded": "PT0.5S"},
    "error": {"code": 429, "message": "slow", "retryAfter": "PT1S"},
    "dtmf": {"digit": "1"},
    "playback_started": {},
    "playback_completed": {},
    "hologram": {"a": [1]},
}
BROKEN: list[dict[str, Any]] = [
    {"seq": 0},
    {"seq": 400},
    {"serverseq": 4000},
    {"id": NIL},
    {"version": "1"},
    {"parameters": [1]},
    {"type": 5},
]


class ServerMachine(RuleBasedStateMachine):
    """A `ServerSession` between a moody client and a moody owner."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.session = ServerSession(session_id=SESSION, organization_id=ORGANIZATION, now=self.now, idle_timeout=60.0)
        self.seq = 0
        self.pings: list[int] = []
        self.events: list[Any] = []
        self.sent: list[Any] = []  # decoded text messages and audio, in wire order
        self.audio_times: list[float] = []
        self.steps = 0

    # what the client does

    def _say(self, type_: str, parameters: Any, change: dict[str, Any] | None = None) -> None:
        self.seq += 1
        serverseq = sum(not isinstance(data, bytes) for data in self.sent)
        message = {"version": "2", "id": SESSION, "type": type_, "seq": self.seq, "serverseq": serverseq}
        message |= {"position": "PT0.0S", "parameters": parameters} | (change or {})
        self.session.receive_text(json.dumps(message), self.now)
        self._collect()

    @initialize(asked=st.sampled_from(["call", "call", "call", "probe", "", "answered", "answered", "answered"]))
    def begin(self, asked: str) -> None:
        """Most runs begin with a session that is under way: the interesting things happen there."""
        if asked:
            self._say("open", OPEN | ({"conversationId": NIL} if asked == "probe" else {}))
        if asked == "answered":
            self.session.send_opened(self.now)
        self._collect()
        self.steps = 0

    @rule()
    def open(self) -> None:
        self._say("open", OPEN)

    @rule(type_=st.sampled_from(sorted(IN_CALL)))
    def say(self, type_: str) -> None:
        before = len(self.sent)
        answered = self.session.state in (ServerState.OPEN, ServerState.DISCONNECTING) and any(
            isinstance(message, m.Opened) for message in self.sent
        )
        self._say(type_, IN_CALL[type_])
        if type_ == "ping" and answered:
            (pong,) = self.sent[before:]
            assert isinstance(pong, m.Pong)
            assert pong.clientseq == self.seq

    @precondition(lambda self: self.steps > 12 or self.session.state is not ServerState.OPEN)
    @rule(reason=st.sampled_from(["end", "disconnect", "error"]))
    def close(self, reason: str) -> None:
        done = self.session.state in (ServerState.CLOSED, ServerState.ENDED)
        self._say("close", {"reason": reason})
        if not done:
            assert isinstance(self.sent[-1], m.Closed)
            assert self.sent[-1].clientseq == self.seq

    @precondition(lambda self: self.steps > 12)
    @rule(type_=st.sampled_from(["ping", "dtmf", "open"]), change=st.sampled_from(BROKEN))
    def break_a_rule(self, type_: str, change: dict[str, Any]) -> None:
        self._say(type_, IN_CALL.get(type_, OPEN), change)

    @precondition(lambda self: self.session.state is not ServerState.AWAITING_OPEN)
    @rule(size=st.integers(0, 3000))
    def client_audio(self, size: int) -> None:
        position = self.session.position
        self.session.receive_audio(b"\xff" * size, self.now)
        assert self.session.position in (position, position + size)
        self._collect()

    @precondition(lambda self: self.steps > 20)
    @rule()
    def lose_the_socket(self) -> None:
        self.session.receive_eof(self.now)
        assert self.session.close_expected()
        self._collect()

    # what the owner does

    @rule(paused=st.booleans())
    def send_opened(self, paused: bool) -> None:
        asked = self.session.state is ServerState.OPENING
        try:
            assert self.session.send_opened(self.now, start_paused=paused) is asked
        except LocalProtocolError:
            assert not asked
        self._collect()

    @rule(size=st.integers(1, 64_000), times=st.integers(1, 30))
    def send_audio(self, size: int, times: int) -> None:
        for _ in range(times):
            may = self.session.can_send_audio
            try:
                ready = self.session.audio_ready_at(self.now)
                sent = self.session.send_audio(b"\xff" * size, self.now)
                assert may
                assert sent is (ready <= self.now)
                self.audio_times += [self.now] * sent
            except LocalProtocolError:
                assert not may
        self._collect()

    @rule(name=st.sampled_from(["send_barge_in", "send_pause", "send_resume", "send_events"]), times=st.integers(1, 9))
    def send(self, name: str, times: int) -> None:
        for _ in range(times):
            early = self.session.state in (ServerState.AWAITING_OPEN, ServerState.OPENING)
            try:
                if name == "send_events":
                    self.session.send_events([BotTurnResponse("match", "Hi"), BargeIn()], self.now)
                else:
                    getattr(self.session, name)(self.now)
                assert not early
            except LocalProtocolError:
                assert early
        self._collect()

    @precondition(lambda self: self.steps > 10)
    @rule(reason=st.sampled_from(["completed", "unauthorized", "error"]), size=st.sampled_from([0, 10, 100_000]))
    def send_disconnect(self, reason: str, size: int) -> None:
        self.session.send_disconnect(reason, self.now, info="x" * size, output_variables={"A": "y" * size})
        self._collect()

    @rule(seconds=st.sampled_from([0.01, 0.2, 1.0, 1.0, 12.0]))
    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(20):
            due = self.session.next_timer()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.session.handle_timer(self.now)
            self._collect()
        else:
            raise AssertionError("a timer does not move on")
        self.now = end

    def _collect(self) -> None:
        for data in self.session.data_to_send():
            if isinstance(data, bytes):
                self.sent.append(data)
            else:
                assert len(data.encode()) <= 64_000
                self.sent.append(decode_server_message(data))
        self.events += self.session.events()

    @invariant()
    def count(self) -> None:
        self.steps += 1

    @invariant()
    def what_was_sent_is_in_order(self) -> None:
        texts = [message for message in self.sent if not isinstance(message, bytes)]
        assert [message.seq for message in texts] == list(range(1, len(texts) + 1))
        for type_ in (m.Opened, m.Disconnect, m.Closed):
            assert sum(isinstance(message, type_) for message in texts) <= 1
        if texts:
            assert isinstance(texts[0], m.Opened | m.Disconnect | m.Closed)
        open_ = False
        for index, message in enumerate(self.sent):
            assert not isinstance(message, UnknownMessage)
            if isinstance(message, m.Closed):
                assert index == len(self.sent) - 1
            if isinstance(message, m.Opened | m.Disconnect):
                open_ = isinstance(message, m.Opened)
            elif isinstance(message, bytes | m.Event | m.Pause | m.Resume):
                assert open_

    @invariant()
    def no_message_comes_too_often(self) -> None:
        for index in range(0, len(self.audio_times), 7):
            window = [time - self.audio_times[index] for time in self.audio_times[index:]]
            assert all(count <= 25 + 5 * span + 1e-6 for count, span in enumerate(window, 1))

    @invariant()
    def events_tell_a_story(self) -> None:
        for type_ in (OpenReceived, CloseReceived, ProtocolViolated, SessionEnded):
            assert sum(isinstance(event, type_) for event in self.events) <= 1
        if any(isinstance(event, SessionEnded) for event in self.events):
            assert isinstance(self.events[-1], SessionEnded)
            assert self.session.state is ServerState.ENDED
        pongs = sum(isinstance(message, m.Pong) for message in self.sent)
        assert pongs == sum(isinstance(event, PingReceived) for event in self.events)


class JoinedMachine(RuleBasedStateMachine):
    """Both roles used by the book in any order: neither finds fault with the other."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.steps = 0

    @initialize(asked=st.booleans())
    def begin(self, asked: bool) -> None:
        if asked:
            self.wire.open()

    @invariant()
    def count(self) -> None:
        self.steps += 1

    def _client_is(self, *states: ClientState) -> bool:
        return self.wire.client.state in states

    @precondition(lambda self: self._client_is(ClientState.IDLE))
    @rule(language=st.sampled_from([None, "en-us"]))
    def open(self, language: str | None) -> None:
        self.wire.client.send_open(self.wire.now, language=language)

    @precondition(lambda self: self.wire.server.state is ServerState.OPENING)
    @rule(paused=st.booleans())
    def opened(self, paused: bool) -> None:
        self.wire.server.send_opened(self.wire.now, start_paused=paused)

    @precondition(lambda self: self._client_is(ClientState.OPEN, ClientState.DISCONNECTING) and self.wire.client.media)
    @rule(size=st.integers(1, 1600))
    def client_audio(self, size: int) -> None:
        self.wire.client.send_audio(b"\xff" * size, self.wire.now)

    @precondition(lambda self: self.wire.server.can_send_audio)
    @rule(size=st.integers(1, 64_000))
    def server_audio(self, size: int) -> None:
        self.wire.server.send_audio(b"\xff" * size, self.wire.now)

    @precondition(lambda self: self._client_is(ClientState.OPEN))
    @rule(what=st.sampled_from(["dtmf", "playback", "discarded", "pause", "resume", "error", "update"]))
    def client_says(self, what: str) -> None:
        client, now = self.wire.client, self.wire.now
        match what:
            case "dtmf":
                client.send_dtmf("7", now)
            case "playback":
                client.send_playback_started(now)
                client.send_playback_completed(now)
            case "discarded":
                client.send_discarded(123, now)
            case "pause":
                client.pause(now)
            case "resume":
                client.resume(now)
            case "error":
                client.send_error(500, "x", now)
            case _:
                client.send_update("en-gb", now)
                self.wire.run(1.0)

    @precondition(lambda self: self.wire.server.state is ServerState.OPEN)
    @rule(what=st.sampled_from(["event", "pause", "resume"]))
    def server_says(self, what: str) -> None:
        server, now = self.wire.server, self.wire.now
        match what:
            case "event":
                server.send_events([BotTurnResponse("no_input"), BargeIn()], now)
            case "pause":
                server.send_pause(now)
            case _:
                server.send_resume(now)

    @precondition(lambda self: self.steps > 15 and self.wire.server.state is not ServerState.AWAITING_OPEN)
    @rule(reason=st.sampled_from(["completed", "error"]))
    def disconnect(self, reason: str) -> None:
        self.wire.server.send_disconnect(reason, self.wire.now, output_variables={"A": "b"})

    @precondition(lambda self: self.steps > 15 and not self._client_is(ClientState.IDLE))
    @rule()
    def close(self) -> None:
        self.wire.client.send_close("end", self.wire.now)

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.3, 2.0]))
    def wait(self, seconds: float) -> None:
        if self.wire.server.state is ServerState.OPENING:
            self.wire.server.send_opened(self.wire.now)  # a good server does not wait
        self.wire.run(seconds)
        if self._client_is(ClientState.DISCONNECTING):
            self.wire.client.send_close("disconnect", self.wire.now)
        if self._client_is(ClientState.IDLE):
            self.wire.client.send_open(self.wire.now)

    @invariant()
    def nobody_complains(self) -> None:
        for event in (*self.wire.server_events, *self.wire.client_events):
            assert not isinstance(event, ProtocolViolated | ServerViolated | RateLimitExceeded), event

    def teardown(self) -> None:
        """However it went, both ends come to a clean end."""
        if self._client_is(ClientState.IDLE):
            return
        self.wire.client.send_close("end", self.wire.now)
        self.wire.run(1.0)
        self.nobody_complains()
        assert self.wire.server_events[-1] == self.wire.client_events[-1] == SessionEnded(clean=True)


TestServerMachine = ServerMachine.TestCase
TestServerMachine.settings = STEPS
TestJoinedMachine = JoinedMachine.TestCase
TestJoinedMachine.settings = STEPS
