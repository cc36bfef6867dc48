"""The table of attempts to get a session without being entitled to it, and what each of them gets.

An answer is written ``401 OH-AUTH-05`` (status of the refused upgrade, and the code in the log), ``400`` (refused by
the HTTP layer: nothing is logged), ``closed`` (the connection ends without a word) or ``disconnect OH-CALL-03``
(upgraded, then ended in the protocol, with the code that the peer is told). Where two are as good, both are named.
"""

import base64
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from offhook.httpsig.verify import _DUMMY_SECRETS
from tests.acceptance.genesys import NIL
from tests.acceptance.identity import OBSERVED_ORDER, Identity
from tests.security.forging import (
    HANDSHAKE,
    Request,
    fresh_nonce,
    inner_list,
    parameters,
    seal,
    sign,
    signature_of,
    unsigned,
)
from tests.security.port import message, open_message

SECRET = b"the secret of the first integration"
OTHER_SECRET = b"the secret of another integration, "
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"

SUPPORT, BILLING, OPEN = "key-of-the-support-desk", "key-of-the-billing-desk", "key-that-has-no-secret"
ONE_ORG, OPEN_ONE_ORG = "key-of-one-organization", "key-of-one-organization-unsigned"
STRANGER = "key-that-nobody-ever-gave-out"

KEYS: list[dict[str, Any]] = [
    {"id": SUPPORT, "secret": base64.b64encode(SECRET).decode(), "agents": ["support"]},
    {"id": BILLING, "secret": base64.b64encode(OTHER_SECRET).decode(), "agents": ["billing"]},
    {"id": OPEN, "agents": ["support"]},
    {"id": ONE_ORG, "secret": base64.b64encode(SECRET).decode(), "organizations": [ORGANIZATION]},
    {"id": OPEN_ONE_ORG, "organizations": [ORGANIZATION]},
]
PUBLIC_URL = "wss://voice.example.com/audiohook"
TARGET = "/audiohook/support?version=1&x=a%2Fb"


@dataclass(frozen=True)
class Scene:
    """What attempts are made of."""

    authority: str
    """What Genesys dials."""
    used: Request
    """A good request that has opened a call."""

    def plain(self, key: str = SUPPORT, target: str = TARGET) -> Request:
        """Return an unsigned request."""
        return unsigned(target, self.authority, key)

    def good(self, key: str = SUPPORT, target: str = TARGET, secret: bytes = SECRET) -> Request:
        """Return a request that would be let in."""
        return sign(self.plain(key, target), secret)


Make = Callable[[Scene], Request | bytes]
Messages = Callable[[Identity], list[str | bytes]]


@dataclass(frozen=True)
class Attempt:
    """One of them."""

    make: Make
    answer: str
    messages: Messages | None = None
    """What is sent after an upgrade; by default an `open` that is right."""
    proxied: bool = False
    """Goes to the gateway that has a `public_url`."""


# ---- what is sent after the upgrade


def _open(**over: Any) -> Messages:
    return lambda identity: [open_message(identity, **over)]


# ---- makers


def _other(key: str, value: str) -> Make:
    return lambda scene: scene.good().having(key, value)


def _given(**how: Any) -> Make:
    """Sign with other parameters."""
    return lambda scene: sign(scene.plain(), SECRET, given=parameters(SUPPORT, **how))


def _also_given(more: str, **how: Any) -> Make:
    return lambda scene: sign(scene.plain(), SECRET, given=parameters(SUPPORT, **how) + more)


def _covering(*components: str, text: str | None = None) -> Make:
    def make(scene: Scene) -> Request:
        return seal(scene.plain(), (text or inner_list(components)) + parameters(SUPPORT), SECRET)

    return make


def _signature(change: Callable[[str], str]) -> Make:
    """Sign well, then spoil the signature (what is between the colons)."""

    def make(scene: Scene) -> Request:
        request = scene.good()
        mac = request.value("signature").removeprefix("sig1=:").removesuffix(":")
        return request.having("Signature", f"sig1=:{change(mac)}:")

    return make


def _raw_signature(text: str) -> Make:
    return lambda scene: scene.good().having("Signature", text)


def _moved(target: str, to: str, key: str = SUPPORT) -> Make:
    """Sign for one target, send to another."""
    return lambda scene: replace(scene.good(key, target), target=to)


def _line(method: str = "GET", version: str = "HTTP/1.1") -> Make:
    return lambda scene: replace(scene.good(), method=method, version=version)


def _bytes(change: Callable[[bytes], bytes]) -> Make:
    return lambda scene: change(scene.good().raw())


def _digest(alg: str, digest: str) -> Make:
    """Compute the signature by another hash, as `alg` says."""
    return lambda scene: seal(
        scene.plain(), inner_list(OBSERVED_ORDER) + parameters(SUPPORT, alg=alg), SECRET, digest=digest
    )


def _alg_with(alg: str, mac: bytes) -> Make:
    def make(scene: Scene) -> Request:
        request = sign(scene.plain(), SECRET, given=parameters(SUPPORT, alg=alg))
        return request.having("Signature", f"sig1=:{base64.b64encode(mac).decode()}:")

    return make


