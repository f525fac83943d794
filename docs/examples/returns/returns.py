"""A returns desk. What its model does depends on what it is told, as with a real one."""

from typing import Any

from onward import Agent, App, ScriptedModel, tool
from onward.core.model import ModelRequest

ORDERS = {"A-17": 35, "A-18": 12}


@tool(effect="read")
def find_order(order: str) -> int | None:
    """What was paid for an order, in euros."""
    return ORDERS.get(order)


@tool(effect="irreversible")
def refund(order: str, amount: int) -> str:
    """Pay money back for an order."""
    return f"paid back {amount}"


def script(request: ModelRequest) -> dict[str, Any]:
    """Stands for the model: it looks the order up where it is told to, and else guesses."""
    order = str(request.transcript[0].value).split()[0]
    had = {entry.tool: entry.value for entry in request.transcript if entry.kind == "result"}
    if "look the order up" in request.instructions and "find_order" not in had:
        return {"calls": [{"tool": "find_order", "arguments": {"order": order}}]}
    if "refund" not in had:
        return {"calls": [{"tool": "refund", "arguments": {"order": order, "amount": had.get("find_order", 50)}}]}
    return {"text": f"The money for {order} is on its way."}


desk = Agent(
    "returns-desk",
    model=ScriptedModel(script),
    instructions="You take returns. First look the order up; then refund what was paid for it.",
    tools=[find_order, refund],
)
app = App(programs=[desk])
