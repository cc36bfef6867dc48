import asyncio
import ssl

import pytest
from structlog.testing import capture_logs

from offhook.agents import safety_identifier
from offhook.gateway.dialer import ALL_REST, MAX_HANDSHAKES, MAX_JITTER, NO_PROVIDER, SLOT_TIMEOUT, TOO_MANY, Dialer
from offhook.gateway.link import (
    CONNECT_ERRORS,
    DialledLink,
    RealtimeConnectError,
    cannot_reach,
    refused_with,
)
from offhook.gateway.provider_health import MAX_FAILURES, REFUSED_REST, REST
from tests.fakes.virtual_time import virtual
from tests.unit.gateway.connecting import Connector, dialer, provider

UNREACHABLE = cannot_reach(ConnectionRefusedError(111, "Connection refused"))


async def failure(of: Dialer, agent: str = "support") -> RealtimeConnectError:
    with pytest.raises(RealtimeConnectError) as caught:
        await of.dial(agent, "m", "")
    return caught.value


def now() -> float:
    return round(asyncio.get_running_loop().time(), 6)


# --- the order


@virtual
async def test_the_first_provider_is_asked_first() -> None:
    connector = Connector(a=0.5, b=0.1)
    dialled = await dialer(connector, deadline=7.0).dial("support", "m", "tel:+13175550123")
    assert dialled == DialledLink(connector.links["a"][0], "a")
    ((url, headers, deadline),) = connector.requests
    assert (url, deadline) == ("wss://a/realtime?model=m", 7.0)
    assert headers["Authorization"] == "Bearer key-a"


@pytest.mark.parametrize("error", [refused_with(503), refused_with(429), refused_with(401), UNREACHABLE])
@virtual
async def test_the_next_one_takes_over_at_once(error: RealtimeConnectError) -> None:
    connector = Connector(a=error, b=0.5)
    assert (await dialer(connector).dial("support", "m", "")).provider == "b"
    assert connector.asked == [(0.0, "a"), (0.0, "b")]


@virtual
async def test_a_slow_one_gets_company_after_its_head_start() -> None:
    connector = Connector(a=None, b=None, c=0.5)
    of = dialer(connector)
    assert (await of.dial("support", "m", "")).provider == "c"
    assert connector.asked == [(0.0, "a"), (3.0, "b"), (6.0, "c")]
    assert now() == 6.5
    await of.close()
    assert (connector.cancelled, now()) == (["a", "b"], 6.5)


@virtual
async def test_the_slow_one_may_still_win_and_the_other_is_closed() -> None:
    connector = Connector(a=4.0, b=2.0)
    of = dialer(connector)
    assert (await of.dial("support", "m", "")).provider == "a"
    assert (now(), connector.hosts) == (4.0, ["a", "b"])
    await of.close()
    assert connector.cancelled == ["b"]
    assert of.status() == {"a": "ok", "b": "ok"}


@virtual
async def test_of_two_that_connect_at_once_the_preferred_one_is_taken() -> None:
    connector = Connector(a=4.0, b=1.0)
    of = dialer(connector)
    assert (await of.dial("support", "m", "")).provider == "a"
    await of.close()
    (loser,) = connector.links["b"]
    assert loser.closed.is_set()
    assert not connector.links["a"][0].closed.is_set()


@virtual
async def test_while_a_slow_one_is_waited_for_a_failed_one_makes_place_at_once() -> None:
    connector = Connector(a=None, b=refused_with(503), c=0.5)
    of = dialer(connector)
    assert (await of.dial("support", "m", "")).provider == "c"
    assert connector.asked == [(0.0, "a"), (3.0, "b"), (3.0, "c")]
    await of.close()


@virtual
async def test_a_single_slow_provider_has_its_whole_deadline() -> None:
    connector = Connector(a=None)
    of = dialer(connector)
    error = await failure(of)
    assert (error.code, error.retryable, now()) == ("OH-CONN-02", True, 10.0)
    assert connector.hosts == ["a"]


@virtual
async def test_a_caller_who_hangs_up_leaves_nothing_behind() -> None:
    connector = Connector(a=None, b=None)
    of = dialer(connector)
    call = asyncio.ensure_future(of.dial("support", "m", ""))
    await asyncio.sleep(4.0)
    assert connector.under_way == 2
    call.cancel()
    await asyncio.wait([call])
    await of.close()
    assert call.cancelled()
    assert (connector.under_way, sorted(connector.cancelled)) == (0, ["a", "b"])
    assert of.status() == {"a": "ok", "b": "ok"}


