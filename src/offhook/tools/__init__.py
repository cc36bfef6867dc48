"""What an agent may do besides talking: function tools, and the schemas of call control."""

from offhook.tools.base import CallContext, Tool, ToolDefinition, ToolError
from offhook.tools.call_control import CALL_CONTROL, END_CALL, ESCALATE, SET_OUTPUTS
from offhook.tools.python import PythonTool, import_tool, tool
from offhook.tools.runner import ToolRunner

__all__ = [
    "CALL_CONTROL",
    "END_CALL",
    "ESCALATE",
    "SET_OUTPUTS",
    "CallContext",
    "PythonTool",
    "Tool",
    "ToolDefinition",
    "ToolError",
    "ToolRunner",
    "import_tool",
    "tool",
]
