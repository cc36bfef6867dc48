"""The ways to stop, on real sockets: nobody is cut off without a word."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from offhook.emulator.scenario import Handshake, Scenario
from offhook.emulator.server import Emulator
from offhook.gateway import GatewayServer
from offhook.gateway import server as module
from offhook.gateway.closing import Part
from offhook.gateway.listener import ListenerLimits
from offhook.simulator.dialer import DialFailed
from offhook.simulator.identity import CallIdentity
from offhook.simulator.upgrade import target, upgrade_headers
from tests.integration.gateway_world import KEY, SECRET, Murmur, Watcher, gateway, world
from tests.integration.served import TALKATIVE, Caller, stayed


def request(server: GatewayServer) -> tuple[str, dict[str, str]]:
    """Return address and headers of an upgrade."""
    to = target(server.url, connector_id="support", key=KEY, secret=SECRET)
    nonce = secrets.token_urlsafe(24)
    return str(to.url), upgrade_headers(to, CallIdentity.fresh(), nonce=nonce, unix_time=int(time.time()))


@contextlib.asynccontextmanager
async def silent(server: GatewayServer) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open a WebSocket that never sends `open`."""
    url, headers = request(server)
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as socket:
        yield socket


async def said(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Return what the gateway says."""
    message: dict[str, Any] = json.loads(await asyncio.wait_for(socket.receive_str(), 5))
    return message


async def test_calls_that_come_while_draining_are_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TURNED_AWAY", 1)
    monkeypatch.setattr(module, "CUT_TIMEOUT", 0.2)
    async with world() as running:
        server = running.server
        standing = Caller(server.url)
        await standing.talks()
        draining = asyncio.ensure_future(server.drain())
        await asyncio.sleep(0)
        report = await Caller(server.url).report
        # After this reason Genesys tries again, and a flow may look at the variables if it does not.
        assert (report.ended_by, report.reason) == ("agent", "error")
        assert report.info == "OH-GATE-10 the gateway is shutting down; try again"
        assert report.output_variables["OFFHOOK_REASON"] == "OH-GATE-10"
        assert server.calls == 1
        async with silent(server):
            with pytest.raises(DialFailed, match="503"):
                await Caller(server.url).report  # there are enough of them
            # Those that are turned away do not keep the gateway from stopping.
            assert stayed(await standing.hangs_up())
            await asyncio.wait_for(draining, 5)
        assert [(ended.outcome, ended.reason) for ended in running.watcher.ended][:1] == [("failed", "OH-GATE-10")]


async def test_cutting_tells_everybody_in_whatever_state() -> None:
    async with (
        Emulator(scenario=TALKATIVE, speech=Murmur()) as emulator,
        GatewayServer(gateway(emulator.url).config) as server,
        silent(server) as waiting,
    ):
        talking = [Caller(server.url) for _ in range(3)]
        for call in talking:
            await call.talks()
        cutting = asyncio.ensure_future(server.cut_calls())
        message = await said(waiting)
        assert (message["type"], message["parameters"]["reason"]) == ("disconnect", "error")
        assert message["parameters"]["info"] == "OH-GATE-03 the gateway was stopped"
        await waiting.close()
        assert await cutting is True
        for call in talking:
            report = await call.report
            assert (report.ended_by, report.reason, report.failures) == ("agent", "completed", ())
            assert report.output_variables["OFFHOOK_OUTCOME"] == "limit"
            assert report.output_variables["OFFHOOK_REASON"] == "drained"
        with pytest.raises(DialFailed):
            await Caller(server.url).report


async def test_cutting_calls_that_connect_and_peers_that_do_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CUT_TIMEOUT", 0.2)
    async with world(Scenario(handshake=Handshake(created=False))) as running, silent(running.server) as stubborn:
        connecting = Caller(running.server.url)
        await connecting.talks()
        assert await running.server.cut_calls() is False
        assert (await connecting.report).reason == "completed"
        assert (await said(stubborn))["type"] == "disconnect"


async def test_a_process_that_hands_over_serves_who_has_come_to_it() -> None:
    async with world() as running:
        server = running.server
        standing = Caller(server.url)
        await standing.talks()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        probe, probing = await asyncio.open_connection("127.0.0.1", server.port)
        probing.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await probe.readuntil(b"ok\n")
        handing_over = asyncio.ensure_future(server.hand_over())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)

        # A connection of before becomes a call, and one that could be kept is closed with its next answer.
        url, headers = request(server)
        path = url.partition(str(server.port))[2]
        opening = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        fields = {**headers, **opening, "Host": f"127.0.0.1:{server.port}", "Sec-WebSocket-Key": "A" * 22 + "=="}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        assert b"101 Switching" in await reader.readuntil(b"\r\n\r\n")
        assert server.calls == 2
        probing.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await asyncio.wait_for(probe.read(), 5)).startswith(b"HTTP/1.1 200 OK")
        for one in (writer, probing):
            one.close()
            await one.wait_closed()
        assert not handing_over.done()
        assert stayed(await standing.hangs_up())
        await asyncio.wait_for(handing_over, 5)


async def test_a_process_that_hands_over_does_not_wait_for_ever_for_a_request() -> None:
    async with Emulator(scenario=TALKATIVE, speech=Murmur()) as emulator:
        limits = ListenerLimits(head_timeout=0.1)
        async with GatewayServer(gateway(emulator.url).config, listener_limits=limits) as server:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            while not server._listener.handshakes:  # noqa: ASYNC110 - aiohttp tells nobody
                await asyncio.sleep(0.01)
            await asyncio.wait_for(server.hand_over(), 5)
            writer.close()


async def test_parts_are_closed_after_the_last_call() -> None:
    order: list[str] = []

    class Told(Watcher):
        def on_ended(self, info: Any, ended: Any) -> None:
            order.append("call")

    async def close_store() -> None:
        order.append("store")

    async def close_exporter() -> None:
        order.append("exporter")

    parts = [Part("store", close_store), Part("exporter", close_exporter)]
    async with Emulator(scenario=TALKATIVE, speech=Murmur()) as emulator:
        server = GatewayServer(gateway(emulator.url).config, observers=[Told()], parts=parts)
        async with server:
            call = Caller(server.url)
            await call.talks()
            assert await server.cut_calls()
    await call.report
    assert order == ["call", "store", "exporter"]
