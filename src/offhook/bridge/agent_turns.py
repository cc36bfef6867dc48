"""What the agent says: responses on their way from the model to the caller's ear, and what a barge-in makes of them.

A response is **dead** once the caller interrupted it: whatever still comes of it is dropped by response id, because
late deltas are normal (openai-realtime.md §4.2, trap 6). While it is not known whether the caller interrupted
(`interruptions.py`), the agent is **held back**: what the model goes on generating waits, and so do its function calls.

A **clip** is a recording: it is played like a response, but the model hears of it only by being told (trap 31).
"""

from collections import deque
from collections.abc import Callable

import msgspec

from offhook import realtime
from offhook.audiohook import ServerSession
from offhook.bridge import moments
from offhook.bridge.playout import Heard, Playout
from offhook.bridge.transcript import Transcript, heard_text
from offhook.realtime import FunctionCallReady, RealtimeSession, SessionState

MAX_RUNNING = 4
"""Responses that may be under way: one is the rule, one more may be asked for beside it."""
MAX_OVER = 16
"""Responses that are remembered when they are over."""
HEARD_MS = 500
"""Milliseconds of an item that have to be played for the caller to have heard something of it, unless it is shorter."""
MAX_DEFERRED = 16
"""Function calls that wait while the agent is held back; any more are not run."""

Moment = Callable[..., None]
"""Reports a moment: name, time, then its data by keyword."""


class RunningResponse(msgspec.Struct):
    """A response that is being generated."""

    response_id: str
    tag: str | None
    dead: bool = False
    """Nothing more of it may reach the caller."""
    protected: bool = False
    """The caller cannot interrupt it."""
    over: bool = False
    """The model has ended it."""
    items: dict[str, bool] = {}
    """Message items, and whether audio of them was queued."""
    acted: bool = False
    """It called a tool."""

    @property
    def spoke(self) -> bool:
        """Some of it can be heard."""
        return True in self.items.values()


class _Clip(msgspec.Struct):
    """A recording on its way to the caller."""

    text: str
    tell: bool
    """The model is to know what was heard of it."""
    told: bool = False
    """It knows already."""
    least: int = 1
    """Bytes of audio that the text has at least, if some of it never came."""


