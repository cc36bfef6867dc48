"""Text of the wire ↔ message structs.

Two readers with two tempers. `decode_client_message` reads what Genesys sends and is lenient: unknown fields, ``null``
and odd values of things that do not matter pass, since Genesys adds fields without notice (trap 35).
`decode_server_message` reads what a server sends and is as strict as Genesys is said to be (audiohook.md §3.1).

The texts of the errors name fields and types and never a value that the peer sent, with the exception of numbers.
"""

import re
from array import array
from itertools import accumulate
from typing import Annotated, Any, TypeVar

import msgspec

from offhook.audiohook import messages as m
from offhook.audiohook.errors import (
    BAD_PARAMETERS,
    MALFORMED,
    OUTPUT_VARIABLES,
    TOO_DEEP,
    TOO_LARGE,
    UNKNOWN_FIELD,
    LocalProtocolError,
    MalformedMessage,
)

MAX_TEXT_BYTES = 64_000
"""Largest text message that is sent (audiohook.md §5)."""
MAX_RECEIVED_TEXT_BYTES = 65_535
"""Largest text message that is read."""
MAX_BINARY_BYTES = 64_000
"""Largest audio message: 8 s of PCMU mono."""
MAX_DEPTH = 64
"""Deepest nesting of JSON that is read."""

