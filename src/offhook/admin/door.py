"""The way in: by which name, from which page, and with which token or session a request comes.

Every request passes `Door.guard`, so a route that is added later cannot forget it:

- The Host has to be a name of this port, or an address. A page elsewhere whose name was made to lead here (DNS
  rebinding) is told nothing.
- A request that may change something, and an upgrade, has to come from a page of ours or from no page at all. A session
  shows a token of its form besides.
- A route that is not open wants a token (`Authorization: Bearer`) or a session.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from offhook.admin.answers import Refusal
from offhook.admin.guesses import Guesses
from offhook.admin.routes import API_PATH, Access, Route
from offhook.admin.sessions import SESSION_AGE, Session, Sessions, Token, Tokens, same
from offhook.telemetry.logging import get_logger

NOT_SIGNED_IN = "OH-ADM-01"
WRONG_TOKEN = "OH-ADM-02"  # noqa: S105 - a code
TOO_MANY_GUESSES = "OH-ADM-03"
WRONG_HOST = "OH-ADM-04"
OTHER_SITE = "OH-ADM-05"
UNREADABLE = "OH-ADM-07"

REFUSAL_DELAY = 0.5
"""Seconds that a wrong token takes."""
BODY_TIMEOUT = 10.0
"""Seconds that a request has for its body."""
MAX_FIELDS = 16
"""Fields of a form."""
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
FORM_HEADER = "X-CSRF-Token"
FORM_AGE = 3600
"""Seconds for which the form of the login page can be sent."""

# A proxy on this machine brings requests of other machines, and says so.
_FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-Ip")

_log = get_logger("offhook.admin.door")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a request."""

    token: Token | None
    """None for a scraper on this machine."""
    session: Session | None = None

    @property
    def name(self) -> str:
        """For the log."""
        return self.token.name if self.token is not None else "local"


IDENTITY = web.RequestKey("identity", Identity)


