"""What a demo plays: a gateway, a model and a caller that fit together - our own, or those of a folder.

A folder holds `offhook.yaml`, `agent.yaml` (what the emulated model says), `caller.yaml` (what the simulated caller
does), and may hold `backend.py` with an async context manager `backend()`: it serves whatever the tools of the agent
call and gives the environment that `offhook.yaml` is read with.
"""

import base64
import contextlib
import importlib.util
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import SecretStr

from offhook.config import (
    Config,
    ConfigError,
    HostPort,
    KeyConfig,
    Mark,
    Problem,
    ProviderConfig,
    RealtimeConfig,
    load_config,
)
from offhook.config.problems import UNREADABLE
from offhook.demo import shop
from offhook.emulator.scenario import Scenario as AgentScenario
from offhook.emulator.scenario import load_scenario as load_agent
from offhook.simulator.scenario import load_scenario as load_caller
from offhook.simulator.script import Scenario as CallerScenario

BACKEND = "backend.py"


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a demo needs; `config` is made for the URL of the emulator."""

    agent: AgentScenario
    caller: CallerScenario
    config: Config
    key: str
    secret: str

    def served_by(self, realtime_url: str) -> Config:
        """Return the configuration with the emulator as its only provider, on a free port of this machine."""
        provider = ProviderConfig(name="emulator", url=realtime_url, api_key=SecretStr("demo"))
        key = KeyConfig.model_validate({"id": self.key, "secret": self.secret})
        return self.config.model_copy(
            update={
                "listen": HostPort("127.0.0.1", 0),
                "public_url": None,
                "tls": None,
                "keys": (key,),
                "realtime": RealtimeConfig(providers=(provider,)),
            }
        )


@contextlib.asynccontextmanager
async def open_scene(folder: Path | None, environ: Mapping[str, str] | None = None) -> AsyncIterator[Scene]:
    """Get everything ready while the block runs.

    Args:
        folder: Where the files are; None = the demo of the package.
        environ: Environment of the configuration; None = that of the process.

    Raises:
        ConfigError: a file is missing or wrong.
    """
    key, secret = "demo-key", base64.b64encode(secrets.token_bytes(32)).decode()
    if folder is None:
        with resources.as_file(resources.files("offhook.demo")) as files:
            agent, caller = load_agent(files / "agent.yaml"), load_caller(files / "caller.yaml")
        yield Scene(
            agent, caller, shop.gateway(key=key, secret=secret, realtime_url="ws://127.0.0.1").config, key, secret
        )
        return
    agent, caller = load_agent(folder / "agent.yaml"), load_caller(folder / "caller.yaml")
    async with _backend(folder) as more:
        with _importable(folder):
            loaded = load_config(
                folder / "offhook.yaml", environ={**(os.environ if environ is None else environ), **more}
            )
            yield Scene(agent, caller, loaded.config, key, secret)


@contextlib.asynccontextmanager
async def _backend(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    file = folder / BACKEND
    if not file.exists():
        yield {}
        return
    spec = importlib.util.spec_from_file_location("offhook_demo_backend", file)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it is a Python file
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        backend = module.backend()
    except Exception as error:  # whatever the file does when it is imported
        raise ConfigError(
            [Problem(UNREADABLE, Mark(str(file)), "", f"cannot be used ({type(error).__name__})")]
        ) from error
    async with backend as environ:
        yield environ


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let Python tools be found beside the configuration."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
