import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from offhook.cli.config import config

GOOD = 'agents: {a: {instructions: "one\\ntwo"}}\nkeys: [{id: top-secret, secret: c2VjcmV0}]\nlisten: 127.0.0.1:0\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(config, [str(argument) for argument in arguments])


def test_check(file: Path) -> None:
    result = run("check", "-c", file)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{file}: fine\n", "")


def test_check_with_warnings(file: Path) -> None:
    result = run("check", "-c", file, "--set", "agents.a.voice=x")
    assert (result.exit_code, result.stdout) == (0, f"{file}: fine, 1 warnings\n")
    assert "OH-CONF-51" in result.stderr
    assert result.stderr.endswith("(warning)\n")


def test_check_with_errors(file: Path) -> None:
    result = run("check", "-c", file, "--set", "agents.a.speed=9", "--set", "x=1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 2


def test_check_as_json(file: Path) -> None:
    assert json.loads(run("check", "-c", file, "--json").stdout) == {"valid": True, "problems": []}
    result = run("check", "--json", "-c", file, "--set", "agents.a.speed=9")
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["code"] == "OH-CONF-08"
    assert problem["path"] == "agents.a.speed"


def test_check_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run("check", "-c", tmp_path / "nothing.yaml")
    assert result.exit_code == 2
    assert "OH-CONF-01" in result.stderr


def test_show_hides_secrets_and_can_be_read_again(file: Path, tmp_path: Path) -> None:
    result = run("show", "-c", file)
    assert result.exit_code == 0
    assert "top-secret" not in result.stdout
    assert "c2VjcmV0" not in result.stdout
    assert "    instructions: |-\n      one\n      two\n" in result.stdout
    assert "public_url: null\n" in result.stdout
    again = tmp_path / "again.yaml"
    again.write_text(result.stdout.replace("'**********'", "c2VjcmV0"))
    assert run("show", "-c", again).stdout == result.stdout


def test_show_as_json(file: Path) -> None:
    shown = json.loads(run("show", "-c", file, "--json", "--set", "base_path=/x").stdout)
    assert shown["base_path"] == "/x"
    assert shown["keys"][0]["id"] == "**********"


def test_show_with_errors(file: Path) -> None:
    result = run("show", "-c", file, "--set", "agents.a.speed=9")
    assert (result.exit_code, result.stdout) == (2, "")


def test_schema() -> None:
    schema = json.loads(run("schema").stdout)
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) >= {"listen", "keys", "agents", "realtime", "default_agent"}
    assert schema["properties"]["listen"]["type"] == "string"
