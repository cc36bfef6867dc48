"""What another session is told: turns as they were heard, calls with their results, in order and within bounds."""

from collections.abc import Sequence

import pytest

from offhook.bridge import Turn
from offhook.bridge.history import KEPT_TURNS, MAX_ENTRIES, MAX_LEFT_OUT, MAX_RESULT, MAX_SIZE, NOT_KNOWN, History
from offhook.realtime import MessageItem
from offhook.realtime.items import FunctionCallItem, FunctionCallOutputItem, Item, McpCallItem, McpError
from offhook.realtime.wire import given

MADE = McpCallItem(server_label="docs", name="search", arguments='{"q":"x"}', output="found")


def turn(text: str, speaker: str = "caller", item_id: str = "") -> Turn:
    return Turn(speaker=speaker, text=text, item_id=item_id)


def history(*entries: Turn) -> History:
    made = History(lambda text: text.replace("1234", "****"))
    for entry in entries:
        made.add(entry)
    return made


def shown(items: Sequence[Item]) -> list[tuple[str, ...]]:
    """Who said what, and what was called."""
    found: list[tuple[str, ...]] = []
    for item in items:
        match item:
            case MessageItem():
                (part,) = item.content
                found.append((item.role, str(given(part.type)), str(given(part.text))))
            case FunctionCallItem():
                found.append(("call", str(given(item.call_id)), item.name, item.arguments))
            case FunctionCallOutputItem():
                found.append(("output", item.call_id, item.output))
    return found


def told(made: History, *unsettled: Turn) -> list[tuple[str, ...]]:
    return shown(made.items(unsettled))


def lose(made: History, *results: McpCallItem) -> None:
    found = dict(zip(("mcp_1", "mcp_2"), results, strict=False))
    made.session_lost(found.get)


def test_turns_in_their_order() -> None:
    made = history(turn("Good morning.", "agent"), turn("Hello."), turn("Yes?", "agent"))
    assert told(made, turn("I want"), turn("", "agent")) == [
        ("assistant", "output_text", "Good morning."),
        ("user", "input_text", "Hello."),
        ("assistant", "output_text", "Yes?"),
        ("user", "input_text", "I want"),
    ]
    assert told(made)[-1] == ("assistant", "output_text", "Yes?"), "what is not settled is not kept"


def test_what_was_not_heard_is_not_told() -> None:
    made = history(Turn(speaker="agent", text="", unheard="Never heard.", item_id="a"), turn("", "caller"))
    assert told(made) == []


def test_keys() -> None:
    made = history(turn("12#", "keypad"), turn("(secret digits)", "keypad"), turn("", "keypad"))
    assert told(made) == [("user", "input_text", "The caller pressed 1 2 # on the keypad.")]


def test_secrets_are_taken_out() -> None:
    made = history(turn("It is 1234."))
    made.add(made.call("call_1", "verify", '{"pin":"1234"}'))
    made.output("call_1", "1234 is right")
    lose(made)
    assert "1234" not in repr(told(made))
    item = made.owed("call_1")
    assert item is None, "the session knows it"
    lose(made)
    item = made.owed("call_1")
    assert item is not None
    assert "1234" not in item.arguments


def test_what_is_left_out() -> None:
    made = history()
    made.leave_out("clip-1")
    made.add(turn("One moment.", "agent", "clip-1"))
    made.add(turn("Hello.", "agent", "clip-2"))
    assert told(made, turn("One mo", "agent", "clip-1")) == [("assistant", "output_text", "Hello.")]
    for number in range(MAX_LEFT_OUT):
        made.leave_out(f"other-{number}")
    assert len(made._left_out) == MAX_LEFT_OUT


# Calls.


def test_a_call_is_told_with_its_result_where_it_was_made() -> None:
    made = history(turn("Book it."))
    made.add(made.call("call_1", "book", '{"slot":9}'))
    made.add(turn("One moment.", "agent"))
    assert made.running() == ["book"]
    made.output("call_1", "booked")
    made.output("call_1", "booked again")
    made.output("call_2", "unknown")
    assert made.running() == []
    lose(made)
    assert told(made) == [
        ("user", "input_text", "Book it."),
        ("call", "call_1", "book", '{"slot":9}'),
        ("output", "call_1", "booked"),
        ("assistant", "output_text", "One moment."),
    ]
    assert made.owed("call_1") is None, "told already"


