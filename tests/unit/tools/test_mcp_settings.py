"""Entries ``mcp`` of an agent's tools: what may be written, what is refused, what goes to OpenAI."""

import importlib.metadata
import subprocess
import sys
from typing import Any

import pytest
from msgspec import UNSET
from pydantic import ValidationError

from offhook.agents import Agent, ConnectorPath, plan_call
from offhook.audiohook import OpenParameters, Participant
from offhook.realtime import ApprovalFilter, McpTool, SessionConfig, ToolFilter, encode_client_event
from offhook.realtime.client_events import SessionUpdateEvent
from offhook.tools import ToolSet
from offhook.tools.mcp import HostedMcp, McpClientSettings, McpEntry
from offhook.tools.mcp_server import McpServer

SECRET = "hunter2"
CLIENT: dict[str, Any] = {"name": "crm", "url": "https://mcp.example.com/mcp"}
PROGRAM: dict[str, Any] = {"name": "crm", "command": ["python", "-m", "crm"]}
HOSTED: dict[str, Any] = {"hosted": True, "name": "docs", "url": "https://docs.example.com/mcp"}


def agent(*entries: dict[str, Any]) -> Agent:
    return Agent.model_validate({"instructions": "Be kind.", "tools": [{"mcp": entry} for entry in entries]})


def kinds(*entries: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        agent(*entries)
    return [error["type"] for error in caught.value.errors()]


def client_settings(**changes: Any) -> McpClientSettings:
    return McpClientSettings.model_validate({**CLIENT, **changes})


def test_a_server_that_we_talk_to_is_a_source_of_tools() -> None:
    made = agent({**CLIENT, "headers": {"Authorization": f"Bearer {SECRET}"}, "timeout": 10}, {**PROGRAM, "name": "b"})
    assert [type(entry) for entry in made.tool_entries] == [McpServer, McpServer]
    assert made.hosted_mcp == ()
    assert ToolSet(made.tool_entries).tools == ()
    written = made.model_dump(mode="json")["tools"]
    assert written[0]["mcp"]["url"] == CLIENT["url"]
    assert SECRET not in str(written)
    assert SECRET not in repr(made.tools)


def test_a_server_that_openai_talks_to_is_none() -> None:
    made = agent({**HOSTED, "authorization": SECRET})
    assert made.tool_entries == ()
    (server,) = made.hosted_mcp
    assert isinstance(server, HostedMcp)
    assert SECRET not in str(made.model_dump(mode="json"))
    again = Agent(instructions="x", tools=made.tools)
    assert again.hosted_mcp == (server,)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"name": "crm"}, "mcp_server"),
        ({**CLIENT, "command": ["python"]}, "mcp_server"),
        ({**PROGRAM, "headers": {"A": "b"}}, "mcp_server"),
        ({**CLIENT, "env": {"A": "b"}}, "mcp_server"),
        ({**CLIENT, "cwd": "crm"}, "mcp_server"),
        ({"name": "crm", "command": [""]}, "mcp_server"),
        ({**CLIENT, "name": "c r m"}, "string_pattern_mismatch"),
        ({**CLIENT, "name": "x" * 33}, "string_pattern_mismatch"),
        ({**CLIENT, "url": "mcp.example.com"}, "mcp_url"),
        ({**CLIENT, "url": "wss://mcp.example.com"}, "mcp_url"),
        ({**CLIENT, "url": "https://me:secret@mcp.example.com"}, "mcp_url"),
        ({**CLIENT, "headers": {"Host": "b"}}, "mcp_headers"),
        ({**CLIENT, "headers": {"A": "b\n"}}, "mcp_headers"),
        ({**CLIENT, "headers": {"": "b"}}, "mcp_headers"),
        ({**PROGRAM, "env": {"A=B": "c"}}, "mcp_env"),
        ({**PROGRAM, "env": {"A": "\0"}}, "mcp_env"),
        ({**CLIENT, "tools": ["lookup"], "confirm": ["book"]}, "mcp_tools"),
        ({**CLIENT, "approval": "always"}, "extra_forbidden"),
        ({**CLIENT, "timeout": 0}, "greater_than"),
        ({**HOSTED, "command": ["x"]}, "extra_forbidden"),
        ({**HOSTED, "approve": ["search"]}, "mcp_approval"),
        ({**HOSTED, "approval": "always", "tools": ["a"], "approve": ["b"]}, "mcp_tools"),
        ({**HOSTED, "approval": "sometimes"}, "literal_error"),
        ({**HOSTED, "approval": {"often": ["a"]}}, "extra_forbidden"),
    ],
)
def test_entries_that_cannot_be(entry: dict[str, Any], kind: str) -> None:
    assert kinds(entry) == [kind]


