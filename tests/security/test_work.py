"""What a refusal costs does not tell what was wrong: the same computations, whether a key is known or not."""

import hmac
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from offhook.gateway.auth import AccessKey, Gate
from offhook.httpsig import Key, SignedRequest, verify
from tests.security.attempts import OTHER_SECRET, SECRET, STRANGER, SUPPORT, TARGET
from tests.security.forging import Request, parameters, sign, unsigned
from tests.security.timing import chance_longer

AUTHORITY = "voice.example.com"


def _request(key: str = SUPPORT, secret: bytes | None = OTHER_SECRET, **given: Any) -> SignedRequest:
    request = unsigned(TARGET, AUTHORITY, key)
    if secret is not None:
        request = sign(request, secret, given=parameters(key, **given))
    return _as_seen(request)


def _as_seen(request: Request) -> SignedRequest:
    headers = {name.lower(): value for name, value in request.fields}
    return SignedRequest(request.target, headers["host"], headers)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what takes time."""
    done: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            done[name] += 1
            return function(*arguments)

        return call

    for name in ("sign_base", "signature_base", "parse_signature_headers"):
        monkeypatch.setattr(verify, name, counted(name, getattr(verify, name)))
    monkeypatch.setattr(hmac, "compare_digest", counted("compare_digest", hmac.compare_digest))
    return done


async def _refusal(gate: Gate, request: SignedRequest, work: Counter[str]) -> dict[str, int]:
    work.clear()
    assert await gate.admit(request) is None
    return dict(work)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setattr("offhook.gateway.auth.REFUSAL_DELAY", 0.0)
    return Gate([AccessKey(Key(SUPPORT, (SECRET,))), AccessKey(Key("another key", (OTHER_SECRET,)))])


async def test_an_unknown_key_costs_what_a_wrong_signature_costs(gate: Gate, work: Counter[str]) -> None:
    wrong = await _refusal(gate, _request(), work)
    unknown = await _refusal(gate, _request(STRANGER), work)
    assert wrong == unknown
    assert wrong == {"parse_signature_headers": 1, "signature_base": 1, "sign_base": 1, "compare_digest": 3}


@pytest.mark.parametrize(
    "given",
    [
        {"created": -60.0},
        {"created": 60.0},
        {"expires": -60.0, "created": -5.0},
        {"nonce": "short"},
        {"without": ["created"]},
        {"without": ["nonce"]},
    ],
)
async def test_what_is_refused_early_is_so_for_every_key(gate: Gate, work: Counter[str], given: dict[str, Any]) -> None:
    known = await _refusal(gate, _request(**given), work)
    unknown = await _refusal(gate, _request(STRANGER, **given), work)
    assert known == unknown
    assert "sign_base" not in known


async def test_an_unsigned_request_costs_the_same_for_every_key(gate: Gate, work: Counter[str]) -> None:
    known = await _refusal(gate, _request(secret=None), work)
    unknown = await _refusal(gate, _request(STRANGER, None), work)
    assert known == unknown == {"compare_digest": 2}


@pytest.mark.parametrize("given", [SUPPORT, SUPPORT[:-1], SUPPORT[:1], STRANGER, "k"])
async def test_every_key_is_compared_with_however_much_of_it_is_right(
    gate: Gate, work: Counter[str], given: str
) -> None:
    assert (await _refusal(gate, _request(given), work))["compare_digest"] == 3


async def test_a_replay_costs_what_a_good_request_costs(gate: Gate, work: Counter[str]) -> None:
    good = _request(secret=SECRET)
    assert await gate.admit(good) is not None
    first = dict(work)
    assert await _refusal(gate, good, work) == first


def test_the_comparison_of_times_sees_a_difference_and_none() -> None:
    times = [0.5, 0.501, 0.501, 0.502]
    assert chance_longer(times, list(reversed(times))) == 0.5
    assert chance_longer([time + 0.01 for time in times], times) == 1.0
    assert chance_longer(times, [0.5015, 0.5015]) == 0.25
