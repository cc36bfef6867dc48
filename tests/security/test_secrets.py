"""No secret, and nothing of a caller, is in anything that the product writes, whatever fails and whatever is logged."""

import asyncio
import base64
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from websockets.exceptions import InvalidStatus

from offhook.cli import main
from tests.acceptance.genesys import GenesysCall
from tests.acceptance.identity import Identity, sign
from tests.acceptance.realtime import Leg, RealtimeFake, realtime_fake
from tests.acceptance.world import Process, http, run, running
from tests.security.secrecy import PART, Secrets, echo, environment, shapes

TOOLS = '''
import asyncio
import os
import offhook.bridge
from offhook import tool

SECRETS = os.environ


def explode(secret):
    raise ValueError(secret)


async def explode_alone(secret):
    raise ValueError(secret)


@tool
async def fail(order: str) -> str:
    """Fail with all that is known, here, in the event loop, and where nobody looks."""
    asyncio.get_running_loop().call_soon(explode, SECRETS["PROVIDER_KEY"])
    asyncio.get_running_loop().create_task(explode_alone(SECRETS["ENVIRONMENT"]))
    raise ValueError(f"{order} {SECRETS['ENVIRONMENT']} {SECRETS['PROVIDER_KEY']}")


@tool
async def verify(digits: str) -> str:
    """Verify digits, and repeat them in an error."""
    raise RuntimeError(f"wrong: {digits}")


class Shout(BaseException):
    """No exception that anybody expects."""


@tool
async def shout(order: str) -> str:
    """Fail as nothing should."""
    raise Shout(f"{order} {SECRETS['ENVIRONMENT']}")
'''

FAULT = """
receive = offhook.bridge.Call.receive_realtime


def receive_or_break(call, leg, data, now):
    if b"injected.fault" in data:
        raise KeyError(f"{data!r} {SECRETS['PROVIDER_KEY']} {SECRETS['ANI']}")
    receive(call, leg, data, now)


offhook.bridge.Call.receive_realtime = receive_or_break
"""

CONFIG = """
listen: 127.0.0.1:0
admin: 127.0.0.1:0
admin_token: "${ADMIN_TOKEN}"
log: {level: debug, format: FORMAT}
keys:
  - {id: "${API_KEY}", secret: ["${CLIENT_SECRET}", "${NEXT_CLIENT_SECRET}"]}
realtime:
  providers:
    - {name: refuses, url: "ws://127.0.0.1:ECHO/v1/realtime", api_key: "${OTHER_PROVIDER_KEY}",
       headers: {X-Extra: "${PROVIDER_HEADER}"}, organization: org, project: proj}
    - {name: answers, url: "AI", api_key: "${PROVIDER_KEY}", headers: {X-Extra: "${PROVIDER_HEADER}"}}
genesys: {region: eu-central-1, client_id: the-client, client_secret: "${OAUTH_SECRET}",
          api_url: "http://127.0.0.1:ECHO", login_url: "http://127.0.0.1:ECHO"}
agents:
  support:
    instructions: "You talk with {{ call.ani }} about {{ input.CARD }}."
    inputs: {CARD: {required: false}}
    outputs: {INTENT: {default: ""}}
    dtmf: {timeout: 0.5}
    tools:
      - end_call
      - escalate
      - python: "secret_tools:fail"
      - python: "secret_tools:shout"
      - python: "secret_tools:verify"
      - collect_digits: {secret_tool: verify}
      - http: {name: refused, description: "Is refused.", url: "http://127.0.0.1:ECHO/status-401", allow_private: true,
               headers: {Authorization: "Bearer ${TOOL_TOKEN}"}, query: {key: "${TOOL_QUERY}"}}
      - http: {name: breaks, description: "Breaks.", method: POST, url: "http://127.0.0.1:ECHO/status-500/x",
               allow_private: true, headers: {Authorization: "Bearer ${TOOL_TOKEN}"},
               parameters: {type: object, properties: {order: {type: string}}}, body: {order: "{{ args.order }}"}}
      - http: {name: moved, description: "Has moved.", url: "http://127.0.0.1:ECHO/status-302/x", allow_private: true,
               headers: {Authorization: "Bearer ${TOOL_TOKEN}"}, query: {key: "${TOOL_QUERY}"}}
      - http: {name: nowhere, description: "Is not there.", url: "http://127.0.0.1:9/x", allow_private: true,
               headers: {Authorization: "Bearer ${TOOL_TOKEN}"}, query: {key: "${TOOL_QUERY}"}}
      - data_action: {id: "custom_-_1", name: lookup, description: "Looks up.", parameters: {type: object}}
"""
MCP = """\
      - mcp: {name: crm, url: "http://127.0.0.1:ECHO/status-200/mcp", headers: {Authorization: "Bearer ${MCP_TOKEN}"}}
"""


