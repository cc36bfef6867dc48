"""Genesys' playback queue, with the clock of whoever uses it."""

BYTES_PER_SECOND = 8000


class Playback:
    """Genesys' queue: plays what came in real time, `delay` seconds after it came into an idle queue."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.received = 0
        self.most_unplayed = 0.0
        self.flushed: list[float] = []
        """Seconds of audio that each flush threw away."""
        self._begins = self._ends = float("-inf")

    def put(self, length: int, now: float) -> bool:
        """Queue audio; tell whether the queue was idle."""
        idle = now >= self._ends
        if idle:
            self._begins = self._ends = now + self.delay
        self._ends += length / BYTES_PER_SECOND
        self.received += length
        self.most_unplayed = max(self.most_unplayed, self.unplayed(now))
        return idle

    def flush(self, now: float) -> None:
        self.flushed.append(self.unplayed(now))
        self._ends = min(self._ends, now)

    def unplayed(self, now: float) -> float:
        return max(0.0, self._ends - max(now, self._begins))

    @property
    def begins(self) -> float:
        return self._begins

    @property
    def ends(self) -> float:
        return self._ends
