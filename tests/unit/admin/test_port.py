"""The socket: where it is, who is told, and what it takes from strangers."""

import asyncio
import re
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme
from structlog.testing import capture_logs

from offhook.admin import AdminPort, CannotListen, app, door, serve_admin
from offhook.admin import port as module
from offhook.config import ConfigError, HostPort
from offhook.gateway.connection import HttpConnection
from tests.unit.admin.world import TOKEN, FakeGateway, World, configured, world


async def raw(port: AdminPort, *parts: bytes) -> bytes:
    """Send bytes and return all that comes back; the server has to end the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_without_a_token_one_is_made_and_shown_once() -> None:
    with capture_logs() as logs:
        async with world(admin_token=[]) as admin:
            (line,) = admin.announced
            found = re.search(r"(http://127\.0\.0\.1:\d+)/login#token=([\w-]{43})$", line)
            assert found is not None
            assert (await admin.ask("GET", "/api/v1/status", token=found[2]))[0] == 200
            assert (await admin.ask("GET", "/api/v1/status"))[0] == 401
            await admin.sign_in(found[2])
            admin.port.change(configured(admin_token=[]))
            assert (await admin.browse("GET", "/"))[0] == 200
            assert len(admin.announced) == 1
            admin.port.change(configured())
            assert (await admin.ask("GET", "/api/v1/status", token=found[2]))[0] == 401
            assert (await admin.browse("GET", "/"))[0] == 303
            admin.port.change(configured(admin_token=[]))
            assert len(admin.announced) == 2
            assert admin.announced[1] != line
    assert found[2] not in str(logs)


async def test_without_a_token_each_start_makes_another() -> None:
    tokens = set()
    for _ in range(2):
        async with world(admin_token=[]) as admin:
            tokens.add(admin.announced[0])
    assert len(tokens) == 2


async def test_with_a_token_none_is_shown(admin: World) -> None:
    assert admin.announced == [f"Admin port: {admin.port.url}"]
    assert TOKEN not in admin.announced[0]


async def test_the_token_is_shown_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    async with serve_admin(FakeGateway(), configured(admin_token=[])):
        shown = capsys.readouterr()
    assert "/login#token=" in shown.err
    assert "token" not in shown.out


async def test_a_token_is_needed_where_other_machines_are() -> None:
    config = configured().model_copy(update={"admin": HostPort("0.0.0.0", 0), "admin_token": ()})  # noqa: S104
    with pytest.raises(ConfigError, match="OH-CONF-14"):
        async with serve_admin(FakeGateway(), config):
            pass
    async with world(admin="0.0.0.0:0") as admin:
        assert admin.port.url.startswith("http://localhost:")
        admin.port.change(config)
        assert (await admin.ask("GET", "/api/v1/status", token=TOKEN))[0] == 200


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            CannotListen, match=rf"cannot listen on {address} \(Address already in use\); choose another"
        ):
            async with serve_admin(FakeGateway(), configured(admin=address)):
                pass


async def test_a_host_that_is_none() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on no\.host\.invalid:0 \(.+\)"):
        async with serve_admin(FakeGateway(), configured(admin="no.host.invalid:0")):
            pass


async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    tls = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    async with world(ssl=trust, admin_tls=tls) as admin:
        assert admin.port.url == f"https://127.0.0.1:{admin.port.port}/"
        await admin.sign_in()
        cookies = {cookie.key: cookie for cookie in admin.client.cookie_jar}
        assert set(cookies) == {f"__Host-offhook-{admin.port.port}", f"__Host-offhook-form-{admin.port.port}"}
        assert all(cookie["secure"] for cookie in cookies.values())
        with pytest.raises(aiohttp.ClientError):
            await admin.client.get(admin.url("/healthz").replace("https", "http"))


async def test_a_certificate_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"admin_tls\.cert"):
        async with serve_admin(FakeGateway(), configured(admin_tls={"cert": "nowhere", "key": "nowhere"})):
            pass


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"secret" * 2000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: secret\r\n" * 100 + b"\r\n",
        b"GET /" + b"secret" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: secret\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_request_learns_nothing(admin: World, request_bytes: bytes) -> None:
    answer = await raw(admin.port, request_bytes)
    assert answer.split(b" ")[1] == b"400"
    assert b"Server: offhook\r\n" in answer
    assert b"secret" not in answer
    assert b"aiohttp" not in answer


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_head_that_never_ends(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(module, "HEAD_TIMEOUT", 0.1)
    async with world() as admin:
        assert b"200" not in await raw(admin.port, start)


FORM = b"Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"Content-Length: 20000\r\n\r\n" + b"x" * 20_000, b"413"),
        (
            b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n" + b"4e20\r\n" + b"x" * 20_000,
            b"413",
        ),
        (b"Content-Length: 100\r\n\r\nx", b"408"),
        (b"Content-Length: 100\r\n\r\n" + b"a=1&" * 25, b"400"),
        (b"Content-Length: 2\r\n\r\n\xff\xfe", b"400"),
        (b"Content-Length: 4\r\nContent-Encoding: gzip\r\n\r\na=1&", b"403"),
    ],
)
async def test_bodies_are_bounded(monkeypatch: pytest.MonkeyPatch, body: bytes, status: bytes) -> None:
    monkeypatch.setattr(door, "BODY_TIMEOUT", 0.1)
    monkeypatch.setattr(module, "LINGER", 0.05)
    assert app.MAX_BODY_BYTES < 20_000
    async with world() as admin:
        answer = await raw(admin.port, b"POST /login HTTP/1.1\r\nHost: localhost\r\n" + FORM + body)
        assert answer.split(b" ")[1] == status


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    async with world() as admin:
        held = [await asyncio.open_connection("127.0.0.1", admin.port.port) for _ in range(3)]
        for reader, writer in held:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"ok\n")
        assert await raw(admin.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        held[0][1].close()
        await held[0][1].wait_closed()
        assert (await admin.ask("GET", "/healthz"))[0] == 200
        for _, writer in held:
            writer.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can do that")
async def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK_AFTER", 0.2)
    monkeypatch.setattr(module, "HEAD_TIMEOUT", 0.2)
    ended = asyncio.Event()

    class Watched(HttpConnection):
        def connection_lost(self, exc: BaseException | None) -> None:
            super().connection_lost(exc)
            ended.set()

    monkeypatch.setattr(module, "HttpConnection", Watched)
    async with world() as admin:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", admin.port.port))
        asking = asyncio.ensure_future(
            loop.sock_sendall(deaf, b"GET /static/admin.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100_000)
        )
        await asyncio.wait_for(ended.wait(), 10)
        with pytest.raises(ConnectionError):
            await asking
        deaf.close()


async def test_stopping_gives_up_what_is_under_way() -> None:
    async with world() as admin:
        admin.gateway.going_on.clear()
        asked = asyncio.ensure_future(admin.ask("POST", "/api/v1/reload", token=TOKEN))
        while not admin.gateway.reloads:  # noqa: ASYNC110 - until the request is there
            await asyncio.sleep(0)
    assert admin.gateway.cancelled == 1
    with pytest.raises((aiohttp.ClientError, AssertionError)):
        assert (await asked)[0] == 200


async def test_no_secret_is_answered_or_logged(admin: World) -> None:
    texts: list[str] = []
    with capture_logs() as logs:
        form = await admin.sign_in()
        for token in (TOKEN, "a-wrong-token-of-mine"):
            for method, path in (("GET", "/"), ("GET", "/api/v1/status"), ("POST", "/api/v1/reload"), ("GET", "/no")):
                _, body, headers = await admin.ask(method, path, token=token, X_CSRF_Token=form)
                texts += [body, str(headers)]
        _, page, _ = await admin.browse("GET", "/login")
        _, body, headers = await admin.browse("POST", "/login", {"token": "a-wrong-token-of-mine"})
        texts += [page, body, str(headers)]
    sessions = [cookie.value for cookie in admin.client.cookie_jar]
    assert len(sessions) == 2
    for secret in (TOKEN, "a-wrong-token-of-mine"):
        assert not any(secret in text for text in [*texts, str(logs)])
    for session in sessions:
        assert session not in str(logs)
