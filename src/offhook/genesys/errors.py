"""What can go wrong with a request to the Platform API, and whether the request may have taken effect all the same.

No text of an error holds anything of an answer or of a request. What Genesys says is in `Refused.message` alone, which
is for the model and not for a log.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

#: Characters of a message of Genesys that are used.
MAX_MESSAGE_CHARS = 200

_MACHINE_CODE = re.compile(r"[A-Za-z._]{1,64}")
_ID = re.compile(r"\[?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\]?")
#: What stands before the message proper, and where a message turns into what a back end said or into advice for admins.
_BEFORE = "REST call for action execute failed. Message:"
_AFTER = ("{", "<", "Response from web service:", "To see error details,")
_MAX_READ = 2000


class PlatformError(Exception):
    """A request did not bring what it was made for; ``code`` is in :mod:`offhook.errors`."""

    code: ClassVar[str] = ""

    def __init__(self, text: str, *, reason: str = "", context_id: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        """The status and Genesys' own code of the error, for the log."""
        self.context_id = context_id
        """By which Genesys finds the request, for the log."""


class SignInRefused(PlatformError):
    """Genesys gives out no token for the client ID and the secret. The request was not made."""

    code = "OH-GEN-01"


class NotPermitted(PlatformError):
    """The OAuth client lacks a permission. The request was refused before it took effect."""

    code = "OH-GEN-02"


class UnknownAction(PlatformError):
    """There is no data action of this ID. Nothing took effect."""

    code = "OH-GEN-03"


class Unreachable(PlatformError):
    """The request was not made: no connection, or no token. Nothing took effect."""

    code = "OH-GEN-04"


class Unanswered(PlatformError):
    """No answer, or a failure of the server: whether the request took effect is not known."""

    code = "OH-GEN-05"


class RateLimited(PlatformError):
    """Genesys limits the rate. The request was refused before it took effect."""

    code = "OH-GEN-06"

    def __init__(self, text: str, *, wait: float | None = None, reason: str = "", context_id: str = "") -> None:
        super().__init__(text, reason=reason, context_id=context_id)
        self.wait = wait
        """Seconds after which Genesys takes the request; None if it gave a time that cannot be read."""


class Unreadable(PlatformError):
    """The answer is not what the documentation promises. The request did take effect."""

    code = "OH-GEN-07"


class Refused(PlatformError):
    """Genesys refused the request, or the action failed at its back end: ``message`` says why."""

    code = "OH-GEN-08"

    def __init__(
        self, text: str, *, message: str = "", of_action: bool = False, reason: str = "", context_id: str = ""
    ) -> None:
        super().__init__(text, reason=reason, context_id=context_id)
        self.message = message
        self.of_action = of_action
        """The action was run, and it failed; else Genesys did not run it."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What Genesys says in the answer to a request that failed."""

    message: str = field(default="", repr=False)
    """Its words, without IDs and without what a back end said; may be empty."""
    of_action: bool = False
    """The action was run and failed: the status is that of the action's back end, also 401, 404 and 429."""
    reason: str = ""
    """Its code of the error, like ``bad.request``."""
    context_id: str = ""

    @classmethod
    def read(cls, document: Any) -> "ErrorBody":
        """Read the body of an error; whatever is not as documented is left out."""
        if not isinstance(document, Mapping):
            return cls()
        details = _list(document.get("details"))
        codes = [str(detail.get("errorCode", "")) for detail in details if isinstance(detail, Mapping)]
        reason = document.get("code")
        context_id = document.get("contextId")
        return cls(
            message=_message(document),
            # "ACTION.REMOTE_ENDPOINT", "ACTION.AUTHENTICATION", "ACTION.PROCESSING"
            of_action=any(code.startswith("ACTION.") for code in codes),
            reason=reason if isinstance(reason, str) and _MACHINE_CODE.fullmatch(reason) else "",
            context_id=context_id if isinstance(context_id, str) and _ID.fullmatch(context_id) else "",
        )


def _message(document: Mapping[Any, Any]) -> str:
    """Return the most particular message: that of the error within, as the outer one is the same for a whole status."""
    within = [error.get("message") for error in _list(document.get("errors")) if isinstance(error, Mapping)]
    found = (_shown(text) for text in [*within[:1], document.get("message")] if isinstance(text, str))
    return next((text for text in found if text), "")


def _shown(message: str) -> str:
    text = message[:_MAX_READ].removeprefix(_BEFORE)
    for mark in _AFTER:
        text = text.partition(mark)[0]
    words = " ".join(_ID.sub("", text).split())
    return words if len(words) <= MAX_MESSAGE_CHARS else f"{words[: MAX_MESSAGE_CHARS - 1]}…"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
