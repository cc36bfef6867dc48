"""Silence and limits on real sockets: the caller is told, and the call ends as `limit`."""

import asyncio

from offhook import tool
from offhook.emulator.scenario import Call, Turn
from offhook.simulator.script import HoldLine, Say, Utterance, WaitForAgent
from tests.integration.carried import (
    ANSWER,
    ASKED,
    GOODBYE,
    GREETING,
    LONG,
    QUESTION,
    STILL_THERE,
    agent,
    carry,
    clip,
    on_request,
    script,
    together,
)


async def three_silences() -> None:
    no_input = {"after": 1, "prompts": [{"text": STILL_THERE}] * 2, "goodbye": {"text": GOODBYE}}
    done = await carry(
        agent(no_input=no_input),
        script(Turn(say=GREETING), on_request(STILL_THERE), on_request(STILL_THERE), on_request(GOODBYE)),
        (WaitForAgent(silence_ms=100),),
    )
    done.check("limit", reason="no_input", OFFHOOK_REASON="no_input")
    done.check_heard(GREETING, STILL_THERE, STILL_THERE, GOODBYE)
    # A silence is counted from when the caller has heard what was said: from end to begin.
    spoken = sum(len(clip(text)) for text in (GREETING, STILL_THERE, STILL_THERE)) / 8000
    last = done.watcher.moments[[moment.name for moment in done.watcher.moments].index("ending")].at
    began = done.watcher.at("playback_started")
    assert began is not None
    assert last - began >= spoken + 3.0 - 0.1


async def the_time_is_up_while_the_agent_speaks() -> None:
    done = await carry(
        agent(limits={"max_duration": 2, "warn_before": 1.0, "goodbye": {"text": GOODBYE}}),
        script(Turn(say=LONG), on_request(GOODBYE)),
        (WaitForAgent(silence_ms=100),),
    )
    done.check("limit", reason="max_duration")
    assert done.report.playback.barge_ins == 1
    done.check_heard(GOODBYE)
    assert done.said[-1] == ("agent", GOODBYE)


async def there_were_turns_enough() -> None:
    done = await carry(
        agent(limits={"max_turns": 1, "goodbye": {"text": GOODBYE}}),
        script(Turn(say=GREETING), Turn(caller=QUESTION, say=ANSWER), Turn(caller=QUESTION), on_request(GOODBYE)),
        (*ASKED, WaitForAgent(silence_ms=100), Say(Utterance(QUESTION))),
    )
    done.check("limit", reason="max_turns")
    done.check_heard(GREETING, ANSWER, GOODBYE)


async def it_costs_too_much() -> None:
    done = await carry(
        agent(limits={"max_cost": 0.00001, "goodbye": {"text": GOODBYE}}),
        script(Turn(say=GREETING), on_request(GOODBYE)),
        (WaitForAgent(silence_ms=100),),
    )
    done.check("limit", reason="max_cost")
    done.check_heard(GREETING, GOODBYE)
    assert float(done.variables["OFFHOOK_COST_USD"]) > 0.00001


async def the_time_is_up_while_a_tool_runs() -> None:
    ended = asyncio.Event()

    @tool
    async def look() -> str:
        """Look for a long time."""
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "never"

    done = await carry(
        agent(tools=[look], filler=None, limits={"max_duration": 3, "warn_before": 0, "goodbye": {"text": GOODBYE}}),
        script(Turn(say=GREETING), Turn(caller=QUESTION, call=Call(name="look")), on_request(GOODBYE)),
        ASKED,
    )
    done.check("limit", reason="max_duration")
    done.check_heard(GREETING, GOODBYE)
    assert ended.is_set()


async def the_time_is_up_while_the_caller_holds() -> None:
    """The goodbye waits for the caller to come back, who then hears all of it."""
    done = await carry(
        agent(limits={"max_duration": 2, "warn_before": 0, "goodbye": {"text": GOODBYE}}),
        script(Turn(say=GREETING), on_request(GOODBYE)),
        (WaitForAgent(silence_ms=50), HoldLine(2.5)),
    )
    done.check("limit", reason="max_duration")
    done.check_heard(GREETING, GOODBYE)


async def the_time_is_up_and_the_caller_never_comes_back() -> None:
    done = await carry(
        agent(limits={"max_duration": 2, "warn_before": 0, "goodbye": {"text": GOODBYE}}),
        script(Turn(say=GREETING), on_request(GOODBYE)),
        (WaitForAgent(silence_ms=50), HoldLine(20.0)),
    )
    done.check("limit", reason="max_duration")
    done.check_heard(GREETING)
    # The goodbye takes 0.6 s and may be played 5 s late.
    assert float(done.variables["OFFHOOK_DURATION_S"]) < 10


async def test_calls_that_a_limit_ends() -> None:
    await together(
        three_silences,
        there_were_turns_enough,
        it_costs_too_much,
        the_time_is_up_while_a_tool_runs,
        the_time_is_up_while_the_agent_speaks,
        the_time_is_up_while_the_caller_holds,
        the_time_is_up_and_the_caller_never_comes_back,
    )
