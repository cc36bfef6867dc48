"""A whole gateway on real sockets, with the emulator behind it and the simulator before it."""

import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import aiohttp

from offhook import Agent, tool
from offhook.bridge import CallEnded, RecordMoment, Turn
from offhook.emulator.scenario import Call, Scenario
from offhook.emulator.scenario import Turn as AgentTurn
from offhook.emulator.server import Emulator
from offhook.gateway import CallInfo, Gateway, GatewayServer
from offhook.simulator.dialer import dial
from offhook.simulator.events import CallEvent
from offhook.simulator.identity import CallIdentity
from offhook.simulator.report import CallReport
from offhook.simulator.script import HangUp, Say, Step, Utterance, WaitForAgent, probe_scenario
from offhook.simulator.script import Scenario as CallerScenario
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import target
from offhook.speech import Speech, Voice

KEY, SECRET = "the-key-of-genesys", "dGhlIGNsaWVudCBzZWNyZXQgb2YgR2VuZXN5cw=="

GREETING, QUESTION, ANSWER = "Good morning dear caller", "Where is my parcel seven", "Parcel seven is on its way"
CALLER = "+13175550142"


@tool
async def parcel(number: str) -> str:
    """Look a parcel up."""
    return f"parcel {number} is on its way"


class Murmur(Speech):
    """Every text sounds for 400 ms, and loud enough to be heard."""

    def __init__(self) -> None:
        super().__init__(None)

    def clip(self, text: str, voice: Voice = "agent") -> bytes:
        chance = random.Random(f"{voice} {text}")
        return bytes(chance.choice(b"\x00\x80\x05\x85") for _ in range(3200))


class Watcher:
    """Keeps what observers are told."""

    def __init__(self) -> None:
        self.infos: list[CallInfo] = []
        self.turns: list[Turn] = []
        self.moments: list[str] = []
        self.ended: list[CallEnded] = []

    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        self.turns.append(turn)

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        self.moments.append(moment.name)

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        self.infos.append(info)
        self.ended.append(ended)


AGENT_SCRIPT = Scenario(
    first_audio_ms=20,
    turns=[
        AgentTurn(say=GREETING),
        AgentTurn(caller=QUESTION, call=Call(name="parcel", arguments={"number": "7"})),
        AgentTurn(say=ANSWER),
    ],
)

GREETED: tuple[Step, ...] = (WaitForAgent(silence_ms=200), HangUp())
ASKED: tuple[Step, ...] = (
    WaitForAgent(silence_ms=200),
    Say(Utterance(QUESTION)),
    WaitForAgent(silence_ms=300),
    HangUp(),
)


def gateway(realtime_url: str, **settings: Any) -> Gateway:
    """Define the gateway of these tests."""
    agent = Agent.model_validate(
        {
            "instructions": "You are {{ input.NAME | default('nobody') }}, called by {{ call.ani }}.",
            "greeting": "Greet the caller.",
            "tools": [parcel, "end_call"],
            "turn_detection": {"silence_duration_ms": 200},
            "outputs": {"INTENT": {"default": "none"}},
        }
    )
    given: dict[str, Any] = {
        "agents": {"support": agent},
        "keys": [{"id": KEY, "secret": SECRET}],
        "providers": [{"name": "emulator", "url": realtime_url, "api_key": "sk-of-openai"}],
        "listen": "127.0.0.1:0",
        "default_agent": "support",
        **settings,
    }
    return Gateway(**given)


class World:
    """A gateway that runs, and what it is called with."""

    def __init__(self, server: GatewayServer, emulator: Emulator, watcher: Watcher) -> None:
        self.server = server
        self.emulator = emulator
        self.watcher = watcher

    async def call(
        self,
        steps: tuple[Step, ...] = GREETED,
        *,
        connector_id: str | None = "support",
        key: str = KEY,
        secret: str | None = SECRET,
        order: Literal["genesys", "documented"] = "genesys",
        probe: bool = False,
        inputs: Mapping[str, str] = {},
        trust: ssl.SSLContext | None = None,
        seen: list[CallEvent] | None = None,
        stay: float = 10.0,
    ) -> CallReport:
        """Make one call; DialFailed when the upgrade is refused."""
        scenario = CallerScenario(steps=steps, ani=f"tel:{CALLER}", inputs=dict(inputs), stay=stay)
        call = SimulatedCall(
            probe_scenario() if probe else scenario,
            Murmur(),
            identity=CallIdentity.fresh(probe=probe),
            probe=probe,
            max_seconds=20,
        )
        to = target(self.server.url, connector_id=connector_id, key=key, secret=secret, order=order)
        return await dial(to, call, ssl_context=trust, on_event=(seen if seen is not None else []).append)

    async def get(self, path: str) -> tuple[int, str]:
        """Ask the call port for a page."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def world(script: Scenario = AGENT_SCRIPT, **settings: Any) -> AsyncIterator[World]:
    """Run emulator and gateway."""
    watcher = Watcher()
    async with (
        Emulator(scenario=script, speech=Murmur()) as emulator,
        gateway(emulator.url, **settings).serving(observers=[watcher]) as server,
    ):
        yield World(server, emulator, watcher)
