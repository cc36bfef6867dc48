import json
from typing import Any

import pytest
from pydantic import ValidationError

from offhook.agents import Agent
from offhook.tools import Tool, ToolSource
from offhook.tools.http import HttpEntry, HttpTool
from offhook.tools.http_settings import HttpToolSettings

MINIMAL: dict[str, Any] = {"name": "t", "description": "d", "url": "https://api.example.com/v1"}
WITH_ID = {**MINIMAL, "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}


def settings(**values: Any) -> HttpToolSettings:
    return HttpToolSettings.model_validate({**WITH_ID, **values})


def test_defaults() -> None:
    found = HttpToolSettings.model_validate(MINIMAL)
    assert (found.method, found.attempts, found.repeatable) == ("GET", 3, True)
    assert found.schema_of_arguments == {"type": "object", "properties": {}, "additionalProperties": False}
    tool = HttpEntry(http=found).resolve()
    assert isinstance(tool, Tool)
    assert isinstance(tool, ToolSource)
    assert (tool.definition.name, tool.definition.description, tool.tools) == ("t", "d", (tool,))


@pytest.mark.parametrize(
    ("values", "attempts"),
    [
        ({"retries": 0}, 1),
        ({"retries": 5}, 6),
        ({"method": "HEAD"}, 3),
        ({"method": "POST"}, 1),
        ({"method": "PUT"}, 1),
        ({"method": "DELETE", "retries": 0}, 1),
        ({"method": "POST", "idempotent": True}, 3),
        ({"method": "POST", "idempotent": True, "retries": 1}, 2),
    ],
)
def test_attempts(values: dict[str, Any], attempts: int) -> None:
    assert settings(**values).attempts == attempts


@pytest.mark.parametrize(
    "values",
    [
        {"url": "https://10.0.0.7/x", "allow_private": True},
        {"url": "http://localhost:8080/", "allow_private": True},
        {"url": "https://[2606:4700::1111]:8443/x"},
        {"url": "https://8.8.8.8"},
        {"url": "https://api.example.com./x"},
        {"headers": {"X-Name": "\u00e4", "Content-Type": "application/vnd.api+json"}},
        {"errors": {"404": "There is none.", 500: "x"}},
        {"result": {"a": "/a", "all": ""}},
        {"idempotency_header": "X-Id", "method": "POST", "headers": {"Idempotency-Key": "{{ args.id }}"}},
        {"headers": {"Idempotency-Key": "{{ args.id }}"}},
        {"form": None, "body": None, "idempotency_header": None, "parameters": None, "url": "https://h/"},
        {"body": False, "method": "POST"},
    ],
)
def test_settings(values: dict[str, Any]) -> None:
    assert settings(**values).model_fields_set >= set(values)


@pytest.mark.parametrize(
    ("values", "loc", "text"),
    [
        ({"method": "get"}, ("method",), "'GET'"),
        ({"name": "a b"}, ("name",), "pattern"),
        ({"description": ""}, ("description",), "at least 1"),
        ({"url": "ftp://x/y"}, ("url",), "should be https://HOST/path"),
        ({"url": "api.example.com/x"}, ("url",), "should be https://HOST/path"),
        ({"url": "https:///x"}, ("url",), "should be https://HOST/path"),
        ({"url": "https://{{ args.id }}/x"}, ("url",), "the host is fixed"),
        ({"url": "https://{{args.id}}.example.com/x"}, ("url",), "the host is fixed"),
        ({"url": "{{ args.id }}"}, ("url",), "the host is fixed"),
        ({"url": "https://user:secret@example.com/"}, ("url",), "no place for a user"),
        ({"url": "https://example.com\\@evil.example/"}, ("url",), "percent-encoded"),
        ({"url": "https://example.com:port/"}, ("url",), "the host cannot be read"),
        ({"url": "https://example.com:99999/"}, ("url",), "the host cannot be read"),
        ({"url": "https://example.com:0/"}, ("url",), "the host cannot be read"),
        ({"url": "https://exa_mple!.com/"}, ("url",), "the host cannot be read"),
        ({"url": "https://[::1/"}, ("url",), "the host cannot be read"),
        ({"url": "https://127.0.0.1/"}, ("url",), "set allow_private: true"),
        ({"url": "https://169.254.169.254/latest"}, ("url",), "set allow_private: true"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, ("url",), "set allow_private: true"),
        ({"url": "https://LOCALHOST:80/"}, ("url",), "set allow_private: true"),
        ({"url": "https://a.localhost./"}, ("url",), "set allow_private: true"),
        ({"url": "https://2130706433/"}, ("url",), "four numbers"),
        ({"url": "https://0x7f000001/"}, ("url",), "four numbers"),
        ({"url": "https://127.1/"}, ("url",), "four numbers"),
        ({"url": "https://0177.0.0.1/", "allow_private": True}, ("url",), "four numbers"),
        ({"url": "https://h/a b"}, ("url",), "percent-encoded"),
        ({"url": "https://h/\u00e4"}, ("url",), "percent-encoded"),
        ({"url": "https://h/a#b"}, ("url",), "percent-encoded"),
        ({"url": "https://h/100%"}, ("url",), "percent-encoded"),
        ({"url": "https://h/a/../b"}, ("url",), ". or .."),
        ({"url": "https://h/%2e%2E/{{ args.id }}"}, ("url",), ". or .."),
        ({"url": "https://h/{{ args.idd }}"}, ("url",), "there is no parameter idd; did you mean id?"),
        ({"url": "https://h/{{ args.id"}, ("url",), "unexpected end of template"),
        ({"headers": {"A B": "x"}}, ("headers", "A B", "[key]"), "cannot be the name"),
        ({"headers": {"Host": "x"}}, ("headers", "Host", "[key]"), "set by offhook"),
        ({"headers": {"A": "x", "a": "y"}}, ("headers", "a", "[key]"), "there twice"),
        (
            {"headers": {"Idempotency-Key": "x"}, "method": "PUT"},
            ("headers", "Idempotency-Key", "[key]"),
            "there twice",
        ),
        ({"headers": {"A": "a\r\nB: c"}}, ("headers", "A"), "one line"),
        ({"headers": {"A": "{{ arg.id }}"}}, ("headers", "A"), "the template cannot be used"),
        ({"headers": {"A": "{{ args.x }}"}}, ("headers", "A"), "there is no parameter x"),
        ({"headers": {"A": ["x"]}}, ("headers", "A"), "string"),
        ({"query": {"q": "{{ args.x }}"}}, ("query", "q"), "there is no parameter x"),
        ({"query": {"q": "{% if %}"}}, ("query", "q"), "the template cannot be used"),
        ({"form": {"q": "{{ args.x }}"}, "method": "POST"}, ("form", "q"), "there is no parameter x"),
        (
            {"body": {"a": [0, {"b": "{{ args.x }}"}]}, "method": "POST"},
            ("body", "a", 1, "b"),
            "there is no parameter x",
        ),
        ({"body": "{{ call.x }}", "method": "POST"}, ("body",), "the template cannot be used"),
        ({"body": {"a": float("nan")}, "method": "POST"}, ("body",), "JSON"),
        ({"body": {"a": {1, 2}}, "method": "POST"}, ("body",), "JSON"),
        ({"body": {}}, ("body",), "a GET request has no body"),
        ({"form": {}, "method": "HEAD"}, ("form",), "a HEAD request has no body"),
        ({"form": {}, "body": {}, "method": "PUT"}, ("form",), "not both"),
        ({"method": "POST", "retries": 1}, ("retries",), "say idempotent: true"),
        ({"retries": 6}, ("retries",), "less than or equal to 5"),
        ({"idempotency_header": "a b"}, ("idempotency_header",), "cannot be the name"),
        ({"idempotency_header": "Connection"}, ("idempotency_header",), "set by offhook"),
        ({"errors": {"404x": "x"}}, ("errors", "404x", "[key]"), "integer"),
        ({"errors": {200: "x"}}, ("errors", "200", "[key]"), "300"),
        ({"parameters": {"id": {"type": "string"}}}, ("parameters", "type"), "type: object"),
        (
            {"parameters": {"type": "object", "properties": {"id": {"type": "text"}}}},
            ("parameters", "properties", "id", "type"),
            "types",
        ),
        ({"result": "data"}, ("result", "(plain)"), "begins with /"),
        ({"result": {"a": "/a~"}}, ("result", "(structured)", "a"), "~0"),
        ({"outputs": {"A": "x"}}, ("outputs", "A"), "begins with /"),
        ({"timeout": 0}, ("timeout",), "greater than 0"),
        ({"retires": 1}, ("retires",), "not permitted"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], loc: tuple[str | int, ...], text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**values)
    (error,) = caught.value.errors(include_url=False)
    assert tuple(str(part) if part == 200 else part for part in error["loc"]) == loc
    assert text in error["msg"]


def test_lines_of_templates() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(method="POST", body={"a": "one\n{{ args.id }}\n{{ args.x }}"})
    (error,) = caught.value.errors()
    assert error["type"] == "template"
    assert error["ctx"]["line"] == 3


def test_many_mistakes_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(
            url="https://h/{{ args.a }}/{{ args.b }}",
            headers={"A": "{{ args.c }}", "B": "{{ args.d }}", "Host": "x"},
            query={"x": "{{ args.e }}", "y": "{{ args.f }}"},
            errors={"1": "x"},
            max_bytes=0,
        )
    assert sorted(error["loc"] for error in caught.value.errors()) == [
        ("errors", "1", "[key]"),
        ("headers", "A"),
        ("headers", "B"),
        ("headers", "Host", "[key]"),
        ("max_bytes",),
        ("query", "x"),
        ("query", "y"),
        ("url",),
        ("url",),
    ]


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "values",
    [
        {"headers": {"A": f"{{{{ {SECRET} }}}}"}},
        {"headers": {"A": f"{{{{ {SECRET} {SECRET} }}}}"}},
        {"headers": {"A": f"{SECRET}\n1"}},
        {"query": {"A": f"{{% {SECRET} %}}"}},
        {"method": "POST", "body": {"a": f"{{{{ {SECRET} }}}}"}},
        {"method": "POST", "form": {"a": f"{{{{ {SECRET} }}}}"}},
        {"body": {"a": SECRET}},
        {"headers": {"A": SECRET}, "method": "NONE"},
    ],
)
def test_mistakes_do_not_repeat_secrets(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Agent.model_validate({"instructions": "x", "tools": [{"http": {**WITH_ID, **values}}]})
    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.errors(include_input=False))


def test_secrets_are_never_shown() -> None:
    found = settings(
        method="POST",
        headers={"Authorization": f"Bearer {SECRET}"},
        query={"key": SECRET},
        body={"client": {"secret": SECRET}, "id": "{{ args.id }}"},
    )
    form = settings(method="POST", form={"client_secret": SECRET})
    other = {"http": {**WITH_ID, "name": "other", "method": "POST", "form": {"a": SECRET}}}
    agent = Agent.model_validate({"instructions": "x", "tools": [HttpTool(HttpEntry(http=found)), other]})
    shown = agent.model_dump(mode="json")["tools"]
    assert shown[0]["http"]["headers"] == {"Authorization": "**********"}
    assert shown[0]["http"]["body"] == "**********"
    assert shown[1]["http"]["form"] == {"a": "**********"}
    texts = [
        repr(found),
        str(found),
        repr(form),
        repr(agent),
        str(agent.tools),
        str(agent.model_dump()),
        json.dumps(shown),
    ]
    assert not [text for text in texts if SECRET in text]


def test_what_is_shown_can_be_read_again() -> None:
    written = {**WITH_ID, "method": "POST", "body": {"id": "{{ args.id }}"}, "errors": {"404": "None."}, "timeout": 8.0}
    (shown,) = Agent.model_validate({"instructions": "x", "tools": [{"http": written}]}).model_dump(mode="json")[
        "tools"
    ]
    assert shown == {"http": {**written, "body": "**********"}}
    assert Agent.model_validate({"instructions": "x", "tools": [shown]}).model_dump(mode="json")["tools"] == [shown]
