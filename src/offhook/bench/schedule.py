"""Which faults come to which call, and when: by chance, yet the same for the same seed."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from offhook.bench.faults import CLASSES, Fault

MAX_OF_A_CLASS: Final = 3
"""Faults of one class that one call gets at most."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of one call, so many seconds after `opened`."""

    at: float
    fault: Fault


class Schedule:
    """Plans the faults of all calls.

    The first fault of a class goes through all of its faults in turn, in an order that the seed decides, so that each
    has its turn in as few calls as possible; how many there are and when they come is by chance.

    Args:
        faults: those that may come.
        lines: calls at a time.
        seconds: how long a call lasts.
        rate: faults of each class that a call gets on average.
        seed: decides all of it.
    """

    def __init__(self, faults: Sequence[Fault], *, lines: int, seconds: float, rate: float, seed: int) -> None:
        self._lines, self._seconds, self._rate, self._seed = lines, seconds, rate, seed
        self._decks: list[list[Fault]] = []
        chance = random.Random(f"{seed}/decks")  # noqa: S311 - repeatable on purpose
        for of in CLASSES:
            deck = [fault for fault in faults if fault.of == of and fault.moment != "run"]
            chance.shuffle(deck)
            if deck:
                self._decks.append(deck)

    def of_call(self, line: int, number: int) -> list[Planned]:
        """Return the faults of the nth call of a line (both from 0), by their times."""
        chance = random.Random(f"{self._seed}/{line}/{number}")  # noqa: S311 - repeatable on purpose
        planned: list[Planned] = []
        for deck in self._decks:
            first = deck[(number * self._lines + line) % len(deck)]
            for index in range(min(_poisson(self._rate, chance), MAX_OF_A_CLASS)):
                fault = chance.choice(deck) if index else first
                planned.append(Planned(self._moment(fault, chance), fault))
        return _connecting_once(sorted(planned, key=lambda plan: plan.at))

    def _moment(self, fault: Fault, chance: random.Random) -> float:
        if fault.moment == "connect":
            return 0.0
        # What ends the call comes late, or the other faults of the call never would.
        begin, end = (0.5, 0.95) if fault.breaks in ("caller", "session") else (0.05, 0.85)
        return chance.uniform(begin, end) * self._seconds


def _connecting_once(planned: list[Planned]) -> list[Planned]:
    """A call is dialled once: of what can go wrong with that, only the first happens."""
    connecting = [plan for plan in planned if plan.fault.moment == "connect"]
    return [plan for plan in planned if plan not in connecting[1:]]


def of_run(faults: Sequence[Fault], *, seconds: float, call_seconds: float, rate: float) -> list[Planned]:
    """Return the faults that come to all calls at once: each once, or as often as gives a call its share of them.

    Args:
        faults: those that may come.
        seconds: how long the run lasts.
        call_seconds: how long a call lasts.
        rate: faults of each class that a call gets on average.
    """
    shared: list[Planned] = []
    mine = [fault for fault in faults if fault.moment == "run"]
    for index, fault in enumerate(mine):
        kinds = sum(other.of == fault.of for other in faults)
        times = max(1, round(seconds / call_seconds * rate / kinds))
        every = seconds / times
        shared += [Planned((n + (index + 1) / (len(mine) + 1)) * every, fault) for n in range(times)]
    return sorted(shared, key=lambda plan: plan.at) if rate else []


def _poisson(mean: float, chance: random.Random) -> int:
    """Draw a number with this mean (Knuth's way, good for small ones)."""
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
