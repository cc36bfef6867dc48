"""Tools written as Python functions: the schema comes from the type hints, the descriptions from the docstring."""

import asyncio
import functools
import importlib
import inspect
import re
import sys
import threading
import typing
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from pathlib import Path
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model

from offhook.tools.base import (
    MAX_NAME_CHARS,
    ArgumentsRefused,
    CallContext,
    ToolDefinition,
    ToolError,
    ToolPolicy,
    ToolResult,
    ToolUnavailable,
)
from offhook.tools.settings import EITHER, Plain, Settings, Structured, ToolSettings

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME_CHARS}}}")
_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?):\s*")
_ARGUMENT = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)")
_MAX_PROBLEMS = 5

#: Blocking tools that may run at once in the whole process.
MAX_THREADS = 64
_free_threads = threading.BoundedSemaphore(MAX_THREADS)


class PythonTool(Generic[P, R]):
    """A function as a tool; it can still be called as the function that it is."""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        policy: ToolPolicy | None = None,
    ) -> None:
        self.function = function
        self.policy = policy or ToolPolicy()
        summary, arguments = _parse_docstring(inspect.getdoc(function) or "")
        self._context_parameter, self._parameters, self._model = _argument_model(function, arguments)
        checked_name = _checked_name(name or str(getattr(function, "__name__", "")))
        self._definition = ToolDefinition(checked_name, description or summary, _schema(self._model))
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    @property
    def definition(self) -> ToolDefinition:
        """What the model is told about it."""
        return self._definition

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> str | ToolResult:
        """Check the arguments against the type hints, run the function (a blocking one in a thread of its own)."""
        try:
            checked = self._model.model_validate(arguments)
        except ValidationError as error:
            raise ArgumentsRefused(_explain(error)) from None
        values = {name: getattr(checked, field) for name, field in self._parameters.items()}
        if self._context_parameter is not None:
            values[self._context_parameter] = context
        result = await self._run(values)
        if isinstance(result, str | ToolResult):
            return result
        return "done" if result is None else ToolResult(result)

    async def _run(self, values: dict[str, Any]) -> object:
        call: Callable[[], Any] = functools.partial(self.function, **values)
        if inspect.iscoroutinefunction(self.function):
            return await call()
        result = await _in_thread(call)
        return await result if inspect.isawaitable(result) else result


@overload
def tool(function: Callable[P, R], /) -> PythonTool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    confirm: bool = False,
    redact: Sequence[str] = (),
) -> Callable[[Callable[P, R]], PythonTool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    confirm: bool = False,
    redact: Sequence[str] = (),
) -> PythonTool[P, R] | Callable[[Callable[P, R]], PythonTool[P, R]]:
    """Make a tool of a function, async or not.

    The docstring tells the model what the tool does; its ``Args:`` section describes the parameters. A parameter of
    type :class:`~offhook.tools.CallContext` gets the call and is not shown to the model. TypeError says what about a
    function cannot be made a tool. The function returns a text, what can be JSON, or a
    :class:`~offhook.tools.ToolResult`.

    Args:
        function: what the model may call.
        name: for the model; by default that of the function.
        description: for the model; by default the docstring without its sections.
        timeout: seconds for one call; None = the gateway's `limits.tool_timeout`.
        confirm: run it only after the caller has said yes.
        redact: paths of what is taken out of the result, like ``customers[*].ssn``.
    """
    try:
        policy = ToolPolicy(timeout=timeout, confirm=confirm, redact=tuple(redact))
    except ValueError as error:
        raise TypeError(f"redact: {error}") from error
    make = functools.partial(PythonTool, name=name, description=description, policy=policy)
    return make if function is None else make(function)


#: The pattern is for editors; what is wrong with a reference is told when the function is loaded.
Reference = Annotated[str, Field(json_schema_extra={"pattern": "^[^:]+:[^:]+$"})]


class PythonToolSettings(ToolSettings):
    """A Python function as a tool, with settings."""

    function: Reference = Field(description="module:attribute.")


class PythonEntry(Settings):
    """A Python function: ``module:attribute``, or that as ``function`` beside other settings."""

    python: Annotated[Annotated[Reference, Plain] | Annotated[PythonToolSettings, Structured], EITHER]

    def resolve(self) -> "ImportedTool":
        """Load the function; ToolError says why it cannot be loaded."""
        return ImportedTool(self)


class ImportedTool:
    """A tool loaded from ``module:attribute``, which knows how it was written.

    Settings of the entry take the place of those of the function; what either redacts is redacted.
    """

    def __init__(self, entry: PythonEntry) -> None:
        self.entry = entry
        settings = entry.python
        tool = import_tool(settings if isinstance(settings, str) else settings.function)
        self.policy = tool.policy if isinstance(settings, str) else settings.policy(tool.policy)
        self.definition = tool.definition
        self.invoke = tool.invoke


