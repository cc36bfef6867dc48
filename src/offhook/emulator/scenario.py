"""Scenario files: what the emulated agent says and does, and which faults it shows.

A scenario is data; `offhook.emulator.script` decides which of its turns answers what.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from pydantic import ConfigDict, Discriminator, Field, Tag

from offhook.config.document import Document
from offhook.config.problems import ConfigError
from offhook.config.reading import read_model, read_text
from offhook.tools.settings import EITHER, Plain, Settings, Structured

Transcript = Literal["early", "late", "never", "failed"]

Speed = Annotated[float, Field(ge=1, le=10)]
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]
Seconds = Annotated[float, Field(ge=0)]

T = TypeVar("T")
OneOrSeveral = Annotated[
    Annotated[T, Tag("(one)")] | Annotated[list[T], Tag("(several)")],
    Discriminator(lambda value: "(several)" if isinstance(value, list) else "(one)"),
]

ScenarioError = ConfigError
"""The scenario cannot be used."""


class _Strict(Settings):
    # Whether a value is text, a number or true decides what the emulator does: none is turned into another.
    model_config = ConfigDict(strict=True)


def _text_of(value: dict[str, Any] | str) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


class Call(_Strict):
    """A function call; `arguments` as text are sent as they stand, so they may be broken JSON."""

    name: str
    arguments: Annotated[Annotated[dict[str, Any], Structured] | Annotated[str, Plain], EITHER] = Field(default={})

    def arguments_text(self) -> str:
        """Return the arguments as the wire carries them."""
        return _text_of(self.arguments)


class HostedCall(_Strict):
    """A call that the API makes at an MCP server by itself; the client only hears of it."""

    server: str
    """Label of the server."""
    name: str
    arguments: Annotated[Annotated[dict[str, Any], Structured] | Annotated[str, Plain], EITHER] = Field(default={})
    output: Annotated[Annotated[dict[str, Any], Structured] | Annotated[str, Plain], EITHER] = "done"
    error: str | None = None
    """The call fails with this text."""
    approval: bool = False
    """The client is asked for leave first; the response is done meanwhile."""
    seconds: Seconds = 1.5
    """How long the call takes."""
    outlasts: bool = False
    """The response is done before the call is; with `approval` it always is."""

    def arguments_text(self) -> str:
        """Return the arguments as the wire carries them."""
        return _text_of(self.arguments)

    def output_text(self) -> str:
        """Return the output as the wire carries it."""
        return _text_of(self.output)


class When(_Strict):
    """Restricts a turn to a text message or to response instructions that contain a text, in any case."""

    text: str | None = None
    instructions: str | None = None


class Failure(_Strict):
    """How a response fails; nothing but its `response.done` tells (openai-realtime.md §6, trap 25)."""

    code: str = "inference_rate_limit_exceeded"
    message: str = "Rate limit reached. Please try again later."


class Turn(_Strict):
    """One response: what the caller had said before it, what the agent says, what it calls, how it ends."""

    caller: str | None = None
    """What the caller's audio turn is transcribed as; an empty text makes a noise of it."""
    when: When | None = None
    say: OneOrSeveral[str] | None = None
    """One message item, or several."""
    preamble: str | None = None
    """Said before the call, in the same response."""
    call: OneOrSeveral[Call] | None = None
    """One function call, or several in parallel."""
    mcp_call: OneOrSeveral[HostedCall] | None = None
    """One call at an MCP server, or several in parallel."""
    fail: Failure | None = None
    """The response fails: at once, or half way through what it says."""
    incomplete: Literal["max_output_tokens", "content_filter"] | None = None
    """The response stops half way."""
    no_audio: bool = False
    """The response completes without any audio; with `say` there is a transcript."""
    missing_tail_ms: Milliseconds = 0
    """The last audio never comes although the transcript is whole (trap 9)."""
    pause_ms: Milliseconds = 0
    """Half way through each message nothing comes for so long."""
    unfinished: bool = False
    """The response begins, and half way through what it says nothing comes any more, not even its end."""
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

    def hosted_calls(self) -> list[HostedCall]:
        """Return the calls at MCP servers, in order."""
        return [self.mcp_call] if isinstance(self.mcp_call, HostedCall) else list(self.mcp_call or ())


class Aside(_Strict):
    """One out-of-band response, such as a summary."""

    say: str | None = None
    """Its text; left out, a text of the emulator's own, or none if it fails."""
    seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    """From `response.created` to its first words, or to its failure."""
    fail: Failure | None = None
    """It fails: at once, or half way through its text."""


class Handshake(_Strict):
    """What goes wrong while connecting (§1.7); the default is nothing."""

    status: Literal[401, 403, 404, 429, 500, 503] | None = None
    """Refuse the upgrade with this HTTP status."""
    close: Literal[3000, 4000] | None = None
    """Accept the upgrade, then close: 3000 = invalid key, 4000 = beta shape."""
    created_after: Seconds = 0.0
    """Seconds until `session.created`."""
    created: bool = True
    """False: `session.created` never comes."""


class Loss(_Strict):
    """How the connection is lost while it is in use (§7)."""

    after: Seconds
    """Seconds from the connection."""
    code: Annotated[int, Field(ge=1000, le=4999)] | None = None
    """Close code; 1006 drops the socket without one; none at all leaves it open and falls silent."""
    error: str | None = None
    """Code of an `error` event that comes just before."""


class Scenario(_Strict):
    """The whole behaviour of an emulated session."""

    seed: int = 1
    speed: Speed = 4.0
    """Audio is generated at this multiple of real time."""
    first_audio_ms: Milliseconds = 300
    """From `response.created` to the first item."""
    created_ms: Milliseconds = 40
    """From `response.create` to `response.created`."""
    transcript: Transcript = "early"
    turns: list[Turn] = Field(default=[])
    """Consumed in order; when they are used up, the agent improvises."""
    asides: list[Annotated[Annotated[Aside, Structured] | Annotated[str, Plain], EITHER]] = Field(default=[])
    """Out-of-band responses, in order; the last one stays."""
    aside_seconds: Annotated[float, Field(ge=0, le=600)] | None = None
    """From `response.created` to the first words of an out-of-band response; left out, as for any other."""
    end_call_after: int | None = None
    """Improvise a goodbye with the tool `end_call` after so many turns of the caller."""
    mcp_unreachable: list[str] = Field(default=[])
    """Labels of MCP servers whose tools cannot be listed."""
    lifetime: Annotated[float, Field(gt=0)] = 3600.0
    """Seconds until the session expires (§1.6)."""
    handshake: OneOrSeveral[Handshake] = Handshake()
    """For every connection, or one entry for each connection in turn."""
    lose: OneOrSeveral[Loss | None] = None
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

    def tools_of(self, server: str) -> list[str]:
        """Return the names of the tools that the turns call at an MCP server."""
        calls = (call for turn in self.turns for call in turn.hosted_calls() if call.server == server)
        return list(dict.fromkeys(call.name for call in calls))

    def texts(self) -> list[str]:
        """Return everything the agent may say aloud, to prepare its sound."""
        return [text for turn in self.turns for text in turn.messages()]


DEFAULT: Final = Scenario(end_call_after=4)
"""Greets, answers whatever is said, acknowledges digits, and ends the call after four turns of the caller if it can."""


def load_scenario(path: Path) -> Scenario:
    """Read a scenario from a YAML (or JSON) file.

    Raises:
        ScenarioError: the file cannot be read or says something senseless.
    """
    return read_model(Scenario, Document(read_text(path), str(path)))
