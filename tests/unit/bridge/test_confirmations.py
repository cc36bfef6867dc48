"""The order of events before a tool that needs the caller's yes is run."""

from collections.abc import Callable

import msgspec
import pytest

from offhook.bridge.arguments import NOT_AN_OBJECT, error
from offhook.bridge.confirmations import ASK, MAX_AGE, MAX_ITEMS, MAX_PENDING, MAX_TURNS, Confirmations


class Story:
    """What happens in a call, word by word: `ask` is the call by the model, in a response of its own each time."""

    def __init__(self) -> None:
        self.confirmations = Confirmations()
        self.now = 100.0
        self.responses = 0
        self.heard: set[str] = set()
        self.turns = 0
        self.ran = 0

    def call(self, arguments: str = '{"table":3}', name: str = "book") -> None:
        self.responses += 1
        self.ran += self.request(arguments, name)

    def request(self, arguments: str, name: str = "book") -> bool:
        return self.confirmations.request(name, arguments, f"resp_{self.responses}", self.now) is None

    def question(self, *, heard: bool = True) -> None:
        self.responses += 1
        item = f"item_{self.responses}"
        self.confirmations.agent_spoke(f"resp_{self.responses}", item)
        if heard:
            self.heard.add(item)

    def begins(self) -> None:
        self.turns += 1
        self.confirmations.caller_began(f"turn_{self.turns}", self.heard.__contains__)

    def stops(self) -> None:
        self.confirmations.caller_finished(f"turn_{self.turns}")

    def empty(self) -> None:
        self.confirmations.no_words(f"turn_{self.turns}")

    def turn(self) -> None:
        self.begins()
        self.stops()

    def several_turns(self) -> None:
        for _ in range(MAX_TURNS):
            self.turn()

    def preamble(self) -> None:
        """The response that calls goes on talking."""
        self.confirmations.agent_spoke(f"resp_{self.responses}", f"item_{self.responses}")
        self.heard.add(f"item_{self.responses}")

    def late(self) -> None:
        self.now += MAX_AGE


STEPS: dict[str, Callable[[Story], None]] = {
    "call": Story.call,
    "call_other": lambda story: story.call('{"table":4}'),
    "call_same": lambda story: story.call(' {"table" : 3.0}'),
    "call_tool_2": lambda story: story.call(name="cancel"),
    "question": Story.question,
    "unheard": lambda story: story.question(heard=False),
    "begins": Story.begins,
    "stops": Story.stops,
    "turn": Story.turn,
    "empty": Story.empty,
    "silence": lambda story: story.confirmations.caller_finished("never began"),
    "preamble": Story.preamble,
    "late": Story.late,
    "turns": Story.several_turns,
}


@pytest.mark.parametrize(
    ("story", "ran"),
    [
        ("call", 0),
        ("call call", 0),
        ("call question call", 0),
        ("call question turn call", 1),
        ("call question turn call_same", 1),
        ("call unheard turn call", 0),
        ("call turn question call", 0),
        ("call turn call", 0),
        ("turn call question call", 0),
        # An answer that began before the question was heard is none to it, wherever it ends.
        ("begins call question stops call", 0),
        ("call begins question stops call", 0),
        ("call question begins call stops", 0),
        ("call question begins call stops call", 1),
        ("call unheard turn question turn call", 1),
        # The response that makes the call may have asked already; it did not know that it had to.
        ("call preamble turn call", 0),
        ("call preamble question turn call", 1),
        # A noise is no answer.
        ("call question turn empty call", 0),
        ("call question turn empty turn call", 1),
        ("call question turn turn empty call", 1),
        ("call question silence call", 0),
        # Calling too early costs nothing but a refusal.
        ("call question call turn call", 1),
        # Once, and anew for each.
        ("call question turn call call", 1),
        ("call question turn call question turn call", 1),
        ("call question turn call turn call turn call", 1),
        ("call question turn call call question turn call", 2),
        # Other details, other question.
        ("call question turn call_other", 0),
        ("call question turn call_other call", 0),
        ("call question turn call_other question turn call_other", 1),
        ("call question turn call_other question turn call", 0),
        # Tools do not know of each other.
        ("call call_tool_2 question turn call call_tool_2", 2),
        ("call question turn call_tool_2 call", 1),
        # It does not keep.
        ("call question turn late call", 0),
        ("call late question turn call", 0),
        ("call late call question turn call", 1),
        ("call question turns call", 1),
        ("call question turns turn call", 0),
    ],
)
def test_order(story: str, ran: int) -> None:
    told = Story()
    for step in story.split():
        STEPS[step](told)
    assert told.ran == ran


def test_what_the_model_is_told() -> None:
    confirmations = Confirmations()
    first = confirmations.request("book", "{}", "resp_1", 1.0) or ""
    assert confirmations.waiting
    again = confirmations.request("book", "", "resp_2", 1.0) or ""
    for text in (first, again):
        told = msgspec.json.decode(text)
        assert told["status"] == "confirmation_needed"
        assert "exactly the same arguments" in told["instructions"]
    assert first != again


@pytest.mark.parametrize("arguments", ["[1]", "nonsense", "[" * 100_000, '{"a":' * 100_000, "null"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    confirmations = Confirmations()
    told = confirmations.request("book", arguments, "resp_1", 1.0) or ""
    assert "not a JSON object" in msgspec.json.decode(told)["error"]
    assert not confirmations.waiting


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ('{"a":1,"b":[{"c":2,"d":3}]}', '{"b":[{"d":3,"c":2.0}],"a":1}', True),
        ('{"a":"\\u00e9"}', '{"a":"é"}', True),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":1}', '{"a":"1"}', False),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('{"a":null}', "{}", False),
        ('{"a":1e300}', '{"a":1e300}', True),
    ],
)
def test_the_same_arguments(one: str, other: str, equal: bool) -> None:
    story = Story()
    story.call(one)
    story.question()
    story.turn()
    story.call(other)
    assert story.ran == equal


def test_calls_of_one_response_wait_together() -> None:
    story = Story()
    assert not story.confirmations.waiting
    story.responses = 1
    assert not story.request('{"table":3}')
    assert not story.request('{"table":4}')
    story.question()
    story.turn()
    story.responses += 1
    assert story.request('{"table":4}')
    assert story.request('{"table":3}')
    assert not story.confirmations.waiting


def test_bounds() -> None:
    story = Story()
    story.responses = 1
    for table in range(MAX_PENDING + 1):
        assert not story.request(f'{{"table":{table}}}')
    story.question()
    for _ in range(MAX_ITEMS + 1):
        story.begins()
    story.stops()
    story.responses += 1
    assert story.request('{"table":1}')
    assert not story.request('{"table":0}'), "the oldest was forgotten"


@pytest.mark.parametrize("depth", [10, 600, 5000])
def test_no_depth_of_arguments_breaks_it(depth: int) -> None:
    # How deep is too deep differs between versions of Python.
    nested = '{"a":' + "[" * depth + "]" * depth + "}"
    refusal = Confirmations().request("book", nested, "resp_1", 0.0)
    assert refusal == ASK if depth == 10 else refusal in (ASK, error(NOT_AN_OBJECT))
