import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from offhook.tools import Tool, ToolResources, ToolSources, sources

RESOURCES = ToolResources()


class Source:
    """Notes what is done with it; hangs, fails or ignores its cancellation as the test wants it."""

    tools: Sequence[Tool] = ()

    def __init__(self, *, fails: bool = False, until: asyncio.Event | None = None, stubborn: bool = False) -> None:
        self.done: list[object] = []
        self.begun = asyncio.Event()
        self._fails = fails
        self._until = until
        self._stubborn = stubborn

    async def open(self, resources: ToolResources) -> None:
        await self._do(resources)

    async def close(self) -> None:
        await self._do("closed")

    async def _do(self, what: object) -> None:
        self.done.append(what)
        self.begun.set()
        if self._fails:
            raise RuntimeError("password=hunter2")
        while self._until is not None and not self._until.is_set():
            try:
                await self._until.wait()
            except asyncio.CancelledError:
                self.done.append("cancelled")
                if not self._stubborn:
                    raise


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "OPEN_TIMEOUT", 0.02)
    monkeypatch.setattr(sources, "CLOSE_TIMEOUT", 0.02)


async def test_each_is_opened_and_closed_once() -> None:
    one, two = Source(), Source()
    opened = ToolSources([one, two, one])
    await opened.open(RESOURCES)
    await opened.close()
    assert one.done == two.done == [RESOURCES, "closed"]


async def test_none() -> None:
    await ToolSources([]).open(RESOURCES)
    await ToolSources([]).close()


async def test_all_at_once() -> None:
    met = asyncio.Barrier(2)

    class Meeting(Source):
        async def open(self, resources: ToolResources) -> None:
            await met.wait()
            self.done.append("met")

    both = [Meeting(), Meeting()]
    await ToolSources(both).open(RESOURCES)
    assert [source.done for source in both] == [["met"], ["met"]]


async def test_one_that_fails_stops_nothing() -> None:
    broken, fine = Source(fails=True), Source()
    opened = ToolSources([broken, fine])
    with capture_logs() as logs:
        await opened.open(RESOURCES)
        await opened.close()
    assert broken.done == fine.done == [RESOURCES, "closed"]
    assert [(line["code"], line["source"], line["error"]) for line in logs] == [
        ("OH-TOOL-01", "Source", "RuntimeError")
    ] * 2
    assert "hunter2" not in str(logs)


async def test_one_that_is_slow_stops_nothing() -> None:
    slow, fine = Source(until=asyncio.Event()), Source()
    opened = ToolSources([slow, fine])
    with capture_logs() as logs:
        await opened.open(RESOURCES)
        await opened.close()
    await asyncio.wait(opened._tasks)
    assert slow.done == [RESOURCES, "cancelled", "closed", "cancelled"]
    assert fine.done == [RESOURCES, "closed"]
    assert [line["error"] for line in logs] == ["TimeoutError"] * 2


async def test_one_that_does_not_heed_its_cancellation_is_not_waited_for() -> None:
    release = asyncio.Event()
    stubborn = Source(until=release, stubborn=True)
    opened = ToolSources([stubborn])
    await opened.open(RESOURCES)
    assert len(opened._tasks) == 1
    release.set()
    (task,) = opened._tasks
    await task
    await asyncio.sleep(0)
    assert not opened._tasks


async def test_to_stop_starting_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "OPEN_TIMEOUT", 60.0)
    slow = Source(until=asyncio.Event())
    opened = ToolSources([slow])
    starting = asyncio.create_task(opened.open(RESOURCES))
    await slow.begun.wait()
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    await asyncio.wait(opened._tasks)
    assert slow.done == [RESOURCES, "cancelled"]
