"""What every answer of the admin port has in common: its headers, and how it says no."""

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from offhook.gateway.connection import SERVER

# Nothing from elsewhere is loaded or run, nothing is framed, nothing is kept, and nobody else gets to know or touch it.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Error(msgspec.Struct, frozen=True):
    """Why a request was not served."""

    code: str
    """Stable; see the reference of error codes."""
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """A request that was not served."""

    error: Error


class Refusal(Exception):
    """A request is not served.

    Args:
        status: of the answer.
        code: of the error.
        message: for who sent the request; holds nothing of it.
        headers: of the answer.
    """

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.error = Error(code, message)
        self.headers = headers or {}


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put on what every answer carries; what is there already stays."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.update(SERVER)  # aiohttp has put its own there


def as_json(body: Any, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None) -> web.Response:
    """Answer with a JSON document."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)


def as_text(text: str) -> web.Response:
    """Answer with a line of text."""
    return web.Response(text=f"{text}\n")
