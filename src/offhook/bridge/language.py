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


def in_other_language(old: SessionConfig, new: SessionConfig) -> SessionConfig:
    """Return the settings with what a change of language changes, and nothing else.

    Another session of the same call is made with them: it has the voice that the caller knows, and finds turns as the
    call has been told at its beginning.
    """
    audio = old.audio or AudioConfig()
    heard = msgspec.structs.replace(_input(old), transcription=_input(new).transcription)
    return msgspec.structs.replace(
        old, instructions=new.instructions, audio=msgspec.structs.replace(audio, input=heard)
    )


def _input(session: SessionConfig) -> AudioInput:
    return (session.audio or AudioConfig()).input or AudioInput()
