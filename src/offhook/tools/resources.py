"""What the tools of one process share: opened when the gateway starts, closed when it stops."""

from dataclasses import dataclass, field

from offhook.genesys import PlatformApi
from offhook.tools.http_clients import HttpClients


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResources:
    """Handed to every `ToolSource` when it is opened."""

    http: HttpClients = field(default_factory=HttpClients)
    genesys: PlatformApi | None = None
    """None if it is not configured."""
    tool_timeout: float = 20.0
    """Seconds that a tool has for one call unless its own settings say otherwise."""
