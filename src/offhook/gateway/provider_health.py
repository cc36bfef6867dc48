"""Keeps calls from waiting for a provider that does not work: its circuit breakers, shared by all calls.

A provider that *fails* (it cannot be reached, is overloaded, loses our calls) rests for a while, and then one call
tries it. One that *refuses* us (key, quota, model, request) does so for whom it told so: a model or a setting of one
agent may be all that is wrong, and the other agents go on with it. What refuses one call must not end all others, so a
provider that takes an agent's sessions has credit for that agent: while it lasts, a refusal counts as a failure.
"""

from typing import Literal

from offhook.telemetry.logging import get_logger
from offhook.tools.breaker import Breaker

MAX_FAILURES = 3
"""Failures in a row after which a provider rests."""

REST = 30.0
"""Seconds that it rests."""

REFUSED_REST = 60.0
"""Seconds after a refusal: time does not heal it, but an operator may, at the provider's."""

MAX_CREDIT = 3
"""Refusals that a provider may be forgiven: as many as it has taken sessions, up to this."""

State = Literal["ok", "resting", "unusable"]

_log = get_logger("offhook.gateway.dialer")


class ProviderHealth:
    """What is known of one provider; time is an argument, in monotonic seconds.

    Args:
        provider: its name, for the log.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._breaker = Breaker(MAX_FAILURES, REST)
        self._refusals: dict[str, Breaker] = {}
        """By agent; "" = for all of them."""
        self._credit: dict[str, int] = {}
        """By agent."""
        self._refused = False
        """Its last word was a refusal."""
        self.failing = False
        """Its last word was a failure."""

    @property
    def status(self) -> State:
        """How it does, all agents together."""
        if self._breaker.open:
            return "resting"
        return "unusable" if self._refused else "ok"

    @property
    def due_at(self) -> float:
        """When it is to be tried again, while it rests."""
        return self._breaker.trial_at

    def state(self, agent: str) -> State:
        """How it does for one agent."""
        if self._refusals_of(agent):
            return "unusable"
        return "resting" if self._breaker.open else "ok"

    def admit(self, agent: str, now: float) -> bool:
        """Tell whether a call of this agent may try it; a yes after a rest is the one trial."""
        breakers = self._refusals_of(agent)
        if self._breaker.open:
            breakers.append(self._breaker)
        if any(now < breaker.trial_at for breaker in breakers):
            return False
        return all(breaker.admit(now) for breaker in breakers)

    def ready(self, agent: str) -> None:
        """It took an agent's session."""
        before = self.status
        self.failing = self._refused = False
        self._breaker.record_success()
        self._forgive(agent)
        self._credit[agent] = min(MAX_CREDIT, self._credit.get(agent, 0) + 1)
        if before != "ok":
            _log.info("provider works again", provider=self._provider)

    def failed(self, agent: str, code: str, detail: str, now: float) -> None:
        """It cannot be reached, or lost a session: another attempt may help."""
        first, self.failing = not self.failing, True
        self._forgive(agent)  # whether it would still refuse us is not known any more
        if self._breaker.record_failure(now):
            _log.warning("provider rests", provider=self._provider, code=code, detail=detail or None, seconds=REST)
        elif first:
            _log.warning("provider failed", provider=self._provider, code=code, detail=detail or None)

    def refused(self, agent: str, code: str, detail: str, now: float) -> None:
        """It refused an agent's session, or all with agent "": the same attempt will fail again."""
        self._credit[agent] = max(0, self._credit.get(agent, 0) - 1)
        if self._credit[agent]:
            self.failed(agent, code, detail, now)
            return
        self._refused = True
        self._breaker.record_success()  # it answers
        if self._refusals.setdefault(agent, Breaker(1, REFUSED_REST)).record_failure(now):
            _log.warning(
                "provider refuses",
                provider=self._provider,
                agent=agent or None,
                code=code,
                detail=detail or None,
                seconds=REFUSED_REST,
            )

    def _refusals_of(self, agent: str) -> list[Breaker]:
        return [self._refusals[name] for name in dict.fromkeys((agent, "")) if name in self._refusals]

    def _forgive(self, agent: str) -> None:
        self._refusals.pop(agent, None)
        self._refusals.pop("", None)
