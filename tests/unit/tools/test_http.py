import asyncio
import gzip
import json
import logging
import ssl
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import trustme
from aiohttp import web
from structlog.testing import capture_logs

from offhook.agents import Agent
from offhook.tools import CallContext, ToolError, ToolResources, ToolResult, ToolSet, ToolSources, ToolUnavailable
from offhook.tools import http_exchange as exchange
from offhook.tools.http import HttpEntry, HttpTool
from offhook.tools.http_clients import HttpClients
from offhook.tools.http_settings import HttpToolSettings
from tests.unit.tools.services import Handle, RawService, Service, answer, hang_up, reset, say

CALL = CallContext(id="call-1", ani="+15550100", invocation_id="run-1")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
UNKNOWN = "it is not known whether the request was carried out: do not repeat it, tell the caller"

MakeTool = Callable[..., Awaitable[HttpTool]]


@pytest.fixture
async def clients() -> AsyncIterator[HttpClients]:
    clients = HttpClients()
    yield clients
    await clients.close()


@pytest.fixture
def make(clients: HttpClients, monkeypatch: pytest.MonkeyPatch) -> MakeTool:
    """Return what makes a tool for a local server; it does not pause before repeats."""
    monkeypatch.setattr(exchange, "FIRST_PAUSE", 0.0)

    async def make(service: Service | RawService, path: str = "/v1", **values: Any) -> HttpTool:
        properties: dict[str, Any] = {name: {} for name in ("id", "day", "seats", "note")}
        settings = HttpToolSettings.model_validate(
            {
                "name": "book",
                "description": "Books.",
                "url": f"http://127.0.0.1:{service.port}{path}",
                "parameters": {"type": "object", "properties": properties},
                "allow_private": True,
                **values,
            }
        )
        tool = HttpTool(HttpEntry(http=settings))
        await tool.open(ToolResources(http=clients, tool_timeout=5.0))
        return tool

    return make


def replies(*replies: tuple[int, Any], **headers: str) -> Handle:
    """Answer with one status and body after the other; the last one stays."""
    left = list(replies)

    async def handle(_: web.Request) -> web.Response:
        status, body = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return handle


async def failure(tool: HttpTool, **arguments: Any) -> ToolError:
    with pytest.raises(ToolError) as caught:
        await tool.invoke(arguments, CALL)
    return caught.value


async def test_a_request(make: MakeTool) -> None:
    async with Service(replies((201, {"data": {"id": 7, "summary": "booked"}, "more": "x"}))).running() as service:
        tool = await make(
            service,
            "/v1/slots/{{ args.id }}/bookings",
            method="POST",
            headers={"Authorization": "Bearer tok", "X-Call": "{{ call.id }}"},
            query={"day": "{{ args.day }}"},
            body={
                "slot": "{{ args.id }}",
                "seats": "{{ args.seats }}",
                "phone": "{{ call.ani }}",
                "n": "{{ args.note }}",
            },
            result="/data/summary",
            outputs={"BOOKING_ID": "/data/id", "OTHER": "/data/none"},
        )
        assert await tool.invoke({"id": "a/b?x#y", "seats": 4}, CALL) == ToolResult("booked", {"BOOKING_ID": 7})
        (request,) = service.requests
        assert (request.method, request.raw_path) == ("POST", "/v1/slots/a%2Fb%3Fx%23y/bookings")
        assert json.loads(service.bodies[0]) == {"slot": "a/b?x#y", "seats": 4, "phone": "+15550100"}
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["Authorization"] == "Bearer tok"
        assert request.headers["X-Call"] == "call-1"
        assert request.headers["Idempotency-Key"] == "run-1"


async def test_arguments_that_lead_elsewhere_are_not_sent(make: MakeTool) -> None:
    async with Service().running() as service:
        tool = await make(service, "/v1/{{ args.id }}", headers={"X-Note": "{{ args.note | default('') }}"})
        for arguments in ({"id": "../admin"}, {"id": "x", "note": "a\r\nX-Evil: 1"}, {"id": ""}, {}):
            assert "admin" not in str(await failure(tool, **arguments))
        assert str(await failure(tool)) == "the argument id is missing"
        assert service.requests == []


async def test_what_the_call_lacks(make: MakeTool) -> None:
    async with Service().running() as service:
        tool = await make(service, query={"shop": "{{ input.SHOP }}"})
        other = await make(service, query={"x": "{{ args.id + 1 }}"})
        with capture_logs() as logs:
            assert str(await failure(tool)) == "the tool cannot be used in this call"
            assert str(await failure(other, id="4111")) == "no request can be made of these arguments"
        assert [(log.get("missing"), log.get("problem")) for log in logs] == [
            ("input.SHOP", None),
            (None, "failed (TypeError)"),
        ]
        assert service.requests == []


