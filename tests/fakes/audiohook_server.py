"""A small voice agent behind AudioHook that needs no AI: it greets, answers, stops when interrupted, says goodbye.

`FakeAgent` is the agent without a socket, `serve` puts it on one.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence

from aiohttp import WSMsgType, web

from offhook.audio.vad import EnergyVad, SpeechStarted
from offhook.audiohook import (
    AudioReceived,
    BotTurnResponse,
    DtmfReceived,
    OpenReceived,
    PlaybackCompleted,
    ServerEvent,
    ServerSession,
    SessionEnded,
)
from offhook.speech import Speech

PACKET = 1600
LEAD = 0.5

_speech = Speech(synthesiser=None)


def agent_clip(text: str) -> bytes:
    return _speech.clip(text, "agent")


class FakeAgent:
    """Answers the caller with the texts it was given, one per turn; after the last one it ends the call.

    Args:
        greeting: said first; empty = the agent waits.
        answers: one for each thing the caller says or keys in.
        outputs: what `disconnect` returns; None = the agent never ends the call.
        barge_in: whether it stops when the caller speaks.
        packet: bytes per audio message.
        lead: seconds of audio that it sends ahead.
    """

    def __init__(
        self,
        *,
        greeting: str = "Hello, how can I help you?",
        answers: Sequence[str] = ("We are open Monday to Friday.",),
        outputs: dict[str, str] | None = None,
        barge_in: bool = True,
        packet: int = PACKET,
        lead: float = LEAD,
    ) -> None:
        self.session = ServerSession()
        self.log: list[ServerEvent] = []
        self.heard = bytearray()
        self._greeting = greeting
        self._answers = list(answers)
        self._outputs = outputs
        self._barge_in = barge_in
        self._packet = packet
        self._lead = lead
        self._vad = EnergyVad()
        self._queue = bytearray()
        self._played_until = 0.0
        self._last = False

    def receive_text(self, data: str, now: float) -> None:
        self.session.receive_text(data, now)
        self._act(now)

    def receive_audio(self, data: bytes, now: float) -> None:
        self.session.receive_audio(data, now)
        self._act(now)

    def receive_eof(self, now: float) -> None:
        self.session.receive_eof(now)
        self._act(now)

    def data_to_send(self) -> list[str | bytes]:
        return self.session.data_to_send()

    def next_timer(self) -> float | None:
        timers = [self.session.next_timer(), self._played_until - self._lead if self._queue else None]
        return min((timer for timer in timers if timer is not None), default=None)

    def handle_timer(self, now: float) -> None:
        self.session.handle_timer(now)
        self._act(now)

    def _act(self, now: float) -> None:
        for event in self.session.events():
            self.log.append(event)
            match event:
                case OpenReceived(probe=probe):
                    self.session.send_opened(now)
                    if not probe:
                        self._say(self._greeting, now)
                case AudioReceived(audio=audio):
                    self.heard += audio
                    for speech in self._vad.feed(audio):
                        if isinstance(speech, SpeechStarted):
                            self._stop(now)
                        else:
                            self._answer(now)
                case DtmfReceived():
                    self._answer(now)
                case PlaybackCompleted():
                    if self._last and not self._queue:
                        self.session.send_disconnect("completed", now, info="done", output_variables=self._outputs)
        self._pump(now)

    def _answer(self, now: float) -> None:
        if self._answers:
            self._say(self._answers.pop(0), now)
            self._last = not self._answers and self._outputs is not None

    def _say(self, text: str, now: float) -> None:
        if text:
            self._queue += agent_clip(text)
            self.session.send_events([BotTurnResponse(disposition="match", text=text, confidence=1.0)], now)

    def _stop(self, now: float) -> None:
        if self._barge_in and (self._queue or self._played_until > now):
            self._queue.clear()
            self._played_until = now
            self.session.send_barge_in(now)

    def _pump(self, now: float) -> None:
        while self._queue and self.session.can_send_audio and self._played_until - self._lead <= now + 1e-6:
            packet = bytes(self._queue[: self._packet])
            if not self.session.send_audio(packet, now):
                self._played_until = self.session.audio_ready_at(now) + self._lead
                return
            del self._queue[: len(packet)]
            self._played_until = max(self._played_until, now) + len(packet) / 8000


class FakeServer:
    """Where the agents are reached, and what was asked of them."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []
        self.agents: list[FakeAgent] = []
        self.make_agent: Callable[[], FakeAgent] = FakeAgent


async def _carry(socket: web.WebSocketResponse, agent: FakeAgent) -> None:
    """Move everything between a socket and an agent until the client drops the socket."""
    wake = asyncio.Event()

    async def read() -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                agent.receive_text(message.data, time.monotonic())
            elif message.type is WSMsgType.BINARY:
                agent.receive_audio(message.data, time.monotonic())
            wake.set()
        agent.receive_eof(time.monotonic())
        wake.set()

    reader = asyncio.create_task(read())
    try:
        while not any(isinstance(event, SessionEnded) for event in agent.log):
            for data in agent.data_to_send():
                if isinstance(data, str):
                    await socket.send_str(data)
                else:
                    await socket.send_bytes(data)
            timer = agent.next_timer()
            delay = None if timer is None else max(0.0, timer - time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await wake.wait()
            wake.clear()
            agent.handle_timer(time.monotonic())
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader


@contextlib.asynccontextmanager
async def serve() -> AsyncIterator[FakeServer]:
    """Serve agents under every path of a free local port."""
    server = FakeServer()

    async def take(request: web.Request) -> web.StreamResponse:
        server.requests.append(request)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        agent = server.make_agent()
        server.agents.append(agent)
        await _carry(socket, agent)
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/audiohook"
    try:
        yield server
    finally:
        await runner.cleanup()
