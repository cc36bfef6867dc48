"""What a caller does during a call, and what is expected of it: the steps as plain values.

`scenario.py` reads them from YAML; a program may build them itself.
"""

from typing import Literal, Protocol

import msgspec


class Utterance(msgspec.Struct, frozen=True):
    """Something the caller says: a text, or a recording when `audio` is given."""

    text: str
    """What is said, for people to read; the sound is made of it when there is no `audio`."""
    audio: bytes | None = None
    """8 kHz µ-law."""


class Noise(msgspec.Struct, frozen=True):
    """Something that is heard on the caller's side and is no speech: nobody expects an answer to it."""

    name: str
    """For people to read, such as `cough`."""
    audio: bytes
    """8 kHz µ-law; `offhook.speech.noise` makes some."""


class WaitForAgent(msgspec.Struct, frozen=True):
    """Until the agent has spoken since the last step and has fallen silent."""

    timeout: float = 10.0
    """Seconds for the agent to begin to speak."""
    silence_ms: int = 800
    """Milliseconds of quiet that count as silent."""
    required: bool = True
    """False: an agent that says nothing is no failure."""


class Say(msgspec.Struct, frozen=True):
    """Speak; over when the last sample has been said."""

    utterance: Utterance


class MakeNoise(msgspec.Struct, frozen=True):
    """Let a noise be heard; over with its last sample."""

    noise: Noise


class Interrupt(msgspec.Struct, frozen=True):
    """Speak, or be noisy, over the agent, once so much of what it says now has been heard."""

    after_ms: int
    sound: Utterance | Noise
    timeout: float = 10.0
    """Seconds for the agent to begin to speak."""


class PressDigits(msgspec.Struct, frozen=True):
    """Press keys, one after the other."""

    digits: str
    gap_ms: int = 200
    """From one key to the next."""

    @property
    def seconds(self) -> float:
        """From the first key to the last."""
        return (len(self.digits) - 1) * self.gap_ms / 1000


class HoldLine(msgspec.Struct, frozen=True):
    """Pause the call on our side, so that no audio flows: the agent is on hold, or a secure pause keeps it out."""

    seconds: float
    keys: PressDigits | None = None
    """Pressed meanwhile, the first one `gap_ms` after the pause began."""
    secure: bool = False
    """A secure pause; on the wire it is the same."""


class ChangeLanguage(msgspec.Struct, frozen=True):
    """The flow changes the language."""

    language: str


Oddity = Literal["burst", "discarded", "malformed", "no_pings", "repeated_open", "throttled"]
"""`burst`: the caller's audio is kept back and then comes at once. `discarded`: likewise, but the older half of it is
lost. `malformed`: a text message that breaks off; the server is to end the session. `no_pings`: none for a while.
`repeated_open`: `open` once more. `throttled`: `error` 429 with `retryAfter`."""


class BeOdd(msgspec.Struct, frozen=True):
    """Genesys does what it should not, or what it does under stress; over at once, whatever it has set off."""

    kind: Oddity
    seconds: float = 2.0
    """How long audio is kept back, pings are withheld, or the server is to wait."""


class Wait(msgspec.Struct, frozen=True):
    """Stay silent."""

    seconds: float


class WaitForEnd(msgspec.Struct, frozen=True):
    """Stay on the line, silent, until the agent ends the call."""

    timeout: float = 60.0
    """Seconds; by then it must have ended."""


class HangUp(msgspec.Struct, frozen=True):
    """End the call."""


Step = (
    WaitForAgent
    | Say
    | MakeNoise
    | Interrupt
    | PressDigits
    | HoldLine
    | ChangeLanguage
    | BeOdd
    | Wait
    | WaitForEnd
    | HangUp
)


class HeardSeconds(msgspec.Struct, frozen=True):
    """Bounds of the agent audio that was played to the caller."""

    min: float | None = None
    max: float | None = None


