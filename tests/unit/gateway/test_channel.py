import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from offhook.gateway import channel as module
from offhook.gateway.channel import (
    AskProviders,
    Channel,
    ChannelClosed,
    CheckNonce,
    Drain,
    NonceChecked,
    Providers,
    Ready,
    Reload,
)


@contextlib.asynccontextmanager
async def joined() -> AsyncIterator[tuple[Channel, Channel]]:
    ours, theirs = socket.socketpair()
    here, there = await Channel.over(ours), await Channel.over(theirs)
    yield here, there
    await here.close()
    await there.close()


async def test_messages_arrive_in_order_whatever_their_size() -> None:
    async with joined() as (here, there):
        text = "ü" * 1_000_000
        receiving = asyncio.ensure_future(there.receive())
        here.send(Reload(id=1, text=text))
        here.send(Drain())
        assert await receiving == Reload(id=1, text=text)
        assert await there.receive() == Drain()
        await here.close()
        assert await there.receive() is None
        assert there.closed
        there.send(Ready())  # nobody hears it


async def test_a_question_gets_its_own_answer() -> None:
    async with joined() as (here, there):
        reading = asyncio.ensure_future(here.receive())
        asked = [asyncio.ensure_future(here.ask(CheckNonce(digest=d), NonceChecked, 1.0)) for d in ("a", "b")]
        questions = [await there.receive(), await there.receive()]
        for question in reversed(questions):
            assert isinstance(question, CheckNonce)
            there.send(NonceChecked(id=question.id, fresh=question.digest == "a"))
        there.send(NonceChecked(id=99, fresh=True))  # nobody has asked
        assert [(await answer).fresh for answer in asked] == [True, False]
        there.send(Ready())
        assert await reading == Ready()


async def test_a_question_that_gets_no_answer() -> None:
    async with joined() as (here, there):
        reading = asyncio.ensure_future(here.receive())
        with pytest.raises(TimeoutError):
            await here.ask(AskProviders(), Providers, 0.01)
        wrong = asyncio.ensure_future(here.ask(AskProviders(), Providers, 1.0))
        await there.receive()
        question = await there.receive()
        assert question is not None
        there.send(NonceChecked(id=question.id, fresh=True))
        with pytest.raises(ChannelClosed):
            await wrong
        lost = asyncio.ensure_future(here.ask(AskProviders(), Providers, 1.0))
        await there.receive()
        await there.close()
        with pytest.raises(ChannelClosed):
            await lost
        assert await reading is None
        with pytest.raises(ChannelClosed):
            await here.ask(AskProviders(), Providers, 1.0)


async def test_questions_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ASKED", 1)
    async with joined() as (here, _):
        waiting = asyncio.ensure_future(here.ask(AskProviders(), Providers, 5.0))
        await asyncio.sleep(0)
        with pytest.raises(ChannelClosed):
            await here.ask(AskProviders(), Providers, 1.0)
        waiting.cancel()
        await asyncio.wait([waiting])


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!I", module.MAX_MESSAGE_BYTES + 1),
        struct.pack("!I", 3) + b"abc",
        struct.pack("!I", 10) + b"\x80",
        b"\x00",
    ],
)
async def test_what_is_no_message_ends_the_channel(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    there = await Channel.over(theirs)
    ours.sendall(data)
    ours.shutdown(socket.SHUT_WR)
    assert await there.receive() is None
    await there.close()
    ours.close()


async def test_closing_does_not_wait_for_a_peer_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.01)
    ours, theirs = socket.socketpair()
    here = await Channel.over(ours)
    for _ in range(10):
        here.send(Reload(text="x" * 1_000_000))
    await here.close()
    theirs.close()
