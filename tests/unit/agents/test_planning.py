import json
from typing import Any

import msgspec
import pytest
from openai.types.realtime import RealtimeSessionCreateRequest

from offhook.agents import Agent, ConnectorPath, PlanError, call_context, plan_call, warm_session
from offhook.agents.session_config import decided_here
from offhook.audiohook import Media, OpenParameters, Participant
from offhook.bridge.plan import CallPlan, Dtmf, OutputVariable, Prompt
from offhook.realtime import AudioConfig, AudioInput, SessionConfig
from offhook.tools import ToolSet, tool
from tests.unit.tools import sample

OPEN = OpenParameters(
    organization_id="org-1",
    conversation_id="conv-1",
    media=(Media("audio", "PCMU", ("external",), 8000),),
    participant=Participant(id="p", ani="tel:+15550100", ani_name="Ann", dnis="tel:+15550199"),
    language="en-us",
    input_variables={"COMPANY": "Acme", "EMPTY": ""},
)
CONNECTOR = ConnectorPath("support", ("x",), {"v": "2"})


def plan(open_parameters: OpenParameters = OPEN, **settings: Any) -> CallPlan:
    agent = Agent(**{"instructions": "Be kind.", **settings})
    return plan_call(
        agent, "support", open_parameters, CONNECTOR, call_id="call-1", tools=ToolSet(agent.tool_entries).tools
    )


def session(**settings: Any) -> dict[str, Any]:
    """Return what is sent, after the types of the openai package have seen it."""
    data: dict[str, Any] = json.loads(msgspec.json.encode(plan(**settings).session))
    RealtimeSessionCreateRequest.model_validate(data, strict=True)
    return data


def test_everything_is_sent_explicitly() -> None:
    assert session() == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-transcribe", "language": "en"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0},
        },
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
    }


def test_every_setting_arrives() -> None:
    sent = session(
        voice="cedar",
        speed=1.2,
        noise_reduction="far_field",
        transcription={"model": "gpt-x", "language": "de", "prompt": "Order numbers.", "keywords": ["Acme"]},
        turn_detection={
            "type": "semantic_vad",
            "eagerness": "high",
            "create_response": False,
            "interrupt_response": False,
        },
        reasoning_effort="low",
        max_output_tokens=500,
        truncation={"retention_ratio": 0.8, "post_instructions": 8000},
        tool_choice={"name": "order_status"},
        parallel_tool_calls=False,
        tools=[sample.order_status],
    )
    audio = sent["audio"]
    assert audio["output"] == {"format": {"type": "audio/pcmu"}, "voice": "cedar", "speed": 1.2}
    assert audio["input"]["noise_reduction"] == {"type": "far_field"}
    assert audio["input"]["transcription"] == {
        "model": "gpt-x",
        "language": "de",
        "prompt": "Order numbers.",
        "keywords": ["Acme"],
    }
    assert audio["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": False,
        "interrupt_response": False,
    }
    assert sent["reasoning"] == {"effort": "low"}
    assert sent["max_output_tokens"] == 500
    assert sent["truncation"] == {
        "type": "retention_ratio",
        "retention_ratio": 0.8,
        "token_limits": {"post_instructions": 8000},
    }
    assert sent["tool_choice"] == {"type": "function", "name": "order_status"}
    assert sent["parallel_tool_calls"] is False


def test_what_is_switched_off_is_sent_as_null() -> None:
    sent = session(noise_reduction=None, transcription=None, truncation={"retention_ratio": 0.5})
    assert sent["audio"]["input"]["noise_reduction"] is None
    assert sent["audio"]["input"]["transcription"] is None
    assert sent["truncation"] == {"type": "retention_ratio", "retention_ratio": 0.5}


def test_tools_of_both_kinds_are_declared() -> None:
    made = plan(
        tools=["escalate", sample.order_status, "end_call"], outputs={"INTENT": {"default": "none"}, "OTHER": {}}
    )
    data = json.loads(msgspec.json.encode(made.session))
    assert [declared["name"] for declared in data["tools"]] == ["order_status", "escalate", "end_call", "set_outputs"]
    assert all(declared["type"] == "function" for declared in data["tools"])
    assert list(data["tools"][3]["parameters"]["properties"]) == ["INTENT", "OTHER"]
    assert list(made.tools) == ["order_status"]
    assert made.outputs == {"INTENT": OutputVariable(default="none"), "OTHER": OutputVariable()}


def test_instructions_and_greeting_are_rendered() -> None:
    made = plan(
        instructions="For {{ input.COMPANY }}, {{ call.ani }}, {{ call.id }}, {{ call.query.v }}.",
        greeting="Greet {{ call.ani_name }}.",
    )
    assert made.session.instructions == "For Acme, +15550100, call-1, 2."
    assert made.greeting == Prompt(instructions="Greet Ann.")
    assert plan(greeting={"text": "Welcome to {{ input.COMPANY }}."}).greeting == Prompt(text="Welcome to Acme.")


def test_no_greeting() -> None:
    assert plan().greeting is None
    assert plan(greeting=" {{ input.EMPTY }} ").greeting is None
    assert plan(greeting={"text": "{{ input.EMPTY }}"}).greeting is None


def test_the_rest_of_the_plan() -> None:
    made = plan(mode="listen", dtmf={"timeout": 3, "terminator": None}, bot_turn_response=False)
    assert (made.agent, made.mode, made.bot_turn_response) == ("support", "listen", False)
    assert made.dtmf == Dtmf(timeout=3, terminator=None)


