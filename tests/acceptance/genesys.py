"""Plays Genesys' side of AudioHook v2: an independent client, written from the protocol's documentation alone.

It is strict: every breach of the protocol, of the rate limits and of the promised bounds is noted in
`GenesysCall.breaches`, and leaving the call's block fails with all of them.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.acceptance.identity import Identity
from tests.acceptance.playback import BYTES_PER_SECOND, Playback
from tests.acceptance.waiting import Bell

NIL = "00000000-0000-0000-0000-000000000000"
FRAME = 1600
PCMU = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}

MAX_UNPLAYED = 1.0
#: What the clocks of two tasks in a busy process may differ by.
JITTER = 0.06

_ENVELOPE = {"version", "id", "type", "seq", "clientseq", "parameters"}
_PARAMETERS: dict[str, set[str]] = {
    "opened": {"media", "startPaused", "discardTo", "supportedLanguages"},
    "closed": set(),
    "pong": set(),
    "updated": set(),
    "pause": set(),
    "resume": set(),
    "event": {"entities"},
    "disconnect": {"reason", "info", "outputVariables"},
}


@dataclass(frozen=True)
class Received:
    """One message of the server and when it came (monotonic seconds)."""

    at: float
    message: dict[str, Any] = field(default_factory=dict)
    audio: bytes = b""

    @property
    def type(self) -> str:
        return str(self.message.get("type", "binary"))

    @property
    def parameters(self) -> dict[str, Any]:
        parameters = self.message["parameters"]
        assert isinstance(parameters, dict)
        return parameters


class GenesysCall:
    """One connection of Genesys to an AudioHook server.

    Args:
        url: Base Connection URI with the Connector ID.
        reports: Send `playback_started` and `playback_completed`.
        delay: Seconds until audio that came into an idle queue is played.
        strict: Leaving the block fails with every breach of the server.
    """

    def __init__(
        self,
        url: str,
        *,
        identity: Identity | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = "key",
        reports: bool = True,
        delay: float = 0.0,
        strict: bool = True,
        tls: ssl.SSLContext | None = None,
        host: str | None = None,
        port: int | None = None,
    ) -> None:
        self.url = url
        self.identity = identity or Identity()
        self.headers = self.identity.headers(key) if headers is None else dict(headers)
        self.playback = Playback(delay)
        self.received: list[Received] = []
        self.breaches: list[str] = []
        self.bell = Bell()
        self.seq = 0
        self.position = 0
        self.closing = False
        self._reports = reports
        self._strict = strict
        self._tls = tls
        self._address: dict[str, Any] = {} if host is None else {"host": host, "port": port}
        self._server_seq = 0
        self._pings: list[int] = []
        self._cursors: dict[str, int] = {}
        self._opened = self._closed = self._disconnected = False
        self._bodies: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._timers: list[asyncio.TimerHandle] = []

    # ---- connection

    async def __aenter__(self) -> Self:
        self.socket: ClientConnection = await connect(
            self.url,
            additional_headers=self.headers,
            compression=None,
            max_size=None,
            ping_interval=None,
            proxy=None,
            close_timeout=1,
            ssl=self._tls,
            **self._address,
        )
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        self._tasks[1].cancel()
        await self.socket.close()
        await asyncio.wait(self._tasks)
        if error is None and self._strict:
            self.assert_no_breach()

    def assert_no_breach(self) -> None:
        breaches = [*self.breaches, *self.budget_breaches()]
        if self.playback.most_unplayed > MAX_UNPLAYED + JITTER:
            breaches.append(f"{self.playback.most_unplayed:.3f} s un-played")
        assert not breaches, breaches

    def abort(self) -> None:
        """Lose the connection."""
        self.socket.transport.abort()

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                now = time.monotonic()
                if isinstance(data, str):
                    self._text(data, now)
                else:
                    self._binary(data, now)
                self.bell.ring()
        except ConnectionClosed:
            pass
        self.bell.silence(f"the socket is closed, {self.socket.close_code}")

    async def _write(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self.socket.send(await self._bodies.get())

    # ---- what the server sends

    def _breach(self, text: str) -> None:
        self.breaches.append(text)

    def _text(self, data: str, now: float) -> None:
        if len(data.encode()) > 64_000:
            self._breach(f"a text message of {len(data.encode())} bytes")
        message = json.loads(data)
        self.received.append(Received(now, message))
        kind = message.get("type")
        self._check_envelope(message)
        if self._closed:
            self._breach(f"{kind} after closed")
        if not self._opened and kind not in ("opened", "disconnect", "closed"):
            self._breach(f"{kind} before opened")
        check = getattr(self, f"_check_{kind}", None)
        if check is not None:
            check(message["parameters"], message, now)

    def _check_envelope(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if set(message) != _ENVELOPE:
            self._breach(f"{kind} has the fields {sorted(message)}")
        if kind not in _PARAMETERS:
            self._breach(f"an unknown type {kind}")
        elif not isinstance(message.get("parameters"), dict) or set(message["parameters"]) - _PARAMETERS[kind]:
            self._breach(f"{kind} has the parameters {message.get('parameters')}")
        if message.get("version") != "2" or message.get("id") != self.identity.session:
            self._breach(f"{kind}: version or id is wrong")
        self._server_seq += 1
        if message.get("seq") != self._server_seq:
            self._breach(f"{kind}: seq {message.get('seq')} where {self._server_seq} was due")
        client_seq = message.get("clientseq")
        if not isinstance(client_seq, int) or not 0 <= client_seq <= self.seq:
            self._breach(f"{kind}: clientseq {client_seq} of {self.seq}")

    def _check_opened(self, parameters: dict[str, Any], message: dict[str, Any], now: float) -> None:
        if self._opened:
            self._breach("opened twice")
        self._opened = True
        if len(parameters.get("media", [0, 0])) > 1 or any(media not in self.offered for media in parameters["media"]):
            self._breach(f"media {parameters.get('media')}")

    def _check_pong(self, parameters: dict[str, Any], message: dict[str, Any], now: float) -> None:
        if not self._pings or message["clientseq"] != self._pings.pop(0):
            self._breach("pong for no ping, or with the clientseq of something else")

    def _check_closed(self, parameters: dict[str, Any], message: dict[str, Any], now: float) -> None:
        if not self.closing:
            self._breach("closed without close")
        self._closed = True

    def _check_event(self, parameters: dict[str, Any], message: dict[str, Any], now: float) -> None:
        if not parameters.get("entities"):
            self._breach("an event without entities")
        for entity in parameters.get("entities", ()):
            if entity.get("type") == "barge_in":
                if entity != {"type": "barge_in", "data": {}}:
                    self._breach(f"barge_in {entity}")
                playing = self.playback.unplayed(now) > 0
                self.playback.flush(now)
                if playing:
                    self._replan(now)
            elif entity.get("type") == "bot_turn_response":
                data = entity.get("data", {})
                if data.get("disposition") not in ("match", "no_match", "no_input"):
                    self._breach(f"bot_turn_response {sorted(data)}")
                if set(data) - {"disposition", "text", "confidence"}:
                    self._breach(f"bot_turn_response {sorted(data)}")
            else:
                self._breach(f"the entity {entity.get('type')}")

    def _check_disconnect(self, parameters: dict[str, Any], message: dict[str, Any], now: float) -> None:
        if self._disconnected:
            self._breach("disconnect twice")
        self._disconnected = True
        if parameters.get("reason") not in ("completed", "unauthorized", "error"):
            self._breach(f"disconnect reason {parameters.get('reason')}")
        for name, value in parameters.get("outputVariables", {}).items():
            if not isinstance(value, str):
                self._breach(f"output variable {name} is no string")

    def _binary(self, data: bytes, now: float) -> None:
        self.received.append(Received(now, audio=data))
        if not self._opened or self._closed or self._disconnected or self.closing:
            self._breach("audio before opened, or after close, disconnect or closed")
        if not 0.2 <= len(data) / BYTES_PER_SECOND <= 1.0 or len(data) >= 64_000:
            self._breach(f"a binary message of {len(data)} bytes")
        if self.playback.put(len(data), now):
            self._plan(self.playback.begins, self._playback_started)
        self._replan(now)

    def _plan(self, when: float, what: Callable[[], None]) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0.0, when - time.monotonic()) + 0.001, what)
        self._timers.append(timer)
        return timer

    def _replan(self, now: float) -> None:
        """Report the end of playback when it will be, anew after each message."""
        if completion := getattr(self, "_completion", None):
            completion.cancel()
        self._completion = self._plan(self.playback.ends, self._playback_completed)

    def _playback_started(self) -> None:
        if self._reports and not self.closing:
            self.send("playback_started")

    def _playback_completed(self) -> None:
        self.bell.ring()
        if self._reports and not self.closing:
            self.send("playback_completed")

    # ---- budgets (audiohook.md §5)

    def budget_breaches(self) -> list[str]:
        """Return where the server took more than 5 messages a second with a burst of 25, of either kind."""
        breaches = []
        for kind in ("text", "binary"):
            level, last = 25.0, 0.0
            for received in self.received:
                if (received.type == "binary") != (kind == "binary"):
                    continue
                level = min(25.0, level + 5 * (received.at - last)) - 1
                last = received.at
                if level < -0.5:
                    breaches.append(f"too many {kind} messages")
                    break
        return breaches

    # ---- what Genesys sends

    def send(self, kind: str, parameters: Mapping[str, Any] | None = None, **envelope: Any) -> int:
        """Send a message and return its seq; `envelope` overrides fields of the envelope."""
        self.seq += 1
        message = {
            "version": "2",
            "id": self.identity.session,
            "type": kind,
            "seq": self.seq,
            "serverseq": self._server_seq,
            "position": f"PT{self.position / BYTES_PER_SECOND}S",
            "parameters": dict(parameters or {}),
            **envelope,
        }
        if kind == "close":
            self.closing = True
        self._bodies.put_nowait(json.dumps(message))
        return self.seq

    def send_raw(self, data: str | bytes) -> None:
        """Send a WebSocket message as it is."""
        self._bodies.put_nowait(data)

    def send_audio(self, audio: bytes) -> None:
        self.position += len(audio)
        self._bodies.put_nowait(audio)

    async def speak(self, audio: bytes, *, frame: int = FRAME) -> None:
        """Send audio in real time."""
        due = time.monotonic()
        for start in range(0, len(audio), frame):
            piece = audio[start : start + frame]
            self.send_audio(piece)
            due += len(piece) / BYTES_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def send_open(self, **overrides: Any) -> int:
        """Send `open`; `overrides` take the place of parameters, None leaves one out."""
        parameters: dict[str, Any] = {
            "organizationId": self.identity.organization,
            "conversationId": self.identity.conversation,
            "participant": {
                "id": self.identity.participant,
                "ani": "tel:+13175550123",
                "aniName": "",
                "dnis": "tel:+13175550199",
            },
            "media": [PCMU],
            "language": "en-us",
            **overrides,
        }
        parameters = {name: value for name, value in parameters.items() if value is not None}
        self.offered = parameters.get("media", [])
        return self.send("open", parameters)

    async def open(self, *, within: float = 1.0, **overrides: Any) -> Received:
        """Open the session."""
        self.send_open(**overrides)
        return await self.expect("opened", within=within)

    async def ping(self, *, within: float = 1.0, parameters: Mapping[str, Any] | None = None) -> float:
        """Return the seconds until the pong came."""
        sent = time.monotonic()
        seq = self.send("ping", parameters)
        self._pings.append(seq)
        pong = await self.expect("pong", within=within)
        return pong.at - sent

    async def close(self, reason: str = "end", *, within: float = 1.0) -> Received:
        """Close the session and wait for `closed`."""
        self.send("close", {"reason": reason})
        return await self.expect("closed", within=within)

    async def settle(self, *, within: float = 5.0) -> Received:
        """Wait for `disconnect`, answer it as Genesys does, and return it."""
        disconnect = await self.expect("disconnect", within=within)
        await self.close("disconnect")
        return disconnect

    # ---- waiting and looking

    def _seen(self) -> str:
        return ", ".join(f"{one.type}{one.message.get('parameters', len(one.audio))}" for one in self.received[-12:])

    async def expect(self, kind: str, *, within: float = 1.0) -> Received:
        """Return the next message of a type that was not returned yet."""

        def find() -> Received | None:
            for index in range(self._cursors.get(kind, 0), len(self.received)):
                if self.received[index].type == kind:
                    self._cursors[kind] = index + 1
                    return self.received[index]
            return None

        return await self.bell.until(find, within=within, what=f"AudioHook {kind}", seen=self._seen)

    async def expect_entity(self, kind: str, *, within: float = 1.0) -> Received:
        """Return the next event that holds an entity of a type."""
        deadline = time.monotonic() + within
        while True:
            event = await self.expect("event", within=max(0.0, deadline - time.monotonic()))
            if any(entity["type"] == kind for entity in event.parameters["entities"]):
                return event

    async def expect_audio(self, length: int, *, within: float) -> bytes:
        """Wait until `length` bytes of audio have come, and return all that has."""
        await self.bell.until(
            lambda: True if self.playback.received >= length else None,
            within=within,
            what=f"{length} bytes of audio",
            seen=self._seen,
        )
        return self.audio

    async def expect_silence(self, *, within: float) -> None:
        """Wait until the queue has been played."""
        await self.bell.until(
            lambda: True if time.monotonic() >= self.playback.ends else None, within=within, what="end of playback"
        )

    async def expect_dropped(self, *, within: float) -> None:
        """Wait until the server has dropped the socket."""
        await self.bell.until(
            lambda: True if self.bell.silenced else None, within=within, what="dropped socket", seen=self._seen
        )

    @property
    def audio(self) -> bytes:
        return b"".join(received.audio for received in self.received)

    def texts(self, kind: str) -> list[Received]:
        return [received for received in self.received if received.type == kind]

    def entities(self, kind: str) -> list[dict[str, Any]]:
        return [
            entity for event in self.texts("event") for entity in event.parameters["entities"] if entity["type"] == kind
        ]
