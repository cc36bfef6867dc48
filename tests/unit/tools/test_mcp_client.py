"""The MCP client against real servers: programs over stdio and streamable HTTP."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from offhook.tools import ToolError, ToolResources, ToolResult, ToolUnavailable
from offhook.tools import mcp_client as client
from offhook.tools.mcp_server import MAX_DESCRIPTION_CHARS, MAX_TOOLS
from tests.unit.tools.mcp_world import CONTEXT, REAL, Watched, free_port, listening, odd, opened, settings

TOKEN = "hunter2-secret"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "DELAYS", (0.02, 0.1))
    monkeypatch.setattr(client, "PAUSE", 0.01)


async def refusal(server: Watched, name: str, **arguments: Any) -> ToolError:
    with pytest.raises(ToolError) as caught:
        await server.ask(name, **arguments)
    return caught.value


async def check_answers(server: Watched) -> None:
    """What any server can be asked."""
    assert "12" in str(await server.ask("lookup", order_id="12"))
    assert await server.ask("say", text="hello") == "hello"
    assert await server.ask("data") == ToolResult({"status": "shipped"})
    shown = str(await server.ask("picture"))
    assert "[image/png, not shown]" in shown
    assert "[resource file:///terms.pdf, not shown]" in shown
    assert shown.endswith("that is all")
    failed = await refusal(server, "fail")
    assert "there is no such order" in str(failed)
    assert len(str(failed)) <= 500
    assert not isinstance(failed, ToolUnavailable)
    assert len(str(await server.ask("big", size=300_000))) == 300_000


async def test_stdio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_CLIENT_SECRET", TOKEN)
    calls = tmp_path / "calls"
    program = [sys.executable, str(REAL), "stdio"]
    async with opened(command=program, env={"CALLS": str(calls), "MODE": TOKEN}) as server:
        assert {"lookup", "slow", "fail"} <= set(server.names)
        definition = server.tool("lookup").definition
        assert definition.description == "Look an order up."
        assert definition.parameters["properties"]["order_id"]["type"] == "string"
        await check_answers(server)
        pid, *names = str(await server.ask("environment")).split()
        assert set(names) <= {"PATH", "HOME", "LANG", "CALLS", "MODE", "LC_CTYPE"}
        assert calls.read_text() == "lookup\n"
        assert await server.ask("grow") == "grown"
        await server.until(lambda: "late" in server.names)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_http_from_down_to_up_and_down_and_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    monkeypatch.setenv("CALLS", str(calls))
    port = free_port()
    with capture_logs() as logs:
        async with opened(
            url=f"http://127.0.0.1:{port}/mcp", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5
        ) as server:
            assert server.tools == ()
            async with listening(port):
                await server.until(lambda: bool(server.tools))
                await check_answers(server)
                said = str(await server.ask("request"))
                assert f"Bearer {TOKEN}" in said
                assert "'offhook/invocation_id': 'inv-1'" in said
                slow = asyncio.ensure_future(server.ask("slow", seconds=30))
                await asyncio.gather(*(server.ask("say", text=str(number)) for number in range(8)))
                assert not slow.done()
                known = server.tool("say")
                died = await refusal(server, "book", slot="ten")
                assert isinstance(died, ToolUnavailable)
                assert "may have done its work" in str(died)
                with pytest.raises(ToolUnavailable):
                    await slow
                await server.until(lambda: not server.tools)
                with pytest.raises(ToolUnavailable):
                    await known.invoke({"text": "x"}, CONTEXT)
            async with listening(port):
                await server.until(lambda: bool(server.tools))
                assert await server.ask("say", text="back") == "back"
                assert await server.ask("grow") == "grown"
                await server.until(lambda: "late" in server.names)
    assert sorted(calls.read_text().split()) == ["book", "lookup", "slow"]
    assert TOKEN not in str(logs)
    lost = [entry for entry in logs if entry.get("code") == "OH-MCP-01"]
    assert lost[0]["problem"] == "ConnectError"
    # That it was down at first, that it was lost, and maybe that it was lost again; attempts in between are no news.
    assert [entry["log_level"] for entry in lost].count("warning") in (2, 3)


async def test_http_as_it_was_before() -> None:
    port = free_port()
    async with opened(url=f"http://127.0.0.1:{port}/mcp", tools=["say", "grow", "late"]) as server:
        async with listening(port, "legacy"):
            await server.until(lambda: bool(server.tools))
            assert server.names == ["say", "grow"]
            assert await server.ask("say", text="hello") == "hello"
            assert await server.ask("grow") == "grown"
            await server.until(lambda: "late" in server.names)
        await server.until(lambda: not server.tools)
        async with listening(port, "legacy"):  # does not know the session
            await server.until(lambda: bool(server.tools))
            assert await server.ask("say", text="back") == "back"


async def test_a_program_that_talks_too_much() -> None:
    with capture_logs() as logs:
        async with odd(env={"TOKEN": TOKEN}) as server:
            assert await server.ask("echo", text="garbage") == "garbage"
            assert await server.ask("echo", text="stderr") == "stderr"
            assert await server.ask("echo", text="again") == "again"
    said = [entry["line"] for entry in logs if entry["event"] == "mcp server says"]
    assert said[0] == "starting with [secret]"
    assert all(len(line) <= 500 for line in said)
    assert TOKEN not in str(logs)
    assert "4111" not in str(logs)
    assert len([entry for entry in logs if "other things" in entry["event"]]) == 1


@pytest.mark.parametrize("how", [(), ("backwards",)])
async def test_an_answer_without_end_fails_at_once(how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.tools.mcp_stdio.MAX_MESSAGE_BYTES", 100_000)
    async with odd(*how) as server:
        failed = await refusal(server, "huge", text="200000")
        assert isinstance(failed, ToolUnavailable)
        assert len(str(await server.ask("huge", text="90000"))) == 90_000


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("refuse", ToolError, "text must be kind"),
        ("break", ToolUnavailable, "crm failed, but may have done its work"),
        ("nonsense", ToolUnavailable, "crm failed, but may have done its work"),
    ],
)
async def test_answers_that_are_none(text: str, kind: type[ToolError], said: str) -> None:
    with capture_logs() as logs:
        async with odd() as server:
            failed = await refusal(server, "echo", text=text)
            assert (type(failed), str(failed)) == (kind, said)
            assert await server.ask("echo", text="fine") == "fine"
    assert "4111" not in str(logs)


async def test_a_program_that_dies_in_a_call_comes_back() -> None:
    async with odd() as server:
        first = await server.ask("pid")
        waiting = asyncio.ensure_future(server.ask("hang"))
        assert await server.ask("echo", text="beside") == "beside"
        assert isinstance(await refusal(server, "die"), ToolUnavailable)
        with pytest.raises(ToolUnavailable):
            await waiting
        await server.until(lambda: not server.tools)
        await server.until(lambda: bool(server.tools))
        assert await server.ask("pid") != first


async def test_changes_are_heard_of() -> None:
    async with odd() as server:
        known = server.tool("echo")
        await server.ask("echo", text="grow")
        await server.until(lambda: "late" in server.names)
        assert server.tool("echo") is known


async def test_a_server_may_not_ask_for_anything() -> None:
    async with odd() as server:
        assert "not" in str(await server.ask("ask"))


async def test_a_call_that_nobody_waits_for_is_given_up() -> None:
    async with odd() as server:
        waiting = asyncio.ensure_future(server.ask("hang"))
        assert await server.ask("echo", text="beside") == "beside"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await server.ask("echo", text="after") == "after"


async def test_a_call_has_a_deadline() -> None:
    async with odd(timeout=0.1) as server:
        failed = await refusal(server, "hang")
        assert isinstance(failed, ToolUnavailable)
        assert "in time" in str(failed)


async def test_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_CALLS", 2)
    async with odd() as server:
        waiting = [asyncio.ensure_future(server.ask("hang")) for _ in range(2)]
        await asyncio.sleep(0)
        failed = await refusal(server, "echo", text="x")
        assert "too many" in str(failed)
        assert not isinstance(failed, ToolUnavailable)
    assert all(isinstance(call.exception(), ToolUnavailable) for call in waiting)


async def test_tools_are_checked_and_bounded() -> None:
    with capture_logs() as logs:
        async with odd("many", confirm=["echo", "bok"]) as server:
            assert len(server.tools) == MAX_TOOLS
            names = [tool.definition.name for tool in server.tools]
            assert len(set(names)) == len(names)
            assert all(len(name) <= 64 for name in names)
            assert len(server.tool("echo").definition.description) == MAX_DESCRIPTION_CHARS
            assert "crm__die" not in names
            assert [tool.policy.confirm for tool in server.tools][:2] == [True, False]
    problems = {entry["problem"] for entry in logs if entry.get("code") == "OH-MCP-02"}
    assert problems == {
        "its name is taken",
        "the schema of its arguments is too large",
        "there are more than 64",
    }
    (unknown,) = [entry for entry in logs if entry.get("code") == "OH-MCP-03"]
    assert unknown["tool"] == "bok"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["/no/such/program"], "the program cannot be started (FileNotFoundError)"),
        ([sys.executable, "-c", ""], "the program has ended"),
    ],
)
async def test_a_program_that_cannot_be_used(command: list[str], problem: str) -> None:
    with capture_logs() as logs:
        async with opened(command=command) as server:
            assert server.tools == ()
    assert [entry["problem"] for entry in logs if entry["log_level"] == "warning"] == [problem]


async def test_a_server_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.tools.mcp_server.OPEN_WAIT", 0.05)
    async with odd("deaf") as server:
        assert server.tools == ()


async def test_a_server_that_falls_silent_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RECHECK", 0.05)
    monkeypatch.setattr(client, "SETTLED", 0.0)
    async with odd() as server:
        await server.until(lambda: server.listings > 3)
        first = await server.ask("pid")
        os.kill(int(str(first)), 9)
        await server.until(lambda: not server.tools)
        await server.until(lambda: bool(server.tools))
        assert await server.ask("pid") != first


async def test_a_program_that_does_not_want_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.tools.mcp_stdio.GRACE", 0.1)
    async with odd("stubborn") as server:
        pid = int(str(await server.ask("pid")))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_closing_twice_and_opening_again() -> None:
    server = Watched(settings(command=[sys.executable, "-c", ""]))
    await server.close()
    await server.open(ToolResources())
    await server.open(ToolResources())
    await server.close()
    await server.close()
