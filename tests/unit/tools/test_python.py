import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from offhook.tools import (
    ArgumentsRefused,
    CallContext,
    PythonTool,
    Tool,
    ToolError,
    ToolPolicy,
    ToolResult,
    ToolUnavailable,
    import_tool,
    tool,
)
from offhook.tools import python as module
from offhook.tools.python import PythonEntry
from tests.unit.tools import sample

CONTEXT = CallContext(id="call-1", ani="+15550100", inputs={"CARD": "4111"})


class Line(BaseModel):
    """One line of an order."""

    title: str
    count: int = 1


@tool
def book(
    title: str,
    schema: Literal["table", "room"],
    lines: list[Line],
    hour: Annotated[int, Field(ge=8, le=20, description="Hour of the day.")] = 12,
    *,
    context: CallContext,
    note: str | None = None,
) -> dict[str, object]:
    """Book something.

    For the caller, in
    one go.

    Args:
        title: What it is
            called.
        schema (str): What kind.
        nobody: Not a parameter.

    Returns:
        What was booked.
    """
    return {"title": title, "schema": schema, "lines": [line.count for line in lines], "hour": hour, "id": context.id}


def test_schema_comes_from_hints_and_docstring() -> None:
    definition = book.definition
    assert definition.name == "book"
    assert definition.description == "Book something.\n\nFor the caller, in one go."
    parameters = definition.parameters
    assert parameters["type"] == "object"
    assert parameters["additionalProperties"] is False
    assert parameters["required"] == ["title", "schema", "lines"]
    properties = parameters["properties"]
    assert list(properties) == ["title", "schema", "lines", "hour", "note"]
    assert properties["title"] == {"type": "string", "description": "What it is called."}
    assert properties["schema"] == {"type": "string", "enum": ["table", "room"], "description": "What kind."}
    assert properties["hour"] == {
        "type": "integer",
        "minimum": 8,
        "maximum": 20,
        "default": 12,
        "description": "Hour of the day.",
    }
    # Titles that pydantic makes up are gone; a property called title is not.
    assert parameters["$defs"]["Line"]["properties"]["title"] == {"type": "string"}
    assert "title" not in parameters


def test_a_function_without_parameters() -> None:
    @tool
    def ping() -> None:
        pass

    assert ping.definition.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    assert ping.definition.description == ""


def test_name_and_description_can_be_given() -> None:
    @tool(name="shop-status", description="Tell how the shop is.")
    async def status() -> str:
        """Something else."""
        return "open"

    assert status.definition.name == "shop-status"
    assert status.definition.description == "Tell how the shop is."
    assert isinstance(status, Tool)
    assert isinstance(status, PythonTool)


async def test_a_tool_is_still_its_function() -> None:
    assert book("x", "room", [], context=CONTEXT)["title"] == "x"
    assert await sample.order_status("7") == "order 7 is on its way"
    assert sample.order_status.__doc__ == "Look an order up by its number."


async def test_arguments_are_checked_and_the_call_is_passed() -> None:
    arguments = {"title": "x", "schema": "room", "lines": [{"title": "y", "count": 3}], "hour": "9"}
    result = await book.invoke(arguments, CONTEXT)
    assert result == ToolResult({"title": "x", "schema": "room", "lines": [3], "hour": 9, "id": "call-1"})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "title: Field required"),
        ({"title": 5, "schema": "table", "lines": []}, "title: Input should be a valid string"),
        ({"title": "x", "schema": "car", "lines": []}, "schema: Input should be 'table' or 'room'"),
        ({"title": "x", "schema": "room", "lines": [{}]}, "lines.0.title: Field required"),
        ({"title": "x", "schema": "room", "lines": [], "extra": 1}, "extra: Extra inputs are not permitted"),
        ({"title": "x", "schema": "room", "lines": [], "context": {}}, "context: Extra inputs are not permitted"),
    ],
)
async def test_wrong_arguments_are_explained_to_the_model(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgumentsRefused) as caught:
        await book.invoke(arguments, CONTEXT)
    assert problem in str(caught.value)


async def test_what_was_wrong_is_not_repeated() -> None:
    with pytest.raises(ToolError) as caught:
        await book.invoke({"title": ["4111 1111"], "schema": "4111", "lines": "4111"}, CONTEXT)
    assert "4111" not in str(caught.value)


async def test_results() -> None:
    booked = ToolResult("booked", outputs={"HOUR": 9}, end_call="booked")
    results: dict[str, object] = {"text": "as it is", "none": None, "number": 5, "result": booked}

    @tool
    def give(what: str) -> object:
        return results[what]

    assert await give.invoke({"what": "text"}, CONTEXT) == "as it is"
    assert await give.invoke({"what": "none"}, CONTEXT) == "done"
    assert await give.invoke({"what": "number"}, CONTEXT) == ToolResult(5)
    assert await give.invoke({"what": "result"}, CONTEXT) is booked