async def test_https(make: MakeTool) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    trusting = HttpClients(tls=trust)
    async with Service(replies((200, "fine"))).running(server) as service:
        tool = await make(service, url=f"https://127.0.0.1:{service.port}/", retries=0)
        assert str(await failure(tool)) == "the service cannot be reached"
        assert service.requests == []
        await tool.open(ToolResources(http=trusting))
        assert (await tool.invoke({}, CALL)).content == "fine"
    await trusting.close()


async def test_a_tool_of_an_agent(clients: HttpClients) -> None:
    async with Service(replies((200, "fine"))).running() as service:
        url = f"http://127.0.0.1:{service.port}/"
        entry = {"http": {"name": "look", "description": "Looks.", "url": url, "allow_private": True}}
        tools = ToolSet(Agent.model_validate({"instructions": "x", "tools": [entry]}).tool_entries)
        (tool,) = tools.tools
        assert tool.definition.name == "look"
        sources = ToolSources(tools.sources)
        await sources.open(ToolResources(http=clients))
        result = await tool.invoke({}, CALL)
        assert isinstance(result, ToolResult)
        assert result.content == "fine"
        await sources.close()
        with pytest.raises(ToolError, match="not ready"):
            await tool.invoke({}, CALL)


ANSWER = {"data": {"id": 7, "list": ["a", None]}}


@pytest.mark.parametrize(
    ("values", "body", "content"),
    [
        ({}, json.dumps(ANSWER).encode(), ANSWER),
        ({}, b"\xef\xbb\xbf[1]", [1]),
        ({}, b"null", None),
        ({}, "gr\u00fcn".encode(), "gr\u00fcn"),
        ({}, b"", "done"),
        ({"method": "HEAD"}, b"", "done"),
        ({"result": ""}, json.dumps(ANSWER).encode(), ANSWER),
        ({"result": "/data/list/0"}, json.dumps(ANSWER).encode(), "a"),
        ({"result": {"n": "/data/id", "no": "/data/list/1"}}, json.dumps(ANSWER).encode(), {"n": 7, "no": None}),
        ({"outputs": {"A": "/data/list/1", "B": "/x"}}, json.dumps(ANSWER).encode(), ANSWER),
    ],
)
async def test_answers(make: MakeTool, values: dict[str, Any], body: bytes, content: object) -> None:
    async with Service(replies((200, body))).running() as service:
        result = await (await make(service, **values)).invoke({}, CALL)
        assert (result.content, dict(result.outputs)) == (content, {})


@pytest.mark.parametrize(
    ("values", "body", "problem"),
    [
        (
            {"result": "/data/none"},
            json.dumps(ANSWER).encode(),
            "in the service's answer there is nothing at /data/none",
        ),
        ({"result": {"a": "/data/5"}}, b"{}", "in the service's answer there is nothing at /data/5"),
        ({"result": "/a"}, b"<html>", "the service's answer is not JSON"),
        ({"outputs": {"A": "/a"}}, b"", "the service's answer is not JSON"),
        ({"redact": ["a"]}, b"a: 4111", "the service's answer is not JSON"),
        ({"result": "/a"}, b"[" * 50_000, "the service's answer is not JSON"),
        ({"result": "/a"}, b'{"a": NaN}', "the service's answer is not JSON"),
        ({}, b"\xff\xfe\x00", "the service's answer is not text"),
        ({"max_bytes": 10}, b"x" * 11, "the service's answer is too long"),
        (
            {"result": "/a", "method": "POST"},
            b"{}",
            "the request was carried out, but in the service's answer there is",
        ),
        (
            {"max_bytes": 10, "method": "POST"},
            b"x" * 11,
            "the request was carried out, but the service's answer is too",
        ),
        ({"result": "/a", "method": "PUT"}, b"x", "the request was carried out, but the service's answer is not JSON"),
    ],
)
async def test_answers_that_cannot_be_used(make: MakeTool, values: dict[str, Any], body: bytes, problem: str) -> None:
    async with Service(replies((200, body))).running() as service:
        error = await failure(await make(service, **values))
        assert str(error).startswith(problem)
        assert not isinstance(error, ToolUnavailable)
        assert len(service.requests) == 1


async def test_an_answer_that_should_be_json(make: MakeTool) -> None:
    async with Service(replies((200, b"{"), **{"Content-Type": "application/problem+json"})).running() as service:
        assert str(await failure(await make(service))) == "the service's answer is not the JSON that it should be"


async def test_a_huge_answer_is_not_read_to_its_end(make: MakeTool) -> None:
    ended = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        finally:
            ended.set()

    async with Service(handle).running() as service:
        assert str(await failure(await make(service))) == "the service's answer is too long"
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("size", [1000, 64 * 1024 * 1024])
async def test_compressed_answers_count_decompressed(make: MakeTool, size: int) -> None:
    packed = gzip.compress(b"0" * size, 6)
    async with Service(replies((200, packed), **{"Content-Encoding": "gzip"})).running() as service:
        tool = await make(service)
        tracemalloc.start()
        try:
            if size == 1000:
                assert (await tool.invoke({}, CALL)).content == "0" * 1000
            else:
                assert str(await failure(tool)) == "the service's answer is too long"
            assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
        finally:
            tracemalloc.stop()


