"""Approval with a timeout and an escalation: a manager has a day, then a director has one; nobody is no."""

from decimal import Decimal

from pydantic import BaseModel

from onward import App, Context, workflow

PAID: list[str] = []  # stands for the bank


class Expense(BaseModel):
    what: str
    amount: Decimal


def pay(amount: Decimal, what: str) -> str:
    PAID.append(f"{amount} for {what}")
    return f"paid {amount}"


@workflow
async def expense(ctx: Context, claim: Expense) -> str:
    for who in ("manager@example.com", "director@example.com"):
        decision = await ctx.approval(
            f"May {claim.what} be paid?", evidence=claim, by=[who], timeout="24h", remind="4h"
        )
        if not decision.expired:
            break
    if not decision.approved:
        return f"not paid: {decision.reason or 'nobody decided'}"
    return await ctx.step(pay, claim.amount, claim.what)


app = App(programs=[expense])
