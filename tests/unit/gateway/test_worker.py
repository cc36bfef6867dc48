"""A worker in this process, with the test as its supervisor."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from offhook import Agent
from offhook.config import Config, ConfigError, Mark, Problem
from offhook.gateway import worker as module
from offhook.gateway.acceptor import listen
from offhook.gateway.channel import (
    AskProviders,
    Begin,
    Channel,
    CheckNonce,
    Cut,
    Drain,
    Failed,
    HandOver,
    NonceChecked,
    Providers,
    Ready,
    Reload,
    Reloaded,
    StopAsked,
)
from offhook.gateway.nonces import NoncesUnknown
from offhook.gateway.scoreboard import Scoreboard
from offhook.gateway.server import GatewayServer
from offhook.gateway.worker import SharedNonces, work


@pytest.fixture(autouse=True)
def signals_of_pytest() -> Any:
    """A worker is deaf to some signals; pytest is not."""
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, kept in zip(numbers, before, strict=True):
        signal.signal(number, kept)


def configured(*names: str) -> Config:
    agents = {name: Agent(instructions="Talk.") for name in names or ("support",)}
    providers = {"providers": [{"name": "openai", "url": "ws://127.0.0.1:9/v1", "api_key": "k"}]}
    return Config.model_validate({"agents": agents, "realtime": providers})


async def read(begin: Begin) -> Config:
    return await reread(begin, begin.text)


async def reread(begin: Begin, text: str) -> Config:
    if text == "broken":
        raise ConfigError([Problem("OH-CONF-02", Mark("offhook.yaml", 2, 3), "", "no YAML")])
    if text == "no room":
        raise OSError(24, "Too many open files")
    return configured(text)


class Supervised:
    """The supervisor's end of a worker."""

    def __init__(self, channel: Channel, board: Scoreboard, status: "asyncio.Future[int]", port: int) -> None:
        self.channel = channel
        self.board = board
        self.status = status
        self.port = port

    async def says(self) -> Any:
        return await asyncio.wait_for(self.channel.receive(), 5)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.status, 5)


@contextlib.asynccontextmanager
async def working(text: str = "support") -> AsyncIterator[Supervised]:
    board = Scoreboard.create(2)
    (listening,) = await listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    board.slots[1].occupy(5, os.getpid())
    status = asyncio.ensure_future(work(theirs.detach(), read, reread))
    begin = Begin(text=text, number=5, slot=1, slots=2, scoreboard=board.fd, sockets=(listening.detach(),))
    channel.send(begin)
    yield Supervised(channel, board, status, port)
    await channel.close()
    await asyncio.wait([status], timeout=5)
    board.close()


async def test_a_worker_takes_calls_until_it_is_told_to_go() -> None:
    async with working() as worker:
        assert await worker.says() == Ready()
        assert (worker.board.slots[1].ready, worker.board.slots[1].number) == (True, 5)
        _, writer = await asyncio.open_connection("127.0.0.1", worker.port)
        writer.close()
        await writer.wait_closed()

        asked = asyncio.ensure_future(worker.says())  # somebody has to read
        states = await worker.channel.ask(AskProviders(), Providers, 5)
        assert states.states == {"openai": "ok"}
        good = await worker.channel.ask(Reload(text="sales"), Reloaded, 5)
        assert good.outcome.applied
        bad = await worker.channel.ask(Reload(text="broken"), Reloaded, 5)
        assert bad.outcome.problems == ("offhook.yaml:2:3: OH-CONF-02 no YAML",)
        with capture_logs() as logs:
            worker.channel.send(Ready())  # no order
            os.kill(os.getpid(), signal.SIGTERM)
            assert await asked == StopAsked()
        assert [line["order"] for line in logs] == ["Ready"]
        assert not worker.status.done()

        worker.channel.send(HandOver())
        worker.channel.send(Drain())  # it goes already
        assert await worker.ended() == 0
        assert worker.board.slots[1].leaving
        assert not worker.board.slots[1].ready
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", worker.port)


@pytest.mark.parametrize("order", [Drain(), Cut()])
async def test_a_worker_that_is_to_stop(order: Drain | Cut) -> None:
    async with working() as worker:
        assert await worker.says() == Ready()
        worker.channel.send(order)
        assert await worker.ended() == 0


async def test_calls_that_could_not_be_ended_are_in_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cut_calls(self: GatewayServer) -> bool:
        return False

    monkeypatch.setattr(GatewayServer, "cut_calls", cut_calls)
    async with working() as worker:
        assert await worker.says() == Ready()
        worker.channel.send(Cut())
        assert await worker.ended() == 1


async def test_without_its_supervisor_a_worker_finishes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    finishing = asyncio.Event()

    async def hand_over(self: GatewayServer, seconds: float | None = None) -> None:
        finishing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(GatewayServer, "hand_over", hand_over)
    async with working() as worker:
        assert await worker.says() == Ready()
        await worker.channel.close()
        await asyncio.wait_for(finishing.wait(), 5)
        assert not worker.status.done()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await worker.ended() == 0


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("broken", Failed(status=2, lines=("offhook.yaml:2:3: OH-CONF-02 no YAML",))),
        ("no room", Failed(status=1, lines=("cannot be started: Too many open files",))),
    ],
)
async def test_a_worker_that_cannot_start_says_why(text: str, failed: Failed) -> None:
    async with working(text) as worker:
        assert await worker.says() == failed
        assert await worker.ended() == failed.status


async def test_a_worker_that_nobody_wants() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    assert await work(theirs.detach(), read, reread) == 1


async def test_nonces_are_asked_for_by_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    here, there = await Channel.over(ours), await Channel.over(theirs)
    nonces = SharedNonces(here)
    reading = asyncio.ensure_future(here.receive())
    digests = []
    for fresh in (True, False):
        asked = asyncio.ensure_future(nonces.remember("the-key", "the-nonce", 0.0))
        question = await there.receive()
        assert isinstance(question, CheckNonce)
        digests.append(question.digest)
        there.send(NonceChecked(id=question.id, fresh=fresh))
        assert await asked is fresh
    assert digests[0] == digests[1]
    assert "the-" not in digests[0]
    monkeypatch.setattr(module, "NONCE_TIMEOUT", 0.01)
    with pytest.raises(NoncesUnknown):
        await nonces.remember("the-key", "another", 0.0)
    await there.close()
    await reading
    with pytest.raises(NoncesUnknown):
        await nonces.remember("the-key", "another", 0.0)
    await here.close()
