"""How a call that is to end comes to its end: who wanted it, what is said before, and what if that does not come.

`Ending` holds the state and its bounds; this decides the steps.
"""

from collections.abc import Callable
from typing import Protocol

from offhook.bridge import moments
from offhook.bridge.agent_turns import AgentTurns, RunningResponse
from offhook.bridge.ending import Ending
from offhook.bridge.plan import CallPlan, Prompt
from offhook.bridge.playout import Playout
from offhook.bridge.prompts import GOODBYE, HANDOVER
from offhook.bridge.tool_calls import EndWish


class Say(Protocol):
    """Lets the agent say a goodbye; False when that is a recording, which is on its way already."""

    def __call__(self, prompt: Prompt, now: float) -> bool:
        """Say it."""
        ...


class Farewell:
    """The end of one call.

    Args:
        plan: The agent; a change of language brings another one.
        playout: Where the goodbye is heard.
        agent: Who says it.
        say: Lets the agent say a goodbye.
        hush: The caller is not listened to any more, and nothing else is asked of the model.
        summarize: Asks for the summary, with the words of who wanted the end.
        moment: Reports a moment.

    Attributes:
        ending: Set when the call is to end; `Call` brings it about.
    """

    def __init__(
        self,
        plan: CallPlan,
        playout: Playout,
        agent: AgentTurns,
        *,
        say: Say,
        hush: Callable[[float], None],
        summarize: Callable[[str, float], None],
        moment: Callable[..., None],
    ) -> None:
        self.ending: Ending | None = None
        self.plan = plan
        self._playout = playout
        self._agent = agent
        self._say = say
        self._hush = hush
        self._summarize = summarize
        self._moment = moment

    def begin(self, ending: Ending, now: float, *, ready: bool) -> None:
        """Begin to end the call; the first wish wins. From here on the caller is not listened to (trap: talk-over).

        What the agent is saying is heard first, then the goodbye, if there is to be one.

        Args:
            ending: How, and with what words.
            now: Monotonic seconds.
            ready: The model can be asked for a goodbye.
        """
        if self.ending is not None:
            self.ending.hurry(ending.ends_by)
            return
        self.ending = ending
        self._hush(now)
        self._moment(moments.ENDING, now, outcome=ending.outcome)
        if not ready or ending.outcome == "failed":
            self.go_without(now)
            return
        speaking = self._agent.speaking
        if speaking is not None:
            ending.await_goodbye(speaking.response_id, self.plan.goodbye_timeout, now)
        else:
            self._say_goodbye(ending, now)

    def wished(self, wish: EndWish, response: RunningResponse | None) -> Ending:
        """The end that a response of the model, or a tool (None), wants; what it says meanwhile is the goodbye."""
        escalated = wish.outcome == "escalated"
        fixed = self.plan.handover if escalated else self.plan.goodbye
        goodbye: Prompt | None = fixed or (HANDOVER if escalated else GOODBYE)
        if fixed is None and response is not None and response.over and response.spoke:
            goodbye = None
        return Ending(
            outcome=wish.outcome,
            reason=wish.reason,
            words=wish.words,
            target=wish.target,
            goodbye=goodbye,
            unless_spoken=fixed is None and response is not None,
            wished_in=response.response_id if response is not None else None,
        )

    # What happens meanwhile.

    def response_started(self, response_id: str) -> None:
        """The goodbye has begun."""
        if self.ending is not None:
            self.ending.response_id = response_id

    def heard_of(self, now: float) -> None:
        """The model goes on talking."""
        if self.ending is not None:
            self.ending.heard_of(self.plan.goodbye_timeout, now)

    def response_ended(self, response: RunningResponse, now: float) -> None:
        """A response is over: if it is the one that is waited for, the next step is due."""
        ending = self.ending
        if ending is None or ending.goodbye_by is None or response.response_id != ending.response_id:
            return
        if response.spoke and ending.unless_spoken:
            ending.goodbye = None
        self._say_goodbye(ending, now)

    def go_without(self, now: float) -> None:
        """The model does not say what it was to say; a recording needs no model."""
        ending = self.ending
        if ending is None:
            return
        if ending.goodbye is not None and ending.goodbye.audio is not None:
            self._say_goodbye(ending, now)
        else:
            ending.drain(self._playout, now)

    def next_timers(self) -> tuple[float | None, float | None]:
        """When the call ends, and when it goes without a goodbye, unless something happens before."""
        ending = self.ending
        return (None, None) if ending is None else (ending.due_at(self._playout), ending.goodbye_by)

    def handle_timer(self, now: float) -> None:
        """Do not wait for a goodbye that does not come."""
        if self.ending is not None and self.ending.goodbye_by is not None and now >= self.ending.goodbye_by:
            self.go_without(now)

    def _say_goodbye(self, ending: Ending, now: float) -> None:
        """The model has finished what it was saying: the goodbye is next, then the call ends."""
        goodbye, ending.goodbye = ending.goodbye, None
        if goodbye is not None and self._say(goodbye, now):
            ending.await_goodbye(None, self.plan.goodbye_timeout, now)
        else:
            ending.drain(self._playout, now)
        # After the goodbye was asked for, which the caller waits for.
        self._summarize(ending.words, now)
