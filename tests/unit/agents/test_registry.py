import pytest

from offhook.agents import Agent, AgentRegistry, ConnectorPath, PlanError

SUPPORT = Agent(instructions="Support.")
BILLING = Agent(instructions="Billing.")
REGISTRY = AgentRegistry({"support": SUPPORT, "a/b": BILLING, "1": BILLING}, "support")


def parse(target: str, base_path: str = "/audiohook") -> ConnectorPath:
    connector = ConnectorPath.parse(target, base_path)
    assert connector is not None
    return connector


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/audiohook", ConnectorPath()),
        ("/audiohook/", ConnectorPath()),
        ("/audiohooksupport", ConnectorPath("support")),
        ("/audiohook/support", ConnectorPath("support")),
        ("/audiohook//support", ConnectorPath("support")),
        ("/audiohook/support/", ConnectorPath("support")),
        ("/audiohook/support/x/y", ConnectorPath("support", ("x", "y"))),
        ("/audiohook/support?v=2&v=3&w=", ConnectorPath("support", (), {"v": "2", "w": ""})),
        ("/audiohook?bot=x", ConnectorPath("", (), {"bot": "x"})),
        ("/audiohook/a%2Fb/%C3%A4", ConnectorPath("a/b", ("\u00e4",))),
        ("/audiohook/a+b%ZZ%ff", ConnectorPath("a+b%ZZ\ufffd")),
        ("/audiohook/x?q=a%20b+c", ConnectorPath("x", (), {"q": "a b c"})),
    ],
)
def test_connector_path(target: str, expected: ConnectorPath) -> None:
    assert parse(target) == expected


def test_connector_path_without_a_base_path() -> None:
    assert parse("/support", "") == ConnectorPath("support")
    assert ConnectorPath.parse("/other/support", "/audiohook") is None


@pytest.mark.parametrize(
    ("target", "name", "agent"),
    [
        ("/audiohook", "support", SUPPORT),
        ("/audiohook/support?v=2", "support", SUPPORT),
        ("/audiohook/a%2Fb", "a/b", BILLING),
        ("/audiohook/1/2", "1", BILLING),
    ],
)
def test_resolve(target: str, name: str, agent: Agent) -> None:
    assert REGISTRY.resolve(parse(target)) == (name, agent)


def test_unknown_agent_is_named_if_it_looks_like_a_name() -> None:
    with pytest.raises(PlanError, match='no agent is called "Support"') as caught:
        REGISTRY.resolve(ConnectorPath("Support"))
    assert caught.value.code == "OH-CALL-01"
    assert "support" not in caught.value.info
    assert str(caught.value) == f"OH-CALL-01 {caught.value.info}"


@pytest.mark.parametrize("name", ["+15550100", "15550100", "Ann Miller", "x" * 65, "a\nb"])
def test_what_may_be_personal_is_not_repeated(name: str) -> None:
    with pytest.raises(PlanError, match="no agent is called so") as caught:
        REGISTRY.resolve(ConnectorPath(name))
    assert name not in str(caught.value)


def test_no_default() -> None:
    registry = AgentRegistry({"support": SUPPORT})
    with pytest.raises(PlanError) as caught:
        registry.resolve(ConnectorPath())
    assert caught.value.code == "OH-CALL-02"


def test_agents_of_a_key() -> None:
    assert REGISTRY.resolve(ConnectorPath("support"), {"support"})[0] == "support"
    with pytest.raises(PlanError) as caught:
        REGISTRY.resolve(ConnectorPath("1"), {"support"})
    assert caught.value.code == "OH-CALL-03"
    with pytest.raises(PlanError):
        REGISTRY.resolve(ConnectorPath(), ())


def test_the_default_must_be_an_agent() -> None:
    with pytest.raises(ValueError, match="default agent"):
        AgentRegistry({"support": SUPPORT}, "nobody")
    assert list(REGISTRY.agents) == ["support", "a/b", "1"]
