"""What an agent says of itself: an instruction, exact words or a recording, in the language of the call."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from offhook.agents import PlanError, wording
from offhook.agents.agent import Agent
from offhook.agents.wording import Wording, in_language, load_recording, render_prompt
from offhook.audio.wav import write_wav
from offhook.bridge.plan import Prompt
from offhook.tools import CallContext

SOUND = bytes(range(100)) * 16

RUNS = "; paths count from where offhook runs"


@pytest.fixture(autouse=True)
def _forget_recordings() -> None:
    load_recording.cache_clear()


@pytest.fixture
def recording(tmp_path: Path) -> str:
    file = tmp_path / "hello.wav"
    file.write_bytes(write_wav(SOUND))
    return str(file)


def context(language: str = "en-us", **inputs: str) -> CallContext:
    return CallContext(id="call-1", language=language, inputs={"COMPANY": "Acme", "EMPTY": "", **inputs})


def errors(prompt: object) -> list[tuple[str, tuple[int | str, ...]]]:
    with pytest.raises(ValidationError) as caught:
        Agent.model_validate({"instructions": "x", "goodbye": prompt})
    return [(error["type"], error["loc"]) for error in caught.value.errors()]


class TestSettings:
    @pytest.mark.parametrize(
        ("setting", "problem"),
        [
            ({}, ("prompt", ())),
            ({"instructions": "Greet.", "text": "Hello."}, ("prompt", ())),
            ({"text": ""}, ("string_too_short", ("text", "(plain)"))),
            ({"text": {}}, ("too_short", ("text", "(structured)"))),
            ({"text": {"german": "Hallo"}}, ("string_pattern_mismatch", ("text", "(structured)", "german", "[key]"))),
            ({"text": {"de": "{{ call.anni }}"}}, ("template", ("text", "(structured)", "de"))),
            ({"text": {"de": 5}}, ("string_type", ("text", "(structured)", "de"))),
            ({"wav": {"de": ""}}, ("string_too_short", ("wav", "(structured)", "de"))),
            ({"text": "Hello.", "loud": True}, ("extra_forbidden", ("loud",))),
        ],
    )
    def test_what_cannot_be(self, setting: dict[str, Any], problem: tuple[str, tuple[str, ...]]) -> None:
        kind, place = problem
        assert errors(setting) == [(kind, ("goodbye", "(structured)", *place))]

    def test_a_recording_with_its_words(self, recording: str) -> None:
        for setting in ({"wav": recording}, {"wav": recording, "text": "Hello."}, {"wav": {"de": recording}}):
            assert Agent.model_validate({"instructions": "x", "goodbye": setting}).goodbye is not None
        assert errors({"wav": recording, "instructions": "Greet."}) == [("prompt", ("goodbye", "(structured)"))]


class TestRecordings:
    def problem(self, file: str) -> str:
        with pytest.raises(ValidationError) as caught:
            Wording(wav=file)
        (error,) = caught.value.errors()
        assert error["type"] == "recording"
        return error["msg"]

    def test_it_is_read_once(self, recording: str) -> None:
        assert load_recording(recording) == SOUND
        Path(recording).unlink()
        assert load_recording(recording) == SOUND

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "not a WAV file"),
            (b"ID3" + bytes(5000), "not a WAV file"),
            (write_wav(SOUND)[:30], "no data chunk"),
            (write_wav(b""), "up to 120 seconds"),
            (write_wav(bytes(120 * 8000 + 1)), "up to 120 seconds"),
        ],
    )
    def test_what_is_no_recording(self, tmp_path: Path, content: bytes, problem: str) -> None:
        file = tmp_path / "bad.wav"
        file.write_bytes(content)
        assert problem in self.problem(str(file))

    def test_the_longest(self, tmp_path: Path) -> None:
        file = tmp_path / "long.wav"
        file.write_bytes(write_wav(bytes(120 * 8000)))
        assert len(load_recording(str(file))) == 120 * 8000

    def test_a_file_without_end_is_not_read_to_its_end(self, monkeypatch: pytest.MonkeyPatch, recording: str) -> None:
        monkeypatch.setattr(wording, "MAX_RECORDING_BYTES", 1000)
        assert self.problem(recording) == "a recording has up to 1000 bytes"

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        assert self.problem(str(tmp_path / "none.wav")) == f"cannot be read (No such file or directory){RUNS}"
        assert self.problem(str(tmp_path)) == f"cannot be read (Is a directory){RUNS}"
        assert self.problem("a\0b") == "embedded null byte"


class TestLanguages:
    CHOICES = {"de-AT": "Servus", "de": "Hallo", "fr-ca": "Bonjour", "PT": "Olá"}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("language", "meant"),
        [
            ("de-at", "Servus"),
            ("DE-AT", "Servus"),
            ("de", "Hallo"),
            ("de-ch", "Hallo"),
            ("fr", "Bonjour"),
            ("fr-fr", "Bonjour"),
            ("pt-br", "Olá"),
            ("en-us", "?"),
            ("", "?"),
            ("d", "?"),
        ],
    )
    def test_the_nearest(self, language: str, meant: str) -> None:
        assert in_language(self.CHOICES, language, "?") == meant

    def test_a_language_that_is_not_there_gets_the_first(self) -> None:
        setting = Wording(text={"de": "Auf Wiederhören.", "fr": "Au revoir."})
        assert render_prompt(setting, context("de-de")) == Prompt(text="Auf Wiederhören.")
        assert render_prompt(setting, context("fr-fr")) == Prompt(text="Au revoir.")
        assert render_prompt(setting, context("en-us")) == Prompt(text="Auf Wiederhören.")
        assert render_prompt(setting, context("")) == Prompt(text="Auf Wiederhören.")

    def test_a_recording_in_one_language_and_its_words_in_two(self, recording: str) -> None:
        setting = Wording(wav={"de": recording}, text={"de": "Hallo.", "en": "Hello."})
        assert render_prompt(setting, context("en")) == Prompt(text="Hello.", audio=SOUND)


class TestRendering:
    @pytest.mark.parametrize(
        ("setting", "prompt"),
        [
            (None, None),
            ("", None),
            (" \n", None),
            ("{{ input.EMPTY }}", None),
            ("Greet for {{ input.COMPANY }}.", Prompt(instructions="Greet for Acme.")),
            (Wording(text="{{ input.EMPTY }} "), None),
            (Wording(instructions="{{ input.EMPTY }}"), None),
            (Wording(text=" {{ input.COMPANY }}. "), Prompt(text="Acme.")),
            (Wording(instructions="Be short.", protected=True), Prompt(instructions="Be short.", protected=True)),
        ],
    )
    def test_prompts(self, setting: str | Wording | None, prompt: Prompt | None) -> None:
        assert render_prompt(setting, context()) == prompt

    def test_what_is_passed_in_is_no_template(self) -> None:
        prompt = render_prompt("Say {{ input.NAME }}.", context(NAME="{{ call.ani }}"))
        assert prompt == Prompt(instructions="Say {{ call.ani }}.")

    def test_a_recording_needs_no_words(self, recording: str) -> None:
        assert render_prompt(Wording(wav=recording), context()) == Prompt(text="", audio=SOUND)
        spoken = Wording(wav=recording, text="Here is {{ input.COMPANY }}.", protected=True)
        assert render_prompt(spoken, context()) == Prompt(text="Here is Acme.", audio=SOUND, protected=True)

    def test_what_is_missing_is_named(self) -> None:
        with pytest.raises(PlanError, match="the input variable ORDER is missing") as caught:
            render_prompt(Wording(text={"de": "{{ input.ORDER }}"}), context("en"))
        assert caught.value.code == "OH-CALL-04"
