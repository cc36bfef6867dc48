import base64
from typing import Any

import pytest

from tests.unit.emulator.rig import QUESTION, SPEECH, Rig, done, error, kinds, of, only, said

GREETING = "Hello, Acme here. How can I help you?"
CALL = {"name": "order_status", "arguments": {"order_id": "1234"}}


def message(role: str, kind: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **fields}


def spoken(**turn: Any) -> tuple[Rig, str]:
    """Return a session with one spoken item, and its id."""
    rig = Rig({"turns": [{"say": GREETING, **turn}]})
    rig.ready()
    item_id: str = rig.greet()["output"][0]["id"]
    return rig, item_id


class TestCreate:
    def test_added_and_done_with_the_item_before(self) -> None:
        rig = Rig()
        first = rig.send("conversation.item.create", item=message("system", "input_text", "Be kind.", id="one"))
        assert kinds(first) == ["conversation.item.added", "conversation.item.done"]
        assert first[0]["previous_item_id"] is None
        second = rig.send("conversation.item.create", item=message("assistant", "output_text", "Hello."))
        assert second[0]["previous_item_id"] == "one"
        assert second[0]["item"]["id"].startswith("item_")
        assert second[0]["item"]["status"] == "completed"

    def test_places(self) -> None:
        rig = Rig()
        for item_id, previous in (("a", None), ("b", "root"), ("c", "b"), ("d", None)):
            rig.send(
                "conversation.item.create",
                item=message("user", "input_text", "x", id=item_id),
                previous_item_id=previous,
            )
        assert [entry.id for entry in rig.session.conversation.entries()] == ["b", "c", "a", "d"]
        assert rig.session.conversation.previous_of("b") is None
        assert rig.session.conversation.previous_of("a") == "c"
        assert rig.session.conversation.previous_of("z") is None

    @pytest.mark.parametrize(
        ("item", "code"),
        [
            (message("assistant", "text", "x"), "invalid_value"),
            (message("assistant", "output_audio", "x"), "invalid_value"),
            (message("user", "output_text", "x"), "invalid_value"),
            (message("robot", "input_text", "x"), "invalid_value"),
            ({"type": "message", "role": "user", "content": []}, "missing_required_parameter"),
            ({"type": "message", "role": "user", "content": [{}]}, "invalid_value"),
            ({"type": "message", "role": "user", "content": [{"type": "input_text"}]}, "missing_required_parameter"),
            (message("user", "input_text", "x", id="i" * 33), "string_above_max_length"),
            (message("user", "input_text", "x", id="taken"), "item_create_duplicate_id"),
            ({"type": "mcp_list_tools", "server_label": "x", "tools": []}, "invalid_value"),
            ({"type": "function_call_output", "call_id": "call_x", "output": "{}"}, "invalid_tool_call_id"),
            ({"type": "poem"}, "invalid_value"),
        ],
    )
    def test_what_is_refused(self, item: dict[str, Any], code: str) -> None:
        rig = Rig()
        rig.send("conversation.item.create", item=message("user", "input_text", "x", id="taken"))
        assert error(rig.send("conversation.item.create", event_id="e", item=item))["code"] == code
        assert len(rig.session.conversation) == 1

    def test_the_item_before_must_exist(self) -> None:
        events = Rig().send(
            "conversation.item.create", item=message("user", "input_text", "x"), previous_item_id="item_gone"
        )
        assert error(events)["code"] == "item_create_invalid_previous_item_id"

    def test_there_is_an_end_to_it(self) -> None:
        rig = Rig()
        for _ in range(5000):
            rig.session.receive_text(
                '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
                '"content":[{"type":"input_text","text":"x"}]}}',
                rig.now,
            )
        rig.session.data_to_send()
        events = rig.send("conversation.item.create", item=message("user", "input_text", "x"))
        assert error(events)["code"] == "conversation_too_long"

    def test_a_replayed_call_takes_its_output(self) -> None:
        rig = Rig()
        call = {"type": "function_call", "name": "order_status", "call_id": "call_old", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "call_old", "output": "{}"}
        for item in (call, output):
            assert not of(rig.send("conversation.item.create", item=item), "error")

    def test_an_approval_that_nobody_asked_for_is_refused(self) -> None:
        item = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True, "id": "x"}
        refused = error(Rig().send("conversation.item.create", item=item))
        assert (refused["code"], refused["param"]) == ("invalid_value", "item.approval_request_id")