def import_tool(reference: str) -> PythonTool[..., Any]:
    """Load the tool ``module:attribute``; a plain function is made a tool. ToolError says why it cannot be loaded."""
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise ToolError("a Python tool is written module:attribute, like shop.tools:order_status")
    here = str(Path.cwd())
    if here not in sys.path:
        # A console script does not look into the current directory, where the operator's code is.
        sys.path.insert(0, here)
    try:
        found: Any = functools.reduce(getattr, attribute.split("."), importlib.import_module(module_name))
    except Exception as error:  # whatever the operator's module does when it is imported
        raise ToolError(f"{reference} cannot be imported ({type(error).__name__}: {error})") from error
    if isinstance(found, PythonTool):
        return found
    if not inspect.isroutine(found):
        raise ToolError(f"{reference} is not a function")
    try:
        return PythonTool(found)
    except TypeError as error:
        raise ToolError(f"{reference} cannot be a tool: {error}") from error


async def _in_thread(call: Callable[[], object]) -> object:
    """Run ``call`` in a thread of its own.

    Neither the loop's pool nor any other does: a tool that hangs would starve what else it serves (host names, for
    one), and a pool is waited for when the process ends.
    """
    free_threads = _free_threads
    if not free_threads.acquire(blocking=False):
        raise ToolUnavailable("too many tools are running at the moment")
    outcome: Future[object] = Future()
    context = copy_context()

    def work() -> None:
        try:
            outcome.set_result(context.run(call))
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            free_threads.release()

    outcome.set_running_or_notify_cancel()
    threading.Thread(target=work, name="offhook-tool", daemon=True).start()
    return await asyncio.wrap_future(outcome)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise TypeError("a tool's name has 1 to 64 letters, digits, _ and -")
    return name


def _argument_model(
    function: Callable[..., object], descriptions: dict[str, str]
) -> tuple[str | None, dict[str, str], type[BaseModel]]:
    """Return the name of the context parameter, the model's field for each parameter, and the model."""
    hints = _type_hints(function)
    context_parameter: str | None = None
    parameters: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter {name} cannot be given by name")
        if name not in hints:
            raise TypeError(f"parameter {name} needs a type hint")
        if hints[name] is CallContext or CallContext in typing.get_args(hints[name]):
            context_parameter = name
            continue
        # Fields have names of their own, for pydantic does not take every parameter's name for a field.
        field = f"field_{len(fields)}"
        parameters[name] = field
        given: dict[str, Any] = {} if parameter.default is parameter.empty else {"default": parameter.default}
        if name in descriptions:
            given["description"] = descriptions[name]
        fields[field] = (hints[name], Field(alias=name, **given))
    try:
        model = create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticUserError as error:
        raise TypeError(f"a type hint cannot be checked: {error.message.splitlines()[0]}") from error
    return context_parameter, parameters, model


def _type_hints(function: Callable[..., object]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"a type hint cannot be found: {error}") from error


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    try:
        schema: dict[str, Any] = _without_titles(model.model_json_schema())
    except PydanticUserError as error:
        raise TypeError(f"a type hint has no JSON schema: {error.message.splitlines()[0]}") from error
    schema.setdefault("properties", {})
    return schema


def _without_titles(schema: Any, *, names: bool = False) -> Any:
    """Drop the titles that pydantic makes of names; ``names`` says that the keys here are names, not keywords."""
    if isinstance(schema, list):
        return [_without_titles(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_titles(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key != "title"
    }


def _parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first section, and the descriptions of the ``Args`` section (Google style)."""
    summary: list[str] = []
    arguments: dict[str, str] = {}
    section = ""
    name = ""
    for line in text.splitlines():
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        match = _SECTION.fullmatch(stripped) if indent == 0 else None
        if match:
            section, name = match[1], ""
        elif not section:
            summary.append(stripped)
        elif section in ("Args", "Arguments", "Parameters") and stripped:
            entry = _ARGUMENT.fullmatch(stripped)
            if entry and indent <= 4:
                name = entry[1]
                arguments[name] = entry[2].strip()
            elif name:
                arguments[name] = f"{arguments[name]} {stripped}".strip()
    paragraphs = "\n".join(summary).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs), arguments


def _explain(error: ValidationError) -> str:
    """Say which arguments are wrong, without repeating what was in them."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)[:_MAX_PROBLEMS]
    ]
    return "invalid arguments: " + "; ".join(problems)
