import json
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.realtime import codec, lenient

DELTA = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 1,
    "content_index": 2,
    "delta": "AAEC",
}

LISTED = rt.McpListedTool(name="a", input_schema=object())


def text(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))


def test_an_append_is_a_constant_around_base64() -> None:
    assert rt.encode_append(b"\x00\x01\x02") == b'{"type":"input_audio_buffer.append","audio":"AAEC"}'
    assert rt.decode_client_event(rt.encode_append(b"\x00\x01\x02")) == rt.InputAudioBufferAppendEvent(audio=b"\0\1\2")


def test_an_audio_delta_is_decoded_to_bytes() -> None:
    event = rt.decode_server_event(text(DELTA))
    assert event == rt.ResponseOutputAudioDeltaEvent(
        event_id="event_1", response_id="resp_1", item_id="item_1", output_index=1, content_index=2, delta=b"\0\1\2"
    )


@pytest.mark.parametrize(
    "message",
    [
        text({**DELTA, "delta": "++//"}),  # fast path
        text({**DELTA, "delta": "++//"}).replace("/", "\\/"),  # JSON escapes
        text({"padding": "x" * 200, **DELTA, "delta": "++//"}),  # the type comes late
        text({**DELTA, "delta": "++//", "obfuscation": {"a": [1]}}),
    ],
)
def test_every_spelling_of_an_audio_delta_is_read(message: str) -> None:
    event = rt.decode_server_event(message)
    assert isinstance(event, rt.ResponseOutputAudioDeltaEvent)
    assert event.delta == b"\xfb\xef\xff"


def test_the_delta_mark_in_another_event_misleads_nobody() -> None:
    message = {
        "type": "response.created",
        "x": "response.output_audio.delta",
        "response": {"id": "resp_1", "status": "in_progress"},
    }
    assert isinstance(rt.decode_server_event(text(message)), rt.ResponseCreatedEvent)


@pytest.mark.parametrize("delta", ["A", "AAE", "AA=A", "AAEC=", "A?EC", "AAEC AAEC", "ÄAEC", None, 7, ["AAEC"]])
def test_audio_that_is_not_base64_is_malformed(delta: object) -> None:
    with pytest.raises(rt.MalformedEvent) as caught:
        rt.decode_server_event(text({**DELTA, "delta": delta}))
    assert caught.value.type == "response.output_audio.delta"
    assert caught.value.event_id == "event_1"
    assert caught.value.param == "delta"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"error"',
        b"{}",
        b'{"type":null}',
        b'{"type":"\xff"}',
        b'{"type":"error","error":{},"x":1e999999}x',
        b'{"type":"foo","x":"\\ud800"}{',
        "\ud800",
        b'{"type":"error","x":' + b"[" * 100_000,
        b"[{" * 65,
        b'"' + b'\\"' * 100_000 + b"[" * 65,
    ],
)
def test_whatever_is_no_event_is_malformed(data: bytes | str) -> None:
    with pytest.raises(rt.MalformedEvent):
        rt.decode_server_event(data)
    with pytest.raises(rt.MalformedEvent):
        rt.decode_client_event(data)


def test_deep_nesting_is_refused_before_it_is_read() -> None:
    deepest = '{"type":"x","a":' + "[" * 63 + "]" * 63 + "}"
    assert rt.decode_server_event(deepest) == rt.UnknownEvent("x")
    assert rt.decode_client_event(deepest) == rt.UnknownEvent("x")
    for decode in (rt.decode_server_event, rt.decode_client_event):
        with pytest.raises(rt.MalformedEvent, match="nested too deep"):
            decode('{"type":"x","a":' + "[" * 64 + "]" * 64 + "}")


def test_many_brackets_are_not_depth() -> None:
    wide = {"type": "x", "a": [[] for _ in range(200)], "b": "[" * 200, "c": '"[' * 200}
    assert rt.decode_server_event(text(wide)) == rt.UnknownEvent("x")


def test_a_nested_unknown_field_in_a_delta_does_not_break_the_fast_path() -> None:
    message = text(DELTA)[:-1] + ',"x":' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(rt.MalformedEvent, match="nested too deep"):
        rt.decode_server_event(message)


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_SERVER_EVENT_BYTES", 100)
    monkeypatch.setattr(codec, "MAX_CLIENT_EVENT_BYTES", 50)
    fits = '{"type":"x","a":"' + "y" * 31 + '"}'
    assert len(fits) == 50
    assert rt.decode_client_event(fits) == rt.UnknownEvent("x")
    with pytest.raises(rt.MalformedEvent, match="larger"):
        rt.decode_client_event(fits + " ")
    assert rt.decode_server_event(fits + " " * 50) == rt.UnknownEvent("x")
    with pytest.raises(rt.MalformedEvent, match="larger"):
        rt.decode_server_event(fits + " " * 51)


@pytest.mark.parametrize(
    ("event_id", "read"), [("event_1", "event_1"), (None, None), (7, None), ("e" * 500, "e" * 128)]
)
def test_unknown_types_are_named(event_id: object, read: str | None) -> None:
    message = text({"type": "response.cancelled", "event_id": event_id})
    assert rt.decode_server_event(message) == rt.UnknownEvent("response.cancelled", read)
    assert rt.decode_client_event(message) == rt.UnknownEvent("response.cancelled", read)
    assert rt.decode_server_event(text({"type": "x" * 500})) == rt.UnknownEvent("x" * 128)


