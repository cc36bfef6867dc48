"""Asking the model for responses: what the agent says of itself, answers that nobody else asks for, repetitions."""

from typing import Literal

from offhook import realtime
from offhook.bridge import prompts
from offhook.bridge.plan import CallPlan, Prompt
from offhook.bridge.replies import Replies
from offhook.bridge.retries import Retries
from offhook.realtime import RealtimeSession, ResponseRequest

NOTICE, GREETING, GOODBYE, FILLER, NO_INPUT = "notice", "greeting", "goodbye", "filler", "no_input"
"""What the agent says of itself."""
REPLY, TURN, RETRY = "reply", "turn", "retry"
"""Answers."""
ASIDES = frozenset({FILLER, NO_INPUT})
"""They answer nothing, and are not worth repeating."""
SERVER_PATIENCE = 5.0
"""Seconds that the server has to begin its own answer to a turn of the caller, before it is asked for one."""
NOT_WANTED = frozenset({"OH-RT-12", "OH-RT-14"})
"""Refusals of a request that we gave up ourselves."""


class Answers:
    """Every `response.create` of one call.

    Attributes:
        plan: The agent; a change of language brings another one.
        replies: Which inputs are owed an answer.
    """

    def __init__(self, plan: CallPlan, session: RealtimeSession) -> None:
        self.replies = Replies()
        self.plan = plan
        self.session = session
        self._retries = Retries()
        self._server_by: float | None = None  # the server has to begin its answer to the caller by then
        self._said: dict[str, Prompt] = {}  # what was last asked for with each tag

    def say(self, tag: str, prompt: Prompt, now: float) -> None:
        """The agent says something of itself: `NOTICE`, `GREETING`, `GOODBYE`, `FILLER` or `NO_INPUT`."""
        self._said[tag] = prompt
        situation = prompts.CONNECTED if tag in (NOTICE, GREETING) else ""
        self._ask(tag, now, prompts.say(self._persona(), prompt, situation))

    def awaits(self, tag: str) -> bool:
        """What was asked for with this tag has not begun, and is still wanted."""
        return tag in self.session.pending_tags or self._retries.wants(tag)

    def protected(self, tag: str | None) -> bool:
        """Whether the caller must hear the response with this tag to its end."""
        prompt = self._said.get(tag or "")
        return prompt is not None and prompt.protected

    def answer_turn(self, now: float) -> None:
        """The caller's turn is over, and the server was told not to answer by itself."""
        self._ask(TURN, now)

    def turn_committed(self, now: float) -> None:
        """The caller's turn is over, and the server answers it by itself, or we ask for it."""
        self._server_by = now + SERVER_PATIENCE

    def carry_on(self, now: float, *, tools_run: bool) -> None:
        """A new session knows the conversation: the agent goes on; it calls nothing while tools run already."""
        self._ask(TURN, now, tool_choice="none" if tools_run else None)

    def session_lost(self) -> None:
        """Nothing that was asked of the session will come."""
        self._retries.succeeded()
        self.replies.session_lost()
        self._server_by = None

    def caller_started(self) -> None:
        """The caller speaks: their turn brings the next answer."""
        self.replies.caller_started()
        self._retries.forget()
        self._server_by = None

    def forget(self) -> None:
        """Something new is about to be asked: repeat nothing."""
        self._retries.forget()

    def stop(self) -> None:
        """The call is ending: nothing but its goodbye is wanted any more."""
        self._retries.forget()
        self._server_by = None
        for tag in self.session.pending_tags:
            self.session.withdraw_response(tag)

    def response_started(self, event: realtime.ResponseStarted) -> None:
        """Something is being answered, unless it is an aside."""
        if event.tag in ASIDES:
            return
        self._retries.forget()
        self._server_by = None
        if self.replies.response_started(ours=event.tag == REPLY):
            self.session.withdraw_response(REPLY)

    def succeeded(self, tag: str | None) -> None:
        """A response brought speech or a call."""
        if tag not in ASIDES:
            self._retries.succeeded()

    def failed(self, tag: str | None, now: float) -> bool:
        """A response brought nothing, or did not come: it is asked for again later; False when that is no use."""
        return self._retries.failed(tag if tag in (NOTICE, GREETING) else RETRY, now)

    def ask_if_due(self, now: float) -> None:
        """Ask for what is owed, or to be repeated, unless a response is running."""
        if self.session.active_response_id is not None:
            return
        if self._server_by is not None and now >= self._server_by:
            self._server_by = None
            self._ask(TURN, now)
        again = self._retries.take(now)
        if self._retries.pending:
            return
        if self.replies.owed(now):
            self.replies.requested()
            self._ask(REPLY, now)
        elif again in self._said:
            self.say(again, self._said[again], now)
        elif again is not None:
            self._ask(RETRY, now)

    @property
    def expected(self) -> bool:
        """The model answers or is about to: a response runs, was asked for or will be."""
        session = self.session
        return bool(session.active_response_id or session.pending_tags) or self.next_timer() is not None

    def next_timer(self) -> float | None:
        """When `ask_if_due` is to be called."""
        if self.session.active_response_id is not None:
            return None
        due = self._retries.next_timer() if self._retries.pending else self.replies.next_timer()
        return min((at for at in (due, self._server_by) if at is not None), default=None)

    def _ask(
        self, tag: str, now: float, instructions: str | None = None, *, tool_choice: Literal["none"] | None = None
    ) -> None:
        """Ask for a response; those with instructions of their own call no tools."""
        request = ResponseRequest(
            tag=tag,
            instructions=instructions,
            tool_choice=tool_choice if instructions is None else "none",
            only_if_idle=tag in ASIDES or tag in (RETRY, GREETING),
        )
        self.session.request_response(request, now)

    def _persona(self) -> str:
        instructions = self.plan.session.instructions
        return instructions if isinstance(instructions, str) else ""
