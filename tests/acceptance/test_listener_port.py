"""The call port besides calls: health, readiness, strangers, TLS, draining."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from websockets.exceptions import InvalidMessage, InvalidStatus

from tests.acceptance.genesys import GenesysCall
from tests.acceptance.realtime import RealtimeFake
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import OFFHOOK_OUTPUTS, World, http


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_and_readiness(ai: RealtimeFake, world: World, path: str, version: str, method: str) -> None:
    async with world.gateway(ai.url) as gateway:
        request = f"{method} {path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        answer = await http(gateway.url, request)
        assert _status(answer) == 200
        _, _, body = answer.partition(b"\r\n\r\n")
        assert (body == b"") == (method == "HEAD")


async def test_http_1_0_without_a_host_header(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway:
        assert _status(await http(gateway.url, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200


@pytest.mark.parametrize("path", ["/audiohook", "/audiohook/", "/audiohook/support", "/audiohook//support"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_no_request_without_an_upgrade_is_redirected_or_accepted(
    ai: RealtimeFake, world: World, method: str, path: str
) -> None:
    async with world.gateway(ai.url) as gateway:
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
        status = _status(await http(gateway.url, request))
        assert 400 <= status < 500
        if method == "GET":
            assert status == 426


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.1",
        b"GET /other HTTP/1.1",
        b"GET /audiohoo HTTP/1.1",
        b"GET /../etc/passwd HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET http://elsewhere/audiohook HTTP/1.1",
        b"BREW /pot HTTP/1.1",
        b"nonsense",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_strangers_get_an_error_and_harm_nobody(ai: RealtimeFake, world: World, request_line: bytes) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(gateway.url) as call:
        await call.open()
        answer = await http(gateway.url, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer == b"" or 400 <= _status(answer) < 500
        assert b"Traceback" not in answer
        assert await call.ping() < PROMPT
        await call.close()


async def test_an_upgrade_elsewhere_is_not_accepted(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway:
        with pytest.raises(InvalidStatus) as caught:
            async with GenesysCall(gateway.url.replace("/audiohook", "/other")):
                pass
        assert caught.value.response.status_code == 404


async def test_an_upgrade_over_http_1_0_is_refused_and_harms_nobody(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway:
        request = b"GET /audiohook HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-API-KEY: key\r\n\r\n"
        assert 400 <= _status(await http(gateway.url, request)) < 500


async def test_calls_beyond_the_limit_are_refused_in_the_protocol_and_readiness_says_so(
    ai: RealtimeFake, world: World
) -> None:
    async with world.gateway(ai.url, limits={"max_calls": 1}) as gateway, GenesysCall(gateway.url) as call:
        await call.open()
        assert _status(await http(gateway.url, b"GET /readyz HTTP/1.0\r\n\r\n")) == 503
        assert _status(await http(gateway.url, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200
        async with GenesysCall(gateway.url) as second:
            second.send_open()
            disconnect = await second.expect("disconnect", within=PROMPT)
            assert disconnect.parameters["reason"] == "error"
            assert disconnect.parameters["info"].startswith("OH-LIMIT-01 ")
            assert set(disconnect.parameters["outputVariables"]) >= OFFHOOK_OUTPUTS
            await second.close("disconnect")
        assert await call.ping() < PROMPT
        await call.close()


async def test_sockets_beyond_the_limit_are_refused_at_the_upgrade(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, limits={"max_sockets": 1}) as gateway, GenesysCall(gateway.url) as call:
        await call.open()
        with pytest.raises(InvalidStatus) as caught:
            async with GenesysCall(gateway.url):
                pass
        assert caught.value.response.status_code == 503
        await call.close()


async def test_another_base_path(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, base_path="/one/two/") as gateway:
        root = gateway.url.partition("/one")[0]
        for path in ("/one/two", "/one/two/support", "/one/two//support", "/one/twosupport"):
            async with GenesysCall(root + path) as call:
                await call.open()
                await call.close()


# ---- TLS


async def test_tls(ai: RealtimeFake, world: World, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with world.gateway(ai.url, tls={"cert": str(chain), "key": str(key)}) as gateway:
        assert gateway.url.startswith("wss://")
        async with GenesysCall(f"{gateway.url}/support", tls=context) as call:
            await call.open()
            leg = await ai.ready()
            await leg.answer(None, bytes([0x2A]) * 4800)
            assert await call.expect_audio(4800, within=1) == bytes([0x2A]) * 4800
            with pytest.raises((InvalidMessage, OSError, EOFError)):
                async with GenesysCall(gateway.url.replace("wss://", "ws://")):
                    pass
            assert await call.ping() < PROMPT
            await call.close()


# ---- draining


async def test_a_draining_process_carries_its_calls_to_the_end(ai: RealtimeFake, world: World) -> None:
    async with world.process(ai.url) as process, GenesysCall(f"{process.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        process.process.terminate()
        for _ in range(100):
            if _status(await http(process.url, b"GET /readyz HTTP/1.0\r\n\r\n")) == 503:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("readiness does not say that the process drains")
        assert _status(await http(process.url, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200
        async with GenesysCall(process.url) as late:
            # Genesys tries again after this, and not after a refused upgrade.
            late.send_open()
            disconnect = await late.settle()
            assert disconnect.parameters["reason"] == "error"
            assert disconnect.parameters["info"].startswith("OH-GATE-10")
        await leg.answer(None, bytes([0x2A]) * 1600)
        assert await call.expect_audio(1600, within=1) == bytes([0x2A]) * 1600
        await call.close()
        await call.socket.close()
        assert await process.ended(within=5) == 0
