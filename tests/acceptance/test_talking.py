"""The main job: caller and agent hear each other, and nothing else."""

import random

from tests.acceptance.genesys import FRAME, GenesysCall
from tests.acceptance.realtime import Behaviour, RealtimeFake, realtime_fake
from tests.acceptance.world import SUPPORT, World

SEED = 20261122


def noise(length: int, seed: int = SEED) -> bytes:
    """Return audio of which no part looks like another."""
    return random.Random(seed).randbytes(length)


async def test_caller_audio_reaches_the_ai_byte_for_byte(ai: RealtimeFake, world: World) -> None:
    said = noise(16_001)
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        sizes, start = random.Random(1), 0
        while start < len(said):
            piece = said[start : start + sizes.choice([1, 159, 160, 1600, 2401])]
            call.send_audio(piece)
            start += len(piece)
        assert await leg.expect_audio(len(said), within=2) == said
        await call.close()


async def test_agent_audio_reaches_the_caller_byte_for_byte(ai: RealtimeFake, world: World) -> None:
    spoken = noise(12_345)
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.caller_spoke()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(spoken, delta=(1, 159, 160, 161, 799, 3001))
        await speech.end()
        await answer.end()
        heard = await call.expect_audio(len(spoken), within=3)
        assert heard[: len(spoken)] == spoken
        assert set(heard[len(spoken) :]) <= {0xFF}
        assert len(heard) - len(spoken) < FRAME
        await call.close()


async def test_several_answers_are_played_one_after_the_other(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support", delay=0.1) as call:
        await call.open()
        leg = await ai.ready()
        spoken = b""
        for number in range(3):
            answer = noise(3200 + 1600 * number, number)
            spoken += answer
            await leg.answer(None, answer)
        heard = await call.expect_audio(len(spoken), within=4)
        assert heard == spoken
        await call.close()


async def test_ten_calls_at_a_time_hear_only_their_own(ai: RealtimeFake, world: World) -> None:
    agents = {f"agent{number}": {"instructions": f"You are number {number}."} for number in range(10)}
    async with world.gateway(ai.url, agents=agents, default_agent=None) as gateway:
        calls = [GenesysCall(f"{gateway.url}/agent{number}") for number in range(10)]
        for call in calls:
            await call.__aenter__()
        for call in calls:
            await call.open()
        legs = {}
        for _ in calls:
            leg = await ai.leg()
            update = await leg.expect("session.update")
            legs[update["session"]["instructions"]] = leg
        for number, call in enumerate(calls):
            call.send_audio(bytes([number]) * 8000)
            await legs[f"You are number {number}."].answer(None, bytes([100 + number]) * 4800)
        for number, call in enumerate(calls):
            leg = legs[f"You are number {number}."]
            assert await leg.expect_audio(8000, within=2) == bytes([number]) * 8000
            assert await call.expect_audio(4800, within=2) == bytes([100 + number]) * 4800
        for call in calls:
            await call.close()
            await call.__aexit__(None, None, None)


async def test_first_words_are_not_lost_while_the_ai_connects(world: World) -> None:
    said = noise(24_000)
    behaviour = Behaviour(handshake_delay=3.0)
    async with (
        realtime_fake(behaviour) as ai,
        world.gateway(ai.url) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        await call.speak(said)
        leg = await ai.ready(within=4)
        assert await leg.expect_audio(len(said), within=2) == said
        update = leg.events("session.update")[0]
        assert leg.appends[0][0] >= update.at
        await call.close()


async def test_nothing_but_the_update_is_sent_before_the_session_is_confirmed(world: World) -> None:
    behaviour = Behaviour(updated=False)
    agents = {"support": {**SUPPORT, "greeting": "Greet the caller."}}
    async with (
        realtime_fake(behaviour) as ai,
        world.gateway(ai.url, agents=agents) as gateway,
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        await call.open()
        leg = await ai.leg()
        update = await leg.expect("session.update")
        await call.speak(noise(8000))
        await call.ping()
        assert [heard["type"] for heard in leg.heard] == ["session.update"]
        assert not leg.audio
        session = {"type": "realtime", "object": "realtime.session", "id": "sess_late", **update["session"]}
        await leg.send({"type": "session.updated", "session": session})
        await leg.expect("response.create")
        assert await leg.expect_audio(8000, within=2) == noise(8000)
        await call.close()


async def test_the_agent_greets(ai: RealtimeFake, world: World) -> None:
    agents = {"support": {**SUPPORT, "greeting": "Greet the caller in Latin."}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        create = await leg.expect("response.create")
        assert "Greet the caller in Latin." in create["response"]["instructions"]
        # Instructions of a response replace the session's: the persona would vanish for the greeting.
        assert "You answer the phone." in create["response"]["instructions"]
        await leg.answer(create, noise(4800), "Salve!")
        assert await call.expect_audio(4800, within=1) == noise(4800)
        await call.expect_silence(within=2)
        assert len(leg.events("response.create")) == 1
        await call.close()


async def test_fixed_wording_of_a_greeting_is_asked_for_word_for_word(ai: RealtimeFake, world: World) -> None:
    greeting = {"text": "Welcome to {{ input.COMPANY }}. Calls are recorded."}
    agents = {"support": {**SUPPORT, "greeting": greeting, "inputs": {"COMPANY": {"required": True}}}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open(inputVariables={"COMPANY": "Zebra"})
        leg = await ai.ready()
        create = await leg.expect("response.create")
        assert "Welcome to Zebra. Calls are recorded." in create["response"]["instructions"]
        await call.close()


async def test_without_a_greeting_the_agent_waits(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await call.speak(noise(8000))
        await leg.expect_audio(8000, within=1)
        assert not leg.events("response.create")
        assert not call.audio
        await call.close()


async def test_the_ai_answers_turns_by_itself_so_none_is_asked_for(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        for number in range(2):
            await leg.caller_spoke(ms=1000 + 3000 * number)
            await leg.answer(None, noise(2400, number))
            await call.expect_audio(2400 * (number + 1), within=2)
            await call.expect_silence(within=2)
        assert [heard["type"] for heard in leg.heard] == ["session.update"]
        await call.close()


async def test_text_of_a_turn_is_told_to_genesys_once(ai: RealtimeFake, world: World) -> None:
    agents = {
        "support": {"instructions": "Be brief.", "bot_turn_response": True},
        "quiet": {"instructions": "Be brief."},
    }
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/quiet") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, noise(2400), "We are open.")
        await call.expect_audio(2400, within=2)
        await call.expect_silence(within=2)
        assert not call.entities("bot_turn_response")
        await call.close()
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        await leg.answer(None, noise(2400), "We are open.")
        await call.expect_entity("bot_turn_response", within=2)
        await call.expect_silence(within=2)
        await call.ping()
        (turn,) = call.entities("bot_turn_response")
        assert turn["data"]["text"] == "We are open."
        assert turn["data"]["disposition"] == "match"
        await call.close()


async def test_template_variables_are_data_and_never_template_source(ai: RealtimeFake, world: World) -> None:
    agents = {"support": {"instructions": "Company {{ input.COMPANY | default('Acme') }}; caller {{ call.ani }}."}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open(inputVariables={"COMPANY": "{{ 7 * 7 }}"})
        leg = await ai.leg()
        update = await leg.expect("session.update")
        assert update["session"]["instructions"].startswith("Company {{ 7 * 7 }}; caller ")
        assert "+13175550123" in update["session"]["instructions"]
        await call.close()
