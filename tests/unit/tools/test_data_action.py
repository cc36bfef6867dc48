"""Data actions as tools, against a real HTTPS server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from offhook.genesys import PlatformApi
from offhook.tools import (
    CallContext,
    Tool,
    ToolError,
    ToolPolicy,
    ToolResources,
    ToolResult,
    ToolSource,
    ToolUnavailable,
)
from offhook.tools.data_action import DataAction, DataActionEntry, Pace
from tests.fakes.genesys_platform import CLIENT_SECRET, FakeAction, GenesysPlatform, Reply, error
from tests.unit.genesys.rig import client, fake, world

ID = "custom_-_1"
CONTEXT = CallContext(id="call-1", invocation_id="invocation-1")
RETRY = Pace(refresh=3600, first=0.01, most=0.02)
REMOTE = "ACTION.REMOTE_ENDPOINT"
LATER = {"Retry-After": "90"}
PERHAPS = "it may have been done all the same, so do not call this again"


def made(pace: Pace | None = None, **settings: Any) -> DataAction:
    entry = DataActionEntry.model_validate({"data_action": {"id": ID, **settings}})
    action = entry.resolve()
    return action if pace is None else DataAction(entry, pace=pace)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def opened(action: DataAction, api: PlatformApi | None, **resources: Any) -> AsyncIterator[None]:
    everything = ToolResources(genesys=api, **resources)
    await action.open(everything)
    try:
        yield
    finally:
        await action.close()
        await everything.http.close()


async def tool_of(action: DataAction) -> Tool:
    await until(lambda: action.tools)
    (tool,) = action.tools
    return tool


@contextlib.asynccontextmanager
async def tool(
    actions: dict[str, FakeAction] | None = None, **settings: Any
) -> AsyncIterator[tuple[GenesysPlatform, Tool]]:
    """Run the fake, and open the tool."""
    action = made(**settings)
    async with world(actions) as (genesys, api), opened(action, api):
        yield genesys, await tool_of(action)


async def refusal(genesys: GenesysPlatform, tool: Tool, *replies: Reply) -> ToolError:
    genesys.execute.extend(replies)
    with pytest.raises(ToolError) as caught:
        await tool.invoke({"id": "7"}, CONTEXT)
    return caught.value


# What the model is told


async def test_a_tool_is_what_its_contract_says() -> None:
    async with tool() as (_, found):
        assert isinstance(found, Tool)
        definition = found.definition
        assert (definition.name, definition.description) == ("get_customer", "Finds a customer.")
        assert list(definition.parameters["properties"]) == ["id", "title", "age"]
        assert found.policy == ToolPolicy()


async def test_settings_come_first() -> None:
    settings: dict[str, Any] = {
        "name": "lookup",
        "description": "Looks up.",
        "timeout": 3,
        "confirm": True,
        "redact": ["a[*].b"],
    }
    async with tool(**settings) as (_, found):
        assert (found.definition.name, found.definition.description) == ("lookup", "Looks up.")
        assert list(found.definition.parameters["properties"]) == ["id", "title", "age"]
        assert found.policy == ToolPolicy(timeout=3, confirm=True, redact=("a[*].b",))


async def test_what_is_all_written_down_is_there_at_once_and_nobody_is_asked() -> None:
    action = made(name="book", description="Books.", parameters={"properties": {"day": {"type": "string"}}})
    async with world() as (genesys, api), opened(action, api):
        (found,) = action.tools
        assert found.definition.parameters == {"type": "object", "properties": {"day": {"type": "string"}}}
        assert isinstance(await found.invoke({"id": "7"}, CONTEXT), ToolResult)
        assert len(genesys.requests("/actions/")) == 1
    assert not action.tools


async def test_a_description_that_is_not_written_down_is_asked_for() -> None:
    action = made(name="book", parameters={})
    async with world() as (_, api), opened(action, api):
        assert action.tools[0].definition.description == "Finds a customer."
        assert action.tools[0].definition.parameters == {"type": "object", "properties": {}}


async def test_opening_waits_for_one_answer_and_a_late_contract_is_found() -> None:
    action = made(RETRY)
    async with fake() as genesys, client(genesys.url) as api:
        denied = error(403, "not.authorized", "No.")
        genesys.describe.extend([Reply(503), Reply(body=b"no json"), Reply(429, headers=LATER), denied])
        with capture_logs() as logs:
            async with opened(action, api):
                assert isinstance(action, ToolSource)
                assert action.tools == ()
                assert (await tool_of(action)).definition.name == "get_customer"
        assert {line["event"] for line in logs} == {"data action not offered"}
        assert [line["code"] for line in logs] == ["OH-GEN-05", "OH-GEN-07", "OH-GEN-06", "OH-GEN-02"]


async def test_the_same_trouble_is_logged_once() -> None:
    action = made(RETRY)
    async with world({"other": FakeAction()}) as (genesys, api):
        with capture_logs() as logs:
            async with opened(action, api):
                await until(lambda: len(genesys.requests("expand")) >= 4)
        (line,) = logs
        assert line["event"] == "data action not offered"
        assert (line["code"], line["action"], line["reason"]) == ("OH-GEN-03", ID, "404 not.found")
        assert not action.tools


@pytest.mark.parametrize("schema", [{"type": "array"}, {"properties": 7}, {"anyOf": []}])
async def test_a_contract_that_cannot_be_a_function(schema: Any) -> None:
    action = made(RETRY)
    async with world({ID: FakeAction(schema=schema)}) as (genesys, api):
        with capture_logs() as logs:
            async with opened(action, api):
                await until(lambda: len(genesys.requests("expand")) >= 2)
                assert not action.tools
        assert [line["code"] for line in logs] == ["OH-GEN-09"]


async def test_a_contract_is_asked_for_again_now_and_then_and_keeps_its_name() -> None:
    action = made(Pace(refresh=0.01, first=0.01))
    async with world() as (genesys, api), opened(action, api):
        found = await tool_of(action)
        genesys.actions[ID] = FakeAction(name="Renamed", schema={"properties": {"number": {"type": "string"}}})
        await until(lambda: "number" in action.tools[0].definition.parameters["properties"])
        assert action.tools[0].definition.name == found.definition.name == "get_customer"
        assert action.tools[0].definition.description == "Renamed"
        with capture_logs() as logs:
            genesys.describe.append(Reply(500))
            await until(lambda: logs)
        assert logs[0]["event"] == "data action not refreshed"
        assert action.tools


async def test_a_contract_is_not_asked_for_on_the_way() -> None:
    async with tool() as (genesys, found):
        for _ in range(3):
            await found.invoke({"id": "7"}, CONTEXT)
        assert len(genesys.requests("expand")) == 1


async def test_opened_twice_closed_twice() -> None:
    action = made()
    async with world() as (genesys, api):
        async with opened(action, api):
            async with opened(action, api):
                await tool_of(action)
            assert action.tools
            assert len(genesys.requests("expand")) == 1
        assert not action.tools
        async with opened(action, api):
            await tool_of(action)


async def test_without_access_there_is_no_tool() -> None:
    action = made()
    with capture_logs() as logs:
        async with opened(action, None):
            assert not action.tools
    assert [line["log_level"] for line in logs] == ["error"]


# Running


async def test_the_whole_result() -> None:
    async with tool() as (_, found):
        assert await found.invoke({"id": "7"}, CONTEXT) == ToolResult({"customer": {"id": "7", "name": "Ada"}})


async def test_parts_of_the_result() -> None:
    settings: dict[str, Any] = {
        "result": {"name": "/customer/name", "first": "/orders/0", "none": "/customer/x"},
        "outputs": {"TIER": "/customer/tier", "NOTHING": "/customer/x", "NULL": "/null"},
    }
    answer = {"customer": {"name": "Ada", "tier": 3}, "orders": ["A1"], "null": None}
    async with tool({ID: FakeAction(run=lambda _: answer)}, **settings) as (_, found):
        result = await found.invoke({"id": "7"}, CONTEXT)
        assert result == ToolResult({"name": "Ada", "first": "A1", "none": None}, outputs={"TIER": 3})


@pytest.mark.parametrize(
    ("pointer", "content"),
    [
        ("/customer/name", "Ada"),
        ("", {"customer": {"id": "7", "name": "Ada"}}),
        ("/x", None),
        ("/customer/name/0", None),
    ],
)
async def test_one_part_of_the_result(pointer: str, content: Any) -> None:
    async with tool(result=pointer) as (_, found):
        assert await found.invoke({"id": "7"}, CONTEXT) == ToolResult(content)


async def test_an_action_without_a_result() -> None:
    async with tool({ID: FakeAction(run=lambda _: None)}, result="/x", outputs={"A": "/a"}) as (_, found):
        assert await found.invoke({"id": "7"}, CONTEXT) == ToolResult("done")


# Failing


async def test_a_booking_that_is_not_answered_is_made_once_and_the_model_is_told() -> None:
    async with tool(timeout=0.4) as (genesys, found):
        error = await refusal(genesys, found, Reply(run=True, hang=True))
        assert isinstance(error, ToolUnavailable)
        assert str(error) == f"the back end did not answer properly; {PERHAPS}"
        assert genesys.runs == {ID: 1}


async def test_the_limit_of_the_gateway_counts_where_there_is_none() -> None:
    action = made()
    async with world() as (genesys, api), opened(action, api, tool_timeout=0.4):
        error = await refusal(genesys, await tool_of(action), Reply(run=True, hang=True))
        assert PERHAPS in str(error)


async def test_a_call_that_is_given_up_leaves_nothing_behind() -> None:
    async with tool() as (genesys, found):
        genesys.execute.append(Reply(run=True, hang=True))
        call = asyncio.create_task(found.invoke({"id": "7"}, CONTEXT))
        await genesys.arrived.wait()
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert await found.invoke({"id": "7"}, CONTEXT)
        assert genesys.runs == {ID: 2}


@pytest.mark.parametrize(
    ("reply", "unavailable", "text"),
    [
        (error(400, "bad.request", "No id."), False, "the request was refused: No id."),
        (Reply(400, b"<html>"), False, "the request was refused"),
        (error(400, "x", "", of_action=REMOTE, within="No order."), False, "the back end reported an error: No order."),
        (error(403, "not.authorized", "No."), False, "this is not permitted; nothing was done"),
        (error(404, "not.found", "No."), False, "this is not available; nothing was done"),
        (Reply(429, headers=LATER), True, "there are too many requests at the moment; nothing was done"),
        (Reply(500, run=True), True, f"the back end did not answer properly; {PERHAPS}"),
        (Reply(run=True, cut=True), True, f"the back end did not answer properly; {PERHAPS}"),
        (Reply(body=b"<html>", run=True), True, f"the answer cannot be used; {PERHAPS}"),
    ],
)
async def test_what_the_model_is_told(reply: Reply, unavailable: bool, text: str) -> None:
    async with tool() as (genesys, found):
        problem = await refusal(genesys, found, reply)
        assert (str(problem), isinstance(problem, ToolUnavailable)) == (text, unavailable)
        assert genesys.runs[ID] <= 1


async def test_what_may_be_run_twice_may_be_called_again() -> None:
    async with tool(idempotent=True) as (genesys, found):
        problem = await refusal(genesys, found, Reply(500, run=True), Reply(500, run=True))
        assert str(problem) == "the back end did not answer properly"
        assert genesys.runs == {ID: 2}


async def test_a_secret_that_became_wrong() -> None:
    async with tool() as (genesys, found):
        genesys.expire()
        genesys.sign_in.append(Reply(401))
        with capture_logs() as logs:
            problem = await refusal(genesys, found)
        assert str(problem) == "this is not permitted; nothing was done"
        assert [line["code"] for line in logs] == ["OH-GEN-01"]


async def test_genesys_is_gone() -> None:
    action = made()
    async with fake() as genesys, client(genesys.url) as api, opened(action, api):
        found = await tool_of(action)
        await genesys.__aexit__()
        problem = await refusal(genesys, found)
        assert isinstance(problem, ToolUnavailable)
        assert str(problem) == "the back end cannot be reached at the moment; nothing was done"


async def test_the_log_knows_the_request_but_nothing_of_the_caller() -> None:
    async with tool() as (genesys, found):
        with capture_logs() as logs:
            replies = error(400, "bad.request", "Customer 7 is Ada."), Reply(500, {"ssn": "123"}, run=True)
            for reply in replies:
                await refusal(genesys, found, reply)
        assert [(line["event"], line["code"], line["action"], line["reason"]) for line in logs] == [
            ("data action failed", "OH-GEN-08", ID, "400 bad.request"),
            ("data action failed", "OH-GEN-05", ID, "500"),
        ]
        assert logs[0]["context_id"] == "5565f1f0-48d7-40ea-bfc9-b5ab51fee914"
        shown = repr(logs)
        for private in ("Ada", "123", CLIENT_SECRET, *genesys.tokens):
            assert private not in shown


# Settings


def test_as_it_was_written() -> None:
    written = {"data_action": {"id": ID, "timeout": 10.0, "outputs": {"A": "/a"}}}
    entry = DataActionEntry.model_validate(written)
    assert entry.resolve().entry.model_dump(mode="json", exclude_defaults=True) == written


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"id": ""}, "at least 1 character"),
        ({"id": ".."}, "ID of a data action"),
        ({"id": "a b"}, "ID of a data action"),
        ({"id": "a\nb"}, "ID of a data action"),
        ({"id": "x" * 201}, "at most 200"),
        ({"name": "end_call"}, "one of call control"),
        ({"name": "collect_digits"}, "one of call control"),
        ({"name": "get customer"}, "pattern"),
        ({"name": "x" * 65}, "pattern"),
        ({"parameters": {"type": "array"}}, "not that of an object"),
        ({"parameters": {"properties": {"a": {"type": "x"}}}}, "not a JSON schema"),
        ({"result": "customer.name"}, "JSON Pointer"),
        ({"result": {"a": "b"}}, "JSON Pointer"),
        ({"outputs": {"A": "~"}}, "JSON Pointer"),
        ({"timeout": 0}, "greater than 0"),
        ({"retries": 3}, "not permitted"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        made(**settings)
