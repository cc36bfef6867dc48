"""The caller speaks over the agent: silence at once, and the model remembers only what was heard."""

import asyncio

import pytest

from tests.acceptance.answers import Answer
from tests.acceptance.genesys import GenesysCall
from tests.acceptance.playback import BYTES_PER_SECOND
from tests.acceptance.realtime import Leg, RealtimeFake
from tests.acceptance.world import World

INTERRUPTED = 0x55
NEXT = 0x2A
BARGE_IN_WITHIN = 0.05
HEARD_WITHIN_MS = 100


async def _played_ms(call: GenesysCall, ms: int) -> None:
    """Wait until so many ms of what is in the queue have been played."""
    first = call.texts("binary")[0].at
    while True:
        now = asyncio.get_running_loop().time()
        left = first + call.playback.delay + ms / 1000 - now
        if left <= 0:
            return
        await asyncio.sleep(left)


def _heard_ms(call: GenesysCall) -> float:
    """How much of all the audio was played before the only flush."""
    (flushed,) = call.playback.flushed
    return 1000 * (call.playback.received / BYTES_PER_SECOND - flushed)


@pytest.mark.parametrize("generated", ["finished", "under way"])
@pytest.mark.parametrize(("reports", "delay"), [(True, 0.15), (True, 0.0), (False, 0.05)])
async def test_barge_in_stops_the_agent_and_truncates_what_was_not_heard(
    ai: RealtimeFake, world: World, generated: str, reports: bool, delay: float
) -> None:
    async with (
        world.gateway(ai.url) as gateway,
        GenesysCall(f"{gateway.url}/support", reports=reports, delay=delay) as call,
    ):
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([INTERRUPTED]) * 32_000)
        if generated == "finished":
            await speech.end("one two three four")
            await answer.end()
        await call.expect("binary")
        await _played_ms(call, 700)

        started = await leg.speech_started()
        if generated == "under way":
            await speech.audio(bytes([INTERRUPTED]) * 8000)
            await speech.end("one two three four", status="incomplete")
            await answer.end("cancelled", "turn_detected")
        barge_in = await call.expect_entity("barge_in")
        assert barge_in.at - started < BARGE_IN_WITHIN
        truncate = await leg.expect("conversation.item.truncate")
        assert truncate["item_id"] == speech.item
        assert truncate["content_index"] == 0
        assert type(truncate["audio_end_ms"]) is int
        assert abs(truncate["audio_end_ms"] - _heard_ms(call)) <= HEARD_WITHIN_MS

        before = call.playback.received
        await leg.speech_stopped()
        await leg.answer(None, bytes([NEXT]) * 4800)
        heard = await call.expect_audio(before + 4800, within=2)
        assert heard[before:] == bytes([NEXT]) * 4800
        assert not leg.events("conversation.item.delete")
        assert not leg.events("response.cancel")
        await call.close()


