"""Whole calls that lose their AI, in memory and on real sockets: the caller stays, and the agent knows everything."""

import asyncio
import time
from functools import partial

import pytest

from offhook.agents import ConnectorPath, plan_call
from offhook.audiohook import PCMU_MONO
from offhook.audiohook.messages import OpenParameters
from offhook.bridge import RecordMoment
from offhook.emulator.server import Emulator
from offhook.emulator.session import EmulatorSession
from offhook.gateway import Gateway
from offhook.simulator.dialer import dial
from offhook.simulator.identity import CallIdentity
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import target
from offhook.tools import ToolSet
from tests.fakes.outage import Outage
from tests.fakes.world import World
from tests.integration.ai_losses import (
    BACK,
    LAST,
    LIMIT,
    LOSSES,
    SPEECH,
    STORY,
    Loss,
    check_told,
    heard_at,
    invoke,
    invoke_long,
)
from tests.integration.carried import KEY, SECRET, Watcher, together

OUTAGE = 2.0
"""Seconds."""
IDLE = next(loss for loss in LOSSES if loss.name == "idle")


class LossyWorld(World):
    """A call in memory that loses its AI in a state."""

    def __init__(self, loss: Loss, away: float) -> None:
        self.loss = loss
        self.seen = 0
        self.queue = PlaybackQueue()
        agent = loss.agent()
        parameters = OpenParameters(organization_id="o", conversation_id="c", media=(PCMU_MONO,), language="en-us")
        super().__init__(
            plan_call(agent, "support", parameters, ConnectorPath(), tools=ToolSet(agent.tool_entries).tools),
            SimulatedCall(loss.caller(away), SPEECH, queue=self.queue),
            EmulatorSession(loss.script(), SPEECH),
            others=[EmulatorSession(loss.next_script(), SPEECH, seed=1)],
            away=away,
            tools=invoke_long if loss.name == "tool runs on" else invoke,
        )

    def _carry_out(self, command: object) -> None:
        super()._carry_out(command)
        name, nth, seconds = self.loss.moment
        if isinstance(command, RecordMoment) and command.name == name:
            self.seen += 1
            if self.seen == nth:
                self._later(seconds, partial(self.lose, 1011))

    def back_after(self) -> float:
        """Seconds from when the model could be had again until the caller heard it."""
        assert self.lost_at is not None
        return heard_at(played(self.queue, self.now), BACK) - self.lost_at - self.away


def played(queue: PlaybackQueue, now: float) -> list[tuple[float, bytes]]:
    return [(run.at, run.audio) for run in queue.played(now)]


def check_heard(loss: Loss, runs: list[tuple[float, bytes]]) -> None:
    """What was said before is heard as far as there was any, once, and the talk goes on."""
    heard_at(runs, LAST)
    heard = b"".join(audio for _, audio in runs)
    if loss.name in ("greeting", "agent speaks", "agent is heard"):
        assert heard.count(SPEECH.clip(STORY)[:4000]) == 1, "not from the beginning again"
    if loss.name == "agent is heard":
        heard_at(runs, STORY)


@pytest.mark.parametrize(
    ("loss", "away"),
    # The tool that runs on ends a while after two seconds.
    [(loss, away) for loss in LOSSES for away in (0.0, OUTAGE) if loss.name != "tool runs on" or away == OUTAGE],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_agent_is_back_and_knows_everything(loss: Loss, away: float) -> None:
    world = LossyWorld(loss, away)
    world.run(120)
    report = world.caller.report(world.now)
    assert not report.protocol_errors
    assert not report.failures
    assert (report.ended_by, world.ended[0].outcome) == ("caller", "completed")
    assert world.ended[0].output_variables["INTENT"] == "none"
    assert not world.agent.errors
    # What was on its way to the caller is heard first, and who speaks has the floor.
    assert world.back_after() <= LIMIT + (3.0 if loss.name in ("hold", "caller speaks") else len(STORY) * 0.04)
    if away == OUTAGE:
        assert world.back_after() <= LIMIT
        check_told(loss, world.agent)
    check_heard(loss, played(world.queue, world.now))


@pytest.mark.parametrize("away", [0.3, 0.9, 1.5, 1.7, 3.5, 3.9, 5.9, 7.4])
def test_however_long_the_provider_is_away(away: float) -> None:
    """An attempt is made often enough for the agent to be heard soon after it is back."""
    world = LossyWorld(IDLE, away)
    world.run(120)
    assert world.back_after() <= LIMIT


def test_a_provider_that_stays_away() -> None:
    world = LossyWorld(IDLE, 1000.0)
    world.run(120)
    report = world.caller.report(world.now)
    assert (report.ended_by, report.reason) == ("agent", "completed")
    assert world.ended[0].outcome == "failed"
    assert world.ended[0].output_variables["OFFHOOK_REASON"] == "OH-CALL-06"


async def lose_on_sockets(loss: Loss, took: dict[str, float]) -> None:
    """The same with gateway, emulators and simulator on sockets, and a cable that is torn."""
    name, nth, seconds = loss.moment
    watcher, queue = Watcher(), PlaybackQueue()
    call = SimulatedCall(loss.caller(OUTAGE), SPEECH, identity=CallIdentity.fresh(), queue=queue, max_seconds=30)
    async with (
        Emulator(scenario=loss.script(), speech=SPEECH) as first,
        Emulator(scenario=loss.next_script(), speech=SPEECH) as second,
        Outage(first.url) as cable,
        Gateway(
            agents={"support": loss.agent()},
            keys=[{"id": KEY, "secret": SECRET}],
            providers=[{"name": "emulator", "url": cable.url, "api_key": "sk-of-openai"}],
            listen="127.0.0.1:0",
        ).serving(observers=[watcher]) as server,
    ):
        to = target(server.url, connector_id="support", key=KEY, secret=SECRET)
        dialling = asyncio.create_task(dial(to, call))
        await watcher.bell.until(
            lambda: [moment for moment in watcher.moments if moment.name == name][nth - 1 :] or None,
            within=10,
            what=f"{name} for the {nth}. time",
        )
        await asyncio.sleep(seconds)  # it happens a while after the moment
        await cable.tear()
        await asyncio.sleep(OUTAGE)
        mended = time.monotonic()
        await cable.mend(second.url)
        report = await dialling
        (session,) = second.sessions
        assert not report.protocol_errors
        assert not report.failures
        assert watcher.ended[0].outcome == "completed"
        assert report.playback.max_unplayed_ms <= 1000
        runs = played(queue, float("inf"))
        took[loss.name] = heard_at(runs, BACK) - mended
        check_told(loss, session)
        check_heard(loss, runs)


async def test_on_real_sockets() -> None:
    """Seconds from when the provider accepts connections again until the caller hears the agent."""
    took: dict[str, float] = {}
    await together(*(partial(lose_on_sockets, loss, took) for loss in LOSSES))
    assert max(took.values()) <= LIMIT, took
