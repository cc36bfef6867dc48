"""The application of the admin port: its routes behind its door."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from offhook.admin.answers import ErrorAnswer, Refusal, add_headers, as_json
from offhook.admin.api import Api, Operations
from offhook.admin.door import NOT_SIGNED_IN, UNREADABLE, Door
from offhook.admin.pages import NOT_FOUND, Pages, error_page, to_login
from offhook.admin.routes import API_PATH, Route, add_routes
from offhook.telemetry.logging import get_logger

FAILED = "OH-ADM-11"

MAX_BODY_BYTES = 16_384
"""Body of a request."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = get_logger("offhook.admin.app")


def application(door: Door, operations: Operations, more: Sequence[Route] = ()) -> web.Application:
    """Return the application.

    Args:
        door: which requests come in.
        operations: what can be asked of the gateway.
        more: routes besides those of the frame.
    """
    api = Api(operations)
    routes = (*api.routes, *Pages(door, operations).routes, *more)
    api.describe(routes)
    known: dict[tuple[str, str], Route] = {}

    @web.middleware
    async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            await door.guard(request, _route(request, known))
            return await handler(request)
        except Refusal as refusal:
            return _refuse(request, refusal)
        except web.HTTPException as refused:
            return _refuse(request, _translated(refused))
        except ConnectionError:
            raise  # the peer has gone
        except Exception as error:
            _log.error("admin request failed", code=FAILED, exc_info=error)
            failed = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED, "something in offhook failed; the log says more")
            return _refuse(request, failed)

    app = web.Application(middlewares=[serve], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(add_headers)
    known.update(add_routes(app, routes))
    return app


def _route(request: web.Request, known: dict[tuple[str, str], Route]) -> Route | None:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return None if resource is None else known[method, resource.canonical]


def _translated(refused: web.HTTPException) -> Refusal:
    """Return what aiohttp refuses, in our words."""
    status = HTTPStatus(refused.status)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return Refusal(status, NOT_FOUND, "this is not done with this method", {"Allow": refused.headers["Allow"]})
    if status is HTTPStatus.NOT_FOUND:
        return Refusal(status, NOT_FOUND, "there is no such page")
    return Refusal(status, UNREADABLE, status.phrase.lower())


def _refuse(request: web.Request, refusal: Refusal) -> web.Response:
    answer = _refusal(request, refusal)
    answer.headers.update(refusal.headers)
    return answer


def _refusal(request: web.Request, refusal: Refusal) -> web.Response:
    wants_page = "text/html" in request.headers.get("Accept", "") and not request.path.startswith(API_PATH)
    if not wants_page:
        return as_json(ErrorAnswer(refusal.error), refusal.status)
    if refusal.error.code == NOT_SIGNED_IN and request.method in ("GET", "HEAD"):
        return to_login()
    return error_page(refusal.status, refusal.error)
