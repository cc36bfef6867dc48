"""Renews the workers of a gateway under calls, and counts what callers noticed: nothing.

`python -m tests.integration.rolling_restart --calls 50 --workers 2` does so at length; `test_workers` for a moment.
"""

import argparse
import asyncio
import resource
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from offhook.simulator.dialer import DialFailed
from tests.integration.served import Caller, Served, serving, stayed


@dataclass
class Outcome:
    """What came of it."""

    made: int = 0
    refused: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    before: Counter[int] = field(default_factory=Counter)
    """Calls that were begun before the restart, by worker."""
    meanwhile: Counter[int] = field(default_factory=Counter)
    """Calls that were begun from the restart on."""
    seconds: float = 0.0
    """From the signal until every worker had a successor."""


async def rolling_restart(served: Served, calls: int, *, gap: float = 0.02) -> Outcome:
    """Restart the workers while `calls` calls stand, and others come all the time.

    Args:
        served: a gateway with workers.
        calls: how many stand.
        gap: seconds between calls that come while the workers are restarted.
    """
    outcome = Outcome()
    standing = [served.call() for _ in range(calls)]
    await asyncio.gather(*(call.talks() for call in standing))
    outcome.before = Counter(served.carriers)
    began = time.monotonic()
    served.signal(signal.SIGUSR2)
    restarted = asyncio.ensure_future(served.logs("workers restarted"))
    coming: list[Caller] = []
    brief: list[asyncio.Task[None]] = []
    while not restarted.done():
        coming.append(served.call())
        brief.append(asyncio.create_task(_brief(coming[-1])))
        await asyncio.wait([restarted], timeout=gap)
    await restarted
    outcome.seconds = time.monotonic() - began
    # The old workers carry theirs on.
    await asyncio.gather(*brief)
    for call in standing:
        if call.report.done():
            outcome.dropped.append(f"ended by itself: {call.report}")
    await asyncio.gather(*(call.hangs_up() for call in standing if not call.report.done()), return_exceptions=True)
    for call in (*standing, *coming):
        outcome.made += 1
        if isinstance(error := call.report.exception(), DialFailed):
            outcome.refused.append(str(error))
        elif error is not None:
            raise error
        elif not stayed(report := call.report.result()):
            outcome.dropped.append(f"{report.ended_by} {report.reason} {report.info} {report.failures}")
    outcome.meanwhile = served.carriers - outcome.before
    return outcome


async def _brief(call: Caller) -> None:
    """Stay for a moment."""
    opened = asyncio.ensure_future(call.opened.wait())
    await asyncio.wait([opened, call.report], timeout=10, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait([opened], timeout=0.3)
    await asyncio.wait([asyncio.ensure_future(call.hangs_up())])


async def main(calls: int, workers: int, gap: float) -> int:
    """Do it once and print what came of it; 1 if anybody noticed."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), "--workers", str(workers)) as served:
            outcome = await rolling_restart(served, calls, gap=gap)
            served.signal(signal.SIGTERM)
            status = await served.ended(30)
    print(f"{workers} workers, {calls} calls that stood, {outcome.made - calls} that came during the restart")
    print(f"restarted after {outcome.seconds:.1f} s; exit status {status}")
    print(f"calls by worker: before {dict(outcome.before)}, from then on {dict(outcome.meanwhile)}")
    print(f"dropped {len(outcome.dropped)}, refused {len(outcome.refused)}")
    for line in (*outcome.dropped, *outcome.refused)[:10]:
        print(f"  {line}")
    return 1 if status or outcome.dropped or outcome.refused else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Renew the workers of a gateway under calls.")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gap", type=float, default=0.1, help="seconds between calls that come meanwhile")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    raise SystemExit(asyncio.run(main(given.calls, given.workers, given.gap)))
