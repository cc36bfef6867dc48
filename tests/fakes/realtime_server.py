"""A small Realtime API server for load tests, written apart from the emulator: it shares no code with the gateway.

It confirms whatever session it is asked for, keeps the caller's audio, and talks all the time: one response after the
other, each generated at a multiple of real time in deltas of odd sizes.
"""

import asyncio
import base64
import json
import random
import time
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web


@dataclass
class Leg:
    """What went over one connection."""

    session: str
    caller: bytearray = field(default_factory=bytearray)
    agent: bytearray = field(default_factory=bytearray)
    types: dict[str, int] = field(default_factory=dict)


class RealtimeFake:
    """`async with RealtimeFake(talk=0.5) as fake:` serves at `fake.url`.

    Args:
        talk: Seconds of audio of a response, at random around it; the pause between two of them is as long.
        speed: Audio is generated at this multiple of real time.
        seconds: After so long no new response begins.
        seed: Everything random comes from it.
    """

    def __init__(self, *, talk: float = 4.0, speed: float = 4.0, seconds: float = 10.0, seed: int = 1) -> None:
        self.talk, self.speed, self.seconds, self.seed = talk, speed, seconds, seed
        self.legs: dict[str, Leg] = {}
        self.url = ""
        self._count = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "RealtimeFake":
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        self._count += 1
        number = self._count
        session = {"type": "realtime", "object": "realtime.session", "id": f"sess_{number}", "audio": {}}
        await ws.send_str(json.dumps({"type": "session.created", "event_id": "e0", "session": session}))
        leg = Leg(f"sess_{number}")
        talking: asyncio.Task[None] | None = None
        try:
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    break
                event = json.loads(message.data)
                leg.types[event["type"]] = leg.types.get(event["type"], 0) + 1
                if event["type"] == "session.update":
                    session.update(event["session"])
                    # The instructions carry the name under which the test looks the leg up.
                    self.legs[event["session"]["instructions"]] = leg
                    updated = {"type": "session.updated", "event_id": "e1", "session": session}
                    await ws.send_str(json.dumps(updated))
                    talking = asyncio.create_task(self._talk(ws, leg, random.Random(self.seed * 1000 + number)))
                elif event["type"] == "input_audio_buffer.append":
                    leg.caller += base64.b64decode(event["audio"])
        finally:
            if talking is not None:
                talking.cancel()
        return ws

    async def _talk(self, ws: web.WebSocketResponse, leg: Leg, chance: random.Random) -> None:
        until = time.monotonic() + self.seconds
        number = 0
        while time.monotonic() < until:
            number += 1
            response = {"id": f"resp_{number}", "status": "in_progress", "output": []}
            where = {"response_id": f"resp_{number}", "item_id": f"item_{number}", "output_index": 0}
            item = {
                "id": f"item_{number}",
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            await self._send(ws, "response.created", response=response)
            await self._send(ws, "response.output_item.added", **where, item=item)
            length = chance.randrange(int(self.talk * 4000), int(self.talk * 12000))
            began = time.monotonic()
            sent = 0
            while sent < length:
                delta = chance.randbytes(min(chance.choice((1, 159, 801, 2401, 4000, 9601)), length - sent))
                sent += len(delta)
                leg.agent += delta
                await self._send(
                    ws, "response.output_audio.delta", **where, content_index=0, delta=base64.b64encode(delta).decode()
                )
                if sent < length:
                    await asyncio.sleep(max(0.0, began + sent / 8000 / self.speed - time.monotonic()))
            await self._send(ws, "response.output_audio.done", **where, content_index=0)
            response = {**response, "status": "completed"}
            await self._send(ws, "response.done", response=response)
            await asyncio.sleep(max(0.0, began + 2 * length / 8000 - time.monotonic()))

    async def _send(self, ws: web.WebSocketResponse, type_: str, **fields: object) -> None:
        await ws.send_str(json.dumps({"type": type_, "event_id": "e", **fields}))
