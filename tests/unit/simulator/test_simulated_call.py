"""Whole calls in memory, on a virtual clock: what the caller does, what the server does, what the report says."""

import io
import json
import struct
import uuid
from itertools import pairwise
from typing import Any

import pytest

from offhook.audio.ulaw import silence
from offhook.audiohook.events import MessageIgnored
from offhook.audiohook.messages import NIL_UUID
from offhook.simulator import (
    CallIdentity,
    CallReport,
    PlaybackQueue,
    Scenario,
    SimulatedCall,
    Utterance,
    probe_scenario,
    simple_scenario,
)
from offhook.simulator import events as ev
from offhook.simulator.conductor import Conductor, Phone
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.scenario import parse_scenario
from offhook.simulator.script import (
    BeOdd,
    Expectations,
    HangUp,
    HoldLine,
    Interrupt,
    MakeNoise,
    Noise,
    Oddity,
    PressDigits,
    Say,
    Step,
    Wait,
    WaitForAgent,
    WaitForEnd,
)
from offhook.speech.noise import noise
from tests.fakes.audiohook_server import FakeAgent, agent_clip
from tests.unit.simulator.faulty import BARGE_IN, FaultyServer, Reply, disconnect, event
from tests.unit.simulator.virtual import START, carry, report_of, speech

LONG = (
    "We are open Monday to Friday, from nine in the morning until six in the evening, and on Saturdays from ten until "
    "two. On Sundays and public holidays we are closed."
)
SPOKEN = agent_clip("Hello, how can I help you?")


def steps(*list_of_steps: Step, **settings: Any) -> Scenario:
    return Scenario(steps=list_of_steps, **settings)


def quiet(seconds: float) -> Scenario:
    return steps(Wait(seconds), HangUp())


# --- calls that go well ---------------------------------------------------------------------------------------------


def test_a_simple_call() -> None:
    report = report_of(simple_scenario(), FakeAgent())
    assert report.ok, report.failures
    assert (report.ended_by, report.reason, report.protocol_errors) == ("caller", "", ())
    assert report.playback.heard_seconds == pytest.approx(
        (len(SPOKEN) + len(agent_clip("We are open Monday to Friday."))) / 8000, abs=1e-3
    )
    (turn,) = report.turns
    assert turn.text == "What are your opening hours?"
    assert turn.response_ms is not None
    assert 450 <= turn.response_ms <= 750, "the agent's VAD waits for 500 ms of silence, in frames of 200 ms"
    assert report.latency.open_ms == 0
    assert report.latency.first_audio_ms is not None
    assert report.latency.first_audio_ms < 100
    assert report.latency.pong_max_ms == 0
    assert report.latency.close_ms == 0


def test_a_whole_conversation_from_yaml() -> None:
    scenario = parse_scenario(
        """
        name: order
        steps:
          - wait_for_agent: {timeout: 10}
          - say: "What are your opening hours?"
          - interrupt: {after_ms: 1200, say: "Stop, please."}
          - wait_for_agent:
          - hold: {seconds: 2}
          - update: {language: de-de}
          - dtmf: "1"
          - wait_for_agent:
          - hang_up:
        expect:
          ended_by: agent
          reason: completed
          output_variables: {INTENT: /^ord/, OTHER: x}
          heard_seconds: {min: 4, max: 8}
          barge_in: {count: 1, max_stop_ms: 300}
          max_first_audio_ms: 500
          max_response_ms: 1000
          max_cut_off_ms: 0
        """
    )
    agent = FakeAgent(
        answers=(LONG, "All right.", "Thank you for calling. Goodbye."), outputs={"INTENT": "order", "OTHER": "x"}
    )
    report = report_of(scenario, agent)
    assert report.ok, report.failures
    assert report.output_variables == {"INTENT": "order", "OTHER": "x"}
    (stop,) = report.barge_ins
    assert stop.stop_ms is not None
    assert stop.stop_ms <= 250
    assert stop.played_after_ms == 0
    assert 0 < stop.talk_over_ms <= stop.stop_ms
    assert report.playback.flushed_ms > 0
    assert report.playback.underruns == 0
    assert [type(moment) for moment in report.timeline if moment.at > 8 and moment.at < 11] == [
        ev.HoldStarted,
        ev.HoldEnded,
        ev.LanguageChanged,
        ev.Dtmf,
        ev.BotTurn,
        ev.AgentSpeaking,
    ]
    assert report.scenario == "order"


