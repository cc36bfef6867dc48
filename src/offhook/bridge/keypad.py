"""DTMF digits that nobody asked for: collected until the terminator or a pause, then told to the model as text.

The Realtime API knows DTMF on SIP only (openai-realtime.md §5.3), so the digits become a user message.
"""

from offhook.bridge.plan import Dtmf


class Keypad:
    """Digits of one call that the model does not know of yet."""

    def __init__(self, settings: Dtmf) -> None:
        self._settings = settings
        self._keys = ""
        self._due: float | None = None

    def __repr__(self) -> str:
        return f"Keypad({len(self._keys)} keys)"

    def press(self, digit: str, now: float) -> None:
        """The caller pressed a key: one of 0-9, *, # (A-D where a phone has them)."""
        settings = self._settings
        self._keys += digit
        complete = digit == settings.terminator or len(self._keys) >= settings.max_digits
        self._due = now if complete else now + settings.timeout

    def take(self, now: float) -> str:
        """The digits, if they are complete; empty otherwise. A terminator without digits stands for itself."""
        if self._due is None or now < self._due:
            return ""
        keys, terminator = self.clear(), self._settings.terminator
        return keys if terminator is None else keys.replace(terminator, "") or terminator

    def clear(self) -> str:
        """Forget what was collected, and return the keys as they were pressed."""
        keys, self._keys, self._due = self._keys, "", None
        return keys

    def next_timer(self) -> float | None:
        """When the collected digits are complete for want of another."""
        return self._due


def as_text(digits: str) -> str:
    """What the model reads: digits apart, so that it neither adds them up nor reads them as a number."""
    return f"The caller pressed {' '.join(digits)} on the keypad."
