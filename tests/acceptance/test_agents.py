"""Who answers: the Connector ID, and what of the agent's settings is really sent."""

import re
from typing import Any
from urllib.parse import unquote

import pytest

from tests.acceptance.genesys import NIL, GenesysCall
from tests.acceptance.realtime import Behaviour, RealtimeFake, realtime_fake
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import SUPPORT, World

AGENTS = {
    "support": {"instructions": "You are support."},
    "two words": {"instructions": "You are two words."},
    "sales/eu": {"instructions": "You are sales/eu."},
    "42": {"instructions": "You are 42."},
}


@pytest.mark.parametrize(
    ("path", "agent"),
    [
        ("/support", "support"),
        ("support", "support"),
        ("//support", "support"),
        ("/support?version=2&lang=de%2Fat", "support"),
        ("/support?", "support"),
        ("/support/with/more", "support"),
        ("/%73upport", "support"),
        ("/two%20words", "two words"),
        ("/sales/eu", "sales/eu"),
        ("/sales%2Feu", "sales/eu"),
        ("/42", "42"),
        ("42", "42"),
        ("", "support"),
        ("/", "support"),
        ("?a=b", "support"),
    ],
)
async def test_connector_id_chooses_the_agent(ai: RealtimeFake, world: World, path: str, agent: str) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}{path}") as call:
        await call.open()
        leg = await ai.leg()
        update = await leg.expect("session.update")
        assert update["session"]["instructions"] == f"You are {agent}."
        await call.close()


@pytest.mark.parametrize("path", ["/nosuch", "nosuch", "//nosuch", "/Support", "/no-such.b"])
async def test_an_unknown_connector_id_is_refused_and_named(ai: RealtimeFake, world: World, path: str) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}{path}") as call:
        call.send_open()
        disconnect = await call.settle(within=1)
        assert disconnect.parameters["reason"] == "error"
        assert "OH-CALL-01" in disconnect.parameters["info"]
        assert unquote(path.strip("/")) in disconnect.parameters["info"]
        assert not ai.upgrades


async def test_a_bare_base_path_without_a_default_agent_is_refused(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, default_agent=None) as gateway, GenesysCall(gateway.url) as call:
        call.send_open()
        disconnect = await call.settle(within=1)
        assert disconnect.parameters["reason"] == "error"
        assert "OH-CALL-02" in disconnect.parameters["info"]


@pytest.mark.parametrize("default_agent", ["support", None])
@pytest.mark.parametrize("path", ["", "/support"])
async def test_a_probe_is_answered_without_touching_the_ai(
    ai: RealtimeFake, world: World, default_agent: str | None, path: str
) -> None:
    """The activation probe goes to the bare base URI, whatever the Connector IDs will be (audiohook.md §1.1, §3.6)."""
    async with (
        world.gateway(ai.url, default_agent=default_agent) as gateway,
        GenesysCall(f"{gateway.url}{path}") as call,
    ):
        nobody = {"id": NIL, "ani": "", "aniName": "", "dnis": ""}
        await call.open(conversationId=NIL, participant=nobody)
        await call.close()
        assert not call.texts("disconnect")
        assert not call.texts("event")
        assert not call.audio
    assert not ai.upgrades


async def test_a_required_input_that_is_missing_is_named(ai: RealtimeFake, world: World) -> None:
    agents = {"support": {**SUPPORT, "inputs": {"CUSTOMER_ID": {"required": True}}}}
    async with world.gateway(ai.url, agents=agents) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        call.send_open(inputVariables={"OTHER": "4711-secret"})
        disconnect = await call.settle(within=1)
        assert disconnect.parameters["reason"] == "error"
        assert "CUSTOMER_ID" in disconnect.parameters["info"]
        assert "4711" not in disconnect.parameters["info"]


# ---- session.update

FULL: dict[str, Any] = {
    "model": "gpt-realtime-2.1-mini",
    "voice": "cedar",
    "instructions": "You are full of settings.",
    "turn_detection": {
        "type": "server_vad",
        "threshold": 0.61,
        "prefix_padding_ms": 310,
        "silence_duration_ms": 620,
        "idle_timeout_ms": 7000,
        "create_response": True,
        "interrupt_response": True,
    },
    "noise_reduction": "far_field",
    "transcription": {"model": "gpt-4o-transcribe", "language": "de", "prompt": "Acme", "keywords": ["Zebra"]},
    "speed": 1.2,
    "reasoning_effort": "high",
    "max_output_tokens": 1234,
    "truncation": {"retention_ratio": 0.75, "post_instructions": 8000},
    "tool_choice": "required",
    "parallel_tool_calls": True,
    "tools": ["end_call", {"python": "tests.acceptance.tools:order_status"}],
}


