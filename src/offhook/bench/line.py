"""One telephone line of a bench: makes call after call, and lets happen to each what is planned for it."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from offhook.bench.faults import FAULTS, Fault
from offhook.bench.hearing import Gap, Pause, Said, Stretch, dead_air
from offhook.bench.network import Connection
from offhook.bench.place import Place
from offhook.bench.schedule import Planned
from offhook.bench.subject import KEY, SECRET, line_name
from offhook.bench.talk import Manners, Talk
from offhook.emulator.scenario import Handshake, Turn
from offhook.emulator.server import EmulatedConnection
from offhook.simulator import events as ev
from offhook.simulator.conductor import Phone
from offhook.simulator.dialer import DialFailed, dial
from offhook.simulator.identity import CallIdentity
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.report import CallReport
from offhook.simulator.script import Scenario
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import target

PAUSE: Final = (0.5, 1.5)
"""Seconds from the end of a call to the next one of its line, between these."""
SHORT_CALL, LONG_PAUSE = 5.0, 3.0
"""After a call that lasted no longer, so many seconds: who was cut off needs a moment to dial again."""
AGENT_ENDS: Final = 0.6
"""Share of the calls that the agent ends."""
LEEWAY: Final = 20.0
OVERTIME: Final = 60.0
"""Seconds beyond its planned length after which a call is given up."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that came to a call, so many seconds after its connection stood."""

    at: float
    name: str
    breaks: str | None


@dataclass(slots=True, kw_only=True)
class CallOutcome:
    """What came of one call."""

    line: int
    number: int
    attempt: int
    identity: CallIdentity
    report: CallReport | None = None
    """None when no session came about."""
    refused: str = ""
    """Why none did."""
    faults: list[Injected] = field(default_factory=list)
    heard: list[Stretch] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    unheard: list[Pause] = field(default_factory=list)
    """When caller and gateway could not hear each other, whatever the gateway did."""
    lost: list[Pause] = field(default_factory=list)
    """When what the caller said was lost."""
    nudges: int = 0
    answers: int = 0

    @property
    def name(self) -> str:
        """The line, the number of its call, and the attempt of Genesys if it is not the first."""
        return f"{line_name(self.line)} call {self.number}" + (f" retry {self.attempt}" if self.attempt else "")

    def broken(self, what: str) -> bool:
        """Whether a fault broke this."""
        return any(fault.breaks == what for fault in self.faults)


