"""Connections that stand before there is a call: the first word does not wait for a handshake.

For each agent a few sockets are kept on which a session was created and configured as for a call, only without
instructions: these are templates over the call. A call that takes one adopts its session and sends all of its own
settings first (`realtime.state`). One that is taken, old or lost is replaced.
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from offhook.config import WarmConfig
from offhook.gateway.link import (
    ABNORMAL_CLOSURE,
    ClosingLinks,
    DialledLink,
    LinkReceiver,
    RealtimeConnectError,
    Verdict,
)
from offhook.realtime import (
    CODES,
    ErrorReceived,
    RealtimeSession,
    SessionConfig,
    SessionLost,
    SessionReady,
    SessionRefused,
    SessionState,
)
from offhook.telemetry.logging import get_logger

SETUP_TIMEOUT = 10.0
"""Seconds for a session to be created and configured."""

MAX_KEPT = 1024 * 1024
"""Bytes that a warm session may say by itself: what tools an MCP server has, else next to nothing."""

STEADY = 30.0
"""Seconds after which the loss of a warm connection is no sign that the next will be lost as well."""

MAX_PAUSE = 60.0
"""Seconds between two attempts, after failures in a row: 1, 2, 4 and so on, a little less by chance."""

INTERNAL_ERROR = "OH-GATE-01"
REFUSED, LOST = "OH-RT-07", "OH-RT-08"

_log = get_logger("offhook.gateway.warm")


@dataclass(frozen=True, slots=True)
class WarmAgent:
    """Who gets warm connections."""

    model: str
    session: Callable[[], SessionConfig]
    """The settings, with the tools that there are at the moment."""


Report = Callable[[str, Verdict, str, str], None]
"""Takes how a session was set up: provider, verdict, code and agent (see `link.RealtimeDialer.report`)."""


class WarmLink:
    """A link that sets its session up by itself, and then waits for a call; see `link.RealtimeLink` for its methods.

    What arrives and is not part of the set-up is kept for the call, so that it misses nothing.

    Args:
        dialled: where the session is to be.
        config: its settings.
        clock: monotonic seconds.
        on_end: called when a session that was ready cannot be used any more.
    """

    def __init__(
        self,
        dialled: DialledLink,
        config: SessionConfig,
        clock: Callable[[], float],
        on_end: Callable[["WarmLink"], None],
    ) -> None:
        self.provider = dialled.provider
        self.since = clock()
        self.until = 0.0
        """When it is too old; set by who keeps it."""
        self._link = dialled.link
        self._clock = clock
        self._on_end = on_end
        self._session = RealtimeSession(config)
        self._created = b""
        self._set_up: asyncio.Future[SessionRefused | None] = asyncio.get_running_loop().create_future()
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._ended = self._taken = self._closed = False
        self._lost: tuple[int, str] | None = None

    @property
    def usable(self) -> bool:
        """The session is ready, and nothing has happened to it."""
        return self._set_up.done() and not self._ended

    async def set_up(self) -> SessionRefused | None:
        """Create and configure the session; return why there is none, or None when it is ready."""
        self._session.connected(self._clock())
        self._link.start(self)
        try:
            async with asyncio.timeout(SETUP_TIMEOUT):
                return await self._set_up
        except TimeoutError:
            code = "OH-RT-02" if self._session.state is SessionState.CREATING else "OH-RT-03"
            return SessionRefused(code, CODES[code], False)

    def take(self) -> DialledLink:
        """Hand it over to a call: from now on nobody but the call looks at what arrives."""
        self._taken = True
        return DialledLink(self, self.provider, created=self._created)

    # What arrives while nobody has it.

    def on_message(self, data: bytes) -> None:
        """A message arrived: of the set-up, or for the call to come."""
        if self._ended:
            return
        if self._taken:
            self._kept.append(data)
            return
        session = self._session
        before = session.state
        session.receive_text(data, self._clock())
        for answer in session.data_to_send():
            self._link.send(answer)
        match before, session.state:
            case SessionState.CREATING, SessionState.CONFIGURING:
                self._created = data
            case SessionState.CONFIGURING, SessionState.READY:
                pass
            case _:
                self._keep(data)
        self._handle_events()

    def on_lost(self, code: int, reason: str) -> None:
        """The link ended."""
        self._lost = code, reason
        if not self._taken:
            self._session.receive_eof(None if code == ABNORMAL_CLOSURE else code, reason, self._clock())
            self._handle_events()

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._kept_bytes += len(data)
        if self._kept_bytes > MAX_KEPT:
            self._end(LOST, fatal=False)

    def _handle_events(self) -> None:
        for event in self._session.events():
            match event:
                case SessionReady():
                    self._set_up.set_result(None)
                case SessionRefused() | ErrorReceived():
                    self._end(event.code, fatal=event.fatal)
                case SessionLost(retryable=retryable):
                    self._end(LOST if retryable else REFUSED, fatal=not retryable)

    def _end(self, code: str, *, fatal: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if self._set_up.done():
            self._on_end(self)
        else:
            self._set_up.set_result(SessionRefused(code, CODES.get(code, ""), fatal))

    # What the call does with it.

    def start(self, receiver: LinkReceiver) -> None:
        """Deliver what was kept, and from now on everything as it arrives."""
        kept, self._kept = self._kept, []
        for data in kept:
            if self._closed:
                return
            receiver.on_message(data)
        if self._closed:
            return
        if self._lost is not None:
            receiver.on_lost(*self._lost)
        else:
            self._link.start(receiver)

    def send(self, data: bytes) -> None:
        """Send one text message; ignored after the link has ended."""
        self._link.send(data)

    def close(self) -> None:
        """Close the link with 1000; the receiver hears nothing more of it."""
        self._closed = True
        self._link.close()

    async def wait_closed(self) -> None:
        """Return when the socket is gone."""
        await self._link.wait_closed()


class WarmPool:
    """Keeps warm connections for each agent, from `start` to `stop`.

    Args:
        agents: who gets them, by name.
        settings: how many for each, and how old they may get.
        connect: opens a link for an agent and its model, with a provider that is well.
        report: takes how a session was set up.
        closing: owns what is being closed.
        clock: monotonic seconds.
        spread: a number between two others, by chance.
    """

    def __init__(
        self,
        agents: Mapping[str, WarmAgent],
        settings: WarmConfig,
        *,
        connect: Callable[[str, str], Awaitable[DialledLink]],
        report: Report,
        closing: ClosingLinks,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._shelves = {
            name: _Shelf(name, agent, settings, connect, report, closing, clock, spread)
            for name, agent in agents.items()
            if settings.size
        }
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> dict[str, int]:
        """How many there are, by agent."""
        return {name: len(shelf) for name, shelf in self._shelves.items()}

    def start(self) -> None:
        """Begin to connect; needs a running event loop."""
        self._tasks = [asyncio.ensure_future(shelf.fill()) for shelf in self._shelves.values()]

    def take(self, agent: str, model: str) -> DialledLink | None:
        """Return a connection whose session is ready for an agent and its model, if there is one."""
        shelf = self._shelves.get(agent)
        return None if shelf is None else shelf.take(model)

    def drop(self, provider: str) -> None:
        """Trust no connection with a provider that has just failed: what broke one may have broken all."""
        for shelf in self._shelves.values():
            shelf.drop(provider)

    def stop(self) -> None:
        """Close them all, and connect no more."""
        for task in self._tasks:
            task.cancel()
        for shelf in self._shelves.values():
            shelf.drop()

    async def close(self) -> None:
        """Stop, and return when nothing runs any more; the sockets are left to `closing`."""
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)


class _Shelf:
    """The warm connections of one agent, the oldest first."""

    def __init__(
        self,
        name: str,
        agent: WarmAgent,
        settings: WarmConfig,
        connect: Callable[[str, str], Awaitable[DialledLink]],
        report: Report,
        closing: ClosingLinks,
        clock: Callable[[], float],
        spread: Callable[[float, float], float],
    ) -> None:
        self._name = name
        self._agent = agent
        self._settings = settings
        self._connect = connect
        self._report = report
        self._closing = closing
        self._clock = clock
        self._spread = spread
        self._links: deque[WarmLink] = deque()
        self._changed = asyncio.Event()
        self._failures = 0
        self._not_before = 0.0

    def __len__(self) -> int:
        return len(self._links)

    async def fill(self) -> None:
        """Keep as many as there are to be, one after the other; runs until it is cancelled."""
        while True:
            self._changed.clear()
            now = self._clock()
            for link in [link for link in self._links if link.until <= now]:
                self._remove(link)
            if len(self._links) < self._settings.size and now >= self._not_before:
                await self._add()
            else:
                await self._wait(now)

    def take(self, model: str) -> DialledLink | None:
        """Return the oldest, which would be replaced first."""
        if not self._links or model != self._agent.model:
            return None
        self._failures = 0
        self._changed.set()
        return self._links.popleft().take()

    def drop(self, provider: str | None = None) -> None:
        """Close those with a provider, or all of them."""
        for link in [link for link in self._links if provider in (None, link.provider)]:
            self._remove(link)

    async def _wait(self, now: float) -> None:
        """Wait until something changes, one is too old, or the pause after a failure is over."""
        times = [link.until for link in self._links]
        if len(self._links) < self._settings.size:
            times.append(self._not_before)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(times) - now):
                await self._changed.wait()

    async def _add(self) -> None:
        try:
            link = await self._prepare()
        except RealtimeConnectError as error:
            self._pause(error.code)
        except Exception as error:  # a source of tools, for example: no reason to do without for ever
            _log.error("internal error", code=INTERNAL_ERROR, agent=self._name, exc_info=error)
            self._pause(INTERNAL_ERROR)
        else:
            link.until = self._clock() + self._settings.max_age * self._spread(0.9, 1.0)
            self._links.append(link)

    async def _prepare(self) -> WarmLink:
        """Connect and set a session up; how that went is reported."""
        config = self._agent.session()
        link = WarmLink(await self._connect(self._name, self._agent.model), config, self._clock, self._on_end)
        try:
            refused = await link.set_up()
        except BaseException:
            self._closing.close(link)
            raise
        if refused is None and not link.usable:
            refused = SessionRefused(LOST, CODES[LOST], False)
        if refused is None:
            self._report(link.provider, "ready", "", self._name)
            return link
        self._closing.close(link)
        self._report(link.provider, "unusable" if refused.fatal else "failed", refused.code, self._name)
        raise RealtimeConnectError(refused.code, refused.message, retryable=not refused.fatal)

    def _on_end(self, link: WarmLink) -> None:
        """A session that was ready is gone: some servers end those that nobody uses, so it is no failure."""
        if link not in self._links:
            return
        self._remove(link)
        if self._clock() - link.since < STEADY:
            self._pause(LOST)

    def _pause(self, code: str) -> None:
        """Wait before the next attempt, longer after each failure."""
        if not self._failures:
            _log.warning("no warm connection", agent=self._name, code=code)
        seconds = min(MAX_PAUSE, 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._not_before = self._clock() + seconds * self._spread(0.5, 1.0)

    def _remove(self, link: WarmLink) -> None:
        self._links.remove(link)
        self._closing.close(link)
        self._changed.set()
        if self._clock() - link.since >= STEADY:
            self._failures = 0
