import json
from typing import Any

import pytest

from offhook.audiohook import (
    CODES,
    AgentAssist,
    BargeIn,
    BotTurnResponse,
    Entity,
    LocalProtocolError,
    MalformedMessage,
    Media,
    RemoteProtocolError,
    Transcript,
    TranscriptAlternative,
    TranscriptInterpretation,
    TranscriptToken,
    UnknownEntity,
    UnknownMessage,
    decode_client_message,
    decode_server_message,
    encode,
    format_duration,
    format_position,
    parse_duration,
)
from offhook.audiohook import messages as m
from tests.unit.audiohook.sample import CONVERSATION, OPEN, ORGANIZATION, PCMU, SESSION


def client(type_: str, parameters: object = None, **envelope: object) -> Any:
    message = {"version": "2", "id": SESSION, "type": type_, "seq": 1, "serverseq": 0, "position": "PT0.0S"}
    message |= {"parameters": {} if parameters is None else parameters} | envelope
    return decode_client_message(json.dumps(message))


def server(type_: str, parameters: object = None, **envelope: object) -> Any:
    message = {"version": "2", "id": SESSION, "type": type_, "seq": 1, "clientseq": 1}
    message |= {"parameters": {} if parameters is None else parameters} | envelope
    return decode_server_message(json.dumps(message))


def refused(decode: Any, *args: Any, **envelope: object) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        decode(*args, **envelope)
    error = caught.value
    assert error.info.startswith(error.code)
    assert error.status == CODES[error.code].status
    return error


def test_open_is_read_with_all_its_parameters() -> None:
    message = client("open", OPEN | {"supportedLanguages": True, "continuedSessions": [{"id": SESSION}]})
    assert isinstance(message, m.Open)
    parameters = message.parameters
    assert parameters.organization_id == ORGANIZATION
    assert parameters.conversation_id == CONVERSATION
    assert parameters.media == (Media("audio", "PCMU", ("external",), 8000),)
    assert parameters.participant is not None
    assert parameters.participant.ani == "tel:+13175550123"
    assert parameters.input_variables == {"CUSTOMER_TIER": "gold"}
    assert parameters.supported_languages
    assert parameters.continued_sessions == (m.ContinuedSession(SESSION, 0, 0),)


def test_open_from_a_newer_genesys_is_read() -> None:
    """Trap 35: new fields anywhere, null for what is optional."""
    message = client(
        "open",
        {
            "organizationId": ORGANIZATION,
            "conversationId": CONVERSATION,
            "media": [PCMU | {"bitrate": 64}, {"type": "video"}, "nonsense"],
            "participant": {"id": None, "ani": 5, "new": {}},
            "language": 7,
            "continuedSessions": [{"id": 1}, {"id": "a", "serverseq": 2, "clientseq": 3, "x": 0}],
            "inputVariables": {"A": 1, "B": True, "C": None, "D": {"e": [1]}, "F": 1.5, "G": "g"},
            "somethingNew": {"a": 1},
            "customConfig": None,
        },
        traceId="abc",
    )
    parameters = message.parameters
    assert parameters.media[0] == Media("audio", "PCMU", ("external",), 8000)
    assert {media.format for media in parameters.media[1:]} == {""}
    assert parameters.participant == m.Participant(id="", ani="5")
    assert parameters.language is None
    assert parameters.continued_sessions == (m.ContinuedSession("a", 2, 3),)
    assert parameters.input_variables == {"A": "1", "B": "true", "C": "", "D": '{"e":[1]}', "F": "1.5", "G": "g"}
    assert parameters.custom_config is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a":1}', {"a": 1}),
        ("plain", "plain"),
        ("[1]", "[1]"),
        ([1], "[1]"),
        ("[" * 100, "[" * 100),
    ],
)
def test_custom_config_is_an_object_or_text(given: object, read: object) -> None:
    assert client("open", OPEN | {"customConfig": given}).parameters.custom_config == read


