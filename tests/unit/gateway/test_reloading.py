import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from offhook import Agent
from offhook.config import Config, ConfigError, Mark, Problem
from offhook.gateway import reloading as module
from offhook.gateway.control import ReloadOutcome
from offhook.gateway.reloading import ReloadTurns, ServerControl
from offhook.gateway.server import GatewayServer

BROKEN = ConfigError(
    [
        Problem("OH-CONF-05", Mark("offhook.yaml", 2, 1), "speed", "there is no such setting", "remove it"),
        Problem("OH-CONF-51", Mark("offhook.yaml", 4, 1), "agents.a.voice", "not known", severity="warning"),
        Problem("OH-CONF-08", Mark("offhook.yaml", 5, 9), "listen", "should be HOST:PORT"),
    ]
)


def configured(*names: str) -> Config:
    agents = {name: Agent(instructions="Talk.") for name in names}
    return Config.model_validate({"agents": agents, "listen": "127.0.0.1:0"})


async def test_reloads_take_turns_and_who_waits_shares() -> None:
    running: asyncio.Queue[asyncio.Event] = asyncio.Queue()
    reloads = 0

    async def reload() -> ReloadOutcome:
        nonlocal reloads
        reloads += 1
        number, goes_on = reloads, asyncio.Event()
        running.put_nowait(goes_on)
        await goes_on.wait()
        return ReloadOutcome(applied=True, restart_needed=(str(number),))

    turns = ReloadTurns(reload)
    async with asyncio.timeout(5):
        first = asyncio.ensure_future(turns.take())
        goes_on = await running.get()
        others = [asyncio.ensure_future(turns.take()) for _ in range(5)]
        await asyncio.sleep(0)
        others[0].cancel()  # whoever goes away takes nothing from the rest
        goes_on.set()
        assert (await first).restart_needed == ("1",)
        (await running.get()).set()
        assert {(await other).restart_needed for other in others[1:]} == {("2",)}
    assert reloads == 2


def failing(error: Exception) -> Callable[[], Awaitable[ReloadOutcome]]:
    async def reload() -> ReloadOutcome:
        raise error

    return reload


async def test_every_problem_is_told_and_logged() -> None:
    with capture_logs() as logs:
        outcome = await ReloadTurns(failing(BROKEN)).take()
    assert outcome == ReloadOutcome(
        applied=False,
        problems=(
            "offhook.yaml:2:1: OH-CONF-05 speed: there is no such setting; remove it",
            "offhook.yaml:5:9: OH-CONF-08 listen: should be HOST:PORT",
        ),
    )
    assert [line["problem"] for line in logs] == list(outcome.problems)


async def test_a_reload_ends_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RELOAD_TIMEOUT", 0.01)

    async def hang() -> ReloadOutcome:
        await asyncio.Event().wait()
        raise AssertionError

    assert (await ReloadTurns(hang).take()).problems == ("OH-GATE-11 not done within 0.01 s",)
    with capture_logs() as logs:
        outcome = await ReloadTurns(failing(RuntimeError("a secret"))).take()
    assert outcome.problems == ("OH-GATE-11 failed (RuntimeError)",)
    assert not any("a secret" in line.get("problem", "") for line in logs)


async def test_control_of_one_process() -> None:
    wanted = configured("support", "sales")

    async def read() -> Config:
        return wanted

    async with GatewayServer(configured("support")) as server:
        control = ServerControl(server, read)
        before = await control.status()
        assert (before.ready, before.agents, before.calls) == (True, ("support",), 0)
        (worker,) = before.workers
        assert (worker.number, worker.calls, worker.draining) == (1, 0, False)
        with capture_logs() as logs:
            assert await control.reload() == ReloadOutcome(applied=True)
        assert [line["event"] for line in logs] == ["configuration reloaded"]
        assert (await control.status()).agents == ("support", "sales")
        outcome = await ServerControl(server).reload()
        assert not outcome.applied
        assert "needs a restart" in outcome.problems[0]
        await server.drain()
        after = await control.status()
        assert (after.ready, after.reason, after.draining) == (False, "draining", True)
        assert "shutting down" in (await control.reload()).problems[0]
