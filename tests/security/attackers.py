"""Floods against a gateway, each from a process of its own.

python -m tests.security.attackers upgrades|messages|slow PORT COUNT WIDTH [SECONDS]

Prints what came of it as one document of JSON.
"""

import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator

import msgspec

from tests.acceptance.identity import Identity
from tests.conformance.raw_ws import BINARY, CONTINUATION, PING, RSV1, TEXT, encode_frame
from tests.security.attempts import ATTEMPTS, OPEN, OTHER_SECRET, SECRET, SUPPORT, TARGET, Scene
from tests.security.forging import Request, sign, unsigned
from tests.security.port import open_message
from tests.security.swarm import Errand, Outcome, Swarm

FRESH = 5.0
"""Seconds for which requests are sent again, before others are signed."""
BATCH = 50
"""Messages that go out at a time."""


def upgrades(port: int, count: int, width: int) -> Outcome:
    """Try everything in the table of attempts that is refused before an upgrade, over and over."""
    made: list[bytes] = []
    made_at = 0.0

    def errands() -> Iterator[Errand]:
        nonlocal made, made_at
        for number in range(count):
            if time.monotonic() - made_at > FRESH:
                made, made_at = _refused_requests(port), time.monotonic()
            yield Errand(made[number % len(made)], hold=0.0)

    return Swarm(port, width=width).run(errands())


def _refused_requests(port: int) -> list[bytes]:
    authority = f"127.0.0.1:{port}"
    scene = Scene(authority, sign(unsigned(TARGET, authority, SUPPORT), OTHER_SECRET))
    requests = []
    for attempt in ATTEMPTS.values():
        # What only its time or a used nonce makes wrong would become good here.
        if not attempt.proxied and attempt.answer[0] == "4" and attempt.answer[-2:] not in ("07", "10"):
            request = attempt.make(scene)
            requests.append(request if isinstance(request, bytes) else request.raw())
    random.Random(1).shuffle(requests)
    return requests


def messages(port: int, count: int, width: int) -> Outcome:
    """Send malformed messages on connections that were upgraded with a right signature, or a key that needs none."""
    swarm = Swarm(port, width=width, patience=60.0)
    batches = _batches()

    def errands() -> Iterator[Errand]:
        for number in itertools.count():
            if swarm.outcome.messages * BATCH >= count:
                return
            request = _good_request(port, signed=number % 2 == 0)
            batch = batches[number % len(batches)]
            opening = _text(open_message(request.identity)) if number % 4 < 2 else b""
            yield Errand(request.raw(), then=opening + batch, times=min(40, 1 + count // BATCH // width))

    return swarm.run(errands())


def _good_request(port: int, *, signed: bool) -> Request:
    authority = f"127.0.0.1:{port}"
    if signed:
        return sign(unsigned("/audiohook/support", authority, SUPPORT), SECRET)
    return unsigned("/audiohook/support", authority, OPEN)


def _text(text: str) -> bytes:
    return encode_frame(TEXT, text.encode(), mask=True)


def _batches() -> list[bytes]:
    """Return messages that end a session, or are nothing, and frames that end a connection."""
    who = Identity()
    deep = json.dumps({"version": "2", "id": who.session, "type": "ping", "seq": 1, "parameters": [[[[[]]]]]})
    one: list[Callable[[], bytes]] = [
        lambda: _text("{"),
        lambda: _text(""),
        lambda: _text("[]"),
        lambda: _text("x" * 1000),
        lambda: _text('{"type": "open"}'),
        lambda: _text(deep),
        lambda: _text("[" * 5000),
        lambda: _text(open_message(who, seq=7)),
        lambda: encode_frame(BINARY, b"", mask=True),
        lambda: encode_frame(BINARY, b"\xff", mask=True),
        lambda: encode_frame(BINARY, bytes(1600), mask=True),
        lambda: encode_frame(PING, b"are you there", mask=True),
        lambda: encode_frame(TEXT, b"a", fin=False, mask=True) + encode_frame(CONTINUATION, b"b", mask=True),
        lambda: encode_frame(TEXT, b"\xff\xfe", mask=True),
        lambda: encode_frame(TEXT, b"not masked"),
        lambda: encode_frame(CONTINUATION, b"of nothing", mask=True),
        lambda: encode_frame(TEXT, b"{}", rsv=RSV1, mask=True),
        lambda: b"\x82\xff\x7f" + b"\xff" * 11,
    ]
    return [b"".join(make() for _ in range(BATCH)) for make in one]


def slow(port: int, count: int, width: int, seconds: int = 30) -> Outcome:
    """Begin handshakes and stay away: for a moment, until the gateway gives up, or for so many seconds."""
    chance = random.Random(1)
    whole = unsigned("/audiohook/support", f"127.0.0.1:{port}", OPEN).raw()
    beginnings = [
        b"",
        b"G",
        b"GET /audiohook HTTP/1.1\r\n",
        whole[:-2],
        whole[: len(whole) // 2],
        b"\x16\x03\x01\x02\0",
    ]

    def errands() -> Iterator[Errand]:
        for _ in range(count):
            yield Errand(chance.choice(beginnings), hold=chance.choice([0.05, 0.5, min(2.0, seconds), seconds]))

    return Swarm(port, width=width, addresses=500).run(errands())


FLOODS: dict[str, Callable[..., Outcome]] = {"upgrades": upgrades, "messages": messages, "slow": slow}


def main() -> None:
    kind, *numbers = sys.argv[1:]
    os.nice(20)  # an attacker has machines of his own
    outcome = FLOODS[kind](*map(int, numbers))
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    main()
