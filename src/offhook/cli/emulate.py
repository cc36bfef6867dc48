"""`offhook emulate`: play the OpenAI Realtime API for any client."""

from pathlib import Path

import click


@click.command("emulate", short_help="Play the OpenAI Realtime API for any client.")
@click.option(
    "--listen",
    default="127.0.0.1:9090",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; port 0 picks one.",
)
@click.option(
    "--scenario",
    "scenario_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What the agent says and which faults it shows (YAML); without it the agent improvises.",
)
def emulate(listen: str, scenario_file: Path | None) -> None:
    """Play the OpenAI Realtime API for any client, with real speech and turn detection, until interrupted.

    Clients connect to ws://HOST:PORT/v1/realtime with any key and any model.
    """
    import asyncio
    import contextlib

    from offhook.emulator.scenario import ScenarioError, load_scenario
    from offhook.emulator.server import Emulator

    try:
        scenario = load_scenario(scenario_file) if scenario_file is not None else None
        emulator = Emulator(listen, scenario)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    except ValueError as error:
        raise click.UsageError(f"--listen: {error}") from None

    async def serve() -> None:
        async with emulator:
            click.echo(f"Emulating the OpenAI Realtime API at {emulator.url}; stop with Ctrl-C.", err=True)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(serve())
        except OSError as error:
            raise click.ClickException(f"cannot listen on {listen}: {error.strerror or error}") from None
