"""The bookkeeping of a client session: state, envelope counters, position and what waits to be written."""

import msgspec

from offhook.audiohook import errors as e
from offhook.audiohook import messages as m
from offhook.audiohook.codec import encode, format_position
from offhook.audiohook.state import CLIENT_RECEIVES, CLIENT_SENDS, CLIENT_SIGNALS, ClientState, Signal, wire_name

OPENED_TIMEOUT = 5.0
"""Seconds from `open` to `opened` (audiohook.md §1.5)."""
CLOSED_TIMEOUT = 10.0
"""Seconds from `close` to `closed`."""


class ClientLink:
    """State and counters of one session, strict about what the server sends (audiohook.md §3.1).

    Args:
        session_id: the ID of the upgrade request.
    """

    __slots__ = ("deadline", "id", "out", "position", "seq", "serverseq", "state")

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.state = ClientState.IDLE
        self.seq = 0
        """Last `seq` sent."""
        self.serverseq = 0
        """Last `seq` received."""
        self.position = 0
        """Samples of our stream so far, sent and discarded."""
        self.deadline: float | None = None
        """When the answer that is waited for is overdue."""
        self.out: list[str | bytes] = []

    def send(self, type_: type[m.ClientMessage], parameters: msgspec.Struct, now: float) -> None:
        """Queue a message and go where it leads.

        Raises:
            LocalProtocolError: the state does not allow it, or it is too large; nothing has changed then.
        """
        to = CLIENT_SENDS[self.state].get(type_)
        if to is None:
            raise e.LocalProtocolError(f"cannot send {wire_name(type_)} in state {self.state.name}")
        # The caller pairs each message with its own parameters; the type of the union cannot say so.
        message = type_(
            id=self.id,
            seq=self.seq + 1,
            serverseq=self.serverseq,
            position=format_position(self.position),
            parameters=parameters,  # type: ignore[arg-type]
        )
        self.out.append(encode(message))
        self.seq += 1
        self._enter(to, now)

    def accept(self, message: m.ServerMessage | m.UnknownMessage, now: float) -> m.ServerMessage:
        """Check the envelope and the state, move ours on, return what is a known message then.

        Raises:
            RemoteProtocolError: a rule of the server is broken.
        """
        if self.state is ClientState.CLOSED:
            raise e.RemoteProtocolError(e.AFTER_CLOSED)
        if message.version != m.VERSION:
            raise e.RemoteProtocolError(e.VERSION_MISMATCH)
        if message.id != self.id:
            raise e.RemoteProtocolError(e.SESSION_ID)
        expected = self.serverseq + 1
        if message.seq != expected:
            raise e.RemoteProtocolError(e.SEQUENCE, f"sequence number {message.seq} where {expected} was expected")
        clientseq = message.peerseq if isinstance(message, m.UnknownMessage) else message.clientseq
        if clientseq > self.seq:
            raise e.RemoteProtocolError(e.CLIENTSEQ, f"clientseq {clientseq} where no more than {self.seq} was sent")
        if isinstance(message, m.UnknownMessage):
            raise e.RemoteProtocolError(e.UNKNOWN_TYPE, f"message type {message.type} is not known")
        to = CLIENT_RECEIVES[self.state].get(type(message))
        # A `closed` that crosses our early `close` is the one exception: `opened` was never due (audiohook.md §3.7).
        if self.serverseq == 0 and not isinstance(message, m.Opened | m.Disconnect | m.Closed):
            to = None
        if to is None:
            code = e.NOT_OPENED_FIRST if self.serverseq == 0 else e.UNEXPECTED
            raise e.RemoteProtocolError(code, f"{wire_name(type(message))} in state {self.state.name}")
        self.serverseq = message.seq
        self._enter(to, now)
        return message

    def accept_closed(self, message: m.Closed, now: float) -> None:
        """Take a `closed` after a violation, when the counters are worth nothing any more."""
        self.serverseq = max(self.serverseq, message.seq)
        self._enter(CLIENT_RECEIVES[self.state].get(m.Closed, self.state), now)

    def end(self, signal: Signal, now: float) -> None:
        """Follow a signal as far as the state knows it."""
        self._enter(CLIENT_SIGNALS[self.state].get(signal, self.state), now)

    def _enter(self, to: ClientState, now: float) -> None:
        """Change the state, and the deadline with it."""
        if to is self.state:
            return
        self.state = to
        if to is ClientState.OPENING:
            self.deadline = now + OPENED_TIMEOUT
        elif to is ClientState.CLOSING:
            self.deadline = now + CLOSED_TIMEOUT
        else:
            self.deadline = None
