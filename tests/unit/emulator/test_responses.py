import base64
import json
from typing import Any

import pytest

from offhook.audio import silence
from offhook.emulator.formats import from_ulaw
from tests.unit.emulator.rig import (
    INTERRUPTION,
    QUESTION,
    SPEECH,
    Rig,
    audio_of,
    done,
    error,
    kinds,
    of,
    only,
    said,
)

LONG = (
    "We are open Monday to Friday, from nine in the morning until six in the evening, and on Saturdays from ten until "
    "two. On Sundays and public holidays we are closed."
)
TOOL = {"type": "function", "name": "order_status", "parameters": {"type": "object"}}
CALL = {"name": "order_status", "arguments": {"order_id": "1234"}}


def rig_with(*turns: dict[str, Any], **scenario: Any) -> Rig:
    rig = Rig({"turns": list(turns), **scenario})
    rig.ready()
    return rig


def squeezed(events: list[dict[str, Any]]) -> list[str]:
    """Return the types with runs of deltas drawn together."""
    short: list[str] = []
    for kind in kinds(events):
        if kind.endswith(".delta"):
            kind = "deltas"
        if short[-1:] != [kind]:
            short.append(kind)
    return short


class TestOrder:
    def test_a_spoken_response(self) -> None:
        rig = rig_with({"say": "Hello."})
        rig.send("response.create", response={"metadata": {"gw": "greet"}})
        events = rig.run(5)
        assert squeezed(events) == [
            "response.created",
            "rate_limits.updated",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "deltas",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        created = events[0]["response"]
        assert created["status"] == "in_progress"
        assert created["metadata"] == {"gw": "greet"}
        assert created["usage"] is None
        assert audio_of(events) == SPEECH.clip("Hello.")
        assert done(events)["status_details"] is None

    def test_a_text_response_beside_the_conversation(self) -> None:
        rig = rig_with(asides=["All is well."])
        rig.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        events = rig.run(5)
        assert squeezed(events) == [
            "response.created",
            "rate_limits.updated",
            "response.output_item.added",
            "response.content_part.added",
            "deltas",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
        assert done(events)["conversation_id"] is None
        assert said(done(events)) == ["All is well."]
        assert not rig.session.conversation.entries()

    def test_a_preamble_and_parallel_calls(self) -> None:
        rig = rig_with({"preamble": "One moment, please.", "call": [CALL, {"name": "other"}]})
        response = rig.greet()
        assert [item["type"] for item in response["output"]] == ["message", "function_call", "function_call"]
        arguments = of(rig.events, "response.function_call_arguments.done")
        assert [event["arguments"] for event in arguments] == ['{"order_id":"1234"}', "{}"]
        deltas = of(rig.events, "response.function_call_arguments.delta")
        assert len(deltas) >= 4
        assert "".join(event["delta"] for event in deltas if event["output_index"] == 1) == '{"order_id":"1234"}'
        assert [event["output_index"] for event in of(rig.events, "response.output_item.done")] == [0, 1, 2]

    def test_several_messages_in_one_response(self) -> None:
        rig = rig_with({"say": ["All right.", "Goodbye."]})
        assert said(rig.greet()) == ["All right.", "Goodbye."]
        first, second = rig.session.conversation.entries()
        assert bytes(first.audio) == SPEECH.clip("All right.")
        assert bytes(second.audio) == SPEECH.clip("Goodbye.")


class TestBursts:
    @pytest.mark.parametrize("speed", [1, 4, 10])
    def test_audio_comes_faster_than_real_time(self, speed: int) -> None:
        rig = rig_with({"say": LONG, "one_delta": False}, speed=speed, first_audio_ms=200, created_ms=0)
        rig.send("response.create")
        start = rig.now
        audio = bytearray()
        while not of(rig.events, "response.done"):
            for event in of(rig.run(0.1), "response.output_audio.delta"):
                audio += base64.b64decode(event["delta"])
                lead = len(audio) / 8000 - (rig.now - start) * speed
                assert lead < 1.3 * speed + 1.3
        assert bytes(audio) == SPEECH.clip(LONG)
        expected = len(audio) / 8000 / speed + 0.2
        assert expected <= rig.now - start <= expected + 0.2

    def test_a_turn_has_its_own_pace(self) -> None:
        rig = rig_with({"say": "Hello.", "first_audio_ms": 2000, "one_delta": True, "speed": 10})
        rig.send("response.create")
        assert not of(rig.run(2.0), "response.output_audio.delta")
        assert len(of(rig.run(1.0), "response.output_audio.delta")) == 1

    @pytest.mark.parametrize("audio_format", [{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcma"}])
    def test_other_formats(self, audio_format: dict[str, Any]) -> None:
        rig = Rig({"turns": [{"say": "Hello."}]})
        rig.ready(audio={"output": {"format": audio_format}})
        rig.greet()
        assert audio_of(rig.events) == from_ulaw(SPEECH.clip("Hello."), audio_format["type"])

    def test_the_response_may_choose_its_format_and_voice(self) -> None:
        rig = rig_with({"say": "Hello."})
        rig.send("response.create", response={"audio": {"output": {"format": {"type": "audio/pcma"}, "voice": "sage"}}})
        response = done(rig.run(5))
        assert response["audio"]["output"] == {"format": {"type": "audio/pcma"}, "voice": "sage"}
        assert audio_of(rig.events) == from_ulaw(SPEECH.clip("Hello."), "audio/pcma")


class TestOneAtATime:
    def test_a_second_response_is_refused_while_one_is_wanted_or_active(self) -> None:
        rig = rig_with({"say": LONG})
        rig.send("response.create")
        for _ in range(2):
            refused = error(rig.send("response.create", event_id="rc_2"))
            assert refused["code"] == "conversation_already_has_active_response"
            assert f"{rig.session.active_response_id}. Wait until the response is finished" in refused["message"]
            assert refused["event_id"] == "rc_2"
            rig.run(0.5)
        assert len(of(rig.run(5), "response.done")) == 1
        assert rig.session.active_response_id is None

    def test_others_run_beside_it(self) -> None:
        rig = rig_with({"say": "Hello."}, asides=["a", "b"])
        rig.send("response.create")
        for _ in range(2):
            rig.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        ended = [said(event["response"]) for event in of(rig.run(5), "response.done")]
        assert sorted(ended) == [["Hello."], ["a"], ["b"]]

    def test_a_slow_one_beside_it_holds_nothing_up(self) -> None:
        rig = rig_with({"say": "Hello."}, {"say": "Bye."}, asides=[{"say": "Slow.", "seconds": 20}])
        rig.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        rig.send("response.create")
        assert said(done(rig.run(5))) == ["Hello."]
        rig.send("response.create")
        assert said(done(rig.run(5))) == ["Bye."]
        assert not of(rig.run(10), "response.output_text.delta")
        assert said(done(rig.run(2))) == ["Slow."]

    @pytest.mark.parametrize(("aside", "begun"), [({"fail": {}}, 0), ({"say": "one two three four", "fail": {}}, 1)])
    def test_one_beside_it_may_fail(self, aside: dict[str, Any], begun: int) -> None:
        rig = rig_with(asides=[aside, "All is well."], aside_seconds=1)
        text = {"conversation": "none", "output_modalities": ["text"]}
        rig.send("response.create", response=text)
        assert not of(rig.run(0.9), "response.done")
        response = done(rig.run(1))
        assert (response["status"], len(response["output"])) == ("failed", begun)
        assert response["status_details"]["error"]["code"] == "inference_rate_limit_exceeded"
        rig.send("response.create", response=text)
        assert said(done(rig.run(2))) == ["All is well."]

    def test_what_is_given_to_read_is_all_that_is_read(self) -> None:
        rig = rig_with({"say": LONG}, asides=["All is well."])
        rig.greet()
        spoken = rig.session.conversation.entries()[0].id
        words = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 400}]}
        read = []
        inputs: list[list[Any] | None] = [None, [], [words], [{"type": "item_reference", "id": spoken}]]
        for items in inputs:
            given = {} if items is None else {"input": items}
            rig.send("response.create", response={"conversation": "none", "output_modalities": ["text"], **given})
            read.append(done(rig.run(2))["usage"]["input_token_details"])
        conversation, nothing, text, reference = ((tokens["text_tokens"], tokens["audio_tokens"]) for tokens in read)
        assert conversation == reference
        assert conversation[1] > 0
        assert nothing[0] < text[0] - 100
        assert nothing[1] == text[1] == 0

    def test_there_is_an_end_to_parallelism(self) -> None:
        rig = rig_with()
        for _ in range(32):
            rig.send("response.create", response={"conversation": "none"})
        refused = error(rig.send("response.create", response={"conversation": "none"}))
        assert refused["code"] == "rate_limit_exceeded"


class TestParameters:
    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"conversation": "other"}, "invalid_value"),
            ({"output_modalities": ["audio", "text"]}, "invalid_value"),
            ({"max_output_tokens": 0}, "invalid_value"),
            ({"tool_choice": {"type": "function", "name": "x"}}, "invalid_value"),
            ({"metadata": {str(n): "" for n in range(17)}}, "invalid_value"),
            ({"metadata": {"k" * 65: ""}}, "invalid_value"),
            ({"metadata": {"k": "v" * 513}}, "invalid_value"),
            ({"modalities": ["text"]}, "unknown_parameter"),
            ({"input": [{"type": "item_reference", "id": "item_gone"}]}, "item_not_found"),
            ({"input": [{"type": "poem"}]}, "invalid_value"),
        ],
    )
    def test_wrong_ones_are_refused(self, params: dict[str, Any], code: str) -> None:
        rig = rig_with()
        assert error(rig.send("response.create", response=params))["code"] == code
        assert rig.session.active_response_id is None

    def test_instructions_and_input_pick_the_turn(self) -> None:
        rig = rig_with(
            {"when": {"instructions": "goodbye"}, "say": "Goodbye."},
            {"when": {"text": "pressed 1"}, "say": "All right."},
        )
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "pressed 1"}]}
        rig.send("response.create", response={"input": [item]})
        assert said(done(rig.run(5))) == ["All right."]
        reference = {"type": "item_reference", "id": rig.session.conversation.entries()[0].id}
        rig.send("response.create", response={"instructions": "Say goodbye.", "input": [reference]})
        assert said(done(rig.run(5))) == ["Goodbye."]

    @pytest.mark.parametrize(
        ("turn", "choice", "expected"),
        [
            ({"call": CALL}, "none", ["All right."]),
            ({"preamble": "One moment.", "call": CALL}, "none", ["One moment."]),
            ({"say": "Hello."}, "none", ["Hello."]),
            ({"preamble": "One moment.", "call": CALL}, "auto", ["One moment.", "order_status"]),
            ({"call": CALL}, {"type": "function", "name": "order_status"}, ["order_status"]),
            ({"say": "Hello."}, {"type": "function", "name": "other"}, ["other"]),
        ],
    )
    def test_tool_choice_forbids_and_forces_calls(
        self, turn: dict[str, Any], choice: str | dict[str, str], expected: list[str]
    ) -> None:
        rig = rig_with(turn)
        rig.ready(tools=[TOOL, {**TOOL, "name": "other"}])
        rig.send("response.create", response={"tool_choice": choice})
        output = done(rig.run(5))["output"]
        assert [item.get("name") or said({"output": [item]})[0] for item in output] == expected

    def test_required_means_some_tool(self) -> None:
        rig = rig_with({"say": "Hello."}, {"call": {"name": "other"}})
        rig.ready(tools=[TOOL])
        rig.send("response.create", response={"tool_choice": "required"})
        assert [item["name"] for item in done(rig.run(5))["output"]] == ["order_status"]
        rig.send("response.create", response={"tool_choice": "required"})
        assert [item["name"] for item in done(rig.run(5))["output"]] == ["other"]
        rig.ready(tools=[])
        rig.send("response.create", response={"tool_choice": "required"})
        assert done(rig.run(5))["output"][0]["type"] == "message"

    def test_a_token_limit_cuts_speech_and_text(self) -> None:
        for modality in ("audio", "text"):
            rig = rig_with({"say": LONG}, {"say": LONG})
            rig.send("response.create", response={"max_output_tokens": 20, "output_modalities": [modality]})
            response = done(rig.run(10))
            assert response["status"] == "incomplete"
            assert response["status_details"]["reason"] == "max_output_tokens"
            assert response["output"][0]["status"] == "incomplete"
            assert len(said(response)[0]) < len(LONG)
            assert response["usage"]["output_tokens"] < 60
        rig.send("response.create", response={"max_output_tokens": 4000})
        assert done(rig.run(10))["status"] == "completed"


