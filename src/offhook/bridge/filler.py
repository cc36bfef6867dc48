"""No dead air: while tools run and nothing is heard, the agent says that it takes a moment, now and then."""

from offhook.bridge.plan import Filler, Prompt


class Fillers:
    """The fillers of one call; they begin anew whenever no tool runs any more."""

    def __init__(self, settings: Filler) -> None:
        self.settings = settings
        self._said = 0

    def due_at(self, quiet_since: float | None, *, waiting: bool) -> float | None:
        """When the next filler is to be said.

        Args:
            quiet_since: Monotonic seconds since when nothing is heard on either side; None = something is.
            waiting: A tool runs.
        """
        if not waiting or self.settings.after is None or quiet_since is None:
            return None
        return quiet_since + (self.settings.every if self._said else self.settings.after)

    def reset(self) -> None:
        """No tool runs any more: the next wait is another one."""
        self._said = 0

    def take(self) -> Prompt:
        """It is due: what to say."""
        prompt = self.settings.prompts[min(self._said, len(self.settings.prompts) - 1)]
        self._said += 1
        return prompt
