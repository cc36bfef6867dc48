"""Data actions of Genesys Cloud as tools: what Architect flows call, the agent can call too."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from offhook.genesys import (
    Action,
    NotPermitted,
    PlatformApi,
    PlatformError,
    RateLimited,
    Refused,
    SignInRefused,
    UnknownAction,
    Unreachable,
    Unreadable,
)
from offhook.tools.action_schema import function_description, function_name, function_parameters
from offhook.tools.base import (
    MAX_NAME_CHARS,
    CallContext,
    Tool,
    ToolDefinition,
    ToolError,
    ToolPolicy,
    ToolResult,
    ToolUnavailable,
)
from offhook.tools.call_control import RESERVED_NAMES
from offhook.tools.pointer import PointerError, resolve_pointer
from offhook.tools.resources import ToolResources
from offhook.tools.settings import ResponseSettings, Settings

UNUSABLE_CONTRACT = "OH-GEN-09"

#: The tool gives up so much before the runner does, because it knows better what to tell the model.
_MARGIN = 0.5

_NOTHING_DONE = "nothing was done"
_PERHAPS_DONE = "it may have been done all the same, so do not call this again"

_log = structlog.get_logger(component="offhook.tools.data_action")


def _check_id(action_id: str) -> str:
    if not action_id.isprintable() or " " in action_id or action_id in (".", ".."):
        raise PydanticCustomError("data_action_id", "should be the ID of a data action, like custom_-_0c9a1c2e-…")
    return action_id


def _check_name(name: str) -> str:
    if name in RESERVED_NAMES:
        raise PydanticCustomError("tool_name", "the name of the tool is one of call control")
    return name


def _check_parameters(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return function_parameters(schema)
    except ValueError as error:
        raise PydanticCustomError("tool_schema", "{problem}", {"problem": str(error)}) from error


class DataActionSettings(ResponseSettings):
    """A data action as a tool."""

    id: Annotated[str, AfterValidator(_check_id)] = Field(
        min_length=1, max_length=200, description="ID of the action; Genesys shows it in the URL of the action's page."
    )
    name: Annotated[str, AfterValidator(_check_name)] | None = Field(
        default=None,
        pattern=rf"^[A-Za-z0-9_-]{{1,{MAX_NAME_CHARS}}}$",
        description="Of the function, for the model; left out: made of the action's name.",
    )
    description: str | None = Field(
        default=None, min_length=1, description="What it does, for the model; left out: what its contract says."
    )
    parameters: Annotated[Mapping[str, Any], AfterValidator(_check_parameters)] | None = Field(
        default=None, description="JSON schema of the arguments; left out: the action's input contract."
    )
    idempotent: bool = Field(
        default=False, description="Running it twice does no harm, so it is tried again if there is no answer."
    )


class DataActionEntry(Settings):
    """A data action of Genesys Cloud; needs the section `genesys`."""

    data_action: DataActionSettings

    def resolve(self) -> "DataAction":
        """Make the tool."""
        return DataAction(self)


@dataclass(frozen=True, slots=True)
class Pace:
    """When Genesys is asked what an action is; seconds."""

    refresh: float = 3600.0
    """After it was found out, because it may change."""
    first: float = 1.0
    """After the first failure; each further one doubles it."""
    most: float = 300.0


class DataAction:
    """Where one data action comes from: its tool is there as soon as its contract is known.

    Args:
        entry: how it was written.
        pace: when Genesys is asked.
    """

    def __init__(self, entry: DataActionEntry, *, pace: Pace | None = None) -> None:
        self.entry = entry
        self._settings = entry.data_action
        self._pace = pace or Pace()
        self._tool: _ActionTool | None = None
        self._asking: asyncio.Task[None] | None = None
        self._users = 0
        self._trouble = ""

    @property
    def tools(self) -> Sequence[Tool]:
        """The tool, if it can be offered."""
        return () if self._tool is None else (self._tool,)

    async def open(self, resources: ToolResources) -> None:
        """Find out what the action is; if Genesys cannot tell at once, it is asked again beside the calls."""
        self._users += 1
        if self._users > 1:
            return
        platform, settings = resources.genesys, self._settings
        if platform is None:
            _log.error("data action not offered", action=settings.id, problem="there is no section genesys")
            return
        limit = settings.timeout or resources.tool_timeout
        if settings.name is not None and settings.parameters is not None:
            definition = ToolDefinition(settings.name, settings.description or settings.name, settings.parameters)
            self._tool = _ActionTool(platform, settings, definition, limit)
            if settings.description is not None:
                return
        asked = asyncio.Event()
        self._asking = asyncio.create_task(self._keep_asking(platform, limit, asked), name=f"data action {settings.id}")
        await asked.wait()

    async def close(self) -> None:
        """Stop asking."""
        self._users -= 1
        if self._users > 0:
            return
        self._tool = None
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait([asking])

    async def _keep_asking(self, platform: PlatformApi, limit: float, asked: asyncio.Event) -> None:
        """Ask until the process ends; `asked` is set after the first answer, whatever it was."""
        delay = self._pace.first
        while True:
            try:
                definition = self._definition(await platform.action(self._settings.id))
            except PlatformError as error:
                self._report(error.code, reason=error.reason, context_id=error.context_id)
                pause, delay = delay, min(delay * 2, self._pace.most)
            except ValueError as error:
                self._report(UNUSABLE_CONTRACT, reason=str(error))
                pause, delay = delay, min(delay * 2, self._pace.most)
            else:
                self._tool = _ActionTool(platform, self._settings, definition, limit)
                self._trouble = ""
                pause, delay = self._pace.refresh, self._pace.first
            asked.set()
            await asyncio.sleep(_about(pause))

    def _definition(self, action: Action) -> ToolDefinition:
        """Return what the model is told; ValueError if the contract cannot be shown to it."""
        settings, known = self._settings, self._tool
        # A call that began with a name may still use it, so an action that is renamed keeps it.
        name = known.definition.name if known else settings.name or function_name(action.name, settings.id)
        return ToolDefinition(
            name,
            settings.description or function_description(action.input_schema, action.name),
            settings.parameters if settings.parameters is not None else function_parameters(action.input_schema),
        )

    def _report(self, code: str, **fields: str) -> None:
        """Log why the action is not known, each trouble once."""
        if code != self._trouble:
            event = "data action not offered" if self._tool is None else "data action not refreshed"
            _log.warning(event, code=code, action=self._settings.id, **fields)
        self._trouble = code


class _ActionTool:
    """One data action whose contract is known."""

    def __init__(
        self, platform: PlatformApi, settings: DataActionSettings, definition: ToolDefinition, limit: float
    ) -> None:
        self._platform = platform
        self._settings = settings
        self._definition = definition
        self._limit = limit - min(_MARGIN, limit / 10)

    @property
    def definition(self) -> ToolDefinition:
        """What the model is told about it."""
        return self._definition

    @property
    def policy(self) -> ToolPolicy:
        """What the runner keeps to."""
        return self._settings.policy()

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        """Run the action; ToolError says why it could not be run, or that nobody knows whether it was."""
        settings = self._settings
        try:
            result = await self._platform.execute(
                settings.id, arguments, timeout=self._limit, idempotent=settings.idempotent
            )
        except PlatformError as error:
            _log.warning(
                "data action failed",
                code=error.code,
                action=settings.id,
                reason=error.reason,
                context_id=error.context_id,
            )
            raise _for_model(error, idempotent=settings.idempotent) from None
        return ToolResult(content=_selected(result, settings.result), outputs=_outputs(result, settings.outputs))


def _for_model(error: PlatformError, *, idempotent: bool) -> ToolError:
    """Return what the model gets to know of a failure; most of all, whether it may call the tool again."""
    if isinstance(error, SignInRefused | NotPermitted):
        return ToolError(f"this is not permitted; {_NOTHING_DONE}")
    if isinstance(error, UnknownAction):
        return ToolError(f"this is not available; {_NOTHING_DONE}")
    if isinstance(error, RateLimited):
        return ToolUnavailable(f"there are too many requests at the moment; {_NOTHING_DONE}")
    if isinstance(error, Unreachable):
        return ToolUnavailable(f"the back end cannot be reached at the moment; {_NOTHING_DONE}")
    if isinstance(error, Refused):
        by = "the back end reported an error" if error.of_action else "the request was refused"
        return ToolError(f"{by}: {error.message}" if error.message else by)
    problem = "the answer cannot be used" if isinstance(error, Unreadable) else "the back end did not answer properly"
    return ToolUnavailable(problem if idempotent else f"{problem}; {_PERHAPS_DONE}")


def _selected(document: Any, result: str | Mapping[str, str] | None) -> Any:
    """Return what of the result the model reads."""
    if document is None:
        return "done"
    if result is None:
        return document
    if isinstance(result, str):
        return _found(document, result)
    return {name: _found(document, pointer) for name, pointer in result.items()}


def _outputs(document: Any, outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the output variables that the result has a value for."""
    found = {name: _found(document, pointer) for name, pointer in outputs.items()}
    return {name: value for name, value in found.items() if value is not None}


def _found(document: Any, pointer: str) -> Any:
    """Return the value, None if there is none: the action was run, so what is missing is no reason to fail."""
    try:
        return resolve_pointer(document, pointer)
    except PointerError:
        return None


def _about(seconds: float) -> float:
    """Spread what many tools and processes would do at the same moment."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
