import base64
import itertools
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.httpsig import (
    DOCUMENTED_ORDER,
    REQUIRED_COMPONENTS,
    Key,
    KeyRing,
    NonceMemory,
    PublicUrl,
    RefusalReason,
    Refused,
    SignedRequest,
    Verified,
    Verifier,
)
from offhook.httpsig.verify import MAX_NONCE_CHARS
from tests.unit.httpsig.vectors import (
    CREATED,
    KEY_ID,
    KEYS,
    NONCE,
    NOW,
    PARAMETERS,
    PUBLISHED,
    SECRET,
    UNSIGNED,
    signed,
    with_headers,
)

OPEN_KEYS = KeyRing([Key(KEY_ID)])
OTHER_SECRET = b"another secret"


def refusal(request: SignedRequest, *, keys: KeyRing = KEYS, now: float = NOW, **options: Any) -> RefusalReason | None:
    result = Verifier(**options).verify(request, keys, None, now)
    return result.reason if isinstance(result, Refused) else None


@given(st.permutations(DOCUMENTED_ORDER), st.permutations(sorted(PARAMETERS)))
def test_any_order_of_components_and_parameters(components: list[str], names: list[str]) -> None:
    request = signed(components=tuple(components), parameters={name: PARAMETERS[name] for name in names})
    assert request.headers["signature-input"].split(");")[1].startswith(names[0])
    assert refusal(request) is None


def test_further_covered_headers_are_fine() -> None:
    assert refusal(signed(components=(*DOCUMENTED_ORDER, "user-agent"))) is None


@pytest.mark.parametrize("component", sorted(REQUIRED_COMPONENTS))
def test_every_required_component_must_be_covered(component: str) -> None:
    result = Verifier().verify(
        signed(components=tuple(name for name in DOCUMENTED_ORDER if name != component)), KEYS, None, NOW
    )
    assert isinstance(result, Refused)
    assert result.reason is RefusalReason.MISSING_COMPONENT
    assert component in result.detail


@pytest.mark.parametrize(
    "header", ["audiohook-organization-id", "audiohook-session-id", "audiohook-correlation-id", "x-api-key"]
)
def test_a_changed_header_breaks_the_signature(header: str) -> None:
    headers = {**PUBLISHED.headers, header: "00000000-0000-0000-0000-000000000000"}
    request = SignedRequest(PUBLISHED.request_target, PUBLISHED.authority, headers)
    expected = RefusalReason.KEY_MISMATCH if header == "x-api-key" else RefusalReason.WRONG_SIGNATURE
    assert refusal(request) is expected


def test_a_changed_target_or_authority_breaks_the_signature() -> None:
    headers = PUBLISHED.headers
    other_query = SignedRequest(PUBLISHED.request_target + "?v=2", PUBLISHED.authority, headers)
    other_host = SignedRequest(PUBLISHED.request_target, "internal:8080", headers)
    assert refusal(other_query) is RefusalReason.WRONG_SIGNATURE
    assert refusal(other_host) is RefusalReason.WRONG_SIGNATURE


def test_query_and_escapes_are_signed_as_sent() -> None:
    request = SignedRequest("/audiohook/a%2Fb//c?v=%20x&&y", "h.example.com", UNSIGNED.headers)
    assert refusal(signed(request)) is None


def test_authority_is_compared_in_lower_case_without_the_default_port() -> None:
    request = signed(SignedRequest("/", "h.example.com", UNSIGNED.headers))
    assert refusal(SignedRequest("/", "H.Example.com:443", request.headers)) is None
    assert refusal(SignedRequest("/", "h.example.com:8443", request.headers)) is RefusalReason.WRONG_SIGNATURE


@pytest.mark.parametrize("age", [-3, 0, 10, 13])
def test_age_within_window(age: int) -> None:
    assert refusal(PUBLISHED, now=CREATED + age) is None


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (-3.5, RefusalReason.NOT_YET_VALID),
        (13.5, RefusalReason.EXPIRED),
        (86400, RefusalReason.EXPIRED),
        (-86400, RefusalReason.NOT_YET_VALID),
    ],
)
def test_age_outside_window(age: float, reason: RefusalReason) -> None:
    assert refusal(PUBLISHED, now=CREATED + age) is reason


def test_expires_is_honoured_with_skew() -> None:
    request = signed(expires=CREATED + 2)
    assert refusal(request, now=CREATED + 5) is None
    assert refusal(request, now=CREATED + 5.5) is RefusalReason.EXPIRED
    assert refusal(signed(without=("expires",)), now=CREATED + 13) is None


def test_window_is_configurable() -> None:
    assert refusal(PUBLISHED, now=CREATED + 30, max_age=30, clock_skew=0) is None
    assert refusal(PUBLISHED, now=CREATED + 31, max_age=30, clock_skew=0) is RefusalReason.EXPIRED
    assert Verifier(30, 2).replay_window == 34


