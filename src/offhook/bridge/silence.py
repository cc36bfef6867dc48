"""Silence of the caller: asked about a few times, then the call ends (measured from what the caller has heard).

`response.done` comes long before the caller has heard the answer (openai-realtime.md §9 trap 7), and the server's own
idle timeout assumes that everything is played at once (trap 30). So the clock is here: it runs while nobody speaks,
nothing is played, nothing is on its way and the caller is not on hold.
"""

from offhook.bridge.plan import NoInput, Prompt


class Silence:
    """Counts the prompts that a caller has left unanswered."""

    def __init__(self, settings: NoInput) -> None:
        self.settings = settings
        self._asked = 0

    def heard(self) -> None:
        """The caller said or pressed something: the count begins anew."""
        self._asked = 0

    def due_at(self, quiet_since: float | None) -> float | None:
        """When the caller is to be asked, or the call to end.

        Args:
            quiet_since: Monotonic seconds since when nothing is heard on either side; None = something is.
        """
        if self.settings.after is None or quiet_since is None:
            return None
        return quiet_since + self.settings.after

    def take(self) -> Prompt | None:
        """It is due: what to ask; None = the caller was asked often enough."""
        prompts = self.settings.prompts
        self._asked += 1
        return prompts[self._asked - 1] if self._asked <= len(prompts) else None
