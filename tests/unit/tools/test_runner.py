import asyncio
import json
import threading
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from offhook.bridge.commands import InvokeTool, ToolOutcome
from offhook.tools import (
    CallContext,
    Tool,
    ToolError,
    ToolLimits,
    ToolPolicy,
    ToolResult,
    ToolRunner,
    ToolSet,
    ToolUnavailable,
    tool,
)
from offhook.tools import runner as module
from offhook.tools.arguments import MAX_ARGUMENTS_BYTES
from offhook.tools.base import MAX_RESULT_BYTES
from offhook.tools.breaker import MAX_FAILURES, REST
from offhook.tools.results import MAX_ERROR_CHARS
from tests.unit.tools.fakes import Held, Plain

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
    if kind == "odd":
        raise GeneratorExit
    if kind == "base":
        raise BaseException
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


class Clock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def runner(*tools: Tool, **limits: Any) -> ToolRunner:
    return ToolSet(tools, limits=ToolLimits(**{"timeout": 5.0, **limits})).begin(CONTEXT)


def command(name: str, arguments: str = "{}", *, call_id: str = "c-1", secret: bool = False) -> InvokeTool:
    return InvokeTool(call_id, name, arguments, secret)


async def run(name: str, arguments: str = "{}", **limits: Any) -> Any:
    result = await runner(echo, fail, big, hang, blocking_exit, **limits).run(command(name, arguments))
    try:
        return json.loads(result.output)
    except ValueError:
        return result.output


def error(outcome: ToolOutcome) -> str:
    assert outcome.failed
    (text,) = json.loads(outcome.output).values()
    assert isinstance(text, str)
    return text


async def test_a_result() -> None:
    outcome = await runner(echo).run(command("echo", '{"text": "hello"}'))
    assert outcome == ToolOutcome(output="hello")


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("nothing", "{}", "no such tool"),
        ("echo", "{", "not a JSON object"),
        ("echo", "[]", "not a JSON object"),
        ("echo", json.dumps({"text": "x" * MAX_ARGUMENTS_BYTES}), "too large"),
        ("echo", "", "text: Field required"),
        ("echo", '{"text": 1}', "text: Input should be a valid string"),
        ("fail", '{"kind": "any"}', "the tool failed"),
        ("fail", '{"kind": "exit"}', "the tool failed"),
        ("fail", '{"kind": "cancelled"}', "the tool failed"),
        ("fail", '{"kind": "odd"}', "the tool failed"),
        ("fail", '{"kind": "base"}', "the tool failed"),
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


async def test_texts_of_exceptions_reach_neither_model_nor_log() -> None:
    with capture_logs() as logs:
        result = await run("fail", '{"kind": "any"}')
    assert result == {"error": "the tool failed"}
    assert logs == [{"event": "tool_raised", "log_level": "warning", "tool": "fail", "error": "RuntimeError"}]


async def test_names_that_the_model_made_up_stay_out_of_the_log() -> None:
    with capture_logs() as logs:
        await run("4111111111111111")
    assert "4111" not in str(logs)


async def test_a_tool_with_a_fault_in_its_policy() -> None:
    plain = Plain("x")
    calls = runner(plain)
    del plain.policy
    assert error(await calls.run(command("plain"))) == "the tool failed"


class TestArguments:
    SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}  # noqa: RUF012

    async def test_they_are_checked_against_the_schema(self) -> None:
        plain = Plain("done", schema=self.SCHEMA)
        calls = runner(plain)
        with capture_logs() as logs:
            assert (
                error(await calls.run(command("plain", '{"order": 4111}')))
                == 'invalid arguments: order: must keep to type "string"'
            )
        assert (await calls.run(command("plain", '{"order": "4111"}'))).output == "done"
        assert plain.arguments == [{"order": "4111"}]
        assert logs == [{"event": "tool_failed", "log_level": "warning", "tool": "plain", "problem": "bad_arguments"}]

    async def test_a_broken_schema_lets_them_pass_and_is_logged_once(self) -> None:
        plain = Plain("done", schema={"type": "strin"})
        tools = ToolSet([plain])
        with capture_logs() as logs:
            for _ in range(3):
                assert (await tools.begin(CONTEXT).run(command("plain", '{"x": 1}'))).output == "done"
        assert [(line["code"], line["tool"]) for line in logs] == [("OH-TOOL-04", "plain")]

    async def test_a_python_tool_checks_its_own(self) -> None:
        # The schema says integer, the type hint takes the text of one.
        @tool
        def double(number: int) -> int:
            return 2 * number

        assert (await runner(double).run(command("double", '{"number": "4"}'))).output == "8"


