"""Ends: the goodbye is heard, the flow gets its variables, and Genesys sees exactly one `disconnect`."""

import pytest

from offhook.bridge import Call, CallState, CloseRealtime, Prompt, ToolOutcome
from tests.unit.bridge.genesys import Playback
from tests.unit.bridge.harness import GREETED, Harness, plan, speech


def end_call(harness: Harness, name: str = "end_call", arguments: str = '{"reason":"all done"}') -> None:
    harness.ai.call(name, arguments)


def test_goodbye_in_the_response_that_ends_the_call() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    goodbye = speech(2500)
    harness.ai.audio(goodbye)
    end_call(harness)
    harness.ai.item_done("Goodbye!")
    harness.ai.done()
    assert harness.call.state is CallState.ENDING
    harness.advance(20)
    assert bytes(harness.playback.heard) == goodbye
    (at, disconnect) = next((at, message) for at, message in harness.texts if message["type"] == "disconnect")
    assert disconnect["parameters"]["reason"] == "completed"
    assert at == pytest.approx(1000.0 + 2.6, abs=0.05), "as soon as playback_completed came"
    assert harness.variables == {
        "INTENT": "",
        "ESCALATE": "false",
        "OFFHOOK_CALL_ID": "call-1",
        "OFFHOOK_OUTCOME": "completed",
        "OFFHOOK_REASON": "all done",
        "OFFHOOK_SUMMARY": "Agent: Goodbye!",
        "OFFHOOK_DURATION_S": "2.6",
        "OFFHOOK_COST_USD": "",
    }
    assert (harness.ended.outcome, harness.ended.reason) == ("completed", "agent_ended")
    assert harness.ended.output_variables == harness.variables
    assert len(harness.of(CloseRealtime)) == 1


def test_audio_after_the_call_of_the_tool_is_part_of_the_goodbye() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    end_call(harness)
    harness.ai.item()
    for _ in range(8):
        harness.ai.audio(1500)
        harness.advance(1.5)
    harness.ai.done()
    harness.advance(20)
    assert len(harness.playback.heard) == 8 * 1500 * 8
    assert harness.ended.outcome == "completed"


def test_an_end_without_a_word_asks_for_one() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    end_call(harness)
    harness.ai.done()
    create = harness.ai.received("response.create")[-1]
    assert create["response"]["tool_choice"] == "none"
    assert "Say goodbye" in create["response"]["instructions"]
    assert create["response"]["instructions"].startswith("You are Ada of Acme.")
    harness.ai.says(1000, "Bye.", "resp_bye", "item_bye", create)
    harness.advance(5)
    assert bytes(harness.playback.heard) == speech(1000)
    assert harness.ended.outcome == "completed"


def test_a_silent_goodbye_ends_the_call_all_the_same() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    end_call(harness)
    harness.ai.done()
    harness.ai.created("resp_bye", harness.ai.received("response.create")[-1])
    harness.ai.done("resp_bye")
    harness.advance(0.2)
    assert harness.ended.outcome == "completed"


def test_a_goodbye_that_never_comes() -> None:
    harness = Harness(plan(goodbye_timeout=4.0)).talking()
    harness.ai.created()
    end_call(harness)
    harness.ai.done()
    harness.advance(3.9)
    assert harness.call.state is CallState.ENDING
    harness.advance(0.3)
    assert harness.ended.outcome == "completed"


def test_a_goodbye_that_is_refused() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    end_call(harness)
    harness.ai.done()
    harness.ai.refuse("invalid_value", harness.ai.received("response.create")[-1]["event_id"])
    harness.advance(0.2)
    assert harness.ended.outcome == "completed"


def test_another_request_that_is_refused_meanwhile() -> None:
    harness = Harness(GREETED).ready()
    greeting = harness.ai.take("response.create")
    harness.ai.created("resp_vad")
    harness.ai.item("resp_vad", "item_1")
    harness.ai.audio(3000, "resp_vad")
    harness.ai.call("end_call", response="resp_vad")
    harness.ai.refuse("conversation_already_has_active_response", greeting["event_id"])
    harness.ai.done("resp_vad")
    harness.advance(2)
    assert harness.call.state is CallState.ENDING
    harness.advance(2)
    assert harness.ended.outcome == "completed"
    assert bytes(harness.playback.heard) == speech(3000)


