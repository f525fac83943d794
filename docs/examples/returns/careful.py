"""The returns desk, since somebody has to agree before much is paid back."""

from returns import desk as before
from returns import find_order, script

from onward import Agent, App, Approval, ScriptedModel, tool


@tool(effect="irreversible", approval=Approval(when=lambda args: args.amount > 30, rule="more than 30 euros"))
def refund(order: str, amount: int) -> str:
    """Pay money back for an order."""
    return f"paid back {amount}"


desk = Agent("returns-desk", model=ScriptedModel(script), instructions=before.instructions, tools=[find_order, refund])
app = App(programs=[desk])
