"""Who answers a call: agents, how they are found, and what a call is told of them."""

from offhook.agents.agent import Agent
from offhook.agents.connector import ConnectorPath
from offhook.agents.errors import PlanError
from offhook.agents.planning import call_context, plan_call, warm_session
from offhook.agents.registry import AgentRegistry
from offhook.agents.safety import safety_identifier

__all__ = [
    "Agent",
    "AgentRegistry",
    "ConnectorPath",
    "PlanError",
    "call_context",
    "plan_call",
    "safety_identifier",
    "warm_session",
]
