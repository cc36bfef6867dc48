"""Settings of an agent for how a call is carried: interruption, keypad, silence, waiting, outages, limits, language."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from offhook.agents.wording import BUNDLED, PromptSetting, RecordedPrompt, Template
from offhook.bridge.plan import BargeIn, CollectDigits, Dtmf
from offhook.tools.settings import Settings


class BargeInSettings(Settings):
    """When the caller's speech stops the agent's."""

    enabled: bool = Field(default=True, description="false: the agent always speaks to its end.")
    min_speech_ms: int = Field(
        default=0, ge=0, le=5_000, description="How long the caller has to speak first; 0 stops the agent at once."
    )
    resume: bool = Field(
        default=False,
        description="After a false alarm - a noise, a cough, no words - the agent goes on where it was interrupted.",
    )

    def policy(self) -> BargeIn:
        """Return the settings as the call wants them."""
        return BargeIn(enabled=self.enabled, min_speech=self.min_speech_ms / 1000, resume=self.resume)


class DtmfSettings(Settings):
    """Keys that the caller presses unasked."""

    timeout: float = Field(default=1.5, gt=0, le=60, description="Seconds after the last digit until they are sent.")
    terminator: Literal["#", "*"] | None = Field(
        default="#", description="Key that sends the digits at once, in quotes; null for none."
    )
    max_digits: int = Field(default=64, ge=1, le=256, description="So many are sent without waiting for more.")
    interrupt: bool = Field(default=True, description="A key stops the agent's speech, as a word would.")

    def policy(self) -> Dtmf:
        """Return the settings as the call wants them."""
        return Dtmf(
            timeout=self.timeout, terminator=self.terminator, max_digits=self.max_digits, interrupt=self.interrupt
        )


class CollectDigitsSettings(Settings):
    """How the agent collects digits that it asks for."""

    timeout: float = Field(
        default=10.0, gt=0, le=300, description="Seconds for the first digit, once the caller has heard the question."
    )
    between: float = Field(default=4.0, gt=0, le=60, description="Seconds for each further one.")
    total: float = Field(default=60.0, gt=0, le=600, description="Seconds for all of them.")
    secret_tool: str | None = Field(
        default=None,
        min_length=1,
        description="One of the agent's tools: it alone gets secret digits, and the model its result. Left out: the "
        "agent cannot ask for secrets.",
    )

    def policy(self, secret_tool: str | None, *, tells_purpose: bool) -> CollectDigits:
        """Return the settings as the call wants them, with the tool that is there for secrets."""
        return CollectDigits(
            timeout=self.timeout,
            between=self.between,
            total=self.total,
            secret_tool=secret_tool,
            tells_purpose=tells_purpose,
        )


class DigitsEntry(Settings):
    """`collect_digits` among an agent's tools."""

    collect_digits: CollectDigitsSettings = Field(
        default=CollectDigitsSettings(), description="How digits are collected that the agent asks for."
    )


class NoInput(Settings):
    """What to do about a caller who says nothing; measured from what the caller has heard."""

    after: float = Field(default=8.0, ge=1, le=300, description="Seconds of silence.")
    prompts: Annotated[Sequence[PromptSetting], Field(min_length=1, max_length=10), AfterValidator(tuple)] = Field(
        default=("Ask in a few words whether the caller is still there.",) * 2,
        description="What the agent says each time, as for the greeting.",
    )
    goodbye: PromptSetting = Field(
        default="The caller does not answer. Say in one short sentence that you are ending the call, and say goodbye.",
        description="What the agent says after the last one, before it ends the call.",
    )


class Filler(Settings):
    """What the caller hears while a tool takes its time."""

    after: float = Field(default=2.5, ge=0.5, le=60, description="Seconds of silence until the first.")
    every: float = Field(default=10.0, ge=2, le=300, description="Seconds of silence until each further one.")
    prompts: Annotated[Sequence[PromptSetting], Field(min_length=1, max_length=10), AfterValidator(tuple)] = Field(
        default=("Tell the caller in a few words that it takes a moment. Promise nothing.",),
        description="In turn, the last one over and over; as for the greeting.",
    )


class Recovery(Settings):
    """What the caller hears while the AI cannot be heard: it was lost and is connected again, or takes too long."""

    prompt: RecordedPrompt | None = Field(
        default=BUNDLED,
        description='A recording: {wav: FILE, text: its words}, also by language. bundled says "One moment, please." '
        "in the language of the call, and is a soft tone where offhook has no recording for it. null: silence.",
    )
    after: float = Field(
        default=2.5,
        ge=1,
        le=60,
        description="Seconds of silence, while an answer is due, until it is played. When the AI is lost it is played "
        "at once.",
    )
    every: float = Field(default=8.0, ge=2, le=300, description="Seconds of silence until it is played again.")
    limit: float = Field(
        default=20.0,
        ge=1,
        le=120,
        description="Seconds without the AI after which it counts as lost for good and the call ends as `failed`.",
    )


class AgentLimits(Settings):
    """When a call has lasted long enough: the agent says so, and the outcome is `limit`; and how many there may be."""

    max_duration: float | None = Field(
        default=840.0, gt=0, description="Seconds; Genesys itself ends every session after 15 minutes."
    )
    warn_before: float = Field(
        default=60.0, ge=0, description="Seconds before it at which the model is told to come to an end; 0 = never."
    )
    max_turns: int | None = Field(default=None, ge=1, description="Turns of the caller.")
    max_cost: float | None = Field(default=None, gt=0, description="US dollars, as far as prices are known.")
    goodbye: PromptSetting = Field(
        default="The call has lasted as long as it may. Tell the caller so in one short sentence and say goodbye.",
        description="What the agent says then.",
    )
    drained: PromptSetting = Field(
        default="The line has to be closed for technical reasons. Apologize in one short sentence, say goodbye.",
        description="What the agent says when the gateway stops and can wait for the call no longer.",
    )
    max_calls: int | None = Field(default=None, ge=1, description="Calls at a time; more are refused.")
    max_opens_per_second: float | None = Field(
        default=None, gt=0, description="Calls that begin, on average; more are refused."
    )
    opens_burst: int | None = Field(
        default=None, ge=1, description="Calls that may begin at once; left out: two seconds' worth."
    )


class LanguageSettings(Settings):
    """What is different in a language."""

    voice: str | None = Field(default=None, min_length=1, description="Fixed when the call begins.")
    instructions: Template | None = Field(default=None, description="Take the place of the agent's.")
    transcription: str | None = Field(
        default=None, min_length=2, description="Language of the transcription, ISO 639-1."
    )
