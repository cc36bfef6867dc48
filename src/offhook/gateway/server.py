"""A running gateway: the call port, the calls on it, and the way to stop without cutting anybody off."""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import os
import socket
import ssl
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import Self

from offhook.agents import Agent, AgentRegistry, ConnectorPath, PlanError
from offhook.config import Config, client_context, load_certificate, server_context
from offhook.gateway.admission import AdmissionControl, Scope, call_limits
from offhook.gateway.audiohook_socket import AudioHookSocket
from offhook.gateway.auth import Admission
from offhook.gateway.call_task import CallTask
from offhook.gateway.closing import Part, close_in_order
from offhook.gateway.control import GatewayStatus, ReloadOutcome, worker_statuses
from offhook.gateway.generation import Generation
from offhook.gateway.link import LinkConnector
from offhook.gateway.listener import Listener, ListenerLimits, UpgradeRequest
from offhook.gateway.nonces import Nonces, OwnNonces
from offhook.gateway.observer import CallObserver
from offhook.gateway.overload import LagWatch, Overload
from offhook.gateway.realtime_link import connect as connect_with_picows
from offhook.gateway.scoreboard import Scoreboard, Slot
from offhook.gateway.settings import base_url, keep_fixed, shown_as
from offhook.gateway.settings import listener_limits as configured_limits
from offhook.httpsig import SignedRequest
from offhook.telemetry.logging import get_logger

DRAINED = "OH-GATE-03"
TURNED_AWAY = "OH-GATE-10"
NOT_RELOADED = "OH-GATE-11"

LAST_WORDS = 15.0
"""Seconds that calls have for a clean end once the drain has lasted long enough."""

CUT_TIMEOUT = 3.0
"""Seconds that Genesys has to close calls that were cut, and calls that were turned away at the end of a drain."""

LOOK_EVERY = 0.1
"""Seconds between looks at how the other processes do."""

MAX_TURNED_AWAY = 100
"""Calls at a time that are answered while draining, only to be sent elsewhere."""

