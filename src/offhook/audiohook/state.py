"""The state machines of an AudioHook session, both roles. All transitions are here and nowhere else.

A session is in one state. Three things move it: a message that is received, a message that is sent, a signal (the
socket is gone, a deadline has passed). Each has a table ``state → trigger → next state``; what is not in a table is not
allowed there, and the session turns it into an error.

Server (we answer Genesys)::

    AWAITING_OPEN ──open──▶ OPENING ──opened──▶ OPEN ──disconnect──▶ DISCONNECTING
          │                    │                  │                        │
          └───────close────────┴──────close───────┴─────────close──────────┴──▶ CLOSED ──socket gone──▶ ENDED

* ``opened`` is sent once; ``disconnect`` may take its place (a refusal) and is sent once, from any state before CLOSED.
* ``closed`` answers ``close`` at once in every state, also before ``opened`` (audiohook.md §3.7 no. 3).
* The client drops the socket. Only when it does not, a deadline moves DISCONNECTING or CLOSED to ENDED.

Client (we play Genesys)::

    IDLE ──open──▶ OPENING ──opened──▶ OPEN ──disconnect──▶ DISCONNECTING
                      │                  │                        │
                      └───────close──────┴──────────close─────────┴──▶ CLOSING ──closed──▶ CLOSED ──▶ ENDED

A second ``open`` and messages in OPENING that make sense only later stay in the tables as self-loops: the server role
ignores them (lenient). The client role has no such loops (strict).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

from offhook.audiohook import messages as m


class ServerState(Enum):
    """States of the server role."""

    AWAITING_OPEN = "awaiting_open"
    """Socket is up, nothing valid received yet."""
    OPENING = "opening"
    """``open`` received, ``opened`` not sent yet."""
    OPEN = "open"
    """Audio and events flow."""
    DISCONNECTING = "disconnecting"
    """``disconnect`` sent, ``close`` not received yet."""
    CLOSED = "closed"
    """``closed`` sent; the client is to drop the socket."""
    ENDED = "ended"
    """The socket is gone or is being dropped."""


class ClientState(Enum):
    """States of the client role."""

    IDLE = "idle"
    """Socket is up, ``open`` not sent yet."""
    OPENING = "opening"
    """``open`` sent, no answer yet."""
    OPEN = "open"
    """Audio and events flow."""
    DISCONNECTING = "disconnecting"
    """``disconnect`` received, ``close`` not sent yet."""
    CLOSING = "closing"
    """``close`` sent, ``closed`` not received yet."""
    CLOSED = "closed"
    """``closed`` received; the socket is to be dropped."""
    ENDED = "ended"
    """The socket is gone or is being dropped."""


class Signal(Enum):
    """What moves a session besides messages."""

    SOCKET_GONE = "socket gone"
    DEADLINE = "deadline passed"


_S = ServerState
_C = ClientState

_IN_CALL: tuple[type[m.ClientMessage], ...] = (
    m.Open,
    m.Ping,
    m.Update,
    m.Paused,
    m.Resumed,
    m.Discarded,
    m.Error,
    m.Dtmf,
    m.PlaybackStarted,
    m.PlaybackCompleted,
)

SERVER_RECEIVES: dict[ServerState, dict[type[m.ClientMessage], ServerState]] = {
    _S.AWAITING_OPEN: {m.Open: _S.OPENING, m.Close: _S.CLOSED, m.Error: _S.AWAITING_OPEN},
    _S.OPENING: dict.fromkeys(_IN_CALL, _S.OPENING) | {m.Close: _S.CLOSED},
    _S.OPEN: dict.fromkeys(_IN_CALL, _S.OPEN) | {m.Close: _S.CLOSED},
    _S.DISCONNECTING: dict.fromkeys(_IN_CALL, _S.DISCONNECTING) | {m.Close: _S.CLOSED},
    _S.CLOSED: {},
    _S.ENDED: {},
}
"""What the server role may receive. `Close` leads to CLOSED since ``closed`` goes out with it."""

SERVER_SENDS: dict[ServerState, dict[type[m.ServerMessage], ServerState]] = {
    _S.AWAITING_OPEN: {m.Disconnect: _S.DISCONNECTING},
    _S.OPENING: {m.Opened: _S.OPEN, m.Disconnect: _S.DISCONNECTING},
    _S.OPEN: {
        m.Pong: _S.OPEN,
        m.Updated: _S.OPEN,
        m.Event: _S.OPEN,
        m.Pause: _S.OPEN,
        m.Resume: _S.OPEN,
        m.Disconnect: _S.DISCONNECTING,
    },
    _S.DISCONNECTING: {m.Pong: _S.DISCONNECTING, m.Updated: _S.DISCONNECTING},
    _S.CLOSED: {m.Closed: _S.CLOSED},
    _S.ENDED: {},
}
"""What the server role may send. `Reconnect` is nowhere: Audio Connector has none (trap 47)."""

SERVER_SIGNALS: dict[ServerState, dict[Signal, ServerState]] = {
    _S.AWAITING_OPEN: {Signal.SOCKET_GONE: _S.ENDED},
    _S.OPENING: {Signal.SOCKET_GONE: _S.ENDED},
    _S.OPEN: {Signal.SOCKET_GONE: _S.ENDED},
    _S.DISCONNECTING: {Signal.SOCKET_GONE: _S.ENDED, Signal.DEADLINE: _S.ENDED},
    _S.CLOSED: {Signal.SOCKET_GONE: _S.ENDED, Signal.DEADLINE: _S.ENDED},
    _S.ENDED: {},
}
"""Deadlines in the first three states send a `Disconnect`, so they are no signals of their own."""

_WHILE_OPEN: tuple[type[m.ServerMessage], ...] = (m.Pong, m.Updated, m.Pause, m.Resume, m.Reconnect, m.Event)

CLIENT_RECEIVES: dict[ClientState, dict[type[m.ServerMessage], ClientState]] = {
    _C.IDLE: {},
    _C.OPENING: {m.Opened: _C.OPEN, m.Disconnect: _C.DISCONNECTING},
    _C.OPEN: dict.fromkeys(_WHILE_OPEN, _C.OPEN) | {m.Disconnect: _C.DISCONNECTING},
    _C.DISCONNECTING: {m.Pong: _C.DISCONNECTING, m.Updated: _C.DISCONNECTING},
    # What the server sent before it saw our `close` is still under way.
    _C.CLOSING: dict.fromkeys((*_WHILE_OPEN, m.Opened, m.Disconnect), _C.CLOSING) | {m.Closed: _C.CLOSED},
    _C.CLOSED: {},
    _C.ENDED: {},
}
"""What the client role may receive."""

_SENT_WHILE_OPEN: tuple[type[m.ClientMessage], ...] = (
    m.Ping,
    m.Update,
    m.Paused,
    m.Resumed,
    m.Discarded,
    m.Error,
    m.Dtmf,
    m.PlaybackStarted,
    m.PlaybackCompleted,
)

CLIENT_SENDS: dict[ClientState, dict[type[m.ClientMessage], ClientState]] = {
    _C.IDLE: {m.Open: _C.OPENING},
    _C.OPENING: {m.Error: _C.OPENING, m.Close: _C.CLOSING},
    _C.OPEN: dict.fromkeys(_SENT_WHILE_OPEN, _C.OPEN) | {m.Close: _C.CLOSING},
    _C.DISCONNECTING: {
        m.Error: _C.DISCONNECTING,
        m.PlaybackStarted: _C.DISCONNECTING,
        m.PlaybackCompleted: _C.DISCONNECTING,
        m.Close: _C.CLOSING,
    },
    _C.CLOSING: {m.Error: _C.CLOSING},
    _C.CLOSED: {},
    _C.ENDED: {},
}
"""What the client role may send. No audio and nothing but `Error` follows `Close`."""

CLIENT_SIGNALS: dict[ClientState, dict[Signal, ClientState]] = {
    _C.IDLE: {Signal.SOCKET_GONE: _C.ENDED},
    _C.OPENING: {Signal.SOCKET_GONE: _C.ENDED},
    _C.OPEN: {Signal.SOCKET_GONE: _C.ENDED},
    _C.DISCONNECTING: {Signal.SOCKET_GONE: _C.ENDED},
    _C.CLOSING: {Signal.SOCKET_GONE: _C.ENDED, Signal.DEADLINE: _C.ENDED},
    _C.CLOSED: {Signal.SOCKET_GONE: _C.ENDED},
    _C.ENDED: {},
}
"""The socket is gone from any state; a missing ``closed`` ends the session."""


def wire_name(message: type[m.ClientMessage] | type[m.ServerMessage]) -> str:
    """Return the `type` of a message class on the wire, e.g. ``playback_started``."""
    return str(message.__struct_config__.tag)


def edges(role: Literal["server", "client"]) -> list[tuple[str, str, str]]:
    """Return the state diagram of one role as ``(from, label, to)``, in a stable order.

    Labels are ``receives <type>``, ``sends <type>`` and the texts of the signals.
    """
    if role == "server":
        return _edges(SERVER_RECEIVES, SERVER_SENDS, SERVER_SIGNALS)
    return _edges(CLIENT_RECEIVES, CLIENT_SENDS, CLIENT_SIGNALS)


def _edges(
    receives: Mapping[Any, Mapping[Any, Enum]],
    sends: Mapping[Any, Mapping[Any, Enum]],
    signals: Mapping[Any, Mapping[Signal, Enum]],
) -> list[tuple[str, str, str]]:
    """Flatten the three tables of one role."""
    found: list[tuple[str, str, str]] = []
    for state in receives:
        found += [(state.name, f"receives {wire_name(type_)}", to.name) for type_, to in receives[state].items()]
        found += [(state.name, f"sends {wire_name(type_)}", to.name) for type_, to in sends[state].items()]
        found += [(state.name, signal.value, to.name) for signal, to in signals[state].items()]
    return found
