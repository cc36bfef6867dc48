"""What Genesys does with the agent's audio: queue it, play it in real time, say when it starts and when it has run out.

| state   | audio arrives                     | time passes                             | flush                        |
|---------|-----------------------------------|-----------------------------------------|------------------------------|
| empty   | → waiting (delay), → playing      |                                         | nothing to drop              |
| waiting | queued                            | delay over → playing, `PlaybackStarted` | → empty, no event            |
| playing | queued; beyond the bound: dropped | ran out → empty, `PlaybackCompleted`    | → empty, `PlaybackCompleted` |

Sources: audiohook.md §4 (buffering, barge_in, playback_started/completed). How deep the real queue is, and whether
`playback_completed` follows a `barge_in`, is not known (§10.2, §10.3), so both are settings.
"""

from typing import Final, Literal

import msgspec

from offhook.audio.ulaw import BYTES_PER_MS, SAMPLE_RATE

Overflow = Literal["cut", "drop"]
"""`cut` keeps the part of a message that fits, `drop` loses the whole message that does not fit."""

_SAMPLE_TOLERANCE: Final = 1e-3  # in samples; floating point seconds must not cost a sample


class PlaybackStarted(msgspec.Struct, frozen=True):
    """The first queued audio began to play."""

    at: float


class PlaybackCompleted(msgspec.Struct, frozen=True):
    """The queue ran empty, or was flushed while it played."""

    at: float


PlaybackEvent = PlaybackStarted | PlaybackCompleted


class Enqueued(msgspec.Struct, frozen=True):
    """What became of one message of agent audio."""

    at: float
    """When its first byte will be heard (monotonic seconds)."""
    audio: bytes
    """The part that was queued."""
    dropped: int
    """Bytes that found no room."""


class PlayedRun(msgspec.Struct, frozen=True):
    """Audio that was played without a gap."""

    at: float
    """When its first byte was heard (monotonic seconds)."""
    audio: bytes


class _Run:
    """One stretch from the queue filling to it running empty."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.audio = bytearray()
        self.announced = False

    @property
    def end(self) -> float:
        return self.start + len(self.audio) / SAMPLE_RATE

    def played(self, now: float) -> int:
        samples = int((now - self.start) * SAMPLE_RATE + _SAMPLE_TOLERANCE)
        return max(0, min(samples, len(self.audio)))


class PlaybackQueue:
    """A bounded queue of µ-law audio that plays in real time from the moment something is in it.

    Call `advance(now)` (or any verb that takes `now`) with a time that never goes back; `next_timer` tells when the
    next event is due.
    """

    def __init__(
        self,
        *,
        capacity_ms: int = 60_000,
        start_delay: float = 0.0,
        overflow: Overflow = "cut",
        completed_after_flush: bool = True,
        underrun_gap: float = 0.5,
    ) -> None:
        self._capacity = capacity_ms * BYTES_PER_MS
        self._start_delay = start_delay
        self._overflow = overflow
        self._completed_after_flush = completed_after_flush
        self._underrun_gap = underrun_gap
        self._done: list[_Run] = []
        self._run: _Run | None = None
        self._done_bytes = 0
        self._ran_empty_at: float | None = None
        self._events: list[PlaybackEvent] = []
        self.underruns = 0
        """How often audio came again within `underrun_gap` seconds after the queue ran empty: a gap that is heard."""
        self.max_unplayed_ms = 0.0
        """The most audio that ever waited to be heard, in milliseconds."""
        self.dropped_bytes = 0
        """Bytes that found no room in the queue."""
        self.flushed_bytes = 0
        """Bytes that a flush kept from being heard."""

    @property
    def busy(self) -> bool:
        """Whether audio is queued or playing, as of the last time given."""
        return self._run is not None

    def enqueue(self, audio: bytes, now: float) -> Enqueued:
        """Queue one message of agent audio."""
        self.advance(now)
        room = self._capacity - self.unplayed_bytes(now)
        accepted = b"" if len(audio) > room and self._overflow == "drop" else audio[:room]
        dropped = len(audio) - len(accepted)
        self.dropped_bytes += dropped
        if not accepted:
            return Enqueued(now, b"", dropped)
        run = self._run or self._begin(now)
        at = run.end
        run.audio += accepted
        self.max_unplayed_ms = max(self.max_unplayed_ms, self.unplayed_bytes(now) / BYTES_PER_MS)
        self.advance(now)
        return Enqueued(at, accepted, dropped)

    def _begin(self, now: float) -> _Run:
        if self._ran_empty_at is not None and now - self._ran_empty_at <= self._underrun_gap:
            self.underruns += 1
        self._run = _Run(now + self._start_delay)
        return self._run

    def turn(self, now: float) -> None:
        """The caller said or keyed in something: what comes after an empty queue is an answer, not an underrun."""
        self.advance(now)
        self._ran_empty_at = None

    def flush(self, now: float) -> int:
        """Drop what has not been heard (`barge_in`); returns how many bytes that were."""
        self.advance(now)
        run = self._run
        if run is None:
            self._ran_empty_at = None
            return 0
        played = run.played(now)
        dropped = len(run.audio) - played
        del run.audio[played:]
        if run.announced and self._completed_after_flush:
            self._events.append(PlaybackCompleted(now))
        self._finish(run)
        self._ran_empty_at = None  # what comes now is something new, not the rest of an answer
        self.flushed_bytes += dropped
        return dropped

    def _finish(self, run: _Run) -> None:
        self._ran_empty_at = run.end
        self._done_bytes += len(run.audio)
        if run.audio:
            self._done.append(run)
        self._run = None

    def advance(self, now: float) -> None:
        """Play on until `now`."""
        run = self._run
        if run is None:
            return
        if not run.announced and now >= run.start:
            run.announced = True
            self._events.append(PlaybackStarted(run.start))
        if run.audio and now >= run.end:
            self._events.append(PlaybackCompleted(run.end))
            self._finish(run)

    def next_timer(self) -> float | None:
        """When the next event is due: playing begins or runs out."""
        run = self._run
        if run is None:
            return None
        return run.end if run.announced else run.start

    def handle_timer(self, now: float) -> None:
        """Same as `advance`; here so that the queue has the verbs of every core."""
        self.advance(now)

    def events(self) -> list[PlaybackEvent]:
        """Return and clear what happened since the last call."""
        events, self._events = self._events, []
        return events

    def unplayed_bytes(self, now: float) -> int:
        """Bytes queued and not yet heard at `now`."""
        return 0 if self._run is None else len(self._run.audio) - self._run.played(now)

    def played_bytes(self, now: float) -> int:
        """Bytes heard until `now`, over the whole call."""
        return self._done_bytes + (0 if self._run is None else self._run.played(now))

    def tail(self, now: float, length: int) -> bytes:
        """Return the last bytes that were heard until `now`, at most so many; gaps between them are left out."""
        tail = b"" if self._run is None else bytes(self._run.audio[: self._run.played(now)][-length:])
        for run in reversed(self._done):
            if len(tail) >= length:
                break
            tail = bytes(run.audio[len(tail) - length :]) + tail
        return tail

    def played(self, now: float) -> list[PlayedRun]:
        """Return exactly what was heard until `now`, and when."""
        runs = [PlayedRun(run.start, bytes(run.audio)) for run in self._done]
        if self._run is not None and (heard := self._run.played(now)):
            runs.append(PlayedRun(self._run.start, bytes(self._run.audio[:heard])))
        return runs
