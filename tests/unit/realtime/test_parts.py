"""The small parts: items, configuration, echo, errors, usage, marks and tables."""

import enum
import re
from typing import Any

import msgspec
import pytest

from offhook import realtime as rt
from offhook.realtime import errors, state
from offhook.realtime.echo import EchoMismatch, check_echo, names_format
from offhook.realtime.errors import Severity, close_is_retryable, safe_code, severity
from offhook.realtime.requests import METADATA_KEY, Mark, create_event, read_mark
from offhook.realtime.usage import token_usage
from tests.unit.realtime import samples

UNSET = rt.UNSET


# --- items


def test_text_items_use_the_content_type_their_role_needs() -> None:
    made = (rt.system_message("a"), rt.user_message("b"), rt.assistant_message("c"))
    assert [(item.role, item.content[0].type, item.content[0].text) for item in made] == [
        ("system", "input_text", "a"),
        ("user", "input_text", "b"),
        ("assistant", "output_text", "c"),
    ]


def test_an_item_knows_its_kind() -> None:
    assert [rt.item_kind(item) for item in (*samples.ITEMS[4:8], rt.ItemReference(id="i"))] == [
        "message",
        "function_call",
        "function_call_output",
        "mcp_list_tools",
        "item_reference",
    ]


# --- configuration


def test_absent_and_null_differ_on_the_wire() -> None:
    update = rt.SessionConfig(audio=rt.AudioConfig(input=rt.AudioInput(turn_detection=None)), tools=())
    assert msgspec.json.encode(update) == b'{"type":"realtime","audio":{"input":{"turn_detection":null}},"tools":[]}'
    assert msgspec.json.decode(msgspec.json.encode(update), type=rt.SessionConfig) == update


def test_an_update_changes_only_what_it_gives() -> None:
    session = rt.merge_config(rt.Session(id="sess_1"), samples.CONFIG)
    update = rt.SessionConfig(
        instructions="New.",
        audio=rt.AudioConfig(
            input=rt.AudioInput(
                noise_reduction=rt.NoiseReduction(type="far_field"),
                transcription=rt.TranscriptionConfig(model="whisper-1"),
                turn_detection=rt.ServerVad(silence_duration_ms=700),
            )
        ),
        tools=None,
    )
    merged = rt.merge_config(session, update)
    assert merged.id == "sess_1"
    assert merged.instructions == "New."
    assert merged.tools is None
    assert merged.audio == rt.AudioConfig(
        input=rt.AudioInput(
            format=rt.PCMU,
            noise_reduction=rt.NoiseReduction(type="far_field", strength=0.5),  # strength is kept (§3)
            transcription=rt.TranscriptionConfig(model="whisper-1"),
            turn_detection=msgspec.structs.replace(samples.SERVER_VAD, silence_duration_ms=700),
        ),
        output=rt.AudioOutput(format=rt.PCMU, voice="marin", speed=1.0),
    )


def test_formats_and_kinds_of_turn_detection_are_replaced_as_a_whole() -> None:
    merged = rt.merge_config(rt.merge_config(samples.OTHER_CONFIG, samples.CONFIG), rt.SessionConfig())
    assert isinstance(merged.audio, rt.AudioConfig)
    assert isinstance(merged.audio.input, rt.AudioInput)
    assert merged.audio.input.format == rt.PCMU  # without the rate that PCM had
    assert merged.audio.input.turn_detection == samples.SERVER_VAD


def test_the_secrets_of_an_mcp_tool_stay_out_of_its_repr() -> None:
    tool = rt.McpTool(server_label="shop", authorization="secret", headers={"X": "secret"})
    assert repr(tool) == "McpTool(server_label='shop')"
    assert "secret" not in repr(rt.SessionConfig(tools=(tool,)))


# --- echo


def config(into: Any = UNSET, out: Any = UNSET, voice: Any = UNSET) -> rt.SessionConfig:
    return rt.SessionConfig(
        audio=rt.AudioConfig(input=rt.AudioInput(format=into), output=rt.AudioOutput(format=out, voice=voice))
    )


PCM = rt.AudioFormat("audio/pcm", 24000)


