"""What is left of a simulated call: figures, mistakes, timeline. One JSON document for programs."""

from typing import Literal

import msgspec

from offhook.audiohook.messages import Media
from offhook.simulator.events import CallEvent, ProtocolBroken

EndedBy = Literal["agent", "caller", "simulator", "network"]
"""`agent`: `disconnect` came. `caller`: the script hung up. `simulator`: it gave up, since something went wrong.
`network`: the socket was lost."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How quick the server was; None for what never happened."""

    open_ms: float | None
    """From `open` to `opened`; Genesys gives up after 5,000."""
    first_audio_ms: float | None
    """From `opened` to the first agent audio that is heard."""
    pong_max_ms: float | None
    """The slowest `pong`."""
    close_ms: float | None
    """From `close` to `closed`; Genesys gives up after 10,000."""


class TurnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the caller said or keyed in."""

    at: float
    """Call time of the first audible sample."""
    text: str
    seconds: float
    """How long it was heard."""
    response_ms: float | None
    """From its end to the agent being heard; None if the agent did not answer before the next turn."""


class BargeInFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One time the caller spoke over the agent."""

    at: float
    """Call time at which the caller began to be heard."""
    stop_ms: float | None
    """From there to `barge_in`; None if none came before the caller's next turn."""
    talk_over_ms: float
    """Agent speech heard while the caller spoke."""
    played_after_ms: float
    """Agent speech that came after `barge_in` and before the caller had finished: the rest of what was interrupted."""


class PacketFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of the server."""

    texts: int
    binaries: int
    bytes: int
    min_ms: float | None
    """The shortest audio message."""
    max_ms: float | None
    """The longest audio message."""
    per_second: float
    """Audio messages a second, over the seconds in which any came."""
    busiest_second: int
    """Most audio messages within any one second."""


class PlaybackFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the agent's audio."""

    heard_seconds: float
    """Played to the caller."""
    max_unplayed_ms: float
    """Most audio that ever waited at Genesys: what a barge-in had to throw away."""
    underruns: int
    """Gaps inside the agent's speech."""
    flushed_ms: float
    """Dropped by barge-ins."""
    dropped_ms: float
    """Lost because the queue was full."""
    cut_off_ms: float
    """Still to be played when the call ended."""
    barge_ins: int
    """`barge_in` events that came."""
    idle_barge_ins: int
    """Those that came while nothing was queued."""


class CallReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything worth knowing of one simulated call."""

    ok: bool
    """No failure, no protocol error that counts."""
    scenario: str
    url: str = ""
    probe: bool
    session_id: str
    conversation_id: str
    duration: float
    """Seconds from the connection to the end."""
    ended_by: EndedBy
    reason: str
    """Reason of the server's `disconnect`, empty if none came."""
    info: str
    """What the server said with it."""
    output_variables: dict[str, str]
    media: Media | None
    """What the server chose; None for no audio, as in most probes."""
    failures: tuple[str, ...]
    """What went wrong and which expectations were missed."""
    notes: tuple[str, ...]
    """What is allowed and yet worth a look."""
    protocol_errors: tuple[ProtocolBroken, ...]
    latency: Latency
    turns: tuple[TurnFigures, ...]
    barge_ins: tuple[BargeInFigures, ...]
    packets: PacketFigures
    playback: PlaybackFigures
    timeline: tuple[CallEvent, ...]
    recording: str | None = None
    """Path of the stereo recording."""

    def to_json(self) -> str:
        """Return the report as one indented JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode()
