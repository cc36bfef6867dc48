import asyncio
import contextlib

from structlog.testing import capture_logs

from offhook.gateway.closing import Part, close_in_order


async def test_parts_are_closed_in_order_and_none_holds_up_the_rest() -> None:
    closed: list[str] = []
    stubborn_ends = asyncio.Event()

    def closing(name: str) -> Part:
        async def close() -> None:
            closed.append(name)

        return Part(name, close)

    async def fail() -> None:
        raise RuntimeError("with a secret in it")

    async def hang() -> None:
        await asyncio.Event().wait()

    async def ignore_cancellation() -> None:
        while not stubborn_ends.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stubborn_ends.wait()
        closed.append("stubborn")

    parts = [
        closing("first"),
        Part("failing", fail),
        closing("second"),
        Part("hanging", hang, deadline=0.01),
        Part("stubborn", ignore_cancellation, deadline=0.01),
        closing("last"),
    ]
    with capture_logs() as logs:
        await close_in_order(parts)
    assert closed == ["first", "second", "last"]
    assert [(line["part"], line["code"]) for line in logs] == [
        ("failing", "OH-GATE-14"),
        ("hanging", "OH-GATE-14"),
        ("stubborn", "OH-GATE-14"),
    ]
    stubborn_ends.set()
    await asyncio.sleep(0)
