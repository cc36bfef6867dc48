"""A small Platform API of Genesys Cloud for data actions, over HTTPS or HTTP; it shares no code with the gateway.

Tokens are given out and expire, actions have contracts and run, every request is kept, and any answer can be replaced:
by another status, by a body that is none, by silence after the action was run, by a connection that is cut off.
"""

import asyncio
import base64
import ssl
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CLIENT_ID, CLIENT_SECRET = "5e1f0c1a-offhook-client", "Sup3r-Secret_of-the-client"

CONTEXT_ID = "5565f1f0-48d7-40ea-bfc9-b5ab51fee914"


@dataclass
class FakeAction:
    """A published action.

    Args:
        name: of the action.
        run: makes the result of the inputs.
        schema: its input contract.
    """

    name: str = "Get Customer"
    run: Callable[[Mapping[str, Any]], Any] = lambda inputs: {"customer": {"id": inputs.get("id"), "name": "Ada"}}
    schema: Any = field(
        default_factory=lambda: {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "id": "http://jsonschema.net",
            "title": "GetCustomerRequest",
            "description": "Finds a customer.",
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string", "title": "Customer number"},
                "title": {"type": "string", "description": "Mr or Ms.", "minLength": None},
                "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            },
            "additionalProperties": True,
        }
    )


@dataclass
class Reply:
    """An answer in the place of the usual one; the action is run before if `run` says so.

    Args:
        status: of the answer.
        body: JSON, or bytes as they are.
        headers: further headers.
        run: the action takes effect.
        hang: no answer comes until the fake ends.
        cut: the connection is cut off instead of an answer.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    run: bool = False
    hang: bool = False
    cut: bool = False


def error(status: int, code: str, message: str, *, of_action: str = "", within: str = "") -> Reply:
    """An error as Genesys writes it."""
    inner = {
        "message": within,
        "code": code.upper(),
        "status": status,
        "messageParams": {},
        "details": [],
        "errors": [],
    }
    body = {
        "message": message,
        "code": code,
        "status": status,
        "messageParams": {},
        "contextId": CONTEXT_ID,
        "details": [{"errorCode": of_action}] if of_action else [],
        "errors": [inner] if within else [],
    }
    return Reply(status, body, run=bool(of_action))


@dataclass
class Seen:
    """A request."""

    method: str
    target: str
    """Path and query as they were sent."""
    token: str
    body: bytes
    peer: object


class GenesysPlatform:
    """``async with GenesysPlatform(tls=context) as genesys:`` serves at ``genesys.url``, tokens and API alike.

    Args:
        tls: the server's side of https; None = http.
        actions: by ID.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, actions: Mapping[str, FakeAction] | None = None) -> None:
        self.actions = dict(actions or {"custom_-_1": FakeAction()})
        self.url = ""
        self.expires_in: Any = 86400
        self.runs: Counter[str] = Counter()
        """How often each action took effect."""
        self.seen: list[Seen] = []
        self.tokens: list[str] = []
        """Those given out; only those in `good` are taken."""
        self.good: set[str] = set()
        self.sign_in: deque[Reply] = deque()
        """Answers to come instead of tokens."""
        self.describe: deque[Reply] = deque()
        """Answers to come instead of what an action is."""
        self.execute: deque[Reply] = deque()
        """Answers to come instead of results."""
        self.arrived = asyncio.Event()
        """Set by every request to execute an action."""
        self.asked = asyncio.Event()
        """Set by every request for a token."""
        self.hold_tokens: asyncio.Event | None = None
        """Tokens are given out once it is set."""
        self._tls = tls
        self._over = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "GenesysPlatform":
        app = web.Application(middlewares=[self._keep])
        app.router.add_post("/oauth/token", self._token)
        app.router.add_get("/api/v2/integrations/actions/{action}", self._describe)
        app.router.add_post("/api/v2/integrations/actions/{action}/execute", self._execute)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        port = self._runner.addresses[0][1]
        self.url = f"https://localhost:{port}" if self._tls else f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def expire(self) -> None:
        """Take none of the tokens any more that were given out."""
        self.good.clear()

    def requests(self, part: str) -> list[Seen]:
        """Return the requests whose target holds ``part``."""
        return [seen for seen in self.seen if part in seen.target]

    @web.middleware
    async def _keep(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        assert request.transport is not None
        peer = request.transport.get_extra_info("peername")
        self.seen.append(Seen(request.method, request.raw_path, token, await request.read(), peer))
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.asked.set()
        if self.hold_tokens is not None:
            await self.hold_tokens.wait()
        if self.sign_in:
            return await self._replaced(request, self.sign_in.popleft())
        known = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {known}":
            problem = {"error": "invalid_client", "description": "authentication failed", "error_description": "x"}
            return web.json_response(problem, status=401)
        if await request.text() != "grant_type=client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        token = f"token-{len(self.tokens)}-of-genesys"
        self.tokens.append(token)
        self.good.add(token)
        return web.json_response({"access_token": token, "token_type": "bearer", "expires_in": self.expires_in})

    async def _describe(self, request: web.Request) -> web.StreamResponse:
        if self.describe:
            return await self._replaced(request, self.describe.popleft())
        action = self.actions.get(request.match_info["action"])
        refused = self._refused(request, action)
        if refused is not None or action is None:
            return await self._replaced(request, refused or Reply())
        contract = {"input": {"inputSchema": action.schema}, "output": {"successSchema": {"type": "object"}}}
        expanded = {"contract": contract} if request.query.get("expand") == "contract" else {}
        return web.json_response({"id": request.match_info["action"], "name": action.name, "version": 1, **expanded})

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        self.arrived.set()
        name = request.match_info["action"]
        action = self.actions.get(name)
        refused = self._refused(request, action)
        if refused is not None or action is None:
            return await self._replaced(request, refused or Reply())
        reply = self.execute.popleft() if self.execute else None
        inputs = await request.json()
        if reply is None or reply.run:
            self.runs[name] += 1
        if reply is not None:
            return await self._replaced(request, reply)
        return web.json_response(action.run(inputs))

    def _refused(self, request: web.Request, action: FakeAction | None) -> Reply | None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.good:
            return error(401, "bad.credentials", "Invalid login credentials.")
        return None if action else error(404, "not.found", "The requested resource was not found.")

    async def _replaced(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.hang:
            await self._over.wait()
        if reply.cut:
            assert request.transport is not None
            request.transport.abort()
        if isinstance(reply.body, bytes):
            return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        return web.json_response(reply.body, status=reply.status, headers=reply.headers)
