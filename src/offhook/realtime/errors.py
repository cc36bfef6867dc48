"""What can go wrong on the Realtime leg: exceptions, our stable codes, and how to read the server's codes.

Our own texts are fixed and never quote a message: what a caller said must not reach a log (design.md §5).
"""

import enum
import re

CODES: dict[str, str] = {
    "OH-RT-01": "the server sent an event that cannot be read",
    "OH-RT-02": "the server did not create the session in time",
    "OH-RT-03": "the server did not confirm the session settings in time",
    "OH-RT-04": "the server did not take over the audio format",
    "OH-RT-05": "the server did not take over the voice",
    "OH-RT-06": "the server refused the session settings",
    "OH-RT-07": "the server refuses this account, key or model",
    "OH-RT-08": "the server failed while the session was set up",
    "OH-RT-09": "the server reported an error",
    "OH-RT-10": "the server did not answer a request for a response",
    "OH-RT-11": "too many requests for a response are waiting",
    "OH-RT-12": "a response is in progress already",
    "OH-RT-13": "the server refused a request for a response",
    "OH-RT-14": "the request for a response was withdrawn",
    "OH-RT-15": "the server fell silent while it owed an answer",
}
"""Every code that this core puts into an event, with its text."""


class RealtimeError(Exception):
    """Root of the exceptions of this package."""


class LocalError(RealtimeError):
    """The caller of the core did something that the protocol does not allow now."""


class MalformedEvent(RealtimeError):
    """A message that is not an event: no JSON, too large, too deep, or fields of the wrong type.

    The text never quotes the message. `type` and `event_id` are those of the message where they could be read,
    `param` is the path of the field at fault, as an API error would name it.
    """

    code = "OH-RT-01"

    def __init__(self, problem: str, *, type: str | None = None, event_id: str | None = None, param: str | None = None):
        super().__init__(problem)
        self.problem = problem
        self.type = type
        self.event_id = event_id
        self.param = param


class Severity(enum.Enum):
    """What an error code of the server means for the call (§7)."""

    FATAL = "fatal"
    """No retry will help: stop, apologise, transfer."""
    RETRYABLE = "retryable"
    """The service or the session, not the request: another try or another session can work."""
    BENIGN = "benign"
    """A race that is expected, or a bug of ours that the session survives."""


FATAL_CODES = frozenset(
    {
        "account_deactivated",
        "beta_api_shape_disabled",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "invalid_api_key",
        "model_not_found",
    }
)
RETRYABLE_CODES = frozenset(
    {
        "inference_rate_limit_exceeded",
        "internal_error",
        "rate_limit_exceeded",
        "server_error",
        "session_expired",
    }
)

ACTIVE_RESPONSE = "conversation_already_has_active_response"
"""The refusal of a second response in the default conversation (§5.2)."""

CANCEL_NOT_ACTIVE = "response_cancel_not_active"
"""A cancel that met no response; expected in every race (§4.6)."""


def severity(code: str | None, type: str | None = None) -> Severity:
    """Judge an error by its code; the `type` decides only when the code says nothing (trap 18)."""
    if code in FATAL_CODES:
        return Severity.FATAL
    if code in RETRYABLE_CODES or (code is None and type == "server_error"):
        return Severity.RETRYABLE
    return Severity.BENIGN


# RFC 6455 and the API's own close codes after which the same request would only fail again: protocol and policy
# errors, 3000 = bad key, 4000 = beta shape (§1.7). All others, also no close frame at all, are worth another try.
_FINAL_CLOSE_CODES = frozenset({1002, 1003, 1007, 1008, 1010, 3000, 3003, 4000})


def close_is_retryable(code: int | None, reason: str) -> bool:
    """Tell whether a new socket may work after this close.

    Args:
        code: The WebSocket close code, None when the socket broke without a close frame.
        reason: The text of the close frame, such as "invalid_request_error.invalid_api_key".
    """
    return code not in _FINAL_CLOSE_CODES and reason.rsplit(".", 1)[-1] not in FATAL_CODES


_CODE_SHAPE = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)


def safe_code(code: str | None, fallback: str = "OH-RT-09") -> str:
    """Return the server's code when it looks like a code, else ours; free text never passes as a code."""
    return code if code is not None and _CODE_SHAPE.fullmatch(code) else fallback


def bounded(text: str | None, limit: int = 500) -> str:
    """Cut a text of the server, so that one message cannot flood what stores it."""
    return (text or "")[:limit]
