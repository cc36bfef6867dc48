"""Responses of the Realtime fake, event by event in the documented order (openai-realtime.md §11)."""

import base64
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Event = dict[str, Any]

NUMBERS = itertools.count(1)
"""Make every ID of the fake unique."""


class Connection(Protocol):
    """Where a response goes."""

    active: str | None

    async def send(self, event: Event) -> float: ...


class Answer:
    """One response of the model."""

    def __init__(self, leg: Connection, metadata: Mapping[str, str] | None) -> None:
        self.leg = leg
        self.id = f"resp_{next(NUMBERS)}"
        self.metadata = metadata
        self.output: list[dict[str, Any]] = []

    def _body(self, status: str, details: Mapping[str, Any] | None, usage: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": self.output,
            "conversation_id": "conv_1",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}},
            "usage": usage,
            "metadata": self.metadata,
        }

    async def begin(self) -> None:
        self.leg.active = self.id
        await self.leg.send({"type": "response.created", "response": self._body("in_progress", None, None)})

    async def speech(self, item: str | None = None) -> "Speech":
        """Begin a message item of audio."""
        speech = Speech(self, item or f"item_agent_{next(NUMBERS)}", len(self.output))
        self.output.append(speech.body("in_progress", ""))
        await speech.begin()
        return speech

    async def call(self, name: str, arguments: str, *, call_id: str | None = None, twice: bool = False) -> str:
        """Call a function; return the call's ID."""
        call_id = call_id or f"call_{next(NUMBERS)}"
        index = len(self.output)
        item = {
            "id": f"item_call_{next(NUMBERS)}",
            "object": "realtime.item",
            "type": "function_call",
            "name": name,
            "call_id": call_id,
        }
        begun = {**item, "status": "in_progress", "arguments": ""}
        done = {**item, "status": "completed", "arguments": arguments}
        self.output.append(done)
        place = {"response_id": self.id, "output_index": index}
        await self.leg.send({"type": "response.output_item.added", **place, "item": begun})
        await self.leg.send({"type": "conversation.item.added", "previous_item_id": None, "item": begun})
        place_of_item = {**place, "item_id": item["id"], "call_id": call_id}
        step = max(5, len(arguments) // 20)
        for start in range(0, len(arguments), step):
            delta = {"type": "response.function_call_arguments.delta", "delta": arguments[start : start + step]}
            await self.leg.send({**delta, **place_of_item})
        finished = {"type": "response.function_call_arguments.done", "name": name, "arguments": arguments}
        for _ in range(2 if twice else 1):
            await self.leg.send({**finished, **place_of_item})
            await self.leg.send({"type": "response.output_item.done", **place, "item": done})
            await self.leg.send({"type": "conversation.item.done", "previous_item_id": None, "item": done})
        return call_id

    async def end(
        self, status: str = "completed", reason: str | None = None, error: Mapping[str, str] | None = None
    ) -> None:
        """End the response: `response.done`."""
        details: dict[str, Any] | None = None
        if status != "completed":
            details = {"type": status, "reason": reason, "error": error}
        usage = {
            "total_tokens": 30,
            "input_tokens": 20,
            "output_tokens": 10,
            "input_token_details": {"text_tokens": 15, "audio_tokens": 5, "cached_tokens": 0},
            "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
        }
        self.leg.active = None
        await self.leg.send({"type": "response.done", "response": self._body(status, details, usage)})


class Speech:
    """One message item of a response."""

    def __init__(self, answer: Answer, item: str, index: int) -> None:
        self.answer = answer
        self.item = item
        self._index = index
        self._place = {
            "response_id": answer.id,
            "item_id": item,
            "output_index": index,
            "content_index": 0,
        }

    def body(self, status: str, text: str) -> dict[str, Any]:
        content = [{"type": "output_audio", "transcript": text}] if text else []
        return {
            "id": self.item,
            "object": "realtime.item",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    async def begin(self) -> None:
        leg, item = self.answer.leg, self.body("in_progress", "")
        place = {"response_id": self.answer.id, "output_index": self._index}
        await leg.send({"type": "response.output_item.added", **place, "item": item})
        await leg.send({"type": "conversation.item.added", "previous_item_id": None, "item": item})
        part = {"type": "audio", "transcript": ""}
        await leg.send({"type": "response.content_part.added", **self._place, "part": part})

    async def audio(self, audio: bytes, *, delta: int | Sequence[int] = 800) -> None:
        """Send audio in deltas of so many bytes, or of these sizes in turn."""
        sizes = itertools.cycle([delta] if isinstance(delta, int) else delta)
        start = 0
        while start < len(audio):
            piece = audio[start : start + next(sizes)]
            start += len(piece)
            text = base64.b64encode(piece).decode()
            await self.answer.leg.send({"type": "response.output_audio.delta", **self._place, "delta": text})

    async def end(self, text: str = "Hello.", *, status: str = "completed") -> None:
        leg = self.answer.leg
        item = self.body(status, text)
        self.answer.output[self._index] = item
        transcript = {"type": "response.output_audio_transcript.delta", "delta": text}
        await leg.send({**transcript, **self._place})
        await leg.send({"type": "response.output_audio.done", **self._place})
        await leg.send({"type": "response.output_audio_transcript.done", **self._place, "transcript": text})
        part = {"type": "audio", "transcript": text}
        await leg.send({"type": "response.content_part.done", **self._place, "part": part})
        place = {"response_id": self.answer.id, "output_index": self._index}
        await leg.send({"type": "response.output_item.done", **place, "item": item})
        await leg.send({"type": "conversation.item.done", "previous_item_id": None, "item": item})