def test_odd_optional_parts_of_open_are_left_out() -> None:
    parameters = client("open", OPEN | {"participant": "x", "continuedSessions": 4, "inputVariables": {}}).parameters
    assert parameters.participant is None
    assert parameters.continued_sessions == ()


@pytest.mark.parametrize(
    "change",
    [{"organizationId": None}, {"conversationId": 5}, {"media": None}, {"media": "PCMU"}, {"inputVariables": "x"}],
)
def test_open_without_what_it_needs_is_refused(change: dict[str, Any]) -> None:
    assert refused(client, "open", OPEN | change).code == "OH-HOOK-07"


@pytest.mark.parametrize(
    ("type_", "parameters", "expected"),
    [
        ("close", {"reason": "end"}, m.CloseParameters("end")),
        ("close", {"reason": None}, m.CloseParameters("end")),
        ("close", {"reason": "new_reason", "x": 1}, m.CloseParameters("new_reason")),
        ("close", "end", m.CloseParameters("end")),
        ("ping", {}, m.PingParameters(None)),
        ("ping", {"rtt": "PT0.02S"}, m.PingParameters("PT0.02S")),
        ("ping", {"rtt": 0.02}, m.PingParameters(None)),
        ("update", {"language": "es-es"}, m.UpdateParameters("es-es")),
        ("paused", {"x": 1}, m.EmptyParameters()),
        ("playback_started", {"x": 1}, m.EmptyParameters()),
        ("playback_completed", None, m.EmptyParameters()),
        ("resumed", {"start": "PT1S", "discarded": "PT2S"}, m.DiscardedParameters("PT1S", "PT2S")),
        ("discarded", {"start": "PT1S", "discarded": "PT2S"}, m.DiscardedParameters("PT1S", "PT2S")),
        ("dtmf", {"digit": "5"}, m.DtmfParameters("5")),
        ("dtmf", {"digit": 5}, m.DtmfParameters("5")),
        ("error", {"code": 429, "message": "slow", "retryAfter": "PT1S"}, (429, "slow", "PT1S")),
        ("error", {"code": "429", "message": 1, "retryAfter": 1}, (429, "", None)),
        ("error", {"code": True}, (0, "", None)),
        ("error", "nonsense", (0, "", None)),
    ],
)
def test_parameters_are_read_leniently(type_: str, parameters: object, expected: object) -> None:
    message = client(type_, parameters)
    if isinstance(expected, tuple):
        expected = m.ErrorParameters(code=expected[0], message=expected[1], retry_after=expected[2])
    assert message.parameters == expected


@pytest.mark.parametrize(
    ("type_", "parameters"),
    [("resumed", {}), ("discarded", {"start": 1, "discarded": 2}), ("dtmf", {}), ("dtmf", "5"), ("open", [])],
)
def test_parameters_that_cannot_be_understood_are_refused(type_: str, parameters: object) -> None:
    assert refused(client, type_, parameters).code == "OH-HOOK-07"


def test_an_envelope_may_lack_what_is_not_needed() -> None:
    message = decode_client_message(
        b'{"version":"2","id":"x","type":"ping","seq":4,"serverseq":null,"position":0,"parameters":null}'
    )
    assert message == m.Ping(id="x", seq=4, serverseq=0, position="", parameters=m.PingParameters())


@pytest.mark.parametrize(
    "data",
    [
        "",
        "null",
        "[]",
        "{",
        "{}",
        '{"version":2,"id":"x","type":"ping","seq":1}',
        '{"version":"2","id":"x","type":"ping","seq":-1}',
        '{"version":"2","id":"x","type":"ping","seq":1.5}',
        '{"version":"2","id":"x","type":"ping","seq":true}',
        '{"version":"2","id":"x","type":"ping","seq":99999999999999999999}',
        '{"version":"2","id":"x","type":"ping","seq":1,"parameters":{"a":1e999}}',
        '{"version":"2","id":"\\ud800","type":"ping","seq":1}',
        '{"version":"2","id":"\ud800","type":"ping","seq":1}',
        b'{"version":"2","id":"\xff","type":"ping","seq":1}',
        b"\xff\xfe",
        '{"version":"2","id":"x","type":"ping","seq":1} x',
    ],
)
def test_what_is_no_message_is_malformed(data: str | bytes) -> None:
    assert refused(decode_client_message, data).code == "OH-HOOK-01"
    assert refused(decode_server_message, data).code == "OH-HOOK-01"


