from offhook.bridge import collection, control
from offhook.tools import CALL_CONTROL, COLLECT_DIGITS, END_CALL, ESCALATE, RESERVED_NAMES, SET_OUTPUTS, call_control


def test_the_names_are_those_that_the_bridge_acts_on() -> None:
    assert (END_CALL, ESCALATE, SET_OUTPUTS) == (control.END_CALL, control.ESCALATE, control.SET_OUTPUTS)
    assert collection.COLLECT_DIGITS == COLLECT_DIGITS
    assert {END_CALL, ESCALATE, SET_OUTPUTS} == CALL_CONTROL
    assert {*CALL_CONTROL, COLLECT_DIGITS} == RESERVED_NAMES


def test_end_call() -> None:
    definition = call_control.end_call()
    assert definition.name == "end_call"
    assert definition.parameters["required"] == ["reason"]
    assert list(definition.parameters["properties"]) == ["reason"]


def test_escalate() -> None:
    definition = call_control.escalate()
    assert definition.name == "escalate"
    assert definition.parameters["required"] == ["reason"]
    assert list(definition.parameters["properties"]) == ["reason", "target"]


def test_collect_digits() -> None:
    definition = call_control.collect_digits(secret=True)
    assert definition.name == "collect_digits"
    assert list(definition.parameters["properties"]) == ["purpose", "length", "secret"]
    assert definition.parameters["properties"]["length"]["maximum"] == collection.MAX_DIGITS
    assert list(call_control.collect_digits(secret=False).parameters["properties"]) == ["purpose", "length"]


def test_set_outputs() -> None:
    schemas = {"INTENT": {"type": "string", "description": "What was wanted."}, "B": {"type": "string"}}
    definition = call_control.set_outputs(schemas)
    assert definition.name == "set_outputs"
    assert definition.parameters == {
        "type": "object",
        "properties": schemas,
        "required": [],
        "additionalProperties": False,
        "minProperties": 1,
    }
