"""Joins a `Playout` with a Genesys that plays, on a virtual clock."""

import heapq
import itertools
from collections.abc import Callable
from functools import partial

from offhook.bridge.playout import Heard, Playout
from tests.unit.bridge.genesys import Playback


class Playing:
    """A playout whose packets leave when they are due, and a playback that reports or does not."""

    def __init__(self, start_delay: float = 0.1, *, reports: bool = True, report_delay: float = 0.0) -> None:
        self.now = 5000.0
        self.playout = Playout()
        self.playback = Playback(start_delay)
        self.reports = reports
        self.report_delay = report_delay
        self.packets: list[tuple[float, bytes]] = []
        self.settled: list[Heard] = []
        self.most_unplayed = 0
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._later, (self.now + delay, next(self._order), action))

    def add(self, audio: bytes, item: str = "a", *, protected: bool = False) -> None:
        assert self.playout.add(item, 0, audio, self.now, protected=protected)
        self._pump()

    def finish(self, item: str = "a") -> None:
        self.playout.finish(item)
        self._pump()

    def generate(self, audio: bytes, *, speed: float, delta: int, item: str = "a", delay: float = 0.0) -> float:
        """Deltas of this many bytes come at `speed` times real time; returns when the last has come."""
        pieces = [audio[i : i + delta] for i in range(0, len(audio), delta)]
        done = delay
        for piece in pieces:
            self.at(done, partial(self.add, piece, item))
            done += len(piece) / 8000 / speed
        self.at(done, lambda: self.finish(item))
        return done

    def interrupt(self) -> list[Heard]:
        self._pump()
        cut = self.playout.interrupt(self.now)
        self.playback.flush(self.now)
        return cut

    def cut(self) -> list[Heard]:
        """An interruption as the call carries it out: Genesys is told to flush unless it has protected audio."""
        self._pump()
        spares = self.playout.spares(self.now)
        cut = self.playout.interrupt(self.now)
        if not spares:
            self.playback.flush(self.now)
        self._pump()
        return cut

    def hold_back(self) -> list[Heard]:
        self._pump()
        spares = self.playout.spares(self.now)
        cut = self.playout.hold_back(self.now)
        if not spares:
            self.playback.flush(self.now)
        self._pump()
        return cut

    def go_on(self) -> bool:
        went_on = self.playout.go_on()
        self._pump()
        return went_on

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        steps = 0
        while (due := self._next()) is not None and due <= end:
            steps = 0 if due > self.now else steps + 1
            assert steps < 20, "time stands still"
            self.now = max(self.now, due)
            while self._later and self._later[0][0] <= self.now:
                heapq.heappop(self._later)[2]()
            self._play()
            self._pump()
        self.now = end
        self._play()

    @property
    def sent(self) -> bytes:
        return b"".join(packet for _, packet in self.packets)

    def _next(self) -> float | None:
        times = [self.playout.next_packet_at(self.now), self.playout.next_settle_at(), self.playback.next_timer()]
        if self._later:
            times.append(self._later[0][0])
        return min((at for at in times if at is not None), default=None)

    def _play(self) -> None:
        head = self.playout.playhead
        take = {"playback_started": head.started, "playback_completed": head.ran_out}
        for report in self.playback.advance(self.now):
            if self.reports:
                self.at(self.report_delay, partial(self._report, take[report]))

    def _report(self, take: Callable[[float], None]) -> None:
        take(self.now)

    def _pump(self) -> None:
        self._play()
        while (packet := self.playout.take(self.now)) is not None:
            self.packets.append((self.now, packet))
            self.playback.enqueue(packet, self.now)
            self.most_unplayed = max(self.most_unplayed, self.playback.unplayed)
        self.settled += self.playout.settle(self.now)
