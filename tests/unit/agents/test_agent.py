from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from offhook.agents import Agent
from offhook.agents.settings import NamedTool, RetentionRatio, SemanticVad, ServerVad
from offhook.agents.wording import Wording
from offhook.tools import ToolSet, tool
from tests.unit.tools import sample
from tests.unit.tools.fakes import Source

MINIMAL: dict[str, Any] = {"instructions": "Be kind."}


@tool(name="collect_digits")
def digits() -> None:
    """Has the name of a tool that the call itself carries out."""


def errors(data: dict[str, Any]) -> list[tuple[str, tuple[int | str, ...]]]:
    with pytest.raises(ValidationError) as caught:
        Agent.model_validate(data)
    return [(error["type"], error["loc"]) for error in caught.value.errors()]


def test_defaults() -> None:
    agent = Agent(instructions="Be kind.")
    assert (agent.mode, agent.model, agent.voice) == ("talk", "gpt-realtime-2.1", "marin")
    assert agent.greeting is None
    assert agent.turn_detection == ServerVad()
    assert agent.noise_reduction == "near_field"
    assert agent.transcription is not None
    assert agent.transcription.model == "gpt-transcribe"
    assert agent.tools == ()
    assert not agent.bot_turn_response


def test_an_agent_does_not_change() -> None:
    agent = Agent(instructions="Be kind.")
    with pytest.raises(ValidationError):
        agent.voice = "echo"


def test_python_functions_as_tools() -> None:
    @tool
    async def one() -> str:
        return ""

    def two(number: int) -> str:
        return str(number)

    agent = Agent(instructions="x", tools=[one, two, "end_call", "escalate", "end_call"])
    assert [found.definition.name for found in ToolSet(agent.tool_entries).tools] == ["one", "two"]
    assert agent.call_control == ("end_call", "escalate")
    assert isinstance(agent.tools, tuple)


def test_tools_by_reference() -> None:
    agent = Agent.model_validate({**MINIMAL, "tools": [{"python": "tests.unit.tools.sample:order_status"}, "escalate"]})
    assert [found.definition.name for found in ToolSet(agent.tool_entries).tools] == ["order_status"]
    assert agent.model_dump()["tools"] == ({"python": "tests.unit.tools.sample:order_status"}, "escalate")
    assert Agent(instructions="x", tools=[sample.order_status]).model_dump()["tools"] == ({"python": "order_status"},)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("end_cal", "tool_unknown"),
        ("set_outputs", "tool_unknown"),
        ({"pyton": "x:y"}, "tool_unknown"),
        (sample.reserved, "tool_name"),
        (digits, "tool_name"),
        (sample.untyped, "tool_import"),
        (5, "tool_unknown"),
        (str, "tool_unknown"),
        (None, "tool_unknown"),
    ],
)
def test_tools_that_cannot_be(entry: object, kind: str) -> None:
    assert errors({**MINIMAL, "tools": ["end_call", entry]}) == [(kind, ("tools", 1, "(tool)"))]


@pytest.mark.parametrize(
    ("entry", "kind", "loc"),
    [
        ({"python": 5}, "string_type", ("python", "(plain)")),
        ({"python": "x"}, "tool_import", ()),
        ({"python": "no.such.module:x"}, "tool_import", ()),
        ({"python": "tests.unit.tools.sample:reserved"}, "tool_name", ()),
        ({"python": {"function": "tests.unit.tools.sample:reserved"}}, "tool_name", ()),
        ({"python": {"function": "tests.unit.tools.sample:untyped"}}, "tool_import", ()),
        ({"python": {}}, "missing", ("python", "(structured)", "function")),
        ({"python": {"function": "a:b", "confrm": True}}, "extra_forbidden", ("python", "(structured)", "confrm")),
        ({"python": {"function": "a:b", "timeout": 0}}, "greater_than", ("python", "(structured)", "timeout")),
        ({"python": {"function": "a:b", "redact": ["a", "b["]}}, "redact", ("python", "(structured)", "redact", 1)),
        ({"python": "a:b", "https": {}}, "extra_forbidden", ("https",)),
    ],
)
def test_python_tools_that_cannot_be(entry: object, kind: str, loc: tuple[int | str, ...]) -> None:
    assert errors({**MINIMAL, "tools": ["end_call", entry]}) == [(kind, ("tools", 1, "(python)", *loc))]


def test_python_tools_with_settings() -> None:
    written = {"python": {"function": "tests.unit.tools.sample:order_status", "confirm": True, "timeout": 3.0}}
    agent = Agent.model_validate({**MINIMAL, "tools": [written]})
    (found,) = ToolSet(agent.tool_entries).tools
    assert (found.policy.confirm, found.policy.timeout) == (True, 3.0)
    assert agent.model_dump()["tools"] == (written,)
    # An agent can be made again of what it was written as.
    assert Agent.model_validate(agent.model_dump()).model_dump() == agent.model_dump()


def test_sources_of_tools() -> None:
    source = Source(sample.order_status)
    agent = Agent(instructions="x", tools=[source, "end_call"])
    assert agent.tool_entries == (source,)
    assert [found.definition.name for found in ToolSet(agent.tool_entries).tools] == ["order_status"]
    assert agent.model_dump()["tools"] == ({"python": "Source"}, "end_call")


