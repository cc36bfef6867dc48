"""The client against a real HTTPS server."""

import asyncio
import base64
import gc
import gzip
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from offhook.genesys import (
    Action,
    NotPermitted,
    PlatformApi,
    PlatformError,
    RateLimited,
    Refused,
    SignInRefused,
    Unanswered,
    UnknownAction,
    Unreachable,
    Unreadable,
)
from offhook.genesys.oauth import MARGIN
from tests.fakes.genesys_platform import (
    CLIENT_SECRET,
    CONTEXT_ID,
    FakeAction,
    GenesysPlatform,
    Reply,
    error,
)
from tests.unit.genesys.rig import Clock, access, client, fake, world

ID = "custom_-_1"
REMOTE = "ACTION.REMOTE_ENDPOINT"


async def run(api: PlatformApi, inputs: Any = None, *, seconds: float = 5, idempotent: bool = False) -> Any:
    return await api.execute(ID, {"id": "7"} if inputs is None else inputs, timeout=seconds, idempotent=idempotent)


async def failure(
    genesys: GenesysPlatform, api: PlatformApi, *replies: Reply, seconds: float = 5, idempotent: bool = False
) -> PlatformError:
    genesys.execute.extend(replies)
    with pytest.raises(PlatformError) as caught:
        await run(api, seconds=seconds, idempotent=idempotent)
    return caught.value


async def test_an_action_is_run() -> None:
    async with world() as (genesys, api):
        assert await run(api) == {"customer": {"id": "7", "name": "Ada"}}
        assert genesys.runs == {ID: 1}
        (seen,) = genesys.requests("/execute")
        assert (seen.method, seen.target) == ("POST", f"/api/v2/integrations/actions/{ID}/execute")
        assert seen.body == b'{"id": "7"}'
        assert not genesys.requests("/test")


async def test_ids_are_percent_encoded() -> None:
    name = "custom/../x?y#z %2F"
    async with world({name: FakeAction()}) as (genesys, api):
        assert (await api.execute(name, {"id": "1"}, timeout=5))["customer"]["id"] == "1"
        (seen,) = genesys.requests("/execute")
        assert seen.target == "/api/v2/integrations/actions/custom%2F..%2Fx%3Fy%23z%20%252F/execute"


async def test_what_an_action_is() -> None:
    action = FakeAction(name="N" * 400)
    async with world({ID: action}) as (genesys, api):
        assert await api.action(ID) == Action("N" * 256, action.schema)
        (seen,) = genesys.requests("/actions/")
        assert seen.target == f"/api/v2/integrations/actions/{ID}?expand=contract&includeConfig=false"


@pytest.mark.parametrize(
    "document",
    [
        [],
        "x",
        None,
        {},
        {"name": "x"},
        {"name": "x", "contract": []},
        {"name": 1, "contract": {"input": {"inputSchema": {}}}},
        {"name": "x", "contract": {"input": {"inputSchema": "{}"}}},
    ],
)
async def test_an_action_without_a_contract(document: Any) -> None:
    async with world() as (genesys, api):
        genesys.describe.append(Reply(body=document))
        with pytest.raises(Unreadable):
            await api.action(ID)


# Tokens


async def test_one_token_is_used_for_its_lifetime_less_a_margin() -> None:
    clock = Clock()
    async with world(clock=clock) as (genesys, api):
        genesys.expires_in = 3600
        await run(api)
        clock.now += 3600 - MARGIN - 1
        await run(api)
        assert len(genesys.tokens) == 1
        clock.now += 2
        await run(api)
        assert [seen.token for seen in genesys.requests("/execute")] == [genesys.tokens[0]] * 2 + [genesys.tokens[1]]


async def test_a_short_life_has_a_short_margin() -> None:
    clock = Clock()
    async with world(clock=clock) as (genesys, api):
        genesys.expires_in = 10
        for later, tokens in ((0, 1), (8, 1), (1.5, 2)):
            clock.now += later
            await run(api)
            assert len(genesys.tokens) == tokens


