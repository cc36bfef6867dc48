"""A piece of the Genesys Cloud Platform API on this machine: a token and one Data Action."""

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

TOKEN = "platform-token"  # noqa: S105 - of this example only
INPUT = {
    "type": "object",
    "properties": {"phone": {"type": "string", "description": "The caller's number."}},
    "required": ["phone"],
    "additionalProperties": False,
}


@contextlib.asynccontextmanager
async def backend() -> AsyncIterator[dict[str, str]]:
    """Serve the API; gives the environment that `offhook.yaml` is read with."""

    async def token(request: web.Request) -> web.Response:
        return web.json_response({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600})

    async def action(request: web.Request) -> web.Response:
        contract = {"input": {"inputSchema": INPUT}}
        return web.json_response({"id": request.match_info["action"], "name": "Find customer", "contract": contract})

    async def execute(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "No authorization", "status": 401}, status=401)
        asked = await request.json()
        return web.json_response({"customers": [{"id": "C-42", "phone": asked["phone"], "ssn": "078-05-1120"}]})

    actions = "/api/v2/integrations/actions/{action}"
    app = web.Application()
    app.add_routes(
        [
            web.post("/oauth/token", token),
            web.get(actions, action),
            web.post(actions + "/execute", execute),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield {
            "GENESYS_API_URL": url,
            "GENESYS_LOGIN_URL": url,
            "GENESYS_OAUTH_CLIENT_ID": "example",
            "GENESYS_OAUTH_CLIENT_SECRET": "example",
        }
    finally:
        await runner.cleanup()
