import subprocess
import sys

import pytest
from click.testing import CliRunner

from offhook._version import __version__
from offhook.cli import COMMANDS, main

HEAVY = ("aiohttp", "picows", "pydantic", "jinja2", "structlog", "ruamel", "rich", "msgspec")


def test_help_lists_every_command_without_importing_any() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from offhook.cli import main\n"
        "result = CliRunner().invoke(main, ['--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
        "print([name for name in sys.modules if name.startswith('offhook.cli.')])\n"
        "print(result.output)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    heavy, commands, *text = done.stdout.splitlines()
    assert heavy == "[]"
    assert commands == "[]"
    for name, help_text in COMMANDS.items():
        assert any(name in line and help_text in line for line in text)


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, f"offhook, version {__version__}\n")


@pytest.mark.parametrize("arguments", [["dial"], ["--loud"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "No such" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f" {name} " in result.output.splitlines()[0]
