from typing import Any

import pytest

from offhook.audio import ulaw
from offhook.audiohook import (
    NIL_UUID,
    PCMU_MONO,
    AudioReceived,
    BargeIn,
    BargeInReceived,
    BotTurnResponse,
    ClientSession,
    ClientState,
    ClosedReceived,
    DisconnectReceived,
    EventReceived,
    LocalProtocolError,
    Media,
    OpenedReceived,
    Participant,
    PauseRequested,
    PongReceived,
    RateLimitExceeded,
    ReconnectRequested,
    ResumeRequested,
    ServerViolated,
    SessionEnded,
    UpdatedReceived,
)
from tests.unit.audiohook.sample import CONVERSATION, ORGANIZATION, PCMU, SESSION, STEREO_MEDIA, RawGateway


@pytest.fixture
def idle() -> RawGateway:
    return RawGateway()


@pytest.fixture
def call() -> RawGateway:
    return RawGateway().opened()


def violated(peer: RawGateway, events: list[Any], code: str, *, status: int | None = None) -> None:
    """Assert that the session reported the rule, and said `error` and `close` with reason ``error``."""
    event = events[-1]
    assert isinstance(event, ServerViolated)
    assert event.rule == code
    assert event.detail.startswith(code + " ")
    error, close = peer.heard()[-2:]
    assert error["type"] == "error"
    assert error["parameters"]["message"] == event.detail
    if status is not None:
        assert error["parameters"]["code"] == status
    assert (close["type"], close["parameters"]) == ("close", {"reason": "error"})
    assert peer.session.state is ClientState.CLOSING


# --- open ------------------------------------------------------------------------------------------------------------


def test_open_says_everything(idle: RawGateway) -> None:
    idle.session.send_open(
        0.0,
        participant=Participant(id=NIL_UUID, ani="tel:+1"),
        input_variables={"A": "b"},
        language="en-us",
        supported_languages=True,
        custom_config={"a": 1},
    )
    assert idle.heard() == [
        {
            "version": "2",
            "id": SESSION,
            "type": "open",
            "seq": 1,
            "serverseq": 0,
            "position": "PT0.0S",
            "parameters": {
                "organizationId": ORGANIZATION,
                "conversationId": CONVERSATION,
                "participant": {"id": NIL_UUID, "ani": "tel:+1", "aniName": "", "dnis": ""},
                "media": [PCMU],
                "language": "en-us",
                "supportedLanguages": True,
                "customConfig": {"a": 1},
                "inputVariables": {"A": "b"},
            },
        }
    ]
    assert idle.session.state is ClientState.OPENING
    with pytest.raises(LocalProtocolError):
        idle.session.send_open(0.0)


def test_a_probe_has_nil_ids() -> None:
    session = ClientSession(session_id=SESSION, organization_id=ORGANIZATION, conversation_id=NIL_UUID)
    session.send_open(0.0)
    parameters = RawGateway(session).heard()[0]["parameters"]
    assert parameters["conversationId"] == parameters["participant"]["id"] == NIL_UUID
    assert parameters["participant"]["ani"] == ""


def test_opened_starts_the_session(idle: RawGateway) -> None:
    idle.open()
    assert idle.session.media is None
    assert idle.say("opened", {"media": [PCMU], "startPaused": False}) == [OpenedReceived(PCMU_MONO, False)]
    assert idle.session.state is ClientState.OPEN
    assert idle.session.can_send_audio
    assert idle.session.media == PCMU_MONO


@pytest.mark.parametrize(
    "media",
    [
        [PCMU, PCMU],
        [PCMU | {"format": "L16"}],
        [PCMU | {"channels": ["external", "internal"]}],
    ],
)
def test_media_are_copied_from_the_offer(idle: RawGateway, media: list[Any]) -> None:
    """Trap 30."""
    idle.open()
    violated(idle, idle.say("opened", {"media": media}), "OH-HOOK-33", status=400)


@pytest.mark.parametrize("type_", ["pong", "event", "updated", "pause", "closed"])
def test_the_first_message_is_opened(idle: RawGateway, type_: str) -> None:
    """Trap 25."""
    idle.open()
    parameters = {"entities": [{"type": "barge_in", "data": {}}]} if type_ == "event" else {}
    violated(idle, idle.say(type_, parameters), "OH-HOOK-30", status=409)


