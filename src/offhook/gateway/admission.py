"""How many calls there may be at a time, and how many may begin: of the process, a key, an organization, an agent.

A call beyond a limit is refused in the protocol: it gets a `disconnect` with a code as soon as it sends `open`, which
Genesys tries again a little later (audiohook.md §1.5); a refused upgrade it would not.

What is counted is a socket, from its `open` until it is gone, and never a conversation: an attempt that Genesys repeats
may have its first socket still standing. Connection probes are no calls.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from offhook.agents.handling import AgentLimits
from offhook.audiohook.pacing import TokenBucket
from offhook.config.schema import CallLimitConfig, Config, LimitsConfig

PROCESS_LIMIT = "OH-LIMIT-01"
KEY_LIMIT = "OH-LIMIT-02"
ORGANIZATION_LIMIT = "OH-LIMIT-03"
AGENT_LIMIT = "OH-LIMIT-04"
OVERLOADED = "OH-LIMIT-05"

BURST = 2.0
"""Seconds' worth of calls that may begin at once, unless `opens_burst` says how many."""
MAX_ACCOUNTS = 4096
"""Scopes that are remembered; beyond, organizations without calls are forgotten."""
MAX_NAME = 64
"""Longest organization ID that is counted as one of its own; a UUID has 36 characters."""
OTHER = "other"
"""Organizations whose ID is longer are counted as this one."""

Kind = Literal["process", "key", "organization", "agent"]

_CODES: Mapping[Kind, str] = {
    "process": PROCESS_LIMIT,
    "key": KEY_LIMIT,
    "organization": ORGANIZATION_LIMIT,
    "agent": AGENT_LIMIT,
}
_OWNERS: Mapping[Kind, str] = {
    "process": "the gateway",
    "key": "the API key",
    "organization": "the organization",
    "agent": "the agent",
}


class Scope(NamedTuple):
    """What calls are counted for."""

    kind: Kind
    name: str


PROCESS = Scope("process", "")


@dataclass(frozen=True, slots=True)
class CallLimit:
    """Bounds of one scope; None = none."""

    max_calls: int | None = None
    """Calls at a time."""
    max_opens_per_second: float | None = None
    """Calls that begin, on average."""
    opens_burst: int | None = None
    """Calls that may begin at once; None = two seconds' worth, at least one."""

    def bucket(self) -> TokenBucket | None:
        """Return a full bucket for the calls that begin; None = they have no limit."""
        rate = self.max_opens_per_second
        if rate is None:
            return None
        return TokenBucket(rate, max(1.0, BURST * rate) if self.opens_burst is None else self.opens_burst)


UNLIMITED = CallLimit()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """The limits of all scopes."""

    process: CallLimit = UNLIMITED
    keys: Mapping[str, CallLimit] = field(default_factory=dict)
    """By the name of the key; a key that is not there has none."""
    organization: CallLimit = UNLIMITED
    """Of each organization."""
    agents: Mapping[str, CallLimit] = field(default_factory=dict)
    """By name."""

    def of(self, scope: Scope) -> CallLimit:
        """Return the limit of a scope."""
        match scope.kind:
            case "process":
                return self.process
            case "key":
                return self.keys.get(scope.name, UNLIMITED)
            case "organization":
                return self.organization
            case "agent":
                return self.agents.get(scope.name, UNLIMITED)


class NotAdmitted(Exception):
    """A call is refused because of a limit.

    ``code`` is in :mod:`offhook.errors`; ``info`` is one line for `disconnect`: it names the limit and nobody's key.
    """

    def __init__(self, code: str, info: str) -> None:
        super().__init__(f"{code} {info}")
        self.code = code
        self.info = info


def call_limits(config: Config) -> CallLimits:
    """Return the limits of a configuration."""
    return CallLimits(
        process=_limit(config.limits),
        keys={name: _limit(key.limits) for name, key in config.named_keys().items()},
        organization=_limit(config.limits.per_organization),
        agents={name: _limit(agent.limits) for name, agent in config.agents.items()},
    )


def _limit(settings: CallLimitConfig | LimitsConfig | AgentLimits) -> CallLimit:
    return CallLimit(settings.max_calls, settings.max_opens_per_second, settings.opens_burst)


class _Account:
    """Calls of one scope, and the budget of those that begin."""

    __slots__ = ("bucket", "calls", "limit", "scope")

    def __init__(self, scope: Scope, limit: CallLimit) -> None:
        self.scope = scope
        self.calls = 0
        self.limit = limit
        self.bucket = limit.bucket()


