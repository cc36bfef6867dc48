import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from offhook import audiohook
from offhook.agents import Agent, AgentRegistry, ConnectorPath
from offhook.audiohook import ClientSession, Participant, ServerSession
from offhook.audiohook import server_link as audiohook_server_link
from offhook.bridge import Call, CallEnded, RecordMoment, Turn
from offhook.gateway import backpressure
from offhook.gateway.admission import PROCESS, AdmissionControl, CallLimit, CallLimits, Scope
from offhook.gateway.auth import Admission
from offhook.gateway.call_task import INTERNAL_ERROR, SOCKET_STUCK, CallServices, CallTask
from offhook.gateway.link import DialledLink, RealtimeLink, refused_with
from offhook.gateway.listener import UpgradeRequest
from offhook.gateway.observer import CallInfo, Observers
from tests.unit.gateway.fakes import Changes, FakeLink, FakeSocket

SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
CONVERSATION = "41b96cf6-f9f6-425f-80c5-1f0dfdba8871"
ANI = "+13175550123"
AGENTS = {
    "support": Agent(model="model-1", instructions="You are {{ input.NAME }}."),
    "needy": Agent(instructions="x", inputs={"MUST": {"required": True}}),  # type: ignore[dict-item]
    "listener": Agent(mode="listen"),
}


