import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.emulator.parsing import EVENT_TYPES
from offhook.emulator.scenario import Handshake, Loss, Scenario, Turn
from offhook.emulator.session import EXPIRED, EmulatorSession
from offhook.realtime import MAX_CLIENT_EVENT_BYTES
from tests.unit.emulator.rig import INTERRUPTION, QUESTION, SPEECH, Rig, done, error, kinds, of, only, said

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
FIELDS = st.sampled_from(
    ("session", "item", "item_id", "audio", "response", "audio_end_ms", "content_index", "event_id", "foo")
)
EVENTS = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(EVENT_TYPES),
    st.dictionaries(FIELDS, VALUES, max_size=4),
)

TURNS: list[dict[str, Any]] = [{"say": "Hello, Acme here. How can I help you?"}]


class TestHandshake:
    def test_session_created_comes_first_and_at_once(self) -> None:
        assert kinds(Rig().events) == ["session.created"]

    def test_slow_created_keeps_what_came_before(self) -> None:
        rig = Rig({"handshake": {"created_after": 3}})
        assert rig.ready() == []
        assert kinds(rig.run(2.9)) == []
        assert kinds(rig.run(0.2)) == ["session.created", "session.updated"]

    def test_never_created_answers_nothing(self) -> None:
        rig = Rig({"handshake": {"created": False}})
        for _ in range(1100):
            rig.session.receive_text('{"type":"response.create"}', rig.now)
        assert rig.run(60) == []

    def test_a_bad_key_closes_3000(self) -> None:
        rig = Rig({"handshake": {"close": 3000}})
        assert rig.events == []
        assert (rig.session.close_code, rig.session.close_reason) == (3000, "invalid_request_error.invalid_api_key")
        assert rig.session.next_timer() is None
        assert rig.ready() == []

    def test_the_beta_shape_closes_4000(self) -> None:
        rig = Rig({"handshake": {"close": 4000}})
        assert error(rig.events)["code"] == "beta_api_shape_disabled"
        assert rig.session.close_code == 4000

    def test_each_connection_has_its_own_fault(self) -> None:
        scenario = {"handshake": [{"close": 3000}, {}]}
        assert Rig(scenario, connection=0).session.close_code == 3000
        assert Rig(scenario, connection=1).session.close_code is None


class TestEnd:
    def test_expiry(self) -> None:
        rig = Rig({"lifetime": 5})
        rig.ready()
        assert kinds(rig.run(4.9)) == []
        events = rig.run(0.2)
        assert error(events) | {"event_id": None} == {
            "type": "invalid_request_error",
            "code": "session_expired",
            "message": EXPIRED,
            "param": None,
            "event_id": None,
        }
        assert (rig.session.close_code, rig.session.close_reason) == (1001, EXPIRED)
        assert rig.ready() == []

    @pytest.mark.parametrize("code", [1006, 1011])
    def test_loss(self, code: int) -> None:
        rig = Rig({"lose": {"after": 2, "code": code}, "turns": TURNS, "speed": 1})
        rig.ready()
        rig.send("response.create")
        events = rig.run(5)
        assert of(events, "response.output_audio.delta")
        assert not of(events, "response.done")
        assert rig.session.close_code == code

    def test_half_open(self) -> None:
        rig = Rig({"lose": {"after": 2}})
        rig.ready()
        rig.run(2)
        assert rig.ready() == []
        assert rig.session.close_code is None
        assert rig.session.next_timer() is None

    def test_eof(self) -> None:
        rig = Rig()
        rig.session.receive_eof(rig.now)
        assert rig.session.next_timer() is None
        assert rig.session.close_code == 1000
        rig.session.receive_eof(rig.now)
        assert rig.session.close_code == 1000


class TestBadInput:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "invalid_json"),
            ("{", "invalid_json"),
            (b"\xff", "invalid_json"),
            ("[]", "invalid_json"),
            ("[" * 200 + "]" * 200, "invalid_json"),
            ('{"type": 5}', "invalid_json"),
            ('{"type": "session.upgrade", "event_id": "x"}', "invalid_value"),
            ('{"type": "conversation.item.delete"}', "missing_required_parameter"),
            ('{"type": "conversation.item.delete", "item_id": 5}', "invalid_value"),
            ('{"type": "conversation.item.delete", "item_id": "x", "foo": 1}', "unknown_parameter"),
            ('{"type": "session.update", "session": {"type": "transcription"}}', "invalid_value"),
            ('{"type": "output_audio_buffer.clear"}', "invalid_value"),
            (
                '{"type":"session.update","session":{"type":"realtime","tools":[{"type":"function","name":[]}]}}',
                "invalid_value",
            ),
        ],
    )
    def test_is_answered_by_an_error(self, text: str | bytes, code: str) -> None:
        rig = Rig()
        assert error(rig.send_text(text))["code"] == code
        assert rig.session.errors[-1].code == code
        assert kinds(rig.ready()) == ["session.updated"]

    def test_too_large(self) -> None:
        assert error(Rig().send_text(b" " * (MAX_CLIENT_EVENT_BYTES + 1)))["code"] == "invalid_json"

    def test_the_error_names_the_event(self) -> None:
        assert error(Rig().send("session.upgrade", event_id="mine"))["event_id"] == "mine"
        assert error(Rig().send("session.upgrade", event_id=5))["event_id"] is None

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_nothing_breaks_it(self, data: st.DataObject) -> None:
        rig = Rig({"turns": TURNS})
        for event in data.draw(st.lists(EVENTS, max_size=6)):
            rig.send_text(json.dumps(event))
            rig.run(0.5)


