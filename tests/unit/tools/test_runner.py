import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from offhook.tools import CallContext, ToolDefinition, ToolError, ToolRunner, tool
from offhook.tools.base import MAX_RESULT_BYTES, ToolPolicy
from offhook.tools.runner import MAX_ARGUMENTS_BYTES, MAX_ERROR_CHARS

CONTEXT = CallContext(id="call-1")


@tool
async def echo(text: str) -> str:
    return text


@tool
async def fail(kind: str) -> str:
    if kind == "told":
        raise ToolError("there is no order 7; ask for the number again" + "!" * 1000)
    if kind == "exit":
        raise SystemExit(3)
    if kind == "cancelled":
        raise asyncio.CancelledError
    raise RuntimeError("password=hunter2 for +15550100")


@tool
def blocking_exit() -> str:
    raise SystemExit(3)


@tool
async def big(size: int) -> str:
    return "\u00e4" * size


@tool
async def hang() -> str:
    await asyncio.Event().wait()
    return "never"


class Stubborn:
    policy = ToolPolicy()
    """Does not heed its cancellation."""

    definition = ToolDefinition("stubborn", "", {"type": "object"})

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def invoke(self, arguments: dict[str, Any], context: CallContext) -> str:
        while True:
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                continue
            return "late"


async def run(name: str, arguments: str = "{}", *, seconds: float = 5.0) -> Any:
    result = await ToolRunner([echo, fail, big, hang, blocking_exit]).run(name, arguments, CONTEXT, seconds)
    try:
        return json.loads(result.output)
    except ValueError:
        return result.output


async def test_a_result() -> None:
    assert await run("echo", '{"text": "hello"}') == "hello"


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("nothing", "{}", "no such tool"),
        ("echo", "{", "not a JSON object"),
        ("echo", "[]", "not a JSON object"),
        ("echo", "5", "not a JSON object"),
        ("echo", "[" * 60_000, "not a JSON object"),
        ("echo", json.dumps({"text": "x" * MAX_ARGUMENTS_BYTES}), "not a JSON object"),
        ("echo", "", "text: Field required"),
        ("echo", '{"text": 1}', "text: Input should be a valid string"),
        ("fail", '{"kind": "any"}', "the tool failed"),
        ("fail", '{"kind": "exit"}', "the tool failed"),
        ("fail", '{"kind": "cancelled"}', "the tool failed"),
        ("blocking_exit", "{}", "the tool failed"),
        ("fail", '{"kind": "told"}', "no order 7"),
        ("big", json.dumps({"size": MAX_RESULT_BYTES // 2 + 1}), "too long"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(name: str, arguments: str, problem: str) -> None:
    result = await run(name, arguments)
    assert list(result) == ["error"]
    assert problem in result["error"]
    assert len(result["error"]) <= MAX_ERROR_CHARS


async def test_the_largest_result() -> None:
    assert await run("big", json.dumps({"size": MAX_RESULT_BYTES // 2})) == "\u00e4" * (MAX_RESULT_BYTES // 2)


async def test_texts_of_exceptions_reach_neither_model_nor_log() -> None:
    with capture_logs() as logs:
        result = await run("fail", '{"kind": "any"}')
    assert result == {"error": "the tool failed"}
    assert logs == [{"event": "tool_raised", "log_level": "warning", "tool": "fail", "error": "RuntimeError"}]


async def test_names_that_the_model_made_up_stay_out_of_the_log() -> None:
    with capture_logs() as logs:
        await run("4111111111111111")
    assert "4111" not in str(logs)


async def test_timeout() -> None:
    assert await run("hang", seconds=0.01) == {"error": "the tool did not answer within 0.01 seconds"}


async def test_a_tool_that_does_not_heed_its_cancellation_is_left_behind() -> None:
    stubborn = Stubborn()
    runner = ToolRunner([stubborn])
    assert "did not answer" in (await runner.run("stubborn", "{}", CONTEXT, 0.01)).output
    stubborn.release.set()
    await asyncio.sleep(0.01)
    assert not runner._tasks


async def test_the_end_of_the_call_ends_the_tool() -> None:
    ended = asyncio.Event()

    @tool
    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    task = asyncio.create_task(ToolRunner([slow]).run("slow", "{}", CONTEXT, 60))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 1)


def test_definitions() -> None:
    assert list(ToolRunner([echo, big]).definitions) == ["echo", "big"]
    with pytest.raises(ValueError, match="two tools called echo"):
        ToolRunner([echo, echo])
