import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from offhook import realtime as rt
from offhook.config import WarmConfig
from offhook.gateway.dialer import Dialer
from offhook.gateway.link import DialledLink, LinkReceiver, refused_with
from offhook.gateway.provider_health import MAX_FAILURES, REST
from offhook.gateway.warm_pool import INTERNAL_ERROR, LOST, MAX_KEPT, MAX_PAUSE, SETUP_TIMEOUT, STEADY, WarmAgent
from tests.fakes.virtual_time import virtual
from tests.unit.gateway.connecting import Behaviour, Connector, dialer
from tests.unit.gateway.fakes import FakeLink
from tests.unit.realtime.driving import CONFIG, DEFAULTS

MAX_AGE = 600.0
CREATED = rt.encode_server_event(rt.SessionCreatedEvent(session=DEFAULTS))
ECHO = rt.encode_server_event(rt.SessionUpdatedEvent(session=rt.merge_config(DEFAULTS, CONFIG)))


def said(type_: str, **fields: Any) -> bytes:
    return json.dumps({"type": type_, "event_id": "e", **fields}).encode()


LISTED = said("mcp_list_tools.completed", item_id="item_1")


def error(code: str) -> bytes:
    return said("error", error={"type": "invalid_request_error", "code": code, "message": "m"})


class Server(FakeLink):
    """A link with a server behind it, which says `greeting` when it is listened to, and `answer` to session.update."""

    greeting: tuple[bytes, ...] = (CREATED,)
    answer: tuple[bytes, ...] = (ECHO,)

    def start(self, receiver: LinkReceiver) -> None:
        first = self.receiver is None
        super().start(receiver)
        if first:
            self.say(*self.greeting)

    def send(self, data: bytes) -> None:
        super().send(data)
        if len(self.sent) == 1:
            asyncio.get_running_loop().call_soon(self.say, *self.answer)

    def say(self, *messages: bytes) -> None:
        assert self.receiver is not None
        for message in messages:
            self.receiver.on_message(message)

    def lose(self, code: int = 1006) -> None:
        assert self.receiver is not None
        self.receiver.on_lost(code, "gone")


def server(greeting: tuple[bytes, ...] = (CREATED,), answer: tuple[bytes, ...] = (ECHO,)) -> Callable[[], Server]:
    return type("Odd", (Server,), {"greeting": greeting, "answer": answer})


class Recorder:
    def __init__(self) -> None:
        self.heard: list[bytes | int] = []

    def on_message(self, data: bytes) -> None:
        self.heard.append(data)

    def on_lost(self, code: int, reason: str) -> None:
        self.heard.append(code)


class World:
    """A dialer with a pool, and the servers that it reached."""

    def __init__(
        self,
        size: int = 1,
        *,
        session: Callable[[], rt.SessionConfig] = lambda: CONFIG,
        hosts: Mapping[str, Behaviour] | None = None,
    ) -> None:
        self.connector = Connector(**(hosts or {"a": 0.5}))
        self.make(Server)
        self.dialer: Dialer = dialer(
            self.connector,
            warm=WarmConfig(size=size, max_age=MAX_AGE),
            warm_agents={"support": WarmAgent("m", session)},
        )
        self.dialer.start()

    def make(self, link: Callable[[], FakeLink]) -> None:
        self.connector.make_link = link

    @property
    def servers(self) -> list[Server]:
        return [link for links in self.connector.links.values() for link in links if isinstance(link, Server)]

    @property
    def open(self) -> int:
        return sum(not one.closed.is_set() for one in self.servers)

    async def take(self, agent: str = "support", model: str = "m") -> DialledLink:
        return await self.dialer.dial(agent, model, "+13175550123")

    async def close(self) -> None:
        await self.dialer.close()
        await asyncio.sleep(0)


def now() -> float:
    return round(asyncio.get_running_loop().time(), 6)


# --- what is kept


@virtual
async def test_without_a_size_there_are_none() -> None:
    world = World(0)
    await asyncio.sleep(100)
    assert (world.connector.asked, world.dialer.warm) == ([], {})
    assert (await world.take()).created is None
    await world.close()


@virtual
async def test_a_call_takes_a_session_that_is_ready_and_another_is_prepared() -> None:
    world = World(2)
    await asyncio.sleep(2.0)
    assert world.connector.asked == [(0.0, "a"), (0.5, "a")]
    (update,) = world.servers[0].sent
    assert rt.decode_client_event(update) == rt.SessionUpdateEvent(event_id="oh_1", session=CONFIG)
    dialled = await world.take()
    assert (now(), dialled.provider, dialled.created) == (2.0, "a", CREATED)
    await asyncio.sleep(1.0)
    assert len(world.connector.asked) == 3
    session = rt.RealtimeSession(CONFIG)
    session.adopt(dialled.created or b"", now())
    assert session.state is rt.SessionState.READY
    await world.close()
    assert not world.servers[0].closed.is_set()
    dialled.link.close()
    await dialled.link.wait_closed()
    assert world.open == 0


