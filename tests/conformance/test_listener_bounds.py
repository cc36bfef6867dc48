"""What strangers, and peers that flood, can take from the call port."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
import trustme
from structlog.testing import capture_logs

from offhook.gateway import acceptor as acceptor_module
from offhook.gateway.acceptor import Acceptor, Handshake
from offhook.gateway.audiohook_socket import AudioHookSocket
from offhook.gateway.listener import EXCESS_EACH_ROUND, MAX_UNSENT_PONGS, ListenerLimits
from tests.conformance.raw_ws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawPeer,
    encode_frame,
    raw_connect,
    request_head,
    within,
)
from tests.conformance.test_transport_genesys import CallPort, serve


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so."""
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def idle_peers(port: CallPort, count: int) -> AsyncIterator[list[RawPeer]]:
    """Connections that say nothing, the oldest first."""
    peers: list[RawPeer] = []
    for number in range(1, count + 1):
        peers.append(await raw_connect(port.port))
        await until(lambda number=number: port.listener.handshakes == number)  # type: ignore[misc]
    try:
        yield peers
    finally:
        for peer in peers:
            await peer.drop()


async def echoes(peer: RawPeer) -> bool:
    peer.frame(TEXT, b"here")
    return (await peer.read_frame()).payload == b"here"


# Connections that are no call yet.


@pytest.mark.parametrize(
    "limits",
    [
        ListenerLimits(max_handshakes_per_address=3, close_timeout=0.3),
        ListenerLimits(max_handshakes=3, close_timeout=0.3),
    ],
    ids=["of one address", "of all"],
)
async def test_the_oldest_connection_gives_way_to_a_new_one(limits: ListenerLimits) -> None:
    async with serve(limits) as call_port, idle_peers(call_port, 3) as idle:
        with capture_logs() as logs:
            calls = [await call_port.dial() for _ in range(4)]
        assert await idle[0].read_end() == b""
        # Once they are calls they do not count, so no second one had to give way.
        assert call_port.listener.handshakes == 2
        for peer in idle[1:]:
            peer.write(request_head("/healthz", {"Host": "x"}))
            assert (await peer.read_head()).status == 200
        for call in calls:
            assert await echoes(call)
            await call.drop()
    lines = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["code"], line["count"]) for line in lines] == [("OH-LIMIT-06", 1)]


async def test_calls_are_not_counted_as_handshakes() -> None:
    limits = ListenerLimits(max_handshakes=1, max_handshakes_per_address=1, close_timeout=0.3)
    async with serve(limits) as call_port:
        calls = [await call_port.dial() for _ in range(8)]
        assert call_port.listener.handshakes == 0
        for call in calls:
            assert await echoes(call)
            await call.drop()


async def test_what_is_gone_is_not_counted_any_more() -> None:
    async with serve(ListenerLimits(head_timeout=0.2, close_timeout=0.3)) as call_port:
        async with idle_peers(call_port, 3):
            assert call_port.listener.handshakes == 3
        await until(lambda: call_port.listener.handshakes == 0)
        refused = await raw_connect(call_port.port)
        refused.write(request_head("/nowhere", {"Host": "x"}))
        assert b" 404 " in await refused.read_end()
        silent = await raw_connect(call_port.port)
        assert await silent.read_end() == b""
        await until(lambda: call_port.listener.handshakes == 0)
        await refused.drop()
        await silent.drop()
        acceptor = call_port.listener._acceptor
        assert acceptor._by_network == {}


async def test_a_tls_handshake_that_does_not_go_on_is_counted_and_gives_way() -> None:
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(trusting)
    limits = ListenerLimits(max_handshakes_per_address=2, close_timeout=0.3)
    async with serve(limits, tls=context) as call_port, idle_peers(call_port, 2) as idle:
        call = await call_port.dial(tls=trusting)
        await idle[0].read_end()
        assert call_port.listener.handshakes == 1
        assert await echoes(call)
        await call.drop()


async def test_stopping_drops_what_is_no_call_yet() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    for tls in (None, context):
        async with serve(ListenerLimits(close_timeout=0.3), tls=tls) as call_port:
            async with idle_peers(call_port, 2) as idle:
                await within(call_port.listener.stop())
                for peer in idle:
                    assert await peer.read_end() == b""
            assert call_port.listener.handshakes == 0


async def test_a_process_without_file_descriptors_goes_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor_module, "PAUSE", 0.01)
    real, failures = socket.socket.accept, [OSError(errno.EMFILE, "Too many open files"), ConnectionAbortedError()]

    def accept(listening: socket.socket) -> object:
        if failures:
            raise failures.pop(0)
        return real(listening)

    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        with capture_logs() as logs, monkeypatch.context() as patched:
            patched.setattr(socket.socket, "accept", accept)
            call = await call_port.dial()
        assert failures == []
        assert await echoes(call)
        await call.drop()
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [(line["code"], line["detail"]) for line in errors] == [("OH-LIMIT-07", "Too many open files")]


