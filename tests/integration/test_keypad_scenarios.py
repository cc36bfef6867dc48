"""Keypad entry in whole calls: simulated caller and emulated model on a virtual clock, and once on real sockets."""

import asyncio
import base64
import io
import json
import math
import random
import struct
from functools import partial
from typing import Any

import pytest
import structlog

from offhook import Agent, tool
from offhook.audio import ulaw
from offhook.bridge import CallPlan, Prompt, RecordMoment
from offhook.bridge.plan import CollectDigits, Dtmf, Filler, NoInput, ToolPlan
from offhook.emulator.scenario import Call
from offhook.emulator.scenario import Scenario as AgentScenario
from offhook.emulator.scenario import Turn as AgentTurn
from offhook.emulator.session import EmulatorSession
from offhook.realtime import (
    FunctionTool,
)
from offhook.simulator.identity import CallIdentity
from offhook.simulator.script import (
    HangUp,
    HoldLine,
    MakeNoise,
    Noise,
    PressDigits,
    Say,
    Scenario,
    Step,
    Utterance,
    Wait,
    WaitForAgent,
)
from offhook.simulator.simulated_call import SimulatedCall
from offhook.telemetry import logging as offhook_logging
from offhook.telemetry.logging import LineWriter
from tests.conformance.test_realtime_types import CLIENT_MODELS, check
from tests.fakes.world import World, talking_session
from tests.integration.gateway_world import Murmur, world

GREETING, WISH, QUESTION, ANSWER = (
    "Good morning",
    "I have a question",
    "Please enter the number now",
    "Thank you, found",
)
PIN = "7140"
_KEYS = {"1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "7": (852, 1209), "4": (770, 1209), "0": (941, 1336)}
_WAIT = Prompt(instructions="One moment.")
BEGINNING: tuple[Step, ...] = (WaitForAgent(), Say(Utterance(WISH)), WaitForAgent())
"""The caller has heard the question."""


def tone(digit: str) -> bytes:
    """What the telephone sounds when a key is pressed: 160 ms."""
    low, high = _KEYS[digit]
    rate = 2 * math.pi / ulaw.SAMPLE_RATE
    samples = [round(5000 * (math.sin(low * rate * n) + math.sin(high * rate * n))) for n in range(160 * 8)]
    return ulaw.encode(struct.pack(f"<{len(samples)}h", *samples))


def audibly(digits: str) -> tuple[Step, ...]:
    """Keys as they are pressed where the tones stay in the audio: each is heard, then reported, then fades."""
    steps: list[Step] = []
    for digit in digits:
        steps += (MakeNoise(Noise("key", tone(digit))), PressDigits(digit), MakeNoise(Noise("key", tone(digit))))
    return tuple(steps)


class Noises(Murmur):
    """Speech that can be found again: no two texts sound alike."""

    def clip(self, text: str, voice: str = "agent") -> bytes:
        chance = random.Random(f"{voice} {text}")
        return bytes(chance.choice(b"\x00\x80\x05\x85\x03\x83") for _ in range(max(3200, len(text) * 400)))


SPEECH = Noises()


def plan(**settings: Any) -> CallPlan:
    named = ("collect_digits", "book", "end_call")
    tools = tuple(FunctionTool(name=name, description="", parameters={"type": "object"}) for name in named)
    session = talking_session(silence_ms=300, tools=tools)
    given: dict[str, Any] = {
        "collect_digits": CollectDigits(secret_tool="verify_pin"),
        "tools": {"book": ToolPlan(confirm=True)},
        "filler": Filler(after=2.0, every=2.0, prompts=(_WAIT,)),
        "no_input": NoInput(after=6.0, prompts=(_WAIT,)),
        "greeting": Prompt(instructions="Greet."),
        **settings,
    }
    return CallPlan(agent="support", session=session, **given)


class Told(World):
    """A call, and what there was to be seen of it."""

    def __init__(self, steps: tuple[Step, ...], turns: list[AgentTurn], **settings: Any) -> None:
        self.invoked: list[tuple[str, str]] = []
        super().__init__(
            plan(**settings),
            SimulatedCall(Scenario(steps=(*steps, HangUp())), SPEECH, identity=CallIdentity.from_seed(1)),
            EmulatorSession(AgentScenario(turns=[AgentTurn(say=GREETING), *turns]), SPEECH),
            tools=self._invoke,
        )
        self.commands: list[object] = []
        self.run(120)
        self.report = self.caller.report(self.now)
        assert self.report.ok, self.report.failures
        assert not self.agent.errors
        for _, data in self.to_ai:
            check(CLIENT_MODELS[str(json.loads(data)["type"])], data)

    def _invoke(self, name: str, arguments: str) -> tuple[str, float]:
        self.invoked.append((name, arguments))
        return '{"verified":true}', 1.0

    def _carry_out(self, command: object) -> None:
        self.commands.append(command)
        super()._carry_out(command)

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in (json.loads(data) for _, data in self.to_ai) if event["type"] == kind]

    @property
    def outputs(self) -> list[Any]:
        items = [event["item"] for event in self.sent("conversation.item.create")]
        return [json.loads(item["output"]) for item in items if item["type"] == "function_call_output"]

    @property
    def heard(self) -> bytes:
        """What the model heard of the caller."""
        return b"".join(base64.b64decode(event["audio"]) for event in self.sent("input_audio_buffer.append"))

    @property
    def spoken(self) -> list[tuple[str, str]]:
        return [(turn.speaker, turn.text) for turn in self.turns]

    @property
    def interruptions(self) -> int:
        return [moment.name for moment in self.moments].count("barge_in")

    def at(self, name: str) -> float:
        return next(moment.at for moment in self.moments if moment.name == name)


