"""The verdict of a run: what makes a call lost, what makes a run fail, and what people are shown."""

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from offhook.bench import verdict
from offhook.bench.chaos import ChaosSettings
from offhook.bench.counting import Census, Load
from offhook.bench.hearing import Gap, Pause, Stretch
from offhook.bench.line import CallOutcome, Injected
from offhook.bench.report import ChaosReport, make_report, print_report
from offhook.bench.subject import LogSummary, read_log
from offhook.simulator.events import ProtocolBroken
from offhook.simulator.identity import CallIdentity
from offhook.simulator.report import CallReport, Latency, PacketFigures, PlaybackFigures

VARIABLES = dict.fromkeys(verdict.VARIABLES, "x")
CENSUS = Census(tasks={"serve": 2}, calls=1, objects=200_000, sockets=5, memory=80_000_000)
LOAD = Load(
    seconds=60.0,
    gateway_cpu=0.1,
    bench_cpu=0.2,
    bench_lag=0.01,
    bench_frozen=0.0,
    gateway_memory=(85_000_000, 90_000_000, 90_000_000, 90_000_000),
    gateway_peak_memory=90_000_000,
    freed_after=1.0,
    standing=0,
)
BROKEN = ProtocolBroken(at=1.0, rule="OH-HOOK-44", text="", detail="no pong", message="", reference="")


def report_of(identity: CallIdentity, **changes: Any) -> CallReport:
    report = CallReport(
        ok=True,
        scenario="",
        probe=False,
        session_id=identity.session_id,
        conversation_id=identity.conversation_id,
        duration=40.0,
        ended_by="agent",
        reason="completed",
        info="",
        output_variables=VARIABLES,
        media=None,
        failures=(),
        notes=(),
        protocol_errors=(),
        latency=Latency(open_ms=60.0, first_audio_ms=700.0, pong_max_ms=80.0, close_ms=70.0),
        turns=(),
        barge_ins=(),
        packets=PacketFigures(texts=1, binaries=0, bytes=0, min_ms=None, max_ms=None, per_second=0.0, busiest_second=0),
        playback=PlaybackFigures(
            heard_seconds=1.0,
            max_unplayed_ms=0.0,
            underruns=0,
            flushed_ms=0.0,
            dropped_ms=0.0,
            cut_off_ms=0.0,
            barge_ins=0,
            idle_barge_ins=0,
        ),
        timeline=(),
    )
    return msgspec.structs.replace(report, **changes)


def outcome(*faults: tuple[str, str | None], number: int = 0, attempt: int = 0, **changes: Any) -> CallOutcome:
    identity = CallIdentity.from_seed(number)
    return CallOutcome(
        line=3,
        number=number,
        attempt=attempt,
        identity=identity,
        report=report_of(identity, **changes),
        faults=[Injected(5.0 + n, name, breaks) for n, (name, breaks) in enumerate(faults)],
    )


def log_of(tmp_path: Path, *outcomes: CallOutcome, ended: str = "completed agent_ended") -> LogSummary:
    """Write what a gateway would have written, and read it."""
    file = tmp_path / "gateway.log"
    lines: list[dict[str, str]] = []
    for n, one in enumerate(outcomes):
        call, conversation = f"call-{n}", one.identity.conversation_id
        word, reason = ended.split(" ")
        lines += [
            {"event": "call began", "level": "info", "call": call},
            {"event": "call accepted", "level": "info", "call": call, "conversation": conversation},
            {
                "event": "call ended",
                "level": "info",
                "call": call,
                "conversation": conversation,
                "outcome": word,
                "reason": reason,
            },
        ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "Taking calls.\n\n")
    return read_log(file)


def made(outcomes: list[CallOutcome], log: LogSummary, **changes: Any) -> ChaosReport:
    given: dict[str, Any] = {"before": CENSUS, "after": CENSUS, "load": LOAD, **changes}
    return make_report(ChaosSettings(calls=1), outcomes, log, **given)