class TestInterruption:
    @pytest.mark.parametrize("seed", range(6))
    def test_speech_ends_the_response_properly(self, seed: int) -> None:
        rig = Rig(
            {"turns": [{"say": LONG, "one_delta": False}, {"caller": "Stop.", "say": "All right."}], "speed": 1},
            seed=seed,
        )
        rig.ready()
        rig.send("response.create")
        rig.run(2.0)
        events = rig.speak(INTERRUPTION)
        started = kinds(events).index("input_audio_buffer.speech_started")
        ended = kinds(events).index("response.done")
        late = [kind for kind in squeezed(events[started + 1 : ended]) if kind != "deltas"]
        assert late == [
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
        ]
        response = done(events[: ended + 1])
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert response["output"][0]["status"] == "incomplete"
        assert LONG.startswith(said(response)[0])
        assert response["usage"]["output_tokens"] > 0
        later = events[ended + 1 :] + rig.run(4)
        assert response["id"] not in {event.get("response_id") for event in later}
        assert said(done(later)) == ["All right."]

    def test_some_audio_is_still_in_flight(self) -> None:
        late = []
        for seed in range(8):
            rig = Rig({"turns": [{"say": LONG, "one_delta": False}], "speed": 1}, seed=seed)
            rig.ready()
            rig.send("response.create")
            rig.run(2.0)
            rig.append(silence(300))
            events = rig.append(INTERRUPTION[:3000]) + rig.run(0.05)
            late.append(bool(of(events, "response.output_audio.delta")))
        assert {True, False} == set(late)

    def test_before_the_first_item_there_is_nothing_but_zeros_and_the_turn_comes_again(self) -> None:
        rig = rig_with({"say": "Hello.", "first_audio_ms": 5000})
        rig.send("response.create")
        rig.run(0.5)
        events = rig.append(INTERRUPTION) + rig.run(0.1)
        response = done(events)
        assert (response["status"], response["output"]) == ("cancelled", [])
        assert response["usage"]["total_tokens"] == 0
        assert not of(rig.events, "rate_limits.updated")
        assert said(done(rig.speak(silence(500)) + rig.run(8))) == ["Hello."]

    def test_before_response_created_it_is_created_and_cancelled(self) -> None:
        rig = rig_with({"say": "Hello."}, created_ms=500)
        rig.send("response.create")
        events = rig.append(INTERRUPTION) + rig.run(1.0)
        assert kinds(events) == ["input_audio_buffer.speech_started", "response.created", "response.done"]
        assert done(events)["status"] == "cancelled"

    def test_a_finished_response_is_not_touched(self) -> None:
        rig = rig_with({"say": LONG}, speed=10)
        assert rig.greet()["status"] == "completed"
        events = rig.append(INTERRUPTION) + rig.run(0.2)
        assert kinds(events) == ["input_audio_buffer.speech_started"]

    def test_a_turn_that_ends_in_the_same_breath_is_answered(self) -> None:
        rig = rig_with({"say": LONG}, {"caller": "Stop.", "say": "All right."}, speed=1)
        rig.send("response.create")
        rig.run(2.0)
        events = rig.append(INTERRUPTION + silence(1000))  # both ends at one instant
        assert kinds(events).index("response.done") < kinds(events).index("response.created")
        assert said(done(rig.run(4))) == ["All right."]

    def test_a_call_cut_short_is_incomplete(self) -> None:
        rig = rig_with({"call": CALL}, first_audio_ms=0, created_ms=0)
        rig.send("response.create")
        rig.run(0.03)
        assert of(rig.events, "response.function_call_arguments.delta")
        rig.send("response.cancel")
        response = done(rig.run(1))
        (item,) = response["output"]
        assert item["status"] == "incomplete"
        with pytest.raises(json.JSONDecodeError):
            json.loads(item["arguments"])

    def test_out_of_band_responses_are_never_interrupted(self) -> None:
        rig = rig_with(asides=[LONG], speed=1)
        rig.send("response.create", response={"conversation": "none"})
        rig.run(1.0)
        rig.append(INTERRUPTION)
        assert done(rig.run(15))["status"] == "completed"


