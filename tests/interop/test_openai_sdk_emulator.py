"""The stock `openai` client holds a call with the emulator over a real socket."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import (
    ConversationItemTruncatedEvent,
    InputAudioBufferSpeechStoppedEvent,
    RealtimeErrorEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateRequestParam,
    ResponseAudioDeltaEvent,
    ResponseDoneEvent,
    SessionUpdatedEvent,
)
from openai.types.realtime.conversation_item_input_audio_transcription_completed_event import (
    ConversationItemInputAudioTranscriptionCompletedEvent,
)
from pydantic import TypeAdapter

from offhook.audio import silence
from offhook.emulator.scenario import Scenario
from offhook.emulator.server import Emulator
from offhook.speech import Speech

GREETING = "Hello, Acme here. How can I help you?"
QUESTION = "It is order one two three four."
ANSWER = "Your order has been shipped. It arrives on Friday."

SCENARIO = Scenario.model_validate(
    {
        "speed": 10,
        "first_audio_ms": 20,
        "created_ms": 5,
        "asides": ['{"topic":"order"}'],
        "turns": [
            {"say": GREETING},
            {
                "caller": QUESTION,
                "preamble": "One moment, I am looking it up.",
                "call": {"name": "order_status", "arguments": {"order_id": "1234"}},
            },
            {"say": ANSWER},
        ],
    }
)
SPEECH = Speech(synthesiser=None)
VALID: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)


class Client:
    """The SDK's connection, with every event kept and validated against the SDK's own types."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[RealtimeServerEvent] = []

    async def until(self, wanted: Callable[[RealtimeServerEvent], bool]) -> list[RealtimeServerEvent]:
        """Return the events up to and including the wanted one."""
        seen: list[RealtimeServerEvent] = []
        async with asyncio.timeout(10):
            while not seen or not wanted(seen[-1]):
                event = await self.connection.recv()
                VALID.validate_python(event.to_dict())
                seen.append(event)
        self.events += seen
        return seen

    async def until_done(self) -> ResponseDoneEvent:
        last = (await self.until(lambda event: event.type == "response.done"))[-1]
        assert isinstance(last, ResponseDoneEvent)
        return last

    async def speak(self, audio: bytes) -> None:
        for at in range(0, len(audio), 800):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + 800]).decode())


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(scenario=SCENARIO, speech=SPEECH) as running:
        yield running


SESSION: RealtimeSessionCreateRequestParam = {
    "type": "realtime",
    "instructions": "You answer the phone for Acme.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "gpt-transcribe"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
    },
    "tools": [
        {
            "type": "function",
            "name": "order_status",
            "description": "Look an order up.",
            "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}},
        }
    ],
}


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    openai = AsyncOpenAI(
        api_key="sk-any",
        base_url="http://unused.invalid/v1",
        websocket_base_url=emulator.url.removesuffix("/realtime"),
    )
    async with openai, openai.realtime.connect(model="gpt-realtime-2.1") as connection:
        client = Client(connection)
        await client.until(lambda event: event.type == "session.created")
        await connection.session.update(session=SESSION)
        updated = (await client.until(lambda event: event.type == "session.updated"))[-1]
        assert isinstance(updated, SessionUpdatedEvent)
        yield client


async def greet(client: Client) -> ResponseDoneEvent:
    await client.connection.response.create(response={"instructions": "Greet the caller.", "metadata": {"gw": "greet"}})
    return await client.until_done()


def audio_of(events: list[RealtimeServerEvent]) -> bytes:
    return b"".join(base64.b64decode(event.delta) for event in events if isinstance(event, ResponseAudioDeltaEvent))


async def test_greeting_is_the_clip_of_its_text(client: Client) -> None:
    done = await greet(client)
    assert done.response.status == "completed"
    assert done.response.metadata == {"gw": "greet"}
    assert audio_of(client.events) == SPEECH.clip(GREETING)


async def test_speech_is_heard_answered_by_a_function_call_and_the_output_by_speech(client: Client) -> None:
    await greet(client)
    await client.speak(silence(500) + SPEECH.clip(QUESTION, "caller") + silence(800))
    called = await client.until_done()
    kinds = [type(event) for event in client.events]
    assert kinds.count(InputAudioBufferSpeechStoppedEvent) == 1
    assert [item.type for item in called.response.output or []] == ["message", "function_call"]
    call = (called.response.output or [])[1]
    assert call.type == "function_call"
    assert call.arguments == '{"order_id":"1234"}'

    client.events.clear()
    await client.connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": call.call_id or "", "output": '{"status":"shipped"}'}
    )
    await client.connection.response.create()
    answered = await client.until_done()
    assert answered.response.status == "completed"
    assert audio_of(client.events) == SPEECH.clip(ANSWER)


async def test_transcript_of_the_caller_comes_from_the_scenario(client: Client) -> None:
    await greet(client)
    await client.speak(SPEECH.clip(QUESTION, "caller") + silence(800))
    seen = await client.until(lambda event: event.type == "conversation.item.input_audio_transcription.completed")
    assert isinstance(seen[-1], ConversationItemInputAudioTranscriptionCompletedEvent)
    assert seen[-1].transcript == QUESTION


async def test_truncate_is_acknowledged_and_beyond_the_end_it_is_an_error(client: Client, emulator: Emulator) -> None:
    done = await greet(client)
    item = (done.response.output or [])[0]
    assert item.type == "message"
    truncate = client.connection.conversation.item.truncate
    await truncate(item_id=item.id or "", content_index=0, audio_end_ms=99_999)
    error = (await client.until(lambda event: event.type == "error"))[-1]
    assert isinstance(error, RealtimeErrorEvent)
    assert error.error.code == "invalid_value"
    assert "already shorter than 99999ms" in error.error.message

    await truncate(item_id=item.id or "", content_index=0, audio_end_ms=1200)
    truncated = (await client.until(lambda event: event.type == "conversation.item.truncated"))[-1]
    assert isinstance(truncated, ConversationItemTruncatedEvent)
    assert truncated.audio_end_ms == 1200
    (heard,) = emulator.sessions[0].heard_history()
    assert heard.truncated
    assert heard.audio_ms == 1200
    assert GREETING.startswith(heard.text)


async def test_text_response_beside_the_conversation(client: Client, emulator: Emulator) -> None:
    await client.connection.response.create(
        response={
            "conversation": "none",
            "output_modalities": ["text"],
            "instructions": "Summarise the call in JSON.",
            "metadata": {"gw": "summary"},
            "tool_choice": "none",
        }
    )
    done = await client.until_done()
    assert done.response.conversation_id is None
    item = (done.response.output or [])[0]
    assert item.type == "message"
    assert item.role == "assistant"
    assert [part.text for part in item.content] == ['{"topic":"order"}']
    assert emulator.sessions[0].conversation.entries() == []
