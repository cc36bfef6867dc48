"""Starts gateways: within the test's process, or as `offhook serve` in its own."""

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from offhook import Gateway
from offhook.config import load_config
from offhook.gateway import GatewayServer

ROOT = Path(__file__).parents[2]
SECRET = base64.b64encode(b"a secret that only Genesys knows").decode()
OFFHOOK_OUTPUTS = {
    "OFFHOOK_CALL_ID",
    "OFFHOOK_OUTCOME",
    "OFFHOOK_REASON",
    "OFFHOOK_SUMMARY",
    "OFFHOOK_DURATION_S",
    "OFFHOOK_COST_USD",
}

SUPPORT: dict[str, Any] = {"instructions": "You answer the phone."}


def configuration(ai_url: str, **settings: Any) -> dict[str, Any]:
    """Return a configuration as a document, with one agent called support."""
    return {
        "listen": "127.0.0.1:0",
        "keys": [{"id": "key"}],
        "realtime": {"providers": [{"name": "fake", "url": ai_url, "api_key": "sk-test"}]},
        "agents": {"support": SUPPORT},
        "default_agent": "support",
        **settings,
    }


class World:
    """Starts gateways for one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def write(self, document: Mapping[str, Any]) -> Path:
        """Write a configuration; JSON is accepted where YAML is."""
        self._count += 1
        path = self._folder / f"offhook-{self._count}.yaml"
        path.write_text(json.dumps(document))
        return path

    @asynccontextmanager
    async def gateway(self, ai_url: str, **settings: Any) -> AsyncIterator[GatewayServer]:
        """Serve within this process until the block ends."""
        loaded = load_config(self.write(configuration(ai_url, **settings)))
        async with Gateway.from_config(loaded.config).serving() as server:
            yield server

    @asynccontextmanager
    async def process(self, ai_url: str, **settings: Any) -> AsyncIterator["Process"]:
        """Run `offhook serve` until the block ends."""
        path = self.write(configuration(ai_url, **settings))
        async with running("serve", "-c", str(path)) as process:
            yield process


class Process:
    """A running `offhook serve`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output: list[str] = []
        """Lines of stdout and stderr."""
        self.url = ""
        self._started = asyncio.Event()
        self._readers = [asyncio.create_task(self._read(stream)) for stream in (process.stdout, process.stderr)]

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while line := await stream.readline():
            text = line.decode()
            self.output.append(text)
            if not self.url and (found := re.search(r"wss?://127\.0\.0\.1:[1-9][0-9]*/[a-z0-9/]+", text)):
                self.url = found.group()
                self._started.set()

    async def started(self) -> None:
        try:
            await asyncio.wait_for(self._started.wait(), 10)
        except TimeoutError:
            raise AssertionError(f"offhook serve did not start: {''.join(self.output)}") from None

    async def ended(self, *, within: float) -> int:
        """Wait for the process to end by itself; return its status."""
        status = await asyncio.wait_for(self.process.wait(), within)
        await asyncio.wait(self._readers)
        return status


def command(*arguments: str) -> list[str]:
    """Return the command line of offhook."""
    return [sys.executable, "-c", "from offhook.cli import main; main()", *arguments]


@asynccontextmanager
async def running(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """Run a serving command until the block ends."""
    started = await asyncio.create_subprocess_exec(
        *command(*arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )
    process = Process(started)
    try:
        await process.started()
        yield process
    finally:
        if started.returncode is None:
            started.terminate()
            with contextlib.suppress(ProcessLookupError):
                try:
                    await asyncio.wait_for(started.wait(), 3)
                except TimeoutError:
                    started.kill()
        await process.ended(within=5)


async def run(
    *arguments: str, environment: Mapping[str, str] | None = None, within: float = 20, cwd: Path = ROOT
) -> tuple[int, str, str]:
    """Run a command to its end; return status, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *command(*arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
    )
    out, err = await asyncio.wait_for(process.communicate(), within)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def http(url: str, request: bytes, *, within: float = 3.0) -> bytes:
    """Send a raw HTTP request to where a ws:// URL points; return all of the answer."""
    host, port = address(url)
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), within)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def address(url: str) -> tuple[str, int]:
    """Return host and port of a URL."""
    found = re.match(r"wss?://([^:/]+):([0-9]+)", url)
    assert found is not None
    return found[1], int(found[2])
