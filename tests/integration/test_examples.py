"""The examples run: simulator, gateway and emulator on real sockets, with the tools' own back ends."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from offhook.demo.run import run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["order_status", "appointments", "front_desk"])
async def test_an_example_does_what_its_caller_expects(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "shop", raising=False)  # of another test
    console = Console(file=io.StringIO(), width=120)
    report = await run(console, tmp_path / "call.wav", EXAMPLES / name)
    assert report.ok, report
    assert (tmp_path / "call.wav").stat().st_size > 100_000
