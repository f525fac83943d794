"""A refund desk: an agent that looks up a customer's orders and pays money back.

    onward run functions/agents/refund_desk.py "My grinder from order A-1042 arrived broken. Can I have my money back?"

Reading is free, so lookups run as they come. Paying is not: up to 50 euros the agent refunds by itself, above that a
person decides, and a refund that may or may not have been booked when a machine died is looked up in the shop's
ledger before anything else happens. `make demo` shows all of it.

The model plays a script, so that this runs with no account and no network.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

import shop
from onward import Agent, App, Approval, Call, Done, Limits, NotDone, NotPerformed, tool

LIMIT = Decimal(50)

Euros = Annotated[Decimal, Field(gt=0, decimal_places=2)]


@tool(effect="read")
def find_orders(email: str) -> list[shop.Order]:
    """Find the orders of a customer by e-mail address, newest first."""
    return shop.find_orders(email)


@tool(effect="read")
def find_order(order_id: str) -> shop.Order:
    """Find one order by its number, such as A-1042."""
    order = shop.find_order(order_id)
    if order is None:
        raise NotPerformed(f"there is no order {order_id}")  # the model reads this, and may ask the customer again
    return order


@tool(
    effect="irreversible",  # money that was paid can't be called back: never run this twice on a guess
    approval=Approval(when=lambda refund: refund.amount > LIMIT, rule=f"a refund above EUR {LIMIT}"),
    timeout="4s",  # the shop confirms within two; until this time is over nobody calls a refund in doubt
)
def refund(order_id: str, amount: Euros, *, call: Call) -> shop.Receipt:
    """Pay money back for an order, in euros: at most what the order cost. This can't be undone."""
    order = shop.find_order(order_id)
    if order is None or amount > order.total:
        raise NotPerformed(f"there is no order {order_id} that cost EUR {amount} or more")
    return shop.book_refund(order.id, amount, key=call.idempotency_key)


@refund.reconcile
def was_refunded(call: Call) -> Done[shop.Receipt] | NotDone:
    """Asked when a refund is in doubt. The key is the same at every attempt, so the shop can tell."""
    receipt = shop.refund_by_key(call.idempotency_key)
    return Done(receipt) if receipt else NotDone()


desk = Agent(
    "refund-desk",
    model="scripted:refund_desk.json",
    instructions=(
        "You answer customers of a small shop for coffee and kitchen ware. Look up an order before you speak about it. "
        "Refund what arrived broken, and never more than the customer paid for it. Be brief and kind."
    ),
    tools=[find_orders, find_order, refund],
    limits=Limits(turns=20, calls=20, tokens=200_000),
)

app = App(programs=[desk])
