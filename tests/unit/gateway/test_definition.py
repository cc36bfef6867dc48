import asyncio
import os
import signal

import pytest
import structlog

from offhook import Agent, Gateway
from offhook.config import Config, ConfigError
from offhook.gateway import definition
from offhook.gateway.server import GatewayServer

AGENT = Agent(instructions="Talk.")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GENESYS_API_KEY", "GENESYS_CLIENT_SECRET", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_agents_alone_are_enough() -> None:
    gateway = Gateway(agents={"support": AGENT})
    assert gateway.config.agents == {"support": AGENT}
    assert gateway.config.needs_emulator
    assert [problem.code for problem in gateway.warnings] == ["OH-CONF-55"]


def test_the_environment_fills_in_who_may_call_and_who_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_API_KEY", "g-key")
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", "Z2VuZXN5cw==")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    config = Gateway(agents={"support": AGENT}).config
    assert config.keys[0].key().id == "g-key"
    assert config.keys[0].key().secrets == (b"genesys",)
    (provider,) = config.usable_providers
    assert provider.url == definition.OPENAI_URL
    assert provider.resolved_kind == "openai"


def test_every_setting_of_the_file_can_be_given() -> None:
    gateway = Gateway(
        agents={"support": AGENT},
        keys=[{"id": "k"}],
        providers=[{"name": "p", "url": "ws://localhost/realtime"}],
        listen="127.0.0.1:0",
        default_agent="support",
        base_path="/in",
        limits={"max_calls": 3},
    )
    assert (gateway.config.base_path, gateway.config.limits.max_calls, gateway.config.listen.port) == ("/in", 3, 0)
    assert not gateway.config.needs_emulator
    assert not gateway.warnings


def test_settings_of_the_realtime_leg_go_with_any_providers() -> None:
    provider = {"name": "p", "url": "ws://localhost/realtime"}
    warm = {"warm": {"size": 2}}
    for gateway in (
        Gateway(agents={"support": AGENT}, providers=[provider], realtime=warm),
        Gateway(agents={"support": AGENT}, realtime={"providers": [provider], **warm}),
    ):
        assert [one.name for one in gateway.config.realtime.providers] == ["p"]
        assert gateway.config.realtime.warm.size == 2
    assert Gateway(agents={"support": AGENT}, realtime=warm).config.realtime.providers[0].url == definition.OPENAI_URL
    with pytest.raises(ConfigError, match="realtime"):
        Gateway(agents={"support": AGENT}, realtime="warm")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Gateway(agents={"support": AGENT}, keys=[{"id": "k", "secret": "not base64!"}], listen="nowhere", speed=2)
    text = str(caught.value)
    assert {problem.path for problem in caught.value.problems} >= {"listen", "speed"}
    assert "not base64!" not in text


def test_a_default_agent_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="default_agent"):
        Gateway(agents={"support": AGENT}, default_agent="sales")


def test_a_configuration_becomes_a_gateway() -> None:
    config = Config.model_validate({"agents": {"support": AGENT}})
    assert Gateway.from_config(config).config is config


async def serve_until(gateway: Gateway, *signals: signal.Signals) -> None:
    started = asyncio.Event()
    original = GatewayServer.start

    async def start(self: GatewayServer) -> None:
        await original(self)
        started.set()

    GatewayServer.start = start  # type: ignore[method-assign]
    try:
        async with asyncio.timeout(5):
            serving = asyncio.ensure_future(gateway.serve())
            await started.wait()
            await asyncio.sleep(0)
            for number in signals:
                os.kill(os.getpid(), number)
            await serving
    finally:
        GatewayServer.start = original  # type: ignore[method-assign]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(number: signal.Signals) -> None:
    try:
        await serve_until(Gateway(agents={"support": AGENT}, listen="127.0.0.1:0"), number)
        assert structlog.is_configured()
    finally:
        structlog.reset_defaults()


async def test_a_second_signal_hurries(monkeypatch: pytest.MonkeyPatch) -> None:
    draining = asyncio.Event()

    async def drain(self: GatewayServer, seconds: float | None = None) -> None:
        draining.set()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(GatewayServer, "drain", drain)
    try:
        await serve_until(Gateway(agents={"support": AGENT}, listen="127.0.0.1:0"), signal.SIGTERM)
    finally:
        structlog.reset_defaults()
    assert draining.is_set()
