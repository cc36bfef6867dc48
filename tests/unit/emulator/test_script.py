from typing import Any

import pytest

from offhook.emulator import script
from offhook.emulator.scenario import Failure, Scenario, Turn
from offhook.emulator.script import ALL_RIGHT, ASIDE, DIGITS_NOTED, FAREWELL, GREETING, SMALL_TALK, STILL_THERE, Script
from offhook.speech import normalise, shipped_texts

NO_TOOLS: frozenset[str] = frozenset()


def make(*turns: dict[str, Any], **scenario: Any) -> Script:
    return Script(Scenario.model_validate({"turns": list(turns), **scenario}))


def says(script: Script, instructions: str = "", tools: frozenset[str] = NO_TOOLS) -> list[str]:
    return script.answer(instructions, tools).turn.messages()


def test_turns_are_taken_in_order() -> None:
    script = make({"say": "Hello."}, {"caller": "Hi?", "say": "Nine to six."}, {"say": "More."})
    assert says(script) == ["Hello."]
    assert script.caller_text(script.caller_spoke()) == "Hi?"
    assert says(script) == ["Nine to six."]
    script.caller_spoke()
    assert says(script) == ["More."]


def test_a_caller_turn_waits_for_the_caller() -> None:
    script = make({"caller": "Hi?", "say": "Nine to six."})
    assert says(script) == [GREETING]
    assert says(script) == [STILL_THERE]
    script.caller_wrote("The caller pressed 1.")
    assert says(script) == [DIGITS_NOTED]
    script.tool_answered()
    assert says(script) == [ALL_RIGHT]
    script.caller_spoke()
    assert says(script) == ["Nine to six."]


def test_the_turn_after_a_call_waits_for_the_output() -> None:
    script = make(
        {"caller": "Order?", "call": {"name": "order_status"}},
        {"say": "It has shipped."},
        {"caller": "Ok", "say": "Bye."},
    )
    script.caller_spoke()
    assert script.answer("", NO_TOOLS).turn.calls()
    turn = script.caller_spoke()  # speaks while the tool runs
    assert turn.caller == "Ok"
    assert says(script) == ["Bye."]
    script.tool_answered()
    assert says(script) == ["It has shipped."]


def test_tool_output_without_an_owed_turn_takes_the_next_plain_one() -> None:
    script = make({"say": "A"}, {"say": "B"})
    script.tool_answered()
    assert says(script) == ["A"]


def test_when_answers_only_what_it_names() -> None:
    script = make(
        {"when": {"text": "PRESSED 1"}, "say": "Orders."},
        {"when": {"instructions": "say goodbye"}, "say": "Bye."},
        {"say": "Hello."},
    )
    assert says(script) == ["Hello."]
    script.caller_wrote("The caller pressed 2.")
    assert says(script) == [DIGITS_NOTED]
    script.caller_wrote("The caller pressed 1.")
    assert says(script) == ["Orders."]
    assert says(script, "Now say goodbye to the caller.") == ["Bye."]


def test_an_unsaid_turn_comes_again() -> None:
    script = make({"say": "Hello."}, {"caller": "Hi?", "say": "Nine to six."}, {"caller": "Yes", "say": "Fine."})
    first = script.answer("", NO_TOOLS)
    script.unsaid(first)
    assert says(script) == ["Hello."]
    script.caller_spoke()
    script.unsaid(script.answer("", NO_TOOLS))
    script.caller_spoke()
    assert says(script) == ["Nine to six."]


def test_a_failed_answer_is_followed_by_the_next_turn() -> None:
    script = make({"fail": {}}, {"say": "Hello."}, {"caller": "a", "fail": {}}, {"caller": "b", "say": "B"})
    script.unanswered(script.answer("", NO_TOOLS))
    assert says(script) == ["Hello."]
    script.caller_spoke()
    script.unanswered(script.answer("", NO_TOOLS))
    assert says(script) == ["B"]


def test_an_improvised_answer_that_was_unsaid_is_improvised_again() -> None:
    script = make()
    script.unsaid(script.answer("", NO_TOOLS))
    assert says(script) == [GREETING]


