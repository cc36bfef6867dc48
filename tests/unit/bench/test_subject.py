"""The gateway of a bench: its configuration is one that it takes, and its tools do what they are for."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from offhook.bench import tools
from offhook.bench.counting import Census
from offhook.bench.subject import CENSUS, OUTPUTS, SubjectFailed, configuration, line_name, serving
from offhook.config import load_config
from offhook.tools import CallContext, PythonTool, ToolError


def test_the_configuration_is_one_that_the_gateway_takes(tmp_path: Path) -> None:
    file = tmp_path / "offhook.yaml"
    file.write_text(json.dumps(configuration(3, [9001, 9002])))
    config = load_config(file).config
    assert set(config.agents) == {*map(line_name, range(3)), CENSUS}
    assert [provider.url for provider in config.usable_providers] == [
        "ws://127.0.0.1:9001/v1/realtime",
        "ws://127.0.0.1:9002/v1/realtime",
    ]
    agent = config.agents["line-002"]
    assert agent.model == "line-002"
    assert set(agent.outputs) == set(OUTPUTS)
    assert config.agents[CENSUS].greeting is None


async def invoke(tool: object) -> object:
    assert isinstance(tool, PythonTool)
    arguments = {"order": "7"} if tool is not tools.census else {}
    return await tool.invoke(arguments, CallContext(id="1"))


async def test_tools_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "SLOW", 0.0)
    monkeypatch.setattr(tools, "STALL", 0.0)
    for tool in (tools.lookup, tools.slow, tools.stall):
        assert await invoke(tool) == "order 7 is on its way"


async def test_tools_that_do_not() -> None:
    with pytest.raises(SystemExit):
        await invoke(tools.crash)
    with pytest.raises(ToolError):
        await invoke(tools.fail)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(invoke(tools.hang), 0.01)
    assert all(isinstance(getattr(tools, name), PythonTool) for name in tools.TOOLS)


async def test_a_census_counts_tasks_sockets_and_memory() -> None:
    before = Census(**json.loads(str(await invoke(tools.census))))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    waiting = asyncio.create_task(asyncio.Event().wait(), name="leak")
    await asyncio.sleep(0)
    after = Census(**tools.take_census())
    assert after.more_than(before) == ["tasks: 1 more of Event.wait", "sockets: 1 more are open"]
    assert before.memory is not None
    assert before.memory > 1_000_000
    waiting.cancel()
    server.close()
    await server.wait_closed()


def test_what_the_system_does_not_tell() -> None:
    assert tools.open_sockets(os.getpid()) is not None
    nobody = 2**22 + 1
    assert tools.open_sockets(nobody) is None
    assert tools.memory(nobody) is None


async def test_a_gateway_that_does_not_start(tmp_path: Path) -> None:
    config = configuration(1, [9001]) | {"listen": "nowhere"}
    with pytest.raises(SubjectFailed, match=r"does not start: .*OH-CONF"):
        async with serving(config, tmp_path, in_process=False):
            pass


async def test_a_gateway_that_ends_by_itself(tmp_path: Path) -> None:
    with pytest.raises(SubjectFailed, match="ended with status -9"):
        async with serving(configuration(1, [9001]), tmp_path, in_process=False) as subject:
            os.kill(subject.process, signal.SIGKILL)
