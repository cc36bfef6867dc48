"""Output variables: types, sizes, and a `disconnect` that always fits."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from offhook.bridge import Prompt, ToolOutcome
from offhook.bridge.control import MAX_WORDS
from offhook.bridge.outputs import MAX_OUTPUT, MAX_OUTPUTS_BYTES, MAX_VARIABLES_BYTES, OutputVariables, wire_size
from offhook.bridge.plan import OutputVariable
from tests.unit.bridge.exits import Exit
from tests.unit.bridge.harness import Harness, plan


def variables(**declared: OutputVariable) -> OutputVariables:
    return OutputVariables(declared)


TYPED = {
    "TEXT": OutputVariable(),
    "NUMBER": OutputVariable(type="number"),
    "COUNT": OutputVariable(type="integer"),
    "YES": OutputVariable(type="boolean"),
    "COLOUR": OutputVariable(enum=("red", "blue")),
}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("TEXT", "12,5 €", "12,5 €"),
        ("TEXT", 12, "12"),
        ("TEXT", {"a": [1, None]}, '{"a":[1,null]}'),
        ("TEXT", None, ""),
        ("TEXT", "\ud800 lone", "? lone"),
        ("TEXT", "x" * MAX_OUTPUT, "x" * MAX_OUTPUT),
        ("TEXT", "ü" * MAX_OUTPUT, "ü" * MAX_OUTPUT),
        ("NUMBER", 1.5, "1.5"),
        ("NUMBER", "-2e3", "-2e3"),
        ("NUMBER", 7, "7"),
        ("NUMBER", "", ""),
        ("COUNT", 7, "7"),
        ("COUNT", "7", "7"),
        ("COUNT", None, ""),
        ("YES", True, "true"),
        ("YES", "false", "false"),
        ("COLOUR", "red", "red"),
    ],
)
def test_values(name: str, value: object, text: str) -> None:
    outputs = OutputVariables(TYPED)
    assert outputs.set({name: value}) is None
    assert outputs.values[name] == text
    assert outputs.values == {**dict.fromkeys(TYPED, ""), name: text}


@dataclass
class Odd:
    """A value that a tool gives, and JSON cannot carry."""

    inner: object = object()


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TEXT", "x" * (MAX_OUTPUT + 1), "TEXT is longer than 4000 characters"),
        ("TEXT", ["x" * MAX_OUTPUT], "TEXT is longer than 4000 characters"),
        ("TEXT", object(), "TEXT cannot be written as text"),
        ("TEXT", Odd(), "TEXT cannot be written as text"),
        ("TEXT", {"a": "\ud800"}, "TEXT cannot be written as text"),
        ("TEXT", {(1, 2): 3}, "TEXT cannot be written as text"),
        ("TEXT", nested(100_000), "TEXT cannot be written as text"),
        pytest.param("TEXT", 10**5000, "TEXT cannot be written as text", id="huge"),
        ("NUMBER", "12,5", "NUMBER must be a number"),
        ("NUMBER", "many", "NUMBER must be a number"),
        ("NUMBER", float("nan"), "NUMBER must be a number"),
        ("NUMBER", True, "NUMBER must be a number"),
        ("NUMBER", "[" * MAX_OUTPUT, "NUMBER must be a number"),
        ("COUNT", 1.5, "COUNT must be an integer"),
        ("COUNT", "12.0", "COUNT must be an integer"),
        ("YES", "yes", "YES must be a boolean"),
        ("YES", 1, "YES must be a boolean"),
        ("COLOUR", "green", "COLOUR must be one of: red, blue"),
        ("COLOUR", "", "COLOUR must be one of: red, blue"),
        ("SIZE", "7", "unknown names: SIZE; the outputs are: COLOUR, COUNT, NUMBER, TEXT, YES"),
        (7, "7", "unknown names: 7; the outputs are: COLOUR, COUNT, NUMBER, TEXT, YES"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_set(name: str, value: object, told: str) -> None:
    outputs = OutputVariables(TYPED)
    assert outputs.set({"TEXT": "first", name: value} if name != "TEXT" else {name: value}) == told
    assert outputs.values == dict.fromkeys(TYPED, "")


@pytest.mark.parametrize("character", ["x", "ü", "\U0001f600", '"', "\\", "\n", "\x01"])
def test_all_together_are_bounded_as_they_are_sent(character: str) -> None:
    names = [f"V{number}" for number in range(40)]
    outputs = variables(**{name: OutputVariable() for name in names})
    problems = [outputs.set({name: character * MAX_OUTPUT}) for name in names]
    assert problems[0] is None
    assert problems[-1] == "all outputs together would have more than 40000 bytes; write shorter ones"
    assert wire_size(outputs.values) <= MAX_OUTPUTS_BYTES
    assert outputs.set({"V0": ""}) is None, "less is never too much"


OWN = {"OFFHOOK_CALL_ID": "call-1", "OFFHOOK_TARGET": "t" * 500, "OFFHOOK_REASON": "r" * 500, "OFFHOOK_SUMMARY": ""}


@pytest.mark.parametrize("character", ["x", "ü", '"', "\x01", "\ud800"])
@pytest.mark.parametrize("size", [100, 52_000, 53_000, 53_500, 60_000])
def test_our_own_texts_give_way_first(character: str, size: int) -> None:
    outputs = variables(A=OutputVariable(default="a" * size))
    own = {**OWN, "OFFHOOK_SUMMARY": character * 1000}
    whole = outputs.with_own(own)
    assert list(whole) == ["A", *own]
    assert whole["A"] == "a" * size
    assert whole["OFFHOOK_CALL_ID"] == "call-1" or size > MAX_VARIABLES_BYTES
    if size < MAX_VARIABLES_BYTES:
        assert wire_size(whole) <= MAX_VARIABLES_BYTES
    shortened = [name for name in own if len(whole[name]) < len(own[name])]
    cut = ["OFFHOOK_SUMMARY", "OFFHOOK_REASON", "OFFHOOK_TARGET", "OFFHOOK_CALL_ID"][: len(shortened)]
    assert set(shortened) == set(cut), "the last of them first"
    assert all(own[name].startswith(whole[name]) or character == "\ud800" for name in own)
    if size == 100:
        assert shortened == []


def test_a_disconnect_of_a_full_call_fits() -> None:
    """Forty outputs, filled as far as it goes with what is longest on the wire, and all of our own texts."""
    declared = {f"VARIABLE_{number}": OutputVariable() for number in range(40)}
    goodbye = Prompt(text="Goodbye.")
    call = Exit(plan(outputs=declared, tools={}, summary="always", handover=goodbye))
    call.ready()
    call.ai.caller_turn("c1", "\x01" * 20_000)
    response = call.respond()
    for number, name in enumerate(declared):
        value = msgspec.json.encode({name: "\x02" * 1000}).decode()
        call.ai.call("set_outputs", value, response, f"call_{number}")
    words = msgspec.json.encode({"reason": "\x03" * 9000, "target": "\x04" * 9000}).decode()
    call.ai.call("escalate", words, response, "call_end")
    call.over(response)
    call.advance(10)
    (text,) = [message for _, message in call.texts if message["type"] == "disconnect"]
    assert len(msgspec.json.encode(text)) < 64_000
    sent = call.check_end(dict.fromkeys(declared, ""))
    filled = [name for name in declared if sent[name]]
    assert [sent[name] for name in filled] == ["\x02" * 1000] * 6
    assert sent["OFFHOOK_REASON"] == "\x03" * MAX_WORDS
    assert sent["OFFHOOK_TARGET"] == "\x04" * MAX_WORDS


class TestTools:
    def finished(self, outcome: ToolOutcome) -> Harness:
        harness = Harness(plan()).talking()
        harness.ai.created()
        harness.ai.call("order_status")
        harness.ai.done()
        harness.call.tool_result("call_1", outcome, harness.now)
        harness._settle()
        return harness

    def output(self, harness: Harness) -> str:
        (event,) = harness.ai.received("conversation.item.create")
        output: str = event["item"]["output"]
        return output

    def test_a_tool_sets_outputs(self) -> None:
        harness = self.finished(ToolOutcome(output="ok", outputs={"INTENT": "order", "ESCALATE": True}))
        assert self.output(harness) == "ok"
        harness.end()
        assert (harness.variables["INTENT"], harness.variables["ESCALATE"]) == ("order", "true")

    @pytest.mark.parametrize("value", [object(), "x" * 4001, nested(100_000)])
    def test_a_tool_that_sets_what_does_not_fit_has_worked_all_the_same(self, value: object) -> None:
        harness = self.finished(ToolOutcome(output="ok", outputs={"INTENT": value}))
        assert self.output(harness).startswith("ok\n(outputs were not set: INTENT ")
        assert harness.moments.count("output_refused") == 1
        assert len(harness.ai.received("response.create")) == 1
        harness.end()
        assert harness.variables["INTENT"] == ""

    def test_long_words_of_a_tool_are_cut(self) -> None:
        harness = self.finished(ToolOutcome(output="ok", end="escalated", reason="r" * 9000, target="\ud800" * 9000))
        harness.advance(15)
        assert harness.variables["OFFHOOK_REASON"] == "r" * MAX_WORDS
        assert harness.variables["OFFHOOK_TARGET"] == "?" * MAX_WORDS
