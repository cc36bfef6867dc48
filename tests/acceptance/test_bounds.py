"""The wire facts that hold whatever happens (end of the contract), on real sockets."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from tests.acceptance.genesys import GenesysCall
from tests.acceptance.playback import BYTES_PER_SECOND
from tests.acceptance.realtime import Behaviour, Leg, RealtimeFake, realtime_fake
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import SUPPORT, World

BUSY_AGENT = {"support": {**SUPPORT, "greeting": "Greet the caller.", "dtmf": {"timeout": 0.1}}}


class DeafServer:
    """Accepts connections and never says a word."""

    def __init__(self) -> None:
        self.url = ""
        self.accepted = asyncio.Event()
        self.dropped = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.accepted.set()
        with contextlib.suppress(OSError):
            while await reader.read(4096):
                pass
        self.dropped.set()
        writer.close()


@asynccontextmanager
async def deaf_server() -> AsyncIterator[DeafServer]:
    deaf = DeafServer()
    server = await asyncio.start_server(deaf.converse, "127.0.0.1", 0)
    deaf.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
    try:
        yield deaf
    finally:
        server.close()
        for writer in deaf.writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def deaf_port() -> AsyncIterator[str]:
    async with deaf_server() as deaf:
        yield deaf.url


@asynccontextmanager
async def closed_port() -> AsyncIterator[str]:
    async with deaf_port() as url:
        pass
    yield url


@asynccontextmanager
async def slow(behaviour: Behaviour) -> AsyncIterator[str]:
    async with realtime_fake(behaviour) as fake:
        yield fake.url


BAD_AIS: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "silent": deaf_port,
    "nobody": closed_port,
    "hangs-in-the-handshake": lambda: slow(Behaviour(handshake="hang")),
    "refuses-401": lambda: slow(Behaviour(handshake="401")),
    "refuses-429": lambda: slow(Behaviour(handshake="429")),
    "refuses-500": lambda: slow(Behaviour(handshake="500")),
    "takes-3-seconds": lambda: slow(Behaviour(handshake_delay=3.0)),
    "never-creates-a-session": lambda: slow(Behaviour(created=False)),
    "never-confirms-the-session": lambda: slow(Behaviour(updated=False)),
}


@pytest.mark.parametrize("name", BAD_AIS)
async def test_opened_pong_and_closed_are_in_time_whatever_the_ai_does(world: World, name: str) -> None:
    async with (
        BAD_AIS[name]() as url,
        world.gateway(url) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        began = time.monotonic()
        opened = await call.open(within=1.0)
        assert opened.at - began < 1.0
        assert opened.message["seq"] == 1
        assert await call.ping() < PROMPT
        await call.close(within=1.0)


@pytest.mark.parametrize("name", ["nobody", "refuses-401"])
async def test_an_ai_that_cannot_be_reached_ends_the_call_cleanly(world: World, name: str) -> None:
    async with (
        BAD_AIS[name]() as url,
        world.gateway(url) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        disconnect = await call.settle(within=15)
        assert disconnect.parameters["outputVariables"]["OFFHOOK_OUTCOME"] == "failed"


async def test_pong_is_in_time_while_the_ai_bursts_a_minute_of_speech(world: World, ai: RealtimeFake) -> None:
    async with world.process(ai.url) as process, GenesysCall(f"{process.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        bursting = asyncio.create_task(speech.audio(bytes([0x55]) * 60 * BYTES_PER_SECOND, delta=400))
        round_trips: list[float] = []
        while not bursting.done() and len(round_trips) < 15:
            round_trips.append(await call.ping())
            await asyncio.wait([bursting], timeout=0.05)
        await bursting
        await speech.end()
        await answer.end()
        round_trips += [await call.ping() for _ in range(3)]
        assert max(round_trips) < PROMPT
        await call.close(within=1.0)


# ---- closed within 1 s of close, in every state


async def _waiting(call: GenesysCall, ai: RealtimeFake) -> None:
    await ai.ready()


async def _greeting(call: GenesysCall, ai: RealtimeFake) -> Leg:
    leg = await ai.ready()
    create = await leg.expect("response.create")
    await leg.answer(create, bytes([0x55]) * 16_000)
    await call.expect("binary")
    return leg


async def _paused(call: GenesysCall, ai: RealtimeFake) -> None:
    await ai.ready()
    call.send("paused")


async def _running_a_tool(call: GenesysCall, ai: RealtimeFake) -> None:
    leg = await ai.ready()
    answer = await leg.respond()
    await answer.call("slow_tool", "{}")
    await answer.end()


async def _saying_goodbye(call: GenesysCall, ai: RealtimeFake) -> None:
    leg = await ai.ready()
    answer = await leg.respond()
    speech = await answer.speech()
    await speech.audio(bytes([0x55]) * 24_000)
    await speech.end("Goodbye.")
    await answer.call("end_call", '{"reason": "done"}')
    await answer.end()
    await call.expect("binary")


async def _disconnected(call: GenesysCall, ai: RealtimeFake) -> None:
    leg = await _greeting(call, ai)
    ai.behaviour.handshake = "401"
    leg.abort()
    await call.expect("disconnect", within=8)


STATES: dict[str, Callable[[GenesysCall, RealtimeFake], Awaitable[object]]] = {
    "waiting": _waiting,
    "greeting": _greeting,
    "paused": _paused,
    "running-a-tool": _running_a_tool,
    "saying-goodbye": _saying_goodbye,
    "disconnected": _disconnected,
}
REASONS = ["end", "disconnect", "error", "reconnect"]


@pytest.mark.parametrize("state", STATES)
async def test_closed_is_in_time_in_every_state_and_frees_the_ai(ai: RealtimeFake, world: World, state: str) -> None:
    tools = ["end_call", {"python": "tests.acceptance.tools:slow_tool"}]
    agents = {"support": {**SUPPORT, "greeting": "Greet.", "tools": tools}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        await STATES[state](call, ai)
        await call.close(REASONS[list(STATES).index(state) % 4], within=1.0)
        await ai.legs[0].expect_closed(within=2)


async def test_closed_is_in_time_while_the_ai_connects(world: World) -> None:
    async with (
        realtime_fake(Behaviour(handshake="hang")) as ai,
        world.gateway(ai.url) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        await ai.expect_upgrade()
        await call.close(within=1.0)


async def test_a_connection_to_the_ai_that_was_never_answered_is_dropped(world: World) -> None:
    async with deaf_server() as deaf, world.gateway(deaf.url, limits={"connect_timeout": 1.0}) as gateway:
        async with GenesysCall(f"{gateway.url}/support") as call:
            await call.open()
            await asyncio.wait_for(deaf.accepted.wait(), 1)
            await call.close(within=1.0)
        await asyncio.wait_for(deaf.dropped.wait(), 3)


async def test_close_sent_together_with_open_is_answered(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        call.send_open()
        call.send("close", {"reason": "end"})
        await call.expect("closed", within=1.0)


# ---- budgets, sizes and lead


async def test_a_busy_call_stays_within_the_rate_limits(ai: RealtimeFake, world: World) -> None:
    """Bursts of very short answers, each of which could be told to Genesys, with barge-ins, pings and updates."""
    async with (
        world.gateway(ai.url, agents=BUSY_AGENT) as gateway,
        GenesysCall(f"{gateway.url}/support", delay=0.02) as call,
    ):
        await call.open()
        leg = await ai.ready()
        greeting = await leg.expect("response.create")
        await leg.answer(greeting, bytes([0x55]) * 400)
        for number in range(4):
            for answer in range(25):
                await leg.answer(None, bytes([answer]) * 400, f"Answer {answer}.", delta=50)
            assert await call.ping() < PROMPT
            call.send("update", {"language": "en-gb"})
            await call.expect("updated", within=0.5)
            await call.speak(bytes([0xFE]) * 9600)
            await leg.caller_spoke(ms=2000 * number)
            await call.expect_entity("barge_in")
        await call.close(within=1.0)


@pytest.mark.parametrize("delta", [1, 37, 160, 4000, 200_000])
async def test_binary_messages_are_between_200_and_1000_ms(ai: RealtimeFake, world: World, delta: int) -> None:
    spoken = random.Random(delta).randbytes(3_001 if delta == 1 else 12_001)
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, spoken, delta=delta)
        heard = await call.expect_audio(len(spoken), within=3)
        assert heard.startswith(spoken)
        await call.close()


@pytest.mark.parametrize(("reports", "delay"), [(True, 0.0), (True, 0.15), (False, 0.0), (False, 0.15)])
async def test_at_most_a_second_is_unplayed(ai: RealtimeFake, world: World, reports: bool, delay: float) -> None:
    async with (
        world.gateway(ai.url) as gateway,
        GenesysCall(f"{gateway.url}/support", reports=reports, delay=delay) as call,
    ):
        await call.open()
        leg = await ai.ready()
        began = await leg.send({"type": "rate_limits.updated", "rate_limits": []})
        await leg.answer(None, bytes([0x55]) * 20_000)
        await call.expect_audio(20_000, within=4)
        first = call.texts("binary")[0]
        assert first.at - began < PROMPT
        await call.close()
    # Leaving the call has checked the most that was ever un-played.


async def test_a_peer_known_to_begin_late_is_not_overfed(ai: RealtimeFake, world: World) -> None:
    async with (
        world.gateway(ai.url) as gateway,
        GenesysCall(f"{gateway.url}/support", delay=0.4) as call,
    ):
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, bytes([0x55]) * 4000)
        await call.expect_audio(4000, within=2)
        await call.expect_silence(within=2)
        await call.ping()
        call.playback.most_unplayed = 0.0
        await leg.answer(None, bytes([0x2A]) * 16_000)
        await call.expect_audio(20_000, within=4)
        await call.close()


async def test_speech_is_played_without_a_gap(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support", delay=0.1) as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, bytes([0x55]) * 20_000)
        await call.expect_audio(20_000, within=4)
        await call.expect_silence(within=2)
        await call.close()
        gaps = [one for one in call.received if one.type == "binary"]
        queued_until = gaps[0].at + 0.1
        for packet in gaps:
            assert packet.at <= queued_until + 0.02
            queued_until += len(packet.audio) / BYTES_PER_SECOND


# ---- 429


async def test_a_429_slows_audio_only(ai: RealtimeFake, world: World) -> None:
    spoken = random.Random(1).randbytes(16_000)
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, spoken)
        await call.expect("binary")
        call.send("error", {"code": 429, "message": "Rate limit exceeded", "retryAfter": "PT1S"})
        assert await call.ping() < PROMPT
        sent = time.monotonic()
        call.send("update", {"language": "es-es"})
        await call.expect("updated", within=0.5)
        while time.monotonic() < sent + 0.8:
            assert await call.ping() < PROMPT
            await call.speak(bytes([0xFE]) * 1600)
        late = [one for one in call.texts("binary") if sent < one.at < sent + 0.9]
        assert not late
        assert await call.expect_audio(len(spoken), within=4) == spoken
        await call.close()


async def test_barge_in_does_not_wait_for_a_429(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, bytes([0x55]) * 16_000)
        await call.expect("binary")
        call.send("error", {"code": 429, "message": "Rate limit exceeded", "retryAfter": "PT1S"})
        await call.ping()
        started = await leg.speech_started()
        barge_in = await call.expect_entity("barge_in")
        assert barge_in.at - started < 0.05
        await call.close(within=1.0)
