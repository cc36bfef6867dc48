import json
from typing import Any

import pytest

from offhook import realtime as rt
from tests.unit.realtime import samples
from tests.unit.realtime.driving import (
    CONFIG,
    DEFAULTS,
    Driven,
    adopted,
    call_item,
    created,
    done,
    error,
    item_done,
    ready,
)

ECHO = rt.SessionUpdatedEvent(session=rt.merge_config(DEFAULTS, CONFIG))
CREATED = rt.SessionCreatedEvent(session=DEFAULTS)


def state_of(driven: Driven) -> rt.SessionState:
    return driven.session.state


# --- set-up


def test_one_update_after_created_and_ready_after_its_echo() -> None:
    driven = Driven()
    session = driven.session
    assert state_of(driven) is rt.SessionState.CONNECTING
    assert session.next_timer() is None
    session.connected(100.0)
    assert state_of(driven) is rt.SessionState.CREATING
    assert session.next_timer() == 110.0
    assert driven.sent() == []
    driven.now = 101.0
    assert driven.hear(CREATED) == []
    assert state_of(driven) is rt.SessionState.CONFIGURING
    assert session.next_timer() == 111.0
    assert driven.sent() == [rt.SessionUpdateEvent(event_id="oh_1", session=CONFIG)]
    assert driven.hear(ECHO) == [rt.SessionReady("sess_1", 1795363200, ECHO.session)]
    assert state_of(driven) is rt.SessionState.READY
    assert session.next_timer() is None
    assert (session.session_id, session.expires_at) == ("sess_1", 1795363200)


def test_reasoning_is_only_sent_when_configured() -> None:
    for config, sent in (
        (CONFIG, False),
        (rt.merge_config(CONFIG, rt.SessionConfig(reasoning=rt.Reasoning("low"))), True),
    ):
        driven = Driven(config)
        driven.session.connected(0.0)
        driven.hear(CREATED)
        (update,) = driven.session.data_to_send()
        assert ("reasoning" in json.loads(update)["session"]) is sent


def test_a_server_that_speaks_is_connected() -> None:
    driven = Driven()
    assert driven.hear(rt.ConversationCreatedEvent(conversation=rt.Conversation())) == []
    assert driven.session.state is rt.SessionState.CREATING
    driven.session.connected(500.0)  # again: no effect on the clock
    assert driven.session.next_timer() == 110.0


def test_repeated_and_early_set_up_events_change_nothing() -> None:
    driven = Driven()
    driven.session.connected(100.0)
    assert driven.hear(ECHO) == []
    assert driven.session.state is rt.SessionState.CREATING
    driven.hear(CREATED, CREATED)
    assert len(driven.sent()) == 1
    driven.hear(ECHO)
    assert driven.hear(CREATED) == []
    assert driven.sent() == []
    assert driven.hear(ECHO) == []


def test_an_echo_without_id_keeps_what_created_said() -> None:
    driven = Driven()
    driven.hear(CREATED)
    (event,) = driven.hear(rt.SessionUpdatedEvent(session=rt.merge_config(rt.Session(), CONFIG)))
    assert isinstance(event, rt.SessionReady)
    assert (event.session_id, event.expires_at) == ("sess_1", 1795363200)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            rt.SessionConfig(audio=rt.AudioConfig(output=rt.AudioOutput(format=rt.AudioFormat("audio/pcm", 24000)))),
            "OH-RT-04",
            "asked for output format audio/pcmu, the server uses audio/pcm",
        ),
        (
            rt.SessionConfig(audio=rt.AudioConfig(output=rt.AudioOutput(voice="ash"))),
            "OH-RT-05",
            "asked for voice marin, the server uses ash",
        ),
    ],
)
def test_a_wrong_echo_refuses_the_session(change: rt.SessionConfig, code: str, message: str) -> None:
    driven = Driven()
    driven.hear(CREATED)
    echo = rt.SessionUpdatedEvent(session=rt.merge_config(ECHO.session, change))
    assert driven.hear(echo) == [rt.SessionRefused(code, message, True)]
    assert driven.session.state is rt.SessionState.CLOSED
    assert driven.session.next_timer() is None


