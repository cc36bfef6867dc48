import json
from typing import Any

import pytest

from offhook.audio import ulaw
from offhook.audiohook import (
    CODES,
    AudioDiscarded,
    AudioReceived,
    BargeIn,
    BotTurnResponse,
    ClientPaused,
    ClientResumed,
    CloseReceived,
    DtmfReceived,
    ErrorReceived,
    LanguageUpdated,
    LocalProtocolError,
    MessageIgnored,
    PingReceived,
    PlaybackCompleted,
    PlaybackStarted,
    ProtocolViolated,
    ServerSession,
    ServerState,
    SessionEnded,
)
from offhook.audiohook.server import LATE_BURST, VIOLATED_BURST
from tests.unit.audiohook.sample import L16, NIL, OPEN, PCMU, SESSION, STEREO, RawGenesys

PROBE = OPEN | {"conversationId": NIL, "participant": {"id": NIL, "ani": "", "aniName": "", "dnis": ""}}


@pytest.fixture
def peer() -> RawGenesys:
    return RawGenesys()


@pytest.fixture
def call() -> RawGenesys:
    return RawGenesys().opened()


def violated(peer: RawGenesys, events: list[Any], code: str, *, reason: str = "error") -> ProtocolViolated:
    """Assert that the session answered with a `disconnect` that names the rule."""
    assert len(events) == 1
    event = events[0]
    assert isinstance(event, ProtocolViolated)
    assert event.code == code
    assert event.info.startswith(code + " ")
    (message,) = peer.heard()
    assert message["type"] == "disconnect"
    assert message["parameters"] == {"reason": reason, "info": event.info}
    assert peer.state() == "DISCONNECTING"
    return event


# --- open ------------------------------------------------------------------------------------------------------------


def test_open_is_reported_and_answered_with_the_offer(peer: RawGenesys) -> None:
    assert peer.state() == "AWAITING_OPEN"
    assert peer.session.session_id == SESSION
    event = peer.open()
    assert not event.probe
    assert peer.session.open_parameters is event.parameters
    assert peer.state() == "OPENING"
    assert peer.heard() == []
    assert not bool(peer.session.can_send_audio)
    assert peer.session.send_opened(0.1)
    assert peer.heard() == [
        {
            "type": "opened",
            "version": "2",
            "id": SESSION,
            "seq": 1,
            "clientseq": 1,
            "parameters": {"media": [PCMU], "startPaused": False},
        }
    ]
    assert peer.state() == "OPEN"
    assert peer.session.can_send_audio
    assert peer.session.media is not None


def test_opened_can_begin_paused(peer: RawGenesys) -> None:
    peer.open()
    peer.session.send_opened(0.1, start_paused=True)
    assert peer.heard()[0]["parameters"]["startPaused"] is True


def test_a_probe_gets_no_media(peer: RawGenesys) -> None:
    assert peer.open(PROBE).probe
    peer.session.send_opened(0.0)
    assert peer.heard()[0]["parameters"] == {"media": [], "startPaused": False}
    assert not peer.session.can_send_audio
    assert peer.session.media is None
    assert peer.say("close", {"reason": "end"}) == [CloseReceived("end")]
    assert peer.heard()[0]["type"] == "closed"


def test_an_offer_without_media_opens_a_session_without_audio(peer: RawGenesys) -> None:
    assert not peer.open(OPEN | {"media": []}).probe
    peer.session.send_opened(0.0)
    assert peer.heard()[0]["parameters"]["media"] == []
    with pytest.raises(LocalProtocolError):
        peer.session.send_audio(b"\xff", 0.0)


def test_media_that_nobody_understands_are_refused(peer: RawGenesys) -> None:
    events = peer.say("open", OPEN | {"media": [PCMU | {"rate": 16000}, {"x": 1}]})
    violated(peer, events, "OH-HOOK-09")