def _two_labels(first: str, second: str, *, good: str) -> Make:
    """Two signatures, of which only `good` is right."""

    def make(scene: Scene) -> Request:
        request = scene.plain()
        inner = inner_list(OBSERVED_ORDER) + parameters(SUPPORT)
        macs = {
            label: signature_of(request, inner, SECRET if label == good else OTHER_SECRET) for label in (first, second)
        }
        inputs = ", ".join(f"{label}={inner}" for label in macs)
        signatures = ", ".join(f"{label}=:{base64.b64encode(mac).decode()}:" for label, mac in macs.items())
        return request.having("Signature-Input", inputs).having("Signature", signatures)

    return make


def _used_nonce(key: str = SUPPORT) -> Make:
    """Sign another request with the nonce of the one that was used."""

    def make(scene: Scene) -> Request:
        nonce = scene.used.value("signature-input").partition('nonce="')[2].partition('"')[0]
        return sign(scene.plain(key), SECRET, given=parameters(key, nonce=nonce))

    return make


def _used(change: Callable[[Request], Request] = lambda request: request) -> Make:
    return lambda scene: change(scene.used)


def _unsigned(key: str = SUPPORT, target: str = TARGET) -> Make:
    return lambda scene: scene.plain(key, target)


def _key(value: str) -> Make:
    return lambda scene: sign(scene.plain(value), SECRET, given=parameters(SUPPORT))


def _twice(name: str, first: str, second: str) -> Make:
    """Put a header in twice; what is signed is both, joined as HTTP joins them."""
    return lambda scene: sign(scene.plain().without(name).also(name, first).also(name, second), SECRET)


def _forged_host(scene: Scene) -> Request:
    """Take a request that is good at another host, and say that this is it."""
    return sign(unsigned(TARGET, "other.example.com", SUPPORT), SECRET)


def _member_twice(scene: Scene) -> Request:
    good, bad = scene.good(), sign(scene.plain(OPEN), OTHER_SECRET)
    return good.also("Signature-Input", bad.value("signature-input"))


def _long_input(scene: Scene) -> Request:
    """Add members that are no signatures, each of them of a length that passes."""
    request = scene.good()
    for label in "abc":
        request = request.also("Signature-Input", f'{label}="{"x" * 4000}"')
    return request


def _folded(scene: Scene) -> bytes:
    return scene.good().raw().replace(b"X-API-KEY: ", b"X-API-KEY:\r\n ")


def _smuggled_body(scene: Scene) -> bytes:
    """A refused request whose body is a good one."""
    inner = scene.good().raw()
    return scene.plain(STRANGER).also("Content-Length", str(len(inner))).raw() + inner


def _smuggled_chunks(scene: Scene) -> bytes:
    inner = scene.good().raw()
    head = scene.good().also("Content-Length", "4").also("Transfer-Encoding", "chunked").raw()
    return head + b"0\r\n\r\n" + inner


def _two_in_one(scene: Scene) -> bytes:
    """A refused request with a good one right behind it."""
    return scene.plain(STRANGER).raw() + scene.good().raw()


def _with_host(*hosts: str) -> Make:
    def make(scene: Scene) -> Request:
        request = scene.good().without("host")
        for host in hosts:
            request = request.also("Host", host or scene.authority)
        return request

    return make


def _proxied(make: Make, answer: str) -> Attempt:
    return Attempt(make, answer, proxied=True)


MALFORMED, WRONG = "401 OH-AUTH-04", "401 OH-AUTH-11"
CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")