async def test_a_pause_that_ends_after_the_port_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor_module, "PAUSE", 0.0)

    def accept(listening: socket.socket) -> object:
        failed.set()
        raise OSError(errno.EMFILE, "Too many open files")

    failed = asyncio.Event()
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "accept", accept)
            peer = await raw_connect(call_port.port)
            await within(failed.wait())
            call_port.listener.stop_listening()
            await asyncio.sleep(0)
        await peer.drop()


def new_acceptor(make: Callable[[Handshake], asyncio.Protocol], *, most: int = 8) -> Acceptor:
    return Acceptor(
        make, max_handshakes=most, max_handshakes_per_address=most, tls_timeout=1.0, tls_shutdown_timeout=1.0
    )


async def test_a_connection_that_is_dropped_before_anything_began() -> None:
    acceptor = new_acceptor(lambda handshake: asyncio.Protocol(), most=1)
    ours, first = socket.socketpair()
    others, second = socket.socketpair()
    for one in (first, second):
        one.setblocking(False)
        acceptor._take(one, "192.0.2.1")
    assert acceptor.handshakes == 1
    await until(lambda: first.fileno() < 0)
    assert ours.recv(1) == b""
    await acceptor.stop()
    ours.close()
    others.close()


async def test_a_protocol_that_cannot_be_made() -> None:
    def fail(handshake: Handshake) -> asyncio.Protocol:
        raise RuntimeError("a bug")

    acceptor = new_acceptor(fail)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with capture_logs() as logs:
        acceptor._take(theirs, "192.0.2.1")
        await until(lambda: acceptor.handshakes == 0)
    assert [line["event"] for line in logs] == ["a connection could not be set up"]
    assert ours.recv(1) == b""
    ours.close()


@pytest.mark.parametrize(
    ("family", "host", "network"),
    [
        (socket.AF_INET, "192.0.2.7", "192.0.2.7"),
        (socket.AF_INET6, "::ffff:192.0.2.7", "192.0.2.7"),
        (socket.AF_INET6, "2001:db8:1:2:3:4:5:6", "20010db800010002/64"),
        (socket.AF_INET6, "2001:db8:1:2::9", "20010db800010002/64"),
        (socket.AF_INET6, "fe80::1%eth0", "fe80000000000000/64"),
    ],
)
async def test_what_counts_as_one_address(family: int, host: str, network: str) -> None:
    assert acceptor_module._network(family, (host, 1234)) == network


async def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        with pytest.raises(OSError, match="Address already in use"):
            await acceptor_module.listen("127.0.0.1", call_port.port)


# Requests.


async def test_a_request_head_that_is_too_long_altogether() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        peer = await raw_connect(call_port.port)
        peer.write(b"GET /audiohook HTTP/1.1\r\n")
        for number in range(90):  # each is short enough, and so is their number
            peer.write(f"X-{number}: {'v' * 400}\r\n".encode())
        assert await peer.read_end() == b""
        assert call_port.requests == []
        await peer.drop()


async def test_the_bound_is_for_one_request_and_not_for_the_connection() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        peer = await raw_connect(call_port.port)
        for _ in range(5):
            peer.write(request_head("/healthz", {"Host": "x", "X-A": "v" * 8000, "X-B": "v" * 8000}))
            assert (await peer.read_head()).status == 200
            await within(peer.reader.readexactly(3))
        peer.write(request_head("/audiohook/support"))
        assert (await peer.read_head()).status == 101
        for _ in range(3):
            peer.frame(TEXT, b"x" * 30_000)
            assert len((await peer.read_frame()).payload) == 30_000
        await peer.drop()


async def test_a_second_request_that_has_no_end() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        peer = await raw_connect(call_port.port)
        fields = "".join(f"X-{number}: {'v' * 400}\r\n" for number in range(90))
        peer.write(request_head("/healthz", {"Host": "x"}) + b"GET /healthz HTTP/1.1\r\n" + fields.encode())
        await peer.read_end()
        await until(lambda: call_port.listener.handshakes == 0)
        await peer.drop()


async def test_no_more_sockets_than_allowed() -> None:
    async with serve(ListenerLimits(max_sockets=2, close_timeout=0.3)) as call_port:
        calls = [await call_port.dial() for _ in range(2)]
        for _ in range(2):
            head, body = await call_port.ask(request_head("/audiohook/support"))
            assert (head.status, body) == (503, b"too many connections\n")
        await calls[0].drop()
        await call_port.end_of_call()
        calls[0] = await call_port.dial()
        for call in calls:
            assert await echoes(call)
            await call.drop()


