import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from offhook.bench import subject
from offhook.bench.chaos import ChaosSettings
from offhook.bench.faults import FAULTS
from offhook.bench.report import ChaosReport
from offhook.cli import bench as command
from offhook.cli import main
from tests.unit.bench.test_report import log_of, made, outcome


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["bench", "chaos", *arguments])


@pytest.fixture
def report(tmp_path: Path) -> ChaosReport:
    call = outcome()
    return made([call], log_of(tmp_path, call))


@pytest.fixture
def settings(report: ChaosReport, monkeypatch: pytest.MonkeyPatch) -> list[ChaosSettings]:
    """Let every run give the report, and keep what it was to be."""
    given: list[ChaosSettings] = []

    def instead(settings: ChaosSettings, log: Path | None, tell: object) -> ChaosReport:
        given.append(settings)
        return report

    monkeypatch.setattr(command, "_run", instead)
    return given


def test_the_list_of_faults() -> None:
    result = run("--list")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(FAULTS)


def test_a_fault_that_there_is_not() -> None:
    result = run("--faults", "ai-1006,earthquake")
    assert result.exit_code == 2
    assert "earthquake" in result.stderr


def test_options(settings: list[ChaosSettings]) -> None:
    result = run(
        "--calls", "7", "--seconds", "30", "--call-seconds", "9", "--faults", "process", "--seed", "5", "--json"
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"] is True
    (given,) = settings
    assert (given.calls, given.seconds, given.call_seconds, given.seed) == (7, 30.0, 9.0, 5)
    assert {fault.of for fault in given.faults} == {"process"}
    assert not given.in_process


def test_all_faults_and_a_table_by_default(settings: list[ChaosSettings]) -> None:
    result = run("--in-process", "--rate", "0.5")
    assert result.exit_code == 0
    assert "Chaos" in result.stdout
    assert settings[0].faults == tuple(FAULTS.values())
    assert (settings[0].in_process, settings[0].rate) == (True, 0.5)


def test_findings_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = made([], log_of(tmp_path))
    monkeypatch.setattr(command, "_run", lambda *_: bad)
    result = run("--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["findings"] == ["no call was made"]


def test_a_gateway_that_does_not_run_is_told_and_its_log_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "START_TIMEOUT", 0.0)
    kept = tmp_path / "kept.log"
    result = run("--calls", "1", "--seconds", "1", "--log", str(kept))
    assert result.exit_code == 1
    assert "the gateway does not start" in result.stderr
    assert kept.exists()
