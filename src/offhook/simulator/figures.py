"""Takes notes during a call and turns them into the figures of the report."""

from collections import deque

from offhook.audio.ulaw import BYTES_PER_MS
from offhook.simulator.caller import Spoken
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.report import BargeInFigures, Latency, PacketFigures, PlaybackFigures, TurnFigures


class _Turn:
    def __init__(self, spoken: Spoken, text: str, *, over_agent: bool) -> None:
        self.spoken = spoken
        self.text = text
        self.over_agent = over_agent


class Measurements:
    """Moments of one call, in monotonic seconds."""

    def __init__(self) -> None:
        self.connected: float | None = None
        self.opened: float | None = None
        self.close_sent: float | None = None
        self.closed: float | None = None
        self.ended: float | None = None
        self.pong_max: float | None = None
        self.texts = 0
        self.idle_barge_ins = 0
        self.cut_off_bytes = 0
        self.barge_ins: list[float] = []
        self._turns: list[_Turn] = []
        self._sizes: list[int] = []
        self._recent: deque[float] = deque()
        self._seconds: set[int] = set()
        self._busiest = 0

    def turn(self, spoken: Spoken, text: str, *, over_agent: bool) -> None:
        """The caller says or keys in something."""
        self._turns.append(_Turn(spoken, text, over_agent=over_agent))

    def pong(self, rtt: float) -> None:
        """A `pong` came."""
        self.pong_max = max(rtt, self.pong_max or 0.0)

    def packet(self, size: int, now: float) -> None:
        """A message of agent audio came."""
        self._sizes.append(size)
        self._seconds.add(int(now - (self.connected or 0.0)))
        self._recent.append(now)
        while self._recent[0] <= now - 1.0:
            self._recent.popleft()
        self._busiest = max(self._busiest, len(self._recent))

    def latency(self, ear: AgentSpeech) -> Latency:
        """Return how quick the server was."""
        heard = None if self.opened is None else ear.first_after(self.opened)
        return Latency(
            open_ms=_ms(self.connected, self.opened),
            first_audio_ms=_ms(self.opened, heard),
            pong_max_ms=_ms(0.0, self.pong_max),
            close_ms=_ms(self.close_sent, self.closed),
        )

    def turns(self, ear: AgentSpeech) -> tuple[TurnFigures, ...]:
        """Return what the caller said and how quick the answers came."""
        figures = []
        for turn, until in self._with_next():
            answer = ear.next_phrase(turn.spoken.end)
            if answer is not None and answer >= until:
                answer = None
            figures.append(
                TurnFigures(
                    at=self.call_time(turn.spoken.start),
                    text=turn.text,
                    seconds=round(turn.spoken.end - turn.spoken.start, 3),
                    response_ms=_ms(turn.spoken.end, answer),
                )
            )
        return tuple(figures)

    def interruptions(self, ear: AgentSpeech) -> tuple[BargeInFigures, ...]:
        """Return how quickly the agent stopped each time the caller spoke over it."""
        figures = []
        for turn, until in self._with_next():
            if not turn.over_agent:
                continue
            start, end = turn.spoken.start, turn.spoken.end
            stopped = next((at for at in self.barge_ins if start <= at < until), None)
            figures.append(
                BargeInFigures(
                    at=self.call_time(start),
                    stop_ms=_ms(start, stopped),
                    talk_over_ms=round(ear.heard(start, end) * 1000, 1),
                    played_after_ms=0.0 if stopped is None else round(ear.heard(stopped, end) * 1000, 1),
                )
            )
        return tuple(figures)

    def _with_next(self) -> list[tuple[_Turn, float]]:
        starts = [turn.spoken.start for turn in self._turns[1:]]
        return list(zip(self._turns, [*starts, float("inf")], strict=False))

    def packets(self) -> PacketFigures:
        """Return how the server sent."""
        return PacketFigures(
            texts=self.texts,
            binaries=len(self._sizes),
            bytes=sum(self._sizes),
            min_ms=min(self._sizes) / BYTES_PER_MS if self._sizes else None,
            max_ms=max(self._sizes) / BYTES_PER_MS if self._sizes else None,
            per_second=round(len(self._sizes) / max(1, len(self._seconds)), 2),
            busiest_second=self._busiest,
        )

    def playback(self, queue: PlaybackQueue, now: float) -> PlaybackFigures:
        """Return what became of the agent's audio."""
        return PlaybackFigures(
            heard_seconds=round(queue.played_bytes(now) / BYTES_PER_MS / 1000, 3),
            max_unplayed_ms=round(queue.max_unplayed_ms, 1),
            underruns=queue.underruns,
            flushed_ms=(queue.flushed_bytes - self.cut_off_bytes) / BYTES_PER_MS,
            dropped_ms=queue.dropped_bytes / BYTES_PER_MS,
            cut_off_ms=self.cut_off_bytes / BYTES_PER_MS,
            barge_ins=len(self.barge_ins),
            idle_barge_ins=self.idle_barge_ins,
        )

    def call_time(self, moment: float) -> float:
        """Return seconds since the connection stood."""
        return round(moment - (self.connected or 0.0), 3)


def _ms(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round((end - start) * 1000, 1)
