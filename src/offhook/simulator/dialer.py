"""The socket under a simulated call: aiohttp's client, a clock, and deadlines everywhere.

`dial` always comes back: with a report, or with a `DialFailed` that says in one line why no session came about.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import ssl
import time
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientWebSocketResponse, WSMessage, WSMsgType
from aiohttp.hdrs import LOCATION

from offhook.simulator.events import CallEvent
from offhook.simulator.report import CallReport
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import Target, upgrade_headers

CONNECT_SECONDS: Final = 10.0
"""For name, TCP, TLS and the answer to the upgrade together."""
SEND_SECONDS: Final = 10.0
"""For the server to take one message off the socket."""
CLOSE_SECONDS: Final = 2.0
GRACE_SECONDS: Final = 30.0
"""What a call may take beyond its own limit: its close and a last look at the clock."""
MAX_MESSAGE_BYTES: Final = (
    1_048_576  # above the protocol's own limit, so that the core sees and reports what exceeds it
)
_BODY_BYTES: Final = 300

_MEANINGS: Final = {
    400: "the server did not understand the upgrade",
    401: "the API key or the signature was refused",
    403: "the API key may not use this server",
    404: "nothing answers at this path: check base URI and Connector ID",
    405: "this path takes no GET",
    426: "the server asks for another protocol",
    429: "the server has too many calls",
    500: "the server failed",
    502: "the proxy cannot reach the server behind it",
    503: "the server takes no calls now",
    504: "the proxy waited in vain for the server behind it",
}


class DialFailed(Exception):
    """No session came about; the text says why."""


class _Refused(Exception):
    """The upgrade was answered with something else than 101."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


async def dial(
    target: Target,
    call: SimulatedCall,
    *,
    on_event: Callable[[CallEvent], None] = lambda event: None,
    clock: Callable[[], float] = time.monotonic,
    ssl_context: ssl.SSLContext | None = None,
    insecure: bool = False,
    stop: asyncio.Event | None = None,
    attempt: int = 0,
) -> CallReport:
    """Make one call to a real server.

    Args:
        target: whom to call.
        call: a call that has not begun.
        on_event: is told of everything as it happens.
        clock: monotonic seconds.
        ssl_context: what to trust instead of the system's certificates.
        insecure: do not check the server's certificate.
        stop: when it is set, the caller hangs up.
        attempt: how often Genesys has tried before.

    Raises:
        DialFailed: there was no session.
    """
    nonce, unix_time = secrets.token_urlsafe(24), int(time.time())
    headers = upgrade_headers(target, call.identity, nonce=nonce, unix_time=unix_time, attempt=attempt)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, middlewares=(_only_101,), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as client:
        socket = await _connect(client, target, headers, False if insecure else ssl_context or True)
        try:
            async with asyncio.timeout(call.max_seconds + GRACE_SECONDS):
                await _Line(socket, call, on_event, clock).run(stop or asyncio.Event())
        except TimeoutError:
            call.abort("the call did not end in time", clock())
            call.receive_eof(clock())
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS * 2):
                    await socket.close()
    for event in call.events():
        on_event(event)
    return msgspec.structs.replace(call.report(clock()), url=str(target.url))