KEY_ATTEMPTS: dict[str, Attempt] = {
    "unsigned": Attempt(_unsigned(), "401 OH-AUTH-03"),
    "unsigned, of a key that nobody has": Attempt(_unsigned(STRANGER), "401 OH-AUTH-02"),
    "unsigned, /test in the path": Attempt(_unsigned(target="/audiohook/support/test"), "401 OH-AUTH-03"),
    "unsigned, /test in the query": Attempt(_unsigned(target="/audiohook/support?a=/test"), "401 OH-AUTH-03"),
    "unsigned, /healthz in the query": Attempt(_unsigned(target="/audiohook/support?/healthz"), "401 OH-AUTH-03"),
    "unsigned, of a loopback proxy": Attempt(
        lambda scene: scene.plain().also("X-Forwarded-For", "127.0.0.1").also("Forwarded", "for=127.0.0.1"),
        "401 OH-AUTH-03",
    ),
    "no key": Attempt(lambda scene: scene.good().without("x-api-key"), "401 OH-AUTH-01"),
    "no key and no signature": Attempt(lambda scene: scene.plain().without("x-api-key"), "401 OH-AUTH-01"),
    "an empty key": Attempt(_other("X-API-KEY", ""), "401 OH-AUTH-01"),
    "a key of blanks": Attempt(_other("X-API-KEY", "   \t "), "401 OH-AUTH-01"),
    "the key in the query": Attempt(
        lambda scene: scene.plain(target=f"/audiohook/support?X-API-KEY={OPEN}").without("x-api-key"), "401 OH-AUTH-01"
    ),
    "the key as user of the target": Attempt(_unsigned(OPEN, f"http://{OPEN}@x/audiohook/support"), "404"),
    "the key as bearer": Attempt(
        lambda scene: scene.plain().without("x-api-key").also("Authorization", f"Bearer {OPEN}"), "401 OH-AUTH-01"
    ),
    "the key as cookie": Attempt(
        lambda scene: scene.plain().without("x-api-key").also("Cookie", f"X-API-KEY={OPEN}"), "401 OH-AUTH-01"
    ),
    "the key in a trailer's name": Attempt(
        lambda scene: scene.plain().without("x-api-key").also("X_API_KEY", OPEN), "401 OH-AUTH-01"
    ),
    "a plain WebSocket client": Attempt(
        lambda scene: Request("/audiohook/support", (("Host", scene.authority), *HANDSHAKE)), "401 OH-AUTH-01"
    ),
    "a key, and nothing else of Genesys": Attempt(
        lambda scene: Request("/audiohook/support", (("Host", scene.authority), ("X-API-KEY", SUPPORT), *HANDSHAKE)),
        "401 OH-AUTH-03",
    ),
    "a signature without the session that it covers": Attempt(
        lambda scene: scene.good().without("audiohook-session-id"), MALFORMED
    ),
    "the key in capitals": Attempt(_unsigned(OPEN.upper()), "401 OH-AUTH-02"),
    "the key cut short": Attempt(_unsigned(OPEN[:-1]), "401 OH-AUTH-02"),
    "the key and more": Attempt(_unsigned(f"{OPEN}s"), "401 OH-AUTH-02"),
    "the key in quotes": Attempt(_unsigned(f'"{OPEN}"'), "401 OH-AUTH-02"),
    "the key percent-encoded": Attempt(_unsigned(OPEN.replace("-", "%2D")), "401 OH-AUTH-02"),
    "the key twice": Attempt(_twice("X-API-KEY", OPEN, OPEN), "401 OH-AUTH-02 | 400"),
    "a key that needs no signature, then one that does": Attempt(
        _twice("X-API-KEY", OPEN, SUPPORT), "401 OH-AUTH-02 | 400"
    ),
    "a key that needs a signature, then one that does not": Attempt(
        _twice("X-API-KEY", SUPPORT, OPEN), "401 OH-AUTH-02 | 400"
    ),
    "two keys in one header": Attempt(_unsigned(f"{OPEN}, {SUPPORT}"), "401 OH-AUTH-02"),
    "a key that is not ASCII": Attempt(_unsigned("Schlüssel-ohne-Geheimnis"), "401 OH-AUTH-02"),
    "a key of other letters that look alike": Attempt(_unsigned(OPEN.replace("e", "\u0435")), "401 OH-AUTH-02"),
    "a key with NUL": Attempt(_unsigned(f"{OPEN}\0"), "400"),
    "a huge key": Attempt(_unsigned("k" * 8000), "401 OH-AUTH-02"),
    "an expression in place of the key": Attempt(_unsigned("* or 1=1 --"), "401 OH-AUTH-02"),
    "an unsigned key for another agent": Attempt(_unsigned(OPEN, "/audiohook/billing"), "disconnect OH-CALL-03"),
    "a header for an unsigned key's organization": Attempt(_unsigned(OPEN_ONE_ORG), "401 OH-AUTH-12"),
    "no header for an unsigned key's organization": Attempt(
        lambda scene: scene.plain(OPEN_ONE_ORG).without("audiohook-organization-id"), "401 OH-AUTH-12"
    ),
    "an organization that the key is not for": Attempt(lambda scene: scene.good(ONE_ORG), "401 OH-AUTH-12"),
    "two organizations, one of which is allowed": Attempt(
        lambda scene: scene.plain(OPEN_ONE_ORG).also("Audiohook-Organization-Id", ORGANIZATION), "401 OH-AUTH-12 | 400"
    ),
}