def test_the_interruption_comes_at_the_millisecond() -> None:
    scenario = steps(
        Say(Utterance("What are your opening hours?")), Interrupt(1200, Utterance("Stop, please.")), HangUp()
    )
    report = report_of(scenario, FakeAgent(greeting="", answers=(LONG,)))
    assert report.ok, report.failures
    begins = next(moment.at for moment in report.timeline if isinstance(moment, ev.AgentSpeaking))
    interrupts = next(
        moment.at for moment in report.timeline if isinstance(moment, ev.CallerSpeaking) and moment.interrupting
    )
    assert interrupts == pytest.approx(begins + 1.2, abs=0.03)


def test_the_agent_may_be_left_alone() -> None:
    """The caller says nothing and stays on the line until the agent ends the call."""
    server = FaultyServer(at={3.0: [disconnect(outputVariables={"A": "b"})]})
    report = report_of(steps(Wait(1.0), expect=Expectations(ended_by="agent")), server)
    assert report.ok, report.failures
    assert report.duration == 3.0
    assert server.of("close")[0]["parameters"] == {"reason": "disconnect"}


def test_the_caller_waits_for_the_end() -> None:
    server = FaultyServer(at={3.0: [disconnect()]})
    report = report_of(steps(Wait(1.0), WaitForEnd(timeout=5.0), expect=Expectations(max_seconds=4)), server)
    assert report.ok, report.failures
    assert (report.ended_by, report.duration) == ("agent", 3.0)

    report = report_of(steps(Wait(1.0), WaitForEnd(timeout=2.0), stay=1.0), FaultyServer(at={3.5: [disconnect()]}))
    assert report.failures == ("the agent did not end the call within 2 s",)
    assert (report.ended_by, report.duration) == ("simulator", 3.0)


def test_a_probe() -> None:
    identity = CallIdentity.from_seed(1, probe=True)
    call = SimulatedCall(probe_scenario(), speech, identity=identity, probe=True)
    server = FaultyServer({"open": [{"type": "opened", "parameters": {"media": []}}]})
    report = call.report(carry(call, server))
    assert report.ok, report.failures
    assert report.probe
    assert report.media is None
    parameters = server.of("open")[0]["parameters"]
    assert parameters["conversationId"] == parameters["participant"]["id"] == NIL_UUID
    assert parameters["participant"] == {"id": NIL_UUID, "ani": "", "aniName": "", "dnis": ""}
    assert server.of("close")[0]["parameters"] == {"reason": "end"}
    assert server.audio == b""


def test_a_probe_may_be_answered_with_media() -> None:
    report = report_of(probe_scenario(), FaultyServer(), probe=True)
    assert report.ok, report.failures
    assert report.media is not None


