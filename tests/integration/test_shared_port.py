"""Two processes' worth of gateway on one call port, in one process: what they see of each other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from offhook.emulator.server import Emulator
from offhook.gateway import GatewayServer
from offhook.gateway.acceptor import listen
from offhook.gateway.nonces import OwnNonces
from offhook.gateway.scoreboard import Scoreboard
from offhook.gateway.server import Shared
from tests.integration.gateway_world import KEY, SECRET, Murmur, gateway
from tests.integration.served import TALKATIVE, Caller, stayed


@contextlib.asynccontextmanager
async def pair(**settings: Any) -> AsyncIterator[tuple[GatewayServer, GatewayServer]]:
    board, nonces = Scoreboard(2), OwnNonces()
    sockets = await listen("127.0.0.1", 0)
    async with contextlib.AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(scenario=TALKATIVE, speech=Murmur()))
        servers = []
        for slot in (0, 1):
            board.slots[slot].occupy(slot + 1, 4711 + slot)
            shared = Shared(scoreboard=board, slot=slot, nonces=nonces, sockets=[one.dup() for one in sockets])
            server = GatewayServer(gateway(emulator.url, **settings).config, shared=shared)
            servers.append(await stack.enter_async_context(server))
        for one in sockets:
            one.close()
        yield servers[0], servers[1]


async def ready(server: GatewayServer) -> int:
    url = f"http://127.0.0.1:{server.port}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


LIMITS = [
    ({"limits": {"max_calls": 1}}, "OH-LIMIT-01"),
    ({"keys": [{"id": KEY, "secret": SECRET, "limits": {"max_calls": 1}}]}, "OH-LIMIT-02"),
    ({"limits": {"per_organization": {"max_calls": 1}}}, None),
]


@pytest.mark.parametrize(("settings", "code"), LIMITS)
async def test_limits_count_the_calls_of_both(settings: dict[str, Any], code: str | None) -> None:
    async with pair(**settings) as (first, second):
        second._listener.pause()
        call = Caller(first.url)
        await call.talks()
        assert (first.calls, second.calls) == (1, 0)
        second._listener.resume()
        first._listener.pause()
        another = Caller(first.url)
        if code is None:  # it comes from another organization
            await another.talks()
            assert second.calls == 1
            assert stayed(await another.hangs_up())
        else:
            assert (await another.report).info.startswith(code)
            assert await ready(first) == (503 if code == "OH-LIMIT-01" else 200)
        assert stayed(await call.hangs_up())
        async with asyncio.timeout(5):
            await first._no_calls.wait()
        assert await ready(first) == 200
        third = Caller(first.url)
        await third.talks()
        assert stayed(await third.hangs_up())


async def test_who_is_too_busy_leaves_new_calls_to_the_other() -> None:
    async with pair() as (first, second):
        first.lag_watch.stop()
        first.lag_watch.overload.overloaded = True
        first._look_around()
        assert first.status().ready  # the gateway is
        calls = [Caller(first.url) for _ in range(8)]
        for call in calls:
            await call.talks()
        assert (first.calls, second.calls) == (0, 8)

        # When both are, both answer: nobody is to wait for an answer that does not come.
        second.lag_watch.stop()
        second.lag_watch.overload.overloaded = True
        second._look_around()
        first._look_around()
        assert await ready(first) == 503
        assert (await Caller(first.url).report).info.startswith("OH-LIMIT-05")

        first.lag_watch.overload.overloaded = False
        first._look_around()
        second._look_around()
        last = Caller(first.url)
        await last.talks()
        assert (first.calls, second.calls) == (1, 8)
        for call in (*calls, last):
            assert stayed(await call.hangs_up())


async def test_who_goes_is_told_from_who_drains() -> None:
    async with pair() as (first, second):
        await first.hand_over()
        assert [worker.draining for worker in second.status().workers] == [True, False]
        assert second.status().ready
        second._shared.scoreboard.draining = True
        assert (second.status().reason, first.status().reason) == ("draining", "draining")
        assert (await Caller(first.url).report).info.startswith("OH-GATE-10")
