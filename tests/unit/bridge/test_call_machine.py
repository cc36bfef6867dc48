"""A call with sane peers under any order of their doings: what is heard, what the model remembers, what is recorded.

The AI may be lost at any time, and comes back.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offhook.bridge import CallEnded, CallState, InvokeTool, Prompt
from offhook.bridge.digits import Digits
from offhook.bridge.legs import LegState
from offhook.bridge.plan import CollectDigits, Recovery
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import Harness, plan, shown, within_budget

MS = 8
COLLECTING = CollectDigits(timeout=300.0, between=2.0, total=600.0, secret_tool="verify_pin")
SECRET = "7140398265"
"""Keys of a secret, in this order; nothing else in the test has these numbers in it."""


class CallMachine(RuleBasedStateMachine):
    """The AI side cancels at speech as server VAD does, answers caller turns by itself and other things when asked."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness(plan())
        self.number = 0
        self.response: str | None = None
        self.item: str | None = None
        self.speaking = False
        self.on_hold = False
        self.expected = b""  # audio that is to leave, since the last interruption
        self.before = 0  # packets until then
        self.items: list[str] = []  # agent items with audio, in order
        self.generated: dict[str, int] = {}
        self.answered = 0  # creates that became responses
        self.tools: list[str] = []
        self.first = 0  # of the items, the first that was not cut
        self.old = 0  # of the items, the first that this session said
        self.entered = 0  # keys of the secret
        self.collections: list[str] = []

    @initialize(start_delay=st.sampled_from((0.0, 0.1, 0.2)), reports=st.booleans(), greeting=st.booleans())
    def begin(self, start_delay: float, reports: bool, greeting: bool) -> None:
        self.harness = Harness(
            plan(
                greeting=Prompt(instructions="Greet.") if greeting else None,
                collect_digits=COLLECTING,
                recovery=Recovery(limit=10_000.0),
            ),
            playback=Playback(start_delay),
            reports=("playback_started", "playback_completed") if reports else (),
            report_delay=0.02,
        )
        self.harness.ready()

    # The agent.

    def pending(self) -> list[dict[str, Any]]:
        """Requests that the server has not answered yet."""
        return self.harness.ai.received("response.create")[self.answered :]

    @property
    def there(self) -> bool:
        """The model listens."""
        conversation = self.harness.call.conversation
        return conversation is not None and conversation.ready

    @precondition(lambda self: self.there)
    @rule()
    def ai_lost(self) -> None:
        """What is there of the agent's words is heard all the same."""
        self.nobody_sees_the_secret()
        self.harness.ai.sent.clear()
        self.answered = 0
        self.response = self.item = None
        self.speaking = False
        self.old = len(self.items)
        self.harness.ai_lost(for_good=False)

    @precondition(lambda self: not self.there)
    @rule()
    def ai_back(self) -> None:
        """It is told everything once, whatever was going on; nobody else is told anything before."""
        assert self.harness.ai.sent == []
        conversation = self.harness.call.conversation
        assert conversation is not None
        while conversation.legs.state is LegState.WAITING:
            self.harness.advance(0.5)
        self.harness.connected()
        self.harness.ai.session_created()
        self.harness.ai.session_updated()
        assert self.there
        frames = [event["item"] for event in self.harness.ai.received("conversation.item.create")]
        calls = [item["call_id"] for item in frames if item["type"] == "function_call"]
        outputs = [item["call_id"] for item in frames if item["type"] == "function_call_output"]
        assert calls == outputs
        assert len(set(calls)) == len(calls)
        heard = self.harness.ai.heard()
        assert len(heard) <= 4000 or set(heard) == {0xFF}

    @precondition(lambda self: self.there and self.response is None and (self.pending() or not self.speaking))
    @rule()
    def response_begins(self) -> None:
        """Our request, if there is one, else one that the server makes by itself."""
        self.number += 1
        creates = self.pending()[:1]
        self.answered += len(creates)
        self.response = f"resp_{self.number}"
        self.harness.ai.created(self.response, creates[0] if creates else None)
        self.item_begins()

    @precondition(lambda self: self.response is not None)
    @rule()
    def item_begins(self) -> None:
        assert self.response is not None
        self.number += 1
        if self.item is not None:
            self.harness.ai.item_done("one two three", self.response, self.item)
        self.item = f"item_{self.number}"
        self.harness.ai.item(self.response, self.item)

    @precondition(lambda self: self.response is not None)
    @rule(milliseconds=st.integers(20, 3000))
    def audio(self, milliseconds: int) -> None:
        assert self.response is not None
        assert self.item is not None
        data = bytes((self.number % 250,)) * (milliseconds * MS)
        self.expected += data
        if self.item not in self.generated:
            self.items.append(self.item)
        self.generated[self.item] = self.generated.get(self.item, 0) + milliseconds
        self.harness.ai.audio(data, self.response, self.item)

    @precondition(lambda self: self.response is not None)
    @rule()
    def tool(self) -> None:
        self.number += 1
        self.harness.ai.call("order_status", "{}", self.response or "", f"call_{self.number}")

    @precondition(lambda self: self.response is not None)
    @rule(secret=st.booleans(), length=st.sampled_from((0, 2, 5)))
    def collect(self, secret: bool, length: int) -> None:
        self.number += 1
        running = self.digits.collecting
        wanted = f'"secret":{str(secret).lower()}' + (f',"length":{length}' if length else "")
        self.harness.ai.call("collect_digits", f"{{{wanted}}}", self.response or "", f"digits_{self.number}")
        self.collections.append(f"digits_{self.number}")
        if secret and self.digits.collecting and not running:
            self.speaking = False  # the server was told to forget what the caller is saying

    @precondition(lambda self: self.there and self.response is None and not self.pending() and not self.speaking)
    @rule(secret=st.booleans(), length=st.sampled_from((0, 2, 5)))
    def ask_for_digits(self, secret: bool, length: int) -> None:
        self.time(50)  # reports of what was played before are here by then
        self.response_begins()
        self.audio(600)
        self.collect(secret, length)
        self.response_ends()

    @property
    def digits(self) -> Digits:
        conversation = self.harness.call.conversation
        assert conversation is not None
        return conversation.digits

    @precondition(lambda self: self.response is not None)
    @rule()
    def response_ends(self) -> None:
        if self.item not in self.generated:
            self.audio(30)  # answers that bring nothing, three in a row, would end the call
        self._done("completed")

    def _done(self, status: str) -> None:
        assert self.response is not None
        if self.item is not None:
            self.harness.ai.item_done("one two three", self.response, self.item)
        self.harness.ai.done(self.response, status)
        self.response = self.item = None

    @rule()
    def result(self) -> None:
        calls = [command.call_id for command in self.harness.of(InvokeTool)]
        for call in calls:
            if call not in self.tools:
                self.tools.append(call)
                self.harness.tool_result("{}", call)
                if self.there:
                    self.harness.ai.output_added(call)
                return

    # The caller.

    @precondition(lambda self: self.there and not self.speaking and not self.digits.secret)
    @rule()
    def caller_speaks(self) -> None:
        self.number += 1
        self.speaking = True
        self._interrupt(lambda: self.harness.ai.speech_started(f"caller_{self.number}"))
        if self.response is not None:
            self.harness.ai.audio(500, self.response, self.item or "")
            self._done("cancelled")

    @precondition(lambda self: self.speaking)
    @rule()
    def caller_stops(self) -> None:
        self.speaking = False
        self.harness.ai.speech_stopped(f"caller_{self.number}")
        self.harness.ai.committed(f"caller_{self.number}")
        self.harness.ai.transcribed(f"caller_{self.number}", "I see.")

    @precondition(lambda self: not self.on_hold and not self.digits.secret)
    @rule(digit=st.sampled_from("12#"))
    def key(self, digit: str) -> None:
        if self.goes_nowhere(digit) or not self.there:
            self.harness.genesys("dtmf", digit=digit)
            return
        if self.response is not None and not self.digits.collecting:
            # It may turn out to ask for a secret.
            self.harness.genesys("dtmf", digit=digit)
            if self.item not in self.generated:
                self.audio(30)
            self._interrupt(lambda: self._done("completed"))
            return
        self._interrupt(lambda: self.harness.genesys("dtmf", digit=digit))
        if self.response is not None:
            assert "response.cancel" in self.harness.ai.kinds()
            self._done("cancelled")

    def goes_nowhere(self, digit: str) -> bool:
        """A key of what is over already."""
        digits, conversation = self.digits, self.harness.call.conversation
        assert conversation is not None
        late = self.harness.now < digits._surplus_until and (digits._after_secret or digit == "#")
        return not digits.collecting and (conversation.tool_calls.runs_secret or late)

    @precondition(lambda self: self.digits.secret)
    @rule(terminator=st.booleans())
    def secret_key(self, terminator: bool) -> None:
        """Whoever enters a secret goes on with it, in a secure pause and when nobody asks any more."""
        digit = "#" if terminator else SECRET[self.entered % len(SECRET)]
        self.entered += not terminator
        collection = self.digits._collection
        if collection is None or not collection.request.secret or not self.there:
            self.harness.genesys("dtmf", digit=digit)
            return
        self._interrupt(lambda: self.harness.genesys("dtmf", digit=digit))
        if self.response is not None:
            self._done("cancelled")

    @rule()
    def caller_sounds(self) -> None:
        """A frame of the caller, with a tone or a spoken digit in it."""
        before = len(self.harness.ai.received("input_audio_buffer.append"))
        self.harness.caller_audio(b"\x11" * 1600)
        passed = len(self.harness.ai.received("input_audio_buffer.append")) > before
        assert passed != (self.digits.secret or self.on_hold or not self.there)

    @rule()
    def hold(self) -> None:
        self.on_hold = not self.on_hold
        if self.on_hold:
            self.harness.genesys("paused")
        else:
            self.harness.genesys("resumed", start="PT1S", discarded="PT1S")

    @rule(milliseconds=st.integers(1, 4000))
    def time(self, milliseconds: int) -> None:
        if self.response is None and self.pending():
            self.response_begins()
        self.harness.advance(milliseconds / 1000)

    def _interrupt(self, do: Callable[[], None]) -> None:
        """Check what the model is told of an interruption, and that nothing plays on."""
        harness = self.harness
        packets = b"".join(packet for _, packet in harness.packets[self.before :])
        really = (len(packets) - harness.playback.unplayed) / MS
        revoked = self.pending()
        flushes = len(harness.entities("barge_in"))
        self.nobody_sees_the_secret()
        harness.ai.sent.clear()
        self.answered = 0
        do()
        cut = harness.ai.received("conversation.item.truncate")
        assert len(cut) <= 1
        for event in cut:
            item = event["item_id"]
            assert self.items.index(item) >= self.old, "nobody has heard of it"
            assert 0 < event["audio_end_ms"] <= self.generated[item]
            before = sum(self.generated[earlier] for earlier in self.items[self.first : self.items.index(item)])
            # The filling of a lone tail is heard and belongs to no item.
            assert abs(before + event["audio_end_ms"] - really) <= 100 + packets.count(b"\xff") / MS
        assert harness.playback.unplayed == 0
        assert len(harness.entities("barge_in")) <= flushes + 1
        self.expected = b""
        self.before = len(harness.packets)
        self.first = len(self.items)
        for create in revoked:
            # Asked for before and cancelled before it was created: the server has not heard of that yet.
            self.number += 1
            harness.ai.created(f"resp_{self.number}", create)
            assert harness.ai.received("response.cancel")[-1]["response_id"] == f"resp_{self.number}"
            harness.ai.done(f"resp_{self.number}", "cancelled")

    # What holds at all times.

    @invariant()
    def only_what_was_queued_leaves(self) -> None:
        sent = b"".join(packet for _, packet in self.harness.packets[self.before :]).replace(b"\xff", b"")
        assert self.expected.startswith(sent)
        assert self.harness.playback.most_unplayed <= 1000 * MS
        assert within_budget([at for at, _ in self.harness.packets])
        assert within_budget([at for at, _ in self.harness.texts])

    @invariant()
    def one_request_at_a_time(self) -> None:
        assert len(self.pending()) <= 1

    @invariant()
    def nobody_sees_the_secret(self) -> None:
        harness = self.harness
        said = [event for _, event in harness.ai.sent if event["type"] != "input_audio_buffer.append"]
        seen = shown(said, harness.texts, harness.commands)
        typed = (SECRET * (self.entered // len(SECRET) + 1))[: self.entered]
        for at in range(len(typed) - 3):
            assert typed[at : at + 4] not in seen
            assert " ".join(typed[at : at + 4]) not in seen

    def teardown(self) -> None:
        harness = self.harness
        if not self.there and harness.call.state is CallState.TALKING:
            self.ai_back()
        if self.collections:
            harness.advance(2.0)
            while self.pending() or self.response is not None:
                self.response_ends() if self.response is not None else self.response_begins()
        if self.on_hold:
            self.hold()
        if self.response is not None:
            self.response_ends()
        assert harness.call.state is CallState.TALKING
        harness.advance(len(self.expected) / 8000 + 1)
        sent = b"".join(packet for _, packet in harness.packets[self.before :]).replace(b"\xff", b"")
        assert sent == self.expected
        harness.close()
        assert harness.texts[-1][1]["type"] == "closed"
        harness.advance(30)
        assert len(harness.of(CallEnded)) == 1
        recorded = [turn.item_id for turn in harness.turns if turn.item_id in self.items]
        assert recorded == self.items
        for turn in harness.turns:
            assert turn.heard_ms <= turn.audio_ms
        assert harness.moments.count("digits_started") == harness.moments.count("digits_ended")
        assert harness.moments.count("secret_started") == harness.moments.count("secret_ended")


TestCallMachine = CallMachine.TestCase
TestCallMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
