"""The Realtime leg on aiohttp's client: slower than picows, and kept ready for the day when picows fails us.

It passes the same conformance test. Only this module knows that it is aiohttp.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp

from offhook.gateway.heartbeat import Heartbeat
from offhook.gateway.link import (
    ABNORMAL_CLOSURE,
    CLOSE_TIMEOUT,
    DEFAULT_LIMITS,
    NO_PONG,
    NO_STATUS,
    NOT_READ,
    LinkLimits,
    LinkReceiver,
    RealtimeConnectError,
    RealtimeLink,
    cannot_reach,
    not_websocket,
    refused_with,
    timed_out,
    unusable_url,
)

_PAYLOAD = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)


async def connect(
    url: str,
    headers: Mapping[str, str],
    *,
    deadline: float,
    ssl_context: ssl.SSLContext | None = None,
    limits: LinkLimits = DEFAULT_LIMITS,
) -> RealtimeLink:
    """Open a link (see `link.LinkConnector`)."""
    if not url.startswith(("ws://", "wss://")):
        raise unusable_url()
    sockets: list[socket.socket] = []

    def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
        sockets.append(socket.socket(*address[:3]))
        return sockets[-1]

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=open_socket), trace_configs=[trace], auto_decompress=False
    )
    try:
        async with asyncio.timeout(deadline):
            websocket = await session.ws_connect(
                url,
                headers=headers,
                ssl=True if ssl_context is None else ssl_context,
                max_msg_size=limits.max_message_bytes,
                autoping=False,
                decode_text=False,
                autoclose=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
            )
    except BaseException as error:
        await session.close()
        if isinstance(error, TimeoutError):
            raise timed_out(deadline) from None
        if isinstance(error, (aiohttp.ClientError, OSError, ValueError)):
            raise _connect_error(error) from error
        raise
    return AiohttpLink(session, websocket, sockets[-1], limits)


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    # aiohttp would send our api-key header on to wherever the redirect points.
    raise refused_with(params.response.status)


def _connect_error(error: Exception) -> RealtimeConnectError:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return not_websocket() if error.status == 101 else refused_with(error.status)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return cannot_reach(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return cannot_reach(error.os_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return RealtimeConnectError("OH-CONN-01", "closed during the handshake", retryable=True)
    if isinstance(error, aiohttp.ClientResponseError):
        return not_websocket()
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return unusable_url()
    return cannot_reach(error)


class AiohttpLink:
    """One link; see `link.RealtimeLink` for its methods."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        websocket: aiohttp.ClientWebSocketResponse[bool],
        tcp: socket.socket,
        limits: LinkLimits,
    ) -> None:
        self._session = session
        self._websocket = websocket
        self._tcp = tcp
        self._limits = limits
        self._receiver: LinkReceiver | None = None
        self._unsent: asyncio.Queue[bytes | None] = asyncio.Queue()
        """Messages; None stands for a ping."""
        self._unsent_bytes = 0
        self._drop_reason: str | None = None
        """Why `_run` is to end the link."""
        self._heartbeat = Heartbeat(limits, ping=self._ping, silent=lambda: self._drop(NO_PONG))
        self._over = False
        """Ended, by either side."""
        self._task: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None

    def start(self, receiver: LinkReceiver) -> None:
        """Deliver what has arrived so far, and from now on everything as it arrives; to this receiver alone."""
        if self._over:
            return
        self._receiver = receiver
        if self._task is None:
            self._heartbeat.start()
            self._task = asyncio.get_running_loop().create_task(self._run())

    def send(self, data: bytes) -> None:
        """Send one text message; ignored after the link has ended."""
        if self._over or self._drop_reason is not None:
            return
        self._unsent.put_nowait(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes > self._limits.max_unsent_bytes:
            self._drop(NOT_READ)

    def close(self) -> None:
        """Close the link with 1000; the receiver hears nothing more of it."""
        self._receiver = None
        self._heartbeat.stop()
        if not self._over:
            self._over = True
            self._closer = asyncio.get_running_loop().create_task(self._shut())

    async def wait_closed(self) -> None:
        """Return when the socket is gone."""
        tasks = [task for task in (self._task, self._closer) if task is not None]
        if tasks:
            await asyncio.wait(tasks)

    def _ping(self) -> None:
        self._unsent.put_nowait(None)

    def _drop(self, reason: str) -> None:
        if self._task is not None:
            self._drop_reason = reason
            self._task.cancel()

    async def _run(self) -> None:
        sender = asyncio.get_running_loop().create_task(self._send_all())
        try:
            code, reason = await self._receive_all()
        except asyncio.CancelledError:
            if self._drop_reason is None:
                raise
            code, reason = ABNORMAL_CLOSURE, self._drop_reason
        finally:
            self._heartbeat.stop()
            sender.cancel()
            await asyncio.wait([sender])
        if self._over:
            return
        self._over = True
        if self._receiver is not None:
            self._receiver.on_lost(code, reason)
        await self._shut(aiohttp.WSCloseCode.OK if code in (NO_STATUS, ABNORMAL_CLOSURE) else code)

    async def _shut(self, code: int = aiohttp.WSCloseCode.OK) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._websocket.close(code=code)
        # aiohttp waits until all is written; a peer that does not read would keep us here for ever.
        with contextlib.suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        await self._session.close()

    async def _send_all(self) -> None:
        try:
            while True:
                data = await self._unsent.get()
                if data is None:
                    await self._websocket.ping()
                else:
                    await self._websocket.send_frame(data, aiohttp.WSMsgType.TEXT)
                    self._unsent_bytes -= len(data)
        except ConnectionError:
            return  # The receiving side says why.

    async def _receive_all(self) -> tuple[int, str]:
        while True:
            message = await self._websocket.receive()
            self._heartbeat.heard()
            if message.type in _PAYLOAD:
                if self._receiver is not None:
                    self._receiver.on_message(message.data)
            elif message.type is aiohttp.WSMsgType.PING:
                await self._websocket.pong(message.data)
            elif message.type is aiohttp.WSMsgType.PONG:
                continue
            elif message.type is aiohttp.WSMsgType.CLOSE:
                return message.data or NO_STATUS, message.extra or ""
            elif isinstance(message.data, aiohttp.WebSocketError):
                return message.data.code, str(message.data)
            else:
                return ABNORMAL_CLOSURE, "the socket was lost"
