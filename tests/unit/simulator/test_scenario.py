"""Scenario files: what they say, and every mistake at its place."""

from itertools import pairwise
from pathlib import Path

import pytest

from offhook.audio.wav import write_wav
from offhook.simulator.scenario import MAX_FILE_BYTES, ScenarioError, load_scenario, parse_scenario
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
        ("", ["s:1:1: must hold `steps:` with a list of steps"]),
        ("- say: x", ["s:1:1: must hold `steps:` with a list of steps"]),
        ("name: x", ["s:1:1: `steps` is missing"]),
        ("steps: []", ["s:1:8: steps: must hold at least one step"]),
        ("steps: [", ["s:1:9: expected the node content, but found '<stream end>'"]),
        ("name: a\nname: b", ['s:2:1: found duplicate key "name" with value "b" (original value: "a")']),
        ("a: \x00", ["s:1:1: is no YAML: unacceptable character #x0000: special characters are not allowed"]),
        ("[" * 500, ["s:1:1: is no YAML: "]),
        (
            "a: &a [x,x,x,x,x,x,x,x]\n"
            + "".join(f"{n}: &{n} [{('*' + p + ',') * 8}]\n" for p, n in pairwise("abcdefg")),
            ["s:1:1: refers to itself, or is much too large"],
        ),
        ("steps: 5", ["s:1:8: steps: must be a list; begin each entry with a dash"]),
        ("colour: 1\nsteps: [hang_up: ]", ["s:1:1: colour: unknown key; known: name, connector_id,"]),
        ("steps:\n  - wait_for_agent: {timeot: 1}", ["s:2:22: step 1, wait_for_agent.timeot: unknown key; did you m"]),
        ("steps:\n  - hangup:", ["s:2:5: step 1, hangup: unknown key; did you mean `hang_up`?"]),
        ("steps:\n  - {}", ["s:2:5: step 1: must be exactly one step, but holds none; begin each with a dash"]),
        ("steps:\n  - hang_up\n", ["s:2:5: step 1: must be a mapping of names to values"]),
        (
            "steps:\n  - say: hi\n    wait: {seconds: 1}",
            ["s:2:5: step 1: must be exactly one step, but holds say, wait"],
        ),
        ("steps:\n  - say:", ["s:2:5: step 1: `say` has no value"]),
        ("steps:\n  - say: 5", ["s:2:10: step 1, say: must be a text in quotes, {text: …} or {wav: …}"]),
        ("steps:\n  - say: {}", ["s:2:10: step 1, say: needs a text or a wav file"]),
        ("steps:\n  - say: {wav: 5}", ["s:2:16: step 1, say.wav: must be the name of a WAV file"]),
        ("steps:\n  - dtmf: 12", ["s:2:11: step 1, dtmf: YAML reads this as the number 12; write it in quotes: "]),
        (
            "inputs: {5: x}\nsteps: [hang_up: ]",
            ["s:1:13: inputs.5: YAML reads this as the number 5; write it in quotes"],
        ),
        ("steps:\n  - dtmf: true", ["s:2:11: step 1, dtmf: must be a text; write it in quotes"]),
        ("steps:\n  - dtmf: x", ["s:2:11: step 1, dtmf: 'x' is not possible here"]),
        ("steps:\n  - hold: {seconds: 0}", ["s:2:21: step 1, hold.seconds: should be greater than 0"]),
        ("steps:\n  - hang_up:\n  - dtmf: '1'", ["s:2:3: steps: nothing can follow `hang_up`, which is step 1 of 2"]),
        (
            "steps: [hang_up: ]\nexpect:\n  output_variables: {A: /(/, B: /x/}\n  heard_seconds: {min: 2, max: 1}",
            ["s:3:25: expect.output_variables.A: /(/ is no regular", "s:4:18: expect.heard_seconds: min 2 is more tha"],
        ),
        (
            "steps: [interrupt: {say: {wavv: 1}}]\nexpect: {ended_by: me}",
            [
                "s:1:20: step 1, interrupt: `after_ms` is missing",
                "s:1:27: step 1, interrupt.say.wavv: unknown key; did you mean `wav`?",
                "s:2:20: expect.ended_by: should be 'agent' or 'caller'",
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
    assert (missing.line, missing.column, text.line) == (2, 16, 3)
    assert missing.text.endswith("missing.wav: No such file or directory")
    assert "not a WAV file" in text.text


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, content, complaint in (
        ("large.yaml", b"#" * (MAX_FILE_BYTES + 1), "is larger than 1,000,000 bytes"),
        ("latin.yaml", b"name: \xe4", "is not UTF-8 (byte 6)"),
        ("missing.yaml", None, "cannot be read: No such file or directory"),
    ):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ScenarioError) as raised:
            load_scenario(file)
        assert str(raised.value) == f"{file}:1:1: {complaint}"
