"""A chaos run: callers talk to a gateway while everything around it fails, and what they notice is measured.

```
callers ──▶ network ──▶ gateway ──▶ network ──▶ emulator (preferred provider)
                           └──────▶ network ──▶ emulator (second provider)
```

Callers, networks and emulators live in this process, the gateway in one of its own, unless it is to be run here.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from offhook.bench.counting import Load, Usage, take_census
from offhook.bench.faults import OUTAGE, Fault
from offhook.bench.line import LEEWAY, Injected, Line
from offhook.bench.place import Place, open_place
from offhook.bench.report import ChaosReport, make_report
from offhook.bench.schedule import Schedule, of_run
from offhook.bench.subject import read_log

SETTLE: Final = 75.0
"""Seconds for the gateway to free everything: as long as a peer may be gone before that shows."""
WARM_UP: Final = 8.0
SPREAD: Final = 5.0
"""Seconds over which the first calls of all lines begin."""
PROGRESS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosSettings:
    """What a run is to be."""

    calls: int = 50
    """Calls at a time."""
    seconds: float = 600.0
    """After so long no new call is made; those that are under way come to their end, within `leeway`."""
    leeway: float = LEEWAY
    call_seconds: float = 45.0
    """How long a call lasts if nothing ends it."""
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    rate: float = 1.0
    """Faults of each class that a call gets on average."""
    in_process: bool = False
    warm_up: float = WARM_UP
    """Length of the calls before the first fault, after which is counted what the gateway holds; 0 for none."""


async def run_chaos(
    settings: ChaosSettings, folder: Path, tell: Callable[[str], None] = lambda text: None
) -> ChaosReport:
    """Make a run.

    Args:
        settings: what it is to be.
        folder: an empty folder; configuration and log of the gateway are left in it.
        tell: is told how far it is.

    Raises:
        SubjectFailed: the gateway does not run.
    """
    place_of_run = open_place(folder, lines=settings.calls, seed=settings.seed, in_process=settings.in_process)
    async with place_of_run as place:
        if settings.warm_up:
            tell(f"warming up: {settings.calls} calls without faults")
            await _warm_up(settings, place)
        before = await take_census(place)
        tell(f"{settings.seconds:g} s with faults")
        lines = _lines(settings, place)
        usage = Usage(place.subject, place.frozen)
        await _run(settings, place, lines, usage, tell)
        lasted, gateway_cpu, bench_cpu = usage.so_far()
        tell("waiting until everything is freed")
        freed_after = await _settle(place)
        load = Load(
            seconds=round(lasted, 1),
            gateway_cpu=round(gateway_cpu, 3),
            bench_cpu=round(bench_cpu, 3),
            bench_lag=round(usage.lag, 3),
            bench_frozen=round(sum(since.end - since.start for since in place.frozen), 1),
            gateway_memory=usage.quarters(),
            gateway_peak_memory=max(usage.memory, default=0),
            freed_after=round(freed_after, 1),
            standing=len(place.standing),
        )
        after = await take_census(place, like=before)
    outcomes = [outcome for line in lines for outcome in line.outcomes]
    return make_report(settings, outcomes, read_log(place.subject.log), before, after, load)


def _lines(settings: ChaosSettings, place: Place) -> list[Line]:
    schedule = Schedule(
        settings.faults,
        lines=settings.calls,
        seconds=settings.call_seconds,
        rate=settings.rate,
        seed=settings.seed,
    )
    spread = min(SPREAD, settings.seconds / 4) / settings.calls
    return [
        Line(number, place, schedule.of_call, settings.call_seconds, delay=spread * number)
        for number in range(settings.calls)
    ]


async def _warm_up(settings: ChaosSettings, place: Place) -> None:
    """Make one call on each line, so that everything that stays is there already."""
    lines = [Line(number, place, lambda line, call: [], settings.warm_up) for number in range(settings.calls)]
    await asyncio.gather(*(line.run(time.monotonic() + settings.warm_up / 2) for line in lines))


async def _run(
    settings: ChaosSettings, place: Place, lines: list[Line], usage: Usage, tell: Callable[[str], None]
) -> None:
    """Let all lines make their calls."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as beside:
        helpers = [
            beside.create_task(usage.watch()),
            beside.create_task(_inject(settings, place, lines, began)),
            beside.create_task(_progress(settings, lines, began, tell)),
        ]
        await asyncio.gather(*(line.run(began + settings.seconds, settings.leeway) for line in lines))
        for helper in helpers:
            helper.cancel()


async def _inject(settings: ChaosSettings, place: Place, lines: list[Line], began: float) -> None:
    """Let happen what comes to all calls at once."""
    planned = of_run(settings.faults, seconds=settings.seconds, call_seconds=settings.call_seconds, rate=settings.rate)
    for plan in planned:
        await asyncio.sleep(began + plan.at - time.monotonic())
        await outage(plan.fault, place, lines)


async def outage(fault: Fault, place: Place, lines: list[Line]) -> None:
    """Take the providers, or the preferred one, away from all calls for a while."""
    gone = place.providers[:1] if fault.name == "ai-outage-first" else place.providers
    place.outages[fault.name] = time.monotonic() + OUTAGE
    for live in (live for line in lines for live in line.live):
        leg = live.realtime()
        if leg is None or any(leg in provider.network.connections for provider in gone):
            at = time.monotonic() - live.began if live.began else 0.0
            live.outcome.faults.append(Injected(at, fault.name, fault.breaks))
    for provider in gone:
        provider.network.refuse()
        provider.network.reset_all()
    try:
        await asyncio.sleep(OUTAGE)
    finally:
        for provider in gone:
            await provider.network.begin()


async def _progress(settings: ChaosSettings, lines: list[Line], began: float, tell: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(PROGRESS)
        done = sum(len(line.outcomes) - len(line.live) for line in lines)
        tell(f"{time.monotonic() - began:.0f} s of {settings.seconds:g}: {done} calls are over")


async def _settle(place: Place) -> float:
    """Wait until the gateway has let go of all calls; returns the seconds that it took."""
    began = time.monotonic()
    # It is another process that frees them: there is nothing to wait for but time.
    while time.monotonic() - began < SETTLE and (place.standing or read_log(place.subject.log).live):  # noqa: ASYNC110
        await asyncio.sleep(0.25)
    return time.monotonic() - began