@virtual
async def test_when_all_are_taken_a_call_connects_for_itself() -> None:
    world = World(1)
    await asyncio.sleep(2.0)
    first, second = await asyncio.gather(world.take(), world.take())
    assert (first.created, second.created) == (CREATED, None)
    assert (await world.take("sales")).created is None
    await asyncio.sleep(2.0)
    assert (await world.take(model="other")).created is None
    assert (await world.take()).created == CREATED
    await world.close()


@virtual
async def test_no_caller_is_named_on_a_warm_connection() -> None:
    world = World(1, hosts={"api.openai.com": 0.5})
    await asyncio.sleep(2.0)
    ((_, headers, _),) = world.connector.requests
    assert "OpenAI-Safety-Identifier" not in headers
    await world.close()


@virtual
async def test_old_ones_are_replaced() -> None:
    world = World(1)
    await asyncio.sleep(1.1 + MAX_AGE)
    first, second = world.servers
    assert first.closed.is_set()
    assert not second.closed.is_set()
    await world.close()
    assert world.open == 0


@virtual
async def test_one_that_is_lost_is_replaced() -> None:
    world = World(1)
    await asyncio.sleep(STEADY + 1.0)
    world.servers[0].lose()
    await asyncio.sleep(1.0)
    assert [at for at, _ in world.connector.asked] == [0.0, STEADY + 1.0]
    assert world.dialer.status() == {"a": "ok"}
    await world.close()


@virtual
async def test_one_that_is_lost_at_once_is_replaced_with_patience() -> None:
    class Fleeting(Server):
        def start(self, receiver: LinkReceiver) -> None:
            super().start(receiver)
            asyncio.get_running_loop().call_later(0.1, self.lose, 1001)

    world = World(1)
    world.make(Fleeting)
    await asyncio.sleep(400.0)
    pauses = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(world.connector.asked)]
    assert pauses[:3] == pytest.approx([1.6, 2.6, 4.6])
    assert pauses[-1] == pytest.approx(MAX_PAUSE + 0.6)
    assert world.dialer.status() == {"a": "ok"}
    await world.close()


@pytest.mark.parametrize("message", [error("session_expired"), b"{", LISTED + b" " * MAX_KEPT])
@virtual
async def test_one_that_says_odd_things_is_replaced(message: bytes) -> None:
    world = World(1)
    await asyncio.sleep(2.0)
    odd = world.servers[0]
    odd.say(message)
    odd.say(LISTED)
    odd.lose()
    assert odd.closed.is_set()
    await asyncio.sleep(2.0)
    assert world.open == 1
    await world.close()


# --- the way to a session


@pytest.mark.parametrize(
    ("link", "code", "status", "seconds"),
    [
        pytest.param(server(greeting=()), "OH-RT-02", "ok", SETUP_TIMEOUT, id="never-created"),
        pytest.param(server(answer=()), "OH-RT-03", "ok", SETUP_TIMEOUT, id="never-confirmed"),
        pytest.param(server(answer=(error("invalid_value"),)), "OH-RT-06", "unusable", 0.0, id="settings-refused"),
        pytest.param(server(greeting=(error("insufficient_quota"),)), "OH-RT-07", "unusable", 0.0, id="no-quota"),
        pytest.param(server(answer=(ECHO, error("server_error"))), LOST, "ok", 0.0, id="an-error-right-behind"),
    ],
)
@virtual
async def test_a_session_that_cannot_be_set_up(
    link: Callable[[], FakeLink], code: str, status: str, seconds: float
) -> None:
    world = World(1)
    world.make(link)
    with capture_logs() as logs:
        await asyncio.sleep(0.6 + seconds)
    assert [line["code"] for line in logs if line["event"] == "no warm connection"] == [code]
    assert world.dialer.status() == {"a": status}
    assert world.open == 0
    assert world.servers
    await world.close()


@pytest.mark.parametrize(("code", "status"), [(3000, "unusable"), (1006, "ok"), (1011, "ok")])
@virtual
async def test_a_socket_that_is_closed_during_the_set_up(code: int, status: str) -> None:
    world = World(1)
    world.make(server(greeting=()))
    await asyncio.sleep(1.0)
    world.servers[0].lose(code)
    await asyncio.sleep(0.1)
    assert world.dialer.status() == {"a": status}
    assert world.open == 0
    await world.close()


