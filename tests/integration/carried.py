"""One whole call on real sockets, simulator ⇄ gateway ⇄ emulator, and everything that came of it.

`carry` also holds it to what every call owes however it ends (design §3): see `Carried.check`.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from offhook import Agent
from offhook.audiohook.errors import SOCKET_CLOSED
from offhook.bridge import CallEnded, RecordMoment, Turn
from offhook.emulator.scenario import Scenario, When
from offhook.emulator.scenario import Turn as AgentTurn
from offhook.emulator.server import Emulator
from offhook.emulator.session import EmulatorSession
from offhook.gateway import CallInfo, Gateway, GatewayServer
from offhook.realtime import ConversationItemCreateEvent, FunctionCallOutputItem
from offhook.simulator.dialer import dial
from offhook.simulator.identity import CallIdentity
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.report import CallReport
from offhook.simulator.script import HangUp, Say, Step, Utterance, WaitForAgent
from offhook.simulator.script import Scenario as CallerScenario
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import target
from offhook.speech import Speech
from tests.acceptance.waiting import Bell

KEY, SECRET = "the-key-of-genesys", "dGhlIGNsaWVudCBzZWNyZXQgb2YgR2VuZXN5cw=="

SPEECH = Speech(synthesiser=None)
# All of these have clips, short ones where nothing else is wanted.
GREETING, QUESTION, ANSWER, GOODBYE = "All right.", "Hello?", "Let me see.", "Goodbye."
STILL_THERE = "Are you still there?"
LONG = (
    "We are open Monday to Friday, from nine in the morning until six in the evening, and on Saturdays from ten until "
    "two. On Sundays and public holidays we are closed."
)
"""Almost ten seconds."""

OUTPUTS: dict[str, Any] = {"INTENT": {"default": "none"}, "ORDER": {}}
OFFHOOK_OUTPUTS = {
    "OFFHOOK_CALL_ID",
    "OFFHOOK_OUTCOME",
    "OFFHOOK_REASON",
    "OFFHOOK_SUMMARY",
    "OFFHOOK_DURATION_S",
    "OFFHOOK_COST_USD",
}

LISTENED: tuple[Step, ...] = (WaitForAgent(silence_ms=100), HangUp())
ASKED: tuple[Step, ...] = (WaitForAgent(silence_ms=100), Say(Utterance(QUESTION)))


def agent(**settings: Any) -> Agent:
    """Define an agent that greets and has two output variables."""
    return Agent.model_validate(
        {
            "instructions": "Talk.",
            "greeting": "Greet the caller.",
            "turn_detection": {"silence_duration_ms": 200},
            "outputs": OUTPUTS,
            **settings,
        }
    )


def clip(text: str) -> bytes:
    """Return what a text of the agent sounds like."""
    return SPEECH.clip(text)


def script(*turns: AgentTurn, **settings: object) -> Scenario:
    """What the model says and does, quickly."""
    return Scenario.model_validate({"speed": 10, "first_audio_ms": 20, "turns": list(turns), **settings})


def on_request(text: str) -> AgentTurn:
    """The model says a text when it is told to say exactly that."""
    return AgentTurn(when=When(instructions=f"Say exactly these words and nothing else: {text}"), say=text)


class TappedCall(SimulatedCall):
    """A simulated call that keeps the gateway's text messages as they came."""

    def __init__(self, scenario: CallerScenario, queue: PlaybackQueue, *, max_seconds: float) -> None:
        super().__init__(scenario, SPEECH, identity=CallIdentity.fresh(), queue=queue, max_seconds=max_seconds)
        self.messages: list[dict[str, Any]] = []

    def receive_text(self, data: str | bytes, now: float) -> None:
        self.messages.append(json.loads(data))
        super().receive_text(data, now)


