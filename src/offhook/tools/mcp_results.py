"""What the model gets to read of an MCP server's answer."""

from mcp_types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    ResourceLink,
    TextContent,
)

from offhook.tools.base import ToolError, ToolResult

#: Characters of what a tool says when it fails, and of the name of something that is not shown.
MAX_TEXT_CHARS = 500
MAX_NAME_CHARS = 100


def read_result(answer: CallToolResult | InputRequiredResult, *, structured: bool = False) -> str | ToolResult:
    """Return the text of an answer, or its data if it has no text or if data are wanted.

    What is neither is named and not passed on.

    Args:
        answer: what the server said.
        structured: prefer data, from which single values can be taken out.

    Raises:
        ToolError: the tool failed, or asks something back.
    """
    if isinstance(answer, InputRequiredResult):
        raise ToolError("the tool asks something back, which it cannot do here")
    texts = [_text(block) for block in answer.content]
    spoken = any(isinstance(block, TextContent) and block.text for block in answer.content)
    if answer.is_error:
        raise ToolError("\n".join(texts)[:MAX_TEXT_CHARS] or "the tool failed")
    if answer.structured_content is not None and (structured or not spoken):
        return ToolResult(answer.structured_content)
    return "\n".join(texts) or "done"


def _text(block: object) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent() | AudioContent():
            return f"[{block.mime_type[:MAX_NAME_CHARS]}, not shown]"
        case ResourceLink():
            return f"[resource {str(block.uri)[:MAX_NAME_CHARS]}, not shown]"
        case EmbeddedResource():
            return f"[resource {str(block.resource.uri)[:MAX_NAME_CHARS]}, not shown]"
        case _:
            return "[content of an unknown kind, not shown]"