SECRET_ATTEMPTS: dict[str, Attempt] = {
    "the secret of another key": Attempt(lambda scene: sign(scene.plain(), OTHER_SECRET), WRONG),
    "an empty secret": Attempt(lambda scene: sign(scene.plain(), b""), WRONG),
    "the secret as text": Attempt(lambda scene: sign(scene.plain(), base64.b64encode(SECRET)), WRONG),
    "the secret cut short": Attempt(lambda scene: sign(scene.plain(), SECRET[:-1]), WRONG),
    "the API key as secret": Attempt(lambda scene: sign(scene.plain(), SUPPORT.encode()), WRONG),
    "an unknown key, an empty secret": Attempt(lambda scene: sign(scene.plain(STRANGER), b""), "401 OH-AUTH-02"),
    "an unknown key, the secret that is computed with then": Attempt(
        lambda scene: sign(scene.plain(STRANGER), _DUMMY_SECRETS[0]), "401 OH-AUTH-02"
    ),
    "an unknown key, a known secret": Attempt(lambda scene: sign(scene.plain(STRANGER), SECRET), "401 OH-AUTH-02"),
    "another key's keyid and secret": Attempt(
        lambda scene: sign(scene.plain(), OTHER_SECRET, given=parameters(BILLING)), "401 OH-AUTH-08"
    ),
    "the keyid of the key that has no secret": Attempt(
        lambda scene: sign(scene.plain(), b"", given=parameters(OPEN)), "401 OH-AUTH-08"
    ),
    "stolen for another key": Attempt(lambda scene: scene.good().having("X-API-KEY", BILLING), "401 OH-AUTH-08"),
    "the keyid in capitals": Attempt(
        lambda scene: sign(scene.plain(), SECRET, given=parameters(SUPPORT.upper())), "401 OH-AUTH-08"
    ),
    "the last key but spelled by the keyid only": Attempt(
        lambda scene: sign(scene.plain(STRANGER), SECRET, given=parameters(SUPPORT)), "401 OH-AUTH-08"
    ),
    "alg none, and nothing as signature": Attempt(_alg_with("none", b""), WRONG),
    "alg none, and zeros": Attempt(_alg_with("none", bytes(32)), WRONG),
    "alg rsa": Attempt(_alg_with("rsa-pss-sha512", bytes(range(256))), WRONG),
    "alg ecdsa": Attempt(_alg_with("ecdsa-p256-sha256", bytes(64)), WRONG),
    "alg md5": Attempt(_digest("hmac-md5", "md5"), WRONG),
    "alg sha1": Attempt(_digest("hmac-sha1", "sha1"), WRONG),
    "alg sha512": Attempt(_digest("hmac-sha512", "sha512"), WRONG),
    "alg empty": Attempt(_alg_with("", b""), WRONG),
    "alg a number": Attempt(_also_given(";alg=0", without=["alg"]), MALFORMED),
}

STOLEN: dict[str, Attempt] = {
    "stolen from another host": Attempt(lambda scene: _forged_host(scene).having("Host", scene.authority), WRONG),
    "stolen from another host, which it says this is": _proxied(_forged_host, WRONG),
    "stolen from another port": Attempt(
        lambda scene: sign(unsigned(TARGET, "127.0.0.1:1", SUPPORT), SECRET).having("Host", scene.authority), WRONG
    ),
    "stolen from behind the proxy": _proxied(
        lambda scene: replace(
            sign(unsigned("/elsewhere/support", "voice.example.com", SUPPORT), SECRET), target="/audiohook/support"
        ),
        WRONG,
    ),
    "stolen from another agent": Attempt(_moved("/audiohook/billing", "/audiohook/support"), WRONG),
    "stolen for another agent": Attempt(_moved("/audiohook/support", "/audiohook/billing"), WRONG),
    "a query added": Attempt(_moved("/audiohook/support", "/audiohook/support?x=1"), WRONG),
    "an empty query added": Attempt(_moved("/audiohook/support", "/audiohook/support?"), WRONG),
    "a query left out": Attempt(_moved("/audiohook/support?x=1", "/audiohook/support"), WRONG),
    "a query in another order": Attempt(_moved("/audiohook/support?x=1&y=2", "/audiohook/support?y=2&x=1"), WRONG),
    "a query with another value": Attempt(_moved("/audiohook/support?x=1", "/audiohook/support?x=2"), WRONG),
    "a target with another encoding": Attempt(_moved("/audiohook/support", "/audiohook/%73upport"), WRONG),
    "a target in capitals of its escapes": Attempt(
        _moved("/audiohook/support?x=%2f", "/audiohook/support?x=%2F"), WRONG
    ),
    "a target with another slash": Attempt(_moved("/audiohook/support", "/audiohook//support"), WRONG),
    "a target with a dot": Attempt(_moved("/audiohook/support", "/audiohook/./support"), WRONG),
    "a target with a slash at its end": Attempt(_moved("/audiohook/support", "/audiohook/support/"), WRONG),
    "a target with a fragment": Attempt(_moved("/audiohook/support", "/audiohook/support#x"), f"{WRONG} | 400"),
    "another organization": Attempt(_other("Audiohook-Organization-Id", ORGANIZATION), WRONG),
    "another session": Attempt(_other("Audiohook-Session-Id", str(uuid.uuid4())), WRONG),
    "another correlation": Attempt(_other("Audiohook-Correlation-Id", str(uuid.uuid4())), WRONG),
    "the organization in capitals": Attempt(
        lambda scene: scene.good().having("Audiohook-Organization-Id", scene.good().identity.organization.upper()),
        WRONG,
    ),
    "a second session": Attempt(
        lambda scene: scene.good().also("Audiohook-Session-Id", str(uuid.uuid4())), f"{WRONG} | 400"
    ),
    "a second organization": Attempt(
        lambda scene: scene.good().also("Audiohook-Organization-Id", ORGANIZATION), f"{WRONG} | 400"
    ),
    "replayed": Attempt(_used(), "401 OH-AUTH-10"),
    "replayed with another label": Attempt(
        _used(
            lambda request: request.having(
                "Signature-Input", request.value("signature-input").replace("sig1=", "other=")
            ).having("Signature", request.value("signature").replace("sig1=", "other="))
        ),
        "401 OH-AUTH-10",
    ),
    "replayed with other blanks": Attempt(
        _used(lambda request: request.having("Signature-Input", request.value("signature-input").replace("(", "(  "))),
        "401 OH-AUTH-10",
    ),
    "replayed in capitals of the host": Attempt(
        _used(lambda request: request.having("Host", request.value("host").upper())), "401 OH-AUTH-10"
    ),
    "replayed with another session": Attempt(
        _used(lambda request: request.having("Audiohook-Session-Id", str(uuid.uuid4()))), WRONG
    ),
    "replayed at the other gateway": _proxied(_used(), WRONG),
    "a used nonce, signed anew": Attempt(_used_nonce(), "401 OH-AUTH-10"),
}