def test_the_organization_has_to_match(peer: RawGenesys) -> None:
    """Trap 23."""
    events = peer.say("open", OPEN | {"organizationId": SESSION})
    violated(peer, events, "OH-HOOK-10", reason="unauthorized")
    assert peer.session.open_parameters is None


def test_uuids_match_in_any_case() -> None:
    session = ServerSession(session_id=SESSION.upper(), organization_id=str(OPEN["organizationId"]).upper())
    peer = RawGenesys(session)
    peer.opened()
    assert peer.sent[0]["id"] == SESSION


def test_nothing_is_checked_that_is_not_known() -> None:
    peer = RawGenesys(ServerSession())
    assert peer.session.session_id == NIL
    peer.say("open", OPEN, id="anything")
    assert peer.session.session_id == "anything"
    peer.session.send_opened(0.0)
    assert peer.heard()[0]["id"] == "anything"
    violated(peer, peer.say("ping", id="something else"), "OH-HOOK-05")


def test_a_second_open_is_ignored(peer: RawGenesys) -> None:
    peer.open()
    assert peer.say("open", OPEN) == [MessageIgnored("open")]
    peer.session.send_opened(0.0)
    assert peer.heard()[0]["clientseq"] == 2
    assert peer.say("open", OPEN) == [MessageIgnored("open")]
    assert peer.heard() == []


def test_opened_is_sent_once_and_only_when_asked_for(peer: RawGenesys) -> None:
    with pytest.raises(LocalProtocolError):
        peer.session.send_opened(0.0)
    peer.opened()
    with pytest.raises(LocalProtocolError):
        peer.session.send_opened(0.0)
    assert peer.heard() == []


def test_what_comes_before_opened_is_ignored(peer: RawGenesys) -> None:
    peer.open()
    for type_ in ("ping", "update", "paused", "dtmf", "playback_started"):
        assert peer.say(type_, {"digit": "1"}) == [MessageIgnored(type_)]
    peer.session.receive_audio(b"\xff" * 160, 0.0)
    assert peer.session.events() == []
    assert peer.session.position == 0
    assert peer.heard() == []


@pytest.mark.parametrize("type_", ["ping", "update", "paused", "playback_started"])
def test_what_comes_before_open_is_refused(peer: RawGenesys, type_: str) -> None:
    event = violated(peer, peer.say(type_), "OH-HOOK-06")
    assert event.info == f"OH-HOOK-06 {type_} before open"


# --- audio -----------------------------------------------------------------------------------------------------------


def test_audio_is_passed_on_with_its_position(call: RawGenesys) -> None:
    frame = bytes(range(200))
    call.session.receive_audio(frame, 1.0)
    call.session.receive_audio(b"", 1.1)
    call.session.receive_audio(b"\xff", 1.2)
    first, second = call.session.events()
    assert first == AudioReceived(frame, 0)
    assert isinstance(first, AudioReceived)
    assert first.audio is frame
    assert second == AudioReceived(b"\xff", 200)
    assert call.session.position == 201
    assert call.heard() == []


def test_other_formats_are_decoded_when_a_client_insists() -> None:
    peer = RawGenesys().opened(OPEN | {"media": [STEREO | {"channels": ["internal", "external"]}]})
    assert peer.sent[0]["parameters"]["media"][0]["channels"] == ["internal", "external"]
    for data in (b"aAb", b"BcC", b"d"):
        peer.session.receive_audio(data, 0.0)
    assert peer.session.events() == [AudioReceived(b"A", 0), AudioReceived(b"BC", 1)]
    assert peer.session.send_audio(b"XY", 0.0)
    peer.heard()
    assert peer.audio == [b"XXYY"]


def test_l16_is_decoded_when_a_client_insists() -> None:
    peer = RawGenesys().opened(OPEN | {"media": [L16]})
    peer.session.receive_audio(ulaw.decode(b"abc"), 0.0)
    assert peer.session.events() == [AudioReceived(b"abc", 0)]
    assert peer.session.position == 3
    with pytest.raises(LocalProtocolError):
        peer.session.send_audio(b"\xff" * 32_001, 0.0)


