"""Takes what nobody but a tool may see out of texts that others read."""

import re
from collections.abc import Iterable, Mapping

SCRUBBED = "[secret]"
#: Shorter values say nothing, and are found everywhere.
MIN_SECRET_CHARS = 3
#: Longer values are looked for as they are only.
MAX_SPELLED_CHARS = 64

_APART = r"[\W_]{0,3}"


def secrets_in(value: object) -> frozenset[str]:
    """Return the texts and whole numbers of three characters and more in JSON data, at any depth."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, str | int) and not isinstance(one, bool):
            found.add(str(one))
    return frozenset(text for text in found if len(text) >= MIN_SECRET_CHARS)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return a text with ``[secret]`` in place of every secret.

    Upper and lower case are the same, and up to three characters that are no letters and no digits may stand between
    those of the secret: ``1-2-3-4`` and ``12 34`` are 1234. A secret that is shorter than three characters stays.
    """
    longest_first = sorted((secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS), key=len, reverse=True)
    if not longest_first:
        return text
    return re.sub("|".join(_spelled(secret) for secret in longest_first), SCRUBBED, text, flags=re.IGNORECASE)


def _spelled(secret: str) -> str:
    """Return the pattern of a secret. What may stand between its characters is none of them: nothing to backtrack."""
    characters = [character for character in secret if character.isalnum()]
    if MIN_SECRET_CHARS <= len(characters) <= MAX_SPELLED_CHARS:
        return _APART.join(re.escape(character) for character in characters)
    return re.escape(secret)