TIME_ATTEMPTS: dict[str, Attempt] = {
    "too old": Attempt(_given(created=-15, expires=60), "401 OH-AUTH-06"),
    "expired": Attempt(_given(created=-9, expires=-5), "401 OH-AUTH-06"),
    "never fresh": Attempt(_given(created=-(10**9), expires=10**9), "401 OH-AUTH-06"),
    "before time began": Attempt(_given(created=-time.time() - 10**9), "401 OH-AUTH-06"),
    "from the future": Attempt(_given(created=8, expires=60), "401 OH-AUTH-07"),
    "beyond any clock": Attempt(_given(created=10**14), "401 OH-AUTH-07"),
    "no created": Attempt(_given(without=["created"]), MALFORMED),
    "created as text": Attempt(_also_given(';created="1641013200"', without=["created"]), MALFORMED),
    "created with a fraction": Attempt(_also_given(f";created={int(time.time())}.5", without=["created"]), MALFORMED),
    "created as a truth": Attempt(_also_given(";created", without=["created"]), MALFORMED),
    "created as a date": Attempt(_also_given(f";created=@{int(time.time())}", without=["created"]), MALFORMED),
    "created of too many digits": Attempt(_also_given(";created=" + "9" * 40, without=["created"]), MALFORMED),
    "created twice": Attempt(_also_given(f";created={int(time.time())}", created=-60), MALFORMED),
    "expires as text": Attempt(_also_given(';expires="never"', without=["expires"]), MALFORMED),
    "no nonce": Attempt(_given(without=["nonce"]), "401 OH-AUTH-09"),
    "an empty nonce": Attempt(_given(nonce=""), "401 OH-AUTH-09"),
    "a short nonce": Attempt(_given(nonce="n" * 21), "401 OH-AUTH-09"),
    "a huge nonce": Attempt(_given(nonce="n" * 257), MALFORMED),
    "a nonce as token": Attempt(_also_given(f";nonce=n{'n' * 24}", without=["nonce"]), MALFORMED),
    "a nonce that is not ASCII": Attempt(_given(nonce="ü" * 24), MALFORMED),
    "the nonce twice": Attempt(_also_given(f';nonce="{fresh_nonce()}"'), MALFORMED),
    "no keyid": Attempt(_given(without=["keyid"]), "401 OH-AUTH-08"),
    "the keyid as token": Attempt(_also_given(f";keyid={SUPPORT}", without=["keyid"]), MALFORMED),
    "a parameter that nobody knows": Attempt(_also_given(";trusted"), MALFORMED),
}

COVER_ATTEMPTS: dict[str, Attempt] = {
    **{
        f"without {name}": Attempt(_covering(*(one for one in OBSERVED_ORDER if one != name)), "401 OH-AUTH-05")
        for name in OBSERVED_ORDER
    },
    "nothing covered": Attempt(_covering(text="()"), "401 OH-AUTH-05"),
    "host in place of the authority": Attempt(_covering("host", *OBSERVED_ORDER[:-1]), "401 OH-AUTH-05"),
    "a component twice": Attempt(_covering(*OBSERVED_ORDER, "x-api-key"), MALFORMED),
    "a component in capitals": Attempt(_covering(*OBSERVED_ORDER[:-2], "X-API-KEY", "@authority"), "401 OH-AUTH-05"),
    "a header that is not there": Attempt(_covering(*OBSERVED_ORDER, "x-not-there"), MALFORMED),
    "a derived component that nobody knows": Attempt(_covering(*OBSERVED_ORDER, "@method"), MALFORMED),
    "a component with a parameter": Attempt(
        _covering(text=inner_list(OBSERVED_ORDER).replace('"x-api-key"', '"x-api-key";bs')), MALFORMED
    ),
    "components as tokens": Attempt(
        _covering(text=inner_list(OBSERVED_ORDER).replace('"x-api-key"', "x-api-key")), MALFORMED
    ),
    "too many components": Attempt(_covering(*OBSERVED_ORDER, *(f"x-{n}" for n in range(40))), MALFORMED),
    "a component with a line feed's escape": Attempt(_covering(*OBSERVED_ORDER, "x-a\\nb"), MALFORMED),
    "the parameters as component": Attempt(_covering(*OBSERVED_ORDER, "@signature-params"), MALFORMED),
    "an item in place of the list": Attempt(_covering(text='"@request-target"'), MALFORMED),
    "a list in the list": Attempt(_covering(text='(("@request-target") "@authority")'), MALFORMED),
}

