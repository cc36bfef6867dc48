"""A worker that carries no calls: `python fake_worker.py DESCRIPTOR`. What it does depends on its configuration.

It is a program of its own, and imports as little as it can, for a test starts many.
"""

import signal
import socket
import struct
import sys
from typing import Any

import msgspec


class End:
    """The worker's end of the channel."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def send(self, kind: str, **fields: Any) -> None:
        data = msgspec.msgpack.encode({"type": kind, **fields})
        self._socket.sendall(struct.pack("!I", len(data)) + data)

    def receive(self) -> Any:
        head = self._socket.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            raise SystemExit(0)
        return msgspec.msgpack.decode(self._socket.recv(struct.unpack("!I", head)[0], socket.MSG_WAITALL))


def main() -> None:
    end = End(int(sys.argv[1]))
    begin = end.receive()
    match begin["text"]:
        case "dies":
            raise SystemExit(3)
        case "fails":
            end.send("Failed", status=2, lines=["no good"])
            raise SystemExit(2)
        case "hangs":
            signal.pause()
        case "fourth dies" if begin["number"] == 4:
            raise SystemExit(3)
        case "one fails" if begin["number"] == 2:
            end.send("Failed", status=1, lines=["no room"])
            raise SystemExit(1)
    signal.signal(signal.SIGTERM, lambda *_: end.send("StopAsked"))
    end.send("Ready")
    while True:
        order = end.receive()
        match order["type"]:
            case "Reload":
                refused = order["text"] == "bad" or (order["text"] == "bad for 1" and begin["number"] == 1)
                outcome = {"applied": not refused, "problems": ["not so"] if refused else []}
                end.send("Reloaded", id=order["id"], outcome=outcome)
            case "AskProviders":
                state = "resting" if begin["number"] == 1 else "ok"
                end.send("Providers", id=order["id"], states={"openai": state})
            case "Drain" | "HandOver" if begin["text"] != "stays":
                raise SystemExit(0)
            case "Cut":
                raise SystemExit(1 if begin["text"] == "unanswered" else 0)


if __name__ == "__main__":
    main()