def asks(next_turn: str = ANSWER, **arguments: Any) -> list[AgentTurn]:
    """The agent asks for digits, and thanks for them."""
    call = Call(name="collect_digits", arguments={"purpose": "the number", **arguments})
    return [AgentTurn(caller=WISH, preamble=QUESTION, call=call), AgentTurn(say=next_turn)]


def nowhere(told: Told, secret: str) -> None:
    """The digits are in nothing that left the call, but in what was invoked."""
    frames = [data for _, data in told.to_ai if b"input_audio_buffer.append" not in data]
    messages = [data for _, data in told.to_genesys if isinstance(data, str)]
    seen = f"{frames} {messages} {told.commands} {told.turns} {told.moments} {told.ended}"
    for text in (secret, " ".join(secret), "-".join(secret)):
        assert text not in seen


def unheard(told: Told, sound: bytes) -> None:
    """Nothing of a sound is in what the model heard."""
    heard = told.heard
    assert all(sound[at : at + 40] not in heard for at in range(0, len(sound) - 40, 40))


class TestDigits:
    def test_with_terminator(self) -> None:
        told = Told((*BEGINNING, PressDigits("12345#"), WaitForAgent()), asks())
        assert told.outputs == [{"digits": "12345"}]
        assert told.spoken == [
            ("agent", GREETING),
            ("caller", WISH),
            ("agent", QUESTION),
            ("keypad", "12345"),
            ("agent", ANSWER),
        ]
        assert len(told.sent("response.create")) == 2, "the greeting, and one answer"

    def test_of_a_length(self) -> None:
        told = Told((*BEGINNING, PressDigits("12345#"), WaitForAgent(), Wait(3)), asks(length=5))
        assert told.outputs == [{"digits": "12345"}]
        assert len(told.sent("response.create")) == 2

    def test_corrected(self) -> None:
        told = Told((*BEGINNING, PressDigits("99*12#"), WaitForAgent()), asks())
        assert told.outputs == [{"digits": "12"}]

    def test_inter_digit_time_out(self) -> None:
        told = Told((*BEGINNING, PressDigits("12", gap_ms=3000), WaitForAgent()), asks())
        assert told.outputs == [{"digits": "12"}]
        last_key = [moment.at for moment in told.moments if moment.name == "dtmf"][-1]
        assert told.at("digits_ended") - last_key == pytest.approx(4.0, abs=0.05)

    def test_time_out_without_a_digit(self) -> None:
        told = Told((*BEGINNING, WaitForAgent(timeout=15)), asks("Are you there?"))
        assert told.outputs == [{"digits": "", "status": "timeout"}]
        heard = max(
            moment.at
            for moment in told.moments
            if moment.name == "playback_completed" and moment.at < told.at("digits_ended")
        )
        assert told.at("digits_ended") - heard == pytest.approx(10.0, abs=0.3)
        assert not {"filler", "no_input"} & {moment.name for moment in told.moments}

    def test_total_time_out(self) -> None:
        settings = CollectDigits(total=6.0)
        told = Told((*BEGINNING, PressDigits("11111", gap_ms=1500), WaitForAgent()), asks(), collect_digits=settings)
        assert told.outputs == [{"digits": "1111", "status": "timeout"}]

    def test_the_question_is_interrupted_by_the_first_digit(self) -> None:
        steps = (WaitForAgent(), Say(Utterance(WISH)), Wait(1.5), PressDigits("12#"), WaitForAgent())
        told = Told(steps, asks())
        assert told.interruptions == 1
        assert told.outputs == [{"digits": "12"}]
        (question,) = [turn for turn in told.turns if turn.interrupted]
        assert QUESTION.startswith(question.text)
        assert question.unheard

    def test_the_caller_speaks_instead(self) -> None:
        turns = [*asks()[:1], AgentTurn(caller="What is it for?", say="It is on your letter"), AgentTurn(say=ANSWER)]
        told = Told((*BEGINNING, Say(Utterance("What is it for?")), WaitForAgent(), Wait(5)), turns)
        assert told.outputs == [{"digits": "", "status": "caller_spoke"}]
        assert told.spoken[-2:] == [("caller", "What is it for?"), ("agent", "It is on your letter")]
        assert len(told.sent("response.create")) == 1, "only the greeting: turn detection answers words"

    def test_the_caller_hangs_up(self) -> None:
        told = Told((*BEGINNING, PressDigits("12")), asks())
        assert told.ended[0].reason == "caller_hung_up"
        assert [moment.data for moment in told.moments if moment.name == "digits_ended"] == [{"status": "interrupted"}]

    def test_unasked_digits_still_go_to_the_model(self) -> None:
        steps = (WaitForAgent(), PressDigits("12*"), WaitForAgent(timeout=5))
        told = Told(steps, [AgentTurn(say=ANSWER)], dtmf=Dtmf(terminator="*"))
        (message,) = [event["item"] for event in told.sent("conversation.item.create")]
        assert message["content"][0]["text"] == "The caller pressed 1 2 on the keypad."


