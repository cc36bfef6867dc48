"""The examples, in pages and in files, do what the pages say: they are read by the real loaders and run."""

import asyncio
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from offhook import CallContext, Gateway
from offhook.cli import main
from offhook.config import LoadedConfig, load_config, parse_config
from offhook.emulator.scenario import Scenario as AgentScenario
from offhook.emulator.scenario import load_scenario as load_agent
from offhook.simulator.scenario import load_scenario as load_caller
from offhook.simulator.scenario import parse_scenario as parse_caller
from offhook.simulator.script import texts
from offhook.speech import normalise, shipped_texts
from offhook.tools import PythonTool, ToolSet
from tests.unit.docs.pages import ROOT, Block, blocks

SECRET = "bm90IGEgc2VjcmV0IGF0IGFsbCwgYnV0IDMyIGJ5dGVz"
ENVIRONMENT = {
    "AZURE_OPENAI_API_KEY": "azure-test",
    "GENESYS_API_KEY": "key",
    "GENESYS_CLIENT_SECRET": SECRET,
    "NEW_SECRET": SECRET,
    "OLD_SECRET": SECRET,
    "OFFHOOK_ADMIN_TOKEN": "a-token-of-the-pages",
    "OPENAI_API_KEY": "sk-test",
    "OPENAI_EU_API_KEY": "sk-eu",
}
EXAMPLES = ROOT / "examples"
PYTHON_PAGE = ROOT / "docs" / "how-to" / "run-from-python.md"


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the pages run their commands; `module:attribute` is looked for there.
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "shop", raising=False)  # of another test
    for name in ("GENESYS_API_KEY", "GENESYS_CLIENT_SECRET", "OPENAI_API_KEY", "OFFHOOK_LISTEN"):
        monkeypatch.delenv(name, raising=False)


def run(block: Block, namespace: dict[str, Any]) -> None:
    exec(compile(block.text, str(block), "exec"), namespace)  # noqa: S102 - a page of ours


def fragment(block: Block) -> dict[str, Any]:
    data = YAML(typ="safe", pure=True).load(block.text)
    assert isinstance(data, dict)
    return data


def as_config(block: Block) -> LoadedConfig:
    """Read a part of a configuration file, with an agent if it has none."""
    more = "" if "agents" in fragment(block) else "\nagents: {support: {instructions: Be brief.}}\n"
    return parse_config(block.text + more, source=str(block), environ=ENVIRONMENT)


YAML_BLOCKS = blocks("yaml")


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_yaml_of_the_pages_is_read(block: Block) -> None:
    data = fragment(block)
    if "steps" in data:
        parse_caller(block.text, file=str(block))
    elif "turns" in data:
        AgentScenario.model_validate(data)
    else:
        as_config(block)


def test_the_pages_have_all_three_kinds_of_yaml() -> None:
    kinds = [next((key for key in ("steps", "turns") if key in fragment(block)), "") for block in YAML_BLOCKS]
    assert set(kinds) == {"steps", "turns", ""}


def test_the_smallest_configuration_has_no_warning() -> None:
    smallest = blocks("yaml", ROOT / "docs" / "reference" / "configuration.md")[0]
    assert as_config(smallest).warnings == ()


def test_the_agent_of_the_readme_is_the_one_of_the_examples() -> None:
    (block,) = blocks("yaml", ROOT / "README.md")
    agent = as_config(block).config.agents["support"]
    assert [tool.definition.name for tool in ToolSet(agent.tool_entries).tools] == ["order_status"]
    assert agent.call_control == ("end_call", "escalate")


async def test_the_python_of_the_readme_makes_a_gateway() -> None:
    (block,) = blocks("python", ROOT / "README.md")
    namespace: dict[str, Any] = {"__name__": "shop"}
    run(block, namespace)
    gateway = namespace["gateway"]
    assert isinstance(gateway, Gateway)
    assert gateway.config.needs_emulator
    (tool,) = ToolSet(gateway.config.agents["support"].tool_entries).tools
    assert await tool.invoke({"order_id": "1234"}, CallContext(id="test")) == "shipped"


