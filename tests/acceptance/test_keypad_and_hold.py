"""DTMF digits, hold, language updates and other things that Genesys reports."""

import re
from typing import Any

import pytest

from tests.acceptance.genesys import GenesysCall
from tests.acceptance.playback import BYTES_PER_SECOND
from tests.acceptance.realtime import Leg, RealtimeFake
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import SUPPORT, World

CALLER = 0x11
SILENCE = 0xFF
KEYPAD = {"support": {**SUPPORT, "dtmf": {"timeout": 0.2}}}


async def _digits(leg: Leg) -> str:
    """Return the digits of the next text that goes to the model as the caller's."""
    item = (await leg.expect("conversation.item.create"))["item"]
    assert item["type"] == "message"
    assert item["role"] == "user"
    (content,) = item["content"]
    assert content["type"] == "input_text"
    return "".join(re.findall(r"[0-9*#]", content["text"]))


@pytest.mark.parametrize(("pressed", "told"), [("12#", "12"), ("7", "7"), ("*0", "*0")])
async def test_digits_go_to_the_model_as_text_and_are_answered(
    ai: RealtimeFake, world: World, pressed: str, told: str
) -> None:
    async with world.gateway(ai.url, agents=KEYPAD) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        for digit in pressed:
            call.send("dtmf", {"digit": digit})
        assert (await _digits(leg)).rstrip("#") == told
        create = await leg.expect("response.create")
        await leg.answer(create, bytes(1600), "Thank you.")
        await call.expect_audio(1600, within=1)
        await call.expect_silence(within=1)
        assert len(leg.events("response.create")) == 1
        assert len(leg.events("conversation.item.create")) == 1
        await call.close()


async def test_digits_while_the_agent_speaks_are_not_lost(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=KEYPAD) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([0x55]) * 8000)
        await call.expect("binary")
        call.send("dtmf", {"digit": "5"})
        call.send("dtmf", {"digit": "#"})
        assert (await _digits(leg)).rstrip("#") == "5"
        # One response at a time: a create while one is active would be refused.
        assert not leg.events("response.create") or leg.events("response.cancel")
        cancelled = bool(leg.events("response.cancel"))
        await speech.end(status="incomplete" if cancelled else "completed")
        await answer.end("cancelled" if cancelled else "completed", "client_cancelled" if cancelled else None)
        await leg.expect("response.create")
        await call.close()


async def test_digits_pressed_while_the_ai_connects_are_not_lost(ai: RealtimeFake, world: World) -> None:
    ai.behaviour.handshake_delay = 0.5
    async with world.gateway(ai.url, agents=KEYPAD) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        call.send("dtmf", {"digit": "4"})
        call.send("dtmf", {"digit": "2"})
        leg = await ai.ready()
        assert await _digits(leg) == "42"
        await leg.expect("response.create")
        await call.close()


