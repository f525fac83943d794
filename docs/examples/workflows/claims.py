"""An agent has a workflow as a tool, and the workflow asks another agent: each works in a session of its own."""

from decimal import Decimal

from pydantic import BaseModel

from onward import Agent, App, Context, ScriptedModel, tool, workflow

ORDERS = {"A-17": Decimal("180.00")}
PAID: list[str] = []  # stands for the bank


class Claim(BaseModel):
    order: str
    says: str


class Judgement(BaseModel):
    justified: bool
    why: str


@tool(effect="read")
def price_of(order: str) -> Decimal:
    """What was paid for an order."""
    return ORDERS[order]


def pay_back(order: str, amount: Decimal) -> str:
    PAID.append(f"{amount} for {order}")
    return f"{amount} are on their way"


judge = Agent(
    "judge",
    model=ScriptedModel([{"text": '{"justified": true, "why": "it came broken"}'}]),
    instructions="Is the claim justified?",
    output_type=Judgement,
)


@workflow
async def settle(ctx: Context, claim: Claim) -> str:
    """Settle a customer's claim, and say how."""
    price = await ctx.step(price_of, claim.order)
    judgement = await ctx.run(judge, f"{claim.order}, {price}: {claim.says}")
    if not judgement.justified:
        return f"refused: {judgement.why}"
    if price > 100:
        asked = await ctx.approval(f"Pay {price} back?", evidence=judgement, timeout="2d")
        if not asked.approved:
            return f"refused: {asked.reason or 'nobody agreed'}"
    return await ctx.step(pay_back, claim.order, price)


desk = Agent(
    "desk",
    model=ScriptedModel(
        [
            {"calls": [{"tool": "settle", "arguments": {"order": "A-17", "says": "The lamp is broken"}}]},
            {"text": "I am sorry about the lamp. Your 180.00 are on their way."},
        ]
    ),
    tools=[settle.as_tool()],
)
app = App(programs=[desk])
