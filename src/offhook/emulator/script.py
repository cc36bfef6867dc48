"""Which turn of the scenario answers what the caller (or the client) has just done.

Turns are consumed in order, with three exceptions: a turn with `when` answers only what it names; a turn that follows a
call and has no `caller` waits for the tool's output; a turn with `caller` waits for the caller's voice.
"""

from dataclasses import dataclass, field
from typing import Final

from offhook.emulator.scenario import Call, Scenario, Turn

END_CALL: Final = "end_call"

GREETING: Final = "Hello, how can I help you?"
FAREWELL: Final = "Thank you for calling. Goodbye."
DIGITS_NOTED: Final = "Thank you, I have noted the digits you entered."
ALL_RIGHT: Final = "All right."
STILL_THERE: Final = "Are you still there?"

SMALL_TALK: Final = (
    ("What are your opening hours?", "We are open Monday to Friday, from nine until six."),
    ("How long does delivery take?", "Delivery usually takes two to three working days."),
    ("Can I send something back?", "Yes, you can return anything within thirty days."),
    ("Where do I find you?", "You find us in Station Road, next to the library."),
    ("How can I pay?", "You can pay by card, by invoice or in cash."),
)
"""What the caller is taken to say and what the agent improvises, in rotation."""

ASIDE: Final = "The caller asked some questions, and the agent answered them."

IMPROVISED: Final = (GREETING, FAREWELL, DIGITS_NOTED, ALL_RIGHT, STILL_THERE, *(reply for _, reply in SMALL_TALK))
"""Everything that is said without a scenario."""


@dataclass(slots=True)
class Pending:
    """What has come in since the last answer."""

    audio: bool = False
    texts: list[str] = field(default_factory=list)
    outputs: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A turn taken from the script, with what it answers, so that it can be given back."""

    turn: Turn
    pending: Pending
    position: int | None
    """Where the turn stood in the scenario; None when it was improvised."""
    opening: bool
    """Whether it was the first answer of the session."""


class Script:
    """Hands out the turns of a scenario, and improvises where it has none."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._left = dict(enumerate(scenario.turns))
        self._pending = Pending()
        self._answered = False
        self._caller_turns = 0
        self._asides = 0

    def caller_spoke(self) -> Turn:
        """The caller's audio was committed; return the turn that stands to answer it, for its transcript."""
        self._pending.audio = True
        self._caller_turns += 1
        found = self._next_plain()
        return self._left[found] if found is not None else Turn()

    def caller_text(self, turn: Turn) -> str:
        """Return what the caller is taken to have said before this turn."""
        return turn.caller if turn.caller is not None else self._small_talk()[0]

    def caller_wrote(self, text: str) -> None:
        """A text message of the user was added."""
        self._pending.texts.append(text)

    def tool_answered(self) -> None:
        """The output of a function call was added."""
        self._pending.outputs = True

    def answer(self, instructions: str, tools: frozenset[str]) -> Answer:
        """Take the turn for a response in the default conversation.

        Args:
            instructions: those of the response itself, empty when it has none.
            tools: names of the functions the model could call.
        """
        pending, self._pending = self._pending, Pending()
        found = self._find(pending, instructions)
        turn = self._left.pop(found) if found is not None else self._improvise(pending, tools)
        opening, self._answered = not self._answered, True
        return Answer(turn, pending, found, opening)

    def aside(self) -> str:
        """Return the text of an out-of-band response."""
        asides = self._scenario.asides
        if not asides:
            return ASIDE
        self._asides += 1
        return asides[min(self._asides, len(asides)) - 1]

    def unsaid(self, answer: Answer) -> None:
        """The response was cancelled before it began: its turn is still to come."""
        if answer.position is not None:
            self._left[answer.position] = answer.turn
            self._left = dict(sorted(self._left.items()))
        self.unanswered(answer)

    def unanswered(self, answer: Answer) -> None:
        """The response failed: what it should have answered still waits, for the next turn."""
        self._pending = Pending(
            audio=answer.pending.audio or self._pending.audio,
            texts=answer.pending.texts + self._pending.texts,
            outputs=answer.pending.outputs or self._pending.outputs,
        )
        self._answered = self._answered and not answer.opening

    def _find(self, pending: Pending, instructions: str) -> int | None:
        """Return the position of the turn that answers; None to improvise."""
        for position, turn in self._left.items():
            if turn.when is not None and _names(turn.when.instructions, [instructions]):
                return position
        for position, turn in self._left.items():
            if turn.when is not None and _names(turn.when.text, pending.texts):
                return position
        if pending.audio:
            return self._next_plain()
        if pending.outputs:
            owed = next((position for position in self._left if self._owed(position)), None)
            if owed is not None:
                return owed
        plain = self._next_plain()
        return plain if plain is not None and self._left[plain].caller is None else None

    def _next_plain(self) -> int | None:
        """Return the position of the next turn that needs no special occasion."""
        return next((at for at, turn in self._left.items() if turn.when is None and not self._owed(at)), None)

    def _owed(self, position: int) -> bool:
        """Whether the turn waits for the output of the call in the turn before it."""
        turn = self._left[position]
        if position == 0 or turn.caller is not None or turn.when is not None:
            return False
        return bool(self._scenario.turns[position - 1].calls())

    def _small_talk(self) -> tuple[str, str]:
        return SMALL_TALK[(self._caller_turns - 1) % len(SMALL_TALK)]

    def _improvise(self, pending: Pending, tools: frozenset[str]) -> Turn:
        if pending.audio:
            limit = self._scenario.end_call_after
            if limit is not None and self._caller_turns >= limit and END_CALL in tools:
                call = Call(name=END_CALL, arguments={"reason": "The caller has been served."})
                return Turn(preamble=FAREWELL, call=call)
            return Turn(say=self._small_talk()[1])
        if pending.texts:
            return Turn(say=DIGITS_NOTED)
        if pending.outputs:
            return Turn(say=ALL_RIGHT)
        return Turn(say=STILL_THERE if self._answered else GREETING)


def _names(wanted: str | None, texts: list[str]) -> bool:
    return wanted is not None and any(wanted.casefold() in text.casefold() for text in texts)
