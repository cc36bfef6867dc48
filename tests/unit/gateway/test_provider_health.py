import hypothesis.strategies as st
from hypothesis import given

from offhook.gateway.provider_health import MAX_CREDIT, MAX_FAILURES, REFUSED_REST, REST, ProviderHealth

AGENTS = ("support", "sales", "")


class Model:
    """What has happened, and what follows from it."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self.failed_at = self.tried_at = float("-inf")
        self.refused: dict[str, float] = {}
        """When each agent was refused or, after that, tried."""
        self.credit = dict.fromkeys(AGENTS, 0)

    def happen(self, what: str, agent: str, now: float) -> None:
        if what == "refused":
            self.credit[agent] = max(0, self.credit[agent] - 1)
            if self.credit[agent] > 0:
                what = "failed"
        if what == "ready":
            self.in_a_row = 0
            self.credit[agent] = min(MAX_CREDIT, self.credit[agent] + 1)
        elif what == "failed":
            self.in_a_row += 1
            self.failed_at = now
        else:
            self.in_a_row = 0
            self.refused[agent] = now
            return
        self.refused.pop(agent, None)
        self.refused.pop("", None)

    def state(self, agent: str) -> str:
        if agent in self.refused or "" in self.refused:
            return "unusable"
        return "resting" if self.in_a_row >= MAX_FAILURES else "ok"

    def admits(self, agent: str, now: float) -> bool:
        refused = [self.refused[name] for name in {agent, ""} if name in self.refused]
        rested = self.in_a_row < MAX_FAILURES or now >= max(self.failed_at, self.tried_at) + REST
        return rested and all(now >= at + REFUSED_REST for at in refused)

    def trial(self, agent: str, now: float) -> None:
        self.tried_at = now
        for name in {agent, ""} & set(self.refused):
            self.refused[name] = now


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ready", "ready", "failed", "failed", "refused", "refused", "admit", "admit"]),
            st.sampled_from(AGENTS),
            st.sampled_from([0.0, 1.0, 10.0, REST, REFUSED_REST]),
        ),
        max_size=60,
    )
)
def test_whatever_happens_it_admits_whom_it_should(steps: list[tuple[str, str, float]]) -> None:
    health, model, now = ProviderHealth("a"), Model(), 1000.0
    for what, agent, seconds in steps:
        now += seconds
        if what == "admit":
            admitted = health.admit(agent, now)
            assert admitted is model.admits(agent, now)
            if admitted:
                model.trial(agent, now)
        else:
            model.happen(what, agent, now)
            if what == "ready":
                health.ready(agent)
            elif what == "failed":
                health.failed(agent, "OH-CONN-01", "", now)
            else:
                health.refused(agent, "OH-CONN-04", "", now)
            if what != "refused":
                assert health.failing is (what == "failed")
        for name in AGENTS:
            assert health.state(name) == model.state(name)
            if model.state(name) == "ok":
                assert health.admit(name, now)
    # Nobody is left out for ever.
    for name in AGENTS:
        assert ProviderHealth("b").admit(name, now)
        assert health.admit(name, now + REST + REFUSED_REST + 2 * AGENTS.index(name) * REFUSED_REST)


def test_its_status_is_its_last_word() -> None:
    health = ProviderHealth("a")
    said: list[tuple[str, str]] = []

    def note() -> None:
        said.append((health.status, health.state("support")))

    note()
    health.refused("support", "OH-CONN-06", "", 0.0)
    note()
    health.ready("sales")
    note()
    for _ in range(MAX_FAILURES):
        health.failed("sales", "OH-CONN-01", "", 10.0)
    note()
    assert health.due_at == 10.0 + REST
    health.refused("", "OH-CONN-04", "", 20.0)
    note()
    assert said == [
        ("ok", "ok"),
        ("unusable", "unusable"),
        ("ok", "unusable"),
        ("resting", "unusable"),
        ("unusable", "unusable"),
    ]


def test_one_call_that_is_refused_does_not_end_all_others() -> None:
    health = ProviderHealth("a")
    for _ in range(10):
        health.ready("support")
    health.refused("support", "OH-CALL-06", "", 0.0)
    assert (health.state("support"), health.status) == ("ok", "ok")
    health.ready("support")
    for refusal in range(MAX_CREDIT):
        assert health.state("support") == "ok", refusal
        health.refused("support", "OH-RT-07", "", 1.0)
    assert (health.state("support"), health.status) == ("unusable", "unusable")
    assert not health.admit("support", 1.0)
    assert health.admit("sales", 1.0)