def test_audio_before_open_is_refused(peer: RawGenesys) -> None:
    peer.session.receive_audio(b"\xff", 0.0)
    violated(peer, peer.session.events(), "OH-HOOK-13")


def test_audio_in_a_session_without_media_is_refused(peer: RawGenesys) -> None:
    peer.opened(PROBE)
    peer.session.receive_audio(b"\xff", 0.0)
    violated(peer, peer.session.events(), "OH-HOOK-13")


def test_a_big_catch_up_frame_is_taken_and_a_huge_one_is_not(call: RawGenesys) -> None:
    call.session.receive_audio(b"\xff" * 160_000, 0.0)
    assert call.session.events() == [AudioReceived(b"\xff" * 160_000, 0)]
    call.session.receive_audio(b"\xff" * 1_048_577, 0.0)
    violated(call, call.session.events(), "OH-HOOK-08")


def test_audio_after_the_end_is_dropped(call: RawGenesys) -> None:
    call.session.send_disconnect("completed", 0.0)
    for _ in range(2):
        call.session.receive_audio(b"\xff", 0.0)
        assert call.session.events() == []
        call.say("close", {"reason": "disconnect"})
    assert call.session.position == 0


def test_audio_is_sent_within_the_budget(call: RawGenesys) -> None:
    sent = [call.session.send_audio(bytes([i]), 1.0) for i in range(30)]
    assert sent == [True] * 25 + [False] * 5
    ready = call.session.audio_ready_at(1.0)
    assert ready == pytest.approx(1.2)
    assert call.session.send_audio(b"x", ready)
    call.heard()
    assert call.audio == [*(bytes([i]) for i in range(25)), b"x"]


def test_audio_messages_have_a_size(call: RawGenesys) -> None:
    """Trap 51."""
    for data in (b"", b"\xff" * 64_001):
        with pytest.raises(LocalProtocolError):
            call.session.send_audio(data, 0.0)
    assert call.session.send_audio(b"\xff" * 64_000, 0.0)


@pytest.mark.parametrize("end", ["not open", "opening", "disconnect", "close", "eof"])
def test_no_audio_is_sent_outside_of_the_open_session(peer: RawGenesys, end: str) -> None:
    """Traps 33 and 58."""
    if end == "opening":
        peer.open()
    elif end != "not open":
        peer.opened()
    if end == "disconnect":
        peer.session.send_disconnect("completed", 0.0)
    elif end == "close":
        peer.say("close")
    elif end == "eof":
        peer.session.receive_eof(0.0)
    assert not peer.session.can_send_audio
    with pytest.raises(LocalProtocolError):
        peer.session.send_audio(b"\xff", 0.0)


# --- counters --------------------------------------------------------------------------------------------------------


def test_counters_follow_the_text_messages_only(call: RawGenesys) -> None:
    """Traps 25, 27 and 29."""
    call.session.send_audio(b"\xff", 0.0)
    call.session.receive_audio(b"\xff", 0.0)
    call.say("dtmf", {"digit": "1"})
    call.say("ping")
    call.say("dtmf", {"digit": "2"})
    call.session.send_barge_in(0.0)
    answers = [(message["type"], message["seq"], message["clientseq"]) for message in call.heard()]
    assert answers == [("pong", 2, 3), ("event", 3, 4)]


@pytest.mark.parametrize("seq", [0, 1, 3, 9_007_199_254_740_992])
def test_a_wrong_sequence_number_ends_the_session(call: RawGenesys, seq: int) -> None:
    event = violated(call, call.say("ping", seq=seq), "OH-HOOK-03")
    assert event.info == f"OH-HOOK-03 sequence number {seq} where 2 was expected"


