"""The caller of a bench on a virtual clock, with an emulated model that answers or does not."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from offhook.audiohook import ServerSession
from offhook.audiohook.events import AudioReceived, CloseReceived, DtmfReceived, OpenReceived
from offhook.bench.hearing import Repertoire
from offhook.bench.talk import ANSWERS, BRIDGES, HELLO, LONG, ORDER, PATIENCE, STOP, THANKS, Manners, Talk
from offhook.emulator.scenario import Turn
from offhook.emulator.script import ALL_RIGHT, GREETING
from offhook.simulator.conductor import Phone
from offhook.simulator.events import BargeIn, CallerSpeaking, Dtmf, HoldEnded, HoldStarted, HungUp, Oddness
from offhook.simulator.listening import AgentSpeech
from offhook.simulator.playback import PlaybackQueue
from offhook.simulator.script import Scenario
from offhook.simulator.simulated_call import SimulatedCall
from offhook.speech import Speech

SPEECH = Speech(synthesiser=None)
REPERTOIRE = Repertoire(SPEECH, ANSWERS, BRIDGES)

Answer = Callable[["Line"], bytes]


class Line:
    """A caller and a server that answers what it is told to, `delay` seconds after the caller fell silent."""

    def __init__(self, manners: Manners, answer: Answer, *, delay: float = 0.5, seed: int = 1) -> None:
        self.now = 100.0
        self.prompts: list[Turn] = []
        self.audible: list[float] = []
        self.answer, self.delay = answer, delay
        self.answers = 0
        self.owes_at: float | None = None
        self.closes: list[str] = []
        self.digits = ""
        queue = PlaybackQueue()

        def conduct(phone: Phone, ear: AgentSpeech) -> Talk:
            self.talk = Talk(phone, ear, queue, REPERTOIRE, manners, random.Random(seed), self.prompts.append)
            return self.talk

        self.call = SimulatedCall(Scenario(steps=()), SPEECH, queue=queue, conduct=conduct)
        self.server = ServerSession()
        self.call.connected(self.now)
        self._exchange()

    def run(self, seconds: float = 600.0) -> "Line":
        """Let it happen, until the call is over or so long."""
        end = self.now + seconds
        while not self.call.finished:
            timers = [self.call.next_timer(), self.owes_at]
            at = min(timer for timer in timers if timer is not None)
            if at > end:
                self.now = end
                return self
            self.now = max(self.now, at)
            if self.owes_at is not None and self.now >= self.owes_at:
                self.owes_at = None
                self._say(self.answer(self))
            self.call.handle_timer(self.now)
            self._exchange()
        return self

    def _say(self, audio: bytes) -> None:
        self.answers += 1
        for at in range(0, len(audio), 8000):
            self.server.send_audio(audio[at : at + 8000], self.now)

    def _exchange(self) -> None:
        for _ in range(20):
            for data in self.call.data_to_send():
                if isinstance(data, str):
                    self.server.receive_text(data, self.now)
                else:
                    self.server.receive_audio(data, self.now)
            for event in self.server.events():
                self._take(event)
            for reply in self.server.data_to_send():
                if isinstance(reply, str):
                    self.call.receive_text(reply, self.now)
                else:
                    self.call.receive_audio(reply, self.now)
        self.call.events()

    def _take(self, event: object) -> None:
        match event:
            case OpenReceived():
                self.server.send_opened(self.now)
                self.owes_at = self.now + self.delay
            case AudioReceived(audio=audio):
                if audio.strip(b"\xff"):
                    if self.server.can_send_audio:
                        self.server.send_barge_in(self.now)
                    self.owes_at = self.now + self.delay
            case DtmfReceived(digit=digit):
                self.digits += digit
                self.owes_at = self.now + self.delay
            case CloseReceived(reason=reason):
                self.owes_at = None
                self.closes.append(reason)

    def said(self) -> list[str]:
        """What the caller said."""
        report = self.call.report(self.now)
        return [event.text for event in report.timeline if isinstance(event, CallerSpeaking)]

    def events(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.call.report(self.now).timeline if isinstance(event, kind)]


def clip(text: str) -> Answer:
    return lambda line: SPEECH.clip(text)


def prompted(line: Line) -> bytes:
    """Say what the model was told to say, a short answer otherwise."""
    if not line.answers:
        return SPEECH.clip(GREETING)
    turn = line.prompts.pop(0) if line.prompts else Turn(say=ALL_RIGHT)
    return b"".join(SPEECH.clip(text) for text in (*turn.messages(), *([ALL_RIGHT] if turn.calls() else [])))


def test_a_talk_from_greeting_to_goodbye() -> None:
    line = Line(Manners(20.0, "caller"), prompted).run()
    assert line.call.report(line.now).ended_by == "caller"
    assert line.said()[0] == ORDER
    assert STOP in line.said()  # the second exchange is an interruption
    assert HELLO not in line.said()
    assert line.talk.answers >= 4
    assert line.closes == ["end"]
    assert 20.0 <= line.call.report(line.now).duration < 35.0


def test_an_agent_that_ends_the_call_is_asked_to() -> None:
    line = Line(Manners(1.0, "agent"), prompted, seed=2)
    line.run(30.0)
    assert line.said() == [THANKS]
    assert line.call.report(line.now).ended_by == "caller"  # the model here cannot end it, and who waits hangs up


def test_patience_with_an_agent_that_says_nothing() -> None:
    line = Line(Manners(20.0), clip("")).run()
    report = line.call.report(line.now)
    assert line.said() == [HELLO] * 3
    assert line.talk.nudges == 3
    assert report.ended_by == "simulator"
    assert report.failures[0].startswith("nobody answered")
    assert report.duration > 4 * PATIENCE


def test_a_sentence_that_breaks_off_is_waited_for() -> None:
    halves = iter((GREETING, LONG, ALL_RIGHT))

    def half(line: Line) -> bytes:
        text = next(halves, ALL_RIGHT)
        audio = SPEECH.clip(text)
        return audio[: len(audio) // 2] if text == LONG else audio

    line = Line(Manners(8.0, "caller"), half).run()
    spoken = line.events(CallerSpeaking)
    assert [event.text for event in spoken][:2] == [ORDER, HELLO]
    asked, nudged = spoken[0].at, spoken[1].at
    assert nudged - asked > PATIENCE


@pytest.mark.parametrize("seconds", [3.0, 0.5])
def test_a_hold_and_then_the_talk_goes_on(seconds: float) -> None:
    line = Line(Manners(12.0, "caller"), prompted)
    line.run(4.0)
    line.talk.aside(line.talk.hold(seconds))
    line.run()
    (began,), (ended,) = line.events(HoldStarted), line.events(HoldEnded)
    assert ended.at - began.at == pytest.approx(seconds, abs=0.25)
    assert line.call.report(line.now).ended_by == "caller"
    assert HELLO not in line.said()


def test_keys_an_interruption_and_oddities() -> None:
    line = Line(Manners(14.0, "caller"), prompted)
    line.run(3.5)
    line.talk.aside(line.talk.press(20, 0.05))
    line.talk.aside(line.talk.be_odd("throttled", 1.0))
    line.talk.aside(line.talk.interrupt())
    line.run()
    assert len(line.events(Dtmf)) >= 20
    assert len(line.digits) >= 20
    assert [event.kind for event in line.events(Oddness)] == ["throttled"]
    assert STOP in line.said()
    assert line.events(BargeIn)


def test_an_interruption_waits_for_the_agent_and_not_for_ever() -> None:
    line = Line(Manners(60.0, patience=2.0), clip(""))
    line.run(0.2)
    line.talk.aside(line.talk.interrupt())
    line.run(6.0)
    assert line.said()[0] == STOP


def test_a_tool_that_is_wanted_is_used() -> None:
    line = Line(Manners(1.0, "caller"), prompted)
    prompts: list[Turn] = []
    line.talk._prompt = prompts.append
    line.talk.use_tool("stall")
    line.run()
    assert [call.name for turn in prompts for call in turn.calls()] == ["stall"]
    assert line.said() == [ORDER]


def test_hanging_up_at_any_time() -> None:
    line = Line(Manners(60.0), prompted)
    line.run(4.0)
    line.talk.aside(line.talk.hang_up())
    line.talk.aside(line.talk.press(5, 0.1))
    line.run(3.0)
    assert line.call.finished
    assert len(line.events(HungUp)) == 1
    assert not line.events(Dtmf)
    line.talk.flushed(line.now)
    assert line.talk.unreached() == ()


def test_the_latest_time_to_hang_up() -> None:
    line = Line(Manners(60.0, latest=5.0), prompted).run()
    report = line.call.report(line.now)
    assert report.ended_by == "caller"
    assert 5.0 <= report.duration < 5.3


def test_all_kinds_of_exchanges_come() -> None:
    line = Line(Manners(240.0, "caller"), prompted, seed=3).run()
    assert line.events(Dtmf)
    assert line.said().count(STOP) >= 2
    assert line.said().count(ORDER) >= 2
    assert HELLO not in line.said()
