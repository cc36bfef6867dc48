"""Who calls, and how Genesys signs its requests (audiohook.md §1.2, §2.2)."""

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: The order in Genesys' documentation, and the one that real Genesys was seen to send (audiohook.md §2.2).
DOCUMENTED_ORDER = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
OBSERVED_ORDER = (
    "@request-target",
    "audiohook-session-id",
    "audiohook-organization-id",
    "audiohook-correlation-id",
    "x-api-key",
    "@authority",
)


@dataclass(frozen=True)
class Identity:
    """Who calls."""

    organization: str = field(default_factory=lambda: str(uuid.uuid4()))
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    correlation: str = field(default_factory=lambda: str(uuid.uuid4()))
    conversation: str = field(default_factory=lambda: str(uuid.uuid4()))
    participant: str = field(default_factory=lambda: str(uuid.uuid4()))

    def headers(self, key: str | None = "key") -> dict[str, str]:
        """Return what Genesys sends with the upgrade, unsigned."""
        headers = {
            "Audiohook-Organization-Id": self.organization,
            "Audiohook-Session-Id": self.session,
            "Audiohook-Correlation-Id": self.correlation,
        }
        if key is not None:
            headers["X-API-KEY"] = key
        return headers


def sign(
    url: str,
    headers: Mapping[str, str],
    secret: str,
    *,
    order: Sequence[str] = OBSERVED_ORDER,
    key_id: str | None = None,
    nonce: str | None = None,
    created: float | None = None,
    expires: float | None = None,
    parameters: Sequence[str] = ("keyid", "nonce", "alg", "created", "expires"),
    authority: str | None = None,
    target: str | None = None,
    algorithm: str = "hmac-sha256",
) -> dict[str, str]:
    """Return `headers` with Signature-Input and Signature (audiohook.md §2.2)."""
    parts = urlsplit(url)
    now = int(time.time())
    lower = {name.lower(): value for name, value in headers.items()}
    values = {
        **lower,
        "@request-target": target or parts.path + (f"?{parts.query}" if parts.query else ""),
        "@authority": authority or parts.netloc.lower(),
    }
    created_at = now if created is None else int(created)
    texts = {
        "keyid": f'"{lower.get("x-api-key", "") if key_id is None else key_id}"',
        "nonce": f'"{base64.b64encode(secrets.token_bytes(16)).decode() if nonce is None else nonce}"',
        "alg": f'"{algorithm}"',
        "created": str(created_at),
        "expires": str(created_at + 10 if expires is None else int(expires)),
    }
    components = " ".join(f'"{name}"' for name in order)
    inner = f"({components})" + "".join(f";{name}={texts[name]}" for name in parameters)
    base = "".join(f'"{name}": {values[name].strip()}\n' for name in order) + f'"@signature-params": {inner}'
    digest = hmac.new(base64.b64decode(secret), base.encode(), hashlib.sha256).digest()
    return {
        **headers,
        "Signature-Input": f"sig1={inner}",
        "Signature": f"sig1=:{base64.b64encode(digest).decode()}:",
    }