class World:
    """A call between a fake Genesys and a fake Realtime leg."""

    def __init__(
        self,
        connector: str = "support",
        *,
        dial: Callable[[], Awaitable[RealtimeLink]] | None = None,
        limits: CallLimits | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self.changes = Changes()
        self.until = self.changes.until
        self.socket = FakeSocket(self.changes)
        self.link = FakeLink(self.changes)
        self._dial = dial
        self.dialled: list[tuple[str, str]] = []
        self.reported: list[tuple[str, str, str]] = []
        self.ended: list[CallEnded] = []
        self.moments: list[str] = []
        self.turns: list[Turn] = []
        self.genesys = ClientSession(session_id=SESSION, organization_id=ORGANIZATION, conversation_id=CONVERSATION)
        self.heard: list[audiohook.ClientEvent] = []
        self._taken = 0
        self.admission = AdmissionControl(limits)
        services = CallServices(
            registry=AgentRegistry(AGENTS),
            dialer=self,
            observers=Observers([self]),
            tools={},
            admission=self.admission,
            idle_timeout=idle_timeout,
        )
        who = Admission(signed=True, key="europe")
        upgrade = UpgradeRequest(ConnectorPath(connector), who, SESSION, ORGANIZATION, "e160e428", "192.0.2.1", "2")
        self.task = CallTask(upgrade, self.socket, services)
        self.running = asyncio.ensure_future(self.task.run())

    async def dial(self, agent: str, model: str, ani: str) -> DialledLink:
        self.dialled.append((model, ani))
        return DialledLink(self.link if self._dial is None else await self._dial(), "openai")

    def dial_with(self, dial: Callable[[], Awaitable[RealtimeLink]]) -> None:
        """From now on, legs are connected like this."""
        self._dial = dial

    def report(self, provider: str, verdict: str, code: str, agent: str = "") -> None:
        self.reported.append((provider, verdict, code))

    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        self.turns.append(turn)

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        self.moments.append(moment.name)

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        assert info is self.task.info
        self.ended.append(ended)

    def say(self) -> None:
        """Let Genesys' messages arrive."""
        for message in self.genesys.data_to_send():
            self.socket.incoming.put_nowait(message)

    def open(self, **inputs: str) -> None:
        participant = Participant(id=CONVERSATION, ani=f"tel:{ANI}")
        self.genesys.send_open(time.monotonic(), participant=participant, input_variables={"NAME": "Eva", **inputs})
        self.say()

    def hang_up(self) -> None:
        self.genesys.send_close("end", time.monotonic())
        self.say()

    def listen(self) -> list[audiohook.ClientEvent]:
        """Let Genesys hear what was sent; it objects to whatever breaks the protocol."""
        new, self._taken = self.socket.sent[self._taken :], len(self.socket.sent)
        for message in new:
            if isinstance(message, str):
                self.genesys.receive_text(message, time.monotonic())
            else:
                self.genesys.receive_audio(message, time.monotonic())
        self.heard += self.genesys.events()
        assert not [event for event in self.heard if isinstance(event, audiohook.ServerViolated)]
        return self.heard

    def has_heard(self, kind: type) -> bool:
        return any(isinstance(event, kind) for event in self.listen())

    async def finish(self) -> CallEnded:
        """Wait until the call is over, and check that nothing is left."""
        async with asyncio.timeout(5):
            await self.running
        (ended,) = self.ended
        assert self.task._timer is None or self.task._timer.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert self.admission.counts() == {}
        if self.dialled and self._dial is None:
            assert self.link.closed.is_set()
        return ended

    async def disconnected(self) -> audiohook.DisconnectReceived:
        """Wait for the gateway's `disconnect`, and close as Genesys does then."""
        await self.until(lambda: self.has_heard(audiohook.DisconnectReceived))
        (event,) = [event for event in self.heard if isinstance(event, audiohook.DisconnectReceived)]
        self.genesys.send_close("disconnect", time.monotonic())
        self.say()
        await self.until(lambda: self.has_heard(audiohook.ClosedReceived))
        self.socket.incoming.put_nowait(None)
        return event

    def types_sent(self) -> list[str]:
        return [json.loads(data)["type"] for data in self.link.sent]


async def talking(world: World) -> None:
    """Bring the call to where the Realtime leg is connected and its session asked for."""
    world.open()
    await world.until(lambda: world.has_heard(audiohook.OpenedReceived))
    await world.until(lambda: world.link.receiver is not None)
    created = {"type": "session.created", "event_id": "e", "session": {"id": "sess_1", "type": "realtime"}}
    assert world.link.receiver is not None
    world.link.receiver.on_message(json.dumps(created).encode())
    assert world.types_sent() == ["session.update"]


async def test_a_call_from_open_to_hang_up() -> None:
    world = World()
    await talking(world)
    assert world.dialled == [("model-1", ANI)]
    update = json.loads(world.link.sent[0])
    assert update["session"]["instructions"] == "You are Eva."
    info = world.task.info
    assert (info.agent, info.conversation_id, info.organization_id) == ("support", CONVERSATION, ORGANIZATION)
    world.hang_up()
    await world.until(lambda: world.has_heard(audiohook.ClosedReceived))
    assert world.link.closed.is_set()
    world.socket.incoming.put_nowait(None)
    ended = await world.finish()
    assert (ended.outcome, ended.reason) == ("completed", "caller_hung_up")
    assert ended.output_variables["OFFHOOK_CALL_ID"] == info.call_id


async def test_opened_does_not_wait_for_the_ai() -> None:
    never: asyncio.Future[RealtimeLink] = asyncio.get_running_loop().create_future()
    world = World(dial=lambda: never)
    world.open()
    await world.until(lambda: world.has_heard(audiohook.OpenedReceived))
    world.hang_up()
    await world.until(lambda: world.has_heard(audiohook.ClosedReceived))
    assert never.cancelled()
    world.socket.incoming.put_nowait(None)
    assert (await world.finish()).reason == "caller_hung_up"


async def test_the_caller_is_gone_without_a_word() -> None:
    world = World()
    await talking(world)
    world.socket.incoming.put_nowait(None)
    ended = await world.finish()
    assert (ended.outcome, ended.reason) == ("failed", "socket_lost")


@pytest.mark.parametrize(("connector", "code"), [("nobody", "OH-CALL-01"), ("", "OH-CALL-02"), ("needy", "OH-CALL-04")])
async def test_a_call_that_nobody_can_take(connector: str, code: str) -> None:
    world = World(connector)
    with capture_logs() as logs:
        world.open()
        event = await world.disconnected()
        ended = await world.finish()
    assert event.reason == "error"
    assert event.info.startswith(code)
    assert (ended.outcome, ended.reason) == ("failed", code)
    assert world.dialled == []
    assert [line["code"] for line in logs if line["event"] == "call refused"] == [code]


async def test_a_listening_agent_dials_nobody() -> None:
    world = World("listener")
    world.open()
    await world.until(lambda: world.has_heard(audiohook.OpenedReceived))
    world.socket.incoming.put_nowait(b"\xff" * 1600)
    world.hang_up()
    await world.until(lambda: world.has_heard(audiohook.ClosedReceived))
    world.socket.incoming.put_nowait(None)
    await world.finish()
    assert world.dialled == []


async def test_a_connection_probe_reaches_no_agent() -> None:
    world = World("nobody")
    world.genesys = ClientSession(session_id=SESSION, organization_id=ORGANIZATION, conversation_id=audiohook.NIL_UUID)
    world.genesys.send_open(time.monotonic())
    world.say()
    await world.until(lambda: world.has_heard(audiohook.OpenedReceived))
    world.hang_up()
    await world.until(lambda: world.has_heard(audiohook.ClosedReceived))
    world.socket.incoming.put_nowait(None)
    assert (await world.finish()).outcome == "probe"
    assert world.dialled == []


async def test_an_ai_that_cannot_be_had() -> None:
    async def refuse() -> RealtimeLink:
        raise refused_with(401)

    world = World(dial=refuse)
    world.open()
    await world.disconnected()
    assert (await world.finish()).outcome == "failed"


async def test_a_dialler_with_a_fault() -> None:
    async def fail() -> RealtimeLink:
        raise RuntimeError("caller tel:+13175550123")

    world = World(dial=fail)
    with capture_logs() as logs:
        world.open()
        await world.disconnected()
        await world.finish()
    assert [line["code"] for line in logs if line["log_level"] == "error"] == [INTERNAL_ERROR]


async def test_the_realtime_leg_is_lost() -> None:
    world = World()
    await talking(world)
    assert world.link.receiver is not None

    async def refuse() -> RealtimeLink:
        raise refused_with(401)

    world.dial_with(refuse)
    with capture_logs() as logs:
        world.link.receiver.on_lost(1006, "the socket was lost")
        await world.disconnected()
        assert (await world.finish()).outcome == "failed"
    assert {"event": "realtime leg lost", "code": 1006}.items() <= logs[0].items()
    assert world.reported == [("openai", "failed", "OH-CALL-06")]
    assert world.link.closed.is_set()


async def test_the_realtime_leg_is_lost_and_another_one_takes_over() -> None:
    world = World()
    await talking(world)
    first = world.link
    assert first.receiver is not None
    second = FakeLink(world.changes)

    async def connect() -> RealtimeLink:
        return second

    world.dial_with(connect)
    first.receiver.on_lost(1011, "")
    await world.until(lambda: second.receiver is not None)
    assert second.receiver is not None
    second.receiver.on_message(b'{"type":"session.created","session":{"id":"sess_2"}}')
    await world.until(lambda: bool(second.sent))
    first.receiver.on_message(b'{"type":"session.created","session":{"id":"of the past"}}')
    assert len(world.dialled) == 2
    world.hang_up()
    await world.until(lambda: world.has_heard(audiohook.ClosedReceived))
    world.socket.incoming.put_nowait(None)
    await world.running
    assert first.closed.is_set()
    assert second.closed.is_set()


async def test_ending_from_outside() -> None:
    world = World()
    await talking(world)
    world.task.drain(10.0)
    event = await world.disconnected()
    assert event.output_variables["OFFHOOK_OUTCOME"] == "limit"
    ended = await world.finish()
    assert (ended.outcome, ended.reason) == ("limit", "drained")


async def test_deadlines_of_the_protocol_run_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiohook_server_link, "OPEN_TIMEOUT", 0.02)
    monkeypatch.setattr(audiohook_server_link, "CLOSE_TIMEOUT", 0.02)
    world = World()
    ended = await world.finish()
    assert ended.outcome == "failed"
    disconnect = json.loads(world.socket.sent[0])
    assert (disconnect["type"], disconnect["parameters"]["reason"]) == ("disconnect", "error")
    assert world.socket.closed_with == 1000


