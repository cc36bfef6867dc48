"""The agent's half of a call: what the Realtime session reports is turned into playout, turns, tools and replies.

`Call` owns it, feeds it and asks it for the end; the AudioHook session is used for two things only: agent audio and
events to the caller's side. What the agent says is in `agent_turns.py`.
"""

from collections import deque
from collections.abc import Callable

import msgspec

from offhook import audiohook, realtime
from offhook.audiohook import MAX_BINARY_BYTES, ServerSession
from offhook.audiohook.media import frame_size
from offhook.bridge import control, moments
from offhook.bridge.agent_turns import AgentTurns, RunningResponse
from offhook.bridge.answers import (
    ASIDES,
    FILLER,
    GOODBYE,
    GREETING,
    NO_INPUT,
    NOT_WANTED,
    NOTICE,
    REPLY,
    Answers,
)
from offhook.bridge.caller_audio import PAUSED, CallerAudio, speaks
from offhook.bridge.caller_turns import CallerTurns
from offhook.bridge.collection import COLLECT_DIGITS
from offhook.bridge.commands import Command, RecordMoment, RecordTurn, ToolOutcome, Turn
from offhook.bridge.digits import Digits
from offhook.bridge.ending import Ending
from offhook.bridge.farewell import Farewell
from offhook.bridge.history import History
from offhook.bridge.hosted_calls import HostedCalls
from offhook.bridge.keypad import as_text
from offhook.bridge.language import changed_settings, in_other_language
from offhook.bridge.legs import Legs
from offhook.bridge.outputs import OutputVariables
from offhook.bridge.plan import CallPlan, Prompt
from offhook.bridge.playhead import BYTES_PER_SECOND
from offhook.bridge.playout import PACKET, REPORTED, Playout
from offhook.bridge.recovery import Recovery
from offhook.bridge.secrets import Secrets
from offhook.bridge.summary import Summary
from offhook.bridge.tool_calls import ToolCalls
from offhook.bridge.transcript import MARK, Transcript
from offhook.bridge.watch import Watch
from offhook.realtime import RealtimeSession, SessionConfig
from offhook.realtime.cost import cost
from offhook.realtime.errors import Severity, severity

SETUP_LIMIT = 30.0
"""Seconds for the Realtime leg to be dialled and set up; the caller's audio is not held for longer either."""
LIMIT = "OH-CALL-09"
NEVER_READY, LOST, GAVE_UP, NO_ANSWER = "OH-RT-02", "OH-CALL-06", "OH-CALL-07", "OH-CALL-08"
STALLED = "OH-RT-15"
EXPIRED, OWN_LIMIT = "session_expired", "max_output_tokens"
NOT_RUN = '{"error":"not run: the caller interrupted or the call is ending"}'
_BEFORE_READY = frozenset({realtime.SessionReady, realtime.SessionRefused, realtime.SessionLost})
"""What can be acted on while the session is being set up; a server that talks already means somebody else."""
MAX_BOT_TEXT = 4_000
"""Characters of an agent turn that are told to Genesys."""
MAX_LAST_SENTENCE = 5.0
"""Seconds that the agent may go on with what it is saying when a limit is reached; a longer one is cut."""


