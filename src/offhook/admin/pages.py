"""The pages for browsers: sign in, see how the gateway is doing, have it read its configuration anew."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from importlib import resources
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from offhook.admin.answers import Error, Refusal
from offhook.admin.api import Operations
from offhook.admin.door import IDENTITY, Door, read_form
from offhook.admin.routes import HTML, Access, Answer, Route
from offhook.gateway.control import ReloadOutcome

LOGIN = "/login"
HOME = "/"
TOKEN_FIELD = "token"  # noqa: S105 - the name of a field

NOT_FOUND = "OH-ADM-06"

_TYPES = {"css": "text/css", "js": "text/javascript"}


class Pages:
    """The pages of the admin port.

    Args:
        door: who is signed in.
        operations: the gateway.
    """

    def __init__(self, door: Door, operations: Operations) -> None:
        self._door = door
        self._operations = operations
        self._static = _static_files()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Their routes."""
        page = Answer("A page.", content_type=HTML)
        there = Answer("Leads to the page.", content_type=HTML)
        again = {
            status: Answer(text, content_type=HTML)
            for status, text in {
                HTTPStatus.UNAUTHORIZED: "The token is wrong.",
                HTTPStatus.TOO_MANY_REQUESTS: "There were too many wrong tokens.",
            }.items()
        }
        return (
            Route(
                method="GET",
                path=HOME,
                name="home",
                summary="How the gateway is doing",
                serve=self._home,
                answers={HTTPStatus.OK: page, HTTPStatus.SEE_OTHER: Answer("Leads to /login.", content_type=HTML)},
            ),
            Route(
                method="POST",
                path="/reload",
                name="reloadByForm",
                summary="Read the configuration anew",
                serve=self._reload,
                answers={HTTPStatus.OK: page, HTTPStatus.UNPROCESSABLE_ENTITY: page, HTTPStatus.CONFLICT: page},
                form=True,
            ),
            Route(
                method="GET",
                path=LOGIN,
                name="loginPage",
                summary="The form to sign in",
                serve=self._login_page,
                answers={HTTPStatus.OK: page, HTTPStatus.SEE_OTHER: there},
                access=Access.OPEN,
            ),
            Route(
                method="POST",
                path=LOGIN,
                name="login",
                summary="Sign in with a token",
                serve=self._login,
                answers={HTTPStatus.SEE_OTHER: there, **again},
                access=Access.OPEN,
                form=True,
            ),
            Route(
                method="POST",
                path="/logout",
                name="logout",
                summary="End the session",
                serve=self._logout,
                answers={HTTPStatus.SEE_OTHER: there},
                form=True,
            ),
            Route(
                method="GET",
                path="/static/{name}",
                name="static",
                summary="Styles and scripts of the pages",
                serve=self._file,
                answers={
                    HTTPStatus.OK: Answer("A file.", content_type="text/*"),
                    HTTPStatus.NOT_FOUND: Answer("There is no such file.", content_type=HTML),
                },
                access=Access.OPEN,
            ),
        )

    async def _home(self, request: web.Request) -> web.Response:
        return await self._show(request)

    async def _reload(self, request: web.Request) -> web.Response:
        outcome = await self._operations.reload(request)
        status = HTTPStatus.OK if outcome.applied else HTTPStatus.UNPROCESSABLE_ENTITY
        return await self._show(request, outcome, status)

    async def _show(
        self, request: web.Request, outcome: ReloadOutcome | None = None, status: HTTPStatus = HTTPStatus.OK
    ) -> web.Response:
        session = request[IDENTITY].session
        return page(
            "home.html",
            status,
            gateway=await self._operations.status(),
            outcome=outcome,
            form_token=session.form_token if session is not None else "",
        )

    async def _login_page(self, request: web.Request) -> web.Response:
        if self._door.session(request) is not None:
            return _to(HOME)
        return self._ask(request)

    async def _login(self, request: web.Request) -> web.Response:
        form = await read_form(request)
        self._door.check_form_token(request, form)
        try:
            session_id = await self._door.sign_in(request, form.get(TOKEN_FIELD, "").strip())
        except Refusal as refusal:
            return self._ask(request, refusal)
        response = _to(HOME)
        self._door.give_session(request, response, session_id)
        return response

    def _ask(self, request: web.Request, refusal: Refusal | None = None) -> web.Response:
        form_token = self._door.form_token(request)
        status = HTTPStatus.OK if refusal is None else refusal.status
        error = None if refusal is None else refusal.error
        response = page("login.html", status, error=error, form_token=form_token)
        response.headers.update(refusal.headers if refusal is not None else {})
        self._door.give_form_token(request, response, form_token)
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        self._door.sign_out(request)
        response = _to(LOGIN)
        self._door.take_session(request, response)
        return response

    async def _file(self, request: web.Request) -> web.Response:
        found = self._static.get(request.match_info["name"])
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, NOT_FOUND, "there is no such file")
        body, kind = found
        return web.Response(body=body, content_type=kind, charset="utf-8")


def page(name: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> web.Response:
    """Return a page made of a template."""
    text = _templates().get_template(name).render(values)
    # With no-referrer, browsers do not say where a form comes from, which is what the door goes by without TLS.
    return web.Response(text=text, status=status, content_type=HTML, headers={"Referrer-Policy": "same-origin"})


def error_page(status: HTTPStatus, error: Error) -> web.Response:
    """Return a page that says why there is none."""
    return page("error.html", status, title=status.phrase, error=error)


def to_login() -> web.Response:
    """Lead a browser to the form to sign in."""
    return _to(LOGIN)


def _to(place: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": place})


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds")


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("offhook.admin"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    return environment


def _static_files() -> Mapping[str, tuple[bytes, str]]:
    """Read them once: a path of a request never comes near the disk."""
    folder = resources.files("offhook.admin") / "static"
    return {
        file.name: (file.read_bytes(), _TYPES[file.name.rpartition(".")[2]])
        for file in folder.iterdir()
        if file.name.rpartition(".")[2] in _TYPES
    }
