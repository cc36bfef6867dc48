import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from offhook.tools import CallContext, ToolError
from offhook.tools.http_request import Request, RequestTemplate
from offhook.tools.http_settings import HttpToolSettings
from offhook.tools.templates import RenderFailed, ValueMissing

CALL = CallContext(id="call-1", ani="+15550100", inputs={"SHOP": "Mitte & West"}, invocation_id="run-1")
NAMES = ("id", "day", "seats", "paid", "tags", "where", "a", "b")


def settings(**values: Any) -> HttpToolSettings:
    parameters = {"type": "object", "properties": {name: {} for name in NAMES}}
    known = {"name": "t", "description": "d", "url": "https://api.example.com/v1", "parameters": parameters}
    return HttpToolSettings.model_validate({**known, **values})


def render(arguments: dict[str, Any] | None = None, call: CallContext = CALL, **values: Any) -> Request:
    return RequestTemplate(settings(**values)).render(arguments or {}, call)


@pytest.mark.parametrize(
    ("url", "arguments", "expected"),
    [
        ("https://api.example.com", {}, "https://api.example.com/"),
        ("https://api.example.com?x=1", {}, "https://api.example.com/?x=1"),
        ("http://api.example.com:8080/a/{{ args.id }}/c", {"id": "b"}, "http://api.example.com:8080/a/b/c"),
        ("https://h/{{ args.id }}", {"id": "a/b?x#y"}, "https://h/a%2Fb%3Fx%23y"),
        ("https://h/{{ args.id }}", {"id": "50% \u00e4\ud800"}, "https://h/50%25%20%C3%A4%3F"),
        ("https://h/{{ args.id }}", {"id": "a@evil.example:1"}, "https://h/a%40evil.example%3A1"),
        ("https://h/{{ args.id }}", {"id": "..."}, "https://h/..."),
        ("https://h/{{ args.id }}/{{ args.a }}", {"id": 7, "a": True}, "https://h/7/true"),
        ("https://h/x{{ args.a | default('') }}", {}, "https://h/x"),
        ("https://h/x?day={{ args.day }}&y=1", {"day": "1&y=2"}, "https://h/x?day=1%26y%3D2&y=1"),
        ("https://h/x?day={{ args.day }}", {"day": "a\r\nb/../c"}, "https://h/x?day=a%0D%0Ab%2F..%2Fc"),
        ("https://h/x?day={{ args.day }}", {"day": None}, "https://h/x?day="),
        ("https://h/a%2Fb/{{ input.SHOP }}/{{ call.ani }}", {}, "https://h/a%2Fb/Mitte%20%26%20West/%2B15550100"),
    ],
)
def test_values_are_pieces_of_the_address(url: str, arguments: dict[str, Any], expected: str) -> None:
    assert render(arguments, url=url).url == expected


@pytest.mark.parametrize(
    "value",
    [
        "..",
        ".",
        "../admin",
        "a/../admin",
        "..\\admin",
        "..;x",
        "a/..",
        "%2e%2e",
        "%2E%2E%2Fadmin",
        "a\r\nb",
        "a\0b",
        "",
        None,
    ],
)
def test_values_that_lead_elsewhere_are_refused(value: object) -> None:
    with pytest.raises(ToolError, match="address") as caught:
        render({"id": value}, url="https://h/v1/{{ args.id }}/x")
    assert "admin" not in str(caught.value)


def test_values_that_lead_elsewhere_together_are_refused() -> None:
    with pytest.raises(ToolError, match="address"):
        render({"a": ".", "b": "."}, url="https://h/v1/{{ args.a }}{{ args.b }}/x")


def test_an_address_that_lacks_an_argument() -> None:
    with pytest.raises(ValueMissing) as caught:
        render(url="https://h/{{ args.id }}")
    assert (caught.value.owner, caught.value.name) == ("args", "id")


def test_query() -> None:
    query = {
        "day": "{{ args.day }}",
        "shop": "{{ input.SHOP }}",
        "limit": 5,
        "all": True,
        "none": "",
        "tag": "{{ args.tags }}",
    }
    full = render({"day": "1 2", "tags": ["a&b", 2]}, query=query, url="https://h/x?y=1").url
    assert full == "https://h/x?y=1&day=1%202&shop=Mitte%20%26%20West&limit=5&all=true&tag=a%26b&tag=2"
    assert render({"day": None, "tags": []}, query=query).url == (
        "https://api.example.com/v1?shop=Mitte%20%26%20West&limit=5&all=true"
    )
    assert render(query={"day": "{{ args.day }}"}).url == "https://api.example.com/v1"


