"""A call from the upgrade to the first word, and `close` wherever the call stands: nothing waits for the AI."""

from collections.abc import Callable

import pytest

from offhook.bridge import (
    Call,
    CallEnded,
    CallState,
    CloseRealtime,
    ConnectRealtime,
    Prompt,
    ReportRealtime,
    SelectAgent,
)
from tests.unit.bridge.genesys import PCMU
from tests.unit.bridge.harness import START, Harness, plan, speech


def kinds(harness: Harness) -> list[str]:
    return [message["type"] for _, message in harness.texts]


def test_opened_at_once_though_the_ai_never_connects() -> None:
    harness = Harness()
    harness.open()
    ((at, opened),) = harness.texts
    assert (at, opened["type"]) == (START, "opened")
    assert opened["parameters"]["media"] == [PCMU]
    assert harness.call.state is CallState.CONNECTING
    assert len(harness.of(ConnectRealtime)) == 1
    assert harness.of(ConnectRealtime)[0].session.instructions == "You are Ada of Acme."


def test_an_ai_that_never_answers_ends_the_call() -> None:
    harness = Harness()
    harness.open()
    harness.advance(29)
    assert harness.call.state is CallState.CONNECTING
    harness.advance(2)
    assert harness.variables["OFFHOOK_REASON"] == "OH-RT-02"
    harness.advance(1)
    assert harness.ended.outcome == "failed"


def test_an_ai_that_connects_and_stays_silent_ends_the_call() -> None:
    harness = Harness()
    harness.open()
    harness.connected()
    harness.advance(29.9)
    assert harness.of(ReportRealtime)[0] == ReportRealtime(1, "failed", "OH-RT-02")
    assert len(harness.of(ConnectRealtime)) == 2, "another one is tried"
    harness.advance(0.2)
    assert harness.ended.reason == "OH-RT-02"
    assert len(harness.of(CloseRealtime)) == 2


def test_on_a_warm_session_the_greeting_is_asked_for_at_once() -> None:
    harness = Harness(plan(greeting=Prompt(instructions="Greet.")))
    harness.open()
    harness.caller_audio(speech(100))
    harness.connected(
        created=b'{"type": "session.created", "event_id": "e", "session": {"type": "realtime", "id": "s"}}'
    )
    assert harness.call.state is CallState.TALKING
    assert harness.ai.kinds() == ["session.update", "response.create"]
    assert harness.ai.heard() == speech(100)
    harness.advance(9)
    harness.ai.session_updated()
    assert harness.call.state is CallState.TALKING


def test_a_warm_session_that_is_not_confirmed_is_refused() -> None:
    harness = Harness()
    harness.open()
    harness.connected(
        created=b'{"type": "session.created", "event_id": "e", "session": {"type": "realtime", "id": "s"}}'
    )
    harness.advance(11)
    assert [(report.verdict, report.code) for report in harness.of(ReportRealtime)] == [
        ("ready", ""),
        ("failed", "OH-RT-03"),
    ]
    assert [connect.leg for connect in harness.of(ConnectRealtime)] == [1, 2]


def test_pong_at_once_while_connecting_and_while_talking() -> None:
    harness = Harness()
    harness.open()
    for number in range(5):
        harness.advance(1)
        harness.genesys("ping")
        at, pong = harness.texts[-1]
        assert (at, pong["type"], pong["clientseq"]) == (harness.now, "pong", harness.messages.seq)
        assert len(harness.messages_of("pong")) == number + 1


def talking(harness: Harness) -> None:
    harness.ready()


def agent_speaking(harness: Harness) -> None:
    harness.ready()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(4000)
    harness.advance(1)


def tool_running(harness: Harness) -> None:
    harness.ready()
    harness.ai.created()
    harness.ai.call("order_status")


def paused(harness: Harness) -> None:
    agent_speaking(harness)
    harness.genesys("paused")
    harness.advance(1)


def goodbye(harness: Harness) -> None:
    agent_speaking(harness)
    harness.ai.call("end_call")
    assert harness.call.state is CallState.ENDING


def disconnecting(harness: Harness) -> None:
    harness.answers_close = False
    harness.ready()
    harness.ai_lost()
    assert harness.call.state is CallState.DISCONNECTING


def listening(harness: Harness) -> None:
    harness.agent = plan(mode="listen")
    harness.open()
    assert harness.call.state is CallState.LISTENING


