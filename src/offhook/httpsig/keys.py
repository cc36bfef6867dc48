"""The keys that signatures are checked with."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol


class SecretError(ValueError):
    """A client secret is not base64; the text does not repeat it."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key and the secrets that are good for it now (several while one is replaced by the next).

    Without a secret, the API key alone lets a caller in; with one, an unsigned request never does (trap 17).
    """

    id: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        # An empty HMAC key is one that everybody has (trap 18).
        if not self.id or not all(self.secrets):
            raise ValueError("a key needs an id, and its secrets must not be empty")


class KeyLookup(Protocol):
    """Finds a key by what a request sends as ``X-API-KEY``."""

    def find(self, key_id: str) -> Key | None:
        """Return the key called ``key_id``."""


class KeyRing:
    """A fixed set of keys, looked through in a time that does not depend on how much of an id was right."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple((key.id.encode(), key) for key in keys)

    def find(self, key_id: str) -> Key | None:
        """Return the key called ``key_id``."""
        wanted = key_id.encode(errors="surrogatepass")
        found: Key | None = None
        for known, key in self._keys:
            if hmac.compare_digest(known, wanted):
                found = key
        return found


def decode_secret(text: str) -> bytes:
    """Return the HMAC key: the *decoded* bytes of the base64 client secret (trap 16).

    Both base64 alphabets are accepted, and padding may be left out, as in Genesys' own tools.
    """
    stripped = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        secret = base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretError("the client secret is not base64") from error
    if not secret:
        raise SecretError("the client secret is empty")
    return secret
