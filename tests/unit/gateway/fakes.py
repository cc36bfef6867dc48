"""Sockets that are lists."""

import asyncio
from collections.abc import Callable

from offhook.gateway.link import LinkReceiver


class Changes:
    """Wakes a test whenever something happens at one of the fakes."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def note(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class FakeLink:
    """A Realtime link; what is sent lies in `sent`."""

    def __init__(self, changes: Changes | None = None) -> None:
        self.changes = changes or Changes()
        self.sent: list[bytes] = []
        self.receiver: LinkReceiver | None = None
        self.closed = asyncio.Event()

    def start(self, receiver: LinkReceiver) -> None:
        self.receiver = receiver
        self.changes.note()

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed.set()

    async def wait_closed(self) -> None:
        assert self.closed.is_set()


class FakeSocket:
    """A Genesys socket; the test puts what arrives and reads what is sent."""

    def __init__(self, changes: Changes | None = None) -> None:
        self.changes = changes or Changes()
        self.incoming: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.sent: list[str | bytes] = []
        self.unsent = 0
        self.closed_with: int | None = None
        self.aborted = False
        self.close_code: int | None = None

    async def receive(self) -> str | bytes | None:
        return await self.incoming.get()

    def send(self, message: str | bytes) -> None:
        self.sent.append(message)
        self.changes.note()

    async def close(self, code: int = 1000) -> None:
        self.closed_with = code
        self.incoming.put_nowait(None)

    def abort(self) -> None:
        self.aborted = True
        self.incoming.put_nowait(None)