async def test_a_peer_that_stays_after_closed_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiohook_server_link, "CLOSE_TIMEOUT", 0.02)
    world = World()
    await talking(world)
    world.hang_up()
    ended = await world.finish()
    assert world.socket.closed_with == 1000
    assert ended.reason == "caller_hung_up"


async def test_a_fault_of_ours_still_ends_in_good_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await talking(world)

    def fail(*_: object) -> None:
        raise RuntimeError("what the caller said")

    monkeypatch.setattr(Call, "receive_realtime", fail)
    assert world.link.receiver is not None
    with capture_logs() as logs:
        world.link.receiver.on_message(b"{}")
        world.link.receiver.on_message(b"{}")
        world.task.drain(10.0)
        event = await world.disconnected()
        ended = await world.finish()
    assert event.reason == "error"
    assert event.info.startswith(INTERNAL_ERROR)
    assert (ended.outcome, ended.reason) == ("failed", INTERNAL_ERROR)
    assert event.output_variables == ended.output_variables
    assert ended.output_variables["OFFHOOK_REASON"] == INTERNAL_ERROR
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["internal error"]


async def test_a_fault_that_leaves_nothing_to_rely_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await talking(world)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("again")

    monkeypatch.setattr(Call, "receive_audio", fail)
    monkeypatch.setattr(ServerSession, "send_disconnect", fail)
    world.socket.incoming.put_nowait(b"\xff" * 1600)
    ended = await world.finish()
    assert world.socket.aborted
    assert (ended.outcome, ended.reason) == ("failed", INTERNAL_ERROR)