async def _only_101(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Let nothing but an upgrade pass: Genesys follows no redirect (trap 6)."""
    response = await handler(request)
    if response.status == 101:
        return response
    try:
        raise _Refused(await _explain(response))
    finally:
        response.close()


async def _explain(response: ClientResponse) -> str:
    if 300 <= response.status < 400:
        where = response.headers.get(LOCATION, "somewhere else")
        return f"the server answers with a redirect to {where[:200]}: Genesys follows none"
    meaning = _MEANINGS.get(response.status, "the server refused the upgrade")
    if 200 <= response.status < 300:
        meaning = "an ordinary page answers here, no WebSocket"
    text = f"HTTP {response.status}: {meaning}"
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(1.0):
            body = (await response.content.read(_BODY_BYTES)).decode(errors="replace")
            words = " ".join("".join(c if c.isprintable() else " " for c in body).split())
            text += f" ({words})" if words and not words.startswith("<") else ""
    return text


async def _connect(
    client: aiohttp.ClientSession, target: Target, headers: dict[str, str], trust: ssl.SSLContext | bool
) -> ClientWebSocketResponse:
    where = f"{target.url.host}:{target.url.port}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await client.ws_connect(
                target.url,
                headers=headers,
                ssl=trust,
                compress=0,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
    except _Refused as refused:
        reason = refused.text
    except TimeoutError:
        reason = f"{where} did not answer within {CONNECT_SECONDS:g} s"
    except aiohttp.ClientConnectorCertificateError as error:
        reason = f"the certificate of {where} is not trusted: {_certificate_trouble(error.certificate_error)}"
    except aiohttp.ClientConnectorDNSError:
        reason = f"the name {target.url.host} is not known"
    except aiohttp.ClientConnectorSSLError as error:
        reason = f"TLS with {where} failed: {error.os_error.strerror or error.os_error}"
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno
        reason = f"{where} cannot be reached: {os.strerror(number) if number else error.os_error}"
    except aiohttp.WSServerHandshakeError as error:
        reason = f"the upgrade was answered wrongly: {error.message}"
    except (aiohttp.ClientError, OSError) as error:
        reason = f"{where}: {str(error) or type(error).__name__}"
    raise DialFailed(reason)


def _certificate_trouble(error: Exception) -> str:
    return getattr(error, "verify_message", "") or str(error)


def _farewell(message: WSMessage) -> str:
    """Say why nothing more comes."""
    if message.type is WSMsgType.CLOSE:
        reason = f" ({message.extra})" if message.extra else ""
        return f"the server closed the socket with code {message.data}{reason}"
    if message.type is WSMsgType.ERROR:
        return f"the server broke the WebSocket protocol: {message.data}"
    return "the connection was lost"


class _Line:
    """One socket while a call goes over it."""

    def __init__(
        self,
        socket: ClientWebSocketResponse,
        call: SimulatedCall,
        on_event: Callable[[CallEvent], None],
        clock: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._call = call
        self._on_event = on_event
        self._clock = clock
        self._changed = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Carry the call to its end."""
        self._call.connected(self._clock())
        reader, stopper = asyncio.create_task(self._read()), asyncio.create_task(self._stop(stop))
        try:
            while not (self._call.finished or reader.done()):
                await self._write()
                await self._wait()
            await self._write()
        finally:
            reader.cancel()
            stopper.cancel()
            for outcome in await asyncio.gather(reader, stopper, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _read(self) -> None:
        """Hand everything to the call the moment it comes."""
        try:
            while True:
                message = await self._socket.receive()
                now = self._clock()
                if message.type is WSMsgType.TEXT:
                    self._call.receive_text(message.data, now)
                elif message.type is WSMsgType.BINARY:
                    self._call.receive_audio(message.data, now)
                else:  # CLOSE, CLOSING, CLOSED or ERROR: nothing more comes
                    self._call.receive_eof(now, _farewell(message))
                self._changed.set()
                if self._call.finished:
                    return
        finally:
            self._changed.set()

    async def _stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._call.abort("the simulator was told to stop", self._clock())
        self._changed.set()

    async def _write(self) -> None:
        """Send what the call has to send, and tell what happened."""
        for event in self._call.events():
            self._on_event(event)
        for data in self._call.data_to_send():
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    if isinstance(data, str):
                        await self._socket.send_str(data)
                    else:
                        await self._socket.send_bytes(data)
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                self._call.receive_eof(self._clock(), "the server does not read what is sent to it")
                return

    async def _wait(self) -> None:
        """Sleep until something came or a timer is due, and handle the timer."""
        timer = self._call.next_timer()
        delay = None if timer is None else max(0.0, timer - self._clock())
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        timer, now = self._call.next_timer(), self._clock()
        if timer is not None and now >= timer:
            self._call.handle_timer(now)


def dial_until_signal(
    target: Target, call: SimulatedCall, *, on_event: Callable[[CallEvent], None], insecure: bool = False
) -> CallReport:
    """Make a call in an event loop of its own; the first interrupt lets the caller hang up, the second kills.

    Raises:
        DialFailed: there was no session.
    """

    async def run() -> CallReport:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            stop.set()

        # Threads and platforms that cannot have signals in the loop are simply killed.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGINT, interrupted)
        return await dial(target, call, on_event=on_event, insecure=insecure, stop=stop)

    return asyncio.run(run())
