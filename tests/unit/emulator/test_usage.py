from typing import Any

from offhook.audio import silence
from tests.unit.emulator.rig import QUESTION, SPEECH, Rig, done, of

HOURS = "We are open Monday to Friday, from nine until six."
TOOL = {"type": "function", "name": "order_status", "description": "Look an order up. " * 20}


def conversation(**session: Any) -> Rig:
    rig = Rig({"turns": [{"say": HOURS}] * 6})
    rig.ready(instructions="You answer the phone for Acme. " * 20, tools=[TOOL], **session)
    return rig


def turn(rig: Rig) -> dict[str, Any]:
    usage: dict[str, Any] = done(rig.speak(QUESTION) + rig.run(4))["usage"]
    return usage


def test_audio_counts_by_its_length() -> None:
    rig = conversation()
    first = rig.greet()["usage"]
    assert first["output_token_details"]["audio_tokens"] == round(len(SPEECH.clip(HOURS)) / 8 / 50)
    assert first["input_token_details"]["audio_tokens"] == 0
    second = turn(rig)
    (_, user, _) = rig.session.conversation.entries()
    heard = round(len(SPEECH.clip(HOURS)) / 8 / 100) + user.audio_ms / 100
    assert abs(second["input_token_details"]["audio_tokens"] - heard) <= 2


def test_sums_are_sums() -> None:
    rig = conversation()
    rig.greet()
    usage = turn(rig)
    into, out = usage["input_token_details"], usage["output_token_details"]
    assert usage["input_tokens"] == into["text_tokens"] + into["audio_tokens"]
    assert usage["output_tokens"] == out["text_tokens"] + out["audio_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert into["cached_tokens"] == sum(into["cached_tokens_details"].values())
    assert into["cached_tokens"] <= usage["input_tokens"]


def test_the_cached_part_grows_and_a_change_breaks_it() -> None:
    rig = conversation()
    cached = [rig.greet()["usage"]["input_token_details"]["cached_tokens"]]
    cached += [turn(rig)["input_token_details"]["cached_tokens"] for _ in range(3)]
    assert cached[0] == 0
    assert cached == sorted(cached)
    assert cached[-1] > cached[1] > 0
    rig.send("session.update", session={"type": "realtime", "instructions": "Another prompt."})
    assert turn(rig)["input_token_details"]["cached_tokens"] == 0


def test_text_items_and_calls_count_by_their_letters() -> None:
    rig = conversation()
    before = rig.greet()["usage"]["input_token_details"]["text_tokens"]
    content = [{"type": "input_text", "text": "x" * 400}]
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "user", "content": content},
        {"type": "function_call", "name": "f", "call_id": "c", "arguments": "y" * 400},
        {"type": "function_call_output", "call_id": "c", "output": "z" * 400},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True, "id": "m"},
    ]
    for item in items:
        rig.send("conversation.item.create", item=item)
    rig.send("response.create")
    after = done(rig.run(4))["usage"]["input_token_details"]["text_tokens"]
    assert 300 <= after - before <= 400


def test_rate_limits_shrink_with_what_was_used() -> None:
    rig = conversation()
    rig.greet()
    rig.speak(silence(0) + QUESTION)
    rig.run(3)
    first, second = of(rig.events, "rate_limits.updated")
    assert first["rate_limits"][0]["remaining"] == first["rate_limits"][0]["limit"]
    assert second["rate_limits"][0]["remaining"] < second["rate_limits"][0]["limit"]
    assert second["rate_limits"][0]["reset_seconds"] > 0
