"""The Realtime leg on picows: the only module that knows this library.

picows hands over frames, not messages, and lets some malformed ones through (seen of 2.3.1: reserved bits, and a
continuation without a start), so messages are put together and checked here. Whether the text is UTF-8 is left to the
JSON decoder, which looks at every byte anyway. Its own pings are not used: its deadline for a pong fires after a stall
of ours before the pong was read.
"""

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import picows

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

_TEXT = picows.WSMsgType.TEXT
_PAYLOAD = (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY)
_CONTINUATION = picows.WSMsgType.CONTINUATION
_CLOSE = picows.WSMsgType.CLOSE

# picows logs each connection with its addresses, and an exception's text, which may hold what a caller said.
_silence = logging.Logger("offhook.picows", logging.CRITICAL + 1)


async def connect(
    url: str,
    headers: Mapping[str, str],
    *,
    deadline: float,
    ssl_context: ssl.SSLContext | None = None,
    limits: LinkLimits = DEFAULT_LIMITS,
) -> RealtimeLink:
    """Open a link (see `link.LinkConnector`)."""
    link = PicowsLink(limits)
    sockets: list[socket.socket] = []

    async def open_socket(place: Any) -> socket.socket:
        sockets.append(await _open_socket(place.host, place.port))
        return sockets[0]

    try:
        async with asyncio.timeout(deadline):
            await picows.ws_connect(
                lambda _request, _response: link,
                url,
                ssl_context=ssl_context,
                socket_factory=open_socket,
                websocket_handshake_timeout=None,
                logger_name=_silence,
                max_frame_size=limits.max_message_bytes,
                extra_headers=headers,
                max_redirects=0,
            )
    except (TimeoutError, asyncio.CancelledError) as error:
        link.close()
        # picows keeps the socket when its coroutine is cancelled.
        for opened in sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        if isinstance(error, TimeoutError):
            raise timed_out(deadline) from None
        raise
    except (picows.WSError, OSError, ValueError) as error:
        raise _connect_error(error) from error
    if not link.connected:
        # picows reports a socket that ends during the handshake as a success.
        raise RealtimeConnectError("OH-CONN-01", "closed during the handshake", retryable=True)
    return link


async def _open_socket(host: str, port: int) -> socket.socket:
    """Connect to the first of a host's addresses that takes us."""
    loop = asyncio.get_running_loop()
    failure = OSError("the host has no address")
    for family, kind, protocol, _, place in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            await loop.sock_connect(opened, place)
        except OSError as error:
            opened.close()
            failure = error
        except asyncio.CancelledError:
            opened.close()
            raise
        else:
            return opened
    raise failure


def _connect_error(error: Exception) -> RealtimeConnectError:
    if isinstance(error, picows.WSHandshakeError):
        # Not `error.response.status`: picows knows only the statuses of the standard library, not Cloudflare's.
        match = re.match(rb"HTTP/1\.[01] ([1-5]\d\d)\b", error.raw_header or b"")
        if match and match[1] != b"101":
            return refused_with(int(match[1]))
        return not_websocket()
    if isinstance(error, OSError):
        return cannot_reach(error)
    return unusable_url()


