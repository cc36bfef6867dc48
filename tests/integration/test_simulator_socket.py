"""The simulator on real sockets: calls to small servers, good ones and bad ones, and the command."""

import asyncio
import base64
import json
import signal
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientWebSocketResponse, web
from click.testing import CliRunner, Result

from offhook.audio.wav import read_wav, write_wav
from offhook.audiohook import ClientResumed
from offhook.cli.call import call as command
from offhook.httpsig import Key, KeyRing, NonceMemory, SignedRequest, Verified, Verifier
from offhook.simulator import CallIdentity, CallReport, Scenario, SimulatedCall, probe_scenario
from offhook.simulator.dialer import DialFailed, dial, dial_until_signal
from offhook.simulator.events import CallEvent, CallOpened
from offhook.simulator.script import HangUp, HoldLine, Interrupt, PressDigits, Say, Utterance, Wait, WaitForAgent
from offhook.simulator.upgrade import target
from offhook.speech import Speech
from tests.fakes.audiohook_server import FakeAgent, agent_clip, serve

SECRET_BYTES = b"a secret of the customer"
SECRET = base64.b64encode(SECRET_BYTES).decode()
SHORT = "All right."


def simulated(scenario: Scenario, *, probe: bool = False, max_seconds: float = 20.0) -> SimulatedCall:
    identity = CallIdentity.fresh(probe=probe)
    return SimulatedCall(scenario, Speech(synthesiser=None), identity=identity, probe=probe, max_seconds=max_seconds)


async def make_call(url: str, scenario: Scenario, *, max_seconds: float = 20.0) -> CallReport:
    return await dial(target(url), simulated(scenario, max_seconds=max_seconds))


# --- calls that go well ---------------------------------------------------------------------------------------------


async def test_a_conversation() -> None:
    """Prompt, interruption, keypad, and an end by the agent, at the pace of a real call."""
    scenario = Scenario(
        steps=(
            WaitForAgent(silence_ms=400),
            PressDigits("1"),
            Interrupt(400, Utterance("Stop, please.")),
            WaitForAgent(silence_ms=400),
            PressDigits("#"),
            WaitForAgent(),
        )
    )
    seen: list[CallEvent] = []
    async with serve() as server:
        server.make_agent = lambda: FakeAgent(
            greeting=SHORT, answers=("We are open Monday to Friday.", SHORT, SHORT), outputs={"INTENT": "order"}
        )
        to = target(server.url, connector_id="support?v=2", key="key", secret=SECRET)
        call = simulated(scenario)
        report = await dial(to, call, on_event=seen.append)
    assert report.ok, (report.failures, report.protocol_errors)
    assert (report.ended_by, report.reason, report.output_variables) == ("agent", "completed", {"INTENT": "order"})
    (stop,) = report.barge_ins
    assert stop.stop_ms is not None
    assert stop.stop_ms < 600
    assert stop.played_after_ms == 0
    assert report.playback.underruns == 0
    assert report.latency.pong_max_ms is not None
    assert report.latency.pong_max_ms < 500
    assert tuple(seen) == report.timeline
    (request,) = server.requests
    verdict = Verifier().verify(
        SignedRequest(
            request_target=request.raw_path,
            authority=request.headers["Host"],
            headers={name.lower(): value for name, value in request.headers.items()},
        ),
        keys=KeyRing([Key("key", (SECRET_BYTES,))]),
        nonces=NonceMemory(ttl=13, capacity=10),
        now=int(request.headers["Signature-Input"].split("created=")[1].split(";")[0]),
    )
    assert isinstance(verdict, Verified)
    assert request.raw_path == "/audiohook/support?v=2"
    assert report.url == f"{server.url}/support?v=2"
    assert request.headers["Audiohook-Session-Id"] == call.identity.session_id == report.session_id
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_what_is_said_arrives_unchanged() -> None:
    clip = bytes(range(1, 251)) * 10
    async with serve() as server:
        server.make_agent = lambda: FakeAgent(greeting="", answers=())
        scenario = Scenario(steps=(Wait(0.3), Say(Utterance("x", clip)), HoldLine(0.3), Wait(0.3), HangUp()))
        report = await make_call(server.url, scenario)
    assert report.ok, report.failures
    (agent,) = server.agents
    assert clip in agent.heard
    (resumed,) = [event for event in agent.log if isinstance(event, ClientResumed)]
    assert resumed.discarded == pytest.approx(0.3, abs=0.05)
    assert agent.session.position == len(agent.heard) + round(resumed.discarded * 8000)


