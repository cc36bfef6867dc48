"""The call port on aiohttp: the only module that knows its server side.

What reaches a call has passed a hardened HTTP parser, limits of size and time, and the decision about its key. Each
connection is served by aiohttp's own task; nothing is queued between its parser and the call, and no connection keeps
the event loop from the others, however fast it sends.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion11, WSMsgType, web

from offhook.agents import ConnectorPath
from offhook.audiohook.pacing import TokenBucket
from offhook.gateway.acceptor import Acceptor, Handshake
from offhook.gateway.audiohook_socket import AudioHookSocket
from offhook.gateway.auth import Admission
from offhook.gateway.connection import SERVER, HttpConnection
from offhook.gateway.turns import Turns
from offhook.httpsig import SignedRequest
from offhook.telemetry.logging import get_logger

HEALTH_PATH = "/healthz"
READINESS_PATH = "/readyz"

REQUESTS_EACH_ROUND = 2
"""Requests that are decided about in one round of the event loop, less than a millisecond of work."""
MESSAGES_EACH_ROUND = 64
"""Messages that are taken in one round from all sockets that keep within `MESSAGE_RATE`."""
EXCESS_EACH_ROUND = 16
"""The same from all that do not: they are no calls of Genesys."""
MESSAGE_RATE = 100.0
"""Messages a second that a socket may send on average before it has to take turns: twice what 20 ms of audio need."""
MESSAGE_BURST = 4
FLOOD = 250
"""Messages beyond that rate from which on a socket is dropped when it has to be closed, instead of waited for."""
MAX_UNSENT_PONGS = 4_096
"""Bytes that the peer has not read from which on its WebSocket pings are not answered."""

_log = get_logger("offhook.gateway.listener")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """Bounds of the call port; the defaults are those of real calls."""

    head_timeout: float = 10.0
    """Seconds that a connection has for the head of its request, and that it may stay idle after an answer."""
    max_line_bytes: int = 8190
    """Longest request line, and longest header."""
    max_headers: int = 100
    max_head_bytes: int = 32_768
    """All of a request, up to its answer; Genesys sends less than two thousand."""
    max_handshakes: int = 1024
    """Connections at a time that are no call yet."""
    max_handshakes_per_address: int = 256
    max_sockets: int | None = None
    """Calls at a time, and what is about to become or was one; None = any number."""
    max_message_bytes: int = 1_048_576 + 1024
    """Above what the AudioHook session takes: what is too large for it is answered there, in the protocol."""
    idle_ping: float = 30.0
    """Seconds of silence after which the peer is pinged; a pong has half of it. Genesys speaks every few seconds."""
    stuck_after: float = 20.0
    """Seconds that the peer may leave unread what it is sent; longer than a call waits, which ends in the protocol."""
    close_timeout: float = 2.0
    """Seconds that the peer has to answer our close frame."""
    unsent_in_kernel: int = 16_384
    """Bytes that the kernel may hold unsent, about two seconds of audio; the rest is ours to see."""


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """A request to open a call that has passed the gate."""

    connector: ConnectorPath
    admission: Admission
    session_id: str | None
    organization_id: str | None
    correlation_id: str | None
    remote: str | None
    retry_attempt: str | None = None
    """`Audiohook-Retry-Attempt`: how often Genesys has tried before (audiohook.md §1.5)."""


Admit = Callable[[SignedRequest, str | None], Awaitable[Admission | None]]
"""Decides whether a request may be upgraded, and takes its time to refuse (see `auth.Gate.admit`)."""

ServeCall = Callable[[UpgradeRequest, AudioHookSocket], Awaitable[None]]
"""Carries a call from the upgrade to its end."""

NotReady = Callable[[], str | None]
"""Says why no new calls are taken; None = they are."""

TOO_MANY_SOCKETS = "too many connections"


class Listener:
    """Listens for calls and answers probes.

    Args:
        base_path: path of the Base Connection URI.
        admit: decides whether a request may be upgraded.
        serve_call: carries the calls.
        not_ready: what `/readyz` says.
        closed: why upgrades are answered with 503; by default what `not_ready` says. A call that is upgraded can be
            refused in the protocol, which Genesys understands better.
        limits: bounds.
    """

    def __init__(
        self,
        *,
        base_path: str,
        admit: Admit,
        serve_call: ServeCall,
        not_ready: NotReady,
        closed: NotReady | None = None,
        limits: ListenerLimits | None = None,
    ) -> None:
        self._base_path = base_path.rstrip("/")
        self._admit = admit
        self._serve_call = serve_call
        self._not_ready = not_ready
        self._closed = closed if closed is not None else not_ready
        self._limits = limits if limits is not None else ListenerLimits()
        self._upgraded = 0
        self._requests = Turns(REQUESTS_EACH_ROUND)
        self._messages = Turns(MESSAGES_EACH_ROUND)
        self._excess = Turns(EXCESS_EACH_ROUND)
        self._server: web.Server | None = None
        self._acceptor = Acceptor(
            self._protocol,
            max_handshakes=self._limits.max_handshakes,
            max_handshakes_per_address=self._limits.max_handshakes_per_address,
            tls_timeout=self._limits.head_timeout,
            tls_shutdown_timeout=self._limits.close_timeout,
        )

    @property
    def handshakes(self) -> int:
        """Connections that are no call yet."""
        return self._acceptor.handshakes

    @property
    def head_timeout(self) -> float:
        """Seconds after which a connection is closed that brings no request."""
        return self._limits.head_timeout

    def set_limits(self, limits: ListenerLimits) -> None:
        """Go by other bounds from the next connection on."""
        self._limits = limits
        self._acceptor.set_limits(
            max_handshakes=limits.max_handshakes, max_handshakes_per_address=limits.max_handshakes_per_address
        )

    async def start(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, sockets: Sequence[socket.socket] = ()
    ) -> int:
        """Listen and return the port (of interest when `port` is 0), or take `sockets` over; see `Acceptor.start`."""
        self._server = web.Server(self._handle)
        return await self._acceptor.start(host, port, tls=tls, sockets=sockets)

    def pause(self) -> None:
        """Leave new connections to the other processes that listen."""
        self._acceptor.pause()

    def resume(self) -> None:
        """Accept again."""
        self._acceptor.resume()

    def stop_listening(self) -> None:
        """Take no new connections; those that stand are not touched."""
        self._acceptor.close()

    async def stop(self) -> None:
        """End what is left."""
        await self._acceptor.stop()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(timeout=self._limits.close_timeout)

    def _protocol(self, handshake: Handshake) -> "_Connection":
        assert self._server is not None  # noqa: S101 - there are no connections before `start`
        return _Connection(self._server, handshake, self._limits)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            await self._requests.take()
            answer = await self._route(request)
            if not self._acceptor.listening and not answer.prepared:
                # Whoever keeps the connection would miss the process that listens now.
                answer.force_close()
            return answer
        except web.HTTPException as refusal:
            return _answer(HTTPStatus(refusal.status), refusal.text or refusal.reason)
        except Exception as error:
            _log.error("request failed", exc_info=error)
            return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)  # noqa: S101 - `_protocol` makes no other
        connection.request_began()
        target = request.raw_path
        if request.method not in ("GET", "HEAD"):
            return _answer(HTTPStatus.NOT_FOUND, "not found")
        path = target.partition("?")[0]
        if path == HEALTH_PATH:
            return _answer(HTTPStatus.OK, "ok", close=False)
        if path == READINESS_PATH:
            return self._readiness()
        connector = ConnectorPath.parse(target, self._base_path)
        if connector is None:
            return _answer(HTTPStatus.NOT_FOUND, "not found")
        if request.method != "GET" or request.headers.get("Upgrade", "").strip().lower() != "websocket":
            answer = _answer(
                HTTPStatus.UPGRADE_REQUIRED, "AudioHook calls only: connect with a WebSocket client (wss://)"
            )
            answer.headers["Upgrade"] = "websocket"
            return answer
        return await self._upgrade(request, connector, connection)

    def _readiness(self) -> web.Response:
        reason = self._not_ready()
        if reason is None:
            return web.json_response({"ready": True}, headers=SERVER)
        answer = {"ready": False, "reason": reason}
        return web.json_response(answer, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=SERVER)

    async def _upgrade(
        self, request: web.BaseRequest, connector: ConnectorPath, connection: "_Connection"
    ) -> web.StreamResponse:
        websocket = web.WebSocketResponse(
            compress=False,
            max_msg_size=self._limits.max_message_bytes,
            heartbeat=self._limits.idle_ping,
            timeout=self._limits.close_timeout,
            autoping=False,  # see `GenesysSocket.receive`
            # A send never waits: `GenesysSocket.unsent` is what a call looks at instead.
            writer_limit=1 << 62,
        )
        if not _is_handshake(websocket, request):
            return _answer(HTTPStatus.BAD_REQUEST, "not a WebSocket handshake")
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            known = headers.get(name.lower())
            headers[name.lower()] = value if known is None else f"{known}, {value}"
        signed = SignedRequest(request.raw_path, headers.get("host", ""), headers)
        admission = await self._admit(signed, request.remote)
        if admission is None:
            return _answer(HTTPStatus.UNAUTHORIZED, "unauthorized")
        reason = self._closed()
        if reason is None and self._limits.max_sockets is not None and self._upgraded >= self._limits.max_sockets:
            reason = TOO_MANY_SOCKETS
        if reason is not None:
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        _bound_kernel_buffer(transport.get_extra_info("socket"), self._limits.unsent_in_kernel)
        websocket.headers.update(SERVER)
        carrier = GenesysSocket(websocket, request, self._messages, self._excess)
        upgrade = UpgradeRequest(
            connector,
            admission,
            session_id=headers.get("audiohook-session-id"),
            organization_id=headers.get("audiohook-organization-id"),
            correlation_id=headers.get("audiohook-correlation-id"),
            remote=request.remote,
            retry_attempt=headers.get("audiohook-retry-attempt"),
        )
        self._upgraded += 1
        try:
            await websocket.prepare(request)
            connection.upgraded()
            try:
                await self._serve_call(upgrade, carrier)
            finally:
                await carrier.close(1011)
        finally:
            self._upgraded -= 1
        return websocket


class _Connection(HttpConnection):
    """A connection: while it is no call yet, what it may send is bounded."""

    def __init__(self, server: web.Server, handshake: Handshake, limits: ListenerLimits) -> None:
        super().__init__(
            server,
            most=None,  # the acceptor counts them
            stuck_after=limits.stuck_after,
            loop=asyncio.get_running_loop(),
            # Until a request is complete the connection counts as idle, so this is also the deadline for its head.
            keepalive_timeout=limits.head_timeout,
            lingering_time=1.0,
            max_line_size=limits.max_line_bytes,
            max_field_size=limits.max_line_bytes,
            max_headers=limits.max_headers,
        )
        self._handshake: Handshake | None = handshake
        self._max_head = limits.max_head_bytes
        self._head = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(self._handshake, Handshake)  # noqa: S101 - it is new
        self._handshake.transport = transport  # type: ignore[assignment]
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self.upgraded()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and end a request that has no end."""
        super().data_received(data)
        # What follows the head of an upgrade, aiohttp bounds itself.
        if self._handshake is not None and not self._upgraded:
            self._head += len(data)
            if self._head > self._max_head:
                self._handshake.drop()

    def request_began(self) -> None:
        """Its head is complete; what comes from here on belongs to the next."""
        self._head = 0

    def upgraded(self) -> None:
        """It is a call now: other bounds hold."""
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.finish()


