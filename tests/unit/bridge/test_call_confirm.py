"""Tools that need the caller's yes, in a call."""

import json
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import InvokeTool, Prompt
from offhook.bridge.plan import BargeIn, CollectDigits, Filler, ToolPlan
from tests.unit.bridge.harness import Harness, plan, session

BOOKING: dict[str, Any] = {"tools": {"book": ToolPlan(confirm=True), "weather": ToolPlan()}}


class Booking:
    """A call in which the agent wants to book."""

    def __init__(self, **settings: Any) -> None:
        self.harness = Harness(plan(**BOOKING, **settings)).talking()
        self.number = 0
        self.asked = 0

    def call(self, arguments: str = '{"table":3}') -> list[Any]:
        """The model calls; returns what it was told at once."""
        self.begin()
        self.harness.ai.call("book", arguments, f"resp_{self.number}", f"call_{self.number}")
        self.harness.ai.done(f"resp_{self.number}")
        return self.told()

    def begin(self) -> None:
        self.number += 1
        creates = self.harness.ai.received("response.create")
        self.harness.ai.created(f"resp_{self.number}", creates[-1] if len(creates) > self.asked else None)
        self.asked = len(creates)

    def says(self, milliseconds: float = 1000, heard: float | None = None) -> None:
        """The agent asks; the caller hears it for so many seconds, or to its end."""
        self.begin()
        self.harness.ai.item(f"resp_{self.number}", f"item_{self.number}")
        self.harness.ai.audio(milliseconds, f"resp_{self.number}", f"item_{self.number}")
        self.harness.ai.item_done("Table three, right?", f"resp_{self.number}", f"item_{self.number}")
        self.harness.ai.done(f"resp_{self.number}")
        self.harness.advance(milliseconds / 1000 + 0.3 if heard is None else heard)

    def answers(self, text: str | None = "Yes.") -> None:
        item = f"caller_{self.number}"
        self.harness.ai.caller_turn(item, text)

    def told(self) -> list[Any]:
        items = [event["item"] for event in self.harness.ai.received("conversation.item.create")]
        calls = [item for item in items if item.get("call_id") == f"call_{self.number}"]
        return [json.loads(item["output"]) for item in calls]

    @property
    def ran(self) -> int:
        return len(self.harness.of(InvokeTool))


def test_asked_answered_and_run_once() -> None:
    booking = Booking()
    (told,) = booking.call()
    assert told["status"] == "confirmation_needed"
    assert booking.ran == 0
    assert booking.harness.moments_of("confirmation")[0].data == {"tool": "book"}
    assert len(booking.harness.ai.received("response.create")) == 1, "the model has to go on"
    booking.says()
    booking.answers()
    assert booking.call() == []
    assert booking.ran == 1
    booking.harness.tool_result("booked", f"call_{booking.number}")
    assert booking.call()[0]["status"] == "confirmation_needed"
    assert booking.ran == 1


def test_other_tools_need_none() -> None:
    booking = Booking()
    booking.harness.ai.created()
    booking.harness.ai.call("weather")
    assert booking.ran == 1


@pytest.mark.parametrize(
    ("milliseconds", "heard", "runs"),
    [(1000, None, 1), (3000, 0.8, 1), (3000, 0.4, 0), (300, None, 1), (3000, 0.0, 0)],
)
def test_a_part_of_the_question_has_to_be_heard(milliseconds: float, heard: float | None, runs: int) -> None:
    booking = Booking()
    booking.call()
    booking.says(milliseconds, heard)
    booking.answers()
    booking.call()
    assert booking.ran == runs


def test_the_agent_is_not_interrupted() -> None:
    booking = Booking(barge_in=BargeIn(enabled=False))
    booking.call()
    booking.says(3000, 0.8)
    booking.answers()
    booking.call()
    assert booking.ran == 1


def test_a_cut_question_was_heard_in_part() -> None:
    booking = Booking()
    booking.call()
    booking.says(3000, 0.8)
    booking.harness.ai.speech_started("cough")  # cuts it
    booking.harness.ai.speech_stopped("cough")
    booking.answers()
    booking.call()
    assert booking.ran == 1


