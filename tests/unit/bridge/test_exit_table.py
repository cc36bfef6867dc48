"""The exit contract: every way to end a call, in every state of it (design §3).

Genesys sees one `disconnect` or the answer to its `close`, in time; the flow gets complete output variables; what the
caller was promised is heard to its last byte before; the Realtime leg is closed; the record says how it ended.
"""

import itertools
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal

import msgspec
import pytest

from offhook.bridge import CallPlan, CallState, Prompt, ToolOutcome
from offhook.bridge.conversation import Conversation
from offhook.bridge.ending import DRAIN_MARGIN, PLAYED_MARGIN
from offhook.bridge.plan import CallLimits, NoInput
from offhook.realtime.state import SessionState
from tests.unit.bridge.exits import BROKEN, GOODBYE, SENTENCE, Exit
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import START, plan

DECLARED = {"INTENT": "", "ESCALATE": "false"}
PATIENCE = 4.0
PLAN = plan(
    greeting=Prompt(instructions="Greet."), no_input=NoInput(prompts=(Prompt(text="Hello?"),)), goodbye_timeout=PATIENCE
)
BEGUN = SENTENCE[: 1000 * 8]
"""What is there of a sentence while it is being spoken."""


# Into a state.


def waiting(call: Exit) -> None:
    """Genesys has connected."""


def selecting(call: Exit) -> None:
    call.agent = None
    call.open()


def connecting(call: Exit) -> None:
    call.open()


def configuring(call: Exit) -> None:
    call.open()
    call.connected()
    call.ai.session_created()


def greeting(call: Exit) -> None:
    call.others = "never"
    call.ready()
    call.others = "said"
    create = call.ai.received("response.create")[-1]
    call.speak(call.respond(create), BEGUN)
    call.advance(0.5)


def idle(call: Exit) -> None:
    call.ready()
    call.advance(2.0)
    if call.with_tool:
        start_tool(call)


def caller_speaking(call: Exit) -> None:
    idle(call)
    call.ai.speech_started("caller_9")
    call.advance(0.2)


def agent_speaking(call: Exit) -> None:
    idle(call)
    call.speak(call.respond(), BEGUN)
    call.advance(0.5)


def tool_running(call: Exit) -> None:
    call.with_tool = True
    idle(call)


def on_hold(call: Exit) -> None:
    agent_speaking(call)
    call.genesys("paused")


def back_from_hold(call: Exit) -> None:
    on_hold(call)
    call.at(1.0, lambda: call.genesys("resumed", start="PT1S", discarded="PT1S"))


def saying_goodbye(call: Exit) -> None:
    idle(call)
    response = call.respond()
    call.ai.call("end_call", '{"reason":"all done"}', response, "call_end")
    call.over(response)
    call.advance(0.1)
    assert call.call.state is CallState.ENDING


def disconnecting(call: Exit) -> None:
    call.answers_close = False
    idle(call)
    call.end("limit", "drained", "OH-GATE-03 the gateway is shutting down")
    assert call.call.state is CallState.DISCONNECTING


def start_tool(call: Exit) -> None:
    response = call.respond()
    call.ai.call("order_status", "{}", response, "call_tool")
    call.over(response)


BEFORE = [waiting, selecting]
SETTING_UP = [connecting, configuring]
TALKING = [greeting, idle, caller_speaking, agent_speaking, tool_running, on_hold, back_from_hold]
LATE = [saying_goodbye, disconnecting]
STATES = [*BEFORE, *SETTING_UP, *TALKING, *LATE]


# Out of it.


def caller_hangs_up(call: Exit) -> None:
    call.close("end")


def agent_ends(call: Exit, tool: str = "end_call") -> None:
    response = next(iter(call.running), "") or call.respond()
    call.ai.call(tool, '{"reason":"in words","target":"billing"}', response, "call_1")
    go_on(call)


def agent_escalates(call: Exit) -> None:
    agent_ends(call, "escalate")


