"""A malformed caller gets a clear end, and no other call notices."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.acceptance.genesys import FRAME, PCMU, GenesysCall
from tests.acceptance.realtime import RealtimeFake
from tests.acceptance.test_tools_and_ends import AGENTS
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import OFFHOOK_OUTPUTS, World, address

#: What Genesys must not find in its logs.
PERSONAL = ("13175550123", "4929-1234", "Zaphod")


@asynccontextmanager
async def witness(ai: RealtimeFake, url: str) -> AsyncIterator[None]:
    """Carry another call meanwhile, and see that all of it arrives."""
    async with GenesysCall(url) as call:
        await call.open()
        leg = await ai.ready()
        answer = await leg.respond()
        speech = await answer.speech()
        await speech.audio(bytes([0x2A]) * 3200)
        call.send_audio(b"\x01" * FRAME)
        yield
        call.send_audio(b"\x02" * FRAME)
        await speech.audio(bytes([0x2B]) * 3200)
        await speech.end()
        await answer.end()
        assert await call.ping() < PROMPT
        assert await leg.expect_audio(2 * FRAME, within=1) == b"\x01" * FRAME + b"\x02" * FRAME
        assert await call.expect_audio(6400, within=2) == bytes([0x2A]) * 3200 + bytes([0x2B]) * 3200
        await call.close()


def _envelope(**fields: Any) -> Callable[[GenesysCall], None]:
    def send(call: GenesysCall) -> None:
        call.send("ping", **fields)

    return send


def _message(call: GenesysCall) -> dict[str, Any]:
    call.seq += 1
    return {
        "version": "2",
        "id": call.identity.session,
        "type": "ping",
        "seq": call.seq,
        "serverseq": 0,
        "position": "PT0S",
        "parameters": {},
    }


def _without(name: str) -> Callable[[GenesysCall], None]:
    def send(call: GenesysCall) -> None:
        message = _message(call)
        del message[name]
        call.send_raw(json.dumps(message))

    return send


def _with(name: str, value: object) -> Callable[[GenesysCall], None]:
    return lambda call: call.send_raw(json.dumps({**_message(call), name: value}))


def _raw(data: str | bytes) -> Callable[[GenesysCall], None]:
    return lambda call: call.send_raw(data)


def _flood(call: GenesysCall) -> None:
    for _ in range(1500):
        call.send("update", {"language": "en-us"})


BAD: dict[str, Callable[[GenesysCall], object]] = {
    "no JSON": _raw("Zaphod says hello to 4929-1234"),
    "half a JSON": _raw('{"version": "2", "id": "Zaphod'),
    "nothing": _raw(""),
    "an array": _raw('["4929-1234"]'),
    "a number": _raw("4929"),
    "null": _raw("null"),
    "nested without end": _raw('{"a":' * 10_000 + "1" + "}" * 10_000),
    "brackets without end": _raw("[" * 50_000),
    "a text without end behind many brackets": _raw("[" * 65 + '"' + '\\"' * 32_000),
    "a lone surrogate": _raw('{"version": "2", "type": "\\ud800"}'),
    "too long": _raw(json.dumps({"type": "Zaphod" * 15_000})),
    "seq leaves one out": lambda call: call.send("ping", seq=call.seq + 2),
    "seq comes twice": lambda call: call.send("ping", seq=call.seq),
    "seq 0": _envelope(seq=0),
    "negative seq": _envelope(seq=-1),
    "huge seq": _envelope(seq=10**30),
    "seq as text": _envelope(seq="2"),
    "seq with a fraction": _envelope(seq=2.5),
    "seq true": _envelope(seq=True),
    "serverseq from the future": _envelope(serverseq=999),
    "negative serverseq": _envelope(serverseq=-1),
    "another id": _envelope(id="30b0e395-84d3-4570-ac13-9a62d8f514c0"),
    "an id that is no UUID": _envelope(id="Zaphod"),
    "another version": _envelope(version="3"),
    "version as number": _envelope(version=2),
    "type null": _envelope(type=None),
    "without seq": _without("seq"),
    "without id": _without("id"),
    "without type": _without("type"),
    "without version": _without("version"),
    "flood": _flood,
}


@pytest.mark.parametrize("name", BAD)
async def test_a_broken_message_ends_its_own_call_only(ai: RealtimeFake, world: World, name: str) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        witness(ai, f"{gateway.url}/support"),
        GenesysCall(f"{gateway.url}/support", strict=name != "flood") as call,
    ):
        await call.open(inputVariables={"CARD": "4929-1234", "NAME": "Zaphod"})
        await ai.ready()
        BAD[name](call)
        disconnect = await call.expect("disconnect", within=2)
        assert disconnect.parameters["reason"] == "error"
        info = disconnect.parameters["info"]
        assert info.startswith("OH-")
        assert len(info) < 1024
        text = json.dumps(disconnect.message)
        assert not [word for word in PERSONAL if word in text]
        if name != "flood":
            await call.close("disconnect")
            await ai.legs[1].expect_closed()


async def test_the_disconnect_of_a_broken_rule_carries_complete_output_variables(
    ai: RealtimeFake, world: World
) -> None:
    """However a call ends, protocol errors included (design §3)."""
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        call.send("ping", seq=17)
        disconnect = await call.settle(within=1)
        variables = disconnect.parameters.get("outputVariables", {})
        assert set(variables) >= OFFHOOK_OUTPUTS | {"INTENT", "ESCALATE"}
        assert variables["OFFHOOK_OUTCOME"] == "failed"


# ---- before open


def _first_ping(call: GenesysCall) -> None:
    call.offered = []
    call.send("ping")


def _open(**overrides: Any) -> Callable[[GenesysCall], None]:
    def send(call: GenesysCall) -> None:
        call.send_open(**overrides)

    return send


def _seq_two(call: GenesysCall) -> None:
    call.seq = 1
    call.send_open()


BAD_BEGINNINGS: dict[str, Callable[[GenesysCall], object]] = {
    "ping first": _first_ping,
    "audio first": _raw(b"\xff" * 1600),
    "garbage first": _raw("}{"),
    "open with seq 2": _seq_two,
    "no organization": _open(organizationId=None),
    "organization is none": _open(organizationId="Zaphod"),
    "no conversation": _open(conversationId=None),
    "media no list": _open(media="Zaphod"),
    "media of numbers": _open(media=[1, 2]),
    "media without channels": _open(media=[{"type": "audio", "format": "PCMU", "rate": 8000}]),
    "input variables a list": _open(inputVariables=["Zaphod"]),
    "input variables nested": _open(inputVariables={"NAME": {"first": "Zaphod"}}),
}


@pytest.mark.parametrize("name", BAD_BEGINNINGS)
async def test_a_bad_beginning_is_refused(ai: RealtimeFake, world: World, name: str) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        witness(ai, f"{gateway.url}/support"),
        GenesysCall(f"{gateway.url}/support") as call,
    ):
        BAD_BEGINNINGS[name](call)
        await call.bell.until(lambda: True if call.received else None, within=2, what="an answer")
        first = call.received[0]
        if name == "input variables nested" and first.type == "opened":
            return  # taken as text
        assert first.type == "disconnect"
        # An organization that is none is also not the one of the header.
        assert first.parameters["reason"] == ("unauthorized" if name == "organization is none" else "error")
        assert first.parameters["info"].startswith("OH-")
        text = json.dumps(first.message)
        assert not [word for word in PERSONAL if word in text]
        await call.close("disconnect")
    assert ai.upgrades == 1


@pytest.mark.parametrize(
    "overrides", [{"conversationId": "Zaphod"}, {"participant": "Zaphod"}, {"inputVariables": {"NUMBER": 7}}]
)
async def test_an_odd_beginning_is_taken_or_refused(
    ai: RealtimeFake, world: World, overrides: dict[str, object]
) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        call.send_open(**overrides)
        await call.bell.until(lambda: True if call.received else None, within=2, what="an answer")
        assert call.received[0].type in ("opened", "disconnect")
        assert "Zaphod" not in json.dumps(call.received[0].message)
        await call.close("disconnect")


async def test_the_start_burst_may_be_one_big_message(ai: RealtimeFake, world: World) -> None:
    """Up to 20 s are sent at once after `opened` (audiohook.md §4)."""
    said = bytes(range(256)) * 625
    async with world.gateway(ai.url, agents=AGENTS) as gateway, GenesysCall(f"{gateway.url}/support") as call:
        await call.open()
        leg = await ai.ready()
        call.send_audio(said)
        assert await leg.expect_audio(len(said), within=2) == said
        await call.close()


# ---- harmless oddities: either tolerated or ended cleanly, never anything else

ODD: dict[str, Callable[[GenesysCall], object]] = {
    "parameters a list": _with("parameters", ["Zaphod"]),
    "parameters a text": _with("parameters", "Zaphod"),
    "parameters null": _with("parameters", None),
    "without parameters": _without("parameters"),
    "position with minutes": _envelope(position="PT1M"),
    "position a number": _envelope(position=1.5),
    "no position": _without("position"),
    "rtt a number": lambda call: call.send("ping", {"rtt": 0.02}),
    "dtmf of two digits": lambda call: call.send("dtmf", {"digit": "12"}),
    "dtmf Z": lambda call: call.send("dtmf", {"digit": "Z"}),
    "dtmf without digit": lambda call: call.send("dtmf", {}),
    "dtmf a number": lambda call: call.send("dtmf", {"digit": 1}),
    "error without code": lambda call: call.send("error", {"message": "x"}),
    "429 with a strange wait": lambda call: call.send("error", {"code": 429, "retryAfter": "soon"}),
    "429 for a year": lambda call: call.send("error", {"code": 429, "message": "", "retryAfter": "PT31536000S"}),
    "resumed without parameters": lambda call: call.send("resumed", {}),
    "discarded more than ever": lambda call: call.send("discarded", {"start": "PT0S", "discarded": "PT1E99S"}),
    "empty binary": _raw(b""),
    "one byte": _raw(b"\x00"),
    "update with a number": lambda call: call.send("update", {"language": 7}),
    "a message of the server": lambda call: call.send("opened", {"media": []}),
    "a NUL in a text": lambda call: call.send("update", {"language": "\x00"}),
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_message_is_tolerated_or_ends_the_call_cleanly(ai: RealtimeFake, world: World, name: str) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        witness(ai, f"{gateway.url}/support"),
        GenesysCall(f"{gateway.url}/support", strict=False) as call,
    ):
        await call.open()
        ODD[name](call)
        call.send("update", {"language": "en-us"})
        await call.bell.until(
            lambda: True if call.texts("updated") or call.texts("disconnect") else None, within=1, what="an answer"
        )
        for disconnect in call.texts("disconnect"):
            assert disconnect.parameters["reason"] == "error"
            assert disconnect.parameters["info"].startswith("OH-")
        await call.close("disconnect")


async def test_an_absurdly_long_message_ends_its_own_connection_only(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, witness(ai, f"{gateway.url}/support"):
        async with GenesysCall(f"{gateway.url}/support", strict=False) as call:
            await call.open()
            await ai.ready()
            call.send_raw(b"\xff" * 10_000_000)
            await call.bell.until(
                lambda: True if call.bell.silenced or call.texts("disconnect") else None, within=2, what="an end"
            )
        await ai.legs[1].expect_closed()


@pytest.mark.parametrize("reason", ["", "bored", None, 7])
async def test_close_with_any_reason_is_answered(ai: RealtimeFake, world: World, reason: object) -> None:
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support", strict=False) as call,
    ):
        await call.open()
        call.send("close", {"reason": reason})
        await call.bell.until(
            lambda: True if call.texts("closed") or call.texts("disconnect") else None, within=1, what="an answer"
        )
        if not call.texts("closed"):
            await call.close("disconnect")


# ---- below AudioHook

UPGRADE = (
    b"GET /audiohook/support HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: SSdtIGEgV2ViU29ja2V0IQ==\r\nX-API-KEY: key\r\n"
    b"Audiohook-Organization-Id: d7934305-0972-4844-938e-9060eef73d05\r\n"
    b"Audiohook-Session-Id: 30b0e395-84d3-4570-ac13-9a62d8f514c0\r\n"
    b"Audiohook-Correlation-Id: e160e428-53e2-487c-977d-96989bf5c99d\r\n\r\n"
)


@pytest.mark.parametrize(
    "frames",
    [
        b"\x81\x05hello",  # not masked
        b"\xff\xff" + b"\xff" * 40,  # reserved bits, unknown opcode
        b"\x81\xfe\xff\xff\x00\x00\x00\x00" + b"\xff" * 0xFFFF,  # no UTF-8
        b"\x82\xff\x7f" + b"\xff" * 20,  # an absurd length
        b"\x80\x80\x00\x00\x00\x00",  # a continuation of nothing
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_broken_frames_end_their_own_connection_only(ai: RealtimeFake, world: World, frames: bytes) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, witness(ai, f"{gateway.url}/support"):
        reader, writer = await asyncio.open_connection(*address(gateway.url))
        writer.write(UPGRADE + frames)
        assert (await asyncio.wait_for(reader.readline(), 2)).startswith(b"HTTP/1.1 101")
        async with GenesysCall(f"{gateway.url}/support") as call:
            await call.open()
            await call.close()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_upgrades_without_the_headers_of_audiohook_are_survived(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, witness(ai, f"{gateway.url}/support"):
        for headers in ({"X-API-KEY": "key"}, {"X-API-KEY": "key", "Audiohook-Session-Id": "Zaphod"}):
            with contextlib.suppress(Exception):
                async with GenesysCall(f"{gateway.url}/support", headers=headers, strict=False) as call:
                    call.send_open()
                    await call.bell.until(lambda: True if call.received else None, within=1, what="an answer")


async def test_fifty_connections_that_say_nothing_delay_nobody(ai: RealtimeFake, world: World) -> None:
    async with world.gateway(ai.url, agents=AGENTS) as gateway, witness(ai, f"{gateway.url}/support"):
        silent = [GenesysCall(f"{gateway.url}/support", strict=False) for _ in range(50)]
        await asyncio.gather(*(call.__aenter__() for call in silent))
        async with GenesysCall(f"{gateway.url}/support") as call:
            await call.open()
            await call.close()
        await asyncio.gather(*(call.__aexit__(None, None, None) for call in silent))


async def test_a_repeated_session_id_does_not_mix_two_calls(ai: RealtimeFake, world: World) -> None:
    """A retry of Genesys may come while the first socket still lives (audiohook.md §1.5)."""
    async with (
        world.gateway(ai.url, agents=AGENTS) as gateway,
        GenesysCall(f"{gateway.url}/support") as first,
    ):
        await first.open()
        one = await ai.ready()
        async with GenesysCall(f"{gateway.url}/support", identity=first.identity) as second:
            await second.open(media=[PCMU])
            two = await ai.ready()
            first.send_audio(b"\x01" * FRAME)
            second.send_audio(b"\x02" * FRAME)
            assert await one.expect_audio(FRAME, within=1) == b"\x01" * FRAME
            assert await two.expect_audio(FRAME, within=1) == b"\x02" * FRAME
            await first.close()
            assert await second.ping() < PROMPT
            await second.close()
