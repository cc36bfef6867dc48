"""A flood of a size for every day; the real one is `python -m tests.security.flood`.

How long a pong takes on the wall clock depends on what else the machine does, so the bounds on it are wide here. What
the gateway itself needs for a round of its event loop is measured in processor time.
"""

import pytest

from tests.security.flood import flood

MIB_FOR_A_FLOOD = 60


@pytest.mark.timeout(90)
async def test_good_calls_go_on_while_hostile_ones_come_in() -> None:
    result = await flood(upgrades=600, messages=6_000, slow=100, calls=2, seconds=0.0, width=100, hold=1)
    assert result.faults == []
    assert result.floods["upgrades"]["connections"] == 600
    assert sum(count for answer, count in result.floods["upgrades"]["answers"].items() if answer < "5") >= 590
    assert "101" not in result.floods["upgrades"]["answers"]
    assert result.floods["messages"]["messages"] * 50 >= 6_000
    assert result.floods["slow"]["connections"] == 100
    assert result.pings >= 2
    assert result.newcomers >= 1
    assert result.pong_ms["p99"] < 1000
    assert result.opened_ms["most"] < 1000
    assert max(result.gaps, default=0.0) < 1.0
    assert result.during["busy_ms"]["p99"] < 50
    for what in ("calls", "files", "tasks"):
        assert result.after[what] <= result.idle[what], what
    assert result.after["rss_mib"] - result.before["rss_mib"] < MIB_FOR_A_FLOOD
    # Of six hundred refusals, twenty of a kind each ten seconds; the other lines are those of calls.
    assert result.refusal_lines < 20 * 12
