"""The function calls of one call: started beside it, answered in the conversation, whatever becomes of them.

A call of the model is either call control, which is done here and now, or a tool that the shell runs, after the
caller's yes if it needs one. Either way the model gets one output for each `call_id` (openai-realtime.md §5.1), and no
output ever holds what the caller entered in secret.
"""

from collections.abc import Callable

import msgspec

from offhook.bridge import control, moments
from offhook.bridge.commands import Command, InvokeTool, ToolOutcome
from offhook.bridge.confirmations import Confirmations
from offhook.bridge.history import History
from offhook.bridge.outputs import OutputVariables
from offhook.bridge.plan import CallPlan, CollectDigits
from offhook.bridge.replies import Replies
from offhook.bridge.secrets import Secrets
from offhook.realtime import FunctionCallReady, RealtimeSession, SessionState
from offhook.realtime.items import FunctionCallOutputItem


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
    """Every function call of one call.

    Attributes:
        confirmations: Calls that wait for the caller's yes.
    """

    def __init__(
        self,
        plan: CallPlan,
        session: RealtimeSession,
        replies: Replies,
        outputs: OutputVariables,
        secrets: Secrets,
        history: History,
        emit: Callable[[Command], None],
        moment: Callable[..., None],
    ) -> None:
        self.confirmations = Confirmations()
        self._plan = plan
        self.session = session
        self._replies = replies
        self._outputs = outputs
        self._secrets = secrets
        self._history = history
        self._emit = emit
        self._moment = moment
        self._running: dict[str, InvokeTool] = {}

    @property
    def runs_secret(self) -> bool:
        """A tool works on secret digits."""
        return any(invoked.secret for invoked in self._running.values())

    def begin(self, event: FunctionCallReady, now: float) -> EndWish | None:
        """The model calls a function; says whether it wants the call to end by that."""
        tool = self._plan.tools.get(event.name)
        if tool is not None:
            refusal = None
            if tool.confirm:
                refusal = self.confirmations.request(event.name, event.arguments, event.response_id, now)
            if refusal is not None:
                self._moment(moments.CONFIRMATION, now, tool=event.name)
                self.answer(event.call_id, refusal)
            else:
                self.wait_for(event.call_id)
                self._run(InvokeTool(event.call_id, event.name, event.arguments), now)
            return None
        result = control.run(event.name, event.arguments, self._outputs)
        self.answer(event.call_id, result.output)
        if result.outcome is None:
            return None
        reason = "agent_escalated" if event.name == control.ESCALATE else "agent_ended"
        return self._wish(result.outcome, reason, result.words, result.target)

    def finish(self, call_id: str, outcome: ToolOutcome, now: float) -> EndWish | None:
        """A tool is through; an unknown call, or one answered before, is ignored."""
        if self._running.pop(call_id, None) is None:
            return None
        self._moment(moments.TOOL_FINISHED, now, failed=outcome.failed)
        output = outcome.output
        if outcome.outputs and (problem := self._outputs.set(outcome.outputs)) is not None:
            # The model has the tool's result and must not take this for a failure of the tool.
            self._moment(moments.OUTPUT_REFUSED, now)
            output = f"{output}\n(outputs were not set: {problem})"
        self.collected(call_id, output)
        if outcome.end is None:
            return None
        reason = "tool_escalated" if outcome.end == "escalated" else "tool_ended"
        return self._wish(outcome.end, reason, outcome.reason, outcome.target)

    # What `digits` needs.

    def wait_for(self, call_id: str) -> None:
        """The output of this call takes its time."""
        self._replies.call_started(call_id)

    def collected(self, call_id: str, output: str, *, owed: bool = True) -> None:
        """Post the output that `wait_for` told of; `owed` says that the model is to answer it."""
        self._replies.call_finished(call_id)
        self.answer(call_id, output, owed=owed)

    def answer(self, call_id: str, output: str, *, owed: bool = True) -> None:
        """Post the output of a call."""
        output = self._secrets.scrub(output)
        self._history.output(call_id, output)
        if self.session.state is not SessionState.READY:
            return  # the next session is told with everything else
        lost = self._history.owed(call_id)
        if lost is None:
            self.session.send_function_output(call_id, output)
        else:
            self.session.send_item(lost)
            self.session.send_item(FunctionCallOutputItem(call_id=call_id, output=output))
        if owed:
            self._replies.posted()

    def tells(self, turn_id: str) -> None:
        """What the caller entered in this turn is in the output of a call."""
        self._history.leave_out(turn_id)

    def run_secret(self, call_id: str, digits: str, purpose: str, now: float) -> None:
        """Give secret digits to the tool that they are for; its output becomes that of the call that asked for them."""
        settings = self._plan.collect_digits or CollectDigits()
        self._secrets.add(digits)
        given = {"digits": digits, "purpose": purpose} if settings.tells_purpose else {"digits": digits}
        arguments = msgspec.json.encode(given).decode()
        self._run(InvokeTool(call_id, settings.secret_tool or "", arguments, secret=True), now)

    def _run(self, invoked: InvokeTool, now: float) -> None:
        self._running[invoked.call_id] = invoked
        self._moment(moments.TOOL_STARTED, now, tool=invoked.name)
        self._emit(invoked)

    def _wish(self, outcome: str, reason: str, words: str, target: str) -> EndWish:
        scrub = self._secrets.scrub
        words, target = scrub(words)[: control.MAX_WORDS], scrub(target)[: control.MAX_WORDS]
        return EndWish(outcome=outcome, reason=reason, words=words, target=target)
