"""What the caller hears while the AI is away, and when the gateway stops: settings, bundled recordings, the plan."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from msgspec.structs import replace
from pydantic import ValidationError

from offhook.agents import Agent
from offhook.agents.bundled import FOLDER, ONE_MOMENT, TONE, file_name, one_moment, recordings
from offhook.agents.wording import load_recording
from offhook.audio import level, ulaw
from offhook.audio.vad import EnergyVad, SpeechStarted, SpeechStopped
from offhook.audio.wav import write_wav
from offhook.bridge import plan as bridge
from offhook.bridge.plan import CallPlan, Prompt
from offhook.config import ConfigError, parse_config
from offhook.config.show import to_yaml
from tests.unit.agents.test_planning import OPEN, plan
from tests.unit.docs.pages import ROOT

SCRIPT = ROOT / "scripts" / "make_recordings.py"
SOUND = bytes(range(100)) * 16
NOT_RECORDED = "must be a recording, {wav: FILE}, or bundled: the model cannot say it while it is away"


@pytest.fixture
def recording(tmp_path: Path) -> str:
    load_recording.cache_clear()
    file = tmp_path / "moment.wav"
    file.write_bytes(write_wav(SOUND))
    return str(file)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_recordings", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clip(prompt: Prompt | None) -> bytes:
    assert prompt is not None
    assert prompt.audio
    return prompt.audio


def in_language(language: str, **settings: Any) -> CallPlan:
    return plan(replace(OPEN, language=language), **settings)


class TestRecordings:
    @pytest.mark.parametrize("language", ONE_MOMENT)
    def test_each_is_one_short_utterance_at_speech_level(self, language: str) -> None:
        audio = clip(one_moment(language))
        assert 1000 < ulaw.duration_ms(len(audio)) < 1650
        assert abs(level.dbfs(audio) - -20) < 0.5
        # Silence at both ends, and 0x7F would be another zero.
        assert audio[:80] == audio[-80:] == ulaw.silence(10)
        assert 0x7F not in audio
        found = EnergyVad().feed(audio + ulaw.silence(1000))
        assert [type(event) for event in found] == [SpeechStarted, SpeechStopped]

    def test_they_differ(self) -> None:
        spoken, tone = recordings()
        assert len({clip(prompt) for prompt in (*spoken.values(), tone)}) == 8

    def test_the_tone_is_short_and_soft(self) -> None:
        _, tone = recordings()
        audio = clip(tone)
        assert ulaw.duration_ms(len(audio)) == 1200
        assert -30 < level.dbfs(audio) < -24
        assert level.dbfs(audio[:8]) < -30 < level.dbfs(audio[160:240])  # swells, and does not click
        assert audio[-8:] == ulaw.silence(1)
        assert tone.text == ""

    @pytest.mark.parametrize(
        ("language", "spoken"),
        [("en-us", "en"), ("EN-GB", "en"), ("de", "de"), ("de-AT", "de"), ("pt-br", "pt"), ("fr-ca", "fr")],
    )
    def test_the_language_of_the_call(self, language: str, spoken: str) -> None:
        assert one_moment(language).text == ONE_MOMENT[spoken]
        file = ROOT / "src" / "offhook" / "agents" / FOLDER / file_name(spoken)
        assert one_moment(language).audio == file.read_bytes()

    @pytest.mark.parametrize("language", ["", "ja-jp", "d", "enx", "e" * 10_000])
    def test_any_other_language_has_the_tone(self, language: str) -> None:
        assert one_moment(language) is recordings()[1]

    def test_they_are_in_the_package(self) -> None:
        packed = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
        names = {TONE, *map(file_name, ONE_MOMENT)}
        assert {path for path in packed if path.startswith(f"offhook/agents/{FOLDER}/")} == {
            f"offhook/agents/{FOLDER}/{name}" for name in names
        }

    def test_they_are_read_once_and_before_a_call(self) -> None:
        recordings.cache_clear()
        Agent(instructions="x", recovery={"prompt": None})  # type: ignore[arg-type]
        assert recordings.cache_info().currsize == 0
        Agent(instructions="x")
        assert recordings.cache_info().currsize == 1
        assert plan().recovery.prompt is plan().recovery.prompt
        assert recordings.cache_info().misses == 1


class TestScript:
    def test_the_tone_is_the_same_wherever_it_is_made(self, script: ModuleType) -> None:
        assert script.waiting_tone() == clip(recordings()[1])

    def test_every_file_is_made_and_no_other_one_is_left(
        self, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[tuple[str, str]] = []

        def speak(text: str, name: str, speed: str, pitch: str) -> bytes:
            said.append((name, text))
            return b"\x10" * 8000

        monkeypatch.setattr(script, "speak", speak)
        monkeypatch.setattr(sys, "argv", ["make_recordings.py", "--folder", str(tmp_path)])
        (tmp_path / "one-moment-xx.ulaw").write_bytes(b"old")
        assert script.main() == 0
        folder = ROOT / "src" / "offhook" / "agents" / FOLDER
        assert {file.name for file in tmp_path.iterdir()} == {file.name for file in folder.iterdir()}
        assert [text for _, text in said] == list(ONE_MOMENT.values())
        assert [name[:2] for name, _ in said] == list(ONE_MOMENT)
        made = (tmp_path / file_name("de")).read_bytes()
        assert made[:160] == made[-160:] == ulaw.silence(20)
        assert made[1000:2000] == b"\x10" * 1000

    def test_without_espeak_nothing_is_touched(
        self, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(script, "speak", lambda *_: None)
        monkeypatch.setattr(sys, "argv", ["make_recordings.py", "--folder", str(tmp_path)])
        (tmp_path / TONE).write_bytes(b"old")
        assert script.main() == 1
        assert "espeak-ng is not installed" in capsys.readouterr().err
        assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


class TestSettings:
    @pytest.mark.parametrize(
        "prompt", ["Tell the caller to wait.", "", {}, {"text": "One moment."}, {"instructions": "Be brief."}]
    )
    def test_the_model_cannot_say_it(self, prompt: object) -> None:
        with pytest.raises(ValidationError) as caught:
            Agent.model_validate({"instructions": "x", "recovery": {"prompt": prompt}})
        (error,) = caught.value.errors()
        form = "(structured)" if isinstance(prompt, dict) else "(plain)"
        assert (error["type"], error["loc"]) == ("recording", ("recovery", "prompt", form))
        assert error["msg"] == NOT_RECORDED

    def test_the_error_has_its_place_and_code(self) -> None:
        text = "agents:\n  a:\n    instructions: x\n    recovery: {prompt: One moment.}\n"
        with pytest.raises(ConfigError) as caught:
            parse_config(text, source="offhook.yaml", environ={})
        (problem,) = caught.value.problems
        assert str(problem) == f"offhook.yaml:4:24: OH-CONF-08 agents.a.recovery.prompt: {NOT_RECORDED}"

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"after": 0.9}, "greater_than_equal"),
            ({"after": 61}, "less_than_equal"),
            ({"every": 1.9}, "greater_than_equal"),
            ({"every": 301}, "less_than_equal"),
            ({"limit": 0.9}, "greater_than_equal"),
            ({"limit": 121}, "less_than_equal"),
            ({"limit": None}, "float_type"),
            ({"limits": 5}, "extra_forbidden"),
        ],
    )
    def test_what_cannot_be(self, settings: dict[str, Any], problem: str) -> None:
        with pytest.raises(ValidationError) as caught:
            Agent.model_validate({"instructions": "x", "recovery": settings})
        (error,) = caught.value.errors()
        assert (error["type"], error["loc"]) == (problem, ("recovery", *settings))

    def test_the_bounds_belong_to_them(self) -> None:
        for settings in ({"after": 1, "every": 2, "limit": 1}, {"after": 60, "every": 300, "limit": 120}):
            made = plan(recovery=settings).recovery
            assert (made.after, made.every, made.limit) == tuple(settings.values())

    def test_a_recording_is_nothing_but_that(self, recording: str) -> None:
        with pytest.raises(ValidationError) as caught:
            plan(recovery={"prompt": {"wav": recording, "protected": True, "instructions": "Be brief."}})
        assert [(error["type"], error["loc"][-1]) for error in caught.value.errors()] == [
            ("extra_forbidden", "protected"),
            ("extra_forbidden", "instructions"),
        ]

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(ValidationError, match="cannot be read"):
            plan(recovery={"prompt": {"wav": {"de": "none.wav"}}})

    def test_as_it_is_shown_it_can_be_given_back(self, recording: str) -> None:
        for prompt in ("bundled", None, {"wav": recording, "text": {"en": "One moment."}}):
            agent = Agent.model_validate({"instructions": "x", "recovery": {"prompt": prompt, "limit": 5}})
            shown = to_yaml({"agents": {"a": agent.model_dump(mode="json")}})
            assert parse_config(shown, source="shown", environ={}).config.agents["a"] == agent


class TestPlan:
    def test_as_it_is_by_itself(self) -> None:
        made, default = plan(), CallPlan(agent="x", session=plan().session)
        assert made.recovery == replace(default.recovery, prompt=one_moment("en-us"))
        assert made.drained == default.drained

    def test_the_language_of_the_call(self) -> None:
        assert [in_language(language).recovery.prompt for language in ("de-de", "fr", "ja-jp", "")] == [
            one_moment("de"),
            one_moment("fr"),
            recordings()[1],
            recordings()[1],
        ]

    def test_as_it_is_set(self, recording: str) -> None:
        prompt = {"wav": recording, "text": {"en": "{{ input.COMPANY }}, one moment.", "de": "Moment."}}
        made = plan(recovery={"prompt": prompt, "after": 2, "every": 5, "limit": 9}).recovery
        spoken = Prompt(text="Acme, one moment.", audio=SOUND)
        assert made == bridge.Recovery(prompt=spoken, after=2.0, every=5.0, limit=9.0)
        assert in_language("de-at", recovery={"prompt": prompt}).recovery.prompt == Prompt(text="Moment.", audio=SOUND)
        assert plan(recovery={"prompt": {"wav": recording}}).recovery.prompt == Prompt(text="", audio=SOUND)

    def test_by_language_the_first_stands_in(self, recording: str, tmp_path: Path) -> None:
        (tmp_path / "de.wav").write_bytes(write_wav(SOUND * 2))
        prompt = {"wav": {"en": recording, "de": str(tmp_path / "de.wav")}}
        lengths = [
            len(clip(in_language(tag, recovery={"prompt": prompt}).recovery.prompt)) for tag in ("de", "en", "it")
        ]
        assert lengths == [3200, 1600, 1600]

    def test_silence(self) -> None:
        assert plan(recovery={"prompt": None, "limit": 5}).recovery == bridge.Recovery(limit=5.0)

    def test_what_is_said_when_the_gateway_stops(self, recording: str) -> None:
        assert plan(limits={"drained": {"text": {"de": "Ende.", "en": "The end."}}}).drained == Prompt(text="The end.")
        assert plan(limits={"drained": "Connect to {{ input.COMPANY }}."}).drained.instructions == "Connect to Acme."
        assert plan(limits={"drained": {"wav": recording}}).drained.audio == SOUND
        assert plan(limits={"drained": "{{ input.EMPTY }}"}).drained == Prompt(instructions="Say goodbye.")