@pytest.mark.parametrize("settled", [True, False])
def test_a_call_that_runs_is_told_with_its_result(settled: bool) -> None:
    """A call without its output confuses later turns, so there is never one."""
    made = history()
    mark = made.call("call_1", "book", "")
    if settled:
        made.add(mark)
    assert made.owed("call_1") is None, "this session knows it"
    lose(made)
    assert told(made, *(() if settled else (mark,))) == []
    assert made.running() == ["book"]
    item = made.owed("call_1")
    assert item == FunctionCallItem(call_id="call_1", name="book", arguments="")
    assert made.owed("call_1") is None, "once is enough"
    assert made.owed("call_9") is None


def test_lost_twice() -> None:
    made = history()
    made.add(made.call("call_1", "book", "{}"))
    lose(made)
    made.output("call_1", "booked")
    lose(made)
    assert told(made) == told(made) == [("call", "call_1", "book", "{}"), ("output", "call_1", "booked")]


def test_calls_that_openai_made_itself_are_data_too() -> None:
    made = history()
    for item_id in ("mcp_1", "mcp_2", "mcp_3"):
        made.add(made.call(item_id, "search", "", hosted=True))
    assert made.running() == [], "nothing comes of them any more"
    error = McpCallItem(server_label="docs", name="search", arguments="{}", error=McpError(type="http_error"))
    lose(made, MADE, error)
    expected = [
        ("call", "hosted_1", "search", '{"q":"x"}'),
        ("output", "hosted_1", "found"),
        ("call", "hosted_2", "search", "{}"),
        ("output", "hosted_2", "failed"),
        ("call", "hosted_3", "search", "{}"),
        ("output", "hosted_3", NOT_KNOWN),
    ]
    assert told(made) == expected
    lose(made)
    assert told(made) == expected, "another session has never heard of them, but the call has"


# Bounds.


def test_the_oldest_turns_are_left_out_first() -> None:
    made = history()
    made.add(made.call("call_1", "book", "{}"))
    made.output("call_1", "booked")
    for number in range(MAX_ENTRIES + 50):
        made.add(turn(f"turn {number}"))
    items = told(made)
    assert items[:2] == [("call", "call_1", "book", "{}"), ("output", "call_1", "booked")]
    assert [text for _, _, text in items[2:]] == [f"turn {number}" for number in range(51, MAX_ENTRIES + 50)]


def test_long_turns() -> None:
    made = history()
    for number in range(10):
        made.add(turn(f"{number}" * 16_000))
    assert [text[0] for _, _, text in told(made)] == ["7", "8", "9"]
    made.add(turn("x" * (MAX_SIZE + 1)))
    assert len(told(made)) == 1, "the last one stays, whatever its length"


def test_results_of_calls_do_not_drive_out_the_last_turns() -> None:
    made = history()
    for number in range(40):
        made.add(turn(f"turn {number}"))
        made.add(made.call(f"call_{number}", "look", "{}"))
        made.output(f"call_{number}", "y" * 16_000)
    made.add(turn("the last"))
    items = told(made)
    turns = [item[2] for item in items if item[0] == "user"]
    assert turns[-1] == "the last"
    assert len(turns) == KEPT_TURNS
    outputs = [item for item in items if item[0] == "output"]
    assert outputs[-1][1] == "call_39"
    assert len(outputs) == MAX_SIZE // MAX_RESULT - 1
    assert all(len(output) <= MAX_RESULT + 30 for *_, output in outputs)
    assert outputs[0][2].endswith("y (the rest is left out)")
    assert sum(len(part) for item in items for part in item[1:]) <= MAX_SIZE * 1.1


def test_a_call_that_runs_is_kept_as_long_as_there_is_anything_else() -> None:
    made = history()
    made.add(made.call("call_1", "book", "{}"))
    for number in range(MAX_ENTRIES):
        made.add(made.call(f"look_{number}", "look", "{}"))
        made.output(f"look_{number}", "seen")
    assert made.running() == ["book"]
    lose(made)
    assert made.owed("call_1") is not None
    for number in range(MAX_ENTRIES):
        made.add(made.call(f"book_{number}", "book", "{}"))
    assert len(made._entries) == MAX_ENTRIES
    assert len(made._calls) == MAX_ENTRIES
    assert "call_1" not in made._calls
