"""The published example of Genesys' documentation, and requests made from it (audiohook.md §2.4)."""

from collections.abc import Mapping

from offhook.httpsig import DOCUMENTED_ORDER, Key, KeyRing, SignedRequest, decode_secret
from offhook.httpsig.sign import sign_parameters

KEY_ID = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET_BASE64 = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
SECRET = b"MySuperSecretKeyTellNo-1!2@3#4$5"
NONCE = "VGhpc0lzQVVuaXF1ZU5vbmNl"
CREATED = 1641013200
EXPIRES = 3282026430
NOW = float(CREATED)

TARGET = "/api/v1/voicebiometrics/ws"
AUTHORITY = "audiohook.example.com"
HEADERS = {
    "host": AUTHORITY,
    "user-agent": "GenesysCloud-AudioHook-Client",
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": KEY_ID,
}
PUBLISHED_INPUT = (
    'sig1=("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id"'
    ' "audiohook-correlation-id" "x-api-key");keyid="SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"'
    ';nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created=1641013200;expires=3282026430'
)
PUBLISHED_SIGNATURE = "NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4="

PARAMETERS: Mapping[str, str | int] = {
    "keyid": KEY_ID,
    "nonce": NONCE,
    "alg": "hmac-sha256",
    "created": CREATED,
    "expires": EXPIRES,
}
UNSIGNED = SignedRequest(TARGET, AUTHORITY, HEADERS)
PUBLISHED = SignedRequest(
    TARGET, AUTHORITY, {**HEADERS, "signature-input": PUBLISHED_INPUT, "signature": f"sig1=:{PUBLISHED_SIGNATURE}:"}
)
KEYS = KeyRing([Key(KEY_ID, (decode_secret(SECRET_BASE64),))])


def signed(
    request: SignedRequest = UNSIGNED,
    *,
    secret: bytes = SECRET,
    components: tuple[str, ...] = DOCUMENTED_ORDER,
    parameters: Mapping[str, str | int] = PARAMETERS,
    without: tuple[str, ...] = (),
    **changed: str | int,
) -> SignedRequest:
    """Sign ``request`` with the published parameters, some of them changed or left out."""
    merged = {name: value for name, value in {**parameters, **changed}.items() if name not in without}
    headers = sign_parameters(request, secret=secret, components=components, parameters=merged)
    return SignedRequest(request.request_target, request.authority, {**request.headers, **headers})


def with_headers(request: SignedRequest, **changed: str | None) -> SignedRequest:
    """Return ``request`` with headers (underscores for dashes) changed, or taken away where None."""
    headers: dict[str, str] = dict(request.headers)
    for name, value in changed.items():
        headers.pop(name.replace("_", "-"), None)
        if value is not None:
            headers[name.replace("_", "-")] = value
    return SignedRequest(request.request_target, request.authority, headers)
