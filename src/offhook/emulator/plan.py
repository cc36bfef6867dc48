"""What a response will send and when: a turn of the scenario laid out on a time line, before anything is sent."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from offhook.emulator.bursts import cut_arguments, cut_audio, cut_text
from offhook.emulator.formats import BYTES_PER_MS, BYTES_PER_SAMPLE, from_ulaw
from offhook.emulator.scenario import Call, Failure, HostedCall, Scenario, Turn
from offhook.emulator.tokens import OUTPUT_MS_PER_TOKEN, text_tokens

NEVER: Final = float("inf")
HALF: Final = 0.5
"""How much of a response there is before it fails or stops."""

_WORDS_LEAD: Final = 0.9
_STEP: Final = 0.02
_LIMITS_AT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Output:
    """One item that the response will produce."""

    kind: Literal["audio", "text", "call", "mcp_call", "approval"]
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedOutput(Output):
    """A call at an MCP server, or the request for leave to make it."""

    hosted: HostedCall


@dataclass(frozen=True, slots=True)
class Limits:
    """The rate limits are told."""


@dataclass(frozen=True, slots=True)
class Begin:
    """An item begins."""

    index: int


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of text or of a transcript."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of audio in the output format."""

    index: int
    audio: bytes


@dataclass(frozen=True, slots=True)
class Arguments:
    """A piece of a function call's arguments."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """A call at an MCP server is made, or waits for leave; `asks` is the item that asks for it."""

    index: int
    asks: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """An item ends."""

    index: int
    status: Literal["completed", "incomplete"] = "completed"


@dataclass(frozen=True, slots=True)
class Finish:
    """The response ends."""

    status: Literal["completed", "incomplete", "failed"] = "completed"
    reason: str | None = None
    failure: Failure | None = None


Step: TypeAlias = Limits | Begin | Words | Sound | Arguments | Run | End | Finish


@dataclass(frozen=True, slots=True)
class Timed:
    """A step with its time in seconds after `response.created`."""

    at: float
    step: Step


@dataclass(frozen=True, slots=True)
class Plan:
    """The items of a response and its steps in the order of their times."""

    outputs: tuple[Output, ...]
    steps: tuple[Timed, ...]


class Planner:
    """Lays turns out: irregular pieces, several times faster than real time, all by chance but repeatable.

    Args:
        scenario: pace and first-audio time where a turn has none of its own.
        clip: returns the µ-law of a text at once.
        rng: the chance.
    """

    def __init__(self, scenario: Scenario, clip: Callable[[str], bytes], rng: random.Random) -> None:
        self._scenario = scenario
        self._clip = clip
        self._rng = rng

    def plan(self, turn: Turn, *, modality: str, kind: str, max_tokens: int | None = None) -> Plan:
        """Return the time line of a turn.

        Args:
            turn: what to say and to call.
            modality: `audio` or `text`.
            kind: output audio format.
            max_tokens: where the response is cut off.
        """
        layout = _Layout(self._scenario, turn, kind, self._rng)
        broken = turn.fail is not None or turn.incomplete is not None or turn.unfinished
        messages, calls, hosted = turn.messages(), turn.calls(), turn.hosted_calls()
        for n, text in enumerate(messages):
            last = n == len(messages) - 1 and (broken or not (calls or hosted))
            part = HALF if broken and last else 1.0
            if modality == "text":
                part = layout.within(part, text_tokens(text), max_tokens)
                layout.write(text, part)
            else:
                audio = self._clip(text)
                tokens = text_tokens(text) + len(audio) // 8 // OUTPUT_MS_PER_TOKEN
                part = layout.within(part, tokens, max_tokens)
                layout.speak(text, b"" if turn.no_audio else from_ulaw(audio, kind), part)
            if layout.cut_off:
                return layout.finished(Finish("incomplete", "max_output_tokens"))
        if not broken:
            for call in calls:
                layout.call(call)
            for hosted_call in hosted:
                layout.call_hosted(hosted_call)
        if turn.unfinished:
            layout.stop()
        return layout.finished(_ending(turn))


def _ending(turn: Turn) -> Finish:
    if turn.fail is not None:
        return Finish("failed", failure=turn.fail)
    if turn.incomplete is not None:
        return Finish("incomplete", turn.incomplete)
    return Finish()


class _Layout:
    """Collects the steps of one response."""

    def __init__(self, scenario: Scenario, turn: Turn, kind: str, rng: random.Random) -> None:
        first_ms = scenario.first_audio_ms if turn.first_audio_ms is None else turn.first_audio_ms
        self._speed = scenario.speed if turn.speed is None else turn.speed
        self._turn = turn
        self._kind = kind
        self._rng = rng
        self._at = first_ms / 1000
        self._used_tokens = 0
        self._outputs: list[Output] = []
        self._steps = [Timed(self._at * _LIMITS_AT, Limits())]
        self.cut_off = False

    def within(self, part: float, tokens: int, limit: int | None) -> float:
        """Return how much of a message there is when the response has a token limit."""
        self._used_tokens += tokens
        if limit is None or self._used_tokens <= limit:
            return part
        self.cut_off = True
        return min(part, max(0.0, 1 - (self._used_tokens - limit) / max(1, tokens)))

    def speak(self, text: str, audio: bytes, part: float) -> None:
        """Lay out a spoken message: its transcript a little ahead of its audio."""
        index = self._begin(Output("audio"))
        full = len(audio)
        audio = audio[: self._whole_samples(round(full * part) - self._turn.missing_tail_ms * self._per_ms)]
        length = full / self._per_ms / 1000 / self._speed or len(text) * 0.002
        steps: list[Timed] = []
        sent = 0
        for piece in cut_audio(audio, self._rng, kind=self._kind, single=self._turn.one_delta):
            steps.append(Timed(self._paused(sent / self._per_ms / 1000 / self._speed, length), Sound(index, piece)))
            sent += len(piece)
        letters = 0
        for words in cut_text(_part_of(text, part), self._rng):
            at = self._paused(letters / max(1, len(text)) * length * _WORDS_LEAD, length)
            steps.append(Timed(at, Words(index, words)))
            letters += len(words)
        # Stable: at the same time words stay before the sound, which was generated from them.
        self._steps += sorted(steps, key=lambda timed: (timed.at, isinstance(timed.step, Sound)))
        self._at = self._paused(length * part, length)
        self._end(index, part)

    def _paused(self, seconds: float, length: float) -> float:
        """Return the time of something so many seconds into a message; past its middle, the pause comes on top."""
        return self._at + seconds + (self._turn.pause_ms / 1000 if seconds > length * HALF else 0.0)

    def stop(self) -> None:
        """Nothing comes any more."""
        self._at = NEVER

    def write(self, text: str, part: float) -> None:
        """Lay out a text message."""
        index = self._begin(Output("text"))
        for words in cut_text(_part_of(text, part), self._rng):
            self._steps.append(Timed(self._at, Words(index, words)))
            self._at += _STEP
        self._end(index, part)

    def call(self, call: Call) -> None:
        """Lay out a function call."""
        index = self._begin(Output("call", call.name))
        for piece in cut_arguments(call.arguments_text(), self._rng):
            self._at += _STEP
            self._steps.append(Timed(self._at, Arguments(index, piece)))
        self._end(index, 1.0)

    def call_hosted(self, call: HostedCall) -> None:
        """Lay out a call at an MCP server: its arguments, then either its run or the request for leave."""
        index = self._begin(HostedOutput(kind="mcp_call", name=call.name, hosted=call))
        for piece in cut_arguments(call.arguments_text(), self._rng):
            self._at += _STEP
            self._steps.append(Timed(self._at, Arguments(index, piece)))
        if call.approval:
            asks = self._begin(HostedOutput(kind="approval", name=call.name, hosted=call))
            self._steps.append(Timed(self._at, Run(index, asks)))
            self._end(asks, 1.0)
            return
        self._steps.append(Timed(self._at, Run(index)))
        if not call.outlasts:
            self._at += call.seconds
            self._end(index, 1.0)

    def finished(self, finish: Finish) -> Plan:
        """Return all that was laid out, with its ending."""
        return Plan(tuple(self._outputs), (*self._steps, Timed(self._at, finish)))

    @property
    def _per_ms(self) -> int:
        return BYTES_PER_MS[self._kind]

    def _whole_samples(self, size: int) -> int:
        sample = BYTES_PER_SAMPLE[self._kind]
        return max(0, size) // sample * sample

    def _begin(self, output: Output) -> int:
        self._outputs.append(output)
        self._steps.append(Timed(self._at, Begin(len(self._outputs) - 1)))
        return len(self._outputs) - 1

    def _end(self, index: int, part: float) -> None:
        if self._turn.unfinished and part < 1.0:
            return
        self._steps.append(Timed(self._at, End(index, "completed" if part >= 1.0 else "incomplete")))


def _part_of(text: str, part: float) -> str:
    """Return the first words of a text."""
    if part >= 1.0:
        return text
    words = text.split(" ")
    return " ".join(words[: int(len(words) * part)])
