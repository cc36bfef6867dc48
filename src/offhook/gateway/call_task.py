"""One call on real sockets: the single owner of everything that a call holds.

`bridge.Call` decides; this shell carries. What arrives is fed to the call with the time, what the call wants is done,
and nothing waits on the way: both sockets are written without waiting, and whatever takes time (connecting the Realtime
leg, running a tool) is a task beside the call, in the task group that ends with it.
"""

import asyncio
import contextlib
import functools
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from offhook.agents import Agent, AgentRegistry, PlanError, call_context, plan_call
from offhook.agents.prices import PriceList
from offhook.audiohook import OpenParameters, ServerSession
from offhook.bridge import (
    Call,
    CallEnded,
    CallPlan,
    ChangeLanguage,
    CloseRealtime,
    Command,
    ConnectRealtime,
    InvokeTool,
    RecordMoment,
    RecordTurn,
    ReportRealtime,
    SelectAgent,
)
from offhook.gateway.admission import AdmissionControl, NotAdmitted, Place
from offhook.gateway.audiohook_socket import AudioHookSocket
from offhook.gateway.backpressure import Backpressure
from offhook.gateway.link import ABNORMAL_CLOSURE, DialledLink, RealtimeConnectError, RealtimeDialer, RealtimeLink
from offhook.gateway.listener import UpgradeRequest
from offhook.gateway.observer import CallInfo, Observers
from offhook.telemetry.logging import get_logger
from offhook.tools import CallContext, ToolRunner, ToolSet

INTERNAL_ERROR = "OH-GATE-01"
SOCKET_STUCK = "OH-GATE-02"

MIN_TIMER = 0.001
"""Seconds that a timer takes at least, so that no fault of ours can keep the loop busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallServices:
    """What calls share."""

    registry: AgentRegistry
    dialer: RealtimeDialer
    tools: Mapping[str, ToolSet] = field(default_factory=dict)
    """Tools of each agent, by the agent's name."""
    observers: Observers = field(default_factory=Observers)
    prices: PriceList | None = None
    admission: AdmissionControl = field(default_factory=AdmissionControl)
    """Counts the calls and says which are too many; by default, none is."""
    idle_timeout: float | None = None
    """Seconds without a sign of life of Genesys after which a call is given up; None = never."""


