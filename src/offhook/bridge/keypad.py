"""DTMF digits: collected until `#` or a pause, then told to the model as text.

The Realtime API knows DTMF on SIP only (openai-realtime.md §5.3), so the digits become a user message.
"""

MAX_DIGITS = 64
"""Digits that are collected before they are sent without waiting for more."""


class Keypad:
    """Digits of one call that the model does not know of yet."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._digits = ""
        self._due: float | None = None

    def press(self, digit: str, now: float) -> None:
        """The caller pressed a key: one of 0-9, *, # (A-D where a phone has them)."""
        if digit == "#" or len(self._digits) >= MAX_DIGITS - 1:
            self._due = now
        else:
            self._due = now + self._timeout
        if digit != "#" or not self._digits:
            self._digits += digit

    def take(self, now: float) -> str:
        """The digits, if they are complete; empty otherwise."""
        if self._due is None or now < self._due:
            return ""
        digits, self._digits, self._due = self._digits, "", None
        return digits

    def clear(self) -> None:
        """Forget what was collected."""
        self._digits, self._due = "", None

    def next_timer(self) -> float | None:
        """When the collected digits are complete for want of another."""
        return self._due


def as_text(digits: str) -> str:
    """What the model reads: digits apart, so that it neither adds them up nor reads them as a number."""
    return f"The caller pressed {' '.join(digits)} on the keypad."