class TestFunctionCallOutput:
    def test_too_early_is_an_error_and_later_it_is_answered(self) -> None:
        rig = Rig({"turns": [{"call": CALL, "speed": 1}, {"say": GREETING}], "first_audio_ms": 0})
        rig.ready()
        rig.send("response.create")
        call_id = None
        while call_id is None:
            for event in of(rig.run(0.01), "response.output_item.added"):
                call_id = event["item"]["call_id"]
        output = {"type": "function_call_output", "call_id": call_id, "output": '{"status":"shipped"}'}
        early = error(rig.send("conversation.item.create", item=output))
        assert early["code"] == "invalid_tool_call_id"
        assert early["message"] == f"Tool call ID '{call_id}' not found in conversation."
        rig.run(1)
        assert kinds(rig.send("conversation.item.create", item=output)) == [
            "conversation.item.added",
            "conversation.item.done",
        ]
        rig.send("response.create")
        assert said(done(rig.run(5))) == [GREETING]

    def test_a_call_takes_one_output(self) -> None:
        rig = Rig({"turns": [{"call": CALL}, {"say": GREETING}]})
        rig.ready()
        call_id = rig.greet()["output"][0]["call_id"]
        output = {"type": "function_call_output", "call_id": call_id, "output": "{}", "id": "out"}
        assert not of(rig.send("conversation.item.create", item=output), "error")
        again = error(rig.send("conversation.item.create", item=output | {"id": "again"}))
        assert (again["code"], again["param"]) == ("invalid_tool_call_id", "item.call_id")
        assert again["message"] == f"Tool call ID '{call_id}' already has an output."
        rig.send("conversation.item.delete", item_id="out")
        assert not of(rig.send("conversation.item.create", item=output), "error")

    def test_call_ids_are_taken_once(self) -> None:
        rig = Rig({"turns": [{"call": CALL}]})
        rig.ready()
        theirs = rig.greet()["output"][0]["call_id"]
        call = {"type": "function_call", "name": "order_status", "call_id": "call_old", "arguments": "{}"}
        assert not of(rig.send("conversation.item.create", item=call), "error")
        for call_id in ("call_old", theirs):
            found = error(rig.send("conversation.item.create", item=call | {"call_id": call_id}))
            assert (found["code"], found["param"]) == ("invalid_value", "item.call_id")

    def test_a_call_that_was_deleted_takes_none(self) -> None:
        rig = Rig({"turns": [{"call": CALL}]})
        rig.ready()
        (item,) = rig.greet()["output"]
        rig.send("conversation.item.delete", item_id=item["id"])
        output = {"type": "function_call_output", "call_id": item["call_id"], "output": "{}"}
        assert error(rig.send("conversation.item.create", item=output))["code"] == "invalid_tool_call_id"

    def test_responses_do_not_wait_for_it(self) -> None:
        rig = Rig(
            {
                "turns": [
                    {"call": [CALL, CALL]},
                    {"say": "It has shipped."},
                    {"when": {"instructions": "a short filler"}, "say": "One moment."},
                ]
            }
        )
        rig.ready()
        calls = [item["call_id"] for item in rig.greet()["output"]]
        assert len(set(calls)) == 2
        rig.send("response.create", response={"instructions": "Say a short filler.", "tool_choice": "none"})
        assert said(done(rig.run(5))) == ["One moment."]
        for call_id in calls:
            output = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
            assert not of(rig.send("conversation.item.create", item=output), "error")
        rig.send("response.create")
        assert said(done(rig.run(5))) == ["It has shipped."]

    def test_a_call_that_was_cut_short_takes_none(self) -> None:
        rig = Rig({"turns": [{"call": CALL}], "first_audio_ms": 0, "created_ms": 0})
        rig.ready()
        rig.send("response.create")
        rig.run(0.03)
        rig.send("response.cancel")
        call_id = done(rig.run(1))["output"][0]["call_id"]
        output = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
        assert error(rig.send("conversation.item.create", item=output))["code"] == "invalid_tool_call_id"


