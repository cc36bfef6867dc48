"""Errors of the AudioHook core and the table of their stable codes.

    AudioHookError
    ├── LocalProtocolError            we called the session in a way the protocol does not allow
    └── RemoteProtocolError           the peer broke the rules (code, status, info)
        └── MalformedMessage          ... with a message that cannot be read at all

No session raises a `RemoteProtocolError`: the peer's faults come out as events (`ProtocolViolated`, `ServerViolated`).
Only the functions of `offhook.audiohook.codec` raise it.
"""

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """One rule of the protocol that a peer can break."""

    status: int
    """AudioHook error number that fits (audiohook.md §3.5)."""
    text: str
    """The rule in one line, for the docs and for people who read a `disconnect` info."""


MALFORMED = "OH-HOOK-01"
VERSION_MISMATCH = "OH-HOOK-02"
SEQUENCE = "OH-HOOK-03"
SERVERSEQ = "OH-HOOK-04"
SESSION_ID = "OH-HOOK-05"
UNEXPECTED = "OH-HOOK-06"
BAD_PARAMETERS = "OH-HOOK-07"
TOO_LARGE = "OH-HOOK-08"
NO_MEDIA = "OH-HOOK-09"
ORGANIZATION = "OH-HOOK-10"
FLOOD = "OH-HOOK-11"
OPEN_TIMEOUT = "OH-HOOK-12"
UNEXPECTED_AUDIO = "OH-HOOK-13"
TOO_DEEP = "OH-HOOK-14"
SILENT_PEER = "OH-HOOK-15"

NOT_OPENED_FIRST = "OH-HOOK-30"
CLIENTSEQ = "OH-HOOK-31"
PONG_CLIENTSEQ = "OH-HOOK-32"
MEDIA_NOT_OFFERED = "OH-HOOK-33"
UNKNOWN_FIELD = "OH-HOOK-34"
UNKNOWN_TYPE = "OH-HOOK-35"
DISCONNECT_REASON = "OH-HOOK-36"
OUTPUT_VARIABLES = "OH-HOOK-37"
EMPTY_ENTITIES = "OH-HOOK-38"
UNKNOWN_ENTITY = "OH-HOOK-39"
AUDIO_STATE = "OH-HOOK-40"
AFTER_CLOSED = "OH-HOOK-41"
RATE_LIMIT = "OH-HOOK-42"
OPENED_TIMEOUT = "OH-HOOK-43"
PONG_TIMEOUT = "OH-HOOK-44"
CLOSED_TIMEOUT = "OH-HOOK-45"
SOCKET_CLOSED = "OH-HOOK-46"

CODES: dict[str, Rule] = {
    # either side
    MALFORMED: Rule(400, "a text message is one JSON object with version, id, type, seq and parameters"),
    VERSION_MISMATCH: Rule(400, 'version is the string "2"'),
    SEQUENCE: Rule(400, "seq begins at 1 and grows by 1 with every text message; audio does not count"),
    SERVERSEQ: Rule(400, "serverseq is the seq of a message that the server has sent"),
    SESSION_ID: Rule(400, "id is the session ID of the upgrade request in every message"),
    UNEXPECTED: Rule(409, "the message does not belong into this state of the session"),
    BAD_PARAMETERS: Rule(400, "the parameters of a message have the documented names and types"),
    TOO_LARGE: Rule(413, "a message is no larger than the limit"),
    # the client's rules
    NO_MEDIA: Rule(415, "an offer holds PCMU or L16 at 8000 Hz with the external channel"),
    ORGANIZATION: Rule(405, "organizationId of open equals the header Audiohook-Organization-Id"),
    FLOOD: Rule(429, "text messages come at no more than 50 a second, audio about as fast as it is spoken"),
    OPEN_TIMEOUT: Rule(408, "open follows within 10 s of the upgrade"),
    UNEXPECTED_AUDIO: Rule(415, "audio comes after opened and in sessions with media only"),
    TOO_DEEP: Rule(400, "JSON is nested no deeper than 64 levels"),
    SILENT_PEER: Rule(408, "a live peer sends audio or a ping every few seconds"),
    # the server's rules, checked by the client role
    NOT_OPENED_FIRST: Rule(409, "the first message of a server is opened or disconnect"),
    CLIENTSEQ: Rule(400, "clientseq is the seq of a message that the client has sent"),
    PONG_CLIENTSEQ: Rule(400, "clientseq of pong is the seq of the ping it answers"),
    MEDIA_NOT_OFFERED: Rule(400, "opened holds at most one media, copied unchanged from the offer"),
    UNKNOWN_FIELD: Rule(400, "a server sends no field that the protocol does not define"),
    UNKNOWN_TYPE: Rule(400, "a server sends no message type that the protocol does not define"),
    DISCONNECT_REASON: Rule(400, "the reason of disconnect is completed, unauthorized or error"),
    OUTPUT_VARIABLES: Rule(400, "outputVariables is a flat object of strings and part of disconnect only"),
    EMPTY_ENTITIES: Rule(400, "entities of event is not empty"),
    UNKNOWN_ENTITY: Rule(400, "an entity is barge_in, bot_turn_response, transcript or agentassist"),
    AUDIO_STATE: Rule(415, "a server sends audio between opened and disconnect only, and only with media"),
    AFTER_CLOSED: Rule(409, "closed is the last message of a server"),
    RATE_LIMIT: Rule(429, "a server sends 5 text and 5 binary messages a second on average, 25 in a burst"),
    OPENED_TIMEOUT: Rule(408, "opened follows within 5 s of open"),
    PONG_TIMEOUT: Rule(408, "pong follows before the next ping is due"),
    CLOSED_TIMEOUT: Rule(408, "closed follows within 10 s of close"),
    SOCKET_CLOSED: Rule(500, "the client closes the socket, the server never does"),
}
"""Every code a session can report, with its meaning. Codes are never given a new meaning."""


class AudioHookError(Exception):
    """Root of all errors of this package."""


class LocalProtocolError(AudioHookError):
    """We used a session against the protocol: wrong state, wrong value. A bug on our side."""


class RemoteProtocolError(AudioHookError):
    """The peer broke the protocol.

    Args:
        code: a key of `CODES`.
        detail: what was seen, one line without personal data; the rule's text when left out.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.status = CODES[code].status
        """AudioHook error number (audiohook.md §3.5)."""
        self.info = f"{code} {detail or CODES[code].text}"
        """One line that begins with the code."""
        super().__init__(self.info)


class MalformedMessage(RemoteProtocolError):
    """A message that cannot be read."""