def tool_ends(call: Exit, outcome: Literal["completed", "escalated"] = "completed") -> None:
    target = "billing" if outcome == "escalated" else ""
    result = ToolOutcome(output="{}", end=outcome, reason="in words", target=target)
    call.call.tool_result("call_tool", result, call.now)
    call._settle()
    go_on(call)


def tool_escalates(call: Exit) -> None:
    tool_ends(call, "escalated")


def silence(call: Exit) -> None:
    go_on(call)


def max_duration(call: Exit) -> None:
    call.advance(0.02)
    go_on(call)


def max_turns(call: Exit) -> None:
    call.ai.committed("caller_1")
    call.ai.committed("caller_2")
    go_on(call)


def max_cost(call: Exit) -> None:
    call.call.handle_timer(call.now)
    call._settle()
    go_on(call)


def ai_lost(call: Exit) -> None:
    call.ai_lost()


def responses_fail(call: Exit, how: str = "fails") -> None:
    go_on(call)
    call.advance(0.4)
    call.others = call.goodbye = how
    call.over(call.respond(), "failed")
    call.advance(4.0)


def responses_refused(call: Exit) -> None:
    responses_fail(call, "refused")


def protocol_error(call: Exit) -> None:
    call.raw_text("{")


def drained(call: Exit) -> None:
    go_on(call)
    call.end("limit", "drained", "OH-GATE-03 the gateway is shutting down")


def internal_error(call: Exit) -> None:
    call.break_off()


def socket_lost(call: Exit) -> None:
    call.hang_up_socket()


def go_on(call: Exit) -> None:
    """The model finishes what it is saying, unless it is cancelled."""
    for response, spoken in list(call.running.items()):
        if spoken:
            call.at(0.3, partial(call.speak, response, SENTENCE[len(BEGUN) :]))
        call.at(0.3, partial(call.over, response))


class Way(msgspec.Struct, frozen=True):
    """How a call ends."""

    do: Callable[[Exit], None]
    outcome: str
    reason: str
    sentence: bytes = b""
    """How much of a sentence that is being spoken is heard for sure."""
    goodbye: str = ""
    """Whether a goodbye is promised: `always`, or `unless` the sentence stands for it."""
    disconnect: str | None = "completed"
    """Reason of the `disconnect`; None = there is none."""
    at_once: bool = False

    @property
    def name(self) -> str:
        return self.do.__name__

    @property
    def of_a_tool(self) -> bool:
        return self.name.startswith("tool_")