class LiveCall:
    """One call while it lasts; the `faults.Stage` of its faults."""

    def __init__(
        self, place: Place, outcome: CallOutcome, manners: Manners, again: "Callable[[LiveCall], None]"
    ) -> None:
        self._place = place
        self._again = again
        self.talk: Talk
        self.outcome = outcome
        self.manners = manners
        self.model_name = line_name(outcome.line)
        self.opened = asyncio.Event()
        self._leg: Connection | None = None
        self.retry_later = False
        queue = PlaybackQueue()
        chance = random.Random(f"{place.seed}/{outcome.line}/{outcome.number}/{outcome.attempt}/talk")  # noqa: S311

        def conduct(phone: Phone, ear: AgentSpeech) -> Talk:
            self.talk = Talk(phone, ear, queue, place.repertoire, manners, chance, self._prompt)
            return self.talk

        scenario = Scenario(steps=(), name=outcome.name, ani=f"tel:+1317555{outcome.line:04d}")
        self.queue = queue
        self.call = SimulatedCall(
            scenario,
            place.speech,
            identity=outcome.identity,
            max_seconds=manners.seconds + OVERTIME,
            queue=queue,
            conduct=conduct,
        )
        self.began = 0.0
        """When the connection stood; 0 until the session is open."""

    # --- as a stage --------------------------------------------------------------------------------------------------

    def genesys(self) -> Connection | None:
        """Return the AudioHook leg on the network."""
        return self._leg

    def realtime(self) -> Connection | None:
        """Return the Realtime leg on the network, the newest one."""
        found = [provider.network.newest(f"model={self.model_name}") for provider in self._place.providers]
        legs = [leg for leg in found if leg is not None]
        return max(legs, key=lambda leg: leg.began, default=None)

    def model(self) -> EmulatedConnection | None:
        """Return the same leg in the emulator."""
        found = [provider.emulator.connection_of(self.model_name) for provider in self._place.providers]
        legs = [leg for leg in found if leg is not None]
        return max(legs, key=lambda leg: leg.began, default=None)

    def shake_hands(self, handshake: Handshake) -> None:
        """Let the next connection to the preferred provider begin like this."""
        self._place.providers[0].emulator.handshakes[self.model_name].append(handshake)

    def cannot_be_heard(self, seconds: float, *, lost: bool = False) -> None:
        """Note that caller and gateway cannot hear each other for so long."""
        now = time.monotonic() - self.began
        self.outcome.unheard.append(Pause(now, now + seconds))
        if lost:
            self.outcome.lost.append(Pause(now, now + seconds))

    def retry(self, *, beside: bool) -> None:
        """Have Genesys make the session again."""
        if beside:
            self._again(self)
        else:
            self.retry_later = True

    # --- the call ----------------------------------------------------------------------------------------------------

    async def carry(self, faults: list[Planned]) -> None:
        """Make the call, let the faults happen, and find out what was heard."""
        for name, until in self._place.outages.items():
            if time.monotonic() < until:
                self.outcome.faults.append(Injected(0.0, name, "ai"))
        for planned in faults:
            if planned.fault.moment == "connect":
                self.inject(planned.fault)
        later = [planned for planned in faults if planned.fault.moment == "call"]
        injecting = asyncio.create_task(self._inject(later))
        try:
            await self._dial()
        finally:
            injecting.cancel()
            await asyncio.gather(injecting, return_exceptions=True)
        self._disarm()
        self._listen()

    def inject(self, fault: Fault) -> None:
        """Let a fault happen now."""
        at = time.monotonic() - self.began if self.began else 0.0
        if fault.inject(self):
            self.outcome.faults.append(Injected(at, fault.name, fault.breaks))

    async def _inject(self, faults: list[Planned]) -> None:
        await self.opened.wait()
        opened = time.monotonic()
        for planned in faults:
            await asyncio.sleep(opened + planned.at - time.monotonic())
            if self.outcome.broken("caller"):
                return  # nothing that happens now reaches this call
            self.inject(planned.fault)

    async def _dial(self) -> None:
        url = f"ws://127.0.0.1:{self._place.genesys.port}/audiohook"
        to = target(url, connector_id=self.model_name, key=KEY, secret=SECRET)
        try:
            self.outcome.report = await dial(to, self.call, on_event=self._on_event, attempt=self.outcome.attempt)
        except DialFailed as failed:
            self.outcome.refused = str(failed)

    def _on_event(self, event: ev.CallEvent) -> None:
        if isinstance(event, ev.CallOpened):
            self.began = time.monotonic() - event.at
            self._leg = self._place.genesys.newest(f"/{self.model_name}")
            self.opened.set()

    def _prompt(self, turn: Turn) -> None:
        if (model := self.model()) is not None:
            model.session.interject(turn)

    def _disarm(self) -> None:
        """A handshake that was never shaken did not happen, and is not for the next call."""
        waiting = self._place.providers[0].emulator.handshakes[self.model_name]
        if self.outcome.attempt == 0 and waiting:
            faults = [fault for fault in self.outcome.faults if FAULTS[fault.name].moment == "connect"]
            for fault in faults[-len(waiting) :]:
                self.outcome.faults.remove(fault)
            waiting.clear()

    def _listen(self) -> None:
        outcome, report = self.outcome, self.outcome.report
        outcome.nudges, outcome.answers = self.talk.nudges, self.talk.answers
        if report is None or self.began == 0.0:
            return
        opened = next(event.at for event in report.timeline if isinstance(event, ev.CallOpened))
        ended = next((event.at for event in report.timeline if isinstance(event, _ENDS)), report.duration)
        outcome.heard = self._place.repertoire.stretches(self.queue.played(float("inf")), self.began)
        said = [
            Said(turn.at, end, lost=any(gap.start < end and turn.at < gap.end for gap in outcome.lost))
            for turn in report.turns
            for end in (turn.at + turn.seconds,)
        ]
        frozen = [Pause(since.start - self.began, since.end - self.began) for since in self._place.frozen]
        outcome.unheard += [since for since in frozen if since.start < ended and since.end > 0]
        pauses = [*outcome.unheard, *_holds(report, ended)]
        outcome.gaps = dead_air(opened=opened, ended=ended, heard=outcome.heard, said=said, pauses=pauses)


