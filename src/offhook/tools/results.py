"""From what a tool returned to what the call gets of it."""

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any, Literal

from pydantic_core import to_json, to_jsonable_python

from offhook.bridge.commands import ToolOutcome
from offhook.tools.base import ToolPolicy, ToolResult
from offhook.tools.redaction import redact_text

#: Characters of an error that the model gets to read, and of a reason or target that a tool gives.
MAX_ERROR_CHARS = 500


TOO_LONG = "the tool was run, but its result is too long"


class ResultRefused(Exception):
    """The model cannot be given this result; its text says why."""


def as_text(content: Any) -> str:
    """Return text as it is, everything else as JSON."""
    text = content if isinstance(content, str) else _as_json(content)
    # A half of a pair of code units, which JSON can write, fits no message.
    return text if text.isascii() else text.encode(errors="replace").decode()


def _as_json(content: Any) -> str:
    try:
        return to_json(content, inf_nan_mode="null").decode()
    except ValueError:  # one of its texts may have such a half in it
        plain = to_jsonable_python(content, inf_nan_mode="null")
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def readable(content: Any, policy: ToolPolicy) -> str:
    """Return what the model reads of a result.

    Raises:
        ResultRefused: it is too long, or things are to be taken out of what is not JSON.
    """
    limit = policy.max_result_bytes
    if _exceeds(content, limit):
        raise ResultRefused(TOO_LONG)
    text = _bounded(as_text(content), limit)
    if not policy.redact:
        return text
    redacted = redact_text(text, policy.redact)
    if redacted is None:
        raise ResultRefused("the tool was run, but its result is not JSON, so it cannot be shown")
    return _bounded(redacted, limit)


def _exceeds(content: Any, limit: int) -> bool:
    """Tell whether JSON data is certainly too long, after looking at no more of it than is allowed.

    To write many megabytes would take time that all calls share.
    """
    size, waiting = 0, [iter((content,))]
    while waiting and size <= limit:
        one = next(waiting[-1], waiting)
        if one is waiting:
            waiting.pop()
            continue
        size += len(one) if isinstance(one, str) else 1
        if isinstance(one, Mapping):
            waiting.append(chain.from_iterable(one.items()))
        elif isinstance(one, list | tuple):
            waiting.append(iter(one))
    return size > limit


def _bounded(text: str, limit: int) -> str:
    if len(text.encode()) > limit:
        raise ResultRefused(TOO_LONG)
    return text


def outcome_of(result: ToolResult, output: str, *, failed: bool = False) -> ToolOutcome:
    """Return what the call gets of a result, with `output` for the model."""
    end: Literal["completed", "escalated"] | None = None
    if result.escalate is not None:
        end = "escalated"
    elif result.end_call is not None:
        end = "completed"
    return ToolOutcome(
        output=output,
        outputs={
            as_text(name): as_text(value) if isinstance(value, str) else value for name, value in result.outputs.items()
        },
        end=end,
        reason=as_text(result.escalate or result.end_call or "")[:MAX_ERROR_CHARS],
        target=as_text(result.target)[:MAX_ERROR_CHARS],
        failed=failed,
    )


def error_text(problem: str) -> str:
    """Return the JSON text that tells the model of a problem."""
    return json.dumps({"error": as_text(problem)[:MAX_ERROR_CHARS]}, ensure_ascii=False)


def error_outcome(problem: str) -> ToolOutcome:
    """Return an outcome that tells the model what went wrong."""
    return ToolOutcome(output=error_text(problem), failed=True)
