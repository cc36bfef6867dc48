"""An AI that is strange, broken or excessive: the caller notices as little as possible, Genesys never."""

import json
from typing import Any

import pytest

from tests.acceptance.genesys import GenesysCall
from tests.acceptance.realtime import RealtimeFake
from tests.acceptance.test_tools_and_ends import AGENTS
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import World

NEXT = 0x2A
UNANNOUNCED = 0x55
SILENCE = 0xFF


@pytest.mark.parametrize(
    "data",
    [
        "{nope",
        "[]",
        "null",
        "{}",
        '{"type": 7}',
        '{"type": "novelty.of.the.day", "deep": [[[{}]]]}',
        '{"type": "response.output_audio.delta"}',
        '{"type": "response.output_audio.delta", "response_id": "resp_no", "item_id": "item_no", "delta": "VVVV"}',
        '{"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "output_index": 0,'
        ' "content_index": 0, "delta": "***"}',
        '{"type": "response.done", "response": {}}',
        '{"type": "response.done", "response": {"id": "resp_never_created", "status": "completed", "output": []}}',
        '{"type": "response.created", "response": null}',
        '{"type": "input_audio_buffer.speech_started"}',
        '{"type": "input_audio_buffer.speech_started", "audio_start_ms": "soon", "item_id": 1}',
        '{"type": "conversation.item.added", "item": {"type": "novelty"}}',
        '{"type": "error"}',
        '{"type": "error", "error": {"code": 429, "message": null}}',
        '{"type": "session.updated", "session": {}}',
        '{"type": "conversation.item.created", "item": {"id": "x", "type": "message", "role": "user"}}',
        "[" * 100_000,
        b"\x00\x01\x02",
        "",
    ],
    ids=range(22),
)
async def test_an_odd_event_is_survived_or_ends_the_call_cleanly(
    ai: RealtimeFake, world: World, data: str | bytes
) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.send_raw(data)
        await leg.answer(None, bytes([NEXT]) * 1600)
        await call.bell.until(
            lambda: True if call.texts("disconnect") or bytes([NEXT]) * 1600 in call.audio else None,
            within=4,
            what="an answer or a clean end",
        )
        # A delta of a response that was never announced may be heard; nothing else may.
        assert set(call.audio) <= {NEXT, UNANNOUNCED, SILENCE}
        assert await call.ping() < PROMPT
        for disconnect in call.texts("disconnect"):
            assert disconnect.parameters["outputVariables"]["OFFHOOK_OUTCOME"] == "failed"
        await call.close("disconnect")


async def test_a_long_transcript_does_not_break_the_message_limit(ai: RealtimeFake, world: World) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        leg = await ai.ready()
        await leg.caller_spoke("ä" * 100_000)
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([NEXT]) * 1600)
        await speech.end("ö" * 100_000)
        await answer.call("end_call", json.dumps({"reason": "ü" * 100_000}))
        await answer.end()
        disconnect = await call.settle(within=4)
        assert disconnect.parameters["outputVariables"]["OFFHOOK_OUTCOME"] == "completed"
    # The strict client has checked the size of every message.


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"INTENT": "x" * 200_000}, None),
        ({"INTENT": 5}, None),
        ({"INTENT": {"a": 1}}, None),
        ({"OFFHOOK_OUTCOME": "escalated", "INTENT": "fine"}, None),
        ({"UNDECLARED": "x"}, ""),
        ({"INTENT": "  sales  "}, None),
    ],
)
async def test_odd_outputs_stay_strings_and_never_replace_those_of_offhook(
    ai: RealtimeFake, world: World, arguments: dict[str, Any], expected: str | None
) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        await answer.call("set_outputs", json.dumps(arguments))
        await answer.end()
        await leg.expect("conversation.item.create")
        create = await leg.expect("response.create")
        answer = await leg.respond(metadata=create["response"].get("metadata"))
        speech = await answer.speech()
        await speech.audio(bytes([NEXT]) * 1600)
        await speech.end("Bye.")
        await answer.call("end_call", '{"reason": "done"}')
        await answer.end()
        variables = (await call.settle(within=4)).parameters["outputVariables"]
        assert variables["OFFHOOK_OUTCOME"] == "completed"
        assert "UNDECLARED" not in variables
        assert isinstance(variables["INTENT"], str)
        if expected is not None:
            assert variables["INTENT"] == expected


async def test_a_response_without_speech_after_a_question_does_not_leave_dead_air(
    ai: RealtimeFake, world: World
) -> None:
    """`completed` with no audio and no call happens; the agent is asked again, or the call ends."""
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        leg = await ai.ready()
        await leg.caller_spoke("hello?")
        silent = await leg.respond()
        await silent.end()
        create = await leg.expect("response.create", within=5)
        await leg.answer(create, bytes([NEXT]) * 1600)
        await call.expect_audio(1600, within=1)
        await call.close()


async def test_a_caller_who_speaks_over_the_goodbye_does_not_hang_the_call(ai: RealtimeFake, world: World) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([NEXT]) * 16_000)
        await speech.end("Goodbye.")
        await answer.call("end_call", '{"reason": "done"}')
        await answer.end()
        await call.expect("binary")
        await leg.caller_spoke("wait")
        again = await leg.answer(None, bytes([0x33]) * 1600)
        assert again.id
        await call.bell.until(
            lambda: True if call.texts("disconnect") or 0x33 in call.audio else None,
            within=4,
            what="an end or an answer",
        )
        await call.close("disconnect")


async def test_a_tool_that_ends_after_the_call_harms_nothing(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway:
        async with GenesysCall(f"{gateway.url}/support") as call:
            await call.open()
            leg = await ai.ready()
            answer = await leg.respond()
            await answer.call("blocking_tool", "{}")
            await answer.end()
            await call.ping()
            await call.close()
            await leg.expect_closed()
        async with GenesysCall(f"{gateway.url}/support") as call:
            await call.open()
            await call.close()


async def test_an_ai_that_refuses_every_response_ends_the_call_cleanly(ai: RealtimeFake, world: World) -> None:
    agents = {"support": {**AGENTS["support"], "greeting": "Greet."}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        error = {"type": "server_error", "code": "server_error", "message": "sorry", "param": None}
        for _ in range(3):
            create = await leg.expect("response.create", within=3)
            await leg.send({"type": "error", "error": {**error, "event_id": create.event.get("event_id")}})
        disconnect = await call.settle(within=2)
        variables = disconnect.parameters["outputVariables"]
        assert (variables["OFFHOOK_OUTCOME"], variables["OFFHOOK_REASON"]) == ("failed", "OH-CALL-08")
        await leg.expect_closed()
        assert len(leg.events("response.create")) == 3
