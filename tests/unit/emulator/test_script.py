from typing import Any

from offhook.emulator import script
from offhook.emulator.scenario import Scenario, Turn
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
    script = make(asides=["one", "two"])
    assert [script.aside() for _ in range(3)] == ["one", "two", "two"]
    assert make().aside() == ASIDE


def test_everything_improvised_is_listed_and_has_a_clip() -> None:
    assert {(normalise(text), "agent") for text in script.IMPROVISED} <= set(shipped_texts())
    assert {reply for _, reply in SMALL_TALK} | {GREETING, FAREWELL, DIGITS_NOTED} < set(script.IMPROVISED)
    assert Turn(say="a", preamble="b").messages() == ["b", "a"]
