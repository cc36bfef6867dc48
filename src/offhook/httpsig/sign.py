"""Signing, as Genesys does it: for the simulator, ``doctor`` and tests."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from offhook.httpsig.base import AUTHORITY, REQUEST_TARGET, SignedRequest, serialize_input, signature_base

#: The order of the documentation and of Genesys' sample client.
DOCUMENTED_ORDER = (
    REQUEST_TARGET,
    AUTHORITY,
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
#: The order that real Genesys was seen to send (trap 15).
GENESYS_ORDER = (
    REQUEST_TARGET,
    "audiohook-session-id",
    "audiohook-organization-id",
    "audiohook-correlation-id",
    "x-api-key",
    AUTHORITY,
)

LABEL = "sig1"


def sign_request(
    request: SignedRequest,
    *,
    key_id: str,
    secret: bytes,
    nonce: str,
    created: int,
    expires: int | None = None,
    components: tuple[str, ...] = DOCUMENTED_ORDER,
) -> dict[str, str]:
    """Return the headers ``signature-input`` and ``signature`` for ``request``.

    ``secret`` is the decoded client secret, ``nonce`` at least 22 characters used once, ``created`` and ``expires``
    Unix seconds. Parameters go in the documented order: keyid, nonce, alg, created, expires.
    """
    parameters: dict[str, str | int] = {"keyid": key_id, "nonce": nonce, "alg": "hmac-sha256", "created": created}
    if expires is not None:
        parameters["expires"] = expires
    return sign_parameters(request, secret=secret, components=components, parameters=parameters)


def sign_parameters(
    request: SignedRequest, *, secret: bytes, components: tuple[str, ...], parameters: Mapping[str, str | int]
) -> dict[str, str]:
    """Sign with any components and parameters in any order, right or wrong: for tests and fault injection."""
    serialized = serialize_input(components, parameters)
    digest = sign_base(secret, signature_base(request, components, serialized))
    return {
        "signature-input": f"{LABEL}={serialized}",
        "signature": f"{LABEL}=:{base64.b64encode(digest).decode('ascii')}:",
    }


def sign_base(secret: bytes, base: bytes) -> bytes:
    """Return HMAC-SHA256 of the signature base, whatever ``alg`` says (trap 24)."""
    return hmac.new(secret, base, hashlib.sha256).digest()