async def test_a_fault_in_the_deadlines_of_a_broken_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiohook_server_link, "CLOSE_TIMEOUT", 0.02)
    world = World()
    await talking(world)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Call, "receive_audio", fail)
    world.socket.incoming.put_nowait(b"\xff" * 1600)
    await world.finish()  # nobody answers the disconnect
    assert world.socket.closed_with == 1000


async def test_audio_waits_while_the_socket_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 0.001)
    told: list[bool] = []
    original = Call.set_writable

    def note(self: Call, writable: bool, now: float) -> None:
        told.append(writable)
        original(self, writable, now)
        world.changes.note()

    world = World()
    monkeypatch.setattr(Call, "set_writable", note)
    await talking(world)
    world.socket.unsent = backpressure.FULL + 1
    world.genesys.send_update("de-DE", time.monotonic())
    world.say()
    await world.until(lambda: told == [False])
    world.socket.unsent = 0
    await world.until(lambda: told == [False, True])
    world.socket.incoming.put_nowait(None)
    await world.finish()


async def test_a_socket_that_stays_full_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 0.001)
    world = World()
    await talking(world)
    world.socket.unsent = backpressure.TOO_FULL + 1
    with capture_logs() as logs:
        world.genesys.send_update("de-DE", time.monotonic())
        world.say()
        ended = await world.finish()
    assert (ended.outcome, ended.reason) == ("failed", SOCKET_STUCK)
    assert world.socket.aborted
    assert SOCKET_STUCK in [line.get("code") for line in logs]


async def test_cancelling_frees_everything() -> None:
    world = World()
    await talking(world)
    world.running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await world.running
    assert world.link.closed.is_set()
    (ended,) = world.ended
    assert ended.outcome == "failed"


async def test_the_log_has_identifiers_and_nothing_else() -> None:
    with capture_logs() as logs:
        world = World()
        await talking(world)
        world.socket.incoming.put_nowait(None)
        await world.finish()
    began, accepted, connected, ended = (line for line in logs if line["log_level"] != "debug")
    assert (began["key"], began["retry"]) == ("europe", "2")
    assert began["call"] == accepted["call"] == connected["call"] == world.task.info.call_id
    assert accepted["conversation"] == ended["conversation"] == CONVERSATION
    assert ANI not in str(logs)
    assert "Eva" not in str(logs)


# Limits.


async def test_a_call_is_counted_from_open_to_the_end_of_its_socket() -> None:
    world = World()
    assert world.admission.counts() == {}
    await talking(world)
    assert world.admission.counts() == {
        PROCESS: 1,
        Scope("key", "europe"): 1,
        Scope("organization", ORGANIZATION): 1,
        Scope("agent", "support"): 1,
    }
    world.hang_up()
    await world.until(lambda: world.has_heard(audiohook.ClosedReceived))
    assert world.admission.calls == 1
    world.socket.incoming.put_nowait(None)
    await world.finish()


async def test_a_call_beyond_a_limit_ends_in_the_protocol_with_complete_variables() -> None:
    world = World(limits=CallLimits(keys={"europe": CallLimit(max_calls=1)}))
    standing = world.admission.admit(key="europe", organization=ORGANIZATION, agent="support", now=0.0)
    with capture_logs() as logs:
        world.open()
        event = await world.disconnected()
        assert world.admission.calls == 1
        standing.release()
        ended = await world.finish()
    assert (event.reason, event.info) == ("error", "OH-LIMIT-02 the API key may have no more than 1 calls at a time")
    assert event.output_variables == ended.output_variables
    assert {"OFFHOOK_OUTCOME": "failed", "OFFHOOK_REASON": "OH-LIMIT-02"}.items() <= event.output_variables.items()
    assert set(event.output_variables) == {
        "OFFHOOK_CALL_ID",
        "OFFHOOK_OUTCOME",
        "OFFHOOK_REASON",
        "OFFHOOK_SUMMARY",
        "OFFHOOK_DURATION_S",
        "OFFHOOK_COST_USD",
    }
    assert (ended.outcome, ended.reason) == ("failed", "OH-LIMIT-02")
    assert world.dialled == []
    assert [line["code"] for line in logs if line["event"] == "call refused"] == ["OH-LIMIT-02"]


