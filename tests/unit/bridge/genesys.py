"""A small Genesys for tests: keeps the sequence numbers, and plays what it gets as Genesys does."""

import json
from typing import Any

SESSION = "9c6b7d3e-5f0a-4a8e-9b1d-2f6a1c0e7b54"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
CONVERSATION = "3b8f0c52-7d1e-4c7a-8a56-0d9e4f21c6aa"
NIL = "00000000-0000-0000-0000-000000000000"
PCMU = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}


class Playback:
    """Genesys' queue: plays in real time, `start_delay` after the first audio of a run; knows what was really heard."""

    def __init__(self, start_delay: float = 0.1) -> None:
        self.start_delay = start_delay
        self.received = 0
        self.heard = bytearray()
        self.most_unplayed = 0
        self.gaps = 0
        self._waiting = bytearray()
        self._begins: float | None = None  # when the audio in `_waiting` begins to be heard
        self._told = False

    def enqueue(self, audio: bytes, now: float) -> None:
        if self._begins is None:
            self.gaps += 1
            self._begins = now + self.start_delay
        self._waiting += audio
        self.received += len(audio)
        self.most_unplayed = max(self.most_unplayed, len(self._waiting))

    def flush(self, now: float) -> None:
        self.advance(now)
        self._waiting.clear()
        self._begins, self._told = None, False

    def next_timer(self) -> float | None:
        if self._begins is None:
            return None
        return self._begins + len(self._waiting) / 8000 if self._told else self._begins

    def advance(self, now: float) -> list[str]:
        """Play until `now`; returns the reports that are due, oldest first."""
        reports: list[str] = []
        if self._begins is None or now < self._begins:
            return reports
        if not self._told:
            self._told = True
            reports.append("playback_started")
        played = min(len(self._waiting), int((now - self._begins) * 8000 + 1e-3))
        self.heard += self._waiting[:played]
        del self._waiting[:played]
        self._begins += played / 8000
        if not self._waiting:
            self._begins, self._told = None, False
            reports.append("playback_completed")
        return reports

    @property
    def unplayed(self) -> int:
        return len(self._waiting)


class Messages:
    """Makes the client's messages, numbers in order."""

    def __init__(self) -> None:
        self.seq = 0
        self.serverseq = 0
        self.position = 0

    def make(self, kind: str, parameters: dict[str, Any] | None = None) -> str:
        self.seq += 1
        return json.dumps(
            {
                "version": "2",
                "id": SESSION,
                "type": kind,
                "seq": self.seq,
                "serverseq": self.serverseq,
                "position": f"PT{self.position / 8000}S",
                "parameters": parameters or {},
            }
        )

    def open(self, *, probe: bool = False, media: list[dict[str, Any]] | None = None) -> str:
        parameters: dict[str, Any] = {
            "organizationId": ORGANIZATION,
            "conversationId": NIL if probe else CONVERSATION,
            "participant": {"id": CONVERSATION, "ani": "tel:+13175550100", "aniName": "", "dnis": "tel:+13175550199"},
            "media": [PCMU] if media is None else media,
            "language": "en-us",
        }
        return self.make("open", parameters)
