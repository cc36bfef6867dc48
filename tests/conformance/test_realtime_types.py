"""Every event that this package can write is one that the newest `openai` package knows, field by field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from openai.types.realtime.realtime_client_event import RealtimeClientEvent
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from openai.types.realtime.session_update_event import SessionUpdateEvent
from pydantic import BaseModel, TypeAdapter

from offhook import realtime as rt
from offhook.realtime.requests import create_event
from tests.unit.realtime import samples

TRACE = Path(__file__).parent.parent / "unit" / "realtime" / "traces" / "call.jsonl"


def models(union: Any) -> dict[str, type[BaseModel]]:
    """Return the classes of an annotated union of the `openai` package by the event type they name."""
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(union)[0])}


CLIENT_MODELS = models(RealtimeClientEvent)
SERVER_MODELS = models(RealtimeServerEvent)
# These events name the request shape of a session, while the server really sends the response shape. Each of the two
# lacks a field or two of the other, so a field is unknown when neither has it.
EFFECTIVE_SESSION = {"session.created", "session.updated"}


def unknown_fields(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in value.model_fields_set - set(value.model_extra or ()):
            yield from unknown_fields(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(item, f"{path}[{index}]")


def check(model: Any, data: bytes) -> None:
    read = TypeAdapter(model).validate_json(data, strict=True)
    assert list(unknown_fields(read)) == []


def check_server_event(data: bytes) -> None:
    event = json.loads(data)
    if event["type"] in EFFECTIVE_SESSION:
        shown = TypeAdapter(RealtimeSessionCreateResponse).validate_json(json.dumps(event["session"]), strict=True)
        named = TypeAdapter(SERVER_MODELS[event["type"]]).validate_json(data, strict=True)
        unknown = {f".session{path}" for path in unknown_fields(shown)} & set(unknown_fields(named))
        assert unknown == set()
    else:
        check(SERVER_MODELS[event["type"]], data)


def name_of(event: Any) -> str:
    return str(event.__struct_config__.tag)


@pytest.mark.parametrize("event", samples.CLIENT_EVENTS, ids=name_of)
def test_every_client_event_is_one_of_openai(event: rt.ClientEvent) -> None:
    data = rt.encode_client_event(event)
    check(CLIENT_MODELS[name_of(event)], data)
    assert rt.decode_client_event(data) == event


@pytest.mark.parametrize("event", samples.SERVER_EVENTS, ids=name_of)
def test_every_server_event_is_one_of_openai(event: rt.KnownServerEvent) -> None:
    data = rt.encode_server_event(event)
    check_server_event(data)
    assert rt.decode_server_event(data) == event


def test_the_lists_of_events_are_complete() -> None:
    assert {name_of(event) for event in samples.CLIENT_EVENTS} == set(CLIENT_MODELS)
    assert {name_of(event) for event in samples.SERVER_EVENTS} == set(SERVER_MODELS)
    assert {name_of(struct) for struct in get_args(rt.ClientEvent)} == set(CLIENT_MODELS)
    assert {name_of(struct) for struct in get_args(rt.KnownServerEvent)} == set(SERVER_MODELS)


def structs_in(value: object) -> Iterator[msgspec.Struct]:
    if isinstance(value, msgspec.Struct):
        yield value
        for name in value.__struct_fields__:
            yield from structs_in(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from structs_in(item)


def test_every_field_of_every_struct_has_been_checked() -> None:
    unset: dict[type, set[str]] = {}
    for event in (*samples.CLIENT_EVENTS, *samples.SERVER_EVENTS):
        for struct in structs_in(event):
            absent = {name for name in struct.__struct_fields__ if getattr(struct, name) is msgspec.UNSET}
            unset[type(struct)] = unset.get(type(struct), absent) & absent
    del unset[rt.InputAudioBufferDtmfEventReceivedEvent]  # has no event_id
    assert {struct.__name__: fields for struct, fields in unset.items() if fields} == {}


def test_the_hot_path_writes_the_same_append() -> None:
    check(CLIENT_MODELS["input_audio_buffer.append"], rt.encode_append(bytes(range(256))))


@pytest.mark.parametrize(
    "request_",
    [
        rt.ResponseRequest(tag="greeting", instructions="Greet the caller."),
        rt.ResponseRequest(
            tag="summary",
            conversation="none",
            input=(rt.user_message("Hello"),),
            tool_choice="none",
            tools=samples.TOOLS,
            output_modalities=("text",),
            max_output_tokens=400,
            metadata={"a": "b"},
        ),
    ],
)
def test_requests_become_valid_events(request_: rt.ResponseRequest) -> None:
    check(CLIENT_MODELS["response.create"], rt.encode_client_event(create_event(request_, "oh_1")))


def test_references_are_what_the_api_takes_as_input() -> None:
    from openai.types.realtime.response_create_event_with_references_param import ResponseCreateEventWithReferencesParam

    params = rt.ResponseParams(input=(rt.ItemReference(id="item_A"),))
    data = rt.encode_client_event(rt.ResponseCreateEvent(response=params))
    TypeAdapter(ResponseCreateEventWithReferencesParam).validate_json(data, strict=True)


def test_an_empty_update_is_valid() -> None:
    check(SessionUpdateEvent, rt.encode_client_event(rt.SessionUpdateEvent(session=rt.SessionConfig())))


@pytest.mark.parametrize("line", TRACE.read_text().splitlines())
def test_the_trace_survives_our_reading_and_writing(line: str) -> None:
    entry = json.loads(line)
    data = json.dumps(entry["event"]).encode()
    if entry["from"] == "client":
        check(CLIENT_MODELS[entry["event"]["type"]], data)
        client_event = rt.decode_client_event(data)
        assert not isinstance(client_event, rt.UnknownEvent)
        assert json.loads(rt.encode_client_event(client_event)) == entry["event"]
    else:
        check_server_event(data)
        server_event = rt.decode_server_event(data)
        assert not isinstance(server_event, rt.UnknownEvent)
        assert json.loads(rt.encode_server_event(server_event)) == entry["event"]
