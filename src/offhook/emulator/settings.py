"""The effective session, and the rules by which `session.update` changes it (openai-realtime.md §3)."""

import re
from typing import Final

import msgspec

from offhook.emulator.formats import PCM, PCM_RATE, PCMA, PCMU
from offhook.emulator.refusals import Refused
from offhook.realtime import (
    AudioConfig,
    AudioFormat,
    AudioInput,
    AudioOutput,
    FunctionTool,
    McpTool,
    SemanticVad,
    ServerVad,
    Session,
    SessionConfig,
    Tool,
    ToolChoice,
    TranscriptionConfig,
    TurnDetection,
    VoiceId,
    merge_config,
)
from offhook.realtime.wire import Maybe, given

VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
REASONING_MODEL: Final = re.compile(r"gpt-realtime-[2-9](\.\d+)?(-mini)?(-\d{4}-\d\d-\d\d)?")
"""The models that take `reasoning`; `gpt-realtime-2025-08-28` is not one of them."""

_VAD_DEFAULTS: Final[dict[str, object]] = {
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_DEFAULTS: Final[dict[str, object]] = {
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


def initial_session(session_id: str, model: str, expires_at: int) -> Session:
    """Return the session that `session.created` shows: 24 kHz PCM and the server's own prompt (trap 16)."""
    pcm = AudioFormat(PCM, PCM_RATE)
    vad = ServerVad(
        threshold=0.5,
        prefix_padding_ms=300,
        silence_duration_ms=200,
        idle_timeout_ms=None,
        create_response=True,
        interrupt_response=True,
    )
    return Session(
        object="realtime.session",
        id=session_id,
        model=model,
        expires_at=expires_at,
        output_modalities=("audio",),
        instructions="Your knowledge cutoff is 2024-10. You are a helpful, witty, and friendly AI.",
        tools=(),
        tool_choice="auto",
        max_output_tokens="inf",
        tracing=None,
        truncation="auto",
        prompt=None,
        include=None,
        audio=AudioConfig(
            input=AudioInput(format=pcm, transcription=None, noise_reduction=None, turn_detection=vad),
            output=AudioOutput(format=pcm, voice="marin", speed=1.0),
        ),
    )


class Settings:
    """Holds the effective session; an update changes all it names or, if one field is bad, nothing."""

    def __init__(self, session_id: str, model: str, expires_at: int) -> None:
        self.session = initial_session(session_id, model, expires_at)

    def update(self, config: SessionConfig, *, spoken: bool) -> Session:
        """Apply an update and return the effective session.

        Args:
            config: what the client sent.
            spoken: whether audio was already produced, which fixes the voice (trap 27).

        Raises:
            Refused: nothing was changed.
        """
        _check_presence(config)
        merged = _completed(merge_config(self.session, config))
        _check(merged)
        if spoken and given(_output(merged).voice) != given(self.output.voice):
            raise Refused("cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.")
        self.session = merged
        return merged

    @property
    def input(self) -> AudioInput:
        """Everything about the caller's audio."""
        return _input(self.session)

    @property
    def output(self) -> AudioOutput:
        """Everything about the agent's audio."""
        return _output(self.session)

    @property
    def input_kind(self) -> str:
        """Type of the input format."""
        return _kind(self.input.format)

    @property
    def detection(self) -> TurnDetection | None:
        """Turn detection, None when the client commits by itself."""
        detection = self.input.turn_detection
        return detection if isinstance(detection, ServerVad | SemanticVad) else None

    @property
    def transcription(self) -> TranscriptionConfig | None:
        """Transcription of the caller, None when it is off."""
        return given(self.input.transcription)

    @property
    def instructions(self) -> str:
        """The session's prompt."""
        return given(self.session.instructions) or ""

    @property
    def modality(self) -> str:
        """`audio` or `text`."""
        return (given(self.session.output_modalities) or ("audio",))[0]

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Declared tools."""
        return given(self.session.tools) or ()


def function_names(tools: tuple[Tool, ...]) -> tuple[str, ...]:
    """Return the names of the function tools, in the order of their declaration."""
    return tuple(tool.name for tool in tools if isinstance(tool, FunctionTool) and isinstance(tool.name, str))


def forced_function(choice: Maybe[str | ToolChoice | None]) -> str | None:
    """Return the function that a tool choice insists on."""
    if isinstance(choice, ToolChoice) and choice.type == "function":
        return given(choice.name) or ""
    return None


def check_modalities(modalities: tuple[str, ...] | None, param: str) -> None:
    """Refuse anything but audio alone or text alone."""
    if modalities not in (("audio",), ("text",)):
        raise Refused("invalid_value", "Invalid modalities. Supported combinations are: ['text'] and ['audio'].", param)


def check_token_limit(limit: Maybe[int | str | None], param: str) -> None:
    """Refuse a limit outside 1 to 4096 and other words than `inf`."""
    value = given(limit)
    if value is None or value == "inf" or (isinstance(value, int) and 1 <= value <= 4096):
        return
    raise Refused("invalid_value", "Invalid value: expected an integer from 1 to 4096 or 'inf'.", param)


def check_tool_choice(choice: Maybe[str | ToolChoice | None], tools: tuple[Tool, ...], param: str) -> None:
    """Refuse an unknown mode and a function that is not declared."""
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise Refused("invalid_value", f"Invalid value: '{choice}'. Use 'auto', 'none' or 'required'.", param)
        return
    forced = forced_function(choice)
    if forced is not None and forced not in function_names(tools):
        raise Refused("invalid_value", f"Tool choice '{forced}' not found in 'tools' parameter.", param)


def _input(session: Session) -> AudioInput:
    return given((given(session.audio) or AudioConfig()).input) or AudioInput()


def _output(session: Session) -> AudioOutput:
    return given((given(session.audio) or AudioConfig()).output) or AudioOutput()


def _kind(audio_format: Maybe[AudioFormat | None]) -> str:
    found = given(audio_format)
    return found.type if found is not None else PCM


def _check_presence(config: SessionConfig) -> None:
    """Refuse null where there is nothing to clear."""
    if config.audio is None:
        raise Refused("invalid_type", "Invalid type for 'session.audio': expected an object.", "session.audio")
    audio = given(config.audio) or AudioConfig()
    for name, side in (("input", audio.input), ("output", audio.output)):
        param = f"session.audio.{name}"
        if side is None:
            raise Refused("invalid_type", f"Invalid type for '{param}': expected an object.", param)
        if isinstance(side, AudioInput | AudioOutput) and side.format is None:
            raise Refused("invalid_type", f"Invalid type for '{param}.format': expected an object.", f"{param}.format")


def _completed(session: Session) -> Session:
    """Fill the turn detection that the client left open with defaults, as the echo shows them."""
    detection = _input(session).turn_detection
    if not isinstance(detection, ServerVad | SemanticVad):
        return session
    defaults = _VAD_DEFAULTS if isinstance(detection, ServerVad) else _SEMANTIC_DEFAULTS
    missing = {name: value for name, value in defaults.items() if given(getattr(detection, name)) is None}
    if isinstance(detection, ServerVad) and given(detection.idle_timeout_ms) is None:
        missing["idle_timeout_ms"] = None
    full = msgspec.structs.replace(detection, **missing)
    return merge_config(session, SessionConfig(audio=AudioConfig(input=AudioInput(turn_detection=full))))


def _check(session: Session) -> None:
    """Refuse a session in which a value is not allowed."""
    check_modalities(given(session.output_modalities), "session.output_modalities")
    check_token_limit(session.max_output_tokens, "session.max_output_tokens")
    _check_format(_input(session).format, "session.audio.input.format")
    _check_format(_output(session).format, "session.audio.output.format")
    _check_output(_output(session))
    _check_input(_input(session))
    tools = given(session.tools) or ()
    for n, tool in enumerate(tools):
        _check_tool(tool, f"session.tools[{n}]")
    check_tool_choice(session.tool_choice, tools, "session.tool_choice")
    if given(session.reasoning) is not None and not REASONING_MODEL.fullmatch(given(session.model) or ""):
        raise Refused(
            "invalid_value", "Reasoning is not supported with the current model.", "session.reasoning"
        )  # trap 26


def _check_format(audio_format: Maybe[AudioFormat | None], param: str) -> None:
    found = given(audio_format)
    kind = _kind(audio_format)
    rate = given(found.rate) if found is not None else None
    if kind not in (PCM, PCMU, PCMA):
        raise Refused("invalid_value", f"Invalid value: '{kind}'. Supported values are: {PCM}, {PCMU}, {PCMA}.", param)
    if kind == PCM and rate is None:
        raise Refused("missing_required_parameter", f"Missing required parameter: '{param}.rate'.", f"{param}.rate")
    if kind == PCM and rate != PCM_RATE:
        raise Refused("invalid_value", f"Invalid value: {rate}. Only {PCM_RATE} is supported.", f"{param}.rate")
    if kind != PCM and rate is not None:
        raise Refused("unknown_parameter", f"Unknown parameter: '{param}.rate'.", f"{param}.rate")  # trap 17


def _check_output(output: AudioOutput) -> None:
    voice = given(output.voice)
    if not isinstance(voice, VoiceId) and voice not in VOICES:
        names = ", ".join(f"'{name}'" for name in VOICES)
        raise Refused(
            "invalid_value", f"Invalid value: '{voice}'. Supported values are: {names}.", "session.audio.output.voice"
        )
    _check_range(given(output.speed), 0.25, 1.5, "session.audio.output.speed")


def _check_input(audio: AudioInput) -> None:
    noise = given(audio.noise_reduction)
    if noise is not None and given(noise.type) not in ("near_field", "far_field"):
        raise Refused(
            "invalid_value",
            f"Invalid value: '{given(noise.type)}'. Supported values are: 'near_field' and 'far_field'.",
            "session.audio.input.noise_reduction.type",
        )
    detection = given(audio.turn_detection)
    param = "session.audio.input.turn_detection"
    if isinstance(detection, ServerVad):
        _check_range(given(detection.threshold), 0.0, 1.0, f"{param}.threshold")
        _check_range(given(detection.prefix_padding_ms), 0, 60_000, f"{param}.prefix_padding_ms")
        _check_range(given(detection.silence_duration_ms), 0, 60_000, f"{param}.silence_duration_ms")
        _check_range(given(detection.idle_timeout_ms), 5000, 30_000, f"{param}.idle_timeout_ms")
    elif isinstance(detection, SemanticVad) and given(detection.eagerness) not in ("low", "medium", "high", "auto"):
        raise Refused("invalid_value", f"Invalid value: '{given(detection.eagerness)}'.", f"{param}.eagerness")


def _check_range(value: float | None, least: float, most: float, param: str) -> None:
    if value is not None and not least <= value <= most:
        code = "decimal_below_min_value" if value < least else "decimal_above_max_value"
        raise Refused(code, f"Invalid '{param}': expected a value from {least} to {most}, got {value}.", param)


def _check_tool(tool: Tool, param: str) -> None:
    if isinstance(tool, McpTool):
        return
    name = given(tool.name)
    if name is None:
        raise Refused("missing_required_parameter", f"Missing required parameter: '{param}.name'.", f"{param}.name")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        raise Refused("invalid_value", f"Invalid '{param}.name': use letters, digits, _ and -.", f"{param}.name")