class Place:
    """A call that is counted, until `release`."""

    __slots__ = ("_release",)

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """The call is over; more than once does no harm."""
        release, self._release = self._release, None
        if release is not None:
            release()


class AdmissionControl:
    """Counts calls and refuses those beyond a limit.

    Args:
        limits: the limits.
        overloaded: tells that the process is too busy to take another call.
        calls_elsewhere: calls of other processes that count for a scope, too; by default none. It is asked for every
            call that wants in, so it must know the answer without waiting.
        changed: told of the calls of a scope whenever they are other ones, for other processes to know.
    """

    def __init__(
        self,
        limits: CallLimits | None = None,
        *,
        overloaded: Callable[[], bool] = lambda: False,
        calls_elsewhere: Callable[[Scope], int] = lambda scope: 0,
        changed: Callable[[Scope, int], None] = lambda scope, calls: None,
    ) -> None:
        self._limits = limits if limits is not None else CallLimits()
        self._overloaded = overloaded
        self._calls_elsewhere = calls_elsewhere
        self._changed = changed
        self._accounts: dict[Scope, _Account] = {}
        self._tidy_at = MAX_ACCOUNTS

    def set_limits(self, limits: CallLimits) -> None:
        """Go by other limits from now on; calls that are counted stay counted."""
        self._limits = limits
        for scope, account in self._accounts.items():
            if (limit := limits.of(scope)) != account.limit:
                account.limit, account.bucket = limit, limit.bucket()

    @property
    def calls(self) -> int:
        """Calls of this process."""
        account = self._accounts.get(PROCESS)
        return account.calls if account is not None else 0

    def counts(self) -> dict[Scope, int]:
        """Return the calls of this process by scope; a scope that is not there has none."""
        return {scope: account.calls for scope, account in self._accounts.items() if account.calls}

    def not_ready(self) -> str | None:
        """Say why the next call would be refused, whoever it is from; None = it would not."""
        if self._overloaded():
            return "overloaded"
        most = self._limits.process.max_calls
        if most is not None and self.calls + self._calls_elsewhere(PROCESS) >= most:
            return "too many calls"
        return None

    def admit(self, *, key: str, organization: str, agent: str, now: float) -> Place:
        """Count a call, unless that would break a limit: then nothing is counted for anybody.

        Args:
            key: name of the API key, never the key.
            organization: organization ID as the peer sends it.
            agent: name of the agent.
            now: monotonic seconds.

        Raises:
            NotAdmitted: a limit is reached, or the process is overloaded.
        """
        if self._overloaded():
            raise NotAdmitted(OVERLOADED, "the gateway is overloaded")
        if len(self._accounts) >= self._tidy_at:
            self._tidy()
        organization = organization.lower() if len(organization) <= MAX_NAME else OTHER
        scopes = (PROCESS, Scope("key", key), Scope("organization", organization), Scope("agent", agent))
        accounts = [(scope, self._account(scope)) for scope in scopes]
        for scope, account in accounts:
            self._check(scope, account, now)
        taken = [account for _, account in accounts]
        for account in taken:
            self._count(account, 1)
            if account.bucket is not None:
                account.bucket.spend(now)
        return Place(lambda: self._release(taken))

    def _count(self, account: _Account, calls: int) -> None:
        account.calls += calls
        self._changed(account.scope, account.calls)

    def _release(self, accounts: Iterable[_Account]) -> None:
        for account in accounts:
            self._count(account, -1)

    def _check(self, scope: Scope, account: _Account, now: float) -> None:
        limit, owner = account.limit, _OWNERS[scope.kind]
        if limit.max_calls is not None and account.calls + self._calls_elsewhere(scope) >= limit.max_calls:
            raise NotAdmitted(_CODES[scope.kind], f"{owner} may have no more than {limit.max_calls} calls at a time")
        if account.bucket is not None and account.bucket.available(now) < 1:
            rate = limit.max_opens_per_second
            raise NotAdmitted(_CODES[scope.kind], f"{owner} may open no more than {rate:g} calls a second")

    def _account(self, scope: Scope) -> _Account:
        account = self._accounts.get(scope)
        if account is None:
            account = self._accounts[scope] = _Account(scope, self._limits.of(scope))
        return account

    def _tidy(self) -> None:
        """Forget organizations without calls: they are the peer's to name, so there may be any number of them."""
        self._accounts = {
            scope: account for scope, account in self._accounts.items() if account.calls or scope.kind != "organization"
        }
        self._tidy_at = max(MAX_ACCOUNTS, 2 * len(self._accounts))