class PicowsLink(picows.WSListener):
    """One link; see `link.RealtimeLink` for its methods."""

    def __init__(self, limits: LinkLimits) -> None:
        self._limits = limits
        self._transport: picows.WSTransport | None = None
        self._receiver: LinkReceiver | None = None
        self._early: list[bytes] = []
        """What arrived before `start`."""
        self._fragments: list[bytes] = []
        self._size = 0
        """Bytes in `_early` or `_fragments`."""
        self._ended: tuple[int, str] | None = None
        """How the link ended, if it was not by `close`."""
        self._drop_reason = "the socket was lost"
        self._closing = False
        self._closed = asyncio.get_running_loop().create_future()
        self._heartbeat = Heartbeat(limits, ping=self._ping, silent=lambda: self._drop(NO_PONG))

    @property
    def connected(self) -> bool:
        """Whether the handshake succeeded."""
        return self._transport is not None

    def start(self, receiver: LinkReceiver) -> None:
        """Deliver what has arrived so far, and from now on everything as it arrives; to this receiver alone."""
        self._receiver = receiver
        early, self._early = self._early, []
        for data in early:
            if self._closing:
                return
            receiver.on_message(data)
        if self._ended and not self._closing:
            receiver.on_lost(*self._ended)

    def send(self, data: bytes) -> None:
        """Send one text message; ignored after the link has ended."""
        transport = self._transport
        if transport is None or self._closing or self._ended:
            return
        transport.send(_TEXT, data)
        if transport.underlying_transport.get_write_buffer_size() > self._limits.max_unsent_bytes:
            self._drop(NOT_READ)

    def close(self) -> None:
        """Close the link with 1000; the receiver hears nothing more of it."""
        if self._closing:
            return
        self._closing = True
        self._receiver = None
        self._heartbeat.stop()
        if self._transport is not None and self._ended is None:
            self._transport.send_close(picows.WSCloseCode.OK)
            self._drop_later(self._transport)

    async def wait_closed(self) -> None:
        """Return when the socket is gone."""
        await asyncio.shield(self._closed)

    # What picows calls:

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """The handshake succeeded."""
        self._transport = transport
        if self._closing:
            # Nobody waits for it any more.
            transport.disconnect(graceful=False)
        else:
            self._heartbeat.start()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """A frame arrived; picows answers pings, which do not get here."""
        kind = frame.msg_type
        self._heartbeat.heard()
        if self._closing:
            if kind == _CLOSE:
                transport.disconnect()
            return
        if self._ended:
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(transport, picows.WSCloseCode.PROTOCOL_ERROR, "reserved bit set")
        elif kind in _PAYLOAD:
            if self._fragments:
                self._fail(transport, picows.WSCloseCode.PROTOCOL_ERROR, "new message inside a fragmented one")
            elif frame.fin:
                self._deliver(transport, frame.get_payload_as_bytes())
            else:
                self._keep_fragment(transport, frame)
        elif kind == _CONTINUATION:
            if not self._fragments:
                self._fail(transport, picows.WSCloseCode.PROTOCOL_ERROR, "continuation without a start")
            else:
                self._keep_fragment(transport, frame)
        elif kind == _CLOSE:
            self._close_received(transport, frame)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """The socket is gone."""
        # picows found a violation and closed: then it is our close frame that says why.
        handshake: Any = transport.close_handshake  # None before the first close frame, whatever picows' types say
        sent = handshake and handshake.sent
        if sent is None:
            self._lose(ABNORMAL_CLOSURE, self._drop_reason)
        else:
            self._lose(int(sent.code.value), sent.reason)
        # Without this, asyncio complains that nobody looked at the exception that picows keeps.
        task = asyncio.get_running_loop().create_task(transport.wait_disconnected())
        task.add_done_callback(self._socket_gone)

    def pause_writing(self) -> None:
        """More waits to be sent than usual; `send` watches how much."""

    def resume_writing(self) -> None:
        """It does not any more."""

    # Inner parts:

    def _socket_gone(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()
        if not self._closed.done():
            self._closed.set_result(None)

    def _deliver(self, transport: picows.WSTransport, data: bytes) -> None:
        if self._receiver is not None:
            self._receiver.on_message(data)
            return
        self._size += len(data)
        if self._size > self._limits.max_message_bytes:
            self._fail(transport, picows.WSCloseCode.MESSAGE_TOO_BIG, "too much before the link was started")
        else:
            self._early.append(data)

    def _keep_fragment(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if not self._fragments:
            self._size = 0
        self._size += frame.payload_size
        if self._size > self._limits.max_message_bytes:
            self._fail(transport, picows.WSCloseCode.MESSAGE_TOO_BIG, "fragmented message too big")
            return
        self._fragments.append(frame.get_payload_as_bytes())
        if frame.fin:
            data = b"".join(self._fragments)
            self._fragments = []
            self._size = sum(map(len, self._early))
            self._deliver(transport, data)

    def _close_received(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        code = int.from_bytes(payload[:2], "big") if payload else NO_STATUS
        transport.send_close(picows.WSCloseCode.OK if code == NO_STATUS else frame.get_close_code())
        self._drop_later(transport)
        transport.disconnect()
        self._lose(code, payload[2:].decode(errors="replace"))

    def _fail(self, transport: picows.WSTransport, code: picows.WSCloseCode, reason: str) -> None:
        transport.send_close(code, reason)
        self._drop_later(transport)
        self._lose(int(code.value), reason)

    def _lose(self, code: int, reason: str) -> None:
        if self._ended or self._closing:
            return
        self._ended = (code, reason)
        self._fragments = []
        self._heartbeat.stop()
        if self._receiver is not None:
            self._receiver.on_lost(code, reason)

    def _ping(self) -> None:
        if self._transport is not None:
            self._transport.send_ping()

    def _drop(self, reason: str) -> None:
        """End the connection without a word; it is told when the socket is gone."""
        self._drop_reason = reason
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _drop_later(self, transport: picows.WSTransport) -> None:
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, transport.disconnect, False)
