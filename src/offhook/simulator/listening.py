"""What a person at the telephone would notice of the agent: when it speaks and when it has fallen silent.

Loudness decides, not the arrival of messages: a server may stream silence all the time (trap 61), and a queue that is
playing may be playing a pause.
"""

from typing import Final

from offhook.audio.level import rms
from offhook.audio.ulaw import BYTES_PER_MS, SAMPLE_RATE

BLOCK_MS: Final = 20
AUDIBLE_RMS: Final = 150
"""Level above which a block counts as speech, about -47 dBFS: above comfort noise, far below speech."""
WORD_GAP: Final = 0.3
"""Seconds of quiet that still belong to a phrase."""
_EXACT: Final = 1e-6


def audible_spans(audio: bytes) -> list[tuple[int, int]]:
    """Return the byte ranges of µ-law audio that are loud enough to be heard, in blocks of 20 ms."""
    block = BLOCK_MS * BYTES_PER_MS
    spans: list[tuple[int, int]] = []
    for start in range(0, len(audio), block):
        piece = audio[start : start + block]
        if rms(piece) < AUDIBLE_RMS:
            continue
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], start + len(piece))
        else:
            spans.append((start, start + len(piece)))
    return spans


class AgentSpeech:
    """Keeps when the agent is heard, told in advance from what is queued and cut when the queue is flushed.

    All times are monotonic seconds. A phrase is speech without a quiet of more than `WORD_GAP`.
    """

    def __init__(self) -> None:
        self._phrases: list[tuple[float, float]] = []

    def add(self, at: float, audio: bytes) -> None:
        """Audio will be heard from `at` on, after everything added before."""
        for begin, end in audible_spans(audio):
            start, stop = at + begin / SAMPLE_RATE, at + end / SAMPLE_RATE
            if self._phrases and start - self._phrases[-1][1] <= WORD_GAP:
                self._phrases[-1] = (self._phrases[-1][0], stop)
            else:
                self._phrases.append((start, stop))

    def cut(self, now: float) -> None:
        """What was still to be heard at `now` never will be."""
        while self._phrases and self._phrases[-1][0] >= now:
            self._phrases.pop()
        if self._phrases and self._phrases[-1][1] > now:
            self._phrases[-1] = (self._phrases[-1][0], now)

    def speaking(self, now: float) -> bool:
        """Whether a phrase is being heard at `now`."""
        return any(start <= now < end for start, end in reversed(self._phrases))

    def first_after(self, since: float) -> float | None:
        """When the agent is first heard at or after `since`; `since` itself if a phrase is going on then."""
        return next((max(start, since) for start, end in self._phrases if end > since), None)

    def next_phrase(self, since: float) -> float | None:
        """When the first phrase that begins at or after `since` begins."""
        return next((start for start, _ in self._phrases if start >= since), None)

    def quiet_from(self, since: float) -> float | None:
        """When the last of what is known to be heard after `since` ends; None if nothing is."""
        return self._phrases[-1][1] if self._phrases and self._phrases[-1][1] > since else None

    def heard(self, since: float, until: float) -> float:
        """Seconds of phrases heard between two times."""
        return sum(max(0.0, min(end, until) - max(start, since)) for start, end in self._phrases)

    def moment_of(self, since: float, seconds: float) -> float | None:
        """When `seconds` of phrases will have been heard since `since`; None if not so much is queued."""
        left = seconds
        for start, end in self._phrases:
            begin = max(start, since)
            if end <= begin:
                continue
            if end - begin >= left - _EXACT:
                return begin + left
            left -= end - begin
        return None
