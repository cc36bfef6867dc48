"""The bookkeeping of a server session: state, envelope counters, deadline and what waits to be written."""

import msgspec

from offhook.audiohook import errors as e
from offhook.audiohook import messages as m
from offhook.audiohook.codec import encode
from offhook.audiohook.pacing import SendBudget
from offhook.audiohook.state import SERVER_SENDS, SERVER_SIGNALS, ServerState, Signal, wire_name

OPEN_TIMEOUT = 10.0
"""Seconds from the upgrade to `open`."""
CLOSE_TIMEOUT = 10.0
"""Seconds from our `disconnect` to the client's `close`, and from `closed` to the end of the socket."""

MAX_ID_CHARS = 128
"""Longest session ID that is taken; a UUID has 36."""

ENDING = frozenset({ServerState.DISCONNECTING, ServerState.CLOSED, ServerState.ENDED})
"""States in which nothing new is begun."""


class ServerLink:
    """State and counters of one session (audiohook.md §3.1).

    Args:
        session_id: the ID of the upgrade request; None = the first message tells it.
        now: when the wait for `open` began; None = it has no deadline.
        idle_timeout: seconds until `deadline` in the state OPEN; None = none.
    """

    __slots__ = ("_checked", "_idle_timeout", "budget", "clientseq", "deadline", "hearing", "id", "out", "seq", "state")

    def __init__(self, session_id: str | None, now: float | None, idle_timeout: float | None) -> None:
        self._checked = session_id is not None
        self._idle_timeout = idle_timeout
        # A header is the peer's text too: whatever it holds, our messages can carry it.
        self.id = (session_id or m.NIL_UUID).encode("utf-8", "replace").decode()[:MAX_ID_CHARS]
        self.state = ServerState.AWAITING_OPEN
        self.seq = 0
        """Last `seq` sent."""
        self.clientseq = 0
        """Last `seq` received."""
        self.deadline = now + OPEN_TIMEOUT if now is not None else None
        self.hearing = False
        """Audio is expected and wanted: the one flag that the hot path looks at."""
        self.out: list[str | bytes] = []
        self.budget = SendBudget()

    @property
    def ending(self) -> bool:
        """True once `disconnect` or `closed` was sent, or the socket is gone."""
        return self.state in ENDING

    def send(
        self,
        type_: type[m.ServerMessage],
        parameters: msgspec.Struct,
        now: float,
        *,
        clientseq: int | None = None,
        counted: bool = False,
    ) -> None:
        """Queue a message and go where it leads.

        Args:
            type_: the class of the message.
            parameters: its parameters.
            now: monotonic seconds.
            clientseq: the message it answers, when that is not the last one.
            counted: its place in the budget was taken before.

        Raises:
            LocalProtocolError: the state does not allow it, or it is too large; nothing has changed then.
        """
        to = SERVER_SENDS[self.state].get(type_)
        if to is None:
            raise e.LocalProtocolError(f"cannot send {wire_name(type_)} in state {self.state.name}")
        answered = self.clientseq if clientseq is None else clientseq
        # The table pairs each message with its own parameters; the type of the union cannot say so.
        message = type_(id=self.id, seq=self.seq + 1, clientseq=answered, parameters=parameters)  # type: ignore[arg-type]
        self.out.append(encode(message))
        self.seq += 1
        if not counted:
            self.budget.spend_text(now)
        self.enter(to, now)

    def enter(self, to: ServerState, now: float) -> None:
        """Change the state, and the deadline with it; `to` comes from a table of `offhook.audiohook.state`."""
        if to is self.state:
            return
        self.state = to
        self.hearing = False
        if to is ServerState.OPEN and self._idle_timeout is not None:
            self.deadline = now + self._idle_timeout
        elif to in (ServerState.DISCONNECTING, ServerState.CLOSED):
            self.deadline = now + CLOSE_TIMEOUT
        else:
            self.deadline = None

    def end(self, signal: Signal, now: float) -> bool:
        """Follow a signal; say whether it ended the session just now."""
        to = SERVER_SIGNALS[self.state].get(signal)
        if to is None:
            return False
        self.enter(to, now)
        return True

    def accept(self, message: m.ClientMessage | m.UnknownMessage) -> None:
        """Check version, id and the two counters, and move ours on.

        Raises:
            RemoteProtocolError: one of them is wrong.
        """
        if message.version != m.VERSION:
            raise e.RemoteProtocolError(e.VERSION_MISMATCH)
        if len(message.id) > MAX_ID_CHARS or (self._checked and message.id.lower() != self.id.lower()):
            raise e.RemoteProtocolError(e.SESSION_ID)
        expected = self.clientseq + 1
        if message.seq != expected:
            raise e.RemoteProtocolError(e.SEQUENCE, f"sequence number {message.seq} where {expected} was expected")
        serverseq = message.peerseq if isinstance(message, m.UnknownMessage) else message.serverseq
        if serverseq > self.seq:
            detail = f"serverseq {serverseq} where no more than {self.seq} was sent"
            raise e.RemoteProtocolError(e.SERVERSEQ, detail)
        self.id = message.id
        self._checked = True
        self.clientseq = message.seq
