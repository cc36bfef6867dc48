"""How often a server may send to Genesys (audiohook.md §5).

Two token buckets, text and binary, each 5 messages a second on average with a burst of 25. A part of the text bucket is
kept for the messages that must not wait: a `pong` or `closed` that comes late costs the call, a transcript does not.
"""

TEXT_RATE = 5.0
TEXT_BURST = 25
BINARY_RATE = 5.0
BINARY_BURST = 25
TEXT_RESERVE = 3
"""Text messages kept for opened, pong, updated, disconnect, closed and barge_in."""
PAUSE_RATE = 2.0
PAUSE_BURST = 4
"""`pause` and `resume` have a limit of their own, each."""

DEFAULT_RETRY_AFTER = 1.0
"""Seconds to wait after a 429 that names no time."""
MAX_RETRY_AFTER = 30.0
"""Longest wait taken over from a 429: beyond it the caller hears nothing anyway."""

_EPSILON = 1e-9


class TokenBucket:
    """A budget of `burst` messages that refills at `rate` messages a second.

    The bucket is full when first used. A clock that goes back refills nothing.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: float | None = None

    def available(self, now: float) -> float:
        """Return how many messages may go at `now`; negative after `spend` went into debt."""
        at = self._at
        if at is None:
            self._at = now
        elif now > at:
            self._tokens = min(self._burst, self._tokens + (now - at) * self._rate)
            self._at = now
        return self._tokens

    def take(self, now: float, n: float = 1, reserve: float = 0) -> bool:
        """Use `n` messages if that leaves `reserve`; say whether it was done."""
        if self.available(now) - n < reserve - _EPSILON:
            return False
        self._tokens -= n
        return True

    def spend(self, now: float, n: float = 1) -> None:
        """Use `n` messages whether they are there or not: for what must go out at once."""
        self._tokens = self.available(now) - n

    def ready_at(self, now: float, reserve: float = 0) -> float:
        """Return the time from which `take(reserve=reserve)` succeeds; `now` if it does already."""
        missing = 1 + reserve - self.available(now)
        return now + missing / self._rate if missing > _EPSILON else now


class SendBudget:
    """What a server session may still send, with the 429 brake."""

    __slots__ = ("_binary", "_pause", "_resume", "_text", "_throttled_until")

    def __init__(self) -> None:
        self._text = TokenBucket(TEXT_RATE, TEXT_BURST)
        self._binary = TokenBucket(BINARY_RATE, BINARY_BURST)
        self._pause = TokenBucket(PAUSE_RATE, PAUSE_BURST)
        self._resume = TokenBucket(PAUSE_RATE, PAUSE_BURST)
        self._throttled_until = float("-inf")

    def spend_text(self, now: float) -> None:
        """Count a message that must go out at once: opened, pong, updated, disconnect, closed, barge_in."""
        self._text.spend(now)

    def take_text(self, now: float) -> bool:
        """Take a place for a message that can wait; the reserve stays."""
        return not self.throttled(now) and self._text.take(now, reserve=TEXT_RESERVE)

    def take_pause(self, now: float, *, resume: bool) -> bool:
        """Take a place for `pause` or `resume`."""
        bucket = self._resume if resume else self._pause
        return bucket.available(now) >= 1 and self.take_text(now) and bucket.take(now)

    def take_binary(self, now: float) -> bool:
        """Take a place for an audio message."""
        return not self.throttled(now) and self._binary.take(now)

    def binary_ready_at(self, now: float) -> float:
        """Return the time from which `take_binary` succeeds."""
        return max(self._binary.ready_at(now), self._throttled_until)

    def text_ready_at(self, now: float) -> float:
        """Return the time from which `take_text` succeeds."""
        return max(self._text.ready_at(now, reserve=TEXT_RESERVE), self._throttled_until)

    def throttle(self, retry_after: float | None, now: float) -> None:
        """Obey an ``error`` 429: audio and what can wait stop for `retry_after` seconds, nothing else (trap 50)."""
        wait = DEFAULT_RETRY_AFTER if retry_after is None else min(retry_after, MAX_RETRY_AFTER)
        self._throttled_until = max(self._throttled_until, now + wait)

    def throttled(self, now: float) -> bool:
        """Say whether a 429 is in force."""
        return now < self._throttled_until


class RateWatch:
    """The other side of the limit: what Genesys does when a server sends too often.

    The first message over the limit is met with an ``error`` 429, so is one each second after it. A server that goes
    on all the same is given up (AUDIOHOOK-0012, audiohook.md §5); how often it is warned is not known, 5 is a guess.
    """

    __slots__ = ("_bucket", "_warned_at", "_warnings")

    retry_after = 1.0
    """Seconds that the server is told to wait."""
    max_warnings = 5
    _forgiven_after = 10.0

    def __init__(self) -> None:
        self._bucket = TokenBucket(TEXT_RATE, TEXT_BURST)
        self._warned_at = float("-inf")
        self._warnings = 0

    @property
    def hopeless(self) -> bool:
        """True when warnings did not help."""
        return self._warnings > self.max_warnings

    def exceeded(self, now: float) -> bool:
        """Count a message; say whether the server is to be warned because of it."""
        if self._bucket.take(now) or now < self._warned_at + self.retry_after:
            return False
        forgiven = now > self._warned_at + self._forgiven_after
        self._warnings = 1 if forgiven else self._warnings + 1
        self._warned_at = now
        return True
