"""The whole call of openai-realtime.md §11, line by line through a session: order, meaning and totals."""

import json
from pathlib import Path
from typing import Any

from offhook import realtime as rt

TRACE = [json.loads(line) for line in (Path(__file__).parent / "traces" / "call.jsonl").read_text().splitlines()]


def replay() -> tuple[rt.RealtimeSession, list[tuple[int, rt.RealtimeEvent]]]:
    """Feed the server's side of the trace; the client's side of it configures the session and is not compared."""
    config = next(
        event.session
        for event in (
            rt.decode_client_event(json.dumps(entry["event"])) for entry in TRACE if entry["from"] == "client"
        )
        if isinstance(event, rt.SessionUpdateEvent)
    )
    session = rt.RealtimeSession(config)
    session.connected(0.0)
    seen: list[tuple[int, rt.RealtimeEvent]] = []
    for entry in TRACE:
        if entry["from"] == "server":
            session.receive_text(json.dumps(entry["event"]).encode(), entry["at_ms"] / 1000)
            seen.extend((entry["at_ms"], event) for event in session.events())
    return session, seen


def of_type(seen: list[tuple[int, rt.RealtimeEvent]], kind: Any) -> list[Any]:
    return [event for _, event in seen if isinstance(event, kind)]


def test_the_call_is_told_in_order() -> None:
    _, seen = replay()
    told = [event for _, event in seen if not isinstance(event, rt.AudioDelta | rt.TranscriptDelta)]
    names = [type(event).__name__ for event in told]
    assert names == [
        *("SessionReady", "ResponseStarted", "RateLimitsUpdated", "OutputItemStarted", "ItemAdded"),
        *("AudioDone", "TranscriptDone", "ResponseEnded"),
        *("SpeechStarted", "SpeechStopped", "InputCommitted", "ItemAdded", "ResponseStarted"),
        *("InputTranscriptDelta", "InputTranscriptCompleted", "OutputItemStarted", "ItemAdded"),
        *("SpeechStarted", "AudioDone", "TranscriptDone", "ResponseEnded", "ItemTruncated"),
        *("SpeechStopped", "InputCommitted", "ItemAdded", "ResponseStarted"),
        *("OutputItemStarted", "ItemAdded", "FunctionCallReady", "ResponseEnded", "InputTranscriptCompleted"),
        *(
            "ItemAdded",
            "ResponseStarted",
            "OutputItemStarted",
            "ItemAdded",
            "AudioDone",
            "TranscriptDone",
            "ResponseEnded",
        ),
        *("ResponseStarted", "OutputItemStarted", "TextDone", "ResponseEnded"),
        "ErrorReceived",
    ]


def test_the_audio_is_whole() -> None:
    _, seen = replay()
    sizes: dict[tuple[str, str], int] = {}
    for delta in of_type(seen, rt.AudioDelta):
        key = (delta.response_id, delta.item_id)
        sizes[key] = sizes.get(key, 0) + len(delta.audio)
    # The last 2,400 bytes of resp_B came after the caller had begun to speak: late, and still told.
    assert sizes == {("resp_A", "item_A"): 17120, ("resp_B", "item_B"): 31200, ("resp_D", "item_D"): 7360}


def test_responses_end_as_they_did() -> None:
    _, seen = replay()
    assert [
        (e.response_id, e.status, e.reason, e.item_ids, e.has_audio, e.usage.total_tokens)
        for e in of_type(seen, rt.ResponseEnded)
    ] == [
        ("resp_A", "completed", None, ("item_A",), True, 202),
        ("resp_B", "cancelled", "turn_detected", ("item_B",), True, 294),
        ("resp_C", "completed", None, ("item_F1",), False, 266),
        ("resp_D", "completed", None, ("item_D",), True, 316),
        ("resp_E", "completed", None, ("item_E",), False, 313),
    ]


def test_what_was_said_and_done() -> None:
    session, seen = replay()
    assert of_type(seen, rt.FunctionCallReady) == [
        rt.FunctionCallReady("resp_C", "item_F1", "call_1", "order_status", '{"order_id":"1234"}')
    ]
    assert [e.text for e in of_type(seen, rt.InputTranscriptCompleted)] == [
        "What are your opening hours?",
        "Never mind, where is order 1234?",
    ]
    assert [e.text for e in of_type(seen, rt.TextDone)] == ['{"topic":"order"}']
    assert of_type(seen, rt.SpeechStarted) == [rt.SpeechStarted("item_U1", 3188), rt.SpeechStarted("item_U2", 7060)]
    assert of_type(seen, rt.ItemTruncated) == [rt.ItemTruncated("item_B", 860)]
    (error,) = of_type(seen, rt.ErrorReceived)
    assert (error.code, error.fatal) == ("session_expired", False)
    session.receive_eof(1001, "Your session hit the maximum duration of 60 minutes.", 3600.001)
    (lost,) = session.events()
    assert isinstance(lost, rt.SessionLost)
    assert lost.retryable


def test_the_totals_are_those_of_the_call() -> None:
    session, _ = replay()
    usage = session.usage
    assert usage.responses == 5
    assert usage.tokens.total_tokens == 202 + 294 + 266 + 316 + 313
    assert usage.tokens.input_tokens + usage.tokens.output_tokens == usage.tokens.total_tokens
    assert usage.tokens.output_audio_tokens == 43 + 78 + 19
    assert usage.tokens.cached_tokens == 128 + 128 + 192 + 192
    assert (usage.transcriptions, usage.transcription_input_tokens, usage.transcription_seconds) == (2, 28, 2.19)


def test_deltas_become_the_bytes_of_the_trace() -> None:
    _, seen = replay()
    first = of_type(seen, rt.AudioDelta)[0]
    assert first.audio[:3] == bytes([1, 6, 11])
    assert len(first.audio) == 3200
