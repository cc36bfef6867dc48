"""The keypad's settings, and `collect_digits` among an agent's tools."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from offhook.agents import Agent, ConnectorPath, plan_call
from offhook.agents.handling import CollectDigitsSettings
from offhook.audiohook import OpenParameters
from offhook.bridge.plan import CallPlan, CollectDigits, Dtmf, ToolPlan
from offhook.tools import Tool, ToolResources, ToolSource, tool

OPEN = OpenParameters(organization_id="org-1", conversation_id="conv-1", media=())


@tool
async def verify_pin(digits: str) -> str:
    """Check a PIN."""
    return digits


@tool
async def charge_card(digits: str, purpose: str, currency: str = "EUR") -> str:
    """Charge a card."""
    return digits + purpose + currency


@tool(confirm=True)
async def asks_first(digits: str) -> str:
    """Check it after a yes."""
    return digits


@tool
async def no_digits(pin: str) -> str:
    """Check it."""
    return pin


@tool
async def too_much(digits: str, name: str) -> str:
    """Check it."""
    return digits + name


@tool
async def number(digits: int) -> str:
    """Check it."""
    return str(digits)


class Later(ToolSource):
    """Tools that are known when a call begins, not before."""

    def __init__(self, *tools: Tool) -> None:
        self._tools = tools

    @property
    def tools(self) -> Sequence[Tool]:
        return self._tools

    async def open(self, resources: ToolResources) -> None: ...

    async def close(self) -> None: ...


def agent(*tools: object, **settings: Any) -> Agent:
    return Agent(instructions="x", tools=list(tools), **settings)


def plan(of: Agent, *tools: Tool) -> CallPlan:
    connector = ConnectorPath("support", (), {})
    return plan_call(of, "support", OPEN, connector, tools=tools)


def declared(planned: CallPlan) -> dict[str, Any]:
    sent = json.loads(msgspec.json.encode(planned.session))
    return {function["name"]: function for function in sent["tools"]}


def problems(*tools: object) -> list[tuple[str, tuple[int | str, ...]]]:
    with pytest.raises(ValidationError) as caught:
        agent(*tools)
    return [(error["msg"], error["loc"]) for error in caught.value.errors()]


def test_keypad() -> None:
    assert plan(agent()).dtmf == Dtmf()
    settings = {"timeout": 2, "terminator": "*", "max_digits": 5, "interrupt": False}
    expected = Dtmf(timeout=2, terminator="*", max_digits=5, interrupt=False)
    assert plan(agent(dtmf=settings)).dtmf == expected
    assert plan(agent(dtmf={"terminator": None})).dtmf.terminator is None
    for wrong in ({"terminator": "1"}, {"max_digits": 0}, {"timeout": 0}, {"tmieout": 1}):
        with pytest.raises(ValidationError):
            agent(dtmf=wrong)


def test_without_it() -> None:
    planned = plan(agent("end_call"))
    assert planned.collect_digits is None
    assert set(declared(planned)) == {"end_call"}


@pytest.mark.parametrize("entry", ["collect_digits", {"collect_digits": {}}])
def test_with_defaults(entry: object) -> None:
    made = agent("end_call", entry)
    assert made.collect_digits == CollectDigitsSettings()
    assert made.call_control == ("end_call",)
    assert made.model_dump()["tools"] == ("end_call", "collect_digits")
    assert Agent.model_validate(made.model_dump()).collect_digits == CollectDigitsSettings()
    planned = plan(made)
    assert planned.collect_digits == CollectDigits(tells_purpose=False)
    parameters = declared(planned)["collect_digits"]["parameters"]
    assert set(parameters["properties"]) == {"purpose", "length"}
    assert parameters["required"] == ["purpose"]
    assert "ecret" not in json.dumps(declared(planned)["collect_digits"])


@pytest.mark.parametrize(("takes", "tells_purpose"), [(verify_pin, False), (charge_card, True)])
def test_secrets(takes: Tool, tells_purpose: bool) -> None:
    name = takes.definition.name
    made = agent(no_digits, takes, {"collect_digits": {"timeout": 5, "between": 2, "total": 20, "secret_tool": name}})
    planned = plan(made, no_digits, takes)
    assert planned.collect_digits == CollectDigits(
        timeout=5, between=2, total=20, secret_tool=name, tells_purpose=tells_purpose
    )
    assert planned.tools == {"no_digits": ToolPlan()}, "the model cannot call it"
    assert set(declared(planned)) == {"no_digits", "collect_digits"}
    collect = declared(planned)["collect_digits"]
    assert collect["parameters"]["properties"]["secret"]["type"] == "boolean"
    assert "not shown to you" in collect["description"]
    written = made.model_dump()["tools"][2]
    assert written == {"collect_digits": {"timeout": 5, "between": 2, "total": 20, "secret_tool": name}}


@pytest.mark.parametrize(
    ("takes", "problem"),
    [
        (asks_first, "asks_first: a tool that takes secret digits cannot have confirm"),
        (no_digits, "no_digits: a tool that takes secret digits needs a parameter digits"),
        (number, "number: a tool that takes secret digits needs them as a text, for they may begin with 0"),
        (too_much, "too_much: a tool that takes secret digits gets digits and purpose, but needs name, too"),
    ],
)
def test_tools_that_cannot_take_secrets(takes: Tool, problem: str) -> None:
    name = takes.definition.name
    assert problems(takes, {"collect_digits": {"secret_tool": name}}) == [
        (problem, ("tools", 1, "collect_digits", "secret_tool"))
    ]
    # One that is known later than the configuration is no secret tool then, and the model cannot call it either.
    planned = plan(agent(Later(takes), {"collect_digits": {"secret_tool": name}}), takes)
    assert planned.collect_digits is not None
    assert planned.collect_digits.secret_tool is None
    assert planned.tools == {}


def test_a_tool_that_is_known_later() -> None:
    made = agent(Later(verify_pin), {"collect_digits": {"secret_tool": "verify_pin"}})
    available, missing = plan(made, verify_pin).collect_digits, plan(made).collect_digits
    assert available is not None
    assert missing is not None
    assert (available.secret_tool, missing.secret_tool) == ("verify_pin", None)


def test_the_tool_that_the_model_is_to_call() -> None:
    collects = {"collect_digits": {"secret_tool": "verify_pin"}}
    assert agent(verify_pin, collects, tool_choice={"name": "collect_digits"}).collect_digits is not None
    with pytest.raises(ValidationError, match="the agent has no such tool"):
        agent(verify_pin, collects, tool_choice={"name": "verify_pin"})


def test_mistakes() -> None:
    assert problems(verify_pin, "collect_digits", {"collect_digits": {}}) == [
        ("collect_digits is listed twice", ("tools", 2))
    ]
    assert problems({"collect_digits": {"secret_tool": "nobody"}}) == [
        ("nobody: there is no such tool for secret digits", ("tools", 0, "collect_digits", "secret_tool"))
    ]
    ((_, place),) = problems({"collect_digits": {"tmieout": 1}})
    assert place == ("tools", 0, "(collect_digits)", "collect_digits", "tmieout")

    def collect_digits(purpose: str) -> str:
        return purpose

    ((text, _),) = problems(collect_digits)
    assert "one of call control" in text
