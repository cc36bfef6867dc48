"""The caller's audio on its way to the model: held until the model listens, silence while it must not hear the caller.

The caller is **muted** for one reason or several: they are on hold or in Genesys' secure pause, or they enter secret
digits, whose tones and spoken words would give them away. Nothing said meanwhile reaches the model.
"""

from offhook.audio import BYTES_PER_MS, SILENCE, EnergyVad

MAX_HELD = 30_000 * BYTES_PER_MS
"""30 s of caller audio wait while the Realtime leg connects; Genesys itself keeps no more (audiohook.md §4). Beyond it
the oldest goes: the first words of a caller who has waited half a minute are stale."""
MAX_KEPT = 500 * BYTES_PER_MS
"""Of what the caller says while a lost AI is connected again only the last half second is kept, in which a word may
have begun: who gets seconds of stale audio answers what nobody asks any more (openai-realtime.md §7)."""
SILENCE_STEP = 0.2
"""Seconds of silence per message while muted: the server's VAD must keep its clock (openai-realtime.md trap 11)."""
MAX_CATCH_UP = 2.0
"""Most seconds of silence made up at once after a late timer."""
PAUSED, SECRET = "paused", "secret"
"""Reasons to mute the caller."""


def speaks(audio: bytes) -> bool:
    """Whether a server that is given this will find that somebody begins to speak."""
    return bool(EnergyVad().feed(audio))


class CallerAudio:
    """Decides which bytes go to the model, and when."""

    def __init__(self) -> None:
        self._held: bytearray | None = bytearray()
        self._max_held = MAX_HELD
        self._muted: set[str] = set()
        self._stopped = False
        self._silence_at: float | None = None
        self.dropped = 0

    @property
    def paused(self) -> bool:
        """The caller is on hold or in a secure pause."""
        return PAUSED in self._muted

    @property
    def muted(self) -> bool:
        """Nothing of the caller may reach the model."""
        return bool(self._muted)

    def receive(self, audio: bytes) -> bytes:
        """A frame of the caller; returns what goes to the model now.

        Nothing of a muted caller reaches the model: frames that were in flight when it began are dropped.
        """
        if self._muted or self._stopped:
            return b""
        if self._held is None:
            return audio
        self._held += audio
        excess = len(self._held) - self._max_held
        if excess > 0:
            del self._held[:excess]
            self.dropped += excess
        return b""

    def hold(self) -> None:
        """The model is gone, and another one will listen: hold what the caller says, and not much of it."""
        if self._held is None:
            self._held, self._max_held, self.dropped = bytearray(), MAX_KEPT, 0
            self._silence_at = None

    def open(self, now: float) -> bytes:
        """The model listens from now on; returns all that was held for it."""
        held, self._held = self._held, None
        if self._muted:
            self._silence_at = now + SILENCE_STEP
        return b"" if held is None or self._stopped else bytes(held)

    def stop(self) -> None:
        """Nothing the caller says matters any more: the call is saying goodbye."""
        self._stopped = True
        self._silence_at = None
        if self._held:
            self._held.clear()

    def mute(self, reason: str, now: float) -> None:
        """The model must not hear the caller any more, for `PAUSED` or `SECRET`."""
        if not self._muted and self._held is None and not self._stopped:
            self._silence_at = now + SILENCE_STEP
        self._muted.add(reason)

    def unmute(self, reason: str) -> None:
        """This reason is gone; the model hears the caller again when it was the last."""
        self._muted.discard(reason)
        if not self._muted:
            self._silence_at = None

    def next_timer(self) -> float | None:
        """When the next piece of silence is due."""
        return self._silence_at

    def handle_timer(self, now: float) -> bytes:
        """Silence that goes to the model now, as much as time has passed."""
        if self._silence_at is None or now < self._silence_at:
            return b""
        seconds = min(now - self._silence_at + SILENCE_STEP, MAX_CATCH_UP)
        steps = int(seconds / SILENCE_STEP + 1e-6)
        self._silence_at = max(self._silence_at + steps * SILENCE_STEP, now)
        return bytes((SILENCE,)) * (steps * int(SILENCE_STEP * 1000) * BYTES_PER_MS)