@pytest.mark.parametrize(("said", "code"), [((), "OH-RT-02"), ((CREATED,), "OH-RT-03")])
def test_set_up_that_takes_too_long_is_refused(said: tuple[rt.KnownServerEvent, ...], code: str) -> None:
    driven = Driven(setup_timeout=3.0)
    driven.session.connected(100.0)
    driven.hear(*said)
    assert driven.at(102.9) == []
    assert driven.at(103.0) == [rt.SessionRefused(code, rt.CODES[code], False)]
    assert driven.session.state is rt.SessionState.CLOSED
    assert driven.at(200.0) == []


@pytest.mark.parametrize(
    ("said", "problem", "refusal"),
    [
        ((CREATED,), error("invalid_value", "oh_1"), ("OH-RT-06", True, "invalid_value")),
        ((CREATED,), error(None), ("OH-RT-06", True, "OH-RT-09")),
        ((CREATED,), error("server_error", type="server_error"), ("OH-RT-08", False, "server_error")),
        ((CREATED,), error("insufficient_quota"), ("OH-RT-07", True, "insufficient_quota")),
        ((), error("beta_api_shape_disabled"), ("OH-RT-07", True, "beta_api_shape_disabled")),
        ((), error("strange"), ("OH-RT-08", False, "strange")),
    ],
)
def test_an_error_during_set_up_refuses_the_session(
    said: tuple[rt.KnownServerEvent, ...], problem: rt.ErrorEvent, refusal: tuple[str, bool, str]
) -> None:
    driven = Driven()
    driven.session.connected(100.0)
    driven.hear(*said)
    code, fatal, server_code = refusal
    assert driven.hear(problem) == [rt.SessionRefused(code, rt.CODES[code], fatal, server_code)]


def test_nothing_can_be_sent_before_ready() -> None:
    driven = Driven()
    driven.hear(CREATED)
    session = driven.session
    driven.sent()
    for send in (
        lambda: session.send_audio(b"\xff"),
        lambda: session.clear_input(),
        lambda: session.send_item(rt.user_message("Hi")),
        lambda: session.send_function_output("call_1", "{}"),
        lambda: session.update_session(rt.SessionConfig()),
        lambda: session.request_response(rt.ResponseRequest(tag="t"), 0.0),
        lambda: session.withdraw_response("t"),
        lambda: session.cancel_response(0.0),
    ):
        with pytest.raises(rt.LocalError):
            send()
    assert session.data_to_send() == []


def test_after_the_end_sending_is_idle() -> None:
    driven = ready()
    session = driven.session
    session.close()
    session.send_audio(b"\xff")
    session.clear_input()
    session.send_item(rt.user_message("Hi"))
    session.send_function_output("call_1", "{}")
    session.update_session(rt.SessionConfig())
    session.request_response(rt.ResponseRequest(tag="t"), 0.0)
    session.cancel_response(0.0)
    assert session.withdraw_response("t") is False
    assert session.data_to_send() == []
    assert driven.hear(created("resp_1")) == []
    session.receive_eof(1000, "", 0.0)
    assert session.events() == []


# --- a warm session is adopted


def test_an_adopted_session_is_ready_at_once_and_its_update_goes_first() -> None:
    driven = adopted()
    session = driven.session
    assert state_of(driven) is rt.SessionState.READY
    assert session.events() == [rt.SessionReady("sess_1", 1795363200, DEFAULTS)]
    session.send_audio(b"\xff")
    session.request_response(rt.ResponseRequest(tag="greeting"), 100.0)
    update, audio, create = driven.sent()
    assert update == rt.SessionUpdateEvent(event_id="oh_1", session=CONFIG)
    assert isinstance(audio, rt.InputAudioBufferAppendEvent)
    assert isinstance(create, rt.ResponseCreateEvent)
    driven.now = 101.0
    assert driven.hear(ECHO, created("resp_1", create))[0] == rt.ResponseStarted("resp_1", "greeting", False)
    assert session.next_timer() is None
    assert driven.at(1000.0) == []
    assert state_of(driven) is rt.SessionState.READY