async def test_a_probe() -> None:
    async with serve() as server:
        report = await dial(target(server.url), simulated(probe_scenario(), probe=True))
    assert report.ok, report.failures
    assert (report.probe, report.media, report.playback.heard_seconds) == (True, None, 0)


async def test_many_calls_at_once() -> None:
    async with serve() as server:
        server.make_agent = lambda: FakeAgent(greeting=SHORT)
        scenario = Scenario(steps=(WaitForAgent(silence_ms=400), HangUp()))
        reports = await asyncio.gather(*(make_call(server.url, scenario) for _ in range(20)))
    assert all(report.ok for report in reports), [report.failures for report in reports]
    assert len({report.session_id for report in reports}) == 20
    heard = len(agent_clip(SHORT)) / 8000
    assert {round(report.playback.heard_seconds, 2) for report in reports} == {round(heard, 2)}


async def test_the_caller_is_told_to_stop() -> None:
    stop = asyncio.Event()

    def opened(event: CallEvent) -> None:
        stop.set()

    async with serve() as server:
        call = simulated(Scenario(steps=(Wait(60),)))
        report = await asyncio.wait_for(dial(target(server.url), call, on_event=opened, stop=stop), 5)
    assert report.failures == ("the simulator was told to stop",)


def test_an_interrupt_lets_the_caller_hang_up(url: str) -> None:
    def opened(event: CallEvent) -> None:
        if isinstance(event, CallOpened):
            signal.raise_signal(signal.SIGINT)

    report = dial_until_signal(target(url), simulated(Scenario(steps=(Wait(60),))), on_event=opened)
    assert report.failures == ("the simulator was told to stop",)


def test_a_call_may_be_made_in_a_thread(url: str) -> None:
    reports: list[CallReport] = []

    def work() -> None:
        call = simulated(probe_scenario(), probe=True)
        reports.append(dial_until_signal(target(url), call, on_event=lambda event: None))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert reports[0].ok


# --- servers that do wrong ------------------------------------------------------------------------------------------