_ENDS: Final = (ev.Disconnected, ev.HungUp, ev.CallFinished)


def _holds(report: CallReport, ended: float) -> list[Pause]:
    """Return the pauses of the caller."""
    holds: list[Pause] = []
    for event in report.timeline:
        if isinstance(event, ev.HoldStarted):
            holds.append(Pause(event.at, ended))
        elif isinstance(event, ev.HoldEnded) and holds:
            holds[-1] = Pause(holds[-1].start, event.at)
    return holds


class Line:
    """A telephone line: one call at a time, except where Genesys tries again beside one that it has lost.

    Args:
        number: which one, from 0.
        place: what all lines share.
        plan: the faults of a call, by the numbers of its line and of the call.
        seconds: how long a call lasts that nothing ends.
        delay: seconds until the first call.
    """

    def __init__(
        self,
        number: int,
        place: Place,
        plan: Callable[[int, int], list[Planned]],
        seconds: float,
        *,
        delay: float = 0.0,
    ) -> None:
        self._delay = delay
        self.outcomes: list[CallOutcome] = []
        self.live: list[LiveCall] = []
        """Calls that are under way."""
        self._number = number
        self._place = place
        self._plan = plan
        self._seconds = seconds
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, until: float, leeway: float = LEEWAY) -> None:
        """Make calls until that monotonic time; the last one has so many seconds more to come to its end."""
        await asyncio.sleep(self._delay)
        number = 0
        while time.monotonic() < until:
            chance = random.Random(f"{self._place.seed}/{self._number}/{number}/manners")  # noqa: S311
            left = until - time.monotonic()
            # Who is still on the line when time is up does not stay for a goodbye.
            agent_ends = chance.random() < AGENT_ENDS and left > self._seconds
            ends: Literal["agent", "caller"] = "agent" if agent_ends else "caller"
            manners = Manners(min(self._seconds, left), ends, latest=left + leeway)
            last = await self.call(number, manners)
            number += 1
            short = last.report is None or last.report.duration < SHORT_CALL
            await asyncio.sleep(LONG_PAUSE if short else chance.uniform(*PAUSE))

    async def call(self, number: int, manners: Manners) -> CallOutcome:
        """Make the nth call, with all attempts of Genesys; returns what came of the last one."""
        outcome = CallOutcome(line=self._number, number=number, attempt=0, identity=CallIdentity.fresh())
        async with asyncio.TaskGroup() as self._tasks:
            live = await self._carry(outcome, manners, self._plan(self._number, number))
            while live.retry_later:
                live = await self._carry(self._next_attempt(live), live.manners, [])
        return live.outcome

    def _next_attempt(self, live: LiveCall) -> CallOutcome:
        last = live.outcome
        return CallOutcome(line=last.line, number=last.number, attempt=last.attempt + 1, identity=last.identity)

    def _again(self, live: LiveCall) -> None:
        assert self._tasks is not None  # noqa: S101 - a call is under way
        self._tasks.create_task(self._carry(self._next_attempt(live), live.manners, []))

    async def _carry(self, outcome: CallOutcome, manners: Manners, faults: list[Planned]) -> LiveCall:
        self.outcomes.append(outcome)
        live = LiveCall(self._place, outcome, manners, self._again)
        self.live.append(live)
        try:
            await live.carry(faults)
        finally:
            self.live.remove(live)
        return live
