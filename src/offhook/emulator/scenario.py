"""Scenario files: what the emulated agent says and does, and which faults it shows.

A scenario is data; `offhook.emulator.script` decides which of its turns answers what.
"""

import io
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Transcript = Literal["early", "late", "never", "failed"]

Speed = Annotated[float, Meta(ge=1, le=10)]
Milliseconds = Annotated[int, Meta(ge=0, le=600_000)]
Seconds = Annotated[float, Meta(ge=0)]


class ScenarioError(ValueError):
    """The scenario cannot be used; the text says where (file:line:column) and why."""


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function call; `arguments` as text are sent as they stand, so they may be broken JSON."""

    name: str
    arguments: dict[str, Any] | str = {}

    def arguments_text(self) -> str:
        """Return the arguments as the wire carries them."""
        if isinstance(self.arguments, str):
            return self.arguments
        return msgspec.json.encode(self.arguments).decode()


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Restricts a turn to a text message or to response instructions that contain a text, in any case."""

    text: str | None = None
    instructions: str | None = None


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a response fails; nothing but its `response.done` tells (openai-realtime.md §6, trap 25)."""

    code: str = "inference_rate_limit_exceeded"
    message: str = "Rate limit reached. Please try again later."


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One response: what the caller had said before it, what the agent says, what it calls, how it ends."""

    caller: str | None = None
    """What the caller's audio turn is transcribed as."""
    when: When | None = None
    say: str | list[str] | None = None
    """One message item, or several."""
    preamble: str | None = None
    """Said before the call, in the same response."""
    call: Call | list[Call] | None = None
    """One function call, or several in parallel."""
    fail: Failure | None = None
    """The response fails: at once, or half way through what it says."""
    incomplete: Literal["max_output_tokens", "content_filter"] | None = None
    """The response stops half way."""
    no_audio: bool = False
    """The response completes without any audio; with `say` there is a transcript."""
    missing_tail_ms: Milliseconds = 0
    """The last audio never comes although the transcript is whole (trap 9)."""
    first_audio_ms: Milliseconds | None = None
    speed: Speed | None = None
    one_delta: bool | None = None
    """All audio in a single delta (true) or never so (false); left to chance otherwise."""
    transcript: Transcript | None = None
    """When the caller's transcript comes."""
    without_created: bool = False
    """`response.created` is left out, as some servers do."""

    def messages(self) -> list[str]:
        """Return what is said, one text for each message item, in order."""
        said = [self.say] if isinstance(self.say, str) else list(self.say or ())
        return ([self.preamble] if self.preamble is not None else []) + said

    def calls(self) -> list[Call]:
        """Return the function calls, in order."""
        return [self.call] if isinstance(self.call, Call) else list(self.call or ())


class Handshake(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong while connecting (§1.7); the default is nothing."""

    status: Literal[401, 403, 404, 429, 500, 503] | None = None
    """Refuse the upgrade with this HTTP status."""
    close: Literal[3000, 4000] | None = None
    """Accept the upgrade, then close: 3000 = invalid key, 4000 = beta shape."""
    created_after: Seconds = 0.0
    """Seconds until `session.created`."""
    created: bool = True
    """False: `session.created` never comes."""


class Loss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the connection is lost while it is in use (§7)."""

    after: Seconds
    """Seconds from the connection."""
    code: Annotated[int, Meta(ge=1000, le=4999)] | None = None
    """Close code; 1006 drops the socket without one; none at all leaves it open and falls silent."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole behaviour of an emulated session."""

    seed: int = 1
    speed: Speed = 4.0
    """Audio is generated at this multiple of real time."""
    first_audio_ms: Milliseconds = 300
    """From `response.created` to the first item."""
    created_ms: Milliseconds = 40
    """From `response.create` to `response.created`."""
    transcript: Transcript = "early"
    turns: list[Turn] = []
    """Consumed in order; when they are used up, the agent improvises."""
    asides: list[str] = []
    """Answers to out-of-band responses, in order; the last one stays."""
    end_call_after: int | None = None
    """Improvise a goodbye with the tool `end_call` after so many turns of the caller."""
    lifetime: Annotated[float, Meta(gt=0)] = 3600.0
    """Seconds until the session expires (§1.6)."""
    handshake: Handshake | list[Handshake] = Handshake()
    """For every connection, or one entry for each connection in turn."""
    lose: Loss | list[Loss | None] | None = None
    """Likewise."""
    surprises: bool = False
    """Unknown event types, unknown fields and errors without `event_id` (§8.2 item 12)."""

    def handshake_of(self, connection: int) -> Handshake:
        """Return the handshake of the nth connection (from 0)."""
        if isinstance(self.handshake, Handshake):
            return self.handshake
        return self.handshake[connection] if connection < len(self.handshake) else Handshake()

    def loss_of(self, connection: int) -> Loss | None:
        """Return how the nth connection (from 0) is lost."""
        if isinstance(self.lose, list):
            return self.lose[connection] if connection < len(self.lose) else None
        return self.lose

    def texts(self) -> list[str]:
        """Return everything the agent may say aloud, to prepare its sound."""
        return [text for turn in self.turns for text in turn.messages()]


DEFAULT: Final = Scenario(end_call_after=4)
"""Greets, answers whatever is said, acknowledges digits, and ends the call after four turns of the caller if it can."""


def parse_scenario(document: object) -> Scenario:
    """Read a scenario from plain data.

    Raises:
        ScenarioError: with the path of the value at fault.
    """
    try:
        return msgspec.convert(document, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(str(error)) from None


def load_scenario(path: Path) -> Scenario:
    """Read a scenario from a YAML (or JSON) file.

    Raises:
        ScenarioError: the file cannot be read or says something senseless; the text begins with file:line:column.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from None
    try:
        document = YAML(typ="safe", pure=True).load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        raise ScenarioError(f"{path}{where}: {error.problem}") from None
    except YAMLError as error:
        raise ScenarioError(f"{path}: {error}") from None
    try:
        return parse_scenario({} if document is None else document)
    except ScenarioError as error:
        line, column = _position(text, str(error))
        raise ScenarioError(f"{path}:{line}:{column}: {error}") from None


def _position(text: str, message: str) -> tuple[int, int]:
    """Return line and column (from 1) of the value that msgspec's message names as `$.turns[0].say`."""
    node: Any = YAML(typ="rt", pure=True).load(io.StringIO(text))
    line, column = 1, 1
    path = message.rpartition("`$")[2].rstrip("`") if "`$" in message else ""
    for step in path.replace("[", ".[").strip(".").split("."):
        try:
            if step.startswith("["):
                index = int(step[1:-1])
                position = node.lc.item(index)
                node = node[index]
            else:
                position = node.lc.value(step)
                node = node[step]
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            break
        line, column = position[0] + 1, position[1] + 1
    return line, column
