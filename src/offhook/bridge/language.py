"""What a change of language changes in the session of the model."""

import msgspec

from offhook.realtime import AudioConfig, AudioInput, SessionConfig


def changed_settings(old: SessionConfig, new: SessionConfig) -> SessionConfig | None:
    """Return the update for a running session; None when nothing is different.

    Instructions and the transcription of the caller may change at any time. The voice cannot once it has been heard
    (openai-realtime.md §3), and the audio formats never do.
    """
    changes = SessionConfig()
    if new.instructions != old.instructions:
        changes = msgspec.structs.replace(changes, instructions=new.instructions)
    transcription = _input(new).transcription
    if transcription != _input(old).transcription:
        changes = msgspec.structs.replace(changes, audio=AudioConfig(input=AudioInput(transcription=transcription)))
    return None if changes == SessionConfig() else changes


def with_voice(new: SessionConfig, old: SessionConfig) -> SessionConfig:
    """Return the new settings with the voice of the old ones: another session of the same call speaks with it, too."""
    audio, before = new.audio or AudioConfig(), old.audio or AudioConfig()
    if not audio.output or not before.output:
        return new
    output = msgspec.structs.replace(audio.output, voice=before.output.voice)
    return msgspec.structs.replace(new, audio=msgspec.structs.replace(audio, output=output))


def _input(session: SessionConfig) -> AudioInput:
    return (session.audio or AudioConfig()).input or AudioInput()