async def test_every_setting_is_really_sent(ai: RealtimeFake, world: World) -> None:
    async with (
        world.gateway(ai.url, agents={"full": FULL}, default_agent="full") as gateway,
        GenesysCall(gateway.url) as call,
    ):
        await call.open()
        leg = await ai.leg()
        update = await leg.expect("session.update")
        session = update["session"]
        assert session["type"] == "realtime"
        assert session["output_modalities"] == ["audio"]
        assert session["instructions"] == "You are full of settings."
        audio = session["audio"]
        assert audio["input"]["format"] == {"type": "audio/pcmu"}
        assert audio["output"]["format"] == {"type": "audio/pcmu"}
        assert audio["input"]["turn_detection"] == FULL["turn_detection"]
        assert audio["input"]["noise_reduction"] == {"type": "far_field"}
        assert audio["input"]["transcription"] == FULL["transcription"]
        assert audio["output"]["voice"] == "cedar"
        assert audio["output"]["speed"] == 1.2
        assert session["reasoning"] == {"effort": "high"}
        assert session["max_output_tokens"] == 1234
        assert session["truncation"] == {
            "type": "retention_ratio",
            "retention_ratio": 0.75,
            "token_limits": {"post_instructions": 8000},
        }
        assert session["tool_choice"] == "required"
        assert session["parallel_tool_calls"] is True
        assert [tool["name"] for tool in session["tools"]] == ["order_status", "end_call"] or [
            tool["name"] for tool in session["tools"]
        ] == ["end_call", "order_status"]
        assert "model" not in session or session["model"] == "gpt-realtime-2.1-mini"
        assert "temperature" not in session
        assert leg.path.endswith("?model=gpt-realtime-2.1-mini")
        assert len(leg.events("session.update")) == 1
        await call.close()


async def test_semantic_turn_detection_and_switched_off_parts_are_sent(ai: RealtimeFake, world: World) -> None:
    agent = {
        **SUPPORT,
        "turn_detection": {"type": "semantic_vad", "eagerness": "low"},
        "noise_reduction": None,
        "transcription": None,
        "truncation": "disabled",
    }
    async with world.gateway(ai.url, agents={"support": agent}) as gateway, GenesysCall(gateway.url) as call:
        await call.open()
        leg = await ai.leg()
        session = (await leg.expect("session.update"))["session"]
        assert session["audio"]["input"]["turn_detection"] == {
            "type": "semantic_vad",
            "eagerness": "low",
            "create_response": True,
            "interrupt_response": True,
        }
        assert session["audio"]["input"]["noise_reduction"] is None
        assert session["audio"]["input"]["transcription"] is None
        assert session["truncation"] == "disabled"
        # A model that does not reason refuses the whole update when it finds this (openai-realtime.md §3).
        assert "reasoning" not in session
        await call.close()


async def test_turn_detection_defaults_are_explicit(ai: RealtimeFake, world: World) -> None:
    """The documented defaults and those of the live service differ, so none is left to the server."""
    async with world.gateway(ai.url) as gateway, GenesysCall(gateway.url) as call:
        await call.open()
        leg = await ai.leg()
        session = (await leg.expect("session.update"))["session"]
        detection = session["audio"]["input"]["turn_detection"]
        assert set(detection) >= {
            "type",
            "threshold",
            "prefix_padding_ms",
            "silence_duration_ms",
            "create_response",
            "interrupt_response",
        }
        assert leg.path.endswith("?model=gpt-realtime-2.1")
        assert session["audio"]["output"]["voice"] == "marin"
        await call.close()


# ---- the handshake with the AI


def _provider(url: str, **settings: Any) -> dict[str, Any]:
    return {"providers": [{"name": "one", "url": url, "api_key": "sk-acceptance", **settings}]}


