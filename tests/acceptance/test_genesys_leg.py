"""A Genesys leg that does not behave: silent, slow to read, too fast, told to wait, or gone."""

import asyncio
import random
import socket
import time

import pytest

from offhook.audiohook import server_link
from offhook.gateway import backpressure
from tests.acceptance.genesys import FRAME, GenesysCall
from tests.acceptance.playback import BYTES_PER_SECOND
from tests.acceptance.realtime import RealtimeFake
from tests.acceptance.waiting import PROMPT, until
from tests.acceptance.world import World, address


async def test_a_half_open_genesys_is_given_up_and_the_ai_is_freed(
    ai: RealtimeFake, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_link, "CLOSE_TIMEOUT", 0.1)
    async with world.gateway(ai.url, limits={"idle_timeout": 0.5}) as gateway:
        async with GenesysCall(f"{gateway.url}/support", reports=False) as call:
            await call.open()
            leg = await ai.ready()
            await leg.answer(None, bytes([0x2A]) * 1600)  # what we say is no sign of Genesys' life
            heard = time.monotonic()
            disconnect = await call.expect("disconnect", within=3)
            assert disconnect.at - heard > 0.3
            assert disconnect.parameters["info"].startswith("OH-HOOK-15 ")
            variables = disconnect.parameters["outputVariables"]
            assert (variables["OFFHOOK_OUTCOME"], variables["OFFHOOK_REASON"]) == ("failed", "OH-HOOK-15")
            await leg.expect_closed()
            await call.expect_dropped(within=3)
        assert gateway.admission.counts() == {}


async def test_audio_and_messages_are_signs_of_life(ai: RealtimeFake, world: World) -> None:
    async with (
        world.gateway(ai.url, limits={"idle_timeout": 0.5}) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        await ai.ready()
        await call.speak(b"\xff" * 3 * FRAME)
        call.send("paused")  # on hold there are pings and no audio
        for _ in range(4):
            await call.ping()
            await asyncio.sleep(0.15)
        assert call.texts("disconnect") == []
        await call.close()


async def test_a_peer_that_does_not_read_costs_its_own_call_and_nothing_else(
    ai: RealtimeFake, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backpressure, "FULL", 1_000)
    monkeypatch.setattr(backpressure, "FREE", 500)
    monkeypatch.setattr(backpressure, "TOO_FULL", 2_000)
    async with world.gateway(ai.url) as gateway:
        url = f"{gateway.url}/support"
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_304)
        narrow.connect(address(gateway.url))
        narrow.setblocking(False)
        async with GenesysCall(url) as other:
            await other.open()
            await ai.ready()
            call = GenesysCall(url, strict=False)
            call._address = {"sock": narrow}
            async with call:
                await call.open()
                leg = await ai.ready()
                call.socket.transport.pause_reading()
                await leg.answer(None, bytes([0x2A]) * 40_000)
                for _ in range(180):
                    call.send("update", {"language": "x" * 200})
                await leg.expect_closed(within=5)
                assert await other.ping() < PROMPT
            await until(lambda: gateway.admission.calls == 1)
            await other.close()


async def test_several_429s_hold_audio_back_and_nothing_else(ai: RealtimeFake, world: World) -> None:
    spoken = random.Random(3).randbytes(12_000)
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, spoken)
        await call.expect("binary")
        limit = {"code": 429, "message": "Rate limit exceeded", "retryAfter": "PT0.5S"}
        call.send("error", limit)
        await call.ping()
        held = time.monotonic()
        for _ in range(3):
            told = time.monotonic()
            call.send("error", limit)
            while time.monotonic() < told + 0.3:
                assert await call.ping() < PROMPT
                await call.speak(b"\xfe" * 800)
        assert [one for one in call.texts("binary") if held < one.at < told + 0.5] == []
        assert await call.expect_audio(len(spoken), within=5) == spoken
        assert await leg.expect_audio(call.position, within=1) == b"\xfe" * call.position
        await call.close()


async def test_a_burst_of_caller_audio_in_mid_call_arrives_whole(ai: RealtimeFake, world: World) -> None:
    """What was held back on the way comes at once, faster than it was spoken (audiohook.md §4)."""
    said = random.Random(4).randbytes(20 * BYTES_PER_SECOND)
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        call.send_audio(said[:FRAME])
        call.send("discarded", {"start": "PT0.2S", "discarded": "PT3S"})
        for start in range(FRAME, len(said), FRAME):
            call.send_audio(said[start : start + FRAME])
        assert await call.ping() < PROMPT
        assert await leg.expect_audio(len(said), within=3) == said
        await call.close()


async def test_audio_without_end_ends_the_call(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        for _ in range(4):
            call.send_audio(bytes(400_000))
        disconnect = await call.settle(within=2)
        assert disconnect.parameters["info"].startswith("OH-HOOK-11 ")
        await leg.expect_closed()


async def test_a_second_open_is_ignored(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        call.send_open()
        assert await call.ping() < PROMPT
        assert len(call.texts("opened")) == 1
        assert gateway.admission.calls == 1
        await leg.answer(None, bytes([0x2A]) * 1600)
        assert await call.expect_audio(1600, within=1) == bytes([0x2A]) * 1600
        await call.close()
    assert ai.upgrades == 1
