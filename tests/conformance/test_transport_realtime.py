"""Both carriers of the Realtime leg against a peer that does what no library would do."""

import asyncio
import queue
import ssl
import threading
import time
from collections.abc import AsyncIterator

import pytest
import trustme

from offhook.gateway import realtime_link, realtime_link_aiohttp
from offhook.gateway.link import LinkConnector, LinkLimits, RealtimeConnectError, RealtimeLink
from tests.conformance.raw_ws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEADLINE,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    RawPeer,
    Script,
    raw_server,
    within,
)

SMALL = LinkLimits(max_message_bytes=100_000, max_unsent_bytes=300_000)
HASTY = LinkLimits(ping_interval=0.05, pong_timeout=0.05)


@pytest.fixture(params=["picows", "aiohttp"])
def connect(request: pytest.FixtureRequest) -> LinkConnector:
    connectors: dict[str, LinkConnector] = {
        "picows": realtime_link.connect,
        "aiohttp": realtime_link_aiohttp.connect,
    }
    return connectors[request.param]


class Recorder:
    """Keeps what a link delivers."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.losses: list[tuple[int, str]] = []
        self._lost = asyncio.Event()

    def on_message(self, data: bytes) -> None:
        assert not self.losses, "a message after the end"
        self.messages.put_nowait(data)

    def on_lost(self, code: int, reason: str) -> None:
        self.losses.append((code, reason))
        self._lost.set()

    async def message(self) -> bytes:
        return await within(self.messages.get())

    async def lost(self) -> tuple[int, str]:
        await within(self._lost.wait())
        return self.losses[0]


async def open_link(connect: LinkConnector, url: str, limits: LinkLimits = SMALL) -> tuple[RealtimeLink, Recorder]:
    link = await connect(url, {"Authorization": "Bearer k"}, deadline=DEADLINE, limits=limits)
    recorder = Recorder()
    link.start(recorder)
    return link, recorder


async def finish(link: RealtimeLink, recorder: Recorder, losses: int) -> None:
    """Close the link and check that its end was told as often as it should be."""
    link.close()
    link.send(b"too late")
    await within(link.wait_closed())
    assert len(recorder.losses) == losses


async def loss_after(connect: LinkConnector, script: Script, limits: LinkLimits = SMALL) -> tuple[int, str]:
    async with raw_server(script) as url:
        link, recorder = await open_link(connect, url, limits)
        loss = await recorder.lost()
        await finish(link, recorder, losses=1)
    return loss


class StallingPeer:
    """A server on a thread of its own: pinged, it stalls our loop, and answers while our loop stands still."""

    def __init__(self, stall: float) -> None:
        self.answered: asyncio.Queue[None] = asyncio.Queue()
        self._stall = stall
        self._ours = asyncio.get_running_loop()
        self._stalled = threading.Event()
        self._urls: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))

    def __enter__(self) -> str:
        self._thread.start()
        return self._urls.get(timeout=DEADLINE)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with raw_server(self._answer) as url:
            self._urls.put(url)
            await self._stop.wait()

    async def _answer(self, peer: RawPeer) -> None:
        while (frame := await peer.read_frame()).opcode != CLOSE:
            if frame.opcode == PING:
                self._stalled.clear()
                self._ours.call_soon_threadsafe(self._stand_still)
                assert self._stalled.wait(DEADLINE)
            peer.frame(PONG if frame.opcode == PING else TEXT, frame.payload)

    def _stand_still(self) -> None:
        self._stalled.set()
        time.sleep(self._stall)
        self.answered.put_nowait(None)


async def test_messages_pass_both_ways(connect: LinkConnector) -> None:
    async def echo(peer: RawPeer) -> None:
        assert peer.request is not None
        assert peer.request.start == "GET /v1/realtime?model=m HTTP/1.1"
        assert peer.request.headers["authorization"] == "Bearer k"
        assert "sec-websocket-extensions" not in peer.request.headers
        for _ in range(3):
            frame = await peer.read_frame()
            assert (frame.opcode, frame.fin, frame.rsv, frame.masked) == (TEXT, True, 0, True)
            peer.frame(TEXT, frame.payload)
        assert (await peer.read_frame()).close_code == 1000
        peer.close_frame(1000)

    async with raw_server(echo) as url:
        link, recorder = await open_link(connect, url)
        sent = [b'{"type":"x"}', b"a" * 126, "é€".encode() * 15_000]
        for data in sent:
            link.send(data)
        assert [await recorder.message() for _ in sent] == sent
        await finish(link, recorder, losses=0)


async def test_what_comes_with_the_handshake_is_not_lost(connect: LinkConnector) -> None:
    async def hurry(peer: RawPeer) -> None:
        peer.frame(TEXT, b"first")
        peer.frame(TEXT, b"second")
        peer.close_frame(3000, "invalid_request_error.invalid_api_key")
        await peer.read_until(CLOSE)

    async with raw_server(hurry) as url:
        link = await connect(url, {}, deadline=DEADLINE, limits=SMALL)
        recorder = Recorder()
        link.start(recorder)
        assert await recorder.message() == b"first"
        assert await recorder.message() == b"second"
        assert await recorder.lost() == (3000, "invalid_request_error.invalid_api_key")
        await finish(link, recorder, losses=1)


async def test_a_link_that_is_closed_before_it_was_started(connect: LinkConnector) -> None:
    closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait_for_close(peer: RawPeer) -> None:
        peer.frame(TEXT, b"nobody takes this")
        closed.set_result((await peer.read_until(CLOSE)).close_code)
        peer.close_frame(1000)

    async with raw_server(wait_for_close) as url:
        link = await connect(url, {}, deadline=DEADLINE)
        link.close()
        link.close()
        assert await within(closed) == 1000
        await within(link.wait_closed())


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1013, 3000, 4000, 4999])
async def test_close_codes_and_reasons_are_told(connect: LinkConnector, code: int) -> None:
    async def close(peer: RawPeer) -> None:
        peer.close_frame(code, "because é")
        assert (await peer.read_until(CLOSE)).close_code == code

    assert await loss_after(connect, close) == (code, "because é")


async def test_close_without_a_code(connect: LinkConnector) -> None:
    async def close(peer: RawPeer) -> None:
        peer.frame(CLOSE)
        await peer.read_until(CLOSE)

    assert await loss_after(connect, close) == (1005, "")


async def test_socket_lost_without_close(connect: LinkConnector) -> None:
    async def vanish(peer: RawPeer) -> None:
        peer.frame(TEXT, b"x" * 50, fin=False)
        await peer.drop()

    assert (await loss_after(connect, vanish))[0] == 1006


async def test_half_closed_socket_counts_as_lost(connect: LinkConnector) -> None:
    async def end_of_file(peer: RawPeer) -> None:
        peer.writer.write_eof()
        await peer.read_end()

    assert (await loss_after(connect, end_of_file))[0] == 1006


async def test_fragments_are_put_together(connect: LinkConnector) -> None:
    async def fragment(peer: RawPeer) -> None:
        peer.frame(TEXT, b"one ", fin=False)
        peer.frame(PING, b"between")
        peer.frame(CONTINUATION, b"", fin=False)
        peer.frame(CONTINUATION, b"message", fin=True)
        peer.frame(TEXT, b"", fin=False)
        peer.frame(CONTINUATION, b"next", fin=True)
        assert (await peer.read_until(PONG)).payload == b"between"
        await peer.read_until(CLOSE)

    async with raw_server(fragment) as url:
        link, recorder = await open_link(connect, url)
        assert await recorder.message() == b"one message"
        assert await recorder.message() == b"next"
        await finish(link, recorder, losses=0)


async def test_frames_that_come_byte_by_byte(connect: LinkConnector) -> None:
    from tests.conformance.raw_ws import encode_frame

    async def drip(peer: RawPeer) -> None:
        for byte in encode_frame(TEXT, b"y" * 200) + encode_frame(CLOSE, b"\x03\xe8"):
            peer.write(bytes([byte]))
            await peer.writer.drain()
            await asyncio.sleep(0)
        await peer.read_until(CLOSE)

    async with raw_server(drip) as url:
        link, recorder = await open_link(connect, url)
        assert await recorder.message() == b"y" * 200
        assert await recorder.lost() == (1000, "")
        await finish(link, recorder, losses=1)


async def test_the_largest_message_passes(connect: LinkConnector) -> None:
    async def large(peer: RawPeer) -> None:
        peer.frame(TEXT, b"x" * (SMALL.max_message_bytes - 1))
        await peer.read_until(CLOSE)

    async with raw_server(large) as url:
        link, recorder = await open_link(connect, url)
        assert len(await recorder.message()) == SMALL.max_message_bytes - 1
        await finish(link, recorder, losses=0)


async def test_oversized_message_ends_with_1009(connect: LinkConnector) -> None:
    async def oversize(peer: RawPeer) -> None:
        peer.frame(TEXT, b"x" * (SMALL.max_message_bytes + 1))
        assert (await peer.read_until(CLOSE)).close_code == 1009

    assert (await loss_after(connect, oversize))[0] == 1009


async def test_fragments_that_grow_too_big_end_with_1009(connect: LinkConnector) -> None:
    async def grow(peer: RawPeer) -> None:
        peer.frame(TEXT, b"x" * 60_000, fin=False)
        peer.frame(CONTINUATION, b"x" * 60_000, fin=False)
        assert (await peer.read_until(CLOSE)).close_code == 1009

    assert (await loss_after(connect, grow))[0] == 1009


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([(0x3, b"", {})], 1002, id="bad-opcode"),
        pytest.param([(0xB, b"", {})], 1002, id="bad-control-opcode"),
        pytest.param([(TEXT, b"x", {"rsv": RSV1})], 1002, id="rsv1"),
        pytest.param([(TEXT, b"x", {"rsv": RSV2})], 1002, id="rsv2"),
        pytest.param([(TEXT, b"x", {"rsv": RSV3})], 1002, id="rsv3"),
        pytest.param([(CONTINUATION, b"x", {})], 1002, id="continuation-without-start"),
        pytest.param([(TEXT, b"a", {"fin": False}), (TEXT, b"b", {})], 1002, id="text-inside-fragments"),
        pytest.param([(PING, b"p", {"fin": False})], 1002, id="fragmented-ping"),
        pytest.param([(PING, b"p" * 126, {})], 1002, id="long-ping"),
        pytest.param([(CLOSE, b"\x03", {})], 1002, id="close-of-one-byte"),
        pytest.param([(CLOSE, b"\x03\xe7", {})], 1002, id="close-code-999"),
    ],
)
async def test_malformed_frames(
    connect: LinkConnector, frames: list[tuple[int, bytes, dict[str, int]]], code: int
) -> None:
    async def malformed(peer: RawPeer) -> None:
        for opcode, payload, how in frames:
            peer.frame(opcode, payload, fin=bool(how.get("fin", True)), rsv=how.get("rsv", 0))
        assert (await peer.read_until(CLOSE)).close_code == code

    assert (await loss_after(connect, malformed))[0] == code


async def test_text_that_is_not_utf8_reaches_the_decoder(connect: LinkConnector) -> None:
    async def bad_text(peer: RawPeer) -> None:
        peer.frame(TEXT, b"\xff\xfe")
        await peer.read_until(CLOSE)

    async with raw_server(bad_text) as url:
        link, recorder = await open_link(connect, url)
        assert await recorder.message() == b"\xff\xfe"
        await finish(link, recorder, losses=0)


async def test_binary_messages_reach_the_decoder(connect: LinkConnector) -> None:
    async def binary(peer: RawPeer) -> None:
        peer.frame(BINARY, b"\0\1")
        await peer.read_until(CLOSE)

    async with raw_server(binary) as url:
        link, recorder = await open_link(connect, url)
        assert await recorder.message() == b"\0\1"
        await finish(link, recorder, losses=0)


async def test_masked_frame_from_a_server(connect: LinkConnector) -> None:
    # RFC 6455 §5.1 wants the connection to fail; what a mask hides is no danger to us, so both ways are right.
    async def masked(peer: RawPeer) -> None:
        peer.frame(TEXT, b"hidden", mask=True)
        await peer.read_until(CLOSE)

    async with raw_server(masked) as url:
        link, recorder = await open_link(connect, url)
        if connect is realtime_link.connect:
            assert (await recorder.lost())[0] == 1002
            await finish(link, recorder, losses=1)
        else:
            assert await recorder.message() == b"hidden"
            await finish(link, recorder, losses=0)


async def test_a_silent_peer_is_pinged_and_stays(connect: LinkConnector) -> None:
    async def answer_pings(peer: RawPeer) -> None:
        for _ in range(3):
            peer.frame(PONG, (await peer.read_until(PING)).payload)
        peer.frame(TEXT, b"still here")
        await peer.read_until(CLOSE)

    async with raw_server(answer_pings) as url:
        link, recorder = await open_link(connect, url, LinkLimits(ping_interval=0.2, pong_timeout=0.2))
        assert await recorder.message() == b"still here"
        await finish(link, recorder, losses=0)


async def test_any_frame_is_a_sign_of_life(connect: LinkConnector) -> None:
    async def talk_instead(peer: RawPeer) -> None:
        for _ in range(3):
            await peer.read_until(PING)
            peer.frame(TEXT, b"busy")
        await peer.read_until(CLOSE)

    async with raw_server(talk_instead) as url:
        link, recorder = await open_link(connect, url, LinkLimits(ping_interval=0.05, pong_timeout=0.2))
        assert [await recorder.message() for _ in range(3)] == [b"busy"] * 3
        await finish(link, recorder, losses=0)


async def test_a_stall_of_ours_is_no_silence_of_the_peer(connect: LinkConnector) -> None:
    limits = LinkLimits(ping_interval=0.05, pong_timeout=0.1)
    peer = StallingPeer(2 * limits.pong_timeout)
    with peer as url:
        link, recorder = await open_link(connect, url, limits)
        for _ in range(3):
            await within(peer.answered.get())
        link.send(b"still here")
        assert await recorder.message() == b"still here"
        await finish(link, recorder, losses=0)


async def test_half_open_peer_is_given_up(connect: LinkConnector) -> None:
    async def say_nothing(peer: RawPeer) -> None:
        await peer.read_until(PING)
        await peer.read_end()

    assert await loss_after(connect, say_nothing, HASTY) == (1006, "no pong in time")


async def test_a_peer_that_does_not_read_is_given_up(connect: LinkConnector) -> None:
    stop = asyncio.Event()

    async def stall(peer: RawPeer) -> None:
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await stop.wait()

    async with raw_server(stall) as url:
        link, recorder = await open_link(connect, url)
        for _ in range(20_000):
            if recorder.losses:
                break
            link.send(b"x" * 10_000)
            await asyncio.sleep(0)
        assert await recorder.lost() == (1006, "the peer does not read")
        await finish(link, recorder, losses=1)
        stop.set()


async def test_a_black_hole_is_given_up_while_we_talk_to_it(connect: LinkConnector) -> None:
    stop = asyncio.Event()

    async def swallow(peer: RawPeer) -> None:
        peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await stop.wait()

    async with raw_server(swallow) as url:
        link, recorder = await open_link(connect, url, HASTY)
        while not recorder.losses:
            link.send(b"x" * 160)
            await asyncio.sleep(0)
        assert await recorder.lost() == (1006, "no pong in time")
        await finish(link, recorder, losses=1)
        stop.set()


async def test_another_receiver_takes_the_place(connect: LinkConnector) -> None:
    async def say_twice(peer: RawPeer) -> None:
        peer.frame(TEXT, b"for the first")
        await peer.read_until(TEXT)
        peer.frame(TEXT, b"for the second")
        peer.close_frame(1001, "over")
        await peer.read_until(CLOSE)

    async with raw_server(say_twice) as url:
        link, first = await open_link(connect, url)
        assert await first.message() == b"for the first"
        second = Recorder()
        link.start(second)
        link.send(b"go on")
        assert await second.message() == b"for the second"
        assert await second.lost() == (1001, "over")
        await finish(link, second, losses=1)
    assert first.messages.empty()
    assert first.losses == []


@pytest.mark.parametrize(
    ("answer", "code", "status", "retryable"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno!", "OH-CONN-04", 401, False),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "OH-CONN-04", 403, False),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "OH-CONN-06", 404, False),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", "OH-CONN-06", 302, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "OH-CONN-06", 200, False),
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "OH-CONN-05", 429, True),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "OH-CONN-05", 503, True),
        (b"HTTP/1.1 525 Origin TLS\r\nContent-Length: 0\r\n\r\n", "OH-CONN-05", 525, True),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "OH-CONN-07", None, False),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "OH-CONN-07", None, False),
        (b"", "OH-CONN-01", None, True),
    ],
)
async def test_refused_handshakes(
    connect: LinkConnector, answer: bytes, code: str, status: int | None, retryable: bool
) -> None:
    async def refuse(peer: RawPeer) -> None:
        await peer.read_head()
        peer.write(answer)
        if peer.writer.can_write_eof():
            peer.writer.write_eof()
        await peer.read_end()

    async with raw_server(refuse, upgrade=False) as url:
        with pytest.raises(RealtimeConnectError) as caught:
            await connect(url, {"Authorization": "Bearer secret-key"}, deadline=DEADLINE)
    error = caught.value
    assert (error.code, error.status, error.retryable) == (code, status, retryable)
    assert "secret-key" not in str(error)


async def test_no_answer_before_the_deadline(connect: LinkConnector) -> None:
    gone = asyncio.Event()

    async def say_nothing(peer: RawPeer) -> None:
        await peer.read_head()
        await peer.read_end()
        gone.set()

    async with raw_server(say_nothing, upgrade=False) as url:
        with pytest.raises(RealtimeConnectError) as caught:
            await connect(url, {}, deadline=0.1)
        assert (caught.value.code, caught.value.retryable) == ("OH-CONN-02", True)
        await within(gone.wait())


async def test_a_cancelled_handshake_leaves_no_socket(connect: LinkConnector) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def say_nothing(peer: RawPeer) -> None:
        await peer.read_head()
        asked.set()
        await peer.read_end()
        gone.set()

    async with raw_server(say_nothing, upgrade=False) as url:
        task = asyncio.ensure_future(connect(url, {}, deadline=60.0))
        await within(asked.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await within(gone.wait())


async def test_a_cancelled_handshake_of_tls_leaves_no_socket(connect: LinkConnector) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def say_nothing(peer: RawPeer) -> None:
        assert await peer.reader.read(1)
        asked.set()
        await peer.read_end()
        gone.set()

    async with raw_server(say_nothing, upgrade=False) as url:
        task = asyncio.ensure_future(connect(url.replace("ws://", "wss://"), {}, deadline=60.0))
        await within(asked.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await within(gone.wait())


async def test_a_handshake_that_succeeds_after_we_gave_up(connect: LinkConnector) -> None:
    asked, gone, given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(peer: RawPeer) -> None:
        peer.request = await peer.read_head()
        asked.set()
        await given_up.wait()
        peer.accept()
        await peer.read_end()
        gone.set()

    async with raw_server(late, upgrade=False) as url:
        task = asyncio.ensure_future(connect(url, {}, deadline=60.0))
        await within(asked.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        given_up.set()
        await within(gone.wait())


async def test_nobody_listens(connect: LinkConnector, unused_tcp_port: int) -> None:
    with pytest.raises(RealtimeConnectError) as caught:
        await connect(f"ws://127.0.0.1:{unused_tcp_port}/", {}, deadline=DEADLINE)
    assert (caught.value.code, caught.value.retryable) == ("OH-CONN-01", True)


@pytest.mark.parametrize("url", ["http://localhost/x", "localhost", "ws://", "ws://localhost:70000/", ""])
async def test_unusable_urls(connect: LinkConnector, url: str) -> None:
    with pytest.raises(RealtimeConnectError) as caught:
        await connect(url, {}, deadline=DEADLINE)
    assert caught.value.code == "OH-CONN-08"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def tls_url(authority: trustme.CA) -> AsyncIterator[str]:
    async def greet(peer: RawPeer) -> None:
        peer.frame(TEXT, b"over TLS")
        await peer.read_until(CLOSE)
        peer.close_frame(1000)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with raw_server(greet, tls=context) as url:
        yield url


async def test_tls_with_a_certificate_we_trust(connect: LinkConnector, authority: trustme.CA, tls_url: str) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    link = await connect(tls_url, {}, deadline=DEADLINE, ssl_context=trusting)
    recorder = Recorder()
    link.start(recorder)
    assert await recorder.message() == b"over TLS"
    await finish(link, recorder, losses=0)


async def test_tls_with_a_certificate_of_nobody_we_know(connect: LinkConnector, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RealtimeConnectError) as caught:
            await connect(f"wss://localhost:{port}/", {}, deadline=DEADLINE)
    assert (caught.value.code, caught.value.retryable) == ("OH-CONN-03", False)


async def test_tls_with_the_wrong_name(connect: LinkConnector, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RealtimeConnectError) as caught:
            await connect(f"wss://localhost:{port}/", {}, deadline=DEADLINE, ssl_context=trusting)
    assert caught.value.code == "OH-CONN-03"
