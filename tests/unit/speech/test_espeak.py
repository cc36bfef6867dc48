import subprocess
from typing import Any

import pytest

from offhook.audio import level, ulaw
from offhook.audio.wav import write_wav
from offhook.speech import espeak
from offhook.speech.tones import tones

SPOKEN = ulaw.silence(300) + tones("some words") + ulaw.silence(500)


class Program:
    """Stands in for espeak-ng: what it answers and what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stdout: bytes = b"", fails: Exception | None = None) -> None:
        self.stdout = stdout
        self.fails = fails
        self.calls: list[tuple[list[str], bytes]] = []
        monkeypatch.setattr("shutil.which", lambda name: f"/opt/{name}")
        monkeypatch.setattr("subprocess.run", self.run)

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        self.calls.append((command, options["input"]))
        if self.fails is not None:
            raise self.fails
        return subprocess.CompletedProcess(command, 0, self.stdout, b"")


def test_missing_program_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert espeak.synthesise("Hello.", "agent") is None


def test_text_goes_in_by_stdin_and_speech_comes_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(monkeypatch, write_wav(SPOKEN))
    audio = espeak.synthesise("--help", "caller")
    assert audio is not None
    assert len(tones("some words")) <= len(audio) + 80 * 8 <= len(SPOKEN)
    command, text = program.calls[0]
    assert text == b"--help"
    assert command[:3] == ["/opt/espeak-ng", "-v", "en-gb+m3"]


@pytest.mark.parametrize(
    ("stdout", "fails"),
    [
        (b"nonsense", None),
        (write_wav(ulaw.silence(500)), None),
        (b"", OSError("not executable")),
        (b"", subprocess.TimeoutExpired("espeak-ng", 1)),
        (b"", subprocess.CalledProcessError(1, "espeak-ng")),
    ],
)
def test_every_failure_is_none(monkeypatch: pytest.MonkeyPatch, stdout: bytes, fails: Exception | None) -> None:
    Program(monkeypatch, stdout, fails)
    assert espeak.synthesise("Hello.", "agent") is None


def test_trimmed_keeps_a_little_air() -> None:
    audio = espeak.trimmed(SPOKEN)
    assert audio[:160] == ulaw.silence(20)
    assert audio[-480:] == ulaw.silence(60)
    assert espeak.trimmed(b"") == espeak.trimmed(ulaw.silence(100)) == b""


def test_levelled_reaches_the_level_or_the_peak() -> None:
    assert abs(level.dbfs(espeak.levelled(tones("some words"))) - -20) < 0.5
    click = ulaw.silence(100) + ulaw.encode(b"\x00\x10" * 4) + ulaw.silence(100)
    assert max(ulaw.decode(espeak.levelled(click))) > 0x70
    assert espeak.levelled(ulaw.silence(10)) == ulaw.silence(10)
