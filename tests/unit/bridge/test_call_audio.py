"""Audio both ways: bytes unchanged and in order, the pace and the budgets towards Genesys, hold."""

import itertools
import random

import pytest

from offhook.bridge import CallState
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import Harness, plan, speech, within_budget

MS = 8


def test_caller_audio_is_held_while_connecting_and_nothing_of_the_first_words_is_lost() -> None:
    harness = Harness(plan())
    harness.open()
    said = b""
    for number in range(20):
        frame = speech(200, number)
        said += frame
        harness.caller_audio(frame)
        harness.advance(0.2)
    harness.connected()
    harness.ai.session_created()
    assert harness.ai.heard() == b"", "not before the session is configured"
    harness.ai.session_updated()
    assert harness.ai.heard() == said
    for number in range(20):
        frame = speech(200, 100 + number)
        said += frame
        harness.caller_audio(frame)
    assert harness.ai.heard() == said
    assert "audio_lost" not in harness.moments


def test_what_is_held_is_bounded() -> None:
    harness = Harness(plan())
    harness.open()
    harness.connected()
    harness.ai.session_created()
    for _ in range(200):
        harness.caller_audio(speech(200))
    harness.ai.session_updated()
    assert len(harness.ai.heard()) == 240_000
    assert "audio_lost" in harness.moments


@pytest.mark.parametrize(("reports", "start_delay"), list(itertools.product((True, False), (0.0, 0.2, 0.6))))
def test_agent_audio_arrives_unchanged_in_time_and_within_the_budgets(reports: bool, start_delay: float) -> None:
    rng = random.Random(int(start_delay * 10) + reports)
    harness = Harness(
        plan(),
        playback=Playback(start_delay),
        reports=("playback_started", "playback_completed") if reports else (),
        report_delay=0.03,
    ).talking()
    for number in range(25):
        audio = rng.randbytes(rng.randrange(20, 80_000))
        size = rng.randrange(80, 12_000)
        speed = rng.choice((1.2, 4.0, 30.0))
        response, item = f"resp_{number}", f"item_{number}"
        before = len(harness.audio)
        harness.ai.created(response)
        harness.ai.item(response, item)
        for start in range(0, len(audio), size):
            harness.ai.audio(audio[start : start + size], response, item)
            harness.advance(size / 8000 / speed)
        harness.ai.item_done("words", response, item)
        harness.ai.done(response)
        harness.advance(len(audio) / 8000 + 2)
        sent = harness.audio[before:]
        assert sent.startswith(audio)
        assert set(sent[len(audio) :]) <= {0xFF}
        assert len(sent) - len(audio) < 1600
    assert all(1600 <= len(packet) <= 8000 for _, packet in harness.packets)
    assert harness.playback.most_unplayed <= 8000
    assert within_budget([at for at, _ in harness.packets])
    assert within_budget([at for at, _ in harness.texts])
    assert len(harness.entities("bot_turn_response")) == 25


def test_the_first_packet_leaves_in_the_step_of_its_delta() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(150)
    harness.advance(0.1)
    assert harness.packets == []
    harness.ai.audio(50)
    assert [at for at, _ in harness.packets] == [harness.now]
    assert harness.moments.count("first_audio") == harness.moments.count("first_packet") == 1


def test_first_packet_is_told_once_for_each_response() -> None:
    harness = Harness(plan()).talking()
    harness.ai.says(1500, response="r1", item="i1")
    harness.ai.says(600, response="r2", item="i2")
    harness.advance(0.1)
    assert [moment.data for moment in harness.moments_of("first_packet")] == [{"response_id": "r1"}]
    harness.advance(3)
    assert [moment.data["response_id"] for moment in harness.moments_of("first_packet")] == ["r1", "r2"]


def test_many_short_answers_stay_within_the_budgets() -> None:
    """A model gone wild: more answers than Genesys takes messages; pong and closed still go out at once."""
    harness = Harness(plan()).talking()
    for number in range(120):
        harness.ai.says(200, response=f"r{number}", item=f"i{number}")
        harness.advance(0.05)
    harness.genesys("ping")
    assert harness.texts[-1][1]["type"] == "pong"
    harness.advance(60)
    harness.close()
    assert within_budget([at for at, _ in harness.packets])
    assert within_budget([at for at, _ in harness.texts])
    assert len(harness.audio) == 120 * 1600


def test_429_stops_audio_and_nothing_is_lost() -> None:
    harness = Harness(plan()).talking()
    audio = speech(6000)
    harness.ai.says(audio)
    harness.advance(1)
    harness.genesys("error", code=429, message="slower", retryAfter="PT2S")
    packets = len(harness.packets)
    harness.advance(1.9)
    assert len(harness.packets) == packets
    harness.genesys("ping")
    assert harness.texts[-1][1]["type"] == "pong"
    harness.advance(10)
    assert harness.audio == audio
    assert harness.playback.most_unplayed <= 8000