class Watcher:
    """Keeps what observers are told."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.moments: list[RecordMoment] = []
        self.ended: list[CallEnded] = []
        self.bell = Bell()

    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        self.turns.append(turn)

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        self.moments.append(moment)
        self.bell.ring()

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        self.ended.append(ended)
        self.bell.ring()

    def at(self, name: str) -> float | None:
        """When something first happened; None = not yet."""
        return next((moment.at for moment in self.moments if moment.name == name), None)

    async def until(self, name: str, *, within: float = 10.0) -> float:
        """Wait for a moment; return its time."""
        return await self.bell.until(lambda: self.at(name), within=within, what=f"moment {name}")


@dataclass
class Line:
    """A call that is under way."""

    server: GatewayServer
    emulator: Emulator
    watcher: Watcher
    call: TappedCall
    dialling: "asyncio.Task[CallReport]"


@dataclass
class Carried:
    """A call that is over."""

    report: CallReport
    ended: CallEnded
    heard: bytes
    """Agent audio that was played to the caller."""
    messages: list[dict[str, Any]]
    """Text messages of the gateway."""
    watcher: Watcher
    session: EmulatorSession

    @property
    def variables(self) -> dict[str, str]:
        """What the record says that the flow was given, or would have been."""
        return dict(self.ended.output_variables)

    @property
    def said(self) -> list[tuple[str, str]]:
        """The transcript."""
        return [(turn.speaker, turn.text) for turn in self.watcher.turns]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the gateway's messages of a type."""
        return [message for message in self.messages if message["type"] == kind]

    def tool_outputs(self) -> list[str]:
        """Return what the model was told that its function calls gave."""
        items = [
            received.event.item
            for received in self.session.received
            if isinstance(received.event, ConversationItemCreateEvent)
        ]
        return [item.output for item in items if isinstance(item, FunctionCallOutputItem)]

    def check(self, outcome: str, *, by: str = "agent", reason: str | None = None, **outputs: str) -> None:
        """Hold the call to the exit contract.

        Args:
            outcome: `OFFHOOK_OUTCOME`.
            by: who ended it, as the simulator saw it: agent, caller or network.
            reason: reason in the record (not `OFFHOOK_REASON`, which may be the model's words).
            outputs: output variables that have these values.
        """
        report, ended = self.report, self.ended
        assert [error.rule for error in report.protocol_errors] == ([SOCKET_CLOSED] if by == "network" else [])
        assert report.ended_by == by
        assert len(self.watcher.ended) == 1
        assert ended.outcome == outcome
        assert reason is None or ended.reason == reason
        variables = self.variables
        assert set(variables) - {"OFFHOOK_TARGET"} == OFFHOOK_OUTPUTS | set(OUTPUTS)
        assert all(isinstance(value, str) for value in variables.values())
        assert variables["OFFHOOK_OUTCOME"] == outcome
        assert variables["OFFHOOK_CALL_ID"]
        assert float(variables["OFFHOOK_DURATION_S"]) > 0
        assert {name: variables[name] for name in outputs} == outputs, variables
        disconnects = self.of_type("disconnect")
        assert len(disconnects) == (by == "agent")
        if disconnects:
            assert disconnects[0]["parameters"]["reason"] == "completed"
            assert disconnects[0]["parameters"]["outputVariables"] == variables
        assert len(self.of_type("closed")) == (by != "network")
        if by != "network":
            assert report.latency.close_ms is not None
            assert report.latency.close_ms <= 1000
            assert self.messages[-1]["type"] == "closed"
        assert report.playback.max_unplayed_ms <= 1000
        assert (report.playback.underruns, report.playback.dropped_ms) == (0, 0)

    def check_heard(self, *texts: str) -> None:
        """The caller heard these texts, each once and to its last byte, and nothing was cut at the end."""
        at = 0
        for text in texts:
            found = self.heard.find(clip(text), at)
            assert found >= 0, f"not heard whole: {text}"
            at = found + len(clip(text))
        assert sum(self.heard.count(clip(text)) for text in set(texts)) == len(texts)
        assert self.report.playback.cut_off_ms == 0


Meanwhile = Callable[[Line], Awaitable[None]]


