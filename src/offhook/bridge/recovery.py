"""From one Realtime session to the next: what is put by when one is lost, and how the next one takes up the talk.

    lost ──▶ put by: what was said and done is kept, what was on its way is given up
         ──▶ the caller hears that it takes a moment (`announcements.py`), what they say meanwhile is not kept
    ready ─▶ told: the turns as they were heard, function calls with their results
         ──▶ what is still being heard of the agent is heard to its end, and told then
         ──▶ one response: the agent carries on

A planned change of session between two turns is the same without the last step: nobody notices.
"""

from offhook.bridge.agent_turns import AgentTurns
from offhook.bridge.answers import GREETING, NOTICE, Answers
from offhook.bridge.caller_audio import CallerAudio
from offhook.bridge.caller_turns import CallerTurns
from offhook.bridge.collection import COLLECT_DIGITS
from offhook.bridge.digits import Digits
from offhook.bridge.history import History
from offhook.bridge.hosted_calls import HostedCalls
from offhook.bridge.prompts import carry_on, still_running
from offhook.bridge.summary import Summary
from offhook.bridge.tool_calls import ToolCalls
from offhook.bridge.transcript import Transcript
from offhook.bridge.watch import Watch
from offhook.realtime import RealtimeSession, system_message


class Recovery:
    """Takes one call over from session to session.

    Attributes:
        pending: The agent is to carry on as soon as what it said before has been heard, unless the caller speaks first:
            then it answers them.
    """

    def __init__(
        self,
        history: History,
        transcript: Transcript,
        agent: AgentTurns,
        answers: Answers,
        caller: CallerTurns,
        caller_audio: CallerAudio,
        tool_calls: ToolCalls,
        hosted: HostedCalls,
        digits: Digits,
        summary: Summary,
        watch: Watch,
    ) -> None:
        self.pending = False
        self._history = history
        self._transcript = transcript
        self._agent = agent
        self._answers = answers
        self._caller = caller
        self._caller_audio = caller_audio
        self._tool_calls = tool_calls
        self._hosted = hosted
        self._digits = digits
        self._summary = summary
        self._watch = watch

    def unsaid(self) -> list[str]:
        """What has to be said first of all, and was not: to be asked of the next session, the last one first.

        A notice counts when it is whole; of a greeting the beginning is enough.
        """
        notice, greeting = self._agent.unfinished(NOTICE), self._agent.unfinished(GREETING)
        unsaid = [GREETING] if self._answers.awaits(GREETING) or (greeting is not None and not greeting.spoke) else []
        return [*unsaid, NOTICE] if self._answers.awaits(NOTICE) or notice is not None else unsaid

    def put_by(self, lost: RealtimeSession, now: float) -> None:
        """The session in use is gone: keep what was said and done, give up what was on its way."""
        for item_id, name in self._hosted.session_lost():
            self._transcript.mark(self._history.call(item_id, name, "", hosted=True))
        self._history.session_lost(lost.mcp_result)
        self._transcript.session_lost()
        self._agent.session_lost(now)
        self._answers.session_lost()
        self._caller.session_lost()
        self._summary.session_lost()
        self._watch.caller_speaking = False
        self._watch.limits.session_lost()
        self._caller_audio.hold()

    def use(self, session: RealtimeSession) -> None:
        """From here on everything is said to this session, once it is ready."""
        for part in (self._agent, self._answers, self._caller, self._tool_calls, self._hosted, self._summary):
            part.session = session

    def tell(self, session: RealtimeSession) -> None:
        """The next session is ready: tell it what it has to know."""
        later = self._agent.unheard_items()  # told when they have been heard
        for item in self._history.items(turn for turn in self._transcript.open_turns() if turn.item_id not in later):
            session.send_item(item)
        if running := self._running:
            # At once, for the caller may be quicker than we are, and nothing is to be booked twice.
            session.send_item(system_message(still_running(running)))

    def carry_on(self, session: RealtimeSession, now: float) -> None:
        """Let the agent carry on, when it has the floor."""
        caller_until = self._answers.replies.caller_until  # what they said may prove to be a turn
        if not self.pending or self._occupied or (caller_until is not None and now < caller_until):
            return
        self.pending = False
        running, collecting = bool(self._running), self._digits.collecting
        session.send_item(system_message(carry_on(running=running, collecting=collecting)))
        self._answers.carry_on(now, tools_run=running or collecting)

    def next_timer(self) -> float | None:
        """When `carry_on` has something to do, unless something happens before."""
        return self._answers.replies.caller_until if self.pending and not self._occupied else None

    @property
    def _running(self) -> list[str]:
        """Names of the functions whose results are still to come, and not from the caller."""
        collecting = self._digits.collecting
        return [name for name in self._history.running() if not (collecting and name == COLLECT_DIGITS)]

    @property
    def _occupied(self) -> bool:
        """The agent is still heard with what it said before, or the caller speaks, presses keys or is on hold."""
        caller = self._watch.caller_speaking or not self._caller.idle or self._digits.entering
        agent = self._agent.generating or self._answers.session.pending_tags or self._agent.unheard_items()
        return caller or self._caller_audio.paused or bool(agent)
