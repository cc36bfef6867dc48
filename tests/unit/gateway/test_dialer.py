import ssl
from collections.abc import Mapping

import pytest

from offhook.agents import safety_identifier
from offhook.config import ProviderConfig
from offhook.gateway.dialer import NO_PROVIDER, Dialer
from offhook.gateway.link import (
    CONNECT_ERRORS,
    DEFAULT_LIMITS,
    DialledLink,
    LinkLimits,
    RealtimeConnectError,
    RealtimeLink,
    cannot_reach,
    refused_with,
)
from tests.unit.gateway.fakes import FakeLink


class Connector:
    """Answers by host."""

    def __init__(self, **outcomes: RealtimeConnectError | None) -> None:
        self.outcomes = outcomes
        self.asked: list[tuple[str, dict[str, str], float]] = []
        self.link = FakeLink()

    async def __call__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        deadline: float,
        ssl_context: ssl.SSLContext | None = None,
        limits: LinkLimits = DEFAULT_LIMITS,
    ) -> RealtimeLink:
        assert ssl_context is not None
        assert ssl_context.verify_mode is ssl.CERT_REQUIRED
        self.asked.append((url, dict(headers), deadline))
        outcome = self.outcomes[url.split("/")[2]]
        if outcome is not None:
            raise outcome
        return self.link


def provider(name: str) -> ProviderConfig:
    return ProviderConfig.model_validate({"name": name, "url": f"wss://{name}/realtime", "api_key": f"key-{name}"})


async def test_the_first_provider_is_asked_first() -> None:
    connector = Connector(a=None, b=None)
    dialer = Dialer([provider("a"), provider("b")], safety_key=b"k", connect=connector, deadline=3.0)
    assert await dialer.dial("support", "m", "tel:+13175550123") == DialledLink(connector.link, "a")
    ((url, headers, deadline),) = connector.asked
    assert (url, deadline) == ("wss://a/realtime?model=m", 3.0)
    assert headers["Authorization"] == "Bearer key-a"


async def test_the_next_one_takes_over() -> None:
    connector = Connector(a=refused_with(503), b=None)
    dialer = Dialer([provider("a"), provider("b")], safety_key=b"k", connect=connector)
    assert await dialer.dial("support", "m", "") == DialledLink(connector.link, "b")
    assert [url for url, _, _ in connector.asked] == ["wss://a/realtime?model=m", "wss://b/realtime?model=m"]


async def test_the_last_failure_is_told() -> None:
    connector = Connector(a=refused_with(401), b=cannot_reach(ConnectionRefusedError(111, "Connection refused")))
    dialer = Dialer([provider("a"), provider("b")], safety_key=b"k", connect=connector)
    with pytest.raises(RealtimeConnectError) as caught:
        await dialer.dial("support", "m", "")
    assert str(caught.value) == "OH-CONN-01: Connection refused"


async def test_nobody_to_ask() -> None:
    with pytest.raises(RealtimeConnectError) as caught:
        await Dialer([], safety_key=b"k", connect=Connector()).dial("support", "m", "")
    assert caught.value.code == NO_PROVIDER


async def test_openai_gets_a_keyed_hash_of_the_number() -> None:
    connector = Connector(**{"api.openai.com": None})
    openai = ProviderConfig.model_validate(
        {"name": "openai", "url": "wss://api.openai.com/v1/realtime", "api_key": "k"}
    )
    dialer = Dialer([openai], safety_key=b"k", connect=connector)
    await dialer.dial("support", "m", "tel:+13175550123")
    await dialer.dial("support", "m", "")
    (_, first, _), (_, second, _) = connector.asked
    assert first["OpenAI-Safety-Identifier"] == safety_identifier("+13175550123", b"k")
    assert "3175550123" not in str(first)
    assert "OpenAI-Safety-Identifier" not in second


def test_errors_know_their_code() -> None:
    assert cannot_reach(RuntimeError("x")).detail == "RuntimeError"
    assert {refused_with(status).code for status in (401, 404, 500)} <= set(CONNECT_ERRORS)