async def carry(
    who: Agent,
    script: Scenario,
    steps: tuple[Step, ...] = LISTENED,
    *,
    meanwhile: Meanwhile | None = None,
    through: Callable[[str], contextlib.AbstractAsyncContextManager[str]] | None = None,
    caller: Mapping[str, Any] = {},
    **settings: Any,
) -> Carried:
    """Carry one call to its end.

    Args:
        who: the agent.
        script: what the emulated model says and does.
        steps: what the caller does; they stay on the line after the last one.
        meanwhile: happens beside the call.
        through: what is put between simulator and gateway; turns one URL into another.
        caller: further settings of the simulated caller.
        settings: of the gateway.
    """
    watcher = Watcher()
    async with contextlib.AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(scenario=script, speech=SPEECH))
        server = await stack.enter_async_context(_gateway(who, emulator.url, settings).serving(observers=[watcher]))
        url = server.url if through is None else await stack.enter_async_context(through(server.url))
        scenario = CallerScenario(**{"steps": steps, "stay": 20.0, **caller})
        queue = PlaybackQueue(start_delay=scenario.playback_delay_ms / 1000)
        call = TappedCall(scenario, queue, max_seconds=25)
        to = target(url, connector_id="support", key=KEY, secret=SECRET)
        line = Line(server, emulator, watcher, call, asyncio.create_task(dial(to, call)))
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            if meanwhile is not None:
                tasks.create_task(_do(meanwhile, line))
            report = await line.dialling
        await server.drain(2.0)
        assert server.calls == 0
        session = emulator.sessions[-1]
        await _closed(session)
        (ended,) = watcher.ended
        heard = b"".join(run.audio for run in queue.played(float("inf")))
        return Carried(report, ended, heard, call.messages, watcher, session)


def _gateway(who: Agent, realtime_url: str, settings: Mapping[str, Any]) -> Gateway:
    given: dict[str, Any] = {
        "agents": {"support": who},
        "keys": [{"id": KEY, "secret": SECRET}],
        "providers": [{"name": "emulator", "url": realtime_url, "api_key": "sk-of-openai"}],
        "listen": "127.0.0.1:0",
        **settings,
    }
    return Gateway(**given)


async def _do(meanwhile: Meanwhile, line: Line) -> None:
    await meanwhile(line)


async def _closed(session: EmulatorSession) -> None:
    """Wait until the Realtime socket is gone; it must not be the emulator that closes it as it ends."""
    async with asyncio.timeout(1):
        while session.close_code is None:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def cable(url: str, cut: asyncio.Event) -> AsyncIterator[str]:
    """Put a cable before a server at a `ws://` URL; gives the URL at its other end. It is torn when `cut` is set."""
    host, _, rest = url.removeprefix("ws://").partition("/")
    ends: list[asyncio.StreamWriter] = []

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, _, port = host.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(name, int(port))
        ends.extend((writer, far_writer))
        both = (_copy(reader, far_writer), _copy(far_reader, writer))
        await asyncio.gather(*both, return_exceptions=True)
        writer.close()
        far_writer.close()

    async def tear() -> None:
        await cut.wait()
        for end in ends:
            end.transport.abort()

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    tearing = asyncio.create_task(tear())
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/{rest}"
    finally:
        tearing.cancel()
        server.close()
        await asyncio.wait([tearing])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def together(*cells: Callable[[], Awaitable[None]]) -> None:
    """Carry calls at the same time; fails with all that went wrong, and if a task is left."""
    before = asyncio.all_tasks()
    results = await asyncio.gather(*(cell() for cell in cells), return_exceptions=True)
    failures: list[Exception] = []
    for cell, result in zip(cells, results, strict=True):
        if isinstance(result, Exception):
            result.add_note(f"in {getattr(cell, '__name__', cell)}")
            failures.append(result)
    if failures:
        raise ExceptionGroup("calls that did not end well", failures)
    assert not {task.get_name() for task in asyncio.all_tasks() - before}
