"""Small parts of the MCP client: names, results, lines, and what is let through over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from mcp_types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    InputRequiredResult,
    TextContent,
    TextResourceContents,
)
from structlog.testing import capture_logs

from offhook.tools import ToolError, ToolPolicy, ToolResult, ToolUnavailable
from offhook.tools import mcp_client as client
from offhook.tools.lines import Line, Lines
from offhook.tools.mcp_results import read_result
from offhook.tools.mcp_server import ListedTool, McpServer, function_name
from tests.unit.tools.mcp_world import free_port, opened, settings


class TestNames:
    def test_of_functions(self) -> None:
        assert function_name("crm", "lookup") == "crm__lookup"
        assert function_name("crm", "look.up/größe") == "crm__look_up_gr__e"

    def test_that_are_too_long_differ(self) -> None:
        first, second = function_name("crm", "x" * 80 + "a"), function_name("crm", "x" * 80 + "b")
        assert len(first) == len(second) == 64
        assert first != second
        assert function_name("crm", "x" * 80 + "a") == first


class TestResults:
    def test_text_before_data_unless_data_are_wanted(self) -> None:
        answer = CallToolResult(content=[TextContent(text="a"), TextContent(text="b")], structured_content={"c": 1})
        assert read_result(answer) == "a\nb"
        assert read_result(answer, structured=True) == ToolResult({"c": 1})

    def test_data_where_there_is_no_text(self) -> None:
        silent = CallToolResult(
            content=[AudioContent(data="AAAA", mime_type="audio/wav"), TextContent(text="")],
            structured_content=[1],
        )
        assert read_result(silent) == ToolResult([1])

    def test_what_is_not_shown_is_named(self) -> None:
        resource = TextResourceContents(uri="file:///a.txt", text="secret")
        answer = CallToolResult(
            content=[AudioContent(data="AAAA", mime_type="audio/wav"), EmbeddedResource(resource=resource)]
        )
        assert read_result(answer) == "[audio/wav, not shown]\n[resource file:///a.txt, not shown]"

    def test_nothing(self) -> None:
        assert read_result(CallToolResult(content=[])) == "done"

    def test_failures(self) -> None:
        with pytest.raises(ToolError, match="the tool failed"):
            read_result(CallToolResult(content=[], is_error=True))
        with pytest.raises(ToolError, match="asks something back"):
            read_result(InputRequiredResult(request_state="x"))


class TestLines:
    def test_however_they_come(self) -> None:
        lines = Lines(100)
        assert lines.feed(b"a") == []
        assert lines.feed(b"b\ncd\n\ne") == [Line(b"ab"), Line(b"cd"), Line(b"")]
        assert lines.feed(b"\n") == [Line(b"e")]

    @pytest.mark.parametrize("size", [1, 3, 7, 100])
    def test_front_and_end_of_a_long_one(self, size: int) -> None:
        text = bytes(range(65, 91))
        lines = Lines(10)
        data = text + b"\nshort\n"
        found = [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])]
        assert found == [Line(b"ABCDEVWXYZ", cut=True), Line(b"short")]


async def test_a_server_that_was_not_opened_cannot_be_reached() -> None:
    server = McpServer(settings(url="http://localhost:1/mcp"))
    with pytest.raises(ToolUnavailable):
        await server.call("x", {}, "", ToolPolicy())


def test_a_tool_without_an_object_is_left_out() -> None:
    server = McpServer(settings(url="http://localhost:1/mcp"))
    schemas: list[dict[str, Any]] = [{"type": "string"}, {}, {"type": "object", "properties": []}, {"type": "object"}]
    with capture_logs() as logs:
        server._listed([ListedTool(f"t{number}", "", schema) for number, schema in enumerate(schemas)])
    assert [tool.definition.name for tool in server.tools] == ["crm__t3"]
    assert server.tools[0].definition.parameters == {"type": "object", "properties": {}}
    assert {entry["problem"] for entry in logs} == {"its arguments are no object"}


async def test_a_client_that_cannot_be_imported_is_no_end_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ImportError("no module named secret")

    monkeypatch.setattr("offhook.tools.mcp_server.importlib.import_module", broken)
    with capture_logs() as logs:
        async with opened(url="http://localhost:1/mcp") as server:
            assert server.tools == ()
    assert [(entry["event"], entry["error"]) for entry in logs] == [("mcp client failed", "ImportError")]


async def test_a_connection_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.tools.mcp_server.CLOSE_WAIT", 0.01)
    monkeypatch.setattr("offhook.tools.mcp_server.FORCE_WAIT", 0.01)
    server = McpServer(settings(url="http://localhost:1/mcp"))
    let_go, cancelled = asyncio.Event(), 0

    async def stuck() -> None:
        nonlocal cancelled
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                cancelled += 1

    owner = server._owner = asyncio.ensure_future(stuck())
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await server.close()
    assert cancelled == 2
    assert [entry["event"] for entry in logs] == ["mcp server does not let go"]
    let_go.set()
    await owner


class Http:
    """An HTTP server that answers the first requests as MCP servers do, and then oddly."""

    def __init__(self) -> None:
        self.odd: dict[str, Any] = {}
        self.hits: list[str] = []
        self.headers: dict[str, str] = {}

    async def post(self, request: web.Request) -> web.StreamResponse:
        message = await request.json()
        method = message.get("method")
        self.hits.append(f"{request.path} {method}")
        self.headers = dict(request.headers)
        if method == "tools/call":
            text = message["params"]["arguments"]["text"]
            if text == "moved":
                raise web.HTTPTemporaryRedirect("/elsewhere")
            if text == "huge":
                return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": {"x": "y" * 3_000_000}})
            if text == "packed":
                response = web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}})
                response.headers["Content-Encoding"] = "gzip"
                return response
            if text == "cut":
                cut = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
                await cut.prepare(request)
                await cut.write(b"{")
                assert request.transport is not None
                request.transport.abort()
                return cut
            if text == "denied":
                raise web.HTTPForbidden
            result: dict[str, Any] = {"content": [{"type": "text", "text": text}]}
        elif method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        elif method == "tools/list":
            result = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
            if not message.get("params", {}).get("cursor"):
                result["nextCursor"] = "more"
                result["tools"][0]["name"] = "first"
        else:
            raise web.HTTPNotFound
        headers = {"Mcp-Session-Id": "s1"} if method == "initialize" else {}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=headers)

    async def elsewhere(self, request: web.Request) -> web.Response:
        self.hits.append("elsewhere")
        return web.Response()

    async def no_stream(self, request: web.Request) -> web.Response:
        raise web.HTTPMethodNotAllowed("GET", ["POST"])


@pytest.fixture
async def http() -> AsyncIterator[tuple[Http, str]]:
    server = Http()
    app = web.Application()
    app.router.add_post("/mcp", server.post)
    app.router.add_get("/mcp", server.no_stream)
    app.router.add_post("/elsewhere", server.elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield server, f"http://127.0.0.1:{port}/mcp"
    await runner.cleanup()


@pytest.mark.parametrize("text", ["moved", "huge", "packed", "cut", "denied"])
async def test_an_odd_answer_costs_its_call_a_result_and_nothing_else(
    text: str, http: tuple[Http, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.tools.mcp_http.MAX_MESSAGE_BYTES", 2_000_000)
    monkeypatch.setattr(client, "PAUSE", 0.01)
    server, url = http
    async with opened(url=url) as source:
        assert source.names == ["first", "echo"]
        with pytest.raises(ToolUnavailable):
            await source.ask("echo", text=text)
        assert await source.ask("echo", text="fine") == "fine"
        assert len([hit for hit in server.hits if hit.endswith("tools/call")]) == 2
        assert "elsewhere" not in server.hits
        assert server.headers["Accept-Encoding"] == "identity"
        assert len([hit for hit in server.hits if hit.endswith("initialize")]) == 1


async def test_a_server_that_denies_us_is_named_with_its_status(
    http: tuple[Http, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = http
    with capture_logs() as logs:
        async with opened(url=url.replace("/mcp", "/nothing")) as source:
            assert source.tools == ()
    lost = [entry for entry in logs if entry.get("code") == "OH-MCP-01"]
    assert lost[0]["problem"] == "status 404"
