"""The emulator's socket: upgrades, faults while connecting and later, many connections, an end."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from offhook.cli.emulate import emulate
from offhook.emulator.scenario import Handshake, Loss, Scenario
from offhook.emulator.server import Emulator, split_address
from offhook.speech import Speech

KEY = {"Authorization": "Bearer sk-any"}
SPEECH = Speech(synthesiser=None)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=KEY) as session:
        yield session


def emulator(**scenario: Any) -> Emulator:
    return Emulator(scenario=Scenario.model_validate(scenario), speech=SPEECH)


def url(running: Emulator) -> str:
    return f"{running.url}?model=gpt-realtime-2.1"


async def receive(ws: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    event: dict[str, Any] = await ws.receive_json(timeout=5)
    return event


async def test_a_session_and_its_end_by_the_client(http: aiohttp.ClientSession) -> None:
    async with (
        emulator(turns=[{"say": "Goodbye."}], speed=10, first_audio_ms=0) as running,
        http.ws_connect(url(running)) as ws,
    ):
        created = await receive(ws)
        assert created["type"] == "session.created"
        assert created["session"]["model"] == "gpt-realtime-2.1"
        await ws.send_bytes(b'{"type":"response.create"}')
        while (await receive(ws))["type"] != "response.done":
            pass
    assert running.sessions[0].close_code == 1000


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_refused_upgrades(http: aiohttp.ClientSession, status: int) -> None:
    async with emulator(handshake=[{"status": status}]) as running:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url(running))
        assert refused.value.status == status
        async with http.ws_connect(url(running)) as ws:  # only the first connection has a fault
            assert (await receive(ws))["type"] == "session.created"


async def test_a_key_and_a_model_are_needed() -> None:
    async with emulator() as running, aiohttp.ClientSession() as bare:
        page = running.url.replace("ws:", "http:")
        async with bare.get(f"{page}?model=x") as response:
            assert response.status == 401
            assert (await response.json())["error"]["code"] == "invalid_api_key"
        async with bare.get(page, headers=KEY) as response:
            assert response.status == 400
        async with bare.get(page.replace("/realtime", "/other"), headers=KEY) as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("scenario", "headers", "code", "first"),
    [
        ({"handshake": {"close": 3000}}, {}, 3000, None),
        ({"handshake": {"close": 4000}}, {}, 4000, "error"),
        ({}, {"OpenAI-Beta": "realtime=v1"}, 4000, "session.created"),
        ({"lifetime": 0.05}, {}, 1001, "session.created"),
        ({"lose": {"after": 0.05, "code": 1011}}, {}, 1011, "session.created"),
        ({"lose": {"after": 0.05, "code": 1006}}, {}, 1006, "session.created"),
    ],
)
async def test_closes(
    http: aiohttp.ClientSession, scenario: dict[str, Any], headers: dict[str, str], code: int, first: str | None
) -> None:
    async with emulator(**scenario) as running, http.ws_connect(url(running), headers=headers) as ws:
        events = [json.loads(message.data) async for message in ws if message.type == aiohttp.WSMsgType.TEXT]
        assert (events[0]["type"] if events else None) == first
        assert ws.close_code == code


async def test_half_open_does_not_even_answer_pings(http: aiohttp.ClientSession) -> None:
    async with emulator(lose={"after": 0.05}) as running, http.ws_connect(url(running), heartbeat=0.4) as ws:
        await receive(ws)
        assert (await ws.receive(timeout=5)).type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED)


async def test_too_many_connections_are_refused(http: aiohttp.ClientSession) -> None:
    async with (
        Emulator(speech=SPEECH, max_connections=1) as running,
        http.ws_connect(url(running)) as ws,
    ):
        await receive(ws)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url(running))
        assert refused.value.status == 429


async def test_the_end_of_the_emulator_closes_every_connection(http: aiohttp.ClientSession) -> None:
    async with emulator() as running:
        connections = [await http.ws_connect(url(running)) for _ in range(5)]
        for ws in connections:
            await receive(ws)
        assert running.connections == 5
        waiting = [asyncio.create_task(ws.receive()) for ws in connections]
    for task in waiting:
        assert (await task).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


async def flood(ws: aiohttp.ClientWebSocketResponse, text: str) -> None:
    while True:
        await ws.send_str(text)


async def test_a_client_that_does_not_read_is_dropped(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.emulator.server.MAX_UNSENT_BYTES", 100_000)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 400_000}]}
    create = json.dumps({"type": "conversation.item.create", "item": item})
    async with emulator() as running:
        ws = await http.ws_connect(url(running), max_msg_size=0)
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            await asyncio.wait_for(flood(ws, create), 20)
        await ws.close()


async def test_prepared_before_the_first_call() -> None:
    asked: list[str] = []

    def synthesise(text: str, voice: str) -> bytes:
        asked.append(text)
        return b"\x10" * 800

    scenario = Scenario.model_validate({"turns": [{"say": "A new sentence."}, {"say": "Goodbye."}]})
    async with Emulator(scenario=scenario, speech=Speech(synthesise)):
        assert asked == ["A new sentence."]


@pytest.mark.parametrize(
    ("listen", "expected"), [("127.0.0.1:9090", ("127.0.0.1", 9090)), ("[::1]:0", ("::1", 0)), ("host:1", ("host", 1))]
)
def test_addresses(listen: str, expected: tuple[str, int]) -> None:
    assert split_address(listen) == expected


class TestCommand:
    @pytest.mark.parametrize("listen", ["9090", ":9090", "host:", "host:99999", "host:x"])
    def test_a_wrong_address_is_wrong_usage(self, listen: str) -> None:
        result = CliRunner().invoke(emulate, ["--listen", listen])
        assert result.exit_code == 2
        assert "HOST:PORT" in result.output

    def test_a_wrong_scenario_is_wrong_usage(self, tmp_path: Path) -> None:
        file = tmp_path / "scenario.yaml"
        file.write_text("turns:\n  - sai: hello\n  - say: 3\n")
        result = CliRunner().invoke(emulate, ["--scenario", str(file)])
        assert result.exit_code == 2
        assert result.stderr.splitlines() == [
            f"{file}:2:5: OH-CONF-05 turns[0].sai: there is no such setting; did you mean say?",
            f"{file}:3:10: OH-CONF-07 turns[1].say: should be text; put it in quotes",
        ]

    def test_a_port_in_use_is_a_failure(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            result = CliRunner().invoke(emulate, ["--listen", f"127.0.0.1:{taken.getsockname()[1]}"])
        assert result.exit_code == 1
        assert "cannot listen on 127.0.0.1:" in result.output

    async def test_it_serves_until_interrupted(self, http: aiohttp.ClientSession, tmp_path: Path) -> None:
        file = tmp_path / "scenario.yaml"
        file.write_text("turns:\n  - say: Goodbye.\n")
        program = "import sys; from offhook.cli.emulate import emulate; emulate(sys.argv[1:])"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "ignore", "-c", program, "--listen", "127.0.0.1:0", "--scenario", str(file)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        line = (await asyncio.wait_for(process.stderr.readline(), 20)).decode()
        address = line.partition(" at ")[2].partition(";")[0]
        async with http.ws_connect(f"{address}?model=x") as ws:
            assert (await receive(ws))["type"] == "session.created"
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, out, err) == (0, b"", b"")


async def test_what_is_told_to_connections_from_outside(http: aiohttp.ClientSession) -> None:
    seen: list[str] = []
    running = Emulator(speech=SPEECH, on_connected=lambda connection: seen.append(connection.model))
    async with running:
        running.handshakes["a"].append(Handshake(status=503))
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(f"{running.url}?model=a")
        async with http.ws_connect(f"{running.url}?model=b") as other, http.ws_connect(f"{running.url}?model=a") as ws:
            assert [connection.model for connection in running.open_connections] == seen == ["b", "a"]
            assert running.connection_of("c") is None
            await receive(ws)
            connection = running.connection_of("a")
            assert connection is not None
            connection.lose(Loss(after=0, code=1011, error="server_error"))
            assert (await receive(ws))["error"]["code"] == "server_error"
            await ws.receive(timeout=5)
            assert ws.close_code == 1011
            await receive(other)
            assert not other.closed
        assert running.connection_of("a") is None


async def test_a_client_that_is_gone_before_the_upgrade_is_done(http: aiohttp.ClientSession) -> None:
    async with emulator() as running:
        host, _, port = running.url.removeprefix("ws://").partition("/")[0].partition(":")
        for _ in range(20):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"GET /v1/realtime?model=x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
            )
            writer.transport.abort()
        async with http.ws_connect(url(running)) as ws:
            assert (await receive(ws))["type"] == "session.created"
