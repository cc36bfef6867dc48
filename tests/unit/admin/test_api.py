"""What the API says, and that its description is true."""

import asyncio
import json
from typing import Any

import jsonschema
import msgspec
import pytest
from structlog.testing import capture_logs

from offhook.admin import api as module
from offhook.gateway.control import ReloadOutcome
from tests.unit.admin.world import STATUS, TOKEN, World

PROBLEM = "offhook.yaml:3:1: OH-CONF-05 speed: there is no such setting"


async def described(admin: World) -> dict[str, Any]:
    status, body, _ = await admin.ask("GET", "/api/v1/openapi.json", token=TOKEN)
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    return document


def check(document: dict[str, Any], method: str, path: str, status: int, kind: str, body: str) -> None:
    """Fail if an answer is not one that the description knows."""
    answers = document["paths"][path][method.lower()]["responses"]
    assert str(status) in answers or status >= 400
    content = answers.get(str(status), answers["default"])["content"]
    assert any(known in (kind, f"{kind.partition('/')[0]}/*") for known in content), (path, status, kind)
    if kind == "application/json":
        schema = {**content[kind]["schema"], "components": document["components"]}
        jsonschema.validate(json.loads(body), schema)


async def test_every_route_is_described(admin: World) -> None:
    document = await described(admin)
    jsonschema.Draft202012Validator.check_schema({"$defs": document["components"]["schemas"]})
    operations = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    served = set()
    for path in document["paths"]:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            status, _, _ = await admin.ask(method, path.replace("{name}", "admin.css"), token=TOKEN)
            if status != 405:
                served.add((method, path))
    assert served == operations | {("HEAD", path) for method, path in operations if method == "GET"}
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)
    assert {"/", "/login", "/logout", "/reload", "/healthz", "/static/{name}"} < set(document["paths"])
    assert {"/api/v1/status", "/api/v1/reload", "/api/v1/openapi.json"} < set(document["paths"])


async def test_answers_are_as_described(admin: World) -> None:
    document = await described(admin)
    form = await admin.sign_in()
    data = {"token": TOKEN, "form_token": form}
    requests: list[tuple[str, str, dict[str, str]]] = []
    for path, methods in document["paths"].items():
        for method in methods:
            requests += [(method.upper(), path, data), (method.upper(), path, {})]
    requests.sort(key=lambda request: request[1] == "/logout")
    seen: set[tuple[str, int]] = set()
    for outcome in (ReloadOutcome(applied=True), ReloadOutcome(applied=False, problems=(PROBLEM,))):
        admin.gateway.outcome = outcome
        for method, path, sent in requests:
            token = None if path in ("/", "/reload", "/login", "/logout") else TOKEN
            for authorized in (token, "wrong", None):
                if authorized == "wrong" and len(seen) > 12:
                    continue  # there may not be many of them
                status, body, headers = await admin.ask(
                    method,
                    path.replace("{name}", "login.js"),
                    token=authorized,
                    data=sent if method == "POST" else None,
                    Sec_Fetch_Site="same-origin",
                    Accept="text/html" if token is None else "*/*",
                )
                kind = headers.get("Content-Type", "text/html").partition(";")[0]
                check(document, method, path, status, kind, body)
                seen.add((path, status))
    for expected in [("/api/v1/reload", 200), ("/api/v1/reload", 422), ("/api/v1/status", 401), ("/", 200)]:
        assert expected in seen


async def test_status(admin: World) -> None:
    status, body, headers = await admin.ask("GET", "/api/v1/status", token=TOKEN)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert msgspec.json.decode(body, type=type(STATUS)) == STATUS


async def test_reload(admin: World) -> None:
    with capture_logs() as logs:
        status, body, _ = await admin.ask("POST", "/api/v1/reload", token=TOKEN)
    assert (status, json.loads(body)) == (200, {"applied": True, "problems": [], "restart_needed": ["listen"]})
    assert [line["event"] for line in logs] == ["admin reload", "admin reload over"]
    assert logs[0]["credential"] == "admin_token[0]"