@virtual
async def test_a_session_that_cannot_be_planned_is_tried_again() -> None:
    broken = True

    def session() -> rt.SessionConfig:
        if broken:
            raise RuntimeError("the tools cannot be listed")
        return CONFIG

    world = World(1, session=session)
    with capture_logs() as logs:
        await asyncio.sleep(0.5)
        broken = False
        await asyncio.sleep(1.1)
    assert [line["code"] for line in logs if "code" in line] == [INTERNAL_ERROR, INTERNAL_ERROR]
    assert (await world.take()).created == CREATED
    await world.close()


# --- providers that do not work


@virtual
async def test_a_provider_that_rests_gets_none_until_the_pool_has_tried_it_again() -> None:
    world = World(1, hosts={"a": refused_with(503), "b": 0.5})
    await asyncio.sleep(20.0)
    assert world.dialer.status() == {"a": "resting", "b": "ok"}
    assert world.connector.hosts == ["a"] * MAX_FAILURES + ["b"]
    world.connector.behave("a", 0.5)
    rested_at = world.connector.asked[MAX_FAILURES - 1][0]
    await asyncio.sleep(rested_at + REST - now())
    assert (await world.take()).provider == "b"
    await asyncio.sleep(1.0)
    assert world.connector.hosts[-1] == "a"
    assert world.dialer.status() == {"a": "ok", "b": "ok"}
    assert (await world.take()).provider == "a"
    await world.close()


@virtual
async def test_what_broke_one_may_have_broken_all() -> None:
    world = World(3)
    await asyncio.sleep(5.0)
    assert (world.open, world.dialer.warm) == (3, {"support": 3})
    world.dialer.report("b", "failed", "OH-RT-08")
    assert world.open == 3
    world.dialer.report("a", "failed", "OH-RT-08", "sales")
    assert world.open == 0
    await asyncio.sleep(5.0)
    assert world.open == 3
    await world.close()


@virtual
async def test_nobody_is_asked_while_all_rest() -> None:
    world = World(1, hosts={"a": refused_with(401)})
    with capture_logs() as logs:
        await asyncio.sleep(50.0)
    assert world.connector.hosts == ["a"]
    assert [line["code"] for line in logs if line["event"] == "no warm connection"] == ["OH-CONN-04"]
    await world.close()


# --- the gateway stops


@virtual
async def test_a_drain_closes_them_and_calls_may_still_dial() -> None:
    world = World(2)
    await asyncio.sleep(5.0)
    world.dialer.drain()
    assert world.open == 0
    await asyncio.sleep(5.0)
    assert len(world.connector.asked) == 2
    assert (await world.take()).created is None
    await world.close()


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.7])
@virtual
async def test_what_is_being_prepared_is_closed_with_the_rest(seconds: float) -> None:
    world = World(1)
    world.make(server(answer=()))
    await asyncio.sleep(seconds)
    await world.close()
    assert (world.open, world.connector.under_way) == (0, 0)
    assert len(world.connector.asked) == 1


# --- the hand-over


@virtual
async def test_nothing_that_arrives_before_the_call_listens_is_lost() -> None:
    world = World(1)
    world.make(server(greeting=(said("conversation.created", conversation={}), CREATED), answer=(ECHO, LISTED)))
    await asyncio.sleep(2.0)
    link = (await world.take()).link
    peer = world.servers[0]
    peer.say(b"in between")
    recorder = Recorder()
    link.start(recorder)
    peer.say(b"afterwards")
    peer.lose(1001)
    assert recorder.heard == [peer.greeting[0], LISTED, b"in between", b"afterwards", 1001]
    link.send(b"{}")
    assert peer.sent[-1] == b"{}"
    await world.close()


@virtual
async def test_a_loss_before_the_call_listens_is_told() -> None:
    world = World(1)
    await asyncio.sleep(2.0)
    link = (await world.take()).link
    world.servers[0].lose(1011)
    recorder = Recorder()
    link.start(recorder)
    assert recorder.heard == [1011]
    await world.close()


@virtual
async def test_a_call_that_ends_while_it_listens_hears_no_more() -> None:
    for kept in (1, 2):
        world = World(1)
        world.make(server(answer=(ECHO, *[LISTED] * kept)))
        await asyncio.sleep(2.0)
        link = (await world.take()).link

        class HangsUp(Recorder):
            def on_message(self, data: bytes, link: Any = link) -> None:
                super().on_message(data)
                link.close()

        recorder = HangsUp()
        link.start(recorder)
        assert recorder.heard == [LISTED]
        assert world.servers[0].receiver is not recorder
        await world.close()
