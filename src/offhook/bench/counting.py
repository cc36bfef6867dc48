"""What a gateway holds and uses: counted by a tool of its own, in a call of its own, and by the system."""

import asyncio
import os
import resource
import time
from pathlib import Path
from typing import Final

import msgspec

from offhook.bench import tools
from offhook.bench.hearing import Pause
from offhook.bench.place import Place
from offhook.bench.subject import CENSUS, KEY, SECRET, Subject, SubjectFailed
from offhook.bench.talk import HELLO
from offhook.realtime import ConversationItemCreateEvent, FunctionCallOutputItem
from offhook.simulator.dialer import DialFailed, dial
from offhook.simulator.identity import CallIdentity
from offhook.simulator.script import HangUp, Say, Scenario, Utterance, WaitForAgent
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import target

LOOKS: Final = 3
"""How often it is counted anew when there is more than there should be: something may just be being freed."""
FROZEN: Final = 0.15
"""Seconds that this process may be late: beyond them it is the machine that is measured, and not the gateway."""
SAMPLES: Final = 0.1
"""Seconds between looks at memory and at the event loop of this process."""
MEMORY_SLACK: Final = 32 * 1024 * 1024
"""Bytes that a process may hold more after a run than before it: heaps that once were full do not shrink at once."""
OBJECTS_SLACK: Final = 10_000
"""Objects that may be more: caches that fill with use. A single call is made of some thousand."""
MEMORY_SHARE: Final = 0.15
"""The same as a share of what it held."""


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway holds while one call, which counts it, is all that it has to do."""

    tasks: dict[str, int]
    """Tasks of the event loop, by the name of what they run."""
    calls: int
    """Calls that are objects in memory."""
    objects: int
    """Objects that the garbage collector knows, and has not collected."""
    sockets: int | None
    memory: int | None
    """Bytes."""

    def more_than(self, before: "Census") -> list[str]:
        """Return what there is more of than before."""
        more = []
        for name, count in self.tasks.items():
            if count > before.tasks.get(name, 0):
                more.append(f"tasks: {count - before.tasks.get(name, 0)} more of {name}")
        if self.calls > before.calls:
            more.append(f"calls: {self.calls - before.calls} more in memory")
        if self.objects > before.objects + OBJECTS_SLACK:
            more.append(f"objects: {self.objects - before.objects} more in memory")
        if self.sockets is not None and before.sockets is not None and self.sockets > before.sockets:
            more.append(f"sockets: {self.sockets - before.sockets} more are open")
        if self.memory is not None and before.memory is not None:
            allowed = before.memory + max(MEMORY_SLACK, before.memory * MEMORY_SHARE)
            if self.memory > allowed:
                more.append(f"memory: {(self.memory - before.memory) / 1e6:.0f} MB more")
        return more


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What the run cost."""

    seconds: float
    gateway_cpu: float
    """Share of one core."""
    bench_cpu: float
    """The same of this process: callers, networks, emulators."""
    bench_lag: float
    """Seconds that the event loop of this process was late at worst."""
    bench_frozen: float
    """Seconds in which it was so late that nothing could be measured: they do not count as dead air."""
    gateway_memory: tuple[int, ...]
    """Bytes after each quarter of the run: what grows for ever is seen here, what was needed once is not."""
    gateway_peak_memory: int
    freed_after: float
    """Seconds from the end of the last call until the gateway had let go of all of them, or nobody waited any more."""
    standing: int
    """Connections of the gateway that stood even then."""


class Usage:
    """What the gateway and this process use, from now on.

    Args:
        subject: the gateway.
        frozen: takes the times at which this process stood still.
    """

    def __init__(self, subject: Subject, frozen: list[Pause]) -> None:
        self.memory: list[int] = []
        """Bytes of the gateway, every now and then."""
        self.lag = 0.0
        """Seconds that the event loop of this process was late at worst."""
        self._subject = subject
        self._frozen = frozen
        self._began = time.monotonic()
        self._gateway, self._bench = _cpu_of(subject), _own_cpu()

    async def watch(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(SAMPLES)
            after = time.monotonic()
            self.lag = max(self.lag, after - before - SAMPLES)
            if after - before - SAMPLES > FROZEN:
                self._frozen.append(Pause(before, after))
            self.memory.append(tools.memory(self._subject.process) or 0)

    def quarters(self) -> tuple[int, ...]:
        """Return the memory after each quarter of what has passed."""
        return tuple(self.memory[len(self.memory) * part // 4 - 1] for part in (1, 2, 3, 4)) if self.memory else ()

    def so_far(self) -> tuple[float, float, float]:
        """Return the seconds that have passed, and the CPU of the gateway and of this process as shares of a core."""
        lasted = time.monotonic() - self._began
        gateway, bench = _cpu_of(self._subject) - self._gateway, _own_cpu() - self._bench
        return lasted, gateway / lasted, bench / lasted


def _own_cpu() -> float:
    ours = resource.getrusage(resource.RUSAGE_SELF)
    return ours.ru_utime + ours.ru_stime


def _cpu_of(subject: Subject) -> float:
    """Return the seconds of CPU of the gateway; 0 where the system does not tell."""
    if subject.process == os.getpid():
        return _own_cpu()
    try:
        fields = Path(f"/proc/{subject.process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def take_census(place: Place, *, like: Census | None = None) -> Census:
    """Count what the gateway holds.

    Args:
        place: where the call is made.
        like: what it should be; it is counted anew if there is more.

    Raises:
        SubjectFailed: the gateway does not take the call, or does not count.
    """
    for look in range(LOOKS):
        counted = await _count(place)
        if like is None or not counted.more_than(like):
            break
        await asyncio.sleep(1.0 + look)
    return counted


async def _count(place: Place) -> Census:
    script = Scenario(steps=(Say(Utterance(HELLO)), WaitForAgent(timeout=20.0, silence_ms=200), HangUp()))
    call = SimulatedCall(script, place.speech, identity=CallIdentity.fresh(), max_seconds=30.0)
    to = target(f"ws://127.0.0.1:{place.genesys.port}/audiohook", connector_id=CENSUS, key=KEY, secret=SECRET)
    try:
        await dial(to, call)
    except DialFailed as failed:
        raise SubjectFailed(f"the gateway takes no calls: {failed}") from None
    told = [
        (received.at, received.event.item.output)
        for provider in place.providers
        for session in provider.emulator.sessions
        if session.model == CENSUS
        for received in session.received
        if isinstance(received.event, ConversationItemCreateEvent)
        and isinstance(received.event.item, FunctionCallOutputItem)
    ]
    try:
        return msgspec.json.decode(max(told, default=(0.0, ""))[1], type=Census)
    except msgspec.DecodeError:
        raise SubjectFailed("the gateway does not count what it holds") from None
