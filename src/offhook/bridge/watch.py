"""The clock of a call: what is due when nobody speaks for too long, and when the call has lasted long enough.

Quiet is when neither side is heard and nothing of the model is on its way. While tools run, quiet brings a filler;
otherwise it is the caller who keeps silent.
"""

from offhook.bridge.agent_turns import AgentTurns
from offhook.bridge.announcements import Announcements
from offhook.bridge.answers import Answers
from offhook.bridge.caller_audio import CallerAudio
from offhook.bridge.filler import Fillers
from offhook.bridge.limits import Limits
from offhook.bridge.plan import CallPlan, Prompt
from offhook.bridge.playout import Playout
from offhook.bridge.silence import Silence


class Watch:
    """Silence, fillers and limits of one call.

    Attributes:
        caller_speaking: Turn detection hears the caller.
        limits: What the call may last and cost.
        announcements: What is played while the AI cannot be heard.
    """

    def __init__(
        self,
        plan: CallPlan,
        agent: AgentTurns,
        answers: Answers,
        playout: Playout,
        caller_audio: CallerAudio,
        now: float,
    ) -> None:
        self.caller_speaking = False
        self.limits = Limits(plan.limits, now)
        self._silence = Silence(plan.no_input)
        self._fillers = Fillers(plan.filler)
        self.announcements = Announcements(plan.recovery, now)
        self._agent = agent
        self._answers = answers
        self._playout = playout
        self._caller_audio = caller_audio
        self._quiet_from = now  # as far as this side of the playout goes

    def change(self, plan: CallPlan) -> None:
        """The same agent in another language."""
        self._silence.settings, self._fillers.settings = plan.no_input, plan.filler
        self.limits.settings = plan.limits
        self.announcements.settings = plan.recovery

    def stir(self, now: float) -> None:
        """Something was heard or done: quiet begins anew, at the earliest now."""
        self._quiet_from = now

    def caller_heard(self, now: float) -> None:
        """The caller said or pressed something: they are asked from the beginning again."""
        self._silence.heard()
        self.announcements.caller_heard(now)

    def tools_done(self) -> None:
        """No tool runs any more."""
        self._fillers.reset()

    def quiet_since(self) -> float | None:
        """Since when it is quiet, in monotonic seconds, maybe in the future; None = it is not."""
        if self.caller_speaking or self._caller_audio.paused or self._playout.queued or self._agent.held:
            return None
        if self._agent.speaking is not None or self._answers.expected:
            return None
        return max(self._quiet_from, self._playout.played_at())

    def announcement_at(self) -> float | None:
        """When the caller is to hear that it takes a moment."""
        silent = not (self.caller_speaking or self._caller_audio.paused or self._playout.queued or self._agent.held)
        return self.announcements.due_at(self._playout.played_at() if silent else None)

    def take_announcement(self, now: float) -> Prompt | None:
        """The announcement that is due."""
        at = self.announcement_at()
        return None if at is None or now < at else self.announcements.take()

    def filler_at(self, quiet: float | None, *, tools_run: bool) -> float | None:
        """When the next filler is due.

        Args:
            quiet: What `quiet_since` says; it is asked for once for all that depends on it.
            tools_run: The caller waits for a tool.
        """
        return self._fillers.due_at(quiet, waiting=tools_run)

    def take_filler(self, now: float, *, tools_run: bool) -> Prompt | None:
        """The filler that is due."""
        at = self.filler_at(self.quiet_since(), tools_run=tools_run)
        if at is None or now < at:
            return None
        self.stir(now)
        return self._fillers.take()

    def silence_at(self, quiet: float | None, *, busy: bool) -> float | None:
        """When the caller has been silent for too long.

        Args:
            quiet: As for `filler_at`.
            busy: Somebody else is to act, or keys are being pressed.
        """
        return None if busy else self._silence.due_at(quiet)

    def take_silence(self, now: float, *, busy: bool) -> tuple[Prompt, bool] | None:
        """What is to be said to a caller who is silent now, and whether it is the last: then the call ends."""
        at = self.silence_at(self.quiet_since(), busy=busy)
        if at is None or now < at:
            return None
        self.stir(now)
        prompt = self._silence.take()
        return (self._silence.settings.goodbye, True) if prompt is None else (prompt, False)
