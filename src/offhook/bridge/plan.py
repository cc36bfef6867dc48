"""What a call is told before it starts: the agent's part of it, rendered and ready to be sent."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from offhook.realtime import AudioConfig, AudioInput, SemanticVad, ServerVad, SessionConfig
from offhook.realtime.cost import Prices, TranscriptionPrice


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the agent is to say of itself: a greeting, a goodbye, "one moment", "are you still there?"."""

    instructions: str | None = None
    """The model words it itself, following these instructions."""
    text: str | None = None
    """The model says exactly this (legal wording, brand wording); with `audio`, the words of the recording."""
    audio: bytes | None = None
    """A recording, 8 kHz µ-law: played as it is, without the model."""
    protected: bool = False
    """The caller cannot interrupt it."""


class OutputVariable(msgspec.Struct, frozen=True, kw_only=True):
    """A declared output variable; its values are texts whatever its type."""

    default: str = ""
    type: Literal["string", "number", "integer", "boolean"] = "string"
    enum: tuple[str, ...] = ()
    """The only values that are taken; empty = all of the type."""


class BargeIn(msgspec.Struct, frozen=True, kw_only=True):
    """When the caller's speech stops the agent's."""

    enabled: bool = True
    min_speech: float = 0.0
    """Seconds that the caller has to speak first; 0 = at once."""
    resume: bool = False
    """After a false alarm (speech that was too short, or no words) the agent goes on where it was interrupted."""

    @property
    def decided_here(self) -> bool:
        """The gateway interrupts and asks for answers, not the server (see openai-realtime.md §4, trap 32)."""
        return self.min_speech > 0 or self.resume


