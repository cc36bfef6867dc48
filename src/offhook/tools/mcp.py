"""MCP servers as entries of an agent's ``tools``: offhook talks to them, or OpenAI does (``hosted: true``)."""

import dataclasses
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from msgspec import UNSET
from pydantic import AfterValidator, BaseModel, Discriminator, Field, SecretStr, Tag, model_validator
from pydantic_core import PydanticCustomError

from offhook.realtime import ApprovalFilter, McpTool, ToolFilter
from offhook.tools.base import ToolError, ToolPolicy
from offhook.tools.mcp_server import McpServer
from offhook.tools.settings import EITHER, Plain, Settings, Structured, ToolSettings

#: Stands for every tool of a hosted server.
ANY_TOOL = "*"
# The transports set these themselves.
_RESERVED_HEADERS = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "host"})


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise PydanticCustomError("mcp_url", "should be https://HOST/path; credentials belong into headers")
    return url


def _check_headers(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in headers.items():
        text = name + value.get_secret_value()
        if not name or name.lower() in _RESERVED_HEADERS or not text.isascii() or not text.isprintable():
            raise PydanticCustomError("mcp_headers", "there is a header that cannot be sent")
    return headers


def _check_environment(environment: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value.get_secret_value():
            raise PydanticCustomError("mcp_env", "there is a variable that cannot be set")
    return environment


ServerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
ServerUrl = Annotated[str, AfterValidator(_check_url)]
Headers = Annotated[Mapping[str, SecretStr], AfterValidator(_check_headers)]
Names = Annotated[Sequence[Annotated[str, Field(min_length=1)]], AfterValidator(tuple)]


class McpClientSettings(ToolSettings):
    """An MCP server that offhook talks to; its tools are called ``NAME__TOOL``."""

    hosted: Literal[False] = Field(default=False, description="Chooses this form; may be left out.")
    name: ServerName = Field(description="Begins the names of the functions; letters, digits, _ and -.")
    url: ServerUrl | None = Field(default=None, description="Address of a server with streamable HTTP.")
    headers: Headers = Field(default={}, description="Headers of every request, for example Authorization.")
    command: Annotated[Sequence[str], AfterValidator(tuple)] = Field(
        default=(), description="Program and arguments of a server with stdio, instead of url."
    )
    env: Annotated[Mapping[str, SecretStr], AfterValidator(_check_environment)] = Field(
        default={}, description="Environment of the program; beside it there are only PATH, HOME and LANG."
    )
    cwd: str | None = Field(default=None, min_length=1, description="Directory of the program.")
    tools: Names | None = Field(default=None, description="Tools that the agent may use; left out: all of them.")
    confirm: bool | Names = Field(  # type: ignore[assignment]  # a server has several tools
        default=False, description="Tools that are run only after the caller has said yes; true for all of them."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.url is None) == (not self.command):
            raise PydanticCustomError("mcp_server", "an MCP server has either a url or a command")
        if self.command and not self.command[0]:
            raise PydanticCustomError("mcp_server", "the command has no program")
        if self.url is None and self.headers:
            raise PydanticCustomError("mcp_server", "headers go with a url; a command has env")
        if self.url is not None and (self.env or self.cwd):
            raise PydanticCustomError("mcp_server", "env and cwd go with a command; a url has headers")
        _check_names(self.confirm if isinstance(self.confirm, tuple) else (), self.tools, "confirm")
        return self

    def policy_of(self, tool: str) -> ToolPolicy:
        """Return what the runner has to keep to when it runs a tool of the server."""
        confirm = tool in self.confirm if isinstance(self.confirm, tuple) else bool(self.confirm)
        return dataclasses.replace(self.policy(), confirm=confirm)


class ApprovalSettings(Settings):
    """Which calls OpenAI makes only with leave, and which without."""

    always: Names = Field(default=(), description="Tools that need leave each time.")
    never: Names = Field(default=(), description="Tools that need none.")


class HostedMcpSettings(Settings):
    """An MCP server that OpenAI talks to."""

    hosted: Literal[True] = Field(description="Chooses this form.")
    name: ServerName = Field(description="The label by which the model knows the server.")
    url: ServerUrl = Field(description="Address of the server; OpenAI must be able to reach it.")
    description: str = Field(default="", description="Tells the model what the server is for.")
    headers: Headers = Field(default={}, description="Headers that OpenAI sends to the server.")
    authorization: SecretStr | None = Field(default=None, description="OAuth access token for the server.")
    tools: Names | None = Field(default=None, description="Tools that the model may use; left out: all of them.")
    approval: Annotated[
        Annotated[Literal["never", "always"], Plain] | Annotated[ApprovalSettings, Structured], EITHER
    ] = Field(default="never", description="Which calls OpenAI asks leave for.")
    approve: Names = Field(
        default=(), description="Tools for which leave is given when OpenAI asks, * for all; it is denied for others."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.approve and self.approval == "never":
            raise PydanticCustomError("mcp_approval", "approve is of no use where approval is never: nobody asks")
        _check_names([name for name in self.approve if name != ANY_TOOL], self.tools, "approve")
        return self


def _check_names(names: Sequence[str], tools: Sequence[str] | None, setting: str) -> None:
    unknown = [name for name in names if tools is not None and name not in tools]
    if unknown:
        raise PydanticCustomError(
            "mcp_tools",
            "{setting} names {unknown}, which is not among tools",
            {"setting": setting, "unknown": unknown[0]},
        )


def _runs_at(value: Any) -> str:
    """Choose the form, so that an error speaks of the one that was meant."""
    hosted = value.get("hosted") if isinstance(value, dict) else getattr(value, "hosted", False)
    return "(hosted)" if hosted is True else "(client)"


class McpEntry(Settings):
    """An MCP server, whose tools the agent may use."""

    mcp: Annotated[
        Annotated[McpClientSettings, Tag("(client)")] | Annotated[HostedMcpSettings, Tag("(hosted)")],
        Discriminator(_runs_at),
    ]

    def resolve(self) -> "McpServer | HostedMcp":
        """Return the server; ToolError says what is missing to use it."""
        settings = self.mcp
        if isinstance(settings, HostedMcpSettings):
            return HostedMcp(settings, self)
        try:
            importlib.metadata.version("mcp")
        except importlib.metadata.PackageNotFoundError:
            raise ToolError('an MCP server needs a package that is not installed: pip install "offhook[mcp]"') from None
        return McpServer(settings, self)


class HostedMcp:
    """An MCP server that OpenAI talks to: a part of the session's settings, and no tool of ours."""

    def __init__(self, settings: HostedMcpSettings, entry: BaseModel | None = None) -> None:
        self.settings = settings
        self.entry = entry
        self.name = settings.name

    @property
    def approved(self) -> frozenset[tuple[str, str]]:
        """Server label and tool name of the calls for which leave is given; ``*`` is any tool."""
        return frozenset((self.name, tool) for tool in self.settings.approve)

    def session_tool(self) -> McpTool:
        """Return the entry of ``session.tools`` (openai-realtime.md §5.4)."""
        settings = self.settings
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        return McpTool(
            server_label=settings.name,
            server_url=settings.url,
            server_description=settings.description or UNSET,
            authorization=settings.authorization.get_secret_value() if settings.authorization else UNSET,
            headers=headers or UNSET,
            allowed_tools=UNSET if settings.tools is None else tuple(settings.tools),
            require_approval=_approval(settings.approval),
        )


def _approval(approval: str | ApprovalSettings) -> str | ApprovalFilter:
    if isinstance(approval, str):
        return approval
    return ApprovalFilter(
        always=ToolFilter(tool_names=tuple(approval.always)) if approval.always else UNSET,
        never=ToolFilter(tool_names=tuple(approval.never)) if approval.never else UNSET,
    )