def test_two_tools_of_one_name() -> None:
    assert errors({**MINIMAL, "tools": [sample.order_status, sample.order_status]}) == [("tool_name", ("tools",))]


@pytest.mark.parametrize(
    "name",
    ["order_status", "end_call", "set_outputs"],
)
def test_the_model_can_be_made_to_call_a_tool(name: str) -> None:
    given = {**MINIMAL, "tools": [sample.order_status, "end_call"], "outputs": {"A": {}}}
    agent = Agent.model_validate({**given, "tool_choice": {"name": name}})
    assert agent.tool_choice == NamedTool(name=name)


def test_but_only_one_of_its_own() -> None:
    given = {**MINIMAL, "tools": [sample.order_status, "end_call"]}
    for name in ("order_state", "set_outputs", "escalate"):
        assert errors({**given, "tool_choice": {"name": name}}) == [
            ("tool_unknown", ("tool_choice", "(structured)", "name"))
        ]
    # A source says only later what it has.
    agent = Agent(instructions="x", tools=[Source(sample.order_status)], tool_choice=NamedTool(name="anything"))
    assert isinstance(agent.tool_choice, NamedTool)


def test_an_agent_that_talks_needs_instructions() -> None:
    assert errors({}) == [("missing", ("instructions",))]
    assert errors({"instructions": " \n"}) == [("missing", ("instructions",))]
    assert Agent(mode="listen").instructions == ""


def test_all_errors_come_at_once() -> None:
    found = errors(
        {
            "instructions": "{{ call.anni }}",
            "greeting": {"text": "{% if %}"},
            "speed": 9,
            "voice": 5,
            "outputs": {"OFFHOOK_X": {}},
            "unknown": 1,
        }
    )
    assert sorted(kind for kind, _ in found) == [
        "extra_forbidden",
        "less_than_equal",
        "reserved_name",
        "string_type",
        "template",
        "template",
    ]


@pytest.mark.parametrize(
    ("setting", "value", "check"),
    [
        ("turn_detection", {"threshold": 0.7}, lambda a: a.turn_detection.threshold == 0.7),
        ("turn_detection", {"type": "semantic_vad"}, lambda a: a.turn_detection == SemanticVad()),
        ("turn_detection", SemanticVad(eagerness="high"), lambda a: a.turn_detection.eagerness == "high"),
        ("greeting", "Hello", lambda a: a.greeting == "Hello"),
        ("greeting", {"text": "Hello"}, lambda a: a.greeting == Wording(text="Hello")),
        ("greeting", Wording(text="Hello"), lambda a: a.greeting == Wording(text="Hello")),
        ("truncation", "disabled", lambda a: a.truncation == "disabled"),
        ("truncation", {"retention_ratio": 0.8}, lambda a: a.truncation == RetentionRatio(retention_ratio=0.8)),
        ("max_output_tokens", 500, lambda a: a.max_output_tokens == 500),
        ("max_output_tokens", "500", lambda a: a.max_output_tokens == 500),
        ("max_output_tokens", "inf", lambda a: a.max_output_tokens == "inf"),
        ("transcription", None, lambda a: a.transcription is None),
        ("transcription", {"language": "de", "keywords": ["a"]}, lambda a: a.transcription.keywords == ("a",)),
        ("noise_reduction", None, lambda a: a.noise_reduction is None),
    ],
)
def test_settings(setting: str, value: object, check: Callable[[Any], bool]) -> None:
    assert check(Agent.model_validate({**MINIMAL, setting: value}))


@pytest.mark.parametrize(
    ("setting", "value", "loc"),
    [
        ("turn_detection", None, ("turn_detection",)),
        ("turn_detection", {"type": "loud"}, ("turn_detection",)),
        ("turn_detection", {"idle_timeout_ms": 100}, ("turn_detection", "server_vad", "idle_timeout_ms")),
        ("turn_detection", {"threshold": float("nan")}, ("turn_detection", "server_vad", "threshold")),
        ("greeting", 5, ("greeting", "(plain)")),
        ("greeting", {"txt": "x"}, ("greeting", "(structured)", "txt")),
        ("truncation", "x", ("truncation", "(plain)")),
        ("truncation", {"retention_ratio": 2}, ("truncation", "(structured)", "retention_ratio")),
        ("tool_choice", "x", ("tool_choice", "(plain)")),
        ("max_output_tokens", "x", ("max_output_tokens", "(plain)")),
        ("max_output_tokens", 0, ("max_output_tokens", "(structured)")),
        ("transcription", {"keywords": "x"}, ("transcription", "keywords")),
        ("inputs", {"": {}}, ("inputs", "", "[key]")),
        ("inputs", {"A\nB": {}}, ("inputs", "A\nB", "[key]")),
        ("outputs", {"offhook_call_id": {}}, ("outputs", "offhook_call_id", "[key]")),
        ("speed", 0.1, ("speed",)),
        ("dtmf", {"timeout": 0}, ("dtmf", "timeout")),
    ],
)
def test_settings_that_cannot_be(setting: str, value: object, loc: tuple[int | str, ...]) -> None:
    assert loc in [place for _, place in errors({**MINIMAL, setting: value})]