def test_required_inputs() -> None:
    inputs = {"COMPANY": {"required": True}, "EMPTY": {"required": True}, "ABSENT": {"required": True}}
    with pytest.raises(PlanError) as caught:
        plan(inputs=inputs)
    assert caught.value.code == "OH-CALL-04"
    assert caught.value.info == "required input variables are missing or empty: EMPTY, ABSENT"


def test_defaults_of_inputs() -> None:
    inputs = {"COMPANY": {"default": "Other"}, "LEVEL": {"default": "gold"}, "OPTIONAL": {}, "EMPTY": {"default": "x"}}
    made = plan(
        inputs=inputs,
        instructions="{{ input.COMPANY }} {{ input.LEVEL }} {{ input.OPTIONAL | default('-') }} {{ input.EMPTY }}",
    )
    assert made.session.instructions == "Acme gold - x"


def test_a_template_that_fails() -> None:
    with pytest.raises(PlanError) as caught:
        plan(instructions="{{ input.MISSING }}")
    assert caught.value.code == "OH-CALL-04"


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("tel:+15550100", "+15550100"),
        ("TEL:5550100", "5550100"),
        ("sip:ann@example.com", "ann@example.com"),
        ("sips:ann@example.com", "ann@example.com"),
        ("+15550100", "+15550100"),
        ("", ""),
    ],
)
def test_numbers(address: str, number: str) -> None:
    parameters = msgspec.structs.replace(OPEN, participant=Participant(ani=address, dnis=address))
    context = call_context(Agent(instructions="x"), "support", parameters, CONNECTOR)
    assert (context.ani, context.dnis) == (number, number)


def test_context_of_a_call_with_little_in_it() -> None:
    parameters = OpenParameters(organization_id="o", conversation_id="c", media=())
    context = call_context(Agent(instructions="x"), "support", parameters, ConnectorPath())
    assert (context.ani, context.ani_name, context.dnis, context.language) == ("", "", "", "")
    assert (context.connector_id, context.agent, context.inputs) == ("", "support", {})


SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.7,
    "prefix_padding_ms": 200,
    "silence_duration_ms": 400,
    "idle_timeout_ms": None,
}


@pytest.mark.parametrize(
    ("settings", "decides"),
    [
        ({"barge_in": {"min_speech_ms": 300}}, True),
        ({"barge_in": {"resume": True}}, True),
        ({"greeting": {"text": "This call is recorded.", "protected": True}}, True),
        ({"notice": {"text": "This call is recorded.", "protected": True}}, True),
        ({"barge_in": {"enabled": False}}, False),
        ({"barge_in": {"enabled": False, "min_speech_ms": 300}}, False),
    ],
)
def test_a_server_that_is_not_to_decide_does_neither(settings: dict[str, Any], decides: bool) -> None:
    settings = {**settings, "turn_detection": {"threshold": 0.7, "prefix_padding_ms": 200, "silence_duration_ms": 400}}
    detection = session(**settings)["audio"]["input"]["turn_detection"]
    assert detection == {**SERVER_VAD, "create_response": False, "interrupt_response": False}
    made = plan(**settings)
    assert (made.decides_interruptions, made.interruptible, made.answers_itself) == (decides, decides, False)


def test_a_prompt_that_comes_to_nothing_protects_nothing() -> None:
    made = plan(greeting={"text": "{{ input.EMPTY }}", "protected": True})
    assert made.greeting is None
    assert not made.decides_interruptions
    assert made.answers_itself


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
@pytest.mark.parametrize("create", [True, False])
def test_an_agent_whose_turn_detection_does_not_interrupt_is_not_interrupted(kind: str, create: bool) -> None:
    """What is set there is sent as it is, whatever is protected."""
    settings: dict[str, Any] = {
        "turn_detection": {"type": kind, "interrupt_response": False, "create_response": create},
        "greeting": {"text": "x", "protected": True},
    }
    detection = session(**settings)["audio"]["input"]["turn_detection"]
    assert (detection["interrupt_response"], detection["create_response"]) == (False, create)
    made = plan(**settings)
    assert not made.interruptible
    assert not made.decides_interruptions


def test_semantic_detection_keeps_its_eagerness() -> None:
    detection = session(turn_detection={"type": "semantic_vad", "eagerness": "low"}, barge_in={"resume": True})
    assert detection["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "low",
        "create_response": False,
        "interrupt_response": False,
    }


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(),
        SessionConfig(audio=AudioConfig()),
        SessionConfig(audio=AudioConfig(input=AudioInput(turn_detection=None))),
    ],
)
def test_a_session_without_turn_detection_has_nothing_to_change(config: SessionConfig) -> None:
    assert decided_here(config) == config


@tool
async def verify_pin(digits: str) -> str:
    """Verify a PIN."""
    return "right"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"voice": "cedar", "speed": 1.2, "outputs": {"INTENT": {"description": "why"}}},
        {"tools": [sample.order_status, "end_call", "escalate"], "tool_choice": "required"},
        {"tools": [{"collect_digits": {"secret_tool": "verify_pin"}}, verify_pin, sample.order_status]},
        {"inputs": {"MUST": {"required": True}}, "instructions": "{{ input.MUST }}"},
    ],
)
def test_a_warm_session_is_that_of_a_call_without_instructions(settings: dict[str, Any]) -> None:
    agent = Agent(**{"instructions": "Be kind.", **settings})
    made = warm_session(agent, ToolSet(agent.tool_entries).tools)
    RealtimeSessionCreateRequest.model_validate(json.loads(msgspec.json.encode(made)), strict=True)
    in_no_language = msgspec.structs.replace(OPEN, language=None, input_variables={"MUST": "be polite"})
    assert made == msgspec.structs.replace(plan(in_no_language, **settings).session, instructions=msgspec.UNSET)
