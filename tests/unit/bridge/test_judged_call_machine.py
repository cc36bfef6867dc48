"""A call whose interruptions the gateway judges, under any order of what happens: nothing is lost but what was cut.

The AI may be lost at any time, and comes back.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offhook.bridge import CallEnded, CallState, InvokeTool, Prompt
from offhook.bridge.interruptions import COMMIT_WAIT, SURE
from offhook.bridge.legs import LegState
from offhook.bridge.plan import BargeIn, Recovery
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import START, Harness, plan, session, within_budget
from tests.unit.bridge.test_call_false_alarms import DETECTION

MS = 8
TOLERANCE = 120
"""Milliseconds by which the reckoning of what was heard may be off."""


def slot(item: int, number: int) -> bytes:
    """One millisecond of an item, like no other."""
    digits = (item % 200, item // 200, number // 200 // 200, number // 200 % 200, number % 200)
    return bytes((254, *digits, 201, 202))


class JudgedCallMachine(RuleBasedStateMachine):
    """The server hears turns and does nothing about them; it answers and cancels when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness(None)
        self.number = 0
        self.response: str | None = None
        self.item: int | None = None
        self.generated: dict[int, int] = {}  # milliseconds
        self.deleted: set[str] = set()
        self.cut: dict[str, int] = {}
        self.seen = 0  # events of ours that were looked at
        self.creates: list[dict[str, Any]] = []
        self.speaking: str | None = None
        self.onset = 0
        self.untranscribed: list[str] = []
        self.items: set[str] = set()  # everything in the conversation
        self.unanswered = False  # somebody certainly spoke, and no answer has been asked for since
        self.on_hold = False
        self.tools: list[str] = []
        self.began = START  # the session
        self.former: set[str] = set()  # what the agent said in former ones

    @initialize(
        start_delay=st.sampled_from((0.0, 0.1, 0.3)),
        reports=st.booleans(),
        protected=st.booleans(),
        policy=st.sampled_from(
            (
                BargeIn(resume=True),
                BargeIn(resume=True),
                BargeIn(min_speech=0.3),
                BargeIn(min_speech=0.4, resume=True),
                BargeIn(),
            )
        ),
    )
    def begin(self, start_delay: float, reports: bool, protected: bool, policy: BargeIn) -> None:
        self.policy = policy
        self.harness = Harness(
            plan(
                session=session(turn_detection=DETECTION),
                greeting=Prompt(instructions="Greet.", protected=protected or not policy.decided_here),
                barge_in=policy,
                recovery=Recovery(limit=10_000.0),
            ),
            playback=Playback(start_delay),
            reports=("playback_started", "playback_completed") if reports else (),
            report_delay=0.02,
        )
        self.harness.ready()
        self.serve()

    # The server.

    def serve(self) -> None:
        """Look at what the gateway asks for, as a server that objects to nonsense."""
        sent = self.harness.ai.sent
        while self.seen < len(sent):
            event = sent[self.seen][1]
            self.seen += 1
            kind, item = event["type"], str(event.get("item_id"))
            if kind == "response.create":
                self.creates.append(event)
                self.unanswered = False
            elif kind == "conversation.item.delete":
                assert item in self.items - self.deleted, "there is no such item"
                self.deleted.add(item)
            elif kind == "conversation.item.truncate":
                assert item in self.items - self.deleted
                assert 0 < event["audio_end_ms"] <= self.cut.get(item, self.generated[int(item.split("_")[1])])
                self.cut[item] = event["audio_end_ms"]
            elif kind == "response.cancel" and event["response_id"] == self.response:
                self.done("cancelled")

    @precondition(lambda self: self.response is None and self.creates)
    @rule()
    def response_begins(self) -> None:
        self.number += 1
        self.response = f"resp_{self.number}"
        self.harness.ai.created(self.response, self.creates.pop(0))
        if self.response is not None:
            self.item_begins()
        self.serve()

    @precondition(lambda self: self.response is None)
    @rule(begun=st.integers(2000, 5000), heard=st.integers(100, 1900))
    def a_long_answer(self, begun: int, heard: int) -> None:
        """Something to interrupt: asked for by a word of the caller if nothing else has."""
        if not self.creates:
            if self.speaking is None:
                self.caller_speaks()
            self.caller_stops(committed=True, seconds=1.8)
        if self.creates:
            self.response_begins()
        if self.response is not None:
            self.audio(begun)
            self.time(heard)

    @precondition(lambda self: self.response is not None)
    @rule()
    def item_begins(self) -> None:
        self.number += 1
        self.finish_item()
        self.item = self.number
        self.items.add(f"item_{self.item}")
        self.harness.ai.item(self.response or "", f"item_{self.item}")

    def finish_item(self) -> None:
        if self.item is not None:
            self.harness.ai.item_done("one two three", self.response or "", f"item_{self.item}")

    @precondition(lambda self: self.response is not None)
    @rule(milliseconds=st.integers(20, 3000))
    def audio(self, milliseconds: int) -> None:
        assert self.item is not None
        before = self.generated.get(self.item, 0)
        self.generated[self.item] = before + milliseconds
        data = b"".join(slot(self.item, before + number) for number in range(milliseconds))
        self.harness.ai.audio(data, self.response or "", f"item_{self.item}")
        self.serve()

    @precondition(lambda self: self.response is not None)
    @rule()
    def tool(self) -> None:
        self.number += 1
        self.harness.ai.call("order_status", "{}", self.response or "", f"call_{self.number}")
        self.serve()

    @precondition(lambda self: self.response is not None)
    @rule()
    def response_ends(self) -> None:
        if self.item not in self.generated:
            self.audio(30)
        if self.response is not None:
            self.done("completed")
        self.serve()

    def done(self, status: str) -> None:
        response, self.response = self.response, None
        assert response is not None
        if self.item is not None:
            self.harness.ai.item_done("one two three", response, f"item_{self.item}")
        self.item = None
        self.harness.ai.done(response, status)

    @rule()
    def result(self) -> None:
        for command in self.harness.of(InvokeTool):
            if command.call_id not in self.tools:
                self.tools.append(command.call_id)
                self.harness.tool_result("{}", command.call_id)
                self.harness.ai.output_added(command.call_id)
                self.serve()
                return

    @precondition(lambda self: self.harness.agent is not None)
    @rule(away=st.sampled_from((0.0, 0.3, 3.0)))
    def lost_and_back(self, away: float) -> None:
        """What was asked of the session is asked of the next one, and what the caller said is answered."""
        self.harness.ai_lost(for_good=False)
        self.harness.advance(away)
        self.come_back()

    def come_back(self) -> None:
        """The session was lost: there is another one, which knows nothing but what it is told."""
        harness = self.harness
        self.former |= {f"item_{number}" for number in self.generated}
        self.response = self.item = self.speaking = None
        self.untranscribed.clear()
        self.creates.clear()
        self.items.clear()
        self.unanswered = True
        conversation = harness.call.conversation
        assert conversation is not None
        while conversation.legs.state is LegState.WAITING:
            harness.advance(0.5)
        self.seen = len(harness.ai.sent)
        harness.connected()
        harness.ai.session_created()
        harness.ai.session_updated()
        self.began = harness.now
        self.serve()

    # The caller.

    @property
    def clock(self) -> int:
        return int((self.harness.now - self.began) * 1000)

    @precondition(lambda self: self.speaking is None)
    @rule()
    def caller_speaks(self) -> None:
        self.number += 1
        self.speaking = f"caller_{self.number}"
        self.onset = self.clock - 100
        self.harness.ai.speech_started(self.speaking, self.onset - 300)
        self.serve()

    @precondition(lambda self: self.speaking is not None)
    @rule(committed=st.booleans() | st.just(True), seconds=st.floats(0.0, 1.8))
    def caller_stops(self, committed: bool, seconds: float) -> None:
        assert self.speaking is not None
        self.time(round(seconds * 1000))
        item, self.speaking = self.speaking, None
        self.harness.ai.speech_stopped(item, self.clock)
        if committed:
            self.items.add(item)
            self.serve()
            self.unanswered = self.unanswered or self.clock - 500 - self.onset >= SURE * 1000
            self.harness.ai.committed(item)
            self.untranscribed.append(item)
        self.serve()

    @precondition(lambda self: self.untranscribed)
    @rule(text=st.sampled_from(("", "", "No.", "...")))
    def transcript(self, text: str) -> None:
        self.harness.ai.transcribed(self.untranscribed.pop(0), text)
        self.serve()

    @precondition(lambda self: not self.on_hold)
    @rule(digit=st.sampled_from("12#"))
    def key(self, digit: str) -> None:
        self.harness.genesys("dtmf", digit=digit)
        self.serve()

    @rule()
    def hold(self) -> None:
        self.on_hold = not self.on_hold
        if self.on_hold:
            self.harness.genesys("paused")
        else:
            self.harness.genesys("resumed", start="PT1S", discarded="PT1S")

    @rule(milliseconds=st.integers(1, 3000))
    def time(self, milliseconds: int) -> None:
        if self.response is None and self.creates:
            self.response_begins()
        self.pass_time(milliseconds / 1000)

    def pass_time(self, seconds: float) -> None:
        """A server that says nothing for long while an answer is owed is given up."""
        conversation = self.harness.call.conversation
        assert conversation is not None
        end = self.harness.now + seconds
        while self.harness.now < end:
            self.harness.advance(min(1.0, end - self.harness.now))
            self.serve()
            if not conversation.ready:
                self.come_back()

    # What holds at all times.

    @invariant()
    def within_bounds(self) -> None:
        assert self.harness.playback.most_unplayed <= 1000 * MS
        assert within_budget([at for at, _ in self.harness.packets])
        assert within_budget([at for at, _ in self.harness.texts])
        assert len(self.creates) <= 1

    def teardown(self) -> None:
        harness = self.harness
        if harness.agent is None:
            return
        if self.on_hold:
            self.hold()
        if self.speaking is not None:
            self.caller_stops(committed=True, seconds=0.5)
        self.answer_all()
        for _ in range(2 if self.former else 1):  # what was said before a loss is heard before the next answer
            self.pass_time(COMMIT_WAIT + 1 + (sum(self.generated.values()) / 1000 if self.former else 0.0))
            self.answer_all()
        assert harness.call.state is CallState.TALKING
        assert harness.call.conversation is not None
        assert not harness.call.conversation.playout.held, "the agent never speaks again"
        assert not self.unanswered, "the caller was never answered"
        self.pass_time(sum(self.generated.values()) / 1000 + 15)
        harness.close()
        harness.advance(30)
        assert len(harness.of(CallEnded)) == 1
        self.check_items()

    def answer_all(self) -> None:
        """The server does what it is asked for."""
        while self.response is not None or self.creates:
            if self.response is None:
                self.response_begins()
            else:
                self.response_ends()

    def check_items(self) -> None:
        """Each item was heard as far as the model and the record say."""
        heard = bytes(self.harness.playback.heard)
        turns = {turn.item_id: turn for turn in self.harness.turns if turn.speaker == "agent"}
        assert len(turns) == len([turn for turn in self.harness.turns if turn.speaker == "agent"]), "recorded twice"
        for number, milliseconds in self.generated.items():
            item = f"item_{number}"
            played = sum(slot(number, each) in heard for each in range(0, milliseconds, 10)) * 10
            turn = turns[item]
            assert turn.heard_ms <= turn.audio_ms
            if item in self.former and item not in self.cut and item not in self.deleted:
                assert abs(played - turn.heard_ms) <= TOLERANCE + 800
                # A peer that does not report may play later than is reckoned, and is told to flush what was heard then.
                assert turn.interrupted or played >= milliseconds - TOLERANCE - 200
            elif item in self.deleted:
                assert played <= TOLERANCE + 800 * (item in self.cut), "the model forgot what was heard"
            elif item in self.cut:
                assert turn.interrupted
                assert abs(turn.heard_ms - self.cut[item]) <= 1
                assert abs(played - self.cut[item]) <= TOLERANCE + 800
            else:
                assert played >= milliseconds - TOLERANCE, "something was lost"
                assert turn.heard_ms >= turn.audio_ms - TOLERANCE


TestJudgedCallMachine = JudgedCallMachine.TestCase
TestJudgedCallMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
