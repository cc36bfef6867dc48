"""How long refusals take, by what is wrong: nobody should be able to tell a known key from an unknown one by the clock.

python -m tests.security.timing --each 200

Requests of every kind are sent in turn, from one connection after the other, to a gateway in a process of its own.
Reported are the median of each kind and, for each pair, the chance that one of the first takes longer than one of the
second (as in the test of Mann and Whitney): 0.5 when they cannot be told apart.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvloop

from tests.security.attempts import OTHER_SECRET, SECRET, STRANGER, SUPPORT, TARGET
from tests.security.flood import GatewayProcess
from tests.security.forging import Request, parameters, sign, unsigned
from tests.security.port import ask
from tests.security.served import take_precedence

Make = Callable[[Request], Request]

KINDS: dict[str, tuple[str, Make]] = {
    "unknown key": (STRANGER, lambda request: sign(request, OTHER_SECRET)),
    "wrong signature": (SUPPORT, lambda request: sign(request, OTHER_SECRET)),
    "expired": (SUPPORT, lambda request: sign(request, SECRET, given=parameters(SUPPORT, created=-30))),
    "expired, unknown key": (
        STRANGER,
        lambda request: sign(request, OTHER_SECRET, given=parameters(STRANGER, created=-30)),
    ),
    "unsigned": (SUPPORT, lambda request: request),
    "unsigned, unknown key": (STRANGER, lambda request: request),
}


async def measure(each: int, width: int) -> dict[str, list[float]]:
    """Return the seconds that each refusal took, by kind."""
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    order = [kind for _ in range(each) for kind in random.Random(1).sample(list(KINDS), len(KINDS))]
    left = iter(order)
    with tempfile.TemporaryDirectory() as folder:
        async with GatewayProcess(Path(folder), "ws://127.0.0.1:9/") as gateway:

            async def work() -> None:
                for kind in left:
                    key, make = KINDS[kind]
                    request = make(unsigned(TARGET, f"127.0.0.1:{gateway.port}", key))
                    answer = await ask(gateway.port, request.raw())
                    assert answer.status == 401, kind
                    taken[kind].append(answer.seconds)

            await asyncio.gather(*(work() for _ in range(width)))
    return taken


def chance_longer(one: list[float], other: list[float]) -> float:
    """Return the chance that one of the first is greater than one of the second; ties count half."""
    ranked = sorted((value, which) for which, values in enumerate((one, other)) for value in values)
    won, below = 0.0, 0
    for _, tied in itertools.groupby(ranked, key=lambda pair: pair[0]):
        counts = [0, 0]
        for _, which in tied:
            counts[which] += 1
        won += counts[0] * (below + counts[1] / 2)
        below += counts[1]
    return won / (len(one) * len(other))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=200, help="refusals of each kind")
    parser.add_argument("--width", type=int, default=20, help="connections at a time")
    given = parser.parse_args()
    take_precedence()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = runner.run(measure(given.each, given.width))
    for kind, values in taken.items():
        quartiles = statistics.quantiles(values, n=4)
        print(f"{kind:22} median {quartiles[1] * 1000:.2f} ms, quartiles {quartiles[0] * 1000:.2f} to "
              f"{quartiles[2] * 1000:.2f}, least {min(values) * 1000:.2f}, most {max(values) * 1000:.2f}")  # fmt: skip
    # Two samples of one kind differ by chance by about this much.
    noise = 2 * ((2 * given.each + 1) / (12 * given.each**2)) ** 0.5
    print(f"chance that the first takes longer than the second (0.5 ± {noise:.3f} by chance alone):")
    for one, other in itertools.combinations(KINDS, 2):
        print(f"  {one} / {other}: {chance_longer(taken[one], taken[other]):.3f}")


if __name__ == "__main__":
    main()
