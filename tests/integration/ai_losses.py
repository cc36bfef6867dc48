"""States in which a call loses its AI, for whole calls: what happens before, and what the next session has to know."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from offhook import Agent, tool
from offhook.bridge.history import NOT_KNOWN
from offhook.emulator.scenario import Call, HostedCall, Scenario, Turn, When
from offhook.emulator.session import EmulatorSession
from offhook.realtime import (
    ConversationItemCreateEvent,
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
    ResponseCreateEvent,
)
from offhook.realtime.wire import given
from offhook.simulator.script import HangUp, HoldLine, PressDigits, Say, Step, Utterance, Wait, WaitForAgent
from offhook.simulator.script import Scenario as CallerScenario
from offhook.speech import Speech, Voice

GREETING, WISH, ANSWER = "Good morning.", "I have a question.", "It is on its way."
STORY = "We are open from nine to six on weekdays, and on no other day."
"""Two and a half seconds."""
MONOLOGUE = f"{WISH} {STORY} {WISH}"
"""Four seconds of the caller."""
ASK, FOUND = "Please enter the number.", "Thank you, I have found it."
BACK, MORE, LAST = "Here I am again.", "Where were we then?", "Now all is well."
"""After the loss: the agent is back, the caller speaks, and is answered."""
LIMIT = 3.0
"""Seconds from when the provider accepts connections again until the agent is heard."""
LOOK = 1.0
"""Seconds that the tool takes which is running when the AI is lost."""
LONG_LOOK = 5.0
"""Seconds that it takes when it goes on running."""
Frame = tuple[str, ...]
LISTEN = WaitForAgent(silence_ms=100)
ASKED: tuple[Step, ...] = (LISTEN, Say(Utterance(WISH)))
BASE: list[Frame] = [("assistant", GREETING), ("user", WISH)]


class Voices(Speech):
    """Speech that can be found again: no two texts sound alike, and a long one lasts."""

    def __init__(self) -> None:
        super().__init__(None)

    def clip(self, text: str, voice: Voice = "agent") -> bytes:
        chance = random.Random(f"{voice} {text}")
        return bytes(chance.choice(b"\x00\x80\x05\x85\x03\x83") for _ in range(max(3200, len(text) * 320)))


SPEECH = Voices()


@tool
async def look() -> str:
    """Look something up."""
    await asyncio.sleep(LOOK)
    return "found"


@tool(name="look")
async def look_long() -> str:
    """Look something up."""
    await asyncio.sleep(LONG_LOOK)
    return "found"


@tool
async def book(slot: str) -> str:
    """Book a slot."""
    return f"booked {slot}"


@tool(name="book", confirm=True)
async def book_confirmed(slot: str) -> str:
    """Book a slot."""
    return f"booked {slot}"


BOOK = Call(name="book", arguments={"slot": "nine"})
BOOKED: list[Frame] = [("call", "book"), ("output", "booked nine")]
CREATE: Frame = ("response.create",)
DOCS = {"hosted": True, "name": "docs", "url": "https://docs.example.com/mcp", "approval": "never"}


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One state.

    Attributes:
        name: Of the state.
        turns: What the model says and does in the first session, behind its greeting.
        steps: What the caller does until the AI is lost, and while it is away.
        moment: With the nth one of these, and so many seconds, the AI is lost.
        told: What the next session is told before it is asked for anything; texts that end with … may be cut.
        after: What the model says and does in the next session once it is back.
        later: What it is told then.
        ends: What the caller does once the agent is back.
        tools: Of the agent.
        greeting: What the model says first.
    """

    name: str
    turns: tuple[Turn, ...] = ()
    steps: tuple[Step, ...] = ASKED
    moment: tuple[str, int, float]
    told: list[Frame]
    after: tuple[Turn, ...] = ()
    later: list[Frame] = field(default_factory=list)
    ends: tuple[Step, ...] = (Say(Utterance(MORE)), LISTEN)
    tools: tuple[Any, ...] = ()
    greeting: str = GREETING

    def agent(self) -> Agent:
        """The agent of the call."""
        return Agent.model_validate(
            {
                "instructions": "Talk.",
                "greeting": "Greet.",
                "turn_detection": {"silence_duration_ms": 200},
                "outputs": {"INTENT": {"default": "none"}},
                "filler": None,
                "tools": list(self.tools),
            }
        )

    def script(self) -> Scenario:
        """What the first session says and does."""
        return Scenario(speed=10, first_audio_ms=50, turns=[Turn(say=self.greeting), *self.turns])

    def next_script(self) -> Scenario:
        """What the second one does."""
        first = When(text=WISH) if ("user", WISH) in self.told else None
        turns = [Turn(when=first, say=BACK), *self.after, Turn(caller=MORE, say=LAST)]
        return Scenario(speed=10, first_audio_ms=50, turns=turns)

    def caller(self, away: float) -> CallerScenario:
        """The caller, who gives an AI that is away for so long the time to come back."""
        return CallerScenario(steps=(*self.steps, Wait(away + LIMIT + 2.5), *self.ends, HangUp()))


