"""The shape of a scenario file: what is allowed in it, and the script it stands for."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    StrictBool,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from offhook.audio.wav import read_wav
from offhook.simulator import script
from offhook.speech.noise import Kind, noise, scaled
from offhook.tools.settings import EITHER, Plain, Settings, Structured

BACKGROUND_MS: Final = 10_000
"""How much of a made background there is before it begins again."""

_Seconds = Annotated[float, Field(gt=0, le=3600)]
_Milliseconds = Annotated[int, Field(ge=0, le=600_000)]
_Limit = Annotated[float, Field(ge=0)]
_Level = Annotated[float, Field(gt=0, le=1)]


def _words(value: object) -> object:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, dict):
        return value
    raise ValueError("should be text in quotes, {text: …} or {wav: …}")


class _Recording(msgspec.Struct, frozen=True):
    name: str
    audio: bytes


def _record(value: object, info: ValidationInfo) -> _Recording:
    """Read a WAV file; a relative name is looked for beside the scenario."""
    if not isinstance(value, str):
        raise ValueError("should be the name of a WAV file")
    file = Path(info.context or ".") / value
    try:
        return _Recording(file.name, read_wav(file.read_bytes()))
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


_Wav = Annotated[InstanceOf[_Recording], BeforeValidator(_record), WithJsonSchema({"type": "string"})]


class _SayDoc(Settings):
    text: str | None = None
    wav: _Wav | None = None

    @model_validator(mode="after")
    def _has_sound(self) -> Self:
        if not self.text and not self.wav:
            raise ValueError("needs a text or a wav file")
        return self

    def sound(self) -> script.Utterance:
        if self.wav is None:
            return script.Utterance(self.text or "")
        return script.Utterance(self.text or f"({self.wav.name})", self.wav.audio)


_Said = Annotated[_SayDoc, BeforeValidator(_words)]


class _SourceDoc(Settings):
    kind: Kind | None = None
    wav: _Wav | None = None

    @model_validator(mode="after")
    def _is_one_source(self) -> Self:
        if (self.kind is None) == (self.wav is None):
            raise ValueError("needs a kind or a wav file, one of them")
        return self

    def make(self, ms: int, level: float) -> script.Noise:
        match self.wav, self.kind:
            case _Recording() as recording, _:
                return script.Noise(f"({recording.name})", scaled(recording.audio, level))
            case _, str() as kind:
                return script.Noise(kind, noise(kind, ms, level))
        raise TypeError("one of them is always given")


class _NoiseDoc(_SourceDoc):
    ms: Annotated[int, Field(gt=0, le=60_000)] = 300
    level: _Level = 0.3

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if self.wav is not None and "ms" in self.model_fields_set:
            raise ValueError("a recording is as long as it is: leave out ms")
        return self

    def sound(self) -> script.Noise:
        return self.make(self.ms, self.level)


class _BackgroundDoc(_SourceDoc):
    level: _Level = 0.02

    def audio(self) -> bytes:
        return self.make(BACKGROUND_MS, self.level).audio


class _WaitForAgentDoc(Settings):
    timeout: _Seconds = 10.0
    silence_ms: _Milliseconds = 800
    required: StrictBool = True


class _InterruptDoc(Settings):
    after_ms: _Milliseconds
    say: _Said | None = None
    noise: _NoiseDoc | None = None
    timeout: _Seconds = 10.0

    @model_validator(mode="after")
    def _has_one_sound(self) -> Self:
        if (self.say is None) == (self.noise is None):
            raise ValueError("needs say or noise, one of them")
        return self

    def sound(self) -> script.Utterance | script.Noise:
        return next(doc.sound() for doc in (self.say, self.noise) if doc is not None)


class _SecondsDoc(Settings):
    seconds: _Seconds


class _WaitForEndDoc(Settings):
    timeout: _Seconds = 60.0


class _UpdateDoc(Settings):
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class _OddDoc(Settings):
    kind: script.Oddity
    seconds: _Seconds = 2.0


class _EmptyDoc(Settings):
    pass


def _are_keys(digits: str) -> str:
    if not re.fullmatch(r"[0-9A-D*#]{1,64}", digits):
        raise ValueError("a telephone has the keys 0-9, *, # and A-D; at most 64 of them")
    return digits


_Digits = Annotated[str, AfterValidator(_are_keys)]


class _KeysDoc(Settings):
    digits: _Digits
    gap_ms: _Milliseconds = 200


_Keys = Annotated[Annotated[_KeysDoc, Structured] | Annotated[_Digits, Plain], EITHER]


def _pressed(keys: _KeysDoc | str) -> script.PressDigits:
    return script.PressDigits(keys) if isinstance(keys, str) else script.PressDigits(keys.digits, keys.gap_ms)


class _PauseDoc(Settings):
    seconds: _Seconds
    dtmf: _Keys | None = None

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        keys = self.keys()
        if keys is not None and (needed := keys.gap_ms / 1000 + keys.seconds) > self.seconds:
            raise ValueError(f"pressing the keys takes {needed:g} s, the pause is {self.seconds:g} s only")
        return self

    def keys(self) -> script.PressDigits | None:
        return None if self.dtmf is None else _pressed(self.dtmf)


class _StepDoc(Settings):
    wait_for_agent: _WaitForAgentDoc | None = None
    say: _Said | None = None
    noise: _NoiseDoc | None = None
    interrupt: _InterruptDoc | None = None
    dtmf: _Keys | None = None
    hold: _PauseDoc | None = None
    secure_pause: _PauseDoc | None = None
    update: _UpdateDoc | None = None
    odd: _OddDoc | None = None
    wait: _SecondsDoc | None = None
    wait_for_end: _WaitForEndDoc | None = None
    hang_up: _EmptyDoc | None = None

    @model_validator(mode="before")
    @classmethod
    def _needs_no_value(cls, value: object) -> object:
        if isinstance(value, dict):
            bare = ("wait_for_agent", "wait_for_end", "hang_up")
            return {k: {} if v is None and k in bare else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _is_one_step(self) -> Self:
        names = sorted(self.model_fields_set)
        if len(names) != 1:
            raise ValueError(
                f"should be exactly one step, but holds {', '.join(names) or 'none'}; begin each with a dash"
            )
        if getattr(self, names[0]) is None:
            raise ValueError(f"`{names[0]}` has no value")
        return self


class _RangeDoc(Settings):
    min: _Limit | None = None
    max: _Limit | None = None

    @model_validator(mode="after")
    def _is_range(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is more than max {self.max:g}")
        return self


class _BargeInDoc(Settings):
    count: Annotated[int, Field(ge=0)] | None = None
    max_stop_ms: _Limit | None = None


def _is_pattern(value: str) -> str:
    if (pattern := script.as_pattern(value)) is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{value} is no regular expression: {error}") from None
    return value


class _ExpectDoc(Settings):
    ended_by: Literal["agent", "caller"] | None = None
    reason: Literal["completed", "unauthorized", "error"] | None = None
    output_variables: dict[str, Annotated[str, AfterValidator(_is_pattern)]] = Field(default={})
    heard_seconds: _RangeDoc = _RangeDoc()
    barge_in: _BargeInDoc = _BargeInDoc()
    max_first_audio_ms: _Limit | None = None
    max_response_ms: _Limit | None = None
    max_cut_off_ms: _Limit | None = None
    max_seconds: _Limit | None = None
    no_protocol_errors: StrictBool = True


def _end_with_the_call(steps: list[_StepDoc]) -> list[_StepDoc]:
    for number, step in enumerate(steps[:-1], 1):
        if step.hang_up is not None or step.wait_for_end is not None:
            name = "hang_up" if step.hang_up is not None else "wait_for_end"
            raise ValueError(f"nothing can follow `{name}`, which is step {number} of {len(steps)}")
    return steps


class ScenarioDoc(Settings):
    """A whole scenario file."""

    name: str = ""
    connector_id: str | None = None
    inputs: dict[str, str] = Field(default={})
    language: str = "en-us"
    ani: str = "tel:+13175550123"
    ani_name: str = ""
    dnis: str = "tel:+13175550199"
    start_burst_ms: Annotated[int, Field(ge=0, le=20_000)] = 200
    playback_delay_ms: Annotated[int, Field(ge=0, le=5_000)] = 0
    playback_reports: StrictBool = True
    background: _BackgroundDoc | None = None
    stay: _Seconds = 30.0
    steps: Annotated[list[_StepDoc], Field(min_length=1, max_length=1000), AfterValidator(_end_with_the_call)]
    expect: _ExpectDoc = _ExpectDoc()


def _step(doc: _StepDoc) -> script.Step:
    match doc:
        case _StepDoc(wait_for_agent=_WaitForAgentDoc() as step):
            return script.WaitForAgent(step.timeout, step.silence_ms, step.required)
        case _StepDoc(say=_SayDoc() as said):
            return script.Say(said.sound())
        case _StepDoc(interrupt=_InterruptDoc() as step):
            return script.Interrupt(step.after_ms, step.sound(), step.timeout)
        case _StepDoc(noise=_NoiseDoc() as step):
            return script.MakeNoise(step.sound())
        case _StepDoc(dtmf=str() | _KeysDoc() as keys):
            return _pressed(keys)
        case _StepDoc(hold=_PauseDoc() as step):
            return script.HoldLine(step.seconds, step.keys())
        case _StepDoc(secure_pause=_PauseDoc() as step):
            return script.HoldLine(step.seconds, step.keys(), secure=True)
        case _StepDoc(update=_UpdateDoc() as step):
            return script.ChangeLanguage(step.language)
        case _StepDoc(odd=_OddDoc() as step):
            return script.BeOdd(step.kind, step.seconds)
        case _StepDoc(wait=_SecondsDoc() as step):
            return script.Wait(step.seconds)
        case _StepDoc(wait_for_end=_WaitForEndDoc() as step):
            return script.WaitForEnd(step.timeout)
        case _:
            return script.HangUp()


def to_scenario(doc: ScenarioDoc) -> script.Scenario:
    """Return the scenario that a valid document describes."""
    expect = doc.expect
    return script.Scenario(
        steps=tuple(map(_step, doc.steps)),
        name=doc.name,
        connector_id=doc.connector_id,
        inputs=doc.inputs,
        language=doc.language,
        ani=doc.ani,
        ani_name=doc.ani_name,
        dnis=doc.dnis,
        start_burst_ms=doc.start_burst_ms,
        playback_delay_ms=doc.playback_delay_ms,
        playback_reports=doc.playback_reports,
        background=b"" if doc.background is None else doc.background.audio(),
        stay=doc.stay,
        expect=script.Expectations(
            ended_by=expect.ended_by,
            reason=expect.reason,
            output_variables=expect.output_variables,
            heard_seconds=script.HeardSeconds(expect.heard_seconds.min, expect.heard_seconds.max),
            barge_in=script.ExpectedBargeIn(expect.barge_in.count, expect.barge_in.max_stop_ms),
            max_first_audio_ms=expect.max_first_audio_ms,
            max_response_ms=expect.max_response_ms,
            max_cut_off_ms=expect.max_cut_off_ms,
            max_seconds=expect.max_seconds,
            no_protocol_errors=expect.no_protocol_errors,
        ),
    )
