"""Runs the tools of one call, beside it: whatever a tool does, the model gets a short text, and the call goes on."""

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import structlog

from offhook.bridge.commands import InvokeTool, ToolOutcome
from offhook.tools.arguments import ArgumentsCheck, BrokenSchema, parse_arguments
from offhook.tools.base import ArgumentsRefused, CallContext, Tool, ToolError, ToolResult, ToolUnavailable
from offhook.tools.breaker import Breaker
from offhook.tools.python import ImportedTool, PythonTool
from offhook.tools.results import ResultRefused, error_outcome, error_text, outcome_of, readable

BROKEN_SCHEMA = "OH-TOOL-04"
LEFT_ALONE = "OH-TOOL-05"

#: Seconds that tools have to end when they are cancelled at the end of all.
CLOSE_TIMEOUT = 1.0

_INVOCATIONS = uuid.UUID("5c1f0e5e-7f0c-4d8e-9a35-0b6f5a0d2c11")

_log = structlog.get_logger("offhook.tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLimits:
    """What tools may take."""

    timeout: float = 20.0
    """Seconds for one call of a tool, unless its policy says otherwise."""
    max_calls: int = 100
    """Calls of tools that one call may make."""
    max_running: int = 64
    """Tools that may run at once for the calls of one agent."""


class RunningTools:
    """The tools that run for all calls of an agent, those included that were given up on and have not ended yet.

    Args:
        limit: how many there may be.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # The loop holds tasks weakly, so somebody has to keep them.
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def full(self) -> bool:
        """No further tool may be started."""
        return len(self._tasks) >= self._limit

    def start(self, work: Coroutine[Any, Any, "_Finished"], name: str) -> asyncio.Task["_Finished"]:
        """Run a tool in a task of its own."""
        task = asyncio.create_task(work, name=f"tool {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel all of them; one that does not heed it is not waited for."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)


class ReadyTool:
    """A tool with what is kept of it from call to call.

    Args:
        tool: what is run.
        before: the same tool as it was until now; its breaker goes on, and its check if the schema is the same.
    """

    def __init__(self, tool: Tool, before: "ReadyTool | None" = None) -> None:
        self.tool = tool
        self.definition = tool.definition
        self.breaker: Breaker = Breaker() if before is None else before.breaker
        self._check: ArgumentsCheck | None = None
        # Python tools check their arguments against the type hints, which say more than the schema.
        self._unchecked = isinstance(tool, PythonTool | ImportedTool)
        if before is not None and before.definition == self.definition:
            self._check, self._unchecked = before._check, before._unchecked

    async def check(self, arguments: Mapping[str, Any]) -> None:
        """Raise ArgumentsRefused if the arguments do not fit the schema; a broken schema lets everything pass."""
        if self._unchecked:
            return
        try:
            if self._check is None:
                # A large schema takes a tenth of a second, once; that is too long for the loop.
                self._check = await asyncio.to_thread(ArgumentsCheck, self.definition.parameters)
            problems = self._check.problems(arguments)
        except BrokenSchema as error:
            self._unchecked = True
            _log.warning("tool has a broken schema", code=BROKEN_SCHEMA, tool=self.definition.name, why=str(error))
            return
        if problems:
            raise ArgumentsRefused(f"invalid arguments: {'; '.join(problems)}")


@dataclass(frozen=True, slots=True)
class _Finished:
    """What came of a tool, and whether its back end works; None if that cannot be told."""

    outcome: ToolOutcome
    works: bool | None = True


class ToolRunner:
    """Runs tools for one call. A tool that hangs, raises or returns too much costs it a result, nothing else.

    Args:
        tools: by name; what the model was told of.
        context: the call; may be replaced by what is known of it later.
        limits: bounds.
        running: where the tools of all calls of the agent run.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        tools: Mapping[str, ReadyTool],
        context: CallContext,
        *,
        limits: ToolLimits,
        running: RunningTools,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tools = MappingProxyType(dict(tools))
        self.context = context
        self._limits = limits
        self._running = running
        self._clock = clock
        self._calls = 0

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that the call can use: those that there were when it began."""
        return tuple(ready.tool for ready in self._tools.values())

    async def run(self, command: InvokeTool) -> ToolOutcome:
        """Return the tool's result, or a short JSON error for the model; never raises but when it is cancelled.

        A tool that does not heed its cancellation is left behind and not waited for.
        """
        try:
            return await self._run(command, parse_arguments(command.arguments))
        except Exception as error:  # a tool whose policy cannot be read, or a fault of ours
            _log.error("tool_raised", tool="(unknown)", error=type(error).__name__)
            return error_outcome("the tool failed")

    async def _run(self, command: InvokeTool, arguments: dict[str, Any] | None) -> ToolOutcome:
        name, ready = command.name, self._tools.get(command.name)
        self._calls += 1
        if self._calls > self._limits.max_calls:
            return self._refused(name, "call_budget", "no more tools can be used in this call")
        if ready is None:
            return self._refused(name, "unknown_tool", "there is no such tool")
        if arguments is None:
            return self._refused(name, "bad_arguments", "the arguments are not a JSON object, or are too large")
        try:
            await ready.check(arguments)
        except ArgumentsRefused as error:
            return self._refused(name, "bad_arguments", str(error))
        if self._running.full:
            return self._refused(name, "agent_budget", "too many tools are running; try again in a moment")
        if not ready.breaker.admit(self._clock()):
            return self._refused(name, "left_alone", "the tool does not work at the moment; do without it for now")
        seconds = ready.tool.policy.timeout or self._limits.timeout
        context = dataclasses.replace(self.context, invocation_id=self._invocation_id(command))
        task = self._running.start(self._invoke(ready.tool, arguments, context), name)
        return await self._watch(ready, task, seconds)

    async def _watch(self, ready: ReadyTool, task: asyncio.Task[_Finished], seconds: float) -> ToolOutcome:
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            # Also when we are cancelled ourselves: the call is over, and nobody wants the result.
            if not task.done():
                task.cancel()
        name = ready.definition.name
        if not task.done():
            text = f"the tool did not answer within {seconds:g} seconds, but may have done its work"
            finished = _Finished(self._refused(name, "timeout", text), works=False)
        elif task.cancelled() or task.exception() is not None:
            finished = _Finished(self._refused(name, "failed", "the tool failed"), works=False)
        else:
            finished = task.result()
        if finished.works:
            ready.breaker.record_success()
        elif finished.works is False and ready.breaker.record_failure(self._clock()):
            _log.warning("tool is left alone", code=LEFT_ALONE, tool=name)
        return finished.outcome

    async def _invoke(self, tool: Tool, arguments: dict[str, Any], context: CallContext) -> _Finished:
        name = tool.definition.name
        try:
            given = await tool.invoke(arguments, context)
            return _Finished(self._outcome(tool, given if isinstance(given, ToolResult) else ToolResult(given)))
        except ArgumentsRefused as error:
            return _Finished(self._refused(name, "bad_arguments", str(error)), works=None)
        except ToolError as error:
            return _Finished(self._refused(name, "failed", str(error)), works=not isinstance(error, ToolUnavailable))
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # The text may hold anything: caller data, credentials, SQL.
            _log.warning("tool_raised", tool=name, error=type(error).__name__)
            return _Finished(error_outcome("the tool failed"), works=False)

    def _outcome(self, tool: Tool, result: ToolResult) -> ToolOutcome:
        try:
            return outcome_of(result, readable(result.content, tool.policy))
        except ResultRefused as error:
            self._note(tool.definition.name, "result_refused")
            return outcome_of(result, error_text(str(error)), failed=True)

    def _refused(self, name: str, problem: str, text: str) -> ToolOutcome:
        self._note(name, problem)
        return error_outcome(text)

    def _note(self, name: str, problem: str) -> None:
        # A name that the model made up may be anything.
        _log.warning("tool_failed", tool=name if name in self._tools else "(unknown)", problem=problem)

    def _invocation_id(self, command: InvokeTool) -> str:
        return str(uuid.uuid5(_INVOCATIONS, "\0".join((self.context.id, command.call_id, command.name))))
