"""JSON text ⇄ typed events, in both directions: the gateway reads server events, the emulator client events.

Reading raises `MalformedEvent` and nothing else. Server events are read twice if need be: strictly first, then with
the offending fields left out (`lenient.py`), because a call must not hang on an odd field of a `response.done`.
Client events are read strictly, so that the emulator can answer like the API does.
"""

import re
from typing import Final, get_args

import msgspec
import pybase64

from offhook.realtime.client_events import ClientEvent
from offhook.realtime.errors import LocalError, MalformedEvent, bounded
from offhook.realtime.lenient import error_path, read_leniently, without_surrogates
from offhook.realtime.server_events import KnownServerEvent, ResponseOutputAudioDeltaEvent, ServerEvent, UnknownEvent
from offhook.realtime.wire import Maybe

MAX_SERVER_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Largest server event that is read; a retrieved item or a long response.done can be several MiB (§1.6)."""

MAX_CLIENT_EVENT_BYTES: Final = 24 * 1024 * 1024
"""Largest client event that is read: 15 MiB of audio in base64, and room (§1.6)."""

MAX_DEPTH: Final = 64
"""Deepest nesting that is read; JSON schemas of tools are the deepest thing the API carries."""


class _Head(msgspec.Struct, frozen=True):
    """Just enough of any event to name it."""

    type: str
    event_id: object = None


class _FastDelta(msgspec.Struct, frozen=True, tag_field="type", tag="response.output_audio.delta"):
    """An audio delta whose base64 text stays where it is in the message, to be decoded once."""

    response_id: str
    item_id: str
    delta: msgspec.Raw
    output_index: int = 0
    content_index: int = 0
    event_id: Maybe[str] = msgspec.UNSET


_head = msgspec.json.Decoder(_Head)
_fast_delta = msgspec.json.Decoder(_FastDelta)
_server: msgspec.json.Decoder[KnownServerEvent] = msgspec.json.Decoder(KnownServerEvent)
_client: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)
_encoder = msgspec.json.Encoder()

_SERVER_TYPES = frozenset(str(struct.__struct_config__.tag) for struct in get_args(KnownServerEvent))
_CLIENT_TYPES = frozenset(str(struct.__struct_config__.tag) for struct in get_args(ClientEvent))

_DELTA_MARK: Final = b'"response.output_audio.delta"'
# The mark sits in the first bytes of a real delta: `type` leads, or follows `event_id`.
_PEEK_BYTES: Final = 128

_APPEND_PREFIX: Final = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_SUFFIX: Final = b'"}'
_QUOTE: Final = ord('"')

# What the JSON decoder can raise: its own errors are ValueErrors, as are those of UTF-8 and of huge numbers.
_JSON_ERRORS: Final = (ValueError, OverflowError, RecursionError)


def encode_append(audio: bytes) -> bytes:
    """Encode `input_audio_buffer.append`: the hot path, a constant around the base64 text (§2.1)."""
    return _APPEND_PREFIX + pybase64.b64encode(audio) + _APPEND_SUFFIX


def encode_client_event(event: ClientEvent) -> bytes:
    """Encode an event of the client.

    Raises:
        LocalError: A value in it has no JSON form.
    """
    return _encode(event)


def encode_server_event(event: KnownServerEvent) -> bytes:
    """Encode an event of the server, for the emulator.

    Raises:
        LocalError: A value in it has no JSON form.
    """
    return _encode(event)


def decode_server_event(data: bytes | str) -> ServerEvent:
    """Decode an event of the server; a type that is not known gives `UnknownEvent`.

    Raises:
        MalformedEvent: The data is no event; nothing else is ever raised.
    """
    text = _checked_size(data, MAX_SERVER_EVENT_BYTES)
    if _DELTA_MARK in text[:_PEEK_BYTES]:
        event = _decode_delta(text)
        if event is not None:
            return event
    _check_depth(text)
    try:
        return _server.decode(text)
    except msgspec.ValidationError:
        return _decode_odd_server_event(text)
    except _JSON_ERRORS:
        raise MalformedEvent("not valid JSON") from None


def decode_client_event(data: bytes | str) -> ClientEvent | UnknownEvent:
    """Decode an event of a client, for the emulator; a type that is not known gives `UnknownEvent`.

    Raises:
        MalformedEvent: The data is no event; `type`, `event_id` and `param` say what is wrong where.
    """
    text = _checked_size(data, MAX_CLIENT_EVENT_BYTES)
    _check_depth(text)
    try:
        return _client.decode(text)
    except msgspec.ValidationError as error:
        head = _decode_head(text)
        if head.type not in _CLIENT_TYPES:
            return UnknownEvent(bounded(head.type, 128), _event_id(head))
        raise _misfit(error, head) from None
    except _JSON_ERRORS:
        raise MalformedEvent("not valid JSON") from None


def _encode(event: ClientEvent | KnownServerEvent) -> bytes:
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        # A tool may return text with lone surrogates. Losing a character is better than losing the call.
        return _encoder.encode(without_surrogates(msgspec.to_builtins(event)))
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise LocalError("the event holds a value that has no JSON form") from None


def _decode_delta(text: bytes) -> ResponseOutputAudioDeltaEvent | None:
    """Decode an audio delta with one pass of base64, or return None to leave it to the general path."""
    try:
        event = _fast_delta.decode(text)
        # The raw value is the quoted string. Anything but plain base64, even an escaped "/", is left to the general
        # decoder, which knows JSON escapes and says what is wrong.
        quoted = memoryview(event.delta)
        if quoted[0] != _QUOTE:
            return None
        audio = pybase64.b64decode(quoted[1:-1], validate=True)
    except _JSON_ERRORS:
        return None
    return ResponseOutputAudioDeltaEvent(
        event_id=event.event_id,
        response_id=event.response_id,
        item_id=event.item_id,
        output_index=event.output_index,
        content_index=event.content_index,
        delta=audio,
    )


def _decode_odd_server_event(text: bytes) -> ServerEvent:
    """Give an event that did not fit its struct a second reading."""
    head = _decode_head(text)
    if head.type not in _SERVER_TYPES:
        return UnknownEvent(bounded(head.type, 128), _event_id(head))
    try:
        event: KnownServerEvent = read_leniently(msgspec.json.decode(text), KnownServerEvent)
    except msgspec.ValidationError as error:
        raise _misfit(error, head) from None
    except _JSON_ERRORS:
        # The strict reading skips the text of unknown fields, this one reads it.
        raise MalformedEvent("not valid JSON", type=head.type) from None
    return event


def _decode_head(text: bytes) -> _Head:
    try:
        return _head.decode(text)
    except _JSON_ERRORS:
        raise MalformedEvent("not an event object with a type") from None


def _event_id(head: _Head) -> str | None:
    return bounded(head.event_id, 128) if isinstance(head.event_id, str) else None


def _misfit(error: msgspec.ValidationError, head: _Head) -> MalformedEvent:
    """Say which field does not fit; paths hold field names only, never values."""
    param = ".".join(map(str, error_path(error))) or None
    return MalformedEvent(
        f"{head.type} does not fit at {param or 'its top'}", type=head.type, event_id=_event_id(head), param=param
    )


def _checked_size(data: bytes | str, limit: int) -> bytes:
    if isinstance(data, str):
        try:
            data = data.encode()
        except UnicodeEncodeError:
            raise MalformedEvent("not valid text") from None
    if len(data) > limit:
        raise MalformedEvent("larger than an event may be")
    return data


# Strings are matched whole, so that brackets in them do not count; possessive, so that broken input stays linear.
_TOKENS = re.compile(rb'"(?:[^"\\]+|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def _check_depth(text: bytes) -> None:
    """Refuse nesting beyond MAX_DEPTH; the count settles nearly every message without a scan."""
    if text.count(b"{") + text.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TOKENS.finditer(text):
        match text[token.start()]:
            case 0x7B | 0x5B:
                depth += 1
                if depth > MAX_DEPTH:
                    raise MalformedEvent("nested too deep")
            case 0x7D | 0x5D:
                depth -= 1