WAYS = [
    Way(caller_hangs_up, "completed", "caller_hung_up", disconnect=None, at_once=True),
    Way(agent_ends, "completed", "agent_ended", SENTENCE, "unless"),
    Way(agent_escalates, "escalated", "agent_escalated", SENTENCE, "unless"),
    Way(tool_ends, "completed", "tool_ended", SENTENCE, "always"),
    Way(tool_escalates, "escalated", "tool_escalated", SENTENCE, "always"),
    Way(silence, "limit", "no_input", SENTENCE, "always"),
    Way(max_duration, "limit", "max_duration", goodbye="always"),
    Way(max_turns, "limit", "max_turns", goodbye="always"),
    Way(max_cost, "limit", "max_cost", goodbye="always"),
    Way(ai_lost, "failed", "OH-CALL-06", BEGUN),
    Way(responses_fail, "failed", "OH-CALL-08", SENTENCE),
    Way(responses_refused, "failed", "OH-CALL-08", SENTENCE),
    Way(protocol_error, "failed", "OH-HOOK-01", disconnect="error", at_once=True),
    Way(drained, "limit", "drained", SENTENCE),
    Way(internal_error, "failed", BROKEN, disconnect="error", at_once=True),
    Way(socket_lost, "failed", "socket_lost", disconnect=None, at_once=True),
]
ENDED_BY_US = [way for way in WAYS if not way.at_once]
State = Callable[[Exit], None]
IMPOSSIBLE: dict[tuple[str, str], str] = {
    (way.name, state.__name__): reason
    for ways, states, reason in (
        ([w for w in ENDED_BY_US if w.do is not drained], BEFORE, "nobody but Genesys and we are there"),
        ([w for w in ENDED_BY_US if w.goodbye and w.do is not max_duration], SETTING_UP, "there is no model yet"),
        ([w for w in WAYS if w.do in (responses_fail, responses_refused)], SETTING_UP, "there is no model yet"),
        ([w for w in WAYS if w.do in (agent_ends, agent_escalates)], [caller_speaking], "the response is interrupted"),
        ([w for w in WAYS if w.of_a_tool], [greeting], "nobody has asked for a tool yet"),
        ([w for w in WAYS if w.do is silence], [caller_speaking, tool_running, on_hold], "the clock stands still"),
        ([w for w in WAYS if w.do is silence], LATE, "nobody waits for the caller any more"),
        ([w for w in WAYS if w.do in (responses_fail, responses_refused)], [caller_speaking], "their turn is next"),
        ([w for w in WAYS if w.do in (responses_fail, responses_refused)], LATE, "only the goodbye is asked for"),
        ([w for w in WAYS if w.do in (agent_ends, agent_escalates)], [disconnecting], "the Realtime leg is closed"),
    )
    for way, state in itertools.product(ways, states)
}
FIRST = {"saying_goodbye": ("completed", "agent_ended"), "disconnecting": ("limit", "drained")}
"""Outcome and reason of a call that is ending already."""
CELLS = [cell for cell in itertools.product(WAYS, STATES) if (cell[0].name, cell[1].__name__) not in IMPOSSIBLE]
GOODBYES = ("silent", "fails", "refused", "never", "stops")


@cache
def seconds_until(state: State) -> float:
    """How long it takes to get there."""
    call = Exit(PLAN)
    state(call)
    return call.now - START


def agent_for(way: Way, state: State, **changes: object) -> CallPlan:
    if way.do is silence:
        changes["no_input"] = NoInput(after=1.0, prompts=(Prompt(text="Hello?"),))
    limits = CallLimits(
        max_duration=seconds_until(state) + 0.02 if way.do is max_duration else None,
        max_turns=1,
        max_cost=1.0,
        warn_before=0,
    )
    return msgspec.structs.replace(PLAN, limits=limits, **changes)