def violated(harness: Harness) -> None:
    harness.answers_close = False
    harness.ready()
    harness.raw_text("nonsense")
    assert harness.call.state is CallState.DISCONNECTING


def selecting(harness: Harness) -> None:
    harness.agent = None
    harness.open()
    assert harness.call.state is CallState.SELECTING


STATES: dict[str, Callable[[Harness], None]] = {
    "before open": lambda harness: None,
    "no agent yet": selecting,
    "connecting": Harness.open,
    "probe": lambda harness: harness.open(probe=True),
    "talking": talking,
    "agent speaking": agent_speaking,
    "tool running": tool_running,
    "paused": paused,
    "goodbye": goodbye,
    "disconnecting": disconnecting,
    "violated": violated,
    "listening": listening,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("reason", ["end", "disconnect", "error"])
def test_close_is_answered_at_once_in_every_state(state: str, reason: str) -> None:
    harness = Harness()
    STATES[state](harness)
    disconnects = len(harness.messages_of("disconnect"))
    assert disconnects <= 1
    harness.close(reason)
    at, closed = harness.log[-1]
    assert isinstance(closed, dict)
    assert (at, closed["type"], closed["clientseq"]) == (harness.now, "closed", harness.messages.seq)
    harness.advance(60)
    assert harness.log[-1][1] == closed, "nothing follows closed"
    assert len(harness.messages_of("disconnect")) == disconnects
    assert harness.call.state is CallState.ENDED
    assert len(harness.of(CallEnded)) == 1
    assert len(harness.of(CloseRealtime)) == len(harness.of(ConnectRealtime))
    assert harness.call.next_timer(harness.now) is None


@pytest.mark.parametrize("state", STATES)
def test_a_lost_socket_ends_the_call_in_every_state(state: str) -> None:
    harness = Harness()
    STATES[state](harness)
    harness.hang_up_socket()
    assert harness.call.state is CallState.ENDED
    assert len(harness.of(CloseRealtime)) == len(harness.of(ConnectRealtime))
    if state == "probe":
        assert harness.ended.outcome == "probe"
    else:
        assert harness.ended.outcome == "failed"
    harness.hang_up_socket()
    assert len(harness.of(CallEnded)) == 1


@pytest.mark.parametrize(
    ("state", "reason", "outcome", "why"),
    [
        ("talking", "end", "completed", "caller_hung_up"),
        ("connecting", "end", "completed", "caller_hung_up"),
        ("talking", "error", "failed", "closed_error"),
        ("talking", "call me Jim", "failed", "closed_other"),
        ("goodbye", "end", "completed", "agent_ended"),
        ("probe", "end", "probe", "probe"),
        ("disconnecting", "disconnect", "failed", "OH-CALL-06"),
    ],
)
def test_what_a_close_means(state: str, reason: str, outcome: str, why: str) -> None:
    harness = Harness()
    STATES[state](harness)
    harness.close(reason)
    harness.advance(1)
    assert (harness.ended.outcome, harness.ended.reason) == (outcome, why)


@pytest.mark.parametrize("state", ["disconnecting", "talking", "listening"])
def test_a_peer_that_never_drops_the_socket_is_dropped(state: str) -> None:
    harness = Harness()
    STATES[state](harness)
    harness.socket_gone = True  # nobody drops it by himself
    if state != "disconnecting":
        harness.close()
    harness.advance(11)
    assert harness.call.close_expected
    assert len(harness.of(CallEnded)) == 1


def test_nothing_is_heard_after_the_end() -> None:
    harness = Harness()
    harness.ready()
    harness.close()
    before = list(harness.log)
    harness.ai.says(1000)
    harness.connected()
    harness.ai_lost()
    harness.tool_result()
    harness.end()
    harness.refuse("error", "OH-CALL-01 no such agent")
    harness.accept(plan())
    harness.caller_audio(speech(200))
    harness.genesys("ping")
    assert harness.log == before


def test_no_open_in_time() -> None:
    harness = Harness()
    harness.advance(10.5)
    (disconnect,) = harness.messages_of("disconnect")
    assert disconnect["parameters"]["reason"] == "error"
    assert harness.ended.outcome == "failed"


def test_a_probe_is_answered_without_an_agent() -> None:
    harness = Harness()
    harness.open(probe=True)
    (opened,) = harness.messages_of("opened")
    assert opened["parameters"]["media"] == []
    assert harness.of(SelectAgent) == harness.of(ConnectRealtime) == []
    harness.genesys("ping")
    assert kinds(harness) == ["opened", "pong"]
    harness.close()
    harness.advance(1)
    assert harness.ended.outcome == "probe"


def test_refused_by_the_shell() -> None:
    harness = Harness(None)
    harness.open()
    harness.refuse("error", "OH-CALL-01 there is no agent of this name")
    assert kinds(harness) == ["disconnect"]
    parameters = harness.messages_of("disconnect")[0]["parameters"]
    assert parameters["reason"] == "error"
    assert parameters["info"] == "OH-CALL-01 there is no agent of this name"
    assert parameters["outputVariables"]["OFFHOOK_OUTCOME"] == "failed"
    harness.refuse("error", "OH-CALL-01 again")
    harness.accept(plan())
    harness.advance(1)
    assert (harness.ended.outcome, harness.ended.reason) == ("failed", "OH-CALL-01")
    assert kinds(harness) == ["disconnect", "closed"]


@pytest.mark.parametrize("opened", [False, True])
def test_ended_from_outside_before_there_is_an_agent(opened: bool) -> None:
    harness = Harness(None)
    if opened:
        harness.open()
    harness.end("failed", "draining", "OH-X the gateway shuts down")
    assert kinds(harness) == ["disconnect"]
    harness.advance(1)
    assert harness.ended.reason == "draining"


def test_ended_from_outside_while_the_ai_connects() -> None:
    harness = Harness()
    harness.open()
    harness.end("limit", "draining", "OH-X the gateway shuts down")
    assert kinds(harness) == ["opened", "disconnect"]
    assert harness.variables["OFFHOOK_OUTCOME"] == "limit"
    assert harness.messages_of("disconnect")[0]["parameters"]["reason"] == "completed"
    harness.connected()
    harness.ai.session_created()
    assert harness.ai.sent == []
    harness.advance(1)
    assert harness.ended.reason == "draining"


def test_ended_from_outside_while_probed_changes_nothing() -> None:
    harness = Harness()
    harness.open(probe=True)
    harness.end()
    assert kinds(harness) == ["opened"]


def test_listening_says_nothing_and_connects_nothing() -> None:
    harness = Harness(plan(mode="listen", greeting=Prompt(text="Hi.")))
    harness.open()
    for _ in range(20):
        harness.caller_audio(speech(200))
        harness.advance(0.2)
    harness.genesys("dtmf", digit="1")
    harness.genesys("playback_started")
    harness.genesys("playback_completed")
    harness.genesys("paused")
    harness.genesys("resumed", start="PT4S", discarded="PT1S")
    harness.set_writable(False)
    assert kinds(harness) == ["opened"]
    assert harness.packets == []
    assert harness.of(ConnectRealtime) == []
    harness.end()
    assert harness.variables["OFFHOOK_OUTCOME"] == "limit"
    harness.advance(1)
    assert harness.ended.outcome == "limit"


def test_a_broken_rule_ends_the_call_with_an_error() -> None:
    harness = Harness()
    harness.ready()
    harness.raw_text("{")
    harness.advance(1)
    (disconnect,) = harness.messages_of("disconnect")
    assert disconnect["parameters"]["reason"] == "error"
    assert harness.ended.outcome == "failed"
    assert harness.ended.reason.startswith("OH-HOOK-")
    assert harness.of(CloseRealtime)


def test_errors_of_genesys_are_noted_and_survived() -> None:
    harness = Harness()
    harness.ready()
    harness.genesys("error", code=400, message="what?")
    harness.genesys("error", code=429, message="slower", retryAfter="PT1S")
    harness.genesys("discarded", start="PT1S", discarded="PT2S")
    assert [name for name in harness.moments if name in ("peer_error", "throttled", "audio_lost")] == [
        "peer_error",
        "throttled",
        "audio_lost",
    ]
    assert harness.call.state is CallState.TALKING


def test_a_message_of_a_new_kind_is_passed_over() -> None:
    harness = Harness(plan())
    harness.ready()
    harness.forget()
    harness.genesys("hologram", size="large")
    assert harness.log == []
    assert harness.commands == []


def test_a_silent_peer_is_given_up_if_wanted() -> None:
    call = Call("c", session_id=None, organization_id=None, now=0.0, idle_timeout=30.0)
    assert call.audiohook.next_timer() == 10.0


def test_an_impossible_step_is_a_fault() -> None:
    harness = Harness()
    with pytest.raises(RuntimeError, match="cannot go from WAITING to TALKING"):
        harness.call._move(CallState.TALKING)
