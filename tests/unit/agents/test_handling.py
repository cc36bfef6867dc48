"""How a call is handled, from the settings of an agent to the plan of one call."""

import json
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from offhook.agents import Agent
from offhook.agents.settings import Output
from offhook.bridge.outputs import MAX_OUTPUTS_BYTES
from offhook.bridge.plan import BargeIn, CallLimits, Filler, NoInput, OutputVariable, Prompt
from tests.unit.agents.test_planning import plan


def errors(**settings: Any) -> list[tuple[str, tuple[int | str, ...]]]:
    with pytest.raises(ValidationError) as caught:
        Agent.model_validate({"instructions": "x", **settings})
    return [(error["type"], error["loc"]) for error in caught.value.errors()]


def agent(**settings: Any) -> Agent:
    return Agent.model_validate({"instructions": "Be kind.", "voice": "marin", **settings})


class TestLanguage:
    GERMAN: dict[str, Any] = {"languages": {"de": {"instructions": "Sei nett.", "voice": "cedar"}}}  # noqa: RUF012

    @pytest.mark.parametrize(("language", "german"), [("de-de", True), ("DE", True), ("en-us", False), ("", False)])
    def test_what_is_different_in_it(self, language: str, german: bool) -> None:
        spoken = agent(**self.GERMAN).in_language(language)
        assert (spoken.instructions, spoken.voice) == (("Sei nett.", "cedar") if german else ("Be kind.", "marin"))

    def test_what_is_not_different_stays(self) -> None:
        spoken = agent(languages={"de": {"voice": "cedar"}}, speed=1.2).in_language("de")
        assert (spoken.instructions, spoken.voice, spoken.speed) == ("Be kind.", "cedar", 1.2)

    @pytest.mark.parametrize(
        ("transcription", "languages", "language", "expected"),
        [
            ({}, {}, "de-at", "de"),
            ({}, {}, "EN-US", "en"),
            ({}, {}, "fil-ph", None),
            ({}, {}, "", None),
            ({"language": "fr"}, {}, "de-at", "fr"),
            ({"language": "auto"}, {}, "de-at", None),
            ({"language": "fr"}, {"de": {"transcription": "gsw"}}, "de-ch", "gsw"),
            ({"language": "fr"}, {"de": {"transcription": "auto"}}, "de-ch", None),
            ({"language": "auto"}, {"de": {"transcription": "de"}}, "de-ch", "de"),
            ({"language": "auto"}, {"de": {"voice": "cedar"}}, "de-ch", None),
            ({}, {"de": {"transcription": "de"}}, "fr-fr", "fr"),
        ],
    )
    def test_what_the_transcription_expects(
        self, transcription: dict[str, Any], languages: dict[str, Any], language: str, expected: str | None
    ) -> None:
        spoken = agent(transcription=transcription, languages=languages).in_language(language)
        assert spoken.transcription is not None
        assert spoken.transcription.language == expected

    def test_without_transcription(self) -> None:
        assert agent(transcription=None, **self.GERMAN).in_language("de").transcription is None

    def test_the_agent_itself_does_not_change(self) -> None:
        before = agent(**self.GERMAN)
        assert before.in_language("de") != before
        assert before == agent(**self.GERMAN)

    def test_what_cannot_be(self) -> None:
        assert errors(languages={"german": {}}) == [("string_pattern_mismatch", ("languages", "german", "[key]"))]
        assert errors(languages={"de": {"instructions": "{% if %}"}}) == [
            ("template", ("languages", "de", "instructions"))
        ]
        assert errors(languages={"de": {"speed": 1}}) == [("extra_forbidden", ("languages", "de", "speed"))]

    def test_a_call_in_it(self) -> None:
        made = plan(languages={"en": {"instructions": "For {{ input.COMPANY }}.", "voice": "cedar"}})
        assert made.session.instructions == "For Acme."
        assert made.session.audio
        assert made.session.audio.output
        assert made.session.audio.output.voice == "cedar"


