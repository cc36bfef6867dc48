"""Nobody who is not entitled to a session gets one, or learns why; and whoever tries harms no call and no log."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from offhook.gateway import GatewayServer
from offhook.gateway.auth import REFUSAL_DELAY
from offhook.httpsig import REQUIRED_COMPONENTS
from tests.acceptance.genesys import GenesysCall
from tests.acceptance.realtime import RealtimeFake, realtime_fake
from tests.acceptance.waiting import PROMPT
from tests.acceptance.world import SUPPORT as AGENT
from tests.acceptance.world import World
from tests.security import attempts as table
from tests.security.attempts import ATTEMPTS, KEYS, OTHER_SECRET, PUBLIC_URL, SECRET, TARGET, Attempt, Scene
from tests.security.forging import HANDSHAKE, Request, fresh_nonce, parameters, sign, unsigned
from tests.security.logs import Log, logging_to
from tests.security.port import Answer, ask, open_message

AGENTS = {"support": AGENT, "billing": AGENT}
REFUSED_LINE = {"event", "level", "timestamp", "component", "code", "detail", "remote"}


WORD = re.compile(rb"[\w+/=.:*@-]{8,}")
KNOWN_WORDS = {
    *(name.encode() for name in REQUIRED_COMPONENTS),
    *(b"127.0.0.1", b"X-API-KEY", b"Signature-Input", b"Signature"),
    *(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"Connection:", b"Content-Length:", b"Upgrade:", b"websocket"),
}


@dataclass
class Stage:
    """Two gateways, one of them behind a proxy; both are called while attempts are made."""

    ai: RealtimeFake
    log: Log
    plain: GatewayServer
    proxied: GatewayServer

    def good(self, key: str = table.SUPPORT, secret: bytes = SECRET, target: str = TARGET) -> Request:
        return sign(unsigned(target, f"127.0.0.1:{self.plain.port}", key), secret)

    def port(self, attempt: Attempt) -> int:
        return (self.proxied if attempt.proxied else self.plain).port


@pytest.fixture
async def stage(tmp_path: object, world: World) -> AsyncIterator[Stage]:
    with logging_to() as log:
        async with (
            realtime_fake() as ai,
            world.gateway(ai.url, keys=KEYS, agents=AGENTS, default_agent="billing") as plain,
            world.gateway(ai.url, keys=KEYS, agents=AGENTS, public_url=PUBLIC_URL) as proxied,
        ):
            yield Stage(ai, log, plain, proxied)


async def _call(server: GatewayServer, request: Request) -> None:
    """Call with a request that is right."""
    url = f"ws://127.0.0.1:{server.port}{request.target}"
    own = {"host", *(name.lower() for name, _ in HANDSHAKE)}
    headers = {name: value for name, value in request.fields if name.lower() not in own}
    async with GenesysCall(url, identity=request.identity, headers=headers) as call:
        await call.open()
        await call.close()


async def _attempt(stage: Stage, attempt: Attempt, scene: Scene, number: int) -> tuple[Answer, bytes]:
    made = attempt.make(scene)
    if isinstance(made, bytes):
        return await ask(stage.port(attempt), made, number=number), made
    who = made.identity
    messages = [open_message(who)] if attempt.messages is None else attempt.messages(who)
    return await ask(stage.port(attempt), made.raw(), messages, identity=who, number=number), made.raw()


async def test_no_attempt_opens_a_session_or_is_told_why(stage: Stage) -> None:
    used = stage.good()
    await _call(stage.plain, used)
    scene = Scene(f"127.0.0.1:{stage.plain.port}", used)
    witness = unsigned("/audiohook/support", scene.authority, table.OPEN)
    headers = witness.identity.headers(table.OPEN)
    async with GenesysCall(f"{stage.plain.url}/support", identity=witness.identity, headers=headers) as call:
        await call.open()
        results = await asyncio.gather(
            *(_attempt(stage, attempt, scene, number) for number, attempt in enumerate(ATTEMPTS.values()))
        )
        assert await call.ping() < PROMPT
        await call.close()
    await _call(stage.plain, stage.good())
    await _call(stage.proxied, sign(unsigned(TARGET, "voice.example.com", table.SUPPORT), SECRET))

    answers = dict(zip(ATTEMPTS, results, strict=True))
    # What calls log is theirs: Genesys' IDs of them, for whoever is entitled to a call.
    ours = [line for line in stage.log.lines() if line["component"].startswith("offhook") and "call" not in line]
    lines = [line for line in ours if line["event"] != "gateway started"]
    text = "".join(json.dumps(line, ensure_ascii=False) for line in lines)
    wrong = {}
    for name, (answer, request) in answers.items():
        own = [line for line in lines if line.get("remote") == answer.remote]
        codes = "".join(f" {line['code']}" for line in own)
        if f"{answer.text}{codes}" not in ATTEMPTS[name].answer.split(" | "):
            wrong[name] = f"{answer.text}{codes} instead of {ATTEMPTS[name].answer}"
        _check_answer(name, answer)
        _check_lines(name, own)
        words = set(WORD.findall(request)) - KNOWN_WORDS
        leaked = [word for word in words if word.decode("latin-1") in text]
        assert not leaked, f"{name}: in the log: {leaked}"
        echoed = [word for word in words if answer.status != 101 and word in answer.head + answer.body]
        assert not echoed, f"{name}: in the answer: {echoed}"
    assert wrong == {}
    # The used request, the witness and the two good calls after all attempts: nothing else may cost money.
    assert stage.ai.upgrades <= 4
    assert stage.plain.calls == stage.proxied.calls == 0


def _check_answer(name: str, answer: Answer) -> None:
    assert "opened" not in answer.types, name
    assert "audio" not in answer.types, name
    assert answer.rest == b"", f"{name}: something came behind the answer"
    for word in (b"python", b"aiohttp", b"traceback", b"oh-auth"):
        assert word not in (answer.head + answer.body).lower(), name
    if answer.status == 401:
        assert answer.body == b"unauthorized\n", name
        assert answer.seconds >= REFUSAL_DELAY - 0.01, name
    elif answer.status == 101:
        assert answer.types == ["disconnect", "closed"], f"{name}: {answer.types}"
    elif answer.status is not None:
        assert 400 <= answer.status < 500, name


def _check_lines(name: str, lines: list[dict[str, object]]) -> None:
    """The log has one line of a refused request, or none."""
    assert len(lines) <= 1, name
    for line in lines:
        assert set(line) == REFUSED_LINE, name
        assert (line["event"], line["level"]) == ("call refused", "warning"), name


async def test_a_nonce_of_one_key_says_nothing_about_another(stage: Stage) -> None:
    """Else whoever has one key could use up the nonces of all others."""
    nonce = fresh_nonce()
    for key, secret, agent in ((table.SUPPORT, SECRET, "support"), (table.BILLING, OTHER_SECRET, "billing")):
        request = unsigned(f"/audiohook/{agent}", f"127.0.0.1:{stage.plain.port}", key)
        await _call(stage.plain, sign(request, secret, given=parameters(key, nonce=nonce)))


async def test_dots_behind_an_agent_lead_nowhere(stage: Stage) -> None:
    """A Connector ID and what follows are names, no path: this is the agent support, with two path parts."""
    await _call(stage.plain, stage.good(target="/audiohook/support/../billing"))
    (line,) = (line for line in stage.log.lines() if line["event"] == "call accepted")
    assert line["agent"] == "support"
