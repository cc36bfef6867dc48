"""The call port against clients that do what no library would do."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme

from offhook.gateway.audiohook_socket import AudioHookSocket
from offhook.gateway.auth import Admission
from offhook.gateway.listener import Listener, ListenerLimits, UpgradeRequest
from offhook.httpsig import SignedRequest
from tests.conformance.raw_ws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    RSV2,
    TEXT,
    UPGRADE,
    Head,
    RawPeer,
    accept_value,
    encode_frame,
    raw_connect,
    request_head,
    within,
)

SMALL = ListenerLimits(max_message_bytes=100_000, close_timeout=0.3)

Script = Callable[[AudioHookSocket], Awaitable[None]]


class CallPort:
    """A listener whose calls follow a script, by default an echo."""

    def __init__(self, limits: ListenerLimits) -> None:
        self.listener = Listener(
            base_path="/audiohook",
            admit=self.admit,
            serve_call=self.serve_call,
            not_ready=lambda: self.draining,
            limits=limits,
        )
        self.port = 0
        self.draining: str | None = None
        self.refuse = False
        self.requests: list[SignedRequest] = []
        self.upgrades: list[UpgradeRequest] = []
        self.script: Script = self.echo
        self.ended: asyncio.Queue[int | None] = asyncio.Queue()

    async def admit(self, request: SignedRequest, remote: str | None) -> Admission | None:
        assert remote == "127.0.0.1"
        self.requests.append(request)
        return None if self.refuse else Admission(signed=True)

    async def serve_call(self, upgrade: UpgradeRequest, socket: AudioHookSocket) -> None:
        self.upgrades.append(upgrade)
        try:
            await self.script(socket)
        finally:
            self.ended.put_nowait(socket.close_code)

    async def echo(self, socket: AudioHookSocket) -> None:
        while (message := await socket.receive()) is not None:
            socket.send(message)

    async def end_of_call(self) -> int | None:
        return await within(self.ended.get())

    async def ask(self, request: bytes) -> tuple[Head, bytes]:
        """Send a request and read the answer, which has to end the connection."""
        peer = await raw_connect(self.port)
        peer.write(request)
        head = await peer.read_head()
        body = await peer.read_end()
        await peer.drop()
        return head, body

    async def dial(
        self,
        target: str = "/audiohook/support",
        headers: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> RawPeer:
        peer = await raw_connect(self.port, tls=tls)
        peer.write(request_head(target, {**UPGRADE, **(headers or {})}))
        head = await peer.read_head()
        assert head.status == 101, head.start
        assert head.headers["sec-websocket-accept"] == accept_value(UPGRADE["Sec-WebSocket-Key"])
        assert "sec-websocket-extensions" not in head.headers
        return peer


@contextlib.asynccontextmanager
async def serve(limits: ListenerLimits, tls: ssl.SSLContext | None = None) -> AsyncIterator[CallPort]:
    port = CallPort(limits)
    port.port = await port.listener.start("127.0.0.1", 0, tls=tls)
    try:
        yield port
    finally:
        await within(port.listener.stop())


@pytest.fixture
async def call_port() -> AsyncIterator[CallPort]:
    async with serve(SMALL) as port:
        yield port


# Upgrades.


@pytest.mark.parametrize(
    ("target", "connector_id", "path", "query"),
    [
        ("/audiohook", "", (), {}),
        ("/audiohook/", "", (), {}),
        ("/audiohooksupport", "support", (), {}),
        ("/audiohook/support", "support", (), {}),
        ("/audiohook//support", "support", (), {}),
        ("/audiohook/a%20b/c?x=1%2F2&y=", "a b", ("c",), {"x": "1/2", "y": ""}),
        ("/audiohook?x=%C3%A9", "", (), {"x": "é"}),
    ],
)
async def test_every_way_to_write_the_connector_id(
    call_port: CallPort, target: str, connector_id: str, path: tuple[str, ...], query: dict[str, str]
) -> None:
    peer = await call_port.dial(target, {"Audiohook-Session-Id": "s1", "Audiohook-Organization-Id": "o1"})
    peer.close_frame(1000)
    await call_port.end_of_call()
    (upgrade,) = call_port.upgrades
    assert (upgrade.connector.connector_id, upgrade.connector.path) == (connector_id, path)
    assert dict(upgrade.connector.query) == query
    assert (upgrade.session_id, upgrade.organization_id, upgrade.correlation_id) == ("s1", "o1", None)
    assert call_port.requests[0].request_target == target, "signatures need the target as it was sent"
    await peer.drop()


@pytest.mark.parametrize(
    "headers",
    [
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "upgrade"},
        {"Connection": "UPGRADE ,foo"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": " websocket "},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec-WebSocket-Protocol": "realtime, chat"},
        {"Content-Length": "0"},
        {"X-Many": "v" * 4000},
    ],
)
async def test_unusual_upgrades_that_are_right(call_port: CallPort, headers: dict[str, str]) -> None:
    peer = await call_port.dial(headers=headers)
    peer.frame(TEXT, b"hello")
    assert (await peer.read_frame()).payload == b"hello"
    await peer.drop()


async def test_header_names_in_any_case(call_port: CallPort) -> None:
    peer = await raw_connect(call_port.port)
    odd = {name.swapcase(): value for name, value in UPGRADE.items()}
    peer.write(request_head("/audiohook/support", {**odd, "x-ApI-kEy": "k", "SIGNATURE": "one", "signature": "two"}))
    assert (await peer.read_head()).status == 101
    headers = call_port.requests[0].headers
    assert headers["x-api-key"] == "k"
    assert headers["signature"] == "one, two"
    assert call_port.requests[0].authority == "localhost"
    await peer.drop()


async def test_a_request_head_that_comes_byte_by_byte(call_port: CallPort) -> None:
    peer = await raw_connect(call_port.port)
    for byte in request_head("/audiohook/support"):
        peer.write(bytes([byte]))
        await peer.writer.drain()
        await asyncio.sleep(0)
    assert (await peer.read_head()).status == 101
    await peer.drop()


async def test_frames_that_come_with_the_request_head(call_port: CallPort) -> None:
    peer = await raw_connect(call_port.port)
    peer.write(request_head("/audiohook/support") + encode_frame(TEXT, b"in a hurry", mask=True))
    assert (await peer.read_head()).status == 101
    assert (await peer.read_frame()).payload == b"in a hurry"
    await peer.drop()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Version": "12"},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "é"},
        {"Connection": "close"},
    ],
)
async def test_broken_upgrades_are_refused_before_anything_is_decided(
    call_port: CallPort, headers: dict[str, str]
) -> None:
    head, _ = await call_port.ask(request_head("/audiohook/support", {**UPGRADE, **headers}))
    assert head.status == 400
    assert call_port.requests == []


async def test_a_refused_caller_learns_nothing(call_port: CallPort) -> None:
    call_port.refuse = True
    head, body = await call_port.ask(request_head("/audiohook/support"))
    assert (head.status, body) == (401, b"unauthorized\n")
    assert call_port.upgrades == []


async def test_no_new_calls_while_draining(call_port: CallPort) -> None:
    before = await call_port.dial()
    call_port.draining = "draining"
    head, body = await call_port.ask(request_head("/audiohook/support"))
    assert (head.status, body) == (503, b"draining\n")
    before.frame(TEXT, b"still here")
    assert (await before.read_frame()).payload == b"still here"
    await before.drop()


async def test_stopping_to_listen_leaves_calls_alone(call_port: CallPort) -> None:
    peer = await call_port.dial()
    call_port.listener.stop_listening()
    with pytest.raises(ConnectionError):
        await raw_connect(call_port.port)
    peer.frame(TEXT, b"still here")
    assert (await peer.read_frame()).payload == b"still here"
    await peer.drop()


# Probes and nonsense.


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_and_readiness(call_port: CallPort, method: str, version: str) -> None:
    headers = {"Host": "x", "Connection": "close"}
    head, body = await call_port.ask(request_head("/healthz?why=not", headers, method=method, version=version))
    assert (head.status, body) == (200, b"ok\n" if method == "GET" else b"")
    head, body = await call_port.ask(request_head("/readyz", headers, method=method, version=version))
    assert head.status == 200
    assert body == b"" or json.loads(body) == {"ready": True}
    call_port.draining = "draining"
    head, body = await call_port.ask(request_head("/readyz", headers, method=method, version=version))
    assert head.status == 503
    assert body == b"" or json.loads(body) == {"ready": False, "reason": "draining"}
    head, _ = await call_port.ask(request_head("/healthz", headers, method=method, version=version))
    assert head.status == 200


async def test_several_probes_on_one_connection(call_port: CallPort) -> None:
    peer = await raw_connect(call_port.port)
    for _ in range(3):
        peer.write(request_head("/healthz", {"Host": "x"}))
        assert (await peer.read_head()).status == 200
        assert await within(peer.reader.readexactly(3)) == b"ok\n"
    await peer.drop()


@pytest.mark.parametrize(
    ("method", "target", "version", "status"),
    [
        ("GET", "/audiohook/support", "HTTP/1.1", 426),
        ("HEAD", "/audiohook", "HTTP/1.1", 426),
        ("GET", "/audiohook", "HTTP/1.0", 426),
        ("POST", "/audiohook/support", "HTTP/1.1", 404),
        ("OPTIONS", "*", "HTTP/1.1", 404),
        ("GET", "/", "HTTP/1.1", 404),
        ("GET", "/admin", "HTTP/1.1", 404),
        ("GET", "http://localhost/audiohook", "HTTP/1.1", 404),
        ("POST", "/healthz", "HTTP/1.1", 404),
        ("GET", "/healthz/x", "HTTP/1.1", 404),
    ],
)
async def test_what_is_no_call(call_port: CallPort, method: str, target: str, version: str, status: int) -> None:
    head, body = await call_port.ask(request_head(target, {"Host": "x"}, method=method, version=version))
    assert head.status == status
    assert body.count(b"\n") == (0 if method == "HEAD" else 1)
    assert ("upgrade" in head.headers) == (status == 426)
    assert "location" not in head.headers


async def test_head_that_asks_for_an_upgrade(call_port: CallPort) -> None:
    head, body = await call_port.ask(request_head("/audiohook", UPGRADE, method="HEAD"))
    assert (head.status, body) == (426, b"")
    assert call_port.upgrades == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET /audiohook HTTP/9.9\r\n\r\n",
        b"GET /audiohook HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"GET /audiohook HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"GET /audiohook HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
async def test_garbage_instead_of_http(call_port: CallPort, garbage: bytes) -> None:
    head, _ = await call_port.ask(garbage)
    assert head.status == 400
    peer = await call_port.dial()  # others are served as before
    await peer.drop()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Long": "v" * 20_000},
        {f"X-{n}": "v" for n in range(200)},
    ],
)
async def test_too_many_or_too_long_headers(call_port: CallPort, headers: dict[str, str]) -> None:
    peer = await raw_connect(call_port.port)
    peer.write(request_head("/audiohook/support", {**UPGRADE, **headers}))
    answer = await peer.read_end()
    assert b" 101 " not in answer
    assert call_port.upgrades == []
    await peer.drop()


@pytest.mark.parametrize("start", [b"", b"GET /audiohook HTTP/1.1\r\nHost: x\r\n", b"\x16"])
async def test_a_request_head_that_never_ends(start: bytes) -> None:
    async with serve(ListenerLimits(head_timeout=0.1)) as call_port:
        peer = await raw_connect(call_port.port)
        peer.write(start)
        assert b" 101 " not in await peer.read_end()
        await peer.drop()


async def test_a_request_head_that_drips_has_one_deadline() -> None:
    async with serve(ListenerLimits(head_timeout=0.2)) as call_port:
        peer = await raw_connect(call_port.port)
        ended = asyncio.ensure_future(peer.read_end())
        while not ended.done():
            peer.write(b"x")
            await asyncio.wait([ended], timeout=0.02)
        assert b" 101 " not in await ended
        await peer.drop()


async def test_an_idle_call_outlives_the_deadline_of_the_head() -> None:
    async with serve(ListenerLimits(head_timeout=0.1)) as call_port:
        peer = await call_port.dial()
        await asyncio.wait([asyncio.ensure_future(call_port.ended.get())], timeout=0.3)
        peer.frame(TEXT, b"still here")
        assert (await peer.read_frame()).payload == b"still here"
        await peer.drop()


# Messages.


async def test_messages_come_whole_and_in_order(call_port: CallPort) -> None:
    peer = await call_port.dial()
    peer.frame(TEXT, '{"é": 1}'.encode())
    peer.frame(BINARY, b"\xff" * 1600)
    peer.frame(TEXT, b"one ", fin=False)
    peer.frame(PING, b"between")
    peer.frame(CONTINUATION, b"message")
    peer.frame(BINARY, b"")
    got = [await peer.read_frame() for _ in range(5)]
    assert all(frame.fin and not frame.masked and not frame.rsv for frame in got)
    assert sorted((frame.opcode, frame.payload) for frame in got) == sorted(
        [
            (TEXT, '{"é": 1}'.encode()),
            (BINARY, b"\xff" * 1600),
            (PONG, b"between"),
            (TEXT, b"one message"),
            (BINARY, b""),
        ]
    )
    assert [frame.payload for frame in got if frame.opcode == TEXT] == ['{"é": 1}'.encode(), b"one message"]
    await peer.drop()


async def test_the_largest_message_passes(call_port: CallPort) -> None:
    peer = await call_port.dial()
    peer.frame(BINARY, b"x" * (SMALL.max_message_bytes - 1))
    assert len((await peer.read_frame()).payload) == SMALL.max_message_bytes - 1
    await peer.drop()


async def test_oversized_message_ends_with_1009(call_port: CallPort) -> None:
    peer = await call_port.dial()
    peer.frame(BINARY, b"x" * (SMALL.max_message_bytes + 1))
    assert (await peer.read_until(CLOSE)).close_code == 1009
    await call_port.end_of_call()
    await peer.drop()


async def test_fragments_that_grow_too_big_end_with_1009(call_port: CallPort) -> None:
    peer = await call_port.dial()
    peer.frame(BINARY, b"x" * 60_000, fin=False)
    peer.frame(CONTINUATION, b"x" * 60_000, fin=False)
    assert (await peer.read_until(CLOSE)).close_code == 1009
    await call_port.end_of_call()
    await peer.drop()


async def test_unmasked_frames_are_accepted(call_port: CallPort) -> None:
    # RFC 6455 §5.1 asks a server to refuse them; aiohttp takes them, and masks protect proxies, not us.
    peer = await call_port.dial()
    peer.frame(TEXT, b"plain", mask=False)
    assert (await peer.read_frame()).payload == b"plain"
    await peer.drop()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([(0x3, b"", {})], 1002, id="bad-opcode"),
        pytest.param([(0xB, b"", {})], 1002, id="bad-control-opcode"),
        pytest.param([(TEXT, b"x", {"rsv": RSV1})], 1002, id="rsv1"),
        pytest.param([(TEXT, b"x", {"rsv": RSV2})], 1002, id="rsv2"),
        pytest.param([(CONTINUATION, b"x", {})], 1002, id="continuation-without-start"),
        pytest.param([(TEXT, b"a", {"fin": False}), (TEXT, b"b", {})], 1002, id="text-inside-fragments"),
        pytest.param([(PING, b"p", {"fin": False})], 1002, id="fragmented-ping"),
        pytest.param([(PING, b"p" * 126, {})], 1002, id="long-ping"),
        pytest.param([(TEXT, b"\xff\xfe", {})], 1007, id="bad-utf8"),
        pytest.param([(TEXT, b"\xc3", {"fin": False}), (CONTINUATION, b"(", {})], 1007, id="bad-utf8-fragments"),
        pytest.param([(CLOSE, b"\x03", {})], 1002, id="close-of-one-byte"),
        pytest.param([(CLOSE, b"\x03\xe7", {})], 1002, id="close-code-999"),
    ],
)
async def test_malformed_frames(
    call_port: CallPort, frames: list[tuple[int, bytes, dict[str, int]]], code: int
) -> None:
    peer = await call_port.dial()
    other = await call_port.dial()
    for opcode, payload, how in frames:
        peer.frame(opcode, payload, fin=bool(how.get("fin", True)), rsv=how.get("rsv", 0))
    assert (await peer.read_until(CLOSE)).close_code == code
    await call_port.end_of_call()
    await peer.drop()
    other.frame(TEXT, b"untouched")
    assert (await other.read_frame()).payload == b"untouched"
    await other.drop()


# Ends.


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_peer_closes_with_a_code(call_port: CallPort, code: int) -> None:
    peer = await call_port.dial()
    peer.close_frame(code, "bye")
    assert (await peer.read_until(CLOSE)).opcode == CLOSE
    assert await call_port.end_of_call() == code
    assert await peer.read_end() == b""
    await peer.drop()


async def test_peer_closes_without_a_code(call_port: CallPort) -> None:
    # Genesys' own client does this (audiohook.md §1.5).
    peer = await call_port.dial()
    peer.frame(CLOSE)
    assert (await peer.read_until(CLOSE)).opcode == CLOSE
    await call_port.end_of_call()
    assert await peer.read_end() == b""
    await peer.drop()


async def test_peer_vanishes(call_port: CallPort) -> None:
    peer = await call_port.dial()
    peer.frame(BINARY, b"x" * 100, fin=False)
    await peer.drop()
    await call_port.end_of_call()


async def test_peer_half_closes(call_port: CallPort) -> None:
    peer = await call_port.dial()
    peer.writer.write_eof()
    await call_port.end_of_call()
    await peer.read_end()
    await peer.drop()


async def test_we_close(call_port: CallPort) -> None:
    async def close(socket: AudioHookSocket) -> None:
        socket.send("last words")
        await socket.close(1000)
        socket.send("too late")
        assert await socket.receive() is None

    call_port.script = close
    peer = await call_port.dial()
    assert (await peer.read_frame()).payload == b"last words"
    assert (await peer.read_until(CLOSE)).close_code == 1000
    peer.close_frame(1000)
    assert await peer.read_end() == b""
    await call_port.end_of_call()
    await peer.drop()


async def test_we_close_while_we_read(call_port: CallPort) -> None:
    async def close(socket: AudioHookSocket) -> None:
        closing = asyncio.ensure_future(socket.close(1000))
        assert await socket.receive() is None
        await closing

    call_port.script = close
    peer = await call_port.dial()
    assert (await peer.read_until(CLOSE)).close_code == 1000
    peer.close_frame(1000)
    await call_port.end_of_call()
    assert await peer.read_end() == b""
    await peer.drop()


async def test_we_close_and_the_peer_does_not_answer(call_port: CallPort) -> None:
    async def close(socket: AudioHookSocket) -> None:
        await socket.close(1000)

    call_port.script = close
    peer = await call_port.dial()
    assert (await peer.read_until(CLOSE)).close_code == 1000
    assert await peer.read_end() == b""
    await call_port.end_of_call()
    await peer.drop()


async def test_a_call_that_fails_closes_with_1011(call_port: CallPort) -> None:
    async def fail(socket: AudioHookSocket) -> None:
        raise RuntimeError("bug")

    call_port.script = fail
    peer = await call_port.dial()
    assert (await peer.read_until(CLOSE)).close_code == 1011
    await peer.drop()


async def test_silent_peer_is_pinged_and_stays() -> None:
    async with serve(ListenerLimits(idle_ping=0.1)) as call_port:
        peer = await call_port.dial()
        for _ in range(3):
            peer.frame(PONG, (await peer.read_until(PING)).payload)
        peer.frame(TEXT, b"still here")
        assert (await peer.read_until(TEXT)).payload == b"still here"
        await peer.drop()


async def test_half_open_peer_is_given_up() -> None:
    async with serve(ListenerLimits(idle_ping=0.1)) as call_port:
        peer = await call_port.dial()
        await peer.read_until(PING)
        assert await call_port.end_of_call() == 1006
        await peer.drop()


async def test_a_peer_that_does_not_read_can_be_seen_and_dropped(call_port: CallPort) -> None:
    seen: list[int] = []

    async def flood(socket: AudioHookSocket) -> None:
        for _ in range(20_000):
            socket.send(b"\xff" * 8000)
            seen.append(socket.unsent)
            if seen[-1] > 200_000:
                break
            await asyncio.sleep(0)
        socket.abort()
        assert await socket.receive() is None

    call_port.script = flood
    peer = await call_port.dial()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await call_port.end_of_call()
    assert seen[0] == 0
    assert seen[-1] > 200_000
    await peer.drop()


async def test_closing_towards_a_peer_that_does_not_read(call_port: CallPort) -> None:
    async def flood(socket: AudioHookSocket) -> None:
        while socket.unsent < 200_000:
            socket.send(b"\xff" * 8000)
            await asyncio.sleep(0)
        await within(socket.close(1000))

    call_port.script = flood
    peer = await call_port.dial()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await call_port.end_of_call()
    await peer.drop()


async def test_stopping_ends_what_is_left(call_port: CallPort) -> None:
    peer = await call_port.dial()
    idle = await raw_connect(call_port.port)
    await within(call_port.listener.stop())
    await peer.read_end()
    await idle.read_end()
    await call_port.end_of_call()
    await peer.drop()
    await idle.drop()


# TLS.


async def test_tls(request: pytest.FixtureRequest) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serve(SMALL, tls=context) as call_port:
        peer = await call_port.dial(tls=trusting)
        peer.frame(TEXT, b"over TLS")
        assert (await peer.read_frame()).payload == b"over TLS"
        peer.close_frame(1000)
        await call_port.end_of_call()
        await peer.drop()


async def test_plain_http_on_a_tls_port() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with serve(SMALL, tls=context) as call_port:
        peer = await raw_connect(call_port.port)
        peer.write(request_head("/healthz", {"Host": "x"}))
        await peer.read_end()
        await peer.drop()


async def test_a_tls_handshake_that_never_ends() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with serve(ListenerLimits(head_timeout=0.2), tls=context) as call_port:
        peer = await raw_connect(call_port.port)
        peer.write(b"\x16\x03\x01")
        await peer.read_end()
        await peer.drop()


async def test_nothing_tells_which_software_this_is(call_port: CallPort) -> None:
    for target in ("/healthz", "/audiohook", "/nowhere"):
        head, _ = await call_port.ask(request_head(target, {"Host": "x", "Connection": "close"}))
        assert head.headers["server"] == "offhook"
    peer = await raw_connect(call_port.port)
    peer.write(request_head("/audiohook"))
    assert (await peer.read_head()).headers["server"] == "offhook"
    await peer.drop()


async def test_an_upgrade_in_http_1_0(call_port: CallPort) -> None:
    head, _ = await call_port.ask(request_head("/audiohook", UPGRADE, version="HTTP/1.0"))
    assert head.status == 400
    assert call_port.upgrades == []
