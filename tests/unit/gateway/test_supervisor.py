"""The supervisor and its pool, with workers that are real processes and carry no calls."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from offhook import Agent
from offhook.config import Config, ConfigError, Mark, Problem
from offhook.gateway import supervisor as supervisor_module
from offhook.gateway import worker_pool, worker_process
from offhook.gateway.acceptor import listen
from offhook.gateway.admission import PROCESS
from offhook.gateway.channel import Begin, Channel, CheckNonce, NonceChecked
from offhook.gateway.scoreboard import Scoreboard, Slot
from offhook.gateway.settings import shown_as
from offhook.gateway.supervisor import Reading, Supervisor
from offhook.gateway.worker_pool import BACK_OFF, STEADY_AFTER, _Place
from offhook.gateway.worker_process import WorkerFailed, WorkerProcess

COMMAND = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]


def configured(**settings: Any) -> Config:
    agents = {"support": Agent(instructions="Talk.")}
    return Config.model_validate({"agents": agents, "listen": "127.0.0.1:0", "workers": 2, **settings})


class File:
    """A configuration file that the test writes."""

    def __init__(self, text: str = "fine") -> None:
        self.text = text
        self.config = configured()
        self.error: Exception | None = None

    async def read(self) -> Reading:
        if self.error is not None:
            raise self.error
        return Reading(self.text, self.config)


async def supervisor(file: File | None, text: str = "fine", **settings: Any) -> Supervisor:
    config = configured(**settings)
    return Supervisor(
        config,
        command=COMMAND,
        begin=Begin(text=text),
        read=file.read if file is not None else None,
        sockets=await listen(*config.listen),
    )


@contextlib.asynccontextmanager
async def supervising(file: File | None, text: str = "fine", **settings: Any) -> AsyncIterator[Supervisor]:
    async with await supervisor(file, text, **settings) as running:
        for slot in slots(running):
            slot.ready = True  # as real workers do
        yield running


def slots(running: Supervisor) -> list[Slot]:
    return list(running._scoreboard.occupied())


def numbers(running: Supervisor) -> list[int]:
    return [worker.number for worker in running._pool.workers]


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - processes of the system tell nobody
            await asyncio.sleep(0.01)


async def test_workers_start_and_drain() -> None:
    with capture_logs() as logs:
        async with supervising(None) as running:
            assert running.url.startswith("ws://127.0.0.1:")
            status = await running.status()
            assert (status.ready, status.calls, status.draining) == (True, 0, False)
            assert status.providers == {"openai": "resting"}
            assert [worker.number for worker in status.workers] == [1, 2]
            assert {worker.pid for worker in status.workers} == {slot.pid for slot in slots(running)}
            await running.drain()
            assert not running._pool.processes
            assert slots(running) == []
            assert (await running.status()).reason == "draining"
            outcome = await running.restart_workers()
            assert (outcome.restarted, outcome.problems) == (0, ("the gateway is shutting down",))
    assert not [line for line in logs if line["event"] in ("worker died", "worker killed")]


async def test_why_no_new_calls_are_taken() -> None:
    async with supervising(None, limits={"max_calls": 3}) as running:
        slots(running)[0].show(shown_as(PROCESS), 1)
        slots(running)[1].show(shown_as(PROCESS), 2)
        assert (await running.status()).reason == "too many calls"
        for slot in slots(running):
            slot.show(shown_as(PROCESS), 0)
            slot.ready = False
        assert (await running.status()).reason == "no worker is ready"


@pytest.mark.parametrize(
    ("text", "status", "line"),
    [("dies", 1, "ended with status 3"), ("fails", 2, "no good"), ("one fails", 1, "no room"), ("hangs", 1, "within")],
)
async def test_a_first_start_that_fails(monkeypatch: pytest.MonkeyPatch, text: str, status: int, line: str) -> None:
    monkeypatch.setattr(worker_process, "START_TIMEOUT", 0.5 if text == "hangs" else 30.0)
    running = await supervisor(None, text)
    with pytest.raises(WorkerFailed, match=line) as caught:
        await running.start()
    assert caught.value.status == status
    assert not running._pool.processes
    assert all(one.fileno() == -1 for one in running._sockets)


async def test_what_cannot_be_run_is_a_failed_start() -> None:
    running = await supervisor(None)
    running._pool._command = ("/nowhere/python",)
    with pytest.raises(WorkerFailed, match="cannot be started: No such file"):
        await running.start()


async def test_a_certificate_is_looked_at_before_anything_is_started() -> None:
    with pytest.raises(ConfigError, match="tls"):
        await (await supervisor(None, tls={"cert": "nowhere.pem", "key": "nowhere.pem"})).start()


async def test_a_worker_that_dies_is_replaced() -> None:
    with capture_logs() as logs:
        async with supervising(None) as running:
            slots(running)[0].calls = 7
            os.kill(slots(running)[0].pid, signal.SIGKILL)
            await until(lambda: numbers(running) == [3, 2])
            assert running._scoreboard.calls == 0
    died = [line for line in logs if line["event"] == "worker died"]
    assert [(line["worker"], line["status"], line["calls"]) for line in died] == [(1, -9, 7)]


async def test_a_worker_that_cannot_be_replaced_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "BACK_OFF", (0.0, 0.01))
    async with supervising(None) as running:
        good = running._pool.begin
        running._pool.begin = Begin(text="dies", slots=good.slots, scoreboard=good.scoreboard, sockets=good.sockets)
        with capture_logs() as logs:
            os.kill(slots(running)[0].pid, signal.SIGKILL)
            await until(lambda: len([line for line in logs if line["event"] == "worker not started"]) > 1)
            running._pool.begin = good
            await until(lambda: numbers(running)[0] > 3)
        assert numbers(running)[1] == 2


class _Dead:
    number = 1


def test_pauses_grow_while_workers_die_in_a_row() -> None:
    place = _Place(_Dead())  # type: ignore[arg-type]
    assert [place.pause() for _ in range(8)] == [*BACK_OFF, BACK_OFF[-1], BACK_OFF[-1]]
    place.lasted(STEADY_AFTER - 1)
    assert place.pause() == BACK_OFF[-1]
    place.lasted(STEADY_AFTER)
    assert place.pause() == 0


async def test_workers_are_renewed_one_after_the_other() -> None:
    file = File("better")
    file.config = configured(workers=5, listen="127.0.0.1:1", limits={"max_calls": 5}, base_path="/new")
    async with supervising(file) as running:
        outcome = await running.restart_workers()
        assert (outcome.restarted, outcome.problems) == (2, ())
        assert numbers(running) == [3, 4]
        assert [worker.text for worker in running._pool.workers] == ["better", "better"]
        assert running._pool.begin.fixed_text == "better"
        assert (running.config.workers, running.config.limits.max_calls, running.config.base_path) == (2, 5, "/new")
        await until(lambda: len(running._pool.processes) == 2)


@pytest.mark.parametrize("text", ["dies", "broken file"])
async def test_a_restart_that_fails_leaves_the_workers(text: str) -> None:
    file = File(text)
    if text == "broken file":
        file.error = ConfigError([Problem("OH-CONF-02", Mark("offhook.yaml", 2, 3), "", "no YAML")])
    async with supervising(file) as running:
        outcome = await running.restart_workers()
        assert outcome.restarted == 0
        assert ("ended with status 3" if text == "dies" else "offhook.yaml:2:3: OH-CONF-02") in outcome.problems[0]
        assert numbers(running) == [1, 2]
        assert running._pool.begin.text == "fine"


async def test_a_restart_that_fails_half_way_keeps_what_it_has() -> None:
    async with supervising(File("fourth dies")) as running:
        outcome = await running.restart_workers()
        assert (outcome.restarted, outcome.problems) == (1, ("worker 4 ended with status 3 before it took calls",))
        assert numbers(running) == [3, 2]
        assert running._pool.begin.text == "fourth dies"


async def test_a_restart_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "SLOTS_PER_WORKER", 1)
    async with supervising(None, "stays", workers=1) as running:
        restarting = asyncio.ensure_future(running.restart_workers())
        await until(lambda: running._restarting.locked())
        assert numbers(running) == [1]
        os.kill(slots(running)[0].pid, signal.SIGKILL)
        await restarting
        await until(lambda: numbers(running)[0] > 1)


async def test_a_worker_that_was_told_to_go_gets_a_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "SIGNAL_SPREAD", 0.0)
    async with supervising(None) as running:
        os.kill(slots(running)[1].pid, signal.SIGTERM)
        await until(lambda: numbers(running) == [1, 3])
        await until(lambda: len(running._pool.processes) == 2)


async def test_a_worker_that_was_told_to_go_stays_when_nobody_can_take_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor_module, "SIGNAL_SPREAD", 0.0)
    async with supervising(None) as running:
        running._pool._command = ("/nowhere/python",)
        with capture_logs() as logs:
            os.kill(slots(running)[1].pid, signal.SIGTERM)
            await until(lambda: any(line["event"] == "workers not restarted" for line in logs))
        assert numbers(running) == [1, 2]


async def test_a_reload_reaches_all_workers() -> None:
    file = File()
    async with supervising(file) as running:
        file.text, file.config = "better", configured(limits={"max_calls": 5}, log={"level": "debug"})
        first, second = await asyncio.gather(running.reload(), running.reload())
        assert first == second
        assert (first.applied, first.problems, first.restart_needed) == (True, (), ("log",))
        assert [worker.text for worker in running._pool.workers] == ["better", "better"]
        assert running.config.limits.max_calls == 5
        assert running.config.log.level == "info"
        os.kill(slots(running)[0].pid, signal.SIGKILL)
        await until(lambda: numbers(running) == [3, 2])
        assert running._pool.workers[0].text == "better"
        assert (running._pool.begin.text, running._pool.begin.fixed_text) == ("better", "fine")


async def test_a_reload_that_no_worker_can_use_changes_nothing() -> None:
    file = File()
    async with supervising(file) as running:
        file.text, file.config = "bad", configured(limits={"max_calls": 5})
        outcome = await running.reload()
        assert (outcome.applied, outcome.problems) == (False, ("worker 1: not so", "worker 2: not so"))
        assert running._pool.begin.text == "fine"
        assert running.config.limits.max_calls == 1000


async def test_a_worker_that_cannot_follow_the_others_is_replaced() -> None:
    file = File("bad for 1")
    async with supervising(file) as running:
        outcome = await running.reload()
        assert (outcome.applied, outcome.problems) == (True, ("worker 1: not so",))
        await until(lambda: numbers(running) == [3, 2])


async def test_a_broken_file_changes_nothing() -> None:
    file = File()
    file.error = ConfigError([Problem("OH-CONF-02", Mark("offhook.yaml", 2, 3), "", "no YAML")])
    async with supervising(file) as running:
        outcome = await running.reload()
        assert not outcome.applied
        assert "offhook.yaml:2:3: OH-CONF-02" in outcome.problems[0]
        file.error = None
        file.config = configured(tls={"cert": "nowhere.pem", "key": "nowhere.pem"})
        outcome = await running.reload()
        assert (outcome.applied, outcome.restart_needed) == (True, ("tls",))
        await running.drain()
        assert "shutting down" in (await running.reload()).problems[0]


async def test_a_certificate_is_looked_at_before_a_worker_hears_of_it(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    file, tls = File("better"), {"cert": str(tmp_path / "both.pem"), "key": str(tmp_path / "both.pem")}
    file.config = configured(tls={"cert": str(tmp_path / "both.pem"), "key": "nowhere.pem"})
    async with supervising(file, tls=tls) as running:
        assert running.url.startswith("wss://")
        outcome = await running.reload()
        assert not outcome.applied
        assert "certificate and key cannot be used" in outcome.problems[0]
        assert running._pool.workers[0].text == "fine"


async def test_a_gateway_of_python_is_not_reloaded() -> None:
    async with supervising(None, workers=1) as running:
        assert "needs a restart" in (await running.reload()).problems[0]


async def test_a_worker_that_starts_during_a_reload_catches_up() -> None:
    file = File()
    async with supervising(file) as running:
        os.kill(slots(running)[0].pid, signal.SIGKILL)
        await until(lambda: any(slot.number == 3 for slot in slots(running)))
        file.text = "better"
        assert (await running.reload()).applied
        await until(lambda: numbers(running) == [3, 2])
        assert running._pool.workers[0].text == "better"


async def test_the_port_is_left_when_only_those_are_there_that_handed_over() -> None:
    async with supervising(File("fine"), "stays", workers=1) as running:
        await running.restart_workers()  # the old worker stays
        assert [slot.number for slot in slots(running)] == [1, 2]
        draining = asyncio.ensure_future(running.drain())
        await until(lambda: running._sockets[0].fileno() == -1)
        assert [slot.number for slot in slots(running)] == [1]
        assert not draining.done()
        assert await running.cut_calls()
        await draining


@pytest.mark.parametrize(("text", "in_order"), [("fine", True), ("unanswered", False)])
async def test_calls_are_cut(text: str, in_order: bool) -> None:
    async with supervising(None, text) as running:
        assert await running.cut_calls() is in_order
        assert not running._pool.processes


async def test_workers_that_do_not_go_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAST_WORDS", "CUT_TIMEOUT", "CLOSING"):
        monkeypatch.setattr(supervisor_module, name, 0.0)
    with capture_logs() as logs:
        async with supervising(None, "stays", limits={"drain_timeout": 0.05}) as running:
            await running.drain()
            assert not running._pool.processes
    assert [line["worker"] for line in logs if line["event"] == "worker killed"] in ([1, 2], [2, 1])


async def test_a_nonce_is_good_for_one_worker() -> None:
    async with supervising(None, workers=1) as running:
        ours, theirs = socket.socketpair()
        here, there = await Channel.over(ours), await Channel.over(theirs)
        (worker,) = running._pool.workers
        its_own, worker.channel = worker.channel, here

        async def answer() -> None:
            while (order := await here.receive()) is not None:
                await running._on_order(worker, order)

        answering = [asyncio.ensure_future(answer()), asyncio.ensure_future(there.receive())]
        fresh = [(await there.ask(CheckNonce(digest=digest), NonceChecked, 1.0)).fresh for digest in ("a", "b", "a")]
        assert fresh == [True, True, False]
        worker.channel = its_own
        for task in answering:
            task.cancel()
        await there.close()
        await here.close()


async def test_a_worker_that_does_not_answer_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "RELOAD_TIMEOUT", 0.05)
    board = Scoreboard.create(1)
    begin = Begin(text="hangs", number=1, scoreboard=board.fd)

    async def ignore(worker: WorkerProcess, order: object) -> None:
        raise AssertionError(order)

    worker = await WorkerProcess.spawn(COMMAND, begin, board.slots[0], ignore)
    assert (await worker.reload("better")).problems == ("worker 1 did not answer",)
    worker.kill()
    await worker.gone.wait()
    assert (worker.status, board.slots[0].number) == (-9, 0)
    board.close()


async def test_listening_on_all_addresses_of_a_name() -> None:
    sockets = await listen("localhost", 0)
    ports = {one.getsockname()[1] for one in sockets}
    assert len(ports) == 1
    with pytest.raises(OSError, match="in use"):
        await listen(sockets[0].getsockname()[0], ports.pop())
    for one in sockets:
        one.close()
