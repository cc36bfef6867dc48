"""Every fault once, each in a call of its own, all calls at the same time through one gateway on real sockets."""

import asyncio
from pathlib import Path

from offhook.bench import tools, verdict
from offhook.bench.counting import Census, Usage
from offhook.bench.faults import FAULTS, Fault
from offhook.bench.line import CallOutcome, Line
from offhook.bench.place import Place, open_place
from offhook.bench.schedule import Planned
from offhook.bench.subject import LogSummary, line_name, read_log
from offhook.bench.talk import Manners
from offhook.gateway.listener import ListenerLimits
from offhook.simulator.events import Oddness

INJECTED_AT = 2.6
"""Seconds after `opened`: the greeting is over, the caller has asked something."""
SECONDS = 4.0
PATIENCE = 1.5
MOST = 25.0

SINGLE = [fault for fault in FAULTS.values() if fault.moment != "run"]
"""Those that come to one call; the others are in `test_run`."""
SILENT = {"genesys-half-open", "genesys-retry-early"}
"""After these Genesys waits for the gateway for a long time."""
NOT_NOTICED = {"ai-half-open", "ai-created-never"}
"""What the caller loses patience with before the gateway does, as long as it does not survive the loss of the AI."""
LOST_AT_ONCE = {"ai-bad-key"}
"""Not the loss of a leg that stood, but of one that had just been had."""


def expected(fault: Fault) -> tuple[str, ...]:
    """Return the outcomes that the gateway's record may have."""
    if fault.name == "genesys-malformed":
        return ("failed OH-HOOK-01",)
    if fault.breaks == "caller":
        return ("failed socket_lost",)
    good = ("completed caller_hung_up",)
    if verdict.AI_LOSS_IS_SURVIVED or fault.of != "ai" or fault.name in NOT_NOTICED:
        return good
    if fault.breaks == "ai" or fault.name in LOST_AT_ONCE:
        return ("failed OH-CALL-06", "failed OH-CALL-07")
    return good


async def call(number: int, faults: list[Fault], place: Place) -> list[CallOutcome]:
    """Make one call, and those that Genesys makes because of its fault."""
    planned = [Planned(INJECTED_AT, fault) for fault in faults]
    line = Line(number, place, lambda line, call: planned, SECONDS)
    await asyncio.sleep(number * 0.02)
    await line.call(0, Manners(SECONDS, ends="caller", patience=PATIENCE))
    return line.outcomes


async def all_calls(place: Place) -> list[list[CallOutcome]]:
    """Make a call for each fault."""
    calls = [asyncio.create_task(call(number, [fault], place)) for number, fault in enumerate(SINGLE)]
    await asyncio.gather(*(made for fault, made in zip(SINGLE, calls, strict=True) if fault.name not in SILENT))
    while read_log(place.subject.log).live:  # noqa: ASYNC110 - the log is all that tells
        await asyncio.sleep(0.1)
    # The gateway has freed those whose leg fell silent, so Genesys need not wait for its own deadlines either.
    place.genesys.reset_all()
    return [await made for made in calls]


def wrong_with(fault: Fault, outcomes: list[CallOutcome], place: Place, log: LogSummary) -> list[str]:
    """Return what is not as it should be after a fault."""
    first, *others = outcomes
    wrong = [problem for outcome in outcomes for problem in verdict.problems_of(outcome)]
    if [injected.name for injected in first.faults] != [fault.name]:
        wrong.append(f"injected: {first.faults}")
    record = " ".join(verdict.outcome_of(first, log))
    if record not in expected(fault):
        wrong.append(f"record: {record}")
    if len(others) != fault.name.startswith("genesys-retry"):
        wrong.append(f"{len(others)} further calls")
    wrong += [f"retry: {found}" for other in others if (found := verdict.outcome_of(other, log)[0]) != "completed"]
    if first.report is not None:
        odd = any(isinstance(event, Oddness) for event in first.report.timeline)
        if odd != (fault.name.removeprefix("genesys-") in ODD):
            wrong.append("Genesys was odd" if odd else "Genesys was not odd")
    if verdict.AI_LOSS_IS_SURVIVED:
        wrong += wrong_when_survived(fault, outcomes, place)
    return wrong


ODD = {"no-pings", "throttled", "reopen", "burst", "discarded", "malformed"}


def wrong_when_survived(fault: Fault, outcomes: list[CallOutcome], place: Place) -> list[str]:
    """Return where the loss of a Realtime leg shows more than it may."""
    wrong = [f"dead air: {gap}" for outcome in outcomes for gap in outcome.gaps if verdict.too_long(gap)]
    if fault.breaks == "ai":
        if place.legs[line_name(outcomes[0].line)] < 2:
            wrong.append("no second Realtime leg")
        if not outcomes[0].answers:
            wrong.append("no answer was heard")
    return wrong


async def test_every_fault(tmp_path: Path) -> None:
    limits = ListenerLimits(idle_ping=3.0)
    async with open_place(
        tmp_path, lines=len(SINGLE), in_process=True, tool_timeout=1.0, listener_limits=limits
    ) as place:
        before = Census(**tools.take_census())
        watching = asyncio.create_task(Usage(place.subject, place.frozen).watch())
        async with asyncio.timeout(MOST):
            found = await all_calls(place)
            while place.standing:  # noqa: ASYNC110 - the kernel tells when they are gone
                await asyncio.sleep(0.05)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        after = Census(**tools.take_census())
    log = read_log(place.subject.log)
    wrong = {
        fault.name: problems
        for fault, outcomes in zip(SINGLE, found, strict=True)
        if (problems := wrong_with(fault, outcomes, place, log))
    }
    assert not wrong
    assert not verdict.problems_of_records([outcome for outcomes in found for outcome in outcomes], log)
    assert not log.errors
    assert not after.more_than(before)