TOLD = (
    "provider failed", "OH-CONN-04", "internal error", "OH-GATE-01", "peer_error", "realtime leg lost",
    "OH-HOOK-07",
    "data action failed", "OH-GEN-01", "http_refused", "http_failed", "tool_raised",
    "verify", "Shout", "Exception in callback", "never retrieved", "call refused", "OH-AUTH-02", "OH-AUTH-03",
    "OH-ADM", "OH-CONF-08", "OH-AUTH-04", "OH-AUTH-06", "OH-AUTH-09", "OH-AUTH-11",
)  # fmt: skip
"""What the log has to have of all that fails."""


class Stage:
    """A process that serves, an AI, and a server that repeats what it is sent."""

    def __init__(self, secrets: Secrets, process: Process, ai: RealtimeFake) -> None:
        self.secrets, self.process, self.ai = secrets, process, ai
        self.url = f"{process.url}/support"

    def headers(self, identity: Identity, secret: str | None = None, **how: Any) -> dict[str, str]:
        return sign(self.url, identity.headers(self.secrets.api_key), secret or self.secrets.client_secret, **how)

    def call(self) -> GenesysCall:
        identity = Identity()
        return GenesysCall(self.url, identity=identity, headers=self.headers(identity), strict=False)

    async def open(self, call: GenesysCall) -> Leg:
        given = self.secrets
        who = {"id": call.identity.participant, "ani": f"tel:+{given.ani}", "aniName": given.ani_name, "dnis": ""}
        await call.open(within=3, participant=who, inputVariables={"CARD": given.input})
        leg = await self.ai.ready(within=5)
        assert given.input in json.dumps(leg.events("session.update")[0].event), "the agent knows it"
        return leg


async def _tools(stage: Stage, leg: Leg, call: GenesysCall) -> None:
    """Have every tool fail."""
    for name in ("fail", "refused", "breaks", "moved", "nowhere", "lookup", "shout", "crm__find"):
        answer = await leg.respond()
        order = {"order": stage.secrets.argument} if name in ("fail", "breaks", "shout") else {}
        await answer.call(name, json.dumps(order))
        await answer.end()
        await leg.expect("conversation.item.create", within=5)


async def _digits(stage: Stage, leg: Leg, call: GenesysCall) -> None:
    """Have the caller key in a secret."""
    answer = await leg.respond()
    speech = await answer.speech()
    await speech.audio(bytes(1600))
    await speech.end("Please enter your PIN.")
    given = {"purpose": "the PIN", "length": len(stage.secrets.pin), "secret": True}
    await answer.call("collect_digits", json.dumps(given))
    await answer.end()
    await call.ping()
    for digit in stage.secrets.pin:
        call.send("dtmf", {"digit": digit})
    await leg.expect("conversation.item.create", within=5)


async def _talk(stage: Stage, leg: Leg, call: GenesysCall) -> None:
    """Talk, and have the AI complain about what it was sent."""
    given = stage.secrets
    await leg.caller_spoke(given.words)
    await leg.answer(None, bytes(1600), given.words)
    error = {"type": "invalid_request_error", "code": "invalid_value", "param": given.provider_key, "event_id": None}
    await leg.send(
        {"type": "error", "error": {**error, "message": f"Incorrect API key provided: {given.provider_key}"}}
    )
    await leg.send({"type": f"odd.{given.provider_key}", "text": given.words})
    await leg.send_raw(f"{{{given.provider_key}")
    for digit in given.pin:
        call.send("dtmf", {"digit": digit})
    call.send("update", {"language": given.words})
    call.send(given.words, {"text": given.words})
    await call.ping()