def test_error_texts_name_no_values() -> None:
    secret = "+13175550123"  # a number in a place where none belongs
    for error in (
        refused(client, "open", OPEN | {"organizationId": {"x": secret}}),
        refused(client, "dtmf", secret),
        refused(client, "ping", version={secret: secret}),
        refused(server, "event", {"entities": [{"type": "barge_in", "data": secret}]}),
    ):
        assert secret not in error.info


def test_size_limits_count_bytes() -> None:
    fits = json.dumps({"version": "2", "id": "x", "type": "ping", "seq": 1, "pad": ""})
    fits = fits.replace('"pad": ""', '"pad": "' + "a" * (65_535 - len(fits)) + '"')
    assert len(fits) == 65_535
    assert isinstance(decode_client_message(fits), m.Ping)
    assert refused(decode_client_message, fits + " ").code == "OH-HOOK-08"
    assert refused(decode_client_message, "é" * 40_000).code == "OH-HOOK-08"


def test_deep_nesting_is_refused_before_it_is_parsed() -> None:
    head = '{"version":"2","id":"x","type":"ping","seq":1,"parameters":'
    assert refused(decode_client_message, head + "[" * 30_000).code == "OH-HOOK-14"
    assert refused(decode_client_message, head + '{"a":' * 64 + "1" + "}" * 65).code == "OH-HOOK-14"
    flat = head + '{"a":[' + ",".join(["{}"] * 100) + r'],"b":"[[[[\"[[["}}'
    assert isinstance(decode_client_message(flat), m.Ping)
    assert isinstance(decode_client_message(head + "[" * 63 + "]" * 63 + "}"), m.Ping)
    assert refused(decode_client_message, head + "[" * 64 + "]" * 64 + "}").code == "OH-HOOK-14"


@pytest.mark.parametrize("tail", ['"', '"' + '\\"' * 32_000, '"' + "\\\\" * 16_000 + "\\", '"a' * 15_000, '"\\'])
def test_depth_behind_texts_without_end(tail: str) -> None:
    """Each of these was once scanned again from every quote in it."""
    assert refused(decode_client_message, "[" * 65 + tail).code == "OH-HOOK-14"
    assert refused(decode_client_message, "{}" * 65 + tail).code == "OH-HOOK-01"


def test_unknown_types_are_kept_apart() -> None:
    assert client("hologram") == UnknownMessage(version="2", id=SESSION, type="hologram", seq=1, peerseq=0)
    assert client("tel:+1 317\n").type == "?"
    assert server("hologram") == UnknownMessage(version="2", id=SESSION, type="hologram", seq=1, peerseq=1)


@pytest.mark.parametrize(
    ("type_", "parameters", "code"),
    [
        ("pong", {"x": 1}, "OH-HOOK-34"),
        ("opened", {"media": [PCMU | {"codec": "PCMU"}]}, "OH-HOOK-34"),
        ("opened", {}, "OH-HOOK-07"),
        ("disconnect", {"reason": "completed", "outputVariables": {"A": 1}}, "OH-HOOK-37"),
        ("disconnect", {"reason": "completed", "outputVariables": {"A": {"b": "c"}}}, "OH-HOOK-37"),
        ("closed", {"outputVariables": {"A": "1"}}, "OH-HOOK-34"),
        ("event", {"entities": [{"type": "barge_in"}]}, "OH-HOOK-07"),
        ("event", {"entities": [{"type": "barge_in", "data": {"x": 1}}]}, "OH-HOOK-34"),
        ("event", {"entities": {}}, "OH-HOOK-07"),
    ],
)
def test_server_messages_are_read_strictly(type_: str, parameters: object, code: str) -> None:
    assert refused(server, type_, parameters).code == code


