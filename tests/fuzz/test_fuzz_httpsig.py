"""Whatever the headers of an upgrade request hold, the verifier answers; it never raises and never lets it in."""

import os
import random
import string

from offhook.httpsig import Key, KeyRing, NonceMemory, RefusalReason, Refused, SignedRequest, Verifier
from tests.unit.httpsig.vectors import KEYS, NOW, PUBLISHED

ITERATIONS = int(os.environ.get("OFFHOOK_FUZZ_ITERATIONS", "3000"))

_PIECES = [
    *PUBLISHED.headers.values(),
    "sig1=", "sig1", "(", ")", ";", ",", '"', ":", "=", "?1", "@1", "@99999999999999", '%"a%c3"', "-", "1.5", "token",
    "created", ";created=1641013200", ";expires=1", ';nonce="', ';keyid="', ";tag", '"@method"', '"@query";name="x"',
    "\\", "\x00", "\n", "\t", "\u00e9", "\udcff", "\U0001f4de", "9" * 20, "(" * 50, "A" * 5000,
]  # fmt: skip


def _garbage(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return "".join(rng.choice(string.printable) for _ in range(rng.randrange(60)))
    return "".join(rng.choice(_PIECES) for _ in range(rng.randrange(6)))


def _mutated(rng: random.Random, text: str) -> str:
    for _ in range(rng.randrange(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 1, 3, 20]))
        text = text[:start] + rng.choice([_garbage(rng), rng.choice(string.printable), ""]) + text[end:]
    return text


def _request(rng: random.Random) -> SignedRequest:
    """Return the published request with at least one thing spoilt."""
    headers: dict[str, str] = dict(PUBLISHED.headers)
    target, authority = PUBLISHED.request_target, PUBLISHED.authority
    for _ in range(rng.randrange(1, 4)):
        choice = rng.random()
        name = rng.choice([*headers, "signature-input", "signature"])
        if choice < 0.1:
            headers.pop(name, None)
        elif choice < 0.2:
            target = _mutated(rng, target)
        elif choice < 0.3:
            authority = _mutated(rng, authority)
        elif choice < 0.5:
            headers[name] = _garbage(rng)
        else:
            headers[name] = _mutated(rng, headers.get(name, ""))
    return SignedRequest(target, authority, headers)


def _meaning(request: SignedRequest) -> tuple[str, ...]:
    """Return what the signature stands for; two requests with the same meaning may both pass."""
    covered = sorted(set(PUBLISHED.headers) - {"host", "user-agent", "signature", "signature-input"})
    values = [request.headers.get(name, "").strip(" \t") for name in covered]
    authority = request.authority.strip().lower().removesuffix(":443")
    return (request.request_target, authority, *values)


def run(iterations: int, seed: int) -> int:
    """Verify that many spoilt requests; return how many were refused."""
    rng = random.Random(seed)
    refused = 0
    for _ in range(iterations):
        request = _request(rng)
        keys = KEYS if rng.random() < 0.8 else KeyRing([Key("another", (b"secret",))])
        result = Verifier().verify(request, keys, NonceMemory(), NOW + rng.uniform(-20, 20))
        if isinstance(result, Refused):
            refused += 1
            assert isinstance(result.reason, RefusalReason)
            assert result.detail
            assert result.detail.isprintable()
        else:
            assert _meaning(request) == _meaning(PUBLISHED), request
    return refused


def test_only_refusals_come_out() -> None:
    assert run(ITERATIONS, seed=1) > ITERATIONS // 2
