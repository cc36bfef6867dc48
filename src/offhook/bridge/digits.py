"""Every key that the caller presses: to what `collect_digits` asks for, to the keypad, or nowhere.

**Secret** digits go to one tool and to nobody else (peers.md §4 #13). From the request on the model hears silence, for
tones and spoken digits are in the caller's audio as well; that lasts a little longer than the last key, whose tone may
still be on its way. Keys that come after the end - the sixth of a PIN that was said to have four - are dropped, not
told to the model. Keys that come while the model is still generating the question are kept until it has: they may be
the beginning of a secret.
"""

from collections.abc import Callable

from offhook.bridge import moments
from offhook.bridge.arguments import error
from offhook.bridge.caller_audio import SECRET, CallerAudio
from offhook.bridge.collection import (
    CALLER_SPOKE,
    COMPLETE,
    INTERRUPTED,
    Collection,
    DigitRequest,
    Entered,
    read_request,
)
from offhook.bridge.keypad import Keypad
from offhook.bridge.plan import CallPlan, CollectDigits
from offhook.bridge.tool_calls import ToolCalls
from offhook.bridge.transcript import Transcript
from offhook.realtime import FunctionCallReady

TONE = 1.0
"""Seconds after the last key of a secret in which its tone may still be heard."""
MAX_KEPT = 3.0
"""Seconds that keys are kept for a model that does not come to the end of what it is saying."""
SECRET_TURN = "(secret digits)"  # noqa: S105 - what the transcript shows
BUSY = error("digits are being collected already")
NOT_ASKED = error("the caller was not asked yet: say what to enter, and make this call again in the same response")


