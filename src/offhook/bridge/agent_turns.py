"""What the agent says: responses on their way from the model to the caller's ear, and what a barge-in makes of them.

A response is **dead** once the caller interrupted it: whatever still comes of it is dropped by response id, because
late deltas are normal (openai-realtime.md §4.2, trap 6).
"""

from collections import deque
from collections.abc import Callable

import msgspec

from offhook import realtime
from offhook.audiohook import ServerSession
from offhook.bridge import moments
from offhook.bridge.playout import Heard, Playout
from offhook.bridge.transcript import Transcript
from offhook.realtime import RealtimeSession

MAX_RUNNING = 4
"""Responses that may be under way: one is the rule, one more may be asked for beside it."""
MAX_OVER = 16
"""Responses that are remembered when they are over."""

Moment = Callable[..., None]
"""Reports a moment: name, time, then its data by keyword."""


class RunningResponse(msgspec.Struct):
    """A response that is being generated."""

    response_id: str
    tag: str | None
    dead: bool = False
    """Nothing more of it may reach the caller."""
    items: dict[str, bool] = {}
    """Message items, and whether audio of them was queued."""
    acted: bool = False
    """It called a tool."""

    @property
    def spoke(self) -> bool:
        """Some of it can be heard."""
        return True in self.items.values()


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
        self._session = session
        self._hook = hook
        self._playout = playout
        self._transcript = transcript
        self._moment = moment
        self._running: dict[str, RunningResponse] = {}
        self._over: deque[str] = deque(maxlen=MAX_OVER)  # late deltas of these are not heard
        self._unsent: deque[tuple[int, str]] = deque()  # where the audio of a response begins that has not left yet

    def running(self, response_id: str) -> RunningResponse | None:
        """The response, if it is being generated and may be heard."""
        response = self._find(response_id)
        return None if response is None or response.dead else response

    def interrupted(self, response_id: str) -> bool:
        """The response is being generated, and nothing more of it may be heard."""
        response = self._running.get(response_id)
        return response is not None and response.dead

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

    # What the model generates.

    def response_started(self, event: realtime.ResponseStarted, *, dead: bool) -> None:
        """A response began; a dead one is never heard."""
        if len(self._running) >= MAX_RUNNING:
            # The oldest will hardly end any more; what is left of it is not heard.
            self._over.append(next(iter(self._running)))
            del self._running[self._over[-1]]
        response = self._running.setdefault(event.response_id, RunningResponse(event.response_id, event.tag))
        response.tag = event.tag
        response.dead = response.dead or dead or event.response_id in self._over

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
        begins = self._playout.total
        if not self._playout.add(event.item_id, event.content_index, event.audio, now):
            self._overflow(response, now)
            return False
        if not response.spoke:
            self._unsent.append((begins, event.response_id))
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
        self._session.cancel_response(now)
        self._moment(moments.AUDIO_LOST, now, leg="realtime", response_id=response.response_id)

    def audio_done(self, event: realtime.AudioDone) -> None:
        """All audio of an item is there."""
        self._playout.finish(event.item_id)

    def response_ended(self, event: realtime.ResponseEnded) -> RunningResponse:
        """A response is complete, cut or failed; returns what it was."""
        response = self._running.pop(event.response_id, None) or RunningResponse(event.response_id, event.tag)
        self._over.append(event.response_id)
        for item_id, spoke in response.items.items():
            self._playout.finish(item_id)
            self._transcript.finish_text(item_id)
            if not spoke:
                # Never heard: the model must not believe that it was said.
                if response.dead:
                    self._session.delete_item(item_id)
                self._transcript.silence(item_id)
        if event.status != "completed":
            response.acted = False
        return response

    # What the caller hears.

    def send(self, now: float) -> None:
        """Send the audio that is due to Genesys."""
        hook, playout = self._hook, self._playout
        while playout.queued and hook.can_send_audio and hook.audio_ready_at(now) <= now:
            packet = playout.take(now)
            if packet is None:
                break
            hook.send_audio(packet, now)
            while self._unsent and self._unsent[0][0] < playout.sent:
                self._moment(moments.FIRST_PACKET, now, response_id=self._unsent.popleft()[1])

    def next_packet_at(self, now: float) -> float | None:
        """When `send` has something to do."""
        if not self._playout.queued or not self._hook.can_send_audio:
            return None
        due = self._playout.next_packet_at(now)
        return None if due is None else max(due, self._hook.audio_ready_at(now))

    def settle(self, now: float) -> None:
        """Note what was heard to its end."""
        for heard in self._playout.settle(now):
            self._transcript.played(heard)

    def interrupt(self, now: float, *, cancel: bool) -> None:
        """Barge-in: stop what is heard, and let the model remember only that (openai-realtime.md §4.2).

        Args:
            now: Monotonic seconds.
            cancel: The server does not know of it by itself (keypad): cancel its response, too.
        """
        if cancel or not self._running:
            # Without a running response this stops one that was asked for and has not begun.
            self._session.cancel_response(now)
        for response in self._running.values():
            response.dead = True
        audible = self._playout.at_genesys(now)
        cut = self._drop(now)
        if audible:
            self._hook.send_barge_in(now)
            self._moment(moments.BARGE_IN, now, items=len(cut), heard_ms=sum(heard.heard_ms for heard in cut))
        for heard in cut:
            if heard.heard_ms > 0:
                self._session.truncate_item(heard.item_id, heard.content_index, heard.heard_ms)
            else:
                self._session.delete_item(heard.item_id)

    def stop(self, now: float) -> None:
        """The call is over: what was not heard by now never will be."""
        self._drop(now)
        self._transcript.close()

    def _drop(self, now: float) -> list[Heard]:
        self.settle(now + self._playout.playhead.way)  # what is heard before the flush gets there
        cut = self._playout.interrupt(now)
        self._unsent.clear()
        for heard in cut:
            self._transcript.cut(heard)
        return cut
