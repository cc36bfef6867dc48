"""Settings of an agent that go to the Realtime API (openai-realtime.md §3). Every one of them is really sent."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from offhook.bridge.outputs import misfit
from offhook.bridge.plan import OutputVariable
from offhook.tools.settings import Plain, Settings, Structured

#: Begins the names of the output variables that every call returns (contract.md).
RESERVED_PREFIX = "OFFHOOK_"


def _check_output_name(name: str) -> str:
    if name.upper().startswith(RESERVED_PREFIX):
        raise PydanticCustomError("reserved_name", "names that begin with OFFHOOK_ are for offhook's own outputs")
    return name


def _limit_kind(value: object) -> str:
    return "(plain)" if isinstance(value, str) and not value.isdecimal() else "(structured)"


VariableName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
OutputName = Annotated[VariableName, AfterValidator(_check_output_name)]
TokenLimit = Annotated[
    Annotated[int, Field(ge=1), Structured] | Annotated[Literal["inf"], Plain], Discriminator(_limit_kind)
]


class ServerVad(Settings):
    """Turn detection by loudness and silence."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(
        default=0.5, ge=0, le=1, description="How loud speech must be, 0 to 1; higher for noisy lines."
    )
    prefix_padding_ms: int = Field(
        default=300, ge=0, le=10_000, description="Audio kept from before speech was detected."
    )
    silence_duration_ms: int = Field(default=500, ge=0, le=10_000, description="Silence that ends the caller's turn.")
    idle_timeout_ms: int | None = Field(
        default=None, ge=5_000, le=30_000, description="Silence after which the agent speaks again; null for never."
    )
    create_response: bool = Field(default=True, description="The end of a turn makes the agent answer.")
    interrupt_response: bool = Field(default=True, description="The caller's speech stops the agent's.")


class SemanticVad(Settings):
    """Turn detection by what was said."""

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = Field(
        default="auto", description="How soon a turn counts as ended: low waits up to 8 s, medium 4 s, high 2 s."
    )
    create_response: bool = Field(default=True, description="The end of a turn makes the agent answer.")
    interrupt_response: bool = Field(default=True, description="The caller's speech stops the agent's.")


def _with_type(value: Any) -> Any:
    return {"type": "server_vad", **value} if isinstance(value, dict) else value


#: ``server_vad`` unless ``type`` says otherwise.
TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type"), BeforeValidator(_with_type)]


class Transcription(Settings):
    """The speech recognition whose text goes to the transcript; billed apart from the model."""

    model: str = Field(default="gpt-transcribe", min_length=1, description="On Azure, the name of a deployment.")
    language: str | None = Field(
        default=None,
        min_length=2,
        description="ISO 639-1, like en; left out: that of the call. auto lets it guess, and it may take short turns "
        "for another language.",
    )
    prompt: str | None = Field(
        default=None, min_length=1, description="Text that shows the style or the words to expect."
    )
    keywords: Annotated[Sequence[str], AfterValidator(tuple)] = Field(
        default=(), description="Names and terms to listen for."
    )


class RetentionRatio(Settings):
    """Keep a part of the conversation when it no longer fits the model's context."""

    retention_ratio: float = Field(gt=0, le=1, description="The part that is kept, 0 to 1.")
    post_instructions: int | None = Field(
        default=None, gt=0, description="Token limit of all that follows the instructions."
    )


class NamedTool(Settings):
    """Make the model call one tool."""

    name: str = Field(min_length=1)


class Input(Settings):
    """An input variable that the flow passes."""

    required: bool = Field(default=False, description="Without it, or with an empty one, the call is refused.")
    description: str = ""
    default: str | None = Field(default=None, description="Stands in for a variable that was not passed, or is empty.")


class Output(Settings):
    """An output variable that the flow gets back, and that the model may set."""

    default: str = Field(default="", description="What the flow gets if nobody sets it.")
    description: str = Field(default="", description="Tells the model what belongs in it.")
    type: Literal["string", "number", "integer", "boolean"] = Field(
        default="string", description="What its text must be; an empty text fits every type."
    )
    enum: Annotated[Sequence[str], AfterValidator(tuple)] = Field(
        default=(), description="The only values that are taken."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        kind = OutputVariable(type=self.type)
        wrong: list[tuple[tuple[str | int, ...], str | None]]
        wrong = [(("enum", place), misfit(kind, value)) for place, value in enumerate(self.enum)]
        wrong.append((("default",), misfit(kind, self.default)))
        if self.enum and self.default and self.default not in self.enum:
            wrong.append((("default",), "is not among the values of enum"))
        details: list[InitErrorDetails] = [
            {"type": PydanticCustomError("output", "{problem}", {"problem": problem}), "loc": loc, "input": None}
            for loc, problem in wrong
            if problem is not None
        ]
        if details:
            raise ValidationError.from_exception_data("Output", details)
        return self

    def variable(self) -> OutputVariable:
        """Return the variable as the call wants it."""
        return OutputVariable(default=self.default, type=self.type, enum=tuple(self.enum))

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of its values, for the model."""
        described: dict[str, Any] = {"description": self.description} if self.description else {}
        values = list(self.enum) if self.type == "string" else [json.loads(value) for value in self.enum if value]
        return {"type": self.type, **described, **({"enum": values} if values else {})}