class TestCancel:
    def test_by_the_client(self) -> None:
        rig = rig_with({"say": LONG}, speed=1)
        rig.send("response.create")
        rig.run(2.0)
        rig.send("response.cancel", response_id=rig.session.active_response_id)
        response = done(rig.run(1))
        assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}

    def test_before_created_it_is_too_early_and_the_response_comes(self) -> None:
        rig = rig_with({"say": "Hello."})
        rig.send("response.create")
        assert error(rig.send("response.cancel", event_id="c"))["code"] == "response_cancel_not_active"
        assert done(rig.run(5))["status"] == "completed"

    def test_twice_and_too_late_is_an_error(self) -> None:
        rig = rig_with({"say": LONG}, speed=1)
        rig.send("response.create")
        rig.run(2.0)
        rig.send("response.cancel")
        assert error(rig.send("response.cancel"))["code"] == "response_cancel_not_active"
        rig.run(1)
        assert error(rig.send("response.cancel", response_id="resp_x"))["code"] == "response_cancel_not_active"

    def test_an_out_of_band_response_by_its_id_only(self) -> None:
        rig = rig_with(asides=[LONG], speed=1)
        rig.send("response.create", response={"conversation": "none"})
        response_id = only(rig.run(1.0), "response.created")["response"]["id"]
        assert error(rig.send("response.cancel"))["code"] == "response_cancel_not_active"
        rig.send("response.cancel", response_id=response_id)
        assert done(rig.run(1))["status"] == "cancelled"

    def test_no_new_response_until_the_cancelled_one_is_done(self) -> None:
        rig = rig_with({"say": LONG}, {"say": "Hello."}, speed=1)
        rig.send("response.create")
        rig.run(2.0)
        rig.send("response.cancel")
        assert error(rig.send("response.create"))["code"] == "conversation_already_has_active_response"
        rig.run(0.1)
        rig.send("response.create")
        assert said(done(rig.run(5))) == ["Hello."]


