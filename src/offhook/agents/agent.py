"""One configured persona, in Python or in ``offhook.yaml``."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from offhook.agents import bundled, wording
from offhook.agents.entries import ToolEntry
from offhook.agents.handling import (
    AgentLimits,
    BargeInSettings,
    CollectDigitsSettings,
    DigitsEntry,
    DtmfSettings,
    Filler,
    LanguageSettings,
    NoInput,
    Recovery,
)
from offhook.agents.settings import (
    Input,
    NamedTool,
    Output,
    OutputName,
    RetentionRatio,
    ServerVad,
    TokenLimit,
    Transcription,
    TurnDetection,
    VariableName,
)
from offhook.agents.wording import BUNDLED, Language, PromptSetting, Template
from offhook.bridge.outputs import MAX_OUTPUTS_BYTES, wire_size
from offhook.tools import COLLECT_DIGITS, SET_OUTPUTS, Tool, ToolSource
from offhook.tools.call_control import secret_tool_problem
from offhook.tools.hints import did_you_mean
from offhook.tools.mcp import HostedMcp
from offhook.tools.mcp_server import McpServer
from offhook.tools.settings import EITHER, Plain, Settings, Structured


class Agent(Settings):
    """Who answers: instructions, voice, tools and how the talk is handled.

    ``Agent(instructions="You answer the phone for Acme.", tools=[order_status])`` is enough. Texts are templates over
    ``input.NAME`` and ``call.NAME``.
    """

    mode: Literal["talk", "listen"] = Field(default="talk", description="listen never speaks and sends no events.")
    model: str = Field(default="gpt-realtime-2.1", min_length=1, description="Passed through, whatever its name.")
    voice: str = Field(default="marin", min_length=1, description="Passed through, whatever its name.")
    instructions: Template = Field(default="", description="Who the agent is and what it does; a template.")
    notice: PromptSetting | None = Field(
        default=None, description="Said before the greeting, like a legal notice; written like the greeting."
    )
    greeting: PromptSetting | None = Field(
        default=None,
        description="How to open the call: an instruction, {text: exact words} or {wav: file}; without it the agent "
        "waits.",
    )
    goodbye: PromptSetting | None = Field(
        default=None, description="Said when the agent ends the call; left out: in the model's own words."
    )
    handover: PromptSetting | None = Field(
        default=None, description="Said before an escalation; left out: in the model's own words."
    )
    summary: Literal["escalated", "always", "never"] = Field(
        default="escalated",
        description="When OFFHOOK_SUMMARY is written by the model; otherwise it is the last words of both sides.",
    )
    barge_in: BargeInSettings = Field(default=BargeInSettings(), description="When the caller stops the agent.")
    no_input: NoInput | None = Field(default=None, description="What to do about a silent caller; null for nothing.")
    filler: Filler | None = Field(
        default=Filler(), description="What the caller hears while tools run; null for nothing."
    )
    recovery: Recovery = Field(
        default=Recovery(), description="What the caller hears while the AI is lost or takes too long."
    )
    limits: AgentLimits = Field(
        default=AgentLimits(), description="When a call has lasted long enough, and how many there may be."
    )
    languages: dict[Language, LanguageSettings] = Field(
        default={}, description="What is different in a language, by its tag: de, or de-at."
    )
    tools: Annotated[Sequence[ToolEntry], AfterValidator(tuple)] = Field(
        default=(),
        description="end_call, escalate, collect_digits, {python: module:attribute}, {http: …}, {data_action: …}, "
        "{mcp: …}.",
    )
    inputs: dict[VariableName, Input] = Field(default={}, description="Input variables that the flow passes.")
    outputs: dict[OutputName, Output] = Field(default={}, description="Output variables that the flow gets back.")
    turn_detection: TurnDetection = Field(default=ServerVad(), description="When the caller's turn ends.")
    noise_reduction: Literal["near_field", "far_field"] | None = Field(
        default="near_field", description="near_field for handsets, far_field for speakerphones, null for none."
    )
    transcription: Transcription | None = Field(
        default=Transcription(), description="Text of what the caller says, for the record; null for none."
    )
    speed: float = Field(default=1.0, ge=0.25, le=1.5, description="How fast the agent speaks.")
    reasoning_effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        default=None, description="Only for models that reason: others refuse the whole session."
    )
    max_output_tokens: TokenLimit = Field(
        default="inf", description="Limit of one response, tools included; speech that reaches it ends in mid-sentence."
    )
    truncation: Annotated[
        Annotated[Literal["auto", "disabled"], Plain] | Annotated[RetentionRatio, Structured], EITHER
    ] = Field(default="auto", description="What happens when the conversation no longer fits the model's context.")
    tool_choice: Annotated[
        Annotated[Literal["auto", "none", "required"], Plain] | Annotated[NamedTool, Structured], EITHER
    ] = Field(default="auto", description="Whether the model may or must call tools.")
    parallel_tool_calls: bool | None = Field(default=None, description="null leaves it to the model.")
    dtmf: DtmfSettings = Field(default=DtmfSettings(), description="Digits that the caller enters unasked.")
    bot_turn_response: bool = Field(default=False, description="Tell Genesys the text of each turn of the agent.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.recovery.prompt == BUNDLED:
            bundled.recordings()  # read now: no call waits for a file
        problems: list[InitErrorDetails] = []
        if self.mode == "talk" and not self.instructions.strip():
            problems.append(_problem("missing", "an agent that talks needs instructions", "instructions"))
        names = [entry.definition.name for entry in self.tool_entries if isinstance(entry, Tool)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            problems.append(_problem("tool_name", f"two tools are called {name}", "tools"))
        problems += _undeclared_outputs(self)
        problems += _digits_problems(self)
        servers = [entry.name for entry in self.tools if isinstance(entry, McpServer | HostedMcp)]
        for name in sorted({name for name in servers if servers.count(name) > 1}):
            problems.append(_problem("tool_name", f"two MCP servers are called {name}", "tools"))
        if wire_size({name: output.default for name, output in self.outputs.items()}) > MAX_OUTPUTS_BYTES:
            problems.append(
                _problem("outputs", f"more than {MAX_OUTPUTS_BYTES} bytes of names and defaults", "outputs")
            )
        problems += _unknown_choice(self)
        if problems:
            raise ValidationError.from_exception_data("Agent", problems)
        return self

    def in_language(self, language: str) -> "Agent":
        """Return the agent as it is in a language: its own settings for it, and a transcription that expects it.

        Without a language of its own the transcription takes that of the call, since it mistakes short turns for
        another one (openai-realtime.md trap 28); `auto` leaves it to guess.
        """
        settings = wording.in_language(self.languages, language, default=None)
        transcription = self.transcription
        if transcription is not None:
            spoken = settings.transcription if settings is not None else None
            guess = language.split("-", 1)[0].lower()
            tongue = spoken or transcription.language or (guess if len(guess) == 2 else None)
            transcription = transcription.model_copy(update={"language": None if tongue == "auto" else tongue})
        changes: dict[str, object] = {"transcription": transcription}
        if settings is not None:
            changes |= {name: value for name in ("voice", "instructions") if (value := getattr(settings, name))}
        return self.model_copy(update=changes)

    @property
    def tool_entries(self) -> tuple[Tool | ToolSource, ...]:
        """The tools that the gateway runs, and where more come from; those of call control are not among them."""
        return tuple(entry for entry in self.tools if isinstance(entry, Tool | ToolSource))

    @property
    def hosted_mcp(self) -> tuple[HostedMcp, ...]:
        """The MCP servers that OpenAI talks to."""
        return tuple(entry for entry in self.tools if isinstance(entry, HostedMcp))

    @property
    def call_control(self) -> tuple[str, ...]:
        """The names of call control among the tools, each once."""
        return tuple(dict.fromkeys(entry for entry in self.tools if isinstance(entry, str)))

    @property
    def collect_digits(self) -> CollectDigitsSettings | None:
        """How the agent collects digits that it asks for; None = it cannot."""
        return next((entry.collect_digits for entry in self.tools if isinstance(entry, DigitsEntry)), None)


def _undeclared_outputs(agent: Agent) -> Iterator[InitErrorDetails]:
    """Find output variables that the settings of a tool set and that the agent does not have."""
    for index, tool in enumerate(agent.tools):
        entry = getattr(tool, "entry", None)
        for kind in type(entry).model_fields if isinstance(entry, Settings) else ():
            for name in getattr(getattr(entry, kind), "outputs", ()):
                if name not in agent.outputs:
                    fix = did_you_mean(name, agent.outputs) or "; declare it among the agent's outputs"
                    text = f"the agent has no such output variable{fix}"
                    yield _problem("tool_output", text, "tools", index, kind, "outputs", name, "[key]")


def _unknown_choice(agent: Agent) -> Iterator[InitErrorDetails]:
    """Find a tool that the model is to call and that the agent does not have, if all that it has is known by now."""
    choice = agent.tool_choice
    if isinstance(choice, str) or not all(isinstance(entry, str | Tool | DigitsEntry) for entry in agent.tools):
        return
    names = [*agent.call_control, *(entry.definition.name for entry in agent.tool_entries if isinstance(entry, Tool))]
    if agent.collect_digits is not None:
        # What takes secret digits is not for the model.
        names = [COLLECT_DIGITS, *(name for name in names if name != agent.collect_digits.secret_tool)]
    if agent.outputs:
        names.append(SET_OUTPUTS)
    if choice.name not in names:
        fix = did_you_mean(choice.name, names) or "; list it among the agent's tools"
        yield _problem("tool_unknown", f"the agent has no such tool{fix}", "tool_choice", "(structured)", "name")


def _digits_problems(agent: Agent) -> Iterator[InitErrorDetails]:
    """Find what is wrong with `collect_digits`, as far as it is known before anything is opened."""
    places = [index for index, entry in enumerate(agent.tools) if isinstance(entry, DigitsEntry)]
    for index in places[1:]:
        yield _problem("tool_name", "collect_digits is listed twice", "tools", index)
    name = agent.collect_digits.secret_tool if agent.collect_digits is not None else None
    if name is None:
        return
    tools = {entry.definition.name: entry for entry in agent.tool_entries if isinstance(entry, Tool)}
    problem = None
    if name in tools:
        problem = secret_tool_problem(tools[name].definition, confirm=tools[name].policy.confirm)
    elif not any(isinstance(entry, ToolSource) for entry in agent.tool_entries):
        problem = "there is no such tool for secret digits"
    if problem is not None:
        yield _problem("tool_unknown", f"{name}: {problem}", "tools", places[0], "collect_digits", "secret_tool")


def _problem(kind: str, text: str, *place: str | int) -> InitErrorDetails:
    # The text goes in as a value: pydantic would read braces in it as placeholders.
    error = PydanticCustomError(kind, "{problem}", {"problem": text})
    return {"type": error, "loc": place, "input": None}
