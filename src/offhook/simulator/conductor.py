"""Plays a script: turns its steps into what the caller does, on the clock of the call.

Each step is a small generator that yields when it wants to be looked at again at the latest, so that a step reads from
top to bottom as it happens. The steps before the first one that needs an open session (`say`, `noise`, `wait`) run from
the connection on, which lets a caller speak before `opened`.
"""

from collections.abc import Generator
from typing import Final, Protocol, assert_never

import msgspec

from offhook.simulator.caller import Spoken
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.script import (
    BeOdd,
    ChangeLanguage,
    HangUp,
    HoldLine,
    Interrupt,
    MakeNoise,
    Noise,
    Oddity,
    PressDigits,
    Say,
    Step,
    Utterance,
    Wait,
    WaitForAgent,
    WaitForEnd,
)

_Run = Generator[float | None, None, None]

_BEFORE_OPENED: Final = (Say, MakeNoise, Wait)
_GAVE_UP_SPEAKING: Final = 1.0  # seconds of quiet after which an agent that was to be interrupted has finished


class Phone(Protocol):
    """What the caller can do with the telephone."""

    def say(self, utterance: Utterance, now: float, *, interrupting: bool) -> Spoken:
        """Speak; the result spans from the first to the last audible sample."""
        ...

    def make_noise(self, noise: Noise, now: float) -> Spoken:
        """Let a noise be heard; the result spans from its first to its last sample."""
        ...

    def press(self, digit: str, now: float, *, paused: bool) -> None:
        """Press one key, during a pause or not."""
        ...

    def hold(self, now: float, *, secure: bool) -> None:
        """Pause the call on our side."""
        ...

    def resume(self, now: float, *, secure: bool) -> None:
        """End that pause."""
        ...

    def change_language(self, language: str, now: float) -> None:
        """Tell the agent of another language."""
        ...

    def be_odd(self, kind: Oddity, seconds: float, now: float) -> None:
        """Do something that Genesys should not do, or does under stress."""
        ...

    def hang_up(self, now: float) -> None:
        """End the call."""
        ...


class Conducting(Protocol):
    """Decides what the caller does: a `Conductor`, or something that makes it up as the call goes."""

    failure: "StepFailed | None"
    """Why the caller hung up, if it was for want of something."""

    def start(self, now: float) -> None:
        """The connection stands."""
        ...

    def opened(self, now: float) -> None:
        """The session is open."""
        ...

    def flushed(self, now: float) -> None:
        """The queue was flushed."""
        ...

    def stop(self) -> None:
        """The call is over."""
        ...

    def next_timer(self) -> float | None:
        """When to look again at the latest."""
        ...

    def advance(self, now: float) -> None:
        """Do whatever is due."""
        ...

    def unreached(self) -> tuple[Step, ...]:
        """Return the steps that had not been done."""
        ...


class StepFailed(msgspec.Struct, frozen=True):
    """A step could not be done; the caller hangs up."""

    number: int
    """Which step, counted from 1."""
    text: str


class _Failure(Exception):
    """What a step says when it cannot be done."""


