"""Session and sequencer against the model server, with every order of events that a network allows."""

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offhook import realtime as rt
from tests.unit.realtime.driving import CONFIG
from tests.unit.realtime.model_server import ModelServer


class RealtimeMachine(RuleBasedStateMachine):
    """Two queues between client and server; every rule does one thing anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.server = ModelServer()
        self.session = rt.RealtimeSession(CONFIG)
        self.to_server: list[bytes] = []
        self.asked: dict[str, int] = {}
        self.answers: dict[str, list[str]] = {}
        self.started: set[str] = set()
        self.ended: set[str] = set()
        self.calls: list[str] = []
        self.given: set[str] = set()
        self.serial = 0
        self.on_approval = False

    @initialize(anonymous=st.booleans(), warm=st.booleans())
    def connect(self, anonymous: bool, warm: bool) -> None:
        self.server.anonymous_errors = anonymous
        self.on_approval = warm
        self.server.greet()
        if warm:
            self.server.session = rt.merge_config(self.server.session, CONFIG)
            self.session.adopt(rt.encode_server_event(self.server.outbox.pop()), self.now)
            self.look()
        else:
            self.session.connected(self.now)
            self.deliver_all()
        assert self.session.state is rt.SessionState.READY

    # --- the owner of the session

    @rule(kind=st.sampled_from(["new", "same", "bad"]), only_if_idle=st.booleans(), beside=st.booleans())
    def ask(self, kind: str, only_if_idle: bool, beside: bool) -> None:
        self.serial += 1
        tag = f"t{self.serial}" if kind == "new" else kind
        self.asked[tag] = self.asked.get(tag, 0) + 1
        conversation = "none" if beside else "auto"
        request = rt.ResponseRequest(tag=tag, only_if_idle=only_if_idle, conversation=conversation)
        self.session.request_response(request, self.now)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.session.withdraw_response(data.draw(st.sampled_from(sorted(self.asked))))

    @rule()
    def cancel(self) -> None:
        self.session.cancel_response(self.now)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), again=st.booleans())
    def answer_call(self, data: st.DataObject, again: bool) -> None:
        call_id = data.draw(st.sampled_from(self.calls))
        self.given.add(call_id)
        self.session.send_function_output(call_id, "{}")
        if again:
            self.session.request_response(rt.ResponseRequest(tag="same"), self.now)
            self.asked["same"] = self.asked.get("same", 0) + 1

    # --- the server

    @rule(tell=st.booleans())
    def caller_turn(self, tell: bool) -> None:
        self.server.vad_create(tell=tell)

    @precondition(lambda self: self.server.running)
    @rule(data=st.data(), what=st.sampled_from(["speak", "call", "finish"]))
    def respond(self, data: st.DataObject, what: str) -> None:
        response_id = data.draw(st.sampled_from(sorted(self.server.running)))
        {"speak": self.server.speak, "call": self.server.call, "finish": self.server.finish}[what](response_id)

    # --- the network and the clock

    @rule(count=st.integers(1, 4))
    def deliver_to_server(self, count: int) -> None:
        arrived, self.to_server = self.to_server[:count], self.to_server[count:]
        for data in arrived:
            self.server.receive(data)

    @rule(count=st.integers(1, 4))
    def deliver_to_client(self, count: int) -> None:
        arrived, self.server.outbox = self.server.outbox[:count], self.server.outbox[count:]
        for event in arrived:
            self.session.receive_text(rt.encode_server_event(event), self.now)
            self.look()

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds: float) -> None:
        if self.on_approval:
            self.deliver_all()  # an update that nobody confirms in time refuses the session
            self.on_approval = False
        self.now += seconds
        self.session.handle_timer(self.now)

    # --- what must hold

    @invariant()
    def look(self) -> None:
        sent = self.session.data_to_send()
        for data in sent:
            event = rt.decode_client_event(data)
            if isinstance(event, rt.ResponseCreateEvent) and isinstance(event.response, rt.ResponseParams):
                # Nobody asks for a response of the conversation while one is known to run.
                assert event.response.conversation == "none" or self.session.active_response_id is None
        self.to_server.extend(sent)
        for heard in self.session.events():
            self.hear(heard)
        timer = self.session.next_timer()
        assert timer is None or timer > self.now - 12.0

    def hear(self, event: rt.RealtimeEvent) -> None:
        if isinstance(event, rt.ResponseStarted):
            assert event.response_id not in self.started
            self.started.add(event.response_id)
            if event.tag is not None:
                self.answers.setdefault(event.tag, []).append("started")
        elif isinstance(event, rt.ResponseEnded):
            assert event.response_id in self.started
            assert event.response_id not in self.ended
            self.ended.add(event.response_id)
        elif isinstance(event, rt.ResponseRefused):
            self.answers.setdefault(event.tag, []).append(event.code)
        elif isinstance(event, rt.FunctionCallReady):
            assert event.call_id not in self.calls
            self.calls.append(event.call_id)

    def deliver_all(self) -> None:
        self.look()
        while self.to_server or self.server.outbox:
            self.deliver_to_server(4)
            self.deliver_to_client(4)
            self.look()

    def teardown(self) -> None:
        """Let everything run to its end: then nothing may be left over."""
        for _ in range(100):
            self.deliver_all()
            for response_id in list(self.server.running):
                self.server.finish(response_id)
            self.deliver_all()
            timer = self.session.next_timer()
            if timer is None and not self.server.running:
                break
            self.now = max(self.now, timer or 0.0)
            self.session.handle_timer(self.now)
        assert self.session.next_timer() is None
        assert self.session.active_response_id is None
        assert self.server.violations == []
        assert self.started == self.ended
        assert sorted(self.server.outputs) == sorted(self.given)
        assert self.session.usage.tokens.total_tokens == self.server.tokens
        for tag, count in self.asked.items():
            answers = self.answers[tag]
            # A request that was given up may still start when the answer was only slow.
            surely = len(answers) - min(answers.count("OH-RT-10"), answers.count("started"))
            assert surely <= count
            if tag not in ("same", "bad"):
                assert answers in ([answers[0]], ["OH-RT-10", "started"])


RealtimeMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestRealtimeMachine = RealtimeMachine.TestCase
