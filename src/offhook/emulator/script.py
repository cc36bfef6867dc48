"""Which turn of the scenario answers what the caller (or the client) has just done.

Turns are consumed in order, with three exceptions: a turn with `when` answers only what it names; a turn that follows a
call and has no `caller` waits for the tool's output; a turn with `caller` waits for the caller's voice.

A turn with an empty `caller` stands for one noise: answered or not, it is over with the caller's next sound. Any turn
is over when the client deletes its item before it is answered.
"""

from dataclasses import dataclass, field
from typing import Final

from offhook.emulator.scenario import Aside, Call, Scenario, Turn

END_CALL: Final = "end_call"
FIRST: Final = 1_000_000
"""How far before the scenario's turns those stand that were interjected."""

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

    audio: dict[str, int | None] = field(default_factory=dict)
    """Items of the caller's audio, each with where the turn stood that was to answer it."""
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Items of the user's text messages, and the texts."""
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
        self._interjected = 0
        self._pending = Pending()
        self._given = Pending()
        self._passed: set[int | None] = set()
        self._noise: int | None = None
        self._answered = False
        self._caller_turns = 0
        self._asides = 0

    def caller_spoke(self, item_id: str = "") -> Turn:
        """The caller's audio was committed; return the turn that stands to answer it, for its transcript."""
        if self._noise is not None:
            self._pass_over(self._noise)
        self._caller_turns += 1
        found = self._next_plain()
        turn = self._left[found] if found is not None else Turn()
        self._noise = found if turn.caller == "" else None
        self._pending.audio[item_id] = found
        return turn

    def caller_text(self, turn: Turn) -> str:
        """Return what the caller is taken to have said before this turn."""
        return turn.caller if turn.caller is not None else self._small_talk()[0]

    def caller_wrote(self, text: str, item_id: str = "") -> None:
        """A text message of the user was added."""
        self._pending.texts.append((item_id, text))

    def deleted(self, item_id: str) -> None:
        """An item was deleted: what it said is not answered any more, and its turn is over."""
        for pending in (self._pending, self._given):
            pending.texts = [(owner, text) for owner, text in pending.texts if owner != item_id]
            if item_id in pending.audio:
                position = pending.audio.pop(item_id)
                if position not in pending.audio.values():
                    self._pass_over(position)

    def interject(self, turn: Turn) -> None:
        """Put a turn before all others; several of them come in their order."""
        self._interjected += 1
        at = self._interjected - FIRST
        self._left = dict(sorted({**self._left, at: turn}.items()))

    def tool_answered(self) -> None:
        """The output of a function call was added, or a call at an MCP server is over."""
        self._pending.outputs = True

    def answer(self, instructions: str, tools: frozenset[str]) -> Answer:
        """Take the turn for a response in the default conversation.

        Args:
            instructions: those of the response itself, empty when it has none.
            tools: names of the functions the model could call.
        """
        pending = self._given = self._pending
        self._pending = Pending()
        found = self._find(pending, instructions)
        turn = self._left.pop(found) if found is not None else self._improvise(pending, tools)
        opening, self._answered = not self._answered, True
        return Answer(turn, pending, found, opening)

    def aside(self) -> Turn:
        """Return what an out-of-band response says, and how it ends."""
        asides = self._scenario.asides or [ASIDE]
        self._asides += 1
        aside = asides[min(self._asides, len(asides)) - 1]
        if isinstance(aside, str):
            aside = Aside(say=aside)
        seconds = self._scenario.aside_seconds if aside.seconds is None else aside.seconds
        return Turn(
            say=ASIDE if aside.say is None and aside.fail is None else aside.say,
            fail=aside.fail,
            first_audio_ms=None if seconds is None else round(seconds * 1000),
        )

    def unsaid(self, answer: Answer) -> None:
        """The response was cancelled before it began: its turn is still to come."""
        if answer.position is not None and answer.turn.caller != "" and answer.position not in self._passed:
            self._left[answer.position] = answer.turn
            self._left = dict(sorted(self._left.items()))
        self.unanswered(answer)

    def unanswered(self, answer: Answer) -> None:
        """The response failed: what it should have answered still waits, for the next turn."""
        self._pending = Pending(
            audio=answer.pending.audio | self._pending.audio,
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
            if turn.when is not None and _names(turn.when.text, [text for _, text in pending.texts]):
                return position
        if pending.audio:
            found = self._next_plain()
            if found is None or not _is_mere_noise(self._left[found]):
                return found
            self._pass_over(found)
            pending.audio.clear()  # there was nothing to be understood
        if pending.outputs:
            owed = next((position for position in self._left if self._owed(position)), None)
            if owed is not None:
                return owed
        plain = self._next_plain()
        return plain if plain is not None and self._left[plain].caller is None else None

    def _pass_over(self, position: int | None) -> None:
        """The turn is not to come any more, not even when its answer was cancelled."""
        self._passed.add(position)
        if position is not None:
            self._left.pop(position, None)

    def _next_plain(self) -> int | None:
        """Return the position of the next turn that needs no special occasion."""
        return next((at for at, turn in self._left.items() if turn.when is None and not self._owed(at)), None)

    def _owed(self, position: int) -> bool:
        """Whether the turn waits for the output of the call in the turn before it."""
        turn = self._left[position]
        if position <= 0 or turn.caller is not None or turn.when is not None:
            return False
        before = self._scenario.turns[position - 1]
        return bool(before.calls() or before.hosted_calls())

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


def _is_mere_noise(turn: Turn) -> bool:
    """Whether the turn is a noise without any answer."""
    ending = turn.fail is not None or turn.incomplete is not None or turn.no_audio
    return turn.caller == "" and not (turn.messages() or turn.calls() or ending)


def _names(wanted: str | None, texts: list[str]) -> bool:
    return wanted is not None and any(wanted.casefold() in text.casefold() for text in texts)
