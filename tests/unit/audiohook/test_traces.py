"""The recorded shapes of audiohook.md §9, line by line through both roles."""

import json
from pathlib import Path
from typing import Any

import pytest

from offhook.audiohook import (
    ClientSession,
    ClientState,
    CloseReceived,
    ErrorReceived,
    Participant,
    ProtocolViolated,
    ServerSession,
    ServerState,
    ServerViolated,
    SessionEnded,
    decode_server_message,
)
from offhook.audiohook import messages as m

TRACES = sorted(Path(__file__).parent.joinpath("traces").glob("*.jsonl"))
CALLS = ["caller_hangs_up", "connection_probe", "full_session", "rate_limited"]


def load(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parent / "traces" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_all_traces_are_used() -> None:
    assert [path.stem for path in TRACES] == CALLS


def server_says(session: ServerSession, text: dict[str, Any], now: float) -> None:
    """Have the session say a message of the trace, unless it does so by itself."""
    message = decode_server_message(json.dumps(text))
    match message:
        case m.Opened():
            session.send_opened(now)
        case m.Event(parameters=parameters):
            if parameters.entities == (m.BargeIn(),):
                session.send_barge_in(now)
            else:
                assert session.send_events(parameters.entities, now)
        case m.Disconnect(parameters=parameters):
            variables = parameters.output_variables
            session.send_disconnect(parameters.reason, now, info=parameters.info or "", output_variables=variables)
        case _:
            assert isinstance(message, m.Pong | m.Closed)


@pytest.mark.parametrize("name", CALLS)
def test_the_server_role_says_the_trace(name: str) -> None:
    lines = load(name)
    session = ServerSession(
        session_id=lines[0]["text"]["id"],
        organization_id=lines[0]["text"]["parameters"]["organizationId"],
        now=0.0,
    )
    events: list[object] = []
    said: list[Any] = []
    expected: list[Any] = []
    for line in lines:
        now = line["t"]
        if line.get("dir") == "genesys->server":
            if "text" in line:
                session.receive_text(json.dumps(line["text"]), now)
            else:
                session.receive_audio(b"\xff" * line["binary"]["bytes"], now)
        elif "text" in line:
            server_says(session, line["text"], now)
            expected.append(line["text"])
        elif "binary" in line:
            assert session.send_audio(b"\xff" * line["binary"]["bytes"], now)
            expected.append(line["binary"]["bytes"])
        events += session.events()
        said += [json.loads(data) if isinstance(data, str) else len(data) for data in session.data_to_send()]
    assert said == expected
    assert not [event for event in events if isinstance(event, ProtocolViolated)]
    if name == "rate_limited":
        assert events[-1] == ErrorReceived(429, "Rate limit exceeded", 1.0)
        assert session.state is ServerState.OPEN
        return
    session.receive_eof(99.0)
    assert isinstance(events[-1], CloseReceived)
    assert session.events() == [SessionEnded(clean=True)]


def client_says(session: ClientSession, text: dict[str, Any], now: float) -> None:
    """Have the session say a message of the trace, unless it does so by itself."""
    parameters = text["parameters"]
    match text["type"]:
        case "open":
            who = parameters["participant"]
            session.send_open(
                now,
                participant=Participant(who["id"], who["ani"], who["aniName"], who["dnis"]),
                input_variables=parameters.get("inputVariables"),
                language=parameters["language"],
            )
        case "close":
            session.send_close(parameters["reason"], now)
        case "dtmf":
            session.send_dtmf(parameters["digit"], now)
        case "playback_started":
            session.send_playback_started(now)
        case "playback_completed":
            session.send_playback_completed(now)
        case type_:
            assert type_ in ("ping", "error")


@pytest.mark.parametrize("name", CALLS)
def test_the_client_role_says_the_trace(name: str) -> None:
    lines = load(name)
    first = lines[0]["text"]
    session = ClientSession(
        session_id=first["id"],
        organization_id=first["parameters"]["organizationId"],
        conversation_id=first["parameters"]["conversationId"],
    )
    said: list[dict[str, Any]] = []
    expected: list[dict[str, Any]] = []
    for line in lines:
        now = line["t"]
        if "50 small binary" in line.get("note", ""):
            for frame in range(35):
                session.receive_audio(b"\xff" * 160, now + frame / 50)
        elif line.get("dir") == "server->genesys":
            if "text" in line:
                session.receive_text(json.dumps(line["text"]), now)
            else:
                session.receive_audio(b"\xff" * line["binary"]["bytes"], now)
        elif "text" in line:
            # Audio up to the position of the message, then the message itself.
            missing = round(float(line["text"]["position"][2:-1]) * 8000) - session.position
            if missing > 0:
                session.send_audio(b"\xff" * missing, now)
            session.handle_timer(now)
            client_says(session, line["text"], now)
            expected.append(line["text"])
        said += [json.loads(data) for data in session.data_to_send() if isinstance(data, str)]
    said = without_extra_pings(said, expected)
    assert [comparable(text) for text in said] == [comparable(text) for text in expected]
    assert not [event for event in session.events() if isinstance(event, ServerViolated)]
    assert session.state is (ClientState.OPEN if name == "rate_limited" else ClientState.CLOSED)


def without_extra_pings(said: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the pings of audiohook.md §1.5 that the shorter traces do not show, and close the gaps in `seq`."""
    kept: list[dict[str, Any]] = []
    for text in said:
        if text["type"] == "ping" and (len(kept) == len(expected) or expected[len(kept)]["type"] != "ping"):
            continue
        kept.append(text | {"seq": len(kept) + 1})
    assert len(said) - len(kept) <= 1
    return kept


def comparable(text: dict[str, Any]) -> dict[str, Any]:
    """Leave out what depends on when exactly something was sent."""
    text = dict(text)
    if text["type"] in ("ping", "error"):
        text["parameters"] = sorted(text["parameters"])
        del text["position"]
    return text