class TestEndings:
    def test_failed_at_once(self) -> None:
        rig = rig_with({"fail": {}}, {"say": "Hello."})
        response = rig.greet()
        assert (response["status"], response["output"]) == ("failed", [])
        assert response["status_details"]["error"]["code"] == "inference_rate_limit_exceeded"
        assert response["usage"]["total_tokens"] == 0
        assert not of(rig.events, "error")
        rig.send("response.create")
        assert said(done(rig.run(5))) == ["Hello."]

    def test_failed_half_way(self) -> None:
        rig = rig_with({"say": LONG, "call": CALL, "fail": {"code": "server_error", "message": "Oops."}})
        response = rig.greet()
        assert response["status_details"]["error"]["message"] == "Oops."
        assert [item["status"] for item in response["output"]] == ["incomplete"]

    @pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
    def test_incomplete(self, reason: str) -> None:
        rig = rig_with({"say": LONG, "incomplete": reason})
        response = rig.greet()
        assert (response["status"], response["status_details"]["reason"]) == ("incomplete", reason)
        assert len(audio_of(rig.events)) < 0.6 * len(SPEECH.clip(LONG))
        assert LONG.startswith(said(response)[0])

    def test_completed_without_audio(self) -> None:
        rig = rig_with({"say": "Hello.", "no_audio": True}, {"no_audio": True})
        response = rig.greet()
        assert (response["status"], said(response)) == ("completed", ["Hello."])
        assert not audio_of(rig.events)
        rig.send("response.create")
        response = done(rig.run(5))
        assert (response["status"], response["output"]) == ("completed", [])
        assert response["usage"]["input_tokens"] > 0

    def test_the_last_audio_is_missing(self) -> None:
        rig = rig_with({"say": LONG, "missing_tail_ms": 900})
        assert said(rig.greet()) == [LONG]
        assert audio_of(rig.events) == SPEECH.clip(LONG)[:-7200]

    def test_a_pause_in_the_middle(self) -> None:
        rig = rig_with({"say": LONG, "pause_ms": 3000}, speed=10, first_audio_ms=0)
        rig.send("response.create")
        before = len(audio_of(rig.run(0.9)))
        assert 0.3 * len(SPEECH.clip(LONG)) < before < 0.6 * len(SPEECH.clip(LONG))
        assert not of(rig.run(2.4), "response.output_audio.delta")
        assert said(done(rig.run(3))) == [LONG]
        assert audio_of(rig.events) == SPEECH.clip(LONG)

    def test_a_response_that_never_ends(self) -> None:
        rig = rig_with({"say": LONG, "unfinished": True}, {"say": "Hello."})
        rig.send("response.create")
        events = rig.run(60)
        assert 0.3 * len(SPEECH.clip(LONG)) < len(audio_of(events)) < 0.6 * len(SPEECH.clip(LONG))
        assert not of(events, "response.done")
        assert not of(events, "response.output_item.done")
        assert error(rig.send("response.create"))["code"] == "conversation_already_has_active_response"
        rig.send("response.cancel")
        assert done(rig.run(1))["status"] == "cancelled"
        rig.send("response.create")
        assert said(done(rig.run(5))) == ["Hello."]

    def test_a_text_that_never_ends(self) -> None:
        rig = Rig({"turns": [{"say": LONG, "unfinished": True}]})
        rig.ready(output_modalities=["text"])
        rig.send("response.create")
        assert not of(rig.run(60), "response.done")

    def test_done_without_created(self) -> None:
        rig = rig_with({"say": "Hello.", "without_created": True})
        assert rig.greet()["status"] == "completed"
        assert not of(rig.events, "response.created")


def test_a_caller_turn_is_answered_by_the_turn_that_names_it() -> None:
    rig = rig_with({"caller": "What are your opening hours?", "say": "Nine to six."})
    assert said(done(rig.speak(QUESTION) + rig.run(3))) == ["Nine to six."]