class NoInput(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when the caller stays silent."""

    after: float | None = None
    """Seconds since the caller heard the last of the agent, or was last heard; None = a silent caller is left alone."""
    prompts: tuple[Prompt, ...] = ()
    """What the agent says each time; after the last one the call ends."""
    goodbye: Prompt = Prompt(instructions="The caller does not answer. Say that you are ending the call, and goodbye.")
    """What the agent says then."""


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When a call has lasted long enough; None = no such limit."""

    max_duration: float | None = None
    """Seconds since `opened`."""
    warn_before: float = 60.0
    """Seconds before the end of `max_duration` at which the model is told to come to an end."""
    max_turns: int | None = None
    """Turns of the caller that are answered; with the next one the call ends."""
    max_cost: float | None = None
    """US dollars, as far as the model's prices are known."""
    goodbye: Prompt = Prompt(instructions="The call has lasted as long as it may. Tell the caller so and say goodbye.")


class Filler(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller hears while tools run."""

    after: float | None = None
    """Seconds of silence until the first, while a tool runs; None = the caller waits in silence."""
    every: float = 10.0
    """Seconds of silence until each further one."""
    prompts: tuple[Prompt, ...] = ()
    """In turn, the last one over and over; there is one at least when `after` is set."""


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller hears while the AI cannot be heard: it was lost and is connected again, or takes too long."""

    prompt: Prompt | None = None
    """A recording, for the model cannot say it; None = the caller waits in silence."""
    after: float = 2.5
    """Seconds of silence, while an answer is due, until it is played; at once when the Realtime leg is lost."""
    every: float = 8.0
    """Seconds of silence until it is played again."""
    limit: float = 20.0
    """Seconds after which a lost AI counts as lost for good: the call ends as failed."""


class Dtmf(msgspec.Struct, frozen=True, kw_only=True):
    """Digits that the caller enters without being asked for them by `collect_digits`."""

    timeout: float = 1.5
    """Seconds without a further digit after which they go to the model."""
    terminator: str | None = "#"
    """Key that sends them at once; None = there is none."""
    max_digits: int = 64
    """So many are sent without waiting for more."""
    interrupt: bool = True
    """A key stops the agent's speech, as a word would."""


class CollectDigits(msgspec.Struct, frozen=True, kw_only=True):
    """How `collect_digits` works for this agent."""

    timeout: float = 10.0
    """Seconds for the first digit, from when the caller has heard what was asked."""
    between: float = 4.0
    """Seconds for each further one."""
    total: float = 60.0
    """Seconds for all of them."""
    secret_tool: str | None = None
    """Name of the tool that gets secret digits; None = the agent may not ask for secrets."""
    tells_purpose: bool = True
    """The tool is told what the digits are for, too."""


class ToolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the call has to know of a tool that the shell runs."""

    confirm: bool = False
    """The caller has to say yes first."""


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `bridge.Call` needs to know of the agent; made by `agents.planning` when `open` arrives."""

    agent: str
    """Name of the agent in the configuration."""
    session: SessionConfig
    """Payload of the one `session.update`: instructions rendered, PCMU both ways, tools declared."""
    mode: Literal["talk", "listen"] = "talk"
    """`listen` opens no Realtime session, never speaks and sends no events."""
    notice: Prompt | None = None
    """Said before the greeting, word for word (legal notice)."""
    greeting: Prompt | None = None
    """None: the agent waits for the caller."""
    outputs: Mapping[str, OutputVariable] = {}
    """Declared output variables."""
    tools: Mapping[str, ToolPlan] = {}
    """The function tools that the shell runs (not those of call control)."""
    barge_in: BargeIn = BargeIn()
    no_input: NoInput = NoInput()
    prices: Prices | None = None
    """Of the model; None = not known, and the cost of the call is not told."""
    transcription_price: TranscriptionPrice | None = None
    """Of the transcription model."""
    limits: CallLimits = CallLimits()
    filler: Filler = Filler()
    recovery: Recovery = Recovery()
    drained: Prompt = Prompt(
        instructions="The line has to be closed for technical reasons. Apologize in one short sentence, say goodbye."
    )
    """Said when the gateway stops and cannot wait for the call any longer."""
    collect_digits: CollectDigits | None = None
    """None: the model cannot ask for digits."""
    approved_mcp: frozenset[tuple[str, str]] = frozenset()
    """Server label and tool name (`*` = any) of the MCP calls that OpenAI may make when it asks for leave."""
    dtmf: Dtmf = Dtmf()
    bot_turn_response: bool = False
    """Tell Genesys the text of each agent turn in a `bot_turn_response` event."""
    goodbye: Prompt | None = None
    """Said when the agent ends the call; None = the model says goodbye itself, and is asked for it if it did not."""
    handover: Prompt | None = None
    """The same for an escalation."""
    goodbye_timeout: float = 10.0
    """Seconds that a promised goodbye may take to begin before the call ends without it."""
    summary: Literal["escalated", "always", "never"] = "escalated"
    """Which ends get a summary in the model's words; all others get the last words of both sides."""

    @property
    def interruptible(self) -> bool:
        """The agent stops talking when the caller speaks."""
        detection = self.turn_detection
        by_server = detection is None or detection.interrupt_response is not False
        return self.barge_in.enabled and (by_server or self.decides_interruptions)

    @property
    def decides_interruptions(self) -> bool:
        """The gateway, not the server, stops the agent and asks for answers (openai-realtime.md trap 32).

        The server stops at any sound; who wants it otherwise, or has something to say that must be heard, decides here.
        """
        return self.barge_in.enabled and (
            self.barge_in.decided_here or any(prompt is not None and prompt.protected for prompt in self._prompts)
        )

    @property
    def answers_itself(self) -> bool:
        """The server answers the caller's turns without being asked."""
        detection = self.turn_detection
        return detection is not None and detection.create_response is not False

    @property
    def transcribes(self) -> bool:
        """The caller's words are transcribed."""
        return bool(self._input.transcription)

    @property
    def turn_detection(self) -> ServerVad | SemanticVad | None:
        """How the server finds the caller's turns; None if it does not."""
        return self._input.turn_detection or None

    @property
    def _prompts(self) -> tuple[Prompt | None, ...]:
        """Everything that the agent may be made to say while the caller is listened to."""
        return self.notice, self.greeting, *self.no_input.prompts, *self.filler.prompts

    @property
    def _input(self) -> AudioInput:
        audio = self.session.audio or AudioConfig()
        return audio.input or AudioInput()
