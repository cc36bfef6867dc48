"""Tools of the agents in these tests."""

import asyncio
import time

from offhook import tool

CALLS: list[str] = []


@tool
async def order_status(order_id: str) -> str:
    """Look an order up by its number."""
    CALLS.append(order_id)
    return f"Order {order_id} has shipped."


@tool
async def slow_tool() -> str:
    """Take a long time."""
    await asyncio.sleep(30)
    return "done"


@tool
def blocking_tool() -> str:
    """Take a second and let nobody else work."""
    time.sleep(1)
    return "blocked"


@tool
async def broken_tool(secret: str) -> str:
    """Fail."""
    raise ValueError(f"cannot work with {secret}")
