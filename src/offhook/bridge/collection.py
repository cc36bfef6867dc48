"""One run of `collect_digits`: digits that the agent asked for, until they are complete or the caller gave up.

| key        | what it does                                                                                          |
|------------|-------------------------------------------------------------------------------------------------------|
| 0-9        | is entered; as many as were asked for are complete                                                    |
| terminator | what was entered is complete                                                                          |
| *          | what was entered is forgotten (# does that where * is the terminator)                                 |
| none       | for `timeout` after the question, or `between` after a key, or `total` after the question: it is over |
"""

import msgspec

from offhook.bridge.arguments import NOT_AN_OBJECT, read_arguments
from offhook.bridge.plan import CollectDigits

COLLECT_DIGITS = "collect_digits"
MAX_DIGITS = 64
"""Digits that are entered at most."""
MAX_PURPOSE = 200
"""Characters kept of what the digits are for."""
MAX_QUESTION = 60.0
"""Seconds after which the question counts as heard, whatever became of it."""
COMPLETE, TIMEOUT, TOO_SHORT, CALLER_SPOKE, INTERRUPTED = (
    "complete",
    "timeout",
    "too_short",
    "caller_spoke",
    "interrupted",
)
"""How it ends."""


class DigitRequest(msgspec.Struct, frozen=True):
    """What the model asks for."""

    purpose: str
    length: int | None
    """Exact number of digits; None = the caller ends them."""
    secret: bool


class Entered(msgspec.Struct, frozen=True):
    """What came of it."""

    status: str
    digits: str

    def __repr__(self) -> str:
        return f"Entered({self.status}, {len(self.digits)} digits)"

    def output(self, *, secret: bool) -> str:
        """JSON text for the model; of secret digits it learns no more than that they were not complete."""
        told = {} if secret else {"digits": self.digits}
        status = {} if self.status == COMPLETE else {"status": self.status}
        return msgspec.json.encode({**told, **status}).decode()


def read_request(arguments: str, *, secrets: bool) -> DigitRequest | str:
    """Read the arguments of a call.

    Args:
        arguments: JSON text as the model wrote it.
        secrets: The agent may ask for secret digits.

    Returns:
        The request, or what is wrong with it, for the model.
    """
    given = read_arguments(arguments)
    if given is None:
        return NOT_AN_OBJECT
    purpose, length, secret = given.get("purpose") or "", given.get("length"), given.get("secret") or False
    if not isinstance(purpose, str):
        return "purpose must be a text"
    if length is not None and (type(length) is not int or not 1 <= length <= MAX_DIGITS):
        return f"length must be an integer from 1 to {MAX_DIGITS}; leave it out if you do not know it"
    if not isinstance(secret, bool):
        return "secret must be true or false"
    if secret and not secrets:
        return "secret digits cannot be collected in this call"
    return DigitRequest(purpose[:MAX_PURPOSE], length, secret)


class Collection:
    """The digits of one request.

    Args:
        call_id: Of the function call that waits for them.
        request: What is asked for.
        settings: How long the caller has.
        terminator: Key that ends the digits; None = there is none.
        now: Monotonic seconds.
    """

    def __init__(
        self, call_id: str, request: DigitRequest, settings: CollectDigits, terminator: str | None, now: float
    ) -> None:
        self.call_id = call_id
        self.request = request
        self._settings = settings
        self._terminator = terminator
        self._clears = "#" if terminator == "*" else "*"
        self._digits = ""
        self._status: str | None = None
        self._key_at: float | None = None
        self._heard_by = now + MAX_QUESTION
        self._total_from: float | None = None

    def __repr__(self) -> str:
        return f"Collection({self.call_id}, {len(self._digits)} digits)"

    @property
    def begun(self) -> bool:
        """The caller has pressed a key."""
        return self._key_at is not None

    def press(self, digit: str, now: float) -> None:
        """The caller pressed a key; those that mean nothing here only show that somebody is there."""
        if self._status is not None:
            return
        self._key_at = now
        if self._total_from is None:
            self._total_from = now
        if digit == self._terminator:
            self._status = self._whole()
        elif digit == self._clears:
            self._digits = ""
        elif digit.isdecimal():
            self._digits += digit
            if len(self._digits) >= (self.request.length or MAX_DIGITS):
                self._status = COMPLETE

    def speak(self) -> None:
        """The caller spoke a sentence; it stands for digits that were not entered."""
        if not self._digits and self._status is None:
            self._status = CALLER_SPOKE

    def held(self, now: float) -> None:
        """The caller comes back from hold, where keys go nowhere: the time for the next one begins anew."""
        if self._key_at is not None:
            self._key_at = now

    def due_at(self, quiet_since: float | None, *, on_hold: bool) -> float:
        """When it ends, if no key is pressed before.

        Args:
            quiet_since: When the caller has heard the question to its end, and nothing else was heard since; None =
                something is being said, or is about to be.
            on_hold: The caller cannot enter anything at the moment.
        """
        if self._status is not None:
            return 0.0
        begun = self._total_from if self._total_from is not None else quiet_since
        ends = (self._heard_by if begun is None else begun) + self._settings.total
        if on_hold:
            return ends
        if self._key_at is not None:
            patience = self._settings.between if self._digits else self._settings.timeout
            return min(self._key_at + patience, ends)
        heard = self._heard_by if quiet_since is None else min(quiet_since, self._heard_by)
        return min(heard + self._settings.timeout, ends)

    def take(self, now: float, quiet_since: float | None, *, on_hold: bool) -> Entered | None:
        """What came of it, when it is over; arguments as for `due_at`."""
        if self._total_from is None and quiet_since is not None and now >= quiet_since:
            self._total_from = quiet_since
        if now < self.due_at(quiet_since, on_hold=on_hold):
            return None
        return Entered(self._status or self._silent(now), self._digits)

    def _whole(self) -> str:
        return TOO_SHORT if not self._digits or self.request.length is not None else COMPLETE

    def _silent(self, now: float) -> str:
        """How it ends when the caller pressed nothing more."""
        total = self._total_from
        if not self._digits or (total is not None and now >= total + self._settings.total):
            return TIMEOUT
        return self._whole()
