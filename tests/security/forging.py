"""Upgrade requests as Genesys makes them, and what an attacker makes of them: byte for byte, so that nothing is mended.

The signature is made here a third time (after the product's and `tests.acceptance.identity`), from the text of
``Signature-Input`` alone: whatever an attempt puts there, right or wrong, is what gets signed.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.acceptance.identity import OBSERVED_ORDER, Identity

HANDSHAKE = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "SSdtIGEgV2ViU29ja2V0IQ=="),
)


@dataclass(frozen=True)
class Request:
    """One upgrade request."""

    target: str
    fields: tuple[tuple[str, str], ...]
    identity: Identity = field(default_factory=Identity)
    method: str = "GET"
    version: str = "HTTP/1.1"

    def value(self, name: str) -> str:
        """Return a header as signatures see it."""
        return ", ".join(value.strip() for known, value in self.fields if known.lower() == name.lower())

    def having(self, name: str, value: str) -> "Request":
        """Give a header another value, or add it."""
        if not any(known.lower() == name.lower() for known, _ in self.fields):
            return self.also(name, value)
        changed = ((known, value if known.lower() == name.lower() else old) for known, old in self.fields)
        return replace(self, fields=tuple(changed))

    def also(self, name: str, value: str) -> "Request":
        """Add a line, whether there is one of that name or not."""
        return replace(self, fields=(*self.fields, (name, value)))

    def without(self, *names: str) -> "Request":
        """Leave headers out."""
        dropped = {name.lower() for name in names}
        return replace(self, fields=tuple(pair for pair in self.fields if pair[0].lower() not in dropped))

    def raw(self, *, newline: str = "\r\n") -> bytes:
        """Return the head as it goes over the wire; characters beyond Latin-1 as UTF-8."""
        lines = [f"{self.method} {self.target} {self.version}", *(f"{name}: {value}" for name, value in self.fields)]
        text = newline.join([*lines, "", ""])
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            return text.encode()


def unsigned(target: str, authority: str, key: str, identity: Identity | None = None) -> Request:
    """Return the request that Genesys makes for a key without a client secret."""
    identity = identity or Identity()
    headers = {"Host": authority, **identity.headers(key)}
    return Request(target, (*headers.items(), *HANDSHAKE), identity)


def parameters(
    key: str,
    *,
    nonce: str | None = None,
    created: float | None = None,
    expires: float | None = None,
    alg: str = "hmac-sha256",
    without: Sequence[str] = (),
    order: Sequence[str] = ("keyid", "nonce", "alg", "created", "expires"),
) -> str:
    """Return the parameters of a signature, from the first semicolon on; times are seconds from now."""
    now = time.time()
    texts = {
        "keyid": f'"{key}"',
        "nonce": f'"{fresh_nonce() if nonce is None else nonce}"',
        "alg": f'"{alg}"',
        "created": str(int(now + (created or 0))),
        "expires": str(int(now + (10 if expires is None else expires))),
    }
    return "".join(f";{name}={texts[name]}" for name in order if name not in without)


def fresh_nonce() -> str:
    return base64.b64encode(secrets.token_bytes(16)).decode()


def inner_list(components: Sequence[str]) -> str:
    return "(" + " ".join(f'"{name}"' for name in components) + ")"


def seal(request: Request, inner: str, secret: bytes, *, label: str = "sig1", digest: str = "sha256") -> Request:
    """Sign what `inner` (list and parameters) says is signed, and put both headers in."""
    mac = base64.b64encode(signature_of(request, inner, secret, digest)).decode()
    return request.having("Signature-Input", f"{label}={inner}").having("Signature", f"{label}=:{mac}:")


def signature_of(request: Request, inner: str, secret: bytes, digest: str = "sha256") -> bytes:
    names = re.findall(r'"([^"]*)"', inner.partition(")")[0])
    derived = {"@request-target": request.target, "@authority": request.value("host").lower()}
    lines = [f'"{name}": {derived.get(name, request.value(name))}' for name in names]
    base = "\n".join([*lines, f'"@signature-params": {inner}'])
    return hmac.new(secret, base.encode(), lambda: hashlib.new(digest, usedforsecurity=False)).digest()


def sign(
    request: Request, secret: bytes, *, components: Sequence[str] = OBSERVED_ORDER, given: str | None = None
) -> Request:
    """Sign as Genesys does; `given` takes the place of the parameters."""
    rest = parameters(request.value("x-api-key")) if given is None else given
    return seal(request, inner_list(components) + rest, secret)
