"""Keeps calls from waiting for a tool that does not work."""

#: Failures in a row after which a tool is left alone.
MAX_FAILURES = 5
#: Seconds that it is left alone, before one call tries it again.
REST = 30.0


class Breaker:
    """The circuit breaker of one tool: closed while it works, open after failures in a row, then one trial at a time.

    A trial whose outcome is never recorded, because its call ended, makes room for the next after another rest.

    Args:
        failures: how many in a row open it.
        rest: seconds that it stays open.
    """

    def __init__(self, failures: int = MAX_FAILURES, rest: float = REST) -> None:
        self._limit = failures
        self._rest = rest
        self._failures = 0
        self._trial_at = 0.0

    @property
    def open(self) -> bool:
        """Too many failures in a row, and no success since."""
        return self._failures >= self._limit

    @property
    def trial_at(self) -> float:
        """When the next trial may be, in seconds, while it is open."""
        return self._trial_at

    def admit(self, now: float) -> bool:
        """Tell whether the tool may be run at `now`, in seconds; a yes after the rest is the one trial."""
        if not self.open:
            return True
        if now < self._trial_at:
            return False
        self._trial_at = now + self._rest
        return True

    def record_success(self) -> None:
        """The tool's back end answered."""
        self._failures = 0

    def record_failure(self, now: float) -> bool:
        """The tool's back end failed; return whether that has just opened the circuit."""
        was_open = self.open
        self._failures += 1
        if self.open:
            self._trial_at = now + self._rest
        return self.open and not was_open
