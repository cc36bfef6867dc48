"""What to do when the model fails to answer: ask again, a little later each time, and give up after the second time.

A response that fails or stays silent leaves the caller in silence, and no `error` event tells of it (openai-realtime.md
§6, trap 25: rate limits show only there).
"""

DELAYS = (0.5, 2.0)
"""Seconds until the first and the second repetition."""


class Retries:
    """The failures in a row of one call."""

    def __init__(self) -> None:
        self._failures = 0
        self._tag: str | None = None
        self._due = 0.0

    def failed(self, tag: str, now: float) -> bool:
        """A response failed; False when it has been tried often enough.

        Args:
            tag: What to ask for again.
            now: Monotonic seconds.
        """
        self._failures += 1
        if self._failures > len(DELAYS):
            return False
        self._tag = tag
        self._due = now + DELAYS[self._failures - 1]
        return True

    def succeeded(self) -> None:
        """The model answered."""
        self._failures = 0
        self._tag = None

    def forget(self) -> None:
        """Something else brings an answer: the caller speaks, or a response began."""
        self._tag = None

    def take(self, now: float) -> str | None:
        """What is to be asked for again now, once."""
        if self._tag is None or now < self._due:
            return None
        tag, self._tag = self._tag, None
        return tag

    @property
    def pending(self) -> bool:
        """A repetition waits for its time."""
        return self._tag is not None

    def wants(self, tag: str) -> bool:
        """This is to be asked for again."""
        return self._tag == tag

    def next_timer(self) -> float | None:
        """When the next repetition is due."""
        return None if self._tag is None else self._due
