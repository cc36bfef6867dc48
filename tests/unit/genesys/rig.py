"""The Platform API over HTTPS with a throw-away authority, and its client."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache

import trustme

from offhook.genesys import PlatformAccess, PlatformApi
from tests.fakes.genesys_platform import CLIENT_ID, CLIENT_SECRET, FakeAction, GenesysPlatform


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def trust() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


@cache
def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost").configure_cert(context)
    return context


def access(url: str, *, login_url: str | None = None, secret: str = CLIENT_SECRET) -> PlatformAccess:
    return PlatformAccess(api_url=url, login_url=login_url or url, client_id=CLIENT_ID, client_secret=secret)


class Clock:
    """Monotonic seconds that only move when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def fake(actions: Mapping[str, FakeAction] | None = None) -> AsyncIterator[GenesysPlatform]:
    """Run the fake alone."""
    async with GenesysPlatform(tls=server_tls(), actions=actions) as genesys:
        yield genesys


@contextlib.asynccontextmanager
async def client(
    url: str, *, login_url: str | None = None, secret: str = CLIENT_SECRET, clock: Callable[[], float] | None = None
) -> AsyncIterator[PlatformApi]:
    """Make a client that trusts the authority."""
    options = {"clock": clock} if clock is not None else {}
    api = PlatformApi(access(url, login_url=login_url, secret=secret), tls=trust(), **options)
    try:
        yield api
    finally:
        await api.close()


@contextlib.asynccontextmanager
async def world(
    actions: Mapping[str, FakeAction] | None = None, *, clock: Callable[[], float] | None = None
) -> AsyncIterator[tuple[GenesysPlatform, PlatformApi]]:
    """Run the fake, and make a client for it."""
    async with fake(actions) as genesys, client(genesys.url, clock=clock) as api:
        yield genesys, api
