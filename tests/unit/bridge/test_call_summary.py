"""The summary: made beside the call of what was heard, used if it comes in time, and never in anybody's way."""

from collections.abc import Callable
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import Turn
from offhook.bridge.summary import MAX_HEARD, MAX_LAST_WORDS, MAX_SUMMARY, Summary
from offhook.realtime import RealtimeSession
from offhook.realtime.state import SessionState
from tests.unit.bridge.exits import GOODBYE, SENTENCE, Exit
from tests.unit.bridge.harness import plan, speech

WORDS = "They want a person."


class Summarized(Exit):
    """A model that summarizes as the test wants it."""

    def __init__(self, how: Callable[["Summarized", dict[str, Any]], None] | None = None, **settings: Any) -> None:
        self.how = how
        super().__init__(plan(summary="always", **settings))

    def _summary(self, create: dict[str, Any]) -> None:
        if self.how is None:
            super()._summary(create)
        else:
            self.how(self, create)

    def ends(self, tool: str = "end_call") -> None:
        """They talk, then the agent ends the call."""
        self.ready()
        self.ai.caller_turn("c1", "A human, please.")
        response = self.respond()
        self.speak(response, SENTENCE)
        self.ai.text("You are being connected.", response, f"item_of_{response}")
        self.ai.call(tool, '{"reason":"asked for it"}', response)
        self.over(response)
        self.advance(20)

    @property
    def wish(self) -> dict[str, Any]:
        (create,) = [event for event in self.ai.received("response.create") if event["response"].get("conversation")]
        wish: dict[str, Any] = create["response"]
        return wish

    def part(self, kind: str, **fields: Any) -> None:
        self.ai.send(kind, response_id="resp_s", item_id="item_s", output_index=0, content_index=0, **fields)

    def response(self, kind: str, create: dict[str, Any], **fields: Any) -> None:
        metadata = create["response"]["metadata"]
        response = {"object": "realtime.response", "id": "resp_s", "conversation_id": None, "metadata": metadata}
        self.ai.send(kind, response={**response, "status": "in_progress", **fields})


def test_the_wish_is_out_of_band() -> None:
    call = Summarized()
    call.ends()
    wish = call.wish
    assert wish.pop("instructions").startswith("Summarize this phone call")
    assert wish.pop("metadata")["offhook"].endswith("/beside/summary")
    ((message,),) = [wish.pop("input")]
    assert message["role"] == "user"
    text = "Caller: A human, please.\nReason given by the agent: asked for it"
    assert message["content"] == [{"type": "input_text", "text": text}]
    assert wish == {
        "conversation": "none",
        "output_modalities": ["text"],
        "tool_choice": "none",
        "max_output_tokens": 400,
    }
    assert call.variables["OFFHOOK_SUMMARY"] == WORDS


@pytest.mark.parametrize(
    ("when", "tool", "wanted"),
    [
        ("escalated", "escalate", True),
        ("escalated", "end_call", False),
        ("always", "end_call", True),
        ("never", "escalate", False),
    ],
)
def test_when_it_is_made(when: str, tool: str, wanted: bool) -> None:
    call = Summarized()
    call.agent = plan(summary=when)
    call.ends(tool)
    plain = "Caller: A human, please. Agent: You are being connected."
    assert call.variables["OFFHOOK_SUMMARY"] == (WORDS if wanted else plain)


def late(call: Summarized, create: dict[str, Any]) -> None:
    call.at(30, lambda: Exit._summary(call, create))


def never(call: Summarized, create: dict[str, Any]) -> None:
    pass


def refused(call: Summarized, create: dict[str, Any]) -> None:
    call.ai.refuse("invalid_value", create["event_id"])


def failed(call: Summarized, create: dict[str, Any]) -> None:
    call.response("response.created", create)
    call.response("response.done", create, status="failed", status_details={"type": "failed"})


def without_text(call: Summarized, create: dict[str, Any]) -> None:
    call.response("response.created", create)
    call.part("response.output_text.done", text=" \n ")
    call.response("response.done", create, status="completed")


