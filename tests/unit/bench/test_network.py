"""The network between the peers of a bench: what it does to a connection, and that it leaves nothing behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from offhook.bench.network import CAPACITY, Connection, Network
from offhook.bench.pipe import Conditions

REQUEST = b"GET /audiohook/line-007?x=1 HTTP/1.1\r\n"


class Server:
    """Keeps what it is sent, and its connections."""

    def __init__(self) -> None:
        self.port = 0
        self.connections: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.connections.put((reader, writer))


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.accept, "127.0.0.1", 0)
    found.port = listening.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        listening.close()


class Ends:
    """Both ends of one connection through a network."""

    def __init__(self, network: Network, near: Any, far: Any) -> None:
        self.network = network
        self.connection: Connection = network.connections[-1]
        self.near_reader, self.near = near
        self.far_reader, self.far = far

    async def up(self, data: bytes) -> bytes:
        """Send from the client and return what arrives at the server."""
        self.near.write(data)
        arrived: bytes = await within(self.far_reader.readexactly(len(data)))
        return arrived

    async def down(self, data: bytes) -> bytes:
        self.far.write(data)
        arrived: bytes = await within(self.near_reader.readexactly(len(data)))
        return arrived


async def within(awaitable: Any, seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        return await awaitable


@contextlib.asynccontextmanager
async def connected(**settings: Any) -> AsyncIterator[Ends]:
    before = asyncio.all_tasks()
    async with server() as there, Network(there.port, **settings) as network:
        near = await asyncio.open_connection("127.0.0.1", network.port)
        far = await within(there.connections.get())
        ends = Ends(network, near, far)
        yield ends
        for writer in (ends.near, ends.far):
            writer.transport.abort()
    assert not network.connections
    assert not {task for task in asyncio.all_tasks() - before if "accept" not in repr(task)}


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_it_carries_both_directions_and_their_ends() -> None:
    async with connected() as ends:
        assert await ends.up(REQUEST) == REQUEST
        assert await ends.down(b"answer") == b"answer"
        assert ends.connection.target == "/audiohook/line-007?x=1"
        assert ends.network.newest("line-007") is ends.connection
        assert ends.network.newest("line-008") is None
        ends.near.write(b"last")
        ends.near.write_eof()
        assert await within(ends.far_reader.read()) == b"last"
        assert await ends.down(b"still open") == b"still open"
        ends.far.close()
        assert await within(ends.near_reader.read()) == b""
        await within(gone(ends))


async def gone(ends: Ends) -> None:
    while not ends.connection.closed:  # noqa: ASYNC110 - the ends are told by the kernel
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("start", [b"", b"GET\r\n", b"\xff" * 9000 + b"\r\n", b"a b c d\r\n"])
async def test_a_target_is_what_a_request_names(start: bytes) -> None:
    async with connected() as ends:
        await ends.up(start + b"rest")
        assert ends.connection.target == ""


async def test_a_target_may_come_in_pieces() -> None:
    async with connected() as ends:
        for at in range(0, len(REQUEST), 7):
            await ends.up(REQUEST[at : at + 7])
        assert ends.connection.target == "/audiohook/line-007?x=1"


async def test_latency_and_jitter_keep_the_order() -> None:
    async with connected(conditions=Conditions(latency=0.05, jitter=0.05)) as ends:
        began = now()
        for number in range(20):
            ends.near.write(bytes([number]) * 100)
            await asyncio.sleep(0)
        assert await within(ends.far_reader.readexactly(2000)) == b"".join(bytes([n]) * 100 for n in range(20))
        assert now() - began >= 0.05


async def test_a_slow_accept() -> None:
    began = now()
    async with connected(conditions=Conditions(accept_delay=0.1)):
        assert now() - began >= 0.1


async def test_a_stall_delays_and_loses_nothing() -> None:
    async with connected() as ends:
        ends.connection.stall(0.1)
        began = now()
        assert await ends.up(b"x" * 5000) == b"x" * 5000
        assert await ends.down(b"y" * 5000) == b"y" * 5000
        assert now() - began >= 0.09


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_stall_of_one_direction(way: Any) -> None:
    async with connected() as ends:
        ends.connection.stall(60, way)
        stalled, open_ = (ends.up, ends.down) if way == "up" else (ends.down, ends.up)
        assert await open_(b"passes") == b"passes"
        with pytest.raises(TimeoutError):
            await within(stalled(b"waits"), 0.05)


async def test_a_limit_lets_so_much_pass_and_ends() -> None:
    async with connected() as ends:
        ends.connection.limit(10_000, 0.2, "down")
        began = now()
        await ends.down(b"x" * 1500)
        assert now() - began >= 0.1
        await asyncio.sleep(max(0.0, began + 0.2 - now()))
        began = now()
        await ends.down(b"x" * 50_000)
        assert now() - began < 1.0  # it would take 5 s


async def test_a_peer_that_does_not_read_is_felt_by_the_other() -> None:
    async with connected(capacity=4096, receive_buffer=4096) as ends:
        ends.connection.stall(60)
        for _ in range(200):
            ends.near.write(b"x" * 65_536)
        with pytest.raises(TimeoutError):
            await within(ends.near.drain(), 0.05)
        assert ends.near.transport.get_write_buffer_size() > 1_000_000


async def test_a_burst_passes_whole_through_the_bound() -> None:
    async with connected(conditions=Conditions(latency=0.001)) as ends:
        data = bytes(range(256)) * (8 * CAPACITY // 256)
        assert await ends.up(data) == data


async def test_silence_in_both_directions() -> None:
    async with connected() as ends:
        await ends.up(b"before")
        ends.connection.go_silent()
        ends.near.write(b"nobody hears this")
        ends.far.write(b"nor this")
        ends.near.close()
        with pytest.raises(TimeoutError):
            await within(ends.far_reader.read(1), 0.05)
        ends.far.close()
        await within(gone(ends))


@pytest.mark.parametrize(("way", "closes"), [("down", "near"), ("down", "far"), ("up", "near"), ("up", "far")])
async def test_silence_in_one_direction(way: Any, closes: str) -> None:
    async with connected() as ends:
        ends.connection.go_silent(way)
        send = ends.down if way == "up" else ends.up
        assert await send(b"heard") == b"heard"
        first, second = (ends.near, ends.far) if closes == "near" else (ends.far, ends.near)
        first.close()
        second.close()
        await within(gone(ends))


async def test_a_reset_is_one() -> None:
    async with connected() as ends:
        await ends.up(b"before")
        ends.connection.reset()
        for reader in (ends.near_reader, ends.far_reader):
            with pytest.raises(ConnectionResetError):
                await within(reader.read())


async def test_a_fin_to_both() -> None:
    async with connected() as ends:
        await ends.up(b"before")
        ends.connection.finish()
        assert await within(ends.near_reader.read()) == b""
        assert await within(ends.far_reader.read()) == b""


async def test_an_outage_and_its_end() -> None:
    async with connected() as ends:
        ends.network.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", ends.network.port)
        assert await ends.up(b"what stands is not touched") == b"what stands is not touched"
        ends.network.reset_all()
        with pytest.raises(ConnectionResetError):
            await within(ends.near_reader.read())
        await ends.network.begin()
        await ends.network.begin()
        _, writer = await asyncio.open_connection("127.0.0.1", ends.network.port)
        writer.close()


async def test_a_server_that_is_not_there() -> None:
    async with server() as there:
        pass
    async with Network(there.port) as network:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        with pytest.raises(ConnectionResetError):
            await within(reader.read())
        writer.close()
        assert network.accepted_count == 1


async def test_who_hangs_up_before_the_server_is_reached() -> None:
    async with server() as there, Network(there.port, conditions=Conditions(accept_delay=0.05)) as network:
        _, writer = await asyncio.open_connection("127.0.0.1", network.port)
        while not network.connections:  # noqa: ASYNC110 - the kernel tells
            await asyncio.sleep(0)
        writer.transport.abort()
        (reader, far) = await within(there.connections.get())
        assert await within(reader.read()) == b""
        far.close()


def test_it_is_not_up_yet() -> None:
    with pytest.raises(RuntimeError):
        _ = Network(1).port


CASES: list[Callable[[], Any]] = [
    test_it_carries_both_directions_and_their_ends,
    test_silence_in_both_directions,
    test_a_reset_is_one,
    test_a_fin_to_both,
    test_an_outage_and_its_end,
    test_a_peer_that_does_not_read_is_felt_by_the_other,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_same_on_the_loop_of_the_gateway(case: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(case())
