"""Limits: the model is told shortly before, the caller hears a goodbye, and the flow reads `limit`."""

import pytest

from offhook import realtime as rt
from offhook.bridge import CallEnded, Prompt
from offhook.bridge.conversation import Conversation
from offhook.bridge.limits import Limits
from offhook.bridge.plan import CallLimits
from tests.unit.bridge.exits import GOODBYE, SENTENCE, Exit
from tests.unit.bridge.harness import START, plan, session, speech

BYE = Prompt(text="Time is up.")


def ready(limits: CallLimits, **changes: object) -> Exit:
    call = Exit(plan(limits=limits, **changes))
    call.ready()
    call.forget()
    return call


def warnings(call: Exit) -> list[tuple[float, str]]:
    found = [(at, event["item"]) for at, event in call.ai.sent if event["type"] == "conversation.item.create"]
    return [(round(at - START, 2), item["content"][0]["text"]) for at, item in found if item["role"] == "system"]


class TestDuration:
    def test_warning_once_then_goodbye(self) -> None:
        call = ready(CallLimits(max_duration=100, warn_before=30, goodbye=BYE))
        call.advance(99.9)
        ((at, text),) = warnings(call)
        assert at == 70
        assert "about 30 seconds" in text
        assert call.ai.received("response.create") == [], "the model is told, not asked"
        call.advance(0.2)
        create = call.ai.received("response.create")[-1]["response"]
        assert create["instructions"].endswith("nothing else: Time is up.")
        call.advance(5)
        assert call.heard_then == GOODBYE
        assert (call.ended.outcome, call.ended.reason) == ("limit", "max_duration")
        assert len(warnings(call)) == 1

    def test_a_warning_longer_than_the_call_comes_at_its_beginning(self) -> None:
        call = ready(CallLimits(max_duration=20, warn_before=60))
        call.advance(0.1)
        assert [at for at, _ in warnings(call)] == [0]
        assert "about 20 seconds" in warnings(call)[0][1]

    def test_no_warning(self) -> None:
        call = ready(CallLimits(max_duration=20, warn_before=0))
        call.advance(30)
        assert warnings(call) == []
        assert call.ended.reason == "max_duration"

    def test_a_warning_waits_for_the_model(self) -> None:
        call = Exit(plan(limits=CallLimits(max_duration=20, warn_before=15)))
        call.open()
        call.advance(8)
        call.call.handle_timer(call.now)
        call.connected()
        call.ai.session_created()
        call.ai.session_updated()
        call.advance(0.1)
        ((_, text),) = warnings(call)
        assert "about 12 seconds" in text

    def test_a_short_call_is_over_while_the_model_is_still_awaited(self) -> None:
        call = Exit(plan(limits=CallLimits(max_duration=5)))
        call.open()
        call.advance(6)
        assert (call.ended.outcome, call.ended.reason) == ("limit", "max_duration")

    def test_a_model_that_is_never_ready_is_no_limit(self) -> None:
        call = Exit(plan(limits=CallLimits(max_duration=30)))
        call.open()
        call.advance(40)
        assert (call.ended.outcome, call.ended.reason) == ("failed", "OH-RT-02")

    def test_what_is_nearly_said_is_heard(self) -> None:
        call = ready(CallLimits(max_duration=10, goodbye=BYE))
        call.advance(7)
        call.say(speech(6000))
        call.advance(20)
        assert call.heard_then == speech(6000) + GOODBYE
        assert call.entities("barge_in") == []

    def test_what_would_go_on_for_long_is_cut(self) -> None:
        call = ready(CallLimits(max_duration=10, goodbye=BYE))
        call.advance(7)
        call.say(speech(30_000))
        call.advance(20)
        assert len(call.entities("barge_in")) == 1
        assert call.heard_then.endswith(GOODBYE)
        assert len(call.heard_then) < 3.2 * 8000 + len(GOODBYE)
        assert len(call.ai.received("conversation.item.truncate")) == 1

    def test_an_answer_that_is_asked_for_is_not_waited_for(self) -> None:
        call = ready(CallLimits(max_duration=10, goodbye=BYE))
        call.advance(9)
        call.others = "never"
        call.genesys("dtmf", digit="#")
        call.advance(1.1)
        assert len(call.ai.received("response.create")) == 1
        reply = call.ai.received("response.create")[0]
        late = call.respond(reply)  # the server was slow
        call.speak(late, SENTENCE)
        call.advance(10)
        assert call.heard_then == GOODBYE


