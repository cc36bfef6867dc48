"""What an agent may do besides talking: function tools, and the schemas of call control."""

from offhook.tools.base import (
    CallContext,
    Tool,
    ToolDefinition,
    ToolError,
    ToolPolicy,
    ToolResult,
    ToolSource,
    ToolUnavailable,
)
from offhook.tools.call_control import CALL_CONTROL, END_CALL, ESCALATE, SET_OUTPUTS
from offhook.tools.data_action import DataAction
from offhook.tools.python import ImportedTool, PythonTool, import_tool, tool
from offhook.tools.resources import ToolResources
from offhook.tools.runner import ToolRunner
from offhook.tools.toolset import ToolSet

__all__ = [
    "CALL_CONTROL",
    "END_CALL",
    "ESCALATE",
    "SET_OUTPUTS",
    "CallContext",
    "DataAction",
    "ImportedTool",
    "PythonTool",
    "Tool",
    "ToolDefinition",
    "ToolError",
    "ToolPolicy",
    "ToolResources",
    "ToolResult",
    "ToolRunner",
    "ToolSet",
    "ToolSource",
    "ToolUnavailable",
    "import_tool",
    "tool",
]
