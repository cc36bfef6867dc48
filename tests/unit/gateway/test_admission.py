import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from offhook.agents import Agent
from offhook.config import Config
from offhook.errors import explain
from offhook.gateway import admission
from offhook.gateway.admission import (
    AGENT_LIMIT,
    KEY_LIMIT,
    MAX_NAME,
    ORGANIZATION_LIMIT,
    OTHER,
    OVERLOADED,
    PROCESS,
    PROCESS_LIMIT,
    AdmissionControl,
    CallLimit,
    CallLimits,
    NotAdmitted,
    Place,
    Scope,
    call_limits,
)

ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"


def enter(
    control: AdmissionControl,
    now: float = 0.0,
    *,
    key: str = "main",
    organization: str = ORGANIZATION,
    agent: str = "support",
) -> Place:
    return control.admit(key=key, organization=organization, agent=agent, now=now)


def refused(control: AdmissionControl, now: float = 0.0, **whose: str) -> tuple[str, str]:
    before = control.counts()
    with pytest.raises(NotAdmitted) as caught:
        enter(control, now, **whose)
    assert control.counts() == before, "a refused call is not counted for anybody"
    assert explain(caught.value.code) is not None
    return caught.value.code, caught.value.info


ONE = CallLimit(max_calls=1)
SLOW = CallLimit(max_opens_per_second=0.5, opens_burst=1)


@pytest.mark.parametrize(
    ("limits", "code", "owner", "other"),
    [
        (CallLimits(process=ONE), PROCESS_LIMIT, "the gateway", None),
        (CallLimits(keys={"main": ONE}), KEY_LIMIT, "the API key", {"key": "second"}),
        (CallLimits(organization=ONE), ORGANIZATION_LIMIT, "the organization", {"organization": "another"}),
        (CallLimits(agents={"support": ONE}), AGENT_LIMIT, "the agent", {"agent": "sales"}),
    ],
)
def test_calls_at_a_time(limits: CallLimits, code: str, owner: str, other: dict[str, str] | None) -> None:
    control = AdmissionControl(limits)
    first = enter(control)
    assert refused(control) == (code, f"{owner} may have no more than 1 calls at a time")
    if other is not None:
        enter(control, **other).release()  # type: ignore[arg-type]
    first.release()
    enter(control)


@pytest.mark.parametrize(
    ("limits", "code", "owner"),
    [
        (CallLimits(process=SLOW), PROCESS_LIMIT, "the gateway"),
        (CallLimits(keys={"main": SLOW}), KEY_LIMIT, "the API key"),
        (CallLimits(organization=SLOW), ORGANIZATION_LIMIT, "the organization"),
        (CallLimits(agents={"support": SLOW}), AGENT_LIMIT, "the agent"),
    ],
)
def test_calls_that_begin(limits: CallLimits, code: str, owner: str) -> None:
    control = AdmissionControl(limits)
    enter(control, 0.0).release()
    assert refused(control, 1.9) == (code, f"{owner} may open no more than 0.5 calls a second")
    enter(control, 2.0).release()
    refused(control, 3.9)


@pytest.mark.parametrize(
    ("limit", "burst"),
    [
        (CallLimit(max_opens_per_second=10), 20),
        (CallLimit(max_opens_per_second=0.1), 1),
        (CallLimit(max_opens_per_second=10, opens_burst=3), 3),
        (CallLimit(max_opens_per_second=0.1, opens_burst=7), 7),
    ],
)
def test_bursts(limit: CallLimit, burst: int) -> None:
    control = AdmissionControl(CallLimits(process=limit))
    for _ in range(burst):
        enter(control)
    refused(control)
    assert limit.max_opens_per_second is not None
    enter(control, 1 / limit.max_opens_per_second)


def test_without_limits_everybody_is_let_in() -> None:
    control = AdmissionControl()
    places = [enter(control) for _ in range(2000)]
    assert (control.calls, control.not_ready()) == (2000, None)
    for place in places:
        place.release()
    assert control.counts() == {}


