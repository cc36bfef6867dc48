"""Hints at what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return the end of a message that proposes the known name that is nearest, if any is near.

    Args:
        name: what was written.
        known: what there is.
        prefix: stands before the name in the message.
    """
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix}{close[0]}?" if close else ""
