from typing import Any

import pytest

from tests.unit.emulator.rig import PCMU, Rig, done, error, kinds, only, said

PCM = {"type": "audio/pcm", "rate": 24000}


def input_of(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def output_of(**fields: Any) -> dict[str, Any]:
    return {"audio": {"output": fields}}


def detection(**fields: Any) -> dict[str, Any]:
    return input_of(turn_detection={"type": "server_vad", **fields})


def update(rig: Rig, **session: Any) -> list[dict[str, Any]]:
    return rig.send("session.update", event_id="cfg", session={"type": "realtime", **session})


def test_created_shows_the_defaults() -> None:
    rig = Rig()
    session = only(rig.events, "session.created")["session"]
    assert session["audio"]["input"]["format"] == PCM
    assert session["audio"]["output"] == {"format": PCM, "voice": "marin", "speed": 1.0}
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 200
    assert session["expires_at"] == 1_795_363_200 + 3600
    assert session["id"].startswith("sess_")


def test_an_update_changes_what_it_names_and_echoes_everything() -> None:
    rig = Rig()
    session = only(rig.ready(instructions="Be brief."), "session.updated")["session"]
    assert session["instructions"] == "Be brief."
    assert session["audio"]["input"]["format"] == PCMU
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    again = only(update(rig, max_output_tokens=100), "session.updated")["session"]
    assert again == {**session, "max_output_tokens": 100}


def test_null_clears_and_detection_can_change_its_kind() -> None:
    rig = Rig()
    rig.ready()
    session = only(update(rig, **input_of(turn_detection=None, transcription=None)), "session.updated")["session"]
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["audio"]["input"]["transcription"] is None
    session = only(update(rig, **input_of(turn_detection={"type": "semantic_vad"})), "session.updated")["session"]
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"max_output_tokens": 5000}, "invalid_value", "session.max_output_tokens"),
        ({"max_output_tokens": "many"}, "invalid_value", "session.max_output_tokens"),
        ({"audio": None}, "invalid_type", "session.audio"),
        ({"audio": {"input": None}}, "invalid_type", "session.audio.input"),
        (output_of(format=None), "invalid_type", "session.audio.output.format"),
        (input_of(format={"type": "audio/opus"}), "invalid_value", "session.audio.input.format"),
        (input_of(format={"type": "audio/pcm"}), "missing_required_parameter", "session.audio.input.format.rate"),
        (
            output_of(format={"type": "audio/pcm", "rate": 8000}),
            "invalid_value",
            "session.audio.output.format.rate",
        ),
        (
            input_of(format={"type": "audio/pcmu", "rate": 8000}),
            "unknown_parameter",
            "session.audio.input.format.rate",
        ),
        (output_of(voice="loud"), "invalid_value", "session.audio.output.voice"),
        (output_of(speed=2.0), "decimal_above_max_value", "session.audio.output.speed"),
        (input_of(noise_reduction={"type": "none"}), "invalid_value", "session.audio.input.noise_reduction.type"),
        (detection(threshold=1.5), "decimal_above_max_value", "session.audio.input.turn_detection.threshold"),
        (
            detection(idle_timeout_ms=100),
            "decimal_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (
            input_of(turn_detection={"type": "semantic_vad", "eagerness": "wild"}),
            "invalid_value",
            "session.audio.input.turn_detection.eagerness",
        ),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "invalid_value", "session.tools[0].name"),
        ({"tool_choice": "perhaps"}, "invalid_value", "session.tool_choice"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "invalid_value", "session.tool_choice"),
        ({"voice": "marin"}, "unknown_parameter", "session.voice"),
        (input_of(turn_detection={"type": "server_vad", "foo": 1}), "unknown_parameter", None),
        ({"tools": [{"type": "function", "name": "x", "function": {}}]}, "unknown_parameter", None),
        ({"instructions": 5}, "invalid_value", "session.instructions"),
    ],
)
def test_one_bad_field_rejects_the_whole(session: dict[str, Any], code: str, param: str | None) -> None:
    rig = Rig()
    rig.ready()
    before = rig.session.settings.session
    audio = session.get("audio", {})
    merged = {"output_modalities": ["text"], "max_output_tokens": 7, **session, "audio": audio}
    found = error(update(rig, **merged))
    assert found["code"] == code
    assert found["event_id"] == "cfg"
    assert param is None or found["param"] == param
    assert rig.session.settings.session == before


def test_session_type_is_required() -> None:
    found = error(Rig().send("session.update", session={"instructions": "x"}))
    assert (found["code"], found["param"]) == ("missing_required_parameter", "session.type")


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-realtime-2.1", True),
        ("gpt-realtime-2.1-mini", True),
        ("gpt-realtime-2", True),
        ("gpt-realtime-1.5", False),
        ("gpt-realtime-2025-08-28", False),
    ],
)
def test_reasoning_is_for_models_that_can(model: str, reasons: bool) -> None:
    rig = Rig(model=model)
    events = update(rig, reasoning={"effort": "low"})
    if reasons:
        assert only(events, "session.updated")["session"]["reasoning"] == {"effort": "low"}
    else:
        assert error(events)["param"] == "session.reasoning"


def test_the_voice_is_fixed_after_the_first_audio() -> None:
    rig = Rig()
    rig.ready()
    assert kinds(update(rig, **output_of(voice="cedar"))) == ["session.updated"]
    rig.greet()
    assert error(update(rig, **output_of(voice="marin")))["code"] == "cannot_update_voice"
    assert kinds(update(rig, **output_of(voice="cedar"))) == ["session.updated"]


def test_instructions_may_change_while_the_agent_speaks() -> None:
    rig = Rig({"turns": [{"say": "Hello."}, {"say": "Bye."}], "speed": 1})
    rig.ready(instructions="Be brief. " * 40)
    rig.send("response.create")
    rig.run(0.5)
    updated = update(rig, instructions="Speak German.", **input_of(transcription={"model": "whisper-1"}))
    session = only(updated, "session.updated")["session"]
    assert session["instructions"] == "Speak German."
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500, "the rest stays"
    first = done(rig.run(5))
    rig.send("response.create")
    second = done(rig.run(5))
    assert (first["status"], said(first), said(second)) == ("completed", ["Hello."], ["Bye."])
    read = [response["usage"]["input_token_details"]["text_tokens"] for response in (first, second)]
    assert read[0] > read[1] + 50, "the long prompt was read for the first one"


def test_custom_voices_and_tools_of_every_kind_are_taken() -> None:
    rig = Rig()
    tools = [
        {"type": "function", "name": "order_status", "parameters": {"type": "object", "properties": {}}},
        {"type": "mcp", "server_label": "shop", "server_url": "https://shop.example/mcp"},
    ]
    choice = {"type": "function", "name": "order_status"}
    session = only(
        update(rig, tools=tools, tool_choice=choice, **output_of(voice={"id": "voice_1"})), "session.updated"
    )["session"]
    assert session["tools"] == tools
    assert session["audio"]["output"]["voice"] == {"id": "voice_1"}
