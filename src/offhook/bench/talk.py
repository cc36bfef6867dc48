"""What a caller of a bench does: talks with the agent until it is time to go, whatever becomes of the agent.

The caller asks, listens to the answer, asks on; has a tool used, interrupts, presses keys. An answer that breaks off,
or does not come, is waited for with patience, then the caller says "Hello?", three times at most. Between that come
asides: a hold, a storm of keys, something odd that Genesys does.

No clock and no socket in here: it conducts a `SimulatedCall`, in the place of a script.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Literal

from offhook.bench.hearing import TAIL, Repertoire
from offhook.emulator.scenario import Call, Turn
from offhook.emulator.script import END_CALL, FAREWELL, IMPROVISED
from offhook.simulator.conductor import Phone, StepFailed
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.script import Oddity, Step, Utterance

Run = Generator[float | None, None, None]

PATIENCE: Final = 8.0
MAX_NUDGES: Final = 3
"""How often in a row the caller says "Hello?" then, before hanging up."""
SILENCE: Final = 0.8
"""Seconds from the end of an answer to the caller's next word."""
GOODBYE_PATIENCE: Final = 4.0
"""Seconds from the agent's last word until a caller who has said goodbye hangs up."""
HEARD_OUT: Final = 1.2
"""Seconds of an answer that are heard before the caller interrupts it."""

HELLO: Final = "Hello?"
STOP: Final = "Stop, please."
THANKS: Final = "Thank you, goodbye."
ORDER: Final = "Where is my order?"
QUESTIONS: Final = (
    "What are your opening hours?",
    "How long does delivery take?",
    "Can I send something back?",
    "I have a question about my bill.",
)
LOOKING: Final = "Let me see."
"""What the agent says before it uses a tool."""
WAITING: Final = "One moment, I am looking it up."
"""What it says while one runs."""
LONG: Final = (
    "We are open Monday to Friday, from nine in the morning until six in the evening, and on Saturdays from ten until "
    "two. On Sundays and public holidays we are closed."
)
"""What it says to be interrupted: almost ten seconds."""
ANSWERS: Final = (*IMPROVISED, LONG)
BRIDGES: Final = (LOOKING, WAITING)
CALLER_TEXTS: Final = (HELLO, STOP, THANKS, ORDER, *QUESTIONS)

_PADDING: Final = 1600  # silence that fills the last packet up


@dataclass(frozen=True, slots=True)
class Manners:
    """How a call is to go."""

    seconds: float
    """From `opened` to the time when the caller has asked enough."""
    ends: Literal["agent", "caller"] = "agent"
    """Who ends it then: the agent after a goodbye, or the caller by hanging up."""
    patience: float = PATIENCE
    """Seconds that the caller waits in silence for an answer, or for the rest of one."""
    latest: float = math.inf
    """From `opened` to the time when the caller hangs up, wherever the call is then."""


