"""The playhead: how much of what was sent Genesys has played, reckoned from our sending and its reports.

Genesys plays what it gets in order and in real time, with a delay before the first byte of a run, and has no play
marks (audiohook.md §4). A **run** is audio that is played without a gap. Its beginning is `START_DELAY` after its first
packet left, until `playback_started` tells better; its end is told by `playback_completed`. Both reports are optional:
a peer that sent `playback_started` once is waited for from then on, within `MAX_START_DELAY`. A report is as old as its
way to us, and a flush takes effect as much later: half of the round trip that `ping` tells.
"""

from collections import deque

from offhook.audio import BYTES_PER_MS

BYTES_PER_SECOND = BYTES_PER_MS * 1000
START_DELAY = 0.1
"""First guess, in seconds, of the time from our packet to its playing; learned from `playback_started` then."""
MAX_START_DELAY = 0.7
"""A peer that reports its playing may take this long, in seconds, to begin; until then nothing counts as played."""
LATEST_REPORT = MAX_START_DELAY + 0.3
"""Seconds from a packet to the report that its run has begun, at most."""
STALE = 0.5
"""Seconds after the reckoned end during which Genesys may still be playing if it has not said `playback_completed`."""
DOUBT = 150 * BYTES_PER_MS
"""Bytes by which the reckoning may be off; less than the smallest packet."""
MAX_WAY = 0.1
"""Most seconds from Genesys to us that are believed: what a peer says must not cost the bound of 1 s."""
_ROUNDING = 1e-3  # of a byte: floating-point seconds must not cost one


class Playhead:
    """Where Genesys plays; offsets are bytes of PCMU since the start of the call.

    Attributes:
        sent: Offset behind the last byte sent.
        reports: The peer tells when it begins to play.
        completed: Genesys confirmed that all was played or flushed, or nothing was ever sent.
        way: Seconds that a message takes from Genesys to us, or back.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.reports = False
        self.completed = True
        self.way = 0.0
        # Bytes before _anchor are played; from _anchor_time on, 8 bytes more each millisecond.
        self._anchor = 0
        self._anchor_time = 0.0
        self._run_sent_at = 0.0
        self._confirmed = False  # `playback_started` of this run is here
        self._first = (0, 0.0)  # offset of the first run that a first report may be about, and when it was sent
        self._start_delay = START_DELAY
        self._sends: deque[tuple[float, int]] = deque(maxlen=32)  # when, and the offset of the first byte

    def at(self, now: float) -> int:
        """Offset of the byte that is being played at `now`."""
        if now <= self._anchor_time or (self._awaited and now < self._run_sent_at + MAX_START_DELAY):
            return self._anchor
        return min(self.sent, self._anchor + int((now - self._anchor_time) * BYTES_PER_SECOND + _ROUNDING))

    def unplayed(self, now: float) -> int:
        """Bytes sent that have not been played at `now`."""
        return self.sent - self.at(now)

    def reaches(self, offset: int) -> float:
        """When the playhead comes to an offset that was sent; in the past if it has."""
        at = self._anchor_time + (offset - self._anchor) / BYTES_PER_SECOND
        return max(at, self._run_sent_at + MAX_START_DELAY) if self._awaited and offset > self._anchor else at

    def playing(self, now: float) -> bool:
        """Genesys may be playing something, or be about to: a `barge_in` has an effect."""
        return not self.completed and now < self.reaches(self.sent) + STALE

    def send(self, size: int, now: float) -> bool:
        """A packet leaves now; True when a new run begins with it."""
        begins = self.unplayed(now) == 0
        if begins:
            if now > self._first[1] + LATEST_REPORT:
                self._first = (self.sent, now)
            self._anchor = self.sent
            self._anchor_time = now + self._start_delay
            self._run_sent_at = now
            self._confirmed = False
        self._sends.append((now, self.sent))
        self.sent += size
        self.completed = False
        return begins

    def round_trip(self, rtt: float) -> None:
        """A ping told the seconds to Genesys and back."""
        self.way = min(max(rtt, 0.0) / 2, MAX_WAY)

    def started(self, now: float) -> None:
        """`playback_started` arrived: this is where the playhead stands, and how long the way takes."""
        if self._confirmed or self.sent == self._anchor:
            return  # of a run that was flushed meanwhile, or said twice
        if not self.reports and now <= self._first[1] + LATEST_REPORT:
            # The first report of all: what was taken for played by then may only be beginning to play.
            self._anchor, self._run_sent_at = self._first
        began = max(now - self.way, self._run_sent_at)
        delay = min(began - self._run_sent_at, MAX_START_DELAY)
        self._start_delay = (self._start_delay + delay) / 2 if self.reports else delay
        self.reports = True
        self._anchor_time = began
        self._confirmed = True

    def ran_out(self, now: float) -> None:
        """`playback_completed` arrived: all that had reached Genesys when it was sent was played."""
        playhead = self.at(now - self.way)
        if not self._confirmed and self.sent - playhead > DOUBT:
            # It speaks of what was played before this run, which has begun at the earliest now.
            self._anchor_time = max(self._anchor_time, now)
            return
        if self._confirmed:
            self._confirmed = False
            for at, offset in self._sends:
                if at > now - MAX_START_DELAY and offset > max(playhead - DOUBT // 2, self._anchor):
                    # This packet crossed the report on its way, and a new run begins with it.
                    self._anchor = offset
                    self._anchor_time = at + self._start_delay
                    self._run_sent_at = at
                    return
        self._anchor = self.sent
        self._anchor_time = now
        self.completed = True

    def flush(self, now: float) -> None:
        """Genesys is told to drop what it has not played."""
        self._anchor = self.sent
        self._anchor_time = now
        self._confirmed = False
        self._first = (self.sent, now - LATEST_REPORT - 1)  # what was sent before is gone
        self.completed = True
        self._sends.clear()

    @property
    def _awaited(self) -> bool:
        """The report that playing has begun is still to come."""
        return self.reports and not self._confirmed and self.sent > self._anchor
