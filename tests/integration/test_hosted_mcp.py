"""Whole calls in memory with MCP servers that OpenAI talks to: the caller asks, the server looks, the agent answers."""

import json
from typing import Any

import pytest

from offhook.agents import Agent, ConnectorPath, plan_call
from offhook.audiohook import PCMU_MONO
from offhook.audiohook.messages import OpenParameters
from offhook.emulator.scenario import Scenario as AgentScenario
from offhook.emulator.session import EmulatorSession
from offhook.simulator.script import HangUp, Interrupt, Say, Scenario, Step, Utterance, WaitForAgent
from offhook.simulator.simulated_call import SimulatedCall
from tests.conformance.test_realtime_types import CLIENT_MODELS, check, check_server_event
from tests.fakes.world import World
from tests.integration.test_whole_call import SPEECH

QUESTION = Utterance("Where is my order?")
ANSWER = "You can return it within thirty days."
SEARCH = {"server": "docs", "name": "search", "arguments": {"q": "returns"}, "output": "30 days", "seconds": 1.5}


def world(call: Any, *, approve: tuple[str, ...] = (), steps: tuple[Step, ...] = ()) -> World:
    server = {
        "hosted": True,
        "name": "docs",
        "url": "https://docs.example.com/mcp",
        "authorization": "hunter2",
        "approval": "always",
        "approve": approve,
    }
    agent = Agent.model_validate({"instructions": "Be kind.", "greeting": "Greet.", "tools": [{"mcp": server}]})
    parameters = OpenParameters(organization_id="o", conversation_id="c", media=(PCMU_MONO,))
    scenario = AgentScenario.model_validate(
        {
            "turns": [
                {"say": "Hello."},
                {"caller": QUESTION.text, "preamble": "One moment.", "mcp_call": call},
                {"say": ANSWER},
                {"caller": "Stop, please.", "say": "Of course."},
            ]
        }
    )
    caller = Scenario(steps=steps or (WaitForAgent(), Say(QUESTION), WaitForAgent(), WaitForAgent(15.0), HangUp()))
    made = World(
        plan_call(agent, "support", parameters, ConnectorPath()),
        SimulatedCall(caller, SPEECH),
        EmulatorSession(scenario, SPEECH),
    )
    made.run()
    for event in events_to(made):
        check(CLIENT_MODELS[event["type"]], json.dumps(event).encode())
    for _, data in made.from_ai:
        check_server_event(data)
    assert not made.agent.errors
    return made


def said(made: World) -> list[str]:
    return [turn.text for turn in made.turns if turn.speaker == "agent"]


def events_to(made: World) -> list[dict[str, Any]]:
    """What the model was sent, but for the caller's audio."""
    return [json.loads(data) for _, data in made.to_ai if b'"input_audio_buffer.append"' not in data[:60]]


def sent(made: World, kind: str) -> list[dict[str, Any]]:
    return [event for event in events_to(made) if event["type"] == kind]


def answers(made: World) -> list[bool]:
    items = [event["item"] for event in sent(made, "conversation.item.create")]
    return [item["approve"] for item in items if item["type"] == "mcp_approval_response"]


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (SEARCH, []),
        ({**SEARCH, "outlasts": True}, []),
        ({**SEARCH, "error": "no such page"}, []),
        ({**SEARCH, "seconds": 0}, []),
        ({**SEARCH, "approval": True}, [True]),
        ({**SEARCH, "approval": True, "name": "delete"}, [False]),
        ([SEARCH, {**SEARCH, "name": "fetch", "seconds": 2, "outlasts": True}], []),
        ([{**SEARCH, "approval": True}, {**SEARCH, "name": "delete", "approval": True}], [True, False]),
    ],
    ids=["within", "outlasting", "failing", "at-once", "with-leave", "without-leave", "two", "two-kinds-of-leave"],
)
def test_the_outcome_of_a_call_is_told_once(call: Any, given: list[bool]) -> None:
    made = world(call, approve=("search",))
    assert said(made) == ["Hello.", "One moment.", ANSWER]
    assert answers(made) == given
    assert len(sent(made, "response.create")) == 2  # the greeting, and the answer
    assert not made.caller.report(made.now).protocol_errors
    started = [moment.data["tool"] for moment in made.moments if moment.name == "tool_started"]
    ended = [moment.data["tool"] for moment in made.moments if moment.name == "tool_finished"]
    assert sorted(started) == sorted(ended)
    assert ("search" in started) is (given != [False])


def test_a_caller_who_speaks_meanwhile_is_answered() -> None:
    steps = (WaitForAgent(), Say(QUESTION), Interrupt(200, Utterance("Stop, please.")), WaitForAgent(15.0), HangUp())
    made = world({**SEARCH, "seconds": 4}, steps=steps)
    assert said(made)[-1] == "Of course."
    assert made.caller.report(made.now).ok


def test_the_secret_of_a_server_goes_to_openai_and_nowhere_else() -> None:
    made = world(SEARCH)
    assert sent(made, "session.update")[0]["session"]["tools"][0]["authorization"] == "hunter2"
    assert "hunter2" not in repr(made.plan)
    assert "hunter2" not in repr((made.turns, made.moments, made.ended))
