import asyncio
import time
from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from offhook.gateway.auth import NONCES_UNKNOWN, ORGANIZATION_NOT_ALLOWED, REFUSAL_DELAY, AccessKey, Admission, Gate
from offhook.gateway.nonces import NoncesUnknown
from offhook.httpsig import GENESYS_ORDER, Key, PublicUrl, SignedRequest, sign_request

NOW = 1_790_000_000.0
SECRET = b"a secret of Genesys"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
TARGET = "/audiohook/support?x=1"
NONCE = "VGhpc0lzQVVuaXF1ZU5vbmNl"


def headers(key_id: str = "the-api-key", organization: str = ORGANIZATION) -> dict[str, str]:
    return {
        "host": "voice.example.com",
        "audiohook-organization-id": organization,
        "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
        "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
        "x-api-key": key_id,
    }


def request(fields: Mapping[str, str], target: str = TARGET) -> SignedRequest:
    return SignedRequest(target, fields["host"], fields)


def signed(
    *, secret: bytes = SECRET, nonce: str = NONCE, key_id: str = "the-api-key", created: float = NOW
) -> SignedRequest:
    plain = request(headers(key_id))
    signature = sign_request(
        plain,
        key_id=key_id,
        secret=secret,
        nonce=nonce,
        created=int(created),
        expires=int(created) + 10,
        components=GENESYS_ORDER,
    )
    return request({**plain.headers, **{name.lower(): value for name, value in signature.items()}})


def gate(*keys: AccessKey, public_url: PublicUrl | None = None) -> Gate:
    return Gate(keys or [AccessKey(Key("the-api-key", (SECRET,)))], public_url=public_url, clock=lambda: NOW)


async def refusal_code(door: Gate, wanted: SignedRequest) -> str:
    with capture_logs() as logs:
        began = time.monotonic()
        assert await door.admit(wanted, "192.0.2.1") is None
        assert time.monotonic() - began >= REFUSAL_DELAY - 0.01
    (line,) = logs
    assert line["event"] == "call refused"
    text = str(line)
    for value in wanted.headers.values():
        if len(value) > 1:
            assert value not in text, "a value of the request is in the log"
    return str(line["code"])


async def test_a_signed_request_is_let_in_at_once() -> None:
    began = time.monotonic()
    assert await gate().admit(signed()) == Admission(signed=True)
    assert time.monotonic() - began < REFUSAL_DELAY / 2


async def test_a_key_without_secret_lets_unsigned_requests_in() -> None:
    door = gate(AccessKey(Key("the-api-key"), agents=frozenset({"support"}), name="europe"))
    expected = Admission(signed=False, agents=frozenset({"support"}), key="europe")
    assert await door.admit(request(headers())) == expected


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (request({**headers(), "x-api-key": ""}), "OH-AUTH-01"),
        (request(headers("nobody")), "OH-AUTH-02"),
        (signed(key_id="nobody"), "OH-AUTH-02"),
        (request(headers()), "OH-AUTH-03"),
        (request({**headers(), "signature": "x", "signature-input": "y"}), "OH-AUTH-04"),
        (signed(created=NOW - 60), "OH-AUTH-06"),
        (signed(secret=b"another"), "OH-AUTH-11"),
    ],
)
async def test_refusals_take_their_time_and_tell_only_the_log(wanted: SignedRequest, code: str) -> None:
    assert await refusal_code(gate(), wanted) == code


async def test_a_request_is_good_for_one_call() -> None:
    door = gate()
    assert await door.admit(signed()) is not None
    assert await refusal_code(door, signed()) == "OH-AUTH-10"


async def test_where_it_cannot_be_told_whether_a_nonce_is_new_nobody_is_let_in() -> None:
    class Silent:
        async def remember(self, key_id: str, nonce: str, now: float) -> bool:
            raise NoncesUnknown("nobody answers")

    door = Gate([AccessKey(Key("the-api-key", (SECRET,)))], nonces=Silent(), clock=lambda: NOW)
    assert await refusal_code(door, signed()) == NONCES_UNKNOWN
    assert await refusal_code(door, signed(secret=b"another")) == "OH-AUTH-11"  # which is found out first


async def test_organizations_of_a_key() -> None:
    door = gate(AccessKey(Key("the-api-key"), organizations=frozenset({ORGANIZATION})))
    assert await door.admit(request(headers(organization=ORGANIZATION.upper()))) is not None
    other = "00000000-0000-4000-8000-000000000000"
    assert await refusal_code(door, request(headers(organization=other))) == ORGANIZATION_NOT_ALLOWED
    without = {name: value for name, value in headers().items() if name != "audiohook-organization-id"}
    assert await refusal_code(door, request(without)) == ORGANIZATION_NOT_ALLOWED


async def test_what_a_proxy_changed_is_changed_back() -> None:
    seen = signed()
    behind = SignedRequest("/in/support?x=1", "10.0.0.1:8080", {**seen.headers, "host": "10.0.0.1:8080"})
    assert await refusal_code(gate(), behind) == "OH-AUTH-11"
    url = PublicUrl.parse("wss://voice.example.com/audiohook", "/in")
    assert await gate(public_url=url).admit(behind) is not None


async def test_refusing_one_does_not_hold_up_another() -> None:
    door = gate()
    refused = [asyncio.ensure_future(door.admit(request(headers("nobody")))) for _ in range(50)]
    began = time.monotonic()
    assert await door.admit(signed()) is not None
    assert time.monotonic() - began < REFUSAL_DELAY / 2
    assert await asyncio.gather(*refused) == [None] * 50
