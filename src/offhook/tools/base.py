"""What a tool is, what it may answer, and what it gets to know of the call it runs for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from offhook.tools.redaction import parse_path

if TYPE_CHECKING:
    from offhook.tools.resources import ToolResources

#: Longest name that the Realtime API takes for a function.
MAX_NAME_CHARS = 64
#: What a result may have unless its tool says otherwise; it is context for every later turn.
MAX_RESULT_BYTES = 16 * 1024


class ToolError(Exception):
    """A tool says why it could not do its work; raise it with a text that the model may read and repeat.

    The text of every other exception is kept from the model and from the log. "There is no such order" is a ToolError:
    the back end answered, and the tool goes on being run.
    """


class ToolUnavailable(ToolError):
    """What the tool needs does not work: it cannot be reached, does not answer in time, or fails.

    A tool that raises this several times in a row is left alone for a while; so is one that does not answer in time,
    and one that raises anything but a ToolError.
    """


class ArgumentsRefused(ToolError):
    """The arguments do not fit: the model has to call the tool with others. Says nothing about what the tool needs."""


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
    invocation_id: str = ""
    """Of this run of a tool: the same however often a request is repeated, never the same for two. Empty in templates.
    Pass it on as an idempotency key."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What the model is told about a function."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPolicy:
    """What the runner keeps to when it runs a tool."""

    timeout: float | None = None
    """Seconds for one call; None = the gateway's own limit."""
    confirm: bool = False
    """The caller has to say yes first; `bridge` sees to it."""
    redact: tuple[str, ...] = ()
    """Paths of what is taken out of the result, like ``customers[*].ssn``."""
    max_result_bytes: int = MAX_RESULT_BYTES

    def __post_init__(self) -> None:
        """Refuse paths that cannot be read, with a ValueError: they would take nothing out."""
        for path in self.redact:
            parse_path(path)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """More than a text: what a tool may return to set output variables or to end the call."""

    content: Any = ""
    """What the model reads: text as it is, everything else as JSON."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Output variables to set; the agent must declare them."""
    end_call: str | None = None
    """Ends the call after a goodbye, for this reason."""
    escalate: str | None = None
    """Hands the caller over to a person, for this reason."""
    target: str = ""
    """Whom to connect the caller with."""


@runtime_checkable
class Tool(Protocol):
    """A function that the model may call."""

    @property
    def definition(self) -> ToolDefinition:
        """What the model is told about it."""

    @property
    def policy(self) -> ToolPolicy:
        """What the runner keeps to."""

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> str | ToolResult:
        """Do the work and return what the model gets to read; ToolError says why it could not be done."""


@runtime_checkable
class ToolSource(Protocol):
    """Tools that need something to be opened, or are only known once it is: an entry of an agent's ``tools``."""

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools that can be used at the moment; read when a call begins, so it never waits."""

    async def open(self, resources: "ToolResources") -> None:
        """Begin to use what the gateway offers: returns when the tools are there, or when the first try has failed.

        Whatever fails is tried again beside the calls. The gateway takes no calls before all sources have returned, but
        does not wait for long (`ToolSources.open`).
        """

    async def close(self) -> None:
        """Give everything back."""