async def _calls(stage: Stage) -> None:
    given = stage.secrets
    async with stage.call() as call:
        leg = await stage.open(call)
        assert leg.headers["Authorization"] == f"Bearer {given.provider_key}"
        await _tools(stage, leg, call)
        await _digits(stage, leg, call)
        await _talk(stage, leg, call)
        await leg.close(1011, f"{given.provider_key} {given.words}"[:120])
        await stage.ai.ready(within=10)
        await call.close()
    async with stage.call() as call:
        leg = await stage.open(call)
        await leg.send({"type": "injected.fault", "text": given.words})
        await call.expect("disconnect", within=5)
        await call.close("disconnect")
    async with stage.call() as call:
        leg = await stage.open(call)
        answer = await leg.respond()
        await answer.call("escalate", json.dumps({"reason": given.words, "target": given.ani}))
        await answer.end()
        await leg.answer(await leg.expect("response.create"), bytes(1600), given.words)
        await call.expect("disconnect", within=20)
        await call.close("disconnect")
    async with stage.call() as call:
        await stage.open(call)
        call.send("open", {"organizationId": given.ani, "conversationId": given.words})
        call.send_raw(json.dumps({"version": given.api_key, "id": given.words, "type": given.ani, "seq": 9}))
        await call.expect("disconnect", within=5)
        await call.close("disconnect")
    async with stage.call() as call:
        leg = await stage.open(call)
        await leg.close(4000, f"{given.provider_key} {given.words}"[:120])
        await leg.expect_closed()
        await call.ping()
        await call.close()
    await asyncio.gather(*(_refused(stage, number) for number in range(6)))


async def _administer(stage: Stage, path: Path) -> list[str]:
    """Ask the admin port for everything, and for what it refuses; return the answers."""
    port = next(
        found[1] for line in stage.process.output if (found := re.search(r"^Admin port: http://[^:]+:(\d+)", line))
    )
    token = stage.secrets.admin_token

    async def ask(status: int, request: str, given: str = token) -> str:
        head = f"{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n"
        answer = await http(
            f"ws://127.0.0.1:{port}", f"{head}Authorization: Bearer {given}\r\n\r\n".encode(), within=10
        )
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
        return answer.decode()

    answers = [
        await ask(200, "GET /api/v1/status"),
        await ask(401, "GET /api/v1/status", token[::-1]),
        await ask(401, f"GET /api/v1/status?token={quote(token)}", "none"),
        await ask(404, f"GET /api/v1/{quote(token)}"),
        await ask(200, "POST /api/v1/reload"),
    ]
    _spoil(path)
    answers.append(await ask(422, "POST /api/v1/reload"))
    return answers


def _spoil(path: Path) -> None:
    """Make mistakes in the configuration, where secrets are."""
    text = path.read_text()
    path.write_text(text.replace("log: {level: debug", 'log: {level: "${PROVIDER_KEY}"').replace("default:", "defolt:"))


async def _refused(stage: Stage, number: int) -> None:
    given, identity = stage.secrets, Identity()
    made = [
        lambda: identity.headers(given.api_key),
        lambda: identity.headers(f"{given.api_key}x"),
        lambda: stage.headers(identity, given.next_client_secret[::-1].strip("=") + "="),
        lambda: stage.headers(identity, nonce=given.pin),
        lambda: stage.headers(identity, created=1.0),
        lambda: {**stage.headers(identity), "Signature": given.client_secret, "Signature-Input": given.client_secret},
    ]
    with pytest.raises(InvalidStatus):
        async with GenesysCall(f"{stage.url}?key={quote(given.api_key)}", headers=made[number]()):
            pass