class CallTask:
    """Carries one call from the upgrade until both sockets are gone."""

    def __init__(self, upgrade: UpgradeRequest, socket: AudioHookSocket, services: CallServices) -> None:
        self._upgrade = upgrade
        self._socket = socket
        self._services = services
        self._clock = time.monotonic()
        self.info = CallInfo(str(uuid.uuid4()), connector_id=upgrade.connector.connector_id)
        self._call = Call(
            self.info.call_id,
            session_id=upgrade.session_id,
            organization_id=upgrade.organization_id,
            now=self._clock,
            unix=time.time(),
            idle_timeout=services.idle_timeout,
        )
        self._place: Place | None = None
        """Where the call is counted, from its `open` on."""
        self._log = get_logger("offhook.gateway.call").bind(call=self.info.call_id)
        self._tasks = asyncio.TaskGroup()
        self._beside: set[asyncio.Task[None]] = set()
        """Tasks that are cancelled when the call is over."""
        self._connecting: dict[int, asyncio.Task[None]] = {}
        self._legs: dict[int, DialledLink] = {}
        """Realtime legs that stand, by their numbers; mostly one."""
        self._closing: list[RealtimeLink] = []
        self._providers: dict[int, str] = {}
        """Who each leg was connected with, also when it is gone."""
        self._agent: Agent | None = None
        self._opened: OpenParameters | None = None
        self._context: CallContext | None = None
        self._tools: ToolRunner | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._backpressure = Backpressure(socket, self._on_writable, self._on_stuck)
        self._dropping = False
        self._genesys: Call | ServerSession = self._call
        """What the Genesys leg feeds: the call or, after a fault of ours, only its AudioHook session."""
        self._ended = False
        self._last_variables: dict[str, str] = {}
        """What the flow got after a fault of ours."""

    async def run(self) -> None:
        """Carry the call; returns when everything of it is freed."""
        # Not the Connector ID: the flow may have computed it of anything, a caller's number included.
        self._log.info(
            "call began",
            correlation=_identifier(self._upgrade.correlation_id),
            retry=_identifier(self._upgrade.retry_attempt),
            key=self._upgrade.admission.key,
            remote=self._upgrade.remote,
        )
        try:
            async with self._tasks:
                self._feed(lambda _now: None)  # arms the timer: `open` has to come
                await self._read()
                for task in self._beside:
                    task.cancel()
            for leg in list(self._legs):
                self._close_realtime(leg)
            await asyncio.gather(*(link.wait_closed() for link in self._closing))
        finally:
            self._free()

    def drain(self, seconds: float) -> None:
        """The gateway stops: the caller is told, then the call ends, within so many seconds."""
        if self._genesys is self._call:
            self._feed(self._call.drain, seconds)

    def cut(self, outcome: str, reason: str, info: str) -> None:
        """End the call now, whatever is being said; Genesys is told all the same."""
        if self._genesys is self._call:
            self._feed(self._call.cut, outcome, reason, info)

    # What happens:

    async def _read(self) -> None:
        while (message := await self._socket.receive()) is not None:
            if isinstance(message, bytes):
                self._feed(self._genesys.receive_audio, message)
            else:
                self._feed(self._genesys.receive_text, message)
        self._feed(self._genesys.receive_eof)

    def receive_realtime(self, leg: int, data: bytes) -> None:
        """A Realtime leg sent a message."""
        if self._genesys is self._call:
            self._feed(self._call.receive_realtime, leg, data)

    def realtime_lost(self, leg: int, code: int, reason: str) -> None:
        """A Realtime leg was lost."""
        self._log.warning("realtime leg lost", leg=leg, code=code)
        self._close_realtime(leg)
        self._feed(self._call.realtime_lost, leg, None if code == ABNORMAL_CLOSURE else code, reason)

    def _on_timer(self) -> None:
        self._timer = None
        # uvloop's timers may be a little early, and the call's deadlines are exact.
        self._clock = max(self._clock, self._timer_at)
        self._feed(self._genesys.handle_timer)

    def _on_writable(self, writable: bool) -> None:
        if self._genesys is self._call:
            self._feed(self._call.set_writable, writable)

    def _on_stuck(self) -> None:
        self._log.warning("genesys does not read", code=SOCKET_STUCK)
        self.cut("failed", SOCKET_STUCK, f"{SOCKET_STUCK} Genesys does not read")
        self._socket.abort()

    def _feed(self, step: Callable[..., object], *arguments: object) -> None:
        """Tell the call what happened, then do what it wants."""
        now = self._clock = max(self._clock, time.monotonic())
        try:
            step(*arguments, now)
            self._pump(now)
        except Exception as error:
            self._break_off(error)

    # What the call wants:

    def _pump(self, now: float) -> None:
        call = self._call
        if self._genesys is not call:
            self._pump_session(now)
            return
        while commands := call.commands():
            for command in commands:
                self._execute(command, now)
        messages = call.audiohook_data()
        if messages:
            for message in messages:
                self._socket.send(message)
            self._backpressure.look()
        for number, leg in self._legs.items():
            for event in call.realtime_data(number):
                leg.link.send(event)
        self._finish_step(call.next_timer(now), now)

    def _finish_step(self, timer: float | None, now: float) -> None:
        if self._call.close_expected and not self._dropping:
            self._dropping = True
            self._start(self._socket.close(1000), cancel=False)
        if timer is None or (self._timer is not None and self._timer_at <= timer):
            return  # A timer that fires too early does no harm, and leaving it is cheaper than replacing it.
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = timer
        self._timer = asyncio.get_running_loop().call_later(max(MIN_TIMER, timer - now), self._on_timer)

    def _execute(self, command: Command, now: float) -> None:
        match command:
            case RecordMoment(name=name, data=data):
                self._log.debug(name, **data)
                self._services.observers.on_moment(self.info, command)
            case RecordTurn(turn=turn):
                self._services.observers.on_turn(self.info, turn)
            case InvokeTool():
                self._start(self._run_tool(command))
            case SelectAgent(parameters=parameters):
                self._select(parameters, now)
            case ChangeLanguage(language=language):
                self._change_language(language, now)
            case ConnectRealtime(leg=leg):
                self._connecting[leg] = self._start(self._connect_realtime(leg))
            case CloseRealtime(leg=leg):
                self._close_realtime(leg)
            case ReportRealtime():
                self._report(command)
            case CallEnded():
                self._finish(command)

    def _select(self, parameters: OpenParameters, now: float) -> None:
        self._opened = parameters
        info, connector = self.info, self._upgrade.connector
        info.conversation_id, info.organization_id = parameters.conversation_id, parameters.organization_id
        self._log = self._log.bind(conversation=_identifier(info.conversation_id))
        try:
            name, agent = self._services.registry.resolve(connector, self._upgrade.admission.agents)
            self._place = self._services.admission.admit(
                key=self._upgrade.admission.key, organization=parameters.organization_id, agent=name, now=now
            )
            plan = self._plan(agent, name, parameters)
        except (PlanError, NotAdmitted) as error:
            self._leave()
            self._log.warning("call refused", code=error.code, detail=error.info)
            self._call.refuse("error", f"{error.code} {error.info}", now)
            return
        info.agent, self._agent = name, agent
        self._log.info("call accepted", agent=name)
        self._call.accept(plan, now)

    def _plan(self, agent: Agent, name: str, parameters: OpenParameters) -> CallPlan:
        connector, call_id = self._upgrade.connector, self.info.call_id
        context = call_context(agent, name, parameters, connector, call_id=call_id)
        # A call keeps the tools and the budget that it began with.
        tools = self._tools or (self._services.tools.get(name) or ToolSet()).begin(context)
        prices = self._services.prices
        plan = plan_call(agent, name, parameters, connector, call_id=call_id, tools=tools.tools, prices=prices)
        self._context, self._tools, tools.context = context, tools, context
        return plan

    def _change_language(self, language: str, now: float) -> None:
        opened, agent, name = self._opened, self._agent, self.info.agent
        assert opened is not None and agent is not None  # noqa: S101, PT018 - the call has an agent
        parameters = msgspec.structs.replace(opened, language=language)
        try:
            plan = self._plan(agent, name, parameters)
        except PlanError as error:
            # It could be planned in the first language, so the call goes on in that.
            self._log.warning("language not changed", code=error.code, detail=error.info)
            return
        self._call.change_language(plan, now)

    async def _connect_realtime(self, leg: int) -> None:
        agent, context = self._agent, self._context
        assert agent is not None and context is not None  # noqa: S101, PT018 - `accept` comes before `ConnectRealtime`
        call = self._call
        try:
            dialled = await self._services.dialer.dial(self.info.agent, agent.model, context.ani)
        except RealtimeConnectError as error:
            self._feed(functools.partial(call.realtime_lost, retryable=error.retryable), leg, None, str(error))
            return
        except Exception as error:
            self._log.error("connecting failed", code=INTERNAL_ERROR, exc_info=error)
            self._feed(functools.partial(call.realtime_lost, retryable=False), leg, None, INTERNAL_ERROR)
            return
        finally:
            self._connecting.pop(leg, None)
        self._legs[leg] = dialled
        self._providers[leg] = dialled.provider
        self._log.info("realtime leg connected", leg=leg, provider=dialled.provider)
        self._feed(functools.partial(call.realtime_connected, created=dialled.created), leg)
        dialled.link.start(_Leg(self, leg))

    def _close_realtime(self, leg: int) -> None:
        if (connecting := self._connecting.pop(leg, None)) is not None:
            connecting.cancel()
        if (dialled := self._legs.pop(leg, None)) is not None:
            dialled.link.close()
            self._closing.append(dialled.link)

    def _report(self, report: ReportRealtime) -> None:
        provider = self._providers.get(report.leg)
        if provider is not None:
            self._services.dialer.report(provider, report.verdict, report.code, self.info.agent)

    async def _run_tool(self, command: InvokeTool) -> None:
        assert self._tools is not None  # noqa: S101 - no tools before `accept`
        self._feed(self._call.tool_result, command.call_id, await self._tools.run(command))

    def _start(self, work: Awaitable[None], *, cancel: bool = True) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._tasks.create_task(work)  # type: ignore[arg-type]  # all are coroutines
        if cancel:
            self._beside.add(task)
            task.add_done_callback(self._beside.discard)
        return task

    # The end:

    def _finish(self, ended: CallEnded) -> None:
        if self._ended:
            return
        self._ended = True
        self._log.info(
            "call ended",
            outcome=ended.outcome,
            reason=_identifier(ended.reason),
            seconds=round(self._clock - self.info.began, 3),
        )
        self._services.observers.on_ended(self.info, ended)

    def _break_off(self, error: Exception) -> None:
        """A fault of ours: the call cannot be trusted any more, but Genesys still gets a clean end."""
        self._log.error("internal error", code=INTERNAL_ERROR, exc_info=error)
        session = self._call.audiohook
        if self._genesys is session:
            self._socket.abort()
            return
        self._genesys = session
        for leg in (*self._connecting, *self._legs):
            self._close_realtime(leg)
        for task in self._beside:
            task.cancel()
        self._feed(self._disconnect_broken)

    def _disconnect_broken(self, now: float) -> None:
        with contextlib.suppress(Exception):  # the state that they come from may be what is broken
            self._last_variables = self._call.last_variables(INTERNAL_ERROR, now)
        info = f"{INTERNAL_ERROR} internal error"
        self._call.audiohook.send_disconnect("error", now, info=info, output_variables=self._last_variables)

    def _pump_session(self, now: float) -> None:
        session = self._call.audiohook
        session.events()
        for message in session.data_to_send():
            self._socket.send(message)
        self._finish_step(session.next_timer(), now)

    def _free(self) -> None:
        """Leave nothing behind, whatever brought us here."""
        self._leave()
        self._dropping = True  # There is nobody left to close the socket politely for.
        self._feed(self._genesys.receive_eof)
        self._finish(CallEnded(outcome="failed", reason=INTERNAL_ERROR, output_variables=self._last_variables))
        if self._timer is not None:
            self._timer.cancel()
        self._backpressure.stop()
        for leg in self._legs.values():
            leg.link.close()

    def _leave(self) -> None:
        """Be counted no more."""
        if self._place is not None:
            self._place.release()


class _Leg:
    """Takes what comes out of one Realtime link."""

    def __init__(self, task: CallTask, number: int) -> None:
        self._task = task
        self._number = number

    def on_message(self, data: bytes) -> None:
        """A message arrived."""
        self._task.receive_realtime(self._number, data)

    def on_lost(self, code: int, reason: str) -> None:
        """The link was lost."""
        self._task.realtime_lost(self._number, code, reason)


def _identifier(text: str | None) -> str | None:
    """Give back what looks like an identifier, for the log; anything else may be what somebody said."""
    return text if text is not None and re.fullmatch(r"[0-9A-Za-z_-]{1,64}", text) else None
