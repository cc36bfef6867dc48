"""The caller's end of the line: µ-law in real time, silence where nothing is said.

| state      | time passes                    | `say`               | `open`            | `hang_up`           |
|------------|--------------------------------|---------------------|-------------------|---------------------|
| connecting | audio is kept (history)        | placed on the line  | → open, the burst | → hung up           |
| open       | one frame every 200 ms         | placed on the line  |                   | → hung up           |
| hung up    | nothing                        | refused             |                   |                     |

A pause does not stop the line: its frames are offered all the time, and the session keeps back what a pause forbids and
counts it for `resumed`. `drain` cuts the frame short where a pause begins or ends. Between `hold_back` and `let_go`
nothing is offered, as when Genesys cannot get rid of its audio (audiohook.md §5, client side throttle).

Sources: audiohook.md §4 (200 ms frames, audio continuous, kept from the start of the connection set-up and sent faster
than real time after `opened`, at most the last 20 s of it).
"""

from typing import Final

import msgspec

from offhook.audio.ulaw import BYTES_PER_MS, SAMPLE_RATE, SILENCE, mix

_SAMPLE_TOLERANCE: Final = 1e-3  # in samples; floating point seconds must not cost a sample
MAX_FRAME_BYTES: Final = 64_000


class CallerFrame(msgspec.Struct, frozen=True):
    """One binary message of caller audio."""

    position: int
    """Samples of the line before its first one, discarded ones counted."""
    audio: bytes


class Spoken(msgspec.Struct, frozen=True):
    """Where a clip was placed on the line (monotonic seconds)."""

    start: float
    end: float


class CallerLine:
    """What the caller's telephone delivers, sample by sample, on the clock of the call.

    Sample `n` of the line is heard at `zero + n / 8000`. A clip is placed at the very sample of the moment it is said,
    or right behind the clip before it: one person says one thing at a time. The background goes on behind it all.
    """

    def __init__(
        self,
        *,
        frame_ms: int = 200,
        burst_ms: int = 0,
        burst_frame_ms: int = 200,
        history_ms: int = 20_000,
        background: bytes = b"",
    ) -> None:
        self._frame = frame_ms * BYTES_PER_MS
        self._burst = burst_ms / 1000
        self._burst_frame = min(burst_frame_ms * BYTES_PER_MS, MAX_FRAME_BYTES)
        self._history = history_ms * BYTES_PER_MS
        self._background = background
        self._clips: list[tuple[int, bytes]] = []
        self._next = 0
        self._open = False
        self._catching_up = False
        self._held_back = False
        self._hung_up = False
        self.zero = 0.0
        """Monotonic seconds of sample 0."""

    def connect(self, now: float) -> None:
        """The connection is made; the line has run for the burst's length already."""
        self.zero = now - self._burst

    def open(self, now: float) -> int:
        """`opened` came: audio may flow. Returns how many samples are too old to be sent and were discarded."""
        self._open = True
        self._catching_up = True
        excess = max(0, self._index(now) - self._next - self._history)
        self._next += excess
        return excess

    def say(self, audio: bytes, now: float) -> Spoken:
        """Place a clip on the line, from now on or behind what is being said.

        Raises:
            RuntimeError: the caller has hung up.
        """
        if self._hung_up:
            raise RuntimeError("the caller has hung up and says nothing more")
        start = max(self._index(now), self._clips[-1][0] + len(self._clips[-1][1]) if self._clips else 0)
        self._clips.append((start, audio))
        return Spoken(self._time(start), self._time(start + len(audio)))

    def hold_back(self) -> None:
        """Nothing is sent until `let_go`."""
        self._held_back = True

    def let_go(self, now: float, *, lost: float = 0.0) -> int:
        """What was kept back is due at once, but for a share that is lost, the oldest; returns the samples lost."""
        samples = int(max(0, self._index(now) - self._next) * lost)
        self._next += samples
        self._held_back = False
        self._catching_up = True
        return samples

    def hang_up(self) -> None:
        """Nothing more is sent."""
        self._hung_up = True

    @property
    def _flowing(self) -> bool:
        return self._open and not (self._hung_up or self._held_back)

    def frames(self, now: float) -> list[CallerFrame]:
        """Return the whole frames that are due and have not been taken, oldest first."""
        if not self._flowing:
            return []
        due = self._index(now) - self._next
        due -= due % self._frame
        size = self._burst_frame if self._catching_up else self._frame
        self._catching_up = False
        return self._take(due, size)

    def drain(self, now: float) -> list[CallerFrame]:
        """Return everything up to now, the last frame as short as it is."""
        if not self._flowing:
            return []
        frames = self.frames(now)
        return frames + self._take(self._index(now) - self._next, self._frame)

    def next_timer(self) -> float | None:
        """When the next frame is due."""
        return self._time(self._next + self._frame) if self._flowing else None

    def _take(self, total: int, size: int) -> list[CallerFrame]:
        frames = []
        while total > 0:
            length = min(size, total)
            frames.append(CallerFrame(self._next, self._audio(self._next, length)))
            self._next += length
            total -= length
        return frames

    def _audio(self, start: int, length: int) -> bytes:
        """Cut `length` samples out of the line."""
        frame = bytearray([SILENCE]) * length
        for at, clip in self._clips:
            begin, end = max(at, start), min(at + len(clip), start + length)
            if begin < end:
                frame[begin - start : end - start] = clip[begin - at : end - at]
        return mix(bytes(frame), self._behind(start, length)) if self._background else bytes(frame)

    def _behind(self, start: int, length: int) -> bytes:
        """Cut `length` samples out of the endless background."""
        start %= len(self._background)
        rounds = (start + length) // len(self._background) + 1
        return (self._background * rounds)[start : start + length]

    def _index(self, now: float) -> int:
        return max(0, int((now - self.zero) * SAMPLE_RATE + _SAMPLE_TOLERANCE))

    def _time(self, index: int) -> float:
        return self.zero + index / SAMPLE_RATE
