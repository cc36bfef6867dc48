"""Calls beyond a limit: refused in the protocol, at once, and nobody else notices."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from offhook.gateway import GatewayServer
from offhook.gateway import overload as overload_module
from tests.acceptance.genesys import FRAME, NIL, GenesysCall
from tests.acceptance.identity import Identity
from tests.acceptance.realtime import Leg, RealtimeFake
from tests.acceptance.waiting import PROMPT, until
from tests.acceptance.world import OFFHOOK_OUTPUTS, SUPPORT, World, http

KEYS = [{"id": "key"}, {"id": "second"}]
ONE: dict[str, Any] = {"max_calls": 1}
RARELY: dict[str, Any] = {"max_opens_per_second": 0.001, "opens_burst": 1}


@asynccontextmanager
async def talking(ai: RealtimeFake, url: str, **how: Any) -> AsyncIterator[tuple[GenesysCall, Leg]]:
    """Carry a call, and see afterwards that it was not disturbed."""
    async with GenesysCall(url, **how) as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([0x2A]) * 3200)
        call.send_audio(b"\x01" * FRAME)
        yield call, leg
        call.send_audio(b"\x02" * FRAME)
        await speech.audio(bytes([0x2B]) * 3200)
        await speech.end()
        await answer.end()
        assert await call.ping() < PROMPT
        assert await leg.expect_audio(2 * FRAME, within=1) == b"\x01" * FRAME + b"\x02" * FRAME
        assert await call.expect_audio(6400, within=2) == bytes([0x2A]) * 3200 + bytes([0x2B]) * 3200
        await call.close()


async def refused(url: str, code: str, **how: Any) -> None:
    """Call, and be refused in good order."""
    async with GenesysCall(url, **how) as call:
        call.send_open()
        disconnect = await call.expect("disconnect", within=PROMPT)
        assert call.texts("opened") == []
        assert disconnect.parameters["reason"] == "error"
        assert disconnect.parameters["info"].startswith(f"{code} ")
        variables = disconnect.parameters["outputVariables"]
        assert set(variables) >= OFFHOOK_OUTPUTS
        assert (variables["OFFHOOK_OUTCOME"], variables["OFFHOOK_REASON"]) == ("failed", code)
        assert not [word for word in ("key", "second", call.identity.organization) if word in json.dumps(variables)]
        await call.close("disconnect")


async def accepted(ai: RealtimeFake, url: str, **how: Any) -> None:
    async with GenesysCall(url, **how) as call:
        await call.open()
        await ai.ready()
        await call.close()


async def readiness(gateway: GatewayServer) -> int:
    answer = await http(gateway.url, b"GET /readyz HTTP/1.0\r\n\r\n")
    return int(answer.split(b" ", 2)[1])


async def left(gateway: GatewayServer, calls: int) -> None:
    """Wait until no more than so many calls are counted."""
    await until(lambda: gateway.admission.calls <= calls)


LIMITED: dict[str, tuple[dict[str, Any], str]] = {
    "process": ({"limits": ONE}, "OH-LIMIT-01"),
    "key": ({"keys": [{"id": "key", "limits": ONE}, {"id": "second"}]}, "OH-LIMIT-02"),
    "organization": ({"limits": {"per_organization": ONE}}, "OH-LIMIT-03"),
    "agent": ({"agents": {"support": {**SUPPORT, "limits": ONE}, "sales": SUPPORT}}, "OH-LIMIT-04"),
}


@pytest.mark.parametrize("scope", LIMITED)
async def test_calls_at_a_time(ai: RealtimeFake, world: World, scope: str) -> None:
    settings, code = LIMITED[scope]
    identity = Identity()
    async with world.gateway(ai.url, **{"keys": KEYS, **settings}) as gateway:
        url = f"{gateway.url}/support"
        async with talking(ai, url, identity=identity):
            again = replace(Identity(), organization=identity.organization)
            await asyncio.gather(*(refused(url, code, identity=again) for _ in range(10)))
            if scope == "key":
                await accepted(ai, url, key="second")
            elif scope == "organization":
                await accepted(ai, url)
            elif scope == "agent":
                await accepted(ai, f"{gateway.url}/sales")
        await left(gateway, 0)
        await accepted(ai, url, identity=identity)
        await left(gateway, 0)
        assert gateway.admission.counts() == {}


OPENED: dict[str, tuple[dict[str, Any], str]] = {
    "process": ({"limits": RARELY}, "OH-LIMIT-01"),
    "key": ({"keys": [{"id": "key", "limits": RARELY}]}, "OH-LIMIT-02"),
    "organization": ({"limits": {"per_organization": RARELY}}, "OH-LIMIT-03"),
    "agent": ({"agents": {"support": {**SUPPORT, "limits": RARELY}}}, "OH-LIMIT-04"),
}


@pytest.mark.parametrize("scope", OPENED)
async def test_calls_that_begin(ai: RealtimeFake, world: World, scope: str) -> None:
    settings, code = OPENED[scope]
    identity = Identity()
    async with world.gateway(ai.url, **{"keys": KEYS, **settings}) as gateway:
        url = f"{gateway.url}/support"
        await accepted(ai, url, identity=identity)
        await left(gateway, 0)
        await refused(url, code, identity=identity)
        assert await readiness(gateway) == 200


async def test_probes_are_no_calls(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, limits={**ONE, **RARELY}) as gateway:
        url = f"{gateway.url}/support"
        async with GenesysCall(gateway.url) as probe:
            await probe.open(conversationId=NIL)
            async with talking(ai, url), GenesysCall(gateway.url) as another:
                await another.open(conversationId=NIL)
                assert gateway.admission.calls == 1
                await another.close()
            await probe.close()


async def test_a_second_attempt_while_the_first_socket_still_stands(ai: RealtimeFake, world: World) -> None:
    """A retry is a new socket, maybe of the same session and surely of the same conversation (audiohook.md §1.5)."""
    identity = Identity()
    retry = {**identity.headers(), "Audiohook-Retry-Attempt": "1"}
    async with world.gateway(ai.url, limits={"max_calls": 2}) as gateway:
        url = f"{gateway.url}/support"
        async with talking(ai, url, identity=identity) as (first, _):
            async with talking(ai, url, identity=identity, headers=retry):
                assert gateway.admission.calls == 2
                await refused(url, "OH-LIMIT-01", identity=identity, headers=retry)
            await left(gateway, 1)
            assert await first.ping() < PROMPT
        await left(gateway, 0)


async def test_a_call_that_loses_its_socket_is_counted_no_more(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, limits=ONE) as gateway:
        url = f"{gateway.url}/support"
        for _ in range(3):
            async with GenesysCall(url, strict=False) as call:
                await call.open()
                leg = await ai.ready()
                call.abort()
                await leg.expect_closed()
            await left(gateway, 0)
        assert gateway.admission.counts() == {}


async def test_an_overloaded_process_takes_no_calls_and_carries_those_it_has(
    ai: RealtimeFake, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overload_module, "SUSTAINED", 0.1)
    monkeypatch.setattr(overload_module, "CALM", 0.1)
    monkeypatch.setattr(overload_module, "LOOK_EVERY", 0.01)
    async with world.gateway(ai.url, limits={"max_lag": 0.02}) as gateway:
        url = f"{gateway.url}/support"
        async with talking(ai, url):
            async with asyncio.timeout(10):
                while not gateway.lag_watch.overload.overloaded:
                    time.sleep(0.04)  # noqa: ASYNC251 - this is the load
                    await asyncio.sleep(0)
            gateway.lag_watch.stop()  # it stays so for as long as the test looks
            assert await readiness(gateway) == 503
            await refused(url, "OH-LIMIT-05")
            gateway.lag_watch.start()
            await until(lambda: not gateway.lag_watch.overload.overloaded)
            await accepted(ai, url)
