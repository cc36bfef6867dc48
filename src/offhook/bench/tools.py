"""What the agents of a bench can call: a tool that works, some that do not, and one that counts what there is."""

import asyncio
import gc
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from offhook.tools import ToolError, tool

STALL: Final = 0.2
"""Seconds that `stall` keeps the whole event loop busy."""
SLOW: Final = 5.0

TOOLS: Final = ("lookup", "slow", "stall", "crash", "fail", "hang")
"""Those that agents have beside `end_call`."""


@tool
async def lookup(order: str) -> str:
    """Look an order up."""
    await asyncio.sleep(0.2)
    return f"order {order} is on its way"


@tool
async def slow(order: str) -> str:
    """Look an order up, slowly."""
    await asyncio.sleep(SLOW)
    return f"order {order} is on its way"


@tool
async def stall(order: str) -> str:
    """Look an order up, and keep the event loop from everything else."""
    time.sleep(STALL)  # noqa: ASYNC251 - that is the fault
    return f"order {order} is on its way"


@tool
async def crash(order: str) -> str:
    """Raise what no tool should raise."""
    raise SystemExit(f"order {order}")


@tool
async def fail(order: str) -> str:
    """Fail as tools do."""
    raise ToolError(f"order {order} is not known")


@tool
async def hang(order: str) -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return order


@tool
async def census() -> str:
    """Count what the process holds."""
    return json.dumps(take_census())


def take_census() -> dict[str, Any]:
    """Return what this process holds: tasks, calls, open files and sockets, memory.

    Open files and memory are None where the system does not tell them under /proc.
    """
    gc.collect()
    objects = gc.get_objects()
    # By the type, for among them are proxies of objects that are gone.
    running = [found for found in objects if issubclass(type(found), asyncio.Task) and not found.done()]
    tasks = Counter(getattr(task.get_coro(), "__qualname__", "?") for task in running)
    calls = sum(type(found).__name__ == "CallTask" for found in objects)
    return {
        "tasks": dict(tasks),
        "calls": calls,
        "objects": len(objects),
        "sockets": open_sockets(os.getpid()),
        "memory": memory(os.getpid()),
    }


def open_sockets(process: int) -> int | None:
    """Return how many sockets a process has open; None where that is not to be known."""
    folder = Path(f"/proc/{process}/fd")
    count = 0
    try:
        for entry in folder.iterdir():
            try:
                count += str(entry.readlink()).startswith("socket:")
            except OSError:
                continue  # it was closed meanwhile
    except OSError:
        return None
    return count


def memory(process: int) -> int | None:
    """Return the bytes of memory that a process has in use; None where that is not to be known."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
