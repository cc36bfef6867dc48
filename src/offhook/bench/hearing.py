"""What a caller heard, to the sample: who owed an answer, and how long nothing was heard while one was owed.

The sounds of everything that the emulated model says are known, so what was played tells by its bytes what it was: the
end of an answer (the caller's turn now), the end of something that only bridges a wait, a sentence that was cut off, or
a recording of the gateway's own.

The agent owes from `opened`, from the end of whatever the caller says or keys in, and after anything it said that was
no complete answer. Dead air is the time in which it owes and neither side is heard. What is heard ends it, an
announcement too; when the agent still owes then, it begins anew with its last sample, and is announced. Where the
caller holds the line, and where the network between Genesys and the gateway is broken on purpose, nobody could be
heard: it does not count.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from offhook.audio.ulaw import SAMPLE_RATE
from offhook.simulator.listening import audible_spans
from offhook.simulator.playback import PlayedRun

What = Literal["answer", "bridge", "cut", "recording"]
"""`answer`: heard to its end. `bridge`: to its end, but the answer is still to come. `cut`: broken off in the middle.
`recording`: nothing that the model says."""

TAIL: Final = 400
"""Bytes by which the end of a sound is known: 50 ms."""
PROBE: Final = 160
"""Bytes by which it is found inside a sound."""
FADE: Final = 1600
"""Bytes in which what is being said may fade away unheard: 200 ms."""
PAUSE: Final = 1.0
"""Seconds of quiet that may be part of what is being said."""
_QUIET: Final = b"\xff\x7f"


class Sounds(Protocol):
    """Where the sound of a text comes from; `offhook.speech.Speech` is one."""

    def clip(self, text: str) -> bytes:
        """Return 8 kHz µ-law."""
        ...


class Stretch(msgspec.Struct, frozen=True):
    """Something of the agent's side that was heard without a long pause; times in seconds of the call."""

    start: float
    end: float
    what: What


class Gap(msgspec.Struct, frozen=True):
    """Dead air."""

    at: float
    """Where it began, in seconds of the call."""
    seconds: float
    after: Literal["opened", "caller", "agent", "announcement", "pause"]
    """What was last: the call was opened, the caller or the agent was heard, the agent or a recording had said that it
    takes a moment, or a pause ended."""
    until: Literal["answer", "recording", "caller", "pause", "end"]
    """What ended it: the model or a recording was heard, the caller spoke again, a pause began, the call was over."""

    @property
    def announced(self) -> bool:
        """The caller had just been told to wait."""
        return self.after == "announcement"


class Repertoire:
    """Knows the sounds of all that the model says.

    Args:
        sounds: makes them.
        answers: texts after which it is the caller's turn.
        bridges: texts after which more is to come.
    """

    def __init__(self, sounds: Sounds, answers: Iterable[str], bridges: Iterable[str]) -> None:
        self._ends: dict[bytes, What] = {}
        self._clips: list[bytes] = []
        kinds: tuple[tuple[What, Iterable[str]], ...] = (("answer", answers), ("bridge", bridges))
        for what, texts in kinds:
            for text in texts:
                clip = sounds.clip(text)
                self._clips.append(clip)
                self._ends[_tail(clip)] = what

    def end_of(self, tail: bytes) -> What | None:
        """Say what the last bytes that were heard are the end of; None if of nothing that is known."""
        return self._ends.get(_tail(tail))

    def knows(self, audio: bytes) -> bool:
        """Whether the loudest moment of some audio is something that the model says."""
        spans = audible_spans(audio)
        if not spans:
            return False
        start = max(spans, key=lambda span: span[1] - span[0])[0]
        probe = audio[start : start + PROBE]
        return any(probe in clip for clip in self._clips)

    def stretches(self, played: Sequence[PlayedRun], zero: float) -> list[Stretch]:
        """Return what was heard, in order.

        Args:
            played: what was played, with monotonic times.
            zero: monotonic time at which the seconds of the call begin.
        """
        found: list[Stretch] = []
        before = b""
        for run in played:
            found += self._stretches_of(run, run.at - zero, before)
            # An answer may have come in several runs, the last one shorter than what its end is known by.
            before = (before + run.audio)[-TAIL:]
        return found

    def _stretches_of(self, run: PlayedRun, at: float, before: bytes) -> list[Stretch]:
        joined: list[tuple[int, int]] = []
        for start, end in audible_spans(run.audio):
            if joined and start - joined[-1][1] <= PAUSE * SAMPLE_RATE:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        found = []
        for number, (start, end) in enumerate(joined):
            behind = end + FADE if number + 1 < len(joined) else len(run.audio)
            found.append(
                Stretch(
                    at + start / SAMPLE_RATE,
                    at + end / SAMPLE_RATE,
                    self._what(run.audio[start:end], before + run.audio[:behind]),
                )
            )
        return found

    def _what(self, audio: bytes, until: bytes) -> What:
        if not self.knows(audio):
            return "recording"
        return self.end_of(until) or "cut"


class Said(msgspec.Struct, frozen=True):
    """Something that the caller said or keyed in, in seconds of the call."""

    start: float
    end: float
    lost: bool = False
    """It never reached the gateway whole: nobody owes an answer to it."""


class Pause(msgspec.Struct, frozen=True):
    """When nobody could be heard for reasons that are not the agent's, in seconds of the call."""

    start: float
    end: float


def dead_air(
    *, opened: float, ended: float, heard: Sequence[Stretch], said: Sequence[Said], pauses: Sequence[Pause] = ()
) -> list[Gap]:
    """Return every stretch of dead air in a call, normal waits for an answer included.

    Args:
        opened: when the session was opened.
        ended: when the first word of its end came: `disconnect`, `close`, or the loss of the socket.
        heard: what was heard of the agent.
        said: what the caller said; they wait for an answer then.
        pauses: what does not count.
    """
    gaps: list[Gap] = []
    marks: list[tuple[float, float, str]] = [(stretch.start, stretch.end, stretch.what) for stretch in heard]
    marks += [(turn.start, turn.end, "lost" if turn.lost else "caller") for turn in said]
    quiet_from, owes, after = opened, True, "opened"
    for start, end, what in sorted(marks):
        until = "caller" if what == "lost" else what if what in ("caller", "recording") else "answer"
        if owes and start > quiet_from:
            gaps += _without(pauses, Gap(quiet_from, min(start, ended) - quiet_from, after, until))  # type: ignore[arg-type]
        if end >= quiet_from:
            owes, after = what not in ("answer", "lost"), _AFTER.get(what, "agent")
            quiet_from = end
    if owes:
        gaps += _without(pauses, Gap(quiet_from, ended - quiet_from, after, "end"))  # type: ignore[arg-type]
    return [gap for gap in gaps if gap.seconds > 0]


_AFTER: Final = {"caller": "caller", "bridge": "announcement", "recording": "announcement"}


def _without(pauses: Sequence[Pause], gap: Gap) -> list[Gap]:
    """Cut the pauses out of a gap."""
    pieces: list[Gap] = []
    start, end, after = gap.at, gap.at + gap.seconds, gap.after
    for pause in sorted(pauses, key=lambda pause: pause.start):
        if pause.end <= start or pause.start >= end:
            continue
        if pause.start > start:
            pieces.append(Gap(start, pause.start - start, after, "pause"))
        start, after = pause.end, after if gap.announced else "pause"
    if end > start:
        pieces.append(Gap(start, end - start, after, gap.until))
    return pieces


def _tail(audio: bytes) -> bytes:
    return audio.rstrip(_QUIET)[-TAIL:]