def test_a_policy_can_be_given() -> None:
    @tool(timeout=3, confirm=True, redact=["customers.ssn"])
    async def find() -> None: ...

    assert find.policy == ToolPolicy(timeout=3, confirm=True, redact=("customers.ssn",))
    assert sample.order_status.policy == ToolPolicy()
    with pytest.raises(TypeError, match=r"redact: a path is written like customers\[\*\]\.ssn"):
        tool(redact=["customers["])


def test_settings_of_an_entry_come_before_those_of_the_function() -> None:
    def policy(**settings: object) -> ToolPolicy:
        entry = {"python": {"function": "tests.unit.tools.sample:careful", **settings}}
        return PythonEntry.model_validate(entry).resolve().policy

    of_the_function = ToolPolicy(timeout=3, confirm=True, redact=("ssn",))
    assert policy() == of_the_function
    assert PythonEntry(python="tests.unit.tools.sample:careful").resolve().policy == of_the_function
    assert policy(timeout=5, max_result_bytes=100) == replace(of_the_function, timeout=5, max_result_bytes=100)
    assert policy(timeout=None, confirm=False) == replace(of_the_function, timeout=None, confirm=False)
    # What the function redacts stays redacted.
    assert policy(redact=["card"]).redact == ("ssn", "card")


async def test_a_blocking_function_runs_in_a_thread_with_the_context_of_the_call() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("here")
    release = threading.Event()

    @tool
    def block() -> str:
        release.wait(5)
        return f"{variable.get()} {threading.current_thread().name} {threading.current_thread().daemon}"

    task = asyncio.create_task(block.invoke({}, CONTEXT))
    await asyncio.sleep(0)
    release.set()
    assert await task == "here offhook-tool True"


async def test_what_a_blocking_function_raises_is_raised() -> None:
    @tool
    def fail() -> str:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        await fail.invoke({}, CONTEXT)


async def test_a_function_that_returns_an_awaitable() -> None:
    async def inner() -> str:
        return "awaited"

    @tool
    def outer() -> Awaitable[str]:
        return inner()

    assert await outer.invoke({}, CONTEXT) == "awaited"


async def test_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_free_threads", threading.BoundedSemaphore(1))
    release = threading.Event()

    @tool
    def block() -> str:
        release.wait(5)
        return "free"

    first = asyncio.create_task(block.invoke({}, CONTEXT))
    await asyncio.sleep(0)
    with pytest.raises(ToolUnavailable, match="too many"):
        await block.invoke({}, CONTEXT)
    release.set()
    assert await first == "free"


async def test_the_call_may_be_optional() -> None:
    @tool
    def who(context: Optional[CallContext] = None) -> str:  # noqa: UP045
        return context.id if context else "nobody"

    assert await who.invoke({}, CONTEXT) == "call-1"
    assert who() == "nobody"


def _variadic(*args: int) -> None: ...
def _keywords(**kwargs: int) -> None: ...
def _positional(number: int, /) -> None: ...
def _no_schema(callback: Callable[[], None]) -> None: ...
def _unknown_hint(value: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def _no_core_schema(value: threading.Event) -> None: ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (_variadic, "args cannot be given by name"),
        (_keywords, "kwargs cannot be given by name"),
        (_positional, "number cannot be given by name"),
        (sample.untyped, "count needs a type hint"),
        (_no_schema, "has no JSON schema"),
        (_unknown_hint, "cannot be found"),
        (_no_core_schema, "cannot be checked"),
        (lambda: None, "name"),
    ],
)
def test_functions_that_cannot_be_tools(function: Callable[..., object], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        tool(function)


async def test_import_tool() -> None:
    assert import_tool("tests.unit.tools.sample:order_status").definition.name == "order_status"
    plain = import_tool("tests.unit.tools.sample:plain")
    assert await plain.invoke({"count": 2}, CONTEXT) == "2 times in call-1"


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("nothing", "module:attribute"),
        (":x", "module:attribute"),
        ("no.such.module:x", "ModuleNotFoundError"),
        ("tests.unit.tools.sample:nothing", "AttributeError"),
        ("tests.unit.tools.sample:NOT_A_FUNCTION", "not a function"),
        ("tests.unit.tools.sample:untyped", "needs a type hint"),
    ],
)
def test_what_cannot_be_imported(reference: str, problem: str) -> None:
    with pytest.raises(ToolError, match=problem):
        import_tool(reference)


def test_tools_are_found_in_the_current_directory(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offhook_shop_tools.py").write_text("def hello() -> str:\n    return 'hello'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    assert import_tool("offhook_shop_tools:hello")() == "hello"


def test_caller_data_stays_out_of_repr() -> None:
    text = repr(CONTEXT)
    assert "+15550100" not in text
    assert "4111" not in text
