"""The gateway under test: what it is configured with, how it is run, and what its log says of each call."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from offhook.bench import tools
from offhook.config import load_config
from offhook.emulator.server import PATH
from offhook.gateway import GatewayServer
from offhook.gateway.listener import ListenerLimits
from offhook.telemetry.logging import configure

KEY: Final = "bench-key"
SECRET: Final = "YmVuY2ggc2VjcmV0IG9mIGEgYmVuY2ggY2FsbA=="  # noqa: S105 - it opens nothing
CENSUS: Final = "census"
"""The agent whose only call counts what the process holds."""
OUTPUTS: Final = {"INTENT": {"default": "none"}, "ORDER": {"default": ""}}
TOOL_TIMEOUT: Final = 6.0
FILLER_AFTER: Final = 1.5
"""Seconds until the model says that a tool takes a moment: with its default, that would be heard after 4.7 s."""

START_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 30.0

_PRICED: Final = ("text_input", "text_cached", "text_output", "audio_input", "audio_cached", "audio_output")
_PRICE: Final = dict.fromkeys(_PRICED, 1.0)


class SubjectFailed(Exception):
    """The gateway under test did not start, or has ended by itself; the text says what it last said."""


def line_name(number: int) -> str:
    """Return the name of a telephone line: its agent, its model and its Connector ID."""
    return f"line-{number:03d}"


def configuration(lines: int, provider_ports: Sequence[int]) -> dict[str, Any]:
    """Return the configuration of the gateway.

    Each line has an agent and a model of its own, so that both legs of its calls can be told from those of others.

    Args:
        lines: calls at a time.
        provider_ports: where the Realtime API is, on this machine, in order of preference.
    """
    names = [line_name(number) for number in range(lines)]
    return {
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "keys": [{"id": KEY, "secret": SECRET}],
        "realtime": {
            "providers": [
                {"name": f"provider-{number}", "url": f"ws://127.0.0.1:{port}{PATH}", "api_key": "bench"}
                for number, port in enumerate(provider_ports, 1)
            ]
        },
        "agents": {name: _agent(name) for name in names} | {CENSUS: _agent(CENSUS, CENSUS)},
        "prices": dict.fromkeys((*names, CENSUS), _PRICE),
        # How a gateway takes a machine that is too busy is not the subject: it refuses calls then.
        "limits": {"tool_timeout": TOOL_TIMEOUT, "drain_timeout": 2.0, "max_lag": None},
        "log": {"format": "json", "level": "info"},
    }


def _agent(model: str, *own: str) -> dict[str, Any]:
    return {
        "model": model,
        "instructions": "You answer the phone of Acme.",
        "greeting": None if own else "Greet the caller.",
        "tools": [{"python": f"{tools.__name__}:{name}"} for name in own or tools.TOOLS] + ["end_call"],
        "outputs": OUTPUTS,
        "filler": {"after": FILLER_AFTER},
    }


@dataclass(frozen=True, slots=True)
class Subject:
    """A gateway that runs."""

    port: int
    process: int
    """Its process, which may be ours."""
    log: Path

    @property
    def url(self) -> str:
        """The Base Connection URI."""
        return f"ws://127.0.0.1:{self.port}/audiohook"


@dataclass(slots=True)
class CallOfLog:
    """What the log says of one call."""

    call_id: str
    conversation: str = ""
    ended: list[tuple[str, str]] = field(default_factory=list)
    """Outcome and reason, once if all is well."""


@dataclass(slots=True)
class LogSummary:
    """What the log says of a run."""

    calls: dict[str, CallOfLog] = field(default_factory=dict)
    """By the gateway's ID of the call."""
    errors: list[str] = field(default_factory=list)
    """Lines of level error, and what was no line of the log at all."""
    warnings: dict[str, int] = field(default_factory=dict)
    """How often each warning came."""

    def of_conversation(self, conversation: str) -> list[CallOfLog]:
        """Return the calls of a conversation, retries included."""
        return [call for call in self.calls.values() if call.conversation == conversation]

    @property
    def live(self) -> int:
        """Calls that have begun and not ended."""
        return sum(not call.ended for call in self.calls.values())


def read_log(file: Path) -> LogSummary:
    """Read the log of a gateway."""
    summary = LogSummary()
    for line in _lines(file):
        try:
            entry = json.loads(line)
        except ValueError:
            if "Traceback" in line or "Error" in line:
                summary.errors.append(line)
            continue
        event, level = entry.get("event", ""), entry.get("level", "")
        if level in ("error", "critical"):
            summary.errors.append(line)
        elif level == "warning":
            summary.warnings[event] = summary.warnings.get(event, 0) + 1
        if (call_id := entry.get("call")) is None:
            continue
        call = summary.calls.setdefault(call_id, CallOfLog(call_id))
        call.conversation = entry.get("conversation") or call.conversation
        if event == "call ended":
            call.ended.append((entry.get("outcome", ""), entry.get("reason", "")))
    return summary


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as stream:
        yield from (stripped for line in stream if (stripped := line.strip()))


@contextlib.asynccontextmanager
async def serving(
    config: dict[str, Any], folder: Path, *, in_process: bool, listener_limits: ListenerLimits | None = None
) -> AsyncIterator[Subject]:
    """Run a gateway while the block runs.

    Args:
        config: its configuration.
        folder: where its configuration and its log are put.
        in_process: run it in this process, on this event loop, and not as `offhook serve`.
        listener_limits: of a gateway in this process.

    Raises:
        SubjectFailed: it does not start, or does not stop.
    """
    file, log = folder / "offhook.yaml", folder / "gateway.log"
    file.write_text(json.dumps(config))
    log.touch()
    running = _here(file, log, listener_limits) if in_process else _beside(file, log)
    async with running as subject:
        yield subject


@contextlib.asynccontextmanager
async def _here(file: Path, log: Path, limits: ListenerLimits | None) -> AsyncIterator[Subject]:
    with log.open("a") as stream:
        before = structlog.get_config()
        configure(style="json", level="info", stream=stream)
        try:
            async with GatewayServer(load_config(file).config, listener_limits=limits) as server:
                yield Subject(server.port, os.getpid(), log)
                await server.drain(STOP_TIMEOUT)
        finally:
            structlog.configure(**before)


@contextlib.asynccontextmanager
async def _beside(file: Path, log: Path) -> AsyncIterator[Subject]:
    command = (sys.executable, "-c", "from offhook.cli import main; main()", "serve", "-c", str(file))
    with log.open("a") as stream:
        process = await asyncio.create_subprocess_exec(*command, stdout=stream, stderr=stream)
    try:
        port = await _port(process, log)
        yield Subject(port, process.pid, log)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            raise SubjectFailed(f"the gateway does not stop within {STOP_TIMEOUT:g} s") from None
        if process.returncode:
            raise SubjectFailed(f"the gateway ended with status {process.returncode}: {_last(log)}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _port(process: asyncio.subprocess.Process, log: Path) -> int:
    """Wait until the gateway listens."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT):
            while process.returncode is None:
                for line in _lines(log):
                    with contextlib.suppress(ValueError):
                        entry = json.loads(line)
                        if entry.get("event") == "gateway started":
                            return int(entry["port"])
                await asyncio.sleep(0.05)
    raise SubjectFailed(f"the gateway does not start: {_last(log)}")


def _last(log: Path) -> str:
    return " / ".join(list(_lines(log))[-3:])[-1000:]
