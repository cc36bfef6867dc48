"""The commands as processes: configuration errors, JSON output, and what must never be in a log."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.genesys import GenesysCall
from tests.acceptance.identity import Identity, sign
from tests.acceptance.realtime import RealtimeFake
from tests.acceptance.world import OFFHOOK_OUTPUTS, ROOT, SECRET, World, configuration, run, running

BROKEN = """\
listen: nowhere
base_path: audiohook
keys:
  - id: key
    secret: "not base64!"
realtime:
  providers:
    - {name: openai, url: "https://api.openai.com/v1/realtime", api_key: "${OFFHOOK_TEST_MISSING}"}
agents:
  support:
    instructions: "Hello {{ input.NAME "
    voise: marin
    speed: 9
    tools: [hang_up]
default_agent: nobody
"""
#: What is wrong there: line, column and a word that the message needs.
WRONG = [
    (1, 9, "listen"),
    (2, 12, "base_path"),
    (5, 13, "secret"),
    (8, 27, "url"),
    (8, 74, "OFFHOOK_TEST_MISSING"),
    (11, 19, "instructions"),
    (12, 5, "voise"),
    (13, 12, "speed"),
    (14, 13, "tools[0]"),
    (15, 16, "default_agent"),
]


@pytest.mark.parametrize("arguments", [("serve",), ("config", "check")])
async def test_every_configuration_error_is_named_at_once(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = tmp_path / "offhook.yaml"
    path.write_text(BROKEN)
    status, out, err = await run(*arguments, "-c", str(path))
    assert status == 2
    lines = (out + err).splitlines()
    missing = [
        (line, column, word)
        for line, column, word in WRONG
        if not any(f"{path}:{line}:{column}" in text and word in text for text in lines)
    ]
    assert not missing, f"{missing} not in {out + err}"
    assert all("OH-CONF-" in text for text in lines if f"{path}:" in text)
    assert "Traceback" not in out + err
    assert "not base64!" not in out + err


@pytest.mark.parametrize("content", ["agents: [", "- a\n- b\n", "", "agents: {}\nagents: {}\n", "\ttabs: 1\n"])
async def test_a_file_that_is_no_configuration(tmp_path: Path, content: str) -> None:
    path = tmp_path / "offhook.yaml"
    path.write_text(content)
    status, out, err = await run("config", "check", "-c", str(path))
    assert status == 2
    assert f"{path}:" in out + err
    assert "OH-CONF-" in out + err
    assert "Traceback" not in out + err


async def test_configuration_errors_as_json(tmp_path: Path) -> None:
    path = tmp_path / "offhook.yaml"
    path.write_text(BROKEN)
    status, out, _ = await run("config", "check", "--json", "-c", str(path))
    assert status == 2
    assert isinstance(json.loads(out), dict | list)


async def test_a_good_configuration_is_fine(ai: RealtimeFake, world: World) -> None:
    path = world.write(configuration(ai.url))
    status, _, _ = await run("config", "check", "-c", str(path))
    assert status == 0


async def test_the_configuration_of_the_contract_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "offhook.yaml"
    path.write_text(
        """\
listen: 0.0.0.0:8080            # call port: AudioHook WebSocket, /healthz, /readyz
base_path: /audiohook           # Base Connection URI = wss://HOST/audiohook ; Connector ID follows it
public_url: wss://voice.example.com/audiohook
admin: 127.0.0.1:8081
keys:
  - id: ${GENESYS_API_KEY}
    secret: ${GENESYS_CLIENT_SECRET}
    organizations: [d7934305-0972-4844-938e-9060eef73d05]
    agents: [support]
realtime:
  providers:
    - {name: openai, url: "wss://api.openai.com/v1/realtime", api_key: "${OPENAI_API_KEY}"}
