"""Tools of the shop, and the same gateway in Python: offhook serve shop:gateway."""

import os

from offhook import Agent, CallContext, Gateway, ToolError, ToolResult, tool

ORDERS = {"1234": "shipped, arrives on Friday", "5678": "being packed"}


@tool(timeout=5)
async def order_status(order_id: str, call: CallContext) -> ToolResult:
    """Look an order up by its number.

    Args:
        order_id: The digits that the caller says or types.
    """
    if order_id not in ORDERS:
        raise ToolError("There is no such order.")
    company = call.inputs.get("COMPANY", "Acme")
    return ToolResult(
        f"{ORDERS[order_id]}; {company} sends a text message with the details", outputs={"ORDER_ID": order_id}
    )


gateway = Gateway(
    listen=os.environ.get("OFFHOOK_LISTEN", "127.0.0.1:8080"),
    keys=[{"id": os.environ.get("GENESYS_API_KEY", "demo-key"), "secret": os.environ.get("GENESYS_CLIENT_SECRET", "")}],
    default_agent="support",
    agents={
        "support": Agent(
            instructions=(
                "You answer the phone for {{ input.COMPANY | default('Acme') }}. Be brief and friendly.\n"
                "Ask for the order number before you look an order up.\n"
            ),
            greeting="Greet the caller in one short sentence.",
            tools=[order_status, "end_call", "escalate"],
            inputs={"COMPANY": {"required": False}},
            outputs={
                "INTENT": {"default": "", "enum": ["", "order_status", "other"]},
                "ORDER_ID": {"default": "", "description": "The number of the order that was asked about."},
            },
            no_input={"after": 8},
        )
    },
)
