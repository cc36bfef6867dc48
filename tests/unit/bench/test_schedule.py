"""Which faults come to which call: the same for the same seed, each in its turn, so many on average."""

from collections import Counter

import pytest

from offhook.bench.faults import CLASSES, FAULTS, UnknownFault, chosen
from offhook.bench.schedule import MAX_OF_A_CLASS, Planned, Schedule, of_run

ALL = tuple(FAULTS.values())
LINES, SECONDS = 50, 45.0


def plans(*, rate: float = 1.0, seed: int = 1, calls: int = 10, faults: tuple = ALL) -> list[list[Planned]]:  # type: ignore[type-arg]
    schedule = Schedule(faults, lines=LINES, seconds=SECONDS, rate=rate, seed=seed)
    return [schedule.of_call(line, call) for call in range(calls) for line in range(LINES)]


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plans() == plans()
    assert plans(seed=2) != plans()


def test_each_class_comes_once_to_a_call_on_average() -> None:
    counted = Counter(planned.fault.of for plan in plans() for planned in plan)
    for of in CLASSES:
        assert counted[of] / (10 * LINES) == pytest.approx(1.0, abs=0.1)
    most = max(Counter(planned.fault.of for planned in plan).most_common(1)[0][1] for plan in plans() if plan)
    assert most <= MAX_OF_A_CLASS


def test_every_fault_of_a_call_comes() -> None:
    came = {planned.fault.name for plan in plans() for planned in plan}
    assert came == {fault.name for fault in ALL if fault.moment != "run"}


def test_times_lie_in_the_call_and_in_order() -> None:
    for plan in plans():
        times = [planned.at for planned in plan]
        assert times == sorted(times)
        for planned in plan:
            assert 0 <= planned.at < SECONDS
            assert (planned.at == 0) == (planned.fault.moment == "connect")


def test_no_faults_at_all() -> None:
    assert not any(plans(rate=0.0))
    assert not any(plans(faults=()))


def test_what_comes_to_all_calls_at_once() -> None:
    planned = of_run(ALL, seconds=600, call_seconds=45, rate=1.0)
    assert {plan.fault.name for plan in planned} == {"ai-outage", "ai-outage-first"}
    assert [plan.at for plan in planned] == sorted(plan.at for plan in planned)
    assert all(0 < plan.at < 600 for plan in planned)
    assert len(of_run(ALL, seconds=6000, call_seconds=45, rate=1.0)) > len(planned)
    assert of_run(ALL, seconds=600, call_seconds=45, rate=0.0) == []
    assert of_run(chosen("process"), seconds=600, call_seconds=45, rate=1.0) == []


def test_choosing_faults() -> None:
    assert chosen("all") == ALL
    assert chosen("none") == ()
    assert {fault.of for fault in chosen("ai, process")} == {"ai", "process"}
    assert [fault.name for fault in chosen("process-crash,ai-1006,process-crash")] == ["ai-1006", "process-crash"]
    with pytest.raises(UnknownFault, match=r"no fault 'ai-9'.*ai-1006"):
        chosen("ai,ai-9")


def test_every_fault_says_what_happens() -> None:
    for name, fault in FAULTS.items():
        assert name == fault.name
        assert fault.name.split("-")[0] == fault.of
        assert fault.text
    assert len({(fault.of, fault.text) for fault in ALL}) == len(ALL)
