"""What an HTTP tool sends: its settings, compiled once, and the request that they come to for one call."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from offhook._version import __version__
from offhook.tools.base import CallContext, ToolError
from offhook.tools.http_settings import SAFE_METHODS, HttpToolSettings
from offhook.tools.http_url import UrlTemplate
from offhook.tools.templates import Template, ValueMissing
from offhook.tools.values import as_text, is_one_line

_ABSENT: Any = object()
"""Stands for a value whose argument the model left out."""

_STANDARD = {
    "Accept": "application/json, */*;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"offhook/{__version__}",
}


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request, ready to be sent; it may hold secrets and what a caller said, so it has no ``repr``."""

    method: str
    url: str
    """Percent-encoded."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class RequestTemplate:
    """The compiled settings of an HTTP tool."""

    def __init__(self, settings: HttpToolSettings) -> None:
        self._method = settings.method
        self._idempotency_header = None if settings.method in SAFE_METHODS else settings.idempotency_header
        self._url = UrlTemplate(settings.url, private=settings.allow_private)
        self._headers = _compile_all(settings.headers)
        self._query = _compile_all(settings.query)
        self._form = None if settings.form is None else _compile_all(settings.form)
        self._body = _compile(settings.body)

    def render(self, arguments: dict[str, Any], call: CallContext) -> Request:
        """Return the request for one call.

        Raises:
            ToolError: an argument cannot stand where it belongs.
            ValueMissing: the address lacks an argument, or the call lacks what a template needs.
            RenderFailed: a template gives no text.
        """
        query = urlencode(list(_pairs(self._query, arguments, call)), safe="", errors="replace", quote_via=quote)
        url = self._url.render(call, arguments)
        body, kind = self._payload(arguments, call)
        return Request(self._method, _with_query(url, query), self._all_headers(arguments, call, kind), body)

    def _payload(self, arguments: dict[str, Any], call: CallContext) -> tuple[bytes | None, str]:
        """Return what is sent, and its type."""
        if self._form is not None:
            pairs = list(_pairs(self._form, arguments, call))
            return urlencode(pairs, errors="replace").encode("ascii"), "application/x-www-form-urlencoded"
        body = _fill(self._body, arguments, call)
        if body is None or body is _ABSENT:
            return None, ""
        # ASCII, so that what is no character of Unicode can be written too.
        return json.dumps(body).encode("ascii"), "application/json"

    def _all_headers(self, arguments: dict[str, Any], call: CallContext, kind: str) -> dict[str, str]:
        headers = {**_STANDARD, "Content-Type": kind} if kind else dict(_STANDARD)
        if self._idempotency_header and call.invocation_id:
            headers[self._idempotency_header] = call.invocation_id
        own: dict[str, str] = {}
        for name, text in _pairs(self._headers, arguments, call):
            if not is_one_line(text):
                raise ToolError("an argument cannot be sent in a header")
            own[name] = f"{own[name]}, {text.strip()}" if name in own else text.strip()
        replaced = {name.lower() for name in own}
        return {**{name: text for name, text in headers.items() if name.lower() not in replaced}, **own}


def _compile_all(texts: Mapping[str, Any]) -> dict[str, Template]:
    return {name: _template(text.get_secret_value()) for name, text in texts.items()}


def _template(source: str) -> Template:
    return Template(source, arguments=True, finalize=as_text)


def _compile(value: Any) -> Any:
    """Return a body with a template in the place of every text."""
    if isinstance(value, str):
        return _template(value)
    if isinstance(value, Mapping):
        return {name: _compile(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_compile(inner) for inner in value]
    return value


def _fill(value: Any, arguments: dict[str, Any], call: CallContext) -> Any:
    """Return a body with its values; what has no argument is left out of its object or list."""
    if isinstance(value, Template):
        return _value(value, arguments, call)
    if isinstance(value, dict):
        filled = ((name, _fill(inner, arguments, call)) for name, inner in value.items())
        return {name: inner for name, inner in filled if inner is not _ABSENT}
    if isinstance(value, list):
        return [inner for inner in (_fill(inner, arguments, call) for inner in value) if inner is not _ABSENT]
    return value


def _value(template: Template, arguments: dict[str, Any], call: CallContext) -> Any:
    """Return a text, or the argument that is all of it; `_ABSENT` if the model left out what it needs."""
    if template.argument is not None:
        value: Any = arguments
        for part in template.argument:
            try:
                value = value[part]
            except (LookupError, TypeError):
                return _ABSENT
        return value
    try:
        return template.render(call, arguments)
    except ValueMissing as missing:
        if missing.owner == "args":
            return _ABSENT
        raise


def _pairs(texts: Mapping[str, Template], arguments: dict[str, Any], call: CallContext) -> Iterator[tuple[str, str]]:
    """Yield names and texts; nothing for those that are empty or absent, several of a name for a list."""
    for name, template in texts.items():
        value = _value(template, arguments, call)
        for entry in value if isinstance(value, list) else [value]:
            text = "" if entry is _ABSENT else as_text(entry)
            if text:
                yield name, text


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url
