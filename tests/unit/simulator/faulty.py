"""A server that says exactly what it is told to, right or wrong."""

import json
from collections.abc import Callable
from typing import Any

Reply = dict[str, Any] | bytes
Rule = Callable[[dict[str, Any]], list[Reply]]

MEDIA = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}


class FaultyServer:
    """Answers `open`, `ping` and `close` properly, except where `replies` says otherwise.

    Args:
        replies: message type → what is sent instead; `seq` and `clientseq` are filled in where they are missing.
        at: seconds after `open` → what is sent then.
    """

    def __init__(
        self, replies: dict[str, list[Reply]] | None = None, at: dict[float, list[Reply]] | None = None
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.audio = bytearray()
        self.frames: list[tuple[float, int]] = []
        self._replies = replies or {}
        self._at = dict(at or {})
        self._start: float | None = None
        self._seq = 0
        self._clientseq = 0
        self._id = ""
        self._out: list[str | bytes] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of one type that came."""
        return [message for message in self.received if message["type"] == kind]

    def receive_text(self, data: str, now: float) -> None:
        message = json.loads(data)
        self.received.append(message | {"_at": now})
        self._id = message["id"]
        self._clientseq = message["seq"]
        kind = message["type"]
        if kind == "open":
            self._start = now
        usual: dict[str, list[Reply]] = {
            "open": [
                {"type": "opened", "parameters": {"media": message["parameters"].get("media"), "startPaused": False}}
            ],
            "ping": [{"type": "pong", "parameters": {}}],
            "close": [{"type": "closed", "parameters": {}}],
            "update": [{"type": "updated", "parameters": {}}],
        }
        for reply in self._replies.get(kind, usual.get(kind, [])):
            self._send(reply)

    def receive_audio(self, data: bytes, now: float) -> None:
        self.audio += data
        self.frames.append((now, len(data)))

    def receive_eof(self, now: float) -> None:
        pass

    def _send(self, reply: Reply) -> None:
        if isinstance(reply, bytes):
            self._out.append(reply)
            return
        self._seq += 1
        envelope = {"version": "2", "id": self._id, "seq": self._seq, "clientseq": self._clientseq}
        self._out.append(json.dumps(envelope | reply))

    def data_to_send(self) -> list[str | bytes]:
        out, self._out = self._out, []
        return out

    def next_timer(self) -> float | None:
        return self._start + min(self._at) if self._at and self._start is not None else None

    def handle_timer(self, now: float) -> None:
        while (due := self.next_timer()) is not None and now >= due - 1e-9:
            for reply in self._at.pop(min(self._at)):
                self._send(reply)


def event(*entities: dict[str, Any]) -> Reply:
    """Return an `event` message."""
    return {"type": "event", "parameters": {"entities": list(entities)}}


BARGE_IN = event({"type": "barge_in", "data": {}})


def disconnect(reason: str = "completed", **parameters: Any) -> Reply:
    """Return a `disconnect` message."""
    return {"type": "disconnect", "parameters": {"reason": reason, **parameters}}
