"""No dead air: when the AI cannot be heard, a recording says that it takes a moment, now and then.

At once when the Realtime leg is lost; after some seconds when an answer is due and does not come: a leg that fell
silent, a provider that is overloaded, a first connection that takes its time. Fillers (`filler.py`) are for tools and
said by the model; this is for when there is no model.
"""

from offhook.bridge.plan import Prompt, Recovery


class Announcements:
    """The announcements of one call.

    Args:
        settings: What is played, and when.
        now: Monotonic seconds of `opened`.

    Attributes:
        waiting_from: Since when something is due from the model; None = nothing is.
    """

    def __init__(self, settings: Recovery, now: float) -> None:
        self.settings = settings
        self._still_from = now  # the caller was last heard
        self.waiting_from: float | None = now
        self._lost = False
        self._played = 0

    def caller_heard(self, now: float) -> None:
        """The caller has said or pressed something, or is back from hold."""
        self._still_from = now
        self._played = 0

    def agent_heard(self) -> None:
        """The agent speaks: the next wait is another one."""
        self._played = 0

    def lost(self) -> None:
        """The Realtime leg is gone; who has just been told that it takes a moment is not told again at once."""
        self._lost = True

    def back(self) -> None:
        """It is there again."""
        self._lost = False

    def wait(self, waiting: bool, now: float) -> None:
        """Note whether an answer is due; the next wait is another one."""
        if not waiting:
            self.waiting_from = None
            self._played = 0
        elif self.waiting_from is None:
            self.waiting_from = now

    def due_at(self, played_at: float | None) -> float | None:
        """When the next announcement is to be played.

        Args:
            played_at: When the caller has heard, or will have heard, all that was sent; None = more is on its way, or
                the caller speaks or is on hold.
        """
        if self.settings.prompt is None or played_at is None or (not self._lost and self.waiting_from is None):
            return None
        quiet = max(self._still_from, played_at)
        if self._played:
            return quiet + self.settings.every
        if self._lost:
            return quiet
        return max(quiet, self.waiting_from or quiet) + self.settings.after

    def take(self) -> Prompt | None:
        """It is due: what to play."""
        self._played += 1
        return self.settings.prompt
