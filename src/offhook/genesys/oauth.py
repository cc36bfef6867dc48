"""The access token of an OAuth client: fetched once for all who wait for it, kept for its lifetime."""

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from offhook.genesys.errors import ErrorBody, PlatformError, SignInRefused, Unanswered, Unreachable
from offhook.genesys.transport import Answer, Request, Transport

#: Seconds to fetch a token.
FETCH_TIMEOUT = 10.0
#: A token is given up so many seconds before its end, and never more than a tenth of its life.
MARGIN = 60.0
#: Seconds that a token is kept if the answer does not say how long it lives.
UNSTATED_LIFETIME = 300.0
MAX_LIFETIME = 48 * 3600.0
MAX_TOKEN_CHARS = 8192
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    until: float


class TokenSource:
    """Hands out the access token of one OAuth client (grant ``client_credentials``, RFC 6749 §4.4).

    Args:
        transport: sends the request.
        login_url: like ``https://login.mypurecloud.de``.
        client_id: of the OAuth client.
        client_secret: of the OAuth client.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        transport: Transport,
        login_url: str,
        client_id: str,
        client_secret: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._authorization = "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._request = Request(
            method="POST",
            url=f"{login_url}/oauth/token",
            body=b"grant_type=client_credentials",
            content_type="application/x-www-form-urlencoded",
            max_bytes=MAX_ANSWER_BYTES,
        )
        self._token: _Token | None = None
        self._fetching: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """Return a token that is good for a while; waits for it only if there is none.

        Raises:
            SignInRefused: Genesys does not know the client or its secret.
            Unreachable: there is no token for any other reason.
        """
        if self._token is not None and self._clock() < self._token.until:
            return self._token.text
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="genesys token")
            self._fetching.add_done_callback(self._fetched)
        # Who stops waiting does not take the token away from the others.
        return await asyncio.shield(self._fetching)

    def reject(self, token: str) -> None:
        """Do not hand ``token`` out again: Genesys did not take it."""
        if self._token is not None and self._token.text == token:
            self._token = None

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _fetch(self) -> str:
        asked = self._clock()
        try:
            answer = await self._transport.send(self._request, self._authorization, FETCH_TIMEOUT)
        except Unanswered as error:
            raise Unreachable("no answer to the request for a token", reason=error.reason) from None
        self._token = _read_token(answer, asked)
        return self._token.text

    def _fetched(self, task: asyncio.Task[str]) -> None:
        self._fetching = None
        if not task.cancelled():
            # Nobody may be left to hear of it.
            task.exception()


def _read_token(answer: Answer, asked: float) -> _Token:
    document = _document(answer)
    if answer.status != 200:
        raise _refusal(answer, document)
    text = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(text, str) or not _can_be_sent(text):
        raise Unreachable("the answer to the request for a token has none", reason="token")
    return _Token(text, asked + _lifetime(document.get("expires_in")))


def _refusal(answer: Answer, document: Any) -> PlatformError:
    body = ErrorBody.read(document)
    reason = f"{answer.status} {body.reason}".strip()
    # An unknown client or a wrong secret is a 400 or a 401 (RFC 6749 §5.2), a client of another kind a 403.
    if answer.status in (400, 401, 403):
        return SignInRefused("the OAuth client was refused", reason=reason, context_id=body.context_id)
    return Unreachable("the request for a token failed", reason=reason, context_id=body.context_id)


def _document(answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return None


def _can_be_sent(token: str) -> bool:
    return 0 < len(token) <= MAX_TOKEN_CHARS and token.isascii() and token.isprintable() and " " not in token


def _lifetime(expires_in: Any) -> float:
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or not expires_in > 0:
        return UNSTATED_LIFETIME
    lifetime = min(float(expires_in), MAX_LIFETIME)
    return lifetime - min(MARGIN, lifetime / 10)
