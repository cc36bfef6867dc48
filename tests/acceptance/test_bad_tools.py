"""Tools that go wrong, each in a whole call: the model gets a short reason, the call goes on and ends as it should."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.acceptance.genesys import GenesysCall
from tests.acceptance.realtime import Leg, RealtimeFake
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import OFFHOOK_OUTPUTS, SUPPORT, World
from tests.unit.tools.services import Service

TOOLS = (
    "order_status",
    "broken_tool",
    "slow_tool",
    "huge_tool",
    "stray_tool",
    "unfit_tool",
    "odd_output_tool",
    "odd_result_tool",
    "half_letter_tool",
)
OUTPUTS = {"INTENT": {"default": "none", "enum": ["none", "order"]}, "ORDER": {}}
FAILED = '{"error": "the tool failed"}'


def http_tool(name: str, port: int, **settings: Any) -> dict[str, Any]:
    """Return a tool that asks a server of this machine."""
    url = f"http://127.0.0.1:{port}/{name}"
    given = {"name": name, "description": "Asks.", "url": url, "allow_private": True, **settings}
    return {"http": given}


async def serve_badly(request: web.Request) -> web.StreamResponse:
    """Answer with what no tool can use."""
    match request.path:
        case "/page":
            return web.Response(body=b"<html>down</html>", content_type="application/json")
        case "/other":
            return web.json_response({"state": "shipped"})
        case "/large":
            return web.Response(body=b'"' + b"x" * 3_000_000 + b'"', content_type="application/json")
        case _:
            await asyncio.sleep(30)
            return web.Response()


@asynccontextmanager
async def agents() -> AsyncIterator[dict[str, Any]]:
    """Give an agent with every bad tool."""
    async with Service(serve_badly).running() as service:
        tools = [
            "end_call",
            *({"python": f"tests.acceptance.tools:{name}"} for name in TOOLS),
            http_tool("page", service.port, result="/orders/0"),
            http_tool("other", service.port, result="/orders/0"),
            http_tool("large", service.port),
            http_tool("hang", service.port, method="POST", body={}),
        ]
        yield {"support": {**SUPPORT, "greeting": "Greet.", "tools": tools, "outputs": OUTPUTS, "filler": None}}


async def say(leg: Leg, call: GenesysCall, byte: int) -> None:
    """Answer what was asked for with half a second of a byte, and see it arrive."""
    create = await leg.expect("response.create")
    before = len(call.audio)
    await leg.answer(create, bytes([byte]) * 4000)
    audio = await call.expect_audio(before + 4000, within=2)
    assert audio[before:] == bytes([byte]) * 4000


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("broken_tool", '{"secret": "4711"}', FAILED),
        ("slow_tool", "{}", "the tool did not answer within 0.5 seconds, but may have done its work"),
        ("huge_tool", "{}", "the tool was run, but its result is too long"),
        ("odd_result_tool", "{}", FAILED),
        ("no_such_tool", "{}", "there is no tool of this name"),
        ("order_status", "{}", "invalid arguments: order_id: Field required"),
        ("order_status", '{"order_id": ', "the arguments are not a JSON object"),
        ("page", "{}", "the service's answer is not JSON"),
        ("other", "{}", "in the service's answer there is nothing at /orders/0"),
        ("large", "{}", "the service's answer is too long"),
        ("hang", "{}", "it is not known whether the request was carried out: do not repeat it"),
        ("stray_tool", "{}", "Order 7 has shipped.\n(outputs were not set: unknown names: ORDER_STATE"),
        ("unfit_tool", "{}", "Order 7 has shipped.\n(outputs were not set: INTENT must be one of: none, order"),
        ("odd_output_tool", "{}", "Order 7 has shipped.\n(outputs were not set: INTENT"),
        ("half_letter_tool", "{}", '{"state":"?"}\n(outputs were not set: INTENT'),
    ],
)
async def test_a_bad_tool_costs_the_call_nothing(
    ai: RealtimeFake, world: World, name: str, arguments: str, told: str
) -> None:
    async with (
        agents() as given,
        world.gateway(ai.url, agents=given, limits={"tool_timeout": 0.5}) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        leg = await ai.ready()
        await say(leg, call, 0x21)

        await leg.caller_spoke("Where is my order?")
        answer = await leg.respond()
        call_id = await answer.call(name, arguments)
        await answer.end()
        item = (await leg.expect("conversation.item.create"))["item"]
        assert (item["type"], item["call_id"]) == ("function_call_output", call_id)
        assert told in item["output"].replace("\\n", "\n")
        assert len(item["output"]) < 300
        assert "4711" not in item["output"]
        if item["output"].startswith("{") and "(outputs" not in item["output"]:
            assert set(json.loads(item["output"])) == {"error"}
        await say(leg, call, 0x22)
        assert await call.ping() < PROMPT

        await leg.caller_spoke("Thank you.")
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(b"\x23" * 4000)
        await speech.end("Goodbye.")
        await answer.call("end_call", '{"reason": "settled"}')
        await answer.end()
        disconnect = await call.settle()
        assert call.audio.endswith(b"\x23" * 4000)
        variables = disconnect.parameters["outputVariables"]
        assert set(variables) == OFFHOOK_OUTPUTS | set(OUTPUTS)
        assert (variables["OFFHOOK_OUTCOME"], variables["OFFHOOK_REASON"]) == ("completed", "settled")
        assert (variables["INTENT"], variables["ORDER"]) == ("none", "")
        await leg.expect_closed()
        assert len(leg.events("conversation.item.create")) == 2
