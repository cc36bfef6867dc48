"""Reading client events the way the API does: with an error for what it does not know (openai-realtime.md §7)."""

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from offhook.emulator.refusals import Refused
from offhook.realtime import (
    ClientEvent,
    InputAudioBufferAppendEvent,
    MalformedEvent,
    SessionUpdateEvent,
    UnknownEvent,
    decode_client_event,
)

EVENT_TYPES: Final = tuple(str(struct.__struct_config__.tag) for struct in get_args(ClientEvent))


def parse(data: bytes | str) -> ClientEvent:
    """Return a client event.

    Raises:
        Refused: no JSON, an unknown type, a missing, wrong or unknown parameter.
    """
    try:
        event = decode_client_event(data)
    except MalformedEvent as error:
        raise _refusal(error, data) from None
    if isinstance(event, UnknownEvent):
        names = ", ".join(f"'{name}'" for name in EVENT_TYPES)
        raise Refused("invalid_value", f"Invalid value: '{event.type}'. Supported values are: {names}.", "type")
    if isinstance(event, InputAudioBufferAppendEvent):
        return event  # by far the most frequent, and large: read once
    raw = msgspec.json.decode(data)
    if isinstance(event, SessionUpdateEvent) and "type" not in raw["session"]:
        raise Refused("missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type")
    unknown = _unknown(raw, msgspec.to_builtins(event))
    if unknown is not None:
        raise Refused("unknown_parameter", f"Unknown parameter: '{unknown}'.", unknown)
    return event


def event_id(data: bytes | str) -> str | None:
    """Return the client's id of an event, if there is one to be found."""
    try:
        raw = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return None
    found = raw.get("event_id") if isinstance(raw, dict) else None
    return found if isinstance(found, str) else None


def _refusal(error: MalformedEvent, data: bytes | str) -> Refused:
    """Say what the API would say of a message that does not fit."""
    if error.type is None:
        return Refused("invalid_json", f"The event could not be read: {error.problem}.")
    raw: Any = msgspec.json.decode(data)
    for step in (error.param or "?").split("."):
        try:
            raw = raw[int(step) if isinstance(raw, list) else step]
        except (KeyError, IndexError, TypeError, ValueError):
            return Refused("missing_required_parameter", f"Missing required parameter in '{error.type}'.", error.param)
    return Refused("invalid_value", f"Invalid value for '{error.param}'.", error.param)


def _unknown(raw: object, known: object, path: str = "") -> str | None:
    """Return the path of the first field that the typed event does not have."""
    if isinstance(raw, Mapping) and isinstance(known, Mapping):
        for key, value in raw.items():
            here = f"{path}.{key}" if path else str(key)
            if key not in known:
                return here
            found = _unknown(value, known[key], here)
            if found is not None:
                return found
    elif isinstance(raw, list) and isinstance(known, list | tuple):
        for n, (value, typed) in enumerate(zip(raw, known, strict=False)):
            found = _unknown(value, typed, f"{path}[{n}]")
            if found is not None:
                return found
    return None
