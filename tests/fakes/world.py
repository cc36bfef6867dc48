"""A whole call in memory on a virtual clock: simulated Genesys ⇄ bridge.Call ⇄ emulated OpenAI.

The three cores are the real ones; only the wires between them are made here, with a delay each and their order kept.
"""

import heapq
import itertools
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import UNSET

from offhook.bridge import (
    Call,
    CallEnded,
    CallPlan,
    CloseRealtime,
    ConnectRealtime,
    InvokeTool,
    RecordTurn,
    SelectAgent,
    ToolOutcome,
    Turn,
)
from offhook.bridge.commands import RecordMoment
from offhook.emulator.session import EmulatorSession
from offhook.realtime import (
    PCMU,
    AudioConfig,
    AudioInput,
    AudioOutput,
    FunctionTool,
    ServerVad,
    SessionConfig,
    TranscriptionConfig,
)
from offhook.simulator.simulated_call import SimulatedCall


def talking_session(*, silence_ms: int, tools: tuple[FunctionTool, ...] | None = None) -> SessionConfig:
    """The settings of a session as agents send them; `silence_ms` of quiet end a turn of the caller."""
    detection = ServerVad(
        threshold=0.5,
        prefix_padding_ms=300,
        silence_duration_ms=silence_ms,
        idle_timeout_ms=None,
        create_response=True,
        interrupt_response=True,
    )
    transcription = TranscriptionConfig(model="gpt-transcribe")
    audio = AudioConfig(
        input=AudioInput(format=PCMU, transcription=transcription, turn_detection=detection),
        output=AudioOutput(format=PCMU, voice="marin"),
    )
    declared = UNSET if tools is None else tools
    return SessionConfig(output_modalities=("audio",), instructions="Talk.", audio=audio, tools=declared)


