import contextlib
import socket
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from offhook import Agent
from offhook.config import Config
from offhook.gateway import generation as module
from offhook.gateway.server import GatewayServer
from offhook.tools import ToolLimits, ToolResources
from tests.unit.tools.fakes import Source


class Noted(Source):
    """Notes when it is opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[ToolResources] = []
        self.closed = 0

    async def open(self, resources: ToolResources) -> None:
        self.opened.append(resources)
        assert not resources.http.session().closed

    async def close(self) -> None:
        self.closed += 1


class Broken(Noted):
    """Cannot be opened."""

    async def open(self, resources: ToolResources) -> None:
        await super().open(resources)
        raise RuntimeError


@pytest.fixture
def taken_port() -> Iterator[int]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        yield taken.getsockname()[1]


def configured(*sources: Source, port: int = 0) -> Config:
    agents = {name: Agent(instructions="Talk.", tools=sources) for name in ("support", "sales")}
    return Config.model_validate({"agents": agents, "listen": f"127.0.0.1:{port}"})


async def test_what_tools_need_is_there_while_the_gateway_runs() -> None:
    source, broken = Noted(), Broken()
    with capture_logs() as logs:
        async with GatewayServer(configured(source, broken)) as server:
            assert server.port
            ((resources,), closed) = (source.opened, source.closed)  # once, for both agents
            assert closed == 0
            session = resources.http.session()
    assert (source.closed, broken.closed, len(broken.opened)) == (1, 1, 1)
    assert session.closed
    assert [line["code"] for line in logs if "code" in line] == ["OH-TOOL-01"]


async def test_a_gateway_that_cannot_listen_leaves_nothing_open(taken_port: int) -> None:
    source = Noted()
    with pytest.raises(OSError, match="address"):
        await GatewayServer(configured(source, port=taken_port)).start()
    assert source.closed == 1


def test_the_limits_of_tools_are_those_of_the_configuration() -> None:
    agents = {"support": Agent(instructions="Talk.")}
    limits = {"tool_timeout": 3, "max_tool_calls": 4, "max_running_tools": 5}
    config = Config.model_validate({"agents": agents, "limits": limits})
    assert module._tool_sets(config)["support"]._limits == ToolLimits(timeout=3, max_calls=4, max_running=5)
    defaults = module._tool_sets(Config.model_validate({"agents": agents}))["support"]._limits
    assert defaults == ToolLimits()
