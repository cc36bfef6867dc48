"""The upgrade request: address, headers, signature."""

import base64

import pytest

from offhook.httpsig import GENESYS_ORDER, Key, KeyRing, NonceMemory, SignedRequest, Verified, Verifier
from offhook.simulator import CallIdentity
from offhook.simulator.upgrade import Order, UnusableTarget, target, upgrade_headers

IDENTITY = CallIdentity.from_seed(7)
NONCE = "n" * 24
NOW = 1_800_000_000
SECRET = base64.b64encode(b"a secret of the customer").decode()


@pytest.mark.parametrize(
    ("base", "connector_id", "request_target", "authority"),
    [
        ("wss://voice.example.com", None, "/", "voice.example.com"),
        ("wss://voice.example.com", "1234", "/1234", "voice.example.com"),
        ("wss://Voice.Example.com:443/audiohook", "support", "/audiohook/support", "voice.example.com"),
        ("wss://voice.example.com/audiohook/", "support", "/audiohook/support", "voice.example.com"),
        ("wss://voice.example.com/audiohook/", "/support", "/audiohook/support", "voice.example.com"),
        ("wss://voice.example.com/audiohook/", None, "/audiohook/", "voice.example.com"),
        ("wss://voice.example.com/a", "b/connect?version=2&x=%2F", "/a/b/connect?version=2&x=%2F", "voice.example.com"),
        ("wss://voice.example.com/a?k=1", None, "/a?k=1", "voice.example.com"),
        ("wss://voice.example.com/a?k=1", "b", "/a/b?k=1", "voice.example.com"),
        ("wss://voice.example.com/a?k=1", "b?v=2", "/a/b?v=2&k=1", "voice.example.com"),
        ("wss://voice.example.com/a", "b c", "/a/b%20c", "voice.example.com"),
        ("wss://voice.example.com/a", "ä", "/a/%C3%A4", "voice.example.com"),
        ("ws://127.0.0.1:8080/audiohook", None, "/audiohook", "127.0.0.1:8080"),
        ("ws://127.0.0.1:80/", None, "/", "127.0.0.1"),
        ("ws://[::1]:8080/a", None, "/a", "[::1]:8080"),
    ],
)
def test_addresses(base: str, connector_id: str | None, request_target: str, authority: str) -> None:
    to = target(base, connector_id=connector_id)
    assert (to.request_target, to.authority) == (request_target, authority)


@pytest.mark.parametrize(
    ("base", "complaint"),
    [
        ("https://voice.example.com", "begins with wss:// or ws://"),
        ("voice.example.com", "begins with wss:// or ws://"),
        ("wss://", "begins with wss:// or ws://"),
        ("wss://host:99999", "is no address"),
        ("wss://user:word@host/", "no user and no fragment"),
        ("wss://host/#x", "no user and no fragment"),
        ("wss://host/a\r\nX: y", "control characters"),
    ],
)
def test_addresses_that_are_none(base: str, complaint: str) -> None:
    with pytest.raises(UnusableTarget, match=complaint):
        target(base)


@pytest.mark.parametrize(
    ("key", "secret", "complaint"),
    [
        ("with space", None, "printable ASCII"),
        ("", SECRET, "needs an API key"),
        ("key", "***", "not base64"),
        ("key", "", "is empty"),
    ],
)
def test_credentials_that_are_none(key: str, secret: str | None, complaint: str) -> None:
    with pytest.raises(UnusableTarget, match=complaint):
        target("wss://host", key=key, secret=secret)


def test_credentials_are_not_shown() -> None:
    to = target("wss://host", key="visible-key", secret=SECRET)
    assert "visible-key" not in repr(to)
    assert "customer" not in repr(to)


def test_unsigned_headers() -> None:
    headers = upgrade_headers(target("wss://host/a", key="key"), IDENTITY, nonce=NONCE, unix_time=NOW)
    assert headers == {
        "Host": "host",
        "Audiohook-Organization-Id": IDENTITY.organization_id,
        "Audiohook-Session-Id": IDENTITY.session_id,
        "Audiohook-Correlation-Id": IDENTITY.correlation_id,
        "Audiohook-Retry-Attempt": "0",
        "User-Agent": "GenesysCloud-AudioHook-Client",
        "X-API-KEY": "key",
    }
    assert "X-API-KEY" not in upgrade_headers(target("wss://host/a"), IDENTITY, nonce=NONCE, unix_time=NOW)


def test_a_further_attempt() -> None:
    to = target("wss://example.com")
    headers = upgrade_headers(to, CallIdentity.from_seed(1), nonce="", unix_time=0, attempt=2)
    assert headers["Audiohook-Retry-Attempt"] == "2"


@pytest.mark.parametrize("order", ["documented", "genesys"])
def test_signed_headers_verify(order: Order) -> None:
    to = target("wss://host:8443/audiohook", connector_id="support?v=2", key="key", secret=SECRET, order=order)
    headers = upgrade_headers(to, IDENTITY, nonce=NONCE, unix_time=NOW)
    starts = '("@request-target" "audiohook-session-id"' if order == "genesys" else '("@request-target" "@authority"'
    assert headers["Signature-Input"].startswith(f"sig1={starts}")
    assert len(GENESYS_ORDER) == 6
    request = SignedRequest(
        request_target="/audiohook/support?v=2",
        authority="host:8443",
        headers={name.lower(): value for name, value in headers.items()},
    )
    verdict = Verifier().verify(
        request,
        keys=KeyRing([Key("key", (b"a secret of the customer",))]),
        nonces=NonceMemory(ttl=13, capacity=10),
        now=NOW + 1,
    )
    assert isinstance(verdict, Verified)
