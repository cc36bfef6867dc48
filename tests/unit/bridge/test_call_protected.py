"""What must be heard to its end, and recordings: heard, cut, and told to the model."""

from typing import Any

import pytest

from offhook import realtime as rt
from offhook.bridge import CallPlan, Prompt
from offhook.bridge.agent_turns import AgentTurns
from offhook.bridge.plan import BargeIn, CallLimits, Filler, NoInput
from tests.unit.bridge.harness import Harness, plan, session, speech
from tests.unit.bridge.test_call_false_alarms import DETECTION, agent, sounds

MS = 8


def guarded(**changes: Any) -> CallPlan:
    settings: dict[str, Any] = {
        "session": session(turn_detection=DETECTION),
        "greeting": Prompt(instructions="Greet.", protected=True),
        **changes,
    }
    return plan(**settings)


def agent_of(harness: Harness) -> AgentTurns:
    assert harness.call.conversation is not None
    return harness.call.conversation._agent


def pump(harness: Harness) -> None:
    """Let the call go on after something was done behind its back."""
    harness.call.handle_timer(harness.now)
    harness._settle()


def clip(harness: Harness, audio: bytes, text: str = "One moment please.", **how: Any) -> str:
    item = agent_of(harness).play_clip(text, audio, harness.now, **how)
    pump(harness)
    return item


def told(harness: Harness) -> list[tuple[str, str | None]]:
    """What the model was told that it had said, and behind which item."""
    items = [
        (event["item"], event.get("previous_item_id")) for event in harness.ai.received("conversation.item.create")
    ]
    return [(item["content"][0]["text"], place) for item, place in items if item.get("role") == "assistant"]


class TestPlan:
    @pytest.mark.parametrize(
        "changes",
        [
            {"goodbye": Prompt(text="x", protected=True)},
            {"handover": Prompt(text="x", protected=True)},
            {"limits": CallLimits(goodbye=Prompt(text="x", protected=True))},
            {"no_input": NoInput(after=5, prompts=(Prompt(text="x"),), goodbye=Prompt(text="y", protected=True))},
        ],
    )
    def test_what_is_said_at_the_end_cannot_be_interrupted_anyway(self, changes: dict[str, Any]) -> None:
        assert not plan(session=session(turn_detection=DETECTION), **changes).decides_interruptions

    @pytest.mark.parametrize(
        "changes",
        [
            {"greeting": Prompt(text="x", protected=True)},
            {"notice": Prompt(text="x", protected=True)},
            {"filler": Filler(after=1, every=2, prompts=(Prompt(text="x"), Prompt(text="y", protected=True)))},
            {"no_input": NoInput(after=5, prompts=(Prompt(text="x", protected=True),), goodbye=Prompt(text="y"))},
            {"barge_in": BargeIn(min_speech=0.1)},
            {"barge_in": BargeIn(resume=True)},
        ],
    )
    def test_who_wants_more_than_the_server_can_decides_here(self, changes: dict[str, Any]) -> None:
        wanted = plan(session=session(turn_detection=DETECTION), **changes)
        assert wanted.decides_interruptions
        assert wanted.interruptible
        assert not wanted.answers_itself
        never = plan(**{**changes, "barge_in": BargeIn(enabled=False, min_speech=0.1)})
        assert not never.decides_interruptions
        assert not never.interruptible

    def test_all_others_leave_it_to_the_server(self) -> None:
        filler = Filler(after=1, every=2, prompts=(Prompt(text="x"),))
        silence = NoInput(after=5, prompts=(Prompt(text="x"),), goodbye=Prompt(text="y"))
        normal = plan(greeting=Prompt(text="x"), filler=filler, no_input=silence)
        assert not normal.decides_interruptions
        assert normal.interruptible


