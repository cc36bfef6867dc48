import asyncio
import os
import signal

import pytest
from structlog.testing import capture_logs

from offhook.gateway.signals import stopped_by_signal


class Calls:
    """A gateway whose calls end when the test says so."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()
        self.ended = asyncio.Event()
        self.answered = True
        self.cut = False

    async def drain(self) -> None:
        self.draining.set()
        await self.ended.wait()

    async def cut_calls(self) -> bool:
        self.cut = True
        return self.answered


def send(number: int) -> None:
    os.kill(os.getpid(), number)


async def test_one_signal_drains() -> None:
    calls = Calls()
    stopped = asyncio.ensure_future(stopped_by_signal(calls))
    await asyncio.sleep(0)
    send(signal.SIGTERM)
    await asyncio.wait_for(calls.draining.wait(), 5)
    assert not stopped.done()
    calls.ended.set()
    assert await stopped is True
    assert not calls.cut


@pytest.mark.parametrize("answered", [True, False])
async def test_a_second_signal_cuts(answered: bool) -> None:
    calls = Calls()
    calls.answered = answered
    stopped = asyncio.ensure_future(stopped_by_signal(calls))
    await asyncio.sleep(0)
    send(signal.SIGINT)
    await asyncio.wait_for(calls.draining.wait(), 5)
    send(signal.SIGTERM)
    assert await asyncio.wait_for(stopped, 5) is answered
    assert calls.cut


async def test_a_drain_that_fails_is_not_hidden() -> None:
    class Broken(Calls):
        async def drain(self) -> None:
            raise RuntimeError

    stopped = asyncio.ensure_future(stopped_by_signal(Broken()))
    await asyncio.sleep(0)
    send(signal.SIGTERM)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(stopped, 5)


async def test_other_signals_start_their_action_once_at_a_time() -> None:
    calls = Calls()
    began: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def reload() -> None:
        goes_on = asyncio.Event()
        began.put_nowait(goes_on)
        await goes_on.wait()
        raise RuntimeError("no reason to stop listening")

    with capture_logs() as logs:
        stopped = asyncio.ensure_future(stopped_by_signal(calls, {"SIGHUP": reload, "SIGNOTKNOWN": reload}))
        await asyncio.sleep(0)
        send(signal.SIGHUP)
        first = await asyncio.wait_for(began.get(), 5)
        for _ in range(3):
            send(signal.SIGHUP)
            await asyncio.sleep(0.01)
        assert began.empty()
        first.set()
        second = await asyncio.wait_for(began.get(), 5)
        second.set()
        calls.ended.set()
        send(signal.SIGTERM)
        assert await asyncio.wait_for(stopped, 5) is True
        assert began.empty()
    assert [line["signal"] for line in logs if line["event"] == "signal not obeyed"] == ["SIGHUP", "SIGHUP"]