def test_the_page_on_python_works_from_top_to_bottom(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {"__name__": "shop"}
    for block in blocks("python", PYTHON_PAGE):
        run(block, namespace)
    gateway = namespace["gateway"]
    assert isinstance(gateway, Gateway)
    agent = gateway.config.agents["support"]
    assert [tool.definition.name for tool in ToolSet(agent.tool_entries).tools] == ["order_status"]
    definition = ToolSet(agent.tool_entries).tools[0].definition
    assert definition.description == "Look an order up by its number."
    assert list(definition.parameters["properties"]) == ["order_id"]

    async def serve() -> str:
        config = gateway.config.model_copy(update={"listen": gateway.config.listen._replace(port=0)})
        async with gateway.serving(config=config, observers=[namespace["Printer"]()]) as server:
            return server.url

    assert asyncio.run(serve()).startswith("ws://127.0.0.1:")


FOLDERS = [path for path in sorted(EXAMPLES.iterdir()) if path.is_dir() and path.name != "__pycache__"]


@pytest.fixture
def shop() -> ModuleType:
    return importlib.import_module("examples.order_status.shop")


def test_the_example_in_python_is_a_gateway(shop: ModuleType) -> None:
    assert isinstance(shop.gateway, Gateway)
    assert not shop.gateway.warnings
    assert isinstance(shop.order_status, PythonTool)


def test_the_example_in_yaml_is_the_one_in_python(shop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES / "order_status"))
    loaded = load_config(EXAMPLES / "order_status" / "offhook.yaml", environ={})
    assert loaded.warnings == ()
    ours, theirs = shop.gateway.config, loaded.config
    assert theirs.listen == ours.listen
    assert theirs.default_agent == ours.default_agent
    assert theirs.agents["support"].model_dump(exclude={"tools"}) == ours.agents["support"].model_dump(
        exclude={"tools"}
    )
    (from_python,), (from_yaml,) = (ToolSet(config.agents["support"].tool_entries).tools for config in (ours, theirs))
    assert from_yaml.definition == from_python.definition
    assert from_yaml.policy == from_python.policy


def test_the_configuration_of_the_repository_is_fine_with_and_without_keys() -> None:
    assert load_config(ROOT / "offhook.yaml", environ={}).config.needs_emulator
    assert load_config(ROOT / "offhook.yaml", environ={}).warnings == ()
    served = load_config(ROOT / "offhook.yaml", environ={**ENVIRONMENT, "OFFHOOK_LISTEN": "0.0.0.0:8080"})
    assert not served.config.needs_emulator
    assert served.warnings == ()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_scenarios_of_an_example_fit_together_and_are_shipped_as_speech(folder: Path) -> None:
    agent, caller = load_agent(folder / "agent.yaml"), load_caller(folder / "caller.yaml")
    assert [turn.caller for turn in agent.turns if turn.caller is not None] == texts(caller)
    shipped = set(shipped_texts())
    assert {(normalise(text), "agent") for text in agent.texts()} <= shipped
    assert {(normalise(text), "caller") for text in texts(caller)} <= shipped


def test_there_are_three_examples() -> None:
    assert [folder.name for folder in FOLDERS] == ["appointments", "front_desk", "order_status"]
    for folder in FOLDERS:
        files = {path.name for path in folder.iterdir()} - {"__pycache__"}
        assert {"offhook.yaml", "agent.yaml", "caller.yaml"} <= files
        assert files <= {"offhook.yaml", "agent.yaml", "caller.yaml", "backend.py", "shop.py"}


def test_the_schema_for_editors_is_json() -> None:
    shown = CliRunner().invoke(main, ["config", "schema"])
    assert shown.exit_code == 0
    assert "agents" in json.loads(shown.stdout)["properties"]
