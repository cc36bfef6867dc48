"""Expectations, figures, the document and the tables of a report."""

import io
import json
from typing import Any

import msgspec
import pytest
from rich.console import Console

from offhook.simulator import CallReport, Scenario, SimulatedCall, probe_scenario, simple_scenario
from offhook.simulator import events as ev
from offhook.simulator.expectations import missed
from offhook.simulator.figures import Measurements
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.live import LivePrinter, print_report
from offhook.simulator.report import BargeInFigures
from offhook.simulator.script import Expectations, ExpectedBargeIn, HangUp, HeardSeconds, Wait
from tests.fakes.audiohook_server import FakeAgent
from tests.unit.simulator.faulty import FaultyServer, event
from tests.unit.simulator.virtual import START, carry, report_of, speech


@pytest.fixture(scope="module")
def report() -> CallReport:
    """A good call of one question and one answer, with output variables."""
    agent = FakeAgent(outputs={"INTENT": "order status", "EMPTY": ""})
    return report_of(simple_scenario(inputs={"A": "b"}), agent)


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        (Expectations(ended_by="caller"), "expected the caller to end the call, it was the agent"),
        (Expectations(reason="error"), "expected disconnect reason error, got completed"),
        (
            Expectations(output_variables={"X": "1"}),
            "expected output variable X, it was not returned (returned: EMPTY, INTENT)",
        ),
        (
            Expectations(output_variables={"INTENT": "order"}),
            "expected output variable INTENT to be 'order', got 'order status'",
        ),
        (
            Expectations(output_variables={"INTENT": "/^status/"}),
            "expected output variable INTENT to match /^status/, got 'order status'",
        ),
        (
            Expectations(heard_seconds=HeardSeconds(min=99)),
            "expected at least 99 s of agent audio, {heard:.2f} s were heard",
        ),
        (
            Expectations(heard_seconds=HeardSeconds(max=0.5)),
            "expected at most 0.5 s of agent audio, {heard:.2f} s were heard",
        ),
        (
            Expectations(max_first_audio_ms=1),
            "expected the agent to be heard within 1 ms of opened, it came after {first:.0f} ms",
        ),
        (
            Expectations(max_response_ms=100),
            "expected an answer within 100 ms, the one to “What are your opening hours?” took {response:.0f} ms",
        ),
        (Expectations(barge_in=ExpectedBargeIn(count=1)), "expected 1 barge-in events, got 0"),
        (Expectations(max_seconds=2.5), "expected the call to end within 2.5 s, it took {duration:.1f} s"),
    ],
)
def test_each_missed_expectation_is_told(report: CallReport, expect: Expectations, complaint: str) -> None:
    figures = {
        "heard": report.playback.heard_seconds,
        "first": report.latency.first_audio_ms,
        "response": report.turns[0].response_ms,
        "duration": report.duration,
    }
    assert missed(expect, report) == [complaint.format(**figures)]


def test_met_expectations_say_nothing(report: CallReport) -> None:
    expect = Expectations(
        ended_by="agent",
        reason="completed",
        output_variables={"INTENT": "/status$/", "EMPTY": ""},
        heard_seconds=HeardSeconds(1, 9),
        barge_in=ExpectedBargeIn(0, 100),
        max_first_audio_ms=500,
        max_response_ms=2000,
        max_cut_off_ms=0,
        max_seconds=60,
    )
    assert missed(expect, report) == []


def test_expectations_of_a_silent_call() -> None:
    silent = report_of(Scenario(steps=(Wait(1), HangUp())), FaultyServer())
    assert missed(Expectations(max_first_audio_ms=1, reason="completed", output_variables={"A": "1"}), silent) == [
        "expected disconnect reason completed, got no disconnect",
        "expected output variable A, it was not returned (returned: none)",
        "expected the agent to be heard within 1 ms of opened, nothing was heard",
    ]


def test_a_slow_barge_in_and_several_errors(report: CallReport) -> None:
    error = ev.ProtocolBroken(at=1, rule="r", text="t", detail="d", message="m", reference="x")
    slow = msgspec.structs.replace(
        report,
        barge_ins=(BargeInFigures(at=1, stop_ms=400, talk_over_ms=0, played_after_ms=0),),
        protocol_errors=(error, error),
    )
    assert missed(Expectations(barge_in=ExpectedBargeIn(max_stop_ms=300)), slow) == [
        "expected no protocol errors, there were 2",
        "expected the agent to stop within 300 ms, it took 400 ms",
    ]
    assert missed(Expectations(barge_in=ExpectedBargeIn(max_stop_ms=500), no_protocol_errors=False), slow) == []


def test_the_busiest_second_and_the_slowest_pong() -> None:
    figures = Measurements()
    for at in (0.0, 0.5, 0.9, 1.4, 5.0):
        figures.packet(1600, at)
    figures.packet(800, 5.1)
    figures.pong(0.02)
    figures.pong(0.01)
    packets = figures.packets()
    assert packets.per_second == 2.0
    assert (packets.binaries, packets.bytes, packets.min_ms, packets.max_ms, packets.busiest_second) == (
        6,
        8800,
        100,
        200,
        3,
    )
    latency = figures.latency(AgentSpeech())
    assert (latency.pong_max_ms, latency.open_ms, latency.first_audio_ms) == (20, None, None)