class AgentTurns:
    """The agent's turns of one call: playout and transcript follow what the model generates."""

    def __init__(
        self,
        session: RealtimeSession,
        hook: ServerSession,
        playout: Playout,
        transcript: Transcript,
        moment: Moment,
    ) -> None:
        self.session = session
        self._hook = hook
        self._playout = playout
        self._transcript = transcript
        self._moment = moment
        self._running: dict[str, RunningResponse] = {}
        self._over: deque[str] = deque(maxlen=MAX_OVER)  # late deltas of these are not heard
        self._heard: deque[str] = deque(maxlen=MAX_OVER)  # items that were heard, or a part of them
        self._unsent: dict[str, str] = {}  # first items of responses of which nothing has left yet
        self._clips: dict[str, _Clip] = {}
        self._clips_played = 0
        self._deferred: list[tuple[FunctionCallReady, RunningResponse]] = []

    def running(self, response_id: str) -> RunningResponse | None:
        """The response, if it is being generated and may be heard."""
        response = self._find(response_id)
        return None if response is None or response.dead else response

    def interrupted(self, response_id: str) -> bool:
        """The response is being generated, and nothing more of it may be heard."""
        response = self._running.get(response_id)
        return response is not None and response.dead

    def unfinished(self, tag: str) -> RunningResponse | None:
        """The response with this tag that is being generated and may be heard."""
        return next(
            (response for response in self._running.values() if response.tag == tag and not response.dead), None
        )

    def _find(self, response_id: str) -> RunningResponse | None:
        """The response that something belongs to; None if that is over.

        Not every server announces a response (openai-realtime.md §2.2): what is new begins one.
        """
        response = self._running.get(response_id)
        if response is None and response_id not in self._over:
            if len(self._running) < MAX_RUNNING:
                response = self._running[response_id] = RunningResponse(response_id, None)
            else:
                # Nobody is to hear the rest of what was not heard from its beginning.
                self._over.append(response_id)
        return response

    @property
    def speaking(self) -> RunningResponse | None:
        """A response that is being generated and may be heard."""
        return next((response for response in self._running.values() if not response.dead), None)

    @property
    def generating(self) -> bool:
        """A response is being generated, heard or not."""
        return bool(self._running)

    def busy(self, now: float) -> bool:
        """The caller hears the agent, or is about to."""
        playout = self._playout
        waiting = self.held or self.speaking or self.session.pending_tags
        return bool(waiting or playout.queued or playout.unplayed(now))

    # What the model generates.

    def response_started(self, event: realtime.ResponseStarted, *, dead: bool, protected: bool = False) -> None:
        """A response began; a dead one is never heard, a protected one always."""
        if len(self._running) >= MAX_RUNNING:
            # The oldest will hardly end any more; what is left of it is not heard.
            self._over.append(next(iter(self._running)))
            del self._running[self._over[-1]]
        response = self._running.setdefault(event.response_id, RunningResponse(event.response_id, event.tag))
        response.tag = event.tag
        response.dead = response.dead or dead or event.response_id in self._over
        response.protected = protected

    def item_started(self, event: realtime.OutputItemStarted) -> None:
        """The model began an item."""
        response = self._find(event.response_id)
        if response is None:
            return
        if event.kind == "message":
            response.items.setdefault(event.item_id, False)
            self._transcript.begin(event.item_id, "agent")
        else:
            response.acted = True

    def audio(self, event: realtime.AudioDelta, now: float) -> bool:
        """Audio of the agent; says whether the caller is to hear it."""
        response = self._find(event.response_id)
        if response is None:
            return False
        if response.dead:
            self._transcript.unheard(event.item_id, len(event.audio))
            return False
        protected = response.protected
        if not self._playout.add(event.item_id, event.content_index, event.audio, now, protected=protected):
            self._overflow(response, now)
            return False
        if not response.spoke:
            self._unsent[event.item_id] = event.response_id
            self._moment(moments.FIRST_AUDIO, now, response_id=event.response_id)
        if event.item_id not in response.items:
            self._transcript.begin(event.item_id, "agent")
        response.items[event.item_id] = True
        return True

    def _overflow(self, response: RunningResponse, now: float) -> None:
        """The queue is full: what is in it is still played, the rest of the response is given up."""
        response.dead = True
        for item_id in response.items:
            self._playout.finish(item_id)
        self.session.cancel_response(now)
        self._moment(moments.AUDIO_LOST, now, leg="realtime", response_id=response.response_id)

    def audio_done(self, event: realtime.AudioDone) -> None:
        """All audio of an item is there."""
        self._playout.finish(event.item_id)

    def response_ended(self, event: realtime.ResponseEnded) -> RunningResponse:
        """A response is complete, cut or failed; returns what it was."""
        response = self._running.pop(event.response_id, None) or RunningResponse(event.response_id, event.tag)
        self._over.append(event.response_id)
        response.over = True
        for item_id, spoke in response.items.items():
            self._playout.finish(item_id)
            self._transcript.finish_text(item_id)
            if not spoke:
                # Never heard: the model must not believe that it was said.
                if response.dead:
                    self.session.delete_item(item_id)
                self._transcript.silence(item_id)
        if event.status != "completed":
            response.acted = False
        return response

    # What is said without the model.

    def play_clip(self, text: str, audio: bytes, now: float, *, protected: bool = False, tell: bool = True) -> str:
        """Play a recording, behind whatever is being said; not played when the queue is full.

        Args:
            text: What is said in it; the heard part goes to the transcript and to the model.
            audio: 8 kHz µ-law.
            now: Monotonic seconds.
            protected: The caller cannot interrupt it. The model is told at once, for all of it will be heard.
            tell: The model is to know of it.

        Returns:
            An id for `clip_playing`.
        """
        self._clips_played += 1
        item_id = f"clip-{self._clips_played}"
        if not audio or not self._playout.add(item_id, 0, audio, now, protected=protected):
            self._moment(moments.AUDIO_LOST, now, leg="genesys", seconds=len(audio) / 8000)
            return item_id
        self._playout.finish(item_id)
        self._transcript.begin(item_id, "agent")
        self._transcript.finish_text(item_id, text)
        self._clips[item_id] = _Clip(text, tell, told=protected and self._listens)
        self._unsent[item_id] = item_id
        if tell and protected:
            self._tell(text)
        return item_id

    def clip_playing(self, item_id: str) -> bool:
        """The recording has not been heard to its end, nor cut."""
        return item_id in self._clips

    @property
    def _listens(self) -> bool:
        """The session can be told something."""
        return self.session.state is SessionState.READY

    def _tell(self, text: str, behind: str | None = None) -> None:
        """Let the model know what it is taken to have said (trap 31); the next one is told with everything else."""
        if self._listens:
            self.session.send_item(realtime.assistant_message(text), behind)

    def _clip_over(self, heard: Heard, behind: str | None = None) -> None:
        clip = self._clips.pop(heard.item_id)
        text, _ = heard_text(clip.text, heard.heard_bytes, max(heard.received_bytes, clip.least))
        if clip.tell and not clip.told and text:
            self._tell(text, behind)

    # From one session to the next.

    def session_lost(self, now: float) -> None:
        """The session is gone: what is there of the agent's words is heard to its end, and told to the next one then.

        From here on it is nothing but recordings.
        """
        self.go_on(now)
        self._deferred.clear()
        self._over.clear()  # nothing comes late of a leg that is gone, and the next server may count from one again
        for response in self._running.values():
            for item_id, spoke in response.items.items():
                self._playout.finish(item_id)
                self._transcript.break_off(item_id)
                if not spoke:
                    self._transcript.silence(item_id)
        self._running.clear()
        for item_id in self._playout.waiting():
            clip = self._clips.get(item_id)
            if clip is not None:
                clip.told = False
            else:
                text, least = self._transcript.text(item_id)
                self._clips[item_id] = _Clip(text, tell=True, least=least)

    def unheard_items(self) -> list[str]:
        """What the model is told as soon as it has been heard."""
        return [item_id for item_id in self._playout.waiting() if (clip := self._clips.get(item_id)) and clip.tell]

    # What the caller hears.

    def send(self, now: float) -> None:
        """Send the audio that is due to Genesys."""
        hook, playout = self._hook, self._playout
        while playout.queued and hook.can_send_audio and hook.audio_ready_at(now) <= now:
            packet = playout.take(now)
            if packet is None:
                break
            hook.send_audio(packet, now)
            for item_id in [item_id for item_id in self._unsent if playout.begun(item_id)]:
                self._moment(moments.FIRST_PACKET, now, response_id=self._unsent.pop(item_id))

    def next_packet_at(self, now: float) -> float | None:
        """When `send` has something to do."""
        if not self._playout.queued or not self._hook.can_send_audio:
            return None
        due = self._playout.next_packet_at(now)
        return None if due is None else max(due, self._hook.audio_ready_at(now))

    def settle(self, now: float) -> None:
        """Note what was heard to its end."""
        for heard in self._playout.settle(now):
            self._heard.append(heard.item_id)
            self._transcript.played(heard)
            self._unsent.pop(heard.item_id, None)
            if heard.item_id in self._clips:
                self._clip_over(heard)

    def has_heard(self, item_id: str, now: float) -> bool:
        """Whether the caller heard this item of the agent, at least a part of it that can be understood."""
        return item_id in self._heard or self._playout.heard_ms(item_id, now) >= HEARD_MS

    # What the caller interrupts.

    def interrupt(self, now: float, *, cancel: bool, behind: str | None = None) -> None:
        """Barge-in: stop what is heard, and let the model remember only that (openai-realtime.md §4.2).

        Args:
            now: Monotonic seconds.
            cancel: The server does not stop its response by itself: cancel it, or the one that was asked for.
            behind: The item that what was heard of a clip belongs behind; None = the last of the conversation.
        """
        active = self._running.get(self.session.active_response_id or "")
        if cancel and self._listens and not (active is not None and active.protected):
            self.session.cancel_response(now)
        for response in (*self._running.values(), *(response for _, response in self._deferred)):
            response.dead = response.dead or not response.protected
        audible = self._playout.at_genesys(now) and not self._playout.spares(now)
        cut = self._drop(now)
        if audible:
            self._barge_in(cut, now)
        for heard in cut:
            if heard.item_id in self._clips:
                self._clip_over(heard, behind)
            elif heard.heard_ms > 0:
                self.session.truncate_item(heard.item_id, heard.content_index, heard.heard_ms)
            else:
                self.session.delete_item(heard.item_id)

    @property
    def held(self) -> bool:
        """It is not known yet whether the caller interrupted: the agent says nothing, and nothing is lost."""
        return self._playout.held

    def hold_back(self, now: float) -> None:
        """The caller may have interrupted: fall silent at once; `go_on` or `interrupt` follows."""
        if self.held:
            return
        audible = self._playout.at_genesys(now) and not self._playout.spares(now)
        self.settle(now + self._playout.playhead.way)  # what is heard before the flush gets there
        cut = self._playout.hold_back(now)
        if audible:
            self._barge_in(cut, now)

    def go_on(self, now: float) -> None:
        """Nobody interrupted: the agent goes on where it stopped."""
        if self.held and self._playout.go_on():
            self._moment(moments.RESUMED_SPEECH, now)

    def defer(self, event: FunctionCallReady) -> bool:
        """Keep a function call while the agent is held back: what the caller may not want is not done yet."""
        response = self.running(event.response_id)
        if not self.held or response is None or len(self._deferred) >= MAX_DEFERRED:
            return False
        self._deferred.append((event, response))
        return True

    def deferred(self) -> list[tuple[FunctionCallReady, RunningResponse]]:
        """Function calls that need not wait any longer, each once."""
        if self.held:
            return []
        deferred, self._deferred = self._deferred, []
        return deferred

    def stop(self, now: float) -> None:
        """The call is over: what was not heard by now never will be."""
        self._drop(now, everything=True)
        self._clips.clear()
        self._transcript.close()

    def _barge_in(self, cut: list[Heard], now: float) -> None:
        self._hook.send_barge_in(now)
        self._moment(moments.BARGE_IN, now, items=len(cut), heard_ms=sum(heard.heard_ms for heard in cut))

    def _drop(self, now: float, *, everything: bool = False) -> list[Heard]:
        self.settle(now + self._playout.playhead.way)  # what is heard before the flush gets there
        cut = self._playout.interrupt(now, everything=everything)
        for heard in cut:
            if heard.heard_ms >= HEARD_MS:
                self._heard.append(heard.item_id)
            self._transcript.cut(heard)
            self._unsent.pop(heard.item_id, None)
        self.settle(now)  # what stood behind something that is cut now
        return cut