@virtual
async def test_a_fault_of_ours_is_not_taken_for_a_provider() -> None:
    class Broken(Connector):
        async def __call__(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await dialer(Broken(a=0.1)).dial("support", "m", "")


# --- what is told when nobody can be had


@virtual
async def test_nobody_to_ask() -> None:
    error = await failure(dialer(Connector()))
    assert (error.code, error.retryable) == (NO_PROVIDER, False)


@virtual
async def test_a_failure_that_may_pass_is_told_rather_than_a_refusal() -> None:
    error = await failure(dialer(Connector(a=UNREACHABLE, b=refused_with(401))))
    assert (str(error), error.retryable) == ("OH-CONN-01: Connection refused", True)
    error = await failure(dialer(Connector(a=refused_with(401), b=UNREACHABLE)))
    assert (error.code, error.retryable) == ("OH-CONN-01", True)


@virtual
async def test_when_all_refuse_it_is_told_at_once_and_for_good() -> None:
    connector = Connector(a=refused_with(401), b=refused_with(404))
    of = dialer(connector)
    error = await failure(of)
    assert (error.code, error.status, error.retryable) == ("OH-CONN-06", 404, False)
    assert of.status() == {"a": "unusable", "b": "unusable"}
    for _ in range(3):
        error = await failure(of)
        assert (error.code, error.retryable) == (ALL_REST, False)
    assert (connector.hosts, now()) == (["a", "b"], 0.0)


# --- what is known of a provider


@virtual
async def test_a_provider_that_fails_in_a_row_rests_and_is_then_tried_by_one_call() -> None:
    connector = Connector(a=UNREACHABLE, b=0.1)
    of = dialer(connector)
    for _ in range(MAX_FAILURES):
        await of.dial("support", "m", "")
    assert of.status() == {"a": "resting", "b": "ok"}
    connector.asked.clear()
    await asyncio.gather(*(of.dial("support", "m", "") for _ in range(5)))
    assert connector.hosts == ["b"] * 5
    await asyncio.sleep(REST)
    connector.asked.clear()
    connector.behave("a", 0.1)
    dialled = await asyncio.gather(*(of.dial("support", "m", "") for _ in range(5)))
    assert [one.provider for one in dialled] == ["a", "b", "b", "b", "b"]
    of.report("a", "ready", "", "support")
    assert of.status() == {"a": "ok", "b": "ok"}
    assert (await of.dial("support", "m", "")).provider == "a"


@virtual
async def test_one_that_is_too_slow_each_time_rests_as_well() -> None:
    connector = Connector(a=None, b=0.5)
    of = dialer(connector)
    for _ in range(MAX_FAILURES):
        assert (await of.dial("support", "m", "")).provider == "b"
    assert of.status() == {"a": "resting", "b": "ok"}
    began = now()
    await of.dial("support", "m", "")
    assert now() - began == 0.5


@virtual
async def test_a_lone_provider_is_tried_each_time_however_often_it_failed() -> None:
    connector = Connector(a=UNREACHABLE)
    of = dialer(connector)
    for attempt in range(20):
        error = await failure(of)
        assert (error.code, error.retryable) == ("OH-CONN-01", True)
        assert len(connector.asked) == attempt + 1
    assert of.status() == {"a": "resting"}
    connector.behave("a", 0.1)
    began = now()
    assert (await of.dial("support", "m", "")).provider == "a"
    assert now() - began <= MAX_JITTER + 0.1


@virtual
async def test_when_all_rest_the_one_that_is_due_first_is_tried() -> None:
    connector = Connector(a=0.1, b=0.1, c=0.1)
    of = dialer(connector)
    for name in ("b", "a"):
        for _ in range(MAX_FAILURES):
            of.report(name, "failed", "OH-RT-08", "support")
        await asyncio.sleep(1.0)
    of.report("c", "unusable", "insufficient_quota")
    assert of.status() == {"a": "resting", "b": "resting", "c": "unusable"}
    assert (await of.dial("support", "m", "")).provider == "b"
    connector.behave("b", UNREACHABLE)
    assert (await failure(of)).retryable
    assert (await of.dial("support", "m", "")).provider == "a"
    assert connector.hosts == ["b", "b", "a"]


@virtual
async def test_one_that_rests_is_better_than_nobody_once_the_others_have_failed() -> None:
    connector = Connector(a=None, b=0.1)
    of = dialer(connector)
    for _ in range(MAX_FAILURES):
        of.report("b", "failed", "OH-RT-08")
    assert (await of.dial("support", "m", "")).provider == "b"
    assert connector.asked == [(0.0, "a"), (3.0 + MAX_JITTER, "b")]
    await of.close()


@virtual
async def test_what_one_agent_is_refused_others_may_still_get() -> None:
    connector = Connector(a=[refused_with(404), 0.1])
    of = dialer(connector)
    assert not (await failure(of, "misspelt")).retryable
    assert (await of.dial("support", "m", "")).provider == "a"
    of.report("a", "ready", "", "support")
    assert of.status() == {"a": "ok"}
    assert (await failure(of, "misspelt")).code == ALL_REST
    await asyncio.sleep(REFUSED_REST)
    assert (await of.dial("misspelt", "m", "")).provider == "a"


@virtual
async def test_calls_report_what_a_handshake_does_not_show() -> None:
    connector = Connector(a=0.1, b=0.1)
    of = dialer(connector)
    of.report("a", "unusable", "insufficient_quota", "support")
    assert (await of.dial("support", "m", "")).provider == "b"
    of.report("b", "unusable", "invalid_api_key")
    assert (await failure(of)).code == ALL_REST
    assert (await of.dial("sales", "m", "")).provider == "a"
    of.report("a", "ready", "", "support")
    assert (await of.dial("support", "m", "")).provider == "a"
    of.report("nobody", "failed", "OH-RT-08")
    assert of.status() == {"a": "ok", "b": "unusable"}


@virtual
async def test_changes_are_logged_once_and_without_secrets() -> None:
    connector = Connector(a=UNREACHABLE, b=refused_with(401))
    of = dialer(connector)
    with capture_logs() as logs:
        for _ in range(10):
            await failure(of)
        of.report("a", "ready", "", "support")
        of.report("b", "ready", "", "support")
        of.report("b", "ready", "", "support")
    assert [(line["event"], line["provider"], line.get("code")) for line in logs] == [
        ("provider failed", "a", "OH-CONN-01"),
        ("provider refuses", "b", "OH-CONN-04"),
        ("provider rests", "a", "OH-CONN-01"),
        ("provider works again", "a", None),
        ("provider works again", "b", None),
    ]
    assert "key-" not in str(logs)
    assert "wss:" not in str(logs)


# --- many at once


@virtual
async def test_handshakes_have_a_limit() -> None:
    connector = Connector(a=0.5)
    of = dialer(connector)
    dialled = await asyncio.gather(*(of.dial("support", "m", "") for _ in range(500)))
    assert len({id(one.link) for one in dialled}) == 500
    assert connector.most == MAX_HANDSHAKES
    assert now() == 4.0


@virtual
async def test_calls_that_lose_their_legs_all_at_once_come_back_spread() -> None:
    chances = iter([0.01 * step for step in range(100)])
    connector = Connector(a=0.001)
    of = dialer(connector, spread=lambda low, high: min(high, low + next(chances)))
    of.report("a", "failed", "OH-RT-08")
    await asyncio.gather(*(of.dial("support", "m", "") for _ in range(20)))
    assert [at for at, _ in connector.asked] == [round(0.01 * step, 6) for step in range(20)]


@virtual
async def test_a_hanging_provider_does_not_keep_the_places() -> None:
    connector = Connector(a=None)
    of = dialer(connector)
    calls = [asyncio.ensure_future(failure(of)) for _ in range(3 * MAX_HANDSHAKES)]
    await asyncio.sleep(2.9)
    assert connector.under_way == MAX_HANDSHAKES
    await asyncio.sleep(0.2)  # the head start is over: who has not answered costs us nothing
    assert connector.under_way == 2 * MAX_HANDSHAKES
    codes = [error.code for error in await asyncio.gather(*calls)]
    assert {code: codes.count(code) for code in codes} == {"OH-CONN-02": 2 * MAX_HANDSHAKES, TOO_MANY: MAX_HANDSHAKES}


@virtual
async def test_who_finds_no_place_may_try_again_and_blames_nobody() -> None:
    connector = Connector(a=None)
    of = dialer(connector, head_start=60.0)
    calls = [asyncio.ensure_future(failure(of)) for _ in range(MAX_HANDSHAKES)]
    await asyncio.sleep(1.0)
    error = await failure(of)
    assert (error.code, error.retryable, now()) == (TOO_MANY, True, 1.0 + SLOT_TIMEOUT)
    assert of.status() == {"a": "ok"}
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    await of.close()
    connector.behave("a", 0.1)
    await asyncio.gather(*(of.dial("support", "m", "") for _ in range(MAX_HANDSHAKES)))


# --- the small things


@virtual
async def test_openai_gets_a_keyed_hash_of_the_number() -> None:
    connector = Connector(**{"api.openai.com": 0.1})
    of = dialer(connector)
    await of.dial("support", "m", "tel:+13175550123")
    await of.dial("support", "m", "")
    (_, first, _), (_, second, _) = connector.requests
    assert first["OpenAI-Safety-Identifier"] == safety_identifier("+13175550123", b"k")
    assert "3175550123" not in str(first)
    assert "OpenAI-Safety-Identifier" not in second


def test_trust_is_that_of_the_platform_unless_it_is_given() -> None:
    made = Dialer([provider("a")], safety_key=b"k", deadline=1.0, head_start=1.0)
    assert made._ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_errors_know_their_code() -> None:
    assert cannot_reach(RuntimeError("x")).detail == "RuntimeError"
    assert {refused_with(status).code for status in (401, 404, 500)} <= set(CONNECT_ERRORS)
    assert {NO_PROVIDER, TOO_MANY, ALL_REST} <= set(CONNECT_ERRORS)
