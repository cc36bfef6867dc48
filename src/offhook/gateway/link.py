"""What the Realtime leg's WebSocket looks like to a call, whichever library carries it."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""The Python clients of others use 8 MiB or no limit at all; one `append` may have 15 MiB (openai-realtime.md §1.6)."""

PING_INTERVAL: Final = 1.5
PONG_TIMEOUT: Final = 2.5
"""Together the time in which a dead peer is found: a caller hears nothing meanwhile."""

CLOSE_TIMEOUT: Final = 1.0
"""Seconds that the peer has to answer our close frame before its socket is dropped."""

GONE_TIMEOUT: Final = 3.0
"""Seconds that sockets have to be gone, all together, when nothing else is left to do."""

ABNORMAL_CLOSURE: Final = 1006
"""RFC 6455: the connection ended without a close frame."""

NO_STATUS: Final = 1005
"""RFC 6455: the close frame had no code."""

NO_PONG: Final = "no pong in time"
NOT_READ: Final = "the peer does not read"
"""Reasons of a loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Bounds of one link; the defaults are those of a real call."""

    max_message_bytes: int = MAX_MESSAGE_BYTES
    """Larger messages, also when they come in fragments, end the link with 1009."""
    max_unsent_bytes: int = 4 * 1024 * 1024
    """When the peer stops reading and this much waits for it, the link counts as lost."""
    ping_interval: float = PING_INTERVAL
    """Seconds without a frame of the peer after which it is pinged."""
    pong_timeout: float = PONG_TIMEOUT
    """Seconds that the peer has for its pong or any other frame."""


DEFAULT_LIMITS = LinkLimits()


class RealtimeConnectError(Exception):
    """The Realtime leg could not be opened."""

    def __init__(self, code: str, detail: str, *, status: int | None = None, retryable: bool) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        """Stable code, `OH-CONN-nn`; see `CONNECT_ERRORS`."""
        self.detail = detail
        """One line for the log, free of credentials and of the peer's text."""
        self.status = status
        """HTTP status of a refused handshake."""
        self.retryable = retryable
        """Another attempt, or another provider, may help."""


CONNECT_ERRORS = {
    "OH-CONN-01": "The Realtime API cannot be reached.",
    "OH-CONN-02": "The Realtime API did not answer the handshake in time.",
    "OH-CONN-03": "The Realtime API's TLS certificate is not trusted.",
    "OH-CONN-04": "The Realtime API refused the credentials.",
    "OH-CONN-05": "The Realtime API is overloaded or out of order.",
    "OH-CONN-06": "The Realtime API refused the request.",
    "OH-CONN-07": "What answered is not a WebSocket server.",
    "OH-CONN-08": "The Realtime URL is not usable.",
    "OH-CONN-09": "There is nobody to ask.",
    "OH-CONN-10": "Too many handshakes with the Realtime API are under way.",
    "OH-CONN-11": "No provider of the Realtime API can be used for now.",
}
"""Texts of the codes of `RealtimeConnectError`."""


class LinkReceiver(Protocol):
    """Takes what comes out of a link; its methods are called from the event loop and must not block."""

    def on_message(self, data: bytes) -> None:
        """A whole message arrived."""

    def on_lost(self, code: int, reason: str) -> None:
        """The link ended, and not by our `close()`. Comes at most once, and nothing follows it.

        `code` is the peer's close code, the code that we closed with because of what the peer did, or 1006.
        """


class RealtimeLink(Protocol):
    """An open WebSocket to a Realtime API."""

    def start(self, receiver: LinkReceiver) -> None:
        """Deliver what has arrived so far, and from now on everything as it arrives.

        Called again, another receiver takes the place: it gets what has not been delivered yet.
        """

    def send(self, data: bytes) -> None:
        """Send one text message (UTF-8); ignored after the link has ended."""

    def close(self) -> None:
        """Close the link with 1000; the receiver hears nothing more of it."""

    async def wait_closed(self) -> None:
        """Return when the socket is gone, by whatever way it went."""


