"""Scenario files: what they say, and every mistake at its place."""

from itertools import pairwise
from pathlib import Path

import pytest

from offhook.audio.wav import write_wav
from offhook.simulator.scenario import ScenarioError, load_scenario, parse_scenario
from offhook.simulator.scenario_document import BACKGROUND_MS
from offhook.simulator.script import (
    ChangeLanguage,
    ExpectedBargeIn,
    HangUp,
    HeardSeconds,
    HoldLine,
    Interrupt,
    MakeNoise,
    Noise,
    PressDigits,
    Say,
    Utterance,
    Wait,
    WaitForAgent,
    WaitForEnd,
    texts,
)
from offhook.speech.noise import noise, scaled

FULL = """
name: opening hours
connector_id: support?v=2
inputs: {COMPANY: Acme}
language: de-de
ani: "tel:+491"
ani_name: Anna
dnis: "tel:+492"
start_burst_ms: 400
playback_delay_ms: 80
playback_reports: false
background: {kind: line, level: 0.05}
stay: 12
steps:
  - wait_for_agent: {timeout: 5, silence_ms: 500, required: false}
  - wait_for_agent:
  - say: "What are your opening hours?"
  - say: {text: "Hello"}
  - noise: {kind: cough}
  - noise: {kind: click, ms: 50, level: 0.5}
  - interrupt: {after_ms: 1200, say: "Stop, please.", timeout: 4}
  - interrupt: {after_ms: 0, noise: {kind: cough}}
  - dtmf: "12#"
  - dtmf: {digits: "12", gap_ms: 500}
  - hold: {seconds: 2}
  - hold: {seconds: 2, dtmf: {digits: "1", gap_ms: 2000}}
  - secure_pause: {seconds: 3, dtmf: "1234#"}
  - update: {language: en-us}
  - wait: {seconds: 0.5}
  - hang_up:
expect:
  ended_by: agent
  reason: completed
  output_variables: {INTENT: /^order/, NUMBER: "12"}
  heard_seconds: {min: 1, max: 20.5}
  barge_in: {count: 1, max_stop_ms: 300}
  max_first_audio_ms: 900
  max_response_ms: 1500
  max_cut_off_ms: 0
  max_seconds: 90
  no_protocol_errors: false
"""


def test_everything_that_can_be_said() -> None:
    scenario = parse_scenario(FULL)
    assert scenario.steps == (
        WaitForAgent(5.0, 500, False),
        WaitForAgent(),
        Say(Utterance("What are your opening hours?")),
        Say(Utterance("Hello")),
        MakeNoise(Noise("cough", noise("cough", 300, 0.3))),
        MakeNoise(Noise("click", noise("click", 50, 0.5))),
        Interrupt(1200, Utterance("Stop, please."), 4.0),
        Interrupt(0, Noise("cough", noise("cough", 300, 0.3))),
        PressDigits("12#"),
        PressDigits("12", 500),
        HoldLine(2.0),
        HoldLine(2.0, PressDigits("1", 2000)),
        HoldLine(3.0, PressDigits("1234#"), secure=True),
        ChangeLanguage("en-us"),
        Wait(0.5),
        HangUp(),
    )
    assert texts(scenario) == ["What are your opening hours?", "Hello", "Stop, please."]
    assert (scenario.name, scenario.connector_id, scenario.inputs) == (
        "opening hours",
        "support?v=2",
        {"COMPANY": "Acme"},
    )
    assert (scenario.language, scenario.ani, scenario.ani_name, scenario.dnis) == (
        "de-de",
        "tel:+491",
        "Anna",
        "tel:+492",
    )
    assert (scenario.start_burst_ms, scenario.playback_delay_ms, scenario.stay) == (400, 80, 12.0)
    assert (scenario.playback_reports, scenario.background) == (False, noise("line", BACKGROUND_MS, 0.05))
    expect = scenario.expect
    assert (expect.ended_by, expect.reason, expect.no_protocol_errors) == ("agent", "completed", False)
    assert expect.output_variables == {"INTENT": "/^order/", "NUMBER": "12"}
    assert expect.heard_seconds == HeardSeconds(1.0, 20.5)
    assert expect.barge_in == ExpectedBargeIn(1, 300.0)
    assert (expect.max_first_audio_ms, expect.max_response_ms, expect.max_cut_off_ms) == (900.0, 1500.0, 0.0)
    assert expect.max_seconds == 90.0


def test_a_scenario_may_wait_for_the_end() -> None:
    scenario = parse_scenario("steps:\n  - wait_for_end: {timeout: 5}\n")
    assert scenario.steps == (WaitForEnd(5.0),)
    assert parse_scenario("steps: [wait_for_end: ]").steps == (WaitForEnd(60.0),)
    assert (scenario.playback_reports, scenario.background) == (True, b"")


