"""A running gateway: the call port, the calls on it, and the way to stop without cutting anybody off."""

import asyncio
import functools
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from offhook.agents import Agent, warm_session
from offhook.config import Config, HostPort, KeyConfig, LimitsConfig, client_context, server_context
from offhook.gateway.admission import AdmissionControl, call_limits
from offhook.gateway.audiohook_socket import AudioHookSocket
from offhook.gateway.auth import AccessKey, Gate
from offhook.gateway.call_task import CallServices, CallTask
from offhook.gateway.dialer import Dialer
from offhook.gateway.link import LinkConnector
from offhook.gateway.listener import Listener, ListenerLimits, UpgradeRequest
from offhook.gateway.observer import CallObserver, Observers
from offhook.gateway.overload import LagWatch, Overload
from offhook.gateway.realtime_link import connect as connect_with_picows
from offhook.gateway.warm_pool import WarmAgent
from offhook.genesys import PlatformApi
from offhook.realtime import SessionConfig
from offhook.telemetry.logging import get_logger
from offhook.tools import ToolLimits, ToolResources, ToolSet, ToolSources
from offhook.tools.http_clients import HttpClients

DRAINED = "OH-GATE-03"

LAST_WORDS = 15.0
"""Seconds that calls have for a clean end once the drain has lasted long enough."""
SPARE_SOCKETS = 256
"""Connections beyond `limits.max_calls` that may be upgraded, for calls that are refused or on their way out."""

_log = get_logger("offhook.gateway.server")


