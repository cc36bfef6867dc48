"""Every vector of audiohook.md §2.4, through the signer, the signature base and the verifier."""

import base64

from offhook.httpsig import (
    DOCUMENTED_ORDER,
    GENESYS_ORDER,
    SignedRequest,
    Verified,
    Verifier,
    decode_secret,
    sign_request,
    signature_base,
)
from offhook.httpsig.base import parse_signature_headers, serialize_input
from offhook.httpsig.sign import sign_base
from tests.unit.httpsig.vectors import (
    CREATED,
    EXPIRES,
    KEY_ID,
    KEYS,
    NONCE,
    NOW,
    PARAMETERS,
    PUBLISHED,
    PUBLISHED_INPUT,
    PUBLISHED_SIGNATURE,
    SECRET,
    SECRET_BASE64,
    UNSIGNED,
    signed,
    with_headers,
)

SWAPPED_SIGNATURE = "jaBf1jXY1eQcVRbCONpjjEE97c4adb3qgVV31C/EVxk="
GENESYS_ORDER_SIGNATURE = "ldACCVdGpzT50CIPiG5jQsjSu71OILmmqo3Ayc28ZSg="
HOST_INSTEAD_OF_AUTHORITY = "zupMJUMfd/kMuvKc5zhRyfJPE3jTROuz1S1hn8SCTpE="
B25_KEY = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
B25_SIGNATURE = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


def _signature(components: tuple[str, ...], request: SignedRequest = UNSIGNED) -> str:
    base = signature_base(request, components, serialize_input(components, PARAMETERS))
    return base64.b64encode(sign_base(SECRET, base)).decode()


def test_published_example_is_verified() -> None:
    assert Verifier().verify(PUBLISHED, KEYS, None, NOW) == Verified(KEY_ID, nonce=NONCE)


def test_published_example_is_what_we_sign() -> None:
    headers = sign_request(
        UNSIGNED, key_id=KEY_ID, secret=decode_secret(SECRET_BASE64), nonce=NONCE, created=CREATED, expires=EXPIRES
    )
    assert headers == {"signature-input": PUBLISHED_INPUT, "signature": f"sig1=:{PUBLISHED_SIGNATURE}:"}


def test_published_signature_base_ends_without_a_line_feed() -> None:
    parsed, _ = parse_signature_headers(PUBLISHED_INPUT, f"sig1=:{PUBLISHED_SIGNATURE}:")
    lines = signature_base(UNSIGNED, parsed.components, parsed.serialized).decode().split("\n")
    assert lines[0] == '"@request-target": /api/v1/voicebiometrics/ws'
    assert lines[1] == '"@authority": audiohook.example.com'
    assert lines[-1] == '"@signature-params": ' + PUBLISHED_INPUT.removeprefix("sig1=")
    assert len(lines) == 7


def test_session_and_correlation_swapped_as_in_an_early_documentation() -> None:
    swapped = with_headers(
        UNSIGNED,
        audiohook_session_id=UNSIGNED.headers["audiohook-correlation-id"],
        audiohook_correlation_id=UNSIGNED.headers["audiohook-session-id"],
    )
    assert _signature(DOCUMENTED_ORDER, swapped) == SWAPPED_SIGNATURE
    # ... and the swapped values do not pass with the published signature (trap 19).
    headers = {**swapped.headers, "signature-input": PUBLISHED_INPUT, "signature": f"sig1=:{PUBLISHED_SIGNATURE}:"}
    request = SignedRequest(swapped.request_target, swapped.authority, headers)
    assert not isinstance(Verifier().verify(request, KEYS, None, NOW), Verified)


def test_order_seen_from_real_genesys() -> None:
    assert _signature(GENESYS_ORDER) == GENESYS_ORDER_SIGNATURE
    assert isinstance(Verifier().verify(signed(components=GENESYS_ORDER), KEYS, None, NOW), Verified)


def test_host_instead_of_authority() -> None:
    components = tuple("host" if name == "@authority" else name for name in DOCUMENTED_ORDER)
    assert _signature(components) == HOST_INSTEAD_OF_AUTHORITY


def test_example_b25_of_the_draft() -> None:
    request = SignedRequest(
        "/foo?param=Value&Pet=dog",
        "example.com",
        {"date": "Tue, 20 Apr 2021 02:07:55 GMT", "content-type": "application/json"},
    )
    components = ("date", "@authority", "content-type")
    serialized = serialize_input(components, {"created": 1618884473, "keyid": "test-shared-secret"})
    digest = sign_base(decode_secret(B25_KEY), signature_base(request, components, serialized))
    assert base64.b64encode(digest).decode() == B25_SIGNATURE