def test_open_tells_who_calls() -> None:
    server = FaultyServer()
    call = SimulatedCall(
        steps(HangUp(), inputs={"A": "1"}, language="es-es", ani="tel:+1", ani_name="Ann", dnis="tel:+2"), speech
    )
    carry(call, server)
    (opening,) = server.of("open")
    assert opening["id"] == call.identity.session_id
    assert opening["parameters"] == {
        "organizationId": call.identity.organization_id,
        "conversationId": call.identity.conversation_id,
        "participant": {"id": call.identity.participant_id, "ani": "tel:+1", "aniName": "Ann", "dnis": "tel:+2"},
        "media": [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
        "language": "es-es",
        "inputVariables": {"A": "1"},
    }


# --- the caller's audio ---------------------------------------------------------------------------------------------


def test_audio_flows_in_real_time_after_a_burst() -> None:
    server = FaultyServer()
    report_of(steps(Wait(2.0), HangUp(), start_burst_ms=500), server)
    assert [size for _, size in server.frames[:2]] == [1600, 1600]
    assert {at for at, _ in server.frames[:2]} == {START}
    assert [round(at - START, 3) for at, _ in server.frames[2:5]] == [0.1, 0.3, 0.5]
    assert len(server.audio) == 8000 * 2.5, "hanging up cuts the last frame at its sample"


def test_first_words_go_out_with_the_burst() -> None:
    clip = bytes(range(1, 201)) * 16
    server = FaultyServer({"open": []}, at={1.0: [_opened()]})
    report_of(steps(Say(Utterance("hello", clip)), Wait(1.5), HangUp(), start_burst_ms=100), server)
    assert server.audio.startswith(silence(100) + clip + silence(500))


def test_a_hold_is_told_to_the_sample() -> None:
    server = FaultyServer()
    report = report_of(steps(Wait(0.55), HoldLine(1.25), Wait(0.45), HangUp(), start_burst_ms=0), server)
    assert report.ok, report.failures
    (resumed,) = server.of("resumed")
    assert server.of("paused")[0]["_at"] == pytest.approx(START + 0.55)
    assert server.of("paused")[0]["position"] == "PT0.55S"
    assert resumed["_at"] == pytest.approx(START + 1.8)
    assert resumed["parameters"] == {"start": "PT0.55S", "discarded": "PT1.25S"}
    assert len(server.audio) == 8000
    assert server.of("close")[0]["position"] == "PT2.25S"


def test_keys_are_pressed_in_a_secure_pause() -> None:
    server = FaultyServer()
    keys = PressDigits("12#", gap_ms=300)
    scenario = steps(Wait(0.5), HoldLine(2.0, keys, secure=True), Wait(0.5), HangUp(), start_burst_ms=0)
    report = report_of(scenario, server)
    assert report.ok, report.failures
    kinds = [message["type"] for message in server.received if message["type"] in ("paused", "dtmf", "resumed")]
    assert kinds == ["paused", "dtmf", "dtmf", "dtmf", "resumed"]
    assert [(message["parameters"]["digit"], message["_at"] - START) for message in server.of("dtmf")] == [
        ("1", pytest.approx(0.8)),
        ("2", pytest.approx(1.1)),
        ("#", pytest.approx(1.4)),
    ]
    assert server.of("resumed")[0]["parameters"] == {"start": "PT0.5S", "discarded": "PT2.0S"}
    assert len(server.audio) == 8000, "nothing is sent meanwhile"
    assert report.turns == (), "an agent that is kept out need not answer"
    pauses = [moment for moment in report.timeline if isinstance(moment, ev.HoldStarted | ev.HoldEnded)]
    assert [moment.secure for moment in pauses] == [True, True]
    assert ev.describe(pauses[0]) == ("caller", "is in a secure pause")


def test_the_server_pauses_and_the_caller_holds() -> None:
    server = FaultyServer(at={1.0: [_message("pause")], 3.0: [_message("resume")]})
    report = report_of(steps(Wait(0.5), HoldLine(1.0), Wait(2.5), HangUp(), start_burst_ms=0), server)
    assert report.ok, report.failures
    assert len(server.of("paused")) == 2
    (resumed,) = server.of("resumed")
    assert resumed["_at"] == START + 3.0
    assert len(server.audio) == 8000 * 1.5
    kinds = [type(moment) for moment in report.timeline]
    assert kinds.index(ev.PausedByServer) < kinds.index(ev.HoldEnded) < kinds.index(ev.ResumedByServer)


def test_old_audio_is_reported_as_discarded() -> None:
    server = FaultyServer({"open": []}, at={4.0: [_opened()]})
    report = report_of(steps(Wait(5.0), HangUp(), start_burst_ms=17_000), server)
    assert report.ok, report.failures
    assert server.of("discarded")[0]["parameters"] == {"start": "PT0.0S", "discarded": "PT1.0S"}
    assert server.received[-1]["position"] == "PT22.0S"


def odd(kind: Oddity, seconds: float = 2.0) -> tuple[CallReport, FaultyServer]:
    server = FaultyServer()
    scenario = steps(Wait(1.0), BeOdd(kind, seconds), Wait(4.0), HangUp())
    report = report_of(scenario, server)
    assert report.ok, report.failures
    assert [event.kind for event in report.timeline if isinstance(event, ev.Oddness)] == [kind]
    return report, server


def test_a_burst_loses_nothing() -> None:
    report, server = odd("burst")
    assert len(server.audio) == pytest.approx(8000 * (report.duration + 0.2), abs=1600)
    silent = max(later - earlier for (earlier, _), (later, _) in pairwise(server.frames))
    assert 1.9 <= silent <= 2.3
    assert not server.of("discarded")


def test_discarded_audio_is_told() -> None:
    report, server = odd("discarded")
    (message,) = server.of("discarded")
    assert message["parameters"]["discarded"] == "PT1.0S"
    assert len(server.audio) == pytest.approx(8000 * (report.duration + 0.2 - 1.0), abs=1600)


def test_a_call_that_ends_while_audio_is_kept_back() -> None:
    server = FaultyServer()
    report = report_of(steps(Wait(1.0), BeOdd("discarded", 60.0), HangUp()), server)
    assert report.ok, report.failures
    assert not server.of("discarded")


def test_throttling_is_an_error_with_a_time() -> None:
    _, server = odd("throttled", 3.0)
    (message,) = server.of("error")
    assert (message["parameters"]["code"], message["parameters"]["retryAfter"]) == (429, "PT3.0S")


def test_a_second_open_has_the_next_number() -> None:
    agent = FakeAgent(greeting="")
    report = report_of(steps(Wait(1.0), BeOdd("repeated_open"), Wait(4.0), HangUp()), agent)
    assert report.ok, report.failures
    assert [event.type for event in agent.log if isinstance(event, MessageIgnored)] == ["open"]


def test_pings_that_are_withheld() -> None:
    server = FaultyServer()
    report = report_of(steps(Wait(0.5), BeOdd("no_pings", 60.0), Wait(9.0), HangUp()), server)
    assert report.ok, report.failures
    assert not server.of("ping")


def test_a_message_that_breaks_off_is_sent() -> None:
    call = SimulatedCall(steps(BeOdd("malformed"), Wait(5.0), HangUp()), speech)
    server = FaultyServer()
    call.connected(0.0)
    for data in call.data_to_send():
        server.receive_text(str(data), 0.0)
    for reply in server.data_to_send():
        call.receive_text(str(reply), 0.0)
    (message,) = (data for data in call.data_to_send() if isinstance(data, str))
    with pytest.raises(json.JSONDecodeError):
        json.loads(message)


def test_nothing_odd_before_the_session_is_open_or_after_it() -> None:
    call = SimulatedCall(quiet(1.0), speech)
    call.connected(0.0)
    call.be_odd("malformed", 1.0, 0.0)
    assert len(call.data_to_send()) == 1


def test_something_else_than_a_script_may_conduct() -> None:
    conducted: list[Conductor] = []

    def conduct(phone: Phone, ear: AgentSpeech) -> Conductor:
        conducted.append(Conductor((Wait(2.0), HangUp()), phone, ear, stay=1.0))
        return conducted[0]

    call = SimulatedCall(Scenario(steps=()), speech, conduct=conduct)
    end = carry(call, FakeAgent(greeting=""))
    assert conducted[0].finished
    assert call.report(end).ended_by == "caller"


def test_digits_come_one_by_one() -> None:
    server = FaultyServer()
    report = report_of(steps(PressDigits("1#", gap_ms=300), HangUp()), server)
    assert [(message["parameters"], message["_at"] - START) for message in server.of("dtmf")] == [
        ({"digit": "1"}, 0.0),
        ({"digit": "#"}, pytest.approx(0.3)),
    ]
    assert [turn.text for turn in report.turns] == ["1", "#"]


def test_a_noise_is_sent_like_speech_and_is_no_turn() -> None:
    cough = Noise("cough", noise("cough", 400, 0.3))
    server = FaultyServer(at={1.0: [SPOKEN], 1.4: [BARGE_IN], 2.2: [SPOKEN]})
    scenario = steps(Wait(1.0), MakeNoise(cough), WaitForAgent(), HangUp(), start_burst_ms=0)
    report = report_of(scenario, server)
    assert report.ok, report.failures
    assert bytes(server.audio[8000:]).startswith(cough.audio + silence(1000))
    assert (report.turns, report.barge_ins, report.playback.barge_ins) == ((), (), 1)
    (moment,) = (moment for moment in report.timeline if isinstance(moment, ev.CallerNoise))
    assert (moment.at, moment.name, moment.seconds) == (1.0, "cough", 0.4)
    assert ev.describe(moment) == ("caller", "makes a noise: cough, 0.4 s")
    assert report.duration == pytest.approx(2.2 + len(SPOKEN) / 8000 + 0.8, abs=0.1), "it waits for what comes after"


def test_what_is_said_during_a_noise_answers_the_words_before_it() -> None:
    scenario = steps(
        Say(Utterance("Hello")), MakeNoise(Noise("line", noise("line", 3000, 0.3))), WaitForAgent(), HangUp()
    )
    report = report_of(scenario, FaultyServer(at={1.0: [SPOKEN[:8000]]}))
    assert report.ok, report.failures
    (turn,) = report.turns
    assert turn.response_ms is not None
    assert turn.at + turn.seconds + turn.response_ms / 1000 == pytest.approx(1.0, abs=0.05)


def test_a_noise_over_the_agent_comes_at_its_time() -> None:
    scenario = steps(Interrupt(600, Noise("click", noise("click", 300, 0.3))), WaitForAgent(), HangUp())
    report = report_of(scenario, FaultyServer(at={1.0: [SPOKEN]}))
    assert report.ok, report.failures
    (moment,) = (moment for moment in report.timeline if isinstance(moment, ev.CallerNoise))
    assert moment.at == pytest.approx(1.6, abs=0.03)


def test_the_background_is_sent_from_the_beginning() -> None:
    background = noise("babble", 500, 0.02)
    server = FaultyServer()
    report = report_of(steps(Wait(1.0), HangUp(), start_burst_ms=300, background=background), server)
    assert report.ok, report.failures
    assert bytes(server.audio) == (background * 3)[: 1300 * 8]
    assert report.turns == ()


def test_a_turn_without_an_answer() -> None:
    scenario = steps(Say(Utterance("Hello")), Wait(1), Say(Utterance("Hello")), Wait(3), HangUp())
    first, second = report_of(scenario, FaultyServer(at={3.0: [SPOKEN]})).turns
    assert first.response_ms is None
    assert second.response_ms is not None
    assert 3.0 - second.at - second.seconds == pytest.approx(second.response_ms / 1000, abs=0.05)


# --- the agent's audio ----------------------------------------------------------------------------------------------


def test_playback_is_reported_to_the_server() -> None:
    server = FaultyServer(at={1.0: [SPOKEN], 5.0: [SPOKEN], 5.5: [BARGE_IN]})
    report = report_of(quiet(8), server)
    seconds = len(SPOKEN) / 8000
    assert [message["_at"] - START for message in server.of("playback_started")] == [1.0, 5.0]
    assert [message["_at"] - START for message in server.of("playback_completed")] == pytest.approx(
        [1.0 + seconds, 5.5]
    )
    assert report.playback.heard_seconds == pytest.approx(seconds + 0.5, abs=1e-3)
    assert report.playback.max_unplayed_ms == pytest.approx(seconds * 1000, abs=0.1)
    assert report.playback.barge_ins == 1
    assert report.latency.first_audio_ms == pytest.approx(1000, abs=100)


def test_a_peer_that_reports_no_playing() -> None:
    server = FaultyServer(at={1.0: [SPOKEN]})
    report = report_of(steps(WaitForAgent(), HangUp(), playback_reports=False), server)
    assert report.ok, report.failures
    assert server.of("playback_started") == server.of("playback_completed") == []
    assert ev.AgentFinished in [type(moment) for moment in report.timeline], "it is played all the same"


def test_the_playback_delay_of_the_scenario() -> None:
    server = FaultyServer(at={1.0: [SPOKEN]})
    report_of(steps(Wait(4), HangUp(), playback_delay_ms=80), server)
    assert server.of("playback_started")[0]["_at"] == pytest.approx(START + 1.08)


def test_a_barge_in_while_nothing_plays_is_worth_a_note() -> None:
    report = report_of(quiet(3), FaultyServer(at={1.0: [BARGE_IN]}))
    assert report.ok
    assert report.playback.idle_barge_ins == 1
    assert "1 barge-in events came while nothing was played: they use up the limit" in report.notes


def test_what_plays_after_the_barge_in_is_worth_a_note() -> None:
    leftover: list[Reply] = [SPOKEN[:8000]]
    server = FaultyServer(at={0.5: [SPOKEN * 2], 2.0: [BARGE_IN], 2.2: leftover})
    scenario = steps(Interrupt(1000, Utterance("I would like to speak to a person.")), Wait(3), HangUp())
    report = report_of(scenario, server)
    (figures,) = report.barge_ins
    assert figures.stop_ms == pytest.approx(500, abs=60)
    assert figures.played_after_ms > 100
    assert any("came after the barge-in" in note for note in report.notes)


def test_an_agent_that_talks_on_is_no_barge_in() -> None:
    scenario = steps(
        Interrupt(500, Utterance("Stop, please.")),
        Wait(1),
        Say(Utterance("Hello")),
        HangUp(),
        expect=parse_scenario("steps: [hang_up: ]\nexpect: {barge_in: {count: 1, max_stop_ms: 300}}").expect,
    )
    report = report_of(scenario, FakeAgent(greeting=LONG, barge_in=False))
    assert not report.ok
    assert [figures.stop_ms for figures in report.barge_ins] == [None, None]
    assert report.failures[0] == "expected 1 barge-in events, got 0"
    assert report.failures[1].startswith("expected a barge-in within 300 ms of the caller at ")


def test_gaps_and_overflow_are_noted() -> None:
    server = FaultyServer(at={0.5: [SPOKEN], 2.5: [SPOKEN], 3.0: [SPOKEN]})
    call = SimulatedCall(quiet(8), speech, queue=PlaybackQueue(capacity_ms=2000))
    report = call.report(carry(call, server))
    assert report.playback.underruns == 1
    assert report.playback.dropped_ms > 1000
    assert report.playback.max_unplayed_ms == 2000
    assert len(report.notes) == 2


def test_a_goodbye_that_is_cut_off() -> None:
    server = FaultyServer(at={1.0: [SPOKEN, disconnect()]})
    expect = Expectations(max_cut_off_ms=100, ended_by="agent")
    report = report_of(steps(Wait(5), HangUp(), expect=expect), server)
    assert report.playback.cut_off_ms == pytest.approx(len(SPOKEN) / 8)
    assert report.playback.flushed_ms == 0
    assert report.playback.heard_seconds == 0
    assert "of agent audio were cut off" in report.notes[0]
    assert report.failures == (
        f"expected at most 100 ms of agent audio cut off by the end of the call, it was {len(SPOKEN) / 8:.0f} ms",
    )


def test_the_recording_is_aligned_to_the_sample() -> None:
    clip = bytes([0x11]) * 800
    server = FaultyServer(at={1.0: [b"\x22" * 1600]})
    call = SimulatedCall(steps(Wait(0.5), Say(Utterance("x", clip)), Wait(1.0), HangUp(), start_burst_ms=250), speech)
    wav = call.recording(carry(call, server))
    assert wav[:4] == b"RIFF"
    assert struct.unpack_from("<HHI", wav, 20) == (7, 2, 8000)
    body = wav[wav.index(b"data") + 8 :]
    caller, agent = body[0::2], body[1::2]
    assert caller == b"\xff" * (8 * 750) + clip + b"\xff" * 8000
    assert agent[: 8 * 1250] == b"\xff" * (8 * 1250)
    assert agent[8 * 1250 :][:1600] == b"\x22" * 1600
    assert set(agent[8 * 1450 :]) == {0xFF}


def test_the_recording_is_silent_during_a_hold() -> None:
    clip = bytes([0x11]) * 16_000
    call = SimulatedCall(
        steps(Say(Utterance("x", clip)), Say(Utterance("y", clip)), HangUp(), start_burst_ms=0), speech
    )
    now = START
    server = FaultyServer(at={1.0: [_message("pause")], 2.0: [_message("resume")]})
    now = carry(call, server)
    body = call.recording(now)
    caller = body[body.index(b"data") + 8 :][0::2]
    assert caller == b"\x11" * 8000 + b"\xff" * 8000 + b"\x11" * 16_000


# --- calls that go wrong --------------------------------------------------------------------------------------------


def broken(report: CallReport) -> ev.ProtocolBroken:
    assert not report.ok
    (error,) = report.protocol_errors
    return error


def _message(kind: str, **keys: Any) -> Reply:
    return {"type": kind, "parameters": {}} | keys


def _opened(**parameters: Any) -> Reply:
    media = [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}]
    return {"type": "opened", "parameters": {"media": media, "startPaused": False} | parameters}