class World:
    """One call; `run()` lets it happen.

    Args:
        plan: The agent.
        caller: The simulated caller.
        agent: The emulated model.
        genesys_delay: Seconds from Genesys to us, and back.
        ai_delay: Seconds from us to OpenAI, and back.
        connect_after: Seconds until the Realtime socket stands.
        refused_after: Seconds after which connecting fails instead.
        tools: What each function tool returns, and after how many seconds.
        others: The models that further legs are connected with, in turn; without one left, connecting fails for good.
        away: Seconds for which nobody can be connected after a loss.
    """

    def __init__(
        self,
        plan: CallPlan,
        caller: SimulatedCall,
        agent: EmulatorSession,
        *,
        genesys_delay: float = 0.02,
        ai_delay: float = 0.05,
        connect_after: float = 0.2,
        refused_after: float | None = None,
        tools: Callable[[str, str], tuple[str, float]] = lambda name, arguments: ('{"ok":true}', 0.3),
        others: Sequence[EmulatorSession] = (),
        away: float = 0.0,
    ) -> None:
        self.now = 1000.0
        self.plan, self.caller, self.agent = plan, caller, agent
        self.others = list(others)
        self.away = away
        self.agents: dict[int, EmulatorSession] = {}
        """The models, by the numbers of their legs; `agent` is the last one."""
        self.genesys_delay, self.ai_delay = genesys_delay, ai_delay
        self.connect_after, self.refused_after = connect_after, refused_after
        self.tools = tools
        self.call = Call(
            "call-1",
            session_id=caller.identity.session_id,
            organization_id=caller.identity.organization_id,
            now=self.now,
        )
        self.to_genesys: list[tuple[float, str | bytes]] = []
        self.to_ai: list[tuple[float, bytes]] = []
        self.from_ai: list[tuple[float, bytes]] = []
        self.turns: list[Turn] = []
        self.moments: list[RecordMoment] = []
        self.ended: list[CallEnded] = []
        self.on_barge_in: Callable[[], None] = lambda: None
        self._wires: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.lost_at: float | None = None
        """When the Realtime leg was last lost."""
        self._open: set[int] = set()

    def run(self, seconds: float = 600.0) -> None:
        """Until the call has ended on all sides, at most so long."""
        self.caller.connected(self.now)
        self._settle()
        end = self.now + seconds
        idle = 0
        while not (self.caller.finished and self.ended):
            due = self._next()
            assert due is not None, "nothing will ever happen again"
            assert due < end, "the call does not end"
            idle = idle + 1 if due <= self.now else 0
            assert idle < 1000, "time stands still"
            self.now = max(self.now, due)
            while self._wires and self._wires[0][0] <= self.now:
                heapq.heappop(self._wires)[2]()
                self._settle()
            cores: list[SimulatedCall | EmulatorSession] = [self.caller, *self.agents.values()]
            for core in cores:
                timer = core.next_timer()
                if timer is not None and timer <= self.now:
                    core.handle_timer(self.now)
            timer = self.call.next_timer(self.now)
            if timer is not None and timer <= self.now:
                self.call.handle_timer(self.now)
            self._settle()

    def _next(self) -> float | None:
        times = [self.caller.next_timer(), self.call.next_timer(self.now)]
        times += [agent.next_timer() for agent in self.agents.values()]
        if self._wires:
            times.append(self._wires[0][0])
        return min((at for at in times if at is not None), default=None)

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._wires, (self.now + delay, next(self._order), action))

    def _settle(self) -> None:
        """Put on the wires what the cores want to send, and carry out the call's commands."""
        busy = True
        while busy:
            busy = False
            for command in self.call.commands():
                busy = True
                self._carry_out(command)
            for data in self.caller.data_to_send():
                busy = True
                self._later(self.genesys_delay, partial(self._reach_call, data))
            for data in self.call.audiohook_data():
                busy = True
                self.to_genesys.append((self.now, data))
                self._later(self.genesys_delay, partial(self._reach_caller, data))
            for leg, agent in list(self.agents.items()):
                busy = self._exchange(leg, agent) or busy
            self.caller.events()
            if self.caller.finished and not self.ended and self.call.state.name != "ENDED":
                busy = True
                self.call.receive_eof(self.now)

    def _reach_call(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self.call.receive_text(data, self.now)
        else:
            self.call.receive_audio(data, self.now)

    def _reach_caller(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self.caller.receive_audio(data, self.now)
            return
        if '"barge_in"' in data:
            self.on_barge_in()
        self.caller.receive_text(data, self.now)

    def _exchange(self, leg: int, agent: EmulatorSession) -> bool:
        """Put on the wire what one leg and its model want to send; says whether there was anything."""
        busy = False
        for out in self.call.realtime_data(leg):
            busy = True
            self.to_ai.append((self.now, out))
            self._later(self.ai_delay, partial(self._reach_agent, agent, out))
        for back in agent.data_to_send():
            busy = True
            self.from_ai.append((self.now, back))
            self._later(self.ai_delay, partial(self._come_back, leg, back))
        if agent.close_code is not None and leg in self._open:
            busy = True
            self._open.discard(leg)
            code = None if agent.close_code == 1006 else agent.close_code
            self._later(self.ai_delay, partial(self._lose_ai, leg, code))
        return busy

    def lose(self, code: int | None = None) -> None:
        """Cut the Realtime leg that was connected last, here and now."""
        leg = max(self._open)
        self._open.discard(leg)
        del self.agents[leg]
        self._lose_ai(leg, code)

    def _reach_agent(self, agent: EmulatorSession, data: bytes) -> None:
        if agent in self.agents.values():
            agent.receive_text(data, self.now)

    def _come_back(self, leg: int, data: bytes) -> None:
        self.call.receive_realtime(leg, data, self.now)

    def _lose_ai(self, leg: int, code: int | None) -> None:
        self.lost_at = self.now
        self.call.realtime_lost(leg, code, "", self.now)

    def _carry_out(self, command: object) -> None:
        match command:
            case SelectAgent():
                self.call.accept(self.plan, self.now)
            case ConnectRealtime(leg=leg):
                self._dial(leg)
            case CloseRealtime(leg=leg):
                self._open.discard(leg)
                agent = self.agents.pop(leg, None)
                if agent is not None:
                    agent.receive_eof(self.now)
            case InvokeTool(call_id=call_id, name=name, arguments=arguments):
                output, delay = self.tools(name, arguments)
                outcome = ToolOutcome(output=output)
                self._later(delay, lambda: self.call.tool_result(call_id, outcome, self.now))
            case RecordTurn(turn=turn):
                self.turns.append(turn)
            case RecordMoment():
                self.moments.append(command)
            case CallEnded():
                self.ended.append(command)

    def _dial(self, leg: int) -> None:
        if self.refused_after is not None or (leg > 1 and not self.others):
            self._later(self.refused_after or 0.1, partial(self._refuse, leg, False))
        elif self.lost_at is not None and self.now < self.lost_at + self.away:
            self._later(0.05, partial(self._refuse, leg, True))
        else:
            self._later(self.connect_after, partial(self._connect, leg))

    def _refuse(self, leg: int, retryable: bool) -> None:
        self.call.realtime_lost(leg, None, "refused", self.now, retryable=retryable)

    def _connect(self, leg: int) -> None:
        if leg > 1:
            self.agent = self.others.pop(0)
        self.agents[leg] = self.agent
        self._open.add(leg)
        self.call.realtime_connected(leg, self.now)
        self.agent.connected(self.now)
