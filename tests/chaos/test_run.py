"""A short chaos run against `offhook serve` in a process of its own: the same as `offhook bench chaos`, in small."""

from pathlib import Path

import msgspec
import pytest

from offhook.bench import chaos
from offhook.bench.chaos import ChaosSettings, run_chaos
from offhook.bench.faults import CLASSES, FAULTS
from offhook.bench.report import ChaosReport

TAKE_LONG = {
    "ai-created-never",
    "ai-half-open",
    "genesys-half-open",
    "genesys-no-pings",
    "genesys-retry-early",
    "process-hanging-tool",
}
"""Faults that only time shows; in `test_faults` they are among the others."""
LEFT_TO_THE_CALLER = {"ai-filtered"}
"""The agent stops in the middle of a sentence, and a patient caller lets it."""


async def test_a_short_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "OUTAGE", 1.0)
    faults = tuple(fault for name, fault in FAULTS.items() if name not in TAKE_LONG | LEFT_TO_THE_CALLER)
    settings = ChaosSettings(calls=6, seconds=7.0, leeway=1.0, call_seconds=5.0, faults=faults, warm_up=0.0, seed=3)
    told: list[str] = []

    report = await run_chaos(settings, tmp_path, told.append)

    assert report.ok, report.to_json()
    assert report.calls >= 6
    assert all(report.per_call[of] > 0 for of in CLASSES)
    assert {"ai-outage", "ai-outage-first"} & set(report.injected)
    assert sum(report.outcomes.values()) == sum(report.ended_by.values()) == report.calls
    assert report.heard_again.count
    assert report.before.tasks == report.after.tasks
    assert report.before.sockets == report.after.sockets
    assert report.load.standing == 0
    assert told[-1] == "waiting until everything is freed"
    assert msgspec.json.decode(report.to_json(), type=ChaosReport) == report
