"""The transcript: order of the conversation, heard part only, nothing waits for ever."""

import pytest

from offhook.bridge import Turn
from offhook.bridge.playout import Heard
from offhook.bridge.transcript import (
    BYTES_PER_CHARACTER,
    MARK,
    MAX_OPEN,
    MAX_TEXT,
    TRANSCRIPT_DEADLINE,
    Transcript,
    heard_text,
)


@pytest.mark.parametrize(
    ("heard", "received", "split"),
    [
        (0, 100, ("", "We are open nine to six")),
        (100, 100, ("We are open nine to six", "")),
        (120, 100, ("We are open nine to six", "")),
        (50, 100, ("We are open", "nine to six")),
        (5, 100, ("", "We are open nine to six")),
        (99, 100, ("We are open nine to", "six")),
    ],
)
def test_text_is_split_between_words(heard: int, received: int, split: tuple[str, str]) -> None:
    assert heard_text("We are open nine to six", heard, received) == split


def played(item: str, heard: int = 8000, received: int = 8000) -> Heard:
    return Heard(item, 0, heard, received, done=True)


def settled(transcript: Transcript) -> list[tuple[str, str]]:
    return [(turn.speaker, turn.text) for turn in transcript.settled()]


def test_turns_leave_in_the_order_of_the_conversation() -> None:
    transcript = Transcript()
    transcript.begin("u1", "caller")
    transcript.commit("u1", 1.0, transcribed=True)
    transcript.begin("a1", "agent")
    transcript.add_text("a1", "Nine ")
    transcript.add_text("a1", "to six.")
    transcript.begin("u2", "caller", "a1")
    transcript.commit("u2", 2.0, transcribed=True)
    transcript.finish_text("u2", "Thanks.")
    transcript.played(played("a1"))
    transcript.finish_text("a1")
    assert settled(transcript) == []
    transcript.finish_text("u1", "When are you open?")
    assert settled(transcript) == [("caller", "When are you open?"), ("agent", "Nine to six."), ("caller", "Thanks.")]
    assert transcript.next_timer() is None or transcript.next_timer() == 1.0 + TRANSCRIPT_DEADLINE


def test_a_turn_is_put_behind_its_predecessor() -> None:
    transcript = Transcript()
    transcript.begin("u1", "caller")
    transcript.begin("u3", "caller", "u2")
    transcript.begin("u2", "caller", "u1")
    transcript.begin("u2", "agent")  # known: left where and what it is
    for item in ("u3", "u2", "u1"):
        transcript.finish_text(item, item)
    assert settled(transcript) == [("caller", "u1"), ("caller", "u2"), ("caller", "u3")]


def test_an_interrupted_turn_keeps_what_was_heard() -> None:
    transcript = Transcript()
    transcript.begin("a1", "agent")
    transcript.cut(Heard("a1", 0, 4000, 6000, done=False))
    transcript.unheard("a1", 2000)
    transcript.finish_text("a1", "one two three four")
    (turn,) = transcript.settled()
    assert (turn.text, turn.unheard, turn.interrupted) == ("one two", "three four", True)
    assert (turn.heard_ms, turn.audio_ms, turn.item_id) == (500, 1000, "a1")


def test_words_without_audio_were_not_heard() -> None:
    transcript = Transcript()
    transcript.begin("a1", "agent")
    transcript.finish_text("a1", "Only text.")
    transcript.silence("a1")
    transcript.silence("a1")
    (turn,) = transcript.settled()
    assert (turn.text, turn.unheard, turn.audio_ms) == ("", "Only text.", 0)


def test_a_transcript_that_never_comes_is_given_up() -> None:
    transcript = Transcript()
    transcript.begin("u1", "caller")
    transcript.commit("u1", 1.0, transcribed=True)
    transcript.begin("u2", "caller")
    transcript.commit("u2", 2.0, transcribed=True)
    transcript.finish_text("u2", "Hello?")
    assert transcript.next_timer() == 1.0 + TRANSCRIPT_DEADLINE
    transcript.handle_timer(5.0)
    assert settled(transcript) == []
    transcript.handle_timer(1.0 + TRANSCRIPT_DEADLINE)
    assert settled(transcript) == [("caller", "Hello?")], "the turn without words is left out"
    assert transcript.next_timer() is None


def test_without_transcription_nothing_is_awaited() -> None:
    transcript = Transcript()
    transcript.begin("u1", "caller")
    transcript.commit("u1", 1.0, transcribed=False)
    assert transcript.next_timer() is None
    assert settled(transcript) == []


def test_words_that_came_before_the_commit() -> None:
    transcript = Transcript()
    transcript.begin("u0", "caller")
    transcript.begin("u1", "caller")
    transcript.finish_text("u1", "Early.")
    transcript.commit("u1", 1.0, transcribed=True)
    assert transcript.next_timer() is None
    transcript.add_text("u1", " ignored")
    transcript.finish_text("u1", "ignored")
    transcript.finish_text("u0", "First.")
    assert settled(transcript) == [("caller", "First."), ("caller", "Early.")]


