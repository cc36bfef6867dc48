"""Calls through the gateway, over real sockets, with MCP servers of both kinds."""

import asyncio
import sys
from typing import Any

from offhook import Agent
from offhook.emulator.scenario import Call, HostedCall, Scenario
from offhook.emulator.scenario import Turn as AgentTurn
from offhook.realtime import FunctionCallOutputItem, FunctionTool, McpTool
from tests.integration.gateway_world import ANSWER, ASKED, GREETING, QUESTION, World, world
from tests.unit.tools.mcp_world import ODD

SERVER = {"mcp": {"name": "crm", "command": [sys.executable, str(ODD)], "tools": ["echo", "pid"]}}
DOCS = {"mcp": {"hosted": True, "name": "docs", "url": "https://docs.example.com/mcp"}}


def agent(*tools: dict[str, Any]) -> Agent:
    settings = {
        "instructions": "Be kind.",
        "greeting": "Greet.",
        "tools": tools,
        "turn_detection": {"silence_duration_ms": 200},
    }
    return Agent.model_validate(settings)


def script(**action: Any) -> Scenario:
    turns = [AgentTurn(say=GREETING), AgentTurn(caller=QUESTION, **action), AgentTurn(say=ANSWER)]
    return Scenario(first_audio_ms=20, turns=turns)


async def spoken(running: World) -> list[str]:
    report = await running.call(ASKED)
    assert report.failures == ()
    async with asyncio.timeout(5):
        await running.server._no_calls.wait()
    return [turn.text for turn in running.watcher.turns]


async def test_a_server_that_the_gateway_runs() -> None:
    called = script(call=Call(name="crm__echo", arguments={"text": "hello"}))
    async with world(called, agents={"support": agent(SERVER)}) as running:
        assert await spoken(running) == [GREETING, QUESTION, ANSWER]
        (session,) = running.emulator.sessions
        names = [tool.name for tool in session.settings.tools if isinstance(tool, FunctionTool)]
        assert names == ["crm__echo", "crm__pid"]
        items = [entry.item for entry in session.conversation.entries()]
        assert [item.output for item in items if isinstance(item, FunctionCallOutputItem)] == ["hello"]


async def test_a_server_that_openai_talks_to() -> None:
    called = script(mcp_call=HostedCall(server="docs", name="search", seconds=0.2))
    async with world(called, agents={"support": agent(DOCS)}) as running:
        assert await spoken(running) == [GREETING, QUESTION, ANSWER]
        (session,) = running.emulator.sessions
        assert [tool.server_label for tool in session.settings.tools if isinstance(tool, McpTool)] == ["docs"]
        assert {"tool_started", "tool_finished"} <= set(running.watcher.moments)