_DURATION = re.compile(r"PT(?:\d{0,12}\.)?\d{1,12}S")
# One that never ends is matched, too: otherwise each of its quotes would be tried as the first, in quadratic time.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_STEPS = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")
"""What brackets do to the depth, as signed bytes."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_TYPE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")

_P = TypeVar("_P", bound=msgspec.Struct)
_Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _ClientHead(msgspec.Struct):
    """Any message of a client; what is not needed to keep a call alive has a default."""

    version: str
    id: str
    type: str
    seq: _Seq
    serverseq: _Seq | None = None
    position: Any = None
    parameters: Any = None


class _ServerHead(msgspec.Struct, forbid_unknown_fields=True):
    """Any message of a server; nothing is optional."""

    version: str
    id: str
    type: str
    seq: _Seq
    clientseq: _Seq
    parameters: dict[str, Any]


class _WireEntity(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    data: Any


class _WireEventParameters(msgspec.Struct, forbid_unknown_fields=True):
    entities: list[_WireEntity]


class _WireEvent(m.ServerEnvelope, frozen=True, kw_only=True, tag="event"):
    parameters: _WireEventParameters


_client_head = msgspec.json.Decoder(_ClientHead)
_server_head = msgspec.json.Decoder(_ServerHead)
_encoder = msgspec.json.Encoder()

_CLIENT_TYPES: dict[str, tuple[type[m.ClientMessage], type[msgspec.Struct]]] = {
    "open": (m.Open, m.OpenParameters),
    "close": (m.Close, m.CloseParameters),
    "ping": (m.Ping, m.PingParameters),
    "update": (m.Update, m.UpdateParameters),
    "paused": (m.Paused, m.EmptyParameters),
    "resumed": (m.Resumed, m.DiscardedParameters),
    "discarded": (m.Discarded, m.DiscardedParameters),
    "error": (m.Error, m.ErrorParameters),
    "dtmf": (m.Dtmf, m.DtmfParameters),
    "playback_started": (m.PlaybackStarted, m.EmptyParameters),
    "playback_completed": (m.PlaybackCompleted, m.EmptyParameters),
}
_SERVER_TYPES: dict[str, tuple[type[m.ServerMessage], type[msgspec.Struct]]] = {
    "opened": (m.Opened, m.OpenedParameters),
    "closed": (m.Closed, m.EmptyParameters),
    "pong": (m.Pong, m.EmptyParameters),
    "updated": (m.Updated, m.EmptyParameters),
    "pause": (m.Pause, m.EmptyParameters),
    "resume": (m.Resume, m.EmptyParameters),
    "reconnect": (m.Reconnect, m.ReconnectParameters),
    "event": (m.Event, m.EventParameters),
    "disconnect": (m.Disconnect, m.DisconnectParameters),
}
_NEED_PARAMETERS = frozenset({"open", "resumed", "discarded", "dtmf"})
_ENTITY_NAMES: dict[type[m.Entity], str] = {type_: name for name, type_ in m.ENTITY_TYPES.items()}


def decode_client_message(data: str | bytes) -> m.ClientMessage | m.UnknownMessage:
    """Read a message of the client, leniently.

    Raises:
        MalformedMessage: it is too large, no JSON object, or lacks what cannot be done without.
    """
    head = _decode(_client_head, data)
    known = _CLIENT_TYPES.get(head.type)
    serverseq = head.serverseq or 0
    if known is None:
        name = _clean_name(head.type)
        return m.UnknownMessage(version=head.version, id=head.id, type=name, seq=head.seq, peerseq=serverseq)
    message_type, parameters_type = known
    parameters = _lenient(head.type, head.parameters)
    build: Any = message_type
    message: m.ClientMessage = build(
        version=head.version,
        id=head.id,
        seq=head.seq,
        serverseq=serverseq,
        position=head.position if isinstance(head.position, str) else "",
        parameters=_convert(head.type, parameters, parameters_type),
    )
    return message


def decode_server_message(data: str | bytes) -> m.ServerMessage | m.UnknownMessage:
    """Read a message of the server, strictly.

    Raises:
        MalformedMessage: it is too large, no JSON object, lacks a field, has one too many or one of a wrong type.
    """
    head = _decode(_server_head, data)
    known = _SERVER_TYPES.get(head.type)
    if known is None:
        name = _clean_name(head.type)
        return m.UnknownMessage(version=head.version, id=head.id, type=name, seq=head.seq, peerseq=head.clientseq)
    message_type, parameters_type = known
    parameters: msgspec.Struct
    if message_type is m.Event:
        wire = _convert(head.type, head.parameters, _WireEventParameters)
        parameters = m.EventParameters(tuple(_entity(entity) for entity in wire.entities))
    else:
        parameters = _convert(head.type, head.parameters, parameters_type)
    build: Any = message_type
    message: m.ServerMessage = build(
        version=head.version, id=head.id, seq=head.seq, clientseq=head.clientseq, parameters=parameters
    )
    return message


def encode(message: m.ClientMessage | m.ServerMessage) -> str:
    """Write a message.

    Raises:
        LocalProtocolError: it is larger than `MAX_TEXT_BYTES` or holds text that is no Unicode.
    """
    wire: msgspec.Struct = message
    if isinstance(message, m.Event):
        wire = _WireEvent(
            version=message.version,
            id=message.id,
            seq=message.seq,
            clientseq=message.clientseq,
            parameters=_WireEventParameters([_wire_entity(entity) for entity in message.parameters.entities]),
        )
    try:
        data = _encoder.encode(wire)
    except (UnicodeEncodeError, TypeError) as exc:
        raise LocalProtocolError("a message holds a value that JSON cannot carry") from exc
    if len(data) > MAX_TEXT_BYTES:
        raise LocalProtocolError(f"a message of {len(data)} bytes is over the limit of {MAX_TEXT_BYTES}")
    return data.decode()


def parse_duration(text: str) -> float:
    """Return the seconds of ``PT1.5S``; Genesys uses no minutes or hours (trap 48).

    Raises:
        MalformedMessage: it has another form.
    """
    if not _DURATION.fullmatch(text):
        raise MalformedMessage(BAD_PARAMETERS, "a duration is not of the form PT1.5S")
    return float(text[2:-1])


def format_duration(seconds: float) -> str:
    """Return seconds as ``PT1.5S``, to the microsecond and never with an exponent."""
    whole = f"{max(seconds, 0.0):.6f}".rstrip("0")
    return f"PT{whole}0S" if whole.endswith(".") else f"PT{whole}S"


def format_position(samples: int, rate: int = 8000) -> str:
    """Return a number of samples as a duration; exact at 8000 Hz."""
    return format_duration(samples / rate)


def _decode(decoder: "msgspec.json.Decoder[_P]", data: str | bytes) -> _P:
    """Read the envelope, with the limits that hold for every message."""
    if len(data) > MAX_RECEIVED_TEXT_BYTES:
        raise MalformedMessage(TOO_LARGE, f"a text message is over {MAX_RECEIVED_TEXT_BYTES} bytes")
    try:
        raw = data.encode() if isinstance(data, str) else bytes(data)
    except UnicodeEncodeError:
        raise MalformedMessage(MALFORMED, "a text message is not Unicode") from None
    if len(raw) > MAX_RECEIVED_TEXT_BYTES:
        raise MalformedMessage(TOO_LARGE, f"a text message is over {MAX_RECEIVED_TEXT_BYTES} bytes")
    _check_depth(raw)
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as exc:
        raise MalformedMessage(*_explain(exc, MALFORMED, "the message")) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedMessage(MALFORMED, "a text message is not JSON") from None


def _check_depth(raw: bytes) -> None:
    """Refuse deep nesting before anything recursive looks at it, in time that only grows with the length."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    steps = array("b", _STRING.sub(b"", raw).translate(_STEPS, _NO_BRACKETS))
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise MalformedMessage(TOO_DEEP)


def _explain(exc: msgspec.ValidationError, code: str, what: str) -> tuple[str, str]:
    """Choose the code and a text for a validation error; only texts without values of the peer pass."""
    text = str(exc)
    if "unknown field" in text:
        code = UNKNOWN_FIELD
    elif "outputVariables" in text:
        code = OUTPUT_VARIABLES
    elif not text.startswith(("Expected", "Object missing")):
        return code, f"{what} has a value that is not allowed"
    return code, f"{what}: {text[:200]}"


