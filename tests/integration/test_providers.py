"""The way to a provider, on real sockets."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from offhook import realtime as rt
from offhook.agents import Agent, warm_session
from offhook.config import ProviderConfig, WarmConfig
from offhook.emulator.scenario import Handshake, Loss, Scenario
from offhook.emulator.server import Emulator
from offhook.gateway.dialer import Dialer
from offhook.gateway.link import DialledLink, LinkConnector, LinkLimits, RealtimeConnectError
from offhook.gateway.realtime_link import connect
from offhook.gateway.warm_pool import WarmAgent
from offhook.tools import ToolSet
from tests.conformance.raw_ws import RawPeer, raw_server, within
from tests.integration.gateway_world import CALLER, GREETED, Murmur, Watcher, gateway, parcel
from tests.integration.gateway_world import World as GatewayWorld

HEAD_START = 0.2
AGENT = Agent(instructions="You are {{ input.NAME }}.", greeting="Greet.", tools=[parcel, "end_call"])


@contextlib.asynccontextmanager
async def emulator(**scenario: Any) -> AsyncIterator[Emulator]:
    async with Emulator(scenario=Scenario(first_audio_ms=20, **scenario), speech=Murmur()) as running:
        yield running


def provider(name: str, url: str) -> ProviderConfig:
    return ProviderConfig.model_validate({"name": name, "url": url, "api_key": f"sk-{name}"})


@contextlib.asynccontextmanager
async def dialling(*urls: str, connector: LinkConnector = connect, **settings: Any) -> AsyncIterator[Dialer]:
    """Run a dialer for providers called a, b and so on."""
    providers = [provider(name, url) for name, url in zip("abc", urls, strict=False)]
    dialer = Dialer(providers, safety_key=b"k", deadline=5.0, head_start=HEAD_START, connect=connector, **settings)
    dialer.start()
    try:
        yield dialer
    finally:
        await within(dialer.close())


class Recorder:
    """Keeps what a link delivers."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def on_message(self, data: bytes) -> None:
        self.messages.put_nowait(data)

    def on_lost(self, code: int, reason: str) -> None:
        self.lost.set_result((code, reason))


async def hang_up(dialled: DialledLink) -> None:
    dialled.link.close()
    await within(dialled.link.wait_closed())


# --- from one provider to the next


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_provider_that_refuses_the_handshake_makes_place(status: Any) -> None:
    async with (
        emulator(handshake=Handshake(status=status)) as a,
        emulator() as b,
        dialling(a.url, b.url) as dialer,
    ):
        dialled = await within(dialer.dial("support", "m", ""))
        assert dialled.provider == "b"
        assert dialer.status()["a"] == ("unusable" if status in (401, 403) else "ok")
        await hang_up(dialled)


