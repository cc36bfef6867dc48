"""The client role of AudioHook: what Genesys says, and what it refuses to hear (audiohook.md §3).

A `ClientSession` plays Genesys for the simulator and for tests. It has the verbs of `ServerSession` and the opposite
temper: whatever a server sends against the rules is reported as `ServerViolated`, answered by `error` and `close` with
reason ``error``, just as Genesys does. What Genesys answers by itself is answered here too: `pause`, `resume`, pongs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from offhook.audiohook import errors as e
from offhook.audiohook import events as ev
from offhook.audiohook import messages as m
from offhook.audiohook.client_link import ClientLink
from offhook.audiohook.codec import MAX_BINARY_BYTES, decode_server_message, format_duration, parse_duration
from offhook.audiohook.media import PCMU_MONO, RATE, FrameDecoder, frame_size, is_plain
from offhook.audiohook.pacing import RateWatch
from offhook.audiohook.state import ClientState, Signal

FIRST_PING_AFTER = 1.0
"""Seconds from `opened` to the first ping (audiohook.md §1.5)."""
PING_INTERVAL = 5.0
"""Seconds from a ping to the next; the pong must be there by then."""
_DISPOSITIONS = frozenset({"no_input", "no_match", "match"})
_CLOSE_SENT = frozenset({ClientState.CLOSING, ClientState.CLOSED, ClientState.ENDED})
_HEARD = frozenset({ClientState.OPEN, ClientState.DISCONNECTING})  # audio flows until we say `close`


class ClientSession:
    """One AudioHook session, seen from Genesys.

    Args:
        session_id: UUID that also goes into the header ``Audiohook-Session-Id``.
        organization_id: UUID that also goes into the header ``Audiohook-Organization-Id``.
        conversation_id: UUID of the conversation; `NIL_UUID` makes the session a connection probe.
        media: the offers.
    """

    def __init__(
        self,
        *,
        session_id: str,
        organization_id: str,
        conversation_id: str,
        media: Sequence[m.Media] = (PCMU_MONO,),
    ) -> None:
        self._organization_id = organization_id
        self._conversation_id = conversation_id
        self._offers = tuple(media)
        self._link = ClientLink(session_id)
        self._events: list[ev.ClientEvent] = []
        self._media: m.Media | None = None
        self._decoder: FrameDecoder | None = None
        self._received = 0
        self._server_paused = False
        self._client_paused = False
        self._missed = 0  # samples that a pause kept from being sent
        self._ping: tuple[int, float] | None = None  # seq and time of the ping that waits for its pong
        self._ping_at: float | None = None
        self._rtt: float | None = None
        self._watches = {"text": RateWatch(), "binary": RateWatch()}
        self._violated = False
        self._over = False

    # --- what it knows -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> ClientState:
        """Where the session is."""
        return self._link.state

    @property
    def media(self) -> m.Media | None:
        """What the server chose; None before `opened` and in sessions without audio."""
        return self._media

    @property
    def position(self) -> int:
        """Samples of our stream so far, sent and discarded."""
        return self._link.position

    @property
    def paused(self) -> bool:
        """True while a pause of either side keeps audio back."""
        return self._server_paused or self._client_paused

    @property
    def rtt(self) -> float | None:
        """Seconds that the last ping and its pong took."""
        return self._rtt

    @property
    def can_send_audio(self) -> bool:
        """True from `opened` to our `close`, with audio and without a pause."""
        return self._link.state in _HEARD and self._media is not None and not self.paused

    def close_expected(self) -> bool:
        """Say whether the socket is to be dropped now: the client is the one who does."""
        return self._link.state in (ClientState.CLOSED, ClientState.ENDED)

    # --- in ----------------------------------------------------------------------------------------------------------

    def receive_text(self, data: str | bytes, now: float) -> None:
        """Take a text WebSocket message."""
        if self._link.state is ClientState.ENDED:
            return
        self._watch("text", now)
        try:
            message = decode_server_message(data)
            if self._violated:
                if isinstance(message, m.Closed):
                    self._link.accept_closed(message, now)
                    self._finish(ev.ClosedReceived())
                return
            self._act(self._link.accept(message, now), now)
        except e.RemoteProtocolError as violation:
            self._violate(violation, now)

    def receive_audio(self, data: bytes, now: float) -> None:
        """Take a binary WebSocket message."""
        state = self._link.state
        # In CLOSING it was under way when we said `close`.
        if self._violated or state is ClientState.ENDED or (state is ClientState.CLOSING and self._media is not None):
            return
        self._watch("binary", now)
        media = self._media
        if state is ClientState.CLOSED:
            self._violate(e.RemoteProtocolError(e.AFTER_CLOSED, "audio after closed"), now)
        elif state is not ClientState.OPEN or media is None:
            self._violate(e.RemoteProtocolError(e.AUDIO_STATE, f"audio in state {state.name}"), now)
        elif len(data) > MAX_BINARY_BYTES:
            detail = f"an audio message of {len(data)} bytes is over the limit of {MAX_BINARY_BYTES}"
            self._violate(e.RemoteProtocolError(e.TOO_LARGE, detail), now)
        elif not data or len(data) % frame_size(media):
            self._violate(e.RemoteProtocolError(e.BAD_PARAMETERS, "an audio message holds no whole samples"), now)
        else:
            audio = data if self._decoder is None else self._decoder.decode(data)
            self._events.append(ev.AudioReceived(audio, self._received))
            self._received += len(audio)

    def receive_eof(self, now: float) -> None:
        """Take note that the socket is gone; only after `closed` that is in order."""
        state = self._link.state
        if state not in (ClientState.CLOSED, ClientState.ENDED) and not self._violated:
            self._report(e.RemoteProtocolError(e.SOCKET_CLOSED))
        self._link.end(Signal.SOCKET_GONE, now)
        self._ping_at = None
        self._finish()

    # --- out ---------------------------------------------------------------------------------------------------------

    def events(self) -> list[ev.ClientEvent]:
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
        return self._link.deadline if self._link.deadline is not None else self._ping_at

    def handle_timer(self, now: float) -> None:
        """Act on what is due: pings, and answers that did not come (audiohook.md §1.5)."""
        deadline = self._link.deadline
        if deadline is not None and now >= deadline:
            if self._link.state is ClientState.OPENING:
                self._violate(e.RemoteProtocolError(e.OPENED_TIMEOUT, "no opened within 5 s"), now)
            else:
                missing = e.RemoteProtocolError(e.CLOSED_TIMEOUT, "no closed within 10 s")
                self._report(missing)
                self.send_error(missing.status, missing.info, now)
                self._link.end(Signal.DEADLINE, now)
                self._finish()
        elif self._ping_at is not None and now >= self._ping_at:
            if self._ping is not None:
                self._violate(e.RemoteProtocolError(e.PONG_TIMEOUT, "no pong when the next ping was due"), now)
            else:
                self._ping_at = now + PING_INTERVAL
                self._send_ping(now)

    # --- actions -----------------------------------------------------------------------------------------------------

    def send_open(
        self,
        now: float,
        *,
        participant: m.Participant | None = None,
        input_variables: Mapping[str, str] | None = None,
        language: str | None = None,
        supported_languages: bool = False,
        custom_config: dict[str, Any] | str | None = None,
    ) -> None:
        """Begin the session."""
        if participant is None and self._conversation_id == m.NIL_UUID:
            participant = m.Participant(id=m.NIL_UUID)
        parameters = m.OpenParameters(
            organization_id=self._organization_id,
            conversation_id=self._conversation_id,
            participant=participant,
            media=self._offers,
            language=language,
            supported_languages=supported_languages,
            custom_config=custom_config,
            input_variables=dict(input_variables or {}),
        )
        self._link.send(m.Open, parameters, now)

    def send_audio(self, data: bytes, now: float) -> bool:
        """Send audio in the format that was chosen.

        Returns:
            False during a pause: the samples count as discarded and are reported with `resumed`.

        Raises:
            LocalProtocolError: wrong state, no audio in this session, or more than one message may hold.
        """
        if self._link.state not in _HEARD or self._media is None:
            raise e.LocalProtocolError(f"cannot send audio in state {self._link.state.name}")
        if len(data) > MAX_BINARY_BYTES:
            raise e.LocalProtocolError(f"an audio message of {len(data)} bytes is over the limit of {MAX_BINARY_BYTES}")
        samples = len(data) // frame_size(self._media)
        if self.paused:
            self._missed += samples
            return False
        self._link.out.append(data)
        self._link.position += samples
        return True

    def send_dtmf(self, digit: str, now: float) -> None:
        """Report a key."""
        if digit not in m.DTMF_DIGITS:
            raise e.LocalProtocolError("a DTMF digit is one of 0-9 * # A-D")
        self._link.send(m.Dtmf, m.DtmfParameters(digit), now)

    def send_update(self, language: str, now: float) -> None:
        """Report a change of the language."""
        self._link.send(m.Update, m.UpdateParameters(language), now)

    def send_discarded(self, samples: int, now: float) -> None:
        """Report audio that had to be dropped."""
        parameters = self._gap(samples)
        self._link.send(m.Discarded, parameters, now)
        self._link.position += samples

    def send_playback_started(self, now: float) -> None:
        """Report that queued bot audio began to play."""
        self._link.send(m.PlaybackStarted, m.EmptyParameters(), now)

    def send_playback_completed(self, now: float) -> None:
        """Report that the queue of bot audio ran empty."""
        self._link.send(m.PlaybackCompleted, m.EmptyParameters(), now)

    def send_error(self, code: int, message: str, now: float, *, retry_after: float | None = None) -> None:
        """Object to something the server does."""
        wait = None if retry_after is None else format_duration(retry_after)
        self._link.send(m.Error, m.ErrorParameters(code=code, message=message, retry_after=wait), now)

    def pause(self, now: float) -> None:
        """Stop the audio from our side (hold, secure pause); nothing happens if it is stopped already."""
        if not self._client_paused:
            self._link.send(m.Paused, m.EmptyParameters(), now)
            self._client_paused = True

    def resume(self, now: float) -> None:
        """End our pause; audio flows only when the server's pause is over too (audiohook.md §3.3)."""
        if self._client_paused:
            if not self._server_paused:
                self._send_resumed(now)
            self._client_paused = False

    def send_close(self, reason: str, now: float) -> bool:
        """End the session: ``end``, ``disconnect`` (the answer to `DisconnectReceived`), ``error`` or ``reconnect``.

        Returns:
            False when `close` was sent before: nothing was sent.

        Raises:
            LocalProtocolError: unknown reason, or `open` was not sent.
        """
        if reason not in m.CLOSE_REASONS:
            raise e.LocalProtocolError(f"close has no reason {reason!r}")
        if self._link.state in _CLOSE_SENT:
            return False
        self._link.send(m.Close, m.CloseParameters(reason), now)
        self._ping_at = None
        return True

    # --- inside ------------------------------------------------------------------------------------------------------

    def _act(self, message: m.ServerMessage, now: float) -> None:
        """Act on a message whose envelope and state are right."""
        match message:
            case m.Opened(parameters=parameters):
                self._take_opened(parameters, now)
            case m.Closed():
                self._finish(ev.ClosedReceived())
            case m.Pong():
                self._take_pong(message.clientseq, now)
            case m.Updated():
                self._events.append(ev.UpdatedReceived())
            case m.Pause():
                self._server_paused = True
                if self._link.state is ClientState.OPEN:
                    self._link.send(m.Paused, m.EmptyParameters(), now)
                self._events.append(ev.PauseRequested())
            case m.Resume():
                self._take_resume(now)
            case m.Reconnect(parameters=parameters):
                self._events.append(ev.ReconnectRequested(parameters.info or ""))
            case m.Event(parameters=parameters):
                self._take_entities(parameters.entities)
            case m.Disconnect(parameters=parameters):
                self._ping_at = None
                if parameters.reason not in m.DISCONNECT_REASONS:
                    raise e.RemoteProtocolError(e.DISCONNECT_REASON)
                variables = parameters.output_variables or {}
                self._events.append(ev.DisconnectReceived(parameters.reason, parameters.info or "", variables))
            case _:
                assert_never(message)

    def _take_opened(self, parameters: m.OpenedParameters, now: float) -> None:
        """Take an `opened`: start the pings, begin paused or later in the stream when the server wants that."""
        chosen = parameters.media
        if len(chosen) > 1 or any(media not in self._offers for media in chosen):
            raise e.RemoteProtocolError(e.MEDIA_NOT_OFFERED)
        skip_to = 0.0 if parameters.discard_to is None else parse_duration(parameters.discard_to)
        self._media = chosen[0] if chosen else None
        if self._media is not None and not is_plain(self._media):
            self._decoder = FrameDecoder(self._media)
        self._server_paused = parameters.start_paused is True
        self._events.append(ev.OpenedReceived(self._media, self._server_paused))
        if self._link.state is ClientState.OPEN:
            self._ping_at = now + FIRST_PING_AFTER
            if self._server_paused:
                self._link.send(m.Paused, m.EmptyParameters(), now)
            if (samples := round(skip_to * RATE) - self._link.position) > 0:
                self.send_discarded(samples, now)

    def _take_pong(self, clientseq: int, now: float) -> None:
        """Take a `pong`; the first one is followed by a ping at once, which tells the server the round trip."""
        if self._ping is None or self._ping[0] != clientseq:
            expected = "none" if self._ping is None else self._ping[0]
            raise e.RemoteProtocolError(
                e.PONG_CLIENTSEQ, f"clientseq {clientseq} of pong where {expected} was expected"
            )
        first = self._rtt is None
        self._rtt = now - self._ping[1]
        self._ping = None
        self._events.append(ev.PongReceived(self._rtt))
        if first and self._link.state is ClientState.OPEN:
            self._send_ping(now)

    def _send_ping(self, now: float) -> None:
        rtt = None if self._rtt is None else format_duration(self._rtt)
        self._link.send(m.Ping, m.PingParameters(rtt), now)
        self._ping = (self._link.seq, now)

    def _take_resume(self, now: float) -> None:
        """Take a `resume`: our own pause goes before it (audiohook.md §3.3)."""
        self._server_paused = False
        if self._link.state is ClientState.OPEN:
            if self._client_paused:
                self._link.send(m.Paused, m.EmptyParameters(), now)
            else:
                self._send_resumed(now)
        self._events.append(ev.ResumeRequested())

    def _send_resumed(self, now: float) -> None:
        """Tell the server that audio flows again, and how much of it is missing."""
        self._link.send(m.Resumed, self._gap(self._missed), now)
        self._link.position += self._missed
        self._missed = 0

    def _gap(self, samples: int) -> m.DiscardedParameters:
        return m.DiscardedParameters(format_duration(self._link.position / RATE), format_duration(samples / RATE))

    def _take_entities(self, entities: tuple[m.Entity, ...]) -> None:
        """Take an `event`."""
        if not entities:
            raise e.RemoteProtocolError(e.EMPTY_ENTITIES)
        for entity in entities:
            if isinstance(entity, m.UnknownEntity):
                raise e.RemoteProtocolError(e.UNKNOWN_ENTITY, f"entity type {entity.type} is not known")
            if isinstance(entity, m.BotTurnResponse) and not (
                entity.disposition in _DISPOSITIONS and 0 <= (entity.confidence or 0) <= 1
            ):
                raise e.RemoteProtocolError(e.BAD_PARAMETERS, "disposition or confidence of bot_turn_response")
            if isinstance(entity, m.BargeIn):
                self._events.append(ev.BargeInReceived())
        self._events.append(ev.EventReceived(entities))

    def _watch(self, kind: str, now: float) -> None:
        """Count a message of the server against its rate limit (audiohook.md §5)."""
        watch = self._watches[kind]
        if self._violated or not watch.exceeded(now):
            return
        self._events.append(ev.RateLimitExceeded(kind))
        if self._link.state is ClientState.OPEN:
            self.send_error(429, "Rate limit exceeded", now, retry_after=watch.retry_after)
        if watch.hopeless:
            self._violate(e.RemoteProtocolError(e.RATE_LIMIT), now)

    def _violate(self, violation: e.RemoteProtocolError, now: float) -> None:
        """Report a broken rule and end the session: `error`, then `close` with reason ``error``."""
        self._report(violation)
        if self._link.state not in (*_CLOSE_SENT, ClientState.IDLE):
            self.send_error(violation.status, violation.info, now)
            self.send_close("error", now)

    def _report(self, violation: e.RemoteProtocolError) -> None:
        """Report the first broken rule; what follows is only its consequence."""
        if not self._violated:
            self._violated = True
            self._events.append(ev.ServerViolated(violation.code, violation.info))

    def _finish(self, *events: ev.ClientEvent) -> None:
        """Report the end, once."""
        if not self._over:
            self._over = True
            self._events += [*events, ev.SessionEnded(clean=bool(events) and not self._violated)]