class TestTime:
    async def test_the_default(self) -> None:
        assert await run("hang", timeout=0.01) == {
            "error": "the tool did not answer within 0.01 seconds, but may have done its work"
        }

    async def test_the_policy_of_the_tool_comes_first(self) -> None:
        @tool(timeout=0.01)
        async def slow() -> None:
            await asyncio.Event().wait()

        text = error(await runner(slow, timeout=60.0).run(command("slow")))
        assert text.startswith("the tool did not answer within 0.01 seconds")

    async def test_a_tool_that_does_not_heed_its_cancellation_is_left_behind(self) -> None:
        held = Held(stubborn=True)
        tools = ToolSet([held], limits=ToolLimits(timeout=0.01))
        assert "did not answer" in error(await tools.begin(CONTEXT).run(command("held")))
        assert len(tools._running) == 1
        held.release.set()
        await held.ended.wait()
        await asyncio.sleep(0)
        assert len(tools._running) == 0

    async def test_the_end_of_the_call_ends_the_tool(self) -> None:
        held = Held()
        tools = ToolSet([held])
        task = asyncio.create_task(tools.begin(CONTEXT).run(command("held")))
        await held.started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(held.ended.wait(), 1)
        await asyncio.sleep(0)
        assert len(tools._running) == 0

    async def test_closing_cancels_what_still_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.01)
        held, stubborn = Held(), Held(stubborn=True)
        for one in (held, stubborn):
            tools = ToolSet([one])
            task = asyncio.create_task(tools.begin(CONTEXT).run(command("held")))
            await one.started.wait()
            await tools.close()
            assert one.ended.is_set() is (one is held)
            one.release.set()
            await task
            assert len(tools._running) == 0
        await ToolSet().close()

    async def test_a_blocking_tool_that_hangs_holds_nobody_up(self) -> None:
        release, ended = threading.Event(), threading.Event()

        @tool(timeout=0.01)
        def block() -> str:
            release.wait(5)
            ended.set()
            return ""

        tools = ToolSet([block])
        assert "did not answer" in error(await tools.begin(CONTEXT).run(command("block")))
        await tools.close()
        assert len(tools._running) == 0
        release.set()
        assert await asyncio.to_thread(ended.wait, 5)


class TestBudgets:
    async def test_of_a_call(self) -> None:
        tools = ToolSet([echo], limits=ToolLimits(max_calls=3))
        calls = tools.begin(CONTEXT)
        for name in ("echo", "nothing", "echo"):
            await calls.run(command(name, '{"text": "x"}'))
        assert error(await calls.run(command("echo", '{"text": "x"}'))) == "no more tools can be used in this call"
        # Each call has its own.
        assert (await tools.begin(CONTEXT).run(command("echo", '{"text": "x"}'))).output == "x"

    async def test_of_an_agent(self) -> None:
        held = Held()
        tools = ToolSet([held, echo], limits=ToolLimits(max_running=1))
        running = asyncio.create_task(tools.begin(CONTEXT).run(command("held")))
        await held.started.wait()
        others = tools.begin(CONTEXT)
        assert "too many tools are running" in error(await others.run(command("echo", '{"text": "x"}')))
        held.release.set()
        assert (await running).output == "late"
        assert (await others.run(command("echo", '{"text": "x"}'))).output == "x"

    async def test_what_was_given_up_on_and_still_runs_counts(self) -> None:
        held = Held(stubborn=True)
        tools = ToolSet([held, echo], limits=ToolLimits(max_running=1, timeout=0.01))
        await tools.begin(CONTEXT).run(command("held"))
        assert "too many" in error(await tools.begin(CONTEXT).run(command("echo", '{"text": "x"}')))
        held.release.set()
        await held.ended.wait()


