"""Tools and a source of tools that do what a test wants."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from offhook.tools import CallContext, Tool, ToolDefinition, ToolPolicy, ToolResources

OBJECT = {"type": "object"}


class Plain:
    """A tool as no Python function: what it does is put in."""

    def __init__(
        self,
        *results: object,
        name: str = "plain",
        schema: Mapping[str, Any] = OBJECT,
        policy: ToolPolicy | None = None,
    ) -> None:
        self.definition = ToolDefinition(name, "", schema)
        self.policy = policy or ToolPolicy()
        self.results = list(results)
        self.arguments: list[dict[str, Any]] = []
        self.contexts: list[CallContext] = []

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> Any:
        self.arguments.append(arguments)
        self.contexts.append(context)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, BaseException):
            raise result
        return result


class Held:
    """Runs until it is let go; heeds its cancellation or not."""

    policy = ToolPolicy()

    def __init__(self, *, stubborn: bool = False) -> None:
        self.definition = ToolDefinition("held", "", OBJECT)
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = asyncio.Event()
        self._stubborn = stubborn

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> str:
        self.started.set()
        try:
            while not self.release.is_set():
                try:
                    await self.release.wait()
                except asyncio.CancelledError:
                    if not self._stubborn:
                        raise
            return "late"
        finally:
            self.ended.set()


class Source:
    """Offers what the test puts in."""

    def __init__(self, *tools: Tool) -> None:
        self.offered: Sequence[Tool] = tools
        self.fails = False

    @property
    def tools(self) -> Sequence[Tool]:
        if self.fails:
            raise RuntimeError("secret")
        return self.offered

    async def open(self, resources: ToolResources) -> None: ...

    async def close(self) -> None: ...