def test_created_is_required() -> None:
    assert refusal(signed(without=("created",))) is RefusalReason.MALFORMED


def test_key_id_must_be_the_api_key() -> None:
    assert refusal(signed(keyid="somebody-else")) is RefusalReason.KEY_MISMATCH
    assert refusal(signed(without=("keyid",))) is RefusalReason.KEY_MISMATCH


def test_algorithm_of_the_request_is_ignored() -> None:
    assert refusal(signed(alg="none")) is None
    assert refusal(signed(without=("alg",))) is None


def test_short_missing_and_endless_nonces() -> None:
    assert refusal(signed(nonce="x" * 22)) is None
    assert refusal(signed(nonce="x" * 21)) is RefusalReason.NONCE_SHORT
    assert refusal(signed(without=("nonce",))) is RefusalReason.NONCE_SHORT
    assert refusal(signed(nonce="x" * MAX_NONCE_CHARS)) is None
    assert refusal(signed(nonce="x" * (MAX_NONCE_CHARS + 1))) is RefusalReason.MALFORMED


def test_replay_is_refused_and_counts_for_good_signatures_only() -> None:
    verifier = Verifier()
    nonces = NonceMemory(verifier.replay_window)
    forged = signed(secret=OTHER_SECRET)
    assert verifier.verify(forged, KEYS, nonces, NOW) == Refused(
        RefusalReason.WRONG_SIGNATURE, "the signature does not match"
    )
    assert verifier.verify(PUBLISHED, KEYS, nonces, NOW) == Verified(KEY_ID, nonce=NONCE)
    for later in (0, 1, 13):
        result = verifier.verify(PUBLISHED, KEYS, nonces, NOW + later)
        assert isinstance(result, Refused)
        assert result.reason is RefusalReason.REPLAYED


@given(st.integers(-3, 13), st.integers(-3, 13))
def test_no_replay_gets_through_in_the_whole_window(first: int, second: int) -> None:
    verifier = Verifier()
    nonces = NonceMemory(verifier.replay_window)
    early, late = sorted((first, second))
    assert isinstance(verifier.verify(PUBLISHED, KEYS, nonces, NOW + early), Verified)
    assert isinstance(verifier.verify(PUBLISHED, KEYS, nonces, NOW + late), Refused)


def test_a_key_with_secret_never_accepts_unsigned_requests() -> None:
    assert refusal(UNSIGNED) is RefusalReason.UNSIGNED


def test_a_key_without_secret_accepts_the_api_key_alone() -> None:
    assert Verifier().verify(UNSIGNED, OPEN_KEYS, None, NOW) == Verified(KEY_ID, signed=False)
    # What cannot be checked is not looked at.
    assert Verifier().verify(PUBLISHED, OPEN_KEYS, NonceMemory(), NOW) == Verified(KEY_ID, signed=False)


def test_no_api_key() -> None:
    assert refusal(with_headers(UNSIGNED, x_api_key=None)) is RefusalReason.NO_API_KEY
    assert refusal(with_headers(PUBLISHED, x_api_key=" ")) is RefusalReason.NO_API_KEY


def test_an_unknown_key_is_refused_signed_or_not() -> None:
    assert refusal(UNSIGNED, keys=KeyRing([])) is RefusalReason.UNKNOWN_KEY
    assert refusal(PUBLISHED, keys=KeyRing([])) is RefusalReason.UNKNOWN_KEY


def test_an_unknown_key_is_refused_even_with_the_dummy_or_an_empty_secret() -> None:
    for secret in (b"", b"offhook has no such key"):
        assert refusal(signed(secret=secret), keys=KeyRing([])) is RefusalReason.UNKNOWN_KEY


def test_several_secrets_while_one_is_replaced() -> None:
    keys = KeyRing([Key(KEY_ID, (OTHER_SECRET, SECRET))])
    assert refusal(PUBLISHED, keys=keys) is None
    assert refusal(signed(secret=OTHER_SECRET), keys=keys) is None
    assert refusal(signed(secret=b"a third"), keys=keys) is RefusalReason.WRONG_SIGNATURE


def test_secret_as_text_instead_of_decoded_is_refused() -> None:
    text = b"TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
    assert refusal(signed(secret=text)) is RefusalReason.WRONG_SIGNATURE


@pytest.mark.parametrize("label", ["sig1", "sig", "*x-y.z"])
def test_any_label(label: str) -> None:
    request = with_headers(
        PUBLISHED,
        signature_input=label + PUBLISHED.headers["signature-input"].removeprefix("sig1"),
        signature=label + PUBLISHED.headers["signature"].removeprefix("sig1"),
    )
    assert refusal(request) is None


def test_a_signature_added_by_a_proxy_is_left_alone() -> None:
    request = with_headers(
        PUBLISHED,
        signature_input='proxy=("@method");created=1, ' + PUBLISHED.headers["signature-input"],
        signature=PUBLISHED.headers["signature"] + ", proxy=:AAAA:",
    )
    assert refusal(request) is None


