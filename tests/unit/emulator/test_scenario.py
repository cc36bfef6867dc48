from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from offhook.emulator.scenario import Aside, Call, Failure, Handshake, Loss, Scenario, ScenarioError, load_scenario

FULL = """\
# a comment
seed: 7
speed: 2.5
first_audio_ms: 100
turns:
  - say: Hello.
  - caller: Where is my order?
    preamble: One moment.
    call: {name: order_status, arguments: {order_id: "1234"}}
  - say: [It has shipped., It comes on Friday.]
  - call: [{name: a}, {name: b, arguments: "{broken"}]
  - when: {text: pressed 1}
    fail: {code: server_error}
  - caller: ""
handshake: [{status: 429}, {created_after: 2}]
lose: [{after: 3, code: 1011}, null]
asides: [All is well., {say: Slow., seconds: 2}, {fail: {code: server_error}}]
aside_seconds: 0.5
"""


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(FULL)
    scenario = load_scenario(file)
    assert (scenario.seed, scenario.speed, scenario.first_audio_ms) == (7, 2.5, 100)
    assert scenario.texts() == ["Hello.", "One moment.", "It has shipped.", "It comes on Friday."]
    assert [call.name for turn in scenario.turns for call in turn.calls()] == ["order_status", "a", "b"]
    assert scenario.turns[-1].caller == ""
    assert scenario.asides == [
        "All is well.",
        Aside(say="Slow.", seconds=2),
        Aside(fail=Failure(code="server_error")),
    ]
    assert scenario.aside_seconds == 0.5
    assert scenario.handshake_of(0).status == 429
    assert scenario.handshake_of(1).created_after == 2
    assert scenario.handshake_of(2) == Handshake()
    assert scenario.loss_of(0) == Loss(after=3, code=1011)
    assert scenario.loss_of(1) is scenario.loss_of(2) is None


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("")
    assert load_scenario(file) == Scenario()
    assert Scenario(handshake=Handshake(status=500)).handshake_of(9).status == 500
    assert Scenario(lose=Loss(after=1)).loss_of(5) == Loss(after=1)


def test_arguments_are_json_or_as_written() -> None:
    assert Call(name="x", arguments={"a": [1, "ü"]}).arguments_text() == '{"a":[1,"ü"]}'
    assert Call(name="x", arguments="{broken").arguments_text() == "{broken"
    assert Call(name="x").arguments_text() == "{}"


BROKEN = """\
seed: "7"
speed: 11
turns:
  - say: hi
    sy: 1
  - say: 3
  - call: {name: a, arguments: {b: 1}}
  - call: [{name: 3}]
  - call: {arguments: [x]}
  - say: [a, 5]
handshake: {status: 418, crated: true}
lose: [{after: 3}, null, {code: 1011}]
surprises: "no"
seed: 8
asides: [3, {sy: x}, {seconds: 601}]
"""


def problems(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    return [line.removeprefix(f"{file}:") for line in lines]


def test_every_mistake_is_told_at_its_place(tmp_path: Path) -> None:
    assert problems(tmp_path / "bad.yaml", BROKEN) == [
        "1:7: OH-CONF-07 seed: should be a valid integer",
        "2:8: OH-CONF-08 speed: should be less than or equal to 10",
        "5:5: OH-CONF-05 turns[0].sy: there is no such setting; did you mean say?",
        "6:10: OH-CONF-07 turns[1].say: should be text; put it in quotes",
        "8:19: OH-CONF-07 turns[3].call[0].name: should be text; put it in quotes",
        "9:5: OH-CONF-06 turns[4].call.name: is missing",
        "9:23: OH-CONF-07 turns[4].call.arguments: should be text",
        "10:14: OH-CONF-07 turns[5].say[1]: should be text; put it in quotes",
        "11:21: OH-CONF-08 handshake.status: should be 401, 403, 404, 429, 500 or 503",
        "11:26: OH-CONF-05 handshake.crated: there is no such setting; did you mean created?",
        "12:26: OH-CONF-06 lose[2].after: is missing",
        "13:12: OH-CONF-07 surprises: should be a valid boolean",
        "14:1: OH-CONF-04 seed: this is here twice, first in line 1",
        "15:10: OH-CONF-07 asides[0]: should be text; put it in quotes",
        "15:14: OH-CONF-05 asides[1].sy: there is no such setting; did you mean say?",
        "15:32: OH-CONF-08 asides[2].seconds: should be less than or equal to 600",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "1:1: OH-CONF-02 the file does not hold settings; write key: value"),
        ("turns: [\n", "2:1: OH-CONF-02 this is not YAML (while parsing a flow node expected the node content"),
        ("a: \x07\n", " OH-CONF-02 this is not YAML (a character that YAML does not allow)"),
    ],
)
def test_files_that_hold_no_scenario(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems(tmp_path / "bad.yaml", text)
    assert found.startswith(problem)


def test_texts_stay_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("turns: [{say: 'That is ${PRICE} and $${MORE}.', call: {name: a, arguments: '${'}}]")
    scenario = load_scenario(file)
    assert scenario.texts() == ["That is ${PRICE} and $${MORE}."]
    assert scenario.turns[0].calls() == [Call(name="a", arguments="${")]


def test_unreadable_files_are_scenario_errors(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\xff")
    for file in (tmp_path / "none.yaml", binary):
        with pytest.raises(ScenarioError, match=file.name):
            load_scenario(file)


@pytest.mark.parametrize("document", [{"turns": 3}, {"lifetime": 0}, {"handshake": {"status": 418}}, 5, None])
def test_plain_data_is_checked_too(document: Any) -> None:
    with pytest.raises(ValidationError):
        Scenario.model_validate(document)