async def test_a_reload_that_is_not_applied(admin: World) -> None:
    admin.gateway.outcome = ReloadOutcome(applied=False, problems=(PROBLEM,))
    status, body, _ = await admin.ask("POST", "/api/v1/reload", token=TOKEN)
    answer = json.loads(body)
    assert (status, answer["error"]["code"], answer["problems"]) == (422, "OH-ADM-10", [PROBLEM])


async def test_one_reload_at_a_time(admin: World) -> None:
    admin.gateway.going_on.clear()
    first = asyncio.ensure_future(admin.ask("POST", "/api/v1/reload", token=TOKEN))
    while not admin.gateway.reloads:  # noqa: ASYNC110 - until the request is there
        await asyncio.sleep(0)
    status, body, _ = await admin.ask("POST", "/api/v1/reload", token=TOKEN)
    assert (status, json.loads(body)["error"]["code"]) == (409, "OH-ADM-09")
    admin.gateway.going_on.set()
    assert (await first)[0] == 200
    assert admin.gateway.reloads == 1
    assert (await admin.ask("POST", "/api/v1/reload", token=TOKEN))[0] == 200


async def test_a_gateway_that_does_not_answer(admin: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATUS_TIMEOUT", 0.01)
    monkeypatch.setattr(module, "RELOAD_TIMEOUT", 0.01)
    admin.gateway.going_on.clear()
    status, body, _ = await admin.ask("GET", "/api/v1/status", token=TOKEN)
    assert (status, json.loads(body)["error"]["code"]) == (504, "OH-ADM-08")
    assert admin.gateway.cancelled == 1
    status, body, _ = await admin.ask("POST", "/api/v1/reload", token=TOKEN)
    assert (status, json.loads(body)["error"]["code"]) == (504, "OH-ADM-08")
    assert admin.gateway.cancelled == 1  # the reload goes on
    assert (await admin.ask("POST", "/api/v1/reload", token=TOKEN))[0] == 409


async def test_a_gateway_that_fails(admin: World) -> None:
    admin.gateway.failure = RuntimeError("secret of the gateway")
    for method, path in (("GET", "/api/v1/status"), ("POST", "/api/v1/reload"), ("GET", "/")):
        with capture_logs() as logs:
            status, body, _ = await admin.ask(method, path, token=TOKEN, Accept="text/html")
        assert status == 500
        assert "OH-ADM-11" in body
        assert "secret" not in body
        assert [line["code"] for line in logs if line["log_level"] == "error"] == ["OH-ADM-11"]
    admin.gateway.failure = None
    assert (await admin.ask("POST", "/api/v1/reload", token=TOKEN))[0] == 200


async def test_health_is_for_everybody(admin: World) -> None:
    assert (await admin.ask("GET", "/healthz"))[:2] == (200, "ok\n")
    assert (await admin.ask("HEAD", "/healthz"))[:2] == (200, "")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "OH-ADM-06"),
        ("GET", "/api/v2/status", 404, "OH-ADM-06"),
        ("GET", "/static/", 404, "OH-ADM-06"),
        ("GET", "/static/nothing.js", 404, "OH-ADM-06"),
        ("GET", "/static/..%2fapp.py", 404, "OH-ADM-06"),
        ("GET", "/static/%2e%2e/app.py", 404, "OH-ADM-06"),
        ("GET", "/static/home.html", 404, "OH-ADM-06"),
        ("GET", "//healthz", 404, "OH-ADM-06"),
        ("DELETE", "/api/v1/status", 405, "OH-ADM-06"),
        ("GET", "/api/v1/reload", 405, "OH-ADM-06"),
        ("OPTIONS", "/api/v1/reload", 405, "OH-ADM-06"),
    ],
)
async def test_what_there_is_not(admin: World, method: str, path: str, status: int, code: str) -> None:
    for accept in ("*/*", "text/html"):
        found, body, _ = await admin.ask(method, path, token=TOKEN, Accept=accept)
        assert found == status
        assert code in body
        assert body.startswith("<!doctype html>") == (accept == "text/html" and not path.startswith("/api/"))
