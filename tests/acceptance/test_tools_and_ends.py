"""Function tools, and every way for a call to end."""

import asyncio
import json
from typing import Any

import pytest

from tests.acceptance import tools
from tests.acceptance.genesys import GenesysCall, Received
from tests.acceptance.realtime import Behaviour, RealtimeFake, realtime_fake
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import OFFHOOK_OUTPUTS, SUPPORT, World

GOODBYE = 0x2A
OUTPUTS = {"INTENT": {"default": ""}, "ESCALATE": {"default": "false"}}
AGENT: dict[str, Any] = {
    **SUPPORT,
    "tools": [
        "end_call",
        "escalate",
        {"python": "tests.acceptance.tools:order_status"},
        {"python": "tests.acceptance.tools:broken_tool"},
        {"python": "tests.acceptance.tools:blocking_tool"},
    ],
    "outputs": OUTPUTS,
}
AGENTS = {"support": AGENT}


def _assert_outputs(disconnect: Received, outcome: str) -> dict[str, str]:
    variables = disconnect.parameters["outputVariables"]
    assert isinstance(variables, dict)
    assert set(variables) >= OFFHOOK_OUTPUTS | set(OUTPUTS)
    assert all(isinstance(value, str) for value in variables.values())
    assert variables["OFFHOOK_OUTCOME"] == outcome
    assert variables["OFFHOOK_CALL_ID"]
    assert float(variables["OFFHOOK_DURATION_S"]) >= 0
    return variables


# ---- tools


async def test_a_tool_is_called_once_and_answered_once(ai: RealtimeFake, world: World) -> None:
    tools.CALLS.clear()
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.leg()
        update = await leg.expect("session.update")
        (definition,) = [one for one in update["session"]["tools"] if one["name"] == "order_status"]
        assert definition["type"] == "function"
        assert definition["description"].startswith("Look an order up")
        assert definition["parameters"]["properties"]["order_id"]["type"] == "string"
        assert definition["parameters"]["required"] == ["order_id"]

        answer = await leg.respond()
        call_id = await answer.call("order_status", '{"order_id": "1234"}', twice=True)
        await call.ping()
        # Outputs that come before the end of the response are refused: "Tool call ID not found".
        assert not leg.events("conversation.item.create")
        await answer.end()
        output = await leg.expect("conversation.item.create")
        assert output["item"]["type"] == "function_call_output"
        assert output["item"]["call_id"] == call_id
        assert "Order 1234 has shipped." in output["item"]["output"]
        create = await leg.expect("response.create")
        await leg.answer(create, bytes(1600), "It has shipped.")
        await call.expect_audio(1600, within=1)
        assert tools.CALLS == ["1234"]
        assert len(leg.events("conversation.item.create")) == len(leg.events("response.create")) == 1
        await call.close()


async def test_parallel_calls_get_an_output_each_and_one_answer(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        ids = [await answer.call("order_status", json.dumps({"order_id": str(number)})) for number in range(3)]
        await answer.end()
        outputs = [(await leg.expect("conversation.item.create"))["item"] for _ in ids]
        assert sorted(output["call_id"] for output in outputs) == sorted(ids)
        create = await leg.expect("response.create")
        assert create.at >= max(heard.at for heard in leg.events("conversation.item.create"))
        await leg.answer(create, bytes(1600))
        await call.expect_audio(1600, within=1)
        assert len(leg.events("response.create")) == 1
        await call.close()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("broken_tool", '{"secret": "4711"}'),
        ("order_status", '{"order_id": '),
        ("order_status", "[]"),
        ("order_status", "{}"),
        ("no_such_tool", "{}"),
    ],
)
async def test_a_failing_tool_is_told_to_the_model(ai: RealtimeFake, world: World, name: str, arguments: str) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        call_id = await answer.call(name, arguments)
        await answer.end()
        output = (await leg.expect("conversation.item.create"))["item"]
        assert output["call_id"] == call_id
        assert isinstance(output["output"], str)
        assert output["output"]
        assert "Traceback" not in output["output"]
        await leg.expect("response.create")
        await call.close()


