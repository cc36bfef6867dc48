"""Cuts bytes into lines of bounded length."""

from typing import NamedTuple


class Line(NamedTuple):
    """A line without its end; of one that is too long, the beginning and the end."""

    text: bytes
    cut: bool = False


class Lines:
    """Takes bytes as they come and gives whole lines.

    Args:
        limit: bytes of a line; of a longer one half of that is kept from its front and half from its end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._front = bytearray()
        self._end = bytearray()
        self._cut = False

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that are complete now."""
        *whole, rest = data.split(b"\n")
        lines = []
        for part in whole:
            self._add(part)
            lines.append(Line(bytes(self._front + self._end), self._cut))
            self._front, self._end, self._cut = bytearray(), bytearray(), False
        self._add(rest)
        return lines

    def _add(self, part: bytes) -> None:
        if not self._cut and len(self._front) + len(part) <= self._limit:
            self._front += part
            return
        half = self._limit // 2
        if not self._cut:
            self._cut = True
            self._end = self._front[half:]
            del self._front[half:]
            missing = half - len(self._front)
            self._front += part[:missing]
            part = part[missing:]
        self._end += part
        del self._end[: max(0, len(self._end) - half)]