LOSSES = [
    Loss(
        name="greeting",
        steps=(),
        greeting=STORY,
        moment=("first_packet", 1, 0.5),
        told=[("assistant", f"{STORY}…")],
    ),
    Loss(
        name="idle",
        turns=(Turn(caller=WISH, say=ANSWER),),
        moment=("playback_completed", 2, 0.2),
        told=[*BASE, ("assistant", ANSWER)],
    ),
    Loss(
        name="caller speaks",
        steps=(LISTEN, Say(Utterance(MONOLOGUE))),
        moment=("caller_started", 1, 0.3),
        told=BASE[:1],
    ),
    Loss(
        name="turn without answer",
        turns=(Turn(caller=WISH, say=ANSWER, first_audio_ms=5000),),
        moment=("response_started", 2, 0.5),
        told=BASE,
    ),
    Loss(
        name="agent speaks",
        turns=(Turn(caller=WISH, say=STORY, speed=1.5),),
        moment=("first_packet", 2, 0.6),
        told=[*BASE, ("assistant", f"{STORY}…")],
    ),
    Loss(
        name="agent is heard",
        turns=(Turn(caller=WISH, say=STORY),),
        moment=("response_ended", 2, 0.5),
        told=[*BASE, ("assistant", STORY)],
    ),
    Loss(
        name="tool runs",
        turns=(Turn(caller=WISH, call=Call(name="look")),),
        moment=("tool_started", 1, 0.3),
        tools=(look,),
        told=[*BASE, ("call", "look"), ("output", "found")],
    ),
    Loss(
        name="tool runs on",
        turns=(Turn(caller=WISH, call=Call(name="look")),),
        moment=("tool_started", 1, 0.3),
        tools=(look_long,),
        told=BASE,
        after=(Turn(say=FOUND),),
        later=[("call", "look"), ("output", "found"), CREATE],
    ),
    Loss(
        name="result without answer",
        turns=(Turn(caller=WISH, call=BOOK), Turn(say=ANSWER, first_audio_ms=5000)),
        moment=("tool_finished", 1, 0.5),
        tools=(book,),
        told=[*BASE, *BOOKED],
    ),
    Loss(
        name="result long ago",
        turns=(Turn(caller=WISH, call=BOOK), Turn(say=ANSWER)),
        moment=("playback_completed", 2, 0.2),
        tools=(book,),
        told=[*BASE, *BOOKED, ("assistant", ANSWER)],
    ),
    Loss(
        name="digits",
        turns=(Turn(caller=WISH, preamble=ASK, call=Call(name="collect_digits", arguments={"length": 4})),),
        moment=("digits_started", 1, 1.2),
        told=[*BASE, ("assistant", ASK)],
        after=(Turn(say=FOUND),),
        ends=(PressDigits("4242"), LISTEN, Say(Utterance(MORE)), LISTEN),
        later=[("call", "collect_digits"), ("output", '{"digits":"4242"}'), CREATE],
        tools=("collect_digits",),
    ),
    Loss(
        name="confirmation",
        turns=(Turn(caller=WISH, call=BOOK), Turn(say=ANSWER)),
        moment=("playback_completed", 2, 0.2),
        tools=(book_confirmed,),
        told=[*BASE, ("call", "book"), ("output", '{"status":"confirmation_needed"…'), ("assistant", ANSWER)],
        after=(Turn(caller="Yes.", call=BOOK), Turn(say=FOUND)),
        ends=(Say(Utterance("Yes.")), LISTEN, Say(Utterance(MORE)), LISTEN),
        later=[("output", "booked nine"), CREATE],
    ),
    Loss(
        name="hold",
        turns=(Turn(caller=WISH, say=ANSWER),),
        steps=(*ASKED, LISTEN, HoldLine(1.5)),
        moment=("paused", 1, 0.2),
        told=[*BASE, ("assistant", ANSWER)],
    ),
    Loss(
        name="hosted call",
        turns=(Turn(caller=WISH, mcp_call=HostedCall(server="docs", name="search", seconds=30.0)),),
        moment=("tool_started", 1, 0.3),
        tools=({"mcp": DOCS},),
        told=[*BASE, ("call", "search"), ("output", NOT_KNOWN)],
    ),
]


def invoke(name: str, arguments: str) -> tuple[str, float]:
    """What the tools do, for a call in memory."""
    return {"book": ("booked nine", 0.02), "look": ("found", LOOK)}[name]


def invoke_long(name: str, arguments: str) -> tuple[str, float]:
    """The same, with the tool that goes on running."""
    return "found", LONG_LOOK


def told(session: EmulatorSession) -> list[Frame]:
    """What a session was told and asked for, without the note that lets the agent carry on."""
    frames: list[Frame] = []
    for received in session.received:
        match received.event:
            case ConversationItemCreateEvent(item=MessageItem(role="system")):
                pass
            case ConversationItemCreateEvent(item=MessageItem(role=role, content=(part,))):
                frames.append((role, str(given(part.text))))
            case ConversationItemCreateEvent(item=FunctionCallItem(name=name)):
                frames.append(("call", name))
            case ConversationItemCreateEvent(item=FunctionCallOutputItem(output=output)):
                frames.append(("output", output))
            case ResponseCreateEvent():
                frames.append(CREATE)
            case _:
                pass
    return frames


def check_told(loss: Loss, session: EmulatorSession) -> None:
    """The next session was told what it has to know, in order and once, and asked to carry on once.

    This holds for an outage of two seconds. A caller who has not finished speaking then is answered as ever.
    """
    frames, expected = told(session), [*loss.told, CREATE, *loss.later]
    if loss.name == "caller speaks" and CREATE not in frames:
        expected.remove(CREATE)
    assert len(frames) == len(expected), frames
    for frame, (kind, *texts) in zip(frames, expected, strict=True):
        assert frame[0] == kind
        for text, wanted in zip(frame[1:], texts, strict=True):
            if wanted.endswith("…"):
                assert text.startswith(wanted[:-1]) or (wanted.startswith(text) and text), text
            else:
                assert text == wanted
    assert not session.errors


def heard_at(runs: list[tuple[float, bytes]], text: str) -> float:
    """When the caller began to hear a text of the agent, all of which was played, once."""
    clip = SPEECH.clip(text)
    (found,) = [at + audio.find(clip) / 8000 for at, audio in runs if clip in audio]
    return found
