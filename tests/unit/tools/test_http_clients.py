import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.resolver import ThreadedResolver

from offhook.tools import http_clients
from offhook.tools.http_clients import ConnectionLost, HttpClients, PrivateAddress
from tests.unit.tools.services import RawService, Service, answer, hang_up, reset, say


@pytest.fixture
async def clients() -> AsyncIterator[HttpClients]:
    clients = HttpClients()
    yield clients
    await clients.close()


async def get(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        return await response.text()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f000001", "0x7f.1"])  # noqa: S104
async def test_private_addresses_are_refused(clients: HttpClients, host: str) -> None:
    async with Service().running() as service:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await get(clients.session(), f"http://{host}:{service.port}/")
        assert isinstance(caught.value.os_error, PrivateAddress)
        assert service.requests == []


@pytest.mark.parametrize("host", ["2130706433", "017700000001", "127.1", "0177.0.0.1"])
async def test_numbers_are_no_addresses(clients: HttpClients, host: str) -> None:
    async with Service().running() as service:
        with pytest.raises(aiohttp.ClientError):
            await get(clients.session(), f"http://{host}:{service.port}/")
        assert service.requests == []


async def test_private_addresses_where_they_are_allowed(clients: HttpClients) -> None:
    async with Service().running() as service:
        assert "GET" in await get(clients.session(private=True), f"http://localhost:{service.port}/")
        assert clients.session(private=True) is clients.session(private=True)
        assert clients.session(private=True) is not clients.session()


class Names:
    """Resolves every name to one address after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self._answers = list(answers)
        monkeypatch.setattr(ThreadedResolver, "resolve", lambda _, *arguments, **named: self.resolve(*arguments))

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        return [
            {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            for address in self._answers.pop(0)
        ]


async def test_the_address_that_is_used_is_the_one_that_was_checked(
    clients: HttpClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    def is_public(address: str) -> bool:
        checked.append(address)
        return address == "127.0.0.1"

    monkeypatch.setattr(http_clients, "is_public", is_public)
    Names(monkeypatch, ["127.0.0.1"], ["127.0.0.3"], ["127.0.0.3", "127.0.0.1"])
    session = clients.session(fresh=True)
    connector = session.connector
    assert isinstance(connector, aiohttp.TCPConnector)
    async with Service().running() as service:
        url = f"http://rebinding.example:{service.port}/"
        assert "GET" in await get(session, url)
        connector.clear_dns_cache()
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(session, url)
        connector.clear_dns_cache()
        assert "GET" in await get(session, url)
        assert checked == ["127.0.0.1", "127.0.0.3", "127.0.0.3", "127.0.0.1"]
        assert len(service.requests) == 2


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("end", [hang_up, reset])
async def test_nothing_is_sent_again_by_itself(clients: HttpClients, method: str, end: Any) -> None:
    async with RawService(answer(), end, answer()).running() as service:
        session = clients.session(private=True)
        url = f"http://127.0.0.1:{service.port}/"
        await get(session, url)
        with pytest.raises(ConnectionLost):
            await session.request(method, url)
        assert (len(service.requests), service.connections) == (2, 1)


async def test_aiohttp_would_send_again() -> None:
    async with RawService(answer(), hang_up, answer()).running() as service, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{service.port}/"
        await get(session, url)
        async with session.put(url):
            assert len(service.requests) == 3


async def test_fresh_connections(clients: HttpClients) -> None:
    async with RawService(answer(), answer(), answer(), answer()).running() as service:
        url = f"http://127.0.0.1:{service.port}/"
        for _ in range(2):
            await get(clients.session(private=True, fresh=True), url)
        assert service.connections == 2
        for _ in range(2):
            await get(clients.session(private=True), url)
        assert service.connections == 3


async def test_cookies_and_proxies(clients: HttpClients, monkeypatch: pytest.MonkeyPatch) -> None:
    async def with_cookie(request: web.Request) -> web.Response:
        response = web.Response(text=str(dict(request.cookies)))
        response.set_cookie("a", "b")
        return response

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with Service(with_cookie).running() as service:
        for _ in range(2):
            assert await get(clients.session(private=True), f"http://127.0.0.1:{service.port}/") == "{}"


@pytest.mark.parametrize("headers", [b"X: " + b"x" * 9000 + b"\r\n", b"X: x\r\n" * 200])
async def test_headers_are_bounded(clients: HttpClients, headers: bytes) -> None:
    async with RawService(say(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 0\r\n\r\n")).running() as service:
        with pytest.raises(aiohttp.ClientError):
            await get(clients.session(private=True), f"http://127.0.0.1:{service.port}/")


async def test_trust() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    clients, others = HttpClients(tls=trust), HttpClients()
    async with Service().running(server) as service:
        url = f"https://127.0.0.1:{service.port}/"
        assert "GET" in await get(clients.session(private=True), url)
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(others.session(private=True), url)
    await clients.close()
    await others.close()


async def test_closed_clients() -> None:
    clients = HttpClients()
    session = clients.session()
    await clients.close()
    assert session.closed
    with pytest.raises(RuntimeError, match="closed"):
        clients.session()