class TestRecord:
    def test_client_events_are_kept_and_audio_is_counted(self) -> None:
        rig = Rig()
        rig.ready()
        rig.append(QUESTION)
        rig.send("response.create")
        assert [type(received.event).__name__ for received in rig.session.received] == [
            "SessionUpdateEvent",
            "ResponseCreateEvent",
        ]
        assert rig.session.received_audio_ms == len(QUESTION) / 8

    def test_heard_history_is_what_the_model_believes(self) -> None:
        rig = Rig({"turns": [*TURNS, {"caller": "What are your opening hours?", "say": "Nine to six."}]})
        rig.ready()
        item_id = rig.greet()["output"][0]["id"]
        rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1500)
        rig.speak(QUESTION)
        rig.run(3)
        assert [(turn.role, turn.text) for turn in rig.session.heard_history()] == [
            ("assistant", "Hello, Acme here."),
            ("user", "What are your opening hours?"),
            ("assistant", "Nine to six."),
        ]


def story(rig: Rig) -> list[dict[str, Any]]:
    rig.ready()
    rig.greet()
    rig.speak(QUESTION)
    rig.speak(INTERRUPTION)
    rig.run(10)
    return rig.events


def test_the_same_seed_tells_the_same_story() -> None:
    scenario = {"seed": 5, "turns": [*TURNS, *TURNS, *TURNS]}
    assert story(Rig(scenario)) == story(Rig(scenario))
    assert story(Rig(scenario)) != story(Rig(scenario, seed=1))
    assert story(Rig(scenario)) != story(Rig({**scenario, "seed": 6}))


def test_without_a_scenario_a_whole_call_is_held() -> None:
    rig = Rig({"end_call_after": 4})
    rig.ready(tools=[{"type": "function", "name": "end_call"}])
    rig.greet()
    digits = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "The caller pressed 1."}]}
    rig.send("conversation.item.create", item=digits)
    rig.send("response.create")
    rig.run(5)
    for _ in range(4):
        rig.speak(QUESTION)
        rig.run(5)
    calls = [event for event in of(rig.events, "response.output_item.done") if event["item"]["type"] == "function_call"]
    assert [call["item"]["name"] for call in calls] == ["end_call"]
    texts = [turn.text for turn in rig.session.heard_history() if turn.role == "assistant"]
    assert texts[0] == "Hello, how can I help you?"
    assert texts[1] == "Thank you, I have noted the digits you entered."
    assert texts[-1] == "Thank you for calling. Goodbye."
    assert len(set(texts)) == len(texts) == 6


def test_surprises_are_unknown_events_and_fields_and_errors_without_an_id() -> None:
    session = EmulatorSession(Scenario.model_validate({"surprises": True, "turns": TURNS}), SPEECH)
    session.connected(0.0)
    session.receive_text('{"type":"response.create"}', 0.0)
    session.receive_text('{"type":"response.cancel","event_id":"mine"}', 0.0)
    session.handle_timer(10.0)
    events = [json.loads(data) for data in session.data_to_send()]
    assert "response.thought.delta" in kinds(events)
    assert all("obfuscation" in event for event in events if event["type"] != "response.thought.delta")
    assert error(events)["event_id"] is None
    assert done(events)["status"] == "completed"
    assert only(events, "session.created")["session"]["model"] == "gpt-realtime-2.1"


class TestFromOutside:
    def test_a_loss_with_an_error_event(self) -> None:
        rig = Rig({"lose": {"after": 2, "code": 1011, "error": "server_error"}})
        rig.ready()
        events = rig.run(3)
        assert error(events)["code"] == "server_error"
        assert error(events)["type"] == "server_error"
        assert rig.session.close_code == 1011

    def test_a_loss_at_once(self) -> None:
        rig = Rig({"lose": {"after": 60, "code": 1006}})
        rig.ready()
        rig.session.lose(Loss(after=0, code=1001, error="session_expired"), rig.now)
        assert error(rig.collect())["message"] == EXPIRED
        assert rig.session.close_code == 1001

    def test_a_loss_that_says_nothing(self) -> None:
        rig = Rig()
        rig.session.lose(Loss(after=1), rig.now)
        rig.run(1)
        assert rig.session.silent
        assert rig.session.close_code is None

    def test_another_handshake_than_the_scenario_has(self) -> None:
        scenario = Scenario.model_validate({"handshake": {"close": 3000}})
        session = EmulatorSession(scenario, SPEECH, handshake=Handshake(close=4000), model="a-model")
        session.connected(0.0)
        assert (session.close_code, session.model) == (4000, "a-model")

    def test_a_turn_that_is_put_before_all_others(self) -> None:
        rig = Rig({"turns": TURNS})
        rig.ready()
        rig.session.interject(Turn(say="Goodbye."))
        rig.session.interject(Turn(say="All right."))
        assert [said(rig.greet()) for _ in range(3)] == [["Goodbye."], ["All right."], [TURNS[0]["say"]]]
