"""Tools of the agents in these tests."""

import asyncio
import time

from offhook import ToolResult, tool

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


@tool
async def huge_tool() -> str:
    """Return five megabytes."""
    return "x" * 5_000_000


@tool
async def stray_tool() -> ToolResult:
    """Set an output variable that nobody declared."""
    return ToolResult("Order 7 has shipped.", outputs={"ORDER_STATE": "shipped"})


@tool
async def unfit_tool() -> ToolResult:
    """Set an output variable to what it cannot be."""
    return ToolResult("Order 7 has shipped.", outputs={"INTENT": "shipping"})


@tool
async def odd_output_tool() -> ToolResult:
    """Set an output variable to what is no JSON."""
    return ToolResult("Order 7 has shipped.", outputs={"INTENT": object()})


@tool
async def odd_result_tool() -> ToolResult:
    """Return what is no JSON."""
    return ToolResult(object())


@tool
async def half_letter_tool() -> ToolResult:
    """Return half of a letter, everywhere."""
    return ToolResult({"state": "\ud83d"}, outputs={"INTENT": ["\ud83d"]})