async def test_the_model_hears_silence_and_nothing_of_a_paused_caller(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await call.speak(b"\x22" * 3200)
        await leg.expect_audio(3200, within=1)
        call.send("paused")
        for _ in range(5):  # frames that were under way, or a caller who is on hold and goes on talking
            await call.speak(bytes([CALLER]) * 1600)
        silence = len(leg.audio) - 3200
        call.send("resumed", {"start": "PT0.4S", "discarded": "PT1.0S"})
        await call.speak(b"\x33" * 3200)
        await leg.bell.until(lambda: True if leg.audio.count(0x33) == 3200 else None, within=1, what="audio after hold")
        heard = bytes(leg.audio)
        assert CALLER not in heard
        assert heard.startswith(b"\x22" * 3200)
        assert heard.endswith(b"\x33" * 3200)
        assert set(heard[3200:-3200]) == {SILENCE}
        # In real time, so that turn detection keeps its clock.
        assert 0.7 <= silence / BYTES_PER_SECOND <= 1.3
        await call.close()


async def test_pings_and_close_are_answered_on_hold(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        await ai.ready()
        call.send("paused")
        assert await call.ping() < PROMPT
        call.send("resumed", {"start": "PT0S", "discarded": "PT0.2S"})
        call.send("paused")
        call.send("paused")
        assert await call.ping() < PROMPT
        await call.close()


async def test_a_turn_that_was_open_when_the_hold_began_can_end(ai: RealtimeFake, world: World) -> None:
    """Server turn detection counts received audio: without it the turn would stay open for ever."""
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await call.speak(bytes([CALLER]) * 1600)
        await leg.speech_started()
        call.send("paused")
        await leg.expect_audio(1600 + 4000, within=1.5)  # 500 ms of silence end a turn
        await call.close()


async def test_update_is_answered(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        call.send("update", {"language": "es-es"})
        await call.expect("updated")
        call.send("update", {})
        await call.ping()
        await call.close()


async def test_what_genesys_may_add_one_day_is_ignored(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open(
            supportedLanguages=False,
            continuedSessions=[],
            customConfig='{"a": 1}',
            novelty={"deep": [1, {"x": None}]},
            inputVariables={"NAME": "value"},
        )
        leg = await ai.ready()
        call.send("novelty", {"a": 1}, more="fields")
        assert await call.ping(parameters={"rtt": "PT0.02S", "novelty": True}) < 0.1
        call.send_open()  # a duplicate
        call.send("discarded", {"start": "PT0S", "discarded": "PT1.5S"})
        call.send("error", {"code": 500, "message": "something of yours"})
        call.send("playback_completed", {})
        call.send("playback_started", {})
        await call.ping()
        call.send_audio(bytes([CALLER]) * 1600)
        await leg.expect_audio(1600, within=1)
        await call.close()
        assert not call.texts("disconnect")


@pytest.mark.parametrize(
    "overrides",
    [
        {"language": None},
        {"customConfig": {"a": 1}},
        {"inputVariables": None},
        {"participant": {"id": "6f1d2c3b-4a59-4e8f-9c0d-1e2f3a4b5c6d", "ani": "", "aniName": "", "dnis": ""}},
        {"participant": {"id": "6f1d2c3b-4a59-4e8f-9c0d-1e2f3a4b5c6d"}},
        {"participant": {"id": "6f1d2c3b-4a59-4e8f-9c0d-1e2f3a4b5c6d", "ani": "sip:anonymous@anonymous.invalid"}},
        {"language": "es-419"},
    ],
)
async def test_open_may_be_poor(ai: RealtimeFake, world: World, overrides: dict[str, Any]) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open(**overrides)
        await ai.ready()
        await call.close()


MONO = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
STEREO = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
SWAPPED = {"type": "audio", "format": "PCMU", "channels": ["internal", "external"], "rate": 8000}
INTERNAL = {"type": "audio", "format": "PCMU", "channels": ["internal"], "rate": 8000}
LINEAR = {"type": "audio", "format": "L16", "channels": ["external"], "rate": 8000}


@pytest.mark.parametrize(
    ("offer", "chosen"),
    [
        ([STEREO, MONO, INTERNAL], MONO),
        ([LINEAR, STEREO, MONO], MONO),
        ([LINEAR, STEREO], STEREO),
        ([LINEAR], LINEAR),
    ],
)
async def test_the_best_offer_is_chosen_and_copied_unchanged(
    ai: RealtimeFake, world: World, offer: list[dict[str, object]], chosen: dict[str, object]
) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        opened = await call.open(media=offer)
        assert opened.parameters["media"] == [chosen]
        await call.close()


@pytest.mark.parametrize(("media", "frame"), [(STEREO, b"\x11\x77"), (SWAPPED, b"\x77\x11")])
async def test_only_the_external_channel_is_heard(
    ai: RealtimeFake, world: World, media: dict[str, object], frame: bytes
) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open(media=[media])
        leg = await ai.ready()
        call.send_audio(frame * 1600)
        assert await leg.expect_audio(1600, within=1) == b"\x11" * 1600
        await call.close()


@pytest.mark.parametrize("media", [[], [{**MONO, "format": "OPUS"}], [{**MONO, "rate": 16000}], [INTERNAL]])
async def test_an_offer_without_the_caller_in_it_is_refused_or_opened_without_audio(
    ai: RealtimeFake, world: World, media: list[dict[str, object]]
) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        call.send_open(media=media)
        await call.bell.until(lambda: True if call.received else None, within=1, what="an answer")
        first = call.received[0]
        if first.type == "disconnect":
            assert first.parameters["reason"] == "error"
            assert "OH-" in first.parameters["info"]
        else:
            assert first.type == "opened"
            assert first.parameters["media"] == []
        await call.close("disconnect")