def test_once_confirmed_an_adopted_session_is_like_any_other() -> None:
    driven = adopted()
    driven.hear(ECHO)
    driven.sent()
    assert driven.session.next_timer() is None
    other_voice = rt.SessionConfig(audio=rt.AudioConfig(output=rt.AudioOutput(voice="ash")))
    assert driven.hear(rt.SessionUpdatedEvent(session=rt.merge_config(ECHO.session, other_voice))) == []
    (event,) = driven.hear(error("server_error", type="server_error"))
    assert isinstance(event, rt.ErrorReceived)
    assert driven.hear(error("invalid_value", "oh_1")) != []
    assert state_of(driven) is rt.SessionState.READY


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (rt.AudioOutput(format=rt.AudioFormat("audio/pcm", 24000)), "OH-RT-04"),
        (rt.AudioOutput(voice="ash"), "OH-RT-05"),
    ],
)
def test_an_adopted_session_with_a_wrong_echo_is_refused(change: rt.AudioOutput, code: str) -> None:
    driven = adopted()
    driven.session.events()
    wrong = rt.SessionConfig(audio=rt.AudioConfig(output=change))
    (refused,) = driven.hear(rt.SessionUpdatedEvent(session=rt.merge_config(ECHO.session, wrong)))
    assert isinstance(refused, rt.SessionRefused)
    assert (refused.code, refused.fatal) == (code, True)
    assert state_of(driven) is rt.SessionState.CLOSED


def test_an_adopted_session_that_is_never_confirmed_is_refused() -> None:
    driven = adopted(setup_timeout=3.0)
    driven.session.events()
    assert driven.session.next_timer() == 103.0
    assert driven.at(102.9) == []
    assert driven.at(103.0) == [rt.SessionRefused("OH-RT-03", rt.CODES["OH-RT-03"], False)]
    assert state_of(driven) is rt.SessionState.CLOSED


@pytest.mark.parametrize(
    ("problem", "refusal"),
    [
        (error("invalid_value", "oh_1"), ("OH-RT-06", True, "invalid_value")),
        (error("server_error", "oh_1", type="server_error"), ("OH-RT-08", False, "server_error")),
        (error("insufficient_quota"), ("OH-RT-07", True, "insufficient_quota")),
        (error("server_error", type="server_error"), ("OH-RT-08", False, "server_error")),
    ],
)
def test_an_error_that_answers_the_update_refuses_an_adopted_session(
    problem: rt.ErrorEvent, refusal: tuple[str, bool, str]
) -> None:
    driven = adopted()
    driven.session.events()
    code, fatal, server_code = refusal
    assert driven.hear(problem) == [rt.SessionRefused(code, rt.CODES[code], fatal, server_code)]
    assert state_of(driven) is rt.SessionState.CLOSED


@pytest.mark.parametrize("problem", [error("invalid_value"), error("invalid_value", "oh_2"), error("strange", "oh_7")])
def test_an_error_about_something_else_leaves_an_adopted_session(problem: rt.ErrorEvent) -> None:
    driven = adopted()
    driven.session.events()
    (event,) = driven.hear(problem)
    assert isinstance(event, rt.ErrorReceived)
    assert state_of(driven) is rt.SessionState.READY
    assert driven.session.next_timer() == 110.0