def test_a_call_is_counted_everywhere_and_leaves_once() -> None:
    control = AdmissionControl()
    first, second = enter(control), enter(control, agent="sales", organization=ORGANIZATION.upper())
    assert control.counts() == {
        PROCESS: 2,
        Scope("key", "main"): 2,
        Scope("organization", ORGANIZATION): 2,
        Scope("agent", "support"): 1,
        Scope("agent", "sales"): 1,
    }
    first.release()
    first.release()
    assert control.calls == 1
    second.release()
    assert control.counts() == {}


def test_the_narrowest_limit_decides_and_costs_the_others_nothing() -> None:
    limits = CallLimits(process=CallLimit(max_opens_per_second=1, opens_burst=2), agents={"support": ONE})
    control = AdmissionControl(limits)
    enter(control)
    for _ in range(5):
        assert refused(control)[0] == AGENT_LIMIT
    enter(control, agent="sales")  # the burst of the process is still there


def test_readiness_follows_the_calls_of_the_process() -> None:
    control = AdmissionControl(CallLimits(process=ONE, keys={"main": ONE}))
    assert control.not_ready() is None
    place = enter(control)
    assert control.not_ready() == "too many calls"
    place.release()
    assert control.not_ready() is None


def test_an_overloaded_process_takes_no_calls() -> None:
    busy = True
    control = AdmissionControl(overloaded=lambda: busy)
    assert refused(control) == (OVERLOADED, "the gateway is overloaded")
    assert control.not_ready() == "overloaded"
    busy = False
    enter(control)
    assert control.not_ready() is None


def test_calls_of_other_processes_count() -> None:
    elsewhere = {PROCESS: 2, Scope("agent", "sales"): 4}
    control = AdmissionControl(
        CallLimits(process=CallLimit(max_calls=3), agents={"sales": CallLimit(max_calls=4)}),
        calls_elsewhere=lambda scope: elsewhere.get(scope, 0),
    )
    assert refused(control, agent="sales")[0] == AGENT_LIMIT
    enter(control)
    assert control.calls == 1
    assert control.not_ready() == "too many calls"
    assert refused(control)[0] == PROCESS_LIMIT
    elsewhere[PROCESS] = 0
    enter(control)


def test_limits_can_be_changed_while_calls_run() -> None:
    control = AdmissionControl()
    places = [enter(control) for _ in range(3)]
    control.set_limits(CallLimits(keys={"main": CallLimit(max_calls=3, max_opens_per_second=1, opens_burst=2)}))
    assert refused(control)[0] == KEY_LIMIT
    places.pop().release()
    enter(control)
    control.set_limits(CallLimits(keys={"main": CallLimit(max_opens_per_second=1, opens_burst=2)}))
    enter(control)
    enter(control)
    assert refused(control)[0] == KEY_LIMIT
    control.set_limits(CallLimits())
    enter(control)
    assert control.calls == 6


def test_a_budget_outlives_a_change_of_other_limits() -> None:
    control = AdmissionControl(CallLimits(process=SLOW))
    enter(control).release()
    control.set_limits(CallLimits(process=SLOW, organization=ONE))
    assert refused(control)[0] == PROCESS_LIMIT


def test_organizations_that_a_peer_invents_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_ACCOUNTS", 8)
    control = AdmissionControl(CallLimits(process=CallLimit(max_calls=20, max_opens_per_second=1, opens_burst=200)))
    staying = [enter(control, organization=f"stays-{number}") for number in range(12)]
    for number in range(100):
        enter(control, organization=f"invented-{number}").release()
    assert len(control._accounts) <= 2 * (12 + 3) + 4
    assert control.calls == 12
    for place in staying:
        place.release()
    assert control.counts() == {}
    for _ in range(200 - 112):
        enter(control).release()
    assert refused(control)[0] == PROCESS_LIMIT, "the budget of the process was not forgotten meanwhile"