class TestBreaker:
    @pytest.mark.parametrize("kind", [ToolUnavailable("no answer"), RuntimeError(), asyncio.CancelledError()])
    async def test_failures_in_a_row_leave_a_tool_alone(self, kind: BaseException) -> None:
        clock, plain = Clock(), Plain(kind)
        tools = ToolSet([plain], clock=clock)
        with capture_logs() as logs:
            for _ in range(MAX_FAILURES):
                # All calls of the process together.
                await tools.begin(CONTEXT).run(command("plain"))
        assert [line["tool"] for line in logs if line.get("code") == "OH-TOOL-05"] == ["plain"]
        assert "does not work at the moment" in error(await tools.begin(CONTEXT).run(command("plain")))
        assert len(plain.contexts) == MAX_FAILURES
        clock.now += REST
        plain.results = ["works"]
        assert (await tools.begin(CONTEXT).run(command("plain"))).output == "works"
        assert (await tools.begin(CONTEXT).run(command("plain"))).output == "works"

    async def test_what_the_back_end_says_is_told_to_the_model(self) -> None:
        plain = Plain(ToolUnavailable("the shop does not answer"))
        assert error(await runner(plain).run(command("plain"))) == "the shop does not answer"

    async def test_a_timeout_is_a_failure(self) -> None:
        tools = ToolSet([hang], limits=ToolLimits(timeout=0.001))
        for _ in range(MAX_FAILURES):
            assert "did not answer" in error(await tools.begin(CONTEXT).run(command("hang")))
        assert "does not work" in error(await tools.begin(CONTEXT).run(command("hang")))

    async def test_one_trial_at_a_time(self) -> None:
        clock, held = Clock(), Held()
        plain = Plain(RuntimeError(), name="held")
        tools = ToolSet([plain], clock=clock)
        for _ in range(MAX_FAILURES):
            await tools.begin(CONTEXT).run(command("held"))
        clock.now += REST
        plain.invoke = held.invoke  # type: ignore[method-assign]
        trial = asyncio.create_task(tools.begin(CONTEXT).run(command("held")))
        await held.started.wait()
        assert "does not work" in error(await tools.begin(CONTEXT).run(command("held")))
        held.release.set()
        assert (await trial).output == "late"

    async def test_what_the_back_end_answers_is_no_failure(self) -> None:
        plain = Plain(*[RuntimeError()] * 4, ToolError("there is no such order"), *[RuntimeError()] * 4, "works")
        calls = runner(plain)
        for _ in range(9):
            await calls.run(command("plain"))
        assert (await calls.run(command("plain"))).output == "works"

    async def test_arguments_that_do_not_fit_say_nothing(self) -> None:
        calls = runner(echo, Plain("x", schema={"required": ["a"]}))
        for _ in range(2 * MAX_FAILURES):
            await calls.run(command("echo", "{}"))
            await calls.run(command("plain", "{}"))
        assert (await calls.run(command("echo", '{"text": "x"}'))).output == "x"
        assert (await calls.run(command("plain", '{"a": 1}'))).output == "x"

    async def test_every_tool_has_its_own(self) -> None:
        calls = runner(Plain(RuntimeError()), echo)
        for _ in range(MAX_FAILURES):
            await calls.run(command("plain"))
        assert (await calls.run(command("echo", '{"text": "x"}'))).output == "x"