def test_one_429_after_another() -> None:
    harness = Harness(plan()).talking()
    audio = speech(6000)
    harness.ai.says(audio)
    harness.advance(1)
    packets = len(harness.packets)
    for _ in range(4):
        harness.genesys("error", code=429, message="slower", retryAfter="PT1S")
        harness.genesys("ping")
        assert harness.texts[-1][1]["type"] == "pong"
        harness.advance(0.9)
    assert len(harness.packets) == packets
    harness.advance(10)
    assert harness.audio == audio
    assert harness.playback.most_unplayed <= 8000
    assert within_budget([at for at, _ in harness.packets])


def test_a_full_socket_stops_audio_only() -> None:
    harness = Harness(plan()).talking()
    audio = speech(3000)
    harness.set_writable(False)
    harness.ai.says(audio)
    harness.advance(2)
    assert harness.packets == []
    harness.genesys("ping")
    assert harness.texts[-1][1]["type"] == "pong"
    harness.set_writable(True)
    assert harness.packets
    harness.advance(5)
    assert harness.audio == audio


def test_hold_sends_silence_and_nothing_of_the_caller() -> None:
    harness = Harness(plan()).talking()
    harness.caller_audio(speech(200))
    harness.genesys("paused")
    harness.ai.sent.clear()
    for _ in range(50):
        harness.caller_audio(b"\x01" * 1600)
        harness.genesys("dtmf", digit="7")
        harness.advance(0.2)
    assert set(harness.ai.heard()) == {0xFF}
    assert len(harness.ai.heard()) == pytest.approx(10 * 8000, abs=1600)
    harness.genesys("resumed", start="PT1S", discarded="PT10S")
    harness.advance(5)
    assert harness.ai.kinds() == [], "no digits reached the model"
    harness.ai.sent.clear()
    harness.caller_audio(speech(200))
    assert harness.ai.heard() == speech(200)
    assert [moment for moment in harness.moments if moment in ("paused", "resumed")] == ["paused", "resumed"]


def test_hold_stops_the_agent_and_the_rest_is_played_afterwards() -> None:
    harness = Harness(plan()).talking()
    audio = speech(4000)
    harness.ai.says(audio)
    harness.advance(1)
    harness.genesys("paused")
    sent = len(harness.audio)
    harness.advance(20)
    assert len(harness.audio) == sent
    harness.genesys("resumed", start="PT1S", discarded="PT20S")
    harness.advance(10)
    assert harness.audio == audio
    assert harness.turns[-1].text == "Hello."


def test_paused_while_connecting() -> None:
    harness = Harness(plan())
    harness.open()
    harness.caller_audio(speech(200))
    harness.genesys("paused")
    harness.caller_audio(b"\x01" * 1600)
    harness.connected()
    harness.ai.session_created()
    harness.ai.session_updated()
    harness.advance(0.5)
    assert harness.ai.heard() == speech(200) + b"\xff" * 3200


def test_an_agent_that_never_stops_is_cut_off() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.item(item="item_2", index=1)
    for _ in range(31):
        harness.ai.audio(10_000)
    assert harness.ai.kinds() == ["response.cancel"]
    assert "audio_lost" in harness.moments
    harness.ai.audio(1000)
    harness.ai.done(status="cancelled", type="cancelled", reason="client_cancelled")
    harness.advance(305)
    assert 300_000 >= len(harness.audio) // MS >= 290_000
    assert harness.call.state is CallState.TALKING
    assert harness.ai.kinds() == ["response.cancel", "conversation.item.delete"]


def test_wide_media_have_packets_that_fit() -> None:
    media = [{"type": "audio", "format": "L16", "channels": ["external", *(f"c{n}" for n in range(7))], "rate": 8000}]
    harness = Harness(plan())
    harness.open(media=media)
    harness.connected()
    harness.ai.session_created()
    harness.ai.session_updated()
    harness.ai.says(5000)
    harness.advance(10)
    assert sum(len(packet) for _, packet in harness.packets) == 5000 * MS * 16
    assert max(len(packet) for _, packet in harness.packets) <= 64_000


def test_a_session_without_audio_is_carried_to_its_end() -> None:
    harness = Harness(plan())
    harness.open(media=[])
    harness.connected()
    harness.ai.session_created()
    harness.ai.session_updated()
    harness.ai.says(1000)
    harness.ai.created("resp_2")
    harness.ai.call("end_call", '{"reason":"done"}', response="resp_2")
    harness.ai.done("resp_2")
    harness.advance(30)
    assert harness.packets == []
    assert harness.ended.outcome == "completed"
