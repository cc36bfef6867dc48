from typing import Any

import pytest

from offhook.config import Config, Problem, parse_config
from offhook.config.checks import check_advice, check_references
from offhook.config.document import Document

OPENAI = {"name": "o", "url": "wss://api.openai.com/v1/realtime", "api_key": "k"}
AZURE = {"name": "a", "url": "wss://x.openai.azure.com/openai/v1/realtime", "api_key": "k"}


def advice(agent: dict[str, Any], providers: list[dict[str, Any]] | None = None, **settings: Any) -> list[Problem]:
    config = Config.model_validate(
        {
            "agents": {"a": {"instructions": "x", **agent}},
            "keys": [{"id": "k", "secret": "c2VjcmV0"}],
            "realtime": {"providers": [OPENAI] if providers is None else providers},
            **settings,
        }
    )
    return check_advice(config)


@pytest.mark.parametrize(
    ("agent", "codes"),
    [
        ({}, []),
        ({"model": "gpt-realtime-3"}, ["OH-CONF-50"]),
        ({"voice": "marine"}, ["OH-CONF-51"]),
        ({"model": "gpt-realtime-mini-2025-10-06"}, ["OH-CONF-52"]),
        ({"model": "gpt-realtime", "reasoning_effort": "low"}, ["OH-CONF-52", "OH-CONF-53"]),
        ({"model": "gpt-realtime-1.5", "reasoning_effort": "low"}, ["OH-CONF-53"]),
        ({"reasoning_effort": "low"}, []),
        ({"turn_detection": {"interrupt_response": False}}, ["OH-CONF-56"]),
        ({"turn_detection": {"interrupt_response": False, "create_response": False}}, []),
        ({"limits": {"max_cost": 1.0}}, []),
        ({"limits": {"max_cost": 1.0}, "model": "gpt-realtime-3"}, ["OH-CONF-50", "OH-CONF-57"]),
        ({"mode": "listen", "model": "x", "voice": "y"}, []),
    ],
)
def test_advice_on_agents(agent: dict[str, Any], codes: list[str]) -> None:
    found = advice(agent)
    assert [problem.code for problem in found] == codes
    assert all(problem.severity == "warning" for problem in found)


def test_names_of_deployments_are_not_judged() -> None:
    assert advice({"model": "my-deployment", "voice": "mine"}, [OPENAI, AZURE]) == []
    assert [problem.code for problem in advice({"model": "my-deployment"}, [])] == ["OH-CONF-50"]


@pytest.mark.parametrize(
    ("listen", "codes"),
    [("0.0.0.0:1", ["OH-CONF-54"]), ("127.0.0.1:1", []), ("[::1]:1", []), ("localhost:1", [])],
)
def test_a_key_without_secret(listen: str, codes: list[str]) -> None:
    found = advice({}, keys=[{"id": "k"}], listen=listen)
    assert [problem.code for problem in found] == codes


def test_no_keys() -> None:
    assert [problem.code for problem in advice({}, keys=[])] == ["OH-CONF-55"]


def test_warnings_have_a_place() -> None:
    text = "agents:\n  a:\n    instructions: x\n    voice: marine\nkeys: [{id: k, secret: c2VjcmV0}]"
    (warning,) = parse_config(text, source="x.yaml", environ={}).warnings
    assert str(warning) == (
        "x.yaml:4:12: OH-CONF-51 agents.a.voice: this voice is not known here; it is passed through; "
        "did you mean marin?"
    )


@pytest.mark.parametrize(
    "text",
    [
        "agents: 5\nkeys: 5\nrealtime: 5\ndefault_agent: x",
        "agents: {}\nkeys: [5, {id: 5, agents: 5}, {agents: [5]}]\ndefault_agent: [x]\nrealtime: {providers: 5}",
        "realtime: {providers: [5, {name: 5}]}",
    ],
)
def test_references_in_what_is_not_valid(text: str) -> None:
    assert check_references(Document(text, "x", {})) == []
