"""Holds an emulated session on a virtual clock; every event it sends is checked against the types of the SDK."""

import base64
import json
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from offhook.audio import silence
from offhook.emulator.scenario import Scenario
from offhook.emulator.session import EmulatorSession
from offhook.speech import Speech

Event = dict[str, Any]

SPEECH = Speech(synthesiser=None)
VALID: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)

QUESTION = SPEECH.clip("What are your opening hours?", "caller")
INTERRUPTION = SPEECH.clip("Stop, please.", "caller")

PCMU = {"type": "audio/pcmu"}
SERVER_VAD = {"type": "server_vad", "silence_duration_ms": 500}


class Rig:
    """A client that knows what time it is because it decides it."""

    def __init__(
        self,
        scenario: dict[str, Any] | None = None,
        *,
        seed: int = 0,
        connection: int = 0,
        model: str = "gpt-realtime-2.1",
    ) -> None:
        self.now = 100.0
        self.events: list[Event] = []
        self.session = EmulatorSession(
            Scenario.model_validate(scenario or {}),
            SPEECH,
            seed=seed,
            connection=connection,
            model=model,
            unix_time=1_795_363_200.0,
        )
        self.session.connected(self.now)
        self.collect()

    def collect(self) -> list[Event]:
        """Take what was sent."""
        new: list[Event] = [json.loads(data) for data in self.session.data_to_send()]
        for event in new:
            VALID.validate_python(event)
            assert event["event_id"].startswith("event_")
        self.events += new
        return new

    def send(self, kind: str, **fields: Any) -> list[Event]:
        """Send a client event and return what comes at once."""
        return self.send_text(json.dumps({"type": kind, **fields}))

    def send_text(self, text: str | bytes) -> list[Event]:
        self.session.receive_text(text, self.now)
        return self.collect()

    def ready(self, **session: Any) -> list[Event]:
        """Send the one session.update of a phone client, with µ-law both ways."""
        audio: dict[str, Any] = {
            "input": {"format": PCMU, "transcription": {"model": "gpt-transcribe"}, "turn_detection": SERVER_VAD},
            "output": {"format": PCMU, "voice": "marin"},
        }
        for side, changes in session.pop("audio", {}).items():
            audio[side] |= changes
        return self.send("session.update", session={"type": "realtime", "audio": audio, **session})

    def run(self, seconds: float) -> list[Event]:
        """Let time pass, stopping at every timer."""
        start = len(self.events)
        end = self.now + seconds
        while (at := self.session.next_timer()) is not None and at <= end:
            self.now = max(self.now, at)
            self.session.handle_timer(self.now)
            self.collect()
        self.now = end
        return self.events[start:]

    def append(self, audio: bytes) -> list[Event]:
        return self.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    def speak(self, audio: bytes, *, then_ms: int = 700, piece_ms: int = 100) -> list[Event]:
        """Send µ-law audio and then silence in real time."""
        start = len(self.events)
        audio += silence(then_ms)
        for at in range(0, len(audio), piece_ms * 8):
            self.run(piece_ms / 1000)
            self.append(audio[at : at + piece_ms * 8])
        return self.events[start:]

    def greet(self) -> Event:
        """Ask for a response and wait for its end."""
        self.send("response.create")
        return done(self.run(5.0))


def kinds(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def only(events: list[Event], kind: str) -> Event:
    (event,) = of(events, kind)
    return event


def done(events: list[Event]) -> Event:
    response: Event = only(events, "response.done")["response"]
    return response


def error(events: list[Event]) -> Event:
    found: Event = only(events, "error")["error"]
    return found


def audio_of(events: list[Event]) -> bytes:
    return b"".join(base64.b64decode(event["delta"]) for event in of(events, "response.output_audio.delta"))


def said(response: Event) -> list[str]:
    return [
        part.get("transcript") or part.get("text") or ""
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]