class ExpectedBargeIn(msgspec.Struct, frozen=True):
    """What is expected of interruptions."""

    count: int | None = None
    """How many `barge_in` events come."""
    max_stop_ms: float | None = None
    """From the first audible sample of the caller to `barge_in`."""


class Expectations(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold when the call is over; None is not checked."""

    ended_by: Literal["agent", "caller"] | None = None
    reason: str | None = None
    """Reason of the agent's `disconnect`."""
    output_variables: dict[str, str] = {}
    """Values exactly as expected, or a regular expression between slashes."""
    heard_seconds: HeardSeconds = HeardSeconds()
    barge_in: ExpectedBargeIn = ExpectedBargeIn()
    max_first_audio_ms: float | None = None
    """From `opened` to the first agent audio that is heard."""
    max_response_ms: float | None = None
    """From the end of each caller turn to the agent being heard."""
    max_cut_off_ms: float | None = None
    """Agent audio that was still to be played when the call ended."""
    max_seconds: float | None = None
    """Length of the call, from the connection to its end."""
    no_protocol_errors: bool = True


def as_pattern(value: str) -> str | None:
    """Return the regular expression of an expected value written as `/…/`, None for a plain value."""
    return value[1:-1] if len(value) > 1 and value.startswith("/") and value.endswith("/") else None


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One call: who calls, what the caller does, what is expected."""

    steps: tuple[Step, ...]
    name: str = ""
    connector_id: str | None = None
    inputs: dict[str, str] = {}
    """Input variables."""
    language: str = "en-us"
    ani: str = "tel:+13175550123"
    """The caller's number."""
    ani_name: str = ""
    dnis: str = "tel:+13175550199"
    """The number that was dialled."""
    start_burst_ms: int = 200
    """Caller audio buffered before the connection stood, sent faster than real time after `opened`."""
    playback_delay_ms: int = 0
    """From agent audio arriving at an empty queue to it being heard."""
    playback_reports: bool = True
    """False: the server is never told that playing started or completed."""
    background: bytes = b""
    """8 kHz µ-law under everything that the caller's side sends, over and over."""
    stay: float = 30.0
    """Seconds the caller stays on the line after the last step if nobody ends the call."""
    expect: Expectations = Expectations()


class SpeechSource(Protocol):
    """Where the sound of a text comes from; `offhook.speech.Speech` is one."""

    def clip(self, text: str, voice: Literal["agent", "caller"] = ...) -> bytes:
        """Return 8 kHz µ-law."""
        ...


DEFAULT_PHRASE = "What are your opening hours?"


def simple_scenario(
    *, utterance: Utterance | None = None, digits: str = "", inputs: dict[str, str] | None = None
) -> Scenario:
    """Listen to the greeting, say something (or press keys), wait for the answer, hang up.

    Without an utterance and without digits a phrase that the package ships is said. An agent may greet nobody.
    """
    steps: list[Step] = [WaitForAgent(timeout=8.0, required=False)]
    if utterance is None and not digits:
        utterance = Utterance(DEFAULT_PHRASE)
    if utterance is not None:
        steps += [Say(utterance), WaitForAgent(timeout=15.0)]
    if digits:
        steps += [PressDigits(digits), WaitForAgent(timeout=15.0, required=utterance is None)]
    return Scenario(name="simple", steps=(*steps, HangUp()), inputs=inputs or {})


def probe_scenario() -> Scenario:
    """The connection probe: nobody calls, nothing is said (audiohook.md §3.6)."""
    return Scenario(name="probe", steps=(HangUp(),), ani="", dnis="", start_burst_ms=0)


def texts(scenario: Scenario) -> list[str]:
    """Return the texts that need a sound, to prepare them before the call."""
    sounds = [
        step.utterance if isinstance(step, Say) else step.sound
        for step in scenario.steps
        if isinstance(step, Say | Interrupt)
    ]
    return [sound.text for sound in sounds if isinstance(sound, Utterance) and sound.audio is None]
