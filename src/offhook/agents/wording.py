"""What an agent says of itself - greeting, goodbye, "one moment" - as it is configured, in any language."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from offhook.agents.templates import TemplateFault, compile_template
from offhook.audio.wav import read_wav
from offhook.bridge.plan import Prompt
from offhook.tools import CallContext
from offhook.tools.settings import EITHER, Plain, Settings, Structured

#: Longest recording, and largest file; what is longer was named by mistake.
MAX_RECORDING_SECONDS = 120
MAX_RECORDING_BYTES = 32 * 1024 * 1024

#: Stands for a recording that comes with offhook.
BUNDLED = "bundled"

T = TypeVar("T")
D = TypeVar("D")


def _check_template(text: str) -> str:
    try:
        compile_template(text)
    except TemplateFault as fault:
        raise PydanticCustomError("template", "{problem}", {"problem": fault.text, "line": fault.line}) from fault
    return text


@lru_cache(maxsize=256)
def load_recording(file: str) -> bytes:
    """Return the sound of a WAV file as 8 kHz µ-law.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no WAV file, or too long.
    """
    with Path(file).open("rb") as stream:
        data = stream.read(MAX_RECORDING_BYTES + 1)
    if len(data) > MAX_RECORDING_BYTES:
        raise ValueError(f"a recording has up to {MAX_RECORDING_BYTES} bytes")
    audio = read_wav(data)
    if not audio or len(audio) > MAX_RECORDING_SECONDS * 8000:
        raise ValueError(f"a recording has up to {MAX_RECORDING_SECONDS} seconds")
    return audio


def _check_recording(file: str) -> str:
    try:
        load_recording(file)
    except OSError as error:
        raise PydanticCustomError(
            "recording", "cannot be read ({why}); paths count from where offhook runs", {"why": error.strerror or "?"}
        ) from error
    except ValueError as error:
        raise PydanticCustomError("recording", "{problem}", {"problem": str(error)}) from error
    return file


Template = Annotated[str, AfterValidator(_check_template)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_check_template)]
Recording = Annotated[str, Field(min_length=1), AfterValidator(_check_recording)]
Language = Annotated[str, Field(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
TextByLanguage = Annotated[
    Annotated[Text, Plain] | Annotated[dict[Language, Text], Field(min_length=1), Structured], EITHER
]
RecordingByLanguage = Annotated[
    Annotated[Recording, Plain] | Annotated[dict[Language, Recording], Field(min_length=1), Structured], EITHER
]


class Wording(Settings):
    """One prompt: an instruction to the model, exact words, or a recording; by language where that matters."""

    instructions: TextByLanguage | None = Field(default=None, description="What to say, in the model's own words.")
    text: TextByLanguage | None = Field(
        default=None, description="The exact words; beside wav, what the recording says."
    )
    wav: RecordingByLanguage | None = Field(default=None, description="A recording, played as it is: a WAV file.")
    protected: bool = Field(default=False, description="The caller cannot interrupt it.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        wanted = [self.instructions is not None, self.text is not None or self.wav is not None]
        if sum(wanted) != 1:
            error = PydanticCustomError("prompt", "needs instructions, or text, or wav (text then says what is in it)")
            details: InitErrorDetails = {"type": error, "loc": (), "input": None}
            raise ValidationError.from_exception_data("Wording", [details])
        return self


#: A plain text is an instruction to the model.
PromptSetting = Annotated[Annotated[Template, Plain] | Annotated[Wording, Structured], EITHER]


class RecordedWording(Settings):
    """One recording, by language where that matters: what can be heard without the model."""

    wav: RecordingByLanguage = Field(description="A recording, played as it is: a WAV file.")
    text: TextByLanguage | None = Field(default=None, description="What the recording says.")

    @model_validator(mode="before")
    @classmethod
    def _check(cls, setting: object) -> object:
        if isinstance(setting, dict) and "wav" not in setting:
            raise _not_recorded()
        return setting


def _check_bundled(setting: str) -> str:
    if setting != BUNDLED:
        raise _not_recorded()
    return setting


def _not_recorded() -> PydanticCustomError:
    return PydanticCustomError(
        "recording", "must be a recording, {wav: FILE}, or bundled: the model cannot say it while it is away"
    )


#: A prompt that is heard without the model: a recording, or the word for those that come with offhook.
RecordedPrompt = Annotated[
    Annotated[str, AfterValidator(_check_bundled), WithJsonSchema({"const": BUNDLED}), Plain]
    | Annotated[RecordedWording, Structured],
    EITHER,
]


def render_prompt(setting: str | Wording | None, context: CallContext) -> Prompt | None:
    """Return the prompt for one call, in its language; None if there is nothing to say. PlanError as for templates."""
    if isinstance(setting, str):
        setting = Wording(instructions=setting) if setting.strip() else None
    if setting is None:
        return None
    if setting.wav is not None:
        return _recording(setting.wav, setting.text, context, protected=setting.protected)
    instructions, text = _render(setting.instructions, context), _render(setting.text, context)
    if not instructions and not text:
        return None
    return Prompt(instructions=instructions, text=text, protected=setting.protected)


def render_recording(setting: RecordedWording, context: CallContext) -> Prompt:
    """Return the recording for one call, in its language. PlanError as for templates."""
    return _recording(setting.wav, setting.text, context)


def in_language(choices: Mapping[str, T], language: str, default: D) -> T | D:
    """Return what is meant for a language: ``de-at``, else ``de``, else any ``de-…``, else `default`."""
    by_tag = {tag.lower(): value for tag, value in choices.items()}
    wanted = language.lower()
    primary = wanted.split("-", 1)[0]
    near = (tag for tag in by_tag if tag.split("-", 1)[0] == primary)
    return next((by_tag[tag] for tag in (wanted, primary, *near) if tag in by_tag), default)


def _spoken(choice: str | Mapping[str, str], language: str) -> str:
    """Return what is said in a language; in one that is not there, that of the first."""
    if isinstance(choice, str):
        return choice
    return in_language(choice, language, next(iter(choice.values())))


def _recording(
    files: str | Mapping[str, str],
    text: str | Mapping[str, str] | None,
    context: CallContext,
    *,
    protected: bool = False,
) -> Prompt:
    audio = load_recording(_spoken(files, context.language))
    return Prompt(text=_render(text, context) or "", audio=audio, protected=protected)


def _render(source: str | Mapping[str, str] | None, context: CallContext) -> str | None:
    if source is None:
        return None
    return compile_template(_spoken(source, context.language)).render(context).strip() or None