def test_only_what_was_created_can_be_adopted_and_only_once() -> None:
    for said in (rt.encode_server_event(ECHO), b'{"type": "novel.event", "event_id": "e"}'):
        with pytest.raises(rt.LocalError):
            Driven().session.adopt(said, 0.0)
    with pytest.raises(rt.MalformedEvent):
        Driven().session.adopt(b"{", 0.0)
    driven = adopted()
    driven.sent()
    driven.session.events()
    driven.session.adopt(rt.encode_server_event(CREATED), 200.0)
    driven.session.connected(200.0)
    assert (driven.sent(), driven.session.events(), driven.session.next_timer()) == ([], [], 110.0)


# --- the loss of the socket


@pytest.mark.parametrize(
    ("code", "reason", "retryable"),
    [(1001, "Your session hit the maximum duration of 60 minutes.", True), (None, "", True), (3000, "x" * 600, False)],
)
def test_a_lost_socket_is_reported_once(code: int | None, reason: str, retryable: bool) -> None:
    driven = ready()
    driven.session.receive_eof(code, reason, 1.0)
    driven.session.receive_eof(code, reason, 2.0)
    assert driven.session.events() == [rt.SessionLost(code, reason[:500], retryable)]
    assert driven.session.state is rt.SessionState.CLOSED


def test_after_a_fatal_error_the_loss_is_not_retryable() -> None:
    driven = ready()
    assert driven.hear(error("insufficient_quota"), error("session_expired")) == [
        rt.ErrorReceived("insufficient_quota", rt.CODES["OH-RT-07"], None, True, "The server's words."),
        rt.ErrorReceived("session_expired", rt.CODES["OH-RT-09"], None, False, "The server's words."),
    ]
    driven.session.receive_eof(1011, "", 1.0)
    assert driven.session.events() == [rt.SessionLost(1011, "", False)]


def test_a_socket_lost_during_set_up() -> None:
    driven = Driven()
    driven.session.receive_eof(None, "", 0.0)
    assert driven.session.events() == [rt.SessionLost(None, "", True)]


# --- what the server says


def test_nothing_unreadable_raises() -> None:
    driven = ready()
    assert driven.hear("{", '{"type":"hologram.updated"}') == [
        rt.ErrorReceived("OH-RT-01", rt.CODES["OH-RT-01"], None, False, "not valid JSON"),
        rt.EventIgnored("hologram.updated"),
    ]


