"""The life of a Realtime session and of its default conversation, as tables.

A session (openai-realtime.md §1.7, §3)::

    CONNECTING --socket open--> CREATING --session.created--> CONFIGURING --session.updated--> READY
    CONNECTING --adopted--> READY
        any of them --refused, lost or closed--> CLOSED

"Connected" is true only after `session.created`, "usable" only after a `session.updated` that echoes what was asked.
In between the server still believes in 24 kHz PCM, so no audio may flow (trap 16).

A warm session was created, and configured for the same agent, before there was a call. The call adopts it: the formats
are in force already, so it is READY at once, and what the call asks for is done after its own session.update, which
goes out first. Until the session.updated of that, READY is on approval: a wrong format or voice in the echo, an error
that answers the update, or no echo in time refuse the session as they would in CONFIGURING.

The default conversation has one response at a time (§5.2). Two machines share the work, because a response of turn
detection can begin while our own request is on its way:

- the *floor*, who speaks now: FREE --created--> ACTIVE --cancel sent--> CANCELLING --done--> FREE, and BLOCKED when
  the server says "busy" though we know of no response;
- the *request*, our one unanswered `response.create`: NONE --sent--> REQUESTED --wish to cancel--> REVOKED
  --answer--> NONE.

A new `response.create` goes out only when the floor is FREE and the request is NONE. Out-of-band responses
(`conversation: "none"`) run beside and need neither.
"""

import enum


class SessionState(enum.Enum):
    """Where a session is in its life."""

    CONNECTING = "connecting"
    """The socket is not open yet."""
    CREATING = "creating"
    """The socket is open; waiting for session.created."""
    CONFIGURING = "configuring"
    """Our session.update is on its way; waiting for session.updated."""
    READY = "ready"
    """The settings are in force; audio may flow."""
    CLOSED = "closed"
    """Refused, lost or closed; nothing more comes or goes."""


class SessionInput(enum.Enum):
    """What moves a session on."""

    SOCKET_OPENED = "socket opened"
    ADOPTED = "adopted"
    CREATED = "session.created"
    UPDATED = "session.updated"
    ENDED = "refused, lost or closed"


SESSION_TABLE: dict[tuple[SessionState, SessionInput], SessionState] = {
    (SessionState.CONNECTING, SessionInput.SOCKET_OPENED): SessionState.CREATING,
    (SessionState.CONNECTING, SessionInput.ADOPTED): SessionState.READY,
    (SessionState.CREATING, SessionInput.CREATED): SessionState.CONFIGURING,
    (SessionState.CONFIGURING, SessionInput.UPDATED): SessionState.READY,
    (SessionState.CONNECTING, SessionInput.ENDED): SessionState.CLOSED,
    (SessionState.CREATING, SessionInput.ENDED): SessionState.CLOSED,
    (SessionState.CONFIGURING, SessionInput.ENDED): SessionState.CLOSED,
    (SessionState.READY, SessionInput.ENDED): SessionState.CLOSED,
}
"""Every step of a session; what is not listed changes nothing."""


class Floor(enum.Enum):
    """Which response of the default conversation is running, as far as we know."""

    FREE = "free"
    ACTIVE = "active"
    CANCELLING = "cancelling"
    BLOCKED = "blocked"


class FloorInput(enum.Enum):
    """What moves the floor."""

    CREATED = "response.created"
    CANCEL_SENT = "response.cancel sent"
    DONE = "response.done"
    BUSY = "conversation_already_has_active_response"
    TIMED_OUT = "no response.done in time"


FLOOR_TABLE: dict[tuple[Floor, FloorInput], Floor] = {
    (Floor.FREE, FloorInput.CREATED): Floor.ACTIVE,
    (Floor.ACTIVE, FloorInput.CREATED): Floor.ACTIVE,  # one at a time: the former must be over
    (Floor.CANCELLING, FloorInput.CREATED): Floor.ACTIVE,
    (Floor.BLOCKED, FloorInput.CREATED): Floor.ACTIVE,
    (Floor.ACTIVE, FloorInput.CANCEL_SENT): Floor.CANCELLING,
    (Floor.ACTIVE, FloorInput.DONE): Floor.FREE,
    (Floor.CANCELLING, FloorInput.DONE): Floor.FREE,
    (Floor.BLOCKED, FloorInput.DONE): Floor.FREE,  # a response.done without created is tolerated
    (Floor.FREE, FloorInput.BUSY): Floor.BLOCKED,
    (Floor.CANCELLING, FloorInput.TIMED_OUT): Floor.FREE,
    (Floor.BLOCKED, FloorInput.TIMED_OUT): Floor.FREE,
}
"""Every step of the floor; what is not listed changes nothing."""


class Request(enum.Enum):
    """What became of our one unanswered `response.create`."""

    NONE = "none"
    REQUESTED = "requested"
    REVOKED = "revoked"


class RequestInput(enum.Enum):
    """What moves the request."""

    SENT = "response.create sent"
    REVOKED = "cancel wished before response.created"
    ANSWERED = "response.created, refusal or no answer in time"


REQUEST_TABLE: dict[tuple[Request, RequestInput], Request] = {
    (Request.NONE, RequestInput.SENT): Request.REQUESTED,
    (Request.REQUESTED, RequestInput.REVOKED): Request.REVOKED,
    (Request.REQUESTED, RequestInput.ANSWERED): Request.NONE,
    (Request.REVOKED, RequestInput.ANSWERED): Request.NONE,
}
"""Every step of the request; what is not listed changes nothing."""
