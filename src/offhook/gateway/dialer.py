"""Opens the Realtime leg: the providers in order of preference, each with its own deadline."""

import ssl
from collections.abc import Sequence
from typing import Literal

from offhook.agents import safety_identifier
from offhook.config import ProviderConfig
from offhook.gateway.link import DialledLink, LinkConnector, RealtimeConnectError
from offhook.gateway.providers import endpoint
from offhook.gateway.realtime_link import connect as connect_with_picows
from offhook.telemetry.logging import get_logger

CONNECT_DEADLINE = 8.0
"""Seconds for one attempt; 2.4 to 4.6 were measured over the Internet (openai-realtime.md §7)."""

NO_PROVIDER = "OH-CONN-09"

_log = get_logger("offhook.gateway.dialer")


class Dialer:
    """Opens Realtime links.

    Args:
        providers: in order of preference; the next one is tried when one cannot be had.
        safety_key: what callers' numbers are hashed with.
        connect: opens one link.
        ssl_context: trust of the process for wss; None = the default of the platform.
        deadline: seconds for one attempt.
    """

    def __init__(
        self,
        providers: Sequence[ProviderConfig],
        *,
        safety_key: bytes,
        connect: LinkConnector = connect_with_picows,
        ssl_context: ssl.SSLContext | None = None,
        deadline: float = CONNECT_DEADLINE,
    ) -> None:
        self._providers = tuple(providers)
        self._safety_key = safety_key
        self._connect = connect
        # One context for all links: making one reads the whole trust store.
        self._ssl_context = ssl_context if ssl_context is not None else ssl.create_default_context()
        self._deadline = deadline

    async def dial(self, agent: str, model: str, ani: str) -> DialledLink:
        """Connect for an agent's model and a caller's number; RealtimeConnectError is the last provider's."""
        identifier = safety_identifier(ani, self._safety_key)
        failure = RealtimeConnectError(NO_PROVIDER, "no provider is configured", retryable=False)
        for provider in self._providers:
            place = endpoint(provider, model, safety_identifier=identifier)
            try:
                link = await self._connect(
                    place.url, place.headers, deadline=self._deadline, ssl_context=self._ssl_context
                )
                return DialledLink(link, provider.name)
            except RealtimeConnectError as error:
                _log.warning("provider failed", provider=provider.name, code=error.code, detail=error.detail)
                failure = error
        raise failure

    def report(self, provider: str, verdict: Literal["ready", "failed", "unusable"], code: str) -> None:
        """Learn how a leg of a provider has done."""
