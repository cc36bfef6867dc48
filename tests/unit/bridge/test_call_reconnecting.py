"""Getting another leg: how often, how long, what ends the call meanwhile, and what the caller hears of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import CallEnded, CallState, CloseRealtime, ConnectRealtime, Prompt, ReportRealtime, ToolOutcome
from offhook.bridge.answers import SERVER_PATIENCE
from offhook.bridge.hosted_calls import HOSTED_LIMIT
from offhook.bridge.legs import FIRST_LIMIT, STALLED, LegState
from offhook.bridge.plan import CallLimits, Filler, Recovery
from tests.unit.bridge.exits import ASIDE, SENTENCE
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import Harness, plan, session, speech
from tests.unit.bridge.losses import (
    BASE,
    CARRIED_ON,
    DECLARED,
    DETECTION,
    MOMENT,
    LossyCall,
    lossy,
)

AFTER, LIMIT = Recovery().after, Recovery().limit
BYE = bytes((0xFD,)) * 4000
"""A recorded goodbye."""


def reports(call: LossyCall) -> list[tuple[int, str, str]]:
    return [(report.leg, report.verdict, report.code) for report in call.of(ReportRealtime)]


def asked_at(call: LossyCall, act: Callable[[], None], until: float) -> list[float]:
    """When legs were asked for while something is done whenever there is one to do it to."""
    times: list[float] = []
    end = call.now + until
    number = call.leg
    while call.now < end and call.call.state is CallState.TALKING:
        act()
        if call.leg == number:
            call.advance(0.1)
        if call.leg != number:
            times.append(call.now)
            number = call.leg
        assert len(times) < 100, "nobody waits"
    return times


# Until there is one.


def test_lost_while_it_is_set_up() -> None:
    call = LossyCall(away=None)
    call.open()
    call.connected()
    call.ai.session_created()
    call.lose()
    call.advance(0.1)
    call.back()
    call.advance(2.0)
    assert [frame[:2] for frame in call.told()] == [("response.create", "greeting")], "as if nothing had been"
    assert reports(call) == [(1, "failed", "OH-CALL-06"), (2, "ready", "")]
    call.check_new_session()


def test_the_second_attempt_is_as_good_as_the_first() -> None:
    """Every part of the call talks with the session that got ready, however many there were before."""
    call = LossyCall(away=None)
    call.open()
    for _ in range(3):
        call.ai_lost(None, for_good=False)
        call.advance(2.5)
    call.caller_audio(speech(200, 3))
    call.back()
    call.advance(2.0)
    assert call.ai.heard() == speech(200, 3)
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(ASIDE)
    call.check_new_session()


def test_back_off_in_mid_call() -> None:
    call = LossyCall(away=None).begun()
    lost_at = call.now
    times = asked_at(call, partial(call.ai_lost, None, for_good=False), LIMIT + 5)
    assert [round(at - lost_at, 1) for at in times[:6]] == [0.0, 0.5, 1.5, 3.5, 5.5, 7.5]
    call.advance(5.0)
    variables = call.check_end(DECLARED)
    assert variables["OFFHOOK_REASON"] == "OH-CALL-06", "the first reason"
    began = call.began_at()
    assert began is not None
    assert began - lost_at == pytest.approx(LIMIT, abs=0.2)
    assert len(times) <= 13


def test_nobody_answers_in_time() -> None:
    call = LossyCall(away=None).begun()
    lost_at = call.now
    call.lose()
    call.advance(LIMIT - 0.1)
    assert call.call.state is CallState.TALKING
    call.advance(2.0)
    assert call.began_at() == lost_at + LIMIT
    call.advance(5.0)
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "OH-CALL-06"


def test_the_limit_is_that_of_the_agent() -> None:
    call = LossyCall(lossy(recovery=Recovery(limit=2.0)), away=None).begun()
    call.lose()
    call.advance(3.0)
    call.advance(5.0)
    assert call.check_end(DECLARED)["OFFHOOK_OUTCOME"] == "failed"


def test_a_session_that_is_refused_and_then_nobody_is_left() -> None:
    """The reason is that of the first failure, and of no attempt after it."""
    call = LossyCall(away=None).begun()
    call.providers = 2
    call.ai.refuse("insufficient_quota")
    call.connected()
    call.ai.refuse("server_error")
    call.advance(1.0)
    call.ai_lost()
    call.advance(5.0)
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "OH-CALL-07"
    assert reports(call)[1:] == [
        (1, "unusable", "OH-CALL-07"),
        (2, "failed", "OH-RT-08"),
        (3, "failed", "OH-CALL-06"),
    ]


@pytest.mark.parametrize("how", ["error", "response"])
def test_a_provider_that_is_of_no_use_any_more(how: str) -> None:
    call = LossyCall(away=0.2).begun()
    call.providers = 2
    call.ai.sent.clear()
    if how == "error":
        call.ai.refuse("insufficient_quota")
    else:
        response = call.respond()
        call.ai.done(response, "failed", type="failed", error={"type": "x", "code": "insufficient_quota"})
    call.advance(3.0)
    assert reports(call)[1:] == [(1, "unusable", "OH-CALL-07"), (2, "ready", "")]
    assert call.told() == [*BASE, *CARRIED_ON]
    call.check_new_session()


def test_an_error_that_is_not_the_end() -> None:
    call = LossyCall().begun()
    call.ai.refuse("server_error")
    assert call.leg == 1
    call.lose(1011)
    call.advance(3.0)
    assert call.told() == [*BASE, *CARRIED_ON]


@pytest.mark.parametrize("closes", [True, False])
def test_the_session_has_expired(closes: bool) -> None:
    call = LossyCall().begun()
    call.ai.sent.clear()
    call.ai.refuse("session_expired")
    if closes:
        call.call.realtime_lost(1, 1001, "expired", call.now)
    call.advance(3.0)
    assert reports(call)[1:] == [(1, "failed", "OH-CALL-06"), (2, "ready", "")]
    assert call.told() == [*BASE, *CARRIED_ON]


def test_ready_and_lost_at_once_again_and_again() -> None:
    call = LossyCall(away=None).begun()
    lost_at = call.now

    def flap() -> None:
        conversation = call.call.conversation
        assert conversation is not None
        if conversation.ready:
            call.ai_lost(for_good=False)
        else:
            call.back()

    times = asked_at(call, flap, 60.0)
    assert len(times) <= 13
    call.advance(10.0)
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "OH-CALL-06"
    began = call.began_at()
    assert began is not None
    assert began - lost_at <= LIMIT + 1
    assert not [frame for frame in call.told() if frame[0] == "call"]


def test_what_worked_for_a_while_is_not_flapping() -> None:
    call = LossyCall().begun()
    for _ in range(6):
        call.lose()
        call.advance(8.0)
    assert call.call.state is CallState.TALKING
    call.check_new_session()


@pytest.mark.parametrize("silent_for", [STALLED - 0.2, STALLED + 0.2])
def test_a_response_that_begins_and_never_ends(silent_for: float) -> None:
    call = LossyCall().begun()
    response = call.respond()
    call.speak(response, speech(1000, 60), "Well, ")
    call.ai.sent.clear()
    call.advance(silent_for)
    stalled = silent_for > STALLED
    assert call.leg == (2 if stalled else 1)
    call.advance(3.0)
    if stalled:
        assert reports(call)[1:] == [(1, "failed", "OH-RT-15"), (2, "ready", "")]
        assert call.told() == [*BASE, ("assistant", "Well,"), *CARRIED_ON]


def test_a_response_that_is_asked_for_and_never_begins() -> None:
    """A request is given up after ten seconds and asked again: only when that is no use the session is given up."""
    call = LossyCall().begun()
    call.others = "never"
    call.genesys("dtmf", digit="#")
    call.advance(STALLED - 0.5)
    assert call.leg == 1
    call.others = "said"
    call.advance(20.0)
    assert call.call.state is CallState.TALKING


def test_a_server_that_says_anything_is_not_silent() -> None:
    call = LossyCall().begun()
    call.respond()
    for _ in range(10):
        call.advance(STALLED - 1)
        call.ai.send("rate_limits.updated", rate_limits=[])
    assert call.leg == 1


def test_nobody_waits_for_a_quiet_server() -> None:
    call = LossyCall().begun()
    call.advance(50.0)
    assert call.leg == 1


def test_a_hosted_call_may_take_its_time() -> None:
    call = LossyCall().begun()
    response = call.respond()
    made = {"id": "mcp_1", "type": "mcp_call", "server_label": "docs", "name": "search", "arguments": "{}"}
    call.ai.send("response.output_item.added", response_id=response, output_index=0, item=made)
    call.ai.send("response.mcp_call.in_progress", item_id="mcp_1", output_index=0)
    call.advance(HOSTED_LIMIT - 1)
    assert call.leg == 1
    call.advance(2.0)
    assert call.leg == 2, "it is not waited for any longer, and the server has said nothing for a minute"


def test_a_turn_that_the_server_does_not_answer() -> None:
    call = LossyCall().begun()
    call.ai.sent.clear()
    call.turn("Hello?")
    call.advance(SERVER_PATIENCE - 0.2)
    assert call.told() == []
    call.advance(0.3)
    assert call.told() == [("response.create", "turn", None)]
    call.advance(3.0)
    assert call.told() == [("response.create", "turn", None)]
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(ASIDE)
    call.check_new_session()


def test_a_turn_that_the_server_answers_late() -> None:
    call = LossyCall().begun()
    call.ai.sent.clear()
    call.turn("Hello?")
    call.advance(SERVER_PATIENCE - 0.2)
    call.say(SENTENCE, text="Yes.")
    call.advance(10.0)
    assert call.told() == []


def test_the_caller_speaks_again_before_they_are_answered() -> None:
    call = LossyCall().begun()
    call.ai.sent.clear()
    call.turn("Hello?")
    call.advance(2.0)
    call.turn("Is anybody there?")
    call.advance(SERVER_PATIENCE - 0.2)
    assert call.told() == [], "counted from the last turn"
    call.advance(0.3)
    assert len(call.told()) == 1


# What ends the call meanwhile.


def close(call: LossyCall) -> None:
    call.close()


def drain(call: LossyCall) -> None:
    call.call.drain(15.0, call.now)
    call._settle()


def socket_gone(call: LossyCall) -> None:
    call.hang_up_socket()


def violation(call: LossyCall) -> None:
    call.raw_text("{")


def escalated(call: LossyCall) -> None:
    outcome = ToolOutcome(output="{}", end="escalated", reason="a person has to look", target="Orders")
    call.call.tool_result("call_tool", outcome, call.now)
    call._settle()


def max_duration(call: LossyCall) -> None:
    call.advance(10.0)


ENDS: list[tuple[Callable[[LossyCall], None], str, str]] = [
    (close, "completed", "caller_hung_up"),
    (drain, "limit", "drained"),
    (socket_gone, "failed", "socket_lost"),
    (violation, "failed", "OH-HOOK-01"),
    (escalated, "escalated", "a person has to look"),
    (max_duration, "limit", "max_duration"),
]


@pytest.mark.parametrize("waiting", [False, True], ids=["trying", "waiting"])
@pytest.mark.parametrize("recorded", [False, True], ids=["worded", "recorded"])
@pytest.mark.parametrize(("end", "outcome", "reason"), ENDS, ids=lambda part: getattr(part, "__name__", ""))
def test_the_call_ends_while_nobody_is_there(
    end: Callable[[LossyCall], None], outcome: str, reason: str, recorded: bool, waiting: bool
) -> None:
    """No model is needed for it; a recorded goodbye is heard, and nobody connects any more."""
    goodbye = Prompt(text="Bye.", audio=BYE) if recorded else Prompt(text="Bye.")
    limits = CallLimits(max_duration=12.0 if end is max_duration else None, goodbye=goodbye)
    recovery = Recovery(limit=60.0)
    call = LossyCall(lossy(limits=limits, drained=goodbye, handover=goodbye, recovery=recovery), away=None).begun()
    call.ai.call("order_status", "{}", call.respond(), "call_tool")
    call.lose()
    if waiting:
        call.ai_lost(None, for_good=False)
        conversation = call.call.conversation
        assert conversation is not None
        assert conversation.legs.state is LegState.WAITING
    end(call)
    legs = len(call.of(ConnectRealtime))
    call.back()
    call.advance(10.0)
    assert len(call.of(ConnectRealtime)) == legs
    variables = call.check_end(DECLARED)
    assert (variables["OFFHOOK_OUTCOME"], variables["OFFHOOK_REASON"]) == (outcome, reason)
    assert variables.get("OFFHOOK_TARGET", "") == ("Orders" if end is escalated else "")
    said = recorded and end in (drain, escalated, max_duration)
    assert (BYE in bytes(call.playback.heard)) == said
    assert call.told() == []


def test_cut_while_nobody_is_there() -> None:
    call = LossyCall(away=None).begun()
    call.lose()
    call.call.cut("limit", "drained", "OH-GATE-03 the gateway is shutting down", call.now)
    call._settle()
    call.advance(5.0)
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "drained"


def test_a_limit_is_reached_before_anybody_was_ever_there() -> None:
    goodbye = Prompt(text="Bye.", audio=BYE)
    call = LossyCall(lossy(limits=CallLimits(max_duration=5.0, goodbye=goodbye), summary="always"), away=None)
    call.open()
    call.advance(10.0)
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "max_duration"
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(BYE)


def test_what_was_being_said_is_heard_before_a_call_fails() -> None:
    call = LossyCall(lossy(recovery=Recovery(limit=1.0)), away=None).begun()
    call.say(speech(3000, 60), text="A story.")
    call.advance(0.3)
    call.lose()
    call.advance(10.0)
    assert call.check_end(DECLARED)["OFFHOOK_OUTCOME"] == "failed"
    assert call.heard_then.endswith(speech(3000, 60))


def test_legs_are_closed_when_the_call_ends() -> None:
    call = LossyCall(away=None).begun()
    call.lose()
    drain(call)
    assert [close.leg for close in call.of(CloseRealtime)] == [1, 2], "at once, not when it is over"


def test_announcement_settings_of_nobody() -> None:
    """Without a recording the caller waits in silence, and everything else is the same."""
    call = LossyCall(lossy(recovery=Recovery()), away=3.0).begun()
    call.lose()
    call.advance(6.0)
    assert call.told() == [*BASE, *CARRIED_ON]
    assert "announced" not in call.moments


# What the caller hears meanwhile.


def announced(call: LossyCall) -> list[float]:
    return [moment.at for moment in call.moments_of("announced")]


def test_at_once_and_now_and_then() -> None:
    call = LossyCall(away=None).begun()
    lost_at = call.now
    call.lose()
    call.advance(19.5)
    first, second, third = announced(call)
    assert first == lost_at
    # Half a second of recording, and a tenth until Genesys begins to play it.
    assert second - first == pytest.approx(8.6, abs=0.2)
    assert third - second == pytest.approx(8.6, abs=0.2)
    assert bytes(call.playback.heard).count(MOMENT) == 3


def test_behind_what_is_still_heard() -> None:
    call = LossyCall(away=None).begun()
    call.say(speech(3000, 60), text="A story.")
    call.lose()
    call.advance(6.0)
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(speech(3000, 60) + MOMENT)
    assert len(announced(call)) == 1


def test_not_after_the_agent_is_back() -> None:
    call = LossyCall(away=1.0).begun()
    call.lose()
    call.advance(30.0)
    assert len(announced(call)) == 1
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(MOMENT + ASIDE)


def test_it_is_the_agent_again_who_is_cut_short_by_the_caller() -> None:
    """The announcement can be interrupted like anything else, and the model never hears of it."""
    call = LossyCall(lossy(recovery=Recovery(prompt=Prompt(text="One moment.", audio=MOMENT * 10))), away=0.4).begun()
    call.lose()
    call.advance(0.5)
    call.turn("Hello?")
    assert call.playback.unplayed == 0
    call.say(SENTENCE, text="I am back.")
    call.advance(3.0)
    call.lose()
    call.advance(8.0)
    assert "One" not in repr([frame for frame in call.told() if frame[0] == "assistant"])
    assert call.told()[: len(BASE) + 2] == [*BASE, ("user", "Hello?"), ("assistant", "I am back.")]


def test_an_announcement_that_is_heard_when_the_next_session_is_ready_is_not_told() -> None:
    call = LossyCall(lossy(recovery=Recovery(prompt=Prompt(text="One moment.", audio=MOMENT * 10))), away=2.0).begun()
    call.lose()
    call.advance(12.0)
    assert call.told() == [*BASE, *CARRIED_ON]
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(MOMENT * 10 + ASIDE)


def test_lost_again_while_it_is_played() -> None:
    call = LossyCall(lossy(recovery=Recovery(prompt=Prompt(text="One moment.", audio=MOMENT * 6))), away=0.2).begun()
    call.others = "never"
    first = call.now
    call.lose()
    call.advance(0.5)
    call.away = None
    call.lose()
    call.advance(8.0)
    call.back()
    call.advance(2.0)
    assert announced(call) == [first], "and not again at once"
    assert "One" not in repr(call.told())
    call.others = "said"
    call.away = 0.2
    call.advance(12.0)
    assert len(announced(call)) == 2


def test_a_slow_first_connection() -> None:
    call = LossyCall(away=None)
    call.open()
    opened = call.now
    call.advance(AFTER - 0.1)
    assert announced(call) == []
    call.advance(2.0)
    assert announced(call) == [opened + AFTER]
    assert bytes(call.playback.heard).replace(b"\xff", b"") == MOMENT
    call.advance(10.0)
    call.back()
    call.advance(3.0)
    assert [frame[:2] for frame in call.told()] == [("response.create", "greeting")]
    assert len(announced(call)) == 2
    call.check_new_session()


def test_an_answer_that_takes_too_long() -> None:
    call = LossyCall().begun()
    call.turn("Where is my parcel?")
    call.respond()
    asked = call.now
    call.advance(AFTER - 0.2)
    assert announced(call) == []
    call.advance(1.0)
    assert announced(call) == [pytest.approx(asked + AFTER)]
    call.speak(f"resp_{call.count}", SENTENCE, "It is on its way.")
    call.over(f"resp_{call.count}")
    call.advance(8.0)
    assert len(announced(call)) == 1
    assert bytes(call.playback.heard).replace(b"\xff", b"").endswith(MOMENT + SENTENCE)
    assert not [frame for frame in call.told() if "One moment" in repr(frame)]


def test_not_while_the_caller_speaks() -> None:
    call = LossyCall().begun()
    call.turn("Where is my parcel?")
    call.respond()
    call.advance(1.0)
    call.ai.speech_started("caller_again")
    call.advance(10.0)
    assert announced(call) == []


def test_not_on_hold() -> None:
    call = LossyCall(away=None).begun()
    call.genesys("paused")
    call.lose()
    call.advance(10.0)
    assert announced(call) == []
    call.genesys("resumed", start="PT1S", discarded="PT1S")
    back = call.now
    call.advance(3.0)
    assert announced(call) == [back]


def test_not_while_a_tool_runs() -> None:
    """Fillers are for that."""
    filler = Filler(after=2.0, every=30.0, prompts=(Prompt(text="I am looking."),))
    call = LossyCall(lossy(filler=filler)).begun()
    call.start_tool()
    call.advance(10.0)
    assert announced(call) == []
    assert call.moments.count("filler") == 1


def test_a_key_begins_another_wait() -> None:
    call = LossyCall(away=None).begun()
    call.lose()
    call.advance(4.0)
    assert len(announced(call)) == 1
    call.genesys("dtmf", digit="1")
    call.advance(1.0)
    assert len(announced(call)) == 2, "somebody is there, and is told again"


def test_not_when_the_call_ends() -> None:
    call = LossyCall(away=None).begun()
    call.say(SENTENCE, text="A story.")
    call.lose()
    drain(call)
    call.advance(5.0)
    assert announced(call) == []
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "drained"


@pytest.mark.parametrize("whole", [True, False])
def test_a_protected_prompt_is_not_touched_by_it(whole: bool) -> None:
    """What must be heard is heard to its end, whoever is lost meanwhile, and whoever speaks."""
    greeting = Prompt(text="This call is recorded.", protected=True)
    call = LossyCall(lossy(greeting=greeting, session=session(turn_detection=DETECTION)), away=1.5)
    call.others = "never"
    call.ready()
    call.others = "said"
    response = call.respond(call.ai.received("response.create")[0])
    call.speak(response, speech(3000, 60), greeting.text or "")
    if whole:
        call.over(response)
    call.advance(0.5)
    call.lose()
    call.advance(2.0)
    call.ai.speech_started("caller_1", 500)
    call.genesys("dtmf", digit="1")
    call.advance(0.3)
    call.ai.speech_stopped("caller_1", 2300)
    call.ai.committed("caller_1")
    call.ai.transcribed("caller_1", "Yes?")
    call.advance(8.0)
    heard = bytes(call.playback.heard).replace(b"\xff", b"")
    assert heard.startswith(speech(3000, 60))
    assert call.entities("barge_in") == []
    assert call.told().count(("assistant", "This call is recorded.")) == 1


def test_a_peer_that_reports_nothing() -> None:
    call = LossyCall(reports=(), playback=Playback(0.5)).begun()
    call.say(speech(2000, 60), text="A story.")
    call.advance(0.6)
    call.lose()
    call.advance(6.0)
    assert call.told() == [*BASE, ("assistant", "A story."), *CARRIED_ON]
    call.check_new_session()


def test_a_full_socket() -> None:
    """Genesys takes nothing for a while: it hears everything later, in order, and the agent does not run ahead."""
    call = LossyCall(away=0.5).begun()
    call.say(speech(2000, 60), text="A story.")
    call.set_writable(False)
    call.lose()
    call.advance(6.0)
    assert call.told() == BASE
    call.set_writable(True)
    call.advance(6.0)
    assert call.told() == [*BASE, ("assistant", "A story."), *CARRIED_ON]


def test_no_audio_of_the_caller_is_kept_for_long() -> None:
    call = LossyCall(away=5.0).begun()
    call.lose()
    for _ in range(20):
        call.caller_audio(speech(200, 7))
        call.advance(0.2)
    call.advance(3.0)
    assert call.ai.heard() == (speech(200, 7) * 3)[-4000:]
    (lost,) = call.moments_of("audio_lost")
    assert lost.data == {"leg": "realtime", "seconds": 3.5}


def test_the_first_words_of_the_caller_are_kept_while_the_first_session_is_set_up() -> None:
    call = LossyCall(away=None)
    call.open()
    call.caller_audio(speech(3000))
    call.lose()
    call.back()
    assert call.ai.heard() == speech(3000)


def test_the_set_up_has_an_end() -> None:
    call = LossyCall(away=None)
    call.open()
    opened = call.now
    call.advance(1.0)
    call.ai_lost(None, for_good=False)
    while call.began_at() is None:
        call.advance(1.0)
        call.ai_lost(None, for_good=False)
    assert call.began_at() == pytest.approx(opened + 1.0 + FIRST_LIMIT)
    call.advance(5.0)
    assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "OH-CALL-06"


def test_settings_that_the_server_does_not_take() -> None:
    """Another provider may."""
    call = LossyCall(away=None)
    call.providers = 2
    call.open()
    call.connected()
    call.ai.session_created()
    call.ai.refuse("invalid_value")
    call.back()
    call.advance(1.0)
    assert reports(call) == [(1, "unusable", "OH-RT-06"), (2, "ready", "")]
    assert call.call.state is CallState.TALKING


def test_formats_that_change_in_mid_call() -> None:
    call = LossyCall(away=0.2).begun()
    call.providers = 2
    call.ai.sent.clear()
    formats: dict[str, Any] = {"format": {"type": "audio/pcm", "rate": 24000}}
    call.ai.send("session.updated", session={"type": "realtime", "audio": {"input": formats, "output": formats}})
    call.advance(3.0)
    assert reports(call)[1] == (1, "unusable", "OH-CALL-07")
    assert call.told() == [*BASE, *CARRIED_ON]
    assert isinstance(call.call.conversation and call.call.conversation.session, rt.RealtimeSession)


@pytest.mark.parametrize("reason", ["content_filter", None])
def test_an_answer_that_stops_in_mid_sentence_goes_on(reason: str | None) -> None:
    """What was heard stays, and the caller does not wait for the rest of a sentence; twice, then it is let go."""
    harness = Harness(plan()).talking()
    asked: list[Any] = []
    for number in range(4):
        harness.ai.created(f"resp_{number}", asked[0] if asked else None)
        harness.ai.item(f"resp_{number}", f"item_{number}")
        harness.ai.audio(400, f"resp_{number}", f"item_{number}")
        status = "incomplete" if reason else "failed"
        harness.ai.done(f"resp_{number}", status, type=status, reason=reason)
        harness.ai.sent.clear()
        harness.advance(2.1)
        asked = harness.ai.received("response.create")
        assert len(asked) == (number < 2)
    assert not harness.of(CallEnded)


def test_an_answer_that_reaches_the_operators_limit_of_tokens_is_over() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(400)
    harness.ai.done(status="incomplete", type="incomplete", reason="max_output_tokens")
    harness.advance(5.0)
    assert harness.ai.received("response.create") == []


@pytest.mark.parametrize("times", [1, 3])
def test_a_notice_that_stops_in_mid_sentence(times: int) -> None:
    """It is said again, whole; the greeting follows, whatever becomes of it."""
    call = LossyCall(lossy(notice=Prompt(text="This call is recorded.")))
    call.others = "never"
    call.ready()
    for _ in range(times):
        response = call.respond(call.ai.received("response.create")[-1])
        call.speak(response, speech(300, 40), "This")
        call.over(response, "failed")
        call.advance(2.5)
    if times == 1:
        response = call.respond(call.ai.received("response.create")[-1])
        call.speak(response, SENTENCE, "This call is recorded.")
        call.over(response)
    asked = [frame[1] for frame in call.told() if frame[0] == "response.create"]
    assert asked == [*["notice"] * max(2, times), "greeting"]
