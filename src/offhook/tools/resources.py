"""What the tools of one process share: opened when the gateway starts, closed when it stops."""

from dataclasses import dataclass, field

from offhook.tools.http_clients import HttpClients


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResources:
    """Handed to every `ToolSource` when it is opened."""

    http: HttpClients = field(default_factory=HttpClients)
