"""`offhook serve --workers`, as real processes: what happens to calls when a worker comes or goes."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from offhook.simulator.identity import CallIdentity
from offhook.simulator.upgrade import target, upgrade_headers
from tests.integration.gateway_world import KEY, SECRET
from tests.integration.rolling_restart import rolling_restart
from tests.integration.served import Caller, Served, serving, stayed


async def carried_by_each(served: Served, workers: set[int]) -> dict[Caller, int]:
    """Make calls, one at a time, until each of the workers has one; return who carries them."""
    calls: dict[Caller, int] = {}
    while set(calls.values()) != workers:
        assert len(calls) < 40, "the calls do not spread"
        before = sum(served.carriers.values())
        call = served.call()
        await call.talks()
        await served.logs("call began", before + 1)
        calls[call] = served.logged("call began")[before]["worker"]
    return calls


async def replay(served: Served) -> int:
    """Use one signed request again until both workers have seen it; return how often it was let in."""
    to = target(served.url, connector_id="support", key=KEY, secret=SECRET)
    headers = upgrade_headers(to, CallIdentity.fresh(), nonce=secrets.token_urlsafe(24), unix_time=int(time.time()))
    let_in = 0
    refusing: set[int] = set()
    async with aiohttp.ClientSession() as session:

        async def use() -> int:
            async with session.get(to.url, headers=headers) as answer:
                return answer.status

        opening = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        headers |= {**opening, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        for _ in range(4):
            statuses = await asyncio.gather(*(use() for _ in range(6)))
            assert set(statuses) <= {101, 401}
            let_in += statuses.count(101)
            refusing |= {line["worker"] for line in served.logged("call refused") if line["code"] == "OH-AUTH-10"}
            if len(refusing) > 1:
                return let_in
    raise AssertionError(f"only {refusing} saw the request")


async def test_workers_come_and_go_under_calls(tmp_path: Path) -> None:
    async with serving(tmp_path, "--workers", "2") as served:
        assert await served.get("/readyz") == 200
        assert sorted(served.pids) == [1, 2]

        outcome = await rolling_restart(served, calls=8, gap=0.05)
        assert (outcome.refused, outcome.dropped) == ([], [])
        assert outcome.made > 8
        assert sorted(served.pids) == [1, 2, 3, 4]

        assert await replay(served) == 1

        # One is killed: its calls are lost, the others' are not, and somebody takes its place.
        calls = await carried_by_each(served, {3, 4})
        os.kill(served.pids[3], signal.SIGKILL)
        died = await served.logs("worker died")
        assert (died["worker"], died["status"], died["code"]) == (3, -9, "OH-GATE-12")
        assert died["calls"] == list(calls.values()).count(3)
        await asyncio.wait([call.report for call, worker in calls.items() if worker == 3], timeout=5)
        assert all(call.report.done() == (worker == 3) for call, worker in calls.items())
        await served.until(lambda: 5 in served.pids)
        more = await carried_by_each(served, {4, 5})

        # The supervisor is killed: the workers leave the port and carry their calls to the end.
        os.kill(served.process.pid, signal.SIGKILL)
        await served.until(lambda: len(served.logged("supervisor is gone")) == 2)
        host, port = served.url.removeprefix("ws://").partition("/")[0].split(":")
        await served.until(lambda: _free(host, int(port)))
        for call in [call for call, worker in (calls | more).items() if worker != 3]:
            assert stayed(await call.hangs_up())
        await served.until(lambda: {4, 5} <= {line["worker"] for line in served.logged("gateway stopped")})


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


async def test_signals_reach_all_workers(tmp_path: Path) -> None:
    async with serving(tmp_path, workers=2) as served:
        old = await carried_by_each(served, {1, 2})

        content = json.loads(served.path.read_text())
        served.path.write_text(json.dumps({**content, "agents": {"support": {"speed": 99}}}))
        served.signal(signal.SIGHUP)
        refused = await served.logs("configuration not reloaded")
        assert str(served.path) in refused["problem"]
        assert refused["code"] == "OH-GATE-11"

        agents: dict[str, Any] = {**content["agents"], "sales": {"instructions": "Sell."}}
        served.path.write_text(json.dumps({**content, "agents": agents, "listen": "127.0.0.1:1", "base_path": "/x"}))
        served.signal(signal.SIGHUP)
        reloaded = await served.logs("configuration reloaded")
        assert reloaded["restart_needed"] == ["listen", "base_path"]
        new = [served.call("sales") for _ in range(6)]
        await asyncio.gather(*(call.talks() for call in new))

        # One worker is told to go; another takes its place.
        os.kill(served.pids[1], signal.SIGTERM)
        await served.until(lambda: 3 in served.pids)

        served.signal(signal.SIGTERM)
        await served.until(lambda: len(served.logged("draining")) >= 4)
        assert await served.get("/readyz") == 503
        assert not any(call.report.done() for call in (*old, *new))
        served.signal(signal.SIGINT)
        assert await served.ended() == 0
        for call in (*old, *new):
            report = await call.report
            assert (report.ended_by, report.reason) == ("agent", "completed")
            assert report.info.startswith("OH-GATE-03")
            assert report.output_variables["OFFHOOK_REASON"] == "drained"


async def test_a_first_start_that_fails_says_why_once(tmp_path: Path) -> None:
    settings = {"workers": 2, "agents": {"support": {"instructions": "Talk."}}, "listen": "127.0.0.1:0"}
    path = tmp_path / "offhook.yaml"
    path.write_text(json.dumps({**settings, "tls": {"cert": "nowhere.pem", "key": "nowhere.pem"}}))
    command = [sys.executable, "-c", "from offhook.cli import main; main()", "serve", "-c", str(path)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert errors.decode().count("certificate and key cannot be used") == 1