IN_A: dict[str, Any] = {"response_id": "resp_1", "item_id": "item_A"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            rt.InputAudioBufferSpeechStartedEvent(audio_start_ms=3188, item_id="item_U"),
            rt.SpeechStarted("item_U", 3188),
        ),
        (rt.InputAudioBufferSpeechStoppedEvent(audio_end_ms=6016, item_id="item_U"), rt.SpeechStopped("item_U", 6016)),
        (
            rt.InputAudioBufferCommittedEvent(previous_item_id="item_A", item_id="item_U"),
            rt.InputCommitted("item_U", "item_A"),
        ),
        (
            rt.InputAudioBufferTimeoutTriggeredEvent(audio_start_ms=1, audio_end_ms=2, item_id="item_U"),
            rt.InputTimedOut("item_U", 1, 2),
        ),
        (
            rt.ConversationItemTruncatedEvent(item_id="item_A", content_index=0, audio_end_ms=860),
            rt.ItemTruncated("item_A", 860),
        ),
        (
            rt.InputAudioTranscriptionDeltaEvent(item_id="item_U", delta="Hi"),
            rt.InputTranscriptDelta("item_U", "Hi"),
        ),
        (rt.InputAudioTranscriptionDeltaEvent(item_id="item_U"), rt.InputTranscriptDelta("item_U", "")),
        (
            rt.InputAudioTranscriptionCompletedEvent(item_id="item_U", transcript="Hi"),
            rt.InputTranscriptCompleted("item_U", "Hi"),
        ),
        (
            rt.InputAudioTranscriptionFailedEvent(item_id="item_U", error=rt.TranscriptionError(code="too_quiet")),
            rt.InputTranscriptFailed("item_U", "too_quiet"),
        ),
        (
            rt.ResponseOutputAudioDeltaEvent(**IN_A, content_index=1, delta=b"\xff\x00"),
            rt.AudioDelta("resp_1", "item_A", 1, b"\xff\x00"),
        ),
        (rt.ResponseOutputAudioDoneEvent(**IN_A), rt.AudioDone("resp_1", "item_A", 0)),
        (rt.ResponseOutputAudioTranscriptDeltaEvent(**IN_A, delta="Hi"), rt.TranscriptDelta("resp_1", "item_A", "Hi")),
        (
            rt.ResponseOutputAudioTranscriptDoneEvent(**IN_A, transcript="Hi"),
            rt.TranscriptDone("resp_1", "item_A", "Hi"),
        ),
        (rt.ResponseOutputTextDoneEvent(**IN_A, text="{}"), rt.TextDone("resp_1", "item_A", "{}")),
        (
            rt.RateLimitsUpdatedEvent(rate_limits=(rt.RateLimit(name="tokens", remaining=5),)),
            rt.RateLimitsUpdated((rt.RateLimit(name="tokens", remaining=5),)),
        ),
        (
            rt.ResponseOutputItemAddedEvent(response_id="resp_1", output_index=2, item=call_item("c", "in_progress")),
            rt.OutputItemStarted("resp_1", "item_c", "function_call", 2),
        ),
        (
            rt.ConversationItemAddedEvent(previous_item_id="item_A", item=samples.ITEMS[3]),
            rt.ItemAdded("item_U", "item_A", "message", "user"),
        ),
        (
            rt.ConversationItemCreatedEvent(item=call_item("c")),
            rt.ItemAdded("item_c", None, "function_call", None),
        ),
    ],
)
def test_each_server_event_has_its_meaning(said: rt.KnownServerEvent, meant: rt.RealtimeEvent) -> None:
    assert ready().hear(said) == [meant]


@pytest.mark.parametrize("event", samples.SERVER_EVENTS)
def test_every_server_event_is_taken_in_every_state(event: rt.KnownServerEvent) -> None:
    Driven().hear(event)
    driven = Driven()
    driven.hear(CREATED)
    driven.hear(event)
    ready().hear(event)


def test_audio_before_ready_is_dropped() -> None:
    assert Driven().hear(rt.ResponseOutputAudioDeltaEvent(**IN_A, delta=b"\xff")) == []


def test_an_item_announced_under_both_names_is_one() -> None:
    driven = ready()
    assert len(driven.hear(*2 * (rt.ConversationItemAddedEvent(item=samples.ITEMS[3]),))) == 1
    assert driven.hear(rt.ConversationItemCreatedEvent(item=samples.ITEMS[3])) == []


def test_usage_is_the_sum_of_everything() -> None:
    driven = ready()
    driven.hear(created("resp_1"), done("resp_1", status="cancelled", usage=samples.USAGE))
    driven.hear(done("resp_1", usage=samples.USAGE))  # said twice, and billed twice for all we know
    driven.hear(done(None, usage=rt.ResponseUsage(total_tokens=6)))
    driven.hear(done("resp_2", status="failed"))
    driven.hear(
        rt.InputAudioTranscriptionCompletedEvent(
            item_id="i", transcript="x", usage=rt.TranscriptionUsage(type="duration", seconds=2.0)
        )
    )
    usage = driven.session.usage
    assert (usage.responses, usage.tokens.total_tokens, usage.transcription_seconds) == (3, 594, 2.0)


