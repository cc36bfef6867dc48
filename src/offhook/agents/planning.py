"""What is decided about a call when ``open`` arrives: at once, without waiting for anything."""

from collections.abc import Mapping, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from offhook.agents.agent import Agent
from offhook.agents.bundled import one_moment
from offhook.agents.connector import ConnectorPath
from offhook.agents.errors import MISSING_INPUT, PlanError
from offhook.agents.handling import AgentLimits, Filler, NoInput, Recovery
from offhook.agents.prices import PriceList
from offhook.agents.session_config import decided_here, session_config
from offhook.agents.templates import compile_template
from offhook.agents.wording import RecordedWording, Wording, render_prompt, render_recording
from offhook.audiohook import OpenParameters
from offhook.bridge import plan as bridge
from offhook.bridge.plan import CallPlan, ToolPlan
from offhook.realtime import SessionConfig
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
    prices: PriceList | None = None,
) -> CallPlan:
    """Return what ``bridge.Call`` needs of the agent called ``name``; PlanError says why there can be no call.

    ``call_id`` is our own ID of the call; ``tools`` are those of the agent that can be used at the moment; without
    ``prices`` the call costs nothing that anybody knows.
    """
    context = call_context(agent, name, open_parameters, connector, call_id=call_id)
    agent = agent.in_language(context.language)
    digits = _collect_digits(agent, tools)
    tools = _for_the_model(agent, tools)
    definitions = [tool.definition for tool in tools] + _call_control(agent, digits)
    session = session_config(agent, compile_template(agent.instructions).render(context), definitions)
    plan = CallPlan(
        agent=name,
        session=session,
        mode=agent.mode,
        notice=render_prompt(agent.notice, context),
        greeting=render_prompt(agent.greeting, context),
        outputs={output: declared.variable() for output, declared in agent.outputs.items()},
        tools={tool.definition.name: ToolPlan(confirm=tool.policy.confirm) for tool in tools},
        barge_in=_barge_in(agent),
        no_input=_no_input(agent.no_input, context),
        limits=_limits(agent.limits, context),
        prices=prices.price_of(agent.model) if prices else None,
        transcription_price=(
            prices.transcription_price_of(agent.transcription.model) if prices and agent.transcription else None
        ),
        filler=_filler(agent.filler, context),
        recovery=_recovery(agent.recovery, context),
        drained=_goodbye(agent.limits.drained, context),
        approved_mcp=frozenset().union(*(server.approved for server in agent.hosted_mcp)),
        collect_digits=digits,
        dtmf=agent.dtmf.policy(),
        bot_turn_response=agent.bot_turn_response,
        goodbye=render_prompt(agent.goodbye, context),
        handover=render_prompt(agent.handover, context),
        summary=agent.summary,
    )
    if plan.decides_interruptions or not agent.barge_in.enabled:
        return replace(plan, session=decided_here(plan.session))
    return plan


def warm_session(agent: Agent, tools: Sequence[Tool]) -> SessionConfig:
    """Return the settings of a session that is prepared before there is a call.

    They are those of a call in no particular language, without instructions: these are templates over the call. The
    call sends all of its own settings before it does anything else.

    Args:
        agent: who will answer.
        tools: those of the agent that can be used at the moment.
    """
    agent = agent.in_language("")
    definitions = [tool.definition for tool in _for_the_model(agent, tools)]
    definitions += _call_control(agent, _collect_digits(agent, tools))
    return replace(session_config(agent, "", definitions), instructions=UNSET)


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
    return {**given, **{name: default for name, default in defaults.items() if not given.get(name, "").strip()}}


def _number(address: str) -> str:
    """Return a number as a person would write it: Genesys sends ``tel:+1317…`` (trap 45)."""
    for scheme in _SCHEMES:
        if address.lower().startswith(scheme):
            return address[len(scheme) :]
    return address


def _barge_in(agent: Agent) -> bridge.BargeIn:
    # What is said to the Realtime API of interruptions is meant for offhook as well.
    policy = agent.barge_in.policy()
    return policy if agent.turn_detection.interrupt_response else replace(policy, enabled=False)


def _no_input(settings: NoInput | None, context: CallContext) -> bridge.NoInput:
    if settings is None:
        return bridge.NoInput()
    return bridge.NoInput(
        after=settings.after,
        prompts=_prompts(settings.prompts, context),
        goodbye=_goodbye(settings.goodbye, context),
    )


def _limits(settings: AgentLimits, context: CallContext) -> bridge.CallLimits:
    return bridge.CallLimits(
        max_duration=settings.max_duration,
        warn_before=settings.warn_before,
        max_turns=settings.max_turns,
        max_cost=settings.max_cost,
        goodbye=_goodbye(settings.goodbye, context),
    )


def _goodbye(setting: str | Wording, context: CallContext) -> bridge.Prompt:
    return render_prompt(setting, context) or bridge.Prompt(instructions="Say goodbye.")


def _filler(settings: Filler | None, context: CallContext) -> bridge.Filler:
    prompts = () if settings is None else _prompts(settings.prompts, context)
    return (
        bridge.Filler(after=settings.after, every=settings.every, prompts=prompts)
        if settings and prompts
        else bridge.Filler()
    )


def _recovery(settings: Recovery, context: CallContext) -> bridge.Recovery:
    policy = bridge.Recovery(after=settings.after, every=settings.every, limit=settings.limit)
    if settings.prompt is None:
        return policy
    if isinstance(settings.prompt, RecordedWording):
        return replace(policy, prompt=render_recording(settings.prompt, context))
    return replace(policy, prompt=one_moment(context.language))


def _prompts(settings: Sequence[str | Wording], context: CallContext) -> tuple[bridge.Prompt, ...]:
    rendered = (render_prompt(setting, context) for setting in settings)
    return tuple(prompt for prompt in rendered if prompt is not None)


def _for_the_model(agent: Agent, tools: Sequence[Tool]) -> Sequence[Tool]:
    """Leave out what takes secret digits."""
    if agent.collect_digits is None:
        return tools
    return [tool for tool in tools if tool.definition.name != agent.collect_digits.secret_tool]


def _collect_digits(agent: Agent, tools: Sequence[Tool]) -> bridge.CollectDigits | None:
    """Return how digits are collected; secret ones only if the tool for them can be used at the moment."""
    settings = agent.collect_digits
    if settings is None:
        return None
    for tool in tools:
        definition = tool.definition
        if definition.name == settings.secret_tool and not control.secret_tool_problem(
            definition, confirm=tool.policy.confirm
        ):
            return settings.policy(settings.secret_tool, tells_purpose="purpose" in control.takes(definition))
    return settings.policy(None, tells_purpose=False)


def _call_control(agent: Agent, digits: bridge.CollectDigits | None) -> list[ToolDefinition]:
    named = [control.end_call() if name == END_CALL else control.escalate() for name in agent.call_control]
    if digits is not None:
        named.append(control.collect_digits(secret=digits.secret_tool is not None))
    if not agent.outputs:
        return named
    return [*named, control.set_outputs({name: output.json_schema() for name, output in agent.outputs.items()})]
