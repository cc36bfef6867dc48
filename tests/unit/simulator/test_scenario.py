"""Scenario files: what they say, and every mistake at its place."""

from itertools import pairwise
from pathlib import Path

import pytest

from offhook.audio.wav import write_wav
from offhook.simulator.scenario import ScenarioError, load_scenario, parse_scenario
from offhook.simulator.script import (
    ChangeLanguage,
    ExpectedBargeIn,
    HangUp,
    HeardSeconds,
    HoldLine,
    Interrupt,
    PressDigits,
    Say,
    Utterance,
    Wait,
    WaitForAgent,
    texts,
)

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
stay: 12
steps:
  - wait_for_agent: {timeout: 5, silence_ms: 500, required: false}
  - wait_for_agent:
  - say: "What are your opening hours?"
  - say: {text: "Hello"}
  - interrupt: {after_ms: 1200, say: "Stop, please.", timeout: 4}
  - dtmf: "12#"
  - hold: {seconds: 2}
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
  no_protocol_errors: false
"""


def test_everything_that_can_be_said() -> None:
    scenario = parse_scenario(FULL)
    assert scenario.steps == (
        WaitForAgent(5.0, 500, False),
        WaitForAgent(),
        Say(Utterance("What are your opening hours?")),
        Say(Utterance("Hello")),
        Interrupt(1200, Utterance("Stop, please."), 4.0),
        PressDigits("12#"),
        HoldLine(2.0),
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
    expect = scenario.expect
    assert (expect.ended_by, expect.reason, expect.no_protocol_errors) == ("agent", "completed", False)
    assert expect.output_variables == {"INTENT": "/^order/", "NUMBER": "12"}
    assert expect.heard_seconds == HeardSeconds(1.0, 20.5)
    assert expect.barge_in == ExpectedBargeIn(1, 300.0)
    assert (expect.max_first_audio_ms, expect.max_response_ms, expect.max_cut_off_ms) == (900.0, 1500.0, 0.0)


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
