"""The address of an HTTP tool: its host is fixed, values go into path and query, each as a piece of its own."""

import re
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlsplit

from offhook.tools.addresses import is_public
from offhook.tools.base import CallContext, ToolError
from offhook.tools.templates import Template
from offhook.tools.values import as_text

_URL = re.compile(r"(https?://)([^/?#\s{}\\]+)(.*)", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\]")
_NUMERIC = re.compile(r"([0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_LITERAL = re.compile(r"([A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
# A value that is empty; percent-encoding makes no such character of anything else.
_EMPTY = "\0"


class UrlFault(ValueError):
    """The text cannot be the address of a tool."""


class UrlTemplate:
    """One compiled address; UrlFault and TemplateFault say what is wrong with it.

    Args:
        source: what the operator wrote.
        private: it may lead to an address that is not one of the public Internet.
    """

    def __init__(self, source: str, *, private: bool = False) -> None:
        match = _URL.fullmatch(source)
        if match is None:
            raise UrlFault("should be https://HOST/path; the host is fixed, templates stand in path and query")
        scheme, authority, rest = match.groups()
        _check_authority(authority, private=private)
        if not rest.startswith("/"):
            rest = f"/{rest}"
        self._origin = scheme + authority
        self.template = Template(rest, arguments=True, finalize=_encode)
        literal = self.template.literal
        if not _LITERAL.fullmatch(literal):
            raise UrlFault("path and query have a character that has to be percent-encoded, or a #")
        if _climbs(literal.partition("?")[0]):
            raise UrlFault("the path has a part that is . or ..")

    def render(self, call: CallContext, arguments: dict[str, object]) -> str:
        """Return the address for one call, percent-encoded.

        Raises:
            ToolError: a value cannot be a part of the path: it is empty, or leads elsewhere.
            RenderFailed: the template gives no text for this call.
        """
        path, mark, query = self.template.render(call, arguments).partition("?")
        if any(part and not part.strip(_EMPTY) for part in path.split("/")):
            raise ToolError("an argument that is a part of the address is empty")
        path = path.replace(_EMPTY, "")
        if _climbs(path):
            raise ToolError("an argument cannot be used as a part of the address")
        return f"{self._origin}{path}{mark}{query.replace(_EMPTY, '')}"


def _check_authority(authority: str, *, private: bool) -> None:
    if "@" in authority:
        raise UrlFault("has no place for a user and a password; use headers")
    try:
        parts = urlsplit(f"//{authority}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    written = authority.rpartition(":")[0] if port is not None else authority.removesuffix(":")
    if not _HOST.fullmatch(written) or port == 0:
        raise UrlFault("the host cannot be read; write it like api.example.com or api.example.com:8443")
    numeric = bool(_NUMERIC.fullmatch(host.rsplit(".", 1)[-1])) or ":" in host
    if numeric and not _is_address(host):
        raise UrlFault("the host is a number; write the address as four numbers with dots")
    if not private and (_is_local_name(host) or (numeric and not is_public(host))):
        raise UrlFault("the address is a private one; set allow_private: true if the tool is meant to reach it")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_local_name(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def _encode(value: object) -> str:
    return quote(as_text(value), safe="", errors="replace") or _EMPTY


def _climbs(path: str) -> bool:
    """Tell whether a server, or a proxy before it, might take a part of the path for the way to another place.

    Some decode twice, some take a backslash for ``/``, some ignore what follows a ``;``, some do not expect lines.
    """
    for _ in range(2):
        path = unquote(path)
        if any(part in (".", "..") for part in re.split(r"[/\\;]", path)) or not path.isprintable():
            return True
    return False