Take = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(take: Take, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve one handler under every path."""
    app = web.Application()
    app.router.add_get("/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert runner.addresses
    try:
        yield f"{'ws' if tls is None else 'wss'}://127.0.0.1:{runner.addresses[0][1]}/x"
    finally:
        await runner.cleanup()


async def fails(url: str, *, insecure: bool = False, context: ssl.SSLContext | None = None) -> str:
    with pytest.raises(DialFailed) as raised:
        await dial(target(url), simulated(probe_scenario(), probe=True), insecure=insecure, ssl_context=context)
    return str(raised.value)


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (401, {}, "OH-AUTH-02", "HTTP 401: the API key or the signature was refused (OH-AUTH-02)"),
        (404, {}, "<html>", "HTTP 404: nothing answers at this path: check base URI and Connector ID"),
        (418, {}, "\x1b[31m tea\n", "HTTP 418: the server refused the upgrade ([31m tea)"),
        (200, {}, "", "HTTP 200: an ordinary page answers here, no WebSocket"),
        (503, {}, "", "HTTP 503: the server takes no calls now"),
        (302, {"Location": "/y"}, "", "the server answers with a redirect to /y: Genesys follows none"),
    ],
)
async def test_refused_upgrades(status: int, headers: dict[str, str], body: str, reason: str) -> None:
    async def take(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, text=body)

    async with answering(take) as url:
        assert await fails(url) == reason


async def test_servers_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(_hangs) as url:
        pass
    assert (await fails(url)).endswith(" cannot be reached: Connection refused")
    assert await fails("wss://no-such-host.invalid/") == "the name no-such-host.invalid is not known"
    monkeypatch.setattr("offhook.simulator.dialer.CONNECT_SECONDS", 0.2)
    async with answering(_hangs) as url:
        assert (await fails(url)).endswith("did not answer within 0.2 s")


async def _hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def test_servers_that_speak_something_else() -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        await reader.read()
        writer.close()

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    for serving, reason in ((take, "the upgrade was answered wrongly: "), (drop, "Server disconnected")):
        server = await asyncio.start_server(serving, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            assert reason in await fails(f"ws://127.0.0.1:{port}/")


async def test_certificates() -> None:
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    client_side = ssl.create_default_context()
    authority.configure_trust(client_side)

    async def take(request: web.Request) -> web.StreamResponse:
        return web.Response(status=403)

    async with answering(take, tls=server_side) as url:
        assert "is not trusted: " in await fails(url)
        assert (await fails(url, insecure=True)).startswith("HTTP 403")
        assert (await fails(url, context=client_side)).startswith("HTTP 403")
    async with answering(take) as url:
        assert (await fails(url.replace("ws:", "wss:"))).startswith("TLS with 127.0.0.1:")


async def _early(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.receive()
    await socket.close(code=1011, message=b"oops")
    return socket


async def _garbage(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.receive()
    assert request.transport is not None
    request.transport.write(b"\xff\xff\xff\xff")
    await asyncio.sleep(1)
    return socket


async def _gone(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    assert request.transport is not None
    request.transport.abort()
    return socket


@pytest.mark.parametrize(
    ("take", "reason"),
    [
        (_early, "the server closed the socket with code 1011 (oops)"),
        (_garbage, "the server broke the WebSocket protocol: "),
        (_gone, "the connection was lost"),
    ],
)
async def test_sockets_that_break(take: Take, reason: str) -> None:
    async with answering(take) as url:
        report = await make_call(url, Scenario(steps=(Wait(5), HangUp())))
    assert report.ended_by == "network"
    assert report.failures[0].startswith(reason)
    assert report.protocol_errors[0].rule == "OH-HOOK-46"


async def _silent(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for _ in socket:
        pass
    return socket


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.audiohook.client_link.OPENED_TIMEOUT", 0.2)
    monkeypatch.setattr("offhook.audiohook.client_link.CLOSED_TIMEOUT", 0.2)
    async with answering(_silent) as url:
        report = await make_call(url, Scenario(steps=(Wait(5), HangUp())))
    assert [error.rule for error in report.protocol_errors] == ["OH-HOOK-43"]
    assert 0.4 <= report.duration < 4


async def test_a_server_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send_bytes(self: ClientWebSocketResponse, data: bytes) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(ClientWebSocketResponse, "send_bytes", send_bytes)
    monkeypatch.setattr("offhook.simulator.dialer.SEND_SECONDS", 0.1)
    async with serve() as server:
        report = await make_call(server.url, Scenario(steps=(Wait(5), HangUp())))
    assert report.failures[0] == "the server does not read what is sent to it"
    assert report.duration < 2


async def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    call = simulated(Scenario(steps=(Wait(20), HangUp())))

    def receive_text(data: str, now: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(call, "receive_text", receive_text)
    async with serve() as server:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(dial(target(server.url), call), 5)


async def test_a_call_over_its_limit_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.simulator.dialer.GRACE_SECONDS", -9.5)
    async with serve() as server:
        report = await make_call(server.url, Scenario(steps=(Wait(20), HangUp())), max_seconds=10.0)
    assert report.failures[0] == "the call did not end in time"


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server in a thread of its own, for a command that has its own loop."""
    started, box = threading.Event(), []

    async def run() -> None:
        async with serve() as server:
            server.make_agent = lambda: FakeAgent(greeting=SHORT, answers=(SHORT,), outputs={"INTENT": "order"})
            done = asyncio.Event()
            box.append((server.url, asyncio.get_running_loop(), done))
            started.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert started.wait(10)
    address, loop, done = box[0]
    yield address
    loop.call_soon_threadsafe(done.set)
    thread.join(10)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_the_command_shows_a_call(url: str, tmp_path: Path) -> None:
    recording = tmp_path / "call.wav"
    result = run(url, "--dtmf", "1", "--record", str(recording), "--connector-id", "support", "--input", "A=b=c")
    assert result.exit_code == 0, result.output
    assert "presses 1" in result.stdout
    assert "INTENT" in result.stdout
    assert len(read_wav(recording.read_bytes())) > 8000


def test_the_command_prints_json(url: str, tmp_path: Path) -> None:
    wav = tmp_path / "digits.wav"
    wav.write_bytes(write_wav(Speech(synthesiser=None).clip("Hello", "caller")))
    result = run(url, "--wav", str(wav), "--json", "--key", "key", "--secret", SECRET)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["ok"] is True
    assert document["url"] == url
    assert document["turns"][0]["text"] == "(digits.wav)"
    assert "“All right.”" in result.stderr


def test_the_command_probes(url: str) -> None:
    result = run(url, "--probe", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["probe"] is True


def test_the_command_follows_a_scenario(url: str, tmp_path: Path) -> None:
    scenario = tmp_path / "call.yaml"
    scenario.write_text("steps: [wait_for_agent: , dtmf: '1']\nexpect: {ended_by: caller}\n")
    result = run(url, "--scenario", str(scenario), "--record", str(tmp_path / "call.wav"))
    assert result.exit_code == 1
    assert "failed expected the caller to end the call, it was the agent" in result.stdout


def test_the_command_reports_a_failure() -> None:
    result = run("ws://127.0.0.1:9/x", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    assert "cannot be reached" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Missing argument 'URL'"),
        (["http://x"], "begins with wss:// or ws://"),
        (["ws://x", "--secret", "eA=="], "needs an API key"),
        (["ws://x", "--key", "k", "--secret", "?"], "not base64"),
        (["ws://x", "--input", "A"], "'A' is not NAME=VALUE"),
        (["ws://x", "--input", "=A"], "'=A' is not NAME=VALUE"),
        (["ws://x", "--dtmf", "1x"], "x: a telephone has the keys"),
        (["ws://x", "--probe", "--dtmf", "1"], "a probe says nothing: leave out --dtmf"),
        (["ws://x", "--scenario", "s.yaml", "--dtmf", "1"], "leave out --wav and --dtmf"),
        (["ws://x", "--scenario", "missing.yaml"], "missing.yaml: OH-CONF-01 the file cannot be read"),
        (["ws://x", "--wav", "missing.wav"], "missing.wav: No such file"),
        (["ws://x", "--wav", __file__], "not a WAV file"),
        (["ws://x", "--record", "no/such/dir/x.wav"], "is no directory"),
        (["ws://x", "--organization", "x"], "'x' is no UUID"),
        (["ws://x", "--max-seconds", "0"], "--max-seconds"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_recording_that_cannot_be_written(url: str, tmp_path: Path) -> None:
    result = run(url, "--probe", "--record", str(tmp_path / ("x" * 300)))
    assert result.exit_code == 1
    assert "the recording could not be written" in result.stdout


def test_an_organization_of_its_own(url: str) -> None:
    result = run(url, "--probe", "--organization", "D7934305-0972-4844-938e-9060eef73d05")
    assert result.exit_code == 0
