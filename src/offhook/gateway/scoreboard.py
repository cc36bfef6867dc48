"""What the processes of one gateway know of each other: the calls that each carries, and whether it takes more.

A few numbers in memory that all of them map, so that asking costs nothing and waits for nobody. Every number is written
by one process at a time: a worker writes its own slot, the supervisor hands slots out and clears those of the dead. A
number is 8 bytes, aligned, and written at once; a sum over several may be a moment old.
"""

import functools
import hashlib
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Self

SETS = 64
WAYS = 16
"""The calls of so many scopes are shown for each process, 64 by 16. What finds no room counts in its process only."""

_WORD = 8
_HEAD_WORDS = 8
_SLOT_WORDS = _HEAD_WORDS + SETS * WAYS * 2

_DRAINING = 0
_NUMBER, _PID, _STARTED_MS, _CALLS, _READY, _LEAVING = range(6)


class Slot:
    """The numbers of one process: what it is, how it does, and its calls by scope (a key, an organization …)."""

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def occupy(self, number: int, pid: int) -> None:
        """Begin anew, for another process."""
        self.clear()
        self._words[_STARTED_MS] = int(time.time() * 1000)
        self._words[_PID] = pid
        self._words[_NUMBER] = number

    def clear(self) -> None:
        """Forget the process; it carries no calls any more."""
        self._words.cast("B")[:] = bytes(_SLOT_WORDS * _WORD)

    def show(self, scope: str, calls: int) -> None:
        """Let others know how many calls of a scope there are."""
        name, words, free = _name(scope), self._words, 0
        for place in _places(name):
            if words[place] == name:
                words[place + 1] = calls
                return
            if not free and not words[place + 1]:
                free = place
        if free:
            words[free], words[free + 1] = name, calls

    def shown(self, scope: str) -> int:
        """Return how many calls of a scope the process has let others know of."""
        name, words = _name(scope), self._words
        return next((int(words[place + 1]) for place in _places(name) if words[place] == name), 0)

    @property
    def number(self) -> int:
        """Which worker it is, counted from 1; 0 = the slot is free."""
        return int(self._words[_NUMBER])

    @property
    def pid(self) -> int:
        """The process."""
        return int(self._words[_PID])

    @property
    def started_at(self) -> float:
        """Unix seconds."""
        return int(self._words[_STARTED_MS]) / 1000

    @property
    def calls(self) -> int:
        """Calls that the process carries."""
        return int(self._words[_CALLS])

    @calls.setter
    def calls(self, calls: int) -> None:
        self._words[_CALLS] = calls

    @property
    def ready(self) -> bool:
        """The process takes new calls."""
        return bool(self._words[_READY])

    @ready.setter
    def ready(self, ready: bool) -> None:
        self._words[_READY] = ready

    @property
    def leaving(self) -> bool:
        """The process carries its calls to their end and takes no more."""
        return bool(self._words[_LEAVING])

    @leaving.setter
    def leaving(self, leaving: bool) -> None:
        self._words[_LEAVING] = leaving


class Scoreboard:
    """The slots of all processes, and what holds for all of them.

    Args:
        slots: how many processes there may be at a time.
        fd: memory of `create`; None = this process is the only one.
    """

    def __init__(self, slots: int = 1, fd: int = -1) -> None:
        self.fd = fd
        memory = mmap.mmap(fd, _size(slots))
        self._words = memoryview(memory).cast("q")
        starts = range(_HEAD_WORDS, len(self._words), _SLOT_WORDS)
        self.slots = tuple(Slot(self._words[start : start + _SLOT_WORDS]) for start in starts)

    @classmethod
    def create(cls, slots: int) -> Self:
        """Make one whose memory other processes map through the inherited `fd`; OSError when there is none."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("offhook-scoreboard")
        else:  # not on Linux
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, _size(slots))
        return cls(slots, fd)

    @property
    def draining(self) -> bool:
        """The gateway as a whole takes no new calls."""
        return bool(self._words[_DRAINING])

    @draining.setter
    def draining(self, draining: bool) -> None:
        self._words[_DRAINING] = draining

    @property
    def calls(self) -> int:
        """Calls that all processes carry."""
        return sum(slot.calls for slot in self.slots)

    def shown(self, scope: str, *, but: Slot | None = None) -> int:
        """Return the calls of a scope in all processes, or in all but one."""
        return sum(slot.shown(scope) for slot in self.occupied() if slot is not but)

    def occupied(self) -> Iterator[Slot]:
        """The slots of processes that live."""
        return (slot for slot in self.slots if slot.number)

    def free(self) -> Slot | None:
        """Return a slot that nobody has."""
        return next((slot for slot in self.slots if not slot.number), None)

    def close(self) -> None:
        """Give the descriptor back; what is mapped stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _size(slots: int) -> int:
    return (_HEAD_WORDS + slots * _SLOT_WORDS) * _WORD


@functools.lru_cache(maxsize=4096)
def _name(scope: str) -> int:
    """Return a number that stands for a scope in every process; never 0."""
    return int.from_bytes(hashlib.blake2b(scope.encode(errors="replace"), digest_size=8).digest()) >> 1 | 1


def _places(name: int) -> range:
    """Return where in a slot the scope may be."""
    first = _HEAD_WORDS + (name >> 8) % SETS * WAYS * 2
    return range(first, first + WAYS * 2, 2)