class TestTruncate:
    def test_the_rest_is_gone_and_the_transcript_with_it(self) -> None:
        rig, item_id = spoken()
        events = rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1200)
        assert events[0] | {"event_id": ""} == {
            "type": "conversation.item.truncated",
            "event_id": "",
            "item_id": item_id,
            "content_index": 0,
            "audio_end_ms": 1200,
        }
        item = only(rig.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
        assert item["content"][0]["transcript"] is None
        assert base64.b64decode(item["content"][0]["audio"]) == SPEECH.clip(GREETING)[:9600]
        (heard,) = rig.session.heard_history()
        assert (heard.audio_ms, heard.truncated, heard.role) == (1200, True, "assistant")
        assert GREETING.startswith(heard.text)
        assert heard.text == "Hello, Acme"

    def test_all_of_it_or_nothing_may_stay(self) -> None:
        rig, item_id = spoken()
        whole = int(len(SPEECH.clip(GREETING)) / 8)
        for end in (whole, 0):
            events = rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end)
            assert kinds(events) == ["conversation.item.truncated"]
            assert rig.session.heard_history()[0].text == (GREETING if end else "")

    @pytest.mark.parametrize(
        ("fields", "code", "text"),
        [
            ({"audio_end_ms": 99_999}, "invalid_value", "Audio content of 2830ms is already shorter than 99999ms"),
            ({"audio_end_ms": -1}, "integer_below_min_value", "at least 0"),
            ({"content_index": 1}, "invalid_value", "Content index 1"),
            ({"item_id": "item_gone"}, "item_truncate_invalid_item_id", "item_gone"),
            ({"item_id": "text"}, "unsupported_content_type", "Only model output audio messages can be truncated"),
            ({"item_id": "user"}, "unsupported_content_type", "Only model output audio messages can be truncated"),
        ],
    )
    def test_what_is_refused(self, fields: dict[str, Any], code: str, text: str) -> None:
        rig, item_id = spoken()
        rig.send("conversation.item.create", item=message("assistant", "output_text", "x", id="text"))
        rig.send("conversation.item.create", item=message("user", "input_text", "x", id="user"))
        request = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100, **fields}
        found = error(rig.send("conversation.item.truncate", event_id="trunc_1", **request))
        assert (found["code"], found["event_id"]) == (code, "trunc_1")
        assert text in found["message"]

    def test_an_item_without_audio_yet(self) -> None:
        rig = Rig({"turns": [{"say": GREETING, "no_audio": True}]})
        rig.ready()
        item_id = rig.greet()["output"][0]["id"]
        found = error(rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0))
        assert found["code"] == "unsupported_content_type"

    def test_twice_only_downwards(self) -> None:
        rig, item_id = spoken()
        rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
        found = error(rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=600))
        assert "Audio content of 500ms is already shorter than 600ms" in found["message"]

    def test_while_it_is_still_being_spoken(self) -> None:
        rig = Rig({"turns": [{"say": GREETING, "one_delta": False}], "speed": 1})
        rig.ready()
        rig.send("response.create")
        rig.run(2.5)
        (entry,) = rig.session.conversation.entries()
        rig.send("conversation.item.truncate", item_id=entry.id, content_index=0, audio_end_ms=300)
        response = done(rig.run(5))
        assert said(response) == [GREETING]  # what was generated, heard or not (trap 3)
        (heard,) = rig.session.heard_history()
        assert (heard.audio_ms, heard.text) == (300, "")
        retrieved = only(rig.send("conversation.item.retrieve", item_id=entry.id), "conversation.item.retrieved")
        assert retrieved["item"]["status"] == "completed"
        assert retrieved["item"]["content"][0]["transcript"] is None


class TestDeleteAndRetrieve:
    def test_deleted_items_are_gone(self) -> None:
        rig, item_id = spoken()
        assert kinds(rig.send("conversation.item.delete", item_id=item_id)) == ["conversation.item.deleted"]
        for verb in ("delete", "retrieve"):
            found = error(rig.send(f"conversation.item.{verb}", item_id=item_id))
            assert found["code"] == f"item_{verb}_invalid_item_id"
        assert rig.session.heard_history() == []

    def test_an_item_deleted_while_it_is_spoken_is_not_mentioned_again(self) -> None:
        rig = Rig({"turns": [{"say": GREETING}], "speed": 1})
        rig.ready()
        rig.send("response.create")
        rig.run(1.5)
        rig.send("conversation.item.delete", item_id=rig.session.conversation.entries()[0].id)
        events = rig.run(5)
        assert done(events)["status"] == "completed"
        assert not of(events, "conversation.item.done")

    def test_the_callers_audio_can_be_retrieved(self) -> None:
        rig = Rig()
        rig.ready(audio={"input": {"turn_detection": None}})
        rig.append(QUESTION)
        item_id = rig.send("input_audio_buffer.commit")[0]["item_id"]
        item = only(rig.send("conversation.item.retrieve", item_id=item_id), "conversation.item.retrieved")["item"]
        assert base64.b64decode(item["content"][0]["audio"]) == QUESTION

    def test_items_without_audio_come_as_they_are(self) -> None:
        rig = Rig()
        rig.send("conversation.item.create", item=message("user", "input_text", "x", id="a"))
        item = only(rig.send("conversation.item.retrieve", item_id="a"), "conversation.item.retrieved")["item"]
        assert item["content"] == [{"type": "input_text", "text": "x"}]
