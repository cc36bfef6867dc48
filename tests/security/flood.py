"""Good calls go on as if nothing were, while hostile connections, messages and handshakes come in by the thousand.

python -m tests.security.flood --upgrades 100000 --messages 1000000 --slow 10000 --calls 20 --seconds 60

Gateway, attackers and good callers are processes of their own, so that what is measured is the gateway. Calls last as
long as the floods, and `--seconds` at least; meanwhile new ones are tried all the time.
"""

import argparse
import asyncio
import base64
import contextlib
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import uvloop
from aiohttp import web

from tests.fakes.load_caller import Heard, LoadCaller
from tests.fakes.realtime_server import Leg, RealtimeFake
from tests.security.attempts import KEYS
from tests.security.served import take_precedence

GOOD_KEY = "key-of-the-good-callers"
PING_EVERY = 1.0
"""Genesys pings every 5 s; here more often, to have more to measure."""
AHEAD = 5.0
"""Seconds of speech that the AI is ahead of real time, as the real one is."""
NEWCOMER_EVERY = 1.0
GAP = 0.02
"""Seconds without anything to play that count as a gap: one frame of telephony."""
SETTLED = 13.0
"""Seconds after which everything of an attacker has to be gone: the deadline of a request's head, and of `close`."""


class EndlessAgent(RealtimeFake):
    """An AI that never stops talking to good callers: one response as long as the call."""

    async def _talk(self, ws: web.WebSocketResponse, leg: Leg, chance: random.Random) -> None:
        if self.legs.get("") is leg:
            return  # a hostile call, without a name: what it costs to talk to it is not the gateway's
        where = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0}
        item = {"id": "item_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        await self._send(ws, "response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
        await self._send(ws, "response.output_item.added", **where, item=item)
        began = time.monotonic()
        while True:
            delta = chance.randbytes(2400)
            leg.agent += delta
            audio = base64.b64encode(delta).decode()
            await self._send(ws, "response.output_audio.delta", **where, content_index=0, delta=audio)
            await asyncio.sleep(max(0.0, len(leg.agent) / 8000 - AHEAD - (time.monotonic() - began)))


class GatewayProcess:
    """A gateway on its own (see `tests.security.served`)."""

    def __init__(self, folder: Path, realtime_url: str) -> None:
        self._config = folder / "offhook.yaml"
        self.log = folder / "log.jsonl"
        agent = {"instructions": "{{ input.NAME | default('') }}", "greeting": None}
        document = {
            "listen": "127.0.0.1:0",
            "keys": [*KEYS, {"id": GOOD_KEY}],
            "realtime": {"providers": [{"name": "fake", "url": realtime_url, "api_key": "none"}]},
            "agents": {"support": agent, "billing": agent},
        }
        self._config.write_text(json.dumps(document))
        self.port = 0
        self.pid = 0

    async def __aenter__(self) -> "GatewayProcess":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.security.served", str(self._config), str(self.log),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        started = await self._read()
        self.port, self.pid = started["port"], started["pid"]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write_eof()
        try:
            self.status = await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            self._process.kill()
            self.status = await self._process.wait()

    async def figures(self, *, settled: bool = False) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"settled\n" if settled else b"figures\n")
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        assert line, "the gateway has died"
        read = json.loads(line)
        assert isinstance(read, dict)
        return read


@dataclass
class Result:
    """What came of a flood."""

    floods: dict[str, Any]
    idle: dict[str, Any]
    """Of the gateway, before any call."""
    before: dict[str, Any]
    """With calls, before the floods."""
    during: dict[str, Any]
    """At the end of the floods; times are those of all of them."""
    after: dict[str, Any]
    """When all calls are over, and everything hostile has had its time to go."""
    pong_ms: dict[str, float]
    """Of the good calls, while the floods lasted."""
    own_late_ms: float
    """How late the process that measures was itself, at the 99th percentile."""
    pings: int
    gaps: list[float]
    """Seconds that good callers heard nothing in the middle of speech."""
    audio_seconds: float
    """How much they heard, all together."""
    newcomers: int
    dialled_ms: dict[str, float]
    """Of the calls that began during the floods, from the first packet to the upgrade."""
    opened_ms: dict[str, float]
    """From `open` to `opened`."""
    faults: list[str]
    log_lines: int
    refusal_lines: int
    log_bytes: int
    seconds: float
    load: tuple[float, float] = field(default=(0.0, 0.0))


class Newcomers:
    """Calls that begin while the floods last."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url, self._http = url, http
        self.heard: list[Heard] = []
        self.dialled: list[float] = []
        self.failures: list[str] = []

    async def run(self) -> None:
        tasks = set()
        try:
            for number in range(10**6):
                task = asyncio.create_task(self._call(number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await asyncio.sleep(NEWCOMER_EVERY)
        finally:
            if tasks:
                await asyncio.wait(tasks, timeout=10)

    async def _call(self, number: int) -> None:
        caller = LoadCaller(self._url, GOOD_KEY, f"newcomer-{number}", seconds=1.0, linger=0.1, seed=7000 + number)
        began = time.monotonic()
        try:
            async with asyncio.timeout(20):
                heard = await caller.run(self._http)
        except Exception as error:
            self.failures.append(f"{caller.heard.name}: {error!r}")
            return
        self.dialled.append(heard.upgraded_at - began)
        self.heard.append(heard)
        self.failures += [f"{heard.name}: {fault}" for fault in heard.faults]
        if not heard.opened_after or not heard.closed_after:
            self.failures.append(f"{heard.name}: not opened and closed")


class OwnLateness:
    """How late the event loop of this process is."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def run(self) -> None:
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self.late.append(time.monotonic() - due)