@pytest.mark.parametrize("expires_in", [None, "3600", True, 0, -5, [], {}])
async def test_a_lifetime_that_cannot_be_is_five_minutes(expires_in: Any) -> None:
    clock = Clock()
    async with world(clock=clock) as (genesys, api):
        genesys.expires_in = expires_in
        for later, tokens in ((0, 1), (299, 1), (2, 2)):
            clock.now += later
            await run(api)
            assert len(genesys.tokens) == tokens


async def test_a_lifetime_has_a_bound() -> None:
    clock = Clock()
    async with world(clock=clock) as (genesys, api):
        genesys.expires_in = 1e300
        await run(api)
        clock.now += 49 * 3600
        await run(api)
        assert len(genesys.tokens) == 2


async def test_twenty_calls_at_once_fetch_one_token() -> None:
    async with world() as (genesys, api):
        genesys.hold_tokens = asyncio.Event()
        calls = [asyncio.create_task(run(api, {"id": str(number)})) for number in range(20)]
        await genesys.asked.wait()
        genesys.hold_tokens.set()
        results = await asyncio.gather(*calls)
        assert [result["customer"]["id"] for result in results] == [str(number) for number in range(20)]
        assert len(genesys.requests("/oauth/token")) == 1
        assert genesys.runs == {ID: 20}


async def test_who_stops_waiting_does_not_take_the_token_away() -> None:
    async with world() as (genesys, api):
        genesys.hold_tokens = asyncio.Event()
        impatient, patient = asyncio.create_task(run(api)), asyncio.create_task(run(api))
        await genesys.asked.wait()
        impatient.cancel()
        await asyncio.wait([impatient])
        genesys.hold_tokens.set()
        assert await patient == {"customer": {"id": "7", "name": "Ada"}}
        assert genesys.runs == {ID: 1}


async def test_a_failure_that_nobody_waits_for_is_no_matter() -> None:
    async with world() as (genesys, api):
        genesys.sign_in.append(Reply(503))
        genesys.hold_tokens = asyncio.Event()
        impatient = asyncio.create_task(run(api))
        await genesys.asked.wait()
        impatient.cancel()
        await asyncio.wait([impatient])
        fetching, heard = api._tokens._fetching, list[object]()
        assert fetching is not None
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
        genesys.hold_tokens.set()
        await asyncio.wait([fetching])
        gc.collect()
        assert not heard
        assert await run(api) == {"customer": {"id": "7", "name": "Ada"}}


async def test_a_token_that_comes_too_late() -> None:
    async with world() as (genesys, api):
        genesys.hold_tokens = asyncio.Event()
        with pytest.raises(Unreachable):
            await run(api, seconds=0.2)
        assert not genesys.requests("/execute")


async def test_a_token_that_is_not_taken_any_more_is_renewed_once_and_the_action_run_once() -> None:
    async with world() as (genesys, api):
        await run(api)
        genesys.expire()
        assert await run(api) == {"customer": {"id": "7", "name": "Ada"}}
        assert len(genesys.tokens) == 2
        assert [seen.token for seen in genesys.requests("/execute")] == [*genesys.tokens[:1] * 2, genesys.tokens[1]]
        assert genesys.runs == {ID: 2}


async def test_calls_that_meet_one_dead_token_renew_it_once() -> None:
    async with world() as (genesys, api):
        await run(api)
        genesys.expire()
        await asyncio.gather(*(run(api) for _ in range(20)))
        assert len(genesys.tokens) == 2
        assert genesys.runs == {ID: 21}


async def test_a_second_401_is_final() -> None:
    async with world() as (genesys, api):
        denied = error(401, "bad.credentials", "No.")
        problem = await failure(genesys, api, denied, denied, Reply(body="never"))
        assert isinstance(problem, NotPermitted)
        assert (problem.code, problem.reason, problem.context_id) == ("OH-GEN-02", "401 bad.credentials", CONTEXT_ID)
        assert len(genesys.requests("/execute")) == 2
        assert not genesys.runs