class TestCalls:
    def test_a_clean_end(self) -> None:
        assert verdict.problems_of(outcome()) == []
        assert verdict.problems_of(outcome(ended_by="caller", reason="", output_variables={})) == []

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"ended_by": "network"}, "the socket was lost"),
            ({"protocol_errors": (BROKEN,)}, "OH-HOOK-44 no pong"),
            ({"latency": Latency(open_ms=1, first_audio_ms=1, pong_max_ms=1, close_ms=None)}, "no closed"),
            ({"latency": Latency(open_ms=1, first_audio_ms=1, pong_max_ms=1, close_ms=10_001)}, "no closed"),
            ({"output_variables": {}}, "output variables are missing: INTENT, OFFHOOK_CALL_ID"),
            ({"reason": "error", "info": "OH-GATE-01"}, "disconnect with reason error: OH-GATE-01"),
        ],
    )
    def test_an_end_that_is_not_clean(self, changes: dict[str, Any], problem: str) -> None:
        (found,) = verdict.problems_of(outcome(**changes))
        assert found.startswith(problem)

    def test_a_leg_that_was_cut_has_nobody_left_to_tell(self) -> None:
        cut = outcome(("genesys-reset", "caller"), ended_by="network", protocol_errors=(BROKEN,))
        assert verdict.problems_of(cut) == []

    def test_a_broken_protocol_is_answered_by_an_error(self) -> None:
        assert verdict.problems_of(outcome(("genesys-malformed", "session"), reason="error")) == []

    def test_no_session_at_all(self) -> None:
        refused = outcome()
        refused.report, refused.refused = None, "HTTP 503"
        assert verdict.problems_of(refused) == ["no session: HTTP 503"]

    def test_names(self) -> None:
        assert outcome(number=2).name == "line-003 call 2"
        assert outcome(number=2, attempt=1).name == "line-003 call 2 retry 1"


class TestRecords:
    def test_each_call_has_one_that_ends_once(self, tmp_path: Path) -> None:
        calls = [outcome(number=n) for n in range(3)]
        assert verdict.problems_of_records(calls, log_of(tmp_path, *calls)) == []

    def test_one_that_is_missing(self, tmp_path: Path) -> None:
        calls = [outcome(number=n) for n in range(3)]
        (problem,) = verdict.problems_of_records(calls, log_of(tmp_path, *calls[:2]))
        assert problem.endswith("1 sessions, 0 records")

    def test_one_that_does_not_end_and_one_that_ends_twice(self, tmp_path: Path) -> None:
        log = log_of(tmp_path, outcome(), outcome(number=1))
        log.calls["call-0"].ended.clear()
        log.calls["call-1"].ended *= 2
        assert log.live == 1
        assert len(verdict.problems_of_records([], log)) == 2

    def test_a_retry_has_a_record_of_its_own(self, tmp_path: Path) -> None:
        first, second = outcome(), outcome(attempt=1)
        log = log_of(tmp_path, first, second)
        log.calls["call-0"].ended[0] = ("failed", "socket_lost")
        assert verdict.outcome_of(first, log) == ("failed", "socket_lost")
        assert verdict.outcome_of(second, log) == ("completed", "agent_ended")
        assert verdict.outcome_of(outcome(attempt=2), log) == ("no record", "")
        assert verdict.given_up(first, log)
        assert not verdict.given_up(second, log)

    def test_errors_and_warnings(self, tmp_path: Path) -> None:
        file = tmp_path / "gateway.log"
        file.write_text(
            '{"event": "internal error", "level": "error"}\n{"event": "odd", "level": "warning"}\n'
            '{"event": "odd", "level": "warning"}\nTraceback (most recent call last):\nNo OpenAI key\n'
        )
        log = read_log(file)
        assert log.errors == ['{"event": "internal error", "level": "error"}', "Traceback (most recent call last):"]
        assert log.warnings == {"odd": 2}


class TestHeardAgain:
    def test_from_the_loss_or_from_the_last_that_was_heard(self) -> None:
        lost = outcome(("ai-1006", "ai"), ("process-crash", None))
        lost.heard = [Stretch(1, 7, "cut"), Stretch(7.5, 9, "recording"), Stretch(10, 12, "answer")]
        lost.gaps = [Gap(7, 0.5, "agent", "recording"), Gap(9, 1, "announcement", "answer")]
        assert verdict.heard_again(lost) == [3.0]
        lost.faults = [Injected(8.0, "ai-1006", "ai")]
        assert verdict.heard_again(lost) == [1.0]

    def test_not_where_nothing_was_owed_or_nothing_came(self) -> None:
        lost = outcome(("ai-1006", "ai"))
        assert verdict.heard_again(lost) == []
        lost.gaps = [Gap(6, 5, "caller", "end")]
        assert verdict.heard_again(lost) == []


