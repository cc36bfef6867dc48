"""The gateway of the demo, defined the way a user would."""

from offhook import Agent, Gateway, Input, Output, tool

ORDERS = {"1234": "shipped; arrives on Friday"}


@tool
async def order_status(order_id: str) -> str:
    """Look an order up by its number.

    Args:
        order_id: The digits of the order number.
    """
    return ORDERS.get(order_id, "There is no such order.")


def gateway(*, key: str, secret: str, realtime_url: str) -> Gateway:
    """Build the gateway of the demo.

    Args:
        key: API key that the simulated Genesys presents.
        secret: Its client secret in base64; the upgrade is signed with it.
        realtime_url: Where the emulated Realtime API listens.
    """
    return Gateway(
        listen="127.0.0.1:0",
        keys=[{"id": key, "secret": secret}],
        providers=[{"name": "emulator", "url": realtime_url, "api_key": "demo"}],
        default_agent="support",
        agents={
            "support": Agent(
                instructions="You answer the phone for {{ input.COMPANY }}. Be brief and friendly.",
                greeting="Greet the caller in one short sentence.",
                tools=[order_status, "end_call"],
                inputs={"COMPANY": Input(required=True)},
                outputs={"INTENT": Output(default=""), "ORDER_ID": Output(default="")},
            )
        },
    )
