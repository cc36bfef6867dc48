"""Who gets in, and who does not."""

import asyncio
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from offhook.admin import Access, Answer, Route
from offhook.admin import door as module
from offhook.admin.guesses import GUESSES
from offhook.admin.sessions import SESSION_IDLE
from tests.unit.admin.world import OTHER_TOKEN, TOKEN, World, configured, world

SIGNED_IN_ONLY = [("GET", "/"), ("GET", "/api/v1/status"), ("GET", "/api/v1/openapi.json"), ("POST", "/api/v1/reload")]


async def metrics(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="offhook_calls 7\n")


async def live(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


FURTHER = (
    Route(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Figures",
        serve=metrics,
        answers={HTTPStatus.OK: Answer("Figures.", content_type="text/plain")},
        access=Access.LOCAL,
    ),
    Route(
        method="GET",
        path="/live",
        name="live",
        summary="Events",
        serve=live,
        answers={HTTPStatus.SWITCHING_PROTOCOLS: Answer("A WebSocket.")},
    ),
)


def code(body: str) -> str:
    found = re.search(r"OH-ADM-\d\d", body)
    return found[0] if found else body


@pytest.mark.parametrize(("method", "path"), [*SIGNED_IN_ONLY, ("POST", "/reload"), ("POST", "/logout")])
async def test_nothing_is_told_without_a_token(admin: World, method: str, path: str) -> None:
    status, body, headers = await admin.ask(method, path, Sec_Fetch_Site="same-origin")
    assert (status, code(body), headers["WWW-Authenticate"]) == (401, "OH-ADM-01", "Bearer")
    assert admin.gateway.reloads == 0


@pytest.mark.parametrize(("method", "path"), SIGNED_IN_ONLY)
async def test_a_token_opens(admin: World, method: str, path: str) -> None:
    assert (await admin.ask(method, path, token=TOKEN))[0] == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}"],
)
async def test_a_wrong_token_does_not(admin: World, authorization: str) -> None:
    status, body, _ = await admin.ask("GET", "/api/v1/status", Authorization=authorization)
    assert (status, code(body)) == (401, "OH-ADM-02")


async def test_several_tokens_open_while_one_is_replaced_and_end_with_it() -> None:
    async with world(admin_token=[TOKEN, OTHER_TOKEN]) as admin:
        for token in (TOKEN, OTHER_TOKEN):
            assert (await admin.ask("GET", "/api/v1/status", token=token))[0] == 200
        await admin.sign_in(TOKEN)
        admin.port.change(configured(admin_token=OTHER_TOKEN))
        assert (await admin.ask("GET", "/api/v1/status", token=TOKEN))[0] == 401
        assert (await admin.ask("GET", "/api/v1/status", token=OTHER_TOKEN))[0] == 200
        assert (await admin.browse("GET", "/"))[0] == 303


async def test_a_refusal_takes_its_time(admin: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFUSAL_DELAY", 0.05)
    clock = asyncio.get_running_loop().time
    began = clock()
    assert (await admin.ask("GET", "/api/v1/status", token="wrong"))[0] == 401
    assert clock() - began >= 0.05


async def test_guessing_ends_soon_and_who_is_signed_in_goes_on(admin: World) -> None:
    form = await admin.sign_in()
    with capture_logs() as logs:
        for _ in range(GUESSES):
            assert (await admin.ask("GET", "/api/v1/status", token="wrong"))[0] == 401
        status, body, headers = await admin.ask("GET", "/api/v1/status", token=TOKEN)
        assert (status, code(body)) == (429, "OH-ADM-03")
        assert 1 <= int(headers["Retry-After"]) <= 10
        assert (await admin.browse("GET", "/"))[0] == 200
        _, page, _ = await admin.browse("POST", "/logout", {"form_token": form})
        _, page, _ = await admin.browse("GET", "/login")
        status, body, headers = await admin.browse("POST", "/login", {"token": TOKEN, "form_token": _form(page)})
        assert (status, code(body)) == (429, "OH-ADM-03")
        assert "Retry-After" in headers
    refusals = [line for line in logs if line["event"] == "admin sign-in refused"]
    assert len(refusals) == GUESSES  # what is not looked at is not worth a line either


def _form(page: str) -> str:
    found = re.search(r'name="form_token" value="([\w-]+)"', page)
    assert found is not None
    return found[1]


# The name of the port.


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8081", "127.0.0.1", "127.0.0.1:1", "[::1]:8081", "10.1.2.3:8081", "admin.example.com",
     "Admin.Example.Com:443", "admin.example.com."],
)  # fmt: skip
async def test_names_of_the_port(host: str) -> None:
    async with world(admin_hosts=["admin.example.com"]) as admin:
        assert (await admin.ask("GET", "/healthz", Host=host))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example#localhost",
     "localhost@evil.example", "evil.example@localhost", "localhost/x", "x localhost", "", "[::1", "localhost:x"],
)  # fmt: skip
async def test_other_names_are_told_nothing(admin: World, host: str) -> None:
    for path in ("/healthz", "/login", "/api/v1/status", "/nowhere"):
        status, body, _ = await admin.ask("GET", path, token=TOKEN, Host=host)
        assert (status, code(body)) in ((421, "OH-ADM-04"), (400, body)), path
        assert "evil" not in body


