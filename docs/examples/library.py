from onward import Agent, App, Approval, ScriptedModel, tool

SHELF = {"dune": 2, "emma": 0}


@tool(effect="read")
def copies(title: str) -> int:
    """How many copies of a book are on the shelf."""
    return SHELF.get(title.lower(), 0)


@tool(effect="irreversible", approval=Approval(when=lambda args: args.days > 14, timeout="24h"))
def lend(title: str, days: int) -> str:
    """Lend a book."""
    return f"{title} is yours for {days} days"


script = ScriptedModel([
    {"calls": [{"tool": "copies", "arguments": {"title": "Dune"}}]},
    {"calls": [{"tool": "lend", "arguments": {"title": "Dune", "days": 30}}]},
    {"text": "Dune is yours for 30 days. Enjoy!"},
])  # fmt: skip
app = App(programs=[Agent("librarian", model=script, tools=[copies, lend])])
