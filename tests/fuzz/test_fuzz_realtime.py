"""Throw damaged and invented messages at the Realtime core: only documented errors may come out.

`receive_text` never raises, the codec raises `MalformedEvent` only, and what the session sends stays readable.
A long run: `python -m tests.fuzz.test_fuzz_realtime 1000000 7`.
"""

import copy
import json
import random
import sys
from pathlib import Path
from typing import Any

from offhook import realtime as rt
from tests.unit.realtime import samples
from tests.unit.realtime.driving import Driven, adopted, ready

TRACE = Path(__file__).parent.parent / "unit" / "realtime" / "traces" / "call.jsonl"

ABYSS = "@abyss"  # becomes nesting that no decoder may follow
SCRAPS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 1 << 70, "", "x", "resp_1", "item_A", "call_1", "AAEC", "é\u2028\x00"),
    *([], {}, [[]], [None], {"type": "message"}, {"type": "hologram"}, {"id": 3}, {"": {"": [{}]}}),
    *("conversation_already_has_active_response", "insufficient_quota", "session_expired", "completed", "cancelled"),
    *("message", "function_call", "response.done", "response.output_audio.delta", "audio/pcmu", "\ud800", ABYSS),
)
BYTES = b'{}[]":,\\\x00\xff\xc3 0e-'
NESTING = (3, 60, 64, 70)


def corpus() -> list[dict[str, Any]]:
    """Return every kind of message, client's too: a confused server may echo them."""
    written = [rt.encode_server_event(event) for event in samples.SERVER_EVENTS]
    written += [rt.encode_client_event(event) for event in samples.CLIENT_EVENTS]
    traced = [json.loads(line)["event"] for line in TRACE.read_text().splitlines()]
    return [json.loads(data) for data in written] + [event for event in traced if len(str(event)) < 3000]


def scrap(rng: random.Random) -> Any:
    """Return something that belongs elsewhere, as a copy that may be damaged in turn."""
    return copy.deepcopy(rng.choice(SCRAPS))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = []
    for key in keys:
        found.append((value, key))
        found.extend(places(value[key]))
    return found


def damage_value(message: dict[str, Any], rng: random.Random) -> None:
    """Change the message where it hurts."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 5))):
        container, key = rng.choice(places(message) or [(message, "type")])
        kind = rng.randrange(5)
        if kind == 0 and isinstance(container, dict):
            container.pop(key, None)
        elif kind == 1:
            nested = scrap(rng)
            for _ in range(rng.choice(NESTING)):
                nested = [nested] if rng.random() < 0.5 else {"a": nested}
            container[key] = nested
        elif kind == 2 and isinstance(container, dict):
            container[rng.choice(("id", "type", "status", "metadata", "item", "odd"))] = scrap(rng)
        else:
            container[key] = scrap(rng)


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Cut, flip, repeat or insert bytes."""
    kind = rng.randrange(8)
    at = rng.randrange(len(data) + 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([rng.choice(BYTES)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + bytes([rng.randrange(256)]) + data[at:]
    if kind == 3:
        return data[:at] + data[max(0, at - 9) :]
    return data


def write(message: dict[str, Any], rng: random.Random) -> bytes | str:
    """Write a message as text or bytes, in one of the spellings that JSON allows."""
    text = json.dumps(message, ensure_ascii=rng.random() < 0.5, separators=rng.choice(((",", ":"), (", ", ": "))))
    text = text.replace(f'"{ABYSS}"', "[" * 50_000 + "]" * 50_000)
    if rng.random() < 0.3:
        return text
    return damage_bytes(text.encode("utf-8", "surrogatepass"), rng)


def act(session: rt.RealtimeSession, now: float, rng: random.Random) -> None:
    """Let the owner of the session do something that is allowed."""
    tag = rng.choice("abc")
    match rng.randrange(8):
        case 0:
            conversation = rng.choice(("auto", "none"))
            request = rt.ResponseRequest(tag=tag, conversation=conversation, only_if_idle=rng.random() < 0.3)
            session.request_response(request, now)
        case 1:
            session.cancel_response(now)
        case 2:
            session.withdraw_response(tag)
        case 3:
            session.send_function_output("call_1", rng.choice(("{}", "\ud800")))
        case 4:
            session.truncate_item("item_A", 0, rng.randrange(-5, 5000))
        case 5:
            session.send_audio(rng.randbytes(20))
        case _:
            session.handle_timer(now)


def check_outcome(session: rt.RealtimeSession) -> None:
    """What comes out is typed events and readable client events."""
    for event in session.events():
        assert isinstance(event, rt.RealtimeEvent)
        if isinstance(event, rt.ErrorReceived | rt.SessionRefused):
            assert len(event.message) < 300
    for data in session.data_to_send():
        assert not isinstance(rt.decode_client_event(data), rt.UnknownEvent)


def run(iterations: int, seed: int) -> None:
    """Send `iterations` damaged messages, reproducibly by `seed`."""
    rng = random.Random(seed)
    messages = corpus()
    driven = ready()
    for n in range(iterations):
        if driven.session.state is rt.SessionState.CLOSED or n % 200 == 0:
            driven = rng.choice((Driven, adopted, ready, ready, ready))()
        driven.now += rng.choice((0.0, 0.1, 4.0))
        message = json.loads(json.dumps(rng.choice(messages)))
        damage_value(message, rng)
        data = write(message, rng)
        for decode in (rt.decode_server_event, rt.decode_client_event):
            try:
                decode(data)
            except rt.MalformedEvent as error:
                assert error.param is None or "." in error.param or error.param.isidentifier()  # noqa: PT017
        driven.session.receive_text(data, driven.now)
        if driven.session.state is rt.SessionState.READY and rng.random() < 0.3:
            act(driven.session, driven.now, rng)
        check_outcome(driven.session)


def test_only_documented_errors_come_out() -> None:
    run(5_000, 1)


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