FORMAT_ATTEMPTS: dict[str, Attempt] = {
    "one bit wrong": Attempt(
        _signature(
            lambda mac: base64.b64encode(bytes([base64.b64decode(mac)[0] ^ 1, *base64.b64decode(mac)[1:]])).decode()
        ),
        WRONG,
    ),
    "a signature cut short": Attempt(
        _signature(lambda mac: base64.b64encode(base64.b64decode(mac)[:-1]).decode()), WRONG
    ),
    "a signature lengthened": Attempt(
        _signature(lambda mac: base64.b64encode(base64.b64decode(mac) + b"\0").decode()), WRONG
    ),
    "a signature twice in a row": Attempt(
        _signature(lambda mac: base64.b64encode(base64.b64decode(mac) * 2).decode()), WRONG
    ),
    "a signature of one byte": Attempt(_signature(lambda _: "AA=="), WRONG),
    "a signature of no bytes": Attempt(_signature(lambda _: ""), WRONG),
    "a signature of thousands of bytes": Attempt(_signature(lambda _: "A" * 8000), WRONG),
    "a signature in hex": Attempt(_signature(lambda mac: base64.b64decode(mac).hex()), WRONG),
    "a signature that is no base64": Attempt(_signature(lambda _: "***"), MALFORMED),
    "a signature of dollar signs": Attempt(_signature(lambda mac: "$" * len(mac)), MALFORMED),
    "a signature as text": Attempt(_raw_signature('sig1="AAAA"'), MALFORMED),
    "a signature as number": Attempt(_raw_signature("sig1=1"), MALFORMED),
    "a signature as truth": Attempt(_raw_signature("sig1"), MALFORMED),
    "a signature as list": Attempt(_raw_signature("sig1=(:AAAA:)"), MALFORMED),
    "a signature without a label": Attempt(_raw_signature(":AAAA:"), MALFORMED),
    "a signature that is nothing": Attempt(_raw_signature(""), MALFORMED),
    "a signature that never ends": Attempt(_raw_signature("sig1=:AAAA"), MALFORMED),
    "a signature that is not ASCII": Attempt(_raw_signature("sig1=:ÄÄÄÄ:"), MALFORMED),
    "a signature of emoji": Attempt(_raw_signature("sig1=:📞:"), MALFORMED),
    "a signature with NUL": Attempt(_raw_signature("sig1=:AA\0A:"), "400"),
    "an input that is nothing": Attempt(_other("Signature-Input", ""), MALFORMED),
    "an input of garbage": Attempt(_other("Signature-Input", 'sig1=(("((;;"'), MALFORMED),
    "an input of brackets": Attempt(_other("Signature-Input", "sig1=" + "(" * 4000), MALFORMED),
    "an input of commas": Attempt(_other("Signature-Input", "," * 8000), MALFORMED),
    "an input of many labels": Attempt(_other("Signature-Input", ", ".join(f"a{n}=()" for n in range(900))), MALFORMED),
    "an input with NUL": Attempt(_other("Signature-Input", "sig1=\0()"), "400"),
    "an input that is not ASCII": Attempt(_other("Signature-Input", 'sig1=("ü")'), MALFORMED),
    "an input cut in the middle": Attempt(
        lambda scene: scene.good().having("Signature-Input", scene.good().value("signature-input")[:100]), MALFORMED
    ),
    "only the signature": Attempt(lambda scene: scene.good().without("signature-input"), MALFORMED),
    "only the input": Attempt(lambda scene: scene.good().without("signature"), MALFORMED),
    "labels that differ": Attempt(
        lambda scene: scene.good().having("Signature", scene.good().value("signature").replace("sig1", "sig2")),
        MALFORMED,
    ),
    "two labels, neither of them sig1": Attempt(_two_labels("a", "b", good="a"), MALFORMED),
    "two labels, sig1 wrong": Attempt(_two_labels("sig1", "sig2", good="sig2"), WRONG),
    "two labels, the first one right": Attempt(_two_labels("sig0", "sig1", good="sig0"), WRONG),
    "one label twice in the input": Attempt(_member_twice, f"{MALFORMED} | 400"),
    "one label twice in the signature": Attempt(
        lambda scene: scene.good().also("Signature", "sig1=:AAAA:"), f"{MALFORMED} | 400"
    ),
    "an input over many lines": Attempt(_long_input, f"{MALFORMED} | 400 | 431"),
}

