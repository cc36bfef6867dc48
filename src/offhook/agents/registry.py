"""Finds the agent that a Connector ID names."""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from offhook.agents.agent import Agent
from offhook.agents.connector import ConnectorPath
from offhook.agents.errors import AGENT_NOT_ALLOWED, NO_DEFAULT_AGENT, UNKNOWN_CONNECTOR, PlanError

# A Connector ID is an expression in Architect, so it may hold anything, a caller's number included. Only what looks
# like a name, without a long run of digits, is repeated in an error.
_LOOKS_LIKE_A_NAME = re.compile(r"(?!.*\d{4})[A-Za-z][\w./-]{0,63}", re.ASCII)


class AgentRegistry:
    """All agents by name; a name is a Connector ID."""

    def __init__(self, agents: Mapping[str, Agent], default_agent: str | None = None) -> None:
        if default_agent is not None and default_agent not in agents:
            raise ValueError("the default agent is not among the agents")
        self._agents = dict(agents)
        self._default_agent = default_agent

    @property
    def agents(self) -> Mapping[str, Agent]:
        """All agents by name."""
        return MappingProxyType(self._agents)

    def resolve(self, connector: ConnectorPath, allowed: Collection[str] | None = None) -> tuple[str, Agent]:
        """Return the agent and its name; ``allowed`` limits the choice to a key's agents.

        Path parts that name an agent together win over the first alone: ``sales/eu`` before ``sales``.
        PlanError says what is known to be wrong, but not which agents there are.
        """
        name = self._name(connector) or self._default_agent
        if name is None:
            raise PlanError(NO_DEFAULT_AGENT, "the URI names no agent, and there is no default_agent")
        agent = self._agents.get(name)
        if agent is None:
            shown = f'"{name}"' if _LOOKS_LIKE_A_NAME.fullmatch(name) else "so"
            raise PlanError(UNKNOWN_CONNECTOR, f"no agent is called {shown}; check the Connector ID")
        if allowed is not None and name not in allowed:
            raise PlanError(AGENT_NOT_ALLOWED, "the API key may not use this agent")
        return name, agent

    def _name(self, connector: ConnectorPath) -> str:
        parts = (connector.connector_id, *connector.path)
        names = ("/".join(parts[:count]) for count in range(len(parts), 1, -1))
        return next((name for name in names if name in self._agents), connector.connector_id)
