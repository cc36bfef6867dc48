"""Representative cells of the exit table on real sockets: every call ends well, whoever ends it and whenever.

Each cell is one whole call, simulator ⇄ gateway ⇄ emulator; independent ones run at the same time. What all of them
owe is in `Carried.check`: one `disconnect` or one answer to `close`, `closed` within a second, complete output
variables, a closed Realtime socket, nothing left.
"""

import asyncio
from functools import partial

from offhook import ToolResult, tool
from offhook.emulator.scenario import Aside, Call, Failure, Handshake, Loss, Turn, When
from offhook.simulator.script import HangUp, Interrupt, Say, Utterance, WaitForAgent
from tests.integration.carried import (
    ANSWER,
    ASKED,
    GOODBYE,
    GREETING,
    LONG,
    QUESTION,
    STILL_THERE,
    Line,
    agent,
    cable,
    carry,
    clip,
    on_request,
    script,
    together,
)

THANKS = "Thank you for calling Acme. Goodbye."
HANDOVER = "I will connect you to a colleague now."
SUMMARY = "The caller wants a person."
IN_THE_MIDDLE = Interrupt(after_ms=300, sound=Utterance("(nothing)", audio=b"\xff" * 160))
"""Wait until the agent speaks, and say nothing."""


@tool
async def give_up(order: str) -> ToolResult:
    """Look an order up, and find that a person has to."""
    return ToolResult("a person has to look", outputs={"ORDER": order}, escalate="locked order", target="Orders")


# ---- The caller.


async def the_caller_hangs_up_while_the_agent_speaks() -> None:
    done = await carry(agent(), script(Turn(say=LONG)), (IN_THE_MIDDLE, HangUp()))
    done.check("completed", by="caller", reason="caller_hung_up", INTENT="none", ORDER="")
    assert done.report.playback.cut_off_ms > 0
    assert clip(LONG).startswith(done.heard)
    ((speaker, text),) = done.said
    assert speaker == "agent"
    assert text
    assert LONG.startswith(text)
    assert text != LONG  # not more than was heard
    assert done.variables["OFFHOOK_SUMMARY"] == f"Agent: {text}"


# ---- The agent.


async def the_agent_ends_with_a_spoken_goodbye() -> None:
    done = await carry(
        agent(tools=["end_call"]),
        script(
            Turn(say=GREETING),
            Turn(
                caller=QUESTION,
                preamble=GOODBYE,
                call=[
                    Call(name="set_outputs", arguments={"INTENT": "greeting"}),
                    Call(name="end_call", arguments={"reason": "all done"}),
                ],
            ),
        ),
        ASKED,
    )
    done.check("completed", reason="agent_ended", INTENT="greeting", ORDER="", OFFHOOK_REASON="all done")
    done.check_heard(GREETING, GOODBYE)
    assert done.said == [("agent", GREETING), ("caller", QUESTION), ("agent", GOODBYE)]


async def the_agent_ends_with_a_fixed_goodbye() -> None:
    done = await carry(
        agent(tools=["end_call"], goodbye={"text": GOODBYE}),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, preamble=ANSWER, call=Call(name="end_call", arguments={"reason": "all done"})),
            on_request(GOODBYE),
        ),
        ASKED,
    )
    done.check("completed", reason="agent_ended", OFFHOOK_REASON="all done")
    done.check_heard(GREETING, ANSWER, GOODBYE)


async def the_agent_escalates() -> None:
    done = await carry(
        agent(tools=["escalate"], handover={"text": HANDOVER, "protected": True}),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, call=Call(name="escalate", arguments={"reason": "asked for", "target": "Billing"})),
            on_request(HANDOVER),
            asides=[Aside(say=SUMMARY, seconds=0.2)],
        ),
        ASKED,
    )
    done.check(
        "escalated",
        reason="agent_escalated",
        OFFHOOK_REASON="asked for",
        OFFHOOK_TARGET="Billing",
        OFFHOOK_SUMMARY=SUMMARY,
    )
    done.check_heard(GREETING, HANDOVER)


async def a_summary_that_is_late_delays_nothing() -> None:
    done = await carry(
        agent(tools=["escalate"], handover={"text": GOODBYE}),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, call=Call(name="escalate", arguments={"reason": "asked for"})),
            on_request(GOODBYE),
            asides=[Aside(say=SUMMARY, seconds=30)],
        ),
        ASKED,
    )
    done.check("escalated", OFFHOOK_SUMMARY=f"Caller: {QUESTION} Agent: {GOODBYE}")
    done.check_heard(GREETING, GOODBYE)
    assert float(done.variables["OFFHOOK_DURATION_S"]) < 8


async def a_tool_decides() -> None:
    done = await carry(
        agent(tools=[give_up], handover={"text": HANDOVER}, summary="never"),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, preamble=ANSWER, call=Call(name="give_up", arguments={"order": "7"})),
            on_request(HANDOVER),
        ),
        ASKED,
    )
    done.check(
        "escalated",
        reason="tool_escalated",
        ORDER="7",
        OFFHOOK_REASON="locked order",
        OFFHOOK_TARGET="Orders",
        OFFHOOK_SUMMARY=f"Caller: {QUESTION} Agent: {HANDOVER}",
    )
    done.check_heard(GREETING, ANSWER, HANDOVER)


