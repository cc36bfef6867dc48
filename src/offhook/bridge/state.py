"""States of a call, as a table.

    WAITING ──open──▶ SELECTING ──accept──▶ CONNECTING ──session ready──▶ TALKING
       │                  │  └──accept (listen)──▶ LISTENING                 │
       │                  └──refuse──▶ DISCONNECTING ◀──all was heard── ENDING ◀── the agent, a limit, a lost AI
       └──probe──▶ PROBED                    │
                                           close ──▶ CLOSED ──socket gone──▶ ENDED

Any state may go to CLOSED (Genesys closed), DISCONNECTING (a rule was broken) and ENDED (socket gone).
"""

from enum import Enum


class CallState(Enum):
    """Where a call stands."""

    WAITING = "waiting"
    """Genesys has connected; no `open` yet."""
    PROBED = "probed"
    """A connection probe: answered without an agent."""
    SELECTING = "selecting"
    """`open` is here; the shell names the agent."""
    CONNECTING = "connecting"
    """`opened` is sent; the Realtime leg is being set up, caller audio is held."""
    TALKING = "talking"
    """Caller and agent talk."""
    LISTENING = "listening"
    """A listen-only agent: audio is taken and nothing is said."""
    ENDING = "ending"
    """We are about to end it: what the caller was promised is still played."""
    DISCONNECTING = "disconnecting"
    """`disconnect` is sent; Genesys answers with `close`."""
    CLOSED = "closed"
    """`closed` is sent; Genesys drops the socket."""
    ENDED = "ended"
    """The socket is gone; everything is freed."""


_S = CallState
_ALWAYS = frozenset({_S.DISCONNECTING, _S.CLOSED, _S.ENDED})

TRANSITIONS: dict[CallState, frozenset[CallState]] = {
    _S.WAITING: _ALWAYS | {_S.SELECTING, _S.PROBED},
    _S.PROBED: _ALWAYS,
    _S.SELECTING: _ALWAYS | {_S.CONNECTING, _S.LISTENING},
    _S.CONNECTING: _ALWAYS | {_S.TALKING, _S.ENDING},
    _S.TALKING: _ALWAYS | {_S.ENDING},
    _S.LISTENING: _ALWAYS,
    _S.ENDING: _ALWAYS,
    _S.DISCONNECTING: frozenset({_S.CLOSED, _S.ENDED}),
    _S.CLOSED: frozenset({_S.ENDED}),
    _S.ENDED: frozenset(),
}
"""Every step that a call may take; nothing else changes the state."""


def edges() -> list[tuple[str, str]]:
    """The transitions as pairs of names, for the diagram in the documentation."""
    return [(source.name, target.name) for source in TRANSITIONS for target in sorted(TRANSITIONS[source], key=str)]
