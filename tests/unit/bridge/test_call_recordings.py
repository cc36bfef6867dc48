"""Recordings: they need no model, so they are heard whatever has become of it."""

from typing import Any

import pytest

from offhook.bridge import Prompt, ToolOutcome
from offhook.bridge.plan import CallLimits, Filler, NoInput
from tests.unit.bridge.exits import ASIDE, SENTENCE, Exit
from tests.unit.bridge.harness import plan, speech

SOUND = speech(1600, 33)
RECORDED = Prompt(text="Goodbye from Acme.", audio=SOUND)


def ready(**changes: Any) -> Exit:
    call = Exit(plan(**changes))
    call.ready()
    return call


def heard(call: Exit) -> bytes:
    return call.heard_then or bytes(call.playback.heard).replace(b"\xff", b"")


def tags(call: Exit) -> list[str]:
    return [
        create["response"]["metadata"]["offhook"].rpartition("/")[2] for create in call.ai.received("response.create")
    ]


@pytest.mark.parametrize("tool", ["end_call", "escalate"])
@pytest.mark.parametrize("spoken", [False, True])
def test_the_goodbye(tool: str, spoken: bool) -> None:
    call = ready(goodbye=RECORDED, handover=RECORDED, summary="never")
    response = call.respond()
    if spoken:
        call.speak(response, SENTENCE)
    call.ai.call(tool, "{}", response)
    call.over(response)
    call.advance(10)
    assert heard(call) == (SENTENCE if spoken else b"") + SOUND
    assert tags(call) == []
    assert call.turns[-1].text == "Goodbye from Acme."


@pytest.mark.parametrize("what", ["lost", "stops", "outside"])
def test_the_goodbye_when_the_model_does_not_finish(what: str) -> None:
    call = ready(goodbye=RECORDED, goodbye_timeout=3.0)
    response = call.respond()
    call.speak(response, SENTENCE)
    call.ai.call("end_call", "{}", response)
    if what == "lost":
        call.ai_lost()
    elif what == "outside":
        call.end("limit", "drained")
    call.advance(10)
    assert heard(call) == SENTENCE + SOUND
    assert (call.ended.outcome, call.ended.reason) == ("completed", "agent_ended")


def test_no_goodbye_when_the_model_is_lost_before_an_end() -> None:
    call = ready(goodbye=RECORDED)
    call.ai_lost()
    call.advance(5)
    assert heard(call) == b""


def test_a_limit() -> None:
    call = ready(limits=CallLimits(max_duration=5.0, warn_before=0, goodbye=RECORDED))
    call.advance(20)
    assert heard(call) == SOUND
    assert call.ended.reason == "max_duration"


def test_a_tool_that_ends_the_call() -> None:
    call = ready(goodbye=RECORDED)
    response = call.respond()
    call.ai.call("order_status", "{}", response)
    call.over(response)
    call.call.tool_result("call_1", ToolOutcome(output="{}", end="completed"), call.now)
    call._settle()
    call.advance(5)
    assert heard(call) == SOUND


def test_silence() -> None:
    call = ready(no_input=NoInput(after=2.0, prompts=(RECORDED,), goodbye=RECORDED))
    call.advance(12)
    assert heard(call) == SOUND + SOUND
    assert tags(call) == []
    times = [moment.at - 1000.0 for moment in call.moments_of("no_input")]
    assert times == pytest.approx([2.0, 2.0 + 1.7 + 2.0], abs=0.05)


def test_fillers() -> None:
    call = ready(filler=Filler(after=1.0, every=2.0, prompts=(RECORDED,)))
    response = call.respond()
    call.ai.call("order_status", "{}", response)
    call.over(response)
    call.advance(1.5)
    call.tool_result()
    call.advance(5)
    assert heard(call) == SOUND + ASIDE
    assert tags(call) == ["reply"]


@pytest.mark.parametrize("recorded", ["notice", "greeting"])
def test_the_notice_comes_before_the_greeting(recorded: str) -> None:
    opening = {"notice": Prompt(text="Recorded."), "greeting": Prompt(text="Hello.")} | {recorded: RECORDED}
    call = ready(**opening)
    call.advance(5)
    assert heard(call) == (SOUND + ASIDE if recorded == "notice" else ASIDE + SOUND)
    assert tags(call) == ["greeting" if recorded == "notice" else "notice"]


def test_both_are_recorded() -> None:
    call = ready(notice=RECORDED, greeting=RECORDED)
    call.advance(5)
    assert heard(call) == SOUND + SOUND
    assert tags(call) == []
