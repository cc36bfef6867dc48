"""An admin port on a real socket, before a gateway that is made up."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from offhook import Agent
from offhook.admin import AdminPort, Route, serve_admin
from offhook.config import Config
from offhook.gateway.control import GatewayStatus, ReloadOutcome, WorkerStatus

TOKEN, OTHER_TOKEN = "token-of-the-tests-1", "token-of-the-tests-2"
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}

STATUS = GatewayStatus(
    ready=True,
    reason=None,
    calls=7,
    draining=False,
    agents=("support", "<b>sales</b>"),
    providers={"openai": "ok", "azure": "resting"},
    workers=(WorkerStatus(number=1, pid=4711, calls=7, draining=False, started_at=1_790_000_000.0),),
)


class FakeGateway:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.state = STATUS
        self.outcome = ReloadOutcome(applied=True, restart_needed=("listen",))
        self.failure: Exception | None = None
        self.reloads = 0
        self.going_on = asyncio.Event()
        self.going_on.set()
        self.cancelled = 0

    async def status(self) -> GatewayStatus:
        await self._go_on()
        return self.state

    async def reload(self) -> ReloadOutcome:
        self.reloads += 1
        await self._go_on()
        return self.outcome

    async def _go_on(self) -> None:
        try:
            await self.going_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure


@dataclass
class World:
    """What a test of the admin port works with."""

    gateway: FakeGateway
    port: AdminPort
    client: aiohttp.ClientSession
    announced: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"{self.port.url.rstrip('/')}{path}"

    async def ask(
        self, method: str, path: str, *, token: str | None = None, data: Any = None, **headers: str
    ) -> tuple[int, str, Any]:
        """Send a request; `_` in the names of headers stands for `-`. Return status, body and headers."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        async with self.client.request(
            method, self.url(path), headers=sent, data=data, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text(), answer.headers

    async def browse(self, method: str, path: str, data: Any = None) -> tuple[int, str, Any]:
        """Send what a browser sends from one of our own pages."""
        headers = {name.replace("-", "_"): value for name, value in BROWSER.items()}
        return await self.ask(method, path, data=data, **headers)

    async def sign_in(self, token: str = TOKEN) -> str:
        """Sign in as a browser does; return the form token of the session."""
        _, page, _ = await self.browse("GET", "/login")
        status, _, headers = await self.browse("POST", "/login", {"token": token, "form_token": form_token(page)})
        assert (status, headers["Location"]) == (303, "/")
        _, page, _ = await self.browse("GET", "/")
        return form_token(page)


def form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([\w-]+)"', page)
    assert found is not None
    return found[1]


def configured(**settings: Any) -> Config:
    agents = {"support": Agent(instructions="Talk.")}
    return Config.model_validate({"agents": agents, "admin": "127.0.0.1:0", "admin_token": TOKEN, **settings})


@contextlib.asynccontextmanager
async def world(*, more: Sequence[Route] = (), ssl: Any = True, **settings: Any) -> AsyncIterator[World]:
    """Serve the admin port of a gateway that is made up."""
    gateway, announced = FakeGateway(), list[str]()
    async with (
        aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(ssl=ssl)
        ) as client,
        serve_admin(gateway, configured(**settings), announce=announced.append, more=more) as port,
    ):
        yield World(gateway, port, client, announced)
