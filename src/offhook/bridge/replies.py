"""Which inputs the model still owes an answer: keypad text and tool results, when no caller turn will bring one.

Server VAD answers caller turns by itself. Text items and tool outputs are answered by nobody unless we ask, and asking
at the wrong moment gives a refused create or two answers (openai-realtime.md §5.2, traps 15, 21). The order on the wire
tells what an answer has seen: an item whose `conversation.item.added` came before `response.created` was part of it.
"""

SPEECH_PATIENCE = 0.6
"""Seconds in which a server tells that somebody speaks in what it has been sent."""
TURN_PATIENCE = 3.0
"""Seconds after the caller stopped speaking in which the server is expected to answer by itself."""


class Replies:
    """The account of answers that are owed.

    Attributes:
        caller_until: Until when the server is expected to tell of the caller, or to answer them by itself; None = it is
            not, or has.
    """

    def __init__(self) -> None:
        self._posted = 0
        self._landed = 0
        self._asked = 0
        self._pending_calls: set[str] = set()
        self.caller_until: float | None = None
        self._caller_speaking = False
        self._requested = False

    def session_lost(self) -> None:
        """Whatever was owed is owed no more; tools that run go on."""
        self._posted = self._landed = self._asked = 0
        self.caller_until = None
        self._caller_speaking = self._requested = False

    def call_started(self, call_id: str) -> None:
        """A tool runs; the answer waits for its output."""
        self._pending_calls.add(call_id)

    def call_finished(self, call_id: str) -> bool:
        """Its output is about to be posted; False for an unknown or answered call."""
        if call_id not in self._pending_calls:
            return False
        self._pending_calls.discard(call_id)
        return True

    @property
    def waits_for_tools(self) -> bool:
        """A tool runs."""
        return bool(self._pending_calls)

    def posted(self) -> None:
        """An item was sent that needs an answer."""
        self._posted += 1

    def landed(self) -> None:
        """The server has taken one of them into the conversation."""
        self._landed = min(self._landed + 1, self._posted)

    def caller_started(self) -> None:
        """The caller speaks: whatever is owed, the caller's turn comes first."""
        self._caller_speaking = True
        self.caller_until = None

    def caller_may_speak(self, now: float) -> None:
        """They do, to all appearance: the server will say so."""
        self.caller_until = now + SPEECH_PATIENCE

    def caller_unheard(self) -> None:
        """What the caller was saying was taken back: no turn will come of it."""
        self._caller_speaking = False
        self.caller_until = None

    def caller_stopped(self, now: float) -> None:
        """The caller's turn is over; the server's own answer is on its way."""
        self._caller_speaking = False
        self.caller_until = now + TURN_PATIENCE

    def nothing_said(self) -> None:
        """It was no turn of the caller after all: nothing of them is waited for."""
        self.caller_until = None

    def requested(self) -> None:
        """We asked for a response: it will see what has been posted."""
        self._requested = True
        self._asked = self._posted

    def response_started(self, *, ours: bool) -> bool:
        """A response began; it has seen what had landed, ours also what was posted before we asked.

        Returns:
            True when a response that we asked for has become pointless and is to be withdrawn.
        """
        seen = max(self._landed, self._asked) if ours else self._landed
        self._posted -= seen
        self._asked = max(self._asked - seen, 0)
        self._landed = 0
        self.caller_until = None
        if ours:
            self._requested = False
        return self._requested and not self._posted

    def refused(self) -> None:
        """The response we asked for will not come."""
        self._requested = False
        self._asked = 0

    def owed(self, now: float) -> bool:
        """It is time to ask for a response."""
        if not self._waiting:
            return False
        return self.caller_until is None or now >= self.caller_until

    def next_timer(self) -> float | None:
        """When we stop waiting for the server's own answer to the caller."""
        return self.caller_until if self._waiting else None

    @property
    def _waiting(self) -> bool:
        return bool(self._posted) and not (self._pending_calls or self._requested or self._caller_speaking)