def test_the_client_cannot_have_seen_what_was_not_sent(call: RawGenesys) -> None:
    violated(call, call.say("ping", serverseq=2), "OH-HOOK-04")


def test_unknown_messages_count_too(call: RawGenesys) -> None:
    assert call.say("hologram") == [MessageIgnored("hologram")]
    assert call.say("ping") == [PingReceived(None)]
    call.heard()
    violated(call, call.say("hologram", serverseq=9), "OH-HOOK-04")


def test_version_and_id_have_to_match(call: RawGenesys) -> None:
    violated(call, call.say("ping", id=NIL), "OH-HOOK-05")
    other = RawGenesys()
    violated(other, other.say("open", OPEN, version="3"), "OH-HOOK-02")


def test_no_id_makes_our_messages_too_large() -> None:
    """Header and message are the peer's text: neither may keep us from answering."""
    for session in (ServerSession(), ServerSession(session_id="\udcff" * 70_000)):
        peer = RawGenesys(session)
        violated(peer, peer.say("open", OPEN, id="x" * 60_000), "OH-HOOK-05")


def test_garbage_ends_the_session(call: RawGenesys) -> None:
    assert violated(call, call.raw("{"), "OH-HOOK-01").info == "OH-HOOK-01 a text message is not JSON"


def test_bad_parameters_end_the_session(call: RawGenesys) -> None:
    violated(call, call.say("dtmf"), "OH-HOOK-07")


# --- messages of the client ------------------------------------------------------------------------------------------


def test_a_ping_is_answered_at_once(call: RawGenesys) -> None:
    assert call.say("ping", {"rtt": "PT0.021S"}) == [PingReceived(0.021)]
    assert call.heard() == [{"type": "pong", "version": "2", "id": SESSION, "seq": 2, "clientseq": 2, "parameters": {}}]
    assert call.say("ping", {"rtt": "soon"}) == [PingReceived(None)]


def test_an_update_is_answered_at_once(call: RawGenesys) -> None:
    """Trap 44."""
    assert call.say("update", {"language": "es-es"}) == [LanguageUpdated("es-es")]
    assert call.say("update") == []
    assert [message["type"] for message in call.heard()] == ["updated", "updated"]


def test_pauses_and_gaps_move_the_position(call: RawGenesys) -> None:
    """Trap 63."""
    call.session.receive_audio(b"\xff" * 800, 0.0)
    call.session.events()
    assert call.say("paused") == [ClientPaused()]
    assert bool(call.session.paused)
    assert call.say("resumed", {"start": "PT0.1S", "discarded": "PT2.5S"}) == [ClientResumed(0.1, 2.5)]
    assert not call.session.paused
    assert call.session.position == 800 + 20_000
    assert call.say("discarded", {"start": "PT2.6S", "discarded": "PT0.0005S"}) == [AudioDiscarded(2.6, 0.0005)]
    assert call.session.position == 800 + 20_000 + 4
    call.session.receive_audio(b"\xff", 0.0)
    assert call.session.events() == [AudioReceived(b"\xff", 20_804)]
    violated(call, call.say("resumed", {"start": "PT1M", "discarded": "PT0S"}), "OH-HOOK-07")


def test_keys_are_reported(call: RawGenesys) -> None:
    for digit in "0123456789*#ABCD":
        assert call.say("dtmf", {"digit": digit.lower()}) == [DtmfReceived(digit)]
    for odd in ("", "12", "x"):
        assert call.say("dtmf", {"digit": odd}) == [MessageIgnored("dtmf")]


def test_playback_is_reported(call: RawGenesys) -> None:
    assert call.say("playback_started") == [PlaybackStarted()]
    assert call.say("playback_completed") == [PlaybackCompleted()]


