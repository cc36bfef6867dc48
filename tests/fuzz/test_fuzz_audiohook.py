"""Whatever a peer says, an AudioHook session answers with documented events and messages and never raises.

`python -m tests.fuzz.test_fuzz_audiohook 1000000 7` runs it long.
"""

import copy
import json
import os
import random
import sys
import typing
from typing import Any

from offhook.audiohook import (
    NIL_UUID,
    BargeIn,
    BotTurnResponse,
    ClientEvent,
    ClientSession,
    ClientState,
    LocalProtocolError,
    Media,
    ServerEvent,
    ServerSession,
    ServerState,
    UnknownMessage,
    decode_client_message,
    decode_server_message,
)
from offhook.audiohook.messages import Ping

ITERATIONS = int(os.environ.get("OFFHOOK_FUZZ_ITERATIONS", "5000"))
SESSION = "9c6b7d3e-5f0a-4a8e-9b1d-2f6a1c0e7b54"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
CONVERSATION = "3b8f0c52-7d1e-4c7a-8a56-0d9e4f21c6aa"

SERVER_EVENTS = typing.get_args(ServerEvent)
CLIENT_EVENTS = typing.get_args(ClientEvent)

PCMU: dict[str, Any] = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
STEREO: dict[str, Any] = PCMU | {"channels": ["internal", "external"]}
L16: dict[str, Any] = PCMU | {"format": "L16"}
OPEN: dict[str, Any] = {
    "organizationId": ORGANIZATION,
    "conversationId": CONVERSATION,
    "participant": {"id": SESSION, "ani": "tel:+13175550123", "aniName": "", "dnis": ""},
    "media": [PCMU],
    "language": "en-us",
    "continuedSessions": [{"id": SESSION, "serverseq": 1, "clientseq": 2}],
    "customConfig": '{"a":1}',
    "inputVariables": {"A": "1"},
}
FROM_CLIENT: dict[str, list[Any]] = {
    "open": [OPEN, OPEN | {"media": [STEREO, L16]}, OPEN | {"media": [L16]}, OPEN | {"conversationId": NIL_UUID}],
    "close": [{"reason": "end"}, {"reason": "disconnect"}],
    "ping": [{}, {"rtt": "PT0.02S"}],
    "update": [{"language": "es-es"}, {}],
    "paused": [{}],
    "resumed": [{"start": "PT0.0S", "discarded": "PT1.25S"}],
    "discarded": [{"start": "PT1S", "discarded": "PT30S"}],
    "error": [{"code": 429, "message": "slow", "retryAfter": "PT1S"}, {"code": 500, "message": ""}],
    "dtmf": [{"digit": "5"}, {"digit": "#"}],
    "playback_started": [{}],
    "playback_completed": [{}],
    "hologram": [{"a": [1]}],
}
FROM_SERVER: dict[str, list[Any]] = {
    "opened": [
        {"media": [PCMU], "startPaused": False},
        {"media": []},
        {"media": [STEREO], "startPaused": True, "discardTo": "PT1.5S", "supportedLanguages": ["en-us"]},
    ],
    "closed": [{}],
    "pong": [{}],
    "updated": [{}],
    "pause": [{}],
    "resume": [{}],
    "reconnect": [{"info": "x"}, {}],
    "event": [
        {"entities": [{"type": "barge_in", "data": {}}]},
        {"entities": [{"type": "bot_turn_response", "data": {"disposition": "match", "text": "Hi", "confidence": 1}}]},
        {"entities": [{"type": "agentassist", "data": {"id": "1"}}, {"type": "x", "data": None}]},
    ],
    "disconnect": [{"reason": "completed", "info": "x", "outputVariables": {"A": "1"}}, {"reason": "error"}],
    "hologram": [{}],
}
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**40, 0.5, 1e308, -0.0, "", "x", "2", "PT1S", "PT1M",
    "PT" + "9" * 400 + "S", "PT1e5S", "\x00", "\ud800", "\U0001f4de", "é" * 300, "A" * 70_000, [], {}, [[]], [None],
    {"": ""}, {"a": {"b": [1, {"c": None}]}}, SESSION, NIL_UUID, PCMU, [PCMU] * 50,
]  # fmt: skip
ODD_TEXTS: list[str] = [
    "", " ", "null", "[]", "{}", "0", '""', "{", "}", "[" * 70, "[" * 60_000, '{"a":' * 20_000, '"\\ud800"', "\x00",
    "\ud800", "\udcff", "NaN", "1e999", "9" * 5000, '{"seq":' + "9" * 5000 + "}", "a" * 65_535, "é" * 65_535,
    "a" * 70_000,
]  # fmt: skip


