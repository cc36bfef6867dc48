"""One generation of the configuration: everything that calls share and that comes from one reading of it.

A call keeps the generation that it began with, so that a new configuration changes nothing under its feet: the same
agent, tools, providers and prices to its end. What a generation has opened is closed when its last call is over.
"""

import asyncio
import contextlib
import functools
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence

from offhook.agents import Agent, warm_session
from offhook.config import Config, KeyConfig
from offhook.gateway.admission import AdmissionControl
from offhook.gateway.auth import AccessKey, Gate
from offhook.gateway.call_task import CallServices
from offhook.gateway.closing import Part, close_in_order
from offhook.gateway.dialer import Dialer
from offhook.gateway.link import LinkConnector
from offhook.gateway.nonces import Nonces
from offhook.gateway.observer import CallObserver, Observers
from offhook.gateway.warm_pool import WarmAgent
from offhook.genesys import PlatformApi
from offhook.realtime import SessionConfig
from offhook.tools import ToolLimits, ToolResources, ToolSet, ToolSources
from offhook.tools.http_clients import HttpClients


class Generation:
    """What calls get of a configuration, and how many of them still use it.

    Args:
        config: the whole configuration.
        nonces: where the gate asks whether a nonce is new; outlives the generation.
        admission: counts the calls of all generations.
        connect: opens the Realtime links.
        observers: watch the calls.
        realtime_tls: trust for wss on the Realtime leg.
        tools_tls: trust for https of the tools.
        trust: trust for https of the Genesys platform.
    """

    def __init__(
        self,
        config: Config,
        *,
        nonces: Nonces,
        admission: AdmissionControl,
        connect: LinkConnector,
        observers: Sequence[CallObserver],
        realtime_tls: ssl.SSLContext,
        tools_tls: ssl.SSLContext,
        trust: ssl.SSLContext,
    ) -> None:
        self.config = config
        keys = (_access_key(name, key) for name, key in config.named_keys().items())
        self.gate = Gate(keys, public_url=config.dialled_url(), nonces=nonces)
        self._tools = _tool_sets(config)
        self.dialer = Dialer(
            config.usable_providers,
            safety_key=_safety_key(config),
            deadline=config.limits.connect_timeout,
            head_start=config.realtime.head_start,
            connect=connect,
            ssl_context=realtime_tls,
            warm=config.realtime.warm,
            warm_agents=_warm_agents(config, self._tools),
        )
        self._sources = ToolSources(source for tools in self._tools.values() for source in tools.sources)
        self._resources = ToolResources(
            http=HttpClients(tls=tools_tls),
            genesys=PlatformApi(config.genesys.access(), tls=trust) if config.genesys is not None else None,
            tool_timeout=config.limits.tool_timeout,
        )
        self.services = CallServices(
            registry=config.registry(),
            dialer=self.dialer,
            tools=self._tools,
            observers=Observers(observers),
            prices=config.price_list(),
            admission=admission,
            idle_timeout=config.limits.idle_timeout,
        )
        self._calls = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def open(self) -> None:
        """Open what the calls need; sources of tools that hang are given up (see `ToolSources.open`)."""
        await self._sources.open(self._resources)
        self.dialer.start()

    @contextlib.contextmanager
    def used(self) -> Iterator[CallServices]:
        """Lend the services to a call; they stay open as long."""
        self._calls += 1
        self._unused.clear()
        try:
            yield self.services
        finally:
            self._calls -= 1
            if not self._calls:
                self._unused.set()

    async def retire(self) -> None:
        """No new calls get it: close it once no call uses it any more."""
        self.dialer.drain()
        await self._unused.wait()
        await self.close()

    async def close(self) -> None:
        """Close everything that was opened, in order and within deadlines; tools that still run are cancelled."""
        genesys = self._resources.genesys
        await close_in_order(
            [
                Part("realtime links", self.dialer.close),
                Part("tools", self._close_tools),
                Part("sources of tools", self._sources.close, deadline=10.0),
                Part("http clients", self._resources.http.close),
                *([] if genesys is None else [Part("genesys platform", genesys.close)]),
            ]
        )

    async def _close_tools(self) -> None:
        await asyncio.gather(*(tools.close() for tools in self._tools.values()))


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


def _safety_key(config: Config) -> bytes:
    """Return what callers' numbers are hashed with: the same in every process that has the same OpenAI key."""
    for provider in config.usable_providers:
        if provider.api_key is not None:
            secret = provider.api_key.get_secret_value().encode()
            return hmac.new(secret, b"offhook safety identifier", hashlib.sha256).digest()
    return secrets.token_bytes(32)
