"""Write the pages of docs/reference that come from code, or check that they are current.

Usage: python scripts/generate_reference.py [--check] [--folder FOLDER]
"""

import argparse
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import configuration_page

from offhook import audiohook, errors
from offhook.audio import BYTES_PER_MS
from offhook.audiohook import pacing, server_link
from offhook.audiohook.codec import MAX_BINARY_BYTES, MAX_TEXT_BYTES
from offhook.bridge import moments, playout
from offhook.bridge import state as call_state
from offhook.cli import main as cli
from offhook.gateway import auth, listener, server
from offhook.realtime import state as realtime_state

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Written by scripts/generate_reference.py; do not edit. -->\n\n"

GROUPS = {
    "ADM": "The admin port",
    "AUTH": "The upgrade request was refused",
    "CALL": "A call could not be taken, or was ended",
    "CONF": "The configuration, and scenarios",
    "CONN": "The connection to the Realtime API",
    "GATE": "The gateway itself",
    "GEN": "The Genesys Platform API, for data actions",
    "HOOK": "The AudioHook protocol",
    "LIMIT": "Limits of the gateway",
    "MCP": "MCP servers",
    "RT": "The Realtime protocol",
    "TOOL": "Tools",
}


def errors_page() -> str:
    """Return every user-visible error code: what happened, why, what to do."""
    lines = [
        "# Error codes\n",
        "A code never changes its meaning. Codes are in the log, in the `info` of `disconnect`, in output variables "
        "(`OFFHOOK_REASON`) and in what commands print.\n",
    ]
    for group, entries in groupby(errors.catalogue().values(), key=lambda entry: entry.code.split("-")[1]):
        lines.append(f"## {GROUPS[group]} (OH-{group})\n")
        lines += [
            f"### {entry.code}\n\n**{entry.title}**\n\n{entry.why}\n\n*What to do:* {entry.fix}\n" for entry in entries
        ]
    return "\n".join(lines)


def cli_page() -> str:
    """Return every command with its options, as `--help` shows them."""
    lines = ["# Commands\n", "Every command explains itself with `--help`; `-h` is short for it.\n"]

    def add(command: click.Command, names: tuple[str, ...], parent: click.Context | None) -> None:
        context = click.Context(
            command,
            parent=parent,
            info_name=names[-1],
            terminal_width=100,
            max_content_width=100,
            **command.context_settings,
        )
        lines.append(f"## {' '.join(names)}\n\n```text\n{command.get_help(context)}\n```\n")
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None:
                    add(child, (*names, name), context)

    add(cli, ("offhook",), None)
    return "\n".join(lines)


def states_page() -> str:
    """Return the state machines: the explanation that stands in the code, and the tables that the code runs on."""
    sections = [
        "# States",
        "What is not in a table does not happen. The texts and the tables are those of the code.",
        "## A call",
        _explanation(call_state),
        _table(("from", "to"), _grouped(call_state.edges())),
        "## An AudioHook session",
        _explanation(audiohook.state),
        "### Server role: the gateway",
        _moves(audiohook.edges("server")),
        "### Client role: Genesys, and `offhook call`",
        _moves(audiohook.edges("client")),
        "## A Realtime session",
        _explanation(realtime_state),
        "### The session",
        _steps(realtime_state.SESSION_TABLE),
        "### The floor: which response is running",
        _steps(realtime_state.FLOOR_TABLE),
        "### The request: what became of our `response.create`",
        _steps(realtime_state.REQUEST_TABLE),
    ]
    return "\n\n".join(sections)


def _explanation(module: Any) -> str:
    text = re.sub(r" \((?:audiohook\.md|openai-realtime\.md|§|trap)[^)]*\)", "", inspect.cleandoc(module.__doc__))
    return f"```text\n{text.replace('::', ':').replace('``', '`')}\n```"


