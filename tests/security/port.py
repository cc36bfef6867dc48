"""One attempt on a socket: what is sent, and everything that comes back."""

import asyncio
import contextlib
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.genesys import PCMU
from tests.acceptance.identity import Identity
from tests.conformance.raw_ws import BINARY, CLOSE, TEXT, Frame, RawPeer, encode_frame

DEADLINE = 5.0
"""Seconds after which a connection that has not come to its end fails the test."""


def source_address(number: int) -> tuple[str, int] | None:
    """Return an address of this machine to call from, so that attempts differ in the log; only Linux has them all."""
    return (f"127.0.{1 + number // 250}.{1 + number % 250}", 0) if sys.platform == "linux" else None


@dataclass
class Answer:
    """What the peer got."""

    status: int | None = None
    """Status of the HTTP answer; None when there was none."""
    head: bytes = b""
    body: bytes = b""
    rest: bytes = b""
    """What came after the answer."""
    seconds: float = 0.0
    remote: str = ""
    """The address that it came from."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Messages of AudioHook, after an upgrade."""

    @property
    def types(self) -> list[str]:
        return [str(message["type"]) for message in self.messages]

    @property
    def text(self) -> str:
        """Return it as the table writes it, without what only the log knows."""
        for message in self.messages:
            if message["type"] == "disconnect":
                return f"disconnect {message['parameters']['info'].partition(' ')[0]}"
        return "closed" if self.status is None else str(self.status)


async def ask(
    port: int,
    request: bytes,
    messages: Iterable[str | bytes] = (),
    *,
    identity: Identity | None = None,
    number: int = 0,
) -> Answer:
    """Send a request, and messages once it was upgraded; return what came until the gateway closed.

    What `disconnect` demands is done as Genesys does it; a head that is not whole ends with the sending side closed.
    """
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source_address(number))
        answer = Answer(remote=writer.get_extra_info("sockname")[0])
        began = time.monotonic()
        try:
            writer.write(request)
            if b"\r\n\r\n" not in request:
                writer.write_eof()
            await _read_head(reader, answer)
            answer.seconds = time.monotonic() - began
            if answer.status == 101:
                await _converse(RawPeer(reader, writer, client=True), answer, messages, identity or Identity())
            else:
                with contextlib.suppress(ConnectionError):
                    answer.rest = await reader.read()
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return answer


async def _read_head(reader: asyncio.StreamReader, answer: Answer) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    answer.head, answer.status = head, int(head.split(b" ", 2)[1])
    if length := re.search(rb"(?i)\r\ncontent-length: (\d+)", head):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            answer.body = await reader.readexactly(int(length[1]))


async def _converse(peer: RawPeer, answer: Answer, messages: Iterable[str | bytes], identity: Identity) -> None:
    seq = 0
    for one in messages:
        seq += isinstance(one, str)
        peer.write(_frame(one))
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while (frame := await peer.read_frame()).opcode != CLOSE:
            received = _read_message(frame)
            answer.messages.append(received)
            if received["type"] == "disconnect":
                peer.write(
                    _frame(message(identity, "close", seq + 1, {"reason": "disconnect"}, serverseq=received["seq"]))
                )
            elif received["type"] in ("opened", "closed"):
                peer.close_frame(1000)


def _frame(data: str | bytes) -> bytes:
    if isinstance(data, str):
        return encode_frame(TEXT, data.encode(), mask=True)
    return encode_frame(BINARY, data, mask=True)


def _read_message(frame: Frame) -> dict[str, Any]:
    if frame.opcode == BINARY:
        return {"type": "audio"}
    read = json.loads(frame.payload)
    assert isinstance(read, dict)
    return read


def message(identity: Identity, kind: str, seq: int = 1, given: Mapping[str, Any] | None = None, **over: Any) -> str:
    head = {"version": "2", "id": identity.session, "type": kind, "seq": seq, "serverseq": 0, "position": "PT0S"}
    return json.dumps({**head, "parameters": dict(given or {}), **over})


def open_message(identity: Identity, seq: int = 1, *, head: Mapping[str, Any] | None = None, **over: Any) -> str:
    given = {
        "organizationId": identity.organization,
        "conversationId": identity.conversation,
        "participant": {"id": identity.participant, "ani": "tel:+13175550123", "aniName": "", "dnis": ""},
        "media": [PCMU],
        **over,
    }
    return message(identity, "open", seq, given, **(head or {}))