def test_a_goodbye_that_never_stops() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    end_call(harness)
    harness.ai.item()
    for _ in range(120):
        harness.ai.audio(1000)
        harness.advance(1)
    harness.advance(10)
    assert harness.ended.outcome == "completed"


@pytest.mark.parametrize("reports", [(), ("playback_started",)])
def test_playback_completed_never_comes(reports: tuple[str, ...]) -> None:
    harness = Harness(plan(), reports=reports).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(2000)
    end_call(harness)
    harness.ai.done()
    harness.advance(2.05)
    assert harness.call.state is CallState.ENDING
    harness.advance(2.2)
    assert harness.ended.outcome == "completed"
    assert len(harness.playback.heard) == 2000 * 8


def test_held_while_the_goodbye_is_said() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(3000)
    end_call(harness)
    harness.ai.done()
    harness.genesys("paused")
    harness.advance(12)
    assert harness.ended.outcome == "completed"


def test_nobody_interrupts_the_goodbye() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(2000)
    end_call(harness)
    harness.ai.done()
    harness.caller_audio(speech(200))
    assert harness.ai.heard() == b""
    harness.genesys("dtmf", digit="1")
    harness.ai.speech_started()
    harness.ai.speech_stopped()
    harness.ai.committed()
    assert harness.entities("barge_in") == []
    harness.ai.created("resp_late")  # turn detection answers what was on its way
    assert harness.ai.received("response.cancel")[0]["response_id"] == "resp_late"
    harness.ai.item("resp_late", "item_late")
    harness.ai.audio(5000, "resp_late", "item_late")
    harness.ai.call("order_status", response="resp_late", call="call_late")
    harness.ai.call("set_outputs", '{"INTENT":"late"}', response="resp_late", call="call_later")
    harness.ai.done("resp_late", status="cancelled", type="cancelled", reason="client_cancelled")
    harness.advance(10)
    assert bytes(harness.playback.heard) == speech(2000)
    assert harness.ended.outcome == "completed"


def test_outputs_set_beside_the_end_count() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(300)
    end_call(harness)
    harness.ai.call("set_outputs", '{"INTENT":"order"}', call="call_2")
    harness.ai.call("order_status", call="call_3")
    harness.ai.call("end_call", call="call_4")
    harness.ai.done()
    harness.advance(3)
    assert harness.variables["INTENT"] == "order"
    assert len(harness.ai.received("response.create")) == 0


def test_escalation() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    end_call(harness, "escalate", '{"reason":"wants a person","target":"billing"}')
    harness.ai.done()
    create, summary = harness.ai.received("response.create")
    assert summary["response"]["conversation"] == "none"
    assert "colleague" in create["response"]["instructions"]
    harness.ai.says(500, "One moment.", "resp_bye", "item_bye", create)
    harness.advance(3)
    variables = harness.variables
    assert variables["OFFHOOK_OUTCOME"] == "escalated"
    assert variables["OFFHOOK_REASON"] == "wants a person"
    assert variables["OFFHOOK_TARGET"] == "billing"
    assert (harness.ended.outcome, harness.ended.reason) == ("escalated", "agent_escalated")


def test_hang_up_during_the_goodbye_keeps_the_outcome() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(3000)
    end_call(harness, "escalate")
    harness.close()
    harness.advance(1)
    assert harness.ended.outcome == "escalated"
    assert harness.messages_of("disconnect") == []


def test_the_call_is_over_when_it_is_closed() -> None:
    harness = Harness(plan()).talking()
    harness.socket_gone = True  # Genesys takes its time to drop it
    harness.close()
    duration = harness.now - 1000.0
    harness.advance(5)
    harness.hang_up_socket()
    assert harness.ended.output_variables["OFFHOOK_DURATION_S"] == f"{duration:.1f}"


