"""Whole calls in memory: the demo's caller and model on a virtual clock, with faults in between."""

import base64
import json
from importlib import resources
from pathlib import Path

import pytest

from offhook.agents import ConnectorPath, plan_call
from offhook.audiohook import PCMU_MONO
from offhook.audiohook.messages import OpenParameters
from offhook.bridge import CallPlan
from offhook.demo.shop import gateway
from offhook.emulator.scenario import Loss
from offhook.emulator.scenario import Scenario as AgentScenario
from offhook.emulator.scenario import load_scenario as load_agent
from offhook.emulator.session import EmulatorSession
from offhook.simulator.scenario import load_scenario as load_caller
from offhook.simulator.script import HangUp, HoldLine, Say, Scenario, Utterance, Wait, WaitForAgent
from offhook.simulator.simulated_call import SimulatedCall
from offhook.speech import Speech
from offhook.tools import ToolSet
from tests.conformance.test_realtime_types import CLIENT_MODELS, check, check_server_event
from tests.fakes.world import World

DEMO = Path(str(resources.files("offhook.demo")))
SPEECH = Speech(synthesiser=None)


def demo_plan() -> CallPlan:
    agent = gateway(key="k", secret="c2VjcmV0c2VjcmV0", realtime_url="ws://127.0.0.1:1/").config.agents["support"]
    parameters = OpenParameters(
        organization_id="d7934305-0972-4844-938e-9060eef73d05",
        conversation_id="3b8f0c52-7d1e-4c7a-8a56-0d9e4f21c6aa",
        media=(PCMU_MONO,),
        input_variables={"COMPANY": "Acme"},
    )
    connector = ConnectorPath.parse("/audiohook/support", "/audiohook")
    assert connector is not None
    return plan_call(agent, "support", parameters, connector, call_id="c", tools=ToolSet(agent.tool_entries).tools)


def demo_world(
    caller: Scenario | None = None,
    agent: AgentScenario | None = None,
    *,
    connect_after: float = 0.2,
    refused_after: float | None = None,
) -> World:
    return World(
        demo_plan(),
        SimulatedCall(caller or load_caller(DEMO / "caller.yaml"), SPEECH),
        EmulatorSession(agent or load_agent(DEMO / "agent.yaml"), SPEECH),
        connect_after=connect_after,
        refused_after=refused_after,
    )


def check_client_event(data: bytes) -> str:
    kind = str(json.loads(data)["type"])
    check(CLIENT_MODELS[kind], data)
    return kind


def test_the_demo_goes_as_written() -> None:
    world = demo_world()
    world.run()
    report = world.caller.report(world.now)
    assert report.ok, report.failures
    assert not world.agent.errors
    assert report.output_variables["OFFHOOK_OUTCOME"] == "completed"
    assert all(isinstance(value, str) for value in report.output_variables.values())
    assert [turn.speaker for turn in world.turns] == [
        "agent", "caller", "agent", "caller", "agent", "keypad", "agent", "caller", "agent", "agent", "caller", "agent",
    ]  # fmt: skip


def test_everything_said_on_the_realtime_leg_is_what_openai_knows() -> None:
    world = demo_world()
    world.run()
    said = {check_client_event(data) for _, data in world.to_ai}
    assert said == {
        "session.update",
        "input_audio_buffer.append",
        "response.create",
        "conversation.item.create",
        "conversation.item.truncate",
    }
    answered = {json.loads(data)["type"] for _, data in world.from_ai}
    for _, data in world.from_ai:
        check_server_event(data)
    assert {"response.done", "rate_limits.updated", "conversation.item.truncated"} <= answered


def test_the_model_remembers_the_words_that_the_caller_heard() -> None:
    world = demo_world()
    world.run()
    believed = [turn.text for turn in world.agent.heard_history() if turn.role == "assistant"]
    heard = [turn.text for turn in world.turns if turn.speaker == "agent"]
    assert len(believed) == len(heard)
    for mind, ear in zip(believed, heard, strict=True):
        # The cut falls on the same millisecond; where it falls in a word, either may keep the word.
        assert abs(len(mind.split()) - len(ear.split())) <= 1
    assert [turn.interrupted for turn in world.turns if turn.speaker == "agent"].count(True) == 1


@pytest.mark.parametrize("connect_after", [0.0, 3.0, 8.0])
def test_a_slow_model_loses_none_of_the_first_words(connect_after: float) -> None:
    question = Utterance("What are your opening hours?")
    caller = Scenario(steps=(Say(question), Wait(0.3), Wait(12.0), HangUp()))
    world = demo_world(caller, connect_after=connect_after)
    world.run()
    opened = next(moment.at for moment in world.moments if moment.name == "opened")
    assert opened - 1000.0 < 0.1
    appended = b"".join(
        base64.b64decode(event["audio"])
        for event in (json.loads(data) for _, data in world.to_ai)
        if event["type"] == "input_audio_buffer.append"
    )
    assert SPEECH.clip(question.text, "caller") in appended
    assert [turn.text for turn in world.turns if turn.speaker == "caller"] == [question.text]


def test_a_model_that_cannot_be_reached_ends_in_a_clean_failure() -> None:
    world = demo_world(refused_after=4.0)
    world.run()
    report = world.caller.report(world.now)
    assert not report.protocol_errors
    assert (report.ended_by, report.reason) == ("agent", "completed")
    assert report.output_variables["OFFHOOK_OUTCOME"] == "failed"
    assert report.output_variables["INTENT"] == ""


@pytest.mark.parametrize("after", [0.3, 1.0, 3.0, 7.0, 9.0, 12.0, 20.0, 27.0, 35.0])
@pytest.mark.parametrize("code", [1001, 1006, 1011])
def test_a_lost_model_ends_in_a_clean_failure(after: float, code: int) -> None:
    agent = load_agent(DEMO / "agent.yaml")
    lost = AgentScenario(seed=agent.seed, speed=agent.speed, turns=agent.turns, lose=Loss(after=after, code=code))
    world = demo_world(agent=lost)
    world.run()
    assert len(world.ended) == 1
    report = world.caller.report(world.now)
    assert not report.protocol_errors
    assert report.ended_by == "agent"
    assert report.reason == "completed"
    assert report.output_variables["OFFHOOK_OUTCOME"] in ("failed", "completed")


def test_nothing_of_a_caller_on_hold_reaches_the_model() -> None:
    caller = Scenario(
        steps=(
            WaitForAgent(),
            HoldLine(3.0),
            Say(Utterance("What are your opening hours?")),
            WaitForAgent(timeout=15.0),
            HangUp(),
        )
    )
    world = demo_world(caller)
    world.run()
    report = world.caller.report(world.now)
    assert report.ok, report.failures
    # The model's clock went on during the hold.
    assert world.agent.received_audio_ms == pytest.approx((world.now - 1000.0) * 1000, abs=1500)