@pytest.mark.parametrize("state", ["awaiting open", "opening", "open", "disconnecting"])
def test_an_error_never_ends_a_session(peer: RawGenesys, state: str) -> None:
    """Trap 41."""
    if state == "opening":
        peer.open()
    elif state != "awaiting open":
        peer.opened()
    if state == "disconnecting":
        peer.session.send_disconnect("completed", 0.0)
        peer.heard()
    before = peer.session.state
    assert peer.say("error", {"code": 500, "message": "x"}) == [ErrorReceived(500, "x", None)]
    assert peer.session.state is before
    assert peer.heard() == []


def test_a_429_slows_down_what_can_wait(call: RawGenesys) -> None:
    """Traps 41 and 50."""
    limit = {"code": 429, "message": "Rate limit exceeded", "retryAfter": "PT2S"}
    assert call.say("error", limit, now=10.0) == [ErrorReceived(429, "Rate limit exceeded", 2.0)]
    assert bool(call.session.throttled)
    assert call.session.audio_ready_at(10.0) == 12.0
    assert not call.session.send_audio(b"\xff", 11.9)
    assert not call.session.send_events([BotTurnResponse("match")], 11.9)
    call.say("ping", now=11.9)
    call.session.send_barge_in(11.9)
    assert bool(call.session.throttled)
    assert call.session.send_audio(b"\xff", 12.0)
    call.say("ping", now=12.0)
    assert not call.session.throttled
    assert call.say("error", {"code": 429, "message": "", "retryAfter": "later"}) == [ErrorReceived(429, "", None)]
    assert [message["type"] for message in call.heard()] == ["pong", "event", "pong"]


def test_several_429s_add_up_to_the_last_that_ends(call: RawGenesys) -> None:
    for at, wait in ((10.0, "PT2S"), (10.5, "PT5S"), (11.0, "PT1S"), (12.0, "PT400S")):
        call.say("error", {"code": 429, "message": "", "retryAfter": wait}, now=at)
        call.say("ping", now=at)
    assert [message["type"] for message in call.heard()] == ["pong"] * 4
    assert call.session.audio_ready_at(12.0) == 42.0  # nobody waits longer than 30 s for a word
    call.say("error", {"code": 429, "message": "", "retryAfter": "PT1S"}, now=41.5)
    assert not call.session.send_audio(b"\xff", 42.4)
    assert call.session.send_audio(b"\xff", 42.5)


# --- what we send ----------------------------------------------------------------------------------------------------


def test_events_are_sent_within_the_budget(call: RawGenesys) -> None:
    turn = BotTurnResponse("match", "Hello", 0.5)
    sent = [call.session.send_events([turn], 1.0) for _ in range(30)]
    assert sum(sent) == 22
    assert call.session.events_ready_at(1.0) == pytest.approx(1.2)
    call.session.send_barge_in(1.0)
    call.say("ping", now=1.0)
    call.session.send_disconnect("completed", 1.0)
    messages = call.heard()
    assert messages[0]["parameters"] == {
        "entities": [
            {"type": "bot_turn_response", "data": {"disposition": "match", "text": "Hello", "confidence": 0.5}}
        ]
    }
    assert messages[22]["parameters"] == {"entities": [{"type": "barge_in", "data": {}}]}
    assert [message["type"] for message in messages[23:]] == ["pong", "disconnect"]
    assert [message["seq"] for message in messages] == list(range(2, 27))


def test_an_event_has_entities(call: RawGenesys) -> None:
    """Trap 46."""
    with pytest.raises(LocalProtocolError):
        call.session.send_events([], 0.0)
    with pytest.raises(LocalProtocolError):
        call.session.send_events([BotTurnResponse("match", "x" * 64_000)], 0.0)
    assert call.session.send_events([BargeIn()], 0.0)
    assert [message["seq"] for message in call.heard()] == [2]


def test_pause_and_resume_are_sent_within_their_budget(call: RawGenesys) -> None:
    assert sum(call.session.send_pause(0.0) for _ in range(9)) == 4
    assert sum(call.session.send_resume(0.0) for _ in range(9)) == 4
    assert [message["type"] for message in call.heard()] == ["pause"] * 4 + ["resume"] * 4