def test_what_the_flow_was_given_stays() -> None:
    harness = Harness(plan(), answers_close=False).talking()
    harness.end()
    harness.advance(1)
    assert harness.call.last_variables("OH-GATE-01", harness.now) == harness.variables


def opened(harness: Harness) -> None:
    harness.open()


def configuring(harness: Harness) -> None:
    harness.open()
    harness.connected()
    harness.ai.session_created()


def idle(harness: Harness) -> None:
    harness.talking()


def speaking(harness: Harness) -> None:
    harness.talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(1000)


def tool(harness: Harness) -> None:
    harness.talking()
    harness.ai.created()
    harness.ai.call("order_status")
    harness.ai.done()


def on_hold(harness: Harness) -> None:
    speaking(harness)
    harness.genesys("paused")


def saying_goodbye(harness: Harness) -> None:
    speaking(harness)
    end_call(harness)


def asked_for_goodbye(harness: Harness) -> None:
    harness.talking()
    harness.ai.created()
    end_call(harness)
    harness.ai.done()


@pytest.mark.parametrize(
    "state", [opened, configuring, idle, speaking, tool, on_hold, saying_goodbye, asked_for_goodbye]
)
@pytest.mark.parametrize("how", ["socket", "fatal error"])
def test_the_ai_fails_in_every_state(state: "object", how: str) -> None:
    harness = Harness(plan())
    assert callable(state)
    state(harness)
    if how == "socket":
        harness.ai_lost()
    else:
        harness.ai.refuse("insufficient_quota")
    harness.tool_result()
    harness.genesys("dtmf", digit="1")
    harness.caller_audio(speech(200))
    harness.advance(15)
    (disconnect,) = harness.messages_of("disconnect")
    assert disconnect["parameters"]["reason"] == "completed"
    expected = "completed" if state in (saying_goodbye, asked_for_goodbye) else "failed"
    assert harness.variables["OFFHOOK_OUTCOME"] == expected
    assert harness.ended.outcome == expected
    if state in (speaking, saying_goodbye):
        assert len(harness.playback.heard) >= 8000, "what was there is heard"
    closed = [close.leg for close in harness.of(CloseRealtime)]
    assert sorted(set(closed)) == closed
    assert closed[-1] == harness.leg


def test_a_refused_session_names_the_code() -> None:
    harness = Harness(GREETED)
    harness.open()
    harness.connected()
    harness.ai.session_created()
    harness.ai.refuse("invalid_value")
    (disconnect,) = harness.messages_of("disconnect")
    assert disconnect["parameters"]["info"].startswith("OH-RT-06 ")
    assert harness.variables["OFFHOOK_REASON"] == "OH-RT-06"


def test_the_tail_of_what_the_lost_model_said_is_heard() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.text("We are open nine")
    harness.ai.audio(1130)
    harness.ai_lost()
    harness.advance(2)
    assert bytes(harness.playback.heard).startswith(speech(1130))
    assert harness.ended.outcome == "failed"
    (turn,) = harness.turns
    assert (turn.text, turn.heard_ms) == ("We are open nine", 1130)


def test_lost_twice_ends_once() -> None:
    harness = Harness(plan())
    speaking(harness)
    harness.ai.refuse("insufficient_quota")
    harness.ai_lost()
    harness.ai_lost()
    harness.advance(10)
    assert harness.ended.reason == "OH-CALL-07"


def test_a_limit_lets_the_agent_finish() -> None:
    harness = Harness(plan())
    speaking(harness)
    harness.end()
    harness.end("failed", "later", "OH-Y too late")
    harness.advance(0.5)
    harness.ai.audio(1500)
    harness.ai.item_done("The end.")
    harness.ai.done()
    harness.advance(5)
    assert len(harness.playback.heard) == 2500 * 8
    assert (harness.ended.outcome, harness.ended.reason) == ("limit", "max_duration")
    assert harness.messages_of("disconnect")[0]["parameters"]["info"] == "OH-X the time is over"
    assert harness.ai.received("response.create") == []


