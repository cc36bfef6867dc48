"""What the caller says: which of it stops the agent, and who answers it.

Three ways, by the agent's settings (`CallPlan`): the server decides, which is the quickest; nothing stops the agent,
and the caller is answered afterwards; or `Interruptions` decides, and this carries it out.
"""

from collections.abc import Callable

from offhook import realtime
from offhook.bridge import moments
from offhook.bridge.agent_turns import AgentTurns
from offhook.bridge.answers import TURN, Answers
from offhook.bridge.interruptions import Interruptions, Verdict
from offhook.bridge.plan import CallPlan
from offhook.bridge.transcript import Transcript
from offhook.realtime import RealtimeSession

FRONT = "root"
"""Stands for the place in front of all items of the conversation."""


class CallerTurns:
    """The caller's turns of one call; `turn` is told of each that counts, `no_turn` of items that are none at all."""

    def __init__(
        self,
        plan: CallPlan,
        session: RealtimeSession,
        agent: AgentTurns,
        answers: Answers,
        transcript: Transcript,
        moment: Callable[..., None],
        turn: Callable[[float], None],
        no_turn: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self.session = session
        self._agent = agent
        self._answers = answers
        self._transcript = transcript
        self._moment = moment
        self._turn = turn
        self._no_turn = no_turn
        self._judge = self._new_judge()
        self._behind: str | None = None  # where the conversation stood when the caller may have interrupted
        self._timed_out: str | None = None
        self._stopped = False

    def _new_judge(self) -> Interruptions | None:
        plan = self._plan
        if not plan.decides_interruptions:
            return None
        return Interruptions(plan.barge_in, plan.turn_detection, transcribes=plan.transcribes)

    @property
    def idle(self) -> bool:
        """Nothing that the caller said is being judged."""
        return self._judge is None or self._judge.idle

    def session_lost(self) -> None:
        """Nobody will tell what became of what the caller was saying; the next session counts its audio anew."""
        self._judge = self._new_judge()
        self._behind = self._timed_out = None

    def hear(self, audio: bytes) -> None:
        """8 kHz µ-law of the caller, or silence in its place: to the model."""
        self.session.send_audio(audio)
        if self._judge is not None:
            self._judge.hear(audio)

    # What the server tells.

    def started(self, event: realtime.SpeechStarted, now: float) -> None:
        """Speech began."""
        self._answers.replies.caller_started()
        if self._judge is not None and not self._stopped:
            busy = self._agent.busy(now)
            if not busy:
                self._answers.caller_started()
            self._judge.started(event.item_id, event.audio_start_ms, now, busy=busy)
            self._carry_out(self._judge, now)
            return
        self._answers.caller_started()
        if self._plan.interruptible and not self._stopped:
            # What is asked for and has not begun is not stopped by the server.
            self._agent.interrupt(now, cancel=not self._agent.generating)

    def stopped(self, event: realtime.SpeechStopped, now: float) -> None:
        """It ended."""
        self._answers.replies.caller_stopped(now)
        if self._judge is not None:
            self._judge.stopped(event.item_id, event.audio_end_ms, now)
            self._carry_out(self._judge, now)

    def timed_out(self, event: realtime.InputTimedOut) -> None:
        """Nobody spoke, and the server answers that by itself (openai-realtime.md §3)."""
        self._timed_out = event.item_id

    def committed(self, event: realtime.InputCommitted, now: float) -> None:
        """It became an item of the conversation."""
        if self._stopped or event.item_id == self._timed_out:
            return
        if self._judge is None:
            self._answer(now)
            return
        if self._agent.held and self._behind is None:
            self._behind = event.previous_item_id or FRONT
        self._judge.committed(event.item_id, now, busy=self._agent.busy(now))
        self._carry_out(self._judge, now)

    def unheard(self, now: float) -> None:
        """What the caller is saying was taken back: no turn will come of it."""
        self._answers.replies.caller_unheard()
        if self._judge is not None:
            self._judge.taken_back()
            self._carry_out(self._judge, now)

    def transcribed(self, item_id: str, text: str, now: float, *, complete: bool) -> None:
        """Words of it, or a piece of them; a failed transcript is complete without words."""
        if self._judge is not None:
            self._judge.transcribed(item_id, text, now, complete=complete)
            self._carry_out(self._judge, now)

    # What else happens.

    def interrupt(self, now: float) -> None:
        """Stop the agent: the caller did, by voice or by a key."""
        self._answers.forget()
        session = self.session
        spared = session.active_response_id is None and any(map(self._answers.protected, session.pending_tags))
        self._agent.interrupt(now, cancel=not spared, behind=self._behind)
        self._behind = None

    def stop(self, now: float) -> None:
        """The call is ending: the caller is no longer listened to, and what was in doubt stands."""
        self._stopped = True
        if self._agent.held:
            self.interrupt(now)

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called."""
        return None if self._judge is None or self._stopped else self._judge.next_timer()

    def handle_timer(self, now: float) -> None:
        """Draw conclusions from the time, and from what was heard."""
        if self._judge is not None:
            self._judge.handle_timer(now)
            self._carry_out(self._judge, now)

    # What follows.

    def _carry_out(self, judge: Interruptions, now: float) -> None:
        verdicts = [] if self._stopped else judge.verdicts()
        for verdict, item_id in verdicts:
            self._do(verdict, item_id, judge, now)
        if verdicts and judge.idle and TURN not in self.session.pending_tags:
            # No answer to the caller is on its way: who waits for one need not wait any longer.
            self._answers.replies.nothing_said()
            self._answers.ask_if_due(now)

    def _do(self, verdict: Verdict, item_id: str, judge: Interruptions, now: float) -> None:
        match verdict:
            case Verdict.STOP if self._plan.barge_in.resume:
                self._agent.hold_back(now)
            case Verdict.STOP:
                self._stop_agent(judge, now)
            case Verdict.STAND if self._agent.held:  # otherwise a key was quicker
                self._stop_agent(judge, now)
            case Verdict.GO_ON:
                self._agent.go_on(now)
                self._behind = None
            case Verdict.IGNORE:
                self._ignore(item_id, now)
            case Verdict.ANSWER:
                self._answer(now)
            case Verdict.PASSED if not self._agent.busy(now):
                self._answer(now)

    def _stop_agent(self, judge: Interruptions, now: float) -> None:
        # An answer that has not begun yet would be spoken into what the caller says now.
        if self.session.withdraw_response(TURN):
            judge.owe()
        self.interrupt(now)

    def _ignore(self, item_id: str, now: float) -> None:
        """It was no turn: the model is not to puzzle over it, and nobody waits for its answer."""
        self.session.delete_item(item_id)
        self._transcript.drop(item_id)
        self._no_turn(item_id)
        self._moment(moments.FALSE_ALARM, now)

    def _answer(self, now: float) -> None:
        """It was a turn; that may end the call."""
        self._turn(now)
        if self._plan.answers_itself:
            self._answers.turn_committed(now)
        elif not self._stopped:
            self._answers.answer_turn(now)
