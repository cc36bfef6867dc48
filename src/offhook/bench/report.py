"""What is left of a chaos run: figures, findings, and a table for people. One JSON document for programs."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offhook.bench import verdict
from offhook.bench.counting import Census, Load
from offhook.bench.faults import CLASSES, FAULTS
from offhook.bench.line import CallOutcome
from offhook.bench.subject import LogSummary

if TYPE_CHECKING:
    from offhook.bench.chaos import ChaosSettings


class Spread(msgspec.Struct, frozen=True):
    """How values are spread, in seconds."""

    count: int
    median: float | None = None
    p95: float | None = None
    max: float | None = None


class DeadAir(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of it that was too long."""

    call: str
    at: float
    seconds: float
    after: str
    until: str
    faults: tuple[str, ...]
    """What had happened to the call by then, the latest last."""


class LostCall(msgspec.Struct, frozen=True):
    """A call without a clean end."""

    call: str
    problems: tuple[str, ...]
    faults: tuple[str, ...]


class ChaosReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything worth knowing of a run."""

    ok: bool
    findings: tuple[str, ...]
    """Why it is not."""
    calls_at_a_time: int
    seconds: float
    seed: int
    calls: int
    """Calls that were made."""
    lost: tuple[LostCall, ...]
    records: tuple[str, ...]
    """Where the gateway's records do not match the calls."""
    outcomes: dict[str, int]
    """Calls by outcome and reason of the gateway's record."""
    ended_by: dict[str, int]
    """Calls by who ended them, as Genesys saw it."""
    injected: dict[str, int]
    """Faults that came to calls, by name."""
    per_call: dict[str, float]
    """Faults that a call got on average, by class."""
    given_up: dict[str, int]
    """Calls that the gateway ended as failed although neither their socket nor their session was broken, by the last
    fault that they had had."""
    abandoned: int
    """Callers who hung up since nobody answered any more."""
    recordings: int
    """How often a recording of the gateway was heard, such as an announcement."""
    nudges: int
    """How often a caller had to ask whether anybody is there."""
    dead_air_longest: float
    """Seconds, of what was not announced."""
    announced_longest: float
    """Seconds, of what was."""
    dead_air_total: float
    """Seconds, of all calls, in which an answer was owed and nobody was heard, usual waits included."""
    too_long: tuple[DeadAir, ...]
    """Dead air of more than four seconds, or of more than ten where it was announced."""
    heard_again: Spread
    """From the loss of a Realtime leg to the model being heard, where it owed an answer."""
    opened: Spread
    """From `open` to `opened`; like the next two of calls whose network to Genesys was sound, its latency included."""
    closed: Spread
    """From `close` to `closed`."""
    pong: Spread
    """The slowest of each call."""
    before: Census
    after: Census
    leaks: tuple[str, ...]
    log_errors: tuple[str, ...]
    log_warnings: dict[str, int]
    load: Load

    def to_json(self) -> str:
        """Return the report as one indented JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()


def make_report(
    settings: "ChaosSettings",
    outcomes: Sequence[CallOutcome],
    log: LogSummary,
    before: Census,
    after: Census,
    load: Load,
    *,
    survives: bool = verdict.AI_LOSS_IS_SURVIVED,
) -> ChaosReport:
    """Return the report of a run, with its verdict.

    Args:
        settings: what the run was to be.
        outcomes: what came of its calls.
        log: what the gateway wrote.
        before: what the gateway held before the first fault.
        after: the same when all was over.
        load: what the run cost.
        survives: whether calls are to go on when the Realtime leg is lost (see `verdict.AI_LOSS_IS_SURVIVED`).
    """
    lost = [
        LostCall(outcome.name, tuple(problems), _names(outcome))
        for outcome in outcomes
        if (problems := verdict.problems_of(outcome))
    ]
    injected = Counter(fault.name for outcome in outcomes for fault in outcome.faults)
    first_attempts = sum(outcome.attempt == 0 for outcome in outcomes)
    too_long = _too_long(outcomes)
    sound = [outcome.report for outcome in outcomes if outcome.report is not None and not outcome.unheard]
    report = ChaosReport(
        ok=True,
        findings=(),
        calls_at_a_time=settings.calls,
        seconds=settings.seconds,
        seed=settings.seed,
        calls=len(outcomes),
        lost=tuple(lost),
        records=tuple(verdict.problems_of_records(outcomes, log)),
        outcomes=_counted(" ".join(verdict.outcome_of(outcome, log)) for outcome in outcomes),
        ended_by=_counted(outcome.report.ended_by if outcome.report else "nobody" for outcome in outcomes),
        injected={name: injected[name] for name in FAULTS if injected[name]},
        per_call={
            of: round(sum(injected[name] for name in FAULTS if FAULTS[name].of == of) / max(1, first_attempts), 2)
            for of in CLASSES
        },
        given_up=_counted((_names(outcome) or ("none",))[-1] for outcome in outcomes if verdict.given_up(outcome, log)),
        abandoned=sum(_abandoned(outcome) for outcome in outcomes),
        recordings=sum(part.what == "recording" for outcome in outcomes for part in outcome.heard),
        nudges=sum(outcome.nudges for outcome in outcomes),
        dead_air_longest=_longest(outcomes, announced=False),
        announced_longest=_longest(outcomes, announced=True),
        dead_air_total=round(sum(gap.seconds for outcome in outcomes for gap in outcome.gaps), 1),
        too_long=tuple(too_long),
        heard_again=_spread(seconds for outcome in outcomes for seconds in verdict.heard_again(outcome)),
        opened=_spread(_seconds(report.latency.open_ms for report in sound)),
        closed=_spread(_seconds(report.latency.close_ms for report in sound)),
        pong=_spread(_seconds(report.latency.pong_max_ms for report in sound)),
        before=before,
        after=after,
        leaks=tuple(after.more_than(before)),
        log_errors=tuple(log.errors[:20]),
        log_warnings=dict(sorted(log.warnings.items())),
        load=load,
    )
    findings = _findings(report, survives=survives)
    return msgspec.structs.replace(report, ok=not findings, findings=tuple(findings))


def _findings(report: ChaosReport, *, survives: bool) -> list[str]:
    findings = []
    if not report.calls:
        findings.append("no call was made")
    if report.lost:
        findings.append(f"{len(report.lost)} calls had no clean end")
    if report.records:
        findings.append(f"{len(report.records)} records of the gateway do not match the calls")
    findings += [f"leaked {leak}" for leak in report.leaks]
    if report.load.standing:
        findings.append(f"{report.load.standing} connections stood {report.load.freed_after:.0f} s after the last call")
    for what, spread in (("opened", report.opened), ("closed", report.closed)):
        if spread.max is not None and spread.max > verdict.MAX_ANSWER:
            findings.append(f"{what} took {spread.max:.1f} s at worst, the promise is 1 s")
    if report.log_errors:
        findings.append(f"{len(report.log_errors)} errors in the gateway's log")
    if survives:
        if report.too_long:
            findings.append(
                f"{len(report.too_long)} times dead air of more than {verdict.MAX_DEAD_AIR:g} s, or of more than "
                f"{verdict.MAX_ANNOUNCED:g} s when it was announced; {report.too_long[0].seconds:.1f} s at worst"
            )
        if report.given_up:
            findings.append(f"{sum(report.given_up.values())} calls were given up by the gateway")
        if report.abandoned:
            findings.append(f"{report.abandoned} callers hung up since nobody answered")
    return findings


def _too_long(outcomes: Sequence[CallOutcome]) -> list[DeadAir]:
    found = [
        DeadAir(
            call=outcome.name,
            at=round(gap.at, 2),
            seconds=round(gap.seconds, 2),
            after=gap.after,
            until=gap.until,
            faults=tuple(fault.name for fault in outcome.faults if fault.at <= gap.at + gap.seconds),
        )
        for outcome in outcomes
        for gap in outcome.gaps
        if verdict.too_long(gap)
    ]
    return sorted(found, key=lambda dead_air: -dead_air.seconds)


def _longest(outcomes: Sequence[CallOutcome], *, announced: bool) -> float:
    gaps = (gap for outcome in outcomes for gap in outcome.gaps if gap.announced == announced)
    return round(max((gap.seconds for gap in gaps), default=0.0), 2)


def _abandoned(outcome: CallOutcome) -> bool:
    report = outcome.report
    return report is not None and any(failure.startswith("nobody answered") for failure in report.failures)


def _names(outcome: CallOutcome) -> tuple[str, ...]:
    return tuple(fault.name for fault in outcome.faults)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(name.strip() for name in names).most_common())


def _seconds(times_ms: Iterable[float | None]) -> Iterable[float]:
    return (ms / 1000 for ms in times_ms if ms is not None)


def _spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    if not ordered:
        return Spread(0)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return Spread(len(ordered), round(statistics.median(ordered), 3), round(p95, 3), round(ordered[-1], 3))


def print_report(console: Console, report: ChaosReport) -> None:
    """Print the figures of a run and its verdict."""
    table = Table("figure", "value", title="Chaos", title_justify="left")
    for name, value in _rows(report):
        table.add_row(name, escape(value))
    console.print(table)
    for title, rows in (("Faults", report.injected), ("How calls ended", report.outcomes)):
        listed = Table(title.lower(), "calls", title=title, title_justify="left")
        for name, count in rows.items():
            listed.add_row(escape(name), str(count))
        console.print(listed)
    for lost in report.lost[:20]:
        after = f" after {', '.join(lost.faults)}" if lost.faults else ""
        console.print(
            f"[red]lost[/] {escape(lost.call)}{escape(after)}: {escape('; '.join(lost.problems))}", soft_wrap=True
        )
    for record in report.records[:20]:
        console.print(f"[red]record[/] {escape(record)}", soft_wrap=True)
    for gap in report.too_long[:20]:
        faults = ", ".join(gap.faults[-3:]) or "no fault"
        console.print(
            f"[yellow]dead air[/] {gap.seconds:.1f} s in {escape(gap.call)} at {gap.at:.1f} s, "
            f"after the {gap.after}, until the {gap.until} ({escape(faults)})",
            soft_wrap=True,
        )
    for line in report.log_errors:
        console.print(f"[red]log[/] {escape(line)}", soft_wrap=True)
    for finding in report.findings:
        console.print(f"[bold red]finding[/] {escape(finding)}", soft_wrap=True)
    console.print("[bold green]ok[/]" if report.ok else "[bold red]the run has findings[/]")


def _rows(report: ChaosReport) -> Iterable[tuple[str, str]]:
    load, before, after = report.load, report.before, report.after
    yield "calls", f"{report.calls}, {report.calls_at_a_time} at a time, {load.seconds:.0f} s, seed {report.seed}"
    yield "faults a call", ", ".join(f"{name} {count:g}" for name, count in report.per_call.items())
    yield "without a clean end", str(len(report.lost))
    yield "ended by", ", ".join(f"{who} {count}" for who, count in report.ended_by.items())
    yield "given up by the gateway", ", ".join(f"{name} {n}" for name, n in report.given_up.items()) or "0"
    yield "abandoned by the caller", f"{report.abandoned}; “Hello?” was said {report.nudges} times"
    yield (
        "dead air, longest",
        f"{report.dead_air_longest:.1f} s, announced {report.announced_longest:.1f} s; "
        f"{len(report.too_long)} times too long",
    )
    yield "dead air, all calls", f"{report.dead_air_total:.0f} s"
    yield "recordings heard", str(report.recordings)
    yield "heard again after a loss", _shown(report.heard_again)
    yield "open → opened", _shown(report.opened)
    yield "close → closed", _shown(report.closed)
    yield "slowest pong of a call", _shown(report.pong)
    yield "tasks", f"{sum(before.tasks.values())} before, {sum(after.tasks.values())} after"
    yield "sockets", f"{before.sockets} before, {after.sockets} after"
    yield "objects", f"{before.objects:,} before, {after.objects:,} after"
    quarters = ", ".join(map(_mb, load.gateway_memory))
    yield "memory", f"{_mb(before.memory)} before; {quarters} after each quarter; {_mb(after.memory)} after"
    yield "freed", f"{load.freed_after:.1f} s after the last call"
    yield (
        "CPU",
        f"gateway {load.gateway_cpu:.0%}, bench {load.bench_cpu:.0%} of a core, "
        f"which was late by {load.bench_lag:.2f} s at most, and too late for {load.bench_frozen:.1f} s",
    )
    yield "warnings in the log", ", ".join(f"{name} {count}" for name, count in report.log_warnings.items()) or "none"


def _shown(spread: Spread) -> str:
    if not spread.count:
        return "–"  # noqa: RUF001 - a dash for "never"
    return f"{spread.median:.2f} s median, {spread.p95:.2f} s for 95 %, {spread.max:.2f} s at most ({spread.count})"


def _mb(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e6:.0f} MB"