def test_improvisation_rotates_and_says_goodbye_with_the_tool() -> None:
    script = make(end_call_after=2)
    tools = frozenset({"end_call"})
    assert says(script, tools=tools) == [GREETING]
    assert script.caller_text(script.caller_spoke()) == SMALL_TALK[0][0]
    assert says(script, tools=tools) == [SMALL_TALK[0][1]]
    script.caller_spoke()
    turn = script.answer("", tools).turn
    assert turn.messages() == [FAREWELL]
    assert [call.name for call in turn.calls()] == ["end_call"]
    script.caller_spoke()
    assert says(script) == [SMALL_TALK[2][1]]


def test_asides_in_order_the_last_one_stays() -> None:
    script = make(asides=["one", {"say": "two", "seconds": 1.5}], aside_seconds=0.2)
    said = [script.aside() for _ in range(3)]
    assert [turn.messages() for turn in said] == [["one"], ["two"], ["two"]]
    assert [turn.first_audio_ms for turn in said] == [200, 1500, 1500]
    assert make().aside() == make(asides=[{}]).aside() == Turn(say=ASIDE)


def test_asides_that_fail() -> None:
    script = make(asides=[{"fail": {}}, {"say": "one two", "fail": {"code": "server_error"}}])
    assert script.aside() == Turn(fail=Failure())
    assert script.aside() == Turn(say="one two", fail=Failure(code="server_error"))


def test_a_noise_is_over_with_the_next_sound() -> None:
    script = make({"caller": ""}, {"caller": "", "say": "Pardon?"}, {"caller": "", "say": "Sorry?"}, {"caller": "Hi?"})
    for n, words in enumerate(["", "", "", "Hi?"]):
        assert script.caller_text(script.caller_spoke(f"item_{n}")) == words
    assert script.answer("", NO_TOOLS).turn.caller == "Hi?"


def test_a_noise_may_be_answered() -> None:
    script = make({"caller": "", "say": "Pardon?"}, {"caller": "Hi?", "say": "Nine to six."})
    script.caller_spoke("item_1")
    answer = script.answer("", NO_TOOLS)
    assert answer.turn.messages() == ["Pardon?"]
    script.unsaid(answer)
    assert script.caller_text(script.caller_spoke("item_2")) == "Hi?", "what answers a noise is said at once or never"
    assert says(script) == ["Nine to six."]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([{"caller": ""}, {"say": "Go on."}], ["Go on."]),
        ([{"caller": ""}, {"caller": "Hi?", "say": "Nine to six."}], [GREETING]),
        ([{"caller": "", "no_audio": True}, {"say": "Go on."}], []),
    ],
)
def test_a_mere_noise_is_no_reason_for_an_answer(turns: list[dict[str, Any]], said: list[str]) -> None:
    script = make(*turns)
    script.caller_spoke("item_1")
    assert says(script) == said


def test_a_turn_whose_item_was_deleted_is_over() -> None:
    script = make({"caller": "One", "say": "1"}, {"caller": "Two", "say": "2"}, {"say": "3"})
    script.caller_spoke("item_1")
    script.deleted("item_1")
    assert says(script) == [GREETING], "nobody has said anything"
    assert script.caller_text(script.caller_spoke("item_2")) == "Two"
    script.caller_spoke("item_3")
    script.deleted("item_2")
    assert says(script) == ["2"], "the other item is still there"


def test_an_answer_that_was_cut_off_does_not_come_again_when_its_item_is_deleted_meanwhile() -> None:
    script = make({"caller": "One", "say": "1"}, {"caller": "Two", "say": "2"})
    script.caller_spoke("item_1")
    answer = script.answer("", NO_TOOLS)
    script.deleted("item_1")
    script.unsaid(answer)
    assert says(script) == [GREETING]
    script.caller_spoke("item_2")
    assert says(script) == ["2"]


def test_a_text_that_was_deleted_is_not_answered() -> None:
    script = make({"when": {"text": "pressed 1"}, "say": "Orders."})
    script.caller_wrote("The caller pressed 1.", "item_1")
    script.deleted("item_1")
    assert says(script) == [GREETING]


def test_everything_improvised_is_listed_and_has_a_clip() -> None:
    assert {(normalise(text), "agent") for text in script.IMPROVISED} <= set(shipped_texts())
    assert {reply for _, reply in SMALL_TALK} | {GREETING, FAREWELL, DIGITS_NOTED} < set(script.IMPROVISED)
    assert Turn(say="a", preamble="b").messages() == ["b", "a"]
