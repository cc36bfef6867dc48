"""Messages of a made-up call, and a raw peer for each role that says whatever a test wants."""

import json
from typing import Any

from offhook.audiohook import ClientSession, Media, OpenReceived, ServerSession

SESSION = "9c6b7d3e-5f0a-4a8e-9b1d-2f6a1c0e7b54"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
CONVERSATION = "3b8f0c52-7d1e-4c7a-8a56-0d9e4f21c6aa"
NIL = "00000000-0000-0000-0000-000000000000"

PCMU = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
STEREO = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
L16 = {"type": "audio", "format": "L16", "channels": ["external"], "rate": 8000}
STEREO_MEDIA = Media(type="audio", format="PCMU", channels=("internal", "external"), rate=8000)

OPEN: dict[str, Any] = {
    "organizationId": ORGANIZATION,
    "conversationId": CONVERSATION,
    "participant": {
        "id": "6f1d2c3b-4a59-4e8f-9c0d-1e2f3a4b5c6d",
        "ani": "tel:+13175550123",
        "aniName": "",
        "dnis": "tel:+13175550199",
    },
    "media": [PCMU],
    "language": "en-us",
    "inputVariables": {"CUSTOMER_TIER": "gold"},
}


class RawGenesys:
    """Feeds a `ServerSession` with hand-made client messages."""

    def __init__(self, session: ServerSession | None = None) -> None:
        self.session = session or ServerSession(session_id=SESSION, organization_id=ORGANIZATION, now=0.0)
        self.seq = 0
        self.serverseq = 0
        self.sent: list[dict[str, Any]] = []
        self.audio: list[bytes] = []

    def state(self) -> str:
        return self.session.state.name

    def say(self, type_: str, parameters: object = None, *, now: float = 0.0, **envelope: object) -> list[Any]:
        """Send a message with right counters (unless overridden); return the events it caused."""
        self.seq += 1
        message: dict[str, Any] = {
            "version": "2",
            "id": SESSION,
            "type": type_,
            "seq": self.seq,
            "serverseq": self.serverseq,
            "position": "PT0.0S",
            "parameters": {} if parameters is None else parameters,
        }
        message.update(envelope)
        return self.raw(json.dumps({key: value for key, value in message.items() if value != "absent"}), now=now)

    def raw(self, data: str | bytes, *, now: float = 0.0) -> list[Any]:
        self.session.receive_text(data, now)
        return list(self.session.events())

    def heard(self) -> list[dict[str, Any]]:
        """Take what the session sent: text messages are returned, audio is put aside."""
        texts = []
        for data in self.session.data_to_send():
            if isinstance(data, str):
                texts.append(json.loads(data))
                self.serverseq += 1
            else:
                self.audio.append(data)
        self.sent += texts
        return texts

    def open(self, parameters: dict[str, Any] | None = None, *, now: float = 0.0) -> OpenReceived:
        """Go to the state OPENING."""
        (event,) = self.say("open", OPEN if parameters is None else parameters, now=now)
        assert isinstance(event, OpenReceived)
        return event

    def opened(self, parameters: dict[str, Any] | None = None, *, now: float = 0.0) -> "RawGenesys":
        """Go to the state OPEN."""
        self.open(parameters, now=now)
        assert self.session.send_opened(now)
        assert self.heard()[0]["type"] == "opened"
        return self


class RawGateway:
    """Feeds a `ClientSession` with hand-made server messages."""

    def __init__(self, session: ClientSession | None = None) -> None:
        self.session = session or ClientSession(
            session_id=SESSION, organization_id=ORGANIZATION, conversation_id=CONVERSATION
        )
        self.seq = 0

    def say(self, type_: str, parameters: object = None, *, now: float = 0.0, **envelope: object) -> list[Any]:
        """Send a message with right counters (unless overridden); return the events it caused."""
        self.seq += 1
        message: dict[str, Any] = {
            "version": "2",
            "id": SESSION,
            "type": type_,
            "seq": self.seq,
            "clientseq": 1,
            "parameters": {} if parameters is None else parameters,
        }
        message.update(envelope)
        return self.raw(json.dumps({key: value for key, value in message.items() if value != "absent"}), now=now)

    def raw(self, data: str | bytes, *, now: float = 0.0) -> list[Any]:
        self.session.receive_text(data, now)
        return list(self.session.events())

    def audio(self, data: bytes, *, now: float = 0.0) -> list[Any]:
        self.session.receive_audio(data, now)
        return list(self.session.events())

    def timer(self, now: float) -> list[Any]:
        self.session.handle_timer(now)
        return list(self.session.events())

    def heard(self) -> list[dict[str, Any]]:
        """Take the text messages that the session sent."""
        return [json.loads(data) for data in self.session.data_to_send() if isinstance(data, str)]

    def open(self) -> "RawGateway":
        """Go to the state OPENING."""
        self.session.send_open(0.0)
        assert self.heard()[0]["type"] == "open"
        return self

    def opened(self, media: object = (PCMU,), **parameters: object) -> "RawGateway":
        """Go to the state OPEN."""
        self.open()
        assert self.say("opened", {"media": media, **parameters})
        return self
