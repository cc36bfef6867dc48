"""Data actions of a whole gateway: it starts whether Genesys answers or not, and the agent uses what is there."""

import asyncio
import logging
from typing import Any

import pytest
from structlog.testing import capture_logs

from offhook import Agent, Gateway
from offhook.config import ConfigError
from offhook.emulator.scenario import Call, Scenario
from offhook.emulator.scenario import Turn as AgentTurn
from tests.fakes.genesys_platform import CLIENT_ID, CLIENT_SECRET, GenesysPlatform, Reply
from tests.integration.gateway_world import ANSWER, ASKED, GREETING, QUESTION, world

ACTION = "custom_-_1"
SCRIPT = Scenario(
    first_audio_ms=20,
    turns=[
        AgentTurn(say=GREETING),
        AgentTurn(caller=QUESTION, call=Call(name="get_customer", arguments={"id": "7"})),
        AgentTurn(say=ANSWER),
    ],
)


def agent(**settings: Any) -> Agent:
    return Agent.model_validate(
        {
            "instructions": "Talk.",
            "greeting": "Greet the caller.",
            "turn_detection": {"silence_duration_ms": 200},
            "tools": [{"data_action": {"id": ACTION, "outputs": {"NAME": "/customer/name"}, **settings}}],
            "outputs": {"NAME": {"default": "nobody"}},
        }
    )


def section(genesys: GenesysPlatform) -> dict[str, Any]:
    return {
        "region": "EMEA (Frankfurt)",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "api_url": genesys.url,
        "login_url": genesys.url,
    }


async def test_a_call_runs_a_data_action(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        async with (
            GenesysPlatform() as genesys,
            world(SCRIPT, agents={"support": agent()}, genesys=section(genesys)) as there,
        ):
            async with asyncio.timeout(10):
                (tools,) = there.server._generation.services.tools.values()
                while not tools.tools:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.005)
            await there.call(ASKED)
            assert genesys.runs == {ACTION: 1}
            assert genesys.requests("/execute")[0].body == b'{"id": "7"}'
            assert [turn.text for turn in there.watcher.turns][-1] == ANSWER
    shown = repr(logs) + caplog.text
    for secret in (CLIENT_SECRET, *genesys.tokens):
        assert secret not in shown


async def test_a_gateway_starts_and_talks_while_genesys_is_away() -> None:
    script = Scenario(first_audio_ms=20, turns=[AgentTurn(say=GREETING)])
    async with GenesysPlatform() as genesys:
        genesys.sign_in.append(Reply(hang=True))
        async with world(script, agents={"support": agent()}, genesys=section(genesys)) as there:
            await there.call()
            assert [turn.text for turn in there.watcher.turns] == [GREETING]
            assert not genesys.requests("/actions/")


async def test_a_gateway_in_python_needs_access_too() -> None:
    with pytest.raises(ConfigError) as caught:
        Gateway(agents={"support": agent(), "b": Agent(instructions="x")})
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("OH-CONF-10", "agents.support.tools")


async def test_a_gateway_that_cannot_listen_leaves_nothing_open() -> None:
    async with GenesysPlatform() as genesys, world(agents={"support": agent()}, genesys=section(genesys)) as there:
        taken = Gateway(
            agents={"support": agent()}, listen=f"127.0.0.1:{there.server.port}", genesys=section(genesys), providers=[]
        )
        before = asyncio.all_tasks()
        with pytest.raises(OSError, match="in use"):
            async with taken.serving():
                raise AssertionError("it listens")
        left = {task.get_name() for task in asyncio.all_tasks() - before}
        assert not {name for name in left if name.startswith(("genesys", "data action"))}