@pytest.mark.parametrize(
    ("server", "rule", "message"),
    [
        (FaultyServer({"open": [_opened() | {"seq": 2}]}), "OH-HOOK-03", "opened, seq 2"),  # type: ignore[operator]
        (FaultyServer({"open": [_opened(media=[{"type": "audio", "codec": "x"}])]}), "OH-HOOK-34", "opened, seq 1"),
        (FaultyServer({"ping": [_message("pong", clientseq=1)]}), "OH-HOOK-32", "pong, seq 2"),
        (FaultyServer({"ping": []}), "OH-HOOK-44", ""),
        (FaultyServer({"open": []}), "OH-HOOK-43", ""),
        (FaultyServer({"close": []}), "OH-HOOK-45", ""),
        (FaultyServer({"open": [SPOKEN]}), "OH-HOOK-40", f"audio of {len(SPOKEN)} bytes"),
        (FaultyServer(at={1.0: [disconnect("normal")]}), "OH-HOOK-36", "disconnect, seq 2"),
        (FaultyServer(at={1.0: [event()]}), "OH-HOOK-38", "event, seq 2"),
        (FaultyServer(at={1.0: [_message("reconnect")]}), "OH-HOOK-06", "reconnect, seq 2"),
        (FaultyServer(at={0.5 + n / 30: [SPOKEN[:160]] for n in range(40)}), "OH-HOOK-42", "audio of 160 bytes"),
    ],
)
def test_broken_rules_are_named(server: FaultyServer, rule: str, message: str) -> None:
    error = broken(report_of(quiet(8), server))
    assert (error.rule, error.message) == (rule, message)
    assert error.text
    assert error.reference
    assert error.detail
    assert not error.detail.startswith("OH-")


