"""Conversation items, the same in both directions (openai-realtime.md §2.3).

One struct per item `type`; `Item` is their sum. Lists of content are tuples, so items stay immutable.
Statuses and roles are plain strings: a value that is new to us must not make an event unreadable.
"""

from typing import TypeAlias

import msgspec
from msgspec import UNSET

from offhook.realtime.wire import Maybe


class ContentPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a message: input_text, input_audio, input_image, output_text or output_audio.

    `transcript` is null while a transcription is outstanding. `audio` is base64 and only present in retrieved items.
    """

    type: Maybe[str] = UNSET
    text: Maybe[str | None] = UNSET
    transcript: Maybe[str | None] = UNSET
    audio: Maybe[str | None] = UNSET
    image_url: Maybe[str | None] = UNSET
    detail: Maybe[str | None] = UNSET


class MessageItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A message of the system, the user or the assistant."""

    id: Maybe[str | None] = UNSET
    object: Maybe[str | None] = UNSET
    status: Maybe[str | None] = UNSET
    role: str
    content: tuple[ContentPart, ...] = ()


class FunctionCallItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    """A call of one of our function tools; `arguments` is JSON text, possibly cut short (§5.1)."""

    id: Maybe[str | None] = UNSET
    object: Maybe[str | None] = UNSET
    status: Maybe[str | None] = UNSET
    name: str
    call_id: Maybe[str | None] = UNSET
    arguments: str = ""


class FunctionCallOutputItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"):
    """The result of a function call; `output` must be a string (§5.1)."""

    id: Maybe[str | None] = UNSET
    object: Maybe[str | None] = UNSET
    status: Maybe[str | None] = UNSET
    call_id: str
    output: str


class McpListedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that an MCP server offers."""

    name: str
    input_schema: object = None
    description: Maybe[str | None] = UNSET
    annotations: Maybe[object] = UNSET


class McpListToolsItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_list_tools"):
    """The tools of an MCP server, usable from now on (§5.4)."""

    id: Maybe[str | None] = UNSET
    server_label: str
    tools: tuple[McpListedTool, ...] = ()


class McpError(msgspec.Struct, frozen=True, kw_only=True):
    """Why an MCP call failed: protocol_error and http_error have a code, tool_execution_error has none."""

    type: str
    message: str = ""
    code: Maybe[int] = UNSET


class McpCallItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_call"):
    """A tool call that OpenAI made at an MCP server (§5.4)."""

    id: Maybe[str] = UNSET
    server_label: str
    name: str
    arguments: str = ""
    approval_request_id: Maybe[str | None] = UNSET
    output: Maybe[str | None] = UNSET
    error: Maybe[McpError | None] = UNSET


class McpApprovalRequestItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_request"):
    """The server asks whether an MCP call may be made (§5.4)."""

    id: Maybe[str] = UNSET
    server_label: str
    name: str
    arguments: str = ""


class McpApprovalResponseItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_response"):
    """Our answer to an approval request (§5.4)."""

    id: Maybe[str] = UNSET
    approval_request_id: str
    approve: bool
    reason: Maybe[str | None] = UNSET


class ItemReference(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="item_reference"):
    """Points to an item of the conversation; only inside `response.create` input (§2.3)."""

    id: str


class UnknownItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="offhook.unknown_item"):
    """Stands for a received item of a type that this package does not know; never sent."""

    id: Maybe[str | None] = UNSET
    status: Maybe[str | None] = UNSET
    kind: str = ""


Item: TypeAlias = (
    MessageItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | McpListToolsItem
    | McpCallItem
    | McpApprovalRequestItem
    | McpApprovalResponseItem
    | UnknownItem
)
"""Everything a conversation can hold."""

InputItem: TypeAlias = Item | ItemReference
"""What `response.create` takes as input."""


def item_kind(item: InputItem) -> str:
    """Return the wire `type` of an item."""
    return item.kind if isinstance(item, UnknownItem) else str(item.__struct_config__.tag)


def system_message(text: str) -> MessageItem:
    """Make context that the model shall know but not answer (§5.3)."""
    return MessageItem(role="system", content=(ContentPart(type="input_text", text=text),))


def user_message(text: str) -> MessageItem:
    """Make a text turn of the caller, such as DTMF digits in words (§5.3)."""
    return MessageItem(role="user", content=(ContentPart(type="input_text", text=text),))


def assistant_message(text: str) -> MessageItem:
    """Make a restored turn of the agent; only `output_text` is accepted there (§5.3, trap 37)."""
    return MessageItem(role="assistant", content=(ContentPart(type="output_text", text=text),))
