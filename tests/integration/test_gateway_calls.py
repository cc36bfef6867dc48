"""Whole calls through the gateway, over real sockets."""

import asyncio
import io
import json
import ssl
import time
from typing import Any

import pytest
import structlog
import trustme

from offhook.config import ConfigError
from offhook.emulator.scenario import Handshake, Loss, Scenario
from offhook.gateway import server as gateway_server
from offhook.simulator.dialer import DialFailed
from offhook.simulator.script import Wait, WaitForAgent
from offhook.telemetry import logging as offhook_logging
from offhook.telemetry.logging import LineWriter
from tests.integration.gateway_world import (
    ANSWER,
    ASKED,
    CALLER,
    GREETING,
    KEY,
    QUESTION,
    SECRET,
    World,
    world,
)


async def settled(running: World) -> None:
    """Wait until the gateway has freed every call."""
    async with asyncio.timeout(5):
        await running.server._no_calls.wait()


@pytest.mark.parametrize("order", ["genesys", "documented"])
@pytest.mark.parametrize("connector_id", ["support", "/support", "support/tariff?x=1%2F2", None])
async def test_a_call_that_the_caller_ends(order: str, connector_id: str | None) -> None:
    async with world() as running:
        report = await running.call(connector_id=connector_id, order=order)  # type: ignore[arg-type]
        assert report.failures == ()
        assert report.ended_by == "caller"
        await settled(running)
        assert running.server.calls == 0
        (ended,) = running.watcher.ended
        assert (ended.outcome, ended.reason) == ("completed", "caller_hung_up")


async def test_a_question_a_tool_and_an_answer() -> None:
    async with world() as running:
        report = await running.call(ASKED, inputs={"NAME": "Eva"})
        assert report.failures == ()
        await settled(running)
        (session,) = running.emulator.sessions
        assert session.settings.instructions == f"You are Eva, called by {CALLER}."
        spoken = [(turn.speaker, turn.text) for turn in running.watcher.turns]
        assert spoken == [("agent", GREETING), ("caller", QUESTION), ("agent", ANSWER)]
        assert {"opened", "ai_ready", "tool_started", "tool_finished", "closed"} <= set(running.watcher.moments)
        (info,) = running.watcher.infos
        assert (info.agent, info.connector_id) == ("support", "support")


async def test_many_calls_at_once() -> None:
    async with world() as running:
        reports = await asyncio.gather(*(running.call() for _ in range(8)))
        assert [report.failures for report in reports] == [()] * 8
        await settled(running)
        assert len(running.watcher.ended) == 8


async def test_a_probe_does_not_reach_the_ai() -> None:
    async with world() as running:
        report = await running.call(probe=True, connector_id=None)
        assert report.failures == ()
        await settled(running)
        assert running.emulator.connections == 0
        assert running.watcher.ended[0].outcome == "probe"


async def test_an_unknown_connector_id() -> None:
    async with world() as running:
        report = await running.call(connector_id="nobody")
        assert (report.ended_by, report.reason) == ("agent", "error")
        assert report.info.startswith('OH-CALL-01 no agent is called "nobody"')
        assert running.emulator.connections == 0


async def test_wrong_credentials_get_nothing_but_401() -> None:
    async with world() as running:
        began = time.monotonic()
        attempts = [
            running.call(secret="YW5vdGhlciBzZWNyZXQ="),
            running.call(secret=None),
            running.call(key="another", secret=None),
        ]
        good = running.call()
        results = await asyncio.gather(*attempts, good, return_exceptions=True)
        for refused in results[:-1]:
            assert isinstance(refused, DialFailed)
            assert str(refused).startswith("HTTP 401")
            assert str(refused).endswith("(unauthorized)")
        assert not isinstance(results[-1], BaseException)
        assert results[-1].failures == ()
        assert time.monotonic() - began > 0.5


async def test_limits_of_a_key() -> None:
    keys = [{"id": KEY, "secret": SECRET, "agents": ["support"]}, {"id": "strict", "agents": []}]
    async with world(keys=keys) as running:
        assert (await running.call()).failures == ()
        report = await running.call(key="strict", secret=None)
        assert report.info.startswith("OH-CALL-03")


async def test_an_ai_that_refuses_the_key() -> None:
    async with world(Scenario(handshake=Handshake(status=401))) as running:
        report = await running.call((Wait(5.0),))
        assert report.ended_by == "agent"
        assert report.output_variables["OFFHOOK_OUTCOME"] == "failed"
        await settled(running)


