"""A front desk that hands over to billing, and billing that hands back: one session, one log."""

from onward import Agent, App, ScriptedModel, tool

BILLS = {"B-3": 90}


@tool(effect="read")
def find_bill(bill: str) -> int | None:
    """The amount of a bill."""
    return BILLS.get(bill)


@tool(effect="read")
def opening_hours() -> str:
    """When we are open."""
    return "9 to 17"


# Both play one script: a turn's number is that of the answers given so far, whoever gave them.
script = ScriptedModel(
    [
        {"calls": [{"tool": "transfer_to_billing", "arguments": {"reason": "asks about bill B-3"}}]},
        {"calls": [{"tool": "find_bill", "arguments": {"bill": "B-3"}}]},
        {"text": "Bill B-3 is 90. Anything else?"},
        {"calls": [{"tool": "transfer_to_front_desk", "arguments": {"reason": "asks when we are open"}}]},
        {"calls": [{"tool": "opening_hours"}]},
        {"text": "We are open from 9 to 17."},
    ]
)
front = Agent(
    "front-desk",
    model=script,
    description="Greets, and knows the house.",
    tools=[opening_hours],
    handovers=lambda: [billing],  # they name each other, so one must be named later
    conversation=True,
)
billing: Agent = Agent(
    "billing",
    model=script,
    description="Knows all bills.",
    tools=[find_bill],
    handovers=[front],
    conversation=True,
)
app = App(programs=[front])