BODY = {
    "slot": "{{ args.id }}",
    "seats": "{{ args.seats }}",
    "paid": "{{ args.paid }}",
    "street": "{{ args.where.street }}",
    "note": "For {{ call.ani }} on {{ args.day }}",
    "list": ["{{ args.tags }}", "{{ args.a }}", 5, {"b": "{{ args.b }}"}],
    "fixed": {"x": None, "y": 1.5, "z": ""},
}


def test_body_keeps_types() -> None:
    request = render(
        {
            "id": "7",
            "seats": 4,
            "paid": False,
            "where": {"street": "A"},
            "day": "Monday",
            "tags": ["x"],
            "a": None,
            "b": {"c": 1},
        },
        method="POST",
        body=BODY,
    )
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body or b"") == {
        "slot": "7",
        "seats": 4,
        "paid": False,
        "street": "A",
        "note": "For +15550100 on Monday",
        "list": [["x"], None, 5, {"b": {"c": 1}}],
        "fixed": {"x": None, "y": 1.5, "z": ""},
    }


def test_body_without_arguments() -> None:
    assert json.loads(render({}, method="PATCH", body=BODY).body or b"") == {
        "list": [5, {}],
        "fixed": {"x": None, "y": 1.5, "z": ""},
    }
    assert json.loads(render({"where": "x"}, method="PATCH", body=BODY).body or b"")["list"] == [5, {}]


def test_a_body_that_is_all_arguments() -> None:
    assert json.loads(render({"a": [1], "b": "\ud800"}, method="PUT", body="{{ args }}").body or b"") == {
        "a": [1],
        "b": "\ud800",
    }


def test_no_body() -> None:
    for body in (None, "{{ args.a }}"):
        request = render({}, method="POST", body=body)
        assert request.body is None
        assert "Content-Type" not in request.headers


def test_form() -> None:
    request = render(
        {"a": "x&y=z", "tags": [1, 2]},
        method="POST",
        form={"a": "{{ args.a }}", "t": "{{ args.tags }}", "b": "{{ args.b }}", "c": "\u00e4 b"},
    )
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qsl((request.body or b"").decode()) == [("a", "x&y=z"), ("t", "1"), ("t", "2"), ("c", "\u00e4 b")]
    assert render({}, method="POST", form={"b": "{{ args.b }}"}).body == b""


def test_headers() -> None:
    headers = {
        "Authorization": "Bearer tok\n",
        "X-Call": "{{ call.id }}",
        "accept": "text/plain",
        "X-A": "{{ args.a }}",
        "X-N": 5,
    }
    request = render({"a": [" 1 ", 2]}, headers=headers, method="DELETE")
    assert request.headers == {
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": request.headers["User-Agent"],
        "Idempotency-Key": "run-1",
        "Authorization": "Bearer tok",
        "X-Call": "call-1",
        "accept": "text/plain",
        "X-A": "1, 2",
        "X-N": "5",
    }
    assert "X-A" not in render({}, headers=headers).headers


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x85b", "\ud800"])
def test_headers_have_one_line(value: str) -> None:
    with pytest.raises(ToolError, match="cannot be sent in a header"):
        render({"a": value}, headers={"X-A": "{{ args.a }}"})


def test_idempotency_header() -> None:
    assert render(method="POST", idempotency_header="X-Request-Id").headers["X-Request-Id"] == "run-1"
    assert "run-1" not in render(method="POST", idempotency_header=None).headers.values()
    assert "run-1" not in render(method="GET").headers.values()
    assert "Idempotency-Key" not in render(method="POST", call=CallContext(id="c")).headers


def test_what_the_call_lacks() -> None:
    with pytest.raises(ValueMissing) as caught:
        render(query={"x": "{{ input.NONE }}"})
    assert (caught.value.owner, caught.value.name) == ("input", "NONE")
    with pytest.raises(RenderFailed, match="TypeError"):
        render({"a": "4111"}, method="POST", body={"x": "{{ args.a + 1 }}"})


def test_requests_have_no_repr() -> None:
    request = render(
        {"id": "4111"}, url="https://h/{{ args.id }}", headers={"A": "tok"}, method="POST", body="{{ args }}"
    )
    assert urlsplit(request.url).path == "/4111"
    assert "4111" not in repr(request)
    assert "tok" not in repr(request)