def test_a_server_speaks_when_spoken_to(idle: RawGateway) -> None:
    (event,) = idle.say("opened", {"media": []}, clientseq=0)
    assert isinstance(event, ServerViolated)
    assert event.rule == "OH-HOOK-30"
    assert idle.heard() == []
    assert idle.session.state is ClientState.IDLE


def test_the_first_message_can_be_disconnect(idle: RawGateway) -> None:
    idle.open()
    assert idle.say("disconnect", {"reason": "unauthorized"}) == [DisconnectReceived("unauthorized", "", {})]
    assert idle.session.state is ClientState.DISCONNECTING


def test_opened_has_to_come_within_five_seconds(idle: RawGateway) -> None:
    """Trap 32."""
    idle.open()
    assert idle.session.next_timer() == 5.0
    assert idle.timer(4.9) == []
    violated(idle, idle.timer(5.0), "OH-HOOK-43", status=408)


def test_the_server_can_have_the_stream_begin_later_and_paused(idle: RawGateway) -> None:
    idle.open()
    idle.say("opened", {"media": [PCMU], "startPaused": True, "discardTo": "PT1.5S"})
    paused, discarded = idle.heard()
    assert (paused["type"], paused["position"]) == ("paused", "PT0.0S")
    assert (discarded["type"], discarded["position"]) == ("discarded", "PT0.0S")
    assert discarded["parameters"] == {"start": "PT0.0S", "discarded": "PT1.5S"}
    assert idle.session.position == 12_000
    assert idle.session.paused
    assert not idle.session.can_send_audio


# --- audio -----------------------------------------------------------------------------------------------------------


def test_audio_goes_both_ways(call: RawGateway) -> None:
    assert call.session.send_audio(b"\xff" * 1600, 0.1)
    assert call.session.data_to_send() == [b"\xff" * 1600]
    assert call.session.position == 1600
    assert call.audio(b"ab") == [AudioReceived(b"ab", 0)]
    assert call.audio(b"c") == [AudioReceived(b"c", 2)]


def test_other_formats_count_samples() -> None:
    session = ClientSession(
        session_id=SESSION, organization_id=ORGANIZATION, conversation_id=CONVERSATION, media=[STEREO_MEDIA]
    )
    call = RawGateway(session).opened([PCMU | {"channels": ["internal", "external"]}])
    call.session.send_audio(b"\xff" * 200, 0.1)
    assert call.session.position == 100
    assert call.audio(b"xX") == [AudioReceived(b"X", 0)]
    violated(call, call.audio(b"x"), "OH-HOOK-07")


def test_l16_is_decoded() -> None:
    offer = Media("audio", "L16", ("external",), 8000)
    session = ClientSession(
        session_id=SESSION, organization_id=ORGANIZATION, conversation_id=CONVERSATION, media=[offer]
    )
    call = RawGateway(session).opened([PCMU | {"format": "L16"}])
    assert call.audio(ulaw.decode(b"ab")) == [AudioReceived(b"ab", 0)]


def test_audio_has_a_size(call: RawGateway) -> None:
    with pytest.raises(LocalProtocolError):
        call.session.send_audio(b"\xff" * 64_001, 0.0)
    assert call.audio(b"\xff" * 64_000)
    violated(call, call.audio(b"\xff" * 64_001), "OH-HOOK-08", status=413)


def test_empty_audio_is_refused(call: RawGateway) -> None:
    violated(call, call.audio(b""), "OH-HOOK-07")


def test_audio_before_opened_is_refused(idle: RawGateway) -> None:
    """Trap 33."""
    idle.open()
    with pytest.raises(LocalProtocolError):
        idle.session.send_audio(b"\xff", 0.0)
    violated(idle, idle.audio(b"\xff"), "OH-HOOK-40", status=415)


def test_audio_without_media_is_refused() -> None:
    call = RawGateway().opened(())
    with pytest.raises(LocalProtocolError):
        call.session.send_audio(b"\xff", 0.0)
    violated(call, call.audio(b"\xff"), "OH-HOOK-40")


def test_audio_after_disconnect_is_refused(call: RawGateway) -> None:
    """Trap 58."""
    call.say("disconnect", {"reason": "completed"})
    violated(call, call.audio(b"\xff"), "OH-HOOK-40")