class Conductor:
    """Runs the steps of one script one after the other."""

    def __init__(self, steps: tuple[Step, ...], phone: Phone, ear: AgentSpeech, *, stay: float) -> None:
        self._steps = steps
        self._phone = phone
        self._ear = ear
        self._stay = stay
        self._now = 0.0
        self._mark = float("-inf")
        self._opened = False
        self._wake: float | None = None
        self._run: _Run | None = None
        self.step = 0
        """Steps that are done."""
        self.failure: StepFailed | None = None
        self.finished = False

    def start(self, now: float) -> None:
        """The connection stands."""
        self._now = now
        self._run = self._perform()
        self.advance(now)

    def opened(self, now: float) -> None:
        """The session is open."""
        self._opened = True
        self.advance(now)

    def flushed(self, now: float) -> None:
        """The queue was flushed: what was heard so far is no answer to anything."""
        self._mark = max(self._mark, now)

    def stop(self) -> None:
        """The call is over; no further step. May be called by a step itself, through the telephone."""
        self.finished = True
        self._wake = self._run = None

    def next_timer(self) -> float | None:
        """When to look again at the latest."""
        return self._wake

    def advance(self, now: float) -> None:
        """Do whatever is due."""
        if self._run is None:
            return
        self._now = now
        try:
            wake = next(self._run)
        except StopIteration:
            self.stop()
        except _Failure as failure:
            self.failure = StepFailed(self.step + 1, str(failure))
            self.stop()
            self._phone.hang_up(now)
        else:
            self._wake = None if self.finished else wake

    def unreached(self) -> tuple[Step, ...]:
        """Return the steps that had not been done when the call ended."""
        return self._steps[self.step :]

    # --- the steps --------------------------------------------------------------------------------------------------

    def _perform(self) -> _Run:
        for step in self._steps:
            while not self._opened and not isinstance(step, _BEFORE_OPENED):
                yield None
            yield from self._one(step)
            self.step += 1
        if not any(isinstance(step, HangUp) for step in self._steps):
            yield from self._until(self._now + self._stay)
            raise _Failure(f"nobody ended the call within {self._stay:g} s after the last step")

    def _one(self, step: Step) -> _Run:
        match step:
            case WaitForAgent():
                yield from self._wait_for_agent(step)
            case Say():
                yield from self._say(step.utterance, interrupting=False)
            case MakeNoise():
                yield from self._make_noise(step.noise)
            case Interrupt():
                yield from self._interrupt(step)
            case PressDigits():
                yield from self._press(step)
            case HoldLine():
                yield from self._hold(step)
            case ChangeLanguage():
                self._mark = self._now
                self._phone.change_language(step.language, self._now)
            case BeOdd():
                self._phone.be_odd(step.kind, step.seconds, self._now)
            case Wait():
                self._mark = self._now
                yield from self._until(self._now + step.seconds)
            case WaitForEnd():
                yield from self._until(self._now + step.timeout)
                raise _Failure(f"the agent did not end the call within {step.timeout:g} s")
            case HangUp():
                self._phone.hang_up(self._now)
            case _:
                assert_never(step)

    def _until(self, when: float) -> _Run:
        while self._now < when:
            yield when

    def _wait_for_agent(self, step: WaitForAgent) -> _Run:
        deadline = self._now + step.timeout
        silence = step.silence_ms / 1000
        while True:
            begins = self._ear.first_after(self._mark)
            ends = self._ear.quiet_from(self._mark)
            if begins is None or ends is None or begins > deadline:
                if self._now >= deadline:
                    break
                yield deadline
            elif self._now >= ends + silence:
                self._mark = self._now
                return
            else:
                yield ends + silence
        if step.required:
            raise _Failure(f"the agent said nothing within {step.timeout:g} s")

    def _say(self, utterance: Utterance, *, interrupting: bool) -> _Run:
        spoken = self._phone.say(utterance, self._now, interrupting=interrupting)
        self._mark = spoken.end
        yield from self._until(spoken.end)

    def _make_noise(self, noise: Noise) -> _Run:
        # The mark stays: what the agent says meanwhile still answers what was said before.
        yield from self._until(self._phone.make_noise(noise, self._now).end)

    def _interrupt(self, step: Interrupt) -> _Run:
        deadline = self._now + step.timeout
        while True:
            moment = self._ear.moment_of(self._mark, step.after_ms / 1000)
            if moment is not None and self._now >= moment:
                break
            ends = self._ear.quiet_from(self._mark)
            if moment is None and ends is not None and self._now >= ends + _GAVE_UP_SPEAKING:
                heard = self._ear.heard(self._mark, self._now) * 1000
                raise _Failure(f"the agent spoke for {heard:.0f} ms only, too short to interrupt at {step.after_ms} ms")
            if ends is None and self._now >= deadline:
                raise _Failure(f"the agent said nothing to interrupt within {step.timeout:g} s")
            if moment is not None:
                yield moment
            else:
                yield deadline if ends is None else ends + _GAVE_UP_SPEAKING
        if isinstance(step.sound, Noise):
            yield from self._make_noise(step.sound)
        else:
            yield from self._say(step.sound, interrupting=True)

    def _press(self, step: PressDigits, *, paused: bool = False) -> _Run:
        self._mark = self._now
        for number, digit in enumerate(step.digits):
            if number:
                yield from self._until(self._now + step.gap_ms / 1000)
            self._phone.press(digit, self._now, paused=paused)

    def _hold(self, step: HoldLine) -> _Run:
        self._mark = self._now
        ends = self._now + step.seconds
        self._phone.hold(self._now, secure=step.secure)
        if step.keys is not None:
            yield from self._until(self._now + step.keys.gap_ms / 1000)
            yield from self._press(step.keys, paused=True)
        yield from self._until(ends)
        self._phone.resume(self._now, secure=step.secure)
