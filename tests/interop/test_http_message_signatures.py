"""Our signatures against those of http-message-signatures: each side verifies what the other signed."""

import datetime
import time
from dataclasses import dataclass
from typing import Any

import pytest
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
)
from http_message_signatures.algorithms import HMAC_SHA256
from hypothesis import given
from hypothesis import strategies as st

from offhook.httpsig import DOCUMENTED_ORDER, Key, KeyRing, Refused, SignedRequest, Verified, Verifier
from offhook.httpsig.sign import sign_parameters


@dataclass
class Message:
    """A request as http-message-signatures wants it."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Case:
    """One generated request and the ways to sign it."""

    target: str
    authority: str
    headers: dict[str, str]
    components: tuple[str, ...]
    secret: bytes
    nonce: str

    @property
    def key_id(self) -> str:
        return self.headers["x-api-key"]

    def message(self, **headers: str) -> Message:
        url = f"https://{self.authority}{self.target}"
        return Message("GET", url, {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def request(self, headers: dict[str, str]) -> SignedRequest:
        lowered = {name.lower(): value for name, value in headers.items()}
        return SignedRequest(self.target, self.authority, lowered)


_PATH = st.text("abcXYZ019-._~!$&'()*+,;=:@/", max_size=30)
_ESCAPE = st.sampled_from(["", "%20", "%2F", "%c3%a9"])
_QUERY = st.one_of(st.just(""), st.text("abcXYZ019-._~!$&'()*+,;=:@/?", max_size=20).map(lambda text: "?" + text))
_HOST = st.one_of(
    st.from_regex(r"[A-Za-z0-9]{1,10}(\.[A-Za-z]{2,5}){0,2}", fullmatch=True), st.sampled_from(["[::1]", "127.0.0.1"])
)
_PORT = st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}"))
_VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
_API_KEY = st.from_regex(r"[a-zA-Z0-9+/_-]{8,40}={0,2}", fullmatch=True)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    extra = draw(st.dictionaries(st.from_regex(r"x-[a-z0-9]{1,8}", fullmatch=True), _VALUE, max_size=3))
    headers = {
        **extra,
        "audiohook-organization-id": str(draw(st.uuids())),
        "audiohook-session-id": str(draw(st.uuids())),
        "audiohook-correlation-id": draw(_VALUE),
        "x-api-key": draw(_API_KEY),
    }
    covered = draw(st.lists(st.sampled_from(sorted(extra)), unique=True)) if extra else []
    return Case(
        target="/" + draw(_PATH) + draw(_ESCAPE) + draw(_QUERY),
        authority=draw(_HOST) + draw(_PORT),
        headers=headers,
        components=tuple(draw(st.permutations([*DOCUMENTED_ORDER, *covered]))),
        secret=draw(st.binary(min_size=1, max_size=64)),
        nonce=draw(st.from_regex(r"[A-Za-z0-9+/]{22,40}", fullmatch=True)),
    )


def their_keys(case: Case) -> Any:
    keys = {case.key_id: case.secret}
    return MappingKeyResolver(public_keys=keys, private_keys=keys)


@given(cases(), st.permutations(["keyid", "nonce", "alg", "created", "expires"]))
def test_they_verify_what_we_sign(case: Case, order: list[str]) -> None:
    now = int(time.time())
    values: dict[str, str | int] = {
        "keyid": case.key_id,
        "nonce": case.nonce,
        "alg": "hmac-sha256",
        "created": now,
        "expires": now + 60,
    }
    headers = sign_parameters(
        case.request(case.headers),
        secret=case.secret,
        components=case.components,
        parameters={name: values[name] for name in order},
    )
    message = case.message(**{name.replace("-", "_"): value for name, value in headers.items()})
    verifier = HTTPMessageVerifier(signature_algorithm=HMAC_SHA256, key_resolver=their_keys(case))
    (result,) = verifier.verify(message, require_components=case.components)
    assert result.nonce == case.nonce
    message.headers["audiohook-session-id"] = "another"
    with pytest.raises(InvalidSignature):
        verifier.verify(message)


@given(cases(), st.booleans(), st.sampled_from(["sig1", "pyhms"]))
def test_we_verify_what_they_sign(case: Case, include_alg: bool, label: str) -> None:
    now = datetime.datetime.fromtimestamp(1_700_000_000, tz=datetime.UTC)
    message = case.message()
    HTTPMessageSigner(signature_algorithm=HMAC_SHA256, key_resolver=their_keys(case)).sign(
        message,
        key_id=case.key_id,
        created=now,
        expires=now + datetime.timedelta(seconds=10),
        nonce=case.nonce,
        label=label,
        include_alg=include_alg,
        covered_component_ids=case.components,
    )
    keys = KeyRing([Key(case.key_id, (case.secret,))])
    result = Verifier().verify(case.request(message.headers), keys, None, now.timestamp())
    assert result == Verified(case.key_id, nonce=case.nonce)
    message.headers["audiohook-session-id"] = "another"
    assert isinstance(Verifier().verify(case.request(message.headers), keys, None, now.timestamp()), Refused)