def lost(call: Summarized, create: dict[str, Any]) -> None:
    call.response("response.created", create)
    call.ai_lost()


@pytest.mark.parametrize("how", [late, never, refused, failed, without_text, lost])
def test_what_does_not_come_in_time_holds_nothing_up(how: Callable[[Summarized, dict[str, Any]], None]) -> None:
    quick, slow = Summarized(), Summarized(how)
    for call in (quick, slow):
        call.ends()
        assert call.heard_then == SENTENCE
    assert slow.disconnected_at == quick.disconnected_at
    assert slow.variables["OFFHOOK_SUMMARY"] == "Caller: A human, please. Agent: You are being connected."
    assert (slow.ended.outcome, slow.ended.reason) == ("completed", "agent_ended")


def spoken(call: Summarized, create: dict[str, Any]) -> None:
    """A model that answers with audio, and calls a tool beside."""
    call.response("response.created", create)
    message = {"id": "item_s", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    call.ai.send("response.output_item.added", response_id="resp_s", output_index=0, item=message)
    call.ai.audio(speech(3000, 50), "resp_s", "item_s")
    call.part("response.output_audio.done")
    call.part("response.output_audio_transcript.delta", delta="They want")
    call.part("response.output_audio_transcript.done", transcript=f"  {WORDS}\n")
    call.ai.call("order_status", response="resp_s", call="call_s")
    call.response("response.done", create, status="completed")


def test_a_summary_that_is_spoken_is_not_heard() -> None:
    call = Summarized(spoken)
    call.ends()
    assert call.heard_then == SENTENCE
    assert call.variables["OFFHOOK_SUMMARY"] == WORDS
    assert [turn.speaker for turn in call.turns] == ["caller", "agent"]


def unmarked(call: Summarized, create: dict[str, Any], conversation: str | None = None) -> None:
    """A server that does not echo metadata."""
    call.response("response.created", create, metadata=None, conversation_id=conversation)
    call.part("response.output_text.done", text=WORDS)
    call.response("response.done", create, metadata=None, conversation_id=conversation, status="completed")


def test_without_metadata_it_is_known_by_its_place() -> None:
    """It comes while the goodbye is being said, and must not be taken for what ends that."""
    call = Summarized(unmarked)
    call.ready()
    response = call.respond()
    call.speak(response, SENTENCE[:8000])
    call.ai.call("end_call", '{"reason":"asked for it"}', response)
    call.advance(0.3)
    call.speak(response, SENTENCE[8000:])
    call.over(response)
    call.advance(10)
    assert call.heard_then == SENTENCE
    assert call.variables["OFFHOOK_SUMMARY"] == WORDS


def test_a_server_that_hides_it_among_the_answers_loses_it_and_no_more() -> None:
    call = Summarized(lambda self, create: unmarked(self, create, "conv_1"))
    call.ready()
    response = call.respond()
    call.ai.call("end_call", '{"reason":"asked for it"}', response)
    call.over(response)
    call.advance(15)
    assert call.variables["OFFHOOK_SUMMARY"] == ""
    assert call.ended.outcome == "completed"


def test_it_does_not_take_the_floor() -> None:
    """The goodbye is asked for and said while the summary is under way."""
    call = Summarized(lambda self, create: self.response("response.created", create))
    call.ready()
    response = call.respond()
    call.ai.call("end_call", '{"reason":"asked for it"}', response)
    call.over(response)
    call.advance(10)
    assert call.heard_then == GOODBYE
    assert call.ai.received("response.cancel") == []


def test_of_an_interrupted_turn_it_holds_what_was_heard() -> None:
    call = Summarized()
    call.ready()
    response = call.respond()
    call.speak(response, speech(4000))
    item = f"item_of_{response}"
    call.ai.item_done("one two three four five six seven eight", response, item)
    call.over(response)
    call.advance(2.1)
    call.ai.speech_started("c1")
    call.ai.speech_stopped("c1")
    call.ai.committed("c1")
    call.ai.transcribed("c1", "Stop.")
    response = call.respond()
    call.ai.call("end_call", "{}", response)
    call.over(response)
    call.advance(10)
    assert call.wish["input"][0]["content"][0]["text"] == "Agent: one two three four\nCaller: Stop."


def test_words_that_are_not_settled_yet_are_in_it() -> None:
    """The caller's last words stand behind a turn whose own have not come."""
    call = Summarized()
    call.ready()
    call.ai.committed("c1")
    call.ai.committed("c2", "c1")
    call.ai.transcribed("c2", "A human, now.")
    response = call.respond()
    call.ai.call("escalate", "{}", response)
    call.over(response)
    call.advance(10)
    assert call.wish["input"][0]["content"][0]["text"] == "Caller: A human, now."


def test_of_a_call_without_a_word_there_is_none() -> None:
    call = Summarized()
    call.ready()
    response = call.respond()
    call.ai.call("end_call", "{}", response)
    call.over(response)
    call.advance(10)
    assert all("conversation" not in create["response"] for create in call.ai.received("response.create"))
    assert call.variables["OFFHOOK_SUMMARY"] == ""


def test_a_rule_that_is_broken_leaves_the_last_words() -> None:
    call = Summarized()
    call.ready()
    call.ai.committed("c1")
    call.ai.caller_turn("c2", "Where is it?", "c1")
    call.raw_text("{")
    assert call.variables["OFFHOOK_SUMMARY"] == "Caller: Where is it?"


class TestSummary:
    def summary(self) -> tuple[Summary, RealtimeSession]:
        session = RealtimeSession(rt.SessionConfig())
        session.state = SessionState.READY
        return Summary(session), session

    def turn(self, text: str, speaker: str = "caller") -> Turn:
        return Turn(speaker=speaker, text=text)

    def test_a_long_talk_is_cut_at_its_beginning(self) -> None:
        summary, session = self.summary()
        for number in range(100):
            summary.add(self.turn(f"{number} " + "x" * 500))
        summary.wanted = True
        summary.ask((), "", 1.0)
        (event,) = session.data_to_send()
        assert b"99 xxx" in event
        assert b"Caller: 0 " not in event
        assert len(event) < MAX_HEARD + 2000

    def test_a_turn_longer_than_all(self) -> None:
        summary, session = self.summary()
        summary.add(self.turn("a"))
        summary.add(self.turn("b" * 16_000))
        summary.wanted = True
        summary.ask((), "", 1.0)
        (event,) = session.data_to_send()
        assert event.count(b"b") > MAX_HEARD - 100
        assert len(event) < MAX_HEARD + 2000

    def test_turns_without_words_are_left_out(self) -> None:
        summary, session = self.summary()
        summary.add(self.turn(""))
        summary.wanted = True
        summary.ask((), "", 1.0)
        assert session.data_to_send() == []

    def test_it_is_bounded(self) -> None:
        summary, session = self.summary()
        summary.add(self.turn("x"))
        summary.wanted = True
        summary.ask((), "", 1.0)
        session.events()
        assert summary.takes(rt.ResponseStarted("r", "summary"))
        assert not summary.takes(rt.TextDone("other", "i", "hello"))
        assert summary.takes(rt.TextDone("r", "i", "word  \n " * 1000))
        assert len(summary.best(())) == MAX_SUMMARY
        assert summary.best(()).startswith("word word ")
        assert not summary.takes(rt.ResponseRefused("goodbye", "x"))

    def test_the_last_words_of_both_sides(self) -> None:
        summary, _ = self.summary()
        for speaker, text in (("agent", "Hi."), ("caller", "My order."), ("keypad", "42"), ("agent", "It is late.")):
            summary.add(self.turn(text, speaker))
        assert summary.best(()) == "Caller: My order. Keypad: 42 Agent: It is late."
        assert summary.best([self.turn("Oh no.")]) == "Keypad: 42 Agent: It is late. Caller: Oh no."
        summary.add(self.turn("y" * 9000))
        assert len(summary.best(())) == MAX_LAST_WORDS
