"""A connector that follows a script, for dialers and pools on virtual time."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from offhook.config import ProviderConfig
from offhook.gateway.dialer import Dialer
from offhook.gateway.link import DEFAULT_LIMITS, LinkLimits, RealtimeConnectError, RealtimeLink, timed_out
from tests.unit.gateway.fakes import FakeLink

TLS = ssl.create_default_context()

Behaviour = float | RealtimeConnectError | None
"""Seconds until the handshake is answered, the error that answers at once, or None: it hangs."""


class Connector:
    """Answers by host: with its behaviours in turn, of which the last one stays."""

    make_link: Callable[[], FakeLink] = FakeLink

    def __init__(self, **behaviours: Behaviour | list[Behaviour]) -> None:
        self.behaviours: dict[str, list[Behaviour]] = {}
        for host, given in behaviours.items():
            self.behave(host, *(given if isinstance(given, list) else [given]))
        self.asked: list[tuple[float, str]] = []
        """When which host was asked."""
        self.requests: list[tuple[str, dict[str, str], float]] = []
        self.links: dict[str, list[FakeLink]] = {host: [] for host in self.behaviours}
        self.under_way = self.most = 0
        self.cancelled: list[str] = []

    def behave(self, host: str, *behaviours: Behaviour) -> None:
        self.behaviours[host] = list(behaviours)

    @property
    def hosts(self) -> list[str]:
        return [host for _, host in self.asked]

    async def __call__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        deadline: float,
        ssl_context: ssl.SSLContext | None = None,
        limits: LinkLimits = DEFAULT_LIMITS,
    ) -> RealtimeLink:
        assert ssl_context is not None
        assert ssl_context.verify_mode is ssl.CERT_REQUIRED
        host = url.split("/")[2]
        self.requests.append((url, dict(headers), deadline))
        self.asked.append((round(asyncio.get_running_loop().time(), 6), host))
        script = self.behaviours[host]
        behaviour = script.pop(0) if len(script) > 1 else script[0]
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self._answer(host, behaviour, deadline)
        except asyncio.CancelledError:
            self.cancelled.append(host)
            raise
        finally:
            self.under_way -= 1

    async def _answer(self, host: str, behaviour: Behaviour, deadline: float) -> RealtimeLink:
        if isinstance(behaviour, RealtimeConnectError):
            raise behaviour
        await asyncio.sleep(deadline if behaviour is None else behaviour)
        if behaviour is None:
            raise timed_out(deadline)
        link = self.make_link()
        self.links[host].append(link)
        return link


def provider(name: str, **settings: Any) -> ProviderConfig:
    return ProviderConfig.model_validate(
        {"name": name, "url": f"wss://{name}/realtime", "api_key": f"key-{name}", **settings}
    )


def dialer(connector: Connector, **settings: Any) -> Dialer:
    """Return a dialer for the hosts of a connector, on the time of the running loop and without chance."""
    given: dict[str, Any] = {
        "safety_key": b"k",
        "deadline": 10.0,
        "head_start": 3.0,
        "ssl_context": TLS,
        "clock": asyncio.get_running_loop().time,
        "spread": lambda _low, high: high,
        **settings,
    }
    return Dialer([provider(host) for host in connector.behaviours], connect=connector, **given)