def _write(folder: Path, tools: str, style: str, port: int, ai_url: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "secret_tools.py").write_text(tools)
    path = folder / "offhook.yaml"
    # The library of MCP takes long to load, and writes nothing of its own: once is enough.
    text = CONFIG + (MCP if style == "json" else "")
    path.write_text(text.replace("FORMAT", style).replace("ECHO", str(port)).replace("AI", ai_url))
    return path


async def _serve(given: Secrets, style: str, folder: Path) -> str:
    """Return all that a process writes in whose calls everything fails."""
    async with echo() as repeats, realtime_fake() as ai:
        path = _write(folder, TOOLS + FAULT, style, repeats.port, ai.url)
        paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = environment(given, {"PYTHONPATH": paths})
        async with running("serve", "-c", str(path), environment=variables) as process:
            stage = Stage(given, process, ai)
            await _calls(stage)
            answers = await _administer(stage, path)
            process.process.terminate()
            assert await process.ended(within=20) == 0
        seen = b"".join(repeats.requests)
        for sent in (given.other_provider_key, given.tool_token):
            assert sent.encode() in seen
        assert (given.mcp_token.encode() in seen) == (style == "json")
        assert base64.b64encode(f"the-client:{given.oauth_secret}".encode()) in seen
        return "".join([*process.output, *answers])


async def test_nothing_that_a_gateway_writes_holds_a_secret(tmp_path: Path) -> None:
    given = Secrets()
    styles = ("json", "console")
    outputs = await asyncio.gather(*(_serve(given, style, tmp_path / style) for style in styles))
    for output in outputs:
        for told in TOLD:
            assert told in output, f"nothing was told of {told}"
        assert given.found_in(output) == []
    assert "OH-MCP-01" in outputs[0]
    assert "Unexpected content type" in outputs[0]


BROKEN: Mapping[str, str] = {
    "values of a wrong type": """
listen: {API_KEY}
keys: [{{id: [{API_KEY}], secret: {{a: {CLIENT_SECRET}}}}}]
agents: {API_KEY}
""",
    "a secret that is no base64": """
keys: [{{id: "{API_KEY}", secret: "{API_KEY}!"}}]
agents: {{a: {{instructions: x}}}}
""",
    "addresses with credentials": """
public_url: "wss://u:{PROVIDER_KEY}@x/"
realtime:
  providers:
    - {{name: x, api_key: "{PROVIDER_KEY}", url: "wss://u:{PROVIDER_KEY}@x/y?api-key={PROVIDER_KEY}#{PROVIDER_KEY}"}}
    - {{name: x, api_key: ["{PROVIDER_KEY}"], url: "{PROVIDER_KEY}", headers: {{Host: "{PROVIDER_HEADER}"}}}}
genesys:
  region: "{OAUTH_SECRET}"
  client_id: "{OAUTH_SECRET} x"
  client_secret: ["{OAUTH_SECRET}"]
  api_url: "ftp://{OAUTH_SECRET}"
  login_url: "{OAUTH_SECRET}"
agents: {{a: {{instructions: x}}}}
""",
    "tools that are wrong": """
agents:
  a:
    instructions: x
    tools:
      - "{TOOL_TOKEN}"
      - http:
          name: "{TOOL_TOKEN}"
          description: x
          url: "https://u:{TOOL_TOKEN}@x/{TOOL_TOKEN}?{TOOL_TOKEN}"
          headers: {{A: "{TOOL_TOKEN}\\n", B: ["{TOOL_TOKEN}"]}}
          query: "{TOOL_TOKEN}"
          body: "{{{{ {TOOL_TOKEN}"
          form: {{x: "{{{{ {TOOL_TOKEN}"}}
      - mcp: {{name: x, url: "https://u:{MCP_TOKEN}@x/", headers: {{Host: "{MCP_TOKEN}"}}}}
      - mcp: {{name: y, command: [x], env: {{A: "{MCP_TOKEN}\\0"}}}}
      - data_action: "{TOOL_TOKEN}"
""",
    "templates that are wrong": """
agents:
  a: {{instructions: "{{{{ '{PROVIDER_KEY}' | nothing }}}}", greeting: "{{{{ {PROVIDER_KEY}"}}
""",
    "an alias that is none": "keys: [{{id: k, secret: *{API_KEY}}}]",
    "a tag that is none": "keys: [{{id: k, secret: !{API_KEY}!x y}}]",
    "a quote that never ends": 'keys: [{{id: "{API_KEY}, secret: {CLIENT_SECRET}}}]',
    "a key twice": 'keys: [{{id: "{API_KEY}", id: "{API_KEY}"}}]',
    "a substitution that is none": 'keys: [{{id: "${{{API_KEY}", secret: "${{{API_KEY}}}"}}]',
    "no mapping": "{PROVIDER_KEY}",
}