async def test_the_next_provider_takes_over(unused_tcp_port: int) -> None:
    nobody = {"name": "nobody", "url": f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime", "api_key": "x"}
    async with world() as running:
        emulator = {"name": "emulator", "url": running.emulator.url, "api_key": "x"}
        async with world(providers=[nobody, emulator]) as second:
            assert (await second.call()).failures == ()
        assert running.emulator.connections == 1


@pytest.mark.parametrize("code", [1006, 1001, 1011, 4000])
async def test_a_realtime_leg_that_breaks(code: int) -> None:
    gone = [Handshake(), Handshake(status=401)]  # whoever comes again is refused
    async with world(Scenario(first_audio_ms=20, lose=Loss(after=0.3, code=code), handshake=gone)) as running:
        report = await running.call((Wait(5.0),))
        assert report.ended_by == "agent"
        assert report.output_variables["OFFHOOK_OUTCOME"] == "failed"
        await settled(running)
        assert running.watcher.ended[0].outcome == "failed"


async def test_tls_on_the_call_port(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tls")
    authority, trust = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trust)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    async with world(tls={"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}) as running:
        assert running.server.url.startswith("wss://")
        assert (await running.call(trust=trust)).failures == ()


async def test_a_certificate_that_cannot_be_used(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ConfigError, match="tls"):
        async with world(tls={"cert": "/nowhere/cert.pem", "key": "/nowhere/key.pem"}):
            pass


async def test_behind_a_proxy_that_changes_host_and_path() -> None:
    async with world(base_path="/in", public_url="wss://voice.example.com/audiohook") as running:
        with pytest.raises(DialFailed, match="401"):
            await running.call()  # signed for what the caller dialled here, which Genesys would not


async def test_health_and_readiness() -> None:
    async with world() as running:
        assert await running.get("/healthz") == (200, "ok\n")
        assert await running.get("/readyz") == (200, '{"ready": true}')
        assert (await running.get("/audiohook/support"))[0] == 426
        assert (await running.get("/"))[0] == 404


async def test_draining_waits_for_calls_and_takes_no_new_ones() -> None:
    async with world() as running:
        seen: list[object] = []
        talking = asyncio.ensure_future(running.call(ASKED, seen=seen))  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while not seen:
                await asyncio.wait([talking], timeout=0.01)
        draining = asyncio.ensure_future(running.server.drain())
        await asyncio.sleep(0)
        assert (await running.get("/readyz"))[0] == 503
        assert (await running.get("/healthz"))[0] == 200
        turned_away = await running.call()
        assert (turned_away.ended_by, turned_away.reason) == ("agent", "error")
        assert turned_away.info.startswith("OH-GATE-10")
        assert (await talking).failures == ()
        async with asyncio.timeout(5):
            await draining


async def test_draining_ends_what_lasts_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as running:
        seen: list[object] = []
        talking = asyncio.ensure_future(running.call((WaitForAgent(), Wait(15.0)), seen=seen))  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while not seen:
                await asyncio.wait([talking], timeout=0.01)
        await running.server.drain(0.2)
        report = await talking
        assert (report.ended_by, report.reason) == ("agent", "completed")
        assert report.output_variables["OFFHOOK_OUTCOME"] == "limit"
        assert running.watcher.ended[0].reason == "drained"


async def test_draining_gives_up_on_a_peer_that_does_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_server, "LAST_WORDS", 0.05)
    async with world() as running:
        talking = asyncio.ensure_future(running.call((Wait(15.0),)))
        async with asyncio.timeout(5):
            while not running.server.calls:
                await asyncio.wait([talking], timeout=0.01)
        await running.server.drain(0.0)
        await running.server.stop()
        await talking
        assert running.server.calls == 0


async def test_nothing_secret_and_nothing_said_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    writers: list[LineWriter] = []

    class Kept(LineWriter):
        def __init__(self, out: io.StringIO, **more: Any) -> None:
            super().__init__(out, **more)
            writers.append(self)

    monkeypatch.setattr(offhook_logging, "LineWriter", Kept)
    offhook_logging.configure(style="json", level="debug", stream=stream)
    try:
        async with world() as running:
            await running.call(ASKED, inputs={"NAME": "Eva-of-the-input"})
            await running.call(connector_id="%2B13175550142")
            for secret in ("YW5vdGhlciBzZWNyZXQ=", None):
                with pytest.raises(DialFailed):
                    await running.call(secret=secret)
            await settled(running)
    finally:
        structlog.reset_defaults()
    assert writers[0].settle()
    text = stream.getvalue()
    events = [json.loads(line)["event"] for line in text.splitlines()]
    assert events.count("call began") == 2
    assert events.count("call refused") == 3
    forbidden = [
        KEY,
        SECRET,
        "sk-of-openai",
        CALLER,
        CALLER[1:],
        "Eva-of-the-input",
        "on its way",
        "Good morning",
        "parcel seven",
        "sig1=",
        "Bearer",
    ]
    assert [word for word in forbidden if word in text] == []