class TestResults:
    async def outcome(self, result: object, **policy: Any) -> ToolOutcome:
        return await runner(Plain(result, policy=ToolPolicy(**policy))).run(command("plain"))

    @pytest.mark.parametrize(
        ("result", "output"),
        [
            ("as it is", "as it is"),
            ("", ""),
            ({"a": [1, None, "\u00e4"]}, '{"a":[1,null,"\u00e4"]}'),
            (ToolResult({"a": float("nan")}), '{"a":null}'),
            (ToolResult("text"), "text"),
            (ToolResult(), ""),
            (5, "5"),
            (None, "null"),
            ("half \ud800", "half ?"),
            ({"a": "half \ud800"}, '{"a":"half ?"}'),
        ],
    )
    async def test_text_as_it_is_and_all_else_as_json(self, result: object, output: str) -> None:
        assert await self.outcome(result) == ToolOutcome(output=output)

    async def test_what_is_no_json(self) -> None:
        assert error(await self.outcome(object())) == "the tool failed"

    async def test_the_largest(self) -> None:
        assert (await self.outcome("\u00e4" * 32, max_result_bytes=64)).output == "\u00e4" * 32
        assert "too long" in error(await self.outcome("\u00e4" * 33, max_result_bytes=64))
        assert "too long" in error(await self.outcome("a" * 65, max_result_bytes=64))
        assert "too long" in error(await self.outcome(["a" * 61], max_result_bytes=64))

    async def test_output_variables_and_the_end_of_the_call(self) -> None:
        result = ToolResult("ok", outputs={"A": 1, "B": "x\ud800"}, end_call="booked")
        assert await self.outcome(result) == ToolOutcome(
            output="ok", outputs={"A": 1, "B": "x?"}, end="completed", reason="booked"
        )
        result = ToolResult("ok", end_call="booked", escalate="angry", target="Level 2")
        assert await self.outcome(result) == ToolOutcome(output="ok", end="escalated", reason="angry", target="Level 2")
        assert (await self.outcome(ToolResult(end_call=""))).end == "completed"
        assert (await self.outcome(ToolResult(escalate="x" * 1000))).reason == "x" * MAX_ERROR_CHARS

    async def test_they_hold_also_where_the_result_cannot_be_shown(self) -> None:
        result = ToolResult("x" * 100, outputs={"A": 1}, escalate="angry", target="Level 2")
        with capture_logs() as logs:
            outcome = await self.outcome(result, max_result_bytes=64)
        assert "too long" in error(outcome)
        assert (outcome.outputs, outcome.end, outcome.reason, outcome.target) == (
            {"A": 1},
            "escalated",
            "angry",
            "Level 2",
        )
        assert [line["problem"] for line in logs] == ["result_refused"]

    async def test_megabytes_are_refused_before_they_are_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("offhook.tools.results._bounded", None)
        for result in ("x" * 10_000_000, [["x"] * 1000] * 1000, {"a": ("x" * 1000,) * 1000}, [0] * 1_000_000):
            assert "too long" in error(await self.outcome(result))

    async def test_redaction(self) -> None:
        customers = {"customers": [{"name": "Eva", "ssn": "078"}]}
        expected = '{"customers":[{"name":"Eva","ssn":"[redacted]"}]}'
        for result in (customers, ToolResult(customers), json.dumps(customers)):
            assert (await self.outcome(result, redact=("customers.ssn",))).output == expected

    async def test_what_cannot_be_redacted_is_not_shown(self) -> None:
        for result in ("the SSN is 078", '"078"', 78, None):
            text = error(await self.outcome(result, redact=("customers.ssn",)))
            assert text == "the tool was run, but its result is not JSON, so it cannot be shown"

    async def test_a_redacted_result_may_become_too_long(self) -> None:
        outcome = await self.outcome({"a": [1] * 20}, redact=("a[*]",), max_result_bytes=64)
        assert "too long" in error(outcome)


class TestInvocationId:
    async def test_it_is_that_of_the_function_call(self) -> None:
        plain, other = Plain("x"), Plain("x", name="other")
        tools = ToolSet([plain, other])
        for context, name, call_id in [
            (CONTEXT, "plain", "c-1"),
            (CONTEXT, "plain", "c-1"),
            (CONTEXT, "plain", "c-2"),
            (CONTEXT, "other", "c-1"),
            (CallContext(id="call-2"), "plain", "c-1"),
        ]:
            await tools.begin(context).run(command(name, call_id=call_id))
        first, again, second, third = (context.invocation_id for context in plain.contexts)
        (fourth,) = (context.invocation_id for context in other.contexts)
        assert first == again
        assert len({first, second, third, fourth}) == 4
        assert str(UUID(first)) == first
        assert plain.contexts[0].id == "call-1"

    async def test_what_is_known_of_the_call_may_change(self) -> None:
        plain = Plain("x")
        calls = runner(plain)
        await calls.run(command("plain"))
        calls.context = replace(CONTEXT, language="de-de")
        await calls.run(command("plain"))
        assert [context.language for context in plain.contexts] == ["", "de-de"]
        assert len({context.invocation_id for context in plain.contexts}) == 1

    async def test_a_python_tool_gets_it(self) -> None:
        @tool
        def key(context: CallContext) -> str:
            return context.invocation_id

        UUID((await runner(key).run(command("key"))).output)


class TestSecrets:
    """What a tool repeats of secret arguments is taken out by the call; the runner keeps all of it out of the log."""

    @pytest.mark.parametrize(
        "kind", [{"pin": "4711"}, ToolError("4711"), ToolUnavailable("4711"), RuntimeError("4711"), "4711" * 9000]
    )
    async def test_logs_do_not_have_them(self, kind: object) -> None:
        with capture_logs() as logs:
            await runner(Plain(kind)).run(command("plain", '{"account": {"pin": "4711"}}', secret=True))
        assert "4711" not in str(logs)

    async def test_arguments_that_do_not_fit(self) -> None:
        plain = Plain("x", schema={"properties": {"pin": {"pattern": "^5"}}})
        with capture_logs() as logs:
            outcome = await runner(plain).run(command("plain", '{"pin": "4711"}', secret=True))
        assert "pin: must keep to pattern" in error(outcome)
        assert "4711" not in str(outcome) + str(logs)