async def test_a_call_that_cannot_be_planned_is_not_counted() -> None:
    world = World("needy")
    world.open()
    await world.until(lambda: world.has_heard(audiohook.DisconnectReceived))
    assert world.admission.counts() == {}, "though its socket still stands"
    await world.disconnected()
    await world.finish()


async def test_a_connection_probe_is_not_counted() -> None:
    world = World(limits=CallLimits(process=CallLimit(max_calls=1)))
    standing = world.admission.admit(key="", organization="", agent="", now=0.0)
    world.genesys = ClientSession(session_id=SESSION, organization_id=ORGANIZATION, conversation_id=audiohook.NIL_UUID)
    world.genesys.send_open(time.monotonic())
    world.say()
    await world.until(lambda: world.has_heard(audiohook.OpenedReceived))
    assert world.admission.calls == 1
    standing.release()
    world.socket.incoming.put_nowait(None)
    await world.finish()


async def _gone(world: World) -> None:
    world.socket.incoming.put_nowait(None)


async def _hung_up(world: World) -> None:
    world.hang_up()
    world.socket.incoming.put_nowait(None)


async def _drained(world: World) -> None:
    world.task.drain(0.0)
    await world.disconnected()


async def _cut(world: World) -> None:
    world.task.cut("limit", "test", "OH-GATE-03 test")
    await world.disconnected()


async def _violated(world: World) -> None:
    world.socket.incoming.put_nowait("{}")
    await world.disconnected()


async def _ai_lost(world: World) -> None:
    async def refuse() -> RealtimeLink:
        raise refused_with(401)

    assert world.link.receiver is not None
    world.dial_with(refuse)
    world.link.receiver.on_lost(1006, "gone")
    await world.disconnected()


async def _faulty(world: World) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    world.task._call.receive_audio = fail  # type: ignore[method-assign, assignment]
    world.socket.incoming.put_nowait(b"\xff" * 160)
    await world.disconnected()


async def _faulty_all_over(world: World) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    for part in (world.task._call, world.task._call.audiohook):
        part.receive_eof = fail  # type: ignore[method-assign]
        part.receive_audio = fail  # type: ignore[method-assign]
    world.task._call.audiohook.send_disconnect = fail  # type: ignore[method-assign, assignment]
    world.socket.incoming.put_nowait(b"\xff" * 160)


async def _cancelled(world: World) -> None:
    world.running.cancel()


async def _stuck(world: World) -> None:
    world.socket.unsent = backpressure.TOO_FULL + 1
    world.genesys.send_update("de-DE", time.monotonic())
    world.say()


WAYS_TO_END = (
    _gone, _hung_up, _drained, _cut, _violated, _ai_lost, _faulty, _faulty_all_over, _cancelled, _stuck
)  # fmt: skip


@pytest.mark.parametrize("end", WAYS_TO_END, ids=lambda end: end.__name__.strip("_"))
@pytest.mark.parametrize("opened", [False, True], ids=["connecting", "talking"])
async def test_however_a_call_ends_it_is_counted_no_more(
    end: Callable[[World], Awaitable[None]], opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backpressure, "LOOK_EVERY", 0.001)
    world = World()
    if opened or end is _ai_lost:
        await talking(world)
    else:
        world.open()
        await world.until(lambda: world.has_heard(audiohook.OpenedReceived))
    assert world.admission.calls == 1
    await end(world)
    async with asyncio.timeout(5):
        await asyncio.wait([world.running])
    assert world.admission.counts() == {}
    assert len(world.ended) == 1


async def test_a_genesys_that_is_silent_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiohook_server_link, "CLOSE_TIMEOUT", 0.02)
    world = World(idle_timeout=0.05)
    await talking(world)
    ended = await world.finish()  # nobody answers the disconnect
    assert (ended.outcome, ended.reason) == ("failed", "OH-HOOK-15")
    disconnect = json.loads(world.socket.sent[-1])
    assert disconnect["parameters"]["info"].startswith("OH-HOOK-15")
    assert disconnect["parameters"]["outputVariables"]["OFFHOOK_REASON"] == "OH-HOOK-15"
    assert world.link.closed.is_set()
    assert world.socket.closed_with == 1000