def _run(*command: str) -> tuple[int, str]:
    """Run a command within this process."""
    result = CliRunner().invoke(main, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout + result.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_nothing_that_is_said_of_a_configuration_holds_a_secret(name: str, tmp_path: Path) -> None:
    given = Secrets()
    path = tmp_path / "offhook.yaml"
    path.write_text(BROKEN[name].format(**environment(given)))
    for command in (("config", "check"), ("config", "check", "--json"), ("config", "show"), ("serve",)):
        status, output = _run(*command, "-c", str(path))
        assert status == 2
        assert "OH-CONF-" in output
        assert given.found_in(output) == []


def test_no_configuration_that_is_shown_or_overridden_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Secrets()
    path = _write(tmp_path, TOOLS, "json", 9, "ws://127.0.0.1:9/")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "secret_tools", raising=False)
    for name, secret in environment(given).items():
        monkeypatch.setenv(name, secret)
    for expected, *command in (
        (0, "config", "show"),
        (0, "config", "show", "--json"),
        (0, "config", "check"),
        (2, "config", "check", "--set", f"keys.0.secret={given.provider_key}!"),
        (2, "serve", "--set", f"listen={given.provider_key}", "--set", f"log.level={given.provider_key}"),
        (
            2,
            "serve",
            "--set",
            f'keys=[{{id: x, secret: "{given.provider_key}"}}]',
            "--set",
            given.provider_key.replace("=", ""),
        ),
    ):
        status, output = _run(*map(str, command), "-c", str(path))
        assert status == expected, output
        assert given.found_in(output) == []


async def test_no_report_of_a_simulated_call_holds_its_key_or_secret() -> None:
    given = Secrets()
    async with echo() as repeats:
        url = f"ws://127.0.0.1:{repeats.port}/audiohook/support"
        key = {"OFFHOOK_CALL_KEY": given.api_key, "OFFHOOK_CALL_SECRET": given.client_secret}
        commands: list[tuple[int, dict[str, str], tuple[str, ...]]] = [
            (1, key, (url, "--json")),
            (1, {}, (url, "--key", given.api_key, "--secret", given.client_secret)),
            (2, {}, (url, "--key", given.api_key, "--secret", f"{given.provider_key}!")),
            (2, {}, (url, "--key", f"{given.api_key} ", "--secret", given.client_secret)),
        ]
        results = await asyncio.gather(*(run("call", *command, environment=env) for _, env, command in commands))
        assert sum(given.api_key.encode() in request for request in repeats.requests) == 2
    for (expected, _, _), (status, out, err) in zip(commands, results, strict=True):
        assert status == expected, (out, err)
        assert given.found_in(out + err) == []


def test_a_secret_is_found_in_every_shape() -> None:
    given = Secrets()
    for name, secret in given.named().items():
        leaks = [
            f"x{secret}y",
            json.dumps({"x": secret}),
            quote(secret),
            secret.encode().hex(),
            f"{secret[:PART]}...",
            f"...{secret[-PART:]}",
            *(base64.b64encode(f"{'u' * shift}{secret}:more".encode()).decode() for shift in range(6)),
        ]
        assert set(shapes(secret)) >= {"plain", "percent-encoded", "base64 0", "first", "last"}
        for leak in leaks:
            assert any(found.startswith(name) for found in given.found_in(leak)), leak
    assert given.found_in("call refused OH-AUTH-11 the signature does not match") == []