async def test_a_tool_that_blocks_delays_nothing(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        await answer.call("blocking_tool", "{}")
        await answer.end()
        for _ in range(5):
            assert await call.ping() < PROMPT
        output = (await leg.expect("conversation.item.create"))["item"]
        assert "blocked" in output["output"]
        await call.close()


async def test_an_unfinished_function_call_is_not_carried_out(ai: RealtimeFake, world: World) -> None:
    tools.CALLS.clear()
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        item = {
            "id": "item_cut",
            "object": "realtime.item",
            "type": "function_call",
            "status": "incomplete",
            "name": "order_status",
            "call_id": "call_cut",
            "arguments": '{"order_id": "9',
        }
        place = {"response_id": answer.id, "output_index": 0}
        await leg.send({"type": "response.output_item.added", **place, "item": {**item, "status": "in_progress"}})
        await leg.speech_started()
        await leg.send({"type": "response.output_item.done", **place, "item": item})
        await answer.end("cancelled", "turn_detected")
        await leg.speech_stopped()
        await leg.answer(None, bytes(1600))
        await call.expect_audio(1600, within=1)
        assert not tools.CALLS
        assert not leg.events("conversation.item.create")
        await call.close()


# ---- the agent ends the call


@pytest.mark.parametrize("delay", [0.0, 0.2])
async def test_the_goodbye_is_heard_before_the_call_ends(ai: RealtimeFake, world: World, delay: float) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support", delay=delay) as call,
    ):
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([GOODBYE]) * 9600)
        await speech.end("Goodbye, and thank you for calling.")
        await answer.call("end_call", '{"reason": "settled"}')
        await answer.end()
        disconnect = await call.expect("disconnect", within=4)
        assert call.audio == bytes([GOODBYE]) * 9600
        assert disconnect.at >= call.playback.ends - 0.02
        assert disconnect.parameters["reason"] == "completed"
        variables = _assert_outputs(disconnect, "completed")
        assert variables["OFFHOOK_REASON"] == "settled"
        assert variables["ESCALATE"] == "false"
        await call.close("disconnect")
        await leg.expect_closed()


async def test_a_goodbye_is_heard_by_a_peer_that_does_not_report(ai: RealtimeFake, world: World) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support", reports=False, delay=0.1) as call,
    ):
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([GOODBYE]) * 8000)
        await speech.end("Goodbye.")
        await answer.call("end_call", '{"reason": "settled"}')
        await answer.end()
        disconnect = await call.expect("disconnect", within=5)
        assert disconnect.at >= call.playback.ends - 0.02
        await call.close("disconnect")


async def test_end_call_without_a_goodbye_yet(ai: RealtimeFake, world: World) -> None:
    """The model calls the function first: it is asked for the goodbye, or the call ends; never does it hang."""
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        await answer.call("end_call", '{"reason": "settled"}')
        await answer.end()
        create = await leg.expect("response.create")
        await leg.answer(create, bytes([GOODBYE]) * 4800, "Goodbye.")
        disconnect = await call.expect("disconnect", within=3)
        assert call.audio == bytes([GOODBYE]) * 4800
        assert disconnect.at >= call.playback.ends - 0.02
        _assert_outputs(disconnect, "completed")
        await call.close("disconnect")


