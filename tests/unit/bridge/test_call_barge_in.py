"""Barge-in: the caller speaks, and in the same step the agent is silent and the model knows what was heard."""

import random

import pytest

from offhook import realtime as rt
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import GREETED, Harness, plan, session, speech

MS = 8


def speaking(harness: Harness, audio: bytes | float = 6000) -> Harness:
    """A response that was generated in part: 6 s are here, more is to come."""
    harness.talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(audio)
    return harness


def heard_of(harness: Harness, before: int = 0) -> int:
    """Milliseconds that Genesys has really played."""
    return (len(harness.playback.heard) - before) // MS


def test_barge_in_in_the_same_step_and_nothing_follows() -> None:
    harness = speaking(Harness(plan()))
    harness.ai.text("A long story about opening hours")
    harness.advance(2.0)
    sent = len(harness.packets)
    harness.ai.speech_started()
    assert harness.entities("barge_in") == [{"type": "barge_in", "data": {}}]
    assert harness.texts[-1][0] == harness.now
    truncate = harness.ai.take("conversation.item.truncate")
    assert (truncate["item_id"], truncate["content_index"]) == ("item_1", 0)
    assert truncate["audio_end_ms"] == pytest.approx(heard_of(harness), abs=100)
    # Late deltas, a later item, a function call: all of it is dead.
    harness.ai.audio(1000)
    harness.ai.item(item="item_2", index=1)
    harness.ai.audio(1000, item="item_2")
    harness.ai.item_done("A long story about opening hours and more.")
    harness.ai.call("order_status")
    harness.ai.done(status="cancelled", type="cancelled", reason="turn_detected")
    harness.advance(5)
    assert len(harness.packets) == sent
    assert [command for command in harness.commands if type(command).__name__ == "InvokeTool"] == []
    assert harness.ai.kinds() == ["conversation.item.create", "conversation.item.delete"]
    (output,) = harness.ai.received("conversation.item.create")
    assert "not run" in output["item"]["output"]
    assert harness.ai.received("conversation.item.delete")[0]["item_id"] == "item_2"
    assert harness.ai.received("response.create") == []
    (turn,) = [turn for turn in harness.turns if turn.item_id == "item_1"]
    assert turn.interrupted
    assert turn.heard_ms == truncate["audio_end_ms"]
    assert turn.audio_ms == 7000
    assert turn.text + " " + turn.unheard == "A long story about opening hours and more."


@pytest.mark.parametrize("start_delay", [0.0, 0.1, 0.2])
@pytest.mark.parametrize(
    ("reports", "report_delay"),
    [(("playback_started", "playback_completed"), 0.0), (("playback_started", "playback_completed"), 0.08), ((), 0.0)],
)
def test_truncated_to_what_was_heard(start_delay: float, reports: tuple[str, ...], report_delay: float) -> None:
    """Several items queued and an underrun before the third; any moment of interruption."""
    for tenths in range(1, 90, 3):
        harness = Harness(plan(), playback=Playback(start_delay), reports=reports, report_delay=report_delay)
        harness.talking()
        harness.ai.created()
        lengths = {"a": 1300, "b": 900, "c": 2600}
        for index, (item, length) in enumerate(lengths.items()):
            if item == "c":
                harness.at(3.5, lambda h=harness: h.ai.audio(2600, item="c"))  # type: ignore[misc]
            harness.ai.item(item=item, index=index)
            if item != "c":
                harness.ai.audio(length, item=item)
                harness.ai.item_done("words", item=item)
        harness.advance(tenths / 10)
        really = heard_of(harness)
        harness.ai.speech_started()
        ends = {event["item_id"]: event["audio_end_ms"] for event in harness.ai.received("conversation.item.truncate")}
        deleted = {event["item_id"] for event in harness.ai.received("conversation.item.delete")}
        assert len(ends) <= 1, "one item is audible at a time"
        reckoned = 0
        for item, length in lengths.items():
            if item in ends:
                assert 0 < ends[item] <= length
                reckoned += ends[item]
                break
            if item in deleted:
                break
            reckoned += length if item != "c" or really > 2300 else 0
        assert reckoned == pytest.approx(min(really, 4800), abs=100), (tenths, really, ends, deleted)


def test_a_fully_heard_item_is_left_alone() -> None:
    harness = Harness(plan()).talking()
    harness.ai.says(1000)
    harness.advance(3)
    harness.ai.speech_started()
    assert harness.ai.kinds() == []
    assert harness.entities("barge_in") == []


def test_a_peer_that_does_not_report_gets_a_flush_to_be_sure() -> None:
    harness = Harness(plan(), reports=()).talking()
    harness.ai.says(1000)
    harness.advance(1.3)
    harness.ai.speech_started()
    assert harness.ai.kinds() == []
    assert len(harness.entities("barge_in")) == 1


def test_an_unheard_item_is_deleted() -> None:
    harness = Harness(plan()).talking()
    harness.ai.says(1000, item="item_1")
    harness.ai.says(3000, response="resp_2", item="item_2")
    harness.advance(0.6)
    harness.ai.speech_started()
    assert [event["item_id"] for event in harness.ai.received("conversation.item.truncate")] == ["item_1"]
    assert [event["item_id"] for event in harness.ai.received("conversation.item.delete")] == ["item_2"]


