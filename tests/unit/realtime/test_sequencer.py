"""One response at a time (openai-realtime.md §5.2), through the session that owns the sequencer."""

from typing import Any

import pytest

from offhook import realtime as rt
from offhook.realtime.ledger import MAX_RECORDS
from offhook.realtime.sequencer import ANSWER_TIMEOUT, MAX_WAITING
from tests.unit.realtime.driving import Driven, created, done, error, ready

BUSY = "conversation_already_has_active_response"


def ask(driven: Driven, tag: str, **fields: Any) -> None:
    driven.session.request_response(rt.ResponseRequest(tag=tag, **fields), driven.now)


def create_of(driven: Driven) -> rt.ResponseCreateEvent:
    (create,) = driven.creates()
    return create


def tag_of(create: rt.ResponseCreateEvent) -> str:
    assert isinstance(create.response, rt.ResponseParams)
    assert create.response.metadata
    return create.response.metadata["offhook"].rpartition("/")[2]


def event_id(create: rt.ResponseCreateEvent) -> str:
    assert isinstance(create.event_id, str)
    return create.event_id


def cancels(driven: Driven) -> list[Any]:
    return [event.response_id for event in driven.sent() if isinstance(event, rt.ResponseCancelEvent)]


def started(event: rt.RealtimeEvent) -> tuple[str, str | None, bool]:
    assert isinstance(event, rt.ResponseStarted)
    return event.response_id, event.tag, event.cancelling


def ended(event: rt.RealtimeEvent) -> tuple[str, str | None, str]:
    assert isinstance(event, rt.ResponseEnded)
    return event.response_id, event.tag, event.status


def active(driven: Driven) -> str | None:
    return driven.session.active_response_id


def refused(*pairs: tuple[str, str]) -> list[rt.ResponseRefused]:
    return [rt.ResponseRefused(tag, code) for tag, code in pairs]


def test_a_request_becomes_a_response() -> None:
    driven = ready()
    ask(driven, "greeting", instructions="Greet.")
    create = create_of(driven)
    assert active(driven) is None
    assert driven.session.next_timer() == driven.now + ANSWER_TIMEOUT
    assert driven.hear(created("resp_1", create)) == [rt.ResponseStarted("resp_1", "greeting")]
    assert active(driven) == "resp_1"
    assert driven.session.next_timer() is None
    (event,) = driven.hear(done("resp_1", create))
    assert ended(event) == ("resp_1", "greeting", "completed")
    assert active(driven) is None


def test_a_second_request_waits_and_the_same_tag_counts_once() -> None:
    driven = ready()
    ask(driven, "greeting")
    create = create_of(driven)
    ask(driven, "tool", instructions="Old.")
    ask(driven, "note")
    ask(driven, "tool", instructions="New.")
    driven.hear(created("resp_1", create))
    assert driven.creates() == []
    driven.hear(done("resp_1", create))
    second = create_of(driven)
    assert tag_of(second) == "tool"
    assert isinstance(second.response, rt.ResponseParams)
    assert second.response.instructions == "New."
    driven.hear(created("resp_2", second), done("resp_2", second))
    assert tag_of(create_of(driven)) == "note"


def test_only_if_idle_does_not_wait() -> None:
    driven = ready()
    ask(driven, "greeting")
    ask(driven, "nudge", only_if_idle=True)
    assert driven.session.events() == refused(("nudge", "OH-RT-12"))


def test_the_queue_is_bounded() -> None:
    driven = ready()
    ask(driven, "greeting")
    for n in range(MAX_WAITING + 1):
        ask(driven, f"t{n}")
    assert driven.session.events() == refused((f"t{MAX_WAITING}", "OH-RT-11"))


def test_a_response_of_turn_detection_is_adopted() -> None:
    driven = ready()
    assert driven.hear(created("resp_1")) == [rt.ResponseStarted("resp_1", None)]
    assert driven.session.active_response_id == "resp_1"
    ask(driven, "tool")
    assert driven.creates() == []
    (event,) = driven.hear(done("resp_1"))
    assert ended(event) == ("resp_1", None, "completed")
    assert tag_of(create_of(driven)) == "tool"


@pytest.mark.parametrize("known", [True, False])
def test_a_refused_create_is_repeated_when_the_other_response_is_done(known: bool) -> None:
    driven = ready()
    ask(driven, "tool")
    create = create_of(driven)
    ask(driven, "later")
    driven.hear(created("resp_vad"))
    events = driven.hear(error(BUSY, event_id(create) if known else None))
    assert [type(event) for event in events] == [rt.ErrorReceived]
    assert driven.creates() == []
    assert driven.session.next_timer() is None
    driven.hear(done("resp_vad"))
    again = create_of(driven)
    assert tag_of(again) == "tool"
    assert event_id(again) != event_id(create)
    assert driven.hear(created("resp_2", again)) == [rt.ResponseStarted("resp_2", "tool")]


