"""Session configuration: the payload of `session.update` and what the server echoes (openai-realtime.md §3).

Absent (UNSET) means "not changed", None means "cleared". Milliseconds carry `_ms`, `speed` is a factor.
"""

from typing import TypeAlias, TypeVar

import msgspec
from msgspec import UNSET

from offhook.realtime.items import InputItem
from offhook.realtime.wire import Maybe

Config = TypeVar("Config", bound=msgspec.Struct)


class AudioFormat(msgspec.Struct, frozen=True):
    """`audio/pcm` (with `rate` 24000, trap 17), `audio/pcmu` or `audio/pcma` (without a rate)."""

    type: str
    rate: Maybe[int | None] = UNSET


PCMU = AudioFormat("audio/pcmu")
"""µ-law, 8000 samples per second, one byte each: what Genesys speaks."""


class NoiseReduction(msgspec.Struct, frozen=True, kw_only=True):
    """`near_field` for handsets, `far_field` for speakerphones; applied before turn detection."""

    type: Maybe[str | None] = UNSET
    strength: Maybe[float | None] = UNSET


class TranscriptionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The separate speech recognition of the caller's audio, billed apart (§3, trap 28)."""

    model: Maybe[str | None] = UNSET
    language: Maybe[str | None] = UNSET
    languages: Maybe[tuple[str, ...] | None] = UNSET
    keywords: Maybe[tuple[str, ...] | None] = UNSET
    prompt: Maybe[str | None] = UNSET
    delay: Maybe[str | None] = UNSET


