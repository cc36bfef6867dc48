"""What a call is told before it starts: the agent's part of it, rendered and ready to be sent."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from offhook.realtime import AudioConfig, AudioInput, SemanticVad, ServerVad, SessionConfig


class Greeting(msgspec.Struct, frozen=True):
    """How the agent opens the call; exactly one of the two is set."""

    instructions: str | None = None
    """The model words the greeting itself, following these instructions."""
    text: str | None = None
    """The model says exactly this (legal wording, brand wording)."""


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `bridge.Call` needs to know of the agent; made by `agents.planning` when `open` arrives."""

    agent: str
    """Name of the agent in the configuration."""
    session: SessionConfig
    """Payload of the one `session.update`: instructions rendered, PCMU both ways, tools declared."""
    mode: Literal["talk", "listen"] = "talk"
    """`listen` opens no Realtime session, never speaks and sends no events."""
    greeting: Greeting | None = None
    """None: the agent waits for the caller."""
    outputs: Mapping[str, str] = {}
    """Declared output variables with their defaults."""
    tools: frozenset[str] = frozenset()
    """Names of the function tools that the shell runs (not those of call control)."""
    dtmf_timeout: float = 1.5
    """Seconds without a further digit after which collected DTMF digits go to the model; `#` sends them at once."""
    bot_turn_response: bool = True
    """Tell Genesys the text of each agent turn in a `bot_turn_response` event."""
    goodbye_timeout: float = 10.0
    """Seconds that a promised goodbye may take to begin before the call ends without it."""

    @property
    def interruptible(self) -> bool:
        """The agent stops talking when the caller speaks."""
        detection = self._turn_detection
        return detection is None or detection.interrupt_response is not False

    @property
    def answers_itself(self) -> bool:
        """The server answers the caller's turns without being asked."""
        detection = self._turn_detection
        return detection is not None and detection.create_response is not False

    @property
    def transcribes(self) -> bool:
        """The caller's words are transcribed."""
        return bool(self._input.transcription)

    @property
    def _turn_detection(self) -> ServerVad | SemanticVad | None:
        return self._input.turn_detection or None

    @property
    def _input(self) -> AudioInput:
        audio = self.session.audio or AudioConfig()
        return audio.input or AudioInput()
