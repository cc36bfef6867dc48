"""A session is replaced before its life is over, between two turns: the caller notices nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from offhook.bridge import CallState, CloseRealtime, ConnectRealtime, InvokeTool, Prompt, ReportRealtime
from offhook.bridge.legs import LIFETIME, MARGIN, STALLED, SUCCESSOR_DELAY
from offhook.bridge.plan import BargeIn, NoInput
from tests.unit.bridge.exits import SENTENCE
from tests.unit.bridge.harness import START, session, speech
from tests.unit.bridge.losses import (
    BASE,
    CARRIED_ON,
    DECLARED,
    DETECTION,
    QUESTION,
    LossyCall,
    lossy,
)

DUE = LIFETIME - MARGIN


class OldCall(LossyCall):
    """A call that lasts; what is sent to each of its legs is kept apart."""

    def __init__(self, agent: Any = None, **peer: Any) -> None:
        super().__init__(agent or lossy(no_input=NoInput()), away=None, **peer)

    def aged(self, seconds: float = DUE) -> "OldCall":
        """They have talked a little, then nobody says anything until the successor is due."""
        self.begun()
        self.advance(START + seconds - self.now)
        return self

    @contextmanager
    def on(self, leg: int) -> Iterator[None]:
        """What happens now happens on this leg."""
        before = self.leg, self.legs
        self.leg = self.legs = leg
        yield
        self.leg, self.legs = before

    def successor(self) -> None:
        """It is set up."""
        self.connected()
        self.ai.session_created()
        self.ai.session_updated()

    @property
    def replaced(self) -> bool:
        return "ai_replaced" in self.moments


def check_unnoticed(call: OldCall, *expected: tuple[Any, ...]) -> None:
    """The new session knows everything and was not asked anything; nobody has heard anything of it."""
    assert call.replaced
    assert call.told() == list(expected)
    assert not [at for at, message in call.texts if message["type"] == "event" and at >= START + DUE]
    assert "ai_lost" not in call.moments
    assert "announced" not in call.moments
    call.advance(5.0)
    assert call.told() == list(expected)


def test_between_two_turns() -> None:
    call = OldCall().aged()
    assert call.of(ConnectRealtime)[-1].leg == 2
    assert not call.replaced
    call.ai.sent.clear()
    call.caller_audio(speech(200))
    call.successor()
    check_unnoticed(call, *BASE)
    assert call.settings()["instructions"] == "You are Ada of Acme."
    assert call.of(CloseRealtime) == [CloseRealtime(1)]
    assert call.of(ReportRealtime)[1:] == [ReportRealtime(2, "ready")]
    call.ai.sent.clear()
    call.caller_audio(speech(200, 5))
    assert call.ai.heard() == speech(200, 5), "not a byte of the caller is lost"
    call.check_new_session()


def test_and_again() -> None:
    call = OldCall().aged()
    for number in (2, 3, 4):
        assert call.of(ConnectRealtime)[-1].leg == number
        call.ai.sent.clear()
        call.successor()
        assert call.told() == BASE
        assert call.moments.count("ai_replaced") == number - 1
        call.advance(DUE if number < 4 else 10)
    call.check_new_session()


@pytest.mark.parametrize("handle", ["timer", "audio"])
def test_whatever_comes_next(handle: str) -> None:
    """The set-up of the first session is long over, and no limit of it counts any more."""
    call = OldCall().aged()
    call.successor()
    assert call.replaced
    if handle == "timer":
        call.call.handle_timer(call.now)
    else:
        call.caller_audio(speech(200))
    call._settle()
    assert call.call.state is CallState.TALKING
    assert call.began_at() is None
    call.check_new_session()


def test_the_end_of_life_that_the_server_tells() -> None:
    call = OldCall(unix=1e9)
    call.open()
    call.connected()
    call.ai.session_created()
    call.ai.session_updated(int(1e9) + 1200)
    call.advance(1099.0)
    assert call.leg == 1
    call.advance(2.0)
    assert call.leg == 2
    call.successor()
    assert call.replaced


# Not in the middle of something.


def speaking(call: OldCall) -> Callable[[], None]:
    call.ai.speech_started("caller_9")

    def stop() -> None:
        call.ai.speech_stopped("caller_9")
        call.ai.committed("caller_9")
        call.ai.transcribed("caller_9", "Hello?")
        call.say(SENTENCE, text="Yes?")

    return stop


def waits_for_words(call: OldCall) -> Callable[[], None]:
    call.turn(None)
    call.say(SENTENCE, text="Yes?")
    call.advance(2.0)
    return lambda: call.ai.transcribed("caller_2", "Hello?")


def unanswered(call: OldCall) -> Callable[[], None]:
    call.turn("Hello?")
    return lambda: call.say(SENTENCE, text="Yes?")


def agent_speaks(call: OldCall) -> Callable[[], None]:
    call.speak(call.respond(), SENTENCE, "Yes?")
    return lambda: call.over(f"resp_{call.count}")


def agent_is_heard(call: OldCall) -> Callable[[], None]:
    call.say(speech(4000, 60), text="A long story.")
    return lambda: None


def tool_runs(call: OldCall) -> Callable[[], None]:
    tool = call.start_tool()

    def end() -> None:
        call.tool_result("shipped", tool)
        call.ai.output_added(tool)

    return end


def digits(call: OldCall) -> Callable[[], None]:
    response = call.respond()
    call.speak(response, SENTENCE, "Enter it.")
    call.ai.call("collect_digits", '{"length":2}', response, "call_digits")
    call.over(response)
    call.advance(2.5)

    def enter() -> None:
        for digit in "42":
            call.genesys("dtmf", digit=digit)

    return enter


def keys(call: OldCall) -> Callable[[], None]:
    call.genesys("dtmf", digit="1")
    return lambda: None


def on_hold(call: OldCall) -> Callable[[], None]:
    call.genesys("paused")
    return lambda: call.genesys("resumed", start="PT1S", discarded="PT1S")


BUSY = [speaking, waits_for_words, unanswered, agent_speaks, agent_is_heard, tool_runs, digits, keys, on_hold]


@pytest.mark.parametrize("busy", BUSY, ids=lambda busy: busy.__name__)
def test_not_in_the_middle_of_something(busy: Callable[[OldCall], Callable[[], None]]) -> None:
    """As soon as it is over, and the caller has heard the answer."""
    call = OldCall().aged()
    with call.on(1):
        end = busy(call)
    call.successor()
    with call.on(1):
        call.advance(0.3)
        assert not call.replaced
        end()
        while "ai_replaced" not in call.moments:
            assert call.now < START + DUE + 30
            call.advance(0.1)
    assert call.playback.unplayed == 0
    call._settle()
    frames = call.told()
    begin = len(frames) - frames[::-1].index(BASE[0]) - 1
    assert frames[begin:][: len(BASE)] == BASE
    assert "response.create" not in [frame[0] for frame in frames[begin:]]
    call.advance(1.0)
    call.check_new_session()


def test_not_while_a_sound_is_judged() -> None:
    agent = lossy(session=session(turn_detection=DETECTION), barge_in=BargeIn(min_speech=0.3), no_input=NoInput())
    call = OldCall(agent).aged()
    with call.on(1):
        call.ai.speech_started("caller_9", 500)
        call.advance(0.2)
        call.ai.speech_stopped("caller_9", 1300)
    call.successor()
    assert not call.replaced
    call.advance(4.0)
    assert call.replaced, "it was none"


def test_between_a_question_and_its_answer() -> None:
    """Whoever is thinking notices nothing, and a yes counts as before."""
    call = OldCall().aged(DUE - 100)
    asked = call.start_tool("book", '{"table":3}')
    call.advance(0.5)
    call.say(speech(1000, 60), text="Table three, right?")
    call.advance(START + DUE - call.now)
    call.ai.sent.clear()
    call.successor()
    assert call.replaced
    assert call.told()[3][:3] == ("call", "book", asked)
    call.turn("Yes.")
    again = call.start_tool("book", '{"table":3}')
    assert [run.call_id for run in call.of(InvokeTool)] == [again]


# A successor with difficulties.


def test_a_successor_that_cannot_be_had_is_tried_again() -> None:
    call = OldCall().aged()
    call.ai_lost(None, for_good=True)
    assert call.call.state is CallState.TALKING
    call.advance(SUCCESSOR_DELAY - 0.5)
    assert call.leg == 2
    call.advance(1.0)
    assert call.leg == 3
    call.ai.sent.clear()
    call.successor()
    check_unnoticed(call, *BASE)
    call.check_new_session()


def test_a_successor_that_is_lost_while_it_stands_by() -> None:
    call = OldCall().aged()
    with call.on(1):
        call.speak(call.respond(), SENTENCE, "Well, ")
    call.successor()
    call.ai_lost(1006, for_good=False)
    with call.on(1):
        call.over(f"resp_{call.count}")
        call.advance(5.0)
    assert not call.replaced
    call.advance(SUCCESSOR_DELAY)
    call.ai.sent.clear()
    call.successor()
    assert call.replaced


def test_the_session_is_lost_while_a_successor_stands_by() -> None:
    """It is used at once, and the agent carries on."""
    call = OldCall().aged()
    with call.on(1):
        tool = call.start_tool()
    call.successor()
    call.ai.sent.clear()
    call.call.realtime_lost(1, 1001, "", call.now)
    call._settle()
    assert call.told()[: len(BASE)] == BASE
    assert [frame[0] for frame in call.told()[len(BASE) :]] == ["system", "system", "response.create"]
    assert len(call.of(ConnectRealtime)) == 2
    call.advance(2.0)
    call.tool_result("shipped", tool)
    call.advance(2.0)
    assert [frame[0] for frame in call.told()[-3:]] == ["call", "output", "response.create"]
    call.check_new_session()


def test_the_session_is_lost_while_a_successor_is_being_set_up() -> None:
    call = OldCall().aged()
    call.connected()
    call.ai.sent.clear()
    call.call.realtime_lost(1, 1001, "", call.now)
    call._settle()
    assert len(call.of(ConnectRealtime)) == 2, "it is further than another one would be"
    call.ai.session_created()
    call.ai.session_updated()
    call.advance(2.0)
    assert call.told() == [*BASE, *CARRIED_ON]
    call.check_new_session()


def test_the_session_falls_silent_while_a_successor_stands_by() -> None:
    call = OldCall().aged()
    with call.on(1):
        call.respond()
    call.successor()
    call.ai.sent.clear()
    call.advance(STALLED + 1)
    assert call.of(ReportRealtime)[-2:] == [ReportRealtime(1, "failed", "OH-RT-15"), ReportRealtime(2, "ready")]
    assert call.told() == [*BASE, *CARRIED_ON]
    call.check_new_session()


def test_the_session_expires_before_there_is_a_pause() -> None:
    call = OldCall().aged()
    with call.on(1):
        call.speak(call.respond(), speech(1000, 60), "Well.")
    call.successor()
    call.ai.sent.clear()
    with call.on(1):
        call.ai.refuse("session_expired")
    call._settle()
    call.advance(4.0)
    assert call.told() == [*BASE, ("assistant", "Well."), *CARRIED_ON]
    call.check_new_session()


def test_the_call_ends_while_a_successor_stands_by() -> None:
    call = OldCall().aged()
    with call.on(1):
        call.speak(call.respond(), SENTENCE, "Well, ")
    call.successor()
    with call.on(1):
        call.close()
        call.advance(1.0)
    assert sorted(close.leg for close in call.of(CloseRealtime)) == [1, 2]
    assert call.ended.outcome == "completed"


def test_the_agent_says_goodbye_while_a_successor_stands_by() -> None:
    """Nothing is changed any more."""
    call = OldCall(lossy(goodbye=Prompt(text="Bye."), no_input=NoInput())).aged()
    with call.on(1):
        response = call.respond()
        call.ai.call("end_call", '{"reason":"all done"}', response, "call_end")
    call.successor()
    with call.on(1):
        call.over(response)
        call.advance(8.0)
        assert not call.replaced
        assert call.check_end(DECLARED)["OFFHOOK_REASON"] == "all done"


def test_the_language_is_changed_while_a_successor_stands_by() -> None:
    call = OldCall().aged()
    with call.on(1):
        call.speak(call.respond(), SENTENCE, "Well.")
    call.successor()
    changed = lossy(session=session(), no_input=NoInput())
    german = changed.session.__class__(instructions="Du bist Ada.", audio=changed.session.audio)
    call.call.change_language(lossy(session=german, no_input=NoInput()), call.now)
    with call.on(1):
        call._settle()
        call.over(f"resp_{call.count}")
        call.ai.sent.clear()
        call.advance(4.0)
    call._settle()
    assert call.replaced
    (update,) = call.ai.received("session.update")
    assert update["session"] == {"type": "realtime", "instructions": "Du bist Ada."}
    assert call.told()[:2] == [BASE[0], ("user", QUESTION)]
