"""Runs data actions, never one of them twice unawares.

A request is sent again only if it cannot have taken effect, or if the caller says that twice is as good as once:

- 401 of the Platform API: the token is renewed, once;
- 429 of the Platform API: after ``Retry-After``, twice at most, if there is time;
- 5xx, 408, no answer, no connection: only ``idempotent`` requests, once.

A status with an ``ACTION.…`` detail is not the Platform API's but the action's own: it *was* run, so even 401 and 429
are final then.
"""

import asyncio
import json
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote

import msgspec

from offhook.genesys.action import Action
from offhook.genesys.errors import (
    ErrorBody,
    NotPermitted,
    RateLimited,
    Refused,
    Unanswered,
    UnknownAction,
    Unreachable,
    Unreadable,
)
from offhook.genesys.oauth import TokenSource
from offhook.genesys.transport import Answer, Request, Transport

#: What an answer may have.
MAX_RESULT_BYTES = 512 * 1024
MAX_ACTION_BYTES = 256 * 1024
#: Seconds to ask what an action is.
ACTION_TIMEOUT = 10.0
#: How often a request that Genesys was too busy for is sent again.
MAX_WAITS = 2
#: Seconds until then if Genesys does not say, and the least there are.
UNSTATED_WAIT = 1.0
MIN_WAIT = 0.05
#: Seconds, about, before an idempotent request is sent again.
PAUSE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAccess:
    """The way in."""

    api_url: str
    """Like ``https://api.mypurecloud.de``."""
    login_url: str
    """Like ``https://login.mypurecloud.de``."""
    client_id: str
    client_secret: str = field(repr=False)


class PlatformApi:
    """The Platform API of one organization; may be used until `close`.

    Args:
        access: hosts and OAuth client.
        tls: trust for https; None = the default of the platform.
        clock: monotonic seconds, for the lifetime of tokens.
    """

    def __init__(
        self,
        access: PlatformAccess,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._actions = f"{access.api_url}/api/v2/integrations/actions"
        self._transport = Transport(tls)
        self._tokens = TokenSource(
            self._transport, access.login_url, access.client_id, access.client_secret, clock=clock
        )

    async def execute(
        self,
        action_id: str,
        inputs: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109
        idempotent: bool = False,
    ) -> Any:
        """Run a data action and return its result: plain data, None if there is none.

        Args:
            action_id: like ``custom_-_0c9a…``.
            inputs: what the input contract asks for.
            timeout: seconds for everything, the token and further attempts included.
            idempotent: it may be run again if it is not known whether it was.

        Raises:
            PlatformError: one of its subclasses; they say whether the action may have been run.
        """
        body = json.dumps(inputs).encode()
        url = f"{self._action_url(action_id)}/execute"
        request = Request(
            method="POST", url=url, body=body, content_type="application/json", max_bytes=MAX_RESULT_BYTES
        )
        return await self._ask(request, timeout, attempts=2 if idempotent else 1)

    async def action(self, action_id: str) -> Action:
        """Return what Genesys says about a data action; PlatformError if it does not."""
        url = f"{self._action_url(action_id)}?expand=contract&includeConfig=false"
        request = Request(method="GET", url=url, max_bytes=MAX_ACTION_BYTES)
        return Action.read(await self._ask(request, ACTION_TIMEOUT, attempts=1))

    async def close(self) -> None:
        """Give everything back; what is under way fails."""
        await self._tokens.close()
        await self._transport.close()

    def _action_url(self, action_id: str) -> str:
        return f"{self._actions}/{quote(action_id, safe='')}"

    async def _ask(self, request: Request, seconds: float, *, attempts: int) -> Any:
        until = _now() + seconds
        waits = MAX_WAITS
        while True:
            left = until - _now()
            try:
                return _result(await self._send(request, left / attempts))
            except RateLimited as error:
                waits -= 1
                if waits < 0 or error.wait is None or error.wait >= until - _now():
                    raise
                await asyncio.sleep(error.wait)
            except (Unanswered, Unreachable):
                attempts -= 1
                if attempts < 1 or until - _now() <= PAUSE:
                    raise
                await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    async def _send(self, request: Request, seconds: float) -> Answer:
        """Return the answer to a request that Genesys knew the sender of; a token that it does not take is renewed."""
        until = _now() + seconds
        token = await self._token(until - _now())
        answer = await self._transport.send(request, f"Bearer {token}", until - _now())
        if answer.status != 401 or ErrorBody.read(_document(answer)).of_action:
            return answer
        self._tokens.reject(token)
        token = await self._token(until - _now())
        return await self._transport.send(request, f"Bearer {token}", until - _now())

    async def _token(self, seconds: float) -> str:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self._tokens.get()
        except TimeoutError:
            raise Unreachable("the token did not come in time") from None


def _result(answer: Answer) -> Any:
    """Return what the answer holds, or raise what its status means."""
    if not 200 <= answer.status < 300:
        _raise(answer)
    if answer.cut_off:
        raise Unreadable("the answer is too long", reason="length")
    if not answer.body.strip():
        return None
    try:
        return msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        raise Unreadable("the answer is not JSON", reason="json") from None


def _raise(answer: Answer) -> NoReturn:
    status, body = answer.status, ErrorBody.read(_document(answer))
    reason, context_id = f"{status} {body.reason}".strip(), body.context_id
    if status >= 500 or status == 408:
        raise Unanswered("Genesys Cloud failed", reason=reason, context_id=context_id)
    if status < 400:
        raise Unreadable("the answer is a redirect or worse", reason=reason)
    if not body.of_action:
        if status in (401, 403):
            raise NotPermitted("the OAuth client may not do this", reason=reason, context_id=context_id)
        if status == 404:
            raise UnknownAction("there is no such data action", reason=reason, context_id=context_id)
        if status == 429:
            wait = _wait(answer.retry_after)
            raise RateLimited("too many requests", wait=wait, reason=reason, context_id=context_id)
    raise Refused(
        "the data action was refused",
        message=body.message,
        of_action=body.of_action,
        reason=reason,
        context_id=context_id,
    )


def _wait(retry_after: str) -> float | None:
    """Read the header ``Retry-After``, which Genesys gives in seconds."""
    text = retry_after.strip()
    if not text:
        return UNSTATED_WAIT
    return max(MIN_WAIT, float(text)) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _document(answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
