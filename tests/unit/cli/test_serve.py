import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner, Result

from offhook.cli import main
from offhook.cli.serve import _check_platform, serve
from offhook.config import Config

CONFIG = """\
listen: 127.0.0.1:0
keys: [{id: demo-key}]
agents: {support: {instructions: Talk.}}
"""

APP = """\
from offhook import Agent, Gateway
gateway = Gateway(agents={"support": Agent(instructions="Talk.")}, keys=[{"id": "k"}], listen="127.0.0.1:0")
nothing = object()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "offhook.yaml").write_text(CONFIG)
    (tmp_path / "shop.py").write_text(APP)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    return tmp_path


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str, list[str]]]:
    """Run `offhook serve` and give its process, the URL of its start line, and the lines before it."""
    command = [sys.executable, "-c", "from offhook.cli import main; main()", "serve", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stderr is not None
    lines: list[str] = []
    try:
        for line in process.stderr:
            lines.append(line)
            found = re.search(r"Base Connection URI for Genesys: (\S+)", line)
            if found:
                yield process, found[1], lines
                break
        else:
            pytest.fail("".join(lines))
    finally:
        process.kill()
        process.wait(10)
        process.stderr.close()
        assert process.stdout is not None
        process.stdout.close()


def ready(url: str) -> int:
    address = url.replace("ws://", "http://").replace("/audiohook", "/readyz")
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310
        return int(answer.status)


def failed(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["serve", *arguments])
    assert isinstance(result.exception, SystemExit)
    return result


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serving_with_the_emulator_until_a_signal(number: signal.Signals) -> None:
    with running() as (process, url, lines):
        assert ready(url) == 200
        assert any("emulator plays the Realtime API" in line for line in lines)
        process.send_signal(number)
        assert process.wait(10) == 0


def test_with_a_key_there_is_no_emulator(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    provider = "{name: openai, url: 'wss://api.openai.com/v1/realtime', api_key: '${OPENAI_API_KEY:-}'}"
    (folder / "other.yaml").write_text(CONFIG + f"realtime: {{providers: [{provider}]}}\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with running("-c", "other.yaml", "--set", "base_path=/in") as (_, url, lines):
        assert url.endswith("/in")
        assert not any("emulator" in line for line in lines)


def test_serving_a_gateway_of_python(folder: Path) -> None:
    with running("shop:gateway", "--listen", "127.0.0.1:0") as (process, url, _):
        assert ready(url) == 200
        process.terminate()
        assert process.wait(10) == 0


def next_line(process: "subprocess.Popen[str]", text: str) -> str:
    """Return the next line of the log that holds a text."""
    assert process.stderr is not None
    return next(line for line in process.stderr if text in line)


def test_a_hang_up_reads_the_file_anew(folder: Path) -> None:
    with running() as (process, _url, _):
        (folder / "offhook.yaml").write_text(CONFIG + "speed: 2\n")
        process.send_signal(signal.SIGHUP)
        assert "offhook.yaml:4:1: OH-CONF-05 speed: " in next_line(process, "configuration not reloaded")
        (folder / "offhook.yaml").write_text(CONFIG.replace("keys: [{id: demo-key}]", "base_path: /x"))
        process.send_signal(signal.SIGHUP)
        assert "OH-CONF-55" in next_line(process, "OH-CONF")
        assert '"restart_needed": ["base_path"]' in next_line(process, "configuration reloaded")
        process.send_signal(signal.SIGUSR2)
        assert "--workers" in next_line(process, "SIGUSR2")
        process.terminate()
        assert process.wait(10) == 0


def test_workers_for_a_gateway_of_python(folder: Path) -> None:
    with running("shop:gateway", "--workers", "2") as (process, url, lines):
        assert ready(url) == 200
        assert len([line for line in lines if "emulator plays the Realtime API" in line]) == 1
        assert lines[-1].rstrip().endswith("; 2 workers")
        process.send_signal(signal.SIGHUP)
        assert "needs a restart" in next_line(process, "configuration not reloaded")
        process.terminate()
        assert process.wait(10) == 0


def test_where_there_are_no_workers_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.model_validate({"agents": {"a": {"instructions": "Talk."}}, "workers": 2})
    # Not for longer than that: pytest asks for it too.
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(os, "name", "nt")
        with pytest.raises(UsageError, match="several workers need a POSIX system"):
            _check_platform(config)


def test_the_public_url_is_what_genesys_needs() -> None:
    with running("--set", "public_url=wss://voice.example.com/audiohook") as (_, url, lines):
        assert url == "wss://voice.example.com/audiohook"
        assert "Connector ID: support" in lines[-1]


def test_every_error_of_the_configuration_is_told_at_once(folder: Path) -> None:
    (folder / "offhook.yaml").write_text("listen: nowhere\nspeed: 2\nagents: {support: {voice: marin}}\n")
    result = failed()
    assert result.exit_code == 2
    assert re.search(r"^offhook\.yaml:1:9: OH-CONF-08 listen: ", result.stderr, re.MULTILINE)
    assert re.search(r"^offhook\.yaml:2:1: OH-CONF-05 speed: ", result.stderr, re.MULTILINE)
    assert "instructions" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-c", "nowhere.yaml"], "OH-CONF-01"),
        (["--listen", "nowhere"], "listen"),
        (["--set", "no.such=1"], "OH-CONF"),
        (["shop"], "module:attribute"),
        (["shop:missing"], "cannot be imported"),
        (["nosuchmodule:gateway"], "cannot be imported"),
        (["shop:nothing"], "is no Gateway"),
        (["shop:gateway", "-c", "offhook.yaml"], "go with a configuration file"),
        (["shop:gateway", "--set", "base_path=/x"], "go with a configuration file"),
        (["shop:gateway", "--listen", "nowhere"], "--listen"),
        (["--workers", "0"], "workers"),
        (["shop:gateway", "--workers", "many"], "--workers"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], text: str) -> None:
    result = failed(*arguments)
    assert result.exit_code == 2
    assert text in result.stderr


def test_a_python_gateway_that_is_wrong(folder: Path) -> None:
    (folder / "shop.py").write_text(APP.replace('listen="127.0.0.1:0"', 'listen="nowhere"'))
    result = failed("shop:gateway")
    assert result.exit_code == 2
    assert "OH-CONF-08 listen" in result.stderr


def test_a_port_that_is_taken_is_status_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-c", "from offhook.cli import main; main()", "serve", "--listen", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    assert done.returncode == 1
    assert f"cannot listen on {address}" in done.stderr


def test_warnings_are_told(folder: Path) -> None:
    (folder / "offhook.yaml").write_text("listen: 127.0.0.1:0\nagents: {support: {instructions: Talk.}}\n")
    with running() as (_, _url, lines):
        assert any("OH-CONF-55" in line and "(warning)" in line for line in lines)


def test_a_certificate_that_is_not_there() -> None:
    result = failed("--set", "tls={cert: nowhere.pem, key: nowhere.pem}")
    assert result.exit_code == 2
    assert "certificate and key cannot be used" in result.stderr


def test_help_says_what_a_newcomer_needs() -> None:
    assert serve.help is not None
    assert "emulator" in serve.help
