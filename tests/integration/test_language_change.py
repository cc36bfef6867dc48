"""The flow changes the language in mid-call: `update` of Genesys becomes `session.update` of the Realtime leg."""

import asyncio
from typing import Any

import msgspec
from structlog.testing import capture_logs

from offhook.emulator.scenario import Call, Handshake, Scenario, Turn, When
from offhook.realtime import SessionUpdateEvent
from offhook.simulator.script import ChangeLanguage, Say, Step, Utterance, WaitForAgent
from tests.integration.carried import ASKED, GOODBYE, GREETING, QUESTION, Carried, agent, carry

GUTEN_TAG, AUF_WIEDERHOEREN = "Guten Tag.", "Auf Wiederhören."
AGENT: dict[str, Any] = {
    "instructions": "Speak {{ call.language }}.",
    "tools": ["end_call"],
    "greeting": {"text": {"en": GREETING, "de": GUTEN_TAG}},
    "goodbye": {"text": {"en": GOODBYE, "de": AUF_WIEDERHOEREN}},
    "languages": {
        "de": {"voice": "cedar", "instructions": "Sprich Deutsch ({{ call.language }})."},
        "fr": {"instructions": "Parle comme {{ input.NOBODY }}."},
    },
}
ENDS = Call(name="end_call", arguments={"reason": "all done"})


def script(**settings: Any) -> Scenario:
    turns = [Turn(when=When(instructions=text), say=text) for text in (GREETING, GUTEN_TAG, GOODBYE, AUF_WIEDERHOEREN)]
    turns.append(Turn(caller=QUESTION, call=ENDS))
    return Scenario(speed=10, first_audio_ms=20, turns=turns, **settings)


async def talk(*steps: Step, **settings: Any) -> Carried:
    done = await carry(agent(**AGENT), script(**settings), steps)
    done.check("completed", reason="agent_ended")
    assert not done.session.errors
    assert len(done.of_type("updated")) == sum(isinstance(step, ChangeLanguage) for step in steps)
    return done


def updates(done: Carried) -> list[dict[str, Any]]:
    """What each `session.update` asked for."""
    events = [received.event for received in done.session.received]
    return [msgspec.to_builtins(event.session) for event in events if isinstance(event, SessionUpdateEvent)]


def check_german(done: Carried, greeting: str) -> None:
    """The model was told of the language, and of nothing else; what is said of itself is German."""
    first, second = updates(done)
    assert first["instructions"] == "Speak en-us."
    assert first["audio"]["input"]["transcription"]["language"] == "en"
    assert second.pop("type") == "realtime"
    transcription = {**first["audio"]["input"]["transcription"], "language": "de"}
    assert second == {
        "instructions": "Sprich Deutsch (de-DE).",
        "audio": {"input": {"transcription": transcription}},
    }
    session = done.session.settings.session
    assert session.instructions == "Sprich Deutsch (de-DE)."
    assert msgspec.to_builtins(session)["audio"]["output"]["voice"] == "marin"
    done.check_heard(greeting, AUF_WIEDERHOEREN)


async def in_the_middle() -> None:
    done = await talk(WaitForAgent(silence_ms=100), ChangeLanguage("de-DE"), Say(Utterance(QUESTION)))
    check_german(done, GREETING)


async def before_the_model_is_ready() -> None:
    done = await talk(ChangeLanguage("de-DE"), *ASKED, handshake=Handshake(created_after=0.5))
    check_german(done, GUTEN_TAG)


async def to_the_same() -> None:
    done = await talk(WaitForAgent(silence_ms=100), ChangeLanguage("en-us"), Say(Utterance(QUESTION)))
    assert len(updates(done)) == 1
    done.check_heard(GREETING, GOODBYE)


async def to_one_that_cannot_be_spoken() -> None:
    done = await talk(WaitForAgent(silence_ms=100), ChangeLanguage("fr-ca"), Say(Utterance(QUESTION)))
    assert len(updates(done)) == 1
    assert done.session.settings.session.instructions == "Speak en-us."
    done.check_heard(GREETING, GOODBYE)


async def test_the_language_changes() -> None:
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as tasks:
            for case in (in_the_middle, before_the_model_is_ready, to_the_same, to_one_that_cannot_be_spoken):
                tasks.create_task(case())
    (refused,) = [line for line in logs if line["event"] == "language not changed"]
    assert refused["code"] == "OH-CALL-04"
