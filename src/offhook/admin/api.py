"""The API of the admin port: how the gateway is doing, and the order to read its configuration anew."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from offhook.admin.answers import Error, ErrorAnswer, Refusal, as_json, as_text
from offhook.admin.door import IDENTITY
from offhook.admin.openapi import document
from offhook.admin.routes import Access, Answer, Route
from offhook.gateway.control import GatewayControl, GatewayStatus, ReloadOutcome
from offhook.telemetry.logging import get_logger

NO_ANSWER = "OH-ADM-08"
BEING_RELOADED = "OH-ADM-09"
NOT_APPLIED = "OH-ADM-10"

STATUS_TIMEOUT = 5.0
"""Seconds that the gateway has to say how it is doing."""
RELOAD_TIMEOUT = 60.0
"""Seconds after which the answer to a reload is not waited for; it goes on."""

_log = get_logger("offhook.admin.api")


class RefusedReload(msgspec.Struct, frozen=True):
    """The new configuration is not used; nothing has changed."""

    error: Error
    problems: tuple[str, ...]
    """One line each, with place and fix."""


class Operations:
    """What can be asked of the gateway, for the API and the pages.

    Args:
        control: the gateway.
    """

    def __init__(self, control: GatewayControl) -> None:
        self._control = control
        self._reloading: asyncio.Task[ReloadOutcome] | None = None

    async def status(self) -> GatewayStatus:
        """Say how the gateway is doing; Refusal if it does not say so in time."""
        try:
            async with asyncio.timeout(STATUS_TIMEOUT):
                return await self._control.status()
        except TimeoutError:
            text = f"the gateway did not answer within {STATUS_TIMEOUT:g} s"
            raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, NO_ANSWER, text) from None

    async def reload(self, request: web.Request) -> ReloadOutcome:
        """Read the configuration anew; Refusal if that is being done already, or takes too long."""
        if self._reloading is not None and not self._reloading.done():
            raise Refusal(HTTPStatus.CONFLICT, BEING_RELOADED, "the configuration is being read already")
        who = request[IDENTITY].name
        _log.info("admin reload", remote=request.remote, credential=who)
        self._reloading = asyncio.create_task(self._control.reload(), name="admin reload")
        try:
            async with asyncio.timeout(RELOAD_TIMEOUT):
                # Half a reload is worse than one whose end nobody waits for.
                outcome = await asyncio.shield(self._reloading)
        except TimeoutError:
            text = f"the reload was not over within {RELOAD_TIMEOUT:g} s; it goes on"
            raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, NO_ANSWER, text) from None
        _log.info("admin reload over", credential=who, applied=outcome.applied, problems=len(outcome.problems))
        return outcome

    async def close(self) -> None:
        """Give up a reload that is under way."""
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.wait([self._reloading])


class Api:
    """The API under `/api/v1`.

    Args:
        operations: the gateway.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._document: dict[str, Any] = {}

    @property
    def routes(self) -> tuple[Route, ...]:
        """Its routes."""
        late = Answer("The gateway did not answer in time.", ErrorAnswer)
        return (
            Route(
                method="GET",
                path="/api/v1/status",
                name="status",
                summary="How the gateway is doing, all of its processes together",
                serve=self._status,
                answers={HTTPStatus.OK: Answer("How it is.", GatewayStatus), HTTPStatus.GATEWAY_TIMEOUT: late},
            ),
            Route(
                method="POST",
                path="/api/v1/reload",
                name="reload",
                summary="Read the configuration anew, for new calls; running calls keep theirs",
                serve=self._reload,
                answers={
                    HTTPStatus.OK: Answer("New calls go by it.", ReloadOutcome),
                    HTTPStatus.CONFLICT: Answer("It is being read already.", ErrorAnswer),
                    HTTPStatus.UNPROCESSABLE_ENTITY: Answer("It has errors, and is not used.", RefusedReload),
                    HTTPStatus.GATEWAY_TIMEOUT: late,
                },
            ),
            Route(
                method="GET",
                path="/api/v1/openapi.json",
                name="openapi",
                summary="This description",
                serve=self._openapi,
                answers={HTTPStatus.OK: Answer("An OpenAPI document.", dict[str, Any])},
            ),
            Route(
                method="GET",
                path="/healthz",
                name="health",
                summary="Whether the admin port answers; the gateway's own probes are on the call port",
                serve=self._health,
                answers={HTTPStatus.OK: Answer("It does.", content_type="text/plain")},
                access=Access.OPEN,
            ),
        )

    def describe(self, routes: Sequence[Route]) -> None:
        """Say what all the routes of the port are."""
        self._document = document(routes)

    async def _status(self, _request: web.Request) -> web.Response:
        return as_json(await self._operations.status())

    async def _reload(self, request: web.Request) -> web.Response:
        outcome = await self._operations.reload(request)
        if outcome.applied:
            return as_json(outcome)
        error = Error(NOT_APPLIED, "the new configuration has errors and is not used")
        return as_json(RefusedReload(error, outcome.problems), HTTPStatus.UNPROCESSABLE_ENTITY)

    async def _openapi(self, _request: web.Request) -> web.Response:
        return as_json(self._document)

    async def _health(self, _request: web.Request) -> web.Response:
        return as_text("ok")