def test_an_unreadable_message() -> None:
    server = FaultyServer()
    call = SimulatedCall(quiet(8), speech)
    call.connected(START)
    call.receive_text("{", START)
    call.receive_eof(START + 1)
    error = call.report(START + 1).protocol_errors[0]
    assert (error.rule, error.message) == ("OH-HOOK-01", "unreadable message")
    assert server.received == []


def test_errors_may_be_expected() -> None:
    server = FaultyServer(at={0.5 + n / 30: [SPOKEN[:160]] for n in range(40)})
    report = report_of(steps(Wait(8), HangUp(), expect=Expectations(no_protocol_errors=False)), server)
    assert report.protocol_errors
    assert report.ok, report.failures


def test_the_socket_is_lost() -> None:
    call = SimulatedCall(quiet(8), speech)
    call.connected(START)
    call.receive_eof(START + 2, "the server closed the socket with code 1011")
    assert call.finished
    assert call.next_timer() is None
    call.receive_eof(START + 3, "twice")
    report = call.report(START + 3)
    assert report.ended_by == "network"
    assert report.duration == 2.0
    assert [error.rule for error in report.protocol_errors] == ["OH-HOOK-46"]
    assert report.failures == (
        "the server closed the socket with code 1011",
        "the server never opened the session",
        "the session ended without closed from the server",
        "expected no protocol errors, there was 1",
    )