HTTP_ATTEMPTS: dict[str, Attempt] = {
    "two hosts": Attempt(_with_host("", "evil.example.com"), f"{WRONG} | 400"),
    "two hosts, ours last": Attempt(_with_host("evil.example.com", ""), f"{WRONG} | 400"),
    "our host twice": Attempt(_with_host("", ""), f"{WRONG} | 400"),
    "no host": Attempt(_with_host(), f"{MALFORMED} | 400"),
    "an empty host": Attempt(lambda scene: scene.good().having("Host", ""), f"{MALFORMED} | 400"),
    "a host of many words": Attempt(lambda scene: scene.good().having("Host", "a b"), f"{MALFORMED} | 400"),
    "another host": Attempt(_other("Host", "evil.example.com"), WRONG),
    "a host in another header": Attempt(
        lambda scene: _forged_host(scene).having("Host", scene.authority).also("X-Forwarded-Host", "other.example.com"),
        WRONG,
    ),
    "a folded header": Attempt(_folded, "400"),
    "a blank before a colon": Attempt(_bytes(lambda raw: raw.replace(b"X-API-KEY:", b"X-API-KEY :")), "400"),
    "a header without a colon": Attempt(_bytes(lambda raw: raw.replace(b"X-API-KEY:", b"X-API-KEY")), "400"),
    "a header without a name": Attempt(_bytes(lambda raw: raw.replace(b"X-API-KEY:", b":")), "400"),
    "a carriage return in a header": Attempt(
        _bytes(lambda raw: raw.replace(b"X-API-KEY: ", b"X-API-KEY: a\rb")), "400"
    ),
    "a blank line in the head": Attempt(_bytes(lambda raw: raw.replace(b"X-API-KEY:", b"\r\nX-API-KEY:")), "426 | 400"),
    "lines that end with a line feed": Attempt(lambda scene: scene.good().raw(newline="\n"), "400 | closed"),
    "lines that end with a carriage return": Attempt(lambda scene: scene.good().raw(newline="\r"), "400 | closed"),
    "a header of 20,000 characters": Attempt(lambda scene: scene.good().also("X-Long", "v" * 20_000), "400 | 431"),
    "a signature of 20,000 characters": Attempt(_raw_signature("sig1=:" + "A" * 20_000 + ":"), "400 | 431"),
    "a thousand headers": Attempt(
        lambda scene: replace(scene.good(), fields=(*scene.good().fields, *((f"X-{n}", "v") for n in range(1000)))),
        "400 | 431",
    ),
    "a target of 20,000 characters": Attempt(
        lambda scene: scene.good(target="/audiohook/support?" + "x" * 20_000), "400 | 414 | 431"
    ),
    "a body of which a good request is made": Attempt(_smuggled_body, "401 OH-AUTH-02"),
    "two lengths of the body": Attempt(
        lambda scene: scene.good().also("Content-Length", "1").also("Content-Length", "2"), "400"
    ),
    "a length and chunks": Attempt(_smuggled_chunks, "400"),
    "a negative length": Attempt(lambda scene: scene.good().also("Content-Length", "-1"), "400"),
    "a good request behind a refused one": Attempt(_two_in_one, "401 OH-AUTH-02"),
    "the whole URL as target": Attempt(
        lambda scene: scene.good(target=f"http://{scene.authority}/audiohook/support"), "404"
    ),
    "the whole URL of wss": Attempt(
        lambda scene: scene.good(target=f"wss://{scene.authority}/audiohook/support"), "404 | 400"
    ),
    "another base path": Attempt(lambda scene: scene.good(target="/elsewhere/support"), "404"),
    "the base path in capitals": Attempt(lambda scene: scene.good(target="/AUDIOHOOK/support"), "404"),
    "the base path behind dots": Attempt(lambda scene: scene.good(target="/x/../audiohook/support"), "404"),
    "the base path encoded": Attempt(lambda scene: scene.good(target="/%61udiohook/support"), "404"),
    "two slashes before the base path": Attempt(lambda scene: scene.good(target="//audiohook/support"), "404"),
    "a target that is a host": Attempt(_moved(TARGET, "evil.example.com:443"), "400 | 404"),
    "a target of a blank": Attempt(_moved(TARGET, "/audiohook/ support"), "400"),
    "a target that is not ASCII": Attempt(_moved(TARGET, "/audiohook/süpport"), f"400 | {WRONG} | {MALFORMED}"),
    "POST": Attempt(_line("POST"), "404"),
    "HEAD": Attempt(_line("HEAD"), "426"),
    "OPTIONS": Attempt(_line("OPTIONS"), "404"),
    "CONNECT": Attempt(_line("CONNECT"), "400 | 404"),
    "TRACE": Attempt(_line("TRACE"), "404 | 400"),
    "a method in small letters": Attempt(_line("get"), "400 | 404"),
    "a method that nobody knows": Attempt(_line("BREW"), "400 | 404"),
    "HTTP/1.0": Attempt(_line(version="HTTP/1.0"), "400"),
    "HTTP/0.9": Attempt(_bytes(lambda _: b"GET /audiohook/support\r\n\r\n"), "426 | 400 | closed"),
    "HTTP/1.11": Attempt(_line(version="HTTP/1.11"), "400"),
    "HTTP/2 in the request line": Attempt(_line(version="HTTP/2.0"), "400"),
    "the preface of HTTP/2": Attempt(_bytes(lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)), "400 | closed"),
    "an upgrade to h2c": Attempt(_other("Upgrade", "h2c"), "426"),
    "an upgrade to something else as well": Attempt(_other("Upgrade", "websocket, h2c"), "426 | 400"),
    "no upgrade": Attempt(lambda scene: scene.good().without("upgrade"), "426"),
    "no connection": Attempt(lambda scene: scene.good().without("connection"), "400"),
    "connection close": Attempt(_other("Connection", "close"), "400"),
    "no key of the handshake": Attempt(lambda scene: scene.good().without("sec-websocket-key"), "400"),
    "a short key of the handshake": Attempt(_other("Sec-WebSocket-Key", "c2hvcnQ="), "400"),
    "a version of WebSocket to come": Attempt(_other("Sec-WebSocket-Version", "14"), "400"),
    "a TLS hello": Attempt(
        _bytes(lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n"), "400 | closed"
    ),
    "a head cut in the middle": Attempt(_bytes(lambda raw: raw[: len(raw) // 2]), "closed | 400"),
    "a head without its last line": Attempt(_bytes(lambda raw: raw[:-2]), "closed | 400"),
    "nothing": Attempt(_bytes(lambda _: b""), "closed"),
}

PATH_ATTEMPTS: dict[str, Attempt] = {
    name: Attempt(lambda scene, target=target: scene.good(target=target), answer)  # type: ignore[misc]  # as in a loop
    for name, target, answer in [
        ("an agent that the key is not for", "/audiohook/billing", "disconnect OH-CALL-03"),
        ("the same, after two slashes", "/audiohook//billing", "disconnect OH-CALL-03"),
        ("the same, encoded", "/audiohook/%62illing", "disconnect OH-CALL-03"),
        ("the same, and back", "/audiohook/billing/../support", "disconnect OH-CALL-03"),
        ("the same, with the other in the query", "/audiohook/billing?agent=support", "disconnect OH-CALL-03"),
        ("the bare base path, where the agent is another", "/audiohook", "disconnect OH-CALL-03"),
        ("an agent's name with an encoded slash", "/audiohook/support%2F..%2Fbilling", "disconnect OH-CALL-01"),
        ("an agent's name with a backslash", "/audiohook/support\\..\\billing", "disconnect OH-CALL-01"),
        ("an agent's name with NUL", "/audiohook/support%00", "disconnect OH-CALL-01"),
        ("an agent's name in capitals", "/audiohook/Support", "disconnect OH-CALL-01"),
        ("an agent's name encoded twice", "/audiohook/%2573upport", "disconnect OH-CALL-01"),
        ("dots", "/audiohook/../support", "disconnect OH-CALL-01"),
        ("encoded dots", "/audiohook/%2e%2e/support", "disconnect OH-CALL-01"),
        ("a file", "/audiohook/..%2f..%2fetc%2fpasswd", "disconnect OH-CALL-01"),
        ("a template", "/audiohook/%7B%7B7*7%7D%7D", "disconnect OH-CALL-01"),
    ]
}

OPENINGS: list[tuple[str, Messages, str]] = [
    ("another organization in open", _open(organizationId=ORGANIZATION), "disconnect OH-HOOK-10"),
    ("no organization in open", _open(organizationId=None), "disconnect OH-HOOK-07"),
    (
        "another organization in a probe",
        _open(organizationId=ORGANIZATION, conversationId=NIL),
        "disconnect OH-HOOK-10",
    ),
    ("another session in open", _open(head={"id": str(uuid.uuid4())}), "disconnect OH-HOOK-05"),
    ("an empty session in open", _open(head={"id": ""}), "disconnect OH-HOOK-05"),
    ("another version in open", _open(head={"version": "3"}), "disconnect OH-HOOK-02"),
    ("open out of order", _open(seq=2), "disconnect OH-HOOK-03"),
    ("open that knows our answers", _open(head={"serverseq": 5}), "disconnect OH-HOOK-04"),
    ("open without parameters", lambda who: [message(who, "open")], "disconnect OH-HOOK-07"),
    ("open as bytes", lambda who: [open_message(who).encode()], "disconnect OH-HOOK-13"),
    ("audio before open", lambda _: [bytes(1600)], "disconnect OH-HOOK-13"),
    ("ping before open", lambda who: [message(who, "ping")], "disconnect OH-HOOK-06"),
    ("dtmf before open", lambda who: [message(who, "dtmf", given={"digit": "1"})], "disconnect OH-HOOK-06"),
    ("no JSON", lambda _: ["{"], "disconnect OH-HOOK-01"),
    ("JSON without end", lambda _: ["[" * 60_000], "disconnect OH-HOOK-14"),
    ("a message of 70,000 bytes", lambda _: [" " * 70_000], "disconnect OH-HOOK-08"),
]

OPEN_ATTEMPTS: dict[str, Attempt] = {
    name: Attempt(lambda scene: scene.good(), answer, messages) for name, messages, answer in OPENINGS
}

ATTEMPTS: dict[str, Attempt] = {
    **KEY_ATTEMPTS,
    **SECRET_ATTEMPTS,
    **STOLEN,
    **TIME_ATTEMPTS,
    **COVER_ATTEMPTS,
    **FORMAT_ATTEMPTS,
    **HTTP_ATTEMPTS,
    **PATH_ATTEMPTS,
    **OPEN_ATTEMPTS,
}