async def test_an_encoding_that_is_none(make: MakeTool) -> None:
    async with Service(replies((200, b"not gzip"), **{"Content-Encoding": "gzip"})).running() as service:
        assert str(await failure(await make(service, retries=0))) == "the connection to the service was lost"


@pytest.mark.parametrize(
    ("status", "text", "unavailable"),
    [
        (301, "the service redirects, which is not followed (status 301)", False),
        (304, "the service redirects, which is not followed (status 304)", False),
        (400, "the service refused the request (status 400)", False),
        (404, "There is no such slot. (status 404)", False),
        (429, "the service is busy (status 429)", True),
        (500, "the service failed (status 500)", True),
        (503, "It is closed. (status 503)", True),
    ],
)
async def test_statuses(make: MakeTool, status: int, text: str, unavailable: bool) -> None:
    errors = {404: "There is no such slot.", 503: "It is closed."}
    async with Service(replies((status, b"secret"), Location="/elsewhere")).running() as service:
        for method in ("GET", "POST"):
            service.requests.clear()
            error = await failure(await make(service, errors=errors, method=method))
            assert isinstance(error, ToolUnavailable) == unavailable
            known = text if method == "GET" or 400 <= status < 500 else f"{text}; {UNKNOWN}"
            assert str(error) == known
            assert len(service.requests) == (3 if method == "GET" and status in (429, 503) else 1)
            assert set(service.paths) == {"/v1"}


async def test_safe_requests_are_repeated(make: MakeTool) -> None:
    async with Service(replies((503, b""), (502, b""), (200, "at last"))).running() as service:
        with capture_logs() as logs:
            assert (await (await make(service)).invoke({}, CALL)).content == "at last"
        assert len(service.requests) == 3
        assert [log["event"] for log in logs] == ["http_repeat", "http_repeat"]


async def test_repeats_end(make: MakeTool) -> None:
    async with Service(replies((503, b""))).running() as service:
        assert isinstance(await failure(await make(service, retries=1)), ToolUnavailable)
        assert len(service.requests) == 2
        await failure(await make(service, retries=0))
        assert len(service.requests) == 3


@pytest.mark.parametrize("end", [hang_up, reset, say(b"nonsense\r\n\r\n", go_on=False)])
async def test_lost_connections_of_safe_requests_are_repeated(make: MakeTool, end: Any) -> None:
    async with RawService(end, answer(), end, answer(b'"yes"')).running() as service:
        tool = await make(service)
        assert (await tool.invoke({}, CALL)).content == {}
        assert (await tool.invoke({}, CALL)).content == "yes"
        assert len(service.requests) == 4


async def test_an_answer_that_breaks_off(make: MakeTool) -> None:
    cut = say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", go_on=False)
    async with RawService(cut, answer(b"1"), cut).running() as service:
        assert (await (await make(service)).invoke({}, CALL)).content == 1
        error = await failure(await make(service, method="POST"))
        assert str(error) == f"the connection to the service was lost; {UNKNOWN}"
        assert len(service.requests) == 3


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("end", [hang_up, reset, answer(status="503 Busy"), answer(status="500 Oops")])
async def test_writes_go_out_once(make: MakeTool, method: str, end: Any) -> None:
    # The first answer leaves a connection that could be used again.
    async with RawService(answer(), end, answer()).running() as service:
        tool = await make(service, method=method, body={"id": "{{ args.id }}"})
        await tool.invoke({}, CALL)
        error = await failure(tool)
        assert isinstance(error, ToolUnavailable)
        assert UNKNOWN in str(error)
        assert (len(service.requests), service.connections) == (2, 2)


async def test_a_write_that_times_out_was_sent_once(make: MakeTool) -> None:
    booked: list[bytes] = []
    release = asyncio.Event()

    async def book_and_hang(request: web.Request) -> web.Response:
        booked.append(await request.read())
        await release.wait()
        return web.Response()

    async with Service(book_and_hang).running() as service:
        tool = await make(service, method="POST", body={"id": "{{ args.id }}"}, timeout=0.2)
        error = await failure(tool, id=1)
        assert isinstance(error, ToolUnavailable)
        assert str(error) == f"the service did not answer in time; {UNKNOWN}"
        assert booked == [b'{"id": 1}']
        release.set()


