"""What the Genesys leg's WebSocket looks like to a call."""

from typing import Protocol


class AudioHookSocket(Protocol):
    """An accepted WebSocket of Genesys."""

    async def receive(self) -> str | bytes | None:
        """Return the next message, str for text and bytes for binary; None once the socket is gone."""

    def send(self, message: str | bytes) -> None:
        """Write a message without waiting; ignored once the socket is gone."""

    @property
    def unsent(self) -> int:
        """Bytes that wait because the peer, or the way to it, does not take them."""

    async def close(self, code: int = 1000) -> None:
        """Close the socket; drop it when the peer does not play along."""

    def abort(self) -> None:
        """Drop the socket at once; what was not sent is lost."""

    @property
    def close_code(self) -> int | None:
        """How the peer closed, or None if it did not say."""