@pytest.mark.parametrize(
    ("wanted", "echoed"),
    [
        (config(rt.PCMU, rt.PCMU, "marin"), config(rt.PCMU, rt.PCMU, "marin")),
        (config(rt.PCMU, rt.PCMU, "marin"), config(rt.AudioFormat("audio/pcmu", 8000), rt.PCMU, rt.VoiceId("marin"))),
        (config(rt.PCMU, rt.PCMU, rt.VoiceId("v1")), config(rt.PCMU, rt.PCMU, "v1")),
        (config(PCM), config(rt.AudioFormat("audio/pcm"), PCM, "ash")),
        (rt.SessionConfig(), config(PCM, PCM, "ash")),
        (rt.SessionConfig(audio=None), rt.SessionConfig()),
        (rt.SessionConfig(audio=rt.AudioConfig(input=None, output=None)), rt.SessionConfig(audio=None)),
        (config(None, None, None), config(PCM, PCM, "ash")),
    ],
)
def test_an_echo_that_fits(wanted: rt.SessionConfig, echoed: rt.SessionConfig) -> None:
    assert check_echo(wanted, echoed) is None


FORMAT, VOICE = "OH-RT-04", "OH-RT-05"


@pytest.mark.parametrize(
    ("wanted", "echoed", "mismatch"),
    [
        (config(rt.PCMU), config(PCM), (FORMAT, "asked for input format audio/pcmu, the server uses audio/pcm")),
        (config(rt.PCMU), config(), (FORMAT, "asked for input format audio/pcmu, the server uses none")),
        (
            config(rt.PCMU, rt.PCMU),
            config(rt.PCMU, PCM),
            (FORMAT, "asked for output format audio/pcmu, the server uses audio/pcm"),
        ),
        (
            config(PCM),
            config(rt.AudioFormat("audio/pcm", 16000)),
            (FORMAT, "asked for input format audio/pcm, the server uses audio/pcm"),
        ),
        (config(voice="marin"), config(voice="ash"), (VOICE, "asked for voice marin, the server uses ash")),
        (config(voice="marin"), rt.SessionConfig(), (VOICE, "asked for voice marin, the server uses none")),
        (config(voice="marin"), config(voice=None), (VOICE, "asked for voice marin, the server uses none")),
    ],
)
def test_an_echo_that_does_not_fit(
    wanted: rt.SessionConfig, echoed: rt.SessionConfig, mismatch: tuple[str, str]
) -> None:
    assert check_echo(wanted, echoed) == EchoMismatch(*mismatch)


def test_the_voice_can_be_left_out_of_the_comparison() -> None:
    assert check_echo(config(voice="marin"), config(voice="ash"), voice=False) is None


def test_an_update_that_names_a_format() -> None:
    assert names_format(config(into=rt.PCMU))
    assert names_format(config(out=None))
    assert not names_format(config(voice="ash"))
    assert not names_format(rt.SessionConfig(audio=None))


# --- errors


def test_our_codes_have_the_stable_shape() -> None:
    assert [code for code in rt.CODES if not re.fullmatch(r"OH-RT-\d\d", code)] == []
    assert rt.MalformedEvent.code in rt.CODES


@pytest.mark.parametrize(
    ("code", "type_", "grade"),
    [
        ("insufficient_quota", "invalid_request_error", Severity.FATAL),
        ("invalid_api_key", None, Severity.FATAL),
        ("session_expired", "invalid_request_error", Severity.RETRYABLE),
        (None, "server_error", Severity.RETRYABLE),
        ("response_cancel_not_active", "invalid_request_error", Severity.BENIGN),
        ("brand_new", "server_error", Severity.BENIGN),
        (None, "invalid_request_error", Severity.BENIGN),
    ],
)
def test_errors_are_graded_by_code(code: str | None, type_: str | None, grade: Severity) -> None:
    assert severity(code, type_) is grade


@pytest.mark.parametrize(
    ("code", "reason", "retryable"),
    [
        (None, "", True),
        (1000, "", True),
        (1001, "Your session hit the maximum duration of 60 minutes.", True),
        (1006, "", True),
        (1011, "", True),
        (1008, "", False),
        (3000, "invalid_request_error.invalid_api_key", False),
        (4000, "", False),
        (4999, "invalid_request_error.invalid_api_key", False),
        (1011, "insufficient_quota", False),
    ],
)
def test_a_close_is_retryable_by_its_code_and_reason(code: int | None, reason: str, retryable: bool) -> None:
    assert close_is_retryable(code, reason) is retryable


