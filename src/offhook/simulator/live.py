"""Shows a simulated call to a person: one line per event while it runs, tables when it is over."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from offhook.simulator.events import CallEvent, describe
from offhook.simulator.report import CallReport

_STYLES = {"agent": "cyan", "caller": "green", "error": "bold red", "call": "dim"}


class LivePrinter:
    """Prints events as they happen: call time, who, what."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: CallEvent) -> None:
        """Print one event."""
        who, what = describe(event)
        style = _STYLES[who]
        self._console.print(
            f"[dim]{event.at:7.2f}[/]  [{style}]{who:<6}[/]  {escape(_printable(what))}",
            highlight=False,
            soft_wrap=True,
        )


def print_report(console: Console, report: CallReport) -> None:
    """Print the figures of a call and its verdict."""
    console.print()
    console.print(_summary(report))
    if report.turns:
        console.print(_turns(report))
    if report.output_variables:
        variables = Table("output variable", "value", title="Returned", title_justify="left")
        for name, value in sorted(report.output_variables.items()):
            variables.add_row(escape(_printable(name)), escape(_printable(value)))
        console.print(variables)
    for error in report.protocol_errors:
        where = f" in {error.message}" if error.message else ""
        console.print(f"[bold red]protocol error[/] {error.rule} at {error.at:.2f} s{escape(_printable(where))}")
        console.print(f"  rule: {escape(error.text)}\n  seen: {escape(_printable(error.detail))}\n  {error.reference}")
    for note in report.notes:
        console.print(f"[yellow]note[/] {escape(_printable(note))}", soft_wrap=True)
    for failure in report.failures:
        console.print(f"[bold red]failed[/] {escape(_printable(failure))}", soft_wrap=True)
    if report.recording is not None:
        console.print(f"recording {escape(report.recording)}", soft_wrap=True)
    console.print("[bold green]ok[/]" if report.ok else "[bold red]the call failed[/]")


def _summary(report: CallReport) -> Table:
    latency, packets, playback = report.latency, report.packets, report.playback
    what = "Probe" if report.probe else "Call"
    table = Table("figure", "value", title=f"{what} {report.session_id}", title_justify="left")
    reason = f", {report.reason}" if report.reason else ""
    table.add_row("ended by", escape(f"{report.ended_by}{reason}" + (f" ({report.info})" if report.info else "")))
    table.add_row("duration", f"{report.duration:.1f} s")
    media = report.media
    chosen = "none" if media is None else f"{media.format} {media.rate} Hz, {', '.join(media.channels)}"
    table.add_row("media", escape(_printable(chosen)))
    table.add_row("open → opened", _ms(latency.open_ms))
    table.add_row("close → closed", _ms(latency.close_ms))
    if not report.probe:
        table.add_row("opened → agent heard", _ms(latency.first_audio_ms))
        table.add_row("slowest pong", _ms(latency.pong_max_ms))
        table.add_row("agent heard", f"{playback.heard_seconds:.1f} s")
        table.add_row("most un-played audio", _ms(playback.max_unplayed_ms))
        sizes = f", {_ms(packets.min_ms)} to {_ms(packets.max_ms)}" if packets.binaries else ""
        table.add_row(
            "audio messages",
            f"{packets.binaries}{sizes}, {packets.per_second:g} a second, at most {packets.busiest_second}",
        )
        table.add_row("text messages", str(packets.texts))
        table.add_row("gaps in the agent's audio", str(playback.underruns))
        table.add_row("barge-ins", str(playback.barge_ins))
    return table


def _turns(report: CallReport) -> Table:
    table = Table("at", "caller", "answer after", "stopped the agent after", title="Turns", title_justify="left")
    stops = {figures.at: figures for figures in report.barge_ins}
    for turn in report.turns:
        stop = stops.get(turn.at)
        text = escape(_printable(turn.text))
        table.add_row(f"{turn.at:.1f} s", text, _ms(turn.response_ms), "" if stop is None else _ms(stop.stop_ms))
    return table


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"  # noqa: RUF001 - a dash for "never"


def _printable(text: str) -> str:
    """Return text of the other side without what could drive a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