def test_audio_that_crosses_our_close_is_dropped(call: RawGateway) -> None:
    call.session.send_close("end", 0.0)
    assert call.audio(b"\xff") == []
    call.say("closed", clientseq=2)
    (event,) = call.audio(b"\xff")
    assert event == ServerViolated("OH-HOOK-41", "OH-HOOK-41 audio after closed")
    assert call.audio(b"\xff") == []


# --- envelope --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        ({"version": "3"}, "OH-HOOK-02"),
        ({"id": CONVERSATION}, "OH-HOOK-05"),
        ({"seq": 3}, "OH-HOOK-03"),
        ({"seq": 1}, "OH-HOOK-03"),
        ({"clientseq": 2}, "OH-HOOK-31"),
        ({"type": "hologram", "clientseq": 2}, "OH-HOOK-31"),
        ({"type": "hologram"}, "OH-HOOK-35"),
        ({"position": "PT0.0S"}, "OH-HOOK-34"),
        ({"parameters": "absent"}, "OH-HOOK-01"),
        ({"type": "opened", "parameters": {"media": []}}, "OH-HOOK-06"),
        ({"type": "closed"}, "OH-HOOK-06"),
    ],
)
def test_envelopes_are_checked(call: RawGateway, envelope: dict[str, Any], code: str) -> None:
    violated(call, call.say("updated", **envelope), code)


def test_after_a_violation_only_closed_counts(call: RawGateway) -> None:
    violated(call, call.raw("{"), "OH-HOOK-01")
    assert call.raw("{") == []
    assert call.say("pong") == []
    assert call.audio(b"\xff") == []
    assert not call.session.close_expected()
    assert call.say("closed", seq=70) == [ClosedReceived(), SessionEnded(clean=False)]
    assert call.session.close_expected()
    assert call.say("closed", seq=71) == []


# --- pings -----------------------------------------------------------------------------------------------------------


def test_pings_come_as_genesys_sends_them(call: RawGateway) -> None:
    """audiohook.md §1.5."""
    assert call.session.next_timer() == 1.0
    assert call.timer(0.9) == []
    call.timer(1.0)
    (ping,) = call.heard()
    assert (ping["type"], ping["seq"], ping["parameters"]) == ("ping", 2, {})
    assert call.say("pong", now=1.25, clientseq=2) == [PongReceived(0.25)]
    (ping,) = call.heard()
    assert (ping["type"], ping["seq"], ping["parameters"]) == ("ping", 3, {"rtt": "PT0.25S"})
    assert call.session.next_timer() == 6.0
    call.say("pong", now=1.5, clientseq=3)
    assert call.heard() == []
    assert call.session.rtt == 0.25
    call.timer(6.0)
    assert call.heard()[0]["type"] == "ping"
    violated(call, call.timer(11.0), "OH-HOOK-44", status=408)


@pytest.mark.parametrize("clientseq", [1, 3])
def test_a_pong_answers_its_ping(call: RawGateway, clientseq: int) -> None:
    """Trap 27."""
    call.timer(1.0)
    call.session.send_dtmf("1", 1.0)
    violated(call, call.say("pong", clientseq=clientseq), "OH-HOOK-32")


def test_a_pong_without_ping_is_refused(call: RawGateway) -> None:
    violated(call, call.say("pong"), "OH-HOOK-32")


def test_no_ping_follows_the_end(call: RawGateway) -> None:
    call.timer(1.0)
    call.session.send_close("end", 1.0)
    assert [message["type"] for message in call.heard()] == ["ping", "close"]
    assert call.say("pong", now=1.5, clientseq=2) == [PongReceived(0.5)]
    assert call.heard() == []
    assert call.session.next_timer() == 11.0


# --- messages of the server ------------------------------------------------------------------------------------------


def test_events_are_reported(call: RawGateway) -> None:
    entities = [
        {"type": "barge_in", "data": {}},
        {"type": "bot_turn_response", "data": {"disposition": "match", "text": "Hi", "confidence": 1}},
    ]
    turn = BotTurnResponse("match", "Hi", 1.0)
    assert call.say("event", {"entities": entities}) == [BargeInReceived(), EventReceived((BargeIn(), turn))]