class TestSecrets:
    def test_only_the_named_tool_gets_them(self) -> None:
        told = Told((*BEGINNING, *audibly(PIN), WaitForAgent()), asks(secret=True, length=4))
        assert told.invoked == [("verify_pin", '{"digits":"7140","purpose":"the number"}')]
        assert told.outputs == [{"verified": True}]
        assert told.spoken[-2:] == [("keypad", "(secret digits)"), ("agent", ANSWER)]
        nowhere(told, PIN)
        for digit in PIN:
            unheard(told, tone(digit))
        assert {event["event_id"] for event in told.sent("input_audio_buffer.clear")}
        # The model's clock went on meanwhile, and nothing of it became a turn.
        assert told.agent.received_audio_ms == pytest.approx((told.now - 1000.0) * 1000, abs=1500)
        assert [turn.speaker for turn in told.turns].count("caller") == 1

    def test_tones_are_heard_where_nothing_is_secret(self) -> None:
        told = Told((*BEGINNING, *audibly("1"), PressDigits("#"), WaitForAgent()), asks())
        assert tone("1")[80:400] in told.heard

    @pytest.mark.parametrize("sound", [Utterance("seven one four zero"), Utterance("forget it")])
    def test_what_the_caller_says_meanwhile_is_not_heard(self, sound: Utterance) -> None:
        steps = (*BEGINNING, PressDigits("71"), Say(sound), PressDigits("40#"), WaitForAgent())
        told = Told(steps, asks(secret=True))
        assert told.invoked == [("verify_pin", '{"digits":"7140","purpose":"the number"}')]
        unheard(told, SPEECH.clip(sound.text, "caller"))
        assert [turn.speaker for turn in told.turns].count("caller") == 1
        assert told.interruptions == 0
        nowhere(told, PIN)

    def test_speech_is_no_barge_in_while_the_question_is_heard(self) -> None:
        talk = Utterance("my number is seven one four zero")
        steps = (
            WaitForAgent(),
            Say(Utterance(WISH)),
            Wait(1.2),
            Say(talk),
            Wait(1),
            PressDigits("7140#"),
            WaitForAgent(),
        )
        told = Told(steps, asks(secret=True))
        assert told.interruptions == 0
        assert ("agent", QUESTION) in told.spoken
        unheard(told, SPEECH.clip(talk.text, "caller")[1600:])

    def test_the_caller_is_heard_again_afterwards(self) -> None:
        turns = [*asks(secret=True, length=4), AgentTurn(caller="Thanks", say="Goodbye then")]
        told = Told((*BEGINNING, PressDigits(PIN), WaitForAgent(), Say(Utterance("Thanks")), WaitForAgent()), turns)
        assert told.spoken[-2:] == [("caller", "Thanks"), ("agent", "Goodbye then")]
        assert SPEECH.clip("Thanks", "caller") in told.heard

    def test_a_tool_that_repeats_them(self) -> None:
        class Echo(Told):
            def _invoke(self, name: str, arguments: str) -> tuple[str, float]:
                super()._invoke(name, arguments)
                return json.dumps({"error": f"7140 is wrong, so is 7-1-4-0: {arguments}"}), 0.2

        told = Echo((*BEGINNING, PressDigits(PIN), WaitForAgent()), asks(secret=True, length=4))
        assert "[secret] is wrong, so is [secret]" in told.outputs[0]["error"]
        nowhere(told, PIN)

    def test_a_filler_while_the_tool_works_but_not_before(self) -> None:
        class Slow(Told):
            def _invoke(self, name: str, arguments: str) -> tuple[str, float]:
                super()._invoke(name, arguments)
                return "{}", 3.0

        turns = asks(secret=True, length=4)
        turns.insert(1, AgentTurn(when={"instructions": "One moment"}, say="One moment please"))  # type: ignore[arg-type]
        told = Slow((*BEGINNING, Wait(4), PressDigits(PIN), WaitForAgent(), WaitForAgent()), turns)
        fillers = [moment.at for moment in told.moments if moment.name == "filler"]
        assert len(fillers) == 1
        assert fillers[0] > told.at("tool_started")

    def test_in_a_secure_pause(self) -> None:
        """Genesys pauses us, the caller goes on pressing keys, and only the tool gets them."""
        pause = HoldLine(4.0, keys=PressDigits(PIN), secure=True)
        told = Told((*BEGINNING, pause, WaitForAgent()), asks(secret=True, length=4))
        assert told.invoked == [("verify_pin", '{"digits":"7140","purpose":"the number"}')]
        assert told.outputs == [{"verified": True}]
        nowhere(told, PIN)


