"""A wish for a response, and the mark by which its response is recognised."""

from typing import Final

import msgspec

from offhook.realtime.client_events import ResponseCreateEvent
from offhook.realtime.config import ResponseParams, Tool, ToolChoice
from offhook.realtime.items import InputItem
from offhook.realtime.wire import Maybe, T

METADATA_KEY: Final = "offhook"
"""Where a response carries the mark of the request it answers."""

_MAX_METADATA_VALUE: Final = 512  # characters, §5.5


class ResponseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A response that somebody here wants; None leaves a setting to the session.

    `tag` names the wish in events ("greeting", "tool"); it goes to OpenAI as metadata and holds no personal data.
    Waiting requests with the same tag become one. `instructions` replace those of the session (trap 22).
    `only_if_idle` drops the request instead of letting it wait. `conversation="none"` is an out-of-band response.
    """

    tag: str
    instructions: str | None = None
    input: tuple[InputItem, ...] | None = None
    tool_choice: str | ToolChoice | None = None
    tools: tuple[Tool, ...] | None = None
    output_modalities: tuple[str, ...] | None = None
    max_output_tokens: int | str | None = None
    conversation: str = "auto"
    only_if_idle: bool = False
    metadata: dict[str, str] | None = None


class Mark(msgspec.Struct, frozen=True):
    """What the metadata of a response says about the request it answers."""

    event_id: str
    beside: bool
    tag: str


def create_event(request: ResponseRequest, event_id: str) -> ResponseCreateEvent:
    """Make the `response.create` of a request; its metadata repeats the event id (§5.2)."""
    lane = "beside" if request.conversation == "none" else "default"
    mark = f"{event_id}/{lane}/{request.tag}"[:_MAX_METADATA_VALUE]
    params = ResponseParams(
        conversation=_sent("none" if lane == "beside" else None),
        input=_sent(request.input),
        instructions=_sent(request.instructions),
        output_modalities=_sent(request.output_modalities),
        tools=_sent(request.tools),
        tool_choice=_sent(request.tool_choice),
        max_output_tokens=_sent(request.max_output_tokens),
        metadata={**(request.metadata or {}), METADATA_KEY: mark},
    )
    return ResponseCreateEvent(event_id=event_id, response=params)


def read_mark(metadata: dict[str, str] | None) -> Mark | None:
    """Find our mark in the metadata of a response; responses of turn detection have none."""
    value = (metadata or {}).get(METADATA_KEY, "")
    event_id, first, rest = value.partition("/")
    lane, second, tag = rest.partition("/")
    return Mark(event_id, lane == "beside", tag) if first and second else None


def _sent(value: T | None) -> Maybe[T]:
    return msgspec.UNSET if value is None else value