def test_a_refused_session() -> None:
    server = FaultyServer({"open": [disconnect("unauthorized", info="OH-AUTH-02 no")]})
    report = report_of(quiet(8), server)
    assert report.ended_by == "agent"
    assert report.failures == (
        "the server ended the call: unauthorized OH-AUTH-02 no",
        "the server never opened the session",
    )
    assert report.latency.open_ms is None


def test_an_expected_refusal() -> None:
    server = FaultyServer(at={1.0: [disconnect("error", info="no such agent")]})
    report = report_of(steps(Wait(8), HangUp(), expect=Expectations(reason="error", ended_by="agent")), server)
    assert report.ok, report.failures


def test_an_agent_that_leaves_too_early() -> None:
    scenario = steps(Wait(5), Say(Utterance("Hello")), HangUp())
    report = report_of(scenario, FaultyServer(at={1.0: [disconnect()]}))
    assert report.failures == ("the agent ended the call at step 1 of 3",)


def test_a_server_without_audio() -> None:
    report = report_of(quiet(3), FaultyServer({"open": [_opened(media=[])]}))
    assert report.failures == ("the server chose no media: the caller and the agent cannot hear each other",)


def test_an_agent_that_says_nothing() -> None:
    report = report_of(steps(WaitForAgent(timeout=4), HangUp()), FaultyServer())
    assert report.failures == ("the agent said nothing within 4 s",)
    assert report.ended_by == "simulator"
    assert report.duration == 4.0


