"""Secret digits of a call: kept only to take them out of every text that leaves it.

Nobody but the named tool is given them, so nothing should ever be found; a tool that repeats them in its result, or in
an error, is what this is for.
"""

import itertools
import re
from collections.abc import Iterable

MARK = "[secret]"
"""Stands where secret digits were."""
MIN_DIGITS = 3
"""Shorter secrets are left where they are: they would be found in every second text."""
ALONE = 4
"""From this length on a secret is found inside longer numbers, too; a shorter one only where it stands alone."""
MAX_GAP = 3
"""Most characters between two digits of a secret."""
_GAPS = frozenset(" \t\n\r\u00a0\u2009\u202f-\u2010\u2011\u2012\u2013\u2014\u2212.,/_'\"")
_DIGIT = re.compile("[0-9]")


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Replace secret digits in a text, also those with blanks, dashes and the like between them.

    Args:
        text: Any text.
        secrets: Strings of digits; those shorter than `MIN_DIGITS` are ignored.
    """
    places = [match.start() for match in _DIGIT.finditer(text)]
    digits = "".join(text[place] for place in places)
    found: list[tuple[int, int]] = []
    for secret in secrets:
        at = digits.find(secret) if len(secret) >= MIN_DIGITS else -1
        while at >= 0:
            here = places[at : at + len(secret)]
            if _together(text, here) and (len(secret) >= ALONE or _alone(text, here)):
                found.append((here[0], here[-1] + 1))
            at = digits.find(secret, at + 1)
    return _without(text, found) if found else text


class Secrets:
    """What the caller entered in secret so far."""

    def __init__(self) -> None:
        self._digits: list[str] = []

    def __repr__(self) -> str:
        return f"Secrets({len(self._digits)})"

    def add(self, digits: str) -> None:
        """Something was entered that nobody but its tool may see."""
        if digits not in self._digits:
            self._digits.append(digits)

    def scrub(self, text: str) -> str:
        """Return the text without any of it."""
        return scrub(text, self._digits) if self._digits else text


def _together(text: str, places: list[int]) -> bool:
    """Whether nothing but gaps stands between the digits."""
    for here, there in itertools.pairwise(places):
        if there - here > MAX_GAP + 1 or not _GAPS.issuperset(text[here + 1 : there]):
            return False
    return True


def _alone(text: str, places: list[int]) -> bool:
    """Whether the digits are not the part of a longer number."""
    return not _DIGIT.fullmatch(text[places[0] - 1 : places[0]]) and not _DIGIT.match(text, places[-1] + 1)


def _without(text: str, found: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    end = 0
    for start, stop in sorted(found):
        if start >= end:
            parts += (text[end:start], MARK)
        end = max(end, stop)
    return "".join((*parts, text[end:]))
