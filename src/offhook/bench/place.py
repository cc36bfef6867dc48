"""Where a bench takes place: two emulated providers, a gateway, and a network before each of them."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from yarl import URL

from offhook.bench.hearing import Pause, Repertoire
from offhook.bench.network import Connection, Network
from offhook.bench.pipe import Conditions
from offhook.bench.subject import CENSUS, Subject, configuration, serving
from offhook.bench.talk import ANSWERS, BRIDGES, WAITING
from offhook.emulator.scenario import Call, Scenario, Turn, When
from offhook.emulator.server import EmulatedConnection, Emulator
from offhook.gateway.listener import ListenerLimits
from offhook.speech import Speech

GENESYS: Final = Conditions(latency=0.02, jitter=0.02)
REALTIME: Final = Conditions(latency=0.03, jitter=0.04)
SMALL: Final = 4096
"""Bytes that the network before the gateway keeps on the way to a peer that does not read."""
PROVIDERS: Final = 2
_FILLERS: Final = 12  # in one call


@dataclass(frozen=True, slots=True)
class Provider:
    """One Realtime API, and the network before it."""

    emulator: Emulator
    network: Network


@dataclass(frozen=True, slots=True)
class Place:
    """What all lines share."""

    genesys: Network
    """Before the gateway."""
    providers: tuple[Provider, ...]
    """In the gateway's order of preference."""
    subject: Subject
    speech: Speech
    repertoire: Repertoire
    seed: int
    legs: defaultdict[str, int]
    """Realtime connections that there have been, by model."""
    outages: dict[str, float] = field(default_factory=dict)
    """Faults that come to all calls, and until when they last."""
    frozen: list[Pause] = field(default_factory=list)
    """When this process itself stood still, in monotonic seconds: callers, networks and models with it."""

    @property
    def standing(self) -> list[Connection]:
        """Connections that stand, to the gateway and from it."""
        networks = (self.genesys, *(provider.network for provider in self.providers))
        return [connection for network in networks for connection in network.connections]


@asynccontextmanager
async def open_place(
    folder: Path,
    *,
    lines: int,
    seed: int = 1,
    in_process: bool = False,
    tool_timeout: float | None = None,
    listener_limits: ListenerLimits | None = None,
    speed: float = 4.0,
) -> AsyncIterator[Place]:
    """Put everything up while the block runs.

    Args:
        folder: an empty one; configuration and log of the gateway are left in it.
        lines: telephone lines.
        seed: of the model and the networks.
        in_process: run the gateway in this process.
        tool_timeout: seconds that a tool may take; None for that of `subject.configuration`.
        listener_limits: of a gateway in this process.
        speed: how much faster than real time the model speaks.

    Raises:
        SubjectFailed: the gateway does not run.
    """
    legs: defaultdict[str, int] = defaultdict(int)

    def connected(connection: EmulatedConnection) -> None:
        legs[connection.model] += 1
        if connection.model == CENSUS:
            connection.session.interject(Turn(call=Call(name=CENSUS)))

    speech = Speech(synthesiser=None)
    fillers = [Turn(when=When(instructions="it takes a moment"), say=WAITING) for _ in range(_FILLERS)]
    scenario = Scenario(seed=seed, speed=speed, turns=fillers)
    async with AsyncExitStack() as stack:
        providers = []
        for number in range(PROVIDERS):
            emulator = await stack.enter_async_context(
                Emulator(scenario=scenario, speech=speech, on_connected=connected)
            )
            network = Network(URL(emulator.url).port or 0, conditions=REALTIME, seed=seed + number)
            providers.append(Provider(emulator, await stack.enter_async_context(network)))
        config: dict[str, Any] = configuration(lines, [provider.network.port for provider in providers])
        if tool_timeout is not None:
            config["limits"]["tool_timeout"] = tool_timeout
        subject = await stack.enter_async_context(
            serving(config, folder, in_process=in_process, listener_limits=listener_limits)
        )
        genesys = Network(subject.port, conditions=GENESYS, capacity=SMALL, receive_buffer=SMALL, seed=seed)
        await stack.enter_async_context(genesys)
        yield Place(genesys, tuple(providers), subject, speech, Repertoire(speech, ANSWERS, BRIDGES), seed, legs)
