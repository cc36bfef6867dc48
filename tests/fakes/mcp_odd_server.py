"""An MCP server that does what it should not: plain JSON on stdio, so that it starts at once. Speaks 2025-11-25.

Arguments say how it is odd; tools are named by what they do.
"""

import json
import os
import signal
import sys
import time
from typing import Any

HOW = sys.argv[1:]
TOOLS = ["echo", "die", "huge", "hang", "ask", "pid"]
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def listed() -> list[dict[str, Any]]:
    tools = [{"name": name, "inputSchema": SCHEMA} for name in TOOLS]
    if "many" in HOW:
        tools += [{"name": f"tool {number}" + "x" * 80, "inputSchema": SCHEMA} for number in range(80)]
        tools[0]["description"] = "d" * 5000
        tools[1]["inputSchema"] = {**SCHEMA, "title": "x" * 40_000}
        tools[2] = {"name": "echo", "inputSchema": SCHEMA}
    return tools


def call(number: int, name: str, arguments: dict[str, Any]) -> None:
    if name == "die":
        os._exit(1)
    if name == "hang":
        return
    if name == "ask":
        send({"id": "q1", "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}})
        text = json.loads(sys.stdin.readline()).get("error", {}).get("message", "it was allowed")
    elif name == "huge":
        text = "y" * int(arguments["text"])
    elif name == "pid":
        text = str(os.getpid())
    else:
        text = arguments.get("text", "")
    if name == "echo" and text == "garbage":
        sys.stdout.write("garbage 4111\n\n{broken\n" + "z" * 100_000 + "\n")
    if name == "echo" and text == "stderr":
        sys.stderr.write("the caller said 4111\n")
        sys.stderr.flush()
    if name == "echo" and text == "grow":
        TOOLS.append("late")
        send({"method": "notifications/tools/list_changed"})
    result = {"content": [{"type": "text", "text": text}]}
    if "backwards" in HOW:
        sys.stdout.write(json.dumps({"result": result, "jsonrpc": "2.0", "id": number}) + "\n")
        sys.stdout.flush()
    elif name == "echo" and text == "nonsense":
        send({"id": number, "result": {"content": 5, "text": "4111"}})
    elif name == "echo" and text == "refuse":
        send({"id": number, "error": {"code": -32602, "message": "text must be kind"}})
    elif name == "echo" and text == "break":
        send({"id": number, "error": {"code": -32603, "message": "line 5 of secret.py"}})
    else:
        send({"id": number, "result": result})


def main() -> None:
    if "stubborn" in HOW:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stderr.write(f"starting with {os.environ.get('TOKEN')}\n" + "e" * 5000 + "\n")
    sys.stderr.flush()
    if "crash" in HOW:
        sys.exit(1)
    for line in sys.stdin:
        message = json.loads(line)
        number, method = message.get("id"), message.get("method")
        if method == "initialize":
            send({"id": number, "result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "odd", "version": "1"}}})  # fmt: skip  # noqa: E501
        elif method == "tools/list":
            if "deaf" in HOW:
                continue
            send({"id": number, "result": {"tools": listed()}})
        elif method == "tools/call":
            call(number, message["params"]["name"], message["params"].get("arguments") or {})
        elif number is not None and method is not None:
            send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
    if "stubborn" in HOW:
        while True:
            time.sleep(60)


main()
