"""Sends a request and reads the answer: once where a repeat might do harm, else again after failures that may pass."""

import asyncio
import random
from dataclasses import dataclass, field

import aiohttp
import structlog
from yarl import URL

from offhook.tools.base import ToolError, ToolUnavailable
from offhook.tools.http_clients import HttpClients, PrivateAddress
from offhook.tools.http_request import Request
from offhook.tools.http_settings import HttpToolSettings

#: Seconds to reach a service: its name, the connection, TLS.
CONNECT_TIMEOUT = 5.0
#: Seconds before the first repeat, give or take a half; doubled for each further one.
FIRST_PAUSE = 0.2
#: Longest pause that a service may ask for with Retry-After, in seconds.
MAX_PAUSE = 5.0
#: Part of the time limit that is kept to tell the model what happened, and the most that it is in seconds.
MARGIN = 0.1
MAX_MARGIN = 0.25

#: Statuses that may pass.
BUSY = frozenset({429, 502, 503, 504})

_UNKNOWN = "; it is not known whether the request was carried out: do not repeat it, tell the caller"

_log = structlog.get_logger("offhook.tools")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered."""

    status: int
    body: bytes = field(default=b"", repr=False)
    """Decompressed; read only of an answer that says that the request was carried out."""
    is_json: bool = False
    """The service says so."""
    pause: float | None = None
    """Seconds after which the service wants to be asked again; None if it does not say."""


class Exchange:
    """The way to one service.

    Args:
        settings: of the tool.
        clients: shared by all tools of the process.
    """

    def __init__(self, settings: HttpToolSettings, clients: HttpClients) -> None:
        self._settings = settings
        self._clients = clients

    async def send(self, request: Request, seconds: float) -> Answer:
        """Return the answer, whatever its status.

        An attempt after which another may follow gets half of the time that is left.

        Raises:
            ToolUnavailable: there was none within `seconds`.
            ToolError: the address is not a public one, or the answer is too long.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + seconds - min(seconds * MARGIN, MAX_MARGIN)
        left = self._settings.attempts
        pause = FIRST_PAUSE
        while True:
            left -= 1
            outcome = await self._attempt(request, (end - clock()) / (2 if left else 1))
            wait = _wait(outcome, pause)
            if not left or wait is None or clock() + wait >= end:
                break
            _log.info("http_repeat", tool=self._settings.name, left=left)
            await asyncio.sleep(wait)
            pause *= 2
        if isinstance(outcome, ToolUnavailable):
            raise outcome
        return outcome

    async def _attempt(self, request: Request, seconds: float) -> Answer | ToolUnavailable:
        """Send the request once; what may pass is returned, what will not is raised."""
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(request, seconds)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            # Nothing was sent.
            self._complain(error)
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, PrivateAddress):
                raise ToolError("the tool may not reach the address of its service") from None
            done = "" if self._settings.repeatable else "; nothing was done"
            return ToolUnavailable(f"the service cannot be reached{done}")
        except TimeoutError as error:
            self._complain(error)
            return ToolUnavailable(f"the service did not answer in time{unknown(self._settings)}")
        except (aiohttp.ClientError, OSError) as error:
            self._complain(error)
            return ToolUnavailable(f"the connection to the service was lost{unknown(self._settings)}")

    async def _ask(self, request: Request, seconds: float) -> Answer:
        # What goes out once does not take the risk of a connection that the service is just closing.
        session = self._clients.session(private=self._settings.allow_private, fresh=self._settings.attempts == 1)
        async with session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=min(CONNECT_TIMEOUT, seconds)),
        ) as response:
            return await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        if not 200 <= response.status < 300:
            return Answer(response.status, pause=_asked_pause(response.headers.get("Retry-After")))
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > self._settings.max_bytes:
                raise ToolError(f"{carried_out(self._settings)}the service's answer is too long")
        kind = response.content_type
        return Answer(response.status, bytes(body), kind == "application/json" or kind.endswith("+json"))

    def _complain(self, error: Exception) -> None:
        # The text of the error has the address in it.
        _log.warning("http_failed", tool=self._settings.name, error=type(error).__name__)


def unknown(settings: HttpToolSettings) -> str:
    """Return the end of an error after which the model must not repeat a write; empty if a repeat does no harm."""
    return "" if settings.repeatable else _UNKNOWN


def carried_out(settings: HttpToolSettings) -> str:
    """Return the beginning of an error that must not make the model repeat a write; empty if a repeat does no harm."""
    return "" if settings.repeatable else "the request was carried out, but "


def _wait(outcome: Answer | ToolUnavailable, pause: float) -> float | None:
    """Return the seconds until a repeat; None if it would not help."""
    if isinstance(outcome, Answer):
        if outcome.status not in BUSY:
            return None
        if outcome.pause is not None:
            return outcome.pause if outcome.pause <= MAX_PAUSE else None
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads the repeats of many calls


def _asked_pause(header: str | None) -> float | None:
    if header is None:
        return None
    # A date is written by those who mean minutes.
    return float(header) if header.isdecimal() and len(header) < 6 else float("inf")
