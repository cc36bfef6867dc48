"""Many calls at once through the real gateway: every byte arrives once, in order, and within the promises of the wire.

python -m tests.integration.soak --calls 50 --seconds 600
"""

import argparse
import asyncio
import time
from dataclasses import dataclass

import aiohttp

from offhook import Agent, Gateway
from offhook.telemetry.logging import configure
from tests.fakes.load_caller import FRAME, Heard, LoadCaller
from tests.fakes.realtime_server import RealtimeFake

KEY = "soak-key"


@dataclass
class Result:
    """What came of a soak."""

    calls: int
    caller_bytes: int
    agent_bytes: int
    worst_opened: float
    worst_closed: float
    worst_pong: float
    worst_unplayed: float
    """Seconds of audio ahead of a listener who plays from the first byte on."""
    faults: list[str]


async def soak(calls: int, seconds: float, *, seed: int = 1) -> Result:
    """Carry `calls` calls of `seconds` each at the same time and compare what was sent with what arrived."""
    async with RealtimeFake(seconds=seconds, seed=seed) as fake:
        gateway = Gateway(
            agents={"echo": Agent(instructions="{{ input.NAME }}", greeting=None)},
            keys=[{"id": KEY}],
            providers=[{"name": "fake", "url": fake.url, "api_key": "none"}],
            default_agent="echo",
            listen="127.0.0.1:0",
        )
        async with gateway.serving() as server, aiohttp.ClientSession() as http:
            url = f"ws://127.0.0.1:{server.port}/audiohook/echo"
            callers = [
                # The last response may be twelve seconds long and be played after the last frame of the caller.
                LoadCaller(url, KEY, f"call-{number}", seconds=seconds, linger=2 * fake.talk + 2, seed=seed + number)
                for number in range(calls)
            ]
            heard = await asyncio.gather(*(_start(caller, http, index, calls) for index, caller in enumerate(callers)))
        return compare(heard, fake)


async def _start(caller: LoadCaller, http: aiohttp.ClientSession, index: int, calls: int) -> Heard:
    await asyncio.sleep(index / calls)  # spread over a second, as calls are
    return await caller.run(http)


def compare(heard: list[Heard], fake: RealtimeFake) -> Result:
    """Hold what each side sent against what the other got."""
    faults: list[str] = []
    for call in heard:
        faults += [f"{call.name}: {fault}" for fault in call.faults]
        leg = fake.legs.get(call.name)
        if leg is None:
            faults.append(f"{call.name}: no Realtime session")
            continue
        if bytes(leg.caller) != bytes(call.sent):
            faults.append(f"{call.name}: caller audio differs, {len(call.sent)} sent, {len(leg.caller)} arrived")
        if bytes(call.received) != bytes(leg.agent):
            faults.append(f"{call.name}: agent audio differs, {len(leg.agent)} sent, {len(call.received)} arrived")
        if any(not FRAME <= size <= 8000 for size in call.sizes):
            faults.append(f"{call.name}: messages of {min(call.sizes)} to {max(call.sizes)} bytes")
    return Result(
        calls=len(heard),
        caller_bytes=sum(len(call.sent) for call in heard),
        agent_bytes=sum(len(call.received) for call in heard),
        worst_opened=max(call.opened_after for call in heard),
        worst_closed=max(call.closed_after for call in heard),
        worst_pong=max(call.slowest_pong for call in heard),
        worst_unplayed=max(unplayed(call) for call in heard),
        faults=faults,
    )


def unplayed(call: Heard) -> float:
    """Most seconds of audio that waited, for a listener who plays each byte as soon as it can."""
    worst = 0.0
    plays_until = 0.0
    for at, size in call.arrivals:
        plays_until = max(plays_until, at) + size / 8000
        worst = max(worst, plays_until - at)
    return worst


def main() -> int:
    """Run a soak of any size and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    configure(level="warning")
    began = time.monotonic()
    result = asyncio.run(soak(given.calls, given.seconds, seed=given.seed))
    for fault in result.faults:
        print(fault)
    print(
        f"{result.calls} calls, {time.monotonic() - began:.0f} s: {result.caller_bytes:,} bytes of callers, "
        f"{result.agent_bytes:,} bytes of agents, {len(result.faults)} faults; worst opened "
        f"{result.worst_opened * 1000:.0f} ms, closed {result.worst_closed * 1000:.0f} ms, "
        f"pong {result.worst_pong * 1000:.1f} ms, "
        f"un-played {result.worst_unplayed * 1000:.0f} ms"
    )
    return 1 if result.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
