"""What a tool is, and what it gets to know of the call it runs for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

#: Longest name that the Realtime API takes for a function.
MAX_NAME_CHARS = 64


class ToolError(Exception):
    """A tool says why it could not do its work; raise it with a text that the model may read and repeat.

    The text of every other exception is kept from the model and from the log.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """The call that a tool runs for, or that a template is rendered for; caller data stays out of its ``repr``."""

    id: str
    """Our ID of the call, as in ``OFFHOOK_CALL_ID``."""
    conversation_id: str = ""
    organization_id: str = ""
    agent: str = ""
    """Name of the agent in the configuration."""
    connector_id: str = ""
    """As Genesys dialled it; empty where the default agent answers the bare base path."""
    path: tuple[str, ...] = ()
    """Path parts after the Connector ID."""
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    ani: str = field(default="", repr=False)
    """The caller's number, without ``tel:``; may be empty."""
    ani_name: str = field(default="", repr=False)
    dnis: str = field(default="", repr=False)
    """The number that was dialled, without ``tel:``."""
    language: str = ""
    """Like ``en-us``; empty if Genesys did not say."""
    inputs: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Input variables, with the defaults of those that the flow did not pass."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What the model is told about a function."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of an object."""


@runtime_checkable
class Tool(Protocol):
    """A function that the model may call."""

    @property
    def definition(self) -> ToolDefinition:
        """What the model is told about it."""

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> str:
        """Do the work and return what the model gets to read; ToolError says why it could not be done."""
