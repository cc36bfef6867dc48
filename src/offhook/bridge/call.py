"""One call: an AudioHook session and a Realtime session joined, and every decision about them.

The shell's loop: feed what arrived with the time, carry out `commands`, write `audiohook_data` and `realtime_data`, and
call `handle_timer` when `next_timer` says so. Nothing here waits, and nothing here knows of sockets.

    call = Call("c-1", session_id=..., organization_id=..., now=now)
    call.receive_text(open_message, now)          # -> SelectAgent
    call.accept(plan, now)                        # -> `opened` is in audiohook_data(), ConnectRealtime in commands()
    call.realtime_connected(now)                  # then receive_realtime(...) for every message
"""

from collections.abc import Callable

from offhook import audiohook
from offhook.audiohook import ServerSession
from offhook.audiohook.messages import CLOSE_REASONS
from offhook.bridge import moments
from offhook.bridge.commands import (
    CallEnded,
    ChangeLanguage,
    Command,
    RecordMoment,
    SelectAgent,
    ToolOutcome,
)
from offhook.bridge.conversation import Conversation
from offhook.bridge.ending import Ending
from offhook.bridge.outputs import OutputVariables
from offhook.bridge.plan import CallPlan
from offhook.bridge.state import TRANSITIONS, CallState

DRAINED = "OH-GATE-03"

LAST_WORDS = 10.0
"""Seconds until a call ends that is ended from outside, whatever is being said: who wants that waits for it."""