async def test_a_401_of_the_actions_own_back_end_is_final_for_it_was_run() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, error(401, "unauthorized", "No.", of_action=REMOTE))
        assert isinstance(problem, Refused)
        assert problem.of_action
        assert genesys.runs == {ID: 1}
        assert len(genesys.tokens) == 1


@pytest.mark.parametrize("reply", [Reply(401, {"error": "invalid_client"}), Reply(400, b"<html>"), Reply(403)])
async def test_an_oauth_client_that_is_refused(reply: Reply) -> None:
    async with world() as (genesys, api):
        genesys.sign_in.append(reply)
        with pytest.raises(SignInRefused) as caught:
            await run(api)
        assert caught.value.code == "OH-GEN-01"
        assert not genesys.requests("/execute")


async def test_a_wrong_secret() -> None:
    async with fake() as genesys, client(genesys.url, secret="wrong") as api:
        with pytest.raises(SignInRefused):
            await run(api)
        assert base64.b64encode(b"5e1f0c1a-offhook-client:wrong").decode() in genesys.seen[0].token


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(429),
        Reply(302, headers={"Location": "https://localhost/"}),
        Reply(cut=True),
        Reply(body=b"not json"),
        Reply(body=[]),
        Reply(body={"access_token": 7}),
        Reply(body={"access_token": ""}),
        Reply(body={"access_token": "a b"}),
        Reply(body={"access_token": "a\r\nX-Evil: 1"}),
        Reply(body={"access_token": "\u00e4"}),
        Reply(body={"access_token": "a" * 9000}),
        Reply(body=b'{"access_token": "a", "x": "' + b"a" * 70_000 + b'"}'),
        Reply(body=b"[" * 60_000),
    ],
)
async def test_no_token_for_other_reasons_is_a_back_end_that_cannot_be_reached(reply: Reply) -> None:
    async with world() as (genesys, api):
        genesys.sign_in.append(reply)
        with pytest.raises(Unreachable) as caught:
            await run(api)
        assert caught.value.code == "OH-GEN-04"
        assert not genesys.requests("/execute")
        assert await run(api) == {"customer": {"id": "7", "name": "Ada"}}


# Limits


async def test_too_many_requests_are_sent_again_after_a_while() -> None:
    async with world() as (genesys, api):
        busy = error(429, "too.many.requests", "Slow down.")
        busy.headers["Retry-After"] = "0"
        genesys.execute.extend([busy, busy])
        assert await run(api) == {"customer": {"id": "7", "name": "Ada"}}
        assert len(genesys.requests("/execute")) == 3
        assert genesys.runs == {ID: 1}


async def test_too_many_requests_three_times() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, *[Reply(429, headers={"Retry-After": "0"})] * 3)
        assert isinstance(problem, RateLimited)
        assert problem.code == "OH-GEN-06"
        assert not genesys.runs


@pytest.mark.parametrize("retry_after", ["60", "Fri, 31 Dec 2027 23:59:59 GMT", "-1", "1.5", "\u0661", "9" * 50])
async def test_a_wait_that_is_too_long_or_cannot_be_read_is_not_begun(retry_after: str) -> None:
    async with world() as (genesys, api):
        began = time.monotonic()
        problem = await failure(genesys, api, Reply(429, headers={"Retry-After": retry_after}))
        assert isinstance(problem, RateLimited)
        assert time.monotonic() - began < 2
        assert len(genesys.requests("/execute")) == 1


async def test_a_wait_that_is_not_stated_is_a_second() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, Reply(429), seconds=0.9)
        assert isinstance(problem, RateLimited)
        assert problem.wait == 1.0


