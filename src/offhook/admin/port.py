"""The admin port: a socket of its own, so that what reaches it never has to pass the port that Genesys calls."""

import asyncio
import contextlib
import os
import secrets
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import ip_address

from aiohttp import web

from offhook.admin.api import Operations
from offhook.admin.app import application
from offhook.admin.door import Door
from offhook.admin.routes import Route
from offhook.admin.sessions import Tokens
from offhook.config import Config, ConfigError, HostPort, Mark, Problem, server_context
from offhook.config.problems import ADMIN_OPEN
from offhook.gateway.connection import HttpConnection
from offhook.gateway.control import GatewayControl
from offhook.telemetry.logging import get_logger

MAX_CONNECTIONS = 128
"""Connections at a time; the next is closed."""
HEAD_TIMEOUT = 10.0
"""Seconds that a connection has for the head of a request, and that it may stay idle after an answer."""
STUCK_AFTER = 20.0
"""Seconds after which a peer that does not read is dropped."""
MAX_HEADER_BYTES = 8190
"""Longest request line, and longest header."""
MAX_HEADERS = 64
LINGER = 1.0
"""Seconds for which the rest of a body that is not wanted is read and thrown away, so that the answer is seen."""
CLOSE_TIMEOUT = 2.0
"""Seconds that requests have to end when the port stops."""

Announce = Callable[[str], None]
"""Shows a line to the person who starts the gateway."""

_log = get_logger("offhook.admin.port")


class CannotListen(Exception):
    """The address of the admin port cannot be listened on; the text says which and why."""


class AdminPort:
    """The admin port of a gateway, while it is served; see `serve_admin`."""

    def __init__(self, config: Config, door: Door, sockets: asyncio.Server, announce: Announce) -> None:
        bound = [place.getsockname() for place in sockets.sockets]
        self.port: int = bound[0][1]
        """The port, of interest when the configured one is 0."""
        self._address = config.admin
        self._tls = config.admin_tls is not None
        self._local = all(ip_address(str(place[0]).partition("%")[0]).is_loopback for place in bound)
        self._door = door
        self._announce = announce
        self._made: str | None = None
        if not self._local and not config.admin_token:
            raise ConfigError([_open(config.admin)])
        door.open(self.port, local=self._local)
        self.change(config)
        if self._made is None:
            announce(f"Admin port: {self.url}")

    @property
    def url(self) -> str:
        """Where browsers find it, as this machine sees it."""
        host = self._address.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - not a place to connect to
            host = "localhost"
        return f"{'https' if self._tls else 'http'}://{HostPort(host, self.port)}/"

    def change(self, config: Config) -> None:
        """Go by the tokens and names of another configuration; address and TLS need a restart.

        Sessions of tokens that are gone end. Without a token one is made and announced, if only this machine can reach
        the port; otherwise those that were there stay.
        """
        hosts = (self._address.host.lower(), *config.admin_hosts)
        texts = {f"admin_token[{index}]": token.get_secret_value() for index, token in enumerate(config.admin_token)}
        if texts:
            self._made = None
            self._door.change(Tokens(texts), hosts)
        elif self._local:
            if self._made is None:
                self._made = secrets.token_urlsafe(32)
                # Behind a #, so that no browser sends it to anybody but our own page.
                self._announce(f"Admin port, for this run of the gateway: {self.url}login#token={self._made}")
            self._door.change(Tokens({"made at start": self._made}), hosts)
        else:
            _log.warning("admin token stays", code=ADMIN_OPEN)


@contextlib.asynccontextmanager
async def serve_admin(
    control: GatewayControl, config: Config, *, announce: Announce | None = None, more: Sequence[Route] = ()
) -> AsyncIterator[AdminPort]:
    """Serve the admin port while the block runs.

    Args:
        control: the gateway.
        config: says where the port is and who may use it.
        announce: shows where it is, and the token that was made if none is configured; by default on stderr. It must
            not go to the log, for the token opens the port.
        more: routes besides those of the frame.

    Raises:
        ConfigError: certificate or key cannot be used, or other machines can reach the port and there is no token.
        CannotListen: the address cannot be used.
    """
    tls = None if config.admin_tls is None else server_context(config.admin_tls, "admin_tls")
    door = Door(tls=tls is not None)
    operations = Operations(control)
    runner = web.AppRunner(application(door, operations, more), access_log=None, shutdown_timeout=CLOSE_TIMEOUT)
    await runner.setup()
    try:
        sockets = await _listen(runner, config.admin, tls)
        try:
            admin = AdminPort(config, door, sockets, _to_stderr if announce is None else announce)
            await sockets.start_serving()
            _log.info("admin port started", port=admin.port)
            yield admin
        finally:
            sockets.close()
    finally:
        await operations.close()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, address: HostPort, tls: ssl.SSLContext | None) -> asyncio.Server:
    """Take the address; nobody is served yet."""
    loop, server = asyncio.get_running_loop(), runner.server
    assert server is not None  # noqa: S101 - it is set up

    def connection() -> HttpConnection:
        return HttpConnection(
            server,
            most=MAX_CONNECTIONS,
            stuck_after=STUCK_AFTER,
            loop=loop,
            # Until a request is complete the connection counts as idle, so this is also the deadline for its head.
            keepalive_timeout=HEAD_TIMEOUT,
            lingering_time=LINGER,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            # A body that unpacks to a thousand times its size would not be bounded by what arrives.
            auto_decompress=False,
        )

    try:
        return await loop.create_server(
            connection,
            address.host,
            address.port,
            ssl=tls,
            start_serving=False,
            ssl_handshake_timeout=HEAD_TIMEOUT if tls else None,
            ssl_shutdown_timeout=CLOSE_TIMEOUT if tls else None,
        )
    except OSError as error:
        # asyncio puts the address into the text once more; the resolver has numbers of its own, below zero.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror or type(error).__name__
        text = f"the admin port cannot listen on {address} ({why}); choose another with admin: or --admin HOST:PORT"
        raise CannotListen(text) from error


def _open(address: HostPort) -> Problem:
    fix = "set admin_token, or listen on 127.0.0.1"
    text = f"{address} can be reached by other machines, so there must be a token"
    return Problem(ADMIN_OPEN, Mark("the configuration"), "admin", text, fix)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