async def test_headers_of_openai(ai: RealtimeFake, world: World) -> None:
    realtime = _provider(ai.url, kind="openai", organization="org-1", project="proj-1")
    identifiers = []
    async with world.gateway(ai.url, realtime=realtime) as gateway:
        for ani in ("tel:+13175550123", "tel:+13175550123", "tel:+13175550124"):
            async with GenesysCall(gateway.url) as call:
                await call.open(participant={"id": call.identity.participant, "ani": ani})
                leg = await ai.ready()
                assert leg.headers["Authorization"] == "Bearer sk-acceptance"
                assert leg.headers["OpenAI-Organization"] == "org-1"
                assert leg.headers["OpenAI-Project"] == "proj-1"
                assert "OpenAI-Beta" not in leg.headers
                assert "api-key" not in leg.headers
                identifiers.append(leg.headers["OpenAI-Safety-Identifier"])
                await call.close()
    assert identifiers[0] == identifiers[1] != identifiers[2]
    assert all(re.fullmatch(r"[A-Za-z0-9_=-]{16,128}", identifier) for identifier in identifiers)
    assert "3175550123" not in identifiers[0]


async def test_headers_of_azure(ai: RealtimeFake, world: World) -> None:
    url = ai.url.replace("/v1/realtime", "/openai/v1/realtime")
    async with (
        world.gateway(ai.url, realtime=_provider(url, kind="azure")) as gateway,
        GenesysCall(gateway.url) as call,
    ):
        await call.open()
        leg = await ai.ready()
        assert leg.headers["api-key"] == "sk-acceptance"
        assert "Authorization" not in leg.headers
        assert "OpenAI-Beta" not in leg.headers
        assert leg.path == "/openai/v1/realtime?model=gpt-realtime-2.1"
        await call.close()


async def test_the_url_of_a_provider_is_used_as_given(ai: RealtimeFake, world: World) -> None:
    agents = {"support": {**SUPPORT, "model": "my model/1"}}
    realtime = _provider(f"{ai.url}?region=eu", headers={"X-Tenant": "acme"})
    async with world.gateway(ai.url, realtime=realtime, agents=agents) as gateway, GenesysCall(gateway.url) as call:
        await call.open()
        leg = await ai.ready()
        assert leg.path in (
            "/v1/realtime?region=eu&model=my%20model%2F1",
            "/v1/realtime?region=eu&model=my+model%2F1",
        )
        assert leg.headers["X-Tenant"] == "acme"
        assert leg.headers["Authorization"] == "Bearer sk-acceptance"
        await call.close()


async def test_the_next_provider_takes_over_when_one_fails(ai: RealtimeFake, world: World) -> None:
    async with realtime_fake(Behaviour(handshake="500")) as broken:
        providers = [
            {"name": "broken", "url": broken.url, "api_key": "a"},
            {"name": "good", "url": ai.url, "api_key": "b"},
        ]
        async with (
            world.gateway(ai.url, realtime={"providers": providers}) as gateway,
            GenesysCall(gateway.url) as call,
        ):
            await call.open()
            call.send_audio(b"\x11" * 1600)
            leg = await ai.ready(within=4)
            assert leg.headers["Authorization"] == "Bearer b"
            assert await leg.expect_audio(1600, within=1) == b"\x11" * 1600
            await call.close()


# ---- agents that listen


async def test_a_listener_never_speaks_and_sends_no_events(ai: RealtimeFake, world: World) -> None:
    agents = {"listener": {"mode": "listen"}}
    async with (
        world.gateway(ai.url, agents=agents, default_agent="listener") as gateway,
        GenesysCall(gateway.url) as call,
    ):
        await call.open()
        await call.speak(b"\x11" * 3200)
        call.send("dtmf", {"digit": "1"})
        call.send("dtmf", {"digit": "#"})
        if ai.upgrades:  # listening may mean that the AI transcribes
            leg = await ai.ready()
            assert not leg.heard[0]["session"]["audio"]["input"]["turn_detection"]["create_response"]
            await leg.caller_spoke()
            await leg.answer(None, bytes([0x55]) * 8000)
            await leg.speech_started()
            await call.ping()
            assert not leg.events("response.create")
        call.send("paused")
        call.send("resumed", {"start": "PT0S", "discarded": "PT0S"})
        assert await call.ping() < PROMPT
        assert not call.audio
        assert not call.texts("event")
        assert not call.texts("disconnect")
        await call.close()