@pytest.mark.parametrize(
    ("code", "safe"),
    [
        ("invalid_value", "invalid_value"),
        (None, "OH-RT-09"),
        ("", "OH-RT-09"),
        ("My name is Joe", "OH-RT-09"),
        ("x" * 65, "OH-RT-09"),
    ],
)
def test_free_text_never_passes_as_a_code(code: str | None, safe: str) -> None:
    assert safe_code(code) == safe


def test_texts_of_the_server_are_cut() -> None:
    assert errors.bounded("x" * 1000) == "x" * 500
    assert errors.bounded(None) == ""


# --- usage


def test_usage_is_flattened_and_summed() -> None:
    usage = token_usage(samples.USAGE)
    assert usage == rt.TokenUsage(
        total_tokens=294,
        input_tokens=198,
        output_tokens=96,
        input_text_tokens=170,
        input_audio_tokens=28,
        cached_tokens=128,
        cached_text_tokens=128,
        output_text_tokens=18,
        output_audio_tokens=78,
    )
    totals = rt.UsageTotals().with_response(usage).with_response(token_usage(rt.ResponseUsage(total_tokens=6)))
    assert totals.responses == 2
    assert totals.tokens.total_tokens == 300
    assert totals.tokens.output_audio_tokens == 78


def test_transcription_is_counted_apart_in_its_own_unit() -> None:
    totals = (
        rt.UsageTotals()
        .with_transcription(rt.TranscriptionUsage(type="tokens", input_tokens=28, output_tokens=7))
        .with_transcription(rt.TranscriptionUsage(type="duration", seconds=2.25))
    )
    assert totals == rt.UsageTotals(
        transcriptions=2, transcription_input_tokens=28, transcription_output_tokens=7, transcription_seconds=2.25
    )


# --- marks


def test_a_request_is_recognised_by_its_metadata() -> None:
    event = create_event(rt.ResponseRequest(tag="a/b", metadata={"topic": "x", METADATA_KEY: "forged"}), "oh_7")
    assert isinstance(event.response, rt.ResponseParams)
    assert event.response.metadata == {"topic": "x", "offhook": "oh_7/default/a/b"}
    assert read_mark({"offhook": "oh_7/default/a/b"}) == Mark("oh_7", False, "a/b")
    assert read_mark({"offhook": "oh_8/beside/"}) == Mark("oh_8", True, "")


@pytest.mark.parametrize(
    "metadata", [None, {}, {"gw": "greet"}, {"offhook": ""}, {"offhook": "oh_7"}, {"offhook": "a/b"}]
)
def test_other_metadata_is_no_mark(metadata: dict[str, str] | None) -> None:
    assert read_mark(metadata) is None


def test_a_mark_keeps_to_the_limit_of_metadata() -> None:
    event = create_event(rt.ResponseRequest(tag="t" * 1000), "oh_7")
    assert isinstance(event.response, rt.ResponseParams)
    assert event.response.metadata
    assert len(event.response.metadata["offhook"]) == 512


def test_a_plain_request_sends_nothing_that_was_not_asked_for() -> None:
    event = create_event(rt.ResponseRequest(tag="t"), "oh_7")
    assert rt.encode_client_event(event) == (
        b'{"type":"response.create","event_id":"oh_7","response":{"metadata":{"offhook":"oh_7/default/t"}}}'
    )


# --- tables


@pytest.mark.parametrize(
    ("table", "states", "inputs"),
    [
        (state.SESSION_TABLE, rt.SessionState, state.SessionInput),
        (state.FLOOR_TABLE, state.Floor, state.FloorInput),
        (state.REQUEST_TABLE, state.Request, state.RequestInput),
    ],
)
def test_every_state_and_every_input_of_a_table_is_used(
    table: dict[tuple[enum.Enum, enum.Enum], enum.Enum], states: type[enum.Enum], inputs: type[enum.Enum]
) -> None:
    assert {where for where, _ in table} | set(table.values()) == set(states)
    assert {what for _, what in table} == set(inputs)
