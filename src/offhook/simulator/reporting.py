"""Puts the report of a call together from what was noted during it."""

import msgspec

from offhook.audiohook.errors import CODES
from offhook.audiohook.messages import NIL_UUID, Media
from offhook.simulator.events import CallEvent, ProtocolBroken
from offhook.simulator.expectations import missed
from offhook.simulator.figures import Measurements
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.report import CallReport, EndedBy
from offhook.simulator.script import HangUp, Scenario, Step, Wait, WaitForAgent, WaitForEnd


class Ending:
    """How a call ended, noted as it happens."""

    def __init__(self) -> None:
        self.by: EndedBy | None = None
        self.reason = ""
        self.info = ""
        self.output_variables: dict[str, str] = {}
        self.clean = False
        self.failures: list[str] = []
        """What counts as a failure whatever the scenario expects."""
        self.troubles: list[str] = []
        """What counts unless the scenario expects just this reason of `disconnect`."""


def broken_rule(rule: str, detail: str, *, message: str, at: float) -> ProtocolBroken:
    """Describe a rule that the server broke so that its author can find the place."""
    known = CODES.get(rule)
    return ProtocolBroken(
        at=at,
        rule=rule,
        text="" if known is None else known.text,
        detail=detail.removeprefix(rule).strip(),
        message=message,
        reference="" if known is None else f"AudioHook error {known.status}; {rule} in the error reference",
    )


class Logbook:
    """Everything that is noted during a call."""

    def __init__(self) -> None:
        self.figures = Measurements()
        self.ending = Ending()
        self.errors: list[ProtocolBroken] = []
        self.timeline: list[CallEvent] = []
        self.media: Media | None = None

    def report(
        self,
        scenario: Scenario,
        queue: PlaybackQueue,
        ear: AgentSpeech,
        *,
        session_id: str,
        conversation_id: str,
        unreached: tuple[Step, ...],
        now: float,
    ) -> CallReport:
        """Return the report of the call, with its verdict."""
        ending, figures = self.ending, self.figures
        ended = figures.ended if figures.ended is not None else now
        report = CallReport(
            ok=True,
            scenario=scenario.name,
            probe=conversation_id == NIL_UUID,
            session_id=session_id,
            conversation_id=conversation_id,
            duration=figures.call_time(ended),
            ended_by=ending.by or "network",
            reason=ending.reason,
            info=ending.info,
            output_variables=ending.output_variables,
            media=self.media,
            failures=(),
            notes=(),
            protocol_errors=tuple(self.errors),
            latency=figures.latency(ear),
            turns=figures.turns(ear),
            barge_ins=figures.interruptions(ear),
            packets=figures.packets(),
            playback=figures.playback(queue, ended),
            timeline=tuple(self.timeline),
        )
        failures = [*_failures(scenario, ending, figures, unreached), *missed(scenario.expect, report)]
        return msgspec.structs.replace(
            report, ok=not failures, failures=tuple(dict.fromkeys(failures)), notes=tuple(_notes(report))
        )


def _failures(scenario: Scenario, ending: Ending, figures: Measurements, unreached: tuple[Step, ...]) -> list[str]:
    failures = list(ending.failures)
    if scenario.expect.reason is None or scenario.expect.reason != ending.reason:
        failures += ending.troubles
    if figures.opened is None:
        failures.append("the server never opened the session")
    if not ending.clean:
        failures.append("the session ended without closed from the server")
    missing = [step for step in unreached if not isinstance(step, HangUp | Wait | WaitForAgent | WaitForEnd)]
    if missing and ending.by == "agent" and scenario.expect.ended_by != "agent":
        number = len(scenario.steps) - len(unreached) + 1
        failures.append(f"the agent ended the call at step {number} of {len(scenario.steps)}")
    return failures


def _notes(report: CallReport) -> list[str]:
    playback = report.playback
    notes = []
    if playback.cut_off_ms:
        notes.append(f"{playback.cut_off_ms:.0f} ms of agent audio were cut off by the end of the call")
    if playback.dropped_ms:
        notes.append(f"{playback.dropped_ms:.0f} ms of agent audio found no room in the playback queue")
    if playback.underruns:
        notes.append(f"the agent's audio had {playback.underruns} gaps: it did not come fast enough")
    if playback.idle_barge_ins:
        notes.append(f"{playback.idle_barge_ins} barge-in events came while nothing was played: they use up the limit")
    for figures in report.barge_ins:
        if figures.played_after_ms:
            notes.append(
                f"{figures.played_after_ms:.0f} ms of agent speech came after the barge-in at {figures.at:.2f} s"
            )
    return notes
