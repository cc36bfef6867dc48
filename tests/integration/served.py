"""`offhook serve` as processes of its own, an emulator in this one, and callers who stay on the line until told."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from offhook.emulator.scenario import Scenario, Turn
from offhook.emulator.server import Emulator
from offhook.simulator.dialer import dial
from offhook.simulator.events import CallEvent, CallOpened
from offhook.simulator.identity import CallIdentity
from offhook.simulator.report import CallReport
from offhook.simulator.script import HangUp, Wait
from offhook.simulator.script import Scenario as CallerScenario
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import target
from tests.integration.gateway_world import KEY, SECRET, Murmur

START = 30.0
"""Seconds that a machine with other things to do may take to start processes."""

STOPPED = "the simulator was told to stop"

TALKATIVE = Scenario(first_audio_ms=20, turns=[Turn(say="Good morning dear caller")])


def document(realtime_url: str, **settings: Any) -> dict[str, Any]:
    """Return a configuration with one agent called support."""
    return {
        "listen": "127.0.0.1:0",
        "keys": [{"id": KEY, "secret": SECRET}],
        "realtime": {"providers": [{"name": "emulator", "url": realtime_url, "api_key": "sk-test"}]},
        "agents": {"support": {"instructions": "Talk.", "greeting": "Greet.", "outputs": {"INTENT": {"default": "x"}}}},
        "default_agent": "support",
        "log": {"format": "json"},
        **settings,
    }


class Caller:
    """One call, from the upgrade on; it ends when the caller hangs up, or earlier."""

    def __init__(self, url: str, *, connector_id: str = "support", max_seconds: float = 60.0) -> None:
        self.opened = asyncio.Event()
        """The gateway has answered `open` with `opened`."""
        self._hang_up = asyncio.Event()
        scenario = CallerScenario(steps=(Wait(max_seconds), HangUp()))
        call = SimulatedCall(scenario, Murmur(), identity=CallIdentity.fresh(), max_seconds=max_seconds)
        to = target(url, connector_id=connector_id, key=KEY, secret=SECRET)
        self.report = asyncio.ensure_future(dial(to, call, on_event=self._on_event, stop=self._hang_up))
        """DialFailed when the upgrade is refused."""

    def _on_event(self, event: CallEvent) -> None:
        if isinstance(event, CallOpened):
            self.opened.set()

    async def talks(self) -> None:
        """Return once the call stands."""
        opened = asyncio.ensure_future(self.opened.wait())
        try:
            await asyncio.wait([opened, self.report], timeout=10, return_when=asyncio.FIRST_COMPLETED)
            assert self.opened.is_set(), self.report
        finally:
            opened.cancel()

    async def hangs_up(self) -> CallReport:
        """End the call as the caller does; return what came of it."""
        self._hang_up.set()
        return await self.report


def stayed(report: CallReport) -> bool:
    """Tell whether a call lasted until the caller hung up, with nothing wrong in it."""
    return report.ended_by == "simulator" and report.failures == (STOPPED,) and not report.protocol_errors


class Served:
    """A running `offhook serve`."""

    def __init__(self, process: asyncio.subprocess.Process, path: Path) -> None:
        self.process = process
        self.path = path
        """The configuration file."""
        self.url = ""
        self.lines: list[str] = []
        self.events: list[dict[str, Any]] = []
        """Log lines."""
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            line = raw.decode().rstrip()
            self.lines.append(line)
            if line.startswith("{"):
                self.events.append(json.loads(line))
            elif line.startswith("Taking calls"):
                self.url = line.partition("Genesys: ")[2].split(" ")[0]
            self._changed.set()
        self._changed.set()

    async def until(self, condition: Callable[[], object], within: float = START) -> None:
        """Return once the log shows something."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError("\n".join(self.lines)) from None

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines with this event."""
        return [line for line in self.events if line["event"] == event]

    async def logs(self, event: str, count: int = 1, within: float = START) -> dict[str, Any]:
        """Wait for a log line, and return it."""
        await self.until(lambda: len(self.logged(event)) >= count, within)
        return self.logged(event)[count - 1]

    @property
    def pids(self) -> dict[int, int]:
        """Process of each worker that has ever taken calls, by its number."""
        return {line["worker"]: line["pid"] for line in self.logged("worker takes calls")}

    @property
    def carriers(self) -> Counter[int]:
        """How many calls each worker has begun."""
        return Counter(line.get("worker", 0) for line in self.logged("call began"))

    def call(self, connector_id: str = "support") -> Caller:
        """Make a call."""
        return Caller(self.url, connector_id=connector_id)

    async def get(self, path: str) -> int:
        """Ask the call port for a page; return the status."""
        url = self.url.replace("ws", "http", 1).partition("/audiohook")[0]
        async with aiohttp.ClientSession() as session, session.get(url + path) as answer:
            return answer.status

    def signal(self, number: int) -> None:
        """Send a signal to the process that was started."""
        self.process.send_signal(number)

    async def ended(self, within: float = 10.0) -> int:
        """Wait for the process to end by itself; return its status."""
        status = await asyncio.wait_for(self.process.wait(), within)
        await asyncio.wait_for(self._reading, within)
        return status


@contextlib.asynccontextmanager
async def serving(
    folder: Path, *arguments: str, script: Scenario = TALKATIVE, **settings: Any
) -> AsyncIterator[Served]:
    """Run `offhook serve` with an emulator behind it, until the block ends.

    Args:
        folder: where the configuration goes.
        arguments: further ones of the command.
        script: what the emulator's agent says.
        settings: of the configuration.
    """
    async with Emulator(scenario=script, speech=Murmur()) as emulator:
        path = write(folder / "offhook.yaml", document(emulator.url, **settings))
        command = [sys.executable, "-c", "from offhook.cli import main; main()", "serve", "-c", str(path), *arguments]
        process = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL, env=dict(os.environ)
        )
        served = Served(process, path)
        try:
            await served.until(lambda: served.url)
            yield served
        finally:
            if process.returncode is None:
                process.kill()
            for pid in filter(_is_worker, served.pids.values()):
                os.kill(pid, signal.SIGKILL)
            await served.ended()


def _is_worker(pid: int) -> bool:
    """Tell whether a process is still the worker that it was, and not another that got its number."""
    try:
        return b"offhook.cli.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a configuration; JSON is accepted where YAML is."""
    path.write_text(json.dumps(content))
    return path
