"""The function calls of one call: started beside it, answered in the conversation, whatever becomes of them.

A call of the model is either call control, which is done here and now, or a tool that the shell runs. Either way the
model gets one output for each `call_id` (openai-realtime.md §5.1).
"""

from collections.abc import Callable

import msgspec

from offhook.bridge import control, moments
from offhook.bridge.commands import Command, InvokeTool, ToolOutcome
from offhook.bridge.outputs import OutputVariables
from offhook.bridge.plan import CallPlan
from offhook.bridge.replies import Replies
from offhook.realtime import FunctionCallReady, RealtimeSession


class EndWish(msgspec.Struct, frozen=True, kw_only=True):
    """The model or a tool wants the call to end."""

    outcome: str
    """`completed` or `escalated`."""
    reason: str
    """Machine-readable: who wants it."""
    words: str = ""
    """Why, in their words."""
    target: str = ""
    """Whom the caller is to be connected with."""


class ToolCalls:
    """Every function call of one call."""

    def __init__(
        self,
        plan: CallPlan,
        session: RealtimeSession,
        replies: Replies,
        outputs: OutputVariables,
        emit: Callable[[Command], None],
        moment: Callable[..., None],
    ) -> None:
        self._plan = plan
        self._session = session
        self._replies = replies
        self._outputs = outputs
        self._emit = emit
        self._moment = moment

    def begin(self, event: FunctionCallReady, now: float) -> EndWish | None:
        """The model calls a function; says whether it wants the call to end by that."""
        if event.name in self._plan.tools:
            self._replies.call_started(event.call_id)
            self._moment(moments.TOOL_STARTED, now, tool=event.name)
            self._emit(InvokeTool(event.call_id, event.name, event.arguments))
            return None
        result = control.run(event.name, event.arguments, self._outputs)
        self._post(event.call_id, result.output)
        if result.outcome is None:
            return None
        reason = "agent_escalated" if event.name == control.ESCALATE else "agent_ended"
        return EndWish(outcome=result.outcome, reason=reason, words=result.words, target=result.target)

    def finish(self, call_id: str, outcome: ToolOutcome, now: float) -> EndWish | None:
        """A tool is through; an unknown call, or one answered before, is ignored."""
        if not self._replies.call_finished(call_id):
            return None
        self._moment(moments.TOOL_FINISHED, now, failed=outcome.failed)
        output = outcome.output
        if outcome.outputs and (problem := self._outputs.set(outcome.outputs)) is not None:
            # The model has the tool's result and must not take this for a failure of the tool.
            self._moment(moments.OUTPUT_REFUSED, now)
            output = f"{output}\n(outputs were not set: {problem})"
        self._post(call_id, output)
        if outcome.end is None:
            return None
        reason = "tool_escalated" if outcome.end == "escalated" else "tool_ended"
        words, target = outcome.reason[: control.MAX_WORDS], outcome.target[: control.MAX_WORDS]
        return EndWish(outcome=outcome.end, reason=reason, words=words, target=target)

    def _post(self, call_id: str, output: str) -> None:
        self._session.send_function_output(call_id, output)
        self._replies.posted()
