"""How a call is brought to its end: the goodbye that was promised is heard first, within bounds (design §3).

    the model ends its sentence ──▶ the goodbye is said, if one is to be ──▶ what is queued is played ──▶ `disconnect`

Each step has a bound, so that a goodbye without audio, a model that falls silent or a peer that never reports its
playing costs seconds and no more.
"""

import msgspec

from offhook.bridge.plan import Prompt
from offhook.bridge.playhead import BYTES_PER_SECOND
from offhook.bridge.playout import Playout

PLAYED_MARGIN = 2.0
"""Seconds beyond the reckoned end of playing that `playback_completed` may take (audiohook.md §4)."""
SILENT_MARGIN = 0.6
"""The same for a peer that does not report its playing, which may have begun later than we reckon."""
DRAIN_MARGIN = 5.0
"""Seconds beyond the length of the remaining audio after which the call ends, played or not (hold, dead peer)."""
MAX_GOODBYE = 60.0
"""Seconds that the last sentence and the goodbye may be generated for, together."""


class Ending(msgspec.Struct, kw_only=True):
    """A call that is about to end."""

    outcome: str
    """`completed`, `escalated`, `failed` or `limit`."""
    reason: str
    """Machine-readable, no words of anybody."""
    info: str = ""
    """One line for Genesys' logs."""
    words: str = ""
    """The reason in the model's words; for the flow, not for logs."""
    target: str = ""
    """Whom the model wants the caller to be connected with."""
    goodbye: Prompt | None = None
    """What is to be said before the end."""
    unless_spoken: bool = False
    """The goodbye is left out when the response that ends the call has said something itself."""
    wished_in: str | None = None
    """Response by which the model ends the call: what it calls beside that is carried out as ever."""
    ends_by: float | None = None
    """The call ends then, whatever is being said; None = what is said decides."""
    response_id: str | None = None
    """Response whose end is the end of the goodbye, once known."""
    goodbye_by: float | None = None
    """The model has to go on talking by then; None when nothing is awaited from it."""
    latest_goodbye: float | None = None
    """It is not waited for any longer, however it goes on."""
    played_by: float | None = None
    """Whatever remains has to be played by then; set when draining begins."""

    def await_goodbye(self, response_id: str | None, patience: float, now: float) -> None:
        """Something more is to be said, in this response if it has begun; otherwise in the next one that is ours."""
        self.response_id = response_id
        if self.latest_goodbye is None:
            self.latest_goodbye = now + MAX_GOODBYE
        self.goodbye_by = min(now + patience, self.latest_goodbye)

    def heard_of(self, patience: float, now: float) -> None:
        """The model goes on talking."""
        if self.goodbye_by is not None and self.latest_goodbye is not None:
            self.goodbye_by = min(now + patience, self.latest_goodbye)

    def hurry(self, ends_by: float | None) -> None:
        """Another end is wished for: the first one stays, but may take no longer than that one would."""
        if ends_by is not None:
            self.ends_by = ends_by if self.ends_by is None else min(self.ends_by, ends_by)

    def drain(self, playout: Playout, now: float) -> None:
        """Nothing more is awaited from the model: only what is queued and un-played counts from now on."""
        if self.played_by is None:
            self.goodbye_by = None
            playout.finish_all()
            remaining = (playout.queued + playout.unplayed(now)) / BYTES_PER_SECOND
            self.played_by = now + remaining + DRAIN_MARGIN

    def due_at(self, playout: Playout) -> float | None:
        """When the call ends unless something happens before; None while the model is talking."""
        times = [at for at in (self._played_at(playout), self.ends_by) if at is not None]
        return min(times, default=None)

    def _played_at(self, playout: Playout) -> float | None:
        if self.played_by is None or playout.queued:
            return self.played_by
        if playout.playhead.completed:
            return 0.0
        margin = PLAYED_MARGIN if playout.playhead.reports else SILENT_MARGIN
        return min(self.played_by, playout.played_at() + margin)
