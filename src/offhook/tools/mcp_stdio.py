"""An MCP server as a program of ours that reads and writes lines of JSON.

The SDK's own way is not used: it passes on more of our environment than is needed, reads lines of any length, logs what
it cannot read, and takes longer to end a program than the gateway has.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter

from offhook.tools.lines import Lines

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

    from offhook.tools.mcp import McpClientSettings

#: What the program gets of our own environment.
PASSED_ON = ("PATH", "HOME", "LANG")
#: Longest message of a server.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
#: Length and number of the lines on stderr that are logged; only what is written before the first call is.
MAX_STDERR_CHARS = 500
MAX_STDERR_LINES = 200
#: Seconds to end after the end of its input, and after each signal.
GRACE = 0.7
CHUNK = 64 * 1024

# Where the id of an answer stands that is too long to be read: near the front (Python), or at the end (TypeScript).
_ID_IN_FRONT = re.compile(rb'^\{"jsonrpc":\s?"2\.0",\s?"id":\s?(\d{1,15}),')
_ID_AT_THE_END = re.compile(rb'"id":\s?(\d{1,15})\}\s{0,2}$')

_log = structlog.get_logger("offhook.tools")


class StdioLink:
    """The way to a server that is a program.

    Args:
        settings: the program and its environment.
        lost: is called with the reason when the program has ended.
    """

    def __init__(self, settings: "McpClientSettings", lost: Callable[[str], None]) -> None:
        self.problem = ""
        self._settings = settings
        self._lost = lost
        self._stderr_lines = MAX_STDERR_LINES
        self._complained = False

    @contextlib.asynccontextmanager
    async def streams(self) -> "AsyncIterator[TransportStreams]":
        """Start the program, and end it in the same task."""
        process = await self._start()
        to_session, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        to_server, from_session = anyio.create_memory_object_stream[SessionMessage](0)
        tasks = [
            asyncio.create_task(self._read(process, to_session)),
            asyncio.create_task(self._write(process, from_session)),
            asyncio.create_task(self._read_errors(process)),
        ]
        try:
            yield from_server, to_server
        finally:
            for stream in (from_server, to_server):
                stream.close()
            try:
                await _end(process)
            finally:
                # Also when we are cancelled a second time: nothing of it stays.
                _signal(process, signal.SIGKILL)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                to_session.close()
                from_session.close()
                _let_go(process)

    def connected(self) -> None:
        """From now on stderr may tell of callers, and is not logged."""
        self._stderr_lines = 0

    async def _start(self) -> asyncio.subprocess.Process:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {name: value.get_secret_value() for name, value in self._settings.env.items()}
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                *self._settings.command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=environment,
                cwd=self._settings.cwd,
                start_new_session=True,  # a group of its own, which is ended as a whole
            )
        except OSError as error:
            self.problem = f"the program cannot be started ({type(error).__name__})"
            raise

    async def _read(
        self, process: asyncio.subprocess.Process, to_session: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        """Pass on what the program says, until it ends."""
        lines = Lines(MAX_MESSAGE_BYTES)
        stdout = process.stdout
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, ConnectionError):
            while stdout is not None and (chunk := await stdout.read(CHUNK)):
                for line in lines.feed(chunk):
                    message = _too_long(line.text) if line.cut else _message(line.text)
                    if message is not None:
                        await to_session.send(message)
                    elif line.text.strip():
                        self._complain()
        self.problem = self.problem or "the program has ended"
        to_session.close()
        self._lost(self.problem)

    async def _write(
        self, process: asyncio.subprocess.Process, from_session: MemoryObjectReceiveStream[SessionMessage]
    ) -> None:
        """Pass on what the session says."""
        stdin = process.stdin
        with contextlib.suppress(ConnectionError):
            async for message in from_session:
                if stdin is not None:
                    stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                    await stdin.drain()

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        """Log what the program writes to stderr while it starts, and drop the rest."""
        secrets = [value.get_secret_value() for value in self._settings.env.values()]
        lines = Lines(MAX_STDERR_CHARS)
        while process.stderr is not None and (chunk := await process.stderr.read(CHUNK)):
            for line in lines.feed(chunk):
                if self._stderr_lines <= 0:
                    continue
                self._stderr_lines -= 1
                said = line.text.decode(errors="replace")
                for secret in filter(None, secrets):
                    said = said.replace(secret, "[secret]")
                _log.debug("mcp server says", server=self._settings.name, line=said)

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            _log.warning("mcp server writes other things than messages to stdout", server=self._settings.name)


def _message(line: bytes) -> SessionMessage | None:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


def _too_long(line: bytes) -> SessionMessage | None:
    """Return an error in place of an answer that is too long, so that its call need not wait for its deadline."""
    found = _ID_IN_FRONT.search(line) or _ID_AT_THE_END.search(line[-64:])
    if found is None:
        return None
    error = ErrorData(code=INTERNAL_ERROR, message="the answer is too long")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program: by the end of its input, by SIGTERM, by SIGKILL."""
    if process.stdin is not None:
        process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if await _ended(process):
            return
        _signal(process, number)
    await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await process.wait()
    return process.returncode is not None


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to the program and all that it has started, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def _let_go(process: asyncio.subprocess.Process) -> None:
    """Close the pipes, which something that escaped may hold open."""
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