class Talk:
    """Conducts one call.

    Args:
        phone: the caller's telephone.
        ear: when the agent is heard.
        queue: what is played.
        repertoire: what the agent may say.
        manners: how the call is to go.
        chance: what is asked, and in which order.
        prompt: makes the model answer next with a turn.
    """

    def __init__(
        self,
        phone: Phone,
        ear: AgentSpeech,
        queue: PlaybackQueue,
        repertoire: Repertoire,
        manners: Manners,
        chance: random.Random,
        prompt: Callable[[Turn], None],
    ) -> None:
        self.failure: StepFailed | None = None
        self.nudges = 0
        """How often the caller had to ask whether anybody is there."""
        self.answers = 0
        """Answers that were heard to their end."""
        self.opened_at: float | None = None
        self._phone, self._ear, self._queue = phone, ear, queue
        self._repertoire = repertoire
        self._manners = manners
        self._chance = chance
        self._prompt = prompt
        self._asides: deque[Run] = deque()
        self._aside: Run | None = None
        self._tools: list[str] = []
        self._exchanges = 0
        self._now = 0.0
        self._mark = 0.0
        """From when on an answer counts."""
        self._back_at = 0.0
        """When the caller was last back from something else."""
        self._main: Run | None = None
        self._wake: float | None = None

    # --- what happens to the caller ----------------------------------------------------------------------------------

    def aside(self, run: Run) -> None:
        """Do something else first, at the next `advance`."""
        self._asides.append(run)

    def use_tool(self, name: str) -> None:
        """Have the agent use a tool in one of the next exchanges."""
        self._tools.append(name)

    def hold(self, seconds: float) -> Run:
        """An aside: the caller puts the agent on hold."""
        self._phone.hold(self._now, secure=False)
        yield from self._until(self._now + seconds)
        self._phone.resume(self._now, secure=False)

    def press(self, count: int, gap: float) -> Run:
        """An aside: keys are pressed, one after the other."""
        for _ in range(count):
            self._phone.press(self._chance.choice("0123456789"), self._now, paused=False)
            self._mark = self._now
            yield from self._until(self._now + gap)

    def interrupt(self) -> Run:
        """An aside: the caller speaks over the agent, now or the next time that it is heard."""
        deadline = self._now + self._manners.patience
        while not self._ear.speaking(self._now) and self._now < deadline:
            begins = self._ear.next_phrase(self._now)
            yield deadline if begins is None else begins
        yield from self._say(STOP, interrupting=True)

    def be_odd(self, kind: Oddity, seconds: float) -> Run:
        """An aside: Genesys does something odd."""
        self._phone.be_odd(kind, seconds, self._now)
        yield from ()

    def hang_up(self) -> Run:
        """An aside: the caller ends the call."""
        self._phone.hang_up(self._now)
        yield from ()

    # --- as a conductor ----------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The connection stands."""
        self._now = now

    def opened(self, now: float) -> None:
        """The session is open."""
        self._now = self._mark = self._back_at = self.opened_at = now
        self._main = self._talk()
        self.advance(now)

    def flushed(self, now: float) -> None:
        """The queue was flushed; what was heard tells by itself that it is no whole answer."""

    def stop(self) -> None:
        """The call is over."""
        self._main = self._aside = self._wake = None
        self._asides.clear()

    def unreached(self) -> tuple[Step, ...]:
        """There are no steps."""
        return ()

    def next_timer(self) -> float | None:
        """When to look again at the latest."""
        if self._main is None or self._wake is None:
            return None
        return min(self._wake, self._latest)

    def advance(self, now: float) -> None:
        """Do whatever is due."""
        self._now = now
        if self._main is not None and now >= self._latest:
            self._phone.hang_up(now)
        while self._main is not None:
            if self._aside is None and self._asides:
                self._aside = self._asides.popleft()
            if self._aside is None:
                self._step(self._main)
                return
            self._step(self._aside)
            if self._wake is not None:
                return
            if self._aside is not None:  # it is over
                self._aside, self._back_at = None, now

    @property
    def _latest(self) -> float:
        return (self.opened_at or 0.0) + self._manners.latest

    def _step(self, run: Run) -> None:
        """Go on with one of both; `_wake` is None when it is over, and when it has ended the call."""
        self._wake = None
        wake = next(run, None)
        if self._main is not None:
            self._wake = wake

    # --- the talk ----------------------------------------------------------------------------------------------------

    def _talk(self) -> Run:
        yield from self._listen()
        while self._now < (self.opened_at or 0.0) + self._manners.seconds or self._tools:
            yield from self._exchange()
        if self._manners.ends == "agent":
            self._prompt(Turn(preamble=FAREWELL, call=Call(name=END_CALL, arguments={"reason": "served"})))
            yield from self._say(THANKS)
            yield from self._listen()
            yield from self._until(self._now + GOODBYE_PATIENCE)
        self._phone.hang_up(self._now)

    def _exchange(self) -> Run:
        self._exchanges += 1
        kind = ("tool", "interrupt")[self._exchanges - 1] if self._exchanges <= 2 else self._chance.choice(_KINDS)
        if self._tools or kind == "tool":
            name = self._tools.pop(0) if self._tools else "lookup"
            preamble = self._chance.choice((LOOKING, None))
            self._prompt(Turn(preamble=preamble, call=Call(name=name, arguments={"order": "1234"})))
            yield from self._say(ORDER)
        elif kind == "interrupt":
            self._prompt(Turn(say=LONG))
            yield from self._say(self._chance.choice(QUESTIONS))
            yield from self._hear_out(HEARD_OUT)
            yield from self._say(STOP, interrupting=True)
        elif kind == "digits":
            yield from self.press(4, 0.2)
        else:
            yield from self._say(self._chance.choice(QUESTIONS))
        yield from self._listen()

    def _say(self, text: str, *, interrupting: bool = False) -> Run:
        spoken = self._phone.say(Utterance(text), self._now, interrupting=interrupting)
        self._mark = spoken.end
        yield from self._until(spoken.end)

    def _hear_out(self, seconds: float) -> Run:
        """Listen to so much of an answer, or to the end of a shorter one."""
        deadline = self._now + self._manners.patience
        while self._now < deadline:
            moment = self._ear.moment_of(self._mark, seconds)
            ends = self._ear.quiet_from(self._mark)
            if moment is not None and self._now >= moment:
                return
            if moment is None and ends is not None and self._now >= ends + SILENCE:
                return
            yield moment if moment is not None else deadline if ends is None else ends + SILENCE

    def _listen(self) -> Run:
        """Until the agent has answered, with patience and a "Hello?" where it does not."""
        nudges = 0
        while True:
            ends = self._ear.quiet_from(self._mark)
            if ends is not None and self._now < ends:
                yield ends
                continue
            if ends is not None and self._answered():
                if self._now >= ends + SILENCE:
                    self.answers += 1
                    return
                yield ends + SILENCE
                continue
            due = max(self._mark, self._back_at, ends or 0.0) + self._manners.patience
            if self._now < due:
                yield due
                continue
            if nudges == MAX_NUDGES:
                self.failure = StepFailed(0, f"nobody answered {MAX_NUDGES + 1} times in a row")
                self._phone.hang_up(self._now)
                yield None  # and nobody asks again
            nudges += 1
            self.nudges += 1
            yield from self._say(HELLO)

    def _answered(self) -> bool:
        return self._repertoire.end_of(self._queue.tail(self._now, TAIL + _PADDING)) == "answer"

    def _until(self, when: float) -> Run:
        while self._now < when:
            yield when


_KINDS: Final = ("question", "question", "question", "question", "tool", "tool", "interrupt", "interrupt", "digits")
