"""Another configuration for new calls, on real sockets, while others go on with theirs."""

import asyncio
import secrets
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from offhook import Agent
from offhook.config import Config, ConfigError
from offhook.emulator.server import Emulator
from offhook.gateway import Gateway, GatewayServer
from offhook.simulator.identity import CallIdentity
from offhook.simulator.upgrade import target, upgrade_headers
from offhook.tools import ToolResources
from offhook.tools import sources as tool_sources
from tests.integration.gateway_world import KEY, SECRET, Murmur, gateway, world
from tests.integration.served import TALKATIVE, Caller, stayed
from tests.unit.tools.fakes import Source


class Counted(Source):
    """Counts how often it was opened and closed."""

    def __init__(self, *, hangs: bool = False) -> None:
        super().__init__()
        self.opened = 0
        self.closed = asyncio.Event()
        self._hangs = hangs

    async def open(self, resources: ToolResources) -> None:
        self.opened += 1
        if self._hangs:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed.set()


def agent(instructions: str, *sources: Source) -> Agent:
    return Agent(instructions=instructions, greeting="Greet.", tools=sources)


def configured(emulator: Emulator, **settings: Any) -> Config:
    return gateway(emulator.url, **settings).config


async def upgraded(url: str, headers: dict[str, str]) -> int:
    """Try to open a WebSocket with these headers; return the status."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(url, headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status


async def test_a_call_keeps_what_it_began_with() -> None:
    old, new = Counted(), Counted()
    async with (
        Emulator(scenario=TALKATIVE, speech=Murmur()) as first,
        Emulator(scenario=TALKATIVE, speech=Murmur()) as second,
        GatewayServer(configured(first, agents={"support": agent("Old.", old)})) as server,
    ):
        standing = Caller(server.url)
        await standing.talks()
        agents = {"support": agent("New.", new), "sales": agent("Sell.")}
        keys = [{"id": KEY, "secret": SECRET, "agents": ["sales"]}]
        wanted = configured(second, agents=agents, keys=keys, limits={"max_calls": 2}, listen="127.0.0.1:1")
        port = server.port
        outcome = await server.reload(wanted)
        assert (outcome.applied, outcome.restart_needed) == (True, ("listen",))
        assert (server.config.listen.port, server.port) == (0, port)
        assert (old.opened, new.opened, old.closed.is_set()) == (1, 1, False)

        report = await Caller(server.url).report
        assert report.info.startswith("OH-CALL-03")  # by the limits of the new key
        coming = Caller(server.url, connector_id="sales")
        await coming.talks()
        report = await Caller(server.url, connector_id="sales").report
        assert report.info.startswith("OH-LIMIT-01")  # by the new limit, which counts the calls of both
        async with asyncio.timeout(5):
            while not second.sessions:  # noqa: ASYNC110 - the emulator tells nobody
                await asyncio.sleep(0.01)
        assert (first.connections, second.connections) == (1, 1)
        assert [session.settings.instructions for session in second.sessions] == ["Sell."]

        assert stayed(await standing.hangs_up())
        await asyncio.wait_for(old.closed.wait(), 5)
        assert stayed(await coming.hangs_up())
        assert not new.closed.is_set()
    assert new.closed.is_set()


async def test_a_request_is_good_once_whatever_the_configuration() -> None:
    async with world() as running:
        to = target(running.server.url, connector_id="support", key=KEY, secret=SECRET)
        identity, nonce = CallIdentity.fresh(), secrets.token_urlsafe(24)
        headers = upgrade_headers(to, identity, nonce=nonce, unix_time=int(time.time()))
        assert await upgraded(str(to.url), headers) == 101
        assert (await running.server.reload(running.server.config)).applied
        assert await upgraded(str(to.url), headers) == 401


async def test_sources_that_hang_do_not_hold_up_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_sources, "OPEN_TIMEOUT", 0.05)
    async with Emulator(scenario=TALKATIVE, speech=Murmur()) as emulator:
        config = configured(emulator)
        async with GatewayServer(config) as server:
            hanging = configured(emulator, agents={"support": agent("New.", Counted(hangs=True))})
            first, second = await asyncio.gather(server.reload(hanging), server.reload(config))
            assert first.applied
            assert second.applied
            assert server.config == config
            call = Caller(server.url)
            await call.talks()
            assert stayed(await call.hangs_up())


async def test_a_reload_while_draining_changes_nothing() -> None:
    source = Counted()
    async with Emulator(scenario=TALKATIVE, speech=Murmur()) as emulator:
        before = configured(emulator)
        async with GatewayServer(before) as server:
            await server.drain()
            outcome = await server.reload(configured(emulator, agents={"support": agent("New.", source)}))
            assert not outcome.applied
            assert server.config is before
            assert source.closed.is_set()


def issue(authority: trustme.CA, folder: Path) -> dict[str, str]:
    """Write a certificate and its key; return the setting."""
    certificate = authority.issue_cert("127.0.0.1")
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    return {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


async def shown(server: GatewayServer, trust: ssl.SSLContext) -> bytes:
    """Return the certificate that the call port shows."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trust)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return certificate


async def test_a_renewed_certificate_is_shown_from_then_on(tmp_path: Path) -> None:
    authority, trust = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trust)
    tls = issue(authority, tmp_path)
    config = Gateway(agents={"support": agent("Talk.")}, keys=[{"id": "k"}], listen="127.0.0.1:0", tls=tls).config
    async with GatewayServer(config) as server:
        first = await shown(server, trust)
        assert await shown(server, trust) == first
        issue(authority, tmp_path)
        assert (await server.reload(config)).applied
        second = await shown(server, trust)
        assert second != first

        (tmp_path / "key.pem").write_text("no key")
        with pytest.raises(ConfigError, match="certificate and key cannot be used"):
            await server.reload(config)
        assert await shown(server, trust) == second
        issue(authority, tmp_path)
        outcome = await server.reload(config.model_copy(update={"tls": None}))
        assert (outcome.applied, outcome.restart_needed) == (True, ("tls",))
        assert await shown(server, trust) not in (first, second)