class ServerVad(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """Turn detection by loudness and silence; defaults differ between servers, so set all of them (§3)."""

    threshold: Maybe[float | None] = UNSET
    prefix_padding_ms: Maybe[int | None] = UNSET
    silence_duration_ms: Maybe[int | None] = UNSET
    idle_timeout_ms: Maybe[int | None] = UNSET
    create_response: Maybe[bool | None] = UNSET
    interrupt_response: Maybe[bool | None] = UNSET


class SemanticVad(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """Turn detection by meaning; `eagerness` low, medium, high or auto."""

    eagerness: Maybe[str | None] = UNSET
    create_response: Maybe[bool | None] = UNSET
    interrupt_response: Maybe[bool | None] = UNSET


TurnDetection: TypeAlias = ServerVad | SemanticVad


class AudioInput(msgspec.Struct, frozen=True, kw_only=True):
    """What the server makes of the caller's audio."""

    format: Maybe[AudioFormat | None] = UNSET
    noise_reduction: Maybe[NoiseReduction | None] = UNSET
    transcription: Maybe[TranscriptionConfig | None] = UNSET
    turn_detection: Maybe[TurnDetection | None] = UNSET


class VoiceId(msgspec.Struct, frozen=True):
    """A custom voice."""

    id: str


class AudioOutput(msgspec.Struct, frozen=True, kw_only=True):
    """How the agent sounds. The voice is fixed after the first audio (trap 27); `speed` 0.25 to 1.5."""

    format: Maybe[AudioFormat | None] = UNSET
    voice: Maybe[str | VoiceId | None] = UNSET
    speed: Maybe[float | None] = UNSET


class AudioConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Both directions of audio."""

    input: Maybe[AudioInput | None] = UNSET
    output: Maybe[AudioOutput | None] = UNSET


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A tool that we run; `parameters` is its JSON schema."""

    name: Maybe[str | None] = UNSET
    description: Maybe[str | None] = UNSET
    parameters: Maybe[object] = UNSET


class ToolFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Picks tools of an MCP server."""

    tool_names: Maybe[tuple[str, ...] | None] = UNSET
    read_only: Maybe[bool | None] = UNSET


class ApprovalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which MCP calls always or never need approval."""

    always: Maybe[ToolFilter | None] = UNSET
    never: Maybe[ToolFilter | None] = UNSET


class McpTool(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """Tools that OpenAI calls at an MCP server; `authorization` and `headers` are secrets (§5.4)."""

    server_label: str
    server_url: Maybe[str | None] = UNSET
    connector_id: Maybe[str | None] = UNSET
    tunnel_id: Maybe[str | None] = UNSET
    server_description: Maybe[str | None] = UNSET
    authorization: Maybe[str | None] = UNSET
    headers: Maybe[dict[str, str] | None] = UNSET
    allowed_tools: Maybe[tuple[str, ...] | ToolFilter | None] = UNSET
    allowed_callers: Maybe[tuple[str, ...] | None] = UNSET
    require_approval: Maybe[str | ApprovalFilter | None] = UNSET
    defer_loading: Maybe[bool | None] = UNSET

    def __repr__(self) -> str:
        """Name the server only: the other fields hold secrets."""
        return f"McpTool(server_label={self.server_label!r})"


Tool: TypeAlias = FunctionTool | McpTool


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Forces one tool: type `function` with a name, or type `mcp` with a server label."""

    type: str
    name: Maybe[str | None] = UNSET
    server_label: Maybe[str] = UNSET


class Reasoning(msgspec.Struct, frozen=True):
    """Effort minimal, low, medium, high or xhigh; a model that cannot reason refuses the whole update (trap 26)."""

    effort: Maybe[str | None] = UNSET


class TokenLimits(msgspec.Struct, frozen=True):
    """Context limits in tokens."""

    post_instructions: Maybe[int | None] = UNSET


class Truncation(msgspec.Struct, frozen=True, kw_only=True):
    """Keeps `retention_ratio` of the context when it overflows."""

    type: str = "retention_ratio"
    retention_ratio: float
    token_limits: Maybe[TokenLimits | None] = UNSET


class Tracing(msgspec.Struct, frozen=True, kw_only=True):
    """Trace settings at OpenAI."""

    workflow_name: Maybe[str | None] = UNSET
    group_id: Maybe[str | None] = UNSET
    metadata: Maybe[object] = UNSET


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A stored prompt; the feature ends 2026-11-30 (§3)."""

    id: str
    version: Maybe[str | None] = UNSET
    variables: Maybe[dict[str, object] | None] = UNSET


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="realtime"):
    """The payload of `session.update` (§3); everything is optional, one bad field rejects all of it."""

    output_modalities: Maybe[tuple[str, ...] | None] = UNSET
    instructions: Maybe[str | None] = UNSET
    audio: Maybe[AudioConfig | None] = UNSET
    tools: Maybe[tuple[Tool, ...] | None] = UNSET
    tool_choice: Maybe[str | ToolChoice | None] = UNSET
    parallel_tool_calls: Maybe[bool | None] = UNSET
    reasoning: Maybe[Reasoning | None] = UNSET
    max_output_tokens: Maybe[int | str | None] = UNSET
    truncation: Maybe[str | Truncation | None] = UNSET
    tracing: Maybe[str | Tracing | None] = UNSET
    include: Maybe[tuple[str, ...] | None] = UNSET


class Session(SessionConfig, frozen=True, kw_only=True, tag_field="type", tag="realtime"):
    """The whole effective session as `session.created` and `session.updated` show it.

    `expires_at` is the end of the session in Unix seconds (§1.6).
    """

    object: Maybe[str | None] = UNSET
    id: Maybe[str | None] = UNSET
    model: Maybe[str | None] = UNSET
    expires_at: Maybe[int | None] = UNSET
    prompt: Maybe[Prompt | None] = UNSET


class ResponseAudioOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Format and voice of one response."""

    format: Maybe[AudioFormat | None] = UNSET
    voice: Maybe[str | VoiceId | None] = UNSET


class ResponseAudio(msgspec.Struct, frozen=True, kw_only=True):
    """Audio settings of one response."""

    output: Maybe[ResponseAudioOutput | None] = UNSET


class ResponseParams(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of `response.create` (§5.5); `instructions` replace those of the session (trap 22)."""

    conversation: Maybe[str | None] = UNSET
    input: Maybe[tuple[InputItem, ...] | None] = UNSET
    instructions: Maybe[str | None] = UNSET
    output_modalities: Maybe[tuple[str, ...] | None] = UNSET
    audio: Maybe[ResponseAudio | None] = UNSET
    tools: Maybe[tuple[Tool, ...] | None] = UNSET
    tool_choice: Maybe[str | ToolChoice | None] = UNSET
    parallel_tool_calls: Maybe[bool | None] = UNSET
    reasoning: Maybe[Reasoning | None] = UNSET
    max_output_tokens: Maybe[int | str | None] = UNSET
    prompt: Maybe[Prompt | None] = UNSET
    metadata: Maybe[dict[str, str] | None] = UNSET


_MERGED = (SessionConfig, AudioConfig, AudioInput, AudioOutput, ServerVad, SemanticVad, NoiseReduction, Reasoning)


def merge_config(current: Config, update: msgspec.Struct) -> Config:
    """Apply a partial `session.update` to a configuration, as the server does: only given fields change.

    Nested settings of the same kind merge field by field; formats, tools, transcription and choices are replaced
    as a whole, because their fields only make sense together.
    """
    changes: dict[str, object] = {}
    for name in update.__struct_fields__:
        new = getattr(update, name)
        if new is UNSET:
            continue
        old = getattr(current, name)
        # A Session may take over a SessionConfig, hence "same kind" is asked of the nested values only.
        changes[name] = merge_config(old, new) if isinstance(new, _MERGED) and type(old) is type(new) else new
    return msgspec.structs.replace(current, **changes)
