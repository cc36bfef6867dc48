"""The admin port beside a gateway that carries calls."""

import asyncio
import json
import os
import time

import aiohttp

from offhook.admin import serve_admin
from offhook.config import parse_config
from offhook.config.problems import ConfigError
from offhook.gateway import GatewayServer
from offhook.gateway.control import GatewayStatus, ReloadOutcome, WorkerStatus
from tests.integration.gateway_world import ASKED, world

TOKEN = "token-of-the-admin-port"


class OneProcess:
    """A gateway of one process, as the admin port asks for it."""

    def __init__(self, server: GatewayServer) -> None:
        self._server = server
        self.text = "agents: {support: {speed: 9}}"

    async def status(self) -> GatewayStatus:
        config, reason = self._server.config, self._server._not_ready()
        draining = reason == "draining"
        worker = WorkerStatus(
            number=0, pid=os.getpid(), calls=self._server.calls, draining=draining, started_at=time.time()
        )
        return GatewayStatus(
            ready=reason is None,
            reason=reason,
            calls=self._server.calls,
            draining=draining,
            agents=tuple(config.agents),
            providers={provider.name: "ok" for provider in config.usable_providers},
            workers=(worker,),
        )

    async def reload(self) -> ReloadOutcome:
        try:
            parse_config(self.text)
        except ConfigError as error:
            return ReloadOutcome(applied=False, problems=tuple(str(problem) for problem in error.problems))
        return ReloadOutcome(applied=True)


async def test_a_gateway_is_watched_and_told_to_reload_while_it_carries_a_call() -> None:
    async with world(admin="127.0.0.1:0", admin_token=TOKEN) as gateway, aiohttp.ClientSession() as client:
        control = OneProcess(gateway.server)
        async with serve_admin(control, gateway.server.config, announce=lambda line: None) as admin:
            headers = {"Authorization": f"Bearer {TOKEN}"}

            async def ask(method: str, path: str) -> tuple[int, dict[str, object]]:
                async with client.request(method, f"{admin.url}api/v1/{path}", headers=headers) as answer:
                    return answer.status, json.loads(await answer.text())

            status, said = await ask("GET", "status")
            assert (status, said["ready"], said["calls"], said["agents"]) == (200, True, 0, ["support"])
            call = asyncio.create_task(gateway.call(ASKED))
            async with asyncio.timeout(5):
                while (await ask("GET", "status"))[1]["calls"] != 1:
                    continue
            status, said = await ask("POST", "reload")
            assert status == 422
            assert "OH-CONF" in str(said["problems"])
            control.text = "agents: {support: {instructions: Talk.}}"
            assert (await ask("POST", "reload"))[0] == 200
            assert (await call).ok
            await gateway.server.drain(0)
            _, said = await ask("GET", "status")
            assert (said["ready"], said["reason"], said["calls"]) == (False, "draining", 0)
            # The two ports have nothing in common.
            assert (await gateway.get("/api/v1/status"))[0] == 404
