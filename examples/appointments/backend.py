"""The calendar that the example books in: a small HTTP server on this machine."""

import contextlib
import itertools
from collections.abc import AsyncIterator

from aiohttp import web

TOKEN = "calendar-token"  # noqa: S105 - of this example only
SLOTS = {"t-0900": "2026-12-01T09:00", "t-1430": "2026-12-01T14:30"}


@contextlib.asynccontextmanager
async def backend() -> AsyncIterator[dict[str, str]]:
    """Serve the calendar; gives the environment that `offhook.yaml` is read with."""
    numbers = itertools.count(1)
    booked: dict[str, dict[str, str]] = {}

    def authorized(request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    async def slots(request: web.Request) -> web.Response:
        if not authorized(request):
            return web.json_response({"error": "unauthorized"}, status=401)
        free = [{"id": slot, "time": time} for slot, time in SLOTS.items() if slot not in booked]
        return web.json_response({"slots": [slot for slot in free if slot["time"].startswith(request.query["day"])]})

    async def book(request: web.Request) -> web.Response:
        slot = request.match_info["slot"]
        if not authorized(request):
            return web.json_response({"error": "unauthorized"}, status=401)
        if slot not in SLOTS or slot in booked:
            return web.json_response({"error": "taken"}, status=409)
        booked[slot] = await request.json()
        return web.json_response({"id": f"B-{next(numbers)}", "time": SLOTS[slot]}, status=201)

    app = web.Application()
    app.add_routes([web.get("/slots", slots), web.post("/slots/{slot}/bookings", book)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield {"CALENDAR_URL": f"http://127.0.0.1:{runner.addresses[0][1]}", "CALENDAR_TOKEN": TOKEN}
    finally:
        await runner.cleanup()