def test_json_is_accepted() -> None:
    assert parse_scenario('{"steps": [{"say": "Hello"}]}').steps == (Say(Utterance("Hello")),)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["s:1:1: OH-CONF-06 steps: is missing"]),
        ("- say: x", ["s:1:1: OH-CONF-02 the file does not hold settings; write key: value"]),
        ("name: x", ["s:1:1: OH-CONF-06 steps: is missing"]),
        ("steps: []", ["s:1:8: OH-CONF-08 steps: should have at least 1 item"]),
        ("steps: [", ["s:1:9: OH-CONF-02 this is not YAML (while parsing a flow node expected the node content"]),
        (
            "steps: [hang_up: ]\nname: a\nname: b",
            ["s:3:1: OH-CONF-04 name: this is here twice, first in line 2"],
        ),
        ("a: \x00", ["s: OH-CONF-02 this is not YAML (a character that YAML does not allow)"]),
        ("[" * 500, ["s: OH-CONF-02 this is nested too deeply"]),
        ("steps: 5", ["s:1:8: OH-CONF-07 steps: should be a list"]),
        ("colour: 1\nsteps: [hang_up: ]", ["s:1:1: OH-CONF-05 colour: there is no such setting"]),
        (
            "steps:\n  - wait_for_agent: {timeot: 1}",
            ["s:2:22: OH-CONF-05 steps[0].wait_for_agent.timeot: there is no such setting; did you mean timeout?"],
        ),
        (
            "steps:\n  - hangup:",
            ["s:2:5: OH-CONF-05 steps[0].hangup: there is no such setting; did you mean hang_up?"],
        ),
        (
            "steps:\n  - {}",
            ["s:2:5: OH-CONF-08 steps[0]: should be exactly one step, but holds none; begin each with a dash"],
        ),
        ("steps:\n  - hang_up\n", ["s:2:5: OH-CONF-07 steps[0]: should be a mapping"]),
        (
            "steps:\n  - say: hi\n    wait: {seconds: 1}",
            ["s:2:5: OH-CONF-08 steps[0]: should be exactly one step, but holds say, wait"],
        ),
        ("steps:\n  - say:", ["s:2:5: OH-CONF-08 steps[0]: `say` has no value"]),
        (
            "steps:\n  - say: 5",
            ["s:2:10: OH-CONF-08 steps[0].say: should be text in quotes, {text: …} or {wav: …}"],
        ),
        ("steps:\n  - say: {}", ["s:2:10: OH-CONF-08 steps[0].say: needs a text or a wav file"]),
        ("steps:\n  - say: {wav: 5}", ["s:2:16: OH-CONF-08 steps[0].say.wav: should be the name of a WAV file"]),
        ("steps:\n  - dtmf: 12", ["s:2:11: OH-CONF-07 steps[0].dtmf: should be text; put it in quotes"]),
        ("steps:\n  - dtmf: true", ["s:2:11: OH-CONF-07 steps[0].dtmf: should be text; put it in quotes"]),
        (
            "steps:\n  - dtmf: x",
            ["s:2:11: OH-CONF-08 steps[0].dtmf: a telephone has the keys 0-9, *, # and A-D; at most 64 of them"],
        ),
        ("steps:\n  - hold: {seconds: 0}", ["s:2:21: OH-CONF-08 steps[0].hold.seconds: should be greater than 0"]),
        (
            "steps:\n  - hang_up:\n  - dtmf: '1'",
            ["s:2:3: OH-CONF-08 steps: nothing can follow `hang_up`, which is step 1 of 2"],
        ),
        (
            "steps:\n  - wait_for_end:\n  - hang_up:",
            ["s:2:3: OH-CONF-08 steps: nothing can follow `wait_for_end`, which is step 1 of 2"],
        ),
        (
            "steps:\n  - dtmf: {digits: 12}\n  - dtmf: {digits: '1', gap: 3}\n  - dtmf: {digits: x, gap_ms: -1}",
            [
                "s:2:20: OH-CONF-07 steps[0].dtmf.digits: should be text; put it in quotes",
                "s:3:25: OH-CONF-05 steps[1].dtmf.gap: there is no such setting; did you mean gap_ms?",
                "s:4:20: OH-CONF-08 steps[2].dtmf.digits: a telephone has the keys 0-9, *, # and A-D; at most 64",
                "s:4:31: OH-CONF-08 steps[2].dtmf.gap_ms: should be greater than or equal to 0",
            ],
        ),
        (
            "steps:\n  - secure_pause: {seconds: 1, dtmf: '123456'}\n  - hold: {dtmf: 1}",
            [
                "s:2:19: OH-CONF-08 steps[0].secure_pause: pressing the keys takes 1.2 s, the pause is 1 s only",
                "s:3:5: OH-CONF-06 steps[1].hold.seconds: is missing",
                "s:3:18: OH-CONF-07 steps[1].hold.dtmf: should be text; put it in quotes",
            ],
        ),
        (
            "steps:\n  - noise: {}\n  - noise: {kind: dog}\n  - noise: {kind: line, level: 2, ms: 0}\n"
            "  - interrupt: {after_ms: 1}\nbackground: {level: 0.1}",
            [
                "s:2:12: OH-CONF-08 steps[0].noise: needs a kind or a wav file, one of them",
                "s:3:19: OH-CONF-08 steps[1].noise.kind: should be 'click', 'cough', 'babble' or 'line'",
                "s:4:32: OH-CONF-08 steps[2].noise.level: should be less than or equal to 1",
                "s:4:39: OH-CONF-08 steps[2].noise.ms: should be greater than 0",
                "s:5:16: OH-CONF-08 steps[3].interrupt: needs say or noise, one of them",
                "s:6:13: OH-CONF-08 background: needs a kind or a wav file, one of them",
            ],
        ),
        (
            "steps: [hang_up: ]\nexpect:\n  output_variables: {A: /(/, B: /x/}\n  heard_seconds: {min: 2, max: 1}",
            [
                "s:3:25: OH-CONF-08 expect.output_variables.A: /(/ is no regular expression: missing )",
                "s:4:18: OH-CONF-08 expect.heard_seconds: min 2 is more than max 1",
            ],
        ),
        (
            "steps: [interrupt: {say: {wavv: 1}}]\nexpect: {ended_by: me}",
            [
                "s:1:9: OH-CONF-06 steps[0].interrupt.after_ms: is missing",
                "s:1:27: OH-CONF-05 steps[0].interrupt.say.wavv: there is no such setting; did you mean wav?",
                "s:2:20: OH-CONF-08 expect.ended_by: should be 'agent' or 'caller'",
            ],
        ),
    ],
)
def test_each_mistake_is_named_at_its_place(text: str, problems: list[str]) -> None:
    with pytest.raises(ScenarioError) as raised:
        parse_scenario(text, file="s")
    lines = str(raised.value).splitlines()
    assert len(lines) == len(problems), lines
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(problem)


