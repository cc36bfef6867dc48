"""When a call has lasted long enough: duration, turns of the caller, cost."""

from offhook.bridge.plan import CallLimits

MAX_DURATION, MAX_TURNS, MAX_COST = "max_duration", "max_turns", "max_cost"
WARNING = "The call has to end in about {seconds} seconds. Bring it to a good end; do not begin anything new."
"""What the model is told before the end; it says nothing of it by itself."""


class Limits:
    """The limits of one call.

    Args:
        settings: What is allowed.
        now: Monotonic seconds of `opened`.
    """

    def __init__(self, settings: CallLimits, now: float) -> None:
        self.settings = settings
        self._began = now
        self._turns = 0
        self._warned = settings.warn_before <= 0

    def turn(self) -> None:
        """The caller has said something."""
        self._turns += 1

    def session_lost(self) -> None:
        """The model is another one, and has not been warned."""
        self._warned = self.settings.warn_before <= 0

    def reached(self, now: float, cost: float | None) -> str | None:
        """Which limit is reached, if any.

        Args:
            now: Monotonic seconds.
            cost: US dollars so far; None = not known.
        """
        limits = self.settings
        if self.ends_at is not None and now >= self.ends_at:
            return MAX_DURATION
        if limits.max_turns is not None and self._turns > limits.max_turns:
            return MAX_TURNS
        if limits.max_cost is not None and cost is not None and cost >= limits.max_cost:
            return MAX_COST
        return None

    def warning(self, now: float) -> str | None:
        """What the model is to be told now, once."""
        at, end = self._warning_at(), self.ends_at
        if at is None or end is None or now < at:
            return None
        self._warned = True
        return WARNING.format(seconds=round(end - now))

    def next_timer(self) -> float | None:
        """When `warning` or `reached` has something to say, as far as time decides."""
        at = self._warning_at()
        return self.ends_at if at is None else at

    @property
    def ends_at(self) -> float | None:
        """When the time of the call is over."""
        return None if self.settings.max_duration is None else self._began + self.settings.max_duration

    def _warning_at(self) -> float | None:
        end = self.ends_at
        return None if self._warned or end is None else max(end - self.settings.warn_before, self._began)
