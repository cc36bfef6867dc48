"""One call as Genesys makes it: the protocol, the playback queue, the caller and the script, on one clock.

No socket, no task, no clock in here. A shell (`dialer.py`) or a test does: `connected(now)`, then `receive_*` for all
that comes and `handle_timer(now)` at `next_timer()`, sends `data_to_send()` after each of them, until `finished`; then
it drops the socket and asks for the `report`.
"""

from collections.abc import Callable
from typing import assert_never

import msgspec

from offhook.audiohook import events as wire
from offhook.audiohook.errors import RATE_LIMIT, SOCKET_CLOSED, UNEXPECTED
from offhook.audiohook.messages import BotTurnResponse, Participant
from offhook.audiohook.state import ClientState
from offhook.simulator import events as ev
from offhook.simulator.caller import CallerFrame, CallerLine, Spoken
from offhook.simulator.conductor import Conducting, Conductor, Phone
from offhook.simulator.identity import CallIdentity
from offhook.simulator.listening import AgentSpeech, audible_spans
from offhook.simulator.odd_session import OddSession
from offhook.simulator.playback import PlaybackQueue, PlaybackStarted
from offhook.simulator.recording import stereo
from offhook.simulator.report import CallReport, EndedBy
from offhook.simulator.reporting import Logbook, broken_rule
from offhook.simulator.script import Noise, Oddity, Scenario, SpeechSource, Utterance


