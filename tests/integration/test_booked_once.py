"""A back end that books and then does not answer in time is asked once; the model is told, and the call goes on."""

import asyncio
import json
from typing import Any

from aiohttp import web

from offhook.emulator.scenario import Call, Scenario, Turn
from offhook.simulator.script import Say, Step, Utterance, WaitForAgent
from tests.fakes.genesys_platform import CLIENT_ID, CLIENT_SECRET, FakeAction, GenesysPlatform, Reply
from tests.integration.carried import ANSWER, GOODBYE, GREETING, QUESTION, Carried, agent, carry
from tests.unit.tools.services import Service

THANKS = "Thank you, goodbye."
PARAMETERS = {
    "type": "object",
    "properties": {"slot": {"type": "string"}},
    "required": ["slot"],
    "additionalProperties": False,
}
SCRIPT = Scenario(
    speed=10,
    first_audio_ms=20,
    turns=[
        Turn(say=GREETING),
        Turn(caller=QUESTION, call=Call(name="book", arguments={"slot": "t-1430"})),
        Turn(say=ANSWER),
        Turn(caller=THANKS, preamble=GOODBYE, call=Call(name="end_call", arguments={"reason": "asked for a slot"})),
    ],
)
STEPS: tuple[Step, ...] = (
    WaitForAgent(silence_ms=100),
    Say(Utterance(QUESTION)),
    WaitForAgent(silence_ms=100),
    Say(Utterance(THANKS)),
)


async def talk(tool: dict[str, Any], **settings: Any) -> Carried:
    """Let the agent book during a call."""
    return await carry(agent(tools=["end_call", tool], filler=None), SCRIPT, STEPS, **settings)


def check(done: Carried) -> str:
    """The call went on as if nothing had happened; returns what the model was told, once."""
    done.check("completed", reason="agent_ended", ORDER="")
    done.check_heard(GREETING, ANSWER, GOODBYE)
    assert [speaker for speaker, _ in done.said] == ["agent", "caller", "agent", "caller", "agent"]
    (told, _ended) = done.tool_outputs()
    text = json.loads(told)["error"]
    assert isinstance(text, str)
    assert len(text) < 200
    return text


async def over_http() -> None:
    booked: list[Any] = []

    async def book(request: web.Request) -> web.Response:
        booked.append(await request.json())
        await asyncio.sleep(30)
        return web.json_response({"id": "B-1"})

    async with Service(book).running() as calendar:
        tool = {
            "http": {
                "name": "book",
                "description": "Books a slot.",
                "method": "POST",
                "url": f"http://127.0.0.1:{calendar.port}/bookings",
                "parameters": PARAMETERS,
                "body": {"slot": "{{ args.slot }}"},
                "outputs": {"ORDER": "/id"},
                "timeout": 0.6,
                "allow_private": True,
            }
        }
        done = await talk(tool)
        text = check(done)
        assert "do not repeat it" in text
        assert booked == [{"slot": "t-1430"}]
        assert calendar.paths == ["/bookings"]


async def over_a_data_action() -> None:
    action = FakeAction(name="Book", schema=PARAMETERS)
    async with GenesysPlatform(actions={"custom_-_1": action}) as genesys:
        genesys.execute.append(Reply(run=True, hang=True))
        section = {
            "region": "eu-central-1",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "api_url": genesys.url,
            "login_url": genesys.url,
        }
        tool = {"data_action": {"id": "custom_-_1", "timeout": 0.6, "outputs": {"ORDER": "/id"}}}
        done = await talk(tool, genesys=section)
        text = check(done)
        assert "do not call this again" in text
        assert genesys.runs == {"custom_-_1": 1}
        (request,) = genesys.requests("/execute")
        assert json.loads(request.body) == {"slot": "t-1430"}


async def test_what_may_have_been_booked_is_not_booked_again() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(over_http())
        tasks.create_task(over_a_data_action())
