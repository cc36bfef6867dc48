from structlog.testing import capture_logs

from offhook.bridge.commands import InvokeTool
from offhook.tools import CallContext, ToolDefinition, ToolSet, tool
from offhook.tools.breaker import MAX_FAILURES
from tests.unit.tools.fakes import Plain, Source

CONTEXT = CallContext(id="call-1")


@tool
async def first() -> str:
    return "first"


def names(tools: ToolSet) -> list[str]:
    return [found.definition.name for found in tools.tools]


def test_tools_and_sources_in_their_order() -> None:
    source = Source(Plain("a", name="a"), Plain("b", name="b"))
    tools = ToolSet([source, first])
    assert names(tools) == ["a", "b", "first"]
    assert tools.sources == (source,)
    source.offered = []
    assert names(tools) == ["first"]
    assert ToolSet().tools == ()


def test_of_two_tools_with_one_name_the_first_counts() -> None:
    one, two = Plain("1", name="same"), Plain("2", name="same")
    tools = ToolSet([Source(one), Source(two)])
    with capture_logs() as logs:
        assert tools.tools == (one,)
        assert tools.tools == (one,)
    assert [(line["code"], line["tool"]) for line in logs] == [("OH-TOOL-02", "same")]


def test_names_that_no_tool_may_have() -> None:
    source = Source(*(Plain("x", name=name) for name in ("end_call", "escalate", "set_outputs", "collect_digits")))
    odd = Source(*(Plain("x", name=name) for name in ("", "a b", "\u00e4", "x" * 65, "a.b\n")))
    tools = ToolSet([source, odd, first])
    with capture_logs() as logs:
        assert names(tools) == ["first"]
        tools.begin(CONTEXT)
    assert [line["code"] for line in logs] == ["OH-TOOL-03"] * 9
    assert max(len(line["tool"]) for line in logs) <= 64


def test_complaints_are_bounded() -> None:
    source = Source(*(Plain("x", name=f"{number}!") for number in range(200)))
    with capture_logs() as logs:
        assert ToolSet([source]).tools == ()
    assert len(logs) == 100


def test_a_source_that_fails_costs_its_own_tools_only() -> None:
    source = Source(Plain("x", name="a"))
    tools = ToolSet([source, first])
    source.fails = True
    with capture_logs() as logs:
        assert names(tools) == ["first"]
        assert names(tools) == ["first"]
    assert [(line["code"], line["source"], line["error"]) for line in logs] == [
        ("OH-TOOL-01", "Source", "RuntimeError")
    ]
    assert "secret" not in str(logs)


async def test_a_call_keeps_the_tools_that_it_began_with() -> None:
    source = Source(Plain("old", name="a"))
    tools = ToolSet([source])
    calls = tools.begin(CONTEXT)
    source.offered = []
    assert [found.definition.name for found in calls.tools] == ["a"]
    assert (await calls.run(InvokeTool("c", "a", "{}"))).output == "old"
    assert tools.begin(CONTEXT).tools == ()


async def test_what_is_kept_of_a_tool_that_is_offered_anew() -> None:
    def offer(required: str) -> None:
        source.offered = [Plain(RuntimeError(), name="a", schema={"required": [required]})]

    source = Source()
    offer("x")
    tools = ToolSet([source])
    run = InvokeTool("c", "a", '{"x": 1}')
    for _ in range(MAX_FAILURES - 1):
        await tools.begin(CONTEXT).run(run)
    offer("x")  # the same again
    await tools.begin(CONTEXT).run(run)
    assert "does not work" in (await tools.begin(CONTEXT).run(run)).output
    offer("y")  # with another schema, but what is behind it is the same
    assert "y: is required" in (await tools.begin(CONTEXT).run(run)).output
    assert "does not work" in (await tools.begin(CONTEXT).run(InvokeTool("c", "a", '{"y": 1}'))).output


async def test_a_tool_whose_definition_changes() -> None:
    plain = Plain("x", name="a")
    tools = ToolSet([plain])
    run = InvokeTool("c", "a", "{}")
    assert (await tools.begin(CONTEXT).run(run)).output == "x"
    plain.definition = ToolDefinition("a", "", {"required": ["y"]})
    assert "y: is required" in (await tools.begin(CONTEXT).run(run)).output
