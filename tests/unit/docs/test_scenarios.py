"""The page on scenarios names every key of both formats, and its default."""

import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from offhook.emulator import scenario as agent
from offhook.simulator import scenario_document as caller
from offhook.simulator.script import Oddity
from offhook.speech.noise import Kind
from tests.unit.docs.pages import ROOT

PAGE = (ROOT / "docs" / "reference" / "scenarios.md").read_text("utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table under a heading, by the names in backticks of their first two cells."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    table = [line.strip("| ").split(" | ") for line in section[1].splitlines() if line.startswith("|")][2:]
    return {" ".join(re.findall(r"`(\w+)`", row[0])): row for row in table if row[0].startswith("`")}


def shown(default: object) -> str:
    """Return a default as the page writes it."""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer() and default != 4.0:
        return f"`{int(default)}`"
    return "none" if default is None else '`""`' if default == "" else f"`{default}`"


@pytest.mark.parametrize(
    ("heading", "model"),
    [("The call", caller.ScenarioDoc), ("Expectations", caller._ExpectDoc)],
)
def test_keys_of_the_callers_scenario(heading: str, model: type[BaseModel]) -> None:
    table = rows(heading)
    assert list(table) == list(model.model_fields)
    for name, field in model.model_fields.items():
        default: Any = field.get_default(call_default_factory=True)
        if default is PydanticUndefined:
            assert table[name][1] == "required"
        elif default is None:
            assert table[name][1] in ("none", "not checked")
        elif not isinstance(default, BaseModel):
            assert table[name][1] == shown(default), name


def test_steps_of_the_callers_scenario() -> None:
    section = PAGE.partition("### Steps")[2].partition("###")[0]
    steps = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert steps == list(caller._StepDoc.model_fields)
    for model in (
        caller._WaitForAgentDoc,
        caller._NoiseDoc,
        caller._InterruptDoc,
        caller._KeysDoc,
        caller._PauseDoc,
        caller._UpdateDoc,
        caller._OddDoc,
        caller._SecondsDoc,
        caller._WaitForEndDoc,
    ):
        for name, field in model.model_fields.items():
            default = "required" if field.is_required() else shown(field.default)
            assert re.search(rf"^\|[^|]*\| `{name}` \| {re.escape(default)} \|", section, re.MULTILINE), name
    for name in caller._SayDoc.model_fields:
        assert f"{{{name}: " in section
    background = next(line for line in PAGE.splitlines() if line.startswith("| `background` |"))
    for name, field in caller._BackgroundDoc.model_fields.items():
        assert f"`{name}`" in background
        assert shown(field.default) in (*re.findall(r"`[^`]+`", background), "none")
    for name in (*caller._RangeDoc.model_fields, *caller._BargeInDoc.model_fields):
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize(("heading", "model"), [("The session", agent.Scenario), ("Turns", agent.Turn)])
def test_keys_of_the_agents_scenario(heading: str, model: type[BaseModel]) -> None:
    table = rows(heading)
    assert list(table) == list(model.model_fields)
    for name, field in model.model_fields.items():
        if isinstance(field.default, bool | int | float | str):
            assert table[name][1] == shown(field.default), name


def test_kinds_of_oddities() -> None:
    assert tuple(rows("Oddities")) == get_args(Oddity)


def test_kinds_of_noise() -> None:
    assert tuple(rows("Noise")) == get_args(Kind)


def test_keys_of_an_aside() -> None:
    assert list(rows("Asides")) == list(agent.Aside.model_fields)


def test_faults_of_the_agents_scenario() -> None:
    table = rows("Faults of the connection")
    named = [f"handshake {name}" for name in agent.Handshake.model_fields]
    named += [f"lose {name}" for name in agent.Loss.model_fields]
    assert list(table) == named


def test_parts_of_a_turn() -> None:
    section = PAGE.partition("### Turns")[2].partition("###")[0]
    for model in (agent.When, agent.Call, agent.HostedCall, agent.Failure):
        for name in model.model_fields:
            assert f"`{name}`" in section, name
    assert f"`{agent.Failure().code}`" in section
