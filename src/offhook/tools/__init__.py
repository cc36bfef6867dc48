"""What an agent may do besides talking: function tools, and the schemas of call control."""

from offhook.tools.base import (
    ArgumentsRefused,
    CallContext,
    Tool,
    ToolDefinition,
    ToolError,
    ToolPolicy,
    ToolResult,
    ToolSource,
    ToolUnavailable,
)
from offhook.tools.call_control import (
    CALL_CONTROL,
    COLLECT_DIGITS,
    END_CALL,
    ESCALATE,
    RESERVED_NAMES,
    SET_OUTPUTS,
)
from offhook.tools.data_action import DataAction
from offhook.tools.python import ImportedTool, PythonTool, import_tool, tool
from offhook.tools.resources import ToolResources
from offhook.tools.runner import ToolLimits, ToolRunner
from offhook.tools.sources import ToolSources
from offhook.tools.toolset import ToolSet

__all__ = [
    "CALL_CONTROL",
    "COLLECT_DIGITS",
    "END_CALL",
    "ESCALATE",
    "RESERVED_NAMES",
    "SET_OUTPUTS",
    "ArgumentsRefused",
    "CallContext",
    "DataAction",
    "ImportedTool",
    "PythonTool",
    "Tool",
    "ToolDefinition",
    "ToolError",
    "ToolLimits",
    "ToolPolicy",
    "ToolResources",
    "ToolResult",
    "ToolRunner",
    "ToolSet",
    "ToolSource",
    "ToolSources",
    "ToolUnavailable",
    "import_tool",
    "tool",
]
