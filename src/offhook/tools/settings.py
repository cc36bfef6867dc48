"""What all settings have in common, and those that every kind of tool has."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from offhook.tools.base import MAX_RESULT_BYTES, ToolPolicy
from offhook.tools.pointer import PointerError, parse_pointer
from offhook.tools.redaction import parse_path


def _form(value: object) -> str:
    """Choose between the plain and the structured form, so that an error speaks of the one that was meant."""
    return "(structured)" if isinstance(value, dict | BaseModel) else "(plain)"


def _check_path(path: str) -> str:
    try:
        parse_path(path)
    except ValueError as error:
        raise PydanticCustomError("redact", "{problem}", {"problem": str(error)}) from error
    return path


#: Marks of a setting that may be written in either form: a plain value, or a mapping.
Plain = Tag("(plain)")
Structured = Tag("(structured)")
EITHER = Discriminator(_form)


class Settings(BaseModel):
    """Settings do not change, and an unknown one is an error."""

    # What is wrong may be a secret: it is not repeated where a model is made in Python either.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class ToolSettings(Settings):
    """Settings of a tool, whatever its kind."""

    timeout: float | None = Field(
        default=None, gt=0, le=600, description="Seconds for one call; left out: `limits.tool_timeout`."
    )
    confirm: bool = Field(default=False, description="Run it only after the caller has said yes to it.")
    redact: Annotated[Sequence[Annotated[str, AfterValidator(_check_path)]], AfterValidator(tuple)] = Field(
        default=(),
        description="Paths of what is taken out of a result before the model reads it, like customers[*].ssn.",
    )
    max_result_bytes: int = Field(
        default=MAX_RESULT_BYTES, ge=64, le=256 * 1024, description="A longer result is an error for the model."
    )

    def policy(self, base: ToolPolicy | None = None) -> ToolPolicy:
        """Return what the runner has to keep to: what is set here, and beside it what `base` says.

        Nothing that `base` redacts is shown.
        """
        base = base or ToolPolicy()
        return dataclasses.replace(
            base,
            timeout=self.timeout if "timeout" in self.model_fields_set else base.timeout,
            confirm=self.confirm if "confirm" in self.model_fields_set else base.confirm,
            redact=(*base.redact, *self.redact),
            max_result_bytes=(
                self.max_result_bytes if "max_result_bytes" in self.model_fields_set else base.max_result_bytes
            ),
        )


def _check_pointer(text: str) -> str:
    try:
        parse_pointer(text)
    except PointerError as error:
        raise PydanticCustomError("pointer", "{problem}", {"problem": str(error)}) from error
    return text


Pointer = Annotated[str, AfterValidator(_check_pointer)]


class ResponseSettings(ToolSettings):
    """Settings of a tool that answers with JSON: what of it is used, and how."""

    result: Annotated[Annotated[Pointer, Plain] | Annotated[Mapping[str, Pointer], Structured], EITHER] | None = Field(
        default=None,
        description="What the model reads, as a JSON Pointer or several by name; left out: the whole answer.",
    )
    outputs: Mapping[str, Pointer] = Field(
        default={}, description="Output variables that are set from the answer: NAME: JSON Pointer."
    )
