"""Opens the Realtime leg: the providers in order of preference, the next one beside a slow one.

An attempt has its deadline. A provider that fails makes place for the next at once; one that has not answered within
the head start gets company, and who connects first wins. What is known of a provider (`provider_health`) is shared by
all calls, so that not each of them has to find out for itself. When calls connect all at once, because they have lost
their legs all at once, neither the provider nor our event loop is to be stormed: handshakes have a limit, and attempts
after a failure are spread a little.
"""

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from offhook.agents import safety_identifier
from offhook.config import ProviderConfig, WarmConfig
from offhook.gateway.link import ClosingLinks, DialledLink, LinkConnector, RealtimeConnectError, RealtimeLink, Verdict
from offhook.gateway.provider_health import ProviderHealth, State
from offhook.gateway.providers import endpoint
from offhook.gateway.realtime_link import connect as connect_with_picows
from offhook.gateway.warm_pool import WarmAgent, WarmPool

MAX_HANDSHAKES = 64
"""With one provider at a time. TLS takes a millisecond or two of our loop each, and 64 may answer at once."""

SLOT_TIMEOUT = 5.0
"""Seconds that an attempt waits for its turn."""

MAX_JITTER = 0.2
"""Seconds by which attempts are spread that follow a failure."""

NO_PROVIDER = "OH-CONN-09"
TOO_MANY = "OH-CONN-10"
ALL_REST = "OH-CONN-11"
SLOW = "OH-CONN-02"


@dataclass(frozen=True, slots=True, eq=False)
class _Provider:
    config: ProviderConfig
    health: ProviderHealth
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_HANDSHAKES))

    @property
    def name(self) -> str:
        return self.config.name


@dataclass(slots=True, eq=False)
class _Attempt:
    """One handshake of a dial."""

    provider: _Provider
    began: float | None = None
    """When it left; None while it waits for its turn."""