async def flood(
    *, upgrades: int, messages: int, slow: int, calls: int, seconds: float, width: int = 200, hold: int = 30
) -> Result:
    """Carry calls while the floods come in; return what was measured."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, mock.patch("offhook.audiohook.client.PING_INTERVAL", PING_EVERY):
        async with (
            EndlessAgent() as fake,
            GatewayProcess(Path(folder), fake.url) as gateway,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http,
        ):
            idle = await gateway.figures(settled=True)
            url = f"ws://127.0.0.1:{gateway.port}/audiohook/support"
            callers = [LoadCaller(url, GOOD_KEY, f"call-{n}", seconds=10**6, linger=0.3, seed=n) for n in range(calls)]
            running = [asyncio.create_task(_start(caller, http, n / calls)) for n, caller in enumerate(callers)]
            await _talking(callers)
            gc.collect()
            gc.freeze()  # the pauses of this process are none of the gateway's
            before = await gateway.figures()
            pongs = [len(caller.heard.pongs) for caller in callers]
            newcomers, own = Newcomers(url, http), OwnLateness()
            began_flood = time.monotonic()
            async with _beside(newcomers.run()), _beside(own.run()):
                given = {
                    "upgrades": (upgrades, width),
                    "messages": (messages, min(width, 200)),
                    "slow": (slow, width, hold),
                }
                given = {kind: numbers for kind, numbers in given.items() if numbers[0]}
                done = await asyncio.gather(*(_flood(kind, gateway.port, *of) for kind, of in given.items()))
                during = await gateway.figures()
                await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began_flood)))
            measured = [rtt for caller, seen in zip(callers, pongs, strict=True) for rtt in caller.heard.pongs[seen:]]
            for caller in callers:
                caller.seconds = 0.0
            heard = await asyncio.gather(*running)
            after = await _settled(gateway, idle)
            log = gateway.log.read_bytes()
        faults = [*newcomers.failures, *_faults(heard, fake)]
        if gateway.status != 0:
            faults.append(f"the gateway ended with {gateway.status}")
        return Result(
            floods=dict(zip(given, done, strict=True)),
            before=before,
            during=during,
            after=after,
            pong_ms=_percentiles(measured),
            own_late_ms=_percentiles(own.late)["p99"],
            pings=len(measured),
            gaps=[gap for call in heard for gap in gaps(call)],
            audio_seconds=sum(len(call.received) for call in heard) / 8000,
            idle=idle,
            newcomers=len(newcomers.heard),
            dialled_ms=_percentiles(newcomers.dialled),
            opened_ms=_percentiles([call.opened_after for call in newcomers.heard]),
            faults=faults,
            log_lines=log.count(b"\n"),
            refusal_lines=sum(b'"call refused"' in line and b'"call":' not in line for line in log.splitlines()),
            log_bytes=len(log),
            seconds=time.monotonic() - began,
        )


async def _talking(callers: list[LoadCaller]) -> None:
    for _ in range(400):
        if all(caller.heard.pongs and caller.heard.arrivals for caller in callers):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the good calls do not begin")


async def _settled(gateway: GatewayProcess, idle: dict[str, Any]) -> dict[str, Any]:
    """Wait until everything is gone, at most as long as the deadlines of the gateway allow it to stay."""
    until = time.monotonic() + SETTLED
    while True:
        after = await gateway.figures(settled=True)
        if all(after[what] <= idle[what] for what in ("calls", "files", "tasks")) or time.monotonic() > until:
            return after
        await asyncio.sleep(0.2)


async def _start(caller: LoadCaller, http: aiohttp.ClientSession, after: float) -> Heard:
    await asyncio.sleep(after)
    return await caller.run(http)


@contextlib.asynccontextmanager
async def _beside(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _flood(kind: str, *numbers: int) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.security.attackers", kind, *map(str, numbers),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    assert process.returncode == 0, f"the flood of {kind} has failed"
    read = json.loads(out)
    assert isinstance(read, dict)
    return read


def _faults(heard: list[Heard], fake: RealtimeFake) -> list[str]:
    """Hold what each side of the good calls sent against what the other got."""
    faults = []
    for call in heard:
        faults += [f"{call.name}: {fault}" for fault in call.faults]
        leg = fake.legs.get(call.name)
        if leg is None:
            faults.append(f"{call.name}: no Realtime session")
        elif bytes(leg.caller) != bytes(call.sent):
            faults.append(f"{call.name}: caller audio differs, {len(call.sent)} sent, {len(leg.caller)} arrived")
        elif not call.received or not leg.agent.startswith(call.received):
            faults.append(f"{call.name}: agent audio differs")
        if not call.closed_after:
            faults.append(f"{call.name}: never closed")
    return faults


def gaps(call: Heard) -> list[float]:
    """Return how long a listener who plays each byte as soon as he can has nothing to play."""
    found = []
    plays_until = call.arrivals[0][0] if call.arrivals else 0.0
    for at, size in call.arrivals:
        if at - plays_until > GAP:
            found.append(round(at - plays_until, 3))
        plays_until = max(plays_until, at) + size / 8000
    return found


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    ranks = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "most": len(ordered) - 1}
    return {name: round(ordered[rank] * 1000, 1) for name, rank in ranks.items()}


def main() -> int:
    """Run a flood of any size and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrades", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--slow", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--width", type=int, default=200, help="connections of each flood at a time")
    parser.add_argument("--hold", type=int, default=30, help="seconds that the slowest handshakes stay")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    take_precedence()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(flood(**vars(given)))
    result.load = (load, os.getloadavg()[0])
    for name, value in vars(result).items():
        print(f"{name:14} {value}")
    good = not result.faults and not result.gaps and result.pong_ms["p99"] < 50
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