def end(call: Exit, way: Way, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring the call into the state, end it that way, and let everything happen."""
    call.with_tool = way.of_a_tool
    state(call)
    if way.do is max_cost:
        monkeypatch.setattr(Conversation, "cost", property(lambda self: 1.5))
    triggered = call.now
    way.do(call)
    if way.at_once:
        assert call.call.state is CallState.ENDED or call.texts[-1][0] == triggered
    if state is disconnecting and not call.messages_of("closed") and not call.socket_gone:
        call.close("disconnect")
    call.advance(40)


def expected_audio(way: Way, state: State, fixed: bool, goodbye: str) -> bytes:
    """The last that the caller has to have heard before the `disconnect`."""
    if way.at_once or state in (*BEFORE, *SETTING_UP, on_hold, disconnecting):
        return b""
    if state is saying_goodbye:
        return GOODBYE[:4000] if way.do is ai_lost else GOODBYE
    spoken = way.sentence if state in (greeting, agent_speaking, back_from_hold) else b""
    if not way.goodbye or (way.goodbye == "unless" and spoken and not fixed):
        return spoken
    said = {"said": GOODBYE, "stops": GOODBYE[:4800]}.get(goodbye, b"")
    return said if way.do is silence else spoken + said


def bound(way: Way, state: State, goodbye: str) -> float:
    """Seconds from the beginning of the end to the `disconnect`."""
    if state in (*BEFORE, *SETTING_UP, disconnecting):
        return 0.0
    sentence = len(SENTENCE) / 8000 + 0.3
    waited = {"said": len(GOODBYE) / 8000 + 0.3, "never": PATIENCE, "stops": PATIENCE + 0.2}.get(goodbye, 0.2)
    on_hold_for = DRAIN_MARGIN if state is on_hold else 1.0 if state is back_from_hold else 0.0
    return sentence + waited + on_hold_for + PLAYED_MARGIN / 2


def check(call: Exit, way: Way, state: State, *, fixed: bool = False, goodbye: str = "said") -> None:
    variables = call.check_end(DECLARED)
    first = FIRST.get(state.__name__)
    kept = first is not None and (way.disconnect == "completed" or way.do is caller_hangs_up or state is disconnecting)
    outcome, reason = first if first is not None and kept else (way.outcome, way.reason)
    if way.do is not internal_error:  # the gateway tells of that
        assert (call.ended.outcome, call.ended.reason) == (outcome, reason)
    assert variables["OFFHOOK_OUTCOME"] == outcome
    words = {"agent_ended": "all done"} if kept else {}
    of_an_agent = way.do in (agent_ends, agent_escalates) or way.of_a_tool
    assert variables["OFFHOOK_REASON"] == words.get(reason, "in words" if of_an_agent and not kept else reason)
    assert variables.get("OFFHOOK_TARGET", "") == ("billing" if outcome == "escalated" else "")
    if outcome == "escalated" and goodbye == "said":  # a call that has nothing to say does not wait for it
        assert variables["OFFHOOK_SUMMARY"] == "They want a person."
    sent = [message["parameters"]["reason"] for message in call.messages_of("disconnect")]
    if state is disconnecting:
        assert sent == ["completed"]
    elif way.do is drained and state in BEFORE:
        assert sent == ["error"], "there is nothing that the flow could go on with"
    else:
        assert sent == ([] if way.disconnect is None else [way.disconnect])
    assert call.heard_then.endswith(expected_audio(way, state, fixed, goodbye))
    began = call.began_at()
    if sent and began is not None and not way.at_once:
        assert call.disconnected_at is not None
        assert call.disconnected_at - began <= bound(way, state, goodbye)
    conversation = call.call.conversation
    assert conversation is None or way.do is internal_error or conversation.session.state is SessionState.CLOSED


@pytest.mark.parametrize("silent_peer", [False, True], ids=["reports", "silent-peer"])
@pytest.mark.parametrize(("way", "state"), CELLS, ids=lambda part: getattr(part, "name", None) or part.__name__)
def test_every_way_out_of_every_state(
    way: Way, state: State, silent_peer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Genesys tells when it plays, or does not and takes its time to begin."""
    peer: dict[str, Any] = {"reports": (), "playback": Playback(0.5)} if silent_peer else {}
    call = Exit(agent_for(way, state), **peer)
    end(call, way, state, monkeypatch)
    check(call, way, state)


SAYING = [(way, state) for way, state in CELLS if way.goodbye and state in TALKING]


@pytest.mark.parametrize("goodbye", ["said", *GOODBYES])
@pytest.mark.parametrize(("way", "state"), SAYING, ids=lambda part: getattr(part, "name", None) or part.__name__)
def test_whatever_becomes_of_the_goodbye(way: Way, state: State, goodbye: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = Prompt(text="Goodbye from Acme.")
    call = Exit(agent_for(way, state, goodbye=fixed, handover=fixed), goodbye=goodbye)
    end(call, way, state, monkeypatch)
    check(call, way, state, fixed=True, goodbye=goodbye)


def test_the_table_is_whole() -> None:
    names = {(way.name, state.__name__) for way, state in itertools.product(WAYS, STATES)}
    assert {(way.name, state.__name__) for way, state in CELLS} | IMPOSSIBLE.keys() == names
    assert not {(way.name, state.__name__) for way, state in CELLS} & IMPOSSIBLE.keys()
    assert all(IMPOSSIBLE.values())