agents:
  support:
    model: gpt-realtime-2.1
    voice: marin
    instructions: |
      You answer the phone for {{ input.COMPANY | default("Acme") }}. The caller's number is {{ call.ani }}.
    greeting: Greet the caller in one short sentence.
    tools: [end_call, escalate, {python: "tests.acceptance.tools:order_status"}]
    inputs:  {COMPANY: {required: false}}
    outputs: {INTENT: {default: ""}, ESCALATE: {default: "false"}}
  listener: {mode: listen}
default_agent: support
"""
    )
    environment = {"GENESYS_API_KEY": "key", "GENESYS_CLIENT_SECRET": SECRET, "OPENAI_API_KEY": "sk-contract-secret"}
    status, out, err = await run("config", "check", "-c", str(path), environment=environment)
    assert (status, err) == (0, "")
    status, out, err = await run("config", "show", "-c", str(path), environment=environment)
    assert status == 0
    assert "sk-contract-secret" not in out + err
    assert SECRET not in out + err


async def test_unknown_models_and_voices_are_warnings(world: World) -> None:
    agents = {"support": {"instructions": "x", "model": "gpt-novelty", "voice": "nobody"}}
    path = world.write(configuration("wss://api.openai.com/v1/realtime", agents=agents))
    status, _, err = await run("config", "check", "-c", str(path))
    assert status == 0
    assert f"{path}:" in err
    assert "agents.support.model" in err
    assert "agents.support.voice" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "-c", "/does/not/exist.yaml"),
        ("serve", "--nonsense"),
        ("serve", "no.such.module:gateway"),
        ("serve", "notanapp"),
        ("call",),
        ("call", "https://example.com"),
        ("nonsense",),
        ("emulate", "--scenario", "/does/not/exist.yaml"),
    ],
)
async def test_wrong_usage_is_status_2_and_no_traceback(arguments: tuple[str, ...]) -> None:
    status, out, err = await run(*arguments)
    assert status == 2
    assert "Traceback" not in out + err
    assert err


async def test_settings_on_the_command_line(ai: RealtimeFake, world: World) -> None:
    path = world.write(configuration(ai.url))
    arguments = ("-c", str(path), "--set", "agents.support.speed=1.4", "--set", "base_path=/elsewhere")
    async with running("serve", *arguments, "--listen", "127.0.0.1:0") as process:
        assert process.url.endswith("/elsewhere")
        async with GenesysCall(f"{process.url}/support") as call:
            await call.open()
            leg = await ai.leg()
            update = await leg.expect("session.update")
            assert update["session"]["audio"]["output"]["speed"] == 1.4
            await call.close()


async def test_a_gateway_in_python_is_served(ai: RealtimeFake, tmp_path: Path) -> None:
    environment = {
        "GENESYS_API_KEY": "key",
        "GENESYS_CLIENT_SECRET": SECRET,
        "ACCEPTANCE_AI": ai.url,
        "PYTHONPATH": str(tmp_path),
    }
    (tmp_path / "acceptance_shop.py").write_text(
        """\
import os
from offhook import Agent, Gateway, tool

@tool
async def order_status(order_id: str) -> str:
    \"\"\"Look an order up by its number.\"\"\"
    return "shipped"

