from pathlib import Path
from typing import Any

import pytest

from offhook.emulator.scenario import Call, Handshake, Loss, ScenarioError, load_scenario, parse_scenario

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
handshake: [{status: 429}, {created_after: 2}]
lose: [{after: 3, code: 1011}, null]
"""


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(FULL)
    scenario = load_scenario(file)
    assert (scenario.seed, scenario.speed, scenario.first_audio_ms) == (7, 2.5, 100)
    assert scenario.texts() == ["Hello.", "One moment.", "It has shipped.", "It comes on Friday."]
    assert [call.name for turn in scenario.turns for call in turn.calls()] == ["order_status", "a", "b"]
    assert scenario.handshake_of(0).status == 429
    assert scenario.handshake_of(1).created_after == 2
    assert scenario.handshake_of(2) == Handshake()
    assert scenario.loss_of(0) == Loss(after=3, code=1011)
    assert scenario.loss_of(1) is scenario.loss_of(2) is None


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("")
    assert load_scenario(file) == parse_scenario({})
    assert parse_scenario({"handshake": {"status": 500}, "lose": {"after": 1}}).handshake_of(9).status == 500
    assert parse_scenario({"lose": {"after": 1}}).loss_of(5) == Loss(after=1)


def test_arguments_are_json_or_as_written() -> None:
    assert Call("x", {"a": [1, "ü"]}).arguments_text() == '{"a":[1,"ü"]}'
    assert Call("x", "{broken").arguments_text() == "{broken"
    assert Call("x").arguments_text() == "{}"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("turns:\n  - say: hi\n    sy: 1\n", "2:5", "unknown field `sy`"),
        ("turns:\n  - say: 3\n", "2:10", "Expected `str | array | null`"),
        ("speed: 11\n", "1:8", "<= 10"),
        ("- a\n", "1:1", "Expected `object`"),
        ("turns: [\n", "2:1", "expected the node content"),
        ("a: \x07\n", "", "special characters"),
        ("turns:\n - call: {name: a, arguments: {b: 1}}\n - call: [{name: 3}]\n", "3:18", "Expected `str`"),
    ],
)
def test_errors_say_where_and_what(tmp_path: Path, text: str, where: str, what: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    assert str(caught.value).startswith(f"{file}:{where}")
    assert what in str(caught.value)


def test_unreadable_files_are_scenario_errors(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\xff")
    for file in (tmp_path / "none.yaml", binary):
        with pytest.raises(ScenarioError, match=file.name):
            load_scenario(file)


@pytest.mark.parametrize("document", [{"turns": 3}, {"lifetime": 0}, {"handshake": {"status": 418}}, 5, None])
def test_plain_data_is_checked_too(document: Any) -> None:
    with pytest.raises(ScenarioError):
        parse_scenario(document)