async def test_a_limit_of_the_actions_own_back_end_is_final_for_it_was_run() -> None:
    async with world() as (genesys, api):
        busy = error(429, "too.many.requests", "No.", of_action=REMOTE, within="Quota of the shop is used up.")
        busy.headers["Retry-After"] = "0"
        problem = await failure(genesys, api, busy)
        assert isinstance(problem, Refused)
        assert problem.message == "Quota of the shop is used up."
        assert genesys.runs == {ID: 1}


# Writes


async def test_a_booking_that_is_not_answered_is_made_once() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, Reply(run=True, hang=True), seconds=0.3)
        assert isinstance(problem, Unanswered)
        assert problem.code == "OH-GEN-05"
        assert genesys.runs == {ID: 1}
        assert len(genesys.requests("/execute")) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_booking_that_fails_is_made_once(status: int) -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, Reply(status, {"message": "x"}, headers={"Retry-After": "0"}, run=True))
        assert isinstance(problem, Unanswered)
        assert problem.reason == str(status)
        assert genesys.runs == {ID: 1}
        assert len(genesys.requests("/execute")) == 1


async def test_a_booking_whose_answer_is_cut_off_is_made_once() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, Reply(run=True, cut=True))
        assert isinstance(problem, Unanswered)
        assert genesys.runs == {ID: 1}
        assert len(genesys.requests("/execute")) == 1


@pytest.mark.parametrize("reply", [Reply(503, run=True), Reply(run=True, cut=True), Reply(run=True, hang=True)])
async def test_what_may_be_run_twice_is_run_again(reply: Reply) -> None:
    async with world() as (genesys, api):
        genesys.execute.append(reply)
        assert await run(api, seconds=1, idempotent=True) == {"customer": {"id": "7", "name": "Ada"}}
        assert genesys.runs == {ID: 2}


async def test_what_may_be_run_twice_is_not_run_three_times() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, *[Reply(503, run=True)] * 3, idempotent=True)
        assert isinstance(problem, Unanswered)
        assert genesys.runs == {ID: 2}


async def test_there_is_no_second_attempt_without_time() -> None:
    async with world() as (genesys, api):
        await run(api)
        problem = await failure(genesys, api, Reply(run=True, hang=True), seconds=0.2, idempotent=True)
        assert isinstance(problem, Unanswered)
        assert genesys.runs == {ID: 2}


async def test_each_request_has_a_connection_of_its_own() -> None:
    async with world() as (genesys, api):
        for _ in range(3):
            await run(api)
        assert len({seen.peer for seen in genesys.seen}) == 4


async def test_no_time_at_all() -> None:
    async with world() as (genesys, api):
        await run(api)
        with pytest.raises(Unreachable):
            await run(api, seconds=0)
        assert genesys.runs == {ID: 1}


# What errors mean


async def test_errors_of_the_platform() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, error(400, "bad.request", "The field id is missing."))
        assert isinstance(problem, Refused)
        assert (problem.message, problem.of_action) == ("The field id is missing.", False)
        assert "missing" not in f"{problem!r} {problem}"
        assert isinstance(await failure(genesys, api, error(403, "not.authorized", "No.")), NotPermitted)
        assert isinstance(await failure(genesys, api, error(404, "not.found", "No.")), UnknownAction)
        assert isinstance(await failure(genesys, api, error(409, "conflict", "No.")), Refused)
        assert not genesys.runs


async def test_a_404_of_the_actions_own_back_end_is_not_a_missing_action() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, error(404, "not.found", "No such customer.", of_action=REMOTE))
        assert isinstance(problem, Refused)
        assert problem.message == "No such customer."


async def test_an_action_that_is_not_there() -> None:
    async with world() as (_, api):
        with pytest.raises(UnknownAction):
            await api.action("custom_-_2")
        with pytest.raises(UnknownAction):
            await api.execute("custom_-_2", {}, timeout=5)