def test_the_document(report: CallReport) -> None:
    document: dict[str, Any] = json.loads(report.to_json())
    assert document["ok"] is True
    assert document["ended_by"] == "agent"
    assert document["output_variables"] == {"INTENT": "order status", "EMPTY": ""}
    assert document["media"] == {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
    assert document["timeline"][0] == {"event": "opened", "at": 0.0, "open_ms": 0.0}
    assert document["recording"] is None


def show(report: CallReport) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_report(console, report)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables(report: CallReport) -> None:
    text = show(msgspec.structs.replace(report, recording="call.wav"))
    for words in (
        "What are your opening hours?",
        f"{report.turns[0].response_ms:.0f} ms",
        "order status",
        "PCMU 8000 Hz",
        "call.wav",
        "200 ms",
    ):
        assert words in text
    assert text.endswith("ok\n")
    assert "failed" not in text


def test_the_tables_of_a_failure() -> None:
    report = report_of(simple_scenario(), FaultyServer(at={1.0: [event()]}))
    text = show(msgspec.structs.replace(report, notes=("a [note]\x1b",)))
    assert "protocol error OH-HOOK-38 at 1.00 s in event, seq 2" in text
    assert "rule: " in text
    assert "note a [note] " in text
    assert "\x1b" not in text
    assert text.endswith("the call failed\n")


def test_the_tables_of_a_probe() -> None:
    report = report_of(probe_scenario(), FaultyServer({"open": []}), probe=True)
    error = msgspec.structs.replace(report.protocol_errors[0], message="")
    text = show(msgspec.structs.replace(report, protocol_errors=(error,)))
    assert text.lstrip().startswith("Probe ")
    assert "agent heard" not in text
    assert "none" in text


def test_live_lines() -> None:
    console = Console(file=io.StringIO(), width=200)
    call = SimulatedCall(simple_scenario(), speech)
    carry(call, FakeAgent())
    printer = LivePrinter(console)
    for moment in call.events():
        printer(moment)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[1] == "   0.00  agent   “Hello, how can I help you?”"
    assert lines[-1].endswith("call    closed")


@pytest.mark.parametrize(
    ("moment", "line"),
    [
        (ev.CallOpened(at=0, open_ms=12.4), "call opened after 12 ms"),
        (ev.AgentSpeaking(at=0), "agent speaks"),
        (ev.AgentFinished(at=0), "agent is silent"),
        (ev.BotTurn(at=0, text="Hi", disposition="match"), "agent “Hi”"),
        (ev.BotTurn(at=0, text="", disposition="no_input"), "agent (no_input)"),
        (ev.CallerSpeaking(at=0, text="Hi", interrupting=True), "caller “Hi” (interrupts)"),
        (ev.BargeIn(at=0, unheard_ms=99.9), "agent stops: barge-in, 100 ms unheard"),
        (ev.Dtmf(at=0, digit="#"), "caller presses #"),
        (ev.HoldStarted(at=0), "caller puts the agent on hold"),
        (ev.HoldEnded(at=0), "caller is back"),
        (ev.LanguageChanged(at=0, language="de-de"), "call language is now de-de"),
        (ev.PausedByServer(at=0), "call the server paused the caller's audio"),
        (ev.ResumedByServer(at=0), "call the server resumed the caller's audio"),
        (
            ev.ProtocolBroken(at=0, rule="OH-HOOK-03", text="", detail="seen", message="pong, seq 2", reference=""),
            "error OH-HOOK-03 seen [pong, seq 2]",
        ),
        (
            ev.ProtocolBroken(at=0, rule="OH-HOOK-44", text="", detail="seen", message="", reference=""),
            "error OH-HOOK-44 seen",
        ),
        (
            ev.Disconnected(at=0, reason="completed", info="done", output_variables={"B": "2", "A": "1"}, cut_off_ms=0),
            "agent ends the call: completed (done); A=1, B=2",
        ),
        (
            ev.Disconnected(at=0, reason="error", info="", output_variables={}, cut_off_ms=0),
            "agent ends the call: error",
        ),
        (ev.HungUp(at=0, because=""), "caller hangs up"),
        (ev.HungUp(at=0, because="late"), "caller hangs up: late"),
        (ev.CallFinished(at=0, clean=True), "call closed"),
        (ev.CallFinished(at=0, clean=False), "call over without a clean close"),
    ],
)
def test_events_in_words(moment: ev.CallEvent, line: str) -> None:
    assert " ".join(ev.describe(moment)) == line


def test_a_report_may_be_asked_for_during_the_call() -> None:
    call = SimulatedCall(Scenario(steps=(Wait(5), HangUp())), speech)
    call.connected(START)
    assert call.report(START + 2).duration == 2.0
