"""The flow changes the language: the session and what the agent says of itself follow, the voice stays."""

from typing import Any

import msgspec

from offhook import realtime as rt
from offhook.bridge import CallPlan, Prompt
from offhook.bridge.commands import ChangeLanguage
from offhook.bridge.language import changed_settings
from offhook.bridge.plan import Filler, NoInput
from tests.unit.bridge.exits import Exit
from tests.unit.bridge.harness import plan, session

ENGLISH = plan(
    notice=Prompt(text="Recorded."),
    greeting=Prompt(text="Hello."),
    goodbye=Prompt(text="Bye."),
    handover=Prompt(text="A colleague comes."),
    no_input=NoInput(after=5.0, prompts=(Prompt(text="Still there?"),)),
    filler=Filler(after=2.0, prompts=(Prompt(text="One moment."),)),
)


def spoken(instructions: str, language: str, voice: str) -> rt.SessionConfig:
    config = session(transcription=rt.TranscriptionConfig(model="gpt-4o-mini-transcribe", language=language))
    assert config.audio
    audio = msgspec.structs.replace(config.audio, output=rt.AudioOutput(format=rt.PCMU, voice=voice))
    return msgspec.structs.replace(config, instructions=instructions, audio=audio)


GERMAN = msgspec.structs.replace(
    ENGLISH,
    session=spoken("Du bist Ada.", "de", "cedar"),
    notice=Prompt(text="Aufzeichnung."),
    greeting=Prompt(text="Hallo."),
    goodbye=Prompt(text="Tschüss."),
    handover=Prompt(text="Ein Kollege kommt."),
    no_input=NoInput(after=5.0, prompts=(Prompt(text="Noch da?"),)),
    filler=Filler(after=2.0, prompts=(Prompt(text="Moment."),)),
)
FRENCH = msgspec.structs.replace(ENGLISH, session=spoken("Tu es Ada.", "fr", "marin"))


def change(call: Exit, agent: CallPlan) -> None:
    call.genesys("update", language="xx-xx")
    assert isinstance(call.of(ChangeLanguage)[-1], ChangeLanguage)
    call.call.change_language(agent, call.now)
    call._settle()


def updates(call: Exit) -> list[dict[str, Any]]:
    """What the session was told after its first settings."""
    return [event["session"] for event in call.ai.received("session.update")[1:]]


def said(call: Exit) -> list[tuple[str, str]]:
    creates = [create["response"] for create in call.ai.received("response.create")]
    return [
        (create["metadata"]["offhook"].rpartition("/")[2], create["instructions"].rpartition(": ")[2])
        for create in creates
    ]


def test_before_the_model_is_ready() -> None:
    """Whatever happened before: one update with what is different from what the session was set up with."""
    call = Exit(ENGLISH)
    call.open()
    change(call, GERMAN)
    call.connected()
    call.ai.session_created()
    change(call, FRENCH)
    change(call, GERMAN)
    assert updates(call) == []
    call.ai.session_updated()
    (update,) = updates(call)
    assert update["instructions"] == "Du bist Ada."
    assert update["audio"]["input"]["transcription"]["language"] == "de"
    call.advance(5)
    assert said(call)[:2] == [("notice", "Aufzeichnung."), ("greeting", "Hallo.")]


def test_there_and_back_before_the_model_is_ready() -> None:
    call = Exit(ENGLISH)
    call.open()
    change(call, GERMAN)
    change(call, ENGLISH)
    call.connected()
    call.ai.session_created()
    call.ai.session_updated()
    assert updates(call) == []
    assert said(call)[0] == ("notice", "Recorded.")


def test_while_they_talk() -> None:
    call = Exit(ENGLISH)
    call.ready()
    call.advance(3)
    assert said(call) == [("notice", "Recorded."), ("greeting", "Hello.")]
    change(call, GERMAN)
    (update,) = updates(call)
    transcription = {"model": "gpt-4o-mini-transcribe", "language": "de"}
    assert update == {
        "type": "realtime",
        "instructions": "Du bist Ada.",
        "audio": {"input": {"transcription": transcription}},
    }
    call.advance(6)
    create = call.ai.received("response.create")[-1]["response"]
    assert create["instructions"].startswith("Du bist Ada.")
    assert said(call)[-1] == ("no_input", "Noch da?")
    response = call.respond()
    call.ai.call("order_status", response=response)
    call.over(response)
    call.advance(3)
    assert said(call)[-1] == ("filler", "Moment.")
    response = call.respond()
    call.ai.call("escalate", response=response, call="call_2")
    call.over(response)
    call.advance(1)
    assert ("goodbye", "Ein Kollege kommt.") in said(call)


def test_without_a_difference_nothing_is_sent() -> None:
    call = Exit(ENGLISH)
    call.ready()
    change(call, ENGLISH)
    assert updates(call) == []
    change(call, FRENCH)
    change(call, FRENCH)
    assert len(updates(call)) == 1


def test_an_update_after_the_end_changes_nothing() -> None:
    call = Exit(ENGLISH, answers_close=False)
    call.ready()
    call.ai_lost()
    assert call.messages_of("disconnect")
    call.genesys("update", language="de-de")
    assert call.of(ChangeLanguage) == []
    call.call.change_language(GERMAN, call.now)
    assert call.call.commands() == []


def test_what_changes() -> None:
    bare = rt.SessionConfig(instructions="a")
    assert changed_settings(bare, bare) is None
    assert changed_settings(bare, rt.SessionConfig(instructions="b")) == rt.SessionConfig(instructions="b")
    voice = rt.SessionConfig(instructions="a", audio=rt.AudioConfig(output=rt.AudioOutput(voice="cedar")))
    assert changed_settings(bare, voice) is None
    none = rt.SessionConfig(instructions="a", audio=rt.AudioConfig(input=rt.AudioInput(transcription=None)))
    assert changed_settings(bare, none) == rt.SessionConfig(
        audio=rt.AudioConfig(input=rt.AudioInput(transcription=None))
    )