class GatewayServer:
    """Takes calls from `start` to `stop`; also an async context manager.

    Args:
        config: the whole configuration.
        observers: watch the calls.
        connect: opens the Realtime links.
        realtime_tls: trust for wss on the Realtime leg; None = the default of the platform.
        tools_tls: trust for https of the tools; None = the default of the platform.
        listener_limits: bounds of the call port.
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
    ) -> None:
        self.config = config
        keys = (_access_key(name, key) for name, key in config.named_keys().items())
        gate = Gate(keys, public_url=config.dialled_url())
        trust = client_context()
        self._tools = _tool_sets(config)
        self._dialer = Dialer(
            config.usable_providers,
            safety_key=_safety_key(config),
            deadline=config.limits.connect_timeout,
            head_start=config.realtime.head_start,
            connect=connect,
            ssl_context=realtime_tls or trust,
            warm=config.realtime.warm,
            warm_agents=_warm_agents(config, self._tools),
        )
        self._sources = ToolSources(source for tools in self._tools.values() for source in tools.sources)
        self._resources = ToolResources(
            http=HttpClients(tls=tools_tls or trust),
            genesys=PlatformApi(config.genesys.access(), tls=trust) if config.genesys is not None else None,
            tool_timeout=config.limits.tool_timeout,
        )
        self.lag_watch = LagWatch(Overload(config.limits.max_lag))
        self.admission = AdmissionControl(call_limits(config), overloaded=lambda: self.lag_watch.overload.overloaded)
        self._services = CallServices(
            registry=config.registry(),
            dialer=self._dialer,
            tools=self._tools,
            observers=Observers(observers),
            prices=config.price_list(),
            admission=self.admission,
            idle_timeout=config.limits.idle_timeout,
        )
        self._listener = Listener(
            base_path=config.base_path,
            admit=gate.admit,
            serve_call=self._serve_call,
            not_ready=self._not_ready,
            closed=self._closed,
            limits=listener_limits if listener_limits is not None else _listener_limits(config.limits),
        )
        self._calls: set[CallTask] = set()
        self._no_calls = asyncio.Event()
        self._no_calls.set()
        self._draining = False
        self._port = 0

    @property
    def port(self) -> int:
        """The call port, once started."""
        return self._port

    @property
    def url(self) -> str:
        """The Base Connection URI as this machine sees it."""
        scheme = "wss" if self.config.tls is not None else "ws"
        host = self.config.listen.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - not a place to connect to
            host = "localhost"
        return f"{scheme}://{HostPort(host, self._port)}{self.config.base_path}"

    @property
    def calls(self) -> int:
        """Calls that are being carried."""
        return len(self._calls)

    async def start(self) -> None:
        """Begin to take calls.

        Raises:
            ConfigError: certificate or key cannot be used.
            OSError: the address cannot be listened on.
        """
        listen, tls = self.config.listen, self.config.tls
        context = None if tls is None else server_context(tls, "tls")
        try:
            await self._sources.open(self._resources)
            self._port = await self._listener.start(listen.host, listen.port, tls=context)
        except BaseException:
            await self._close_tools()
            raise
        self._dialer.start()
        self.lag_watch.start()
        _log.info("gateway started", port=self._port, agents=list(self.config.agents))

    async def drain(self, seconds: float | None = None) -> None:
        """Take no new calls and wait for those that are; end what is left after so many seconds.

        Probes go on being answered, `/readyz` with 503. The configuration says how long, unless `seconds` does.
        """
        self._draining = True
        self._dialer.drain()
        limit = self.config.limits.drain_timeout if seconds is None else seconds
        _log.info("draining", calls=self.calls, limit=limit)
        if await self._wait_for_calls(limit):
            return
        _log.warning("ending calls", calls=self.calls, code=DRAINED)
        for call in list(self._calls):
            call.drain(LAST_WORDS)
        await self._wait_for_calls(LAST_WORDS)

    async def stop(self) -> None:
        """Stop at once; calls that are left lose their sockets."""
        self._draining = True
        await self._listener.stop()
        await self._dialer.close()
        self.lag_watch.stop()
        await self._close_tools()
        _log.info("gateway stopped")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _close_tools(self) -> None:
        await asyncio.gather(*(tools.close() for tools in self._tools.values()))
        await self._sources.close()
        await self._resources.http.close()
        if self._resources.genesys is not None:
            await self._resources.genesys.close()

    def _not_ready(self) -> str | None:
        return self._closed() or self.admission.not_ready()

    def _closed(self) -> str | None:
        return "draining" if self._draining else None

    async def _serve_call(self, upgrade: UpgradeRequest, socket: AudioHookSocket) -> None:
        call = CallTask(upgrade, socket, self._services)
        self._calls.add(call)
        self._no_calls.clear()
        try:
            await call.run()
        finally:
            self._calls.discard(call)
            if not self._calls:
                self._no_calls.set()

    async def _wait_for_calls(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._no_calls.wait()
        except TimeoutError:
            return False
        return True


def _tool_sets(config: Config) -> dict[str, ToolSet]:
    given = config.limits
    limits = ToolLimits(timeout=given.tool_timeout, max_calls=given.max_tool_calls, max_running=given.max_running_tools)
    return {name: ToolSet(agent.tool_entries, limits=limits) for name, agent in config.agents.items()}


def _warm_agents(config: Config, tools: Mapping[str, ToolSet]) -> dict[str, WarmAgent]:
    def settings(name: str, agent: Agent) -> SessionConfig:
        return warm_session(agent, tools[name].tools)

    return {
        name: WarmAgent(agent.model, functools.partial(settings, name, agent))
        for name, agent in config.agents.items()
        if agent.mode == "talk"
    }


def _access_key(name: str, key: KeyConfig) -> AccessKey:
    return AccessKey(
        key.key(),
        organizations=None if key.organizations is None else frozenset(str(one).lower() for one in key.organizations),
        agents=None if key.agents is None else frozenset(key.agents),
        name=name,
    )


def _listener_limits(limits: LimitsConfig) -> ListenerLimits:
    return ListenerLimits(
        max_sockets=limits.max_calls + SPARE_SOCKETS if limits.max_sockets is None else limits.max_sockets,
        max_handshakes=limits.max_handshakes,
        max_handshakes_per_address=limits.max_handshakes_per_address,
    )


def _safety_key(config: Config) -> bytes:
    """Return what callers' numbers are hashed with: the same in every process that has the same OpenAI key."""
    for provider in config.usable_providers:
        if provider.api_key is not None:
            secret = provider.api_key.get_secret_value().encode()
            return hmac.new(secret, b"offhook safety identifier", hashlib.sha256).digest()
    return secrets.token_bytes(32)
