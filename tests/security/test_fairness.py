"""Whoever sends very much gets a share of the event loop, and no more: in between everybody else has a turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from offhook.gateway import listener
from offhook.gateway.audiohook_socket import AudioHookSocket
from offhook.gateway.auth import Admission
from offhook.gateway.listener import (
    EXCESS_EACH_ROUND,
    MESSAGE_BURST,
    MESSAGES_EACH_ROUND,
    REQUESTS_EACH_ROUND,
    Listener,
    UpgradeRequest,
)
from offhook.httpsig import SignedRequest
from tests.conformance.raw_ws import BINARY, PING, TEXT, RawPeer, encode_frame, raw_connect, request_head, within

SMALL = encode_frame(TEXT, b"{", mask=True)
MANY = 20_000

Script = Callable[[AudioHookSocket], Awaitable[None]]


class Port:
    """A call port that counts how much it does between two rounds of its event loop."""

    def __init__(self) -> None:
        self.listener = Listener(
            base_path="/audiohook", admit=self.admit, serve_call=self.serve_call, not_ready=lambda: None
        )
        self.number = 0
        self.refuse = False
        self.done = 0
        """Messages and requests, since the last round."""
        self.most = 0
        self.total = 0
        self.rounds = 0
        self.script: Script = self.listen
        self.ended = asyncio.Event()
        self._wanted = (10**9, asyncio.Event())
        self._running = True

    async def admit(self, request: SignedRequest, remote: str | None) -> Admission | None:
        if self.refuse:
            self._did()
            return None
        return Admission(signed=True)

    async def serve_call(self, upgrade: UpgradeRequest, socket: AudioHookSocket) -> None:
        await (self.echo(socket) if upgrade.connector.connector_id == "echo" else self.script(socket))

    async def echo(self, socket: AudioHookSocket) -> None:
        while (message := await socket.receive()) is not None:
            socket.send(message)

    async def listen(self, socket: AudioHookSocket) -> None:
        while await socket.receive() is not None:
            self._did()
        self.ended.set()

    def _did(self) -> None:
        self.done += 1
        self.total += 1
        if self.total >= self._wanted[0]:
            self._wanted[1].set()

    async def until(self, total: int) -> None:
        """Wait until so many messages and requests have been taken."""
        if self.total < total:
            self._wanted = (total, asyncio.Event())
            await self._wanted[1].wait()

    def watch(self) -> None:
        """Look once in each round."""
        self.most = max(self.most, self.done)
        self.done = 0
        self.rounds += 1
        if self._running:
            asyncio.get_running_loop().call_soon(self.watch)

    def stop(self) -> None:
        self._running = False


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    made = Port()
    made.number = await made.listener.start("127.0.0.1", 0)
    try:
        yield made
    finally:
        made.stop()
        await within(made.listener.stop())


async def _dial(port: Port, agent: str = "flood") -> RawPeer:
    peer = await raw_connect(port.number)
    peer.write(request_head(f"/audiohook/{agent}"))
    assert (await peer.read_head()).status == 101
    return peer


async def test_very_many_sockets_leave_every_round_to_others_too(port: Port) -> None:
    good, peers = await _dial(port, "echo"), [await _dial(port) for _ in range(120)]
    port.watch()
    for peer in peers:
        peer.write(SMALL * 10)
    for number in range(10):
        good.frame(TEXT, str(number).encode())
        assert (await good.read_frame()).payload == str(number).encode()
    await within(port.until(120 * 10))
    assert port.most <= 2 * (MESSAGES_EACH_ROUND + EXCESS_EACH_ROUND)
    for peer in (good, *peers):
        await peer.drop()


@pytest.mark.parametrize("frame", [SMALL, encode_frame(BINARY, b"\xff", mask=True)], ids=["text", "binary"])
async def test_a_flood_of_messages_leaves_every_round_to_others(port: Port, frame: bytes) -> None:
    good, peers = await _dial(port, "echo"), [await _dial(port) for _ in range(3)]
    port.watch()
    for peer in peers:
        peer.write(frame * MANY)
    seen: list[int] = []
    for number in range(20):
        good.frame(TEXT, str(number).encode())
        assert (await good.read_frame()).payload == str(number).encode()
        seen.append(port.total)
    assert seen[0] < 1000, "the first answer has waited for the flood"
    assert seen[-1] < 3 * MANY, "the flood was over before"
    assert port.most <= 2 * EXCESS_EACH_ROUND + 3 * MESSAGE_BURST
    for peer in (good, *peers):
        await peer.drop()


async def test_a_flood_of_pings_leaves_every_round_to_others_and_piles_nothing_up(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    pong, unsent = listener.GenesysSocket._pong, 0

    def counted(socket: listener.GenesysSocket, data: bytes) -> None:
        nonlocal unsent
        port._did()
        pong(socket, data)
        unsent = max(unsent, socket.unsent)

    monkeypatch.setattr(listener.GenesysSocket, "_pong", counted)
    good, peer = await _dial(port, "echo"), await _dial(port)
    port.watch()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    peer.write(encode_frame(PING, b"p" * 125, mask=True) * MANY)
    for _ in range(200):
        good.frame(TEXT, b"?")
        assert (await good.read_frame()).payload == b"?"
    assert port.total > 500
    assert port.most <= 2 * EXCESS_EACH_ROUND + MESSAGE_BURST
    assert unsent <= listener.MAX_UNSENT_PONGS + 127
    for one in (good, peer):
        await one.drop()


async def test_a_ping_now_and_then_is_answered(port: Port) -> None:
    peer = await _dial(port)
    for number in range(3):
        peer.frame(PING, str(number).encode())
        assert (await peer.read_frame()).payload == str(number).encode()
    await peer.drop()


async def test_who_floods_is_not_waited_for_when_the_call_ends(port: Port) -> None:
    async def end(socket: AudioHookSocket) -> None:
        for _ in range(500):
            assert await socket.receive() is not None
        before = asyncio.get_running_loop().time()
        await socket.close(1000)
        assert asyncio.get_running_loop().time() - before < 0.5
        port.ended.set()

    port.script = end
    peer = await _dial(port)
    peer.write(SMALL * MANY)
    await within(port.ended.wait())
    await peer.drop()


async def test_requests_that_come_at_once_are_decided_about_in_turns(port: Port) -> None:
    good = await _dial(port, "echo")
    port.refuse = True
    peers = [await raw_connect(port.number) for _ in range(150)]
    port.watch()
    for peer in peers:
        peer.write(request_head("/audiohook/flood"))
    good.frame(TEXT, b"?")
    assert (await good.read_frame()).payload == b"?"
    for peer in peers:
        assert (await peer.read_head()).status == 401
        await peer.drop()
    assert port.total == len(peers)
    assert port.most <= 2 * REQUESTS_EACH_ROUND
    await good.drop()