class TestProtectedResponse:
    def test_it_is_heard_to_its_end_and_the_caller_is_answered_then(self) -> None:
        harness = Harness(guarded()).ready()
        create = harness.ai.take("response.create")
        harness.ai.created("resp_g", create)
        harness.ai.item("resp_g", "item_g")
        harness.ai.audio(speech(2000), "resp_g", "item_g")
        harness.advance(0.5)
        harness.caller_audio(speech(200))
        assert harness.ai.heard() == speech(200), "the caller is listened to"
        sounds(harness, 300, previous="item_g")
        harness.ai.audio(speech(1000, 3), "resp_g", "item_g")
        harness.ai.transcribed("caller_1", "Hello?")
        harness.genesys("dtmf", digit="1")
        harness.ai.item_done("This call is recorded. Hello.", "resp_g", "item_g")
        harness.ai.done("resp_g")
        answer = harness.ai.take("response.create")
        harness.ai.says(speech(1000, 9), "Yes?", "resp_2", "item_2", answer)
        harness.advance(6)
        assert harness.audio == speech(2000) + speech(1000, 3) + speech(1000, 9)
        assert harness.entities("barge_in") == []
        assert not {"response.cancel", "conversation.item.truncate", "conversation.item.delete"} & set(
            harness.ai.kinds()
        )
        assert [(turn.item_id, turn.interrupted) for turn in harness.turns if turn.speaker == "agent"] == [
            ("item_g", False),
            ("item_2", False),
        ]

    def test_speech_before_it_was_created_does_not_stop_it(self) -> None:
        harness = Harness(guarded()).ready()
        create = harness.ai.received("response.create")[0]
        harness.ai.speech_started("caller_1", 0)
        harness.genesys("dtmf", digit="1")
        harness.ai.says(speech(1000), create=create)
        harness.advance(2)
        assert harness.audio == speech(1000)
        assert "response.cancel" not in harness.ai.kinds()

    def test_only_what_stands_behind_it_is_cut(self) -> None:
        harness = Harness(guarded()).ready()
        create = harness.ai.take("response.create")
        harness.ai.says(speech(3000), "Notice.", "resp_g", "item_g", create)
        harness.advance(0.5)
        sounds(harness, 300, "caller_1", previous="item_g")
        answer = harness.ai.take("response.create")
        harness.ai.created("resp_2", answer)
        harness.ai.item("resp_2", "item_2")
        harness.ai.audio(speech(2000, 9), "resp_2", "item_2")
        harness.ai.speech_started("caller_2", 3000)
        assert harness.ai.kinds() == ["response.cancel", "conversation.item.delete"]
        assert harness.ai.received("conversation.item.delete")[0]["item_id"] == "item_2"
        harness.ai.done("resp_2", status="cancelled", type="cancelled", reason="client_cancelled")
        harness.ai.speech_stopped("caller_2", 4500)
        harness.ai.committed("caller_2", "caller_1")
        harness.advance(4)
        assert harness.audio == speech(3000)
        assert harness.entities("barge_in") == []
        assert harness.ai.kinds().count("response.create") == 1

    def test_the_next_response_can_be_interrupted(self) -> None:
        harness = Harness(guarded()).talking()
        harness.ai.created()
        harness.ai.item()
        harness.ai.audio(3000)
        harness.advance(1)
        harness.ai.speech_started("caller_1", 0)
        assert len(harness.entities("barge_in")) == 1
        assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]

    def test_a_doubt_does_not_hold_it_back(self) -> None:
        harness = Harness(guarded(barge_in=BargeIn(resume=True))).ready()
        create = harness.ai.take("response.create")
        harness.ai.says(speech(3000), "Notice.", "resp_g", "item_g", create)
        harness.advance(0.5)
        sounds(harness, 300, previous="item_g")
        harness.ai.transcribed("caller_1", "")
        harness.advance(4)
        assert harness.audio == speech(3000)
        assert "resumed_speech" not in harness.moments

    def test_the_caller_can_always_hang_up(self) -> None:
        harness = Harness(guarded()).ready()
        harness.ai.says(3000, response="resp_g", item="item_g", create=harness.ai.take("response.create"))
        harness.advance(1)
        harness.close()
        (turn,) = harness.turns
        assert turn.interrupted
        assert turn.heard_ms == pytest.approx(900, abs=100)

    def test_a_greeting_that_is_not_protected(self) -> None:
        later = NoInput(after=5, prompts=(Prompt(text="x", protected=True),))
        harness = Harness(guarded(no_input=later, greeting=Prompt(text="y"))).ready()
        harness.ai.speech_started("caller_1", 0)
        harness.ai.created("resp_g", harness.ai.take("response.create"))
        harness.ai.take("response.cancel")


