"""Generated interruptions: what the model remembers is what the caller heard, and the server never objects."""

import base64
import json
import random
from itertools import takewhile

import pytest

from offhook.bridge import CallPlan, Prompt
from offhook.emulator.scenario import Scenario as AgentScenario
from offhook.emulator.scenario import Turn as AgentTurn
from offhook.emulator.session import EmulatorSession
from offhook.simulator.identity import CallIdentity
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.script import HangUp, Interrupt, Scenario, Utterance
from offhook.simulator.simulated_call import SimulatedCall
from tests.fakes.world import World, talking_session

CALLS = 100
INTERRUPTIONS = 10
TOLERANCE_MS = 100


def plan() -> CallPlan:
    session = talking_session(silence_ms=300)
    return CallPlan(agent="talker", session=session, greeting=Prompt(instructions="Talk."))


class Noise:
    """Speech that never repeats, so that every byte of it can be found again."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def clip(self, text: str, voice: str = "agent") -> bytes:
        chance = random.Random(f"{self.seed} {voice} {text}")
        return chance.randbytes(chance.randrange(400, 1200) * 8 if voice == "caller" else int(text.split()[-1]) * 8)


class Probe:
    """A call full of interruptions, looked at in the instants when `barge_in` reaches Genesys."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        noise = Noise(seed)
        lengths = [
            [chance.randrange(150, 5000) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
            for _ in range(INTERRUPTIONS + 1)
        ]
        for turn in lengths:
            turn[-1] += max(0, 1000 - sum(turn))  # long enough to be interrupted
        says = [[f"{seed} {turn} {item} {ms}" for item, ms in enumerate(each)] for turn, each in enumerate(lengths)]
        interrupts = [
            Interrupt(after_ms=chance.randrange(0, sum(each) - 500), sound=Utterance(f"stop {turn}"), timeout=20)
            for turn, each in enumerate(lengths[:INTERRUPTIONS])
        ]
        agent = AgentScenario(
            seed=seed,
            speed=chance.choice((1.0, 1.3, 2.0, 4.0, 10.0)),
            first_audio_ms=chance.randrange(0, 400),
            turns=[AgentTurn(caller=f"stop {number}" if number else None, say=say) for number, say in enumerate(says)],
        )
        caller = Scenario(steps=(*interrupts, HangUp()))
        self.queue = PlaybackQueue(start_delay=chance.uniform(0.0, 0.3))
        self.world = World(
            plan(),
            SimulatedCall(caller, noise, identity=CallIdentity.from_seed(seed), queue=self.queue),
            EmulatorSession(agent, noise, seed=seed),
            genesys_delay=chance.uniform(0.0, 0.05),
            ai_delay=chance.uniform(0.0, 0.1),
        )
        self.heard: list[tuple[float, bytes]] = []
        self.world.on_barge_in = self._barge_in

    def _barge_in(self) -> None:
        heard = b"".join(run.audio for run in self.queue.played(self.world.now))
        self.heard.append((self.world.now, heard))

    def items(self, until: float) -> dict[str, bytes]:
        """Audio of each item that had reached us by then."""
        items: dict[str, bytes] = {}
        for at, data in self.world.from_ai:
            event = json.loads(data)
            if event["type"] == "response.output_audio.delta" and at + self.world.ai_delay <= until:
                items[event["item_id"]] = items.get(event["item_id"], b"") + base64.b64decode(event["delta"])
        return items


def played_ms(audio: bytes, heard: bytes) -> float:
    """Milliseconds of an item that were played: as much of its beginning as is found in what was heard."""
    start = heard.find(audio[:32])
    if start < 0:
        return 0.0
    assert heard.find(audio[:32], start + 1) < 0, "heard twice"
    same = takewhile(lambda pair: pair[0] == pair[1], zip(heard[start:], audio, strict=False))
    return sum(1 for _ in same) / 8


@pytest.mark.parametrize("seed", range(CALLS))
def test_the_model_remembers_what_the_caller_heard(seed: int) -> None:
    probe = Probe(seed)
    world = probe.world
    world.run(600)

    assert not world.agent.errors
    assert len(world.ended) == 1
    report = world.caller.report(world.now)
    assert not report.protocol_errors
    assert report.playback.max_unplayed_ms <= 1000

    sent = [(at, json.loads(data)) for at, data in world.to_ai]
    stops = [moment.at for moment in world.moments if moment.name == "barge_in"]
    speech = {moment.at for moment in world.moments if moment.name == "caller_started"}
    assert len(stops) == INTERRUPTIONS
    cut: dict[str, float] = {}
    for stop, (_, heard) in zip(stops, probe.heard, strict=True):
        assert stop in speech  # in the same instant as speech_started, not later
        for item_id, audio in probe.items(stop).items():
            played = played_ms(audio, heard)
            if item_id in cut:
                assert played <= cut[item_id] + TOLERANCE_MS  # nothing of it was heard later
                continue
            ends = [
                event.get("audio_end_ms", 0)
                for at, event in sent
                if at == stop and event.get("item_id") == item_id and event["type"] != "input_audio_buffer.append"
            ]
            assert len(ends) <= 1
            if ends:
                assert abs(ends[0] - played) <= TOLERANCE_MS
                cut[item_id] = ends[0]
            else:
                assert played >= len(audio) / 8 - TOLERANCE_MS
