"""What the admin port serves: one description of each route, from which it is served, guarded and documented."""

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

API_PATH = "/api/"
"""What is below it answers programs, with JSON always."""
JSON = "application/json"
HTML = "text/html"

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(enum.Enum):
    """Who may use a route."""

    OPEN = "open"
    """Everybody who reaches the port: nothing of it may tell anything."""
    LOCAL = "local"
    """This machine without a token, while the port is on loopback alone; others with one. For scrapers."""
    SIGNED_IN = "signed in"
    """Who has a token, or a session."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a route answers."""

    description: str
    body: Any = None
    """The type of a JSON document."""
    content_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method of a path; GET serves HEAD too.

    Requests that change something use another method than GET: those of browsers are checked for where they come from.
    """

    method: str
    path: str
    """With ``{name}`` for a part of it that varies."""
    name: str
    """Operation ID."""
    summary: str
    serve: Serve
    answers: dict[HTTPStatus, Answer]
    access: Access = Access.SIGNED_IN
    form: bool = False
    """It takes a form of a page of ours."""

    @property
    def is_write(self) -> bool:
        """It may change something."""
        return self.method not in ("GET", "HEAD")


def add_routes(app: web.Application, routes: Sequence[Route]) -> dict[tuple[str, str], Route]:
    """Serve the routes; return them by method and path."""
    for route in routes:
        methods = (route.method, "HEAD") if route.method == "GET" else (route.method,)
        for method in methods:
            app.router.add_route(method, route.path, route.serve)
    return {(route.method, route.path): route for route in routes}