async def test_a_goodbye_that_never_comes_does_not_keep_the_call(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        await answer.call("end_call", '{"reason": "settled"}')
        await answer.end()
        create = await leg.expect("response.create")
        silent = await leg.respond(metadata=create["response"].get("metadata"))
        await silent.end()
        disconnect = await call.settle(within=12)
        _assert_outputs(disconnect, "completed")


async def test_escalation_and_outputs_reach_the_flow(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.leg()
        update = await leg.expect("session.update")
        names = {one["name"] for one in update["session"]["tools"]}
        assert names >= {"end_call", "escalate", "set_outputs"}
        answer = await leg.respond()
        await answer.call("set_outputs", '{"INTENT": "billing"}')
        await answer.end()
        await leg.expect("conversation.item.create")
        create = await leg.expect("response.create")
        answer = await leg.respond(metadata=create["response"].get("metadata"))
        speech = await answer.speech()
        await speech.audio(bytes([GOODBYE]) * 1600)
        await speech.end("One moment.")
        await answer.call("escalate", '{"reason": "wants a person", "target": "billing desk"}')
        await answer.end()
        disconnect = await call.settle(within=3)
        assert disconnect.parameters["reason"] == "completed"
        variables = _assert_outputs(disconnect, "escalated")
        assert variables["INTENT"] == "billing"
        assert variables["OFFHOOK_REASON"] == "wants a person"


async def test_no_audio_of_the_caller_is_needed_for_the_end(ai: RealtimeFake, world: World) -> None:
    """Genesys sends `close` only after our `disconnect`; nothing is sent in between but pongs."""
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([GOODBYE]) * 1600)
        await speech.end("Bye.")
        await answer.call("end_call", '{"reason": "settled"}')
        await answer.end()
        await call.expect("disconnect", within=3)
        late = await leg.respond()
        speech = await late.speech()
        await speech.audio(bytes([0x55]) * 4800)
        assert await call.ping() < PROMPT
        assert 0x55 not in call.audio
        await call.close("disconnect")
        assert len(call.texts("disconnect")) == 1


# ---- the AI fails


@pytest.mark.parametrize("how", [1000, 1001, 1011, "abort", "session_expired"])
async def test_losing_the_ai_is_survived(ai: RealtimeFake, world: World, how: int | str) -> None:
    """The caller hears something at once, the next session is told what was said, and the agent carries on."""
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, bytes([0x2B]) * 1600, "Good morning.")
        await call.expect_audio(1600, within=1)
        if how == "session_expired":
            error = {"type": "invalid_request_error", "code": how, "message": "over", "param": None, "event_id": None}
            await leg.send({"type": "error", "error": error})
            await leg.close(1001, "over")
        elif isinstance(how, int):
            await leg.close(how, "going away")
        else:
            leg.abort()
        again = await ai.ready()
        told = await again.expect("conversation.item.create")
        assert told["item"]["role"] == "assistant"
        assert told["item"]["content"] == [{"type": "output_text", "text": "Good morning."}]
        create = await again.expect("response.create", within=5)
        await again.answer(create, bytes([GOODBYE]) * 1600)
        while bytes([GOODBYE]) * 1600 not in call.audio:
            await call.expect_audio(len(call.audio) + 1, within=5)
        assert await call.ping() < PROMPT
        assert not call.texts("disconnect")
        await call.close("end")


async def test_an_ai_that_refuses_us_ends_the_call_cleanly(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, bytes(1600))
        await call.expect_audio(1600, within=1)
        ai.behaviour.handshake = "401"
        await leg.close(3000, "invalid_request_error.invalid_api_key")
        disconnect = await call.expect("disconnect", within=5)
        _assert_outputs(disconnect, "failed")
        assert await call.ping() < PROMPT
        await call.close("disconnect")


FORMATS = {"input": "wrong", "output": "wrong"}


def _wrong_input(session: dict[str, Any]) -> dict[str, Any]:
    session["audio"]["input"]["format"] = {"type": "audio/pcm", "rate": 24000}
    return session


def _wrong_output(session: dict[str, Any]) -> dict[str, Any]:
    session["audio"]["output"]["format"] = {"type": "audio/pcm", "rate": 24000}
    return session


def _wrong_voice(session: dict[str, Any]) -> dict[str, Any]:
    session["audio"]["output"]["voice"] = "alloy"
    return session