def _grouped(edges: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    return [(start, *(end for _, end in group)) for start, group in groupby(edges, key=lambda edge: edge[0])]


def _moves(edges: Iterable[tuple[str, str, str]]) -> str:
    """Return a table of `from, on, to` with one row for all that leads from one state to another."""
    rows: dict[tuple[str, str], list[str]] = {}
    for start, on, end in edges:
        rows.setdefault((start, end), []).append(on)
    return _table(("from", "to", "on"), [(start, end, *on) for (start, end), on in rows.items()])


def _steps(table: Mapping[Any, Enum]) -> str:
    """Return a table of `(state, input) → state`."""
    return _table(("from", "on", "to"), [(state.name, on.value, to.name) for (state, on), to in table.items()])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows as a table; what a row has beyond the head goes into its last cell."""
    last = len(head) - 1
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [*(f"`{cell}`" for cell in row[:last]), ", ".join(f"`{cell}`" for cell in row[last:])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def wire_page() -> str:
    """Return what holds on the wire whatever happens."""
    second = 1000 * BYTES_PER_MS
    return f"""\
# On the wire

What Genesys, a load balancer and a flow can rely on.

## Towards Genesys

| fact | bound |
|---|---|
| `opened` after `open`, even if the AI is slow | 1 s |
| `pong` after `ping` | 100 ms |
| `closed` after `close` | 1 s |
| text messages | {pacing.TEXT_RATE:g} a second on average, burst {pacing.TEXT_BURST}; {pacing.TEXT_RESERVE} of them \
are kept for what the protocol needs |
| one text message | at most {MAX_TEXT_BYTES:,} bytes |
| binary messages | {pacing.BINARY_RATE:g} a second on average, burst {pacing.BINARY_BURST} |
| one binary message | {playout.PACKET / second * 1000:g} to {playout.REPORTED.lead / second * 1000:g} ms of audio \
(promised: at most 1000 ms), at most {MAX_BINARY_BYTES:,} bytes |
| un-played audio ahead of the caller | 1 s; {playout.REPORTED.lead / second:g} s as reckoned |
| `barge_in` after `speech_started` | 50 ms, and nothing of the interrupted answer follows it |
| after an `error` 429 | audio and `bot_turn_response` wait for `retryAfter`, \
{pacing.DEFAULT_RETRY_AFTER:g} s without one |

The socket is Genesys' to close. offhook sends `disconnect` when no `open` comes within {server_link.OPEN_TIMEOUT:g} s
of the upgrade. It drops the socket when Genesys has not closed it {server_link.CLOSE_TIMEOUT:g} s after our
`disconnect` or `closed`, and when Genesys reads nothing any more ([OH-GATE-02](errors.md#oh-gate-02)). A call in which
nothing comes from Genesys for `limits.idle_timeout` is ended ([OH-HOOK-15](errors.md#oh-hook-15)).

Audio is PCMU 8 kHz both ways. Of what Genesys offers, PCMU with the external channel alone is taken first, then PCMU
with more channels, then L16. Of several channels only the external one, the caller, is heard.

## Output variables

The `disconnect` with which offhook ends a call carries these, besides the agent's own outputs. All values are text.
When the caller hangs up there is no `disconnect`, so the flow gets none.

| name | value |
|---|---|
| `OFFHOOK_CALL_ID` | our ID of the call, as in the log |
| `OFFHOOK_OUTCOME` | `completed`, `escalated`, `failed` or `limit` |
| `OFFHOOK_REASON` | the agent's reason in its own words, or what ended the call, like `agent_ended`, `drained` or an \
[error code](errors.md) |
| `OFFHOOK_SUMMARY` | what caller and agent said last |
| `OFFHOOK_DURATION_S` | seconds since `opened`, like `42.5` |
| `OFFHOOK_COST_USD` | empty in this version |
| `OFFHOOK_TARGET` | whom the agent wants the caller connected with; only after `escalate` with a target |

The `reason` of `disconnect` is `completed` once `opened` was sent, whatever the outcome, so that the flow takes its
Success path. It is `error` for a call that was refused ([OH-CALL-01](errors.md#oh-call-01) to 05, `OH-LIMIT`, and
[OH-GATE-10](errors.md#oh-gate-10) while draining), for a broken rule of the protocol (`OH-HOOK`) and for a fault of
offhook ([OH-GATE-01](errors.md#oh-gate-01)). It is `unauthorized` for [OH-HOOK-10](errors.md#oh-hook-10) only.

## The call port

| request | answer |
|---|---|
| `GET {{base_path}}[/connector-id…][?query]` with an upgrade | 101; 401 after {auth.REFUSAL_DELAY:g} s; 503 with \
`limits.max_sockets` connections |
| the same beyond a limit of calls | 101, and `disconnect` with reason `error` in answer to `open` (`OH-LIMIT`) |
| the same while draining | 101, and the same `disconnect` ([OH-GATE-10](errors.md#oh-gate-10)); 503 with \
{server.MAX_TURNED_AWAY} of these, and once the calls are cut |
| the same without an upgrade | 426 |
| `GET {listener.HEALTH_PATH}` | 200 while the process lives |
| `GET {listener.READINESS_PATH}` | 200 when new calls are taken; 503 while draining, with `limits.max_calls` calls, \
or overloaded |
| anything else | 404 |

No, one or two slashes before the Connector ID all reach the agent. The Connector ID is percent-decoded and names an
agent; upper and lower case count. The bare base path reaches `default_agent`.

## Moments of a call

What an observer of a call gets as `RecordMoment.name` (see [Run from Python](../how-to/run-from-python.md)):

{_moments()}
"""


def _moments() -> str:
    names = sorted(value for name, value in vars(moments).items() if name.isupper())
    return textwrap.fill(", ".join(f"`{name}`" for name in names), width=118) + "."


PAGES = {
    "errors.md": errors_page,
    "cli.md": cli_page,
    "states.md": states_page,
    "wire.md": wire_page,
    "configuration.md": configuration_page.page,
}


def main() -> int:
    """Write or check all pages; status 1 when a checked page is not current."""
    parser = argparse.ArgumentParser(description="Write the pages of docs/reference that come from code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is not current")
    parser.add_argument("--folder", type=Path, default=REFERENCE, help="where the pages are")
    arguments = parser.parse_args()
    stale = []
    for name, page in PAGES.items():
        text = NOTE + page().rstrip() + "\n"
        path = arguments.folder / name
        if arguments.check:
            if not path.exists() or path.read_text("utf-8") != text:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    if stale:
        print(f"not current: {', '.join(stale)}; run python scripts/generate_reference.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