_log = get_logger("offhook.gateway.server")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the processes of one gateway share; by default there is only this one."""

    scoreboard: Scoreboard = dataclasses.field(default_factory=Scoreboard)
    slot: int = 0
    """Which slot of it is ours."""
    nonces: Nonces = dataclasses.field(default_factory=OwnNonces)
    sockets: Sequence[socket.socket] = ()
    """Listening sockets that were handed over; none = `listen` of the configuration is bound."""


class GatewayServer:
    """Takes calls from `start` to `stop`; also an async context manager.

    Args:
        config: the whole configuration.
        observers: watch the calls.
        connect: opens the Realtime links.
        realtime_tls: trust for wss on the Realtime leg; None = the default of the platform.
        tools_tls: trust for https of the tools; None = the default of the platform.
        listener_limits: bounds of the call port.
        shared: with which other processes this one makes up the gateway.
        parts: what is closed after the last call, in this order: stores and exporters that the observers feed.
    """

    def __init__(
        self,
        config: Config,
        *,
        observers: Sequence[CallObserver] = (),
        connect: LinkConnector = connect_with_picows,
        realtime_tls: ssl.SSLContext | None = None,
        tools_tls: ssl.SSLContext | None = None,
        listener_limits: ListenerLimits | None = None,
        shared: Shared | None = None,
        parts: Iterable[Part] = (),
    ) -> None:
        self.config = config
        self._shared = shared if shared is not None else Shared()
        self._slot: Slot = self._shared.scoreboard.slots[self._shared.slot]
        self._parts = tuple(parts)
        trust = client_context()
        self.lag_watch = LagWatch(Overload(config.limits.max_lag))
        self.admission = AdmissionControl(
            call_limits(config),
            overloaded=lambda: self.lag_watch.overload.overloaded,
            calls_elsewhere=self._calls_elsewhere,
            changed=lambda scope, calls: self._slot.show(shown_as(scope), calls),
        )
        self._new_generation = functools.partial(
            Generation,
            nonces=self._shared.nonces,
            admission=self.admission,
            observers=observers,
            connect=connect,
            realtime_tls=realtime_tls or trust,
            tools_tls=tools_tls or trust,
            trust=trust,
        )
        self._generation = self._new_generation(config)
        self._retiring: set[asyncio.Task[None]] = set()
        """Earlier generations, until their last calls are over."""
        self._reloading = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None
        self._listener = Listener(
            base_path=config.base_path,
            admit=self._admit,
            serve_call=self._serve_call,
            not_ready=self._not_ready,
            closed=self._closed,
            limits=listener_limits if listener_limits is not None else configured_limits(config.limits),
        )
        self._configured_listener = listener_limits is None
        self._looking: asyncio.TimerHandle | None = None
        self._calls: set[CallTask] = set()
        self._no_calls = asyncio.Event()
        self._turned_away: set[CallTask] = set()
        self._nobody = asyncio.Event()
        self._count_calls()
        self._draining = False
        self._cut = False
        self._port = 0

    @property
    def port(self) -> int:
        """The call port, once started."""
        return self._port

    @property
    def url(self) -> str:
        """The Base Connection URI as this machine sees it."""
        return base_url(self.config, self._port)

    @property
    def calls(self) -> int:
        """Calls that are being carried by this process."""
        return len(self._calls)

    @property
    def draining(self) -> bool:
        """The gateway takes no new calls any more."""
        return self._draining or self._shared.scoreboard.draining

    async def start(self) -> None:
        """Begin to take calls.

        Raises:
            ConfigError: certificate or key cannot be used.
            OSError: the address cannot be listened on.
        """
        listen, tls = self.config.listen, self.config.tls
        self._tls = None if tls is None else server_context(tls, "tls")
        try:
            await self._generation.open()
            self._port = await self._listener.start(
                listen.host, listen.port, tls=self._tls, sockets=self._shared.sockets
            )
        except BaseException:
            await self._generation.close()
            raise
        if not self._slot.number:
            self._slot.occupy(1, os.getpid())
        self._slot.ready = True
        _spare_pauses()
        self.lag_watch.start()
        if len(self._shared.scoreboard.slots) > 1:
            self._look_around()
        _log.info("gateway started", port=self._port, agents=list(self.config.agents))

    def status(self) -> GatewayStatus:
        """Say how the gateway is doing, as far as this process knows."""
        reason = self._not_ready()
        return GatewayStatus(
            ready=reason is None,
            reason=reason,
            calls=self._shared.scoreboard.calls,
            draining=self.draining,
            agents=tuple(self.config.agents),
            providers=dict(self._generation.dialer.status()),
            workers=worker_statuses(self._shared.scoreboard),
        )

    async def reload(self, config: Config) -> ReloadOutcome:
        """Go by another configuration in new calls; running calls keep what they began with.

        Replay protection and the calls themselves live on. The certificate is read anew from its files.

        Raises:
            ConfigError: certificate or key cannot be used; nothing has changed.
        """
        async with self._reloading:
            kept, restart_needed = keep_fixed(self.config, config)
            if kept.tls is not None:
                server_context(kept.tls, "tls")
            generation = self._new_generation(kept)
            try:
                await generation.open()
                if self.draining:
                    problem = f"{NOT_RELOADED} the gateway is shutting down"
                    await generation.close()
                    return ReloadOutcome(applied=False, problems=(problem,))
                if kept.tls is not None and self._tls is not None:
                    # In place, where the call port finds it for its next connection.
                    load_certificate(self._tls, kept.tls, "tls")
            except BaseException:
                await generation.close()
                raise
            old, self._generation, self.config = self._generation, generation, kept
            self.admission.set_limits(call_limits(kept))
            self.lag_watch.overload.max_lag = kept.limits.max_lag
            if self._configured_listener:
                self._listener.set_limits(configured_limits(kept.limits))
        retiring = asyncio.create_task(old.retire(), name="retire generation")
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        return ReloadOutcome(applied=True, restart_needed=restart_needed)

    async def drain(self, seconds: float | None = None) -> None:
        """Take no new calls and wait for those that are; end what is left after so many seconds.

        Probes go on being answered, `/readyz` with 503. A call that comes all the same is answered with `disconnect`
        reason `error`: Genesys tries again after that, and reaches a gateway that takes it, but not after an upgrade
        that was refused (audiohook.md §1.5). The configuration says how long, unless `seconds` does.
        """
        self._draining = True
        self._leave()
        await self._finish_calls(seconds)
        await _within(CUT_TIMEOUT, self._nobody)

    async def hand_over(self, seconds: float | None = None) -> None:
        """Leave new connections to the other processes that listen, and wait for the calls that are, like `drain`.

        Connections that stand are served as before, so that nobody who came to this process is refused.
        """
        self._leave()
        self._listener.stop_listening()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._listener.head_timeout):
                while self._listener.handshakes:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.05)
        await self._finish_calls(seconds)

    async def cut_calls(self) -> bool:
        """End all calls now, each with a `disconnect`; True if Genesys has closed them all within `CUT_TIMEOUT`."""
        self._draining = self._cut = True
        self._leave()
        self._listener.stop_listening()
        _log.warning("cutting calls", calls=self.calls, code=DRAINED)
        for call in (*self._calls, *self._turned_away):
            call.cut("limit", "drained", f"{DRAINED} the gateway was stopped")
        return await _within(CUT_TIMEOUT, self._nobody)

    async def stop(self) -> None:
        """Stop at once; calls that are left lose their sockets. Then close what belongs to the gateway, in order."""
        self._draining = True
        self._leave()
        self.lag_watch.stop()
        await close_in_order(
            [
                Part("call port", self._listener.stop, deadline=10.0),
                Part("generations", self._close_generations, deadline=30.0),
                *self._parts,
            ]
        )
        _log.info("gateway stopped")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _close_generations(self) -> None:
        await asyncio.gather(self._generation.close(), *self._retiring)

    async def _admit(self, request: SignedRequest, remote: str | None) -> Admission | None:
        return await self._generation.gate.admit(request, remote)

    def _not_ready(self) -> str | None:
        """Say why a load balancer should send nobody to the gateway, whichever process was asked."""
        if self.draining:
            return "draining"
        reason = self.admission.not_ready()
        if self.lag_watch.overload.overloaded and self._others_are_ready():
            return None
        return reason

    def _closed(self) -> str | None:
        """Say why a call cannot even be told that it is refused."""
        if self.draining and (self._cut or len(self._turned_away) >= MAX_TURNED_AWAY):
            return "draining"
        return None

    def _others_are_ready(self) -> bool:
        return any(slot.ready for slot in self._shared.scoreboard.occupied() if slot is not self._slot)

    def _calls_elsewhere(self, scope: Scope) -> int:
        return self._shared.scoreboard.shown(shown_as(scope), but=self._slot)

    def _look_around(self) -> None:
        """Let the others know how we do; while we are too busy and they are not, the next calls are theirs."""
        self._slot.ready = self.admission.not_ready() is None
        if self.lag_watch.overload.overloaded and self._others_are_ready():
            self._listener.pause()
        else:
            self._listener.resume()
        if self._looking is not None:
            self._looking.cancel()
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look_around)

    def _leave(self) -> None:
        """Let the others know that we take no more calls."""
        self._generation.dialer.drain()
        self._slot.ready, self._slot.leaving = False, True
        if self._looking is not None:
            self._looking.cancel()
            self._listener.resume()

    async def _serve_call(self, upgrade: UpgradeRequest, socket: AudioHookSocket) -> None:
        with self._generation.used() as services:
            if self.draining:
                services = dataclasses.replace(services, registry=_NobodyAnswers())
                calls = self._turned_away
            else:
                calls = self._calls
            call = CallTask(upgrade, socket, services)
            calls.add(call)
            self._count_calls()
            try:
                await call.run()
            finally:
                calls.discard(call)
                self._count_calls()

    def _count_calls(self) -> None:
        self._slot.calls = len(self._calls)
        _show(self._no_calls, not self._calls)
        _show(self._nobody, not self._calls and not self._turned_away)

    async def _finish_calls(self, seconds: float | None) -> None:
        limit = self.config.limits.drain_timeout if seconds is None else seconds
        _log.info("draining", calls=self.calls, limit=limit)
        if await _within(limit, self._no_calls):
            return
        _log.warning("ending calls", calls=self.calls, code=DRAINED)
        for call in list(self._calls):
            call.drain(LAST_WORDS)
        await _within(LAST_WORDS, self._no_calls)


class _NobodyAnswers(AgentRegistry):
    """Sends callers elsewhere."""

    def __init__(self) -> None:
        super().__init__({})

    def resolve(self, connector: ConnectorPath, allowed: Collection[str] | None = None) -> tuple[str, Agent]:
        raise PlanError(TURNED_AWAY, "the gateway is shutting down; try again")


def _spare_pauses() -> None:
    """Leave what a process needs to run, half a million objects, out of the garbage collector's rounds.

    It stays anyway, and to look through it takes a tenth of a second in which nobody gets a pong.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


def _show(event: asyncio.Event, happened: bool) -> None:
    if happened:
        event.set()
    else:
        event.clear()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