def test_nothing_is_sent_before_opened(peer: RawGenesys) -> None:
    """Trap 33."""
    for _ in range(2):
        for send in (
            peer.session.send_barge_in,
            peer.session.send_pause,
            peer.session.send_resume,
            lambda now: peer.session.send_events([BargeIn()], now),
        ):
            with pytest.raises(LocalProtocolError):
                send(0.0)
        assert peer.heard() == []
        if peer.session.state is ServerState.AWAITING_OPEN:
            peer.open()


@pytest.mark.parametrize("end", ["disconnect", "close", "eof"])
def test_nothing_new_is_begun_at_the_end(call: RawGenesys, end: str) -> None:
    if end == "disconnect":
        call.session.send_disconnect("completed", 0.0)
    elif end == "close":
        call.say("close")
    else:
        call.session.receive_eof(0.0)
    call.heard()
    assert not call.session.send_opened(0.0)
    assert not call.session.send_barge_in(0.0)
    assert not call.session.send_events([BargeIn()], 0.0)
    assert not call.session.send_pause(0.0)
    assert not call.session.send_resume(0.0)
    assert not call.session.send_disconnect("error", 0.0)
    assert call.heard() == []


# --- the end ---------------------------------------------------------------------------------------------------------


def test_disconnect_returns_the_variables_and_closed_answers_close(call: RawGenesys) -> None:
    assert call.session.send_disconnect("completed", 5.0, info="done", output_variables={"INTENT": "order"})
    (message,) = call.heard()
    assert message["parameters"] == {
        "reason": "completed",
        "info": "done",
        "outputVariables": {"INTENT": "order"},
    }
    assert call.session.next_timer() == 15.0
    assert call.say("playback_completed", now=5.1) == [PlaybackCompleted()]
    assert call.say("ping", now=5.1) == [PingReceived(None)]
    assert call.say("close", {"reason": "disconnect"}, now=5.2) == [CloseReceived("disconnect")]
    assert [message["type"] for message in call.heard()] == ["pong", "closed"]
    assert call.state() == "CLOSED"
    assert not call.session.close_expected()
    assert call.session.next_timer() == 15.2
    call.session.receive_eof(5.3)
    assert call.session.events() == [SessionEnded(clean=True)]
    assert call.state() == "ENDED"
    assert call.session.next_timer() is None


def test_a_wrong_disconnect_is_our_fault(call: RawGenesys) -> None:
    with pytest.raises(LocalProtocolError):
        call.session.send_disconnect("complete", 0.0)
    with pytest.raises(LocalProtocolError):
        call.session.send_disconnect("completed", 0.0, output_variables={"A": 1})  # type: ignore[dict-item]
    assert call.state() == "OPEN"


def test_a_session_can_be_refused(peer: RawGenesys) -> None:
    peer.open()
    assert peer.session.send_disconnect("unauthorized", 0.0)
    (message,) = peer.heard()
    assert (message["seq"], message["type"]) == (1, "disconnect")
    assert peer.say("ping") == [MessageIgnored("ping")]
    assert peer.say("close", {"reason": "disconnect"}) == [CloseReceived("disconnect")]
    assert [message["type"] for message in peer.heard()] == ["closed"]


def test_close_before_opened_is_answered(peer: RawGenesys) -> None:
    """audiohook.md §3.7 no. 3."""
    peer.open()
    assert peer.say("close", {"reason": "end"}) == [CloseReceived("end")]
    (message,) = peer.heard()
    assert (message["type"], message["seq"], message["clientseq"]) == ("closed", 1, 2)
    assert not peer.session.send_opened(0.1)


def test_close_before_open_is_answered(peer: RawGenesys) -> None:
    assert peer.say("close") == [CloseReceived("end")]
    assert peer.heard()[0]["type"] == "closed"


