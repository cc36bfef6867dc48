"""The call: one AudioHook session and one Realtime session, joined without I/O (read `call.py` first)."""

from offhook.bridge.call import Call
from offhook.bridge.commands import (
    CallEnded,
    ChangeLanguage,
    CloseRealtime,
    Command,
    ConnectRealtime,
    InvokeTool,
    RecordMoment,
    RecordTurn,
    ReportRealtime,
    SelectAgent,
    ToolOutcome,
    Turn,
)
from offhook.bridge.plan import CallPlan, Prompt
from offhook.bridge.state import CallState

__all__ = [
    "Call",
    "CallEnded",
    "CallPlan",
    "CallState",
    "ChangeLanguage",
    "CloseRealtime",
    "Command",
    "ConnectRealtime",
    "InvokeTool",
    "Prompt",
    "RecordMoment",
    "RecordTurn",
    "ReportRealtime",
    "SelectAgent",
    "ToolOutcome",
    "Turn",
]