def test_a_limit_in_silence_ends_at_once() -> None:
    harness = Harness(plan()).talking()
    harness.end()
    assert harness.messages_of("disconnect")


def test_a_limit_while_a_silent_response_runs() -> None:
    harness = Harness(plan()).talking()
    harness.ai.created()
    harness.end()
    assert harness.messages_of("disconnect") == []
    harness.ai.done()
    assert harness.messages_of("disconnect")


def test_the_transcript_is_complete_at_the_end() -> None:
    harness = Harness(plan(), playback=Playback(0.0)).talking()
    harness.ai.caller_turn(text="Where is my order?")
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(4000)
    harness.ai.item_done("It was shipped on Monday and will arrive.")
    harness.ai.done()
    harness.advance(2)
    harness.close()
    harness.advance(1)
    caller, agent = harness.turns
    assert caller.text == "Where is my order?"
    assert agent.interrupted
    assert agent.heard_ms == pytest.approx(2000, abs=110)
    assert agent.text + " " + agent.unheard == "It was shipped on Monday and will arrive."
    assert harness.ended.output_variables["OFFHOOK_SUMMARY"].startswith("Caller: Where is my order? Agent: It was")


def test_shell_calls_before_open_do_nothing() -> None:
    call = Call("c", session_id=None, organization_id=None, now=0.0)
    call.realtime_connected(1, 0.0)
    call.receive_realtime(1, "{}", 0.0)
    call.realtime_lost(1, None, "", 0.0)
    call.tool_result("x", ToolOutcome(output="y"), 0.0)
    call.set_writable(False, 0.0)
    assert call.commands() == []
    assert call.realtime_data(1) == []
    assert call.audiohook_data() == []
    assert call.state is CallState.WAITING


@pytest.mark.parametrize("opened", [False, True])
def test_drained_or_cut_before_there_is_an_agent(opened: bool) -> None:
    for end in ("drain", "cut"):
        harness = Harness(None)
        if opened:
            harness.open()
        if end == "drain":
            harness.call.drain(15.0, harness.now)
        else:
            harness.call.cut("limit", "drained", "OH-GATE-03 the gateway is shutting down", harness.now)
        harness._settle()
        (disconnect,) = harness.messages_of("disconnect")
        assert disconnect["parameters"]["reason"] == "error"
        harness.advance(1.0)
        assert (harness.ended.outcome, harness.ended.reason) == ("limit", "drained")


def test_drained_while_the_agent_speaks() -> None:
    harness = Harness(plan(drained=Prompt(text="We close."))).talking()
    harness.ai.created()
    harness.ai.item()
    harness.ai.audio(speech(1000))
    harness.call.drain(15.0, harness.now)
    harness._settle()
    harness.ai.done()
    create = harness.ai.take("response.create")
    assert create["response"]["instructions"].endswith("We close.")
    harness.ai.says(speech(800, 9), create=create, response="resp_bye", item="item_bye")
    harness.advance(10)
    assert bytes(harness.playback.heard) == speech(1000) + speech(800, 9)
    assert harness.variables["OFFHOOK_REASON"] == "drained"


@pytest.mark.parametrize("mode", ["talk", "listen"])
def test_cut_in_the_middle_of_a_word(mode: str) -> None:
    harness = Harness(plan(mode=mode))
    if mode == "talk":
        harness.talking()
        harness.ai.says(speech(3000))
    else:
        harness.open()
    harness.call.cut("limit", "drained", "OH-GATE-03 the gateway is shutting down", harness.now)
    harness._settle()
    assert harness.texts[-1][1]["type"] == "disconnect"
    harness.call.cut("failed", "again", "OH-X again", harness.now)
    harness.advance(1.0)
    assert harness.variables["OFFHOOK_REASON"] == "drained"
    assert len(harness.messages_of("disconnect")) == 1