gateway = Gateway(
    agents={"support": Agent(instructions="You are a shop.", tools=[order_status])},
    providers=[{"name": "fake", "url": os.environ["ACCEPTANCE_AI"]}],
)
"""
    )
    async with running(
        "serve", "acceptance_shop:gateway", "--listen", "127.0.0.1:0", environment=environment
    ) as process:
        url = f"{process.url}/support"
        identity = Identity()
        headers = sign(url, identity.headers(), SECRET)
        async with GenesysCall(url, identity=identity, headers=headers) as call:
            await call.open()
            leg = await ai.leg()
            update = await leg.expect("session.update")
            assert update["session"]["instructions"] == "You are a shop."
            assert [one["name"] for one in update["session"]["tools"]] == ["order_status"]
            answer = await leg.respond()
            await answer.call("order_status", '{"order_id": "1"}')
            await answer.end()
            assert (await leg.expect("conversation.item.create"))["item"]["output"] == "shipped"
            await call.close()


async def test_without_a_key_the_emulator_answers_and_this_is_said() -> None:
    environment = {"OPENAI_API_KEY": "", "GENESYS_API_KEY": "", "GENESYS_CLIENT_SECRET": ""}
    arguments = ("-c", str(ROOT / "offhook.yaml"), "--listen", "127.0.0.1:0")
    async with running("serve", *arguments, environment=environment) as process:
        assert "emulator" in "".join(process.output)
        async with GenesysCall(f"{process.url}/support", key="demo-key") as call:
            await call.open()
            await call.expect_audio(8000, within=5)
            await call.close()


# ---- offhook call


async def test_call_prints_one_json_document(ai: RealtimeFake, world: World, tmp_path: Path) -> None:
    """The real emulator and the real simulator, with the gateway between them, all as processes."""
    scenario = tmp_path / "caller.yaml"
    scenario.write_text("steps:\n  - wait_for_agent: {timeout: 8}\n  - dtmf: '1'\n  - hang_up: {}\n")
    async with running("emulate", "--listen", "127.0.0.1:0") as emulator:
        agents = {"support": {"instructions": "You answer.", "greeting": "Say hello."}}
        keys = [{"id": "key", "secret": SECRET}]
        async with world.process(emulator.url, agents=agents, keys=keys) as process:
            common = (process.url, "--key", "key", "--secret", SECRET, "--json")
            recording = tmp_path / "call.wav"
            arguments = ("--connector-id", "support", "--scenario", str(scenario), "--record", str(recording))
            status, out, err = await run("call", *common, *arguments)
            report = json.loads(out)
            assert (status, report["ok"]) == (0, True), err
            assert recording.read_bytes().startswith(b"RIFF")

            status, out, err = await run("call", *common, "--probe")
            assert (status, json.loads(out)["ok"]) == (0, True), err

            wrong = (process.url, "--key", "key", "--secret", "d3Jvbmc=", "--json", "--probe")
            status, out, err = await run("call", *wrong)
            assert (status, json.loads(out)["ok"]) == (1, False), err
            assert "d3Jvbmc=" not in out + err


async def test_call_to_nobody_is_a_failure_and_still_json() -> None:
    status, out, err = await run("call", "ws://127.0.0.1:9/audiohook", "--key", "key", "--json")
    assert status == 1
    assert json.loads(out)["ok"] is False
    assert "Traceback" not in err


# ---- what is never logged

PRIVATE: dict[str, str] = {
    "the client secret": SECRET,
    "the OpenAI key": "sk-private-4711",
    "the API key": "genesys-key-4712",
    "the caller's number": "4915155501234",
    "the caller's name": "Trillian",
    "the called number": "4989555666",
    "an input variable": "heart-of-gold",
    "what the caller said": "forty-two",
    "what the agent said": "vogon-poetry",
    "an argument of a tool": "8675309",
    "the instructions": "babel-fish",
    "an output variable": "magrathea",
    "the digits": "735914",
    "the reason of the end": "restaurant",
}


async def test_nothing_private_is_in_the_log_of_a_whole_call(ai: RealtimeFake, world: World) -> None:
    agent: dict[str, Any] = {
        "instructions": "babel-fish {{ input.SHIP }} {{ call.ani }}",
        "greeting": "Greet.",
        "tools": [
            "end_call",
            {"python": "tests.acceptance.tools:order_status"},
            {"python": "tests.acceptance.tools:broken_tool"},
        ],
        "outputs": {"INTENT": {"default": ""}},
        "dtmf": {"timeout": 0.1},
    }
    settings: dict[str, Any] = {
        "keys": [{"id": "genesys-key-4712", "secret": SECRET}],
        "realtime": {"providers": [{"name": "fake", "url": ai.url, "api_key": "sk-private-4711", "kind": "openai"}]},
        "log": {"level": "debug"},
    }
    async with world.process(ai.url, agents={"support": agent}, **settings) as process:
        url = f"{process.url}/support"
        identity = Identity()
        headers = sign(url, identity.headers("genesys-key-4712"), SECRET)
        nonce = headers["Signature-Input"].partition('nonce="')[2].partition('"')[0]
        signature = headers["Signature"][6:-1]
        async with GenesysCall(url, identity=identity, headers=headers) as call:
            await call.open(
                participant={
                    "id": identity.participant,
                    "ani": "tel:+4915155501234",
                    "aniName": "Trillian",
                    "dnis": "tel:+4989555666",
                },
                inputVariables={"SHIP": "heart-of-gold"},
            )
            leg = await ai.ready()
            create = await leg.expect("response.create")
            await leg.answer(create, bytes(1600), "vogon-poetry")
            await call.expect_audio(1600, within=1)
            await call.expect_silence(within=1)
            await leg.caller_spoke("forty-two")
            answer = await leg.respond()
            await answer.call("order_status", '{"order_id": "8675309"}')
            await answer.call("broken_tool", '{"secret": "8675309"}')
            await answer.call("set_outputs", '{"INTENT": "magrathea"}')
            await answer.call("no_such_tool", '{"x": "8675309"')
            await answer.end()
            for _ in range(4):
                await leg.expect("conversation.item.create")
            create = await leg.expect("response.create")
            await leg.answer(create, bytes(8000), "vogon-poetry")
            await call.expect_audio(3200, within=1)
            await leg.speech_started()
            await call.expect_entity("barge_in")
            await leg.speech_stopped(text="forty-two")
            await leg.answer(None, bytes(1600), "vogon-poetry")
            for digit in "735914":
                call.send("dtmf", {"digit": digit})
            item = await leg.expect("conversation.item.create")
            assert "7" in item["item"]["content"][0]["text"]
            error = {
                "type": "invalid_request_error",
                "code": "invalid_value",
                "message": "forty-two vogon-poetry",
                "param": "x",
                "event_id": None,
            }
            await leg.send({"type": "error", "error": error})
            await leg.send({"type": "novelty.of.the.day", "text": "forty-two"})
            call.send("error", {"code": 500, "message": "Trillian 4915155501234"})
            create = await leg.expect("response.create")
            answer = await leg.respond(metadata=create["response"].get("metadata"))
            speech = await answer.speech()
            await speech.audio(bytes(1600))
            await speech.end("vogon-poetry")
            await answer.call("end_call", '{"reason": "restaurant"}')
            await answer.end()
            disconnect = await call.settle(within=4)
            assert disconnect.parameters["outputVariables"]["INTENT"] == "magrathea"
            assert set(disconnect.parameters["outputVariables"]) >= OFFHOOK_OUTPUTS

        # A broken call, a forged one and a strange one.
        identity = Identity()
        headers = sign(url, identity.headers("genesys-key-4712"), SECRET)
        async with GenesysCall(url, identity=identity, headers=headers, strict=False) as call:
            await call.open(inputVariables={"SHIP": "heart-of-gold"})
            call.send_raw('{"Trillian": "4915155501234"')
            await call.expect("disconnect")
        for changed in ({}, {"X-API-KEY": "genesys-key-4712x"}):
            headers = {**sign(url, Identity().headers("genesys-key-4712"), "d3Jvbmc="), **changed}
            with pytest.raises(Exception, match="401"):
                async with GenesysCall(url, headers=headers):
                    pass
        process.process.terminate()
        await process.ended(within=5)
    log = "".join(process.output)
    assert "call ended" in log or "ended" in log
    found = [
        (name, next(line for line in process.output if word in line))
        for name, word in {**PRIVATE, "the nonce": nonce, "the signature": signature}.items()
        if word in log
    ]
    assert not found
    assert "Traceback" not in log


async def test_the_example_of_the_repository_is_a_good_configuration() -> None:
    status, out, err = await run("config", "check", "-c", str(ROOT / "offhook.yaml"))
    assert status == 0, out + err