class Dialer:
    """Opens Realtime links.

    Args:
        providers: in order of preference, each with a name of its own.
        safety_key: what callers' numbers are hashed with.
        deadline: seconds for one handshake.
        head_start: seconds after which the next provider is tried beside it.
        connect: opens one link.
        ssl_context: trust of the process for wss; None = the default of the platform.
        warm: connections that stand before there is a call.
        warm_agents: who gets them, by the agent's name.
        clock: monotonic seconds.
        spread: a number between two others, by chance.
    """

    def __init__(
        self,
        providers: Sequence[ProviderConfig],
        *,
        safety_key: bytes,
        deadline: float,
        head_start: float,
        connect: LinkConnector = connect_with_picows,
        ssl_context: ssl.SSLContext | None = None,
        warm: WarmConfig | None = None,
        warm_agents: Mapping[str, WarmAgent] | None = None,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._providers = tuple(_Provider(config, ProviderHealth(config.name)) for config in providers)
        self._by_name = {provider.name: provider for provider in self._providers}
        self._safety_key = safety_key
        self._connect = connect
        # One context for all links: making one reads the whole trust store.
        self._ssl_context = ssl_context if ssl_context is not None else ssl.create_default_context()
        self._deadline = deadline
        self._head_start = head_start
        self._clock = clock
        self._spread = spread
        self._closing = ClosingLinks()
        self._pool = WarmPool(
            warm_agents or {},
            warm or WarmConfig(),
            connect=self._dial_warm,
            report=self.report,
            closing=self._closing,
            clock=clock,
            spread=spread,
        )

    # The gateway starts and stops.

    def start(self) -> None:
        """Begin to keep warm connections, if there are to be any; needs a running event loop."""
        self._pool.start()

    def drain(self) -> None:
        """No further calls will come: close the warm connections. Calls that are may still dial."""
        self._pool.stop()

    async def close(self) -> None:
        """Close all that is not in a call; returns when its sockets are gone."""
        await self._pool.close()
        await self._closing.wait()

    def status(self) -> dict[str, State]:
        """How each provider does, by its name."""
        return {provider.name: provider.health.status for provider in self._providers}

    @property
    def warm(self) -> dict[str, int]:
        """How many warm connections wait for a call, by agent."""
        return self._pool.waiting

    # What calls ask for.

    async def dial(self, agent: str, model: str, ani: str) -> DialledLink:
        """Connect for an agent, its model and a caller's number (see `link.RealtimeDialer`)."""
        warm = self._pool.take(agent, model)
        if warm is not None:
            return warm
        return await self._race(agent, model, safety_identifier(ani, self._safety_key))

    def report(self, provider: str, verdict: Verdict, code: str, agent: str = "") -> None:
        """Learn how a leg of a provider has done (see `link.RealtimeDialer`)."""
        known = self._by_name.get(provider)
        if known is None:
            return
        if verdict == "ready":
            known.health.ready(agent)
        elif verdict == "failed":
            self._note_failure(known, agent, code)
        else:
            self._note_refusal(known, agent, code)

    # One dial.

    async def _race(self, agent: str, model: str, identifier: str) -> DialledLink:
        order = self._order(agent)
        running: dict[asyncio.Task[RealtimeLink], _Attempt] = {}
        failures: list[RealtimeConnectError] = []
        try:
            while True:
                provider = next(order, None)
                if provider is not None:
                    attempt = _Attempt(provider)
                    running[asyncio.ensure_future(self._try(attempt, agent, model, identifier))] = attempt
                elif not running:
                    raise self._given_up(agent, failures)
                patience = None if provider is None else self._head_start
                await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in running if task.done()]:
                    attempt = running.pop(task)
                    try:
                        link = task.result()
                    except RealtimeConnectError as error:
                        failures.append(error)
                    else:
                        self._note_slow(running.values(), agent)
                        return DialledLink(link, attempt.provider.name)
        finally:
            for task in running:
                self._closing.discard(task)

    def _order(self, agent: str) -> Iterator[_Provider]:
        """Yield whom to try, as late as possible: who rests may not be needed, and what is known changes meanwhile."""
        left = list(self._providers)
        for provider in self._providers:
            if provider.health.admit(agent, self._clock()):
                left.remove(provider)
                yield provider
        # A caller who has nobody else is not to wait until a rest is over.
        resting = [provider for provider in left if provider.health.state(agent) == "resting"]
        if resting:
            yield min(resting, key=lambda provider: provider.health.due_at)

    async def _try(self, attempt: _Attempt, agent: str, model: str, identifier: str) -> RealtimeLink:
        """Make one handshake, in its turn; what comes of it is noted."""
        provider = attempt.provider
        if provider.health.failing:
            await asyncio.sleep(self._spread(0.0, MAX_JITTER))
        place = endpoint(provider.config, model, safety_identifier=identifier)
        async with self._slot(provider):
            attempt.began = self._clock()
            try:
                return await self._connect(
                    place.url, place.headers, deadline=self._deadline, ssl_context=self._ssl_context
                )
            except RealtimeConnectError as error:
                if error.retryable:
                    self._note_failure(provider, agent, error.code, error.detail)
                else:
                    self._note_refusal(provider, agent, error.code, error.detail)
                raise

    @contextlib.asynccontextmanager
    async def _slot(self, provider: _Provider) -> AsyncIterator[None]:
        """Wait for a place among the handshakes; one that is slow costs us nothing and makes place for others."""
        try:
            async with asyncio.timeout(SLOT_TIMEOUT):
                await provider.slots.acquire()
        except TimeoutError:
            raise RealtimeConnectError(TOO_MANY, f"no place within {SLOT_TIMEOUT:g} s", retryable=True) from None
        place = contextlib.ExitStack()
        place.callback(provider.slots.release)
        slow = asyncio.get_running_loop().call_later(self._head_start, place.close)
        try:
            yield
        finally:
            slow.cancel()
            place.close()

    def _given_up(self, agent: str, failures: Sequence[RealtimeConnectError]) -> RealtimeConnectError:
        """Return what is told of a dial that failed: whether another may help, and why it failed."""
        if not self._providers:
            return RealtimeConnectError(NO_PROVIDER, "no provider is configured", retryable=False)
        retryable = any(provider.health.state(agent) != "unusable" for provider in self._providers)
        told = [error for error in failures if error.retryable == retryable] or failures
        if not told:
            detail = "every provider failed or refused a short while ago"
            return RealtimeConnectError(ALL_REST, detail, retryable=retryable)
        last = told[-1]
        return RealtimeConnectError(last.code, last.detail, status=last.status, retryable=retryable)

    # What becomes known of a provider.

    def _note_slow(self, losers: Iterable[_Attempt], agent: str) -> None:
        """Others were faster: who had the whole head start and did not answer counts as failed."""
        for loser in losers:
            if loser.began is not None and self._clock() - loser.began >= self._head_start:
                self._note_failure(loser.provider, agent, SLOW, f"no handshake within {self._head_start:g} s")

    def _note_failure(self, provider: _Provider, agent: str, code: str, detail: str = "") -> None:
        provider.health.failed(agent, code, detail, self._clock())
        self._pool.drop(provider.name)

    def _note_refusal(self, provider: _Provider, agent: str, code: str, detail: str = "") -> None:
        provider.health.refused(agent, code, detail, self._clock())
        self._pool.drop(provider.name)

    # Warm connections.

    async def _dial_warm(self, agent: str, model: str) -> DialledLink:
        """Connect to the first provider that does not rest; nobody waits, so nobody is tried beside it."""
        for provider in self._providers:
            if provider.health.admit(agent, self._clock()):
                link = await self._try(_Attempt(provider), agent, model, "")
                return DialledLink(link, provider.name)
        raise self._given_up(agent, ())
