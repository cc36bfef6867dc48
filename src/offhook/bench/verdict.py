"""What is wrong with a run: holds what callers heard, what Genesys saw and what the gateway wrote side by side."""

from collections.abc import Sequence
from typing import Final

from offhook.bench.hearing import Gap
from offhook.bench.line import CallOutcome
from offhook.bench.subject import OUTPUTS, LogSummary

AI_LOSS_IS_SURVIVED: Final = True
"""Whether the gateway carries a call on when its Realtime leg is lost. Only then are dead air, calls that end as
`failed` and callers who give up findings; until then they are figures."""

MAX_DEAD_AIR: Final = 4.0
"""Seconds for which a caller may hear nothing while an answer is owed."""
MAX_ANNOUNCED: Final = 10.0
"""The same for a caller who has just been told that it takes a moment."""
MAX_ANSWER: Final = 1.1
"""Seconds for `opened` and for `closed`: the one that is promised, and what the network of a bench takes."""
MAX_CLOSE_MS: Final = 10_000.0
"""What Genesys waits for `closed` (audiohook.md §1.5)."""
VARIABLES: Final = frozenset(
    {
        "OFFHOOK_CALL_ID",
        "OFFHOOK_OUTCOME",
        "OFFHOOK_REASON",
        "OFFHOOK_SUMMARY",
        "OFFHOOK_DURATION_S",
        "OFFHOOK_COST_USD",
        *OUTPUTS,
    }
)
"""Output variables that every call returns."""


def too_long(gap: Gap) -> bool:
    """Whether dead air has lasted longer than it may."""
    return gap.seconds > (MAX_ANNOUNCED if gap.announced else MAX_DEAD_AIR)


def problems_of(outcome: CallOutcome) -> list[str]:
    """Return why a call has no clean end on Genesys' side; a leg that a fault cut has no side left that could tell."""
    report = outcome.report
    if report is None:
        return [f"no session: {outcome.refused}"]
    cut = outcome.broken("caller")
    problems = (
        [] if cut else [f"{error.rule} {error.detail} {error.message}".strip() for error in report.protocol_errors]
    )
    if not cut and report.ended_by == "network":
        problems.append("the socket was lost")
    elif not cut and (report.latency.close_ms is None or report.latency.close_ms > MAX_CLOSE_MS):
        problems.append("no closed from the gateway in time")
    if report.ended_by == "agent":
        missing = VARIABLES - set(report.output_variables)
        if missing:
            problems.append(f"output variables are missing: {', '.join(sorted(missing))}")
        if report.reason != "completed" and not outcome.broken("session"):
            problems.append(f"disconnect with reason {report.reason}: {report.info}")
    return problems


def problems_of_records(outcomes: Sequence[CallOutcome], log: LogSummary) -> list[str]:
    """Return where the gateway's records do not match the calls: each call has one, and it ends once."""
    problems = [
        f"call {call.call_id} ended {len(call.ended)} times" for call in log.calls.values() if len(call.ended) != 1
    ]
    sessions: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.report is not None and outcome.report.latency.open_ms is not None:
            conversation = outcome.identity.conversation_id
            sessions[conversation] = sessions.get(conversation, 0) + 1
    for conversation, count in sessions.items():
        found = len(log.of_conversation(conversation))
        if found < count:
            problems.append(f"conversation {conversation}: {count} sessions, {found} records")
    return problems


def outcome_of(outcome: CallOutcome, log: LogSummary) -> tuple[str, str]:
    """Return outcome and reason of the gateway's record; of a conversation with retries, that of its attempt."""
    calls = log.of_conversation(outcome.identity.conversation_id)
    if outcome.attempt < len(calls) and calls[outcome.attempt].ended:
        return calls[outcome.attempt].ended[0]
    return "no record", ""


def given_up(outcome: CallOutcome, log: LogSummary) -> bool:
    """Whether the gateway ended a call as failed that it could have carried on."""
    return not (outcome.broken("caller") or outcome.broken("session")) and outcome_of(outcome, log)[0] == "failed"


def heard_again(outcome: CallOutcome) -> list[float]:
    """Return, for each loss of the Realtime leg, the seconds until the model was heard where it owed an answer.

    A recording is not the model. Counted from the loss, or from the last that was heard if that came later.
    """
    found = []
    for loss in (fault for fault in outcome.faults if fault.breaks == "ai"):
        gap = next((gap for gap in outcome.gaps if gap.at + gap.seconds > loss.at), None)
        if gap is None:
            continue
        since = max(loss.at, gap.at)
        again = next((part.start for part in outcome.heard if part.what != "recording" and part.start >= since), None)
        if again is not None:
            found.append(again - since)
    return found
