"""Who may call: keys, signatures, organizations."""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.acceptance.genesys import GenesysCall
from tests.acceptance.identity import DOCUMENTED_ORDER, OBSERVED_ORDER, Identity, sign
from tests.acceptance.realtime import RealtimeFake
from tests.acceptance.world import SECRET, SUPPORT, World

SIGNED = [{"id": "key", "secret": SECRET}]
OTHER_SECRET = base64.b64encode(b"some other secret, of the same length").decode()
NOT_BEFORE = 0.49

Headers = dict[str, str]


async def _refused(url: str, headers: Mapping[str, str]) -> tuple[int, bytes, float]:
    """Return status, body and duration of a refused upgrade."""
    began = time.monotonic()
    with pytest.raises(InvalidStatus) as caught:
        async with GenesysCall(url, headers=headers):
            pass
    response = caught.value.response
    return response.status_code, bytes(response.body or b""), time.monotonic() - began


async def _accepted(url: str, identity: Identity, headers: Mapping[str, str], **connect: Any) -> None:
    async with GenesysCall(url, identity=identity, headers=headers, **connect) as call:
        await call.open()
        await call.close()


@pytest.mark.parametrize("order", [OBSERVED_ORDER, DOCUMENTED_ORDER, tuple(reversed(OBSERVED_ORDER))])
@pytest.mark.parametrize(
    "parameters",
    [("keyid", "nonce", "alg", "created", "expires"), ("created", "keyid", "expires", "alg", "nonce")],
)
async def test_a_signed_request_is_accepted_in_any_order(
    ai: RealtimeFake, world: World, order: tuple[str, ...], parameters: tuple[str, ...]
) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        for url in (f"{gateway.url}/support?version=1&x=a%2Fb", gateway.url):
            identity = Identity()
            headers = sign(url, identity.headers(), SECRET, order=order, parameters=parameters)
            await _accepted(url, identity, headers)


