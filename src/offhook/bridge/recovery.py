"""From one Realtime session to the next: what is put by when one is lost, and how the next one takes up the talk.

    lost ──▶ put by: what was said and done is kept, what was on its way is given up
         ──▶ the caller hears that it takes a moment (`announcements.py`), what they say meanwhile is not kept
    ready ─▶ told: the turns as they were heard, function calls with their results
         ──▶ what is still being heard of the agent is heard to its end, and told then
         ──▶ one response: the agent carries on

A planned change of session between two turns is the same without the last step: nobody notices.
"""

from offhook.bridge.agent_turns import AgentTurns
from offhook.bridge.answers import Answers
from offhook.bridge.caller_audio import CallerAudio
from offhook.bridge.caller_turns import CallerTurns
from offhook.bridge.history import History
from offhook.bridge.hosted_calls import HostedCalls
from offhook.bridge.prompts import carry_on
from offhook.bridge.summary import Summary
from offhook.bridge.tool_calls import ToolCalls
from offhook.bridge.transcript import Transcript
from offhook.bridge.watch import Watch
from offhook.realtime import RealtimeSession, system_message


class Recovery:
    """Takes one call over from session to session.

    Attributes:
        pending: The agent is to carry on as soon as what it said before has been heard.
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
        self._summary = summary
        self._watch = watch

    def put_by(self, lost: RealtimeSession, now: float) -> None:
        """The session in use is gone: keep what was said and done, give up what was on its way."""
        self._history.session_lost(lost.mcp_result)
        self._transcript.session_lost()
        self._agent.session_lost(now)
        self._hosted.session_lost()
        self._answers.session_lost()
        self._caller.session_lost()
        self._summary.session_lost()
        self._watch.caller_speaking = False
        self._caller_audio.hold()

    def use(self, session: RealtimeSession) -> None:
        """From here on everything is said to this session, once it is ready."""
        for part in (self._agent, self._answers, self._caller, self._tool_calls, self._hosted, self._summary):
            part.session = session

    def tell(self, session: RealtimeSession) -> None:
        """The next session is ready: tell it what it has to know."""
        later = self._agent.unheard_items()  # told when they have been heard
        open_turns = [turn for turn in self._transcript.open_turns() if turn.item_id not in later]
        for item in self._history.items(open_turns):
            session.send_item(item)

    def carry_on(self, session: RealtimeSession, now: float) -> None:
        """Let the agent carry on, unless it is still to be heard with what it said before."""
        if not self.pending or self._agent.unheard_items():
            return
        self.pending = False
        running = self._history.running()
        session.send_item(system_message(carry_on(running)))
        self._answers.carry_on(now, tools_run=bool(running))
