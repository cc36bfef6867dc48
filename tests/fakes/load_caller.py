"""A caller for load tests: sends random bytes at the pace of audio, keeps all it gets, checks the protocol strictly."""

import asyncio
import random
import time
import uuid
from dataclasses import dataclass, field

import aiohttp

from offhook import audiohook
from offhook.audiohook import ClientSession

FRAME = 1600


@dataclass
class Heard:
    """What one call saw."""

    name: str
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    sizes: list[int] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    outputs: dict[str, str] | None = None
    upgraded_at: float = 0.0
    opened_after: float = 0.0
    closed_after: float = 0.0
    slowest_pong: float = 0.0
    pongs: list[float] = field(default_factory=list)


class LoadCaller:
    """One call against `url`: talks for `seconds`, goes on listening for `linger` seconds, then hangs up."""

    def __init__(self, url: str, key: str, name: str, *, seconds: float, linger: float, seed: int) -> None:
        self.url, self.key = url, key
        self.heard = Heard(name)
        self.seconds, self.linger = seconds, linger
        self._closed_at = 0.0
        self._random = random.Random(seed)
        self._session_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        self._organization_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        self._core = ClientSession(
            session_id=self._session_id,
            organization_id=self._organization_id,
            conversation_id=str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
        )

    async def run(self, http: aiohttp.ClientSession) -> Heard:
        headers = {
            "Audiohook-Organization-Id": self._organization_id,
            "Audiohook-Session-Id": self._session_id,
            "Audiohook-Correlation-Id": str(uuid.uuid4()),
            "X-API-KEY": self.key,
        }
        async with http.ws_connect(self.url, headers=headers, max_msg_size=0, compress=0) as ws:
            began = self.heard.upgraded_at = time.monotonic()
            participant = audiohook.Participant(id=str(uuid.uuid4()), ani="tel:+13175550123", ani_name="", dnis="")
            self._core.send_open(began, participant=participant, input_variables={"NAME": self.heard.name})
            await self._flush(ws)
            talking: asyncio.Task[None] | None = None
            try:
                while True:
                    due = self._core.next_timer()
                    timeout = None if due is None else max(0.0, due - time.monotonic())
                    try:
                        async with asyncio.timeout(timeout):
                            message = await ws.receive()
                    except TimeoutError:
                        self._core.handle_timer(time.monotonic())
                        await self._flush(ws)
                        continue
                    now = time.monotonic()
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._core.receive_text(message.data, now)
                    elif message.type is aiohttp.WSMsgType.BINARY:
                        self._core.receive_audio(message.data, now)
                    else:
                        break
                    for event in self._core.events():
                        if isinstance(event, audiohook.OpenedReceived):
                            self.heard.opened_after = now - began
                            talking = asyncio.create_task(self._talk(ws))
                        elif isinstance(event, audiohook.AudioReceived):
                            self.heard.received += event.audio
                            self.heard.sizes.append(len(event.audio))
                            self.heard.arrivals.append((now, len(event.audio)))
                        elif isinstance(event, audiohook.PongReceived):
                            self.heard.slowest_pong = max(self.heard.slowest_pong, event.rtt)
                            self.heard.pongs.append(event.rtt)
                        elif isinstance(event, audiohook.ServerViolated | audiohook.RateLimitExceeded):
                            self.heard.faults.append(repr(event))
                        elif isinstance(event, audiohook.DisconnectReceived):
                            self.heard.faults.append(f"disconnect {event.reason} {event.info}")
                            self._core.send_close("disconnect", now)
                        elif isinstance(event, audiohook.ClosedReceived):
                            self.heard.closed_after = now - self._closed_at
                    await self._flush(ws)
                    if self._core.close_expected():
                        break
            finally:
                if talking is not None:
                    talking.cancel()
        return self.heard

    async def _talk(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        began = time.monotonic()
        sent = 0
        while sent < self.seconds * 8000:
            frame = self._random.randbytes(FRAME)
            sent += FRAME
            self.heard.sent += frame
            self._core.send_audio(frame, time.monotonic())
            await self._flush(ws)
            await asyncio.sleep(max(0.0, began + sent / 8000 - time.monotonic()))
        await asyncio.sleep(self.linger)
        self._closed_at = time.monotonic()
        self._core.send_close("end", self._closed_at)
        await self._flush(ws)

    async def _flush(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        for data in self._core.data_to_send():
            if isinstance(data, str):
                await ws.send_str(data)
            else:
                await ws.send_bytes(data)
