"""`offhook demo`: a complete call on this machine."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("recordings/demo.wav"),
    show_default=True,
    metavar="FILE.wav",
    help="Where the stereo recording goes.",
)
def demo(folder: Path | None, record: Path) -> None:
    """Carry a complete simulated call through the real gateway: no key, no account, no network.

    FOLDER holds a gateway of your own (offhook.yaml), what the emulated model says (agent.yaml), what the caller does
    and expects (caller.yaml) and, if tools need it, a backend.py; see examples/.

    Exit status: 0 when the call went as it should, 1 when not, 2 when a file is wrong.
    """
    import asyncio

    from rich.console import Console

    from offhook.config import ConfigError
    from offhook.demo.run import run, show_report
    from offhook.simulator.dialer import DialFailed
    from offhook.telemetry.logging import configure

    console = Console()
    configure(style="console", level="error")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run(console, record, folder))
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise SystemExit(2) from None
    except (DialFailed, OSError) as error:
        raise click.ClickException(str(error)) from None
    show_report(console, report, record)
    raise SystemExit(0 if report.ok else 1)