def test_a_refused_create_gives_way_to_a_newer_one_of_its_tag() -> None:
    driven = ready()
    ask(driven, "tool", instructions="Old.")
    create = create_of(driven)
    ask(driven, "tool", instructions="New.")
    driven.hear(created("resp_vad"), error(BUSY, event_id(create)), done("resp_vad"))
    again = create_of(driven)
    assert isinstance(again.response, rt.ResponseParams)
    assert again.response.instructions == "New."
    driven.hear(created("resp_2", again), done("resp_2", again))
    assert driven.creates() == []


def test_a_refused_create_that_must_not_wait_is_dropped() -> None:
    driven = ready()
    ask(driven, "nudge", only_if_idle=True)
    create = create_of(driven)
    events = driven.hear(created("resp_vad"), error(BUSY, event_id(create)), done("resp_vad"))
    assert refused(("nudge", "OH-RT-12"))[0] in events
    assert driven.creates() == []


def test_busy_without_a_response_we_know_waits_for_its_end() -> None:
    driven = ready()
    ask(driven, "tool")
    driven.hear(error(BUSY, event_id(create_of(driven))))
    assert driven.creates() == []
    assert driven.session.next_timer() == driven.now + ANSWER_TIMEOUT
    events = driven.hear(done("resp_unseen"))
    assert started(events[0]) == ("resp_unseen", None, False)
    assert ended(events[1]) == ("resp_unseen", None, "completed")
    assert tag_of(create_of(driven)) == "tool"


def test_busy_without_any_end_is_tried_again_in_time() -> None:
    driven = ready()
    ask(driven, "tool")
    create_of(driven)
    driven.hear(error(BUSY))
    assert driven.at(driven.now + 9.9) == []
    assert driven.creates() == []
    assert driven.at(driven.now + 0.1) == []
    assert tag_of(create_of(driven)) == "tool"


def test_busy_then_created_ends_the_wait_for_the_unknown() -> None:
    driven = ready()
    ask(driven, "tool")
    create_of(driven)
    driven.hear(error(BUSY), created("resp_vad"))
    assert driven.session.next_timer() is None
    driven.hear(done("resp_vad"))
    assert tag_of(create_of(driven)) == "tool"


def test_a_create_refused_by_mistake_is_still_recognised() -> None:
    driven = ready()
    ask(driven, "tool")
    create = create_of(driven)
    driven.hear(error(BUSY))  # about something older, but without an event id (trap 19)
    assert driven.hear(created("resp_1", create)) == [rt.ResponseStarted("resp_1", "tool")]
    driven.hear(done("resp_1", create))
    assert driven.creates() == []


def test_errors_about_other_things_touch_no_request() -> None:
    driven = ready()
    driven.hear(error(BUSY))
    ask(driven, "tool")
    ask(driven, "later")
    create = create_of(driven)
    driven.hear(error("invalid_value", "oh_999"), error("invalid_value"), error(BUSY, "oh_999"))
    assert driven.hear(created("resp_1", create)) == [rt.ResponseStarted("resp_1", "tool")]


@pytest.mark.parametrize(("code", "shown"), [("invalid_value", "invalid_value"), (None, "OH-RT-13")])
def test_a_create_refused_for_good_makes_room(code: str | None, shown: str) -> None:
    driven = ready()
    ask(driven, "tool")
    create = create_of(driven)
    ask(driven, "later")
    events = driven.hear(error(code, event_id(create)))
    assert events[1:] == refused(("tool", shown))
    assert tag_of(create_of(driven)) == "later"


def test_a_create_without_any_answer_is_given_up() -> None:
    driven = ready()
    ask(driven, "tool")
    create = create_of(driven)
    ask(driven, "later")
    assert driven.at(driven.now + ANSWER_TIMEOUT) == refused(("tool", "OH-RT-10"))
    later = create_of(driven)
    assert tag_of(later) == "later"
    # The server wakes up: the response runs, so it is told.
    assert driven.hear(created("resp_1", create)) == [rt.ResponseStarted("resp_1", "tool")]
    driven.hear(error(BUSY, event_id(later)), done("resp_1", create))
    assert tag_of(create_of(driven)) == "later"


# --- cancelling


def test_a_cancel_names_the_response_and_waits_for_its_end() -> None:
    driven = ready()
    driven.session.cancel_response(driven.now)  # nothing to cancel
    driven.hear(created("resp_1"))
    driven.session.cancel_response(driven.now)
    driven.session.cancel_response(driven.now)
    assert cancels(driven) == ["resp_1"]
    ask(driven, "tool")
    assert driven.creates() == []
    assert driven.hear(error("response_cancel_not_active")) == [
        rt.ErrorReceived("response_cancel_not_active", rt.CODES["OH-RT-09"], None, False, "The server's words.")
    ]
    (event,) = driven.hear(done("resp_1", status="cancelled"))
    assert ended(event) == ("resp_1", None, "cancelled")
    assert driven.session.next_timer() == driven.now + ANSWER_TIMEOUT  # that of the create
    assert tag_of(create_of(driven)) == "tool"


