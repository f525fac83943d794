"""Order processing: stock is reserved, a payment waited for, a parcel sent. Who does not pay in time keeps no stock."""

from decimal import Decimal

from pydantic import BaseModel, Field

from onward import App, Call, Context, Done, NotDone, tool, workflow

PRICES = {"lamp": Decimal("40.00")}
STOCK = {"lamp": 5}  # these three stand for the shop's other systems
PARCELS: dict[str, str] = {}
MAILS: list[str] = []


class Order(BaseModel):
    id: str
    item: str
    count: int = Field(gt=0)


class Payment(BaseModel):
    reference: str
    amount: Decimal


def reserve(item: str, count: int) -> Decimal:
    """Take them off the stock, and say what they cost."""
    STOCK[item] -= count
    return PRICES[item] * count


def put_back(item: str, count: int) -> None:
    STOCK[item] += count


@tool(effect="irreversible")
def ship(order: str, *, call: Call) -> str:
    """Hand the parcel to the carrier, who knows it by the call's key."""
    return PARCELS.setdefault(call.idempotency_key, f"parcel of {order}")


@ship.reconcile
def shipped(call: Call) -> Done[str] | NotDone:
    """Asked after a crash in the worst place: does the carrier have it?"""
    parcel = PARCELS.get(call.idempotency_key)
    return NotDone() if parcel is None else Done(parcel)


@tool(effect="idempotent", retry=5)
def tell(text: str) -> None:
    """Write to the customer."""
    MAILS.append(text)


@workflow
async def process(ctx: Context, order: Order) -> str:
    total = await ctx.step(reserve, order.item, order.count, undo=put_back)
    await ctx.step(tell, f"Please pay {total}")
    payment = await ctx.signal("paid", Payment, timeout="1h")  # else it fails, and the stock is put back
    if payment.amount < total:
        raise ValueError(f"{payment.reference} pays {payment.amount} of {total}")
    parcel = await ctx.step(ship, order.id)
    await ctx.step(tell, f"Your {parcel} is on its way")
    return parcel


app = App(programs=[process])