async def the_agent_is_asked_for_its_goodbye() -> None:
    """It says nothing itself, and words the hand-over when it is told to."""
    done = await carry(
        agent(tools=["escalate"], summary="never"),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, call=Call(name="escalate", arguments={"reason": "asked for"})),
            Turn(when=When(instructions="handed to a colleague"), say=HANDOVER),
        ),
        ASKED,
    )
    done.check("escalated", reason="agent_escalated")
    done.check_heard(GREETING, HANDOVER)


async def nobody_interrupts_the_goodbye() -> None:
    done = await carry(
        agent(tools=["end_call"]),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, preamble=THANKS, call=Call(name="end_call", arguments={"reason": "all done"})),
        ),
        (*ASKED, Interrupt(after_ms=600, sound=Utterance("Stop, please."))),
    )
    done.check("completed", reason="agent_ended")
    done.check_heard(GREETING, THANKS)
    assert done.report.playback.barge_ins == 0


async def genesys_reports_nothing_and_plays_late() -> None:
    done = await carry(
        agent(tools=["end_call"], goodbye={"text": GOODBYE}),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, preamble=ANSWER, call=Call(name="end_call", arguments={"reason": "all done"})),
            on_request(GOODBYE),
        ),
        ASKED,
        caller={"playback_reports": False, "playback_delay_ms": 300},
    )
    done.check("completed", reason="agent_ended")
    done.check_heard(GREETING, ANSWER, GOODBYE)


# ---- The AI.


async def the_ai_is_lost_in_mid_call() -> None:
    done = await carry(
        agent(recovery={"prompt": None}),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, say=STILL_THERE),
            lose=Loss(after=2.5, code=1011),
            handshake=[Handshake(), Handshake(status=401)],
        ),
        ASKED,
    )
    done.check("failed", reason="OH-CALL-06", OFFHOOK_REASON="OH-CALL-06")
    assert done.session.close_code == 1011
    # What had come before is heard to its end.
    assert done.report.playback.cut_off_ms == 0
    assert done.heard.startswith(clip(GREETING))


async def the_ai_is_lost_while_the_goodbye_is_played() -> None:
    done = await carry(
        agent(tools=["end_call"], greeting=None),
        script(
            Turn(caller=QUESTION, preamble=THANKS, call=Call(name="end_call", arguments={"reason": "closed today"})),
            lose=Loss(after=2.0, code=1006),
        ),
        (Say(Utterance(QUESTION)),),
    )
    done.check("completed", reason="agent_ended", OFFHOOK_REASON="closed today")
    done.check_heard(THANKS)
    assert done.session.close_code == 1006


async def the_goodbye_fails() -> None:
    done = await carry(
        agent(tools=["end_call"], goodbye={"text": GOODBYE}),
        script(
            Turn(say=GREETING),
            Turn(caller=QUESTION, preamble=ANSWER, call=Call(name="end_call", arguments={"reason": "all done"})),
            Turn(when=When(instructions=GOODBYE), fail=Failure()),
        ),
        ASKED,
    )
    done.check("completed", reason="agent_ended")
    done.check_heard(GREETING, ANSWER)


async def no_response_succeeds_any_more() -> None:
    done = await carry(
        agent(),
        script(Turn(say=GREETING), *(Turn(caller=QUESTION if not n else None, fail=Failure()) for n in range(3))),
        ASKED,
    )
    done.check("failed", reason="OH-CALL-08")
    done.check_heard(GREETING)


# ---- The gateway and the network.


async def the_gateway_is_drained_while_the_agent_speaks() -> None:
    async def drain(line: Line) -> None:
        await line.watcher.until("playback_started")
        await line.server.drain(0.0)

    done = await carry(
        agent(limits={"drained": {"text": GOODBYE}}),
        script(Turn(say=STILL_THERE), Turn(when=When(instructions=GOODBYE), say=GOODBYE)),
        (WaitForAgent(silence_ms=100),),
        meanwhile=drain,
    )
    done.check("limit", reason="drained")
    done.check_heard(STILL_THERE, GOODBYE)


async def genesys_is_lost_while_a_tool_runs() -> None:
    began, ended, cut = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tool
    async def look() -> str:
        """Look for a long time."""
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "never"

    async def tear(line: Line) -> None:
        await began.wait()
        cut.set()
        # Nobody wants the result any more.
        await asyncio.wait_for(ended.wait(), 2)

    done = await carry(
        agent(tools=[look]),
        script(Turn(say=GREETING), Turn(caller=QUESTION, call=Call(name="look"))),
        ASKED,
        meanwhile=tear,
        through=partial(cable, cut=cut),
    )
    done.check("failed", by="network", reason="socket_lost")
    assert not done.tool_outputs()


async def test_calls_that_the_caller_or_the_agent_ends() -> None:
    await together(
        the_caller_hangs_up_while_the_agent_speaks,
        the_agent_ends_with_a_spoken_goodbye,
        the_agent_ends_with_a_fixed_goodbye,
        the_agent_escalates,
        a_summary_that_is_late_delays_nothing,
        the_agent_is_asked_for_its_goodbye,
        a_tool_decides,
        nobody_interrupts_the_goodbye,
        genesys_reports_nothing_and_plays_late,
    )


async def test_calls_that_break() -> None:
    await together(
        the_ai_is_lost_in_mid_call,
        the_ai_is_lost_while_the_goodbye_is_played,
        the_goodbye_fails,
        no_response_succeeds_any_more,
        the_gateway_is_drained_while_the_agent_speaks,
        genesys_is_lost_while_a_tool_runs,
    )
