"""From an agent to the payload of the one ``session.update`` (openai-realtime.md §3).

Everything is sent explicitly, for defaults differ between servers and change between models. Two settings stay absent
unless they are set: ``reasoning``, for which a model that cannot reason refuses the whole update (trap 26), and
``parallel_tool_calls``.
"""

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from offhook import realtime
from offhook.agents.agent import Agent
from offhook.agents.settings import NamedTool, RetentionRatio, ServerVad, Transcription
from offhook.realtime import (
    PCMU,
    AudioConfig,
    AudioInput,
    AudioOutput,
    FunctionTool,
    NoiseReduction,
    Reasoning,
    SessionConfig,
    TokenLimits,
    ToolChoice,
    TranscriptionConfig,
    Truncation,
)
from offhook.tools import ToolDefinition


def session_config(agent: Agent, instructions: str, tools: Iterable[ToolDefinition]) -> SessionConfig:
    """Return the session for one call: ``instructions`` rendered, PCMU both ways, ``tools`` and hosted MCP servers."""
    declared = tuple(
        FunctionTool(name=tool.name, description=tool.description, parameters=dict(tool.parameters)) for tool in tools
    )
    return SessionConfig(
        output_modalities=("audio",),
        instructions=instructions,
        audio=AudioConfig(
            input=AudioInput(
                format=PCMU,
                noise_reduction=NoiseReduction(type=agent.noise_reduction) if agent.noise_reduction else None,
                transcription=_transcription(agent.transcription),
                turn_detection=_turn_detection(agent),
            ),
            output=AudioOutput(format=PCMU, voice=agent.voice, speed=agent.speed),
        ),
        tools=(*declared, *(server.session_tool() for server in agent.hosted_mcp)),
        tool_choice=_tool_choice(agent),
        parallel_tool_calls=UNSET if agent.parallel_tool_calls is None else agent.parallel_tool_calls,
        reasoning=UNSET if agent.reasoning_effort is None else Reasoning(agent.reasoning_effort),
        max_output_tokens=agent.max_output_tokens,
        truncation=_truncation(agent),
    )


def _transcription(transcription: Transcription | None) -> TranscriptionConfig | None:
    if transcription is None:
        return None
    return TranscriptionConfig(
        model=transcription.model,
        language=transcription.language or UNSET,
        prompt=transcription.prompt or UNSET,
        keywords=tuple(transcription.keywords) or UNSET,
    )


def _turn_detection(agent: Agent) -> realtime.TurnDetection:
    detection = agent.turn_detection
    if isinstance(detection, ServerVad):
        return realtime.ServerVad(
            threshold=detection.threshold,
            prefix_padding_ms=detection.prefix_padding_ms,
            silence_duration_ms=detection.silence_duration_ms,
            idle_timeout_ms=detection.idle_timeout_ms,
            create_response=detection.create_response,
            interrupt_response=detection.interrupt_response,
        )
    return realtime.SemanticVad(
        eagerness=detection.eagerness,
        create_response=detection.create_response,
        interrupt_response=detection.interrupt_response,
    )


def decided_here(session: SessionConfig) -> SessionConfig:
    """Return the session with a server that finds turns and does nothing about them; all else stays as it is.

    Both or none: a server that answers and may not interrupt swallows turns (trap 32).
    """
    audio = session.audio
    if not isinstance(audio, AudioConfig) or not isinstance(audio.input, AudioInput):
        return session
    detection = audio.input.turn_detection
    if not isinstance(detection, realtime.ServerVad | realtime.SemanticVad):
        return session
    detection = replace(detection, create_response=False, interrupt_response=False)
    return replace(session, audio=replace(audio, input=replace(audio.input, turn_detection=detection)))


def _tool_choice(agent: Agent) -> str | ToolChoice:
    if isinstance(agent.tool_choice, NamedTool):
        return ToolChoice(type="function", name=agent.tool_choice.name)
    return agent.tool_choice


def _truncation(agent: Agent) -> str | Truncation:
    if not isinstance(agent.truncation, RetentionRatio):
        return agent.truncation
    limit = agent.truncation.post_instructions
    return Truncation(
        retention_ratio=agent.truncation.retention_ratio,
        token_limits=UNSET if limit is None else TokenLimits(post_instructions=limit),
    )