class Digits:
    """The keys of one call.

    Attributes:
        keypad: Digits that nobody asked for.
        hears_again_at: When the model may hear the caller again after secret digits; None = not before something else
            happens, or it does.
    """

    def __init__(
        self,
        plan: CallPlan,
        tools: ToolCalls,
        caller_audio: CallerAudio,
        transcript: Transcript,
        moment: Callable[..., None],
    ) -> None:
        self.keypad = Keypad(plan.dtmf)
        self.hears_again_at: float | None = None
        self._settings = plan.collect_digits or CollectDigits()
        self._terminator = plan.dtmf.terminator
        self._tools = tools
        self._caller_audio = caller_audio
        self._transcript = transcript
        self._moment = moment
        self._collection: Collection | None = None
        self._speech = False  # the caller began to speak while digits are collected
        self._turns = 0
        self._sent_back = False  # the last request came before the caller was asked anything
        self._secret = False
        self._kept_until: float | None = None  # keys on the keypad may be for what the model is about to ask
        self._surplus_until = 0.0  # keys until then belong to what is over already
        self._after_secret = False  # which was secret

    def __repr__(self) -> str:
        return f"Digits({self._collection}, {self.keypad})"

    @property
    def collecting(self) -> bool:
        """The agent waits for digits that it asked for."""
        return self._collection is not None

    @property
    def entering(self) -> bool:
        """The caller is pressing keys; what they enter will be told before long."""
        return self.keypad.next_timer() is not None or (self._collection is not None and self._collection.begun)

    @property
    def secret(self) -> bool:
        """The model must not hear the caller, because of secret digits."""
        return self._secret

    @property
    def turn_id(self) -> str:
        """Name of the turn that the next digits will be in the transcript."""
        return f"keypad-{self._turns + 1}"

    # What the model asks for.

    def begin(self, event: FunctionCallReady, now: float, *, asked: bool) -> None:
        """The model calls `collect_digits`.

        Args:
            event: The call.
            now: Monotonic seconds.
            asked: The response that makes the call said something; a second one that did not is taken at its word.
        """
        request = read_request(event.arguments, secrets=self._settings.secret_tool is not None)
        if isinstance(request, str):
            self._tools.answer(event.call_id, error(request))
        elif self._collection is not None:
            self._tools.answer(event.call_id, BUSY)
        elif not asked and not self._sent_back:
            self._sent_back = True
            self._tools.answer(event.call_id, NOT_ASKED)
        else:
            self._start(event.call_id, request, now)

    def _start(self, call_id: str, request: DigitRequest, now: float) -> None:
        self._sent_back = False
        self._speech = False
        self._surplus_until = 0.0
        self._tools.wait_for(call_id)
        self._moment(moments.DIGITS_STARTED, now, hidden=request.secret)
        if request.secret:
            self.hears_again_at = None
            if not self._secret:
                self._secret = True
                self._caller_audio.mute(SECRET, now)
                self._moment(moments.SECRET_STARTED, now)
        self._collection = Collection(call_id, request, self._settings, self._terminator, now)
        for digit in self.keypad.clear():  # the caller was faster than the model
            self._collection.press(digit, now)

    # What the caller does.

    def press(self, digit: str, now: float) -> bool:
        """The caller pressed a key; False when it goes nowhere."""
        on_hold = self._caller_audio.paused
        if self._collection is not None and (self._collection.request.secret or not (on_hold or self._secret)):
            self._collection.press(digit, now)
            return True
        if self._is_surplus(digit, now) or on_hold:
            return False
        self.keypad.press(digit, now)
        return True

    def _is_surplus(self, digit: str, now: float) -> bool:
        """Whether a key still belongs to digits that are complete."""
        if self._secret or self._tools.runs_secret or (self._after_secret and now < self._surplus_until):
            self._surplus_until = now + self._settings.between
            if self._secret:
                self.hears_again_at = now + TONE
            return True
        until, self._surplus_until = self._surplus_until, 0.0
        return now < until and digit == self._terminator

    def keep(self, now: float) -> bool:
        """The model is saying something: keep the keys, if it may turn out to ask for a secret; False if it cannot."""
        if self._settings.secret_tool is None or self._collection is not None:
            return False
        if self._kept_until is None:
            self._kept_until = now + MAX_KEPT
        return True

    def release(self, now: float, *, said: bool) -> bool:
        """Let kept keys go to the keypad, when the model has said what it had to say, or takes too long for it.

        Returns:
            Whether there were any, for which the agent would have stopped talking.
        """
        if self._kept_until is None or not (said or now >= self._kept_until):
            return False
        self._kept_until = None
        return True

    def speech_began(self) -> None:
        """The caller begins to speak."""
        self._speech = True

    def speech_over(self, now: float) -> None:
        """The caller has said something: words instead of digits, if there are no digits."""
        if self._collection is not None and self._speech:
            self._collection.speak()
            self.advance(now, None)

    def resume(self, now: float) -> None:
        """The caller is back from hold."""
        if self._collection is not None:
            self._collection.held(now)

    # What becomes of it.

    def settle(self, now: float) -> None:
        """The last tone of a secret has faded: the model may hear the caller again."""
        if self.hears_again_at is not None and now >= self.hears_again_at:
            self._end_secret(now)

    def advance(self, now: float, quiet_since: float | None) -> bool:
        """Do what is due; True when the model owes an answer now.

        Args:
            now: Monotonic seconds.
            quiet_since: When the caller heard the agent to its end, as `Conversation` reckons; None = not yet.
        """
        self.settle(now)
        collection = self._collection
        if collection is None:
            return False
        entered = collection.take(now, quiet_since, on_hold=self._on_hold(collection))
        if entered is None:
            return False
        self._collection = None
        self._moment(moments.DIGITS_ENDED, now, status=entered.status)
        self._after_secret = collection.request.secret
        if self._after_secret or entered.status == COMPLETE:
            self._surplus_until = now + self._settings.between
        if entered.digits:
            self._tools.tells(self.turn_id)
            self.record(SECRET_TURN if collection.request.secret else entered.digits)
        if collection.request.secret:
            self.hears_again_at = now + TONE
            if entered.status == COMPLETE:
                self._tools.run_secret(collection.call_id, entered.digits, collection.request.purpose, now)
                return False
        return self._answer(collection, entered)

    def _answer(self, collection: Collection, entered: Entered) -> bool:
        # What the caller said brings an answer of its own.
        owed = entered.status not in (CALLER_SPOKE, INTERRUPTED)
        self._tools.collected(collection.call_id, entered.output(secret=collection.request.secret), owed=owed)
        return owed

    def _on_hold(self, collection: Collection) -> bool:
        """The caller's keys go nowhere; those of a secret do go to it, a secure pause is made for them."""
        return self._caller_audio.paused and not collection.request.secret

    def take(self, now: float) -> str:
        """Digits that nobody asked for, if they are complete; empty otherwise."""
        return self.keypad.take(now) if self._kept_until is None else ""

    def record(self, digits: str) -> None:
        """Enter digits, or what stands for them, in the transcript."""
        turn_id = self.turn_id
        self._turns += 1
        self._transcript.begin(turn_id, "keypad")
        self._transcript.finish_text(turn_id, digits)

    def next_timer(self, quiet_since: float | None) -> float | None:
        """When `advance`, `release` or `take` has something to do."""
        if self._collection is not None:
            return self._collection.due_at(quiet_since, on_hold=self._on_hold(self._collection))
        return self.keypad.next_timer() if self._kept_until is None else self._kept_until

    # The end of the call.

    def stop(self, now: float) -> None:
        """The call is ending: nothing more is collected, and nothing that is entered goes anywhere."""
        self.keypad.clear()
        self._kept_until = None
        collection, self._collection = self._collection, None
        if collection is not None:
            # Who was entering a secret may go on with it: it stays one until the caller is gone.
            self._moment(moments.DIGITS_ENDED, now, status=INTERRUPTED)
            self._answer(collection, Entered(INTERRUPTED, ""))

    def hang_up(self, now: float) -> None:
        """The caller is gone."""
        self.stop(now)
        if self._secret:
            self._end_secret(now)

    def _end_secret(self, now: float) -> None:
        self._secret = False
        self.hears_again_at = None
        self._caller_audio.unmute(SECRET)
        self._moment(moments.SECRET_ENDED, now)
