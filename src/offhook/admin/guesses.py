"""Bounds how often a token can be guessed, for each address and for all together.

Wrong tokens fill a bucket that leaks. While it is full, the address is not listened to. While the bucket of all is
full, only addresses that have shown a right token lately are: nobody is locked out by a flood from elsewhere.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

GUESSES = 10
"""Wrong tokens of one address at once."""
GUESSES_PER_SECOND = 0.2
"""Further ones."""
ALL_GUESSES = 100
"""Wrong tokens of all addresses at once."""
ALL_GUESSES_PER_SECOND = 2.0
MAX_ADDRESSES = 1024
"""Addresses that are remembered, of each kind; then the one that was seen longest ago is forgotten."""
KNOWN_FOR = 86_400.0
"""Seconds for which an address counts as known after a right token."""


@dataclass(slots=True)
class _Bucket:
    capacity: float
    rate: float
    level: float = 0.0
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until there is room for one more; 0 if there is."""
        self.level = max(0.0, self.level - (now - self.at) * self.rate)
        self.at = now
        return max(0.0, (self.level + 1 - self.capacity) / self.rate)


class Guesses:
    """Remembers wrong tokens; times are monotonic seconds."""

    def __init__(self) -> None:
        self._all = _Bucket(ALL_GUESSES, ALL_GUESSES_PER_SECOND)
        self._addresses: OrderedDict[str, _Bucket] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._addresses) + len(self._known)

    def wait(self, remote: str | None, now: float) -> float:
        """Return the seconds for which an address is not listened to; 0 if it is."""
        network = _network(remote)
        bucket = self._addresses.get(network)
        wait = bucket.wait(now) if bucket is not None else 0.0
        if now < self._known.get(network, float("-inf")) + KNOWN_FOR:
            return wait
        return max(wait, self._all.wait(now))

    def wrong(self, remote: str | None, now: float) -> None:
        """Count a wrong token."""
        network = _network(remote)
        bucket = self._addresses.setdefault(network, _Bucket(GUESSES, GUESSES_PER_SECOND, at=now))
        self._addresses.move_to_end(network)
        for one in (bucket, self._all):
            one.wait(now)
            one.level += 1
        if len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)

    def right(self, remote: str | None, now: float) -> None:
        """Remember where a right token came from."""
        network = _network(remote)
        self._known[network] = now
        self._known.move_to_end(network)
        if len(self._known) > MAX_ADDRESSES:
            self._known.popitem(last=False)


def _network(remote: str | None) -> str:
    """Return what counts as one address: of IPv6 the half that a provider gives to one customer."""
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)
