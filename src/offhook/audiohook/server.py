"""The server role of AudioHook: what a gateway says to Genesys and hears from it (audiohook.md §3).

A `ServerSession` does no I/O. Its owner feeds it what the WebSocket delivers and the time, reads `events()`, writes
`data_to_send()` and calls `handle_timer` at `next_timer()`. Nothing the peer does makes it raise: bad input becomes a
`disconnect` and a `ProtocolViolated` event. What cannot wait (`pong`, `updated`, `closed`) is answered inside
`receive_text`, so each reply carries the `clientseq` of the message it answers and no slow part of a call can delay it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

from offhook.audiohook import errors as e
from offhook.audiohook import events as ev
from offhook.audiohook import messages as m
from offhook.audiohook.codec import MAX_BINARY_BYTES, decode_client_message, parse_duration
from offhook.audiohook.disconnect import build_disconnect
from offhook.audiohook.media import RATE, FrameDecoder, choose_media, encode_frame, is_plain
from offhook.audiohook.pacing import TokenBucket
from offhook.audiohook.server_link import ServerLink
from offhook.audiohook.state import SERVER_RECEIVES, ServerState, Signal, wire_name

FLOOD_RATE = 50.0
"""Text messages a second that a peer may send on average; real Genesys sends less than one."""
FLOOD_BURST = 200
AUDIO_FLOOD_RATE = 2.0
"""Seconds of audio a second that a peer may send on average; a caller speaks in real time."""
AUDIO_FLOOD_BURST = 150.0
"""Seconds of audio at once: more than any catch-up (audiohook.md §4), and than the largest message of PCMU."""
LEAST_AUDIO = 0.01
"""Seconds that a message counts for at least, so that empty ones have an end, too."""
LATE_BURST = 100
"""Messages of any kind at once that may come after `disconnect`; then nobody waits for `close` any more."""
VIOLATED_BURST = 20
"""The same of a peer that has broken a rule, and is none of Genesys."""
MAX_RECEIVED_BINARY_BYTES = 1_048_576
"""Largest audio message that is taken: the catch-up after `opened` may be one big frame (audiohook.md §4)."""

_LEAST_SAMPLES = round(LEAST_AUDIO * RATE)

TOO_MANY = 429
"""Error code of a client that is sent too much."""

_InCallMessage = m.Update | m.Paused | m.Resumed | m.Discarded | m.Dtmf | m.PlaybackStarted | m.PlaybackCompleted


class ServerSession:
    """One AudioHook session, seen from the server.

    Args:
        session_id: the header ``Audiohook-Session-Id``; every message must carry it. None = not checked.
        organization_id: the header ``Audiohook-Organization-Id``; `open` must carry it. None = not checked.
        now: time of the upgrade in monotonic seconds; starts the wait for `open`. None = no such deadline.
        idle_timeout: seconds without any audio or text after which an open session is given up; None = never.
        last_variables: asked for the output variables when the session itself sends `disconnect` because the peer
            broke a rule, with the code of the rule and the time. None = there are none.
    """

    def __init__(
        self,
        *,
        session_id: str | None = None,
        organization_id: str | None = None,
        now: float | None = None,
        idle_timeout: float | None = None,
        last_variables: Callable[[str, float], Mapping[str, str]] | None = None,
    ) -> None:
        self._link = ServerLink(session_id, now, idle_timeout)
        self._organization_id = organization_id
        self._idle_timeout = idle_timeout
        self._last_variables = last_variables
        self._now = now if now is not None else 0.0
        self._last_heard = self._now
        self._events: list[ev.ServerEvent] = []
        self._flood = TokenBucket(FLOOD_RATE, FLOOD_BURST)
        self._audio_flood = TokenBucket(AUDIO_FLOOD_RATE * RATE, AUDIO_FLOOD_BURST * RATE)
        self._late = TokenBucket(FLOOD_RATE, LATE_BURST)
        self._open_parameters: m.OpenParameters | None = None
        self._media: m.Media | None = None
        self._decoder: FrameDecoder | None = None
        self._position = 0
        self._opened = False
        self._paused = False
        self._violated = False

    # --- what it knows -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> ServerState:
        """Where the session is."""
        return self._link.state

    @property
    def session_id(self) -> str:
        """The `id` of the session; the nil UUID until one is known."""
        return self._link.id

    @property
    def open_parameters(self) -> m.OpenParameters | None:
        """What the client asked for; None before `open`."""
        return self._open_parameters

    @property
    def media(self) -> m.Media | None:
        """The chosen offer; None before `open`, for probes and in sessions without audio."""
        return self._media

    @property
    def position(self) -> int:
        """Samples of the caller's audio so far, received and discarded."""
        return self._position

    @property
    def paused(self) -> bool:
        """True while the client sends no audio because of a pause of either side."""
        return self._paused

    @property
    def throttled(self) -> bool:
        """True while an ``error`` 429 of the client holds audio and what can wait back."""
        return self._link.budget.throttled(self._now)

    @property
    def can_send_audio(self) -> bool:
        """True between `opened` and the end, in sessions with audio."""
        return self._link.state is ServerState.OPEN and self._media is not None

    def close_expected(self) -> bool:
        """Say whether the owner is to drop the socket now; the client has had its time to do it."""
        return self._link.state is ServerState.ENDED

    # --- in ----------------------------------------------------------------------------------------------------------

    def receive_audio(self, data: bytes, now: float) -> None:
        """Take a binary WebSocket message."""
        self._now = self._last_heard = now
        if not self._link.hearing or len(data) > MAX_RECEIVED_BINARY_BYTES:
            self._receive_odd_audio(data, now)
            return
        decoder = self._decoder
        if decoder is not None:
            data = decoder.decode(data)
        if not self._audio_flood.take(now, max(len(data), _LEAST_SAMPLES)):
            self._violate(e.RemoteProtocolError(e.FLOOD, "audio comes far faster than real time"), now)
            return
        if not data:
            return
        position = self._position
        self._position = position + len(data)
        self._events.append(ev.AudioReceived(data, position))

    def _receive_odd_audio(self, data: bytes, now: float) -> None:
        """Deal with audio that is too large or that nobody waits for."""
        if self._link.ending:
            self._bear(now)  # under way when we said `disconnect`
            return
        if self._link.state is ServerState.OPENING:
            return  # a client in a hurry
        if len(data) > MAX_RECEIVED_BINARY_BYTES:
            self._violate(e.RemoteProtocolError(e.TOO_LARGE, "an audio message is too large"), now)
        else:
            self._violate(e.RemoteProtocolError(e.UNEXPECTED_AUDIO), now)

    def receive_text(self, data: str | bytes, now: float) -> None:
        """Take a text WebSocket message; the replies that must not wait are made here."""
        self._now = self._last_heard = now
        within_rate = self._flood.take(now)
        if self._link.ending:
            # A message of many, or one that nothing can follow.
            if not self._bear(now) or not within_rate or self._link.state is not ServerState.DISCONNECTING:
                return
        elif not within_rate:
            self._violate(e.RemoteProtocolError(e.FLOOD), now)
            return
        try:
            message = decode_client_message(data)
            if not self._violated:
                try:
                    self._link.accept(message)
                except e.RemoteProtocolError as violation:
                    self._violate(violation, now)
                    if not isinstance(message, m.Close):  # which is answered however wrong it is
                        return
            self._dispatch(message, now)
        except e.RemoteProtocolError as violation:
            self._violate(violation, now)

    def receive_eof(self, now: float) -> None:
        """Take note that the socket is gone."""
        self._now = now
        self._end(Signal.SOCKET_GONE, now)

    # --- out ---------------------------------------------------------------------------------------------------------

    def events(self) -> list[ev.ServerEvent]:
        """Return what has happened since the last call."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[str | bytes]:
        """Return what is to be written, in order: str as a text message, bytes as a binary message."""
        out, self._link.out = self._link.out, []
        return out

    # --- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """Return when `handle_timer` is to be called next."""
        return self._link.deadline

    def handle_timer(self, now: float) -> None:
        """Act on deadlines that have passed; calls at other times do nothing."""
        self._now = now
        if self._link.deadline is None or now < self._link.deadline:
            return
        if self._link.state is ServerState.AWAITING_OPEN:
            self._violate(e.RemoteProtocolError(e.OPEN_TIMEOUT, "no open within 10 s"), now)
        elif self._link.state is ServerState.OPEN:
            self._check_idle(now)
        else:
            self._end(Signal.DEADLINE, now)

    def _check_idle(self, now: float) -> None:
        """Give a silent peer up; else look again when its last sign of life has aged."""
        due = self._last_heard + (self._idle_timeout or 0.0)
        if now < due:
            self._link.deadline = due
        else:
            self._violate(e.RemoteProtocolError(e.SILENT_PEER, f"nothing heard for {self._idle_timeout:g} s"), now)

    # --- actions -----------------------------------------------------------------------------------------------------

    def send_opened(self, now: float, *, start_paused: bool = False) -> bool:
        """Accept the session, with the best offer unchanged, or with no media for a probe.

        Returns:
            False when the session is ending already: nothing was sent.

        Raises:
            LocalProtocolError: no `open` is waiting for an answer.
        """
        if self._link.ending:
            return False
        media = () if self._media is None else (self._media,)
        self._link.send(m.Opened, m.OpenedParameters(media=media, start_paused=start_paused), now)
        self._opened = True
        self._link.hearing = self._media is not None
        return True

    def send_audio(self, audio: bytes, now: float) -> bool:
        """Send PCMU mono to the caller.

        Returns:
            False when the budget or a 429 forbids it now: nothing was sent, see `audio_ready_at`.

        Raises:
            LocalProtocolError: wrong state (ask `can_send_audio`), no audio, or more than one message may hold.
        """
        if self._link.state is not ServerState.OPEN or self._media is None:
            raise e.LocalProtocolError(f"cannot send audio in state {self._link.state.name}")
        data = audio if self._decoder is None else encode_frame(self._media, audio)
        if not 0 < len(data) <= MAX_BINARY_BYTES:
            raise e.LocalProtocolError(f"an audio message holds 1 to {MAX_BINARY_BYTES} bytes, not {len(data)}")
        if not self._link.budget.take_binary(now):
            return False
        self._link.out.append(data)
        return True

    def audio_ready_at(self, now: float) -> float:
        """Return the time from which `send_audio` sends; `now` if it does already."""
        return self._link.budget.binary_ready_at(now)

    def send_barge_in(self, now: float) -> bool:
        """Have Genesys stop its playback and drop what is queued; never waits for the budget.

        Returns:
            False when the session is ending already.
        """
        if self._link.ending:
            return False
        self._link.send(m.Event, m.EventParameters((m.BargeIn(),)), now)
        return True

    def send_events(self, entities: Sequence[m.Entity], now: float) -> bool:
        """Send event entities that can wait.

        Returns:
            False when the text budget, a 429 or the end of the session forbids it: nothing was sent.

        Raises:
            LocalProtocolError: no entities, too large, or before `opened`.
        """
        if not entities:
            raise e.LocalProtocolError("an event holds at least one entity")
        if self._link.ending or (self._opened and not self._link.budget.take_text(now)):
            return False
        self._link.send(m.Event, m.EventParameters(tuple(entities)), now, counted=True)
        return True

    def events_ready_at(self, now: float) -> float:
        """Return the time from which `send_events` sends; `now` if it does already."""
        return self._link.budget.text_ready_at(now)

    def send_pause(self, now: float) -> bool:
        """Ask the client to stop its audio; `ClientPaused` confirms it. False = not sent, as in `send_events`."""
        return self._send_pause(m.Pause, now)

    def send_resume(self, now: float) -> bool:
        """Ask the client for its audio again; `ClientResumed` confirms it. False = not sent, as in `send_events`."""
        return self._send_pause(m.Resume, now)

    def _send_pause(self, type_: type[m.Pause] | type[m.Resume], now: float) -> bool:
        if self._link.ending or (self._opened and not self._link.budget.take_pause(now, resume=type_ is m.Resume)):
            return False
        self._link.send(type_, m.EmptyParameters(), now, counted=True)
        return True

    def send_disconnect(
        self, reason: str, now: float, *, info: str = "", output_variables: Mapping[str, str] | None = None
    ) -> bool:
        """Ask the client to end the session. Only the first call of a session sends.

        The message always fits: a long `info` is cut, so are the longest output variables.

        Args:
            reason: ``completed``, ``unauthorized`` or ``error``.
            now: monotonic seconds.
            info: free text that Genesys logs; no personal data.
            output_variables: what the Architect action gets back.

        Returns:
            False when the session is ending already: nothing was sent.

        Raises:
            LocalProtocolError: unknown reason, or a variable that is no string.
        """
        parameters = build_disconnect(reason, info, output_variables)
        if self._link.ending:
            return False
        self._link.send(m.Disconnect, parameters, now)
        return True

    # --- inside ------------------------------------------------------------------------------------------------------

    def _violate(self, violation: e.RemoteProtocolError, now: float) -> None:
        """Answer a broken rule: `disconnect`, once; in a session that is ending already nothing more is said."""
        if not self._violated:
            self._late = TokenBucket(FLOOD_RATE, VIOLATED_BURST)
        self._violated = True  # from here on the counters of the client are worth nothing
        if self._link.ending:
            return
        reason = "unauthorized" if violation.code == e.ORGANIZATION else "error"
        variables = None if self._last_variables is None else self._last_variables(violation.code, now)
        self._link.send(m.Disconnect, build_disconnect(reason, violation.info, variables), now)
        self._events.append(ev.ProtocolViolated(violation.code, violation.info))

    def _bear(self, now: float) -> bool:
        """Say whether a message that comes late is one of few; a peer that floods on is waited for no longer."""
        if self._late.take(now):
            return True
        self._end(Signal.DEADLINE, now)
        return False

    def _end(self, signal: Signal, now: float) -> None:
        """The socket is gone or has to go."""
        clean = self._link.state is ServerState.CLOSED
        if self._link.end(signal, now):
            self._events.append(ev.SessionEnded(clean))

    def _dispatch(self, message: m.ClientMessage | m.UnknownMessage, now: float) -> None:
        """Act on a message whose envelope is right, as far as the state allows it."""
        if isinstance(message, m.UnknownMessage):
            self._events.append(ev.MessageIgnored(message.type))
            return
        state = self._link.state
        to = SERVER_RECEIVES[state].get(type(message))
        if to is None:
            raise e.RemoteProtocolError(e.UNEXPECTED, f"{wire_name(type(message))} before open")
        if isinstance(message, m.Close):
            self._link.enter(to, now)
            # `closed` waits for nobody, least of all for the AI (trap 39).
            self._link.send(m.Closed, m.EmptyParameters(), now, clientseq=message.seq)
            self._events.append(ev.CloseReceived(message.parameters.reason))
        elif isinstance(message, m.Open):
            if state is ServerState.AWAITING_OPEN:
                self._open(message.parameters)
                self._link.enter(to, now)
            else:
                self._events.append(ev.MessageIgnored("open"))
        elif isinstance(message, m.Error):
            self._take_error(message.parameters, now)
        elif not self._opened:
            self._events.append(ev.MessageIgnored(wire_name(type(message))))
        elif isinstance(message, m.Ping):
            self._link.send(m.Pong, m.EmptyParameters(), now, clientseq=message.seq)
            self._events.append(ev.PingReceived(_seconds(message.parameters.rtt)))
        elif not self._violated:
            self._act(message, now)

    def _act(self, message: _InCallMessage, now: float) -> None:
        """Act on a message that belongs to the open session."""
        match message:
            case m.Update(parameters=parameters):
                self._link.send(m.Updated, m.EmptyParameters(), now, clientseq=message.seq)
                if parameters.language:
                    self._events.append(ev.LanguageUpdated(parameters.language))
            case m.Paused():
                self._paused = True
                self._events.append(ev.ClientPaused())
            case m.Resumed(parameters=parameters):
                start, discarded = self._skip(parameters)
                self._paused = False
                self._events.append(ev.ClientResumed(start, discarded))
            case m.Discarded(parameters=parameters):
                self._events.append(ev.AudioDiscarded(*self._skip(parameters)))
            case m.Dtmf(parameters=parameters):
                digit = parameters.digit.upper()
                known = digit in m.DTMF_DIGITS
                self._events.append(ev.DtmfReceived(digit) if known else ev.MessageIgnored("dtmf"))
            case m.PlaybackStarted():
                self._events.append(ev.PlaybackStarted())
            case m.PlaybackCompleted():
                self._events.append(ev.PlaybackCompleted())
            case _:
                assert_never(message)

    def _open(self, parameters: m.OpenParameters) -> None:
        """Take an `open`: who, and with which audio."""
        organization = self._organization_id
        if organization is not None and parameters.organization_id.lower() != organization.lower():
            raise e.RemoteProtocolError(e.ORGANIZATION)
        # A nil conversation is never a call, whatever else the message says (audiohook.md §3.6).
        probe = parameters.conversation_id == m.NIL_UUID
        media = None if probe else choose_media(parameters.media)
        if media is None and parameters.media and not probe:
            raise e.RemoteProtocolError(e.NO_MEDIA)
        self._media = media
        self._decoder = None if media is None or is_plain(media) else FrameDecoder(media)
        self._open_parameters = parameters
        self._events.append(ev.OpenReceived(parameters, probe))

    def _take_error(self, parameters: m.ErrorParameters, now: float) -> None:
        """Take an `error`: it never ends a session; 429 slows it down."""
        retry_after = _seconds(parameters.retry_after)
        if parameters.code == TOO_MANY:
            self._link.budget.throttle(retry_after, now)
        self._events.append(ev.ErrorReceived(parameters.code, parameters.message, retry_after))

    def _skip(self, parameters: m.DiscardedParameters) -> tuple[float, float]:
        """Move the position over audio that was not sent (trap 63); return start and duration in seconds."""
        start, discarded = parse_duration(parameters.start), parse_duration(parameters.discarded)
        self._position += round(discarded * RATE)
        return start, discarded


def _seconds(duration: str | None) -> float | None:
    """Return an optional duration; an unreadable one is as good as none."""
    if duration is None:
        return None
    try:
        return parse_duration(duration)
    except e.MalformedMessage:
        return None