def test_nothing_is_read_after_close(call: RawGenesys) -> None:
    call.say("close")
    call.heard()
    assert call.say("ping") == []
    assert call.raw("{") == []
    call.session.receive_eof(0.0)
    call.session.events()
    assert call.raw("{") == []
    call.session.receive_eof(0.0)
    call.session.handle_timer(99.0)
    assert call.session.events() == []
    assert call.heard() == []


def test_a_lost_socket_ends_the_session(call: RawGenesys) -> None:
    call.session.receive_eof(1.0)
    assert call.session.events() == [SessionEnded(clean=False)]
    assert call.session.close_expected()


def test_after_a_violation_only_close_and_ping_are_read(call: RawGenesys) -> None:
    violated(call, call.say("ping", seq=77), "OH-HOOK-03")
    assert call.raw("{") == []
    assert call.say("dtmf", {"digit": "1"}) == []
    assert call.say("error", {"code": 400, "message": ""}) == [ErrorReceived(400, "", None)]
    assert call.say("ping", seq=90) == [PingReceived(None)]
    assert call.say("close", {"reason": "error"}, seq=99, id="other") == [CloseReceived("error")]
    pong, closed = call.heard()
    assert (pong["type"], pong["seq"], pong["clientseq"]) == ("pong", 3, 90)
    assert (closed["type"], closed["seq"], closed["clientseq"]) == ("closed", 4, 99)


def test_a_violation_while_ending_changes_nothing(call: RawGenesys) -> None:
    call.session.send_disconnect("completed", 0.0)
    call.heard()
    assert call.say("ping", seq=50) == []
    assert call.heard() == []


def test_a_close_is_answered_however_wrong_it_is(call: RawGenesys) -> None:
    event, close = call.say("close", {"reason": "end"}, seq=9)
    assert isinstance(event, ProtocolViolated)
    assert close == CloseReceived("end")
    assert [(message["type"], message["clientseq"]) for message in call.heard()] == [("disconnect", 1), ("closed", 9)]


def test_a_close_is_answered_after_a_violation_while_ending(call: RawGenesys) -> None:
    call.session.send_disconnect("completed", 0.0)
    assert call.say("dtmf", {"digit": "1"}, seq=50) == []
    assert call.say("close", {"reason": "disconnect"}) == [CloseReceived("disconnect")]
    assert [message["type"] for message in call.heard()] == ["disconnect", "closed"]


def test_a_flood_ends_the_session(call: RawGenesys) -> None:
    for _ in range(199):
        call.say("ping", now=0.0)
    call.heard()
    events = call.say("ping", now=0.0)
    violated(call, events, "OH-HOOK-11")
    assert call.say("ping", now=0.0) == []
    assert call.say("close", now=1.0) == [CloseReceived("end")]


def test_audio_far_faster_than_real_time_ends_the_session(call: RawGenesys) -> None:
    second = b"\xff" * 8000
    for _ in range(150):  # a catch-up
        call.session.receive_audio(second, 0.0)
    assert len(call.session.events()) == 150
    for at in range(100):  # as fast again as it is spoken
        call.session.receive_audio(second * 2, 1.0 + at)
    assert len(call.session.events()) == 100
    call.session.receive_audio(second, 100.0)
    violated(call, call.session.events(), "OH-HOOK-11")
    call.session.receive_audio(second, 200.0)
    assert call.session.events() == []


def test_empty_audio_messages_have_an_end_too(call: RawGenesys) -> None:
    for _ in range(15_000):
        call.session.receive_audio(b"", 0.0)
    assert call.session.events() == []
    call.session.receive_audio(b"", 0.0)
    violated(call, call.session.events(), "OH-HOOK-11")