async def test_one_host_only(admin: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", admin.port.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    head = await asyncio.wait_for(reader.read(), 5)
    assert head.split(b" ")[1] in (b"400", b"421")
    writer.close()


# The page that a request comes from.

SameSite = pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Site": "same-origin", "Origin": "null"}, {"Origin": "http://HOST"}, {"Origin": "https://HOST"}],
)


@SameSite
async def test_pages_of_ours_may_write(admin: World, headers: dict[str, str]) -> None:
    form = await admin.sign_in()
    told = {name: value.replace("HOST", f"127.0.0.1:{admin.port.port}") for name, value in headers.items()}
    status, _, _ = await admin.ask("POST", "/api/v1/reload", X_CSRF_Token=form, **told)
    assert (status, admin.gateway.reloads) == (200, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "", "Origin": "http://HOST"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://HOST"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://HOST.evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "HOST"},
        {"Origin": "ftp://HOST"},
        {},
    ],
)
async def test_other_pages_may_not(admin: World, headers: dict[str, str]) -> None:
    form = await admin.sign_in()
    told = {name: value.replace("HOST", f"127.0.0.1:{admin.port.port}") for name, value in headers.items()}
    for path in ("/api/v1/reload", "/reload", "/logout", "/login"):
        status, body, _ = await admin.ask("POST", path, data={"form_token": form}, X_CSRF_Token=form, **told)
        assert (status, code(body)) == (403, "OH-ADM-05"), path
    assert admin.gateway.reloads == 0
    assert (await admin.browse("GET", "/"))[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_other_pages_may_not_read_the_api(admin: World, site: str) -> None:
    await admin.sign_in()
    status, body, headers = await admin.ask("GET", "/api/v1/status", Sec_Fetch_Site=site)
    assert (status, code(body)) == (403, "OH-ADM-05")
    assert "Access-Control-Allow-Origin" not in headers
    assert (await admin.ask("GET", "/api/v1/status"))[0] == 200


async def test_a_program_with_a_token_says_nothing_of_a_page(admin: World) -> None:
    assert (await admin.ask("POST", "/api/v1/reload", token=TOKEN))[0] == 200
    assert (await admin.ask("POST", "/api/v1/reload", token=TOKEN, Origin="http://evil.example"))[0] == 403


@pytest.mark.parametrize("shown", [None, "", "wrong"])
async def test_a_session_has_to_show_its_form(admin: World, shown: str | None) -> None:
    await admin.sign_in()
    data = {} if shown is None else {"form_token": shown}
    for path in ("/reload", "/logout", "/api/v1/reload"):
        status, body, _ = await admin.browse("POST", path, data)
        assert (status, code(body)) == (403, "OH-ADM-05")
    assert admin.gateway.reloads == 0


async def test_the_form_of_another_session_does_not_count(admin: World) -> None:
    first = await admin.sign_in()
    admin.client.cookie_jar.clear()
    second = await admin.sign_in()
    assert first != second
    assert (await admin.browse("POST", "/reload", {"form_token": first}))[0] == 403
    assert (await admin.browse("POST", "/reload", {"form_token": second}))[0] == 200


async def test_an_upgrade_has_to_come_from_a_page_of_ours() -> None:
    async with world(more=FURTHER) as admin:
        assert (await admin.ask("GET", "/live", token=TOKEN, Origin="http://evil.example"))[0] == 400  # no upgrade
        await admin.sign_in()
        url = admin.url("/live").replace("http", "ws")
        async with admin.client.ws_connect(url, headers={"Sec-Fetch-Site": "same-origin"}) as socket:
            assert await socket.receive()
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            with pytest.raises(Exception, match="403"):
                await admin.client.ws_connect(url, headers=headers)


# Sessions of browsers.


async def test_signing_in_and_out(admin: World) -> None:
    status, _, headers = await admin.browse("GET", "/")
    assert (status, headers["Location"]) == (303, "/login")
    form = await admin.sign_in()
    status, _, headers = await admin.browse("GET", "/login")
    assert (status, headers["Location"]) == (303, "/")
    kept = {cookie.key: cookie.value for cookie in admin.client.cookie_jar}
    status, _, headers = await admin.browse("POST", "/logout", {"form_token": form})
    assert (status, headers["Location"]) == (303, "/login")
    assert (await admin.browse("GET", "/"))[0] == 303
    admin.client.cookie_jar.update_cookies(kept)
    assert (await admin.browse("GET", "/"))[0] == 303


async def test_cookies_are_for_our_pages_alone(admin: World) -> None:
    _, page, _ = await admin.browse("GET", "/login")
    _, _, headers = await admin.browse("POST", "/login", {"token": TOKEN, "form_token": _form(page)})
    cookie = headers["Set-Cookie"]
    assert cookie.startswith(f"offhook-{admin.port.port}=")
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert "Domain" not in cookie
    assert "Secure" not in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    assert len(value) == 43


async def test_behind_a_proxy_with_tls_cookies_are_for_tls_alone(admin: World) -> None:
    origin = f"https://127.0.0.1:{admin.port.port}"
    _, page, _ = await admin.browse("GET", "/login")
    data = {"token": TOKEN, "form_token": _form(page)}
    _, _, headers = await admin.ask("POST", "/login", data=data, Origin=origin)
    assert headers["Set-Cookie"].startswith(f"__Host-offhook-{admin.port.port}=")
    assert "Secure" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert (await admin.ask("GET", "/api/v1/status", Cookie=cookie))[0] == 200
    _, page, _ = await admin.ask("GET", "/", Cookie=cookie)
    _, _, headers = await admin.ask("POST", "/logout", data={"form_token": _form(page)}, Origin=origin, Cookie=cookie)
    assert "Max-Age=0" in headers["Set-Cookie"]
    assert (await admin.ask("GET", "/api/v1/status", Cookie=cookie))[0] == 401


async def test_a_session_that_somebody_made_up_is_none(admin: World) -> None:
    for value in ("x", secrets.token_urlsafe(32), "", "a" * 4000):
        cookie = f"offhook-{admin.port.port}={value}"
        assert (await admin.ask("GET", "/api/v1/status", Cookie=cookie))[0] == 401


async def test_a_session_begins_anew_with_each_sign_in(admin: World) -> None:
    await admin.sign_in()
    (before,) = [cookie.value for cookie in admin.client.cookie_jar if cookie.key == f"offhook-{admin.port.port}"]
    admin.client.cookie_jar.clear()
    await admin.sign_in()
    (after,) = [cookie.value for cookie in admin.client.cookie_jar if cookie.key == f"offhook-{admin.port.port}"]
    assert before != after


async def test_a_session_that_is_not_used_ends(admin: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await admin.sign_in()
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(module, "_now", lambda: now + SESSION_IDLE + 1)
    assert (await admin.browse("GET", "/"))[0] == 303


@pytest.mark.parametrize(
    "change",
    [lambda data: data.pop("form_token"), lambda data: data.update(form_token="x"), lambda data: data.clear()],
)
async def test_the_login_form_has_to_be_ours(admin: World, change: Callable[[dict[str, str]], Any]) -> None:
    _, page, _ = await admin.browse("GET", "/login")
    data = {"token": TOKEN, "form_token": _form(page)}
    change(data)
    status, body, headers = await admin.browse("POST", "/login", data)
    assert (status, code(body)) == (403, "OH-ADM-05")
    assert "Set-Cookie" not in headers


async def test_the_login_page_says_what_is_wrong(admin: World) -> None:
    _, page, _ = await admin.browse("GET", "/login")
    status, body, _ = await admin.browse("POST", "/login", {"token": "<wrong>", "form_token": _form(page)})
    assert (status, code(body)) == (401, "OH-ADM-02")
    assert 'role="alert"' in body
    assert "<wrong>" not in body
    assert (await admin.browse("POST", "/login", {"token": TOKEN, "form_token": _form(body)}))[0] == 303


# What scrapers may read.


async def test_metrics_are_for_this_machine_or_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(more=FURTHER) as admin:
        assert (await admin.ask("GET", "/metrics"))[1] == "offhook_calls 7\n"
        assert (await admin.ask("GET", "/metrics", token=TOKEN))[0] == 200
        assert (await admin.ask("GET", "/metrics", token="wrong"))[0] == 401
        for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"):
            assert (await admin.ask("GET", "/metrics", **{header: "192.0.2.1"}))[0] == 401
        assert (await admin.ask("GET", "/metrics", Host="evil.example"))[0] == 421
    async with world(more=FURTHER, admin="0.0.0.0:0") as admin:
        assert (await admin.ask("GET", "/metrics"))[0] == 401
        assert (await admin.ask("GET", "/metrics", token=TOKEN))[0] == 200