def test_unknown_items_are_ignored() -> None:
    transcript = Transcript()
    transcript.add_text("x", "words")
    transcript.finish_text("x", "words")
    transcript.commit("x", 1.0, transcribed=True)
    transcript.played(played("x"))
    transcript.unheard("x", 100)
    transcript.silence("x")
    assert settled(transcript) == []


def test_bounds() -> None:
    transcript = Transcript()
    for number in range(MAX_OPEN + 10):
        transcript.begin(f"u{number}", "caller")
        transcript.add_text(f"u{number}", "w")
    assert len(transcript.settled()) == 10
    transcript.add_text("u70", "x" * (MAX_TEXT * 2))
    transcript.close()
    assert max(len(turn.text) for turn in transcript.settled()) == MAX_TEXT


def test_close_releases_all() -> None:
    transcript = Transcript()
    transcript.begin("u1", "caller")
    transcript.commit("u1", 1.0, transcribed=True)
    transcript.add_text("u1", "half a")
    transcript.begin("a1", "agent")
    transcript.finish_text("a1", "Never played.")
    transcript.close()
    turns = transcript.settled()
    assert [(turn.text, turn.unheard) for turn in turns] == [("half a", ""), ("", "Never played.")]


def test_a_turn_that_was_none() -> None:
    transcript = Transcript()
    transcript.begin("u1", "caller")
    transcript.commit("u1", 1.0, transcribed=True)
    transcript.begin("a1", "agent")
    transcript.played(played("a1"))
    transcript.finish_text("a1", "Nine to six.")
    assert settled(transcript) == []
    transcript.drop("u1")
    transcript.drop("x")
    transcript.finish_text("u1", "Hrm.")
    assert settled(transcript) == [("agent", "Nine to six.")]
    assert transcript.next_timer() is None


# From one session to the next.


def mark(item: str) -> Turn:
    return Turn(speaker=MARK, text="", item_id=item)


def test_a_mark_comes_out_in_its_place() -> None:
    transcript = Transcript()
    transcript.begin("a1", "agent")
    transcript.finish_text("a1", "One moment.")
    transcript.mark(mark("call_1"))
    transcript.begin("u1", "caller")
    transcript.finish_text("u1", "Yes?")
    assert settled(transcript) == []
    assert [turn.item_id for turn in transcript.open_turns()] == ["a1", "call_1", "u1"]
    assert [turn.item_id for turn in transcript.unsettled()] == ["u1"], "a mark is nothing that was said"
    transcript.played(played("a1"))
    assert [turn.item_id for turn in transcript.settled()] == ["a1", "call_1", "u1"]


def test_marks_do_not_wait_without_end() -> None:
    transcript = Transcript()
    transcript.begin("a1", "agent")
    for number in range(MAX_OPEN * 2):
        transcript.mark(mark(f"call_{number}"))
        assert len(transcript.open_turns()) <= MAX_OPEN
    transcript.close()
    assert len(transcript.settled()) == MAX_OPEN * 2


def test_the_words_of_the_caller_that_will_not_come() -> None:
    transcript = Transcript()
    transcript.begin("u1", "caller")
    transcript.commit("u1", 1.0, transcribed=True)
    transcript.add_text("u1", "Where is ")
    transcript.begin("a1", "agent")
    transcript.session_lost()
    assert transcript.next_timer() is None
    assert settled(transcript) == [("caller", "Where is")]
    assert [turn.item_id for turn in transcript.open_turns()] == ["a1"], "that may be heard still"


def test_a_turn_of_the_agent_that_breaks_off() -> None:
    """Its words are ahead of its sound: what cannot have been said is not taken for heard."""
    text = "Nine to six on all days."
    transcript = Transcript()
    transcript.begin("a1", "agent")
    transcript.add_text("a1", text)
    assert transcript.text("a1") == (text, 1)
    transcript.break_off("a1")
    assert transcript.text("a1") == (text, len(text) * BYTES_PER_CHARACTER)
    transcript.played(played("a1", heard=4000, received=4000))
    (turn,) = transcript.settled()
    assert (turn.text, turn.unheard) == ("Nine to", "six on all days.")
    assert transcript.text("a1") == ("", 1)


def test_a_turn_of_the_agent_that_was_complete() -> None:
    transcript = Transcript()
    transcript.begin("a1", "agent")
    transcript.finish_text("a1", "Nine to six on all days.")
    transcript.break_off("a1")
    transcript.break_off("unknown")
    transcript.played(played("a1", heard=4000, received=4000))
    assert settled(transcript) == [("agent", "Nine to six on all days.")]
