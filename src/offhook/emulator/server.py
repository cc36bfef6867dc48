"""The emulator on a socket: `ws://HOST:PORT/v1/realtime`, one `EmulatorSession` for each connection."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from aiohttp import WSMsgType, web

from offhook.emulator.scenario import DEFAULT, Handshake, Loss, Scenario
from offhook.emulator.script import IMPROVISED
from offhook.emulator.session import EmulatorSession
from offhook.speech import Speech

PATH: Final = "/v1/realtime"
MAX_MESSAGE_BYTES: Final = 24 * 1024 * 1024
MAX_UNSENT_BYTES: Final = 32 * 1024 * 1024
"""What may wait for a client that does not read, before its connection is dropped."""

KEPT_SESSIONS: Final = 100
SEND_TIMEOUT: Final = 30.0
"""Seconds a client may take to read one message."""

_REFUSALS: Final = {
    401: ("invalid_api_key", "Incorrect API key provided."),
    403: ("model_access_denied", "Project does not have access to the model."),
    404: ("not_found", "Not found."),
    429: ("rate_limit_exceeded", "Rate limit reached. Please try again later."),
    500: ("server_error", "The server had an error while processing your request."),
    503: ("service_unavailable", "The service is temporarily overloaded."),
}


class Emulator:
    """Plays the OpenAI Realtime API for any client, as an async context manager.

    Args:
        listen: HOST:PORT; port 0 picks a free one, see `url`.
        scenario: what the agent says and which faults it shows; the default improvises.
        speech: the sound of what it says.
        max_connections: further ones are refused with 429.
        on_connected: is shown every connection before anything is sent on it.
        clock: seconds that only go forward.

    Attributes:
        handshakes: What goes wrong with the next connections of a model, in the place of what the scenario says.
    """

    def __init__(
        self,
        listen: str = "127.0.0.1:0",
        scenario: Scenario | None = None,
        *,
        speech: Speech | None = None,
        max_connections: int = 1000,
        on_connected: Callable[["EmulatedConnection"], None] = lambda connection: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scenario = DEFAULT if scenario is None else scenario
        self.sessions: deque[EmulatorSession] = deque(maxlen=KEPT_SESSIONS)
        self.connections = 0
        self.handshakes: defaultdict[str, deque[Handshake]] = defaultdict(deque)
        self._host, self._port = split_address(listen)
        self._speech = Speech() if speech is None else speech
        self._max_connections = max_connections
        self._clock = clock
        self._on_connected = on_connected
        self._open: dict[web.WebSocketResponse, EmulatedConnection] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The WebSocket URL, without the `model` query."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"ws://{host}:{self._port}{PATH}"

    @property
    def open_connections(self) -> list["EmulatedConnection"]:
        """Those that are open, the newest last."""
        return list(self._open.values())

    def connection_of(self, model: str) -> "EmulatedConnection | None":
        """Return the newest open connection of a model."""
        found = (connection for connection in reversed(self._open.values()) if connection.model == model)
        return next(found, None)

    async def __aenter__(self) -> Self:
        # Synthesis runs a program for each new text: before the first call, and not on the loop.
        texts = [*self.scenario.texts(), *IMPROVISED]
        await asyncio.to_thread(self._speech.prepare, texts)
        app = web.Application()
        app.router.add_get(PATH, self._accept)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.gather(*(ws.close(code=1001) for ws in list(self._open)), return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        """Carry out the upgrade, or refuse it as the API and the scenario would."""
        connection = self.connections
        self.connections += 1
        model = request.query.get("model", "")
        planned = self.handshakes.get(model)
        handshake = planned.popleft() if planned else self.scenario.handshake_of(connection)
        status = handshake.status
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            status = 401
        elif len(self._open) >= self._max_connections:
            status = 429
        if status is not None:
            return _refusal(status, *_REFUSALS[status])
        if not model:
            return _refusal(400, "missing_model", "You must provide a model parameter.")
        ws = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, compress=False, timeout=5.0)
        try:
            await ws.prepare(request)
        except ConnectionError:
            return ws  # the client is gone already
        session = EmulatorSession(
            self.scenario,
            self._speech,
            seed=connection,
            model=model,
            connection=connection,
            handshake=handshake,
            unix_time=time.time(),
        )
        self.sessions.append(session)
        self._open[ws] = carrier = EmulatedConnection(request, ws, session, self._clock)
        self._on_connected(carrier)
        try:
            session.connected(self._clock())
            if request.headers.get("OpenAI-Beta") == "realtime=v1":
                session.refuse_beta_shape()
            await carrier.run()
        finally:
            del self._open[ws]
        return ws


def split_address(listen: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; an IPv6 host is written in brackets.

    Raises:
        ValueError: it is not of that form.
    """
    host, separator, port = listen.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{listen!r} is no HOST:PORT, such as 127.0.0.1:9090")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _refusal(status: int, code: str, message: str) -> web.Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


class EmulatedConnection:
    """Moves messages between one socket and one session, and keeps its timer."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, session: EmulatorSession, clock: Callable[[], float]
    ) -> None:
        self.session = session
        self.model = session.model
        self.began = clock()
        self._request = request
        self._ws = ws
        self._clock = clock
        self._reader: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0

    def lose(self, loss: Loss) -> None:
        """Lose the connection, as `EmulatorSession.lose`."""
        self.session.lose(loss, self._clock())
        self._wake.set()

    async def run(self) -> None:
        """Serve until either side closes."""
        self._reader = asyncio.create_task(self._read())
        try:
            await self._write()
        finally:
            await self._stop_reading()
            self.session.receive_eof(self._clock())

    async def _read(self) -> None:
        """Feed the session; never waits for the writer."""
        async for message in self._ws:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self.session.receive_text(message.data, self._clock())
                self._collect()
                self._wake.set()
        self.session.receive_eof(self._clock())
        self._wake.set()

    async def _write(self) -> None:
        """Send what the session has to say and call its timer in time."""
        while True:
            self.session.handle_timer(self._clock())
            self._collect()
            while self._unsent:
                data = self._unsent.popleft()
                self._unsent_bytes -= len(data)
                try:
                    async with asyncio.timeout(SEND_TIMEOUT):
                        await self._ws.send_str(data.decode())
                except (ConnectionError, TimeoutError):
                    self._drop()
                    return
            if self.session.silent:
                await self._hold()
                return
            if self.session.close_code is not None:
                await self._close(self.session.close_code, self.session.close_reason)
                return
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next message or the timer."""
        at = self.session.next_timer()
        try:
            async with asyncio.timeout(None if at is None else max(0.0, at - self._clock())):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _collect(self) -> None:
        """Take what the session wrote; a client that does not read is dropped at some point."""
        for data in self.session.data_to_send():
            self._unsent.append(data)
            self._unsent_bytes += len(data)
        if self._unsent_bytes > MAX_UNSENT_BYTES:
            self._drop()

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _hold(self) -> None:
        """Play the half-open connection: answer nothing, not even pings, until the peer gives up."""
        await self._stop_reading()
        while self._request.transport is not None and not self._request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async def _close(self, code: int, reason: str) -> None:
        if code == 1006:
            self._drop()
        else:
            await self._ws.close(code=code, message=reason.encode())

    def _drop(self) -> None:
        """Break the connection without a close frame."""
        if self._request.transport is not None:
            self._request.transport.abort()
