"""A gateway defined in Python. From the root of the repository: .venv/bin/offhook serve examples.shop:gateway."""

import os

from offhook import Agent, CallContext, Gateway, ToolError, tool

ORDERS = {"1234": "shipped, arrives on Friday", "5678": "being packed"}


@tool
async def order_status(order_id: str, call: CallContext) -> str:
    """Look an order up by its number.

    Args:
        order_id: The digits that the caller says or types.
    """
    if order_id not in ORDERS:
        raise ToolError("There is no such order.")
    return f"{ORDERS[order_id]}; {call.inputs.get('COMPANY', 'Acme')} sends a text message with the details"


gateway = Gateway(
    listen=os.environ.get("OFFHOOK_LISTEN", "127.0.0.1:8080"),
    keys=[{"id": os.environ.get("GENESYS_API_KEY", "demo-key"), "secret": os.environ.get("GENESYS_CLIENT_SECRET", "")}],
    default_agent="support",
    agents={
        "support": Agent(
            instructions="You answer the phone for {{ input.COMPANY | default('Acme') }}. Be brief and friendly.",
            greeting="Greet the caller in one short sentence.",
            tools=[order_status, "end_call"],
            inputs={"COMPANY": {"required": False}},
            outputs={"INTENT": {"default": ""}},
        )
    },
)