def test_a_response_tells_how_it_ended() -> None:
    driven = ready()
    driven.hear(
        created("resp_1"),
        rt.ResponseOutputItemAddedEvent(response_id="resp_1", item=samples.ITEMS[4]),
        rt.ResponseOutputItemAddedEvent(response_id="resp_1", item=samples.ITEMS[4]),
        rt.ResponseOutputAudioDeltaEvent(response_id="resp_1", item_id="item_A", delta=b"\xff"),
    )
    details = rt.StatusDetails(
        type="failed", error=rt.ResponseError(type="server_error", code="rate_limit_exceeded", message="Words.")
    )
    output = (samples.ITEMS[4], call_item("c"), rt.user_message("no id"))
    assert driven.hear(done("resp_1", status="failed", status_details=details, output=output, usage=samples.USAGE)) == [
        rt.ResponseEnded(
            response_id="resp_1",
            tag=None,
            status="failed",
            reason=None,
            error_code="rate_limit_exceeded",
            error_message=rt.CODES["OH-RT-09"],
            item_ids=("item_A", "item_c"),
            has_audio=True,
            usage=rt.TokenUsage(
                total_tokens=294,
                input_tokens=198,
                output_tokens=96,
                input_text_tokens=170,
                input_audio_tokens=28,
                cached_tokens=128,
                cached_text_tokens=128,
                output_text_tokens=18,
                output_audio_tokens=78,
            ),
            error_detail="Words.",
        )
    ]
    # What still comes for it is passed on, and opens nothing anew.
    late = driven.hear(
        rt.ResponseOutputAudioDeltaEvent(response_id="resp_1", item_id="item_A", delta=b"\xff"),
        rt.ResponseOutputItemAddedEvent(response_id="resp_1", item=samples.ITEMS[4]),
    )
    assert [type(event) for event in late] == [rt.AudioDelta, rt.OutputItemStarted]


@pytest.mark.parametrize(
    ("fields", "ended"),
    [
        (
            {"status": "cancelled", "status_details": rt.StatusDetails(type="cancelled", reason="turn_detected")},
            ("cancelled", "turn_detected", None, None),
        ),
        ({"status": "failed"}, ("failed", None, "OH-RT-09", "")),
        ({"status": None, "output": None}, ("unknown", None, None, None)),
    ],
)
def test_other_endings(fields: dict[str, Any], ended: tuple[str, str | None, str | None, str | None]) -> None:
    driven = ready()
    driven.hear(created("resp_1"))
    (event,) = driven.hear(done("resp_1", **fields))
    assert isinstance(event, rt.ResponseEnded)
    assert (event.status, event.reason, event.error_code, event.error_detail) == ended
    assert (event.item_ids, event.has_audio, event.usage) == ((), False, None)


# --- what the owner sends


def test_each_action_is_one_event_with_its_own_id() -> None:
    driven = ready()
    session = driven.session
    session.send_audio(b"\xff" * 3)
    session.clear_input()
    assert session.send_item(rt.user_message("Hi")) == "oh_3"
    assert session.send_item(rt.system_message("Hm"), previous_item_id="root") == "oh_4"
    session.truncate_item("item_A", 0, 860)
    session.truncate_item("item_A", 0, -1)
    session.delete_item("item_B")
    session.update_session(rt.SessionConfig(instructions="New."))
    assert driven.sent() == [
        rt.InputAudioBufferAppendEvent(audio=b"\xff" * 3),
        rt.InputAudioBufferClearEvent(event_id="oh_2"),
        rt.ConversationItemCreateEvent(event_id="oh_3", item=rt.user_message("Hi")),
        rt.ConversationItemCreateEvent(event_id="oh_4", previous_item_id="root", item=rt.system_message("Hm")),
        rt.ConversationItemTruncateEvent(event_id="oh_5", item_id="item_A", content_index=0, audio_end_ms=860),
        rt.ConversationItemTruncateEvent(event_id="oh_6", item_id="item_A", content_index=0, audio_end_ms=0),
        rt.ConversationItemDeleteEvent(event_id="oh_7", item_id="item_B"),
        rt.SessionUpdateEvent(event_id="oh_8", session=rt.SessionConfig(instructions="New.")),
    ]