def test_an_agent_that_streams_silence_says_nothing() -> None:
    server = FaultyServer(at={n / 2: [silence(500)] for n in range(1, 20)})
    report = report_of(steps(WaitForAgent(timeout=4), HangUp()), server)
    assert report.failures == ("the agent said nothing within 4 s",)


def test_an_agent_need_not_speak() -> None:
    report = report_of(steps(WaitForAgent(timeout=4, required=False), HangUp()), FaultyServer())
    assert report.ok, report.failures


def test_nothing_to_interrupt() -> None:
    step = Interrupt(1000, Utterance("Stop"), timeout=3)
    report = report_of(steps(step, HangUp()), FaultyServer())
    assert report.failures == ("the agent said nothing to interrupt within 3 s",)
    report = report_of(steps(step, HangUp()), FaultyServer(at={1.0: [SPOKEN[:4000]]}))
    assert report.failures[0].startswith("the agent spoke for ")
    assert report.failures[0].endswith("ms only, too short to interrupt at 1000 ms")


def test_nobody_ends_the_call() -> None:
    report = report_of(steps(Wait(1), stay=2.0), FaultyServer())
    assert report.failures == ("nobody ended the call within 2 s after the last step",)
    assert report.duration == 3.0


def test_a_call_that_takes_too_long() -> None:
    server = FaultyServer()
    report = report_of(quiet(500), server, max_seconds=20)
    assert report.failures == ("the call did not end within 20 s",)
    assert report.ended_by == "simulator"
    assert server.of("close")[0]["parameters"] == {"reason": "end"}