@pytest.mark.parametrize(
    ("entities", "code"),
    [
        ([], "OH-HOOK-38"),
        ([{"type": "hologram", "data": {}}], "OH-HOOK-39"),
        ([{"type": "bot_turn_response", "data": {"disposition": "great"}}], "OH-HOOK-07"),
        ([{"type": "bot_turn_response", "data": {"disposition": "match", "confidence": 2}}], "OH-HOOK-07"),
        ([{"type": "barge_in", "data": {}, "id": 1}], "OH-HOOK-34"),
    ],
)
def test_bad_events_are_refused(call: RawGateway, entities: list[Any], code: str) -> None:
    """Trap 46."""
    violated(call, call.say("event", {"entities": entities}), code)


def test_update_and_reconnect(call: RawGateway) -> None:
    call.session.send_update("es-es", 0.0)
    assert call.heard()[0]["parameters"] == {"language": "es-es"}
    assert call.say("updated", clientseq=2) == [UpdatedReceived()]
    assert call.say("reconnect", {"info": "moving"}) == [ReconnectRequested("moving")]
    assert call.say("reconnect") == [ReconnectRequested("")]


def test_the_servers_pause_stops_the_audio(call: RawGateway) -> None:
    call.session.send_audio(b"\xff" * 800, 0.0)
    assert call.say("pause") == [PauseRequested()]
    assert not call.session.send_audio(b"\xff" * 400, 0.0)
    assert call.session.position == 800
    assert call.say("resume") == [ResumeRequested()]
    paused, resumed = call.heard()
    assert (paused["type"], paused["serverseq"]) == ("paused", 2)
    assert resumed["parameters"] == {"start": "PT0.1S", "discarded": "PT0.05S"}
    assert call.session.position == 1200
    assert call.session.send_audio(b"\xff", 0.0)


def test_audio_flows_when_no_pause_is_left(call: RawGateway) -> None:
    """audiohook.md §3.3: both sides can pause."""
    call.session.pause(0.0)
    call.session.pause(0.0)
    call.say("pause")
    call.say("resume")
    assert call.session.paused
    assert [message["type"] for message in call.heard()] == ["paused", "paused", "paused"]
    call.session.resume(0.0)
    call.session.resume(0.0)
    assert [message["type"] for message in call.heard()] == ["resumed"]
    call.session.pause(0.0)
    call.say("pause")
    call.session.resume(0.0)
    assert call.session.paused
    assert [message["type"] for message in call.heard()] == ["paused", "paused"]
    call.say("resume")
    assert not call.session.paused


def test_what_crosses_our_close_is_taken(idle: RawGateway) -> None:
    idle.open()
    assert idle.session.send_close("end", 0.0)
    assert not idle.session.send_close("end", 0.0)
    idle.heard()
    assert idle.say("opened", {"media": [PCMU], "startPaused": True}) == [OpenedReceived(PCMU_MONO, True)]
    assert idle.say("pause") == [PauseRequested()]
    assert idle.say("resume") == [ResumeRequested()]
    assert idle.say("disconnect", {"reason": "completed"}) == [DisconnectReceived("completed", "", {})]
    assert idle.heard() == []
    assert idle.say("closed", clientseq=2) == [ClosedReceived(), SessionEnded(clean=True)]


def test_a_server_may_answer_an_early_close_with_closed_alone(idle: RawGateway) -> None:
    idle.open()
    idle.session.send_close("end", 0.0)
    assert idle.say("closed", clientseq=2) == [ClosedReceived(), SessionEnded(clean=True)]


# --- what the client says --------------------------------------------------------------------------------------------


def test_the_client_reports_what_happens(call: RawGateway) -> None:
    call.session.send_dtmf("#", 0.0)
    call.session.send_playback_started(0.0)
    call.session.send_playback_completed(0.0)
    call.session.send_discarded(80, 0.0)
    call.session.send_error(429, "slow", 0.0, retry_after=2)
    assert [(message["type"], message["parameters"]) for message in call.heard()] == [
        ("dtmf", {"digit": "#"}),
        ("playback_started", {}),
        ("playback_completed", {}),
        ("discarded", {"start": "PT0.0S", "discarded": "PT0.01S"}),
        ("error", {"code": 429, "message": "slow", "retryAfter": "PT2.0S"}),
    ]
    assert call.session.position == 80
    with pytest.raises(LocalProtocolError):
        call.session.send_dtmf("11", 0.0)