def test_recordings_are_read_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(write_wav(b"\x55" * 800))
    file = tmp_path / "call.yaml"
    file.write_text("steps:\n  - say: {wav: hello.wav}\n  - say: {wav: hello.wav, text: Hello}\n")
    assert load_scenario(file).steps == (
        Say(Utterance("(hello.wav)", b"\x55" * 800)),
        Say(Utterance("Hello", b"\x55" * 800)),
    )


def test_recordings_of_noise(tmp_path: Path) -> None:
    street = noise("babble", 400, 0.5)
    (tmp_path / "street.wav").write_bytes(write_wav(street))
    file = tmp_path / "call.yaml"
    file.write_text("steps: [noise: {wav: street.wav, level: 0.8}]\nbackground: {wav: street.wav}\n")
    scenario = load_scenario(file)
    assert scenario.steps == (MakeNoise(Noise("(street.wav)", scaled(street, 0.8))),)
    assert scenario.background == scaled(street, 0.02)
    file.write_text("steps: [noise: {wav: street.wav, ms: 100}, noise: {wav: street.wav, kind: click}]")
    with pytest.raises(ScenarioError) as raised:
        load_scenario(file)
    assert [problem.message for problem in raised.value.problems] == [
        "a recording is as long as it is: leave out ms",
        "needs a kind or a wav file, one of them",
    ]


def test_recordings_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    file = tmp_path / "call.yaml"
    file.write_text("steps:\n  - say: {wav: missing.wav}\n  - say: {wav: text.wav}\n")
    with pytest.raises(ScenarioError) as raised:
        load_scenario(file)
    missing, text = raised.value.problems
    assert (missing.mark.line, missing.mark.column, text.mark.line) == (2, 16, 3)
    assert missing.message.endswith("missing.wav: No such file or directory")
    assert "not a WAV file" in text.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "missing.yaml"
    with pytest.raises(ScenarioError) as raised:
        load_scenario(file)
    assert str(raised.value) == f"{file}: OH-CONF-01 the file cannot be read (No such file or directory)"


def test_values_that_aliases_multiply() -> None:
    text = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{('*' + inner + ',') * 8}]\n" for inner, name in pairwise("abcdefg")
    )
    with pytest.raises(ScenarioError, match="the file has too many values"):
        parse_scenario(text)


def test_texts_and_names_stay_as_they_were_written() -> None:
    scenario = parse_scenario("inputs: {007: '${PRICE}'}\nsteps: [say: '$${'] ")
    assert (scenario.inputs, texts(scenario)) == ({"007": "${PRICE}"}, ["$${"])