def test_speech_while_nothing_plays() -> None:
    harness = Harness(plan()).talking()
    harness.ai.speech_started()
    assert harness.texts == []
    assert harness.ai.kinds() == []
    harness.ai.speech_stopped()
    harness.ai.committed()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(100)  # less than a packet: nothing has left
    harness.ai.speech_started("caller_2")
    assert harness.texts == []
    assert harness.ai.kinds() == ["conversation.item.delete"]


def test_a_response_that_was_dead_before_its_first_audio() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.speech_started()
    harness.ai.item()
    harness.ai.audio(1000)
    harness.ai.item_done("Never said.")
    harness.ai.done(status="cancelled", type="cancelled", reason="turn_detected")
    harness.advance(3)
    assert harness.packets == []
    assert harness.texts == []
    assert harness.ai.kinds() == ["conversation.item.delete"]
    (turn,) = harness.turns
    assert (turn.text, turn.unheard) == ("", "Never said.")


def test_the_next_answer_is_heard() -> None:
    harness = speaking(Harness(plan()))
    harness.advance(1)
    harness.ai.speech_started()
    harness.ai.done(status="cancelled", type="cancelled", reason="turn_detected")
    harness.ai.speech_stopped()
    harness.ai.committed(previous="item_1")
    harness.ai.transcribed("caller_1", "Stop.")
    before = len(harness.audio)
    answer = speech(2000, 99)
    harness.ai.says(answer, response="resp_2", item="item_2")
    harness.advance(4)
    assert harness.audio[before:] == answer
    assert [turn.item_id for turn in harness.turns] == ["item_1", "caller_1", "item_2"]


def test_speech_before_our_response_was_created_stops_it() -> None:
    harness = Harness(GREETED).ready()
    create = harness.ai.take("response.create")
    harness.ai.speech_started()
    harness.ai.created("resp_g", create)
    assert harness.ai.take("response.cancel")["response_id"] == "resp_g"
    harness.ai.item("resp_g", "item_g")
    harness.ai.audio(1000, "resp_g", "item_g")
    harness.ai.done("resp_g", status="cancelled", type="cancelled", reason="client_cancelled")
    harness.advance(3)
    assert harness.packets == []


def test_an_agent_that_may_not_be_interrupted() -> None:
    agent = plan(session=session(turn_detection=rt.ServerVad(interrupt_response=False)))
    harness = speaking(Harness(agent), speech(3000))
    harness.ai.item_done("words")
    harness.ai.done()
    harness.advance(0.5)
    harness.ai.speech_started()
    harness.genesys("dtmf", digit="1")
    harness.advance(5)
    assert harness.audio == speech(3000)
    assert harness.entities("barge_in") == []
    assert "conversation.item.truncate" not in harness.ai.kinds()


def test_a_key_stops_the_agent_and_its_response() -> None:
    harness = speaking(Harness(plan()))
    harness.advance(2)
    harness.genesys("dtmf", digit="1")
    assert len(harness.entities("barge_in")) == 1
    assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]
    harness.genesys("dtmf", digit="2")
    assert len(harness.entities("barge_in")) == 1
    assert harness.ai.kinds() == ["response.cancel", "conversation.item.truncate"]


def test_a_thousand_interruptions() -> None:
    """Random moments, sizes and speeds: the cut is always inside the item and near what was played."""
    rng = random.Random(5)
    harness = Harness(plan(), playback=Playback(0.08), report_delay=0.02).talking()
    for number in range(1000):
        response, item = f"r{number}", f"i{number}"
        harness.ai.sent.clear()
        before = len(harness.playback.heard)
        harness.ai.created(response)
        harness.ai.item(response, item)
        generated = 0
        stop = rng.uniform(0.0, 3.0)
        elapsed = 0.0
        while elapsed < stop:
            length = rng.randrange(20, 900)
            harness.ai.audio(length, response, item)
            generated += length
            wait = min(length / 1000 / rng.choice((0.8, 2, 10)), stop - elapsed)
            harness.advance(wait)
            elapsed += wait
        packets = len(harness.packets)
        really = heard_of(harness, before)
        harness.ai.speech_started(f"u{number}")
        cut = harness.ai.received("conversation.item.truncate")
        if cut:
            assert 0 < cut[0]["audio_end_ms"] <= generated
            assert cut[0]["audio_end_ms"] == pytest.approx(really, abs=100)
        elif generated:
            assert really <= 100
        harness.ai.audio(500, response, item)
        harness.ai.done(response, status="cancelled", type="cancelled", reason="turn_detected")
        harness.ai.speech_stopped(f"u{number}")
        harness.ai.committed(f"u{number}")
        harness.advance(rng.uniform(0.3, 1))
        assert len(harness.packets) == packets
        harness.forget()


def test_a_far_genesys_plays_on_until_the_flush_gets_there() -> None:
    near, far = (speaking(Harness(plan())) for _ in range(2))
    for harness in (near, far):
        harness.genesys("update", language="de-de")
        harness.genesys("ping", **({"rtt": "PT0.1S"} if harness is far else {}))
        harness.advance(2.0)
        harness.ai.speech_started()
    heard = [harness.ai.take("conversation.item.truncate")["audio_end_ms"] for harness in (near, far)]
    # `playback_started` was 50 ms on its way, and so will `barge_in` be.
    assert heard[1] - heard[0] == 100