def test_nothing_is_said_in_a_wrong_state(idle: RawGateway) -> None:
    with pytest.raises(LocalProtocolError):
        idle.session.send_dtmf("1", 0.0)
    with pytest.raises(LocalProtocolError):
        idle.session.send_close("end", 0.0)
    idle.open()
    with pytest.raises(LocalProtocolError):
        idle.session.send_close("finished", 0.0)
    with pytest.raises(LocalProtocolError):
        idle.session.pause(0.0)


# --- the end ---------------------------------------------------------------------------------------------------------


def test_disconnect_is_answered_by_close(call: RawGateway) -> None:
    parameters = {"reason": "completed", "info": "bye", "outputVariables": {"A": "b"}}
    assert call.say("disconnect", parameters) == [DisconnectReceived("completed", "bye", {"A": "b"})]
    assert call.session.next_timer() is None
    call.session.send_playback_completed(0.0)
    assert call.session.send_close("disconnect", 1.0)
    assert call.heard()[-1]["parameters"] == {"reason": "disconnect"}
    assert call.say("closed", clientseq=3) == [ClosedReceived(), SessionEnded(clean=True)]
    assert call.session.close_expected()
    call.session.receive_eof(2.0)
    assert call.session.events() == []
    assert call.session.state is ClientState.ENDED
    assert call.say("pong") == []
    assert call.audio(b"\xff") == []


def test_disconnect_reasons_are_an_exact_set(call: RawGateway) -> None:
    """Trap 37."""
    violated(call, call.say("disconnect", {"reason": "complete"}), "OH-HOOK-36")


def test_a_second_disconnect_is_refused(call: RawGateway) -> None:
    call.say("disconnect", {"reason": "completed"})
    violated(call, call.say("disconnect", {"reason": "error"}), "OH-HOOK-06")


def test_nothing_follows_closed(call: RawGateway) -> None:
    call.session.send_close("end", 0.0)
    call.say("closed", clientseq=2)
    call.heard()
    (event,) = call.say("disconnect", {"reason": "completed"})
    assert event.rule == "OH-HOOK-41"
    assert call.heard() == []


def test_closed_has_to_come_within_ten_seconds(call: RawGateway) -> None:
    """Trap 39."""
    call.session.send_close("end", 1.0)
    call.heard()
    assert call.timer(10.9) == []
    events = call.timer(11.0)
    assert events == [ServerViolated("OH-HOOK-45", "OH-HOOK-45 no closed within 10 s"), SessionEnded(clean=False)]
    assert call.heard()[0]["parameters"]["code"] == 408
    assert call.session.close_expected()
    assert call.session.next_timer() is None
    assert call.timer(99.0) == []


def test_a_server_does_not_close_the_socket(call: RawGateway) -> None:
    """Trap 38."""
    call.session.receive_eof(1.0)
    violation, end = call.session.events()
    assert isinstance(violation, ServerViolated)
    assert violation.rule == "OH-HOOK-46"
    assert end == SessionEnded(clean=False)
    assert call.session.next_timer() is None


def test_a_socket_lost_after_a_violation_is_no_second_one(call: RawGateway) -> None:
    violated(call, call.raw("{"), "OH-HOOK-01")
    call.session.receive_eof(1.0)
    assert call.session.events() == [SessionEnded(clean=False)]


# --- rate limits -----------------------------------------------------------------------------------------------------


def test_too_much_audio_is_met_with_429(call: RawGateway) -> None:
    """Trap 49."""
    events = [event for _ in range(40) for event in call.audio(b"\xff", now=1.0)]
    assert events.count(RateLimitExceeded("binary")) == 1
    assert len(events) == 41
    (error,) = call.heard()
    assert error["parameters"] == {"code": 429, "message": "Rate limit exceeded", "retryAfter": "PT1.0S"}
    assert call.session.state is ClientState.OPEN


def test_a_server_that_goes_on_is_given_up(call: RawGateway) -> None:
    events = []
    for tick in range(400):
        events += call.say("updated", now=tick / 50)
    assert events.count(RateLimitExceeded("text")) == 6
    violated(call, [event for event in events if isinstance(event, ServerViolated)], "OH-HOOK-42", status=429)


def test_too_much_while_ending_is_only_noted(call: RawGateway) -> None:
    call.session.send_close("end", 0.0)
    call.heard()
    events = [event for _ in range(30) for event in call.say("updated", now=0.0)]
    assert events.count(RateLimitExceeded("text")) == 1
    assert call.heard() == []
