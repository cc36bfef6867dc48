"""Tools that take ten seconds change nothing that is measured of their own call, nor of any other.

Three calls of one gateway at the same time: A runs three slow tools at once (a coroutine, a function that blocks its
thread, a request to a server that never answers), B says and hears the same without tools, C is a bystander who
listens to one long answer.

python -m tests.integration.test_slow_tools
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from offhook import Agent, Gateway, tool
from offhook.gateway import GatewayServer
from offhook.telemetry.logging import configure
from tests.acceptance.genesys import GenesysCall
from tests.acceptance.realtime import Heard, Leg, RealtimeFake, realtime_fake
from tests.unit.tools.services import Service

SECONDS = 10.0
ROUNDS = 3
PINGS_EVERY = 0.3  # pongs count among the five messages a second that Genesys takes
SPEECH = 3 * 8000
"""Bytes of an answer that is interrupted."""


@tool
async def wait() -> str:
    """Take ten seconds."""
    await asyncio.sleep(SECONDS)
    return "waited"


@tool
def block() -> str:
    """Take ten seconds and a thread."""
    time.sleep(SECONDS)
    return "blocked"


async def never(request: web.Request) -> web.Response:
    """Answer much too late."""
    await asyncio.sleep(60)
    return web.Response()


@dataclass
class Figures:
    """What was measured of one call; seconds."""

    pongs: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    """From `speech_started` to `barge_in` at Genesys, both on sockets."""
    unplayed: float = 0.0
    gaps: list[float] = field(default_factory=list)

    @property
    def pong_p95(self) -> float:
        return statistics.quantiles(self.pongs, n=20)[-1]

    def line(self) -> str:
        """Return them for people, in milliseconds."""
        pongs = f"pong median {statistics.median(self.pongs) * 1000:5.1f}, p95 {self.pong_p95 * 1000:5.1f}, "
        pongs += f"max {max(self.pongs) * 1000:5.1f} ({len(self.pongs)})"
        stops = ", ".join(f"{stop * 1000:.1f}" for stop in self.stops) or "-"
        return f"{pongs}; un-played {self.unplayed * 1000:.0f}; {len(self.gaps)} gaps; barge-in after {stops}"


class Talk:
    """One call with what is measured of it; every answer of the agent is a byte of its own."""

    def __init__(self, name: str, call: GenesysCall, leg: Leg) -> None:
        self.call, self.leg = call, leg
        self.figures = Figures()
        self._byte = 0x10
        self._beside = [asyncio.create_task(self._ping()), asyncio.create_task(call.speak(b"\xff" * 8000 * 60))]
        self.name = name

    async def _ping(self) -> None:
        while True:
            self.figures.pongs.append(await self.call.ping(within=5))
            await asyncio.sleep(PINGS_EVERY)

    def sound(self, length: int) -> bytes:
        self._byte += 1
        return bytes([self._byte]) * length

    async def interrupted(self, create: Heard | None = None) -> None:
        """The agent speaks, and the caller interrupts it after about a second, for good."""
        sound = self.sound(SPEECH)
        await self.leg.answer(create, sound)
        await self.call.bell.until(
            lambda: True if sound[:1] in self.call.audio else None, within=2, what="the beginning of an answer"
        )
        await asyncio.sleep(1.0)
        item = f"item_{self._byte}"
        sent = await self.leg.speech_started(item)
        stopped = await self.call.expect_entity("barge_in", within=2)
        while stopped.at < sent:
            stopped = await self.call.expect_entity("barge_in", within=2)
        self.figures.stops.append(stopped.at - sent)
        assert self.call.audio.count(sound[:1]) < SPEECH
        await self.leg.speech_stopped(item)

    async def answered(self, create: Heard | None = None, *, length: int = 8000) -> None:
        """The agent speaks, and is heard to its end."""
        sound = self.sound(length)
        await self.leg.answer(create, sound)
        await self.call.bell.until(
            lambda: True if self.call.audio.count(sound[:1]) == length else None,
            within=length / 8000 + 2,
            what="a whole answer",
        )
        # Until the gateway knows it, too: what the caller says then is no interruption.
        await asyncio.sleep(max(0.0, self.call.playback.ends + 0.15 - time.monotonic()))

    async def end(self) -> Figures:
        """Hang up and give the figures."""
        for task in self._beside:
            task.cancel()
        for result in await asyncio.gather(*self._beside, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result
        await self.call.close()
        self.figures.unplayed = self.call.playback.most_unplayed
        self.figures.gaps = gaps(self.call)
        return self.figures


def gaps(call: GenesysCall) -> list[float]:
    """Return how long the caller heard nothing in the middle of each answer."""
    found: list[float] = []
    ends, last = 0.0, b""
    for received in call.received:
        if received.type == "event":
            last = b""
        elif received.audio:
            if received.at > ends and received.audio[:1] == last:
                found.append(received.at - ends)
            ends = max(received.at, ends) + len(received.audio) / 8000
            last = received.audio[-1:]
    return found


async def talk_of_the_tools(talk: Talk) -> None:
    """A: the tools run; the agent says that it takes a moment, and goes on talking."""
    leg = talk.leg
    began = time.monotonic()
    await leg.caller_spoke("Look at everything.")
    answer = await leg.respond()
    ids = {name: await answer.call(name, "{}") for name in ("wait", "block", "hang")}
    await answer.end()
    filler = await leg.expect("response.create", within=3)
    assert "one moment" in filler["response"]["instructions"].lower()
    assert filler.at - began >= 1.0
    await talk.interrupted(filler)
    for _ in range(ROUNDS):
        await talk.answered()
        await leg.caller_spoke("And then?")
        await talk.interrupted()
    await talk.answered()
    # The results come, once each, and are answered once.
    outputs = [(await leg.expect("conversation.item.create", within=SECONDS))["item"] for _ in ids]
    told = {output["call_id"]: output["output"] for output in outputs}
    assert told[ids["wait"]] == "waited"
    assert told[ids["block"]] == "blocked"
    assert "did not answer in time" in told[ids["hang"]]
    create = await leg.expect("response.create")
    assert create.at - began >= SECONDS - 0.5
    await talk.answered(create)
    assert len(leg.events("conversation.item.create")) == 3
    assert len(leg.events("response.create")) == 2


async def the_same_without_tools(talk: Talk) -> None:
    """B: what the caller hears of A, without tools."""
    await talk.leg.caller_spoke("Look at nothing.")
    await asyncio.sleep(1.0)
    await talk.interrupted()
    for _ in range(ROUNDS):
        await talk.answered()
        await talk.leg.caller_spoke("And then?")
        await talk.interrupted()
    await talk.answered()


async def a_long_answer(talk: Talk) -> None:
    """C: somebody else."""
    await talk.leg.caller_spoke("Tell me all.")
    await talk.answered(length=int(SECONDS * 8000))


@contextlib.asynccontextmanager
async def gateway(realtime_url: str, port: int) -> AsyncIterator[GatewayServer]:
    """Serve an agent with slow tools and one without."""
    hang = {
        "name": "hang",
        "description": "Asks a server that never answers.",
        "url": f"http://127.0.0.1:{port}/",
        "method": "POST",
        "body": {},
        "timeout": SECONDS,
        "allow_private": True,
    }
    agents = {
        "slow": Agent.model_validate(
            {
                "instructions": "Talk.",
                "tools": [wait, block, {"http": hang}],
                "filler": {"after": 1, "prompts": [{"text": "One moment, please."}]},
            }
        ),
        "plain": Agent(instructions="Talk."),
    }
    providers = [{"name": "fake", "url": realtime_url, "api_key": "none"}]
    async with Gateway(agents=agents, keys=[{"id": "key"}], providers=providers, listen="127.0.0.1:0").serving() as one:
        yield one


async def measure() -> dict[str, Figures]:
    """Carry the three calls and return what was measured, by call."""
    scripts = {"A": talk_of_the_tools, "B": the_same_without_tools, "C": a_long_answer}
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(Service(never).running())
        ai = await stack.enter_async_context(realtime_fake())
        server = await stack.enter_async_context(gateway(ai.url, service.port))
        talks = [await begin(stack, ai, server, name, "slow" if name == "A" else "plain") for name in scripts]
        async with asyncio.TaskGroup() as tasks:
            running = {talk.name: tasks.create_task(carry(talk, scripts[talk.name])) for talk in talks}
        assert len(service.requests) == 1
        return {name: task.result() for name, task in running.items()}


async def begin(
    stack: contextlib.AsyncExitStack, ai: RealtimeFake, server: GatewayServer, name: str, agent: str
) -> Talk:
    """Open a call."""
    call = await stack.enter_async_context(GenesysCall(f"{server.url}/{agent}"))
    await call.open()
    return Talk(name, call, await ai.ready())


async def carry(talk: Talk, script: Callable[[Talk], Awaitable[None]]) -> Figures:
    """Carry a call to its end."""
    await script(talk)
    return await talk.end()


async def test_slow_tools_change_nothing() -> None:
    figures = await measure()
    shown = "\n".join(f"{name}: {one.line()}" for name, one in figures.items())
    slow, plain, bystander = figures["A"], figures["B"], figures["C"]
    for one in figures.values():
        assert one.pong_p95 < 0.1, shown
        assert not one.gaps, shown
    assert max(slow.pong_p95, bystander.pong_p95) <= plain.pong_p95 + 0.05, shown
    assert len(slow.stops) == len(plain.stops) == ROUNDS + 1
    assert max(slow.stops) <= max(plain.stops) + 0.05, shown
    assert abs(slow.unplayed - plain.unplayed) <= 0.25, shown


def main() -> None:
    """Print the figures."""
    configure(level="error")
    began = time.monotonic()
    for name, one in asyncio.run(measure()).items():
        print(f"{name}: {one.line()}")
    print(f"milliseconds; {time.monotonic() - began:.1f} s in all")


if __name__ == "__main__":
    main()
