"""Plays the OpenAI Realtime API (GA): an independent fake, written from its documentation alone.

It does what a test tells it, in the documented order of events (openai-realtime.md §11), and confirms what the real one
confirms by itself: the session, items, truncations and deletions.
"""

import asyncio
import base64
import copy
import http
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.acceptance.answers import NUMBERS, Answer, Event
from tests.acceptance.waiting import Bell


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the fields that are present in `new`."""
    result = dict(old)
    for name, value in new.items():
        before = result.get(name)
        result[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return result


def default_session(model: str) -> dict[str, Any]:
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": f"sess_{next(NUMBERS)}",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "(server default prompt)",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": int(time.time()) + 3600,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 200,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
        },
        "include": None,
    }


@dataclass
class Heard:
    """One event of the client and when it came (monotonic seconds)."""

    at: float
    event: Event

    def __getitem__(self, name: str) -> Any:
        return self.event[name]


@dataclass
class Behaviour:
    """How the fake receives a connection."""

    handshake: str = "accept"
    """accept, hang (no answer to the upgrade), or an HTTP status as text."""
    handshake_delay: float = 0.0
    created: bool = True
    updated: bool = True
    echo: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda session: session)
    """Changes the session that is confirmed."""


class Leg:
    """One connection."""

    def __init__(self, socket: ServerConnection, behaviour: Behaviour) -> None:
        assert socket.request is not None
        self.path = socket.request.path
        self.headers = socket.request.headers
        self.heard: list[Heard] = []
        self.audio = bytearray()
        self.appends: list[tuple[float, int]] = []
        self.bell = Bell()
        self.close_code: int | None = None
        self.active: str | None = None
        """The response under way."""
        self.confirms_items = True
        """Confirm each item that the client creates as soon as it comes."""
        self._behaviour = behaviour
        self._socket = socket
        self._session = default_session(self.path.partition("model=")[2])
        self._cursors: dict[str, int] = {}

    # ---- what the client sends

    async def run(self) -> None:
        if self._behaviour.created:
            await self.send({"type": "session.created", "session": self._session})
        try:
            async for data in self._socket:
                await self._hear(json.loads(data), time.monotonic())
                self.bell.ring()
        except ConnectionClosed:
            pass
        self.close_code = self._socket.close_code
        self.bell.silence(f"the socket is closed, {self.close_code}")

    async def _hear(self, event: Event, now: float) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            audio = base64.b64decode(event["audio"], validate=True)
            self.audio += audio
            self.appends.append((now, len(audio)))
            return
        self.heard.append(Heard(now, event))
        if kind == "session.update":
            self._session = merged(self._session, event["session"])
            if self._behaviour.updated:
                echoed = self._behaviour.echo(copy.deepcopy(self._session))
                await self.send({"type": "session.updated", "session": echoed})
        elif kind == "conversation.item.create":
            if self.confirms_items:
                await self.confirm_item(event)
        elif kind == "response.cancel" and self.active is None:
            error = {
                "type": "invalid_request_error",
                "code": "response_cancel_not_active",
                "message": "Cancellation failed: no active response found",
                "param": None,
                "event_id": event.get("event_id"),
            }
            await self.send({"type": "error", "error": error})
        elif kind == "conversation.item.truncate":
            names = ("item_id", "content_index", "audio_end_ms")
            await self.send({"type": "conversation.item.truncated", **{name: event[name] for name in names}})
        elif kind == "conversation.item.delete":
            await self.send({"type": "conversation.item.deleted", "item_id": event["item_id"]})

    async def confirm_item(self, event: Event) -> None:
        """Say that an item which the client created has become part of the conversation."""
        item = {"id": f"item_{next(NUMBERS)}", "object": "realtime.item", "status": "completed", **event["item"]}
        previous = event.get("previous_item_id")
        for part in ("added", "done"):
            await self.send({"type": f"conversation.item.{part}", "previous_item_id": previous, "item": item})

    def _seen(self) -> str:
        return ", ".join(heard.event["type"] for heard in self.heard[-12:])

    async def expect(self, kind: str, *, within: float = 2.0) -> Heard:
        """Return the next event of a type that was not returned yet."""

        def find() -> Heard | None:
            for index in range(self._cursors.get(kind, 0), len(self.heard)):
                if self.heard[index]["type"] == kind:
                    self._cursors[kind] = index + 1
                    return self.heard[index]
            return None

        return await self.bell.until(find, within=within, what=f"Realtime {kind}", seen=self._seen)

    async def expect_audio(self, length: int, *, within: float) -> bytes:
        """Wait until `length` bytes of the caller's audio have come, and return all that has."""
        await self.bell.until(
            lambda: True if len(self.audio) >= length else None,
            within=within,
            what=f"{length} bytes of caller audio",
            seen=lambda: len(self.audio),
        )
        return bytes(self.audio)

    async def expect_closed(self, *, within: float = 2.0) -> None:
        """Wait until the client has closed the socket."""
        await self.bell.until(
            lambda: True if self.bell.silenced else None, within=within, what="closed Realtime socket", seen=self._seen
        )

    def events(self, kind: str) -> list[Heard]:
        return [heard for heard in self.heard if heard["type"] == kind]

    # ---- what the fake sends

    async def send(self, event: Event) -> float:
        """Send an event and return when."""
        now = time.monotonic()
        with suppress(ConnectionClosed):
            await self._socket.send(json.dumps({"event_id": f"event_{next(NUMBERS)}", **event}))
        return now

    async def send_raw(self, data: str | bytes) -> None:
        """Send a WebSocket message as it is."""
        with suppress(ConnectionClosed):
            await self._socket.send(data)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code, reason)

    def abort(self) -> None:
        self._socket.transport.abort()

    async def caller_spoke(self, text: str | None = "hello", *, ms: int = 1000) -> str:
        """Detect a whole turn of the caller; return its item."""
        item = f"item_user_{next(NUMBERS)}"
        await self.speech_started(item, ms)
        await self.speech_stopped(item, ms + 1000, text)
        return item

    async def speech_started(self, item: str = "item_user", ms: int = 1000) -> float:
        return await self.send({"type": "input_audio_buffer.speech_started", "audio_start_ms": ms, "item_id": item})

    async def speech_stopped(self, item: str = "item_user", ms: int = 2000, text: str | None = "hello") -> None:
        await self.send({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": ms, "item_id": item})
        await self.send({"type": "input_audio_buffer.committed", "previous_item_id": None, "item_id": item})
        content = [{"type": "input_audio", "transcript": None}]
        body = {"id": item, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
        for part in ("added", "done"):
            await self.send(
                {
                    "type": f"conversation.item.{part}",
                    "previous_item_id": None,
                    "item": {**body, "content": content},
                }
            )
        if text is not None:
            await self.send(
                {
                    "type": "conversation.item.input_audio_transcription.completed",
                    "item_id": item,
                    "content_index": 0,
                    "transcript": text,
                    "usage": {"type": "duration", "seconds": 1.0},
                }
            )

    async def respond(self, *, metadata: Mapping[str, str] | None = None) -> Answer:
        """Begin a response: `response.created`."""
        answer = Answer(self, metadata)
        await answer.begin()
        return answer

    async def answer(
        self, create: Heard | None, audio: bytes, text: str = "Hello.", *, delta: int = 800, item: str | None = None
    ) -> Answer:
        """Give a whole spoken response, as fast as it goes; `create` asked for it, or turn detection did."""
        answer = await self.respond(metadata=metadata_of(create))
        speech = await answer.speech(item)
        await speech.audio(audio, delta=delta)
        await speech.end(text)
        await answer.end()
        return answer


def metadata_of(create: Heard | None) -> Mapping[str, str] | None:
    """Return what a `response.create` wants to find in its response."""
    if create is None:
        return None
    metadata = create.event.get("response", {}).get("metadata")
    assert metadata is None or isinstance(metadata, dict)
    return metadata


class RealtimeFake:
    """The server; `legs` are its connections, in order."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.legs: list[Leg] = []
        self.upgrades = 0
        self.url = ""
        self._bell = Bell()
        self._over = asyncio.Event()
        self._next = 0

    async def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.upgrades += 1
        self._bell.ring()
        if self.behaviour.handshake == "hang":
            await self._over.wait()
        elif self.behaviour.handshake != "accept":
            return connection.respond(http.HTTPStatus(int(self.behaviour.handshake)), "no\n")
        elif self.behaviour.handshake_delay:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self.behaviour.handshake_delay)
        if self._over.is_set():
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "over\n")
        return None

    def end(self) -> None:
        """Let go of whoever waits for an answer to the upgrade."""
        self._over.set()

    async def serve_leg(self, socket: ServerConnection) -> None:
        leg = Leg(socket, self.behaviour)
        self.legs.append(leg)
        self._bell.ring()
        await leg.run()

    async def leg(self, *, within: float = 2.0) -> Leg:
        """Return the next connection that was not returned yet."""
        wanted = self._next
        self._next += 1
        return await self._bell.until(
            lambda: self.legs[wanted] if len(self.legs) > wanted else None, within=within, what="Realtime connection"
        )

    async def ready(self, *, within: float = 2.0) -> Leg:
        """Return the next connection once its session is confirmed."""
        leg = await self.leg(within=within)
        await leg.expect("session.update", within=within)
        return leg

    async def expect_upgrade(self, *, within: float = 2.0) -> None:
        await self._bell.until(lambda: True if self.upgrades else None, within=within, what="Realtime upgrade")


@asynccontextmanager
async def realtime_fake(behaviour: Behaviour | None = None) -> AsyncIterator[RealtimeFake]:
    """Serve until the block ends."""
    fake = RealtimeFake(behaviour or Behaviour())
    server = await serve(
        fake.serve_leg,
        "127.0.0.1",
        0,
        process_request=fake.process_request,
        compression=None,
        max_size=None,
        ping_interval=None,
        open_timeout=None,
        close_timeout=0.2,
    )
    port = next(iter(server.sockets)).getsockname()[1]
    fake.url = f"ws://127.0.0.1:{port}/v1/realtime"
    try:
        yield fake
    finally:
        fake.end()
        for connection in server.connections:
            connection.transport.abort()
        server.close()
        await server.wait_closed()