def test_a_cancelled_response_that_never_ends_is_given_up() -> None:
    driven = ready()
    driven.hear(created("resp_1"))
    driven.session.cancel_response(driven.now)
    ask(driven, "tool")
    driven.sent()
    (event,) = driven.at(driven.now + ANSWER_TIMEOUT)
    assert ended(event) == ("resp_1", None, "unknown")
    assert driven.session.active_response_id is None
    assert tag_of(create_of(driven)) == "tool"
    assert driven.hear(done("resp_1", status="cancelled")) == []


def test_a_cancel_before_created_is_remembered() -> None:
    driven = ready()
    ask(driven, "greeting")
    create = create_of(driven)
    driven.session.cancel_response(driven.now)
    driven.session.cancel_response(driven.now)
    assert cancels(driven) == []
    assert driven.hear(created("resp_1", create)) == [rt.ResponseStarted("resp_1", "greeting", cancelling=True)]
    assert cancels(driven) == ["resp_1"]
    (event,) = driven.hear(done("resp_1", create, status="cancelled"))
    assert ended(event) == ("resp_1", "greeting", "cancelled")


def test_a_revoked_create_that_is_refused_is_not_repeated() -> None:
    driven = ready()
    ask(driven, "greeting")
    create = create_of(driven)
    driven.session.cancel_response(driven.now)
    events = driven.hear(created("resp_vad"), error(BUSY, event_id(create)), done("resp_vad"))
    assert refused(("greeting", "OH-RT-14"))[0] in events
    assert driven.creates() == []


def test_withdrawing_takes_back_what_is_no_response_yet() -> None:
    driven = ready()
    assert driven.session.withdraw_response("greeting") is False
    ask(driven, "greeting")
    create = create_of(driven)
    ask(driven, "tool")
    ask(driven, "tool2")
    assert driven.session.withdraw_response("tool") is True
    assert driven.session.events() == refused(("tool", "OH-RT-14"))
    assert driven.session.withdraw_response("greeting") is True
    assert driven.hear(created("resp_1", create)) == [rt.ResponseStarted("resp_1", "greeting", cancelling=True)]
    assert driven.session.withdraw_response("greeting") is False  # it is a response now
    driven.sent()
    driven.hear(done("resp_1", create))
    assert tag_of(create_of(driven)) == "tool2"


def test_withdrawing_needs_the_right_tag() -> None:
    driven = ready()
    driven.hear(created("resp_1"))
    ask(driven, "tool")
    ask(driven, "summary", conversation="none")
    ask(driven, "other", conversation="none")
    driven.hear(created("resp_2", driven.creates()[0], None))
    assert driven.session.withdraw_response("greeting") is False
    assert driven.sent() == []


# --- beside the conversation


def test_out_of_band_responses_run_beside() -> None:
    driven = ready()
    driven.hear(created("resp_1"))
    ask(driven, "summary", conversation="none", output_modalities=("text",))
    ask(driven, "other", conversation="none")
    summary, other = driven.creates()
    assert isinstance(summary.response, rt.ResponseParams)
    assert summary.response.conversation == "none"
    assert driven.hear(created("resp_2", summary, None), created("resp_2", summary, None)) == [
        rt.ResponseStarted("resp_2", "summary")
    ]
    assert driven.session.active_response_id == "resp_1"
    (event,) = driven.hear(done("resp_2", summary))
    assert ended(event) == ("resp_2", "summary", "completed")
    assert driven.session.active_response_id == "resp_1"
    driven.session.cancel_response(driven.now)
    assert cancels(driven) == ["resp_1"]
    driven.hear(created("resp_3", other, None), done("resp_3"))
    assert driven.session.active_response_id == "resp_1"


def test_out_of_band_creates_can_be_refused_or_time_out() -> None:
    driven = ready()
    ask(driven, "a", conversation="none")
    ask(driven, "b", conversation="none")
    ask(driven, "c", conversation="none")
    a, b, c = driven.creates()
    assert driven.hear(error("invalid_value", event_id(a)))[1:] == refused(("a", "invalid_value"))
    driven.hear(created("resp_b", b, None))
    assert driven.at(driven.now + ANSWER_TIMEOUT) == refused(("c", "OH-RT-10"))
    assert driven.session.next_timer() is None
    # Too late for us, but the marks still tell that these are no business of the conversation.
    events = driven.hear(created("resp_c", c, None), done("resp_c", c), done("resp_x", a))
    assert [type(event) for event in events] == [rt.ResponseStarted, rt.ResponseEnded] * 2
    assert driven.session.active_response_id is None