async def test_a_read_that_times_out_is_repeated_within_the_limit(make: MakeTool) -> None:
    release = asyncio.Event()

    async def slow_once(_: web.Request) -> web.Response:
        if len(service.requests) == 1:
            await release.wait()
        return web.json_response(len(service.requests))

    clock = asyncio.get_running_loop().time
    async with Service(slow_once).running() as service:
        begin = clock()
        assert (await (await make(service, timeout=1.0)).invoke({}, CALL)).content == 2
        assert clock() - begin < 1.0
        release.set()


async def test_a_limit_that_is_over_before_the_repeats(make: MakeTool) -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with Service(hang).running() as service:
        error = await failure(await make(service, timeout=2.0))
        assert str(error) == "the service did not answer in time"
        assert len(service.requests) == 3
        release.set()


async def test_a_service_that_is_not_there(make: MakeTool) -> None:
    async with RawService().running() as service:
        pass
    with capture_logs() as logs:
        assert str(await failure(await make(service))) == "the service cannot be reached"
        assert (
            str(await failure(await make(service, method="POST"))) == "the service cannot be reached; nothing was done"
        )
    failed = [log for log in logs if log["event"] == "http_failed"]
    assert [log["error"] for log in failed] == ["ClientConnectorError"] * 4


@pytest.mark.parametrize(
    ("asked", "requests", "within"),
    [("0", 3, 5.0), ("1", 1, 0.6), ("60", 1, 5.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1, 5.0), ("-1", 1, 5.0)],
)
async def test_retry_after(make: MakeTool, asked: str, requests: int, within: float) -> None:
    async with Service(replies((429, b""), **{"Retry-After": asked})).running() as service:
        assert isinstance(await failure(await make(service, timeout=within)), ToolUnavailable)
        assert len(service.requests) == requests


async def test_a_pause_that_the_service_asks_for(make: MakeTool, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with Service(replies((503, b""), (200, 1), **{"Retry-After": "3"})).running() as service:
        tool = await make(service, timeout=10)
        monkeypatch.setattr("offhook.tools.http_exchange.asyncio.sleep", sleep)
        assert (await tool.invoke({}, CALL)).content == 1
    assert 3.0 in slept


async def test_declared_repeats_of_a_write_carry_one_key(make: MakeTool) -> None:
    async with Service(replies((503, b""), (503, b""), (200, 1), (503, b""), (200, 2))).running() as service:
        tool = await make(service, method="POST", idempotent=True, body={"id": "{{ args.id }}"})
        for run in ("run-1", "run-2"):
            await tool.invoke({"id": 5}, replace(CALL, invocation_id=run))
        keys = [request.headers["Idempotency-Key"] for request in service.requests]
        assert keys == ["run-1", "run-1", "run-1", "run-2", "run-2"]
        assert set(service.bodies) == {b'{"id": 5}'}


async def test_private_addresses_are_refused_when_they_are_found(
    make: MakeTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The name says nothing of the address before it is resolved.
    monkeypatch.setattr("offhook.tools.http_url._is_local_name", lambda host: False)
    async with Service().running() as service:
        tool = await make(service, url=f"http://localhost:{service.port}/", allow_private=False)
        with capture_logs() as logs:
            assert str(await failure(tool)) == "the tool may not reach the address of its service"
        assert [log["event"] for log in logs] == ["http_failed"]
        assert service.requests == []


async def test_the_end_of_the_call_ends_the_request(make: MakeTool) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return web.Response()

    async with Service(hang).running() as service:
        task = asyncio.create_task((await make(service)).invoke({}, CALL))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 5)
        assert len(service.requests) == 1


SECRETS = ("s3cr3t", "4111", "+15550100", "hidden.example")


@pytest.mark.parametrize(
    "steps",
    [
        (hang_up,) * 3,
        (answer(status="404 s3cr3t"),),
        (answer(status="302 Found", headers=b"Location: https://hidden.example/s3cr3t\r\n"),),
        (answer(status="500 s3cr3t"),),
        (answer(b"s3cr3t"),),
        (say(b"s3cr3t\r\n\r\n", go_on=False),) * 3,
        (say(b"HTTP/1.1 200 OK\r\nContent-Length: 4111\r\n\r\n4111", go_on=False),) * 3,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_errors_and_logs_hold_no_secrets(
    make: MakeTool, method: str, steps: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with RawService(*steps).running() as service:
        tool = await make(
            service,
            "/hidden.example/{{ args.id }}",
            method=method,
            headers={"Authorization": "Bearer s3cr3t", "X-Phone": "{{ call.ani }}"},
            query={"key": "s3cr3t"},
            body=None if method == "GET" else {"card": "{{ args.id }}", "key": "s3cr3t"},
            result="/data",
        )
        with capture_logs() as logs:
            error = await failure(tool, id="4111")
    shown = "".join([str(error), repr(error), *traceback.format_exception(error), caplog.text, repr(logs), repr(tool)])
    assert not [secret for secret in SECRETS if secret in shown]