async def test_what_readiness_says_does_not_close_the_port() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        call_port.draining = "overloaded"
        call_port.listener._closed = lambda: None
        head, body = await call_port.ask(request_head("/readyz", {"Host": "x", "Connection": "close"}))
        assert (head.status, b"overloaded" in body) == (503, True)
        call = await call_port.dial()
        assert await echoes(call)
        await call.drop()


async def test_attempts_are_told_to_the_call() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        for headers in ({}, {"Audiohook-Retry-Attempt": "2"}):
            await (await call_port.dial(headers=headers)).drop()
            await call_port.end_of_call()
        assert [upgrade.retry_attempt for upgrade in call_port.upgrades] == [None, "2"]


# Messages.


def frame_head(opcode: int, length: int, *, fin: bool = True) -> bytes:
    return bytes([(0x80 if fin else 0) | opcode, 0xFF]) + length.to_bytes(8, "big") + b"mask"


@pytest.mark.parametrize("length", [1_048_576 + 1024, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION])
async def test_a_frame_that_is_announced_too_large_is_refused_by_its_head(opcode: int, length: int) -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        peer = await call_port.dial()
        if opcode == CONTINUATION:
            peer.frame(BINARY, b"begun", fin=False)
        peer.write(frame_head(opcode, length))  # and not a byte of its payload
        assert (await peer.read_until(CLOSE)).close_code == 1009
        await call_port.end_of_call()
        await peer.drop()


async def test_many_small_fragments_are_bounded_altogether() -> None:
    async with serve(ListenerLimits(max_message_bytes=2_000, close_timeout=0.3)) as call_port:
        peer = await call_port.dial()
        peer.frame(BINARY, b"x", fin=False)
        for _ in range(2_000):
            peer.frame(CONTINUATION, b"x", fin=False)
        assert (await peer.read_until(CLOSE)).close_code == 1009
        await call_port.end_of_call()
        await peer.drop()


async def test_pings_are_answered() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        peer = await call_port.dial()
        for payload in (b"", b"one", b"x" * 125):
            peer.frame(PONG, b"unasked")
            peer.frame(PING, payload)
            frame = await peer.read_frame()
            assert (frame.opcode, frame.payload) == (PONG, payload)
        await peer.drop()


async def test_a_peer_that_pings_and_does_not_read_takes_no_memory() -> None:
    unsent: list[int] = []

    async def watch(carrier: AudioHookSocket) -> None:
        while await carrier.receive() is not None:
            unsent.append(carrier.unsent)

    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        call_port.script = watch
        peer = await call_port.dial()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        burst = encode_frame(PING, b"x" * 125, mask=True) * 100 + encode_frame(BINARY, b"", mask=True)
        for _ in range(300):
            peer.write(burst)
        await until(lambda: len(unsent) == 300)
        assert MAX_UNSENT_PONGS < max(unsent) < MAX_UNSENT_PONGS + 1000
        await peer.drop()


@pytest.mark.parametrize("opcode", [BINARY, PONG])
async def test_a_peer_that_floods_leaves_others_their_turn(opcode: int) -> None:
    flood = 20_000
    taken = 0
    began = asyncio.Event()

    async def count(carrier: AudioHookSocket) -> None:
        nonlocal taken
        while (message := await carrier.receive()) is not None:
            if message == b"":
                taken += 1
            else:
                carrier.send(message)
                began.set()

    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        call_port.script = count
        flooder, other = await call_port.dial(), await call_port.dial()
        mark = encode_frame(TEXT, b"begin", mask=True)
        flooder.write(mark + encode_frame(opcode, b"", mask=True) * flood + encode_frame(TEXT, b"done", mask=True))
        await within(began.wait())
        turns = []
        for _ in range(3):
            assert await echoes(other)
            turns.append(taken)
        if opcode == BINARY:
            assert turns[-1] < flood / 2
            assert turns[0] <= 20 * EXCESS_EACH_ROUND
        assert [(await flooder.read_frame()).payload for _ in range(2)] == [b"begin", b"done"]
        await flooder.drop()
        await other.drop()


async def test_what_is_no_request_is_answered_without_a_word_about_us_or_it() -> None:
    async with serve(ListenerLimits(close_timeout=0.3)) as call_port:
        reader, writer = await asyncio.open_connection("127.0.0.1", call_port.port)
        writer.write(b"GARBAGE-4711\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.split(b" ", 2)[1] == b"400"
    assert b"Server: offhook\r\n" in answer
    assert b"Python" not in answer
    assert b"4711" not in answer
