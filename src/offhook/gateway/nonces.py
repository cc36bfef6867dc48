"""Where the gate asks whether a nonce is new: in this process, or in the one memory of all workers."""

from typing import Protocol

from offhook.httpsig import NonceMemory, Verifier


class NoncesUnknown(Exception):
    """It could not be found out whether a nonce is new; the request is refused."""


class Nonces(Protocol):
    """Remembers nonces; asking may take a moment, where the memory is elsewhere."""

    async def remember(self, key_id: str, nonce: str, now: float) -> bool:
        """Return True if the nonce is new for this key (and is remembered from now on), at ``now`` Unix seconds.

        Raises:
            NoncesUnknown: that cannot be found out within the deadline.
        """
        ...


class OwnNonces:
    """Nonces in the memory of this process."""

    def __init__(self) -> None:
        self._memory = NonceMemory(ttl=Verifier().replay_window)

    async def remember(self, key_id: str, nonce: str, now: float) -> bool:
        """Return True if the nonce is new for this key; never waits."""
        return self._memory.remember(key_id, nonce, now)
