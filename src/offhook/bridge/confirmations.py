"""Tools that need the caller's yes: what has to happen, and in which order, before such a call is run.

    the model calls ──▶ refused: read it back, ask ──▶ the agent asks, the caller hears it ──▶ the caller has a turn
                                                                                                     │
    run once ◀── the model calls again, with the same arguments ◀─────────────────────────────────────┘

Whether the caller said yes is for the model to judge; that they were asked and had their say is seen to here.
"""

from collections.abc import Callable

import msgspec

from offhook.bridge.arguments import NOT_AN_OBJECT, error, read_arguments

MAX_TURNS = 5
"""Turns of the caller after which a yes belongs to something else."""
MAX_AGE = 120.0
"""Seconds after which it does."""
MAX_PENDING = 16
"""Calls that may wait for a yes; the oldest one is forgotten."""
MAX_ITEMS = 8
MAX_EXACT = 2.0**53
ASK = (
    '{"status":"confirmation_needed","instructions":"Nothing was done yet. Read the details back to the caller and ask '
    "whether they are right. When the caller has said yes, make this call again with exactly the same arguments; "
    'otherwise do not."}'
)
WAIT = (
    '{"status":"confirmation_needed","instructions":"Nothing was done yet. The caller has not answered: ask now, wait '
    'for the answer, and make this call again with exactly the same arguments after a yes."}'
)

Heard = Callable[[str], bool]
"""Tells of an item of the agent whether the caller heard a part of it."""


class _Pending:
    """A call that waits for the caller's yes."""

    __slots__ = ("answers", "asked_at", "began", "questions", "response_id", "turns")

    def __init__(self, response_id: str, now: float) -> None:
        self.response_id = response_id
        self.asked_at = now
        self.questions: list[str] = []  # what the agent has said since
        self.began: dict[str, bool] = {}  # turns of the caller under way: whether a question was heard before
        self.answers: set[str] = set()
        self.turns = 0


class Confirmations:
    """The yeses that one call has, and waits for."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], _Pending] = {}

    @property
    def waiting(self) -> bool:
        """Something waits for the caller's yes."""
        return bool(self._pending)

    def request(self, name: str, arguments: str, response_id: str, now: float) -> str | None:
        """The model calls a tool that needs a yes.

        Args:
            name: Of the tool.
            arguments: JSON text as the model wrote it.
            response_id: The response that makes the call.
            now: Monotonic seconds.

        Returns:
            Why it is not run, for the model; None = run it now, this once.
        """
        canonical = _canonical(arguments)
        if canonical is None:
            return error(NOT_AN_OBJECT)
        pending = self._pending.get((name, canonical))
        if pending is not None and now < pending.asked_at + MAX_AGE:
            if not pending.answers:
                return WAIT
            del self._pending[name, canonical]
            return None
        # Other details: what was asked about before is no longer what is wanted, unless it was asked along with this.
        for key in [key for key, other in self._pending.items() if key[0] == name and other.response_id != response_id]:
            del self._pending[key]
        self._pending[name, canonical] = _Pending(response_id, now)
        if len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        return ASK

    def agent_spoke(self, response_id: str, item_id: str) -> None:
        """The model said something that the caller is going to hear."""
        for pending in self._pending.values():
            if response_id != pending.response_id and item_id not in pending.questions:
                pending.questions = [*pending.questions, item_id][-MAX_ITEMS:]

    def caller_began(self, turn_id: str, heard: Heard) -> None:
        """The caller begins to speak, or to press keys."""
        for pending in self._pending.values():
            if turn_id not in pending.began:
                pending.began[turn_id] = any(map(heard, pending.questions))
                if len(pending.began) > MAX_ITEMS:
                    del pending.began[next(iter(pending.began))]

    def caller_finished(self, turn_id: str) -> None:
        """The turn is over; one that did not begin with `caller_began` is none (silence that was committed)."""
        for key, pending in list(self._pending.items()):
            heard = pending.began.pop(turn_id, None)
            if heard is None:
                continue
            pending.turns += 1
            if heard:
                pending.answers.add(turn_id)
            if pending.turns > MAX_TURNS:
                del self._pending[key]

    def session_lost(self) -> None:
        """Whoever asks from here on may not have heard what was answered: the caller has to be heard again."""
        for pending in self._pending.values():
            pending.began.clear()
            pending.answers.clear()

    def no_words(self, turn_id: str) -> None:
        """The transcript of a turn is empty: it was a noise and no answer."""
        for pending in self._pending.values():
            pending.answers.discard(turn_id)


def _canonical(arguments: str) -> str | None:
    """Return a text that is the same for equal JSON objects; None for anything else."""
    value = read_arguments(arguments)
    try:
        return None if value is None else msgspec.json.encode(_same_numbers(value), order="sorted").decode()
    except RecursionError:
        return None


def _same_numbers(value: object) -> object:
    """Write 3.0 as 3: a model does not always do so twice."""
    if isinstance(value, dict):
        return {key: _same_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_same_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT else value