def test_an_organization_with_an_endless_name_is_counted_among_others() -> None:
    control = AdmissionControl(CallLimits(organization=ONE))
    enter(control, organization="x" * (MAX_NAME + 1))
    assert Scope("organization", OTHER) in control.counts()
    assert refused(control, organization="y" * 60_000)[0] == ORGANIZATION_LIMIT
    enter(control, organization="x" * MAX_NAME)


def test_the_limits_of_a_configuration() -> None:
    agents = {
        "support": Agent(instructions="Talk.", limits={"max_calls": 5, "max_opens_per_second": 2, "opens_burst": 9}),  # type: ignore[arg-type]
        "sales": Agent(instructions="Talk."),
    }
    config = Config.model_validate(
        {
            "agents": agents,
            "keys": [{"id": "very-secret", "limits": {"max_calls": 7}}, {"id": "another", "name": "europe"}],
            "limits": {"max_calls": 30, "per_organization": {"max_opens_per_second": 0.5}},
        }
    )
    limits = call_limits(config)
    assert limits == CallLimits(
        process=CallLimit(30),
        keys={"keys[0]": CallLimit(7), "europe": CallLimit()},
        organization=CallLimit(max_opens_per_second=0.5),
        agents={"support": CallLimit(5, 2, 9), "sales": CallLimit()},
    )
    assert "very-secret" not in repr(limits)
    assert limits.of(Scope("key", "gone")) == limits.of(Scope("agent", "gone")) == CallLimit()


NAMES = st.sampled_from(["a", "b", "c"])


class Admissions(RuleBasedStateMachine):
    """Calls come and go in any order; the counts are those of a list of them, and no limit is ever passed."""

    LIMITS = CallLimits(
        process=CallLimit(max_calls=6),
        keys={"a": CallLimit(max_calls=2), "b": CallLimit(max_opens_per_second=1, opens_burst=3)},
        organization=CallLimit(max_calls=3),
        agents={"c": CallLimit(max_calls=1)},
    )

    def __init__(self) -> None:
        super().__init__()
        self.control = AdmissionControl(self.LIMITS)
        self.standing: list[tuple[Place, list[Scope]]] = []
        self.opened_b: list[float] = []
        self.now = 0.0

    @rule(key=NAMES, organization=NAMES, agent=NAMES)
    def begins(self, key: str, organization: str, agent: str) -> None:
        scopes = [PROCESS, Scope("key", key), Scope("organization", organization), Scope("agent", agent)]
        full = [
            scope
            for scope in scopes
            if (most := self.LIMITS.of(scope).max_calls) is not None
            and sum(scope in theirs for _, theirs in self.standing) >= most
        ]
        if not full and (key != "b" or self.tokens() >= 1):
            place = self.control.admit(key=key, organization=organization, agent=agent, now=self.now)
            self.standing.append((place, scopes))
            if key == "b":
                self.opened_b.append(self.now)
        else:
            with pytest.raises(NotAdmitted):
                self.control.admit(key=key, organization=organization, agent=agent, now=self.now)

    def tokens(self) -> float:
        """Calls with key b that may begin now, reckoned from those that have."""
        tokens, last = 3.0, 0.0
        for began in self.opened_b:
            tokens, last = min(3.0, tokens + began - last) - 1, began
        return min(3.0, tokens + self.now - last)

    @precondition(lambda self: self.standing)
    @rule(data=st.data(), times=st.integers(1, 2))
    def ends(self, data: st.DataObject, times: int) -> None:
        place, _ = self.standing.pop(data.draw(st.integers(0, len(self.standing) - 1)))
        for _ in range(times):
            place.release()

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def counts_are_exact(self) -> None:
        expected: dict[Scope, int] = {}
        for _, scopes in self.standing:
            for scope in scopes:
                expected[scope] = expected.get(scope, 0) + 1
        assert self.control.counts() == expected


TestAdmissions = Admissions.TestCase
TestAdmissions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
