import re
from html.parser import HTMLParser

import pytest

from offhook.gateway.control import GatewayStatus, ReloadOutcome
from tests.unit.admin.world import TOKEN, World

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "offhook",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PATHS = ["/", "/login", "/static/admin.css", "/static/login.js", "/healthz", "/api/v1/status", "/nowhere"]


class Page(HTMLParser):
    """The parts of a page that its safety and its use without sight hang on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", [TOKEN, None, "wrong"])
async def test_every_answer_has_the_headers(admin: World, path: str, token: str | None) -> None:
    _, _, headers = await admin.ask("GET", path, token=token, Accept="text/html")
    for name, value in HEADERS.items():
        assert headers.getall(name) == [value]
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    for part in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["Referrer-Policy"] in ("no-referrer", "same-origin")


async def test_pages_can_be_read_by_everybody_and_load_nothing_from_elsewhere(admin: World) -> None:
    _, login, _ = await admin.browse("GET", "/login")
    form = await admin.sign_in()
    admin.gateway.outcome = ReloadOutcome(applied=False, problems=("<script>alert(1)</script>",))
    texts = [login, (await admin.browse("GET", "/"))[1]]
    texts.append((await admin.browse("POST", "/reload", {"form_token": form}))[1])
    texts.append((await admin.browse("GET", "/nowhere"))[1])
    for text in texts:
        page = Page(text)
        assert page.all("html") == [{"lang": "en"}]
        assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
        assert page.all("meta")[1]["name"] == "viewport"
        labels = {label["for"] for label in page.all("label")}
        assert {field["id"] for field in page.all("input") if field.get("type") != "hidden"} == labels
        assert all(head["scope"] in ("col", "row") for head in page.all("th"))
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for _, attributes in page.tags:
            for name in ("aria-labelledby", "aria-describedby"):
                assert attributes.get(name) in (None, *ids)
            # The policy would not let them run, and nobody would see why.
            assert not any(name == "style" or name.startswith("on") for name in attributes)
            for name in ("src", "href", "action"):
                assert (attributes.get(name) or "/").startswith("/")
        for script in page.all("script"):
            assert script["src"] in ("/static/login.js",)
        assert "<script>" not in text
        assert "<b>" not in text


async def test_the_page_says_how_the_gateway_is(admin: World) -> None:
    await admin.sign_in()
    _, text, _ = await admin.browse("GET", "/")
    for part in ("are taken", "<dd>7</dd>", "support, &lt;b&gt;sales&lt;/b&gt;", "resting", "4711", "2026-09-21 "):
        assert part in text
    admin.gateway.state = GatewayStatus(
        ready=False, reason="draining", calls=0, draining=True, agents=(), providers={}, workers=()
    )
    _, text, _ = await admin.browse("GET", "/")
    assert "are not taken: draining" in text
    assert "then the gateway stops" in text
    assert text.count(">none<") == 2


async def test_the_button(admin: World) -> None:
    form = await admin.sign_in()
    status, text, _ = await admin.browse("POST", "/reload", {"form_token": form})
    assert status == 200
    assert "new calls go by it" in text
    assert "<code>listen</code>" in text
    admin.gateway.outcome = ReloadOutcome(applied=False, problems=("offhook.yaml:1:1: no",))
    status, text, _ = await admin.browse("POST", "/reload", {"form_token": form})
    assert status == 422
    assert "<li><code>offhook.yaml:1:1: no</code></li>" in text
    assert admin.gateway.reloads == 2


async def test_files(admin: World) -> None:
    for name, kind in (("admin.css", "text/css"), ("login.js", "text/javascript")):
        status, text, headers = await admin.ask("GET", f"/static/{name}")
        assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert text
        assert not re.search(r"https?://", text)