class TestSecurePause:
    def test_keys_and_words_go_nowhere(self) -> None:
        said = SPEECH.clip("four one one one", "caller")

        class Talking(Told):
            """Genesys says `paused` while frames are on their way, and the caller talks on."""

            def _carry_out(self, command: object) -> None:
                super()._carry_out(command)
                if isinstance(command, RecordMoment) and command.name == "paused":
                    for at in range(0, len(said), 1600):
                        self._later(at / 8000, partial(self._reach_call, said[at : at + 1600]))

        pause = HoldLine(3.0, keys=PressDigits("4111"), secure=True)
        turns = [AgentTurn(caller=WISH, say=QUESTION), AgentTurn(caller="Done", say=ANSWER)]
        told = Talking((*BEGINNING, pause, Wait(1), Say(Utterance("Done")), WaitForAgent()), turns)
        nowhere(told, "4111")
        unheard(told, said)
        assert told.spoken[-2:] == [("caller", "Done"), ("agent", ANSWER)]
        assert [speaker for speaker, _ in told.spoken].count("caller") == 2
        assert "keypad" not in dict(told.spoken)
        # What records are built on.
        assert told.at("paused") + 3.0 == pytest.approx(told.at("resumed"), abs=0.01)


class TestConfirmation:
    def booked(self, *said: str) -> Told:
        """The agent wants to book, and wants it again after each thing that the caller says."""
        book = Call(name="book", arguments={"table": 3})
        turns = [
            AgentTurn(caller=WISH, preamble="I book table three", call=book),
            AgentTurn(say="Table three, is that right?"),
        ]
        steps: list[Step] = [*BEGINNING]
        for text in said:
            turns += [AgentTurn(caller=text, call=book), AgentTurn(say=f"After {text}")]
            steps += [Say(Utterance(text)), WaitForAgent(timeout=15)]
        return Told(tuple(steps), turns)

    def test_asked_first(self) -> None:
        told = self.booked()
        assert told.invoked == []
        assert told.outputs[0]["status"] == "confirmation_needed"
        assert told.spoken[-1] == ("agent", "Table three, is that right?")

    def test_booked_once_after_a_yes(self) -> None:
        told = self.booked("Yes please")
        assert told.invoked == [("book", '{"table":3}')]

    def test_not_booked_twice(self) -> None:
        told = self.booked("Yes please", "Yes please do")
        assert told.invoked == [("book", '{"table":3}')]
        assert [moment.name for moment in told.moments].count("confirmation") == 2


