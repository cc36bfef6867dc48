"""Any agent, any order of what people, model, tools and clock do: the call ends once, completely, and in time."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offhook.bridge import CallEnded, CallState, Prompt, ToolOutcome
from offhook.bridge.call import LAST_WORDS
from offhook.bridge.ending import DRAIN_MARGIN, MAX_GOODBYE
from offhook.bridge.plan import CallLimits, Filler, NoInput
from tests.unit.bridge.exits import SENTENCE, Exit
from tests.unit.bridge.harness import START, plan

DECLARED = {"INTENT": "", "ESCALATE": "false"}
HI = Prompt(text="Hi.")
OPTIONAL = st.sampled_from((None, HI))
ANSWERS = st.sampled_from(("said", "said", "silent", "fails", "refused", "never", "stops"))
PLANS = st.fixed_dictionaries(
    {
        "notice": OPTIONAL,
        "greeting": OPTIONAL,
        "goodbye": OPTIONAL,
        "handover": OPTIONAL,
        "no_input": st.sampled_from((NoInput(), NoInput(after=2.0, prompts=(HI, HI)), NoInput(after=1.0))),
        "filler": st.sampled_from((Filler(), Filler(after=0.5, every=2.0, prompts=(HI,)))),
        "limits": st.builds(
            CallLimits,
            max_duration=st.sampled_from((None, None, 8.0, 30.0)),
            warn_before=st.sampled_from((0.0, 5.0)),
            max_turns=st.sampled_from((None, None, 1, 3)),
        ),
        "summary": st.sampled_from(("escalated", "always", "never")),
        "goodbye_timeout": st.sampled_from((2.0, 10.0)),
    }
)


class ExitMachine(RuleBasedStateMachine):
    """A model that answers as it likes, and ends that come from everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.call = Exit(plan())
        self.number = 0
        self.calls: list[str] = []
        self.hurried: float | None = None
        self.on_hold = False

    @initialize(agent=PLANS, goodbye=ANSWERS, others=ANSWERS, reports=st.booleans(), ready=st.booleans())
    def begin(self, agent: dict[str, Any], goodbye: str, others: str, reports: bool, ready: bool) -> None:
        told = ("playback_started", "playback_completed") if reports else ()
        self.call = Exit(plan(**agent), goodbye=goodbye, reports=told)
        self.call.others = others
        if ready:
            self.call.ready()
        else:
            self.call.open()

    @property
    def talking(self) -> bool:
        """The server has a session and somebody to tell of it."""
        conversation = self.call.call.conversation
        live = self.call.call.state in (CallState.TALKING, CallState.ENDING)
        return live and conversation is not None and conversation.ready

    # The model.

    @precondition(lambda self: self.talking and not self.call.running)
    @rule(spoken=st.booleans())
    def response(self, spoken: bool) -> None:
        response = self.call.respond()
        if spoken:
            self.call.speak(response, SENTENCE)

    @precondition(lambda self: self.talking and self.call.running)
    @rule(name=st.sampled_from(("order_status", "order_status", "set_outputs", "end_call", "escalate", "nothing")))
    def function_call(self, name: str) -> None:
        self.number += 1
        arguments = '{"INTENT":"x"}' if name == "set_outputs" else '{"reason":"r","target":"t"}'
        call = f"call_{self.number}"
        self.call.ai.call(name, arguments, next(iter(self.call.running)), call)
        self.calls += [call] if name == "order_status" else []

    @precondition(lambda self: self.call.running)
    @rule(status=st.sampled_from(("completed", "completed", "failed", "incomplete")))
    def response_over(self, status: str) -> None:
        self.call.over(next(iter(self.call.running)), status)

    @precondition(lambda self: self.calls)
    @rule(end=st.sampled_from((None, None, None, "completed", "escalated")), value=st.sampled_from(("", "y", object())))
    def result(self, end: Any, value: object) -> None:
        outcome = ToolOutcome(output="{}", outputs={"INTENT": value}, end=end, reason="r" * 900)
        self.call.call.tool_result(self.calls.pop(0), outcome, self.call.now)
        self.call._settle()

    # The caller.

    @precondition(lambda self: self.talking)
    @rule()
    def caller_speaks(self) -> None:
        """Barge-in: what the agent says is over, unless it is its last."""
        self.number += 1
        interruptible = self.call.call.state is CallState.TALKING
        self.call.ai.speech_started(f"caller_{self.number}")
        if interruptible:
            assert self.call.playback.unplayed == 0
            for response in list(self.call.running):
                self.call.over(response, "cancelled")
        self.call.ai.speech_stopped(f"caller_{self.number}")
        self.call.ai.committed(f"caller_{self.number}")
        self.call.ai.transcribed(f"caller_{self.number}", "So?")

    @precondition(lambda self: not self.call.socket_gone)
    @rule()
    def key(self) -> None:
        self.call.genesys("dtmf", digit="#")

    @precondition(lambda self: not self.call.socket_gone)
    @rule()
    def hold(self) -> None:
        self.on_hold = not self.on_hold
        self.call.genesys(*("paused",) if self.on_hold else ("resumed",), **{} if self.on_hold else RESUMED)

    @rule(seconds=st.sampled_from((0.05, 0.3, 1.0, 3.0)))
    def time(self, seconds: float) -> None:
        self.call.advance(seconds)

    # Ends from elsewhere.

    @precondition(lambda self: not self.call.socket_gone)
    @rule(how=st.sampled_from(("close", "drain", "drain", "lost", "away", "away", "gone", "garbage")))
    def end(self, how: str) -> None:
        call = self.call
        if how == "close":
            self._close()
        elif how == "drain":
            self.hurried = self.hurried or call.now
            call.end("limit", "drained")
        elif how in ("lost", "away"):
            call.running.clear()
            call.ai_lost(for_good=how == "lost")
        elif how == "gone":
            call.hang_up_socket()
        else:
            call.raw_text("{")

    def _close(self) -> None:
        if self.call.call.state not in (CallState.CLOSED, CallState.ENDED):
            self.call.close()

    # What holds at all times.

    @invariant()
    def one_end(self) -> None:
        assert len(self.call.messages_of("disconnect")) <= 1
        assert len(self.call.messages_of("closed")) <= 1
        assert len(self.call.of(CallEnded)) <= 1

    @invariant()
    def in_time(self) -> None:
        call, began = self.call, self.call.began_at()
        if began is None or call.call.state is not CallState.ENDING:
            return
        spoken = sum(turn.audio_ms for turn in call.turns) / 1000 + call.playback.received / 8000
        assert call.now <= began + MAX_GOODBYE + spoken + len(SENTENCE) / 8000 * self.number + DRAIN_MARGIN
        assert self.hurried is None or call.now <= max(self.hurried, began) + LAST_WORDS
        due = call.call.next_timer(call.now)
        assert due is not None
        assert due <= max(began + MAX_GOODBYE, call.now + DRAIN_MARGIN)

    def teardown(self) -> None:
        call = self.call
        if call.call.state is CallState.WAITING:
            return  # it never began
        if call.began_at() is None:
            self._close()
        call.advance(MAX_GOODBYE + 2 * DRAIN_MARGIN)
        variables = call.check_end(DECLARED)
        assert float(variables["OFFHOOK_DURATION_S"]) <= call.now - START


RESUMED = {"start": "PT1S", "discarded": "PT1S"}

TestExitMachine = ExitMachine.TestCase
TestExitMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
