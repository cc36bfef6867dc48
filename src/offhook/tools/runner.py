"""Runs tools beside a call: whatever a tool does, the model gets a short text, and the call goes on."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import structlog

from offhook.bridge.commands import ToolOutcome
from offhook.tools.base import MAX_RESULT_BYTES, CallContext, Tool, ToolDefinition, ToolError

#: What arguments may have.
MAX_ARGUMENTS_BYTES = 64 * 1024
#: Characters of a ToolError that the model gets to read.
MAX_ERROR_CHARS = 500

_log = structlog.get_logger("offhook.tools")


class ToolRunner:
    """Runs tools by name. A tool that hangs, raises, or returns too much costs its own call a result, nothing else."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            name = tool.definition.name
            if name in self._tools:
                raise ValueError(f"there are two tools called {name}")
            self._tools[name] = tool
        # The loop holds tasks weakly; one that was given up on may take a while to end.
        self._tasks: set[asyncio.Task[ToolOutcome]] = set()

    @property
    def definitions(self) -> Mapping[str, ToolDefinition]:
        """What the model is told about each tool."""
        return MappingProxyType({name: tool.definition for name, tool in self._tools.items()})

    async def run(self, name: str, arguments_json: str, context: CallContext, timeout: float) -> ToolOutcome:  # noqa: ASYNC109
        """Return the tool's result, or a short JSON error for the model; never raises but when it is cancelled.

        ``timeout`` is in seconds. A tool that does not heed its cancellation is left behind and not waited for.
        """
        tool = self._tools.get(name)
        if tool is None:
            return self._failed(name, "unknown_tool", "there is no such tool")
        arguments = _parse_arguments(arguments_json)
        if arguments is None:
            return self._failed(name, "bad_arguments", "the arguments are not a JSON object")
        task = asyncio.create_task(self._invoke(name, tool, arguments, context), name=f"tool {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait({task}, timeout=timeout)
        finally:
            # Also when we are cancelled ourselves: the call is over, and nobody wants the result.
            if not task.done():
                task.cancel()
        if not task.done():
            return self._failed(name, "timeout", f"the tool did not answer within {timeout:g} seconds")
        return self._failed(name, "failed", "the tool failed") if task.cancelled() else task.result()

    async def _invoke(self, name: str, tool: Tool, arguments: dict[str, Any], context: CallContext) -> ToolOutcome:
        try:
            result = await tool.invoke(arguments, context)
        except ToolError as error:
            return self._failed(name, "failed", str(error)[:MAX_ERROR_CHARS])
        except (Exception, SystemExit) as error:
            # The text may hold anything: caller data, credentials, SQL.
            _log.warning("tool_raised", tool=name, error=type(error).__name__)
            return error_result("the tool failed")
        if not isinstance(result, str):
            return ToolOutcome(output=str(result.content), outputs=result.outputs)
        if len(result.encode(errors="surrogatepass")) > MAX_RESULT_BYTES:
            return self._failed(name, "too_large", "the tool's result is too long")
        return ToolOutcome(output=result)

    def _failed(self, name: str, problem: str, text: str) -> ToolOutcome:
        _log.warning("tool_failed", tool=name if name in self._tools else "(unknown)", problem=problem)
        return error_result(text)


def error_result(text: str) -> ToolOutcome:
    """Return a result that tells the model what went wrong."""
    return ToolOutcome(output=json.dumps({"error": text}), failed=True)


def _parse_arguments(text: str) -> dict[str, Any] | None:
    if len(text) > MAX_ARGUMENTS_BYTES:
        return None
    try:
        # Models leave the arguments of a function without parameters empty at times.
        arguments = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None
