"""Secrets that can be found again in whatever shape they leak, and servers that repeat what they were sent."""

import asyncio
import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import quote, quote_plus

PART = 8
"""Characters of the beginning and of the end of a secret that are a leak by themselves."""


def _token(prefix: str) -> str:
    """Return a text that is nowhere else, and that looks different when it is quoted for an address."""
    return f"{prefix}{secrets.token_urlsafe(9)}+/={secrets.token_urlsafe(9)}"


def _digits(count: int) -> str:
    return "".join(secrets.choice("123456789") for _ in range(count))


@dataclass(frozen=True)
class Secrets:
    """Everything that nobody may read in logs, errors, reports and configurations that are shown."""

    api_key: str = field(default_factory=lambda: _token("K"))
    client_secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    next_client_secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())
    provider_key: str = field(default_factory=lambda: _token("sk-"))
    other_provider_key: str = field(default_factory=lambda: _token("sk-"))
    provider_header: str = field(default_factory=lambda: _token("H"))
    tool_token: str = field(default_factory=lambda: _token("T"))
    tool_query: str = field(default_factory=lambda: _token("Q"))
    mcp_token: str = field(default_factory=lambda: _token("M"))
    oauth_secret: str = field(default_factory=lambda: _token("O"))
    admin_token: str = field(default_factory=lambda: _token("A"))
    environment: str = field(default_factory=lambda: _token("E"))
    """What a tool reads where it likes."""
    # Who calls, and what about:
    ani: str = field(default_factory=lambda: f"49{_digits(10)}")
    ani_name: str = field(default_factory=lambda: f"Zaphod {secrets.token_hex(8)}")
    input: str = field(default_factory=lambda: f"card {_digits(16)}")
    words: str = field(default_factory=lambda: f"my password is {secrets.token_hex(8)}")
    pin: str = field(default_factory=lambda: _digits(9))
    argument: str = field(default_factory=lambda: f"order {secrets.token_hex(8)}")

    def named(self) -> dict[str, str]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def found_in(self, text: str) -> list[str]:
        """Return which secrets a text holds, and in which form."""
        return [
            f"{name} ({form})"
            for name, secret in self.named().items()
            for form, shape in shapes(secret).items()
            if shape in text
        ]


def shapes(secret: str) -> dict[str, str]:
    """Return what a secret may look like."""
    raw = secret.encode()
    found = {
        "plain": secret,
        "JSON": json.dumps(secret)[1:-1],
        "percent-encoded": quote(secret, safe=""),
        "form-encoded": quote_plus(secret),
        "hex": raw.hex(),
        "first": secret[:PART],
        "last": secret[-PART:],
    }
    for shift in range(3):
        # Behind so many other bytes, as in the base64 of user:password; what shares a character with them is cut off.
        encoded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        found[f"base64 {shift}"] = encoded[(shift * 8 + 5) // 6 : -1]
    return found


class Echo:
    """Answers every request with a refusal that repeats all of it: in the reason, in headers, in the body."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            request = head + await reader.readexactly(length)
            self.requests.append(request)
            status = int(request.split(b" ")[1].split(b"status-")[-1][:3]) if b"status-" in request else 401
            writer.write(_refusal(status, request))
            await writer.drain()
        writer.close()


def _refusal(status: int, request: bytes) -> bytes:
    headers = dict(line.split(": ", 1) for line in request.decode("latin-1").split("\r\n")[1:] if ": " in line)
    given = headers.get("Authorization", headers.get("authorization", "none"))
    body = json.dumps(
        {"error": {"message": f"Incorrect API key provided: {given}", "param": request.decode("latin-1")}}
    )
    lines = [
        f"HTTP/1.1 {status} {given}",
        f"WWW-Authenticate: {given}",
        f"Location: http://127.0.0.1:9/?{quote(given)}",
        f"Content-Type: {'application/json' if status != 200 else given}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", body]).encode("latin-1")


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    """Serve until the block ends."""
    made = Echo()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


def environment(given: Secrets, extra: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the secrets as environment variables, by the names of the fields in capitals."""
    return {**{name.upper(): secret for name, secret in given.named().items()}, **extra}