async def test_a_provider_that_is_gone_makes_place(unused_tcp_port: int) -> None:
    async with emulator() as b, dialling(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime", b.url) as dialer:
        for _ in range(4):
            dialled = await within(dialer.dial("support", "m", ""))
            assert dialled.provider == "b"
            await hang_up(dialled)
        assert dialer.status() == {"a": "resting", "b": "ok"}


async def test_a_provider_that_hangs_gets_company_and_its_socket_is_freed() -> None:
    gone = asyncio.Event()

    async def say_nothing(peer: RawPeer) -> None:
        await peer.read_head()
        await peer.read_end()
        gone.set()

    async with (
        raw_server(say_nothing, upgrade=False) as a,
        emulator() as b,
        dialling(a.partition("?")[0], b.url) as dialer,
    ):
        began = asyncio.get_running_loop().time()
        dialled = await within(dialer.dial("support", "m", ""))
        assert dialled.provider == "b"
        assert asyncio.get_running_loop().time() - began >= HEAD_START
        await within(gone.wait())  # long before the deadline of its handshake
        await hang_up(dialled)


async def test_a_provider_that_refuses_the_key_behind_the_handshake() -> None:
    async with (
        emulator(handshake=Handshake(close=3000)) as a,
        emulator() as b,
        dialling(a.url, b.url) as dialer,
    ):
        dialled = await within(dialer.dial("support", "m", ""))
        recorder = Recorder()
        dialled.link.start(recorder)
        assert await within(recorder.lost) == (3000, "invalid_request_error.invalid_api_key")
        await hang_up(dialled)
        dialer.report(dialled.provider, "unusable", "OH-RT-07", "support")
        second = await within(dialer.dial("support", "m", ""))
        assert second.provider == "b"
        await hang_up(second)


async def test_a_lone_provider_is_found_again_as_soon_as_it_is_back(unused_tcp_port: int) -> None:
    async with dialling(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime") as dialer:
        for _ in range(5):
            with pytest.raises(RealtimeConnectError) as caught:
                await within(dialer.dial("support", "m", ""))
            assert caught.value.retryable
        assert dialer.status() == {"a": "resting"}
        async with Emulator(f"127.0.0.1:{unused_tcp_port}", speech=Murmur()):
            await hang_up(await within(dialer.dial("support", "m", "")))


async def test_a_provider_that_falls_silent_is_given_up() -> None:
    limits = LinkLimits(ping_interval=0.15, pong_timeout=0.25)  # a tenth of those of a call
    async with (
        emulator(lose=Loss(after=0.3)) as a,
        dialling(a.url, connector=functools.partial(connect, limits=limits)) as dialer,
    ):
        dialled = await within(dialer.dial("support", "m", ""))
        recorder = Recorder()
        dialled.link.start(recorder)
        began = asyncio.get_running_loop().time()
        assert await within(recorder.lost) == (1006, "no pong in time")
        assert 0.4 <= asyncio.get_running_loop().time() - began < 3.0
        await hang_up(dialled)


async def test_a_whole_call_when_the_first_provider_is_gone(unused_tcp_port: int) -> None:
    async with emulator() as b:
        providers = [
            {"name": "a", "url": f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime", "api_key": "k"},
            {"name": "b", "url": b.url, "api_key": "k"},
        ]
        watcher = Watcher()
        async with gateway(b.url, providers=providers).serving(observers=[watcher]) as server:
            await GatewayWorld(server, b, watcher).call(GREETED)
    assert [ended.outcome for ended in watcher.ended] == ["completed"]
    assert [turn.speaker for turn in watcher.turns] == ["agent"]


# --- warm connections


def sent_to(running: Emulator, connection: int = 0) -> list[rt.ClientEvent]:
    return [received.event for received in running.sessions[connection].received]


def warm(size: int = 1) -> dict[str, Any]:
    tools = ToolSet(AGENT.tool_entries)
    agents = {"support": WarmAgent("m", lambda: warm_session(AGENT, tools.tools))}
    return {"warm": WarmConfig(size=size), "warm_agents": agents}


async def until(condition: Any) -> None:
    async def look() -> None:
        while not condition():  # noqa: ASYNC110 - the emulator tells nobody what it has received
            await asyncio.sleep(0.01)

    await within(look())


async def test_a_call_goes_on_with_a_warm_session() -> None:
    async with emulator() as a, dialling(a.url, **warm()) as dialer:
        await until(lambda: dialer.warm["support"])
        dialled = await within(dialer.dial("support", "m", "+13175550123"))
        assert dialled.created is not None

        # What a call does: its own settings go first, then the greeting is asked for, without waiting for anything.
        config = rt.merge_config(
            warm_session(AGENT, ToolSet(AGENT.tool_entries).tools), rt.SessionConfig(instructions="You are Eva.")
        )
        session = rt.RealtimeSession(config)
        now = asyncio.get_running_loop().time
        session.adopt(dialled.created, now())
        session.send_audio(b"\xff" * 160)
        session.request_response(rt.ResponseRequest(tag="greeting"), now())
        recorder = Recorder()
        for data in session.data_to_send():
            dialled.link.send(data)
        dialled.link.start(recorder)
        heard: list[rt.RealtimeEvent] = []
        while not any(isinstance(event, rt.ResponseEnded) for event in heard):
            session.receive_text(await within(recorder.messages.get()), now())
            heard += session.events()
        assert any(isinstance(event, rt.AudioDelta) for event in heard)
        assert not [event for event in heard if isinstance(event, rt.ErrorReceived | rt.SessionRefused)]
        prepared, own, asked = sent_to(a)
        assert isinstance(prepared, rt.SessionUpdateEvent)
        assert isinstance(own, rt.SessionUpdateEvent)
        assert isinstance(asked, rt.ResponseCreateEvent)
        assert (prepared.session.instructions, own.session.instructions) == (rt.UNSET, "You are Eva.")
        assert prepared.session.tools == own.session.tools
        assert session.next_timer() is None  # confirmed
        await hang_up(dialled)


async def test_a_warm_session_that_is_lost_is_replaced_before_a_call_gets_it() -> None:
    async with emulator(lose=[Loss(after=0.2, code=1006)]) as a, dialling(a.url, **warm()) as dialer:
        await until(lambda: a.connections == 2)
        await until(lambda: dialer.warm["support"])
        dialled = await within(dialer.dial("support", "m", ""))
        assert dialled.created is not None
        assert rt.decode_server_event(dialled.created).session.id == a.sessions[1].settings.session.id  # type: ignore[union-attr]
        await hang_up(dialled)


async def test_the_gateway_keeps_warm_connections_from_start_to_stop() -> None:
    async with emulator() as a:
        made = gateway(a.url, realtime={"warm": {"size": 2}})
        async with made.serving() as server:
            await until(lambda: len(a._open) == 2)
            await server.drain(0)
            await until(lambda: not a._open)
        assert a.connections == 2
        async with made.serving():
            await until(lambda: len(a._open) == 2)
        await until(lambda: not a._open)


async def test_a_caller_gets_a_warm_session() -> None:
    watcher = Watcher()
    async with emulator() as a:
        made = gateway(a.url, realtime={"warm": {"size": 1}})
        async with made.serving(observers=[watcher]) as server:
            await until(lambda: server._generation.dialer.warm["support"])
            await GatewayWorld(server, a, watcher).call(GREETED)
            await until(lambda: a.connections == 2)
        prepared, own, asked, *_ = (event for event in sent_to(a) if not isinstance(event, rt.UnknownEvent))
    assert [ended.outcome for ended in watcher.ended] == ["completed"]
    assert [turn.speaker for turn in watcher.turns] == ["agent"]
    assert isinstance(prepared, rt.SessionUpdateEvent)
    assert isinstance(own, rt.SessionUpdateEvent)
    assert isinstance(asked, rt.ResponseCreateEvent)
    assert prepared.session.instructions is rt.UNSET
    assert own.session.instructions == f"You are nobody, called by {CALLER}."