class TestTurns:
    def test_so_many_are_answered(self) -> None:
        call = ready(CallLimits(max_turns=2, goodbye=BYE))
        for number in (1, 2):
            call.ai.caller_turn(f"c{number}", "And?")
            call.say(SENTENCE)
            call.advance(4)
        assert call.of(CallEnded) == []
        call.ai.caller_turn("c3", "And?")
        late = call.respond()  # the server answers by itself
        call.speak(late, SENTENCE)
        call.advance(10)
        assert call.heard_then == SENTENCE + SENTENCE + GOODBYE
        assert (call.ended.outcome, call.ended.reason) == ("limit", "max_turns")
        assert [turn.text for turn in call.turns if turn.speaker == "caller"] == ["And?"] * 3

    def test_the_server_that_waits_to_be_asked_is_not(self) -> None:
        silent = session(turn_detection=rt.ServerVad(create_response=False, interrupt_response=True))
        call = ready(CallLimits(max_turns=1, goodbye=BYE), session=silent)
        call.ai.caller_turn("c1", "And?")
        call.advance(5)
        call.ai.caller_turn("c2", "And?")
        call.advance(10)
        tags = [create["response"]["metadata"]["offhook"].rpartition("/")[2] for create in creates(call)]
        assert tags == ["turn", "goodbye"]


def creates(call: Exit) -> list[dict[str, dict[str, dict[str, str]]]]:
    return call.ai.received("response.create")


class TestCost:
    def test_nothing_is_answered_that_is_not_paid_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        call = ready(CallLimits(max_cost=1.0, goodbye=BYE))
        response = call.respond()
        call.ai.call("set_outputs", '{"INTENT":"x"}', response)
        monkeypatch.setattr(Conversation, "cost", property(lambda self: 1.01))
        call.over(response)
        call.advance(5)
        tags = [create["response"]["metadata"]["offhook"].rpartition("/")[2] for create in creates(call)]
        assert tags == ["goodbye"]
        assert (call.ended.outcome, call.ended.reason) == ("limit", "max_cost")

    def test_without_prices_nothing_is_limited(self) -> None:
        call = ready(CallLimits(max_cost=0.000001))
        call.say(SENTENCE)
        call.advance(60)
        assert call.of(CallEnded) == []


class TestLimits:
    def test_nothing_is_limited(self) -> None:
        limits = Limits(CallLimits(), 5.0)
        limits.turn()
        assert limits.reached(1e9, 1e9) is None
        assert limits.warning(1e9) is None
        assert limits.next_timer() is limits.ends_at is None

    def test_duration(self) -> None:
        limits = Limits(CallLimits(max_duration=100, warn_before=30), 0.0)
        assert limits.next_timer() == 70.0
        assert limits.warning(69.9) is None
        assert limits.warning(71.0) is not None
        assert limits.warning(72.0) is None
        assert limits.next_timer() == limits.ends_at == 100.0
        assert limits.reached(99.9, None) is None
        assert limits.reached(100.0, None) == "max_duration"

    def test_a_warning_at_the_very_beginning_of_time(self) -> None:
        assert Limits(CallLimits(max_duration=10, warn_before=30), 0.0).next_timer() == 0.0

    def test_turns(self) -> None:
        limits = Limits(CallLimits(max_turns=1), 0.0)
        limits.turn()
        assert limits.reached(1.0, None) is None
        limits.turn()
        assert limits.reached(1.0, None) == "max_turns"

    @pytest.mark.parametrize(
        ("cost", "reason"), [(None, None), (0.0, None), (0.49, None), (0.5, "max_cost"), (2, "max_cost")]
    )
    def test_cost(self, cost: float | None, reason: str | None) -> None:
        assert Limits(CallLimits(max_cost=0.5), 0.0).reached(1.0, cost) == reason