@pytest.mark.parametrize("case", [str.lower, str.upper, str.title])
async def test_header_names_may_have_any_case(ai: RealtimeFake, world: World, case: Callable[[str], str]) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        identity = Identity()
        headers = sign(gateway.url, identity.headers(), SECRET)
        await _accepted(gateway.url, identity, {case(name): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "settings",
    [
        {"created": time.time, "order": (*OBSERVED_ORDER, "audiohook-retry-attempt")},
        {"algorithm": "ecdsa-p256-sha256"},
        {"created": lambda: time.time() + 2},
        {"created": lambda: time.time() - 9},
        {"created": lambda: time.time() - 11.5},
        {"nonce": "n" * 22},
    ],
)
async def test_what_the_documentation_leaves_open_is_accepted(
    ai: RealtimeFake, world: World, settings: dict[str, Any]
) -> None:
    made = {name: value() if callable(value) else value for name, value in settings.items()}
    if "created" in made:
        made["expires"] = time.time() + 10
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        identity = Identity()
        headers = {**identity.headers(), "Audiohook-Retry-Attempt": "0"}
        await _accepted(gateway.url, identity, sign(gateway.url, headers, SECRET, **made))


def _changed(name: str, value: str) -> Callable[[str, Headers], Headers]:
    return lambda url, headers: {**sign(url, headers, SECRET), name: value}


def _signed(**settings: Any) -> Callable[[str, Headers], Headers]:
    return lambda url, headers: sign(
        url, headers, SECRET, **{name: value() if callable(value) else value for name, value in settings.items()}
    )


def _without(name: str) -> Callable[[str, Headers], Headers]:
    return _signed(order=tuple(component for component in OBSERVED_ORDER if component != name))


def _without_header(name: str) -> Callable[[str, Headers], Headers]:
    return lambda url, headers: {key: value for key, value in sign(url, headers, SECRET).items() if key != name}


REFUSED: dict[str, Callable[[str, Headers], Headers]] = {
    "unsigned": lambda url, headers: headers,
    "wrong secret": lambda url, headers: sign(url, headers, OTHER_SECRET),
    "secret as text": lambda url, headers: sign(url, headers, base64.b64encode(SECRET.encode()).decode()),
    "empty secret": lambda url, headers: sign(url, headers, ""),
    "unknown key": lambda url, headers: sign(url, {**headers, "X-API-KEY": "stranger"}, SECRET),
    "unknown key, empty secret": lambda url, headers: sign(url, {**headers, "X-API-KEY": "stranger"}, ""),
    "unknown key, unsigned": lambda url, headers: {**headers, "X-API-KEY": "stranger"},
    "no key": lambda url, headers: {name: value for name, value in headers.items() if name != "X-API-KEY"},
    "empty key": lambda url, headers: {**headers, "X-API-KEY": ""},
    "keyid of another key": _signed(key_id="stranger"),
    "stale": _signed(created=lambda: time.time() - 20, expires=lambda: time.time() + 60),
    "expired": _signed(created=lambda: time.time() - 5, expires=lambda: time.time() - 4),
    "from the future": _signed(created=lambda: time.time() + 8, expires=lambda: time.time() + 60),
    "short nonce": _signed(nonce="n" * 21),
    "no nonce": _signed(parameters=("keyid", "alg", "created", "expires")),
    "no created": _signed(parameters=("keyid", "nonce", "alg", "expires")),
    "no keyid": _signed(parameters=("nonce", "alg", "created", "expires")),
    **{f"without {name}": _without(name) for name in OBSERVED_ORDER},
    "other organization than signed": _changed("Audiohook-Organization-Id", Identity().organization),
    "other session than signed": _changed("Audiohook-Session-Id", Identity().session),
    "other correlation than signed": _changed("Audiohook-Correlation-Id", Identity().correlation),
    "signature of the wrong length": _changed("Signature", "sig1=:YWJj:"),
    "signature that is no base64": _changed("Signature", "sig1=:***:"),
    "signature that is nothing": _changed("Signature", ""),
    "signature input that is nothing": _changed("Signature-Input", ""),
    "signature input that is garbage": _changed("Signature-Input", 'sig1=(("((;;"'),
    "signature input without signature": _without_header("Signature"),
    "signature without signature input": _without_header("Signature-Input"),
    "another label": _changed("Signature", "sig2=:YWJj:"),
    "created that is no number": _changed("Signature-Input", 'sig1=("x-api-key");created="yesterday"'),
    "created beyond any clock": _signed(created=10**14, expires=10**14 + 10),
    "other target": lambda url, headers: sign(url + "/other", headers, SECRET),
    "other authority": lambda url, headers: sign(url, headers, SECRET, authority="voice.example.com"),
}


async def test_every_other_request_is_refused_late_and_without_details(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        url = f"{gateway.url}/support"
        results = await asyncio.gather(*(_refused(url, make(url, Identity().headers())) for make in REFUSED.values()))
        answers = dict(zip(REFUSED, results, strict=True))
        assert {name: status for name, (status, _, _) in answers.items() if status != 401} == {}
        assert {name: seconds for name, (_, _, seconds) in answers.items() if seconds < NOT_BEFORE} == {}
        assert len({body for _, body, _ in answers.values()}) == 1
        (body,) = {body for _, body, _ in answers.values()}
        assert not any(word in body.lower() for word in (b"sign", b"nonce", b"key", b"secret", b"expire", b"oh-"))
        identity = Identity()
        await _accepted(url, identity, sign(url, identity.headers(), SECRET))
    assert len(ai.legs) <= 1


async def test_a_request_cannot_be_sent_twice(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        identity = Identity()
        headers = sign(gateway.url, identity.headers(), SECRET)
        await _accepted(gateway.url, identity, headers)
        status, _, seconds = await _refused(gateway.url, headers)
        assert status == 401
        assert seconds >= NOT_BEFORE


async def test_of_two_equal_requests_at_a_time_one_is_accepted(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        identity = Identity()
        headers = sign(gateway.url, identity.headers(), SECRET)
        attempts = [_accepted(gateway.url, identity, headers) for _ in range(4)]
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert results.count(None) == 1
        refusals = [result for result in results if isinstance(result, InvalidStatus)]
        assert [refusal.response.status_code for refusal in refusals] == [401, 401, 401]


async def test_a_forged_request_does_not_use_up_a_nonce(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        identity = Identity()
        nonce = "0123456789abcdef012345"
        forged = sign(gateway.url, identity.headers(), OTHER_SECRET, nonce=nonce)
        assert (await _refused(gateway.url, forged))[0] == 401
        await _accepted(gateway.url, identity, sign(gateway.url, identity.headers(), SECRET, nonce=nonce))


async def test_a_key_without_a_secret_accepts_unsigned_requests(ai: RealtimeFake, world: World) -> None:
    keys = [{"id": "open"}, *SIGNED]
    async with world.gateway(ai.url, keys=keys) as gateway:
        identity = Identity()
        await _accepted(gateway.url, identity, identity.headers("open"))
        assert (await _refused(gateway.url, Identity().headers("key")))[0] == 401


async def test_another_organization_in_open_is_unauthorized(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        identity = Identity()
        headers = sign(gateway.url, identity.headers(), SECRET)
        async with GenesysCall(gateway.url, identity=identity, headers=headers) as call:
            call.send_open(organizationId=Identity().organization)
            disconnect = await call.settle(within=2)
            assert disconnect.parameters["reason"] == "unauthorized"
            assert not call.texts("opened")
    assert not ai.upgrades


async def test_a_key_may_be_for_some_organizations(ai: RealtimeFake, world: World) -> None:
    mine, other = Identity(), Identity()
    async with world.gateway(ai.url, keys=[{**SIGNED[0], "organizations": [mine.organization.upper()]}]) as gateway:
        await _accepted(gateway.url, mine, sign(gateway.url, mine.headers(), SECRET))
        refusal = await _refused(gateway.url, sign(gateway.url, other.headers(), SECRET))
        assert refusal[0] == 401
        assert refusal[2] >= NOT_BEFORE


async def test_a_key_may_be_for_some_agents(ai: RealtimeFake, world: World) -> None:
    agents = {"support": SUPPORT, "sales": SUPPORT}
    keys = [{"id": "key", "agents": ["sales"]}]
    async with world.gateway(ai.url, keys=keys, agents=agents) as gateway:
        for path in ("/support", ""):
            async with GenesysCall(f"{gateway.url}{path}") as call:
                call.send_open()
                disconnect = await call.settle(within=2)
                assert disconnect.parameters["reason"] in ("error", "unauthorized")
                assert "OH-CALL-03" in disconnect.parameters["info"]
        async with GenesysCall(f"{gateway.url}/sales") as call:
            await call.open()
            await call.close()


async def test_one_of_two_secrets_is_enough(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, keys=[{"id": "key", "secret": [OTHER_SECRET, SECRET]}]) as gateway:
        for secret in (SECRET, OTHER_SECRET):
            identity = Identity()
            await _accepted(gateway.url, identity, sign(gateway.url, identity.headers(), secret))


@pytest.mark.parametrize(
    ("public", "authority", "prefix"),
    [
        ("wss://voice.example.com/edge/audiohook", "voice.example.com", "/edge/audiohook"),
        ("wss://voice.example.com", "voice.example.com", ""),
        ("wss://Voice.Example.com:443/audiohook/", "voice.example.com", "/audiohook"),
    ],
)
async def test_public_url_is_what_was_signed(
    ai: RealtimeFake, world: World, public: str, authority: str, prefix: str
) -> None:
    async with world.gateway(ai.url, keys=SIGNED, public_url=public) as gateway:
        for path in ("/support?x=%41", "/support"):
            identity = Identity()
            url = f"{gateway.url}{path}"
            headers = sign(url, identity.headers(), SECRET, authority=authority, target=f"{prefix}{path}")
            await _accepted(url, identity, headers)
        here = sign(f"{gateway.url}/support", Identity().headers(), SECRET)
        assert (await _refused(f"{gateway.url}/support", here))[0] == 401


async def test_a_host_header_of_a_proxy_that_keeps_it_is_what_was_signed(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, keys=SIGNED) as gateway:
        identity = Identity()
        url = "ws://voice.example.com/audiohook/support"
        headers = sign(url, identity.headers(), SECRET)
        await _accepted(url, identity, headers, host="127.0.0.1", port=gateway.port)