def run(iterations: int, seed: int) -> None:
    """Feed `iterations` messages to sessions of both roles; raise when one of them breaks its promises."""
    rng = random.Random(seed)
    while iterations > 0:
        count = min(iterations, rng.randrange(1, 60))
        # Peers from well-behaved to wild: only the former get deep into a session.
        temper = rng.choice([0.0, 0.02, 0.1, 0.7])
        fuzz = _fuzz_server if rng.random() < 0.6 else _fuzz_client
        iterations -= fuzz(rng, count, temper)


def _fuzz_server(rng: random.Random, count: int, temper: float) -> int:
    """Run one `ServerSession`; return how many messages it was given before it had ended for a while."""
    session = ServerSession(
        session_id=rng.choice([SESSION, SESSION, SESSION, None, "\udcff" * 9000]),
        organization_id=rng.choice([ORGANIZATION, None]),
        now=0.0,
        idle_timeout=rng.choice([None, 30.0]),
    )
    now, seq, sent, over = 0.0, 0, 0, 0
    types = [name for name in FROM_CLIENT if name != "close"] * 3 + ["close"]
    for index in range(count):
        now += rng.choice([0.0, 0.001, 0.05, 0.2, 1.0, 20.0 if rng.random() < temper else 0.0])
        if index > 0 and rng.random() < 0.15:
            huge = rng.random() < temper / 50
            session.receive_audio(bytes(1_048_577) if huge else rng.randbytes(rng.choice([0, 1, 3, 160, 1600])), now)
        else:
            seq += 1
            type_ = rng.choice(types) if index > 0 or rng.random() < temper / 4 else "open"
            envelope = {"seq": seq, "serverseq": rng.randrange(sent + 1), "position": "PT0.0S"}
            session.receive_text(_message(rng, temper, type_, FROM_CLIENT[type_], envelope), now)
        if session.state is ServerState.OPENING and rng.random() > temper / 2:
            session.send_opened(now)
        elif rng.random() < 0.5:
            _owner_of_server(rng, session, now)
        if rng.random() < temper / 50:
            session.receive_eof(now)
        session.handle_timer(now)
        for data in session.data_to_send():
            if isinstance(data, str):
                sent += 1
                message = decode_server_message(data)
                assert not isinstance(message, UnknownMessage)
                assert message.seq == sent
        for event in session.events():
            assert isinstance(event, SERVER_EVENTS), event
        assert session.position >= 0
        over += session.state in (ServerState.DISCONNECTING, ServerState.CLOSED, ServerState.ENDED)
        if over > 5:
            return index + 1
    return count


def _owner_of_server(rng: random.Random, session: ServerSession, now: float) -> None:
    """Do something that the state may forbid: then `LocalProtocolError` is the documented answer."""
    action = rng.randrange(6)
    try:
        if action <= 1:
            session.send_opened(now, start_paused=rng.random() < 0.2)
        elif action == 2:
            session.send_audio(bytes(rng.choice([1, 1600, 64_000])), now)
        elif action == 3:
            session.send_events([BotTurnResponse("match", "Hi"), BargeIn()], now)
        elif action == 4:
            rng.choice([session.send_barge_in, session.send_pause, session.send_resume])(now)
        elif rng.random() < 0.03:
            session.send_disconnect("completed", now, info="x", output_variables={"A": "b"})
    except LocalProtocolError:
        pass