def test_a_call_that_is_told_to_stop() -> None:
    call = SimulatedCall(quiet(8), speech)
    call.connected(START)
    call.abort("stopped", START + 1)
    call.abort("twice", START + 1)
    assert '"type":"close"' in str(call.data_to_send()[-1])
    assert call.report(START + 1).failures[0] == "stopped"


def test_disconnect_and_hang_up_cross() -> None:
    server = FaultyServer({"close": [disconnect(outputVariables={"A": "1"}), _message("closed")]})
    report = report_of(quiet(2), server)
    assert report.ok, report.failures
    assert report.ended_by == "caller"
    assert report.output_variables == {"A": "1"}
    assert len(server.of("close")) == 1


def test_opened_and_hang_up_cross() -> None:
    call = SimulatedCall(quiet(8), speech)
    server = FaultyServer()
    call.connected(START)
    call.abort("enough", START)
    for data in call.data_to_send():
        server.receive_text(str(data), START)
    for reply in server.data_to_send():
        call.receive_text(str(reply), START)
    assert call.finished
    assert call.data_to_send() == []


def test_the_first_turn_may_begin_paused() -> None:
    server = FaultyServer({"open": [_opened(startPaused=True)]}, at={1.0: [_message("resume")]})
    report = report_of(steps(Wait(2), HangUp(), start_burst_ms=0), server)
    assert report.ok, report.failures
    assert len(server.audio) == 8000


# --- identity and report --------------------------------------------------------------------------------------------


def test_identities() -> None:
    assert CallIdentity.from_seed(1) == CallIdentity.from_seed(1)
    assert CallIdentity.from_seed(1) != CallIdentity.from_seed(2)
    first, second = CallIdentity.fresh(organization_id="o"), CallIdentity.fresh()
    assert first.organization_id == "o"
    assert first.session_id != second.session_id
    assert uuid.UUID(first.conversation_id).version == 4
    probe = CallIdentity.fresh(probe=True)
    assert (probe.conversation_id, probe.participant_id) == (NIL_UUID, NIL_UUID)
    assert probe.session_id != NIL_UUID


def test_live_events_come_once() -> None:
    call = SimulatedCall(simple_scenario(digits="12"), speech)
    now = carry(call, FakeAgent(answers=("All right.",)))
    events = call.events()
    assert call.events() == []
    assert tuple(events) == call.report(now).timeline
    lines = [ev.describe(moment) for moment in events]
    assert ("caller", "presses 1") in lines
    assert io.StringIO("\n".join(f"{who} {what}" for who, what in lines)).read()