class Door:
    """Decides which requests come in; before `open` and `change`, none does.

    Args:
        tls: the port speaks TLS.
    """

    def __init__(self, *, tls: bool) -> None:
        self._tls = tls
        self._local = False
        self._cookie = self._form_cookie = ""
        self._tokens = Tokens({})
        self._hosts: frozenset[str] = frozenset()
        self._sessions = Sessions()
        self._guesses = Guesses()

    def open(self, port: int, *, local: bool) -> None:
        """Learn where the port is; `local` says that only this machine can reach it."""
        # Browsers keep cookies by host alone, so that two gateways of one machine would share them.
        self._cookie, self._form_cookie = f"offhook-{port}", f"offhook-form-{port}"
        self._local = local

    def change(self, tokens: Tokens, hosts: Sequence[str]) -> None:
        """Go by these tokens, and by these names of the port, from now on; sessions of tokens that are gone end."""
        self._tokens = tokens
        self._hosts = frozenset(hosts)
        self._sessions.keep(tokens.digests)

    async def guard(self, request: web.Request, route: Route | None) -> None:
        """Let a request pass, or raise Refusal; `request[IDENTITY]` says who sent it, if it is not for everybody.

        Args:
            request: the request.
            route: what it is for; None = there is no such thing.
        """
        self._check_host(request)
        is_write = route.is_write if route is not None else request.method not in ("GET", "HEAD")
        if is_write or "Upgrade" in request.headers or request.path.startswith(API_PATH):
            self._check_site(request, certain=is_write or "Upgrade" in request.headers)
        if route is None or route.access is Access.OPEN:
            return
        identity = request[IDENTITY] = await self._identify(request, route)
        if is_write and identity.session is not None:
            await self._check_form(request, identity.session)

    async def sign_in(self, request: web.Request, offered: str) -> str:
        """Open a session for who has a token, and return its ID; Refusal if the token is wrong."""
        token = await self._match(request, offered)
        self.sign_out(request)
        _log.info("admin signed in", remote=request.remote, credential=token.name)
        return self._sessions.begin(token, _now())

    def sign_out(self, request: web.Request) -> None:
        """End the session of a request, if it has one."""
        for session_id in self._session_ids(request):
            self._sessions.end(session_id)

    def session(self, request: web.Request) -> Session | None:
        """Return the session of a request."""
        for session_id in self._session_ids(request):
            session = self._sessions.find(session_id, _now())
            if session is not None:
                return session
        return None

    def give_session(self, request: web.Request, response: web.StreamResponse, session_id: str) -> None:
        """Give a browser its session."""
        self._set_cookie(request, response, self._cookie, session_id, int(SESSION_AGE))

    def take_session(self, request: web.Request, response: web.StreamResponse) -> None:
        """Take the session from a browser."""
        for name in _both(self._cookie):
            if name in request.cookies:
                secure = name != self._cookie
                response.del_cookie(name, path="/", httponly=True, secure=secure, samesite="Strict")

    def form_token(self, request: web.Request) -> str:
        """Return what the form of a browser without a session shows: what its cookie says."""
        return next(iter(self._cookies(request, self._form_cookie)), None) or secrets.token_urlsafe(32)

    def give_form_token(self, request: web.Request, response: web.StreamResponse, token: str) -> None:
        """Give a browser without a session the cookie that its form is compared with."""
        self._set_cookie(request, response, self._form_cookie, token, FORM_AGE)

    def check_form_token(self, request: web.Request, form: Mapping[str, str]) -> None:
        """Refuse the form of a browser without a session if it is not the one that it was given."""
        if not any(same(form.get(FORM_TOKEN, ""), token) for token in self._cookies(request, self._form_cookie)):
            raise _outdated()

    def _set_cookie(
        self, request: web.Request, response: web.StreamResponse, name: str, value: str, seconds: int
    ) -> None:
        # Behind a proxy that speaks TLS only the browser knows; if it lies, it harms itself.
        secure = self._tls or request.headers.get("Origin", "").startswith("https://")
        name = _both(name)[0] if secure else name
        response.set_cookie(name, value, path="/", max_age=seconds, httponly=True, secure=secure, samesite="Strict")

    def _session_ids(self, request: web.Request) -> list[str]:
        return self._cookies(request, self._cookie)

    def _cookies(self, request: web.Request, name: str) -> list[str]:
        return [request.cookies[one] for one in _both(name) if one in request.cookies]

    def _check_host(self, request: web.Request) -> None:
        given = request.headers.getall("Host", [])
        name = _host_name(given[0]) if len(given) == 1 else None
        # Only a name can be made to lead elsewhere; a page that is at an address of ours is ours.
        if name is None or not (name in self._hosts or name == "localhost" or _is_address(name)):
            text = "this name is not one of the admin port's; the setting admin_hosts adds it"
            raise Refusal(HTTPStatus.MISDIRECTED_REQUEST, WRONG_HOST, text)

    def _check_site(self, request: web.Request, *, certain: bool) -> None:
        """Refuse what a page of another site sent. With `certain`, refuse also what a browser does not say."""
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is not None:
            # A browser says so of its own accord; no page can change it.
            good = site in ("same-origin", "none")
        elif origin is not None:
            good = _authority(origin) == request.headers.get("Host", "").lower()
        else:
            # Programs say nothing, and show a token. Browsers always say where a write comes from.
            good = not certain or "Authorization" in request.headers
        if not good:
            text = "the request does not come from a page of the admin port"
            raise Refusal(HTTPStatus.FORBIDDEN, OTHER_SITE, text)

    async def _identify(self, request: web.Request, route: Route) -> Identity:
        given = request.headers.getall("Authorization", [])
        if given:
            scheme, _, offered = given[0].strip().partition(" ")
            bearer = len(given) == 1 and scheme.lower() == "bearer"
            return Identity(await self._match(request, offered.strip() if bearer else ""))
        session = self.session(request)
        if session is not None:
            return Identity(session.token, session)
        if route.access is Access.LOCAL and self._local and not any(name in request.headers for name in _FORWARDED):
            return Identity(None)
        text = "sign in, or send the header Authorization: Bearer with a token of admin_token"
        raise Refusal(HTTPStatus.UNAUTHORIZED, NOT_SIGNED_IN, text, {"WWW-Authenticate": "Bearer"})

    async def _match(self, request: web.Request, offered: str) -> Token:
        """Return the token that is offered; a wrong one takes its time, and too many are not looked at."""
        wait = self._guesses.wait(request.remote, _now())
        if wait > 0:
            text = "there were too many wrong tokens; try again later"
            headers = {"Retry-After": str(int(wait) + 1)}
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY_GUESSES, text, headers)
        token = self._tokens.find(offered)
        if token is not None:
            self._guesses.right(request.remote, _now())
            return token
        self._guesses.wrong(request.remote, _now())
        _log.warning("admin sign-in refused", code=WRONG_TOKEN, remote=request.remote)
        await asyncio.sleep(REFUSAL_DELAY)
        raise Refusal(HTTPStatus.UNAUTHORIZED, WRONG_TOKEN, "the token is wrong", {"WWW-Authenticate": "Bearer"})

    async def _check_form(self, request: web.Request, session: Session) -> None:
        shown = request.headers.get(FORM_HEADER)
        if shown is None:
            shown = (await read_form(request)).get(FORM_TOKEN, "")
        if not same(shown, session.form_token):
            raise _outdated()


async def read_form(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form; none if the body is something else. Refusal if it does not come in time."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await request.read()
        fields = parse_qs(body.decode(), max_num_fields=MAX_FIELDS, keep_blank_values=True)
    except TimeoutError:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, UNREADABLE, "the request did not come to its end") from None
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, UNREADABLE, "the form cannot be read") from None
    return {name: values[0] for name, values in fields.items()}


def _outdated() -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, OTHER_SITE, "the page is out of date; load it anew and try again")


def _both(name: str) -> tuple[str, str]:
    """Return the two names of a cookie: the first is bound to TLS, and no other host of the domain can set it."""
    return f"__Host-{name}", name


def _now() -> float:
    return asyncio.get_running_loop().time()


def _host_name(authority: str) -> str | None:
    """Return the name of HOST or HOST:PORT in lower case; None if it cannot be one."""
    try:
        parts = urlsplit(f"//{authority}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return name.rstrip(".") if name and parts.netloc == authority and "@" not in authority else None


def _authority(origin: str) -> str:
    scheme, _, authority = origin.partition("://")
    return authority.lower() if scheme in ("http", "https") else ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
