"""`Gateway`: a gateway defined in Python, with the same settings as `offhook.yaml`."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

import structlog
from pydantic import ValidationError

from offhook.agents import Agent
from offhook.config import Config, ConfigError, KeyConfig, Mark, Problem, ProviderConfig
from offhook.config.checks import GENESYS_FIX, NO_GENESYS, check_advice
from offhook.config.document import Document
from offhook.config.explain import explain
from offhook.config.problems import TOOL, UNKNOWN_AGENT
from offhook.gateway.observer import CallObserver
from offhook.gateway.reloading import ServerControl
from offhook.gateway.server import GatewayServer, Shared
from offhook.gateway.signals import stopped_by_signal
from offhook.telemetry.logging import configure
from offhook.tools import DataAction

OPENAI_URL = "wss://api.openai.com/v1/realtime"


class Gateway:
    """Agents and the settings of the port that they are called at.

    ``Gateway(agents={"support": Agent(instructions="…")})`` is enough; serve it with ``offhook serve module:attribute``
    or ``await gateway.serve()``.

    Args:
        agents: by Connector ID.
        keys: who may call, each with `id` and mostly `secret`; by default the environment's GENESYS_API_KEY and
            GENESYS_CLIENT_SECRET.
        providers: Realtime APIs in order of preference; by default OpenAI with the environment's OPENAI_API_KEY.
        listen: HOST:PORT of the call port.
        default_agent: answers the bare base path.
        settings: any other setting of `offhook.yaml`, for example `base_path`, `limits` or `realtime` with `warm`.

    Raises:
        ConfigError: with everything that is wrong.
    """

    def __init__(
        self,
        *,
        agents: Mapping[str, Agent],
        keys: Sequence[KeyConfig | Mapping[str, Any]] | None = None,
        providers: Sequence[ProviderConfig | Mapping[str, Any]] | None = None,
        listen: str | None = None,
        default_agent: str | None = None,
        **settings: Any,
    ) -> None:
        given: dict[str, Any] = {
            **settings,
            "agents": dict(agents),
            "keys": _keys_of_environment() if keys is None else keys,
            "realtime": _realtime(settings.get("realtime", {}), providers),
            "default_agent": default_agent,
        }
        if listen is not None:
            given["listen"] = listen
        try:
            self.config = Config.model_validate(given)
        except ValidationError as error:
            raise ConfigError(explain(error, _document(), Config)) from None
        if default_agent is not None and default_agent not in agents:
            raise ConfigError([_unknown_default()])
        if self.config.genesys is None and (without := _data_actions(agents)):
            raise ConfigError([Problem(TOOL, Mark("the gateway"), path, NO_GENESYS, GENESYS_FIX) for path in without])

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Make a gateway of a configuration that was read from a file."""
        gateway = cls.__new__(cls)
        gateway.config = config
        return gateway

    @property
    def warnings(self) -> Sequence[Problem]:
        """What is worth a second look."""
        return check_advice(self.config, _document())

    @contextlib.asynccontextmanager
    async def serving(
        self,
        *,
        observers: Sequence[CallObserver] = (),
        config: Config | None = None,
        shared: Shared | None = None,
    ) -> AsyncIterator[GatewayServer]:
        """Take calls while the block runs; at its end, calls that are left are cut off.

        Args:
            observers: watch the calls.
            config: takes the place of the gateway's own.
            shared: with which other processes this one makes up the gateway.
        """
        taken = self.config if config is None else config
        async with GatewayServer(taken, observers=observers, shared=shared) as server:
            yield server

    async def serve(self, *, observers: Sequence[CallObserver] = ()) -> None:
        """Take calls until SIGTERM or SIGINT, then drain; a second signal ends the calls at once.

        This is one process, whatever `workers` says; `offhook serve` starts several. Sets logging up as the
        configuration says, unless structlog has been set up already.
        """
        if not structlog.is_configured():
            configure(style=self.config.log.format, level=self.config.log.level)
        async with self.serving(observers=observers) as server:
            control = ServerControl(server)
            await stopped_by_signal(server, {"SIGHUP": control.reload})


def _keys_of_environment() -> list[dict[str, Any]]:
    key = os.environ.get("GENESYS_API_KEY")
    return [{"id": key, "secret": os.environ.get("GENESYS_CLIENT_SECRET", "")}] if key else []


def _providers_of_environment() -> list[dict[str, Any]]:
    return [{"name": "openai", "url": OPENAI_URL, "api_key": os.environ.get("OPENAI_API_KEY", "")}]


def _realtime(settings: Any, providers: Sequence[ProviderConfig | Mapping[str, Any]] | None) -> Any:
    if not isinstance(settings, Mapping):
        return settings  # for the schema to complain of
    if providers is None:
        return {"providers": _providers_of_environment(), **settings}
    return {**settings, "providers": providers}


def _data_actions(agents: Mapping[str, Agent]) -> list[str]:
    return [
        f"agents.{name}.tools"
        for name, agent in agents.items()
        if any(isinstance(entry, DataAction) for entry in agent.tool_entries)
    ]


def _document() -> Document:
    return Document("", "the gateway", {})


def _unknown_default() -> Problem:
    return Problem(UNKNOWN_AGENT, Mark("the gateway"), "default_agent", "there is no such agent")
