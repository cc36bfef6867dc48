"""The upgrade request as Genesys makes it: the address, the headers, the signature. Pure.

Sources: audiohook.md §1.1 (Connector ID behind the base URI), §1.2 (headers), §2.2 (signature).
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from yarl import URL

from offhook.httpsig import DOCUMENTED_ORDER, GENESYS_ORDER, SecretError, SignedRequest, decode_secret, sign_request
from offhook.simulator.identity import CallIdentity

USER_AGENT: Final = "GenesysCloud-AudioHook-Client"
DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
SIGNATURE_SECONDS: Final = 10
_API_KEY: Final = re.compile(r"[\x21-\x7e]+")

Order = Literal["documented", "genesys"]
"""Order of the signed components: as in the documentation, or as real Genesys was seen to send (trap 15)."""
ORDERS: Final = {"documented": DOCUMENTED_ORDER, "genesys": GENESYS_ORDER}


class UnusableTarget(ValueError):
    """The address, the key or the secret cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom to call, and as whom."""

    url: URL
    """Whole address, Connector ID included, exactly as it goes into the request."""
    key: str = field(default="", repr=False)
    """API key; sent as `X-API-KEY` when there is one."""
    secret: bytes | None = field(default=None, repr=False)
    """Decoded client secret; None sends the request unsigned."""
    order: Order = "genesys"

    @property
    def request_target(self) -> str:
        """Path and query as they are sent."""
        return self.url.raw_path_qs

    @property
    def authority(self) -> str:
        """`Host` as it is sent: lower case, no default port."""
        host = (self.url.raw_host or "").lower()
        if ":" in host:
            host = f"[{host}]"
        port = self.url.port
        return host if port == DEFAULT_PORTS[self.url.scheme] else f"{host}:{port}"


def target(
    base: str, *, connector_id: str | None = None, key: str = "", secret: str | None = None, order: Order = "genesys"
) -> Target:
    """Return the target of a call from what a person writes.

    Args:
        base: Base Connection URI, `wss://…` (`ws://…` for servers that are reached without TLS).
        connector_id: is put behind the base with one slash between them; may hold further path parts and a query.
        key: API key.
        secret: client secret in base64.
        order: order of the signed components.

    Raises:
        UnusableTarget: one of them cannot be used.
    """
    if key and not _API_KEY.fullmatch(key):
        raise UnusableTarget("the API key may hold printable ASCII without spaces only")
    if secret is not None and not key:
        raise UnusableTarget("a client secret needs an API key: the signature names it")
    return Target(url=_address(base, connector_id), key=key, secret=_decoded(secret), order=order)


def _address(base: str, connector_id: str | None) -> URL:
    text = base.strip()
    if connector_id:
        path, _, query = text.partition("?")
        text = f"{path.rstrip('/')}/{connector_id.lstrip('/')}"
        if query:
            text += ("&" if "?" in connector_id else "?") + query
    if not text.isprintable():
        raise UnusableTarget(f"{text!r} is no address: it holds control characters")
    try:
        url = URL(text.replace(" ", "%20"), encoded=text.isascii())
        known = url.scheme in DEFAULT_PORTS and url.host and url.port
    except ValueError as error:
        raise UnusableTarget(f"{base!r} is no address: {error}") from None
    if not known:
        raise UnusableTarget(f"{base!r} is no address of an AudioHook server: it begins with wss:// or ws://")
    if url.user is not None or url.fragment:
        raise UnusableTarget(f"{base!r}: an address of an AudioHook server has no user and no fragment")
    return url if url.raw_path else url.with_path("/")


def _decoded(secret: str | None) -> bytes | None:
    if secret is None:
        return None
    try:
        return decode_secret(secret)
    except SecretError as error:
        raise UnusableTarget(str(error)) from None


def upgrade_headers(
    to: Target, identity: CallIdentity, *, nonce: str, unix_time: int, attempt: int = 0
) -> dict[str, str]:
    """Return the headers of the upgrade that are Genesys' own, signed when there is a secret.

    Args:
        to: whom to call.
        identity: IDs of the call.
        nonce: at least 22 characters that were never used before.
        unix_time: now, in seconds of the Unix clock.
        attempt: how often Genesys has tried before (audiohook.md §1.5).
    """
    headers = {
        "Host": to.authority,
        "Audiohook-Organization-Id": identity.organization_id,
        "Audiohook-Session-Id": identity.session_id,
        "Audiohook-Correlation-Id": identity.correlation_id,
        "Audiohook-Retry-Attempt": str(attempt),
        "User-Agent": USER_AGENT,
    }
    if to.key:
        headers["X-API-KEY"] = to.key
    if to.secret is None:
        return headers
    request = SignedRequest(
        request_target=to.request_target,
        authority=to.authority,
        headers={name.lower(): value for name, value in headers.items()},
    )
    signature = sign_request(
        request,
        key_id=to.key,
        secret=to.secret,
        nonce=nonce,
        created=unix_time,
        expires=unix_time + SIGNATURE_SECONDS,
        components=ORDERS[to.order],
    )
    return headers | {"Signature-Input": signature["signature-input"], "Signature": signature["signature"]}
