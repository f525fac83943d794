"""A support desk: finds orders by itself, refunds small sums by itself, and asks two people about large ones."""

from decimal import Decimal

from onward import Agent, App, Approval, Call, Done, NotDone, ScriptedModel, tool

ORDERS = {"A-17": Decimal("180.00")}
LEDGER: dict[str, Decimal] = {}  # stands for the bank

large = Approval(
    when=lambda args: args.amount > 50,
    rule="refunds above 50",
    people=2,
    timeout="24h",
    remind="4h",
)


@tool(effect="read")
def find_order(order: str) -> Decimal | None:
    """What was paid for an order."""
    return ORDERS.get(order)


@tool(effect="irreversible", approval=large)
def refund(order: str, amount: Decimal, *, call: Call) -> str:
    """Refund an order."""
    LEDGER[call.idempotency_key] = amount
    return f"refunded {amount} for {order}"


@refund.reconcile
def refunded(call: Call) -> Done[str] | NotDone:
    amount = LEDGER.get(call.idempotency_key)
    return NotDone() if amount is None else Done(f"refunded {amount}")


script = ScriptedModel(
    [
        {"calls": [{"tool": "find_order", "arguments": {"order": "A-17"}}]},
        {"calls": [{"tool": "refund", "arguments": {"order": "A-17", "amount": "180.00"}}]},
        {"text": "Your refund for A-17 is on its way."},
    ]
)
desk = Agent(
    "support-desk",
    model=script,
    instructions="You help customers. Look an order up before you refund it.",
    tools=[find_order, refund],
)
app = App(programs=[desk])