def test_a_known_event_without_its_fields_is_malformed() -> None:
    with pytest.raises(rt.MalformedEvent, match="error does not fit at its top"):
        rt.decode_server_event('{"type":"error"}')
    with pytest.raises(rt.MalformedEvent, match="not valid JSON"):
        rt.decode_server_event(b'{"type":"error","error":{"message":"\xff"}}')
    with pytest.raises(rt.MalformedEvent, match="not valid JSON"):
        rt.decode_client_event(b'{"type":"response.cancel","response_id":"\xff"}')


def test_the_second_reading_meets_text_that_the_first_one_skips() -> None:
    assert isinstance(rt.decode_server_event(b'{"type":"error","error":{},"x":"\xff"}'), rt.ErrorEvent)
    with pytest.raises(rt.MalformedEvent, match="not valid JSON"):
        rt.decode_server_event(b'{"type":"error","error":{"message":7},"x":"\xff"}')


def test_a_misfit_of_a_client_says_where() -> None:
    message = {"type": "conversation.item.truncate", "event_id": "e1", "item_id": "secret words", "content_index": "x"}
    with pytest.raises(rt.MalformedEvent) as caught:
        rt.decode_client_event(text(message))
    assert (caught.value.type, caught.value.event_id, caught.value.param) == (
        "conversation.item.truncate",
        "e1",
        "content_index",
    )
    assert "secret" not in str(caught.value)
    with pytest.raises(rt.MalformedEvent) as caught:
        rt.decode_client_event(text({"type": "session.update"}))
    assert caught.value.param is None
    assert str(caught.value) == "session.update does not fit at its top"


def test_what_has_no_json_form_is_our_mistake() -> None:
    with pytest.raises(rt.LocalError):
        rt.encode_client_event(
            rt.SessionUpdateEvent(session=rt.SessionConfig(tools=(rt.FunctionTool(parameters={1j: 2}),)))
        )
    with pytest.raises(rt.LocalError):
        rt.encode_server_event(
            rt.ConversationItemAddedEvent(item=rt.McpListToolsItem(server_label="a", tools=(LISTED,)))
        )


def test_lone_surrogates_of_a_tool_are_replaced() -> None:
    output = rt.FunctionCallOutputItem(call_id="c", output="a\ud800b")
    data = rt.encode_client_event(rt.ConversationItemCreateEvent(item=output))
    assert json.loads(data)["item"]["output"] == "a?b"
    params = rt.ResponseParams(metadata={"\ud800": "x"}, max_output_tokens=4, output_modalities=("\udfff",))
    data = rt.encode_client_event(rt.ResponseCreateEvent(response=params))
    assert json.loads(data)["response"] == {
        "metadata": {"?": "x"},
        "max_output_tokens": 4,
        "output_modalities": ["?"],
    }


# --- the second reading


def read(message: dict[str, Any]) -> Any:
    return rt.decode_server_event(text(message))


def test_odd_fields_do_not_hide_the_end_of_a_response() -> None:
    event = read(
        {
            "type": "response.done",
            "event_id": 7,
            "response": {
                "id": "resp_1",
                "status": "completed",
                "output": [
                    {"type": "hologram", "id": "item_1", "status": "completed", "beams": 3},
                    {"type": 9, "id": 9},
                    {
                        "type": "message",
                        "id": "item_2",
                        "role": "assistant",
                        "content": [{"type": "x", "transcript": 3}],
                    },
                    {"type": "message", "id": "item_3"},
                    {"id": "item_4"},
                ],
                "usage": {"total_tokens": 10.9, "input_tokens": "many"},
                "metadata": {"a": 1},
            },
        }
    )
    assert event == rt.ResponseDoneEvent(
        response=rt.Response(
            id="resp_1",
            status="completed",
            output=(
                rt.UnknownItem(id="item_1", status="completed", kind="hologram"),
                rt.UnknownItem(),
                rt.MessageItem(id="item_2", role="assistant", content=(rt.ContentPart(type="x"),)),
            ),
            usage=rt.ResponseUsage(total_tokens=10),
        )
    )


def test_an_item_of_a_new_kind_is_still_an_item() -> None:
    event = read({"type": "conversation.item.added", "item": {"type": "hologram", "id": "item_1"}})
    assert event.item == rt.UnknownItem(id="item_1", kind="hologram")
    assert rt.item_kind(event.item) == "hologram"


def test_tools_and_turn_detection_of_a_new_kind_are_left_out() -> None:
    event = read(
        {
            "type": "session.updated",
            "session": {
                "type": "realtime",
                "tools": [{"type": "web_search"}, {"type": "function", "name": "a"}],
                "audio": {"input": {"turn_detection": {"type": "telepathy"}, "format": {"type": "audio/pcmu"}}},
            },
        }
    )
    assert event.session == rt.Session(
        tools=(rt.FunctionTool(name="a"),), audio=rt.AudioConfig(input=rt.AudioInput(format=rt.PCMU))
    )


def test_milliseconds_may_have_a_fraction() -> None:
    event = read({"type": "input_audio_buffer.speech_started", "item_id": "item_1", "audio_start_ms": 12.5})
    assert event.audio_start_ms == 12


def test_a_session_of_another_type_is_malformed() -> None:
    with pytest.raises(rt.MalformedEvent) as caught:
        read({"type": "session.created", "session": {"type": "transcription"}})
    assert caught.value.param == "session.type"


def test_repairs_are_bounded() -> None:
    items = [{"type": "hologram"}] * (lenient.MAX_REPAIRS + 1)
    with pytest.raises(rt.MalformedEvent) as caught:
        read({"type": "response.done", "response": {"id": "resp_1", "output": items}})
    assert caught.value.param == "response.output.0.type"
    assert read({"type": "response.done", "response": {"id": "resp_1", "output": items[1:]}}).response.id == "resp_1"