class GenesysSocket:
    """A WebSocket of Genesys; see `audiohook_socket.AudioHookSocket` for its methods."""

    def __init__(
        self, websocket: web.WebSocketResponse, request: web.BaseRequest, turns: Turns, excess_turns: Turns
    ) -> None:
        self._websocket = websocket
        self._request = request
        self._turns = turns
        self._excess_turns = excess_turns
        self._rate = TokenBucket(MESSAGE_RATE, MESSAGE_BURST)

    async def receive(self) -> str | bytes | None:
        """Return the next message; None once the socket is gone."""
        while True:
            message = await self._websocket.receive()
            self._rate.spend(time.monotonic())
            # What has come already is handed out without waiting: a peer that floods would keep the loop to itself.
            await (self._turns if self._excess() <= 0 else self._excess_turns).take()
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                data: str | bytes = message.data
                return data
            if message.type is WSMsgType.PING:
                self._pong(message.data)
            elif message.type is not WSMsgType.PONG:
                return None

    def _excess(self) -> float:
        """Return how many messages more have come than may."""
        return -self._rate.available(time.monotonic())

    def _pong(self, data: bytes) -> None:
        """Answer a ping, unless the peer does not read what it is sent: answers would pile up for it."""
        if self.unsent <= MAX_UNSENT_PONGS:
            with contextlib.suppress(ConnectionError):
                _finish_now(self._websocket.pong(data))

    def send(self, message: str | bytes) -> None:
        """Write a message without waiting."""
        sending = self._websocket.send_str(message) if isinstance(message, str) else self._websocket.send_bytes(message)
        with contextlib.suppress(ConnectionError):
            _finish_now(sending)

    @property
    def unsent(self) -> int:
        """Bytes that wait."""
        transport = self._request.transport
        return transport.get_write_buffer_size() if transport is not None else 0

    async def close(self, code: int = 1000) -> None:
        """Close the socket, or drop it."""
        if self._excess() > FLOOD:
            # All that the peer sends while it is waited for would be read.
            self.abort()
            return
        try:
            with contextlib.suppress(ConnectionError):
                # Without draining: that has no limit of time.
                await self._websocket.close(code=code, drain=False)
        finally:
            # The transport would wait until all is written, if need be for ever.
            if self.unsent:
                self.abort()

    def abort(self) -> None:
        """Drop the socket at once."""
        transport = self._request.transport
        if transport is not None:
            transport.abort()

    @property
    def close_code(self) -> int | None:
        """How the peer closed."""
        return self._websocket.close_code


def _finish_now(sending: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that does not wait, without a task for it."""
    try:
        sending.send(None)
    except StopIteration:
        return
    sending.close()
    raise RuntimeError("a send had to wait")


def _is_handshake(websocket: web.WebSocketResponse, request: web.BaseRequest) -> bool:
    try:
        # aiohttp would upgrade HTTP/1.0, which RFC 6455 §4.1 does not know, and an HTTP/2 that is none.
        return request.version == HttpVersion11 and bool(websocket.can_prepare(request))
    except ValueError:
        return False  # aiohttp's way to say that the key is not even ASCII


def _answer(status: HTTPStatus, text: str, *, close: bool = True) -> web.Response:
    response = web.Response(status=status, text=f"{text}\n", headers=SERVER)
    if close:
        response.force_close()
    return response


def _bound_kernel_buffer(connection: socket.socket, unsent: int) -> None:
    """Keep stale audio out of the kernel, where nobody can see it or take it back."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, unsent)