def _fuzz_client(rng: random.Random, count: int, temper: float) -> int:
    """Run one `ClientSession`; return how many messages it was given before it had ended for a while."""
    session = ClientSession(
        session_id=SESSION,
        organization_id=ORGANIZATION,
        conversation_id=rng.choice([CONVERSATION, NIL_UUID]),
        media=[Media("audio", "PCMU", ("external",), 8000), Media("audio", "PCMU", ("internal", "external"), 8000)],
    )
    if rng.random() > temper / 10:
        session.send_open(0.0)
    now, seq, sent, ping, over = 0.0, 0, 1, 0, 0
    types = ["event", "pause", "resume", "updated", "reconnect"] * 5 + ["closed", "disconnect"]
    for index in range(count):
        now += rng.choice([0.0, 0.001, 0.05, 0.2, 1.0, 20.0 if rng.random() < temper else 0.0])
        if index > 0 and rng.random() < 0.15:
            size = 64_001 if rng.random() < temper / 10 else rng.choice([2, 160, 1600])
            session.receive_audio(rng.randbytes(size - (rng.random() < temper)), now)
        else:
            seq += 1
            type_ = "opened" if index == 0 else "pong" if ping else rng.choice(types)
            if rng.random() < temper / 4:
                type_ = rng.choice(list(FROM_SERVER))
            clientseq = ping if type_ == "pong" else rng.randrange(sent + 1)
            ping = 0 if type_ == "pong" else ping
            envelope = {"seq": seq, "clientseq": clientseq}
            session.receive_text(_message(rng, temper, type_, FROM_SERVER[type_], envelope), now)
        if rng.random() < 0.3:
            _owner_of_client(rng, session, now)
        if rng.random() < temper / 50:
            session.receive_eof(now)
        session.handle_timer(now)
        for data in session.data_to_send():
            if isinstance(data, str):
                message = decode_client_message(data)
                assert not isinstance(message, UnknownMessage)
                sent = message.seq
                ping = sent if isinstance(message, Ping) else ping
        for event in session.events():
            assert isinstance(event, CLIENT_EVENTS), event
        over += session.state in (ClientState.CLOSING, ClientState.CLOSED, ClientState.ENDED)
        if over > 5:
            return index + 1
    return count


def _owner_of_client(rng: random.Random, session: ClientSession, now: float) -> None:
    """Do something that the state may forbid."""
    action = rng.randrange(6)
    try:
        if action == 0:
            session.send_audio(bytes(rng.choice([1, 1600])), now)
        elif action == 1:
            session.send_dtmf("1", now)
        elif action == 2:
            rng.choice([session.pause, session.resume])(now)
        elif action == 3:
            rng.choice([session.send_playback_started, session.send_playback_completed])(now)
        elif action == 4:
            session.send_update("en-gb", now)
        elif rng.random() < 0.03:
            session.send_close("end", now)
    except LocalProtocolError:
        pass


def _message(
    rng: random.Random, temper: float, type_: str, choices: list[Any], envelope: dict[str, Any]
) -> str | bytes:
    """Return a message; `temper` is the chance that it is spoilt in one way or another."""
    way = rng.random() if rng.random() < temper else 1.0
    if way < 0.15:
        return rng.choice(ODD_TEXTS) if rng.random() < 0.7 else rng.randbytes(rng.randrange(200))
    message: dict[str, Any] = {"version": "2", "id": SESSION, "type": type_, **envelope}
    message["parameters"] = rng.choice(choices)
    if way < 0.75:
        message = json.loads(json.dumps(message))
        for _ in range(rng.randrange(1, 3)):
            # Spoilt parameters are the more interesting ones: a spoilt envelope always ends the session.
            target = message["parameters"] if rng.random() < 0.7 and message.get("parameters") else message
            _spoil(rng, target if isinstance(target, dict | list) else message)
    text = json.dumps(message, ensure_ascii=rng.random() < 0.5)
    if 0.75 <= way < 1.0:
        for _ in range(rng.randrange(1, 4)):
            start = rng.randrange(len(text) + 1)
            end = min(len(text), start + rng.choice([0, 1, 1, 5, 50]))
            text = text[:start] + rng.choice(["", rng.choice(ODD_TEXTS)[:50], chr(rng.randrange(300))]) + text[end:]
    if rng.random() < 0.2:
        return text.encode("utf-8", "surrogatepass")
    return text


def _spoil(rng: random.Random, value: Any) -> None:
    """Change one thing somewhere in a JSON value."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys or rng.random() < 0.1:
            if isinstance(value, dict):
                value[rng.choice(["extra", "codec", "seq", ""])] = copy.deepcopy(rng.choice(ODD_VALUES))
            else:
                value.append(copy.deepcopy(rng.choice(ODD_VALUES)))
            return
        key = rng.choice(keys)
        if isinstance(value[key], dict | list) and rng.random() < 0.8:
            value = value[key]
            continue
        if rng.random() < 0.2:
            del value[key]
        else:
            value[key] = copy.deepcopy(rng.choice(ODD_VALUES))
        return


def test_no_message_makes_a_session_raise() -> None:
    run(ITERATIONS, seed=1)


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
    print(f"{sys.argv[1]} messages: nothing but documented events")
