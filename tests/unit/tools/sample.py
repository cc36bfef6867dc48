"""Tools that tests import by reference."""

from offhook.tools import CallContext, tool


@tool
async def order_status(order_id: str) -> str:
    """Look an order up by its number."""
    return f"order {order_id} is on its way"


def plain(count: int, context: CallContext) -> str:
    """Say how often."""
    return f"{count} times in {context.id}"


def untyped(count) -> str:  # type: ignore[no-untyped-def]
    """Cannot be a tool."""
    return str(count)


@tool(name="end_call")
def reserved() -> str:
    """Has a name that is taken."""
    return ""


@tool(timeout=3, confirm=True, redact=["ssn"])
async def careful() -> dict[str, str]:
    """Has a policy."""
    return {"ssn": "078-05-1120"}


NOT_A_FUNCTION = 5