@pytest.mark.parametrize(
    "body",
    [b"not json", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 200_000, b'"\\ud800', b'"' + b"a" * 600_000 + b'"'],
)
async def test_an_answer_that_cannot_be_read(body: bytes) -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, Reply(body=body, run=True))
        assert isinstance(problem, Unreadable)
        assert problem.code == "OH-GEN-07"
        assert genesys.runs == {ID: 1}


async def test_a_compressed_bomb_is_not_unpacked() -> None:
    async with world() as (genesys, api):
        bomb = gzip.compress(b" " * 20_000_000)
        problem = await failure(genesys, api, Reply(body=bomb, headers={"Content-Encoding": "gzip"}, run=True))
        assert isinstance(problem, Unreadable)


async def test_a_failure_with_a_huge_body() -> None:
    async with world() as (genesys, api):
        problem = await failure(genesys, api, Reply(400, b"x" * 2_000_000))
        assert isinstance(problem, Refused)
        assert problem.message == ""


async def test_redirects_are_not_followed() -> None:
    async with world() as (genesys, api):
        elsewhere = {"Location": f"{genesys.url}/api/v2/integrations/actions/custom_-_1/execute"}
        for status in (302, 307):
            problem = await failure(genesys, api, Reply(status, headers=elsewhere))
            assert isinstance(problem, Unreadable)
        assert len(genesys.requests("/execute")) == 2


@pytest.mark.parametrize(("body", "result"), [(b"", None), (b" \n", None), (b"null", None), (b"7", 7), (b"[]", [])])
async def test_results_that_are_no_mapping(body: bytes, result: Any) -> None:
    async with world() as (genesys, api):
        genesys.execute.append(Reply(body=body, run=True))
        assert await run(api) == result


# Connections


async def test_nobody_there() -> None:
    async with fake() as genesys:
        url = genesys.url
    async with client(url) as api:
        with pytest.raises(Unreachable) as caught:
            await run(api)
        assert caught.value.reason == "ClientConnectorError"


async def test_the_api_is_not_there_but_the_login_is() -> None:
    async with fake() as genesys, fake() as other:
        gone = other.url
        await other.__aexit__()
        async with client(gone, login_url=genesys.url) as api:
            with pytest.raises(Unreachable):
                await run(api)
        assert len(genesys.tokens) == 1


async def test_a_certificate_that_is_not_trusted() -> None:
    async with fake() as genesys:
        api = PlatformApi(access(genesys.url))
        with pytest.raises(Unreachable) as caught:
            await run(api)
        assert caught.value.reason == "ClientConnectorCertificateError"
        assert not genesys.seen
        await api.close()


async def test_a_server_that_accepts_and_says_nothing() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silences.append(writer)

    silences: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with client(f"https://127.0.0.1:{port}") as api:
        with pytest.raises(Unreachable):
            await run(api, seconds=0.3)
    for writer in silences:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_after_the_end_nothing_is_sent() -> None:
    async with world() as (genesys, api):
        await api.close()
        with pytest.raises(Unreachable):
            await run(api)
        assert not genesys.seen


async def test_an_end_while_a_token_is_fetched() -> None:
    async with world() as (genesys, api):
        genesys.hold_tokens = asyncio.Event()
        call = asyncio.create_task(run(api))
        await genesys.asked.wait()
        await api.close()
        await asyncio.wait([call])
        assert call.cancelled()


# Secrets


async def test_secrets_are_in_no_repr_and_no_log() -> None:
    with capture_logs() as logs:
        async with world() as (genesys, api):
            await run(api)
            problems = [
                await failure(genesys, api, Reply(500)),
                await failure(genesys, api, error(400, "bad.request", f"{CLIENT_SECRET} {genesys.tokens[0]}")),
            ]
            shown = repr([access(genesys.url), vars(api), vars(api._tokens), problems, logs])
            for secret in (CLIENT_SECRET, *genesys.tokens):
                assert secret not in shown