GOOD_INPUT = PUBLISHED.headers["signature-input"]


@pytest.mark.parametrize(
    "signature_input",
    [
        None,
        "",
        "sig1",
        "sig1=",
        "sig1=1",
        "sig1=(",
        "sig2=" + GOOD_INPUT.removeprefix("sig1="),
        GOOD_INPUT + ", " + GOOD_INPUT,
        GOOD_INPUT + ";",
        GOOD_INPUT + ";created=1",
        GOOD_INPUT + ";hop=1",
        GOOD_INPUT.replace('"', "\u201d"),
        GOOD_INPUT.replace("created=1641013200", "created=1641013200.5"),
        GOOD_INPUT.replace("created=1641013200", 'created="1641013200"'),
        GOOD_INPUT.replace("created=1641013200", "created"),
        GOOD_INPUT.replace('keyid="', "keyid=").replace('=";nonce', "=;nonce"),
        GOOD_INPUT.replace('keyid="' + KEY_ID + '"', "keyid=token"),
        GOOD_INPUT.replace('"@authority"', '"@authority";req'),
        GOOD_INPUT.replace('"@authority"', "authority"),
        GOOD_INPUT.replace('"@authority"', '"@authority" "@authority"'),
        GOOD_INPUT.replace('"@authority"', '"@authority" "@method"'),
        GOOD_INPUT.replace('"@authority"', '"@authority" "X-Api-Key"'),
        GOOD_INPUT.replace('"@authority"', '"@authority" "x-not-there"'),
        GOOD_INPUT.replace('"@authority"', '"@authority" ' + " ".join(f'"x-{n}"' for n in range(40))),
        "x" * 9000,
    ],
)
def test_malformed_signature_input(signature_input: str | None) -> None:
    assert refusal(with_headers(PUBLISHED, signature_input=signature_input)) is RefusalReason.MALFORMED


@pytest.mark.parametrize(
    "signature",
    [None, "", "sig1", "sig1=x", "sig1=(:AAAA:)", "sig1=:***:", "sig2=:AAAA:", "sig1=:AAAA:, sig1=:AAAA:", "x" * 9000],
)
def test_malformed_signature(signature: str | None) -> None:
    assert refusal(with_headers(PUBLISHED, signature=signature)) is RefusalReason.MALFORMED


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_signature_of_another_length_is_just_wrong(length: int) -> None:
    text = f"sig1=:{base64.b64encode(secrets.token_bytes(length)).decode()}:"
    assert refusal(with_headers(PUBLISHED, signature=text)) is RefusalReason.WRONG_SIGNATURE


@pytest.mark.parametrize("value", ["a\nb", "a\r\nx-api-key: b", "caf\u00e9", "\udcff", "\x00"])
def test_values_that_cannot_be_signed(value: str) -> None:
    assert refusal(with_headers(PUBLISHED, audiohook_session_id=value)) is RefusalReason.MALFORMED


@pytest.mark.parametrize("target", ["", "/a b", "/\u00e9", "/a\n"])
def test_targets_that_cannot_be_signed(target: str) -> None:
    assert refusal(SignedRequest(target, PUBLISHED.authority, PUBLISHED.headers)) is RefusalReason.MALFORMED


def test_headers_are_trimmed() -> None:
    assert refusal(with_headers(PUBLISHED, audiohook_session_id=f"  {HEADERS_SESSION}\t")) is None


HEADERS_SESSION = UNSIGNED.headers["audiohook-session-id"]


def test_public_url_stands_for_what_genesys_dialled() -> None:
    dialled = SignedRequest("/voice/support?v=2", "voice.example.com", UNSIGNED.headers)
    seen = SignedRequest("/audiohook/support?v=2", "10.0.0.7:8080", signed(dialled).headers)
    assert refusal(seen) is RefusalReason.WRONG_SIGNATURE
    public_url = PublicUrl.parse("wss://voice.example.com/voice", "/audiohook")
    assert refusal(seen, public_url=public_url) is None


def test_codes_are_distinct_and_details_keep_values_to_themselves() -> None:
    assert len({reason.code for reason in RefusalReason}) == len(RefusalReason)
    requests = [
        PUBLISHED,
        UNSIGNED,
        signed(secret=OTHER_SECRET),
        signed(nonce="short"),
        signed(keyid="somebody-else"),
        with_headers(PUBLISHED, audiohook_session_id="\x00"),
    ]
    for request, keys in itertools.product(requests, (KEYS, KeyRing([]))):
        result = Verifier().verify(request, keys, None, NOW)
        for value in (*UNSIGNED.headers.values(), NONCE, "somebody-else"):
            assert value not in repr(result).replace(f"nonce='{NONCE}'", "")