def _convert(type_: str, parameters: object, to: type[_P]) -> _P:
    """Build a parameter struct."""
    try:
        return msgspec.convert(parameters, to)
    except msgspec.ValidationError as exc:
        raise MalformedMessage(*_explain(exc, BAD_PARAMETERS, f"parameters of {type_}")) from None


def _clean_name(type_: str) -> str:
    """Return a peer's type name if it is one, for logs and metrics."""
    return type_ if _TYPE_NAME.fullmatch(type_) else "?"


# --- leniency towards Genesys ----------------------------------------------------------------------------------------


def _lenient(type_: str, parameters: object) -> object:
    """Bring the parameters of a client message into the shape of their struct where that loses nothing."""
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        if type_ in _NEED_PARAMETERS:
            return parameters  # and have `_convert` refuse it
        parameters = {}
    found = {key: value for key, value in parameters.items() if value is not None}
    if type_ == "open":
        return _lenient_open(found)
    if type_ == "error":
        return _lenient_error(found)
    if type_ in ("paused", "playback_started", "playback_completed"):
        return {}
    if type_ in ("ping", "update", "close"):
        # One optional text each; another type of value says nothing.
        return {key: value for key, value in found.items() if isinstance(value, str)}
    if type_ == "dtmf" and "digit" in found:
        return {"digit": _text(found["digit"])}
    return found


def _lenient_error(found: dict[str, Any]) -> dict[str, Any]:
    """An `error` is never a reason to close (trap 41), whatever it looks like."""
    code = found.get("code")
    if isinstance(code, str) and re.fullmatch(r"\d{1,5}", code, re.ASCII):
        code = int(code)
    message = found.get("message")
    retry_after = found.get("retryAfter")
    return {
        "code": code if type(code) is int else 0,  # not bool
        "message": message if isinstance(message, str) else "",
        "retryAfter": retry_after if isinstance(retry_after, str) else None,
    }


def _lenient_open(found: dict[str, Any]) -> dict[str, Any]:
    """The two IDs and the offers are needed; the rest is taken as far as it can be understood."""
    if isinstance(media := found.get("media"), list):
        found["media"] = [_offer(entry) for entry in media]
    if isinstance(variables := found.get("inputVariables"), dict):
        found["inputVariables"] = {name: _text(value) for name, value in variables.items()}
    if "customConfig" in found:
        found["customConfig"] = _custom_config(found["customConfig"])
    if "participant" in found:
        participant = found["participant"]
        found["participant"] = (
            {key: _text(value) for key, value in participant.items()} if isinstance(participant, dict) else None
        )
    if not isinstance(found.get("language", ""), str):
        del found["language"]
    if "supportedLanguages" in found:
        found["supportedLanguages"] = bool(found["supportedLanguages"])
    if "continuedSessions" in found:
        found["continuedSessions"] = _continued(found["continuedSessions"])
    return found


def _offer(entry: object) -> m.Media:
    """Return an offer without unknown keys; one that cannot be read becomes one that is never chosen."""
    known = {key: entry[key] for key in m.Media.__struct_fields__ if key in entry} if isinstance(entry, dict) else entry
    try:
        return msgspec.convert(known, m.Media)
    except msgspec.ValidationError:
        return m.Media(type="", format="", channels=(), rate=0)


def _continued(value: object) -> list[m.ContinuedSession]:
    """Return the continued sessions that can be read."""
    found = []
    for entry in value if isinstance(value, list) else ():
        try:
            found.append(msgspec.convert(entry, m.ContinuedSession))
        except msgspec.ValidationError:
            continue
    return found


def _custom_config(value: object) -> dict[str, Any] | str:
    """Return the object, also when it comes as a JSON string (trap 36); other text as it is."""
    if isinstance(value, dict):
        return value
    text = _text(value)
    try:
        _check_depth(text.encode())
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, MalformedMessage):
        return text


def _text(value: object) -> str:
    """Return a value of any type as text: strings as they are, the rest as JSON, nothing for null."""
    if isinstance(value, str):
        return value
    return "" if value is None else _encoder.encode(value).decode()


# --- entities --------------------------------------------------------------------------------------------------------


def _entity(wire: _WireEntity) -> m.Entity:
    """Build an entity from the wire."""
    known = m.ENTITY_TYPES.get(wire.type)
    if known is None:
        return m.UnknownEntity(type=_clean_name(wire.type), data=wire.data)
    return _convert(f"event: {wire.type}", wire.data, known)


def _wire_entity(entity: m.Entity) -> _WireEntity:
    """Bring an entity into the shape of the wire."""
    if isinstance(entity, m.UnknownEntity):
        return _WireEntity(entity.type, entity.data)
    return _WireEntity(_ENTITY_NAMES[type(entity)], entity)