def test_the_formats_of_a_running_session_stay() -> None:
    driven = ready()
    for audio in (
        rt.AudioConfig(input=rt.AudioInput(format=rt.PCMU)),
        rt.AudioConfig(output=rt.AudioOutput(format=None)),
    ):
        with pytest.raises(rt.LocalError):
            driven.session.update_session(rt.SessionConfig(audio=audio))
    voice = rt.SessionConfig(audio=rt.AudioConfig(output=rt.AudioOutput(voice="ash")))
    driven.session.update_session(voice)
    assert driven.hear(rt.SessionUpdatedEvent(session=rt.merge_config(ECHO.session, voice))) == []
    pcm = rt.SessionConfig(audio=rt.AudioConfig(input=rt.AudioInput(format=rt.AudioFormat("audio/pcm"))))
    assert driven.hear(rt.SessionUpdatedEvent(session=rt.merge_config(ECHO.session, pcm))) == [
        rt.ErrorReceived("OH-RT-04", "asked for input format audio/pcmu, the server uses audio/pcm", None, True)
    ]


# --- function calls


def test_a_call_is_ready_when_its_item_is_complete_and_only_once() -> None:
    driven = ready()
    driven.hear(created("resp_1"))
    assert driven.hear(item_done("resp_1", call_item("c1"))) == [
        rt.FunctionCallReady("resp_1", "item_c1", "c1", "look", "{}")
    ]
    assert driven.hear(item_done("resp_1", call_item("c1")), item_done("resp_1", call_item("c2", "incomplete"))) == []
    assert driven.hear(item_done("resp_1", rt.FunctionCallItem(name="look"))) == []
    assert driven.hear(item_done("resp_1", rt.assistant_message("Hi"))) == []
    (event,) = driven.hear(item_done("resp_1", rt.FunctionCallItem(name="look", call_id="c3", status=None)))
    assert event == rt.FunctionCallReady("resp_1", "", "c3", "look", "")


def outputs(driven: Driven) -> list[tuple[str, Any]]:
    return [
        (event.item.output, event.previous_item_id)
        for event in driven.sent()
        if isinstance(event, rt.ConversationItemCreateEvent) and isinstance(event.item, rt.FunctionCallOutputItem)
    ]


def test_outputs_wait_for_the_response_that_made_the_call() -> None:
    driven = ready()
    driven.hear(
        created("resp_1"),
        item_done("resp_1", call_item("c1")),
        item_done("resp_1", call_item("c2")),
        item_done("resp_1", call_item("c3")),
        item_done("resp_9", call_item("c9")),
    )
    session = driven.session
    session.send_function_output("c2", "two")
    session.send_function_output("c1", "one")
    session.request_response(rt.ResponseRequest(tag="tool"), driven.now)
    assert driven.sent() == []
    driven.hear(done("resp_1"))
    sent = driven.sent()
    assert [event.item for event in sent if isinstance(event, rt.ConversationItemCreateEvent)] == [
        rt.FunctionCallOutputItem(call_id="c1", output="one"),
        rt.FunctionCallOutputItem(call_id="c2", output="two"),
    ]
    assert isinstance(sent[2], rt.ResponseCreateEvent)  # after the outputs, so that it sees them
    session.send_function_output("c3", "three")
    assert outputs(driven) == [("three", "item_c3")]
    session.send_function_output("c3", "again")
    session.send_function_output("c1", "again")
    session.send_function_output("unknown", "four")
    assert outputs(driven) == [("four", rt.UNSET)]


def test_a_call_that_shows_after_its_response_is_not_held() -> None:
    driven = ready()
    driven.hear(created("resp_1"), done("resp_1"), item_done("resp_1", call_item("c1")))
    driven.session.send_function_output("c1", "one")
    assert outputs(driven) == [("one", "item_c1")]