@pytest.mark.parametrize("echo", [_wrong_input, _wrong_output, _wrong_voice])
async def test_a_session_that_is_not_what_was_asked_for_ends_the_call_cleanly(world: World, echo: Any) -> None:
    behaviour = Behaviour(echo=echo)
    async with (
        realtime_fake(behaviour) as ai,
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        call.send_audio(bytes(3200))
        disconnect = await call.expect("disconnect", within=3)
        _assert_outputs(disconnect, "failed")
        await call.close("disconnect")
        (leg,) = ai.legs
        await leg.expect_closed()
        assert not leg.audio
        assert not call.audio


async def test_a_rejected_session_update_ends_the_call_cleanly(world: World) -> None:
    behaviour = Behaviour(updated=False)
    async with (
        realtime_fake(behaviour) as ai,
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        leg = await ai.leg()
        update = await leg.expect("session.update")
        error = {
            "type": "invalid_request_error",
            "code": "invalid_value",
            "message": "no",
            "param": "session.reasoning",
            "event_id": update.event.get("event_id"),
        }
        await leg.send({"type": "error", "error": error})
        disconnect = await call.settle(within=3)
        _assert_outputs(disconnect, "failed")


@pytest.mark.parametrize("code", ["insufficient_quota", "account_deactivated"])
async def test_a_fatal_error_ends_the_call_cleanly(ai: RealtimeFake, world: World, code: str) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        error = {"type": "invalid_request_error", "code": code, "message": "over", "param": None, "event_id": None}
        ai.behaviour.handshake = "401"
        await leg.send({"type": "error", "error": error})
        disconnect = await call.settle(within=3)
        assert _assert_outputs(disconnect, "failed")


async def test_a_refused_response_create_is_asked_again(ai: RealtimeFake, world: World) -> None:
    """A create that meets an active response gets an error, at times without its event_id, and no response.done."""
    agents = {"support": {**AGENT, "dtmf": {"timeout": 0.1}}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        leg.confirms_items = False
        call.send("dtmf", {"digit": "1"})
        item = await leg.expect("conversation.item.create")
        await leg.expect("response.create")
        other = await leg.respond()  # turn detection was first, and knew nothing of the digit
        await leg.confirm_item(item.event)
        error = {
            "type": "invalid_request_error",
            "code": "conversation_already_has_active_response",
            "message": f"Conversation already has an active response in progress: {other.id}.",
            "param": None,
            "event_id": None,
        }
        await leg.send({"type": "error", "error": error})
        speech = await other.speech()
        await speech.audio(bytes(1600))
        await speech.end()
        await call.ping()
        assert len(leg.events("response.create")) == 1
        await other.end()
        again = await leg.expect("response.create", within=3)
        await leg.answer(again, bytes([GOODBYE]) * 1600)
        assert (await call.expect_audio(3200, within=2)).endswith(bytes([GOODBYE]) * 1600)
        await call.close()


async def test_a_response_that_failed_by_a_rate_limit_is_not_the_end(ai: RealtimeFake, world: World) -> None:
    agents = {"support": {**AGENT, "greeting": "Greet."}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        create = await leg.expect("response.create")
        failed = await leg.respond(metadata=create["response"].get("metadata"))
        await failed.end("failed", None, {"type": "rate_limit", "code": "rate_limit_exceeded", "message": "slow down"})
        again = await leg.expect("response.create", within=4)
        await leg.answer(again, bytes([GOODBYE]) * 1600)
        assert await call.expect_audio(1600, within=1) == bytes([GOODBYE]) * 1600
        await call.close()


# ---- Genesys goes away


async def test_a_lost_socket_frees_the_ai(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway:
        async with GenesysCall(f"{gateway.url}/support") as call:
            await call.open()
            leg = await ai.ready()
            await leg.answer(None, bytes(16_000))
            await call.expect("binary")
            call.abort()
            await leg.expect_closed()
        for _ in range(200):
            if not gateway.calls:
                break
            await asyncio.sleep(0.01)
        assert gateway.calls == 0


async def test_the_server_leaves_it_to_genesys_to_close_the_socket(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        await ai.ready()
        await call.close()
        with pytest.raises(AssertionError, match="not within"):
            await call.expect_dropped(within=1.0)