SEEN: list[str] = []


@tool
async def verify_pin(digits: str, purpose: str) -> str:
    """Check a PIN."""
    SEEN.append(digits)
    raise RuntimeError(f"the database does not know {digits}")


async def test_on_real_sockets_nothing_is_logged_either() -> None:
    stream = io.StringIO()
    offhook_logging.configure(style="json", level="debug", stream=stream)
    entry = {"collect_digits": {"secret_tool": "verify_pin"}}
    agent = Agent.model_validate(
        {
            "instructions": "Talk.",
            "greeting": "Greet the caller.",
            "tools": [verify_pin, entry],
            "turn_detection": {"silence_duration_ms": 200},
        }
    )
    script = AgentScenario(first_audio_ms=20, turns=[AgentTurn(say=GREETING), *asks(secret=True, length=4)])
    SEEN.clear()
    steps = (
        WaitForAgent(silence_ms=200),
        Say(Utterance(WISH)),
        WaitForAgent(silence_ms=200),
        PressDigits(PIN, gap_ms=50),
        WaitForAgent(silence_ms=200),
        HangUp(),
    )
    try:
        async with world(script, agents={"support": agent}) as running:
            report = await running.call(steps)
            assert report.failures == ()
            async with asyncio.timeout(5):
                await running.server._no_calls.wait()
            (session,) = running.emulator.sessions
            received = repr(session.received)
            turns = repr(running.watcher.turns)
    finally:
        writer = structlog.get_config()["logger_factory"]._file
        assert isinstance(writer, LineWriter)
        writer.settle()
        structlog.reset_defaults()
    assert SEEN == [PIN]
    assert "secret_ended" in stream.getvalue()
    for seen in (stream.getvalue(), received, turns, repr(running.watcher.ended)):
        assert PIN not in seen
        assert " ".join(PIN) not in seen
    assert "verify_pin" not in repr(session.settings.session.tools)
