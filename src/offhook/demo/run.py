"""Carries the call of the demo: Genesys simulator → gateway → Realtime emulator, over real sockets."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from offhook.bridge import CallEnded, RecordMoment, Turn, moments
from offhook.demo.scene import open_scene
from offhook.emulator.server import Emulator
from offhook.gateway import CallInfo, GatewayServer
from offhook.simulator.dialer import dial
from offhook.simulator.events import AgentSpeaking, BotTurn, CallEvent
from offhook.simulator.identity import CallIdentity
from offhook.simulator.live import LivePrinter, print_report
from offhook.simulator.report import CallReport
from offhook.simulator.simulated_call import SimulatedCall
from offhook.simulator.upgrade import target
from offhook.speech import Speech

MAX_SECONDS = 55.0


class GatewayView:
    """Shows what only the gateway knows: the words that were not heard, and tools."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_turn(self, info: CallInfo, turn: Turn) -> None:
        """Print an agent turn, with the part that the caller never heard struck out."""
        if turn.speaker == "agent":
            unheard = f" [strike dim]{escape(turn.unheard)}[/]" if turn.unheard else ""
            self._line("cyan", "agent", f"“{escape(turn.text)}{unheard}”")

    def on_moment(self, info: CallInfo, moment: RecordMoment) -> None:
        """Print a tool call."""
        if moment.name == moments.TOOL_STARTED:
            self._line("magenta", "tool", escape(str(moment.data["tool"])))

    def on_ended(self, info: CallInfo, ended: CallEnded) -> None:
        """Nothing: the simulator tells how the call ended."""

    def _line(self, style: str, who: str, what: str) -> None:
        self._console.print(f"         [{style}]{who:<6}[/]  {what}", highlight=False, soft_wrap=True)


async def run(console: Console, recording: Path, folder: Path | None = None) -> CallReport:
    """Carry the call and write its recording.

    Args:
        console: Where the conversation is shown as it happens, and the figures after it.
        recording: Path of the stereo WAV, caller left, agent right.
        folder: What is played (see `offhook.demo.scene`); None = the demo of the package.

    Raises:
        ConfigError: a file of the folder is missing or wrong.
    """
    speech = Speech()
    live = LivePrinter(console)

    def show(event: CallEvent) -> None:
        # The gateway's own view says better what the agent said.
        if not isinstance(event, AgentSpeaking | BotTurn):
            live(event)

    async with (
        open_scene(folder) as scene,
        Emulator(scenario=scene.agent, speech=speech) as emulator,
        GatewayServer(scene.served_by(emulator.url), observers=[GatewayView(console)]) as server,
    ):
        caller, url = scene.caller, f"ws://127.0.0.1:{server.port}{server.config.base_path}"
        console.print(
            f"[dim]Genesys simulator → {url}/{caller.connector_id or ''} → {emulator.url}[/]\n", soft_wrap=True
        )
        call = SimulatedCall(caller, speech, identity=CallIdentity.fresh(), max_seconds=MAX_SECONDS)
        to = target(url, connector_id=caller.connector_id, key=scene.key, secret=scene.secret)
        report = await dial(to, call, on_event=show)
    await asyncio.to_thread(recording.write_bytes, call.recording(asyncio.get_running_loop().time()))
    return report


def show_report(console: Console, report: CallReport, recording: Path) -> None:
    """Print the figures, and where the recording is."""
    print_report(console, report)
    console.print(f"\nRecording (caller left, agent right): {escape(str(recording))}", soft_wrap=True)