class TestReport:
    def test_a_run_without_findings(self, tmp_path: Path) -> None:
        calls = [outcome(("ai-1006", "ai"), number=n) for n in range(2)]
        report = made(calls, log_of(tmp_path, *calls))
        assert report.ok
        assert report.findings == ()
        assert report.outcomes == {"completed agent_ended": 2}
        assert report.injected == {"ai-1006": 2}
        assert report.per_call == {"ai": 1.0, "genesys": 0.0, "process": 0.0}
        assert report.closed.max == 0.07
        assert msgspec.json.decode(report.to_json(), type=ChaosReport) == report

    def test_everything_that_can_be_found(self, tmp_path: Path) -> None:
        given_up, abandoned, lost = outcome(("ai-1006", "ai")), outcome(number=1), outcome(number=2)
        given_up.gaps = [Gap(7, 4.5, "caller", "end"), Gap(20, 9, "announcement", "answer")]
        abandoned.report = report_of(abandoned.identity, ended_by="simulator", failures=("nobody answered 4 times",))
        abandoned.nudges = 3
        lost.report = report_of(
            lost.identity,
            ended_by="network",
            latency=Latency(open_ms=1500, first_audio_ms=1, pong_max_ms=1, close_ms=1200),
        )
        log = log_of(tmp_path, given_up, abandoned, ended="failed OH-CALL-06")
        log.errors.append("internal error")
        after = Census(tasks={"serve": 2, "leak": 1}, calls=2, objects=300_000, sockets=6, memory=180_000_000)
        load = msgspec.structs.replace(LOAD, standing=2)
        report = made([given_up, abandoned, lost], log, after=after, load=load)
        assert not report.ok
        for words in (
            "1 calls had no clean end",
            "1 records of the gateway",
            "leaked tasks: 1 more of leak",
            "leaked calls: 1 more",
            "leaked objects: 100000 more",
            "leaked sockets: 1 more",
            "leaked memory: 100 MB more",
            "2 connections stood",
            "opened took 1.5 s",
            "closed took 1.2 s",
            "1 errors in the gateway's log",
            "1 times dead air",
            "2 calls were given up",
            "1 callers hung up",
        ):
            assert any(words in finding for finding in report.findings), words
        assert [gap.seconds for gap in report.too_long] == [4.5]
        assert report.announced_longest == 9
        assert report.given_up == {"ai-1006": 1, "none": 1}
        shown = io.StringIO()
        print_report(Console(file=shown, width=200), report)
        for words in ("lost", "dead air", "finding", "the run has findings", "Hello", "180 MB"):
            assert words in shown.getvalue()

    def test_as_long_as_a_lost_ai_ends_the_call(self, tmp_path: Path) -> None:
        call = outcome(("ai-1006", "ai"))
        call.gaps = [Gap(7, 4.5, "caller", "end")]
        log = log_of(tmp_path, call, ended="failed OH-CALL-06")
        assert not made([call], log).ok
        report = made([call], log, survives=False)
        assert report.ok
        assert report.given_up
        assert report.too_long

    def test_promises_are_for_calls_with_a_sound_network(self, tmp_path: Path) -> None:
        slow = outcome(latency=Latency(open_ms=3000, first_audio_ms=1, pong_max_ms=1, close_ms=3000))
        slow.unheard = [Pause(3, 6)]
        report = made([slow], log_of(tmp_path, slow))
        assert report.ok
        assert report.opened.count == 0
        shown = io.StringIO()
        print_report(Console(file=shown, width=200), report)
        assert "ok" in shown.getvalue()

    def test_no_call_at_all(self, tmp_path: Path) -> None:
        assert made([], log_of(tmp_path)).findings == ("no call was made",)


class TestCensus:
    def test_what_cannot_be_known_is_not_judged(self) -> None:
        unknown = Census(tasks={}, calls=0, objects=200_000, sockets=None, memory=None)
        assert CENSUS.more_than(CENSUS) == []
        assert msgspec.structs.replace(CENSUS, tasks={}, calls=0).more_than(unknown) == []

    def test_a_heap_need_not_shrink_at_once(self) -> None:
        assert msgspec.structs.replace(CENSUS, memory=110_000_000).more_than(CENSUS) == []
        assert msgspec.structs.replace(CENSUS, memory=114_000_000).more_than(CENSUS)
