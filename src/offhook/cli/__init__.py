"""The `offhook` command. Each subcommand lives in its own module, which is imported only when it is asked for."""

import importlib

import click

from offhook._version import __version__

COMMANDS = {
    "bench": "Put a gateway under load and under faults.",
    "call": "Play Genesys: call any AudioHook server.",
    "config": "Check, show and explain the configuration.",
    "demo": "Carry a complete simulated call on this machine.",
    "emulate": "Play the OpenAI Realtime API for any client.",
    "serve": "Take calls from Genesys Cloud.",
}
"""Subcommand → its one-line help. Module and command object have the name of the subcommand."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it runs, and not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"offhook.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a fault of ours, not of who calls
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="offhook")
def main() -> None:
    """Gateway between Genesys Cloud Audio Connector and the OpenAI Realtime API.

    Exit status: 0 fine; 1 it ran and found a failure; 2 wrong usage or configuration.
    """
