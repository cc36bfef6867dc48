"""`offhook bench`: put a gateway under load and under faults."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from offhook.bench.chaos import ChaosSettings
    from offhook.bench.faults import Fault
    from offhook.bench.report import ChaosReport


@click.group()
def bench() -> None:
    """Put a gateway under load and under faults, on this machine, without keys and without network."""


def _faults(ctx: click.Context, param: click.Parameter, value: str) -> "tuple[Fault, ...]":
    from offhook.bench.faults import UnknownFault, chosen

    try:
        return chosen(value)
    except UnknownFault as error:
        raise click.BadParameter(str(error)) from None


def _list(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    from offhook.bench.faults import FAULTS

    if value:
        for fault in FAULTS.values():
            click.echo(f"{fault.name:<22}{fault.text}")
        ctx.exit()


@bench.command()
@click.option("--calls", type=click.IntRange(1, 500), default=50, show_default=True, help="Calls at a time.")
@click.option(
    "--seconds", type=click.FloatRange(1, 86_400), default=600.0, show_default=True, help="No new calls after that."
)
@click.option(
    "--call-seconds",
    type=click.FloatRange(5, 3600),
    default=45.0,
    show_default=True,
    help="Length of a call that nothing ends.",
)
@click.option(
    "--faults", default="all", show_default=True, callback=_faults, metavar="NAME,…", help="Faults or classes."
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 3),
    default=1.0,
    show_default=True,
    help="Faults of each class that a call gets on average.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides which faults come to which call.")
@click.option("--in-process", is_flag=True, help="Run the gateway in this process, not as `offhook serve`.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Keep the gateway's log.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document and nothing else.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the faults.")
def chaos(
    calls: int,
    seconds: float,
    call_seconds: float,
    faults: "tuple[Fault, ...]",
    rate: float,
    seed: int,
    in_process: bool,
    log: Path | None,
    as_json: bool,
) -> None:
    """Let everything around a gateway fail while callers talk to it, and measure what they notice.

    Simulated callers talk to the gateway, which talks to two emulated providers, all of it through networks with
    faults. Exit status: 0 fine, 1 a call was lost, something leaked or was wrong, 2 wrong usage.
    """
    from rich.console import Console

    from offhook.bench.chaos import ChaosSettings
    from offhook.bench.report import print_report
    from offhook.bench.subject import SubjectFailed

    settings = ChaosSettings(
        calls=calls,
        seconds=seconds,
        call_seconds=call_seconds,
        seed=seed,
        faults=faults,
        rate=rate,
        in_process=in_process,
    )
    try:
        report = _run(settings, log, lambda text: click.echo(text, err=True))
    except SubjectFailed as failed:
        raise click.ClickException(str(failed)) from None
    if as_json:
        click.echo(report.to_json())
    else:
        print_report(Console(), report)
    raise SystemExit(0 if report.ok else 1)


def _run(settings: "ChaosSettings", log: Path | None, tell: "Callable[[str], None]") -> "ChaosReport":
    import asyncio
    import shutil
    import tempfile

    from offhook.bench.chaos import run_chaos
    from offhook.cli.launch import loop_factory

    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as folder:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                return runner.run(run_chaos(settings, Path(folder), tell))
        finally:
            written = Path(folder) / "gateway.log"
            if log is not None and written.exists():
                shutil.copyfile(written, log)