class TestPlan:
    def test_as_it_is_by_itself(self) -> None:
        made = plan()
        assert made.barge_in == BargeIn()
        assert made.no_input == NoInput()
        assert made.limits.max_duration == 840
        assert (made.limits.warn_before, made.limits.max_turns, made.limits.max_cost) == (60, None, None)
        assert (made.filler.after, made.filler.every, len(made.filler.prompts)) == (2.5, 10.0, 1)
        assert (made.notice, made.goodbye, made.handover, made.summary) == (None, None, None, "escalated")

    def test_as_it_is_set(self) -> None:
        made = plan(
            notice={"text": "Recorded.", "protected": True},
            goodbye={"text": {"de": "Tschüss.", "en": "Bye."}},
            handover="Say that {{ input.COMPANY }} connects.",
            summary="always",
            barge_in={"min_speech_ms": 250, "resume": True},
            no_input={"after": 5, "prompts": ["Ask.", {"text": "Hello?"}], "goodbye": {"text": "Bye."}},
            limits={"max_duration": None, "max_turns": 9, "max_cost": 0.5, "goodbye": {"text": "Time."}},
            filler={"after": 1, "every": 2, "prompts": [{"text": "One moment."}]},
        )
        assert made.notice == Prompt(text="Recorded.", protected=True)
        assert made.goodbye == Prompt(text="Bye.")
        assert made.handover == Prompt(instructions="Say that Acme connects.")
        assert made.summary == "always"
        assert made.barge_in == BargeIn(min_speech=0.25, resume=True)
        asked = (Prompt(instructions="Ask."), Prompt(text="Hello?"))
        assert made.no_input == NoInput(after=5.0, prompts=asked, goodbye=Prompt(text="Bye."))
        assert made.limits == CallLimits(max_turns=9, max_cost=0.5, goodbye=Prompt(text="Time."))
        assert made.filler == Filler(after=1.0, every=2.0, prompts=(Prompt(text="One moment."),))

    def test_nothing_is_filled(self) -> None:
        assert plan(filler=None).filler == Filler()
        assert plan(filler={"prompts": ["{{ input.EMPTY }}"]}).filler == Filler()

    def test_what_renders_to_nothing_is_left_out(self) -> None:
        made = plan(
            no_input={"prompts": ["{{ input.EMPTY }}", "Ask."], "goodbye": "{{ input.EMPTY }}"},
            limits={"goodbye": "{{ input.EMPTY }}"},
        )
        assert made.no_input.prompts == (Prompt(instructions="Ask."),)
        assert made.no_input.goodbye == made.limits.goodbye == Prompt(instructions="Say goodbye.")

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"no_input": {"after": 0.5}}, ("greater_than_equal", ("no_input", "after"))),
            ({"no_input": {"prompts": []}}, ("too_short", ("no_input", "prompts"))),
            ({"no_input": {"prompts": ["x"] * 11}}, ("too_long", ("no_input", "prompts"))),
            ({"filler": {"after": 0}}, ("greater_than_equal", ("filler", "after"))),
            ({"filler": {"every": 1}}, ("greater_than_equal", ("filler", "every"))),
            ({"limits": {"max_turns": 0}}, ("greater_than_equal", ("limits", "max_turns"))),
            ({"limits": {"max_cost": 0}}, ("greater_than", ("limits", "max_cost"))),
            ({"limits": {"max_duration": 0}}, ("greater_than", ("limits", "max_duration"))),
            ({"limits": {"warn_before": -1}}, ("greater_than_equal", ("limits", "warn_before"))),
            ({"barge_in": {"min_speech_ms": -1}}, ("greater_than_equal", ("barge_in", "min_speech_ms"))),
            ({"barge_in": {"min_speech": 1}}, ("extra_forbidden", ("barge_in", "min_speech"))),
            ({"summary": "sometimes"}, ("literal_error", ("summary",))),
        ],
    )
    def test_what_cannot_be(self, settings: dict[str, Any], problem: tuple[str, tuple[str, ...]]) -> None:
        assert errors(**settings) == [problem]


class TestOutputs:
    def test_declared(self) -> None:
        made = plan(outputs={"COUNT": {"type": "integer", "enum": ["1", "2"], "default": "1"}, "TEXT": {}})
        assert made.outputs["COUNT"] == OutputVariable(default="1", type="integer", enum=("1", "2"))
        (tool,) = json.loads(msgspec.json.encode(made.session))["tools"]
        assert tool["parameters"]["properties"] == {
            "COUNT": {"type": "integer", "enum": [1, 2]},
            "TEXT": {"type": "string"},
        }

    @pytest.mark.parametrize(
        ("output", "schema"),
        [
            ({"enum": ["a", "b"], "description": "Which."}, {"description": "Which.", "enum": ["a", "b"]}),
            ({"type": "boolean", "enum": ["true", ""]}, {"type": "boolean", "enum": [True]}),
            ({"type": "number"}, {"type": "number"}),
        ],
    )
    def test_the_model_reads_what_it_may_give(self, output: dict[str, Any], schema: dict[str, Any]) -> None:
        assert Output.model_validate(output).json_schema() == {"type": "string", **schema}

    @pytest.mark.parametrize(
        ("output", "place"),
        [
            ({"default": "c", "enum": ["a", "b"]}, ["default"]),
            ({"default": "many", "type": "integer"}, ["default"]),
            ({"default": "1.5", "type": "integer", "enum": ["1"]}, ["default", "default"]),
            ({"default": "x" * 4001}, ["default"]),
            ({"type": "boolean", "enum": ["true", "yes", "no"]}, [1, 2]),
        ],
    )
    def test_what_does_not_fit(self, output: dict[str, Any], place: list[str | int]) -> None:
        found = errors(outputs={"X": output})
        assert [kind for kind, _ in found] == ["output"] * len(place)
        assert [where[-1] for _, where in found] == place

    def test_defaults_must_leave_room_in_the_disconnect(self) -> None:
        outputs = {f"V{number}": {"default": '"' * 4000} for number in range(5)}
        assert errors(outputs=outputs) == [("outputs", ("outputs",))]
        assert MAX_OUTPUTS_BYTES > 8000 * 4
        outputs.pop("V4")
        assert len(agent(outputs=outputs).outputs) == 4