def test_two_servers_need_two_names() -> None:
    assert kinds(CLIENT, {**HOSTED, "name": "crm"}) == ["tool_name"]


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ValidationError, match=r'pip install "offhook\[mcp\]"'):
        agent(CLIENT)
    assert agent(HOSTED).hosted_mcp != ()


def test_policies() -> None:
    some = client_settings(confirm=["book"], timeout=5, redact=["card"], max_result_bytes=100)
    assert some.policy_of("book").confirm
    assert not some.policy_of("lookup").confirm
    assert (some.policy_of("lookup").timeout, some.policy_of("lookup").redact) == (5, ("card",))
    assert some.policy_of("lookup").max_result_bytes == 100
    assert client_settings(confirm=True).policy_of("lookup").confirm
    assert not client_settings().policy_of("lookup").confirm


def session_tool(**changes: Any) -> McpTool:
    return agent({**HOSTED, **changes}).hosted_mcp[0].session_tool()


def test_what_openai_is_told() -> None:
    plain = McpTool(server_label="docs", server_url=HOSTED["url"], require_approval="never")
    assert session_tool() == plain
    full = session_tool(
        description="Documents.",
        headers={"X-Team": "a"},
        authorization=SECRET,
        tools=["search"],
        approval={"always": ["search"]},
        approve=["search"],
    )
    assert (full.server_description, full.headers, full.authorization) == ("Documents.", {"X-Team": "a"}, SECRET)
    assert full.allowed_tools == ("search",)
    assert full.require_approval == ApprovalFilter(always=ToolFilter(tool_names=("search",)))
    assert session_tool(approval={"never": ["search"]}).require_approval == ApprovalFilter(
        never=ToolFilter(tool_names=("search",))
    )
    assert session_tool().authorization is UNSET
    data = encode_client_event(SessionUpdateEvent(session=SessionConfig(tools=(full,))))
    assert b'"require_approval":{"always":{"tool_names":["search"]}}' in data


def test_a_call_is_told_which_calls_have_leave() -> None:
    made = agent(
        {**HOSTED, "approval": "always", "approve": ["search"]},
        {**HOSTED, "name": "mail", "approval": "always", "approve": ["*"]},
        {**HOSTED, "name": "shop"},
    )
    participant = Participant(id="p", ani="tel:+1", ani_name="", dnis="tel:+2")
    parameters = OpenParameters(
        organization_id="o", conversation_id="c", participant=participant, media=(), language="en-us"
    )
    plan = plan_call(made, "support", parameters, ConnectorPath())
    assert plan.approved_mcp == {("docs", "search"), ("mail", "*")}
    assert [tool.server_label for tool in plan.session.tools or () if isinstance(tool, McpTool)] == [
        "docs",
        "mail",
        "shop",
    ]
    assert plan.tools == {}


def test_an_entry_can_be_made_in_python() -> None:
    entry = McpEntry.model_validate({"mcp": client_settings()})
    assert isinstance(entry.resolve(), McpServer)


def test_nothing_needs_the_package_until_a_server_is_opened() -> None:
    code = f"""
import sys
missing = dict.fromkeys(("mcp", "mcp_types", "httpx2", "anyio"))
sys.modules.update(missing)
from offhook import Agent, Gateway
agent = Agent(instructions="x", tools=[{{"mcp": {CLIENT!r}}}, {{"mcp": {HOSTED!r}}}])
assert [source.tools for source in agent.tool_entries] == [()]
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)  # noqa: S603