@dataclass(frozen=True, slots=True)
class DialledLink:
    """A link, and whose it is."""

    link: RealtimeLink
    provider: str
    """Name of the provider in the configuration."""
    created: bytes | None = field(default=None, repr=False)
    """Of a warm link, the server's `session.created`: its session is configured for the agent (`warm_pool`)."""


Verdict = Literal["ready", "failed", "unusable"]
"""How a leg has done: the session stands; it broke, or could not be had; its provider refuses us for good."""


class RealtimeDialer(Protocol):
    """Chooses a provider for each leg (see `dialer.Dialer`)."""

    async def dial(self, agent: str, model: str, ani: str) -> DialledLink:
        """Connect for an agent, its model and a caller's number.

        Raises:
            RealtimeConnectError: no provider can be had; it says whether another attempt may help.
        """
        ...

    def report(self, provider: str, verdict: Verdict, code: str, agent: str = "") -> None:
        """Learn how a leg of a provider has done (see `bridge.ReportRealtime`).

        Args:
            provider: as `DialledLink` names it.
            verdict: how it did.
            code: why, a stable code.
            agent: whose leg it was, for `unusable`: a model or a setting of one agent may be all that is refused;
                left out, it goes for all agents.
        """


class LinkConnector(Protocol):
    """Opens links; raises `RealtimeConnectError`."""

    async def __call__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        deadline: float,
        ssl_context: ssl.SSLContext | None = None,
        limits: LinkLimits = DEFAULT_LIMITS,
    ) -> RealtimeLink:
        """Connect within `deadline` seconds. Without `ssl_context` the certificate is checked by the default rules."""
        ...


def cannot_reach(error: BaseException) -> RealtimeConnectError:
    """Translate what a socket, the resolver or TLS raised."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return RealtimeConnectError("OH-CONN-03", error.verify_message, retryable=False)
    if isinstance(error, OSError) and error.strerror:
        return RealtimeConnectError("OH-CONN-01", error.strerror, retryable=True)
    return RealtimeConnectError("OH-CONN-01", type(error).__name__, retryable=True)


def timed_out(deadline: float) -> RealtimeConnectError:
    """The deadline for connecting passed."""
    return RealtimeConnectError("OH-CONN-02", f"no handshake within {deadline:g} s", retryable=True)


def refused_with(status: int) -> RealtimeConnectError:
    """Translate the HTTP status of a refused handshake (openai-realtime.md §1.7).

    What the body says stays out of it: providers put parts of the key into it.
    """
    if status in (401, 403):
        code, retryable = "OH-CONN-04", False
    elif status == 429 or status >= 500:
        code, retryable = "OH-CONN-05", True
    else:
        code, retryable = "OH-CONN-06", False
    return RealtimeConnectError(code, f"HTTP status {status}", status=status, retryable=retryable)


def not_websocket() -> RealtimeConnectError:
    """The answer to the handshake breaks HTTP or RFC 6455."""
    return RealtimeConnectError("OH-CONN-07", "the answer is not a WebSocket handshake", retryable=False)


def unusable_url() -> RealtimeConnectError:
    """The URL has no host, or another scheme than ws or wss."""
    return RealtimeConnectError("OH-CONN-08", "the URL must be wss://host/path", retryable=False)


class ClosingLinks:
    """Links on their way out: somebody has to wait until their sockets are gone."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self, link: RealtimeLink) -> None:
        """Close a link."""
        link.close()
        self._own(asyncio.ensure_future(link.wait_closed()))

    def discard(self, attempt: "asyncio.Task[RealtimeLink]") -> None:
        """Cancel an attempt to connect, and close what comes of it all the same."""
        attempt.cancel()
        self._own(asyncio.ensure_future(_discard(attempt)))

    async def wait(self) -> None:
        """Return when all of them are gone, or after `GONE_TIMEOUT`."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GONE_TIMEOUT)

    def _own(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _discard(attempt: "asyncio.Task[RealtimeLink]") -> None:
    await asyncio.wait([attempt])
    if not attempt.cancelled() and attempt.exception() is None:
        link = attempt.result()
        link.close()
        await link.wait_closed()