class Call:
    """A call from the upgrade to the last byte.

    Args:
        call_id: Our name for the call; goes to the flow as `OFFHOOK_CALL_ID`.
        session_id: `Audiohook-Session-Id` of the upgrade; None = not checked.
        organization_id: `Audiohook-Organization-Id` of the upgrade; None = not checked.
        now: Monotonic seconds of the upgrade.
        unix: The same in Unix seconds; None = not known, and sessions are taken to live as long as they mostly do.
        idle_timeout: Seconds without a sign of life of Genesys after which the call is given up; None = never.
    """

    def __init__(
        self,
        call_id: str,
        *,
        session_id: str | None,
        organization_id: str | None,
        now: float,
        unix: float | None = None,
        idle_timeout: float | None = None,
    ) -> None:
        self.call_id = call_id
        self._unix_zero = None if unix is None else unix - now
        self.state = CallState.WAITING
        self.audiohook = ServerSession(
            session_id=session_id,
            organization_id=organization_id,
            now=now,
            idle_timeout=idle_timeout,
            last_variables=self.last_variables,
        )
        self.conversation: Conversation | None = None
        self._commands: list[Command] = []
        self._opened_at: float | None = None
        self._outcome = ("failed", "never_opened")
        self._outputs = OutputVariables({})
        self._returned: dict[str, str] | None = None  # the output variables at its end
        self._realtime_open = False
        self._events: dict[type, Callable[..., None]] = {
            audiohook.OpenReceived: self._on_open,
            audiohook.AudioReceived: self._on_audio,
            audiohook.DtmfReceived: self._on_dtmf,
            audiohook.PlaybackStarted: self._on_playback_started,
            audiohook.PlaybackCompleted: self._on_playback_completed,
            audiohook.LanguageUpdated: self._on_language,
            audiohook.ClientPaused: self._on_paused,
            audiohook.ClientResumed: self._on_resumed,
            audiohook.AudioDiscarded: self._on_discarded,
            audiohook.PingReceived: self._on_ping,
            audiohook.ErrorReceived: self._on_error,
            audiohook.ProtocolViolated: self._on_violation,
            audiohook.CloseReceived: self._on_close,
            audiohook.SessionEnded: self._on_session_ended,
        }

    # The AudioHook leg.

    def receive_text(self, data: str | bytes, now: float) -> None:
        """A text message of Genesys."""
        self.audiohook.receive_text(data, now)
        self._step(now)

    def receive_audio(self, data: bytes, now: float) -> None:
        """A binary message of Genesys."""
        self.audiohook.receive_audio(data, now)
        self._step(now)

    def receive_eof(self, now: float) -> None:
        """The Genesys socket is gone."""
        self.audiohook.receive_eof(now)
        self._step(now)

    def set_writable(self, writable: bool, now: float) -> None:
        """The Genesys socket takes more, or is full: agent audio waits meanwhile, text never does."""
        if self.conversation is not None:
            self.conversation.set_writable(writable)
            self._step(now)

    def audiohook_data(self) -> list[str | bytes]:
        """Messages for Genesys in their order: str as text, bytes as binary message."""
        return self.audiohook.data_to_send()

    @property
    def close_expected(self) -> bool:
        """The Genesys socket is to be dropped now."""
        return self.audiohook.close_expected()

    # The agent.

    def accept(self, plan: CallPlan, now: float) -> None:
        """Answer `SelectAgent`: this agent takes the call. `opened` goes out at once, the AI connects meanwhile."""
        if self.state is not CallState.SELECTING:
            return
        self.audiohook.send_opened(now)
        self._opened_at = now
        self._moment(moments.OPENED, now)
        self._outputs = OutputVariables(plan.outputs)
        if plan.mode == "listen":
            self._move(CallState.LISTENING)
            return
        unix = None if self._unix_zero is None else self._unix_zero + now
        self.conversation = Conversation(plan, self.audiohook, self._commands.append, now, unix)
        self._outputs = self.conversation.outputs
        self._realtime_open = True
        self._move(CallState.CONNECTING)
        self._step(now)

    def refuse(self, reason: str, info: str, now: float) -> None:
        """Answer `SelectAgent`: no agent takes the call.

        Args:
            reason: `error` or `unauthorized`.
            info: One line that begins with a stable code; reaches Genesys' logs, so no personal data.
            now: Monotonic seconds.
        """
        if self.state is CallState.SELECTING:
            self._disconnect(reason, "failed", info.split(" ", 1)[0], info, now)

    def change_language(self, plan: CallPlan, now: float) -> None:
        """Answer `ChangeLanguage`: the same agent, as it is in the other language; its voice and tools stay."""
        if self.conversation is not None and self._realtime_open:
            self.conversation.change_language(plan, now)
            self._step(now)

    # The Realtime leg.

    # `leg` is the number of `ConnectRealtime`; what comes of a leg that is not in use any more is ignored.

    def realtime_connected(self, leg: int, now: float, *, created: bytes | None = None) -> None:
        """The Realtime socket stands; with a warm session on it, `created` is the server's `session.created`."""
        if self.conversation is not None and self._realtime_open:
            self.conversation.legs.connected(leg, now, created)
            self._step(now)

    def receive_realtime(self, leg: int, data: str | bytes, now: float) -> None:
        """A message of the Realtime leg."""
        if self.conversation is not None and self._realtime_open:
            self.conversation.legs.receive(leg, data, now)
            self._step(now)

    def realtime_lost(self, leg: int, code: int | None, reason: str, now: float, *, retryable: bool = True) -> None:
        """The Realtime socket is gone or could not be had.

        Args:
            leg: Which one.
            code: The close code, if there was one.
            reason: Why, for the record.
            now: Monotonic seconds.
            retryable: Another attempt may help, with the same provider or another.
        """
        if self.conversation is not None and self._realtime_open:
            self.conversation.legs.lost(leg, code, reason, now, retryable=retryable)
            self._step(now)

    def realtime_data(self, leg: int) -> list[bytes]:
        """Messages for this Realtime leg, in their order."""
        return self.conversation.legs.data(leg) if self.conversation is not None else []

    # Beside the call.

    def tool_result(self, call_id: str, outcome: ToolOutcome, now: float) -> None:
        """Answer `InvokeTool`."""
        if self.conversation is not None and self._realtime_open:
            self.conversation.tool_result(call_id, outcome, now)
            self._step(now)

    def end(self, outcome: str, reason: str, info: str, now: float) -> None:
        """End the call from outside: what is being said is heard first, as far as `LAST_WORDS` allows."""
        if self.conversation is not None and self._realtime_open:
            self.conversation.end(Ending(outcome=outcome, reason=reason, info=info, ends_by=now + LAST_WORDS), now)
            self._step(now)
        elif self.state in (CallState.WAITING, CallState.SELECTING):
            self._disconnect("error", outcome, reason, info, now)
        elif self.state is CallState.LISTENING:
            self._disconnect("completed", outcome, reason, info, now)

    def drain(self, seconds: float, now: float) -> None:
        """End the call within so many seconds, because the gateway stops: the agent says so first."""
        info = f"{DRAINED} the gateway is shutting down"
        if self.conversation is not None and self._realtime_open:
            goodbye = self.conversation.plan.drained
            ending = Ending(outcome="limit", reason="drained", info=info, goodbye=goodbye, ends_by=now + seconds)
            self.conversation.end(ending, now)
            self._step(now)
        else:
            self.end("limit", "drained", info, now)

    def cut(self, outcome: str, reason: str, info: str, now: float) -> None:
        """End the call now, whatever is being said; Genesys gets its `disconnect` with all variables."""
        if self.state in (CallState.WAITING, CallState.SELECTING):
            self._disconnect("error", outcome, reason, info, now)
        elif self.state in (CallState.CONNECTING, CallState.TALKING, CallState.ENDING, CallState.LISTENING):
            self._disconnect("completed", outcome, reason, info, now)

    def last_variables(self, reason: str, now: float) -> dict[str, str]:
        """The output variables of a call that fails here and now, for a `disconnect` that the call does not send.

        Args:
            reason: Code of the broken rule or of our own fault.
            now: Monotonic seconds.
        """
        if self._returned is None:
            self._outcome = ("failed", reason)
            self._returned = self._variables(now)
        return self._returned

    # Time and commands.

    def commands(self) -> list[Command]:
        """What the shell is to do, in order; each is returned once."""
        commands = self._commands[:]
        self._commands.clear()
        return commands

    def next_timer(self, now: float) -> float | None:
        """When `handle_timer` is to be called; None = not before something arrives."""
        times = [self.audiohook.next_timer()]
        if self.conversation is not None and self._realtime_open:
            times.append(self.conversation.legs.next_timer())
            times.append(self.conversation.next_timer(now))
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Act on everything that is due."""
        self.audiohook.handle_timer(now)
        if self.conversation is not None and self._realtime_open:
            self.conversation.legs.handle_timer(now)
            self.conversation.handle_timer(now)
        self._step(now)

    def _step(self, now: float) -> None:
        """Handle the events of both legs, then send what is due."""
        for hook_event in self.audiohook.events():
            action = self._events.get(type(hook_event))
            if action is not None:
                action(hook_event, now)
        conversation = self.conversation
        if conversation is None or not self._realtime_open:
            return
        while events := conversation.legs.events(now):
            # What is asked of the session while its events are handled may be refused, which is an event again.
            for event in events:
                conversation.handle(event, now)
        if conversation.ready and self.state is CallState.CONNECTING:
            self._move(CallState.TALKING)
        conversation.pump(now)
        self._end_if_due(conversation, now)

    def _end_if_due(self, conversation: Conversation, now: float) -> None:
        ending = conversation.ending
        if ending is None:
            return
        if self.state in (CallState.CONNECTING, CallState.TALKING):
            self._move(CallState.ENDING)
        due = ending.due_at(conversation.playout)
        if due is not None and now >= due:
            self._disconnect("completed", ending.outcome, ending.reason, ending.info, now)

    # AudioHook events.

    def _on_open(self, event: audiohook.OpenReceived, now: float) -> None:
        if event.probe:
            self._move(CallState.PROBED)
            self._outcome = ("probe", "probe")
            self.audiohook.send_opened(now)
            return
        self._move(CallState.SELECTING)
        self._commands.append(SelectAgent(event.parameters))

    def _on_audio(self, event: audiohook.AudioReceived, now: float) -> None:
        if self.conversation is not None and self._realtime_open:
            self.conversation.receive_audio(event.audio)

    def _on_dtmf(self, event: audiohook.DtmfReceived, now: float) -> None:
        if self.conversation is not None and self._realtime_open:
            self.conversation.press(event.digit, now)

    def _on_playback_started(self, event: audiohook.PlaybackStarted, now: float) -> None:
        if self.conversation is not None:
            self.conversation.playout.playhead.started(now)
            self._moment(moments.PLAYBACK_STARTED, now)

    def _on_playback_completed(self, event: audiohook.PlaybackCompleted, now: float) -> None:
        if self.conversation is not None:
            self.conversation.playout.playhead.ran_out(now)
            self._moment(moments.PLAYBACK_COMPLETED, now)

    def _on_language(self, event: audiohook.LanguageUpdated, now: float) -> None:
        if self.conversation is not None and self._realtime_open:
            self._moment(moments.LANGUAGE, now)
            self._commands.append(ChangeLanguage(event.language))

    def _on_paused(self, event: audiohook.ClientPaused, now: float) -> None:
        if self.conversation is not None:
            self.conversation.pause(now)

    def _on_resumed(self, event: audiohook.ClientResumed, now: float) -> None:
        if self.conversation is not None:
            self.conversation.resume(now)

    def _on_discarded(self, event: audiohook.AudioDiscarded, now: float) -> None:
        self._moment(moments.AUDIO_LOST, now, leg="audiohook", seconds=event.discarded)

    def _on_ping(self, event: audiohook.PingReceived, now: float) -> None:
        if self.conversation is not None and event.rtt is not None:
            self.conversation.playout.playhead.round_trip(event.rtt)

    def _on_error(self, event: audiohook.ErrorReceived, now: float) -> None:
        name = moments.THROTTLED if event.code == 429 else moments.PEER_ERROR
        self._moment(name, now, leg="audiohook", code=event.code)

    def _on_violation(self, event: audiohook.ProtocolViolated, now: float) -> None:
        self._moment(moments.VIOLATION, now, code=event.code)
        self._move(CallState.DISCONNECTING)
        self._release(now)

    def _on_close(self, event: audiohook.CloseReceived, now: float) -> None:
        reason = event.reason if event.reason in CLOSE_REASONS else "other"  # it is the peer's text
        self._moment(moments.CLOSED, now, reason=reason)
        if self.state not in (CallState.DISCONNECTING, CallState.PROBED):
            ending = self.conversation.ending if self.conversation is not None else None
            if ending is not None:
                self._outcome = (ending.outcome, ending.reason)
            elif reason == "end":
                self._outcome = ("completed", "caller_hung_up")
            else:
                self._outcome = ("failed", f"closed_{reason}")
        self._move(CallState.CLOSED)
        self._release(now)
        if self._returned is None:
            self._returned = self._variables(now)  # the call is over now, not when its socket is gone

    def _on_session_ended(self, event: audiohook.SessionEnded, now: float) -> None:
        if self.state not in (CallState.DISCONNECTING, CallState.CLOSED, CallState.PROBED):
            self._outcome = ("failed", "socket_lost")
        self._move(CallState.ENDED)
        self._release(now)
        outcome, reason = self._outcome
        variables = self._returned or self._variables(now)
        self._commands.append(CallEnded(outcome=outcome, reason=reason, output_variables=variables))

    # The end.

    def _disconnect(self, reason: str, outcome: str, why: str, info: str, now: float) -> None:
        self._outcome = (outcome, why)
        self._release(now)
        self._move(CallState.DISCONNECTING)
        self._returned = self._variables(now)
        self.audiohook.send_disconnect(reason, now, info=info, output_variables=self._returned)
        self._moment(moments.DISCONNECTED, now, reason=reason, outcome=outcome)

    def _release(self, now: float) -> None:
        """Close the Realtime leg and settle the transcript; nothing of the agent is heard from here on."""
        if self.conversation is not None and self._realtime_open:
            self._realtime_open = False
            self.conversation.hang_up(now)

    def _variables(self, now: float) -> dict[str, str]:
        """The output variables of this call: the agent's own and `OFFHOOK_*`, all strings (contract)."""
        outcome, reason = self._outcome
        ending = self.conversation.ending if self.conversation is not None else None
        agents = ending if ending is not None and ending.reason == reason else Ending(outcome=outcome, reason=reason)
        dollars = self.conversation.cost if self.conversation is not None else None
        duration = 0.0 if self._opened_at is None else now - self._opened_at
        own = {
            "OFFHOOK_CALL_ID": self.call_id,
            "OFFHOOK_OUTCOME": outcome,
            "OFFHOOK_DURATION_S": f"{duration:.1f}",
            "OFFHOOK_COST_USD": "" if dollars is None else f"{dollars:.4f}",
            **({"OFFHOOK_TARGET": agents.target} if agents.target else {}),
            "OFFHOOK_REASON": agents.words or reason,
            "OFFHOOK_SUMMARY": self._summary(),
        }
        return self._outputs.with_own(own)  # what matters least stands last

    def _summary(self) -> str:
        """The summary, or the last that was heard: enough for a colleague to begin with when there is none."""
        conversation = self.conversation
        return "" if conversation is None else conversation.summary.best(conversation.transcript.unsettled())

    def _move(self, state: CallState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a call cannot go from {self.state.name} to {state.name}")
        self.state = state

    def _moment(self, name: str, now: float, **data: str | int | float | bool) -> None:
        self._commands.append(RecordMoment(name=name, at=now, data=data))