class Conversation:
    """Everything between one caller and one agent, once the agent is known.

    Attributes:
        ready: The model listens.
        summary: What was heard, for whoever takes over.
    """

    def __init__(
        self,
        plan: CallPlan,
        hook: ServerSession,
        emit: Callable[[Command], None],
        now: float,
        unix: float | None = None,
    ) -> None:
        self.plan = plan
        self.legs = Legs(lambda: self.plan.session, emit, now, setup=SETUP_LIMIT, limit=plan.recovery.limit, unix=unix)
        self.playout = Playout(_largest_packet(hook))
        self.transcript = Transcript()
        self.caller_audio = CallerAudio()
        self.ready = False
        self.summary = Summary(self.session)
        self._why: str | None = None  # there is no model
        self._opened = False  # what the agent says first has been asked for
        self._hook = hook
        self._emit = emit
        self._agent = AgentTurns(self.session, hook, self.playout, self.transcript, self._moment)
        self._answers = Answers(plan, self.session)
        self.secrets = Secrets()
        self.outputs = OutputVariables(plan.outputs, self.secrets.scrub)
        self._history = History(self.secrets.scrub)
        self.tool_calls = ToolCalls(
            plan, self.session, self._answers.replies, self.outputs, self.secrets, self._history, emit, self._moment
        )
        self.digits = Digits(plan, self.tool_calls, self.caller_audio, self.transcript, self._moment)
        self._caller = CallerTurns(
            plan,
            self.session,
            self._agent,
            self._answers,
            self.transcript,
            self._moment,
            self._on_turn,
            self.tool_calls.confirmations.no_words,
        )
        self._watch = Watch(plan, self._agent, self._answers, self.playout, self.caller_audio, now)
        self._farewell = Farewell(
            plan,
            self.playout,
            self._agent,
            say=lambda prompt, now: self._say(GOODBYE, prompt, now),
            hush=self._hush,
            summarize=self._summarize,
            moment=self._moment,
        )
        self._hosted = HostedCalls(plan.approved_mcp, self.session, self._answers.replies, self._moment)
        self._recovery = Recovery(
            self._history,
            self.transcript,
            self._agent,
            self._answers,
            self._caller,
            self.caller_audio,
            self.tool_calls,
            self._hosted,
            self.digits,
            self.summary,
            self._watch,
        )
        self._openings: deque[tuple[str, Prompt]] = deque()  # what the agent says of itself before all else
        self._committed: deque[str] = deque(maxlen=16)
        self._writable = True
        self._events: dict[type, Callable[..., None]] = {
            realtime.SessionReady: self._on_ready,
            realtime.SpeechStarted: self._on_speech_started,
            realtime.SpeechStopped: self._on_speech_stopped,
            realtime.InputCommitted: self._on_committed,
            realtime.InputTimedOut: self._on_timed_out,
            realtime.ItemAdded: self._on_item_added,
            realtime.InputTranscriptDelta: self._on_caller_text,
            realtime.InputTranscriptCompleted: self._on_transcript,
            realtime.InputTranscriptFailed: self._on_transcript_failed,
            realtime.ResponseStarted: self._on_response_started,
            realtime.OutputItemStarted: self._on_output_item,
            realtime.AudioDelta: self._on_audio,
            realtime.AudioDone: self._on_audio_done,
            realtime.TranscriptDelta: self._on_text,
            realtime.TranscriptDone: self._on_text_done,
            realtime.TextDone: self._on_text_done,
            realtime.FunctionCallReady: self._on_function_call,
            realtime.McpToolsListed: self._hosted.listed,
            realtime.McpApprovalRequested: self._on_approval_requested,
            realtime.McpCallStarted: self._hosted.started,
            realtime.McpCallEnded: self._on_hosted_call_ended,
            realtime.ResponseEnded: self._on_response_ended,
            realtime.ResponseRefused: self._on_response_refused,
            realtime.ErrorReceived: self._on_error,
            realtime.SessionRefused: self._on_refused,
            realtime.SessionLost: self._on_lost,
        }

    @property
    def session(self) -> RealtimeSession:
        """The Realtime session in use, or that is to be."""
        return self.legs.session

    # From the caller's side.

    def receive_audio(self, audio: bytes) -> None:
        """A frame of the caller: to the model at once, or held until it listens."""
        audio = self.caller_audio.receive(audio)
        if audio:
            self._caller.hear(audio)

    def press(self, digit: str, now: float) -> None:
        """The caller pressed a key; the agent stops talking, as it would for a word."""
        if self.ending or not self.digits.press(digit, now):
            return
        self._moment(moments.DTMF, now)
        self._watch.stir(now)
        self._watch.caller_heard(now)
        self._caller_began(self.digits.turn_id, now)
        if self._agent.speaking is None or not self.digits.keep(now):
            self._stop_for_key(now)
        self._send_digits(now)

    def _stop_for_key(self, now: float) -> None:
        if self.plan.dtmf.interrupt and self.plan.interruptible and self.ready:
            self._caller.interrupt(now)

    def pause(self, now: float) -> None:
        """The caller is on hold: nothing of them reaches the model, nothing new is played to them."""
        self.caller_audio.mute(PAUSED, now)
        self._moment(moments.PAUSED, now)

    def resume(self, now: float) -> None:
        """The caller is back."""
        self.caller_audio.unmute(PAUSED)
        self.digits.resume(now)
        self._watch.stir(now)
        self._watch.announcements.caller_heard(now)
        self._moment(moments.RESUMED, now)

    def change_language(self, plan: CallPlan, now: float) -> None:
        """The flow changed the language: instructions, transcription and prompts change with it, the voice cannot."""
        spoken = msgspec.structs.replace(
            self.plan,
            session=in_other_language(self.plan.session, plan.session),
            notice=plan.notice,
            greeting=plan.greeting,
            no_input=plan.no_input,
            filler=plan.filler,
            limits=plan.limits,
            recovery=plan.recovery,
            drained=plan.drained,
            goodbye=plan.goodbye,
            handover=plan.handover,
        )
        before, self.plan = self.plan, spoken
        self._answers.plan = self._farewell.plan = spoken
        self._watch.change(spoken)
        if self.ready:
            self._update_session(before.session)

    def _update_session(self, before: SessionConfig) -> None:
        changes = changed_settings(before, self.plan.session)
        if changes is not None:
            self.session.update_session(changes)

    def set_writable(self, writable: bool) -> None:
        """The Genesys socket takes more, or is full: audio waits, text never does."""
        self._writable = writable

    # From the model's side.

    def handle(self, event: realtime.RealtimeEvent, now: float) -> None:
        """Act on one event of the Realtime session."""
        if self.summary.takes(event):
            return
        action = self._events.get(type(event))
        if action is not None and (self.ready or type(event) in _BEFORE_READY):
            action(event, now)

    def tool_result(self, call_id: str, outcome: ToolOutcome, now: float) -> None:
        """The output of a tool; an unknown call, or one answered before, is ignored."""
        self._watch.stir(now)
        wish = self.tool_calls.finish(call_id, outcome, now)
        if not self._answers.replies.waits_for_tools:
            self._watch.tools_done()
        if wish is not None and self.ending is None:
            self.end(self._farewell.wished(wish, None), now)
        self._ask_if_due(now)

    # Ends.

    def end(self, ending: Ending, now: float) -> None:
        """Begin to end the call; the first wish wins, and what the agent is saying is heard first."""
        if self.ending is None:
            self.summary.wanted = self.plan.summary in ("always", ending.outcome)
        self._farewell.begin(ending, now, ready=self.ready)
        if not self.ready:
            self.legs.close()  # nothing is wanted of a model any more

    @property
    def ending(self) -> Ending | None:
        """Set when the call is to end; `Call` brings it about."""
        return self._farewell.ending

    def _hush(self, now: float) -> None:
        self.caller_audio.stop()
        self.digits.stop(now)
        self._answers.stop()
        self._caller.stop(now)

    def _summarize(self, words: str, now: float) -> None:
        if self.ready:
            self.summary.ask(list(map(self._without_secrets, self.transcript.unsettled())), words, now)

    def _say(self, tag: str, prompt: Prompt, now: float) -> bool:
        """The agent says something of itself; False when that is a recording, which is on its way already."""
        if prompt.audio is None:
            self._answers.say(tag, prompt, now)
            return True
        self._agent.play_clip(prompt.text or "", prompt.audio, now, protected=prompt.protected)
        return False

    def _stop_for_limit(self, reason: str, goodbye: Prompt, now: float) -> None:
        """The call has lasted long enough; a sentence that would go on for long is cut."""
        left = (self.playout.queued + self.playout.unplayed(now)) / BYTES_PER_SECOND
        if left > MAX_LAST_SENTENCE or self._agent.speaking is not None:
            self._caller.interrupt(now)
        info = f"{LIMIT} the call ended by a limit of the agent: {reason}"
        self.end(Ending(outcome="limit", reason=reason, info=info, goodbye=goodbye), now)

    def hang_up(self, now: float) -> None:
        """The caller's side is over: what they have not heard by now they never will."""
        self._agent.stop(now)
        self.digits.hang_up(now)
        self._record_turns(now)
        self.legs.close()

    def _fail(self, reason: str, now: float) -> None:
        """Nothing more is to be had from the model."""
        self._farewell.go_without(now)
        self.end(Ending(outcome="failed", reason=reason, info=f"{reason} the voice agent is not available"), now)

    # Time.

    def pump(self, now: float) -> None:
        """Send the audio that is due and settle what was heard."""
        self._caller.handle_timer(now)
        if self._writable and not self.caller_audio.paused:
            self._agent.send(now)
        self._agent.settle(now)
        if self.ending is None:
            self._keep_talking(now)
        for call, response in self._agent.deferred():
            self._act_on_call(call, None if response.dead else response, now)
            self._ask_if_due(now)
        self._record_turns(now)

    def next_timer(self, now: float) -> float | None:
        """When `handle_timer` is to be called, besides the timers of the protocol sessions."""
        times = [
            self.caller_audio.next_timer(),
            self.transcript.next_timer(),
            self.playout.next_settle_at(),
            self._caller.next_timer(),
            self.digits.hears_again_at,
        ]
        if self._writable and not self.caller_audio.paused:
            times.append(self._agent.next_packet_at(now))
        if self.ending is not None:
            times += self._farewell.next_timers()
        elif self.ready:
            quiet = self._watch.quiet_since()
            times += (
                self.digits.next_timer(quiet),
                self._answers.next_timer(),
                self._hosted.next_timer(),
                self._watch.limits.next_timer(),
                self._watch.filler_at(quiet, tools_run=self._tools_run),
                self._watch.silence_at(quiet, busy=self._busy),
                self._watch.announcement_at(),
                self._stalled_at,
                self._recovery.next_timer(),
                quiet if self.legs.standing_by and self._settled else None,
            )
        else:
            times += (self.legs.given_up_at(), self._watch.limits.ends_at, self._watch.announcement_at())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Act on everything that is due."""
        silence = self.caller_audio.handle_timer(now)
        if silence:
            self._caller.hear(silence)
        self.transcript.handle_timer(now)
        self.digits.settle(now)
        if self.ending is not None:
            self._farewell.handle_timer(now)
            return
        if self.ready:
            self._hosted.handle_timer(now)
        if not self.ready:
            given_up_at = self.legs.given_up_at()
            if given_up_at is not None and now >= given_up_at:
                self._fail(self._why or NEVER_READY, now)
        elif (stalled_at := self._stalled_at) is not None and now >= stalled_at:
            self._lose(STALLED, now)
        else:
            self._send_digits(now)
            self._ask_if_due(now)
            self._break_silence(now)
        self._announce(now)
        self._check_limits(now)

    @property
    def _tools_run(self) -> bool:
        """The caller waits for a tool, and not a tool for the caller."""
        return self._answers.replies.waits_for_tools and not self.digits.collecting

    @property
    def _busy(self) -> bool:
        """Something goes on behind the scenes: the caller is not the one to speak."""
        return self._answers.replies.waits_for_tools or self.digits.keypad.next_timer() is not None

    @property
    def _stalled_at(self) -> float | None:
        """When the leg counts as lost unless the server says something; an MCP server that it asks may take long."""
        waiting_from = self._watch.announcements.waiting_from
        if waiting_from is None or self._hosted.next_timer() is not None:
            return None
        return self.legs.stalled_at(waiting_from)

    def _announce(self, now: float) -> None:
        """Tell the caller that it takes a moment, when the model cannot."""
        if self.ending is None and (prompt := self._watch.take_announcement(now)) is not None:
            self._moment(moments.ANNOUNCED, now)
            clip = self._agent.play_clip(prompt.text or "", prompt.audio or b"", now, tell=False)
            self._history.leave_out(clip)

    def _break_silence(self, now: float) -> None:
        """The agent says something when nobody has for too long."""
        if (filler := self._watch.take_filler(now, tools_run=self._tools_run)) is not None:
            self._moment(moments.FILLER, now)
            self._say(FILLER, filler, now)
        if (silence := self._watch.take_silence(now, busy=self._busy)) is not None:
            prompt, last = silence
            self._moment(moments.NO_INPUT, now)
            if last:
                self._stop_for_limit(NO_INPUT, prompt, now)
            else:
                self._say(NO_INPUT, prompt, now)

    def _check_limits(self, now: float) -> None:
        """End the call when it has lasted long enough, and tell the model shortly before."""
        if self.ending is not None:
            return
        reason = self._watch.limits.reached(now, self.cost)
        if reason is not None:
            self._stop_for_limit(reason, self.plan.limits.goodbye, now)
        elif self.ready and (warning := self._watch.limits.warning(now)) is not None:
            self.session.send_item(realtime.system_message(warning))

    @property
    def cost(self) -> float | None:
        """US dollars so far; None = the model's prices are not known."""
        prices = self.plan.prices
        return None if prices is None else cost(self.legs.usage, prices, self.plan.transcription_price)

    # Session events.

    def _on_ready(self, event: realtime.SessionReady, now: float) -> None:
        self._recovery.use(self.session)
        self.ready = True
        self._why = None
        self.legs.ready(event, now)
        self._moment(moments.AI_READY, now)
        self._update_session(self.session.config)
        self._watch.stir(now)
        self._watch.announcements.back()
        self._recovery.tell(self.session)
        if not self._opened:
            self._opened = True
            # The greeting is asked for first: if the caller has spoken already, turn detection interrupts it by itself.
            openings = ((NOTICE, self.plan.notice), (GREETING, self.plan.greeting))
            self._openings.extend((tag, prompt) for tag, prompt in openings if prompt is not None)
        if self._openings:
            self._recovery.pending = False  # there is nothing yet to carry on with
            self._say_openings(now)
        held = self.caller_audio.open(now)
        if held:
            self._caller.hear(held)
            if self._recovery.pending and speaks(held):
                self._answers.replies.caller_may_speak(now)
        if self.caller_audio.dropped:
            self._moment(moments.AUDIO_LOST, now, leg="realtime", seconds=self.caller_audio.dropped / 8000)
        self._send_digits(now)

    def _say_openings(self, now: float) -> None:
        """Say the notice, then the greeting: what the model says has its own response, and comes in its turn."""
        while self._openings and self.ending is None:
            tag, prompt = self._openings.popleft()
            self._moment(moments.GREETING_REQUESTED, now)
            if self._say(tag, prompt, now):
                return

    def _on_refused(self, event: realtime.SessionRefused, now: float) -> None:
        self._lose(event.code, now, unusable=event.fatal)

    def _on_lost(self, event: realtime.SessionLost, now: float) -> None:
        self._lose(LOST, now, unusable=not event.retryable)

    def _on_error(self, event: realtime.ErrorReceived, now: float) -> None:
        self._moment(moments.PEER_ERROR, now, leg="realtime", code=event.code)
        if event.fatal:
            self._lose(GAVE_UP, now, unusable=True)
        elif event.code == EXPIRED:
            self._lose(LOST, now)  # whether the server closes the socket now or not

    def _lose(self, code: str, now: float, *, unusable: bool = False) -> None:
        """The leg in use is of no use: get another one, and keep the caller company meanwhile."""
        self._moment(moments.AI_LOST, now, code=code)
        if self.ending is not None:
            self._farewell.go_without(now)
            self.legs.close()
            return
        if self.ready:
            self._put_by(now)
            self.tool_calls.confirmations.session_lost()
            self._recovery.pending = True
            self._watch.announcements.lost()
        self._why = self._why or code
        if not self.legs.failed(code, now, unusable=unusable):
            self._fail(self._why, now)

    def _put_by(self, now: float) -> None:
        self.ready = False
        self._watch.stir(now)
        prompts = {NOTICE: self.plan.notice, GREETING: self.plan.greeting}
        self._openings.extendleft((tag, prompt) for tag in self._recovery.unsaid() if (prompt := prompts[tag]))
        self._recovery.put_by(self.session, now)

    def _keep_talking(self, now: float) -> None:
        """Change to the next session before this one is over; carry on in one that follows a lost one."""
        if self.ready and self.legs.standing_by and self._settled and self._quiet(now):
            self._moment(moments.AI_REPLACED, now)
            self._put_by(now)
            self.legs.take_over(now)
            for event in self.legs.events(now):  # it is ready, and the caller is not to wait
                self.handle(event, now)
        if self.ready:
            self._recovery.carry_on(self.session, now)
        self._watch.announcements.wait(not self.ready or self._answers.expected, now)

    @property
    def _settled(self) -> bool:
        """Nothing is going on that another session would have to take up, if it is quiet as well."""
        words_to_come = self.transcript.next_timer() is not None
        taken_up = self.digits.collecting or words_to_come or self._recovery.pending
        return self._caller.idle and not (self._busy or taken_up)

    def _quiet(self, now: float) -> bool:
        quiet = self._watch.quiet_since()
        return quiet is not None and quiet <= now

    # The caller's turns.

    def _on_speech_started(self, event: realtime.SpeechStarted, now: float) -> None:
        if self.digits.secret:
            self._unhear(now)  # what they said before
            return
        self._moment(moments.CALLER_STARTED, now)
        self.digits.speech_began()
        self._caller_began(event.item_id, now)
        self._watch.caller_speaking = True
        self._caller.started(event, now)

    def _caller_began(self, turn_id: str, now: float) -> None:
        """The caller speaks or presses keys: an answer to what they have heard of the agent."""
        self.tool_calls.confirmations.caller_began(turn_id, lambda item_id: self._agent.has_heard(item_id, now))

    def _unhear(self, now: float) -> None:
        """Nothing that the server has of the caller may become a turn: they are about to enter secret digits."""
        self.session.clear_input()
        self._watch.caller_speaking = False
        self._caller.unheard(now)

    def _on_speech_stopped(self, event: realtime.SpeechStopped, now: float) -> None:
        self._moment(moments.CALLER_STOPPED, now)
        self._watch.caller_speaking = False
        self._watch.stir(now)
        self._watch.announcements.caller_heard(now)
        self._caller.stopped(event, now)

    def _on_timed_out(self, event: realtime.InputTimedOut, now: float) -> None:
        self._caller.timed_out(event)

    def _on_committed(self, event: realtime.InputCommitted, now: float) -> None:
        self._committed.append(event.item_id)
        self.transcript.begin(event.item_id, "caller", event.previous_item_id)
        self.transcript.commit(event.item_id, now, transcribed=self.plan.transcribes)
        self.tool_calls.confirmations.caller_finished(event.item_id)
        self._caller.committed(event, now)

    def _on_transcript(self, event: realtime.InputTranscriptCompleted, now: float) -> None:
        self.transcript.finish_text(event.item_id, event.text)
        if not event.text.strip():
            self.tool_calls.confirmations.no_words(event.item_id)
        self._caller.transcribed(event.item_id, event.text, now, complete=True)

    def _on_turn(self, now: float) -> None:
        """The caller has really said something."""
        self._recovery.pending = False  # they are answered
        self.digits.speech_over(now)
        self._watch.caller_heard(now)
        self._watch.limits.turn()
        self._check_limits(now)

    def _on_transcript_failed(self, event: realtime.InputTranscriptFailed, now: float) -> None:
        self.transcript.finish_text(event.item_id)
        self._caller.transcribed(event.item_id, "", now, complete=True)

    def _on_caller_text(self, event: realtime.InputTranscriptDelta, now: float) -> None:
        self.transcript.add_text(event.item_id, event.text)
        self._caller.transcribed(event.item_id, event.text, now, complete=False)

    def _on_item_added(self, event: realtime.ItemAdded, now: float) -> None:
        ours = event.kind == "function_call_output" or self._hosted.landed(event.item_id)
        if ours or (event.role == "user" and event.item_id not in self._committed):
            self._answers.replies.landed()

    def _on_text(self, event: realtime.TranscriptDelta, now: float) -> None:
        self.transcript.add_text(event.item_id, event.text)

    def _on_text_done(self, event: realtime.TranscriptDone | realtime.TextDone, now: float) -> None:
        self.transcript.finish_text(event.item_id, event.text)

    def _send_digits(self, now: float) -> None:
        """Pass on the digits that are complete, asked for or not."""
        if not self.ready or self.ending is not None:
            return
        if self.digits.release(now, said=self._agent.speaking is None):
            self._stop_for_key(now)
        turn, collecting = self.digits.turn_id, self.digits.collecting
        owed = self.digits.advance(now, self._watch.quiet_since())
        if collecting and not self.digits.collecting:
            self._watch.stir(now)  # from here on it is the agent who keeps the caller waiting
        digits = self.digits.take(now)
        if digits:
            self.session.send_item(realtime.user_message(self.secrets.scrub(as_text(digits))))
            self._answers.replies.posted()
            self.digits.record(digits)
        if turn != self.digits.turn_id:
            self.tool_calls.confirmations.caller_finished(turn)
        if owed or digits:
            self._ask_if_due(now)

    # The agent's turns.

    def _on_response_started(self, event: realtime.ResponseStarted, now: float) -> None:
        self._moment(moments.RESPONSE_STARTED, now, response_id=event.response_id, tag=event.tag or "")
        self._answers.response_started(event)
        if event.tag not in ASIDES:
            self._recovery.pending = False
        late = self.ending is not None and event.tag != GOODBYE
        self._agent.response_started(event, dead=event.cancelling or late, protected=self._answers.protected(event.tag))
        if late:
            # The floor is needed for the goodbye, and nobody will hear this.
            self.session.cancel_response(now)
        else:
            self._farewell.response_started(event.response_id)

    def _on_output_item(self, event: realtime.OutputItemStarted, now: float) -> None:
        self._agent.item_started(event)

    def _on_audio(self, event: realtime.AudioDelta, now: float) -> None:
        if not self._agent.audio(event, now):
            return
        self._watch.announcements.agent_heard()
        self._farewell.heard_of(now)
        if self.ending is None and self.tool_calls.confirmations.waiting:
            self._note_question(event)

    def _note_question(self, event: realtime.AudioDelta) -> None:
        """What the agent says while a tool waits for the caller's yes is the question, unless we made it say it."""
        response = self._agent.running(event.response_id)
        if response is not None and response.tag not in ASIDES:
            self.tool_calls.confirmations.agent_spoke(event.response_id, event.item_id)

    def _on_audio_done(self, event: realtime.AudioDone, now: float) -> None:
        self._agent.audio_done(event)

    def _on_response_ended(self, event: realtime.ResponseEnded, now: float) -> None:
        self._moment(moments.RESPONSE_ENDED, now, response_id=event.response_id, status=event.status)
        self._watch.stir(now)
        response = self._agent.response_ended(event)
        self._hosted.response_ended(event)
        if self.ending is not None:
            self._farewell.response_ended(response, now)
        elif response.spoke and not response.dead and event.status in ("failed", "incomplete"):
            self._go_on_after(event, now)
        elif response.spoke or response.acted:
            self._answers.succeeded(event.tag)
            if event.tag == NOTICE and not response.dead:
                self._say_openings(now)
        elif not response.dead and event.status != "cancelled":
            self._moment(moments.PEER_ERROR, now, leg="realtime", code=event.error_code or f"response_{event.status}")
            if severity(event.error_code) is Severity.FATAL:
                self._lose(GAVE_UP, now, unusable=True)
                return
            self._repeat(event.tag, now)
        self._send_digits(now)
        self._check_limits(now)
        self._ask_if_due(now)

    def _go_on_after(self, event: realtime.ResponseEnded, now: float) -> None:
        """The model stopped in mid-sentence and not by a limit of ours: it goes on, or says it differently."""
        if event.reason == OWN_LIMIT or event.tag in ASIDES:
            self._answers.succeeded(event.tag)
            return
        self._moment(moments.PEER_ERROR, now, leg="realtime", code=event.error_code or f"response_{event.status}")
        # What was heard is heard, so the last time is no end of the call; only a notice has to be heard whole.
        if not self._answers.failed(NOTICE if event.tag == NOTICE else None, now) and event.tag == NOTICE:
            self._say_openings(now)

    def _on_response_refused(self, event: realtime.ResponseRefused, now: float) -> None:
        if event.tag == REPLY:
            self._answers.replies.refused()
        if self.ending is not None:
            if event.tag == GOODBYE:
                self._farewell.go_without(now)
        elif event.code not in NOT_WANTED:
            self._moment(moments.PEER_ERROR, now, leg="realtime", code=event.code)
            self._repeat(event.tag, now)

    def _ask_if_due(self, now: float) -> None:
        if self.ready and self.ending is None:
            self._answers.ask_if_due(now)

    def _repeat(self, tag: str | None, now: float) -> None:
        if tag not in ASIDES and not self._answers.failed(tag, now):
            self._fail(NO_ANSWER, now)

    # Tools and the end that the agent wants.

    def _on_function_call(self, event: realtime.FunctionCallReady, now: float) -> None:
        if not self._agent.defer(event):
            self._act_on_call(event, self._agent.running(event.response_id), now)

    def _act_on_call(self, event: realtime.FunctionCallReady, heard: RunningResponse | None, now: float) -> None:
        """Carry out a call of a response that is heard; None: of one that is not."""
        if heard is None or not self._counts(event):
            # Not run, but answered: a call without an output confuses later turns (§5.1).
            self.session.send_function_output(event.call_id, NOT_RUN)
            return
        self._note_call(event.call_id, event.name, event.arguments)
        if event.name == COLLECT_DIGITS and self.plan.collect_digits is not None:
            self._collect_digits(event, heard, now)
            return
        wish = self.tool_calls.begin(event, now)
        if wish is not None:
            self.end(self._farewell.wished(wish, heard), now)

    def _collect_digits(self, event: realtime.FunctionCallReady, response: RunningResponse, now: float) -> None:
        audible = self.playout.queued or self.playout.unplayed(now)
        secret = self.digits.secret
        self.digits.begin(event, now, asked=response.spoke or bool(audible))
        if self.digits.secret and not secret:
            self._unhear(now)
        self._send_digits(now)

    def _counts(self, event: realtime.FunctionCallReady) -> bool:
        """Whether a call is carried out: once the call is ending, what belongs to the end or was called beside it."""
        if self.ending is None or event.name == control.SET_OUTPUTS:
            return True
        return event.name in self.plan.tools and event.response_id == self.ending.wished_in

    def _on_approval_requested(self, event: realtime.McpApprovalRequested, now: float) -> None:
        wanted = self.ending is None and not self._agent.interrupted(event.response_id)
        self._hosted.approval_requested(event, now, wanted=wanted)
        self._ask_if_due(now)

    def _note_call(self, call_id: str, name: str, arguments: str, *, hosted: bool = False) -> None:
        """Another session would have to know of this call."""
        self.transcript.mark(self._history.call(call_id, name, arguments, hosted=hosted))

    def _on_hosted_call_ended(self, event: realtime.McpCallEnded, now: float) -> None:
        self._note_call(event.item_id, event.name, "", hosted=True)
        self._hosted.ended(event, now)
        self._ask_if_due(now)

    # What is told to others.

    def _record_turns(self, now: float) -> None:
        for turn in map(self._without_secrets, self.transcript.settled()):
            self._history.add(turn)
            if turn.speaker == MARK:
                continue
            self.summary.add(turn)
            self._emit(RecordTurn(turn))
            if turn.speaker == "agent" and turn.text and self.plan.bot_turn_response and self._hook.can_send_audio:
                text = turn.text[:MAX_BOT_TEXT]
                self._hook.send_events((audiohook.BotTurnResponse(disposition="match", text=text),), now)

    def _without_secrets(self, turn: Turn) -> Turn:
        scrub = self.secrets.scrub
        return msgspec.structs.replace(turn, text=scrub(turn.text), unheard=scrub(turn.unheard))

    def _moment(self, name: str, now: float, **data: str | int | float | bool) -> None:
        self._emit(RecordMoment(name=name, at=now, data=data))


def _largest_packet(hook: ServerSession) -> int:
    """Most bytes of PCMU whose message Genesys takes in the media of the session."""
    size = frame_size(hook.media) if hook.media is not None else 1
    return min(REPORTED.lead, MAX_BINARY_BYTES // size // PACKET * PACKET)