def test_words_before_the_call_are_no_question() -> None:
    booking = Booking()
    booking.harness.ai.created("resp_0")
    booking.harness.ai.item("resp_0", "item_0")
    booking.harness.ai.audio(1000, "resp_0", "item_0")
    booking.harness.ai.call("book", '{"table":3}', "resp_0", "call_0")
    booking.harness.ai.done("resp_0")
    booking.harness.advance(2)
    booking.answers()
    booking.call()
    assert booking.ran == 0


def test_a_filler_is_no_question() -> None:
    wait = Prompt(instructions="One moment.")
    booking = Booking(filler=Filler(after=0.5, every=9.0, prompts=(wait,)))
    booking.harness.ai.created("resp_0")
    booking.harness.ai.call("weather", "{}", "resp_0", "call_w")
    booking.harness.ai.call("book", '{"table":3}', "resp_0", "call_0")
    booking.harness.ai.done("resp_0")
    booking.harness.advance(0.6)
    booking.says()
    assert "filler" in booking.harness.moments
    booking.answers()
    booking.call()
    assert [invoked.name for invoked in booking.harness.of(InvokeTool)] == ["weather"]


@pytest.mark.parametrize(("text", "runs"), [("", 0), (" ", 0), (None, 1), ("Yes.", 1)])
def test_a_transcript_without_words(text: str | None, runs: int) -> None:
    booking = Booking()
    booking.call()
    booking.says()
    booking.answers(text)
    booking.call()
    assert booking.ran == runs


@pytest.mark.parametrize(("milliseconds", "runs"), [(100, 0), (1500, 1)])
def test_a_sound_that_turns_out_to_be_none(milliseconds: int, runs: int) -> None:
    detection = rt.ServerVad(
        prefix_padding_ms=300, silence_duration_ms=500, create_response=False, interrupt_response=False
    )
    booking = Booking(
        session=session(turn_detection=detection, transcription=None), barge_in=BargeIn(min_speech=0.3, resume=True)
    )
    booking.call()
    booking.says(9000, 1.0)
    harness = booking.harness
    harness.ai.speech_started("sound", 1000)
    harness.advance(milliseconds / 1000 + 0.5)
    harness.ai.speech_stopped("sound", 1000 + 300 + milliseconds + 500)
    harness.ai.committed("sound", f"item_{booking.number}")
    harness.advance(0.1)
    booking.call()
    assert booking.ran == runs


def test_silence_that_the_server_commits_is_no_answer() -> None:
    booking = Booking()
    booking.call()
    booking.says()
    booking.harness.ai.committed("idle")
    booking.call()
    assert booking.ran == 0


@pytest.mark.parametrize(("heard", "runs"), [(None, 1), (0.2, 0)])
def test_a_key_is_an_answer(heard: float | None, runs: int) -> None:
    booking = Booking()
    booking.call()
    booking.says(3000, heard)
    booking.harness.genesys("dtmf", digit="1")
    booking.harness.genesys("dtmf", digit="#")
    booking.call()
    assert booking.ran == runs


def test_digits_that_were_asked_for_are_an_answer() -> None:
    booking = Booking(collect_digits=CollectDigits())
    booking.call()
    booking.begin()
    response = f"resp_{booking.number}"
    booking.harness.ai.item(response, "item_q")
    booking.harness.ai.audio(1000, response, "item_q")
    booking.harness.ai.item_done("Press 1 to book.", response, "item_q")
    booking.harness.ai.call("collect_digits", '{"length":1}', response, "call_digits")
    booking.harness.ai.done(response)
    booking.harness.advance(2)
    booking.harness.genesys("dtmf", digit="1")
    booking.call()
    assert booking.ran == 1


def test_a_call_that_is_not_heard_of_uses_nothing_up() -> None:
    booking = Booking()
    booking.call()
    booking.says()
    booking.answers()
    booking.begin()
    response = f"resp_{booking.number}"
    booking.harness.ai.speech_started("again")
    booking.harness.ai.call("book", '{"table":3}', response, "call_dead")
    booking.harness.ai.done(response, "cancelled")
    assert booking.ran == 0
    booking.harness.ai.speech_stopped("again")
    booking.harness.ai.committed("again")
    booking.call()
    assert booking.ran == 1
