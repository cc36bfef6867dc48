"""The nonces seen so far: each lets one request in, once (trap 21)."""

from typing import Protocol


class NonceCache(Protocol):
    """Remembers nonces for as long as a signature can be replayed."""

    def remember(self, key_id: str, nonce: str, now: float) -> bool:
        """Return True if the nonce is new for this key (and is remembered from now on), at ``now`` Unix seconds."""


class NonceMemory:
    """A bounded :class:`NonceCache` in memory.

    ``ttl`` is in seconds and must span the whole time in which a signature is accepted
    (:attr:`offhook.httpsig.Verifier.replay_window`). Only requests with a right signature get this far, so nobody
    without a secret can fill the memory; should it ever be full of live nonces, new ones are refused rather than old
    ones forgotten.
    """

    def __init__(self, ttl: float = 16.0, capacity: int = 100_000) -> None:
        self._ttl = ttl
        self._capacity = capacity
        # Insertion order is the order of expiry, as long as the clock does not step back; then some stay longer.
        self._expiry: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        return len(self._expiry)

    def remember(self, key_id: str, nonce: str, now: float) -> bool:
        """Return True if the nonce is new for this key (and is remembered from now on), at ``now`` Unix seconds."""
        self._forget(now)
        entry = (key_id, nonce)
        if entry in self._expiry or len(self._expiry) >= self._capacity:
            return False
        self._expiry[entry] = now + self._ttl
        return True

    def _forget(self, now: float) -> None:
        while self._expiry:
            oldest = next(iter(self._expiry))
            if self._expiry[oldest] >= now:
                return
            del self._expiry[oldest]