def test_server_envelopes_are_read_strictly() -> None:
    assert refused(server, "pong", position="PT0.0S").code == "OH-HOOK-34"
    assert refused(decode_server_message, '{"version":"2","id":"x","type":"pong","seq":1,"clientseq":1}').code == (
        "OH-HOOK-01"
    )


TRANSCRIPT = Transcript(
    id=SESSION,
    channel_id=0,
    is_final=True,
    alternatives=(
        TranscriptAlternative(
            confidence=0.5,
            interpretations=(
                TranscriptInterpretation(
                    transcript="hi",
                    tokens=(TranscriptToken(value="hi", confidence=1.0, offset="PT0S", duration="PT1S"),),
                ),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("entity", "wire"),
    [
        (BargeIn(), {"type": "barge_in", "data": {}}),
        (BotTurnResponse("no_input"), {"type": "bot_turn_response", "data": {"disposition": "no_input"}}),
        (
            BotTurnResponse("match", "Hi", 0.5),
            {"type": "bot_turn_response", "data": {"disposition": "match", "text": "Hi", "confidence": 0.5}},
        ),
        (AgentAssist("1"), {"type": "agentassist", "data": {"id": "1"}}),
        (UnknownEntity("x", [1]), {"type": "x", "data": [1]}),
        (
            TRANSCRIPT,
            {
                "type": "transcript",
                "data": {
                    "id": SESSION,
                    "channelId": 0,
                    "isFinal": True,
                    "alternatives": [
                        {
                            "confidence": 0.5,
                            "interpretations": [
                                {
                                    "type": "display",
                                    "transcript": "hi",
                                    "tokens": [
                                        {
                                            "type": "word",
                                            "value": "hi",
                                            "confidence": 1.0,
                                            "offset": "PT0S",
                                            "duration": "PT1S",
                                        }
                                    ],
                                }
                            ],
                        }
                    ],
                },
            },
        ),
    ],
)
def test_entities_have_the_shape_of_the_wire(entity: Entity, wire: dict[str, Any]) -> None:
    message = m.Event(id=SESSION, seq=1, clientseq=1, parameters=m.EventParameters((entity,)))
    text = encode(message)
    assert json.loads(text)["parameters"] == {"entities": [wire]}
    assert decode_server_message(text) == message


def test_messages_are_written_without_null_and_with_parameters() -> None:
    text = encode(m.Pong(id=SESSION, seq=3, clientseq=3, parameters=m.EmptyParameters()))
    assert json.loads(text) == {
        "version": "2",
        "id": SESSION,
        "type": "pong",
        "seq": 3,
        "clientseq": 3,
        "parameters": {},
    }
    opened = m.Opened(id=SESSION, seq=1, clientseq=1, parameters=m.OpenedParameters(media=(), start_paused=False))
    assert json.loads(encode(opened))["parameters"] == {"media": [], "startPaused": False}


def test_what_cannot_be_sent_is_our_fault() -> None:
    for text in ("a" * 64_000, "\ud800"):
        message = m.Reconnect(id=SESSION, seq=1, clientseq=1, parameters=m.ReconnectParameters(text))
        with pytest.raises(LocalProtocolError):
            encode(message)


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT0.0S", 0.0), ("PT1S", 1.0), ("PT.5S", 0.5), ("PT0.021S", 0.021), ("PT90.25S", 90.25)]
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "PT1M", "1S", "PTS", "PT1.S", "PT-1S", "PT1,5S", "PT1e3S", "PT" + "9" * 99 + "S"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_duration(text)


def test_durations_are_written_the_way_genesys_writes_them() -> None:
    assert format_duration(0) == "PT0.0S"
    assert format_duration(1.5) == "PT1.5S"
    assert format_duration(-0.1) == "PT0.0S"
    assert format_duration(1e-7) == "PT0.0S"
    assert format_duration(1e9) == "PT1000000000.0S"
    assert format_position(1) == "PT0.000125S"
    assert format_position(8000 * 3600 + 4) == "PT3600.0005S"
    assert format_position(16000, 16000) == "PT1.0S"