def test_frames_of_any_size_may_come_in_real_time(call: RawGenesys) -> None:
    for size in (40, 160, 1600, 8000):
        began = call.session.position
        for number in range(120_000 // size):
            call.session.receive_audio(b"\xff" * size, began / 8000 + number * size / 8000)
    assert not [event for event in call.session.events() if isinstance(event, ProtocolViolated)]
    assert call.session.position == 480_000


@pytest.mark.parametrize(("data", "closed"), [("{", True), (b"\xff" * 160, True), (b"\xff" * 160, False)])
def test_who_floods_on_after_the_end_is_not_waited_for(call: RawGenesys, data: str | bytes, closed: bool) -> None:
    def pour(count: int) -> list[Any]:
        for _ in range(count):
            if isinstance(data, str):
                call.session.receive_text(data, 0.0)
            else:
                call.session.receive_audio(data, 0.0)
        return call.session.events()

    assert call.session.send_disconnect("completed", 0.0)
    if closed:
        call.say("close", {"reason": "disconnect"})
    call.heard()
    assert pour(LATE_BURST - closed) == []
    assert not call.session.close_expected()
    assert pour(1) == [SessionEnded(clean=closed)]
    assert call.session.close_expected()
    assert pour(LATE_BURST) == []
    assert call.heard() == []


def test_a_peer_that_has_broken_a_rule_may_send_less(call: RawGenesys) -> None:
    violated(call, call.raw("{"), "OH-HOOK-01")
    for _ in range(VIOLATED_BURST):
        assert call.raw("{") == []
    assert not call.session.close_expected()
    for at in range(50):  # audio in real time goes on until the peer has read that it is to stop
        call.session.receive_audio(b"\xff" * 160, 1.0 + at / 50)
    assert not call.session.close_expected()
    for _ in range(VIOLATED_BURST + 1):
        call.session.receive_audio(b"\xff" * 160, 2.0)
    assert call.session.close_expected()


# --- time ------------------------------------------------------------------------------------------------------------


def test_open_has_to_come_within_ten_seconds(peer: RawGenesys) -> None:
    assert peer.session.next_timer() == 10.0
    peer.session.handle_timer(9.9)
    assert peer.session.events() == []
    peer.session.handle_timer(10.0)
    violated(peer, peer.session.events(), "OH-HOOK-12")
    assert peer.session.next_timer() == 20.0
    peer.session.handle_timer(20.0)
    assert peer.session.events() == [SessionEnded(clean=False)]
    assert peer.session.close_expected()


def test_no_start_no_deadline() -> None:
    session = ServerSession()
    assert session.next_timer() is None
    session.handle_timer(1e9)
    assert session.events() == []


def test_a_client_that_never_closes_is_dropped(call: RawGenesys) -> None:
    assert call.session.next_timer() is None
    call.session.send_disconnect("completed", 100.0)
    call.session.handle_timer(110.0)
    assert call.session.events() == [SessionEnded(clean=False)]
    assert call.session.close_expected()


def test_a_socket_that_stays_after_closed_is_dropped(call: RawGenesys) -> None:
    call.say("close", now=100.0)
    call.session.handle_timer(110.0)
    assert call.session.events() == [SessionEnded(clean=True)]
    assert call.session.close_expected()


def test_a_silent_peer_is_given_up() -> None:
    peer = RawGenesys(ServerSession(idle_timeout=30.0)).opened()
    assert peer.session.next_timer() == 30.0
    peer.session.receive_audio(b"\xff", 20.0)
    peer.say("ping", now=25.0)
    peer.heard()
    peer.session.events()
    peer.session.handle_timer(30.0)
    assert peer.session.next_timer() == 55.0
    assert peer.session.events() == []
    peer.session.handle_timer(55.0)
    violated(peer, peer.session.events(), "OH-HOOK-15")


def test_every_code_has_a_rule() -> None:
    for code, rule in CODES.items():
        assert code.startswith("OH-HOOK-")
        assert 400 <= rule.status < 600
        assert rule.text
    assert json.dumps(list(CODES)) == json.dumps(sorted(CODES))