class TestClips:
    def test_it_is_heard_recorded_and_told(self) -> None:
        harness = Harness(plan()).talking()
        item = clip(harness, speech(1000))
        assert agent_of(harness).clip_playing(item)
        assert [moment.data["response_id"] for moment in harness.moments_of("first_packet")] == [item]
        harness.advance(0.5)
        assert told(harness) == []
        harness.advance(1.5)
        assert not agent_of(harness).clip_playing(item)
        assert harness.audio == speech(1000)
        assert told(harness) == [("One moment please.", None)]
        (turn,) = harness.turns
        assert (turn.speaker, turn.text, turn.heard_ms) == ("agent", "One moment please.", 1000)

    def test_what_was_heard_of_it_is_told_when_it_is_cut(self) -> None:
        harness = Harness(plan()).talking()
        clip(harness, speech(2000), "One moment please, I am looking it up.")
        harness.advance(1.1)
        harness.ai.speech_started("caller_1", 0)
        assert len(harness.entities("barge_in")) == 1
        assert harness.ai.kinds() == ["conversation.item.create"], "nothing to truncate or delete at the server"
        (words,) = told(harness)
        assert words == ("One moment please,", None)
        (turn,) = harness.turns
        assert (turn.text, turn.interrupted) == ("One moment please,", True)

    def test_nothing_was_heard_of_it(self) -> None:
        harness = Harness(plan()).talking()
        clip(harness, speech(2000))
        harness.ai.speech_started("caller_1", 0)
        assert harness.ai.kinds() == []

    def test_the_model_need_not_know(self) -> None:
        harness = Harness(plan()).talking()
        clip(harness, speech(500), tell=False)
        clip(harness, speech(500), tell=False, protected=True)
        harness.advance(3)
        assert harness.ai.kinds() == []
        assert harness.audio == speech(500) * 2

    def test_a_protected_one_is_told_at_once_and_cannot_be_cut(self) -> None:
        harness = Harness(guarded(greeting=None, notice=Prompt(text="x", protected=True))).talking()
        item = clip(harness, speech(2000), "This call is recorded.", protected=True)
        assert told(harness) == [("This call is recorded.", None)]
        harness.advance(0.5)
        sounds(harness, 300, previous=None)
        assert agent_of(harness).clip_playing(item)
        harness.advance(3)
        assert harness.audio == speech(2000)
        assert len(told(harness)) == 1
        assert not agent_of(harness).clip_playing(item)

    def test_before_the_model_listens(self) -> None:
        """The first word need not wait for the AI; the model is told when there is one."""
        harness = Harness(plan(greeting=Prompt(instructions="Greet.")))
        harness.open()
        clip(harness, speech(1000), "Hello, this is Acme.")
        clip(harness, speech(500), "This call is recorded.", protected=True)
        harness.advance(2.5)
        assert harness.audio == speech(1000) + speech(500)
        assert harness.ai.sent == []
        harness.connected()
        harness.ai.session_created()
        harness.ai.session_updated()
        assert sorted(told(harness)) == [("Hello, this is Acme.", None), ("This call is recorded.", None)]
        assert harness.ai.kinds()[1:] == ["conversation.item.create", "conversation.item.create", "response.create"]

    def test_after_the_model_is_lost(self) -> None:
        harness = Harness(plan()).talking()
        clip(harness, speech(1000))
        harness.ai_lost()
        harness.advance(5)
        assert harness.audio == speech(1000)
        assert harness.ended.outcome == "failed"

    def test_one_that_finds_no_room_is_not_played(self) -> None:
        harness = Harness(plan()).talking()
        for _ in range(5):
            clip(harness, bytes(70 * 8000))
        assert len([item for item in range(1, 6) if agent_of(harness).clip_playing(f"clip-{item}")]) == 4
        assert harness.moments.count("audio_lost") == 1

    def test_an_empty_one(self) -> None:
        harness = Harness(plan()).talking()
        assert not agent_of(harness).clip_playing(clip(harness, b""))
        harness.advance(1)
        assert harness.turns == []

    @pytest.mark.parametrize("previous", [None, "item_0"])
    def test_it_belongs_before_what_the_caller_said_over_it(self, previous: str | None) -> None:
        harness = Harness(agent()).talking()
        clip(harness, speech(3000), "One two three four five six.")
        harness.advance(1.6)
        sounds(harness, 300, previous=previous)
        assert told(harness) == []
        harness.ai.transcribed("caller_1", "Stop.")
        assert told(harness) == [("One two three", previous or "root")]
        assert harness.ai.kinds() == ["conversation.item.create", "response.create"]

    def test_it_goes_on_after_a_false_alarm(self) -> None:
        harness = Harness(agent()).talking()
        clip(harness, speech(3000), "One two three four five six.")
        harness.advance(1.6)
        sounds(harness, 300)
        harness.ai.transcribed("caller_1", "")
        harness.advance(4)
        assert told(harness) == [("One two three four five six.", None)]
        (turn,) = harness.turns
        assert not turn.interrupted
        assert harness.audio.endswith(speech(3000)[-1500 * MS :])


def test_a_response_of_empty_audio_leaves_nothing_behind() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(b"")
    harness.ai.item_done("words")
    harness.ai.done()
    harness.advance(2)
    assert not agent_of(harness)._unsent
    assert rt.SessionState.READY is agent_of(harness).session.state


@pytest.mark.parametrize("ended", [False, True])
def test_a_protected_recording_before_there_is_a_model_is_told_once(ended: bool) -> None:
    harness = Harness(guarded(greeting=None))
    harness.open()
    clip(harness, speech(1000), "This call is recorded.", protected=True)
    harness.advance(2.0 if ended else 0.5)
    harness.connected()
    harness.ai.session_created()
    harness.ai.session_updated()
    assert len(told(harness)) == int(ended)
    harness.advance(2.0)
    assert told(harness) == [("This call is recorded.", None)]