async def test_of_several_items_only_the_audible_one_is_truncated(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support", delay=0.1) as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        items = []
        for number in range(4):
            speech = await answer.speech()
            items.append(speech.item)
            await speech.audio(bytes([number]) * 3200)
            await speech.end(f"part {number}")
        await answer.end()
        await call.expect("binary")
        await _played_ms(call, 600)
        await leg.speech_started()
        await call.expect_entity("barge_in")
        truncate = await leg.expect("conversation.item.truncate")
        assert truncate["item_id"] == items[1]
        assert abs(truncate["audio_end_ms"] - (_heard_ms(call) - 400)) <= HEARD_WITHIN_MS
        deleted = [(await leg.expect("conversation.item.delete"))["item_id"] for _ in range(2)]
        assert sorted(deleted) == sorted(items[2:])
        await call.ping()
        assert len(leg.events("conversation.item.truncate")) == 1
        await call.close()


async def test_what_was_heard_is_right_after_an_underrun(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support", delay=0.1) as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([INTERRUPTED]) * 3200)
        await call.expect_audio(3200, within=1)
        await call.expect_silence(within=1)
        await call.speak(bytes([0xFE]) * 3200)  # the model says nothing for 400 ms
        await speech.audio(bytes([INTERRUPTED]) * 12_800)
        await call.expect_audio(4800, within=1)
        await call.speak(bytes([0xFE]) * 4800)
        await leg.speech_started()
        await call.expect_entity("barge_in")
        truncate = await leg.expect("conversation.item.truncate")
        assert abs(truncate["audio_end_ms"] - _heard_ms(call)) <= HEARD_WITHIN_MS
        await call.close()


async def test_speech_after_the_agent_has_finished_interrupts_nothing(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support", delay=0.05) as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, bytes([NEXT]) * 3200)
        await call.expect_audio(3200, within=1)
        await call.expect_silence(within=1)
        await call.ping()
        await leg.caller_spoke()
        await leg.answer(None, bytes([NEXT]) * 3200)
        await call.expect_audio(6400, within=1)
        assert not call.entities("barge_in")
        assert [heard["type"] for heard in leg.heard] == ["session.update"]
        await call.close()


async def test_speech_before_anything_was_played_leaves_nothing_to_remember(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([INTERRUPTED]) * 400)  # too little for a packet
        await leg.speech_started()
        await speech.audio(bytes([INTERRUPTED]) * 8000)
        await speech.end("unheard", status="incomplete")
        await answer.end("cancelled", "turn_detected")
        assert (await leg.expect("conversation.item.delete"))["item_id"] == speech.item
        await leg.speech_stopped()
        await leg.answer(None, bytes([NEXT]) * 1600)
        assert await call.expect_audio(1600, within=1) == bytes([NEXT]) * 1600
        assert not leg.events("conversation.item.truncate")
        await call.close()


async def test_speech_between_created_and_the_first_item_is_harmless(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        await leg.speech_started()
        await answer.end("cancelled", "turn_detected")
        await leg.speech_stopped()
        await leg.answer(None, bytes([NEXT]) * 1600)
        assert await call.expect_audio(1600, within=1) == bytes([NEXT]) * 1600
        assert [heard["type"] for heard in leg.heard] == ["session.update"]
        await call.close()


async def test_many_interruptions_in_one_call(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support", delay=0.1) as call:
        await call.open()
        leg = await ai.ready()
        for number in range(5):
            await leg.answer(None, bytes([number]) * 16_000)
            before = call.playback.received
            await call.expect_audio(before + 1600, within=1)
            await call.speak(bytes([0xFE]) * (1600 + 800 * number))
            started = await leg.speech_started(ms=2000 * number)
            barge_in = await call.expect_entity("barge_in")
            assert barge_in.at - started < BARGE_IN_WITHIN
            truncate = await leg.expect("conversation.item.truncate")
            heard = call.playback.received / BYTES_PER_SECOND - before / BYTES_PER_SECOND - call.playback.flushed[-1]
            assert abs(truncate["audio_end_ms"] - 1000 * heard) <= HEARD_WITHIN_MS
            await leg.speech_stopped(ms=2000 * number + 500)
        packets = [received.audio[0] for received in call.received if received.audio]
        assert packets == sorted(packets)
        await call.close()


async def test_errors_about_truncation_are_harmless(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, bytes([INTERRUPTED]) * 8000)
        await call.expect("binary")
        await leg.speech_started()
        await call.expect_entity("barge_in")
        for code in ("invalid_value", "unsupported_content_type", "response_cancel_not_active", None):
            error = {"type": "invalid_request_error", "code": code, "message": "no", "param": None, "event_id": None}
            await leg.send({"type": "error", "error": error})
        await leg.speech_stopped()
        before = call.playback.received
        await leg.answer(None, bytes([NEXT]) * 1600)
        await call.expect_audio(before + 1600, within=1)
        assert not call.texts("disconnect")
        await call.close()


async def test_a_response_that_was_created_and_cancelled_twice_over_never_sounds(
    ai: RealtimeFake, world: World
) -> None:
    """Late deltas of two dead responses, interleaved with the living one."""
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        dead = [await _interrupted(call, leg) for _ in range(2)]
        before = call.playback.received
        answer = await leg.respond()
        speech = await answer.speech()
        for _ in range(6):
            await speech.audio(bytes([NEXT]) * 800)
            for other in dead:
                late = {
                    "type": "response.output_audio.delta",
                    "response_id": other.id,
                    "item_id": other.output[0]["id"],
                    "output_index": 0,
                    "content_index": 0,
                    "delta": "VVVV",
                }
                await leg.send(late)
        await speech.end()
        await answer.end()
        heard = await call.expect_audio(before + 4800, within=2)
        assert heard[before:] == bytes([NEXT]) * 4800
        await call.close()


async def _interrupted(call: GenesysCall, leg: Leg) -> Answer:
    answer = await leg.respond()
    speech = await answer.speech()
    before = call.playback.received
    await speech.audio(bytes([INTERRUPTED]) * 8000)
    await call.expect_audio(before + 1600, within=1)
    await leg.speech_started()
    await call.expect_entity("barge_in")
    await speech.end("cut", status="incomplete")
    await answer.end("cancelled", "turn_detected")
    await leg.speech_stopped()
    return answer