class SimulatedCall:
    """A caller on the telephone, Genesys in between, and any AudioHook server on the other side.

    Args:
        scenario: what the caller does and what is expected.
        speech: where the sound of texts comes from.
        identity: IDs of the call.
        probe: make a connection probe of it; the scenario should be `script.probe_scenario()`.
        max_seconds: the call is given up after so long.
        queue: the playback queue, to change its bound or its habits.
        conduct: makes what takes the place of the scenario's steps; it is given the telephone and an ear.
    """

    def __init__(
        self,
        scenario: Scenario,
        speech: SpeechSource,
        *,
        identity: CallIdentity | None = None,
        probe: bool = False,
        max_seconds: float = 300.0,
        queue: PlaybackQueue | None = None,
        conduct: Callable[[Phone, AgentSpeech], Conducting] | None = None,
    ) -> None:
        self.scenario = scenario
        self.probe = probe
        self.identity = identity or CallIdentity.from_seed(0, probe=probe)
        self._speech = speech
        self.max_seconds = max_seconds
        self._session = OddSession(
            session_id=self.identity.session_id,
            organization_id=self.identity.organization_id,
            conversation_id=self.identity.conversation_id,
        )
        self._queue = queue or PlaybackQueue(start_delay=scenario.playback_delay_ms / 1000)
        self._sent: list[CallerFrame] = []
        self._line = CallerLine(burst_ms=scenario.start_burst_ms, background=scenario.background)
        self._ear = AgentSpeech()
        self._conductor: Conducting = (
            Conductor(scenario.steps, self, self._ear, stay=scenario.stay)
            if conduct is None
            else conduct(self, self._ear)
        )
        self._log = Logbook()
        self._figures = self._log.figures
        self._ending = self._log.ending
        self._events: list[ev.CallEvent] = []
        self._last_message = ""
        self._give_up_at: float | None = None
        self._let_go: tuple[float, float] | None = None
        """When the caller's audio flows again, and the share of it that is lost."""
        self._finished = False

    # --- verbs of the shell -----------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether the session is over and the socket is to be dropped."""
        return self._finished

    def connected(self, now: float) -> None:
        """The WebSocket stands."""
        self._figures.connected = now
        self._give_up_at = now + self.max_seconds
        self._line.connect(now)
        scenario = self.scenario
        self._session.send_open(
            now,
            participant=Participant(
                id=self.identity.participant_id, ani=scenario.ani, ani_name=scenario.ani_name, dnis=scenario.dnis
            ),
            input_variables=scenario.inputs,
            language=scenario.language,
        )
        self._conductor.start(now)
        self._settle(now)

    def receive_text(self, data: str | bytes, now: float) -> None:
        """A text message came."""
        self._settle(now)
        self._figures.texts += 1
        name = _name_of(data)
        if name.type in ("pause", "resume"):
            self._send(self._line.drain(now), now)  # to the sample: what is due was said before it
        self._last_message = f"{name.type}, seq {name.seq}" if name.seq else name.type
        self._session.receive_text(data, now)
        self._settle(now)
        self._last_message = ""

    def receive_audio(self, data: bytes, now: float) -> None:
        """A binary message came."""
        self._settle(now)
        self._figures.packet(len(data), now)
        self._last_message = f"audio of {len(data)} bytes"
        self._session.receive_audio(data, now)
        self._settle(now)
        self._last_message = ""

    def receive_eof(self, now: float, why: str = "") -> None:
        """The socket is gone, for a reason that the report tells unless the call was over."""
        self._settle(now)
        if self._finished:
            return
        if why:
            self._ending.failures.append(why)
        self._session.receive_eof(now)
        self._settle(now)

    def data_to_send(self) -> list[str | bytes]:
        """Return and clear what is to be sent: str as text, bytes as binary messages, in order."""
        return self._session.data_to_send()

    def events(self) -> list[ev.CallEvent]:
        """Return and clear what happened since the last call."""
        events, self._events = self._events, []
        return events

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called next."""
        if self._finished:
            return None
        timers = [
            self._session.next_timer(),
            self._queue.next_timer(),
            self._line.next_timer(),
            self._conductor.next_timer(),
            self._give_up_at,
            None if self._let_go is None else self._let_go[0],
        ]
        return min((timer for timer in timers if timer is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Time has passed."""
        self._session.handle_timer(now)
        self._settle(now)

    def abort(self, because: str, now: float) -> None:
        """End the call in an orderly way before its time: the shell was told to stop."""
        self._give_up(because, now)
        self._settle(now)

    def report(self, now: float) -> CallReport:
        """Return everything worth knowing of the call so far."""
        return self._log.report(
            self.scenario,
            self._queue,
            self._ear,
            session_id=self.identity.session_id,
            conversation_id=self.identity.conversation_id,
            unreached=self._conductor.unreached(),
            now=now,
        )

    def recording(self, now: float) -> bytes:
        """Return the call as a stereo WAV file: caller left, agent as played right."""
        return stereo(self._sent, self._queue.played(now), zero=self._line.zero)

    # --- the telephone, as the conductor uses it --------------------------------------------------------------------

    def say(self, utterance: Utterance, now: float, *, interrupting: bool) -> Spoken:
        """Speak."""
        audio = self._speech.clip(utterance.text, "caller") if utterance.audio is None else utterance.audio
        placed = self._line.say(audio, now)
        spans = audible_spans(audio)
        first, last = (spans[0][0], spans[-1][1]) if spans else (0, len(audio))
        spoken = Spoken(placed.start + first / 8000, placed.start + last / 8000)
        self._queue.turn(now)
        self._figures.turn(spoken, utterance.text, over_agent=self._ear.speaking(spoken.start))
        self._tell(ev.CallerSpeaking(at=self._at(now), text=utterance.text, interrupting=interrupting))
        return spoken

    def make_noise(self, noise: Noise, now: float) -> Spoken:
        """Let a noise be heard; it is no turn and wants no answer."""
        placed = self._line.say(noise.audio, now)
        self._tell(ev.CallerNoise(at=self._at(now), name=noise.name, seconds=round(placed.end - placed.start, 3)))
        return placed

    def press(self, digit: str, now: float, *, paused: bool) -> None:
        """Press one key; in a pause it is no turn that wants an answer."""
        self._session.send_dtmf(digit, now)
        if not paused:
            self._queue.turn(now)
            self._figures.turn(Spoken(now, now), digit, over_agent=False)
        self._tell(ev.Dtmf(at=self._at(now), digit=digit))

    def hold(self, now: float, *, secure: bool) -> None:
        """Pause on our side: what is due goes out, then nothing (audiohook.md §3.2 `paused`)."""
        self._send(self._line.drain(now), now)
        self._session.pause(now)
        self._tell(ev.HoldStarted(at=self._at(now), secure=secure))

    def resume(self, now: float, *, secure: bool) -> None:
        """End that pause; `resumed` tells to the sample how much was not sent."""
        self._send(self._line.drain(now), now)
        self._session.resume(now)
        self._tell(ev.HoldEnded(at=self._at(now), secure=secure))

    def change_language(self, language: str, now: float) -> None:
        """Tell the server of another language."""
        self._session.send_update(language, now)
        self._tell(ev.LanguageChanged(at=self._at(now), language=language))

    def be_odd(self, kind: Oddity, seconds: float, now: float) -> None:
        """Do something that Genesys should not do, or does under stress."""
        session = self._session
        if session.state is not ClientState.OPEN:
            return
        self._tell(ev.Oddness(at=self._at(now), kind=kind))
        match kind:
            case "burst" | "discarded":
                self._send(self._line.drain(now), now)
                self._line.hold_back()
                self._let_go = (now + seconds, 0.5 if kind == "discarded" else 0.0)
            case "malformed":
                session.send_malformed()
            case "no_pings":
                session.withhold_pings(seconds, now)
            case "repeated_open":
                session.repeat_open()
            case "throttled":
                session.send_error(429, "Rate limit exceeded", now, retry_after=seconds)

    def hang_up(self, now: float) -> None:
        """End the call as the script or a failed step says."""
        failure = self._conductor.failure
        self._close(now, "simulator" if failure else "caller", "" if failure is None else failure.text)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Bring everything to `now`: first what the session has to tell, then what that and the time lead to."""
        for event in self._session.events():
            self._take(event, now)
        if self._finished:
            return
        self._queue.advance(now)
        for played in self._queue.events():
            self._played(played.at, now, started=isinstance(played, PlaybackStarted))
        self._go_on_sending(now)
        self._send(self._line.frames(now), now)
        if self._give_up_at is not None and now >= self._give_up_at:
            self._give_up(f"the call did not end within {self.max_seconds:g} s", now)
        self._conductor.advance(now)

    def _go_on_sending(self, now: float) -> None:
        """The caller's audio was kept back for long enough."""
        if self._let_go is None or now < self._let_go[0]:
            return
        lost = self._line.let_go(now, lost=self._let_go[1])
        self._let_go = None
        if lost and self._session.state is ClientState.OPEN:
            self._session.send_discarded(lost, now)

    def _played(self, at: float, now: float, *, started: bool) -> None:
        if self.scenario.playback_reports and self._session.state is ClientState.OPEN:
            if started:
                self._session.send_playback_started(now)
            else:
                self._session.send_playback_completed(now)
        self._tell(ev.AgentSpeaking(at=self._at(at)) if started else ev.AgentFinished(at=self._at(at)))

    def _send(self, frames: list[CallerFrame], now: float) -> None:
        """Offer audio to the session, which keeps back what a pause forbids."""
        if self._session.state is ClientState.OPEN and self._session.media is not None:
            self._sent += [frame for frame in frames if self._session.send_audio(frame.audio, now)]

    def _take(self, event: wire.ClientEvent, now: float) -> None:
        match event:
            case wire.OpenedReceived():
                self._opened(event, now)
            case wire.AudioReceived():
                queued = self._queue.enqueue(event.audio, now)
                self._ear.add(queued.at, queued.audio)
            case wire.BargeInReceived():
                self._barge_in(now)
            case wire.EventReceived():
                for entity in event.entities:
                    if isinstance(entity, BotTurnResponse):
                        self._tell(ev.BotTurn(at=self._at(now), text=entity.text or "", disposition=entity.disposition))
            case wire.PongReceived():
                self._figures.pong(event.rtt)
            case wire.PauseRequested():
                self._tell(ev.PausedByServer(at=self._at(now)))
            case wire.ResumeRequested():
                self._tell(ev.ResumedByServer(at=self._at(now)))
            case wire.DisconnectReceived():
                self._disconnected(event, now)
            case wire.ServerViolated():
                self._broken(event.rule, event.detail, now)
                self._stop("network" if event.rule == SOCKET_CLOSED else "simulator", now)
            case wire.RateLimitExceeded():
                self._broken(RATE_LIMIT, f"too many {event.kind} messages", now)
            case wire.ClosedReceived():
                self._figures.closed = now
            case wire.SessionEnded():
                self._finish(now, clean=event.clean)
            case wire.ReconnectRequested():
                self._broken(UNEXPECTED, "reconnect has no place on Audio Connector", now)
            case wire.UpdatedReceived():
                pass
            case _:
                assert_never(event)

    def _opened(self, event: wire.OpenedReceived, now: float) -> None:
        opened = self._figures.opened = now
        self._tell(ev.CallOpened(at=self._at(now), open_ms=(opened - (self._figures.connected or now)) * 1000))
        self._log.media = event.media
        if event.media is None and not self.probe:
            self._ending.failures.append("the server chose no media: the caller and the agent cannot hear each other")
        if (discarded := self._line.open(now)) and self._session.state is ClientState.OPEN:
            self._session.send_discarded(discarded, now)
        self._conductor.opened(now)

    def _barge_in(self, now: float) -> None:
        self._figures.barge_ins.append(now)
        if not self._queue.busy:
            self._figures.idle_barge_ins += 1
        unheard = self._queue.flush(now)
        self._ear.cut(now)
        self._conductor.flushed(now)
        self._tell(ev.BargeIn(at=self._at(now), unheard_ms=unheard / 8))

    def _disconnected(self, event: wire.DisconnectReceived, now: float) -> None:
        ending = self._ending
        ending.reason, ending.info, ending.output_variables = event.reason, event.info, event.output_variables
        cut_off = self._queue.unplayed_bytes(now) / 8
        self._tell(
            ev.Disconnected(
                at=self._at(now),
                reason=event.reason,
                info=event.info,
                output_variables=event.output_variables,
                cut_off_ms=cut_off,
            )
        )
        if event.reason != "completed":
            ending.troubles.append(f"the server ended the call: {event.reason} {event.info}".rstrip())
        self._stop("agent", now)
        if self._session.send_close("disconnect", now):
            self._figures.close_sent = now

    def _broken(self, rule: str, detail: str, now: float) -> None:
        broken = broken_rule(rule, detail, message=self._last_message, at=self._at(now))
        self._log.errors.append(broken)
        self._tell(broken)

    def _give_up(self, because: str, now: float) -> None:
        self._give_up_at = None
        self._close(now, "simulator", because)

    def _close(self, now: float, by: EndedBy, because: str) -> None:
        """The caller is gone: `close` with reason `end`."""
        if because:
            self._ending.failures.append(because)
        if self._ending.by is not None:
            return
        self._tell(ev.HungUp(at=self._at(now), because=because))
        self._send(self._line.drain(now), now)
        self._stop(by, now)
        self._session.send_close("end", now)
        self._figures.close_sent = now

    def _stop(self, by: EndedBy, now: float) -> None:
        """Nobody speaks, plays or listens any more; only `closed` is awaited."""
        self._ending.by = self._ending.by or by
        self._give_up_at = None
        self._figures.cut_off_bytes += self._queue.flush(now)
        self._ear.cut(now)
        self._line.hang_up()
        self._conductor.stop()

    def _finish(self, now: float, *, clean: bool) -> None:
        self._stop("network", now)
        self._finished = True
        self._figures.ended = now
        self._ending.clean = clean
        self._tell(ev.CallFinished(at=self._at(now), clean=clean))

    def _tell(self, event: ev.CallEvent) -> None:
        self._events.append(event)
        self._log.timeline.append(event)

    def _at(self, now: float) -> float:
        return self._figures.call_time(now)


class _Name(msgspec.Struct):
    type: str = "message without type"
    seq: int = 0


def _name_of(data: str | bytes) -> _Name:
    """Return type and `seq` of a text message, as far as it can be read."""
    try:
        name = msgspec.json.decode(data, type=_Name)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Name("unreadable message")
    return _Name(name.type[:32], name.seq)
