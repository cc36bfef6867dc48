"""A gateway in a process of its own that tells how it is doing.

python -m tests.security.served CONFIG LOG

It serves as `offhook serve` does and logs into the file LOG. Each line on standard input is answered by one of JSON on
standard output: `figures` asks for figures, `settled` for the same without garbage, anything else for the end. Unasked
comes the first line, with the port.
"""

import asyncio
import contextlib
import gc
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from offhook import Gateway
from offhook.config import load_config
from offhook.gateway import GatewayServer
from offhook.telemetry.logging import configure

LOOK_EVERY = 0.005


class Lateness:
    """How late the event loop was, looked at all the time; and how much of that was its own work.

    On a machine with other things to do a process is late because it was not its turn; the processor time that it used
    between two looks is what a gateway with a processor of its own would have been late.
    """

    def __init__(self) -> None:
        self.late: list[float] = []
        self.busy: list[float] = []
        self.pauses: list[float] = []
        """For the garbage collector's rounds over everything."""
        self._due = 0.0
        self._used = 0.0
        self._pause = 0.0
        gc.callbacks.append(self._collecting)

    def _collecting(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._pause = time.thread_time()
        elif info["generation"] == 2:
            self.pauses.append(time.thread_time() - self._pause)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + LOOK_EVERY
        self._used = time.thread_time()
        loop.call_at(self._due, self._look)

    def _look(self) -> None:
        # Timers of uvloop have a resolution of a millisecond.
        self.late.append(max(0.0, asyncio.get_running_loop().time() - self._due))
        self.busy.append(time.thread_time() - self._used)
        self.start()

    def take(self) -> dict[str, dict[str, float]]:
        """Return milliseconds since the last time."""
        taken = {"late_ms": _ranks(self.late), "busy_ms": _ranks(self.busy), "gc_ms": _ranks(self.pauses)}
        taken["gc_ms"]["count"] = len(self.pauses)
        self.late, self.busy, self.pauses = [], [], []
        return taken


def _ranks(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    ranks = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "most": len(ordered) - 1}
    return {name: round(ordered[rank] * 1000, 1) for name, rank in ranks.items()}


def figures(server: GatewayServer, lateness: Lateness) -> dict[str, Any]:
    """Say what this process holds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "calls": server.calls,
        "rss_mib": round(pages * resource.getpagesize() / 2**20, 1),
        "most_rss_mib": round(usage.ru_maxrss / 1024, 1),
        "files": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        **lateness.take(),
    }


async def serve(config: Path) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    lateness = Lateness()
    async with Gateway.from_config(load_config(config).config).serving() as server:
        lateness.start()
        tell({"port": server.port, "pid": os.getpid(), "at": time.time()})
        while (asked := (await reader.readline()).strip()) in (b"figures", b"settled"):
            if asked == b"settled":
                gc.collect()
            tell(figures(server, lateness))


def tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def take_precedence() -> None:
    """Come before attackers and whatever else the machine does, if we may: as on a machine of our own."""
    with contextlib.suppress(PermissionError):
        os.nice(-10)


def main() -> None:
    config, log = sys.argv[1:]
    take_precedence()
    with open(log, "w", encoding="utf-8") as file:
        configure(style="json", level="info", stream=file)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(Path(config)))


if __name__ == "__main__":
    main()
