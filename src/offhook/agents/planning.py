"""What is decided about a call when ``open`` arrives: at once, without waiting for anything."""

from collections.abc import Mapping, Sequence

from offhook.agents.agent import Agent
from offhook.agents.connector import ConnectorPath
from offhook.agents.errors import MISSING_INPUT, PlanError
from offhook.agents.session_config import session_config
from offhook.agents.settings import FixedGreeting
from offhook.agents.templates import compile_template
from offhook.audiohook import OpenParameters
from offhook.bridge.plan import CallPlan, Greeting
from offhook.tools import END_CALL, CallContext, Tool, ToolDefinition
from offhook.tools import call_control as control

_SCHEMES = ("tel:", "sips:", "sip:")


def plan_call(
    agent: Agent,
    name: str,
    open_parameters: OpenParameters,
    connector: ConnectorPath,
    *,
    call_id: str = "",
    tools: Sequence[Tool] = (),
) -> CallPlan:
    """Return what ``bridge.Call`` needs of the agent called ``name``; PlanError says why there can be no call.

    ``call_id`` is our own ID of the call; ``tools`` are those of the agent that can be used at the moment.
    """
    context = call_context(agent, name, open_parameters, connector, call_id=call_id)
    definitions = [tool.definition for tool in tools]
    session = session_config(
        agent, compile_template(agent.instructions).render(context), [*definitions, *_call_control(agent)]
    )
    return CallPlan(
        agent=name,
        session=session,
        mode=agent.mode,
        greeting=_greeting(agent, context),
        outputs={output: declared.default for output, declared in agent.outputs.items()},
        tools=frozenset(definition.name for definition in definitions),
        dtmf_timeout=agent.dtmf_timeout,
        bot_turn_response=agent.bot_turn_response,
    )


def call_context(
    agent: Agent, name: str, open_parameters: OpenParameters, connector: ConnectorPath, *, call_id: str = ""
) -> CallContext:
    """Return what templates and tools get to know of the call; PlanError if it lacks a required input variable."""
    participant = open_parameters.participant
    return CallContext(
        id=call_id,
        conversation_id=open_parameters.conversation_id,
        organization_id=open_parameters.organization_id,
        agent=name,
        connector_id=connector.connector_id,
        path=connector.path,
        query=connector.query,
        ani=_number(participant.ani) if participant else "",
        ani_name=participant.ani_name if participant else "",
        dnis=_number(participant.dnis) if participant else "",
        language=open_parameters.language or "",
        inputs=_inputs(agent, open_parameters.input_variables),
    )


def _inputs(agent: Agent, given: Mapping[str, str]) -> dict[str, str]:
    # Architect passes a variable that was never set as an empty text.
    missing = [name for name, declared in agent.inputs.items() if declared.required and not given.get(name, "").strip()]
    if missing:
        raise PlanError(MISSING_INPUT, f"required input variables are missing or empty: {', '.join(missing)}")
    defaults = {name: declared.default for name, declared in agent.inputs.items() if declared.default is not None}
    return {**defaults, **given}


def _number(address: str) -> str:
    """Return a number as a person would write it: Genesys sends ``tel:+1317…`` (trap 45)."""
    for scheme in _SCHEMES:
        if address.lower().startswith(scheme):
            return address[len(scheme) :]
    return address


def _greeting(agent: Agent, context: CallContext) -> Greeting | None:
    if agent.greeting is None:
        return None
    if isinstance(agent.greeting, FixedGreeting):
        text = _render(agent.greeting.text, context)
        return Greeting(text=text) if text else None
    instructions = _render(agent.greeting, context)
    return Greeting(instructions=instructions) if instructions else None


def _render(source: str, context: CallContext) -> str:
    return compile_template(source).render(context).strip()


def _call_control(agent: Agent) -> list[ToolDefinition]:
    named = [control.end_call() if name == END_CALL else control.escalate() for name in agent.call_control]
    if not agent.outputs:
        return named
    return [*named, control.set_outputs({name: output.description for name, output in agent.outputs.items()})]