def test_out_of_band_responses_can_be_withdrawn_at_any_time() -> None:
    driven = ready()
    ask(driven, "early", conversation="none")
    ask(driven, "late", conversation="none")
    early, late = driven.creates()
    driven.hear(created("resp_2", late, None))
    assert driven.session.withdraw_response("early") is True
    assert cancels(driven) == []
    assert driven.hear(created("resp_1", early, None)) == [rt.ResponseStarted("resp_1", "early", cancelling=True)]
    assert cancels(driven) == ["resp_1"]
    assert driven.session.withdraw_response("late") is True
    assert cancels(driven) == ["resp_2"]


def test_an_out_of_band_response_without_metadata_is_known_by_having_no_conversation() -> None:
    driven = ready()
    driven.hear(created("resp_1"))
    ask(driven, "summary", conversation="none")
    ask(driven, "other", conversation="none")
    silent = rt.ResponseCreatedEvent(response=rt.Response(id="resp_0", status="in_progress"))
    driven.hear(silent)  # of a server that names no conversations
    assert active(driven) == "resp_0"
    driven.hear(created("resp_1b"))
    assert driven.hear(created("resp_2", None, None)) == [rt.ResponseStarted("resp_2", "summary")]
    assert active(driven) == "resp_1b"
    assert driven.hear(created("resp_3", None, None)) == [rt.ResponseStarted("resp_3", "other")]
    assert [ended(event) for event in driven.hear(done("resp_3"), done("resp_2"))] == [
        ("resp_3", "other", "completed"),
        ("resp_2", "summary", "completed"),
    ]
    assert active(driven) == "resp_1b"
    assert driven.session.next_timer() is None
    # When nothing is awaited beside it, it is a response of a server that names no conversation.
    driven.hear(created("resp_4", None, None))
    assert active(driven) == "resp_4"


def test_what_is_asked_for() -> None:
    driven = ready()
    found = [driven.session.pending_tags]
    ask(driven, "greeting")
    ask(driven, "tool")
    ask(driven, "summary", conversation="none")
    found.append(driven.session.pending_tags)
    for tag in ("greeting", "tool"):
        driven.session.withdraw_response(tag)
        found.append(driven.session.pending_tags)
    assert found == [(), ("greeting", "tool"), ("tool",), ()]


# --- what servers leave out or say twice


def test_a_response_that_replaces_another_ends_it() -> None:
    driven = ready()
    driven.hear(created("resp_1"))
    driven.session.cancel_response(driven.now)
    events = driven.hear(created("resp_2"))
    assert ended(events[0]) == ("resp_1", None, "unknown")
    assert started(events[1]) == ("resp_2", None, False)
    assert driven.session.next_timer() is None
    assert driven.hear(done("resp_1")) == []
    assert driven.session.active_response_id == "resp_2"


def test_done_without_created_settles_the_request() -> None:
    driven = ready()
    ask(driven, "greeting")
    create = create_of(driven)
    events = driven.hear(done("resp_1", create), created("resp_1", create), done("resp_1", create))
    assert [type(event) for event in events] == [rt.ResponseStarted, rt.ResponseEnded]
    assert driven.session.active_response_id is None
    assert driven.session.next_timer() is None


def test_a_done_without_id_is_that_of_the_active_response() -> None:
    driven = ready()
    assert driven.hear(done(None)) == []
    assert driven.hear(created(None)) == []
    driven.hear(created("resp_1"))
    (event,) = driven.hear(done(None))
    assert ended(event) == ("resp_1", None, "completed")


def test_a_created_said_twice_counts_once() -> None:
    driven = ready()
    assert len(driven.hear(created("resp_1"), created("resp_1"))) == 1


def test_books_are_bounded() -> None:
    driven = ready()
    for n in range(MAX_RECORDS * 3):
        driven.hear(rt.ResponseOutputAudioDeltaEvent(response_id=f"r{n}", item_id="i", delta=b"\xff"))
        driven.hear(done(f"d{n}"))
    ledger = driven.session._sequencer.ledger
    assert MAX_RECORDS - 1 <= len(ledger._running) <= MAX_RECORDS
    assert len(ledger._ended) == MAX_RECORDS


def test_what_is_asked_for_and_still_wanted() -> None:
    driven = ready()
    ask(driven, "greeting")
    ask(driven, "tool")
    assert list(driven.session.pending_tags) == ["greeting", "tool"]
    driven.session.cancel_response(driven.now)
    assert list(driven.session.pending_tags) == ["tool"]
    create = create_of(driven)
    driven.hear(created("resp_1", create), done("resp_1", create))
    assert list(driven.session.pending_tags) == ["tool"]
    driven.hear(created("resp_2", create_of(driven)))
    assert not driven.session.pending_tags
